/* What the files of flowcl bench share.
 *
 * The program starts itself once for each device, as "flowcl bench-device": a driver that crashes ends its
 * own process only. The parent (bench.c) sends a command a line to the child's standard input and reads one
 * JSON object for each from the child's standard output. Both know the same list of items by number.
 *
 *     startup            what comes before the first step, measured once a process
 *     describe           the device, and its self-test
 *     prepare N [quick]  sets the N-th item up, warms up, and settles how much work a repeat has
 *     repeat N           one repeat: {"seconds": s}, and of a training the time to enqueue one step
 *     finish N           what is to be said of the item beside its time
 *     close              takes down all that is prepared
 *
 * An item is measured in rounds. In each, device after device, come first the machine's figures that the
 * item's are divided by (a product's: the fp32 peak), prepared beside it for the purpose, then the item.
 * Ratios are the median over the rounds of each round's own: the machine's speed may change between the
 * rounds, and between the items.
 *
 * What is measured becomes records: JSON objects, printed as lines with --json, as a table without, and read
 * again by --baseline. */
#ifndef BENCH_H
#define BENCH_H

#include "child.h"
#include "rounds.h"
#include "tool.h"

/* Its command line. */
typedef struct bench_settings {
    const char *device, *model, *baseline, *chart;
    int repeats;
    int ranks; /* 0: no others */
    int batch; /* of their step; 0: the model's */
    bool quick, json;
} bench_settings;

/* --- what is measured (bench_items.c) --- */

/* A convolution of 3 x 3, whose images keep their size. */
typedef struct bench_image {
    int images, size, channels, outputs;
} bench_image;

/* Attention of items to themselves. */
typedef struct bench_heads {
    int batch, tokens, heads, width; /* of a head */
} bench_heads;

/* A row of the ladder: a model, or a convolution or an attention alone. */
typedef struct bench_model {
    const char *name;
    const char *data; /* a built-in set; NULL: random numbers of shape `sample` */
    fcl_shape sample;
    int batch;
    fcl_model_options options;
    const char *solver; /* of sampling, which takes `samples` at once */
    int steps, quick_steps, samples;
    bench_image image; /* of a convolution */
    bench_heads heads; /* of an attention */
} bench_model;

extern const bench_model bench_models[]; /* ends with a NULL name */
const char *bench_model_name(int index); /* NULL past the last */

typedef enum bench_kind { BENCH_MACHINE, BENCH_PRODUCT, BENCH_TRAINING, BENCH_SAMPLING, BENCH_CONVOLUTION, BENCH_ATTENTION } bench_kind;

typedef struct bench_item {
    bench_kind kind;
    fcl_measure_kind measure; /* of the machine */
    fcl_product product;
    int form; /* of a convolution: of bench_conv_names; of an attention: of bench_attention_names */
    const bench_model *model; /* NULL for the machine */
    char what[40];            /* "triad", "forward 256x64x64", "training" */
    const char *unit;
    double scale; /* value = scale * work / seconds, or scale * seconds / work where less is better */
    bool less_is_better;
} bench_item;

enum { BENCH_ITEMS_MOST = 256 };
/* Every item of every model; those of the machine are first, in the order of fcl_measure_kind. Returns their
 * number, or -1 with the library's message. */
int bench_items(bench_item items[BENCH_ITEMS_MOST]);

enum { BENCH_STEPS = 8 }; /* the first steps of a training, whose mean loss devices are compared by */

/* Starts a process for the device that `selector` names (bench_device.c); `cache`: the folder where its
 * driver keeps compiled kernels, NULL for the usual one. Returns an exit status. */
int bench_device_start(const char *selector, const char *cache, child_process *child);

/* --- work of the child (bench_task.c) --- */

typedef struct bench_task bench_task;
int bench_task_create(fcl_device *device, const bench_item *item, bool quick, bench_task **task);
void bench_task_destroy(bench_task **task);
/* What a repeat does: how often, and the work of it in the item's unit. */
json_t *bench_task_plan(const bench_task *task);
/* Sets "seconds", and "host_seconds" of a training. */
int bench_task_repeat(bench_task *task, json_t *figures);
/* Adds what is known after the repeats: error, how, loss, memory, kernels. */
int bench_task_finish(bench_task *task, json_t *facts);
/* Compiles and steps once the first model of the ladder, for the start-up's costs. */
int bench_first_step(fcl_device *device, double *compile, double *step);

/* Data for a row of the ladder, as one of these, freed by whoever asks: `opened` is destroyed, made->values freed. */
int bench_open_data(const bench_model *row, fcl_dataset **opened, fcl_dataset *made);
/* Who trains together, and how they sum their gradients (fcl_train_options). */
typedef struct bench_others {
    fcl_ranks *ranks;
    const char *buckets;
} bench_others;
/* `others` NULL: it trains alone. */
int bench_create_trainer(fcl_device *device, const bench_model *row, int batch, const bench_others *others,
                         const fcl_dataset *data, fcl_trainer **trainer);
int bench_steps(fcl_trainer *trainer, int64_t steps); /* enqueues so many */

/* --- ranks (bench_ranks.c) --- */

/* By each of the ranks that are there: what they exchange, and a step by one and by all. Returns an exit status. */
int bench_ranks_run(fcl_ranks *ranks, const bench_settings *settings);

/* Numbers in (-1, 1) that look random and are the same everywhere; freed by free. Ends the program without memory. */
float *bench_numbers(size_t count);

/* --- convolutions (bench_conv.c) --- */

typedef struct bench_conv bench_conv;
extern const char *const bench_conv_names[]; /* "forward", "dX", "dW", then NULL */
double bench_conv_work(const bench_image *image);
/* Of a form by its number; *conv is to be destroyed after a failure, too. */
int bench_conv_create(fcl_device *device, const bench_image *image, int form, bench_conv **conv);
void bench_conv_destroy(bench_conv **conv);
int bench_conv_run(bench_conv *conv);
/* The largest error of some elements, relative to the sum of their terms' magnitudes. */
int bench_conv_error(const bench_conv *conv, double *error);

/* --- attention (bench_attention.c), the same --- */

typedef struct bench_attention bench_attention;
extern const char *const bench_attention_names[];
double bench_attention_work(const bench_heads *size, int form);
int bench_attention_create(fcl_device *device, const bench_heads *size, int form, bench_attention **attention);
void bench_attention_destroy(bench_attention **attention);
int bench_attention_run(bench_attention *attention);
int bench_attention_error(const bench_attention *attention, double *error);

/* --- records (bench_record.c) --- */

/* A new record of a measurement. `values`: `count` repeats in `unit`, which the record keeps. */
json_t *bench_record_measure(const char *device, const char *group, const char *model, const char *what,
                             const char *unit, bool less_is_better, const double *values, int count);
/* The record of the same measurement whose member `key` ("device" or "name") is `value`; NULL: there is none.
 */
json_t *bench_record_find(const json_t *records, const char *key, const char *value, const json_t *like);
/* A device's median by name; NaN where it is not there. */
double bench_record_median(const json_t *records, const char *device, const char *group, const char *model,
                           const char *what);
/* How many times faster `record` is than `other`, which is of the same run and was measured in turn with it;
 * NaN where either has no number. */
double bench_record_ratio(const json_t *record, const json_t *other);
/* The same with an earlier run's record, of which only the medians can be divided. */
double bench_record_ratio_before(const json_t *record, const json_t *other);
/* Sets `key`, `key`_p10 and `key`_p90. */
void bench_record_set_spread(json_t *record, const char *key, rounds_spread spread);
/* Reads a file that --json has written. Returns NULL after a message. */
json_t *bench_baseline_read(const char *path);
json_t *bench_numbers_json(const double *values, int count);
/* The number or text of a record's member; NaN and NULL where it is missing. */
double bench_number(const json_t *record, const char *key);
const char *bench_text(const json_t *record, const char *key);

/* --- a run over all devices (bench_run.c) --- */

enum { BENCH_REPEATS_MOST = 1000 };

typedef struct bench_series {
    double work;                     /* of a repeat; 0: it is not measured */
    double cost[BENCH_REPEATS_MOST]; /* seconds of a unit of work, by rounds */
} bench_series;

typedef struct bench_unit {
    char selector[128], id[48];
    char name[128];
    double selftest_error;
    child_process child;
    int count; /* of the present item's rounds */
    bench_series own, reference[FCL_MEASURE_KINDS],
        host; /* of the item, of what is measured in turn with it */
} bench_unit;

typedef struct bench_run {
    bench_unit *units;
    int unit_count, repeats;
    bool quick;
    const char *model; /* only this one; NULL: all, or with `quick` the first */
    void (*emit)(struct bench_run *run, json_t *record); /* takes the record over */
    void (*say)(struct bench_run *run, const char *what);
    json_t *records; /* what was emitted */
    bench_item items[BENCH_ITEMS_MOST];
} bench_run;

/* Starts a child for each unit and emits its device's record; the units that cannot be used lose their child.
 * Returns how many are left. */
int bench_run_open(bench_run *run);
/* Measures everything on the units that have a child. */
int bench_run_measure(bench_run *run);
void bench_run_close(bench_run *run);
/* What a training's rounds say of one step (bench_step.c): `facts` are those of its end. */
json_t *bench_step_record(const bench_unit *unit, const bench_model *model, const json_t *facts);
/* The start-up costs of all units (bench_start.c). */
void bench_start_measure(bench_run *run);

/* --- for people (bench_report.c, bench_chart.c) --- */

/* Prints one record; `last` is the group and model of the row before, for the headings. */
void bench_report(const json_t *record, const char *ratio, char last[96]);
int bench_chart_write(const char *path, const json_t *records);

#endif
