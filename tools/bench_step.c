/* What a training's measurement says of one step: its floors, and how much of the step each of them explains.
 */
#include "bench.h"

#include <math.h>

enum { COMPUTE, BANDWIDTH, LAUNCHES, HOST, FLOORS };

typedef struct floor_cost {
    double amount; /* NAN: no floor of this step */
    const bench_series *series;
} floor_cost;

/* A floor and the step are of the same round; the largest share's floor limits. */
static void add_floor(json_t *step, const char *name, const floor_cost *floor, const double *seconds,
                      int count)
{
    double least[BENCH_REPEATS_MOST];
    bool known = floor->series->work > 0 && isfinite(floor->amount);
    for (int i = 0; known && i < count; i++)
        least[i] = floor->amount * floor->series->cost[i];
    rounds_spread of = rounds_of(least, known ? count : 0),
                  share = rounds_ratio(least, seconds, known ? count : 0);
    json_object_set_new(json_object_get(step, "floors"), name, tool_real_json(of.median));
    json_object_set_new(json_object_get(step, "shares"), name, tool_real_json(share.median));
    if (!known)
        return;
    json_object_set_new(json_object_get(step, "rounds"), name, bench_numbers_json(least, count));
    if (!(share.median > 0) || share.median <= bench_number(step, "limit_share"))
        return;
    json_object_set_new(step, "limit", json_string(name));
    bench_record_set_spread(step, "limit_share", share);
}

/* Memory's bandwidth is no floor of what stays in the device's cache. */
static void add_floors(json_t *step, const bench_unit *unit, const json_t *facts, const double *seconds)
{
    static const char *const names[] = {"compute", "bandwidth", "launches", "host"};
    bool in_cache = bench_number(facts, "memory_bytes") <= bench_number(facts, "cache_bytes");
    const floor_cost floors[FLOORS] = {
        [COMPUTE] = {bench_number(facts, "operations"), &unit->reference[FCL_MEASURE_PEAK]},
        [BANDWIDTH] = {in_cache ? NAN : bench_number(facts, "bytes"), &unit->reference[FCL_MEASURE_TRIAD]},
        [LAUNCHES] = {bench_number(facts, "launches"), &unit->reference[FCL_MEASURE_LAUNCH]},
        [HOST] = {1, &unit->host},
    };
    json_object_set_new(step, "floors", json_object());
    json_object_set_new(step, "shares", json_object());
    json_object_set_new(step, "limit", json_null());
    json_object_set_new(step, "limit_share", json_null());
    json_object_set_new(step, "rounds", json_object());
    json_object_set_new(json_object_get(step, "rounds"), "seconds", bench_numbers_json(seconds, unit->count));
    for (int i = 0; i < FLOORS; i++)
        add_floor(step, names[i], &floors[i], seconds, unit->count);
}

json_t *bench_step_record(const bench_unit *unit, const bench_model *model, const json_t *facts)
{
    static const char *const members[] = {"parameters",   "operations",  "bytes",         "launches",
                                          "memory_bytes", "cache_bytes", "process_bytes", "loss",
                                          "clblast_calls", "kernels",    "distinct_kernels", "build_seconds"};
    double seconds[BENCH_REPEATS_MOST];
    for (int i = 0; i < unit->count; i++)
        seconds[i] = model->batch * unit->own.cost[i];
    json_t *step = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:f}", "record", "step", "device", unit->id, "group",
                             "training", "model", model->name, "what", "step", "batch", model->batch, "seconds",
                             rounds_of(seconds, unit->count).median);
    add_floors(step, unit, facts, seconds);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        json_object_set(step, members[i], json_object_get(facts, members[i]));
    return step;
}
