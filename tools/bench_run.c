/* All items on all devices: a repeat on each device in turn, so that what disturbs the machine disturbs all. */
#include "bench.h"
#include "stop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the devices --- */

static void set_failed(json_t *record, const child_process *child, const json_t *reply)
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
    if (bench_device_start(unit->selector, NULL, &unit->child) != EXIT_DONE)
        return false;
    json_t *reply = child_ask(&unit->child, "describe");
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
        child_stop(&unit->child);
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
    for (int i = 0; i < run->unit_count; i++)
        child_stop(&run->units[i].child);
}

/* --- an item --- */

/* The machine's figures that an item's are divided by. */
static const bool is_divided_by[][FCL_MEASURE_KINDS] = {
    [BENCH_PRODUCT] = {[FCL_MEASURE_PEAK] = true},
    [BENCH_TRAINING] = {[FCL_MEASURE_PEAK] = true, [FCL_MEASURE_TRIAD] = true, [FCL_MEASURE_LAUNCH] = true},
    [BENCH_SAMPLING] = {false},
    [BENCH_CONVOLUTION] = {[FCL_MEASURE_PEAK] = true},
    [BENCH_ATTENTION] = {[FCL_MEASURE_PEAK] = true},
};

static json_t *new_record(const bench_unit *unit, const bench_item *item)
{
    static const char *const groups[] = {"machine", "products", "training", "sampling", "convolutions", "attention"};
    double values[BENCH_REPEATS_MOST];
    for (int i = 0; i < unit->count; i++)
        values[i] = item->less_is_better ? item->scale * unit->own.cost[i] : item->scale / unit->own.cost[i];
    return bench_record_measure(unit->id, groups[item->kind], item->model ? item->model->name : NULL,
                                item->what, item->unit, item->less_is_better, values, unit->count);
}

static void drop(bench_run *run, bench_unit *unit, const bench_item *item, json_t *reply)
{
    unit->count = 0;
    unit->own.work = 0;
    json_t *record = new_record(unit, item);
    set_failed(record, &unit->child, reply);
    run->emit(run, record);
}

/* The reply, which tells why it failed. */
static json_t *prepare_series(const bench_run *run, bench_unit *unit, int index, bench_series *series)
{
    json_t *reply = child_ask(&unit->child, "prepare %d%s", index, run->quick ? " quick" : "");
    series->work = has_failed(reply) ? 0 : bench_number(reply, "work");
    return reply;
}

static bool is_reference(const bench_run *run, const bench_unit *unit, const bench_item *item, int kind)
{
    double known = bench_record_median(run->records, unit->id, "machine", NULL, run->items[kind].what);
    return is_divided_by[item->kind][kind] && isfinite(known);
}

static void prepare(bench_run *run, bench_unit *unit, int index)
{
    const bench_item *item = &run->items[index];
    unit->count = 0;
    unit->own.work = unit->host.work = 0;
    for (int kind = 0; kind < FCL_MEASURE_KINDS; kind++)
        unit->reference[kind].work = 0;
    if (!unit->child.process)
        return;
    json_t *reply = prepare_series(run, unit, index, &unit->own);
    if (has_failed(reply))
        drop(run, unit, item, reply);
    json_decref(reply);
    for (int kind = 0; kind < FCL_MEASURE_KINDS && unit->own.work > 0; kind++)
        if (is_reference(run, unit, item, kind))
            json_decref(prepare_series(run, unit, kind, &unit->reference[kind]));
}

/* The reply. Where the repeat fails the series is over. */
static json_t *repeat_series(bench_unit *unit, int index, bench_series *series)
{
    json_t *reply = child_ask(&unit->child, "repeat %d", index);
    double seconds = has_failed(reply) ? NAN : bench_number(reply, "seconds");
    series->cost[unit->count] = seconds / series->work;
    if (!(seconds > 0))
        series->work = 0;
    return reply;
}

static void repeat(bench_run *run, bench_unit *unit, int index)
{
    if (!(unit->own.work > 0))
        return;
    for (int kind = 0; kind < FCL_MEASURE_KINDS; kind++)
        if (unit->reference[kind].work > 0)
            json_decref(repeat_series(unit, kind, &unit->reference[kind]));
    json_t *reply = repeat_series(unit, index, &unit->own);
    double host = bench_number(reply, "host_seconds");
    unit->host.work = host > 0;
    unit->host.cost[unit->count++] = host;
    if (!(unit->own.work > 0))
        drop(run, unit, &run->items[index], reply);
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

/* How near a product, a convolution or an attention comes to the peak of the same rounds. */
static void add_share_of_peak(json_t *record, const bench_run *run, const bench_unit *unit)
{
    const bench_series *peak = &unit->reference[FCL_MEASURE_PEAK];
    double peaks[BENCH_REPEATS_MOST];
    if (!(peak->work > 0) || !unit->count)
        return;
    for (int i = 0; i < unit->count; i++)
        peaks[i] = run->items[FCL_MEASURE_PEAK].scale / peak->cost[i];
    json_object_set_new(record, "peaks", bench_numbers_json(peaks, unit->count));
    bench_record_set_spread(record, "share_of_peak", rounds_ratio(peak->cost, unit->own.cost, unit->count));
}

static void emit_item(bench_run *run, bench_unit *unit, const bench_item *item, const json_t *facts)
{
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
    if (is_divided_by[item->kind][FCL_MEASURE_PEAK] && item->kind != BENCH_TRAINING)
        add_share_of_peak(record, run, unit);
    compare_results(run, record, "mean", "mean_difference");
    compare_results(run, record, "loss", "loss_difference");
    run->emit(run, record);
    if (item->kind != BENCH_TRAINING)
        return;
    json_t *step = bench_step_record(unit, item->model, facts);
    compare_results(run, step, "loss", "loss_difference");
    run->emit(run, step);
}

static void finish(bench_run *run, bench_unit *unit, int index)
{
    if (!(unit->own.work > 0) || unit->count < run->repeats)
        return;
    json_t *facts = child_ask(&unit->child, "finish %d", index);
    if (has_failed(facts))
        drop(run, unit, &run->items[index], facts);
    else
        emit_item(run, unit, &run->items[index], facts);
    json_decref(facts);
}

static void measure_item(bench_run *run, int index)
{
    char what[96];
    const bench_item *item = &run->items[index];
    snprintf(what, sizeof what, "%s%s%s", item->what, item->model ? " of " : "",
             item->model ? item->model->name : "");
    run->say(run, what);
    for (int i = 0; i < run->unit_count; i++)
        prepare(run, &run->units[i], index);
    for (int round = 0; round < run->repeats && !stop_asked(); round++)
        for (int i = 0; i < run->unit_count; i++)
            repeat(run, &run->units[i], index);
    for (int i = 0; i < run->unit_count; i++) {
        finish(run, &run->units[i], index);
        json_decref(child_ask(&run->units[i].child, "close"));
    }
}

/* --- all of it --- */

static bool is_wanted(const bench_run *run, const bench_item *item)
{
    const char *only = run->model ? run->model : run->quick ? bench_models[0].name : NULL;
    return !item->model || !only || !strcmp(only, item->model->name);
}

int bench_run_measure(bench_run *run)
{
    int count = bench_items(run->items);
    if (count < 0)
        return tool_fail_library();
    run->say(run, "the start-up");
    bench_start_measure(run);
    for (int i = 0; i < count && !stop_asked(); i++)
        if (is_wanted(run, &run->items[i]))
            measure_item(run, i);
    if (stop_asked())
        return tool_fail("stopped: not everything was measured");
    for (int i = 0; i < run->unit_count; i++)
        if (run->units[i].child.process)
            return EXIT_DONE;
    return tool_fail("no device's process has lasted to the end");
}
