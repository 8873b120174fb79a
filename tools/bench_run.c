/* All items on all devices: a repeat on each device in turn, so that what disturbs the machine disturbs all.
 */
#include "bench.h"
#include "stop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the devices --- */

static void set_failed(json_t *record, const bench_child *child, const json_t *reply)
{
    const char *sentence = reply ? bench_text(reply, "failed") : child->end;
    json_object_set_new(record, "failed", json_string(sentence ? sentence : "unknown"));
}

static bool has_failed(const json_t *reply)
{
    return !reply || json_object_get(reply, "failed");
}

static bool is_taken(const bench_run *run, const bench_unit *unit)
{
    for (const bench_unit *other = run->units; other < unit; other++)
        if (!strcmp(other->id, unit->id))
            return true;
    return false;
}

/* A device that cannot be opened, or computes wrongly, has a record and no child. */
static bool open_unit(bench_run *run, bench_unit *unit)
{
    if (bench_child_start(unit->selector, NULL, &unit->child) != EXIT_DONE)
        return false;
    json_t *reply = bench_child_ask(&unit->child, "describe");
    json_t *record = has_failed(reply) ? json_pack("{s:s, s:s}", "record", "device", "device", unit->selector)
                                       : json_incref(reply);
    const json_t *selftest = json_object_get(record, "selftest");
    bool usable = !has_failed(reply) && json_is_true(json_object_get(selftest, "passed"));
    if (has_failed(reply))
        set_failed(record, &unit->child, reply);
    else if (!usable)
        json_object_set_new(
            record, "failed",
            json_sprintf("computes wrongly in the self-test: %s", bench_text(selftest, "detail")));
    const char *name = bench_text(record, "name");
    snprintf(unit->id, sizeof unit->id, "%s", bench_text(record, "device"));
    snprintf(unit->name, sizeof unit->name, "%s", name ? name : unit->selector);
    unit->selftest_error = bench_number(selftest, "error");
    if (usable && is_taken(run, unit)) {
        json_object_set_new(record, "failed", json_string("it is named twice"));
        usable = false;
    }
    json_decref(reply);
    run->emit(run, record);
    if (!usable)
        bench_child_stop(&unit->child);
    return usable;
}

int bench_run_open(bench_run *run)
{
    int usable = 0;
    for (int i = 0; i < run->unit_count; i++) {
        run->say(run, "opening the devices, with their self-tests");
        usable += open_unit(run, &run->units[i]);
    }
    return usable;
}

void bench_run_close(bench_run *run)
{
    for (int i = 0; i < run->unit_count; i++) {
        bench_child_stop(&run->units[i].child);
        json_decref(run->units[i].plan);
        free(run->units[i].values);
    }
}

/* --- an item --- */

static json_t *new_record(const bench_unit *unit, const bench_item *item)
{
    static const char *const groups[] = {"machine", "products", "training", "sampling"};
    return bench_record_measure(unit->id, groups[item->kind], item->model ? item->model->name : NULL,
                                item->what, item->unit, item->less_is_better, unit->values, unit->count);
}

static void drop(bench_run *run, bench_unit *unit, const bench_item *item, json_t *reply)
{
    unit->count = 0;
    json_t *record = new_record(unit, item);
    set_failed(record, &unit->child, reply);
    run->emit(run, record);
    json_decref(unit->plan);
    unit->plan = NULL;
}

static void prepare(bench_run *run, bench_unit *unit, const bench_item *item, int index)
{
    unit->count = 0;
    json_decref(unit->plan);
    unit->plan = NULL;
    if (!unit->child.process)
        return;
    json_t *reply = bench_child_ask(&unit->child, "prepare %d%s", index, run->quick ? " quick" : "");
    if (has_failed(reply))
        drop(run, unit, item, reply);
    else
        unit->plan = json_incref(reply);
    json_decref(reply);
}

static void repeat(bench_run *run, bench_unit *unit, const bench_item *item)
{
    if (!unit->plan)
        return;
    json_t *reply = bench_child_ask(&unit->child, "repeat");
    double work = bench_number(unit->plan, "work"), seconds = bench_number(reply, "seconds");
    if (has_failed(reply) || !(seconds > 0))
        drop(run, unit, item, reply);
    else
        unit->values[unit->count++] =
            item->less_is_better ? item->scale * seconds / work : item->scale * work / seconds;
    json_decref(reply);
}

/* The first device that has measured the same; its numbers are what the others' are compared with. */
static const json_t *first_record(const bench_run *run, const json_t *record)
{
    const json_t *first = NULL;
    for (int i = 0; i < run->unit_count && !first; i++)
        first = bench_record_find(run->records, "device", run->units[i].id, record);
    return first;
}

static void compare_results(const bench_run *run, json_t *record, const char *key, const char *difference)
{
    const json_t *first = first_record(run, record);
    double own = bench_number(record, key), other = first ? bench_number(first, key) : own;
    if (isfinite(own - other))
        json_object_set_new(record, difference, json_real(own - other));
}

/* Memory's bandwidth is no floor of what stays in the device's cache. */
static json_t *floors(const bench_run *run, const char *device, const bench_work *work, double launches,
                      const json_t *facts)
{
    double peak = 1e9 * bench_record_median(run->records, device, "machine", NULL, "fp32 peak");
    double bandwidth = 1e9 * bench_record_median(run->records, device, "machine", NULL, "triad");
    double launch = 1e-6 * bench_record_median(run->records, device, "machine", NULL, "launch");
    bool in_cache = bench_number(facts, "memory_bytes") <= bench_number(facts, "cache_bytes");
    const double seconds[] = {work->operations / peak, in_cache ? NAN : work->bytes / bandwidth, launches * launch,
                              bench_number(facts, "host_seconds")};
    static const char *const names[] = {"compute", "bandwidth", "launches", "host"};
    json_t *object = json_object();
    for (int i = 0; i < 4; i++)
        json_object_set_new(object, names[i], isfinite(seconds[i]) ? json_real(seconds[i]) : json_null());
    return object;
}

/* What a training's measurement says of one step. */
static void emit_step(bench_run *run, const bench_unit *unit, const bench_model *model, const json_t *measure,
                      const json_t *facts)
{
    bench_work work = {0};
    double launches = 0;
    size_t i;
    json_t *kernel;
    bench_model_work(model, &work);
    json_array_foreach(json_object_get(facts, "kernels"), i, kernel) launches +=
        bench_number(kernel, "launches");
    json_t *step = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:f, s:f, s:f, s:f}", "record", "step",
                             "device", unit->id, "group", "training", "model", model->name, "what", "step",
                             "parameters", (json_int_t)work.parameters, "batch", model->batch, "seconds",
                             model->batch / bench_number(measure, "median"), "operations", work.operations,
                             "bytes", work.bytes, "launches", launches);
    json_object_set_new(step, "floors", floors(run, unit->id, &work, launches, facts));
    json_object_set(step, "memory_bytes", json_object_get(facts, "memory_bytes"));
    json_object_set(step, "cache_bytes", json_object_get(facts, "cache_bytes"));
    json_object_set(step, "process_bytes", json_object_get(facts, "process_bytes"));
    json_object_set(step, "loss", json_object_get(facts, "loss"));
    json_object_set(step, "kernels", json_object_get(facts, "kernels"));
    compare_results(run, step, "loss", "loss_difference");
    bench_record_limit(step);
    run->emit(run, step);
}

static void finish(bench_run *run, bench_unit *unit, const bench_item *item)
{
    if (!unit->plan || unit->count < run->repeats)
        return;
    json_t *facts = bench_child_ask(&unit->child, "finish");
    if (has_failed(facts)) {
        drop(run, unit, item, facts);
        json_decref(facts);
        return;
    }
    static const char *const members[] = {"error", "right", "how", "mean", "loss", "memory_bytes"};
    bool wrong = json_is_false(json_object_get(facts, "right"));
    if (wrong)
        unit->count = 0; /* what is wrong has no speed */
    json_t *record = new_record(unit, item);
    if (wrong)
        json_object_set_new(record, "failed", json_string("its result is wrong"));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(facts, members[i]))
            json_object_set(record, members[i], json_object_get(facts, members[i]));
    if (item->kind == BENCH_PRODUCT) {
        double peak = bench_record_median(run->records, unit->id, "machine", NULL, "fp32 peak");
        if (peak > 0)
            json_object_set_new(record, "share_of_peak", json_real(bench_number(record, "median") / peak));
    }
    compare_results(run, record, "mean", "mean_difference");
    compare_results(run, record, "loss", "loss_difference");
    run->emit(run, record);
    if (item->kind == BENCH_TRAINING)
        emit_step(run, unit, item->model, record, facts);
    json_decref(facts);
}

static void measure_item(bench_run *run, const bench_item *item, int index)
{
    char what[96];
    snprintf(what, sizeof what, "%s%s%s", item->what, item->model ? " of " : "",
             item->model ? item->model->name : "");
    run->say(run, what);
    for (int i = 0; i < run->unit_count; i++)
        prepare(run, &run->units[i], item, index);
    for (int round = 0; round < run->repeats && !stop_asked(); round++)
        for (int i = 0; i < run->unit_count; i++)
            repeat(run, &run->units[i], item);
    for (int i = 0; i < run->unit_count; i++)
        finish(run, &run->units[i], item);
}

/* --- all of it --- */

static bool is_wanted(const bench_run *run, const bench_item *item)
{
    const char *only = run->model ? run->model : run->quick ? bench_models[0].name : NULL;
    return !item->model || !only || !strcmp(only, item->model->name);
}

int bench_run_measure(bench_run *run)
{
    static bench_item items[BENCH_ITEMS_MOST];
    int count = bench_items(items);
    if (count < 0)
        return tool_fail_library();
    for (int i = 0; i < run->unit_count; i++)
        if (!(run->units[i].values = calloc((size_t)run->repeats, sizeof(double))))
            return tool_fail("out of memory");
    run->say(run, "the start-up");
    bench_start_measure(run);
    for (int i = 0; i < count && !stop_asked(); i++)
        if (is_wanted(run, &items[i]))
            measure_item(run, &items[i], i);
    if (stop_asked())
        return tool_fail("stopped: not everything was measured");
    for (int i = 0; i < run->unit_count; i++)
        if (run->units[i].child.process)
            return EXIT_DONE;
    return tool_fail("no device's process has lasted to the end");
}
