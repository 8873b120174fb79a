/* One item on one device: set up, warmed up, repeated, told about. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double repeat_seconds = 0.3, quick_repeat_seconds = 0.02;
enum { SEED = 7, ROWS = 4096 };

struct bench_task {
    fcl_device *device;
    const bench_item *item;
    bool quick;
    int64_t rounds; /* of a repeat */
    double work;    /* of a round */
    fcl_measure *measure;
    bench_conv *conv;
    bench_attention *attention;
    fcl_dataset *opened, made; /* the training's data is one of them */
    fcl_trainer *trainer;
    double loss;       /* mean of the first steps */
    uint64_t memory;   /* of its own buffers on the device, whatever else is open there */
    int64_t distinct_kernels; /* generated for the training's graphs */
    double build_seconds;     /* of these, and of the library's own programs where nothing before needed them */
    fcl_model *model;
    fcl_buffer *weights;
    fcl_solver *solver;
    float *x; /* noise, and after it the samples */
};

/* --- numbers --- */

/* Numbers in (-1, 1) that look random and are the same everywhere. */
static void fill(float *values, size_t count)
{
    uint32_t state = SEED;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
}

float *bench_numbers(size_t count)
{
    float *values = calloc(count, sizeof *values);
    if (!values) {
        fputs("flowcl: no memory for the benchmark's data\n", stderr);
        exit(EXIT_FAILED);
    }
    fill(values, count);
    return values;
}

/* --- the machine and products --- */

static int prepare_measure(bench_task *task)
{
    const bench_item *item = task->item;
    fcl_measure_options small = {.bytes = 32 << 20, .steps = 1 << 14};
    int status =
        item->kind == BENCH_PRODUCT
            ? fcl_measure_product(task->device, &item->product, &task->measure)
            : fcl_measure_create(task->device, item->measure, task->quick ? &small : NULL, &task->measure);
    if (status == FCL_OK)
        task->work = fcl_measure_describe(task->measure)->work;
    return status;
}

static int run_measure(bench_task *task, int64_t rounds)
{
    double seconds;
    return fcl_measure_run(task->measure, rounds, &seconds);
}

static void tell_error(double error, json_t *facts)
{
    json_object_set_new(facts, "error", error < 1e300 ? json_real(error) : json_null());
    json_object_set_new(facts, "right", json_boolean(error < 1e-5));
}

static int tell_measure(bench_task *task, json_t *facts)
{
    double error;
    int status = fcl_measure_error(task->measure, &error);
    if (status != FCL_OK)
        return status;
    tell_error(error, facts);
    json_object_set_new(facts, "how", json_string(fcl_measure_describe(task->measure)->how));
    return FCL_OK;
}

/* --- convolutions --- */

static int prepare_conv(bench_task *task)
{
    const bench_image *image = &task->item->model->image;
    task->work = bench_conv_work(image);
    return bench_conv_create(task->device, image, task->item->form, &task->conv);
}

static int run_conv(bench_task *task, int64_t rounds)
{
    int status = FCL_OK;
    for (int64_t i = 0; status == FCL_OK && i < rounds; i++)
        status = bench_conv_run(task->conv);
    return status == FCL_OK ? fcl_device_finish(task->device) : status;
}

static int tell_conv(bench_task *task, json_t *facts)
{
    double error;
    int status = bench_conv_error(task->conv, &error);
    if (status != FCL_OK)
        return status;
    tell_error(error, facts);
    json_object_set_new(facts, "how", json_string("channels last"));
    return FCL_OK;
}

/* --- attention --- */

static int prepare_attention(bench_task *task)
{
    const bench_heads *size = &task->item->model->heads;
    task->work = bench_attention_work(size, task->item->form);
    return bench_attention_create(task->device, size, task->item->form, &task->attention);
}

static int run_attention(bench_task *task, int64_t rounds)
{
    int status = FCL_OK;
    for (int64_t i = 0; status == FCL_OK && i < rounds; i++)
        status = bench_attention_run(task->attention);
    return status == FCL_OK ? fcl_device_finish(task->device) : status;
}

static int tell_attention(bench_task *task, json_t *facts)
{
    double error;
    int status = bench_attention_error(task->attention, &error);
    if (status != FCL_OK)
        return status;
    tell_error(error, facts);
    json_object_set_new(facts, "how", json_string(task->item->form ? "the backward pass as 2.5 forward ones" : "no mask"));
    return FCL_OK;
}

/* --- training --- */

int bench_open_data(const bench_model *row, fcl_dataset **opened, fcl_dataset *made)
{
    if (row->data)
        return fcl_dataset_open(row->data, &(fcl_dataset_options){.count = ROWS}, opened);
    size_t count = (size_t)(ROWS * fcl_shape_size(row->sample));
    *made = (fcl_dataset){.name = "random numbers", .count = ROWS, .shape = row->sample};
    made->values = bench_numbers(count);
    return FCL_OK;
}

int bench_create_trainer(fcl_device *device, const bench_model *row, int batch, const bench_others *others,
                         const fcl_dataset *data, fcl_trainer **trainer)
{
    fcl_train_options options = {.data = data->name,
                                 .batch = batch,
                                 .ranks = others ? others->ranks : NULL,
                                 .share = others ? "equal" : NULL,
                                 .buckets = others ? others->buckets : NULL,
                                 .model = row->options,
                                 .seed = SEED,
                                 .steps = 1000000000,
                                 .schedule = "constant",
                                 .lr = 1e-3f};
    return fcl_trainer_create(device, data, &options, trainer);
}

int bench_steps(fcl_trainer *trainer, int64_t steps)
{
    int status = FCL_OK;
    for (int64_t i = 0; status == FCL_OK && i < steps; i++)
        status = fcl_trainer_step(trainer);
    return status;
}

/* Seconds to enqueue a step. The least of some: the device begins on a step while the host still enqueues it. */
static int measure_host(bench_task *task, json_t *figures)
{
    enum { TRIES = 5 };
    double least = INFINITY;
    int status = FCL_OK;
    for (int i = 0; status == FCL_OK && i < TRIES; i++) {
        status = fcl_device_finish(task->device);
        double began = tool_now();
        status = status == FCL_OK ? fcl_trainer_step(task->trainer) : status;
        least = fmin(least, tool_now() - began);
    }
    json_object_set_new(figures, "host_seconds", json_real(least));
    return status == FCL_OK ? fcl_device_finish(task->device) : status;
}

static int prepare_training(bench_task *task)
{
    const bench_model *row = task->item->model;
    const fcl_device_counts before = fcl_device_count(task->device);
    int status = bench_open_data(row, &task->opened, &task->made);
    if (status == FCL_OK)
        status = bench_create_trainer(task->device, row, row->batch, NULL, task->opened ? task->opened : &task->made, &task->trainer);
    if (status == FCL_OK)
        status = bench_steps(task->trainer, BENCH_STEPS);
    const fcl_device_counts after = fcl_device_count(task->device);
    task->distinct_kernels = after.generated - before.generated;
    task->build_seconds = after.build_seconds - before.build_seconds;
    if (status == FCL_OK)
        status = fcl_trainer_loss(task->trainer, &task->loss);
    task->work = row->batch;
    return status;
}

static int run_training(bench_task *task, int64_t rounds)
{
    int status = bench_steps(task->trainer, rounds);
    return status == FCL_OK ? fcl_device_finish(task->device) : status;
}

static json_t *kernels_json(const fcl_profile_line *lines, int count, int steps)
{
    json_t *kernels = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(kernels, json_pack("{s:s, s:f, s:f, s:f}", "name", lines[i].name, "launches",
                                                 (double)lines[i].launches / steps, "seconds",
                                                 lines[i].seconds / steps, "untimed",
                                                 (double)lines[i].untimed / steps));
    return kernels;
}

/* Steps that the profile begins with. */
static int count_launches(fcl_device *device, fcl_trainer *trainer, json_t *facts)
{
    fcl_device_profile_reset(device);
    fcl_device_counts before = fcl_device_count(device);
    int status = bench_steps(trainer, BENCH_STEPS);
    fcl_device_counts after = fcl_device_count(device);
    double calls = (double)(after.clblast - before.clblast), kernels = (double)(after.kernels - before.kernels);
    json_object_set_new(facts, "launches", json_real((kernels + calls) / BENCH_STEPS));
    json_object_set_new(facts, "clblast_calls", json_real(calls / BENCH_STEPS));
    return status;
}

/* The breakdown comes from a second training on a queue that measures, which slows it. */
static int profile(const bench_task *task, json_t *facts)
{
    fcl_device *device = NULL;
    fcl_trainer *trainer = NULL;
    fcl_profile_line *lines = NULL;
    int count = 0;
    fcl_device_options options = {.profile = true, .skip_selftest = true};
    int status = fcl_device_open(fcl_device_describe(task->device)->id, &options, &device);
    if (status == FCL_OK)
        status =
            bench_create_trainer(device, task->item->model, task->item->model->batch, NULL, task->opened ? task->opened : &task->made, &trainer);
    if (status == FCL_OK)
        status = bench_steps(trainer, BENCH_STEPS);
    if (status == FCL_OK)
        status = fcl_device_finish(device);
    if (status == FCL_OK)
        status = count_launches(device, trainer, facts);
    if (status == FCL_OK)
        status = fcl_device_profile(device, &lines, &count);
    if (status == FCL_OK)
        json_object_set_new(facts, "kernels", kernels_json(lines, count, BENCH_STEPS));
    fcl_free(lines);
    fcl_trainer_destroy(&trainer);
    fcl_device_close(&device);
    return status;
}

/* What a step computes and moves at the least: optimiser and gradients, and each value in memory once written and read. */
static void tell_work(const fcl_trainer *trainer, json_t *facts)
{
    enum { OPTIMISER_FLOATS = 10 };
    const fcl_graph_stats stats = fcl_trainer_describe(trainer);
    const int64_t parameters = fcl_params_numbers(fcl_model_params(fcl_trainer_model(trainer)));
    const double bytes = sizeof(float) * OPTIMISER_FLOATS * (double)parameters + 2 * (double)stats.sum_bytes;
    json_object_set_new(facts, "parameters", json_integer((json_int_t)parameters));
    json_object_set_new(facts, "operations", json_real(stats.operations));
    json_object_set_new(facts, "bytes", json_real(bytes));
}

static int tell_training(bench_task *task, json_t *facts)
{
    tell_work(task->trainer, facts);
    json_object_set_new(facts, "loss", json_real(task->loss));
    json_object_set_new(facts, "cache_bytes", json_integer((json_int_t)fcl_device_describe(task->device)->cache));
    json_object_set_new(facts, "memory_bytes", json_integer((json_int_t)task->memory));
    json_object_set_new(facts, "distinct_kernels", json_integer((json_int_t)task->distinct_kernels));
    json_object_set_new(facts, "build_seconds", json_real(task->build_seconds));
    return profile(task, facts);
}

int bench_first_step(fcl_device *device, double *compile, double *first)
{
    bench_task task = {.device = device};
    double began = tool_now();
    int status = bench_open_data(&bench_models[0], &task.opened, &task.made);
    if (status == FCL_OK)
        status =
            bench_create_trainer(device, &bench_models[0], bench_models[0].batch, NULL, task.opened ? task.opened : &task.made, &task.trainer);
    *compile = tool_now() - began;
    if (status == FCL_OK)
        status = run_training(&task, 1);
    *first = tool_now() - began - *compile;
    fcl_trainer_destroy(&task.trainer);
    fcl_dataset_destroy(&task.opened);
    free(task.made.values);
    return status;
}

/* --- sampling --- */

typedef struct call {
    const bench_task *task;
    fcl_graph *graph;
    fcl_tensor **leaves; /* of that graph */
} call;

static fcl_tensor *velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    call *to = data;
    const bench_task *task = to->task;
    if (to->graph != graph) {
        fcl_free(to->leaves);
        to->graph = graph;
        to->leaves = fcl_params_bind(fcl_model_params(task->model), graph, task->weights, "");
    }
    return fcl_model_velocity(task->model, to->leaves, in);
}

static int prepare_sampling(bench_task *task)
{
    const bench_model *row = task->item->model;
    int64_t size = fcl_shape_size(row->sample);
    fcl_solver_options options = {.solver = row->solver,
                                  .steps = task->quick ? row->quick_steps : row->steps};
    call to = {.task = task};
    int status = fcl_model_create(&row->options, row->sample, 0, &task->model);
    if (status == FCL_OK)
        status =
            fcl_buffer_create(task->device, fcl_params_bytes(fcl_model_params(task->model)), &task->weights);
    if (status == FCL_OK)
        status =
            fcl_params_initialise(fcl_model_params(task->model), SEED, FCL_STREAM_WEIGHTS, task->weights);
    if (status == FCL_OK)
        status = fcl_solver_create(task->device, velocity, &to, &options, row->samples, size, &task->solver);
    fcl_free(to.leaves);
    task->x = calloc((size_t)(row->samples * size), sizeof *task->x);
    task->work = row->samples;
    return status;
}

/* From the same noise each time, as a user's call: to the device and back. */
static int run_sampling(bench_task *task, int64_t rounds)
{
    const bench_model *row = task->item->model;
    int status = FCL_OK;
    for (int64_t i = 0; status == FCL_OK && i < rounds; i++) {
        fill(task->x, (size_t)(row->samples * fcl_shape_size(row->sample)));
        status = fcl_solver_run(task->solver, task->x, task->x, NULL);
    }
    return status;
}

static int tell_sampling(bench_task *task, json_t *facts)
{
    const bench_model *row = task->item->model;
    int64_t count = row->samples * fcl_shape_size(row->sample);
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)task->x[i];
    char how[64];
    snprintf(how, sizeof how, "%s, %d steps", row->solver, task->quick ? row->quick_steps : row->steps);
    json_object_set_new(facts, "mean", json_real(sum / (double)count));
    json_object_set_new(facts, "how", json_string(how));
    json_object_set_new(facts, "memory_bytes", json_integer((json_int_t)task->memory));
    return FCL_OK;
}

/* --- any of them --- */

static const struct {
    int (*prepare)(bench_task *task);
    int (*run)(bench_task *task, int64_t rounds); /* and waits */
    int (*tell)(bench_task *task, json_t *facts);
} kinds[] = {
    [BENCH_MACHINE] = {prepare_measure, run_measure, tell_measure},
    [BENCH_PRODUCT] = {prepare_measure, run_measure, tell_measure},
    [BENCH_TRAINING] = {prepare_training, run_training, tell_training},
    [BENCH_SAMPLING] = {prepare_sampling, run_sampling, tell_sampling},
    [BENCH_CONVOLUTION] = {prepare_conv, run_conv, tell_conv},
    [BENCH_ATTENTION] = {prepare_attention, run_attention, tell_attention},
};

static int run_timed(bench_task *task, int64_t rounds, double *seconds)
{
    double began = tool_now();
    int status = kinds[task->item->kind].run(task, rounds);
    *seconds = tool_now() - began;
    return status;
}

/* Doubles the rounds until they take long enough to be told from noise, which also warms up. */
static int settle(bench_task *task)
{
    double aim = task->quick ? quick_repeat_seconds : repeat_seconds, seconds = 0;
    int status = run_timed(task, 1, &seconds);
    for (task->rounds = 1; status == FCL_OK; task->rounds *= 2) {
        status = run_timed(task, task->rounds, &seconds);
        if (seconds > aim / 4)
            break;
    }
    double rounds = (double)task->rounds * aim / (seconds > 0 ? seconds : aim);
    task->rounds = rounds < 1 ? 1 : (int64_t)(rounds + 0.5);
    return status;
}

int bench_task_create(fcl_device *device, const bench_item *item, bool quick, bench_task **task)
{
    bench_task *made = calloc(1, sizeof *made);
    if (!made) {
        fputs("flowcl: out of memory\n", stderr);
        exit(EXIT_FAILED);
    }
    *made = (bench_task){.device = device, .item = item, .quick = quick};
    uint64_t others = fcl_device_memory(device);
    int status = kinds[item->kind].prepare(made);
    if (status == FCL_OK)
        status = settle(made);
    made->memory = fcl_device_memory(device) - others;
    if (status != FCL_OK)
        bench_task_destroy(&made);
    *task = made;
    return status;
}

void bench_task_destroy(bench_task **task)
{
    bench_task *dying = *task;
    if (!dying)
        return;
    fcl_measure_destroy(&dying->measure);
    bench_conv_destroy(&dying->conv);
    bench_attention_destroy(&dying->attention);
    fcl_trainer_destroy(&dying->trainer);
    fcl_solver_destroy(&dying->solver);
    fcl_buffer_destroy(&dying->weights);
    fcl_model_destroy(&dying->model);
    fcl_dataset_destroy(&dying->opened);
    free(dying->made.values);
    free(dying->x);
    free(dying);
    *task = NULL;
}

json_t *bench_task_plan(const bench_task *task)
{
    return json_pack("{s:I, s:f}", "rounds", (json_int_t)task->rounds, "work",
                     (double)task->rounds * task->work);
}

int bench_task_repeat(bench_task *task, json_t *figures)
{
    double seconds;
    int status = run_timed(task, task->rounds, &seconds);
    json_object_set_new(figures, "seconds", json_real(seconds));
    return status == FCL_OK && task->trainer ? measure_host(task, figures) : status;
}

int bench_task_finish(bench_task *task, json_t *facts)
{
    return kinds[task->item->kind].tell(task, facts);
}
