/* The start-up: processes from their beginning to their first finished step, with an empty cache of kernels,
 * then with a full one. */
#include "bench.h"
#include "stop.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMPILE, FIRST_STEP, COSTS };

typedef struct start {
    const bench_unit *unit;
    char cache[512]; /* a folder; "" where it cannot be measured, or no longer */
    double *cost[COSTS];
    int count, wanted; /* warm starts */
} start;

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static void drop_cache(start *s)
{
    enum { OPEN_FOLDERS = 16 };
    if (s->cache[0])
        nftw(s->cache, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
    s->cache[0] = '\0';
}

static void emit_failed(bench_run *run, start *s, const char *sentence)
{
    json_t *record =
        bench_record_measure(s->unit->id, "start-up", bench_models[0].name, "start", "s", true, NULL, 0);
    json_object_set_new(record, "failed", json_string(sentence ? sentence : "unknown"));
    run->emit(run, record);
    drop_cache(s);
}

static void emit_costs(bench_run *run, const start *s, const char *heat, int count)
{
    static const char *const names[COSTS] = {[COMPILE] = "compile", [FIRST_STEP] = "first step"};
    for (int cost = 0; cost < COSTS; cost++) {
        char what[40];
        snprintf(what, sizeof what, "%s %s", heat, names[cost]);
        run->emit(run, bench_record_measure(s->unit->id, "start-up", bench_models[0].name, what, "s", true,
                                            s->cost[cost], count));
    }
}

/* One process; its costs go to the index-th place. A failure is told, and ends this unit's starts. */
static bool start_once(bench_run *run, start *s, int index)
{
    child_process child;
    double began = tool_now();
    if (!s->cache[0] || bench_device_start(s->unit->selector, s->cache, &child) != EXIT_DONE)
        return false;
    json_t *reply = child_ask(&child, "startup");
    s->cost[FIRST_STEP][index] = tool_now() - began;
    s->cost[COMPILE][index] = bench_number(reply, "compile");
    bool failed = !reply || json_object_get(reply, "failed");
    if (failed && !stop_asked())
        emit_failed(run, s, reply ? bench_text(reply, "failed") : child.end);
    json_decref(reply);
    child_stop(&child);
    return !failed;
}

/* Fills what the first start has left out of the cache. Where that takes very long, one warm start is enough,
 * and the record says that it was one. */
static void start_filled(bench_run *run, start *s)
{
    static const double long_seconds = 10;
    if (start_once(run, s, 0))
        s->wanted = s->cost[FIRST_STEP][0] > long_seconds ? 1 : run->repeats;
}

static void prepare(bench_run *run, bench_unit *unit, start *s)
{
    const char *parent = getenv("TMPDIR");
    s->unit = unit;
    for (int cost = 0; cost < COSTS; cost++)
        s->cost[cost] = calloc((size_t)run->repeats, sizeof(double));
    if (!unit->child.process || !s->cost[COMPILE] || !s->cost[FIRST_STEP])
        return;
    snprintf(s->cache, sizeof s->cache, "%s/flowcl-bench-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(s->cache)) {
        tool_fail("cannot make the folder %s; the start-up is not measured", s->cache);
        s->cache[0] = '\0';
    }
}

void bench_start_measure(bench_run *run)
{
    start *starts = calloc((size_t)run->unit_count, sizeof *starts);
    for (int i = 0; starts && i < run->unit_count && !stop_asked(); i++) {
        prepare(run, &run->units[i], &starts[i]);
        if (start_once(run, &starts[i], 0))
            emit_costs(run, &starts[i], "cold", 1);
    }
    for (int i = 0; starts && i < run->unit_count && !stop_asked(); i++)
        start_filled(run, &starts[i]);
    for (int round = 0; starts && round < run->repeats; round++)
        for (int i = 0; i < run->unit_count && !stop_asked(); i++)
            if (round < starts[i].wanted)
                starts[i].count += start_once(run, &starts[i], round);
    for (int i = 0; starts && i < run->unit_count; i++) {
        if (starts[i].count && starts[i].count == starts[i].wanted)
            emit_costs(run, &starts[i], "warm", starts[i].count);
        drop_cache(&starts[i]);
        for (int cost = 0; cost < COSTS; cost++)
            free(starts[i].cost[cost]);
    }
    free(starts);
}
