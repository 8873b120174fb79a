/* What the files of flowcl bench share.
 *
 * The program starts itself once for each device, as "flowcl bench-device": a driver that crashes ends its
 * own process only. The parent (bench.c) sends a command a line to the child's standard input and reads one
 * JSON object for each from the child's standard output. Both know the same list of items by number.
 *
 *     startup            what comes before the first step, measured once a process
 *     describe           the device, and its self-test
 *     prepare N [quick]  sets the N-th item up, warms up, and settles how many rounds a repeat has
 *     repeat             one repeat: {"seconds": s}
 *     finish             what is to be said of the item beside its time
 *
 * What is measured becomes records: JSON objects, printed as lines with --json, as a table without, and read
 * again by --baseline. */
#ifndef BENCH_H
#define BENCH_H

#include "tool.h"

#include <sys/types.h>

/* --- what is measured (bench_items.c) --- */

/* A row of the ladder. */
typedef struct bench_model {
    const char *name;
    const char *data; /* a built-in set; NULL: random numbers of shape `sample` */
    fcl_shape sample;
    int batch;
    fcl_model_options options;
    const char *solver; /* of sampling, which takes `samples` at once */
    int steps, quick_steps, samples;
} bench_model;

extern const bench_model bench_models[]; /* ends with a NULL name */
const char *bench_model_name(int index); /* NULL past the last */

/* What bench counts of a model's step. */
typedef struct bench_work {
    double operations; /* of the three products of each linear layer, two of the first */
    double bytes;      /* optimiser and gradients, and the activations once written and read */
    int64_t parameters;
} bench_work;

int bench_model_work(const bench_model *model, bench_work *work);

typedef enum bench_kind { BENCH_MACHINE, BENCH_PRODUCT, BENCH_TRAINING, BENCH_SAMPLING } bench_kind;

typedef struct bench_item {
    bench_kind kind;
    fcl_measure_kind measure; /* of the machine */
    fcl_product product;
    const bench_model *model; /* NULL for the machine */
    char what[40];            /* "triad", "forward 256x64x64", "training" */
    const char *unit;
    double scale; /* value = scale * work / seconds, or scale * seconds / work where less is better */
    bool less_is_better;
} bench_item;

enum { BENCH_ITEMS_MOST = 256 };
/* Every item of every model. Returns their number, or -1 with the library's message. */
int bench_items(bench_item items[BENCH_ITEMS_MOST]);

enum { BENCH_STEPS = 8 }; /* the first steps of a training, whose mean loss devices are compared by */

/* --- a child as its parent sees it (bench_child.c) --- */

typedef struct bench_child {
    pid_t process; /* 0: there is none */
    FILE *commands, *replies;
    char end[256]; /* how it ended, where it did so unasked */
} bench_child;

/* Starts a process for the device that `selector` names; `cache`: the folder where its driver keeps compiled
 * kernels, NULL for the usual one. Returns an exit status. */
int bench_child_start(const char *selector, const char *cache, bench_child *child);
/* Sends a command and returns the reply; NULL where the child has ended, and child->end says how. */
json_t *bench_child_ask(bench_child *child, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bench_child_stop(bench_child *child);

/* --- work of the child (bench_task.c) --- */

typedef struct bench_task bench_task;
int bench_task_create(fcl_device *device, const bench_item *item, bool quick, bench_task **task);
void bench_task_destroy(bench_task **task);
/* How many rounds a repeat has, and the work of a repeat in the item's unit. */
json_t *bench_task_plan(const bench_task *task);
int bench_task_repeat(bench_task *task, double *seconds);
/* Adds what is known after the repeats: error, how, loss, memory, kernels. */
int bench_task_finish(bench_task *task, json_t *facts);
/* Compiles and steps once the first model of the ladder, for the start-up's costs. */
int bench_first_step(fcl_device *device, double *compile, double *step);

/* --- records (bench_record.c) --- */

/* A new record of a measurement. `values`: `count` repeats in `unit`. */
json_t *bench_record_measure(const char *device, const char *group, const char *model, const char *what,
                             const char *unit, bool less_is_better, const double *values, int count);
/* The record of the same measurement whose member `key` ("device" or "name") is `value`; NULL: there is none.
 */
json_t *bench_record_find(const json_t *records, const char *key, const char *value, const json_t *like);
/* A device's median by name; NaN where it is not there. */
double bench_record_median(const json_t *records, const char *device, const char *group, const char *model,
                           const char *what);
/* How many times faster `record` is than `other`; NaN where either has no number. */
double bench_record_ratio(const json_t *record, const json_t *other);
/* What limits a step, by its record's floors: see the help. Sets "limit" and "limit_share". */
void bench_record_limit(json_t *step);
/* Reads a file that --json has written. Returns NULL after a message. */
json_t *bench_baseline_read(const char *path);
/* The number or text of a record's member; NaN and NULL where it is missing. */
double bench_number(const json_t *record, const char *key);
const char *bench_text(const json_t *record, const char *key);

/* --- a run over all devices (bench_run.c) --- */

typedef struct bench_unit {
    char selector[128], id[32];
    char name[128];
    double selftest_error;
    bench_child child;
    double *values; /* of the present item, or of a start-up cost */
    int count;
    json_t *plan; /* of the present item */
} bench_unit;

typedef struct bench_run {
    bench_unit *units;
    int unit_count, repeats;
    bool quick;
    const char *model; /* only this one; NULL: all, or with `quick` the first */
    void (*emit)(struct bench_run *run, json_t *record); /* takes the record over */
    void (*say)(struct bench_run *run, const char *what);
    json_t *records; /* what was emitted */
} bench_run;

/* Starts a child for each unit and emits its device's record; the units that cannot be used lose their child.
 * Returns how many are left. */
int bench_run_open(bench_run *run);
/* Measures everything on the units that have a child. */
int bench_run_measure(bench_run *run);
void bench_run_close(bench_run *run);
/* The start-up costs of all units (bench_start.c). */
void bench_start_measure(bench_run *run);

/* --- for people (bench_report.c, bench_chart.c) --- */

/* Prints one record; `last` is the group and model of the row before, for the headings. */
void bench_report(const json_t *record, const char *ratio, char last[96]);
int bench_chart_write(const char *path, const json_t *records);

#endif
