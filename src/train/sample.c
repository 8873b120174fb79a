#include "train/sample.h"

#include "base/error.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROW(member) FCL_OPTION(fcl_sample_options, member)

/* clang-format off */
const fcl_option fcl_sample_table[] = {
    {"n", ROW(n), .minimum = 1, .maximum = 1e9, .fallback = "64", .group = "Samples", .help = "how many samples"},
    {"solver", ROW(solver), .fallback = "euler", .choice = fcl_solver_name, .help = "how the flow's equation is solved"},
    {"steps", ROW(steps), .minimum = 0, .maximum = 1e6, .help = "of a solver with fixed steps; 0: 100"},
    {"grid", ROW(grid), .placeholder = "GRID", .help = "of fixed steps: uniform, edm[:RHO], shifted[:S], all times as 0,0.1,0.5,1, or a file of them; without it uniform"},
    {"rtol", ROW(rtol), .minimum = 0, .maximum = 1, .help = "relative tolerance of an adaptive solver, from 1e-7; 0: 1e-5"},
    {"atol", ROW(atol), .minimum = 0, .maximum = 1e6, .help = "absolute tolerance of an adaptive solver, from 1e-12; 0: 1e-5"},
    {"max-steps", ROW(max_steps), .minimum = 0, .maximum = 1e9, .help = "an adaptive solver leaves a sample unfinished after so many; 0: 10000"},
    {"path", ROW(path), .flags = FCL_OPTION_FORMULA, .choice = fcl_path_name, .placeholder = "PATH",
     .help = "sample along another path than the training's, without a tube: a name, or \"alpha=t^2, sigma=1-t^2\""},
    {"seed", ROW(seed), .help = "of the noise"},
    {"source", ROW(source), .placeholder = "SOURCE", .help = "begin with samples of this set or file, or \"normal\"; default: as it was trained"},
    {"ema", ROW(ema), .fallback = "yes", .help = "use the averaged weights, where there are any"},
    {"label", ROW(label), .placeholder = "CLASS", .help = "class of every sample, from 0; without it each class in turn"},
    {"batch", ROW(batch), .minimum = 0, .maximum = 1e6, .help = "samples at once; 0: as memory allows"},
    {0},
};
/* clang-format on */

struct fcl_sampler {
    const fcl_model *model;
    fcl_solver *solver;
    fcl_buffer *labels; /* NULL without classes */
    int64_t rows, size; /* of a part; D, or D + 1 with energy */
    float *part;
    int time_count;
    double *times;
    float *part_times; /* (times, rows, size) */
    int32_t *part_labels;
    int32_t label; /* of every sample; -1: each class in turn */
};

/* --- compiling --- */

typedef struct call {
    const fcl_sampler *sampler;
    fcl_buffer *weights;
    fcl_graph *graph; /* the leaves below belong to it */
    fcl_tensor **leaves, *label;
} call;

/* A solver asks once a stage, and may build several graphs: each gets its leaves once. */
static fcl_tensor *velocity(void *data, fcl_graph *graph, fcl_tensor *x, fcl_tensor *t)
{
    call *to = data;
    const fcl_sampler *sampler = to->sampler;
    if (to->graph != graph) {
        fcl_free(to->leaves);
        to->graph = graph;
        to->leaves = fcl_params_bind(fcl_model_params(sampler->model), graph, to->weights, "");
        to->label = sampler->labels
                        ? fcl_leaf(graph, "label", FCL_I32, FCL_SHAPE(sampler->rows), sampler->labels, 0)
                        : NULL;
    }
    return fcl_model_velocity(sampler->model, to->leaves, x, t, to->label);
}

/* As many rows at once as hold about a million numbers. */
static int64_t part_rows(const fcl_sample_options *options, int64_t size, int64_t most)
{
    enum { NUMBERS = 1 << 20, MOST_ROWS = 16384 };
    int64_t limit = options->batch;
    if (!limit)
        limit = NUMBERS / size < 1 ? 1 : NUMBERS / size > MOST_ROWS ? MOST_ROWS : NUMBERS / size;
    int64_t parts = (most + limit - 1) / limit;
    return (most + parts - 1) / parts;
}

static int read_label(const fcl_sample_options *options, int classes, int32_t *label)
{
    *label = -1;
    if (!options->label)
        return FCL_OK;
    if (!classes)
        return fcl_fail(FCL_ERR_ARGUMENT, "the model was trained without labels: it takes no label '%s'",
                        options->label);
    char *end;
    long number = strtol(options->label, &end, 10);
    if (*end || end == options->label || number < 0 || number >= classes)
        return fcl_fail(FCL_ERR_ARGUMENT, "label '%s' is not one of the model's classes, 0 to %d",
                        options->label, classes - 1);
    *label = (int32_t)number;
    return FCL_OK;
}

/* While the solver is built: the path of the training, that of the sampling, and the velocity along it. */
typedef struct paths {
    fcl_path *trained, *sampled;
    fcl_predictor *predictor;
} paths;

static int create_predictor(const fcl_cfm_options *objective, const fcl_sample_options *options, call *to,
                            paths *along)
{
    FCL_TRY(fcl_path_create(objective->path, objective->sigma, &along->trained));
    if (options->path)
        FCL_TRY(fcl_path_create(options->path, 0, &along->sampled));
    return fcl_predictor_create(objective->prediction, along->trained, along->sampled, velocity, to,
                                &along->predictor);
}

static void destroy_predictor(paths *along)
{
    fcl_predictor_destroy(&along->predictor);
    fcl_path_destroy(&along->sampled);
    fcl_path_destroy(&along->trained);
}

static fcl_solver_options solver_options(const fcl_sample_options *options, unsigned flags)
{
    bool backward = flags & FCL_SAMPLER_BACKWARD;
    return (fcl_solver_options){.solver = options->solver,
                                .steps = options->steps,
                                .grid = options->grid,
                                .rtol = options->rtol,
                                .atol = options->atol,
                                .max_steps = options->max_steps,
                                .t_begin = backward,
                                .t_end = !backward};
}

static bool wants_each_step(const fcl_sample_options *options)
{
    return options->times && !strcmp(options->times, "steps");
}

int fcl_sample_check(const fcl_sample_options *options)
{
    fcl_solver_options how = solver_options(options, 0);
    double *times = NULL;
    int count, status = FCL_OK;
    FCL_TRY(fcl_options_check(fcl_sample_table, options));
    FCL_TRY(fcl_solver_check(&how));
    if (options->path) {
        fcl_path *path;
        FCL_TRY(fcl_path_create(options->path, 0, &path));
        fcl_path_destroy(&path);
    }
    if (wants_each_step(options) && fcl_solver_is_adaptive(options->solver))
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "with solver %s each sample has its own steps: times are a list, a file or a number, not "
                        "\"steps\"",
                        options->solver);
    if (options->times && !wants_each_step(options))
        status = fcl_times_read(options->times, how.t_begin, how.t_end, &times, &count);
    free(times);
    return status;
}

static int read_times(const fcl_sample_options *options, const fcl_solver_options *how, fcl_sampler *sampler)
{
    if (!options->times)
        return FCL_OK;
    if (wants_each_step(options)) {
        int steps;
        const double *grid = fcl_solver_grid(sampler->solver, &steps);
        sampler->time_count = steps + 1;
        sampler->times = fcl_zalloc((size_t)sampler->time_count * sizeof *grid);
        memcpy(sampler->times, grid, (size_t)sampler->time_count * sizeof *grid);
    } else {
        FCL_TRY(fcl_times_read(options->times, how->t_begin, how->t_end, &sampler->times,
                               &sampler->time_count));
    }
    size_t numbers = (size_t)sampler->time_count * (size_t)(sampler->rows * sampler->size);
    sampler->part_times = malloc(numbers * sizeof(float));
    return sampler->part_times ? FCL_OK
                               : fcl_fail(FCL_ERR_MEMORY, "no host memory for %lld samples at %d times",
                                          (long long)sampler->rows, sampler->time_count);
}

static int create(fcl_device *device, fcl_buffer *weights, const fcl_cfm_options *objective,
                  const fcl_sample_options *options, unsigned flags, fcl_sampler *sampler)
{
    int classes = fcl_model_classes(sampler->model);
    FCL_TRY(read_label(options, classes, &sampler->label));
    if (classes)
        FCL_TRY(fcl_buffer_create(device, (size_t)sampler->rows * sizeof(int32_t), &sampler->labels));
    fcl_solver_options how = solver_options(options, flags);
    call to = {.sampler = sampler, .weights = weights};
    paths along = {0};
    int status = create_predictor(objective, options, &to, &along);
    fcl_energy_flow with_energy = {fcl_predictor_velocity, along.predictor};
    bool energy = flags & FCL_SAMPLER_ENERGY;
    if (status == FCL_OK)
        status = fcl_solver_create(device, energy ? fcl_energy_velocity : fcl_predictor_velocity,
                                   energy ? (void *)&with_energy : along.predictor, &how, sampler->rows,
                                   sampler->size, &sampler->solver);
    destroy_predictor(&along);
    fcl_free(to.leaves);
    return status == FCL_OK ? read_times(options, &how, sampler) : status;
}

int fcl_sampler_create(fcl_device *device, const fcl_model *model, fcl_buffer *weights,
                       const fcl_cfm_options *objective, const fcl_sample_options *options, unsigned flags, int64_t most, fcl_sampler **sampler)
{
    fcl_sampler *created = fcl_zalloc(sizeof *created);
    created->model = model;
    created->size = fcl_shape_size(fcl_model_sample(model)) + (flags & FCL_SAMPLER_ENERGY ? 1 : 0);
    created->rows = part_rows(options, created->size, most);
    created->part = fcl_zalloc((size_t)(created->rows * created->size) * sizeof(float));
    created->part_labels = fcl_zalloc((size_t)created->rows * sizeof(int32_t));
    *sampler = created;
    int status = create(device, weights, objective, options, flags, created);
    if (status != FCL_OK)
        fcl_sampler_destroy(sampler);
    return status;
}

void fcl_sampler_destroy(fcl_sampler **sampler)
{
    fcl_sampler *dying = *sampler;
    if (!dying)
        return;
    fcl_solver_destroy(&dying->solver);
    fcl_buffer_destroy(&dying->labels);
    free(dying->part);
    free(dying->times);
    free(dying->part_times);
    free(dying->part_labels);
    free(dying);
    *sampler = NULL;
}

/* --- running --- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int write_labels(fcl_sampler *sampler, const int32_t *label, int64_t first, int64_t count)
{
    if (!sampler->labels)
        return FCL_OK;
    int classes = fcl_model_classes(sampler->model);
    for (int64_t row = 0; row < sampler->rows; row++) {
        int64_t i = first + (row < count ? row : count - 1);
        sampler->part_labels[row] = label                 ? label[i]
                                    : sampler->label >= 0 ? sampler->label
                                                          : (int32_t)(i % classes);
    }
    return fcl_buffer_write(sampler->labels, 0, (size_t)sampler->rows * sizeof(int32_t),
                            sampler->part_labels);
}

/* The last part's missing rows are copies of its last one, and are not counted. */
static void fill_part(fcl_sampler *sampler, const float *x, int64_t count)
{
    size_t row = (size_t)sampler->size * sizeof(float);
    memcpy(sampler->part, x, (size_t)count * row);
    for (int64_t i = count; i < sampler->rows; i++)
        memcpy(sampler->part + i * sampler->size, x + (count - 1) * sampler->size, row);
}

/* `nfe_mean` holds the sum until the end. */
static void count_part(const fcl_sampler *sampler, int64_t count, fcl_sample_stats *stats)
{
    for (int64_t row = 0; row < count; row++) {
        int64_t nfe = fcl_solver_nfe(sampler->solver, row), accepted, rejected;
        fcl_solver_steps(sampler->solver, row, &accepted, &rejected);
        stats->nfe_minimum = !stats->nfe_maximum || nfe < stats->nfe_minimum ? nfe : stats->nfe_minimum;
        stats->nfe_maximum = nfe > stats->nfe_maximum ? nfe : stats->nfe_maximum;
        stats->nfe_mean += (double)nfe;
        stats->accepted += accepted;
        stats->rejected += rejected;
    }
}

int fcl_sampler_times(const fcl_sampler *sampler)
{
    return sampler->time_count;
}

static void count_unfinished(const fcl_sampler *sampler, int64_t count, fcl_sample_stats *stats)
{
    for (int64_t row = 0; row < count; row++)
        stats->unfinished += !fcl_solver_arrived(sampler->solver, sampler->part, row);
}

/* Goes on where samples are unfinished. */
static int run_part(fcl_sampler *sampler, float *x, const int32_t *label, int64_t first, int64_t count,
                    fcl_sample_stats *stats)
{
    float *rows = x + first * sampler->size;
    FCL_TRY(write_labels(sampler, label, first, count));
    fill_part(sampler, rows, count);
    int status = fcl_solver_run_times(sampler->solver, sampler->part, sampler->time_count, sampler->times,
                                      sampler->part_times, sampler->part, NULL);
    if (status != FCL_OK && status != FCL_ERR_NUMERIC)
        return status;
    memcpy(rows, sampler->part, (size_t)(count * sampler->size) * sizeof(float));
    count_part(sampler, count, stats);
    count_unfinished(sampler, count, stats);
    return FCL_OK;
}

/* From (times, rows, D) of a part into (times, n, D). */
static void keep_times(const fcl_sampler *sampler, int64_t first, int64_t count, int64_t n, float *x_times)
{
    for (int i = 0; i < sampler->time_count; i++)
        memcpy(x_times + (i * n + first) * sampler->size,
               sampler->part_times + i * sampler->rows * sampler->size,
               (size_t)(count * sampler->size) * sizeof(float));
}

/* The sentence of the last part that had some is the library's last message. */
static int tell_unfinished(int64_t unfinished, int64_t n)
{
    if (!unfinished)
        return FCL_OK;
    return fcl_fail_within(FCL_ERR_NUMERIC, "%lld of %lld samples are unfinished. In their last part", (long long)unfinished,
                           (long long)n);
}

int fcl_sampler_run(fcl_sampler *sampler, float *x, const int32_t *label, int64_t n, float *x_times,
                    fcl_sample_stats *stats)
{
    fcl_sample_stats sums = {0};
    double began = now();
    for (int64_t first = 0; first < n; first += sampler->rows) {
        int64_t left = n - first, count = left < sampler->rows ? left : sampler->rows;
        FCL_TRY(run_part(sampler, x, label, first, count, &sums));
        keep_times(sampler, first, count, n, x_times);
    }
    sums.nfe_mean /= (double)n;
    sums.seconds = now() - began;
    if (stats)
        *stats = sums;
    return tell_unfinished(sums.unfinished, n);
}

int fcl_samples_create(fcl_shape sample, int64_t n, fcl_array **array)
{
    fcl_shape shape = {.rank = 1 + sample.rank, .dim = {n}};
    *array = NULL;
    if (shape.rank > FCL_MAX_RANK)
        return fcl_fail(FCL_ERR_SHAPE, "samples of %d dimensions have one too many for an array",
                        sample.rank);
    memcpy(shape.dim + 1, sample.dim, (size_t)sample.rank * sizeof *shape.dim);
    return fcl_array_create(shape, array);
}

/* --- of a checkpoint --- */

/* Puts (T, n, sample shape) in the place of x. */
static int make_times(const fcl_sampler *sampler, const fcl_array *x, fcl_array **times)
{
    fcl_shape shape = {.rank = x->shape.rank + 1, .dim = {fcl_sampler_times(sampler)}};
    if (shape.rank > FCL_MAX_RANK)
        return fcl_fail(FCL_ERR_SHAPE, "samples of %d dimensions have one too many for an array of times",
                        x->shape.rank - 1);
    memcpy(shape.dim + 1, x->shape.dim, (size_t)x->shape.rank * sizeof *shape.dim);
    return fcl_array_create(shape, times);
}

static int move(fcl_sampler *sampler, const int32_t *label, fcl_array **x, fcl_sample_stats *stats)
{
    fcl_array *times = NULL;
    int64_t n = (*x)->shape.dim[0];
    if (!fcl_sampler_times(sampler))
        return fcl_sampler_run(sampler, (*x)->data, label, n, NULL, stats);
    FCL_TRY(make_times(sampler, *x, &times));
    int status = fcl_sampler_run(sampler, (*x)->data, label, n, times->data, stats);
    fcl_array_destroy(x);
    *x = times;
    return status;
}

static int run_with(fcl_device *device, const fcl_checkpoint *checkpoint, fcl_buffer *weights,
                    const fcl_sample_options *options, const int32_t *label, unsigned flags, fcl_array **x,
                    fcl_sample_stats *stats)
{
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    fcl_state state = options->ema != FCL_OFF && info->has_ema ? FCL_STATE_EMA : FCL_STATE_WEIGHTS;
    FCL_TRY(fcl_checkpoint_load(checkpoint, state, weights));
    fcl_sampler *sampler;
    double began = now();
    FCL_TRY(fcl_sampler_create(device, info->model, weights, &info->options->objective, options, flags,
                               (*x)->shape.dim[0], &sampler));
    int status = stats ? fcl_solver_prepare(sampler->solver) : FCL_OK;
    double built = now() - began;
    if (status == FCL_OK)
        status = move(sampler, label, x, stats);
    if (stats)
        stats->build_seconds = built;
    fcl_sampler_destroy(&sampler);
    return status;
}

/* Moves `x` in place; on failure it is destroyed, unless samples are only unfinished. */
static int run(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
               const int32_t *label, unsigned flags, fcl_array **x, fcl_sample_stats *stats)
{
    fcl_buffer *weights = NULL;
    const fcl_params *params = fcl_model_params(fcl_checkpoint_describe(checkpoint)->model);
    int status = fcl_buffer_create(device, fcl_params_bytes(params), &weights);
    if (status == FCL_OK)
        status = run_with(device, checkpoint, weights, options, label, flags, x, stats);
    fcl_buffer_destroy(&weights);
    if (status != FCL_OK && status != FCL_ERR_NUMERIC)
        fcl_array_destroy(x);
    return status;
}

/* x0 (n, D) of the source that the options name, else of the one that the model was trained with. */
static int draw_start(const fcl_checkpoint_info *info, const fcl_sample_options *options, float *x)
{
    const char *source = options->source ? options->source : info->options->source;
    fcl_dataset *set;
    FCL_TRY(fcl_source_open(source, options->seed, info->sample, &set));
    fcl_source_draw(set, options->seed, options->n, fcl_shape_size(info->sample), x);
    fcl_dataset_destroy(&set);
    return FCL_OK;
}

int fcl_sample(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
               fcl_array **samples, fcl_sample_stats *stats)
{
    fcl_sample_options filled = *options;
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    *samples = NULL;
    fcl_options_defaults(fcl_sample_table, &filled);
    FCL_TRY(fcl_sample_check(&filled));
    FCL_TRY(fcl_samples_create(info->sample, filled.n, samples));
    int status = draw_start(info, &filled, (*samples)->data);
    if (status != FCL_OK)
        fcl_array_destroy(samples);
    return status == FCL_OK ? run(device, checkpoint, &filled, NULL, 0, samples, stats) : status;
}

/* From (n, D + 1) ends with their energies and the starts to energy and what it has beyond the straight way.
 */
static void set_energy(const fcl_array *start, const fcl_array *end, fcl_array *energy)
{
    int64_t n = end->shape.dim[0], size = end->shape.dim[1] - 1;
    for (int64_t i = 0; i < n; i++) {
        const float *x0 = start->data + i * size, *x1 = end->data + i * (size + 1);
        double way = 0;
        for (int64_t d = 0; d < size; d++)
            way += ((double)x1[d] - x0[d]) * ((double)x1[d] - x0[d]);
        energy->data[2 * i] = x1[size];
        energy->data[2 * i + 1] = (float)fmax(x1[size] - way, 0);
    }
}

int fcl_sample_energy(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                      fcl_array **start, fcl_array **energy)
{
    fcl_sample_options filled = *options;
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    int64_t size = fcl_shape_size(info->sample);
    fcl_array *x0 = NULL, *x = NULL;
    *start = *energy = NULL;
    if (options->times)
        return fcl_fail(FCL_ERR_ARGUMENT, "the energy of paths is one number for all times: no times \"%s\"",
                        options->times);
    filled.times = NULL;
    fcl_options_defaults(fcl_sample_table, &filled);
    FCL_TRY(fcl_sample_check(&filled));
    int status = fcl_samples_create(info->sample, filled.n, &x0);
    if (status == FCL_OK)
        status = fcl_array_create(FCL_SHAPE(filled.n, size + 1), &x);
    if (status == FCL_OK)
        status = fcl_array_create(FCL_SHAPE(filled.n, 2), energy);
    if (status == FCL_OK)
        status = draw_start(info, &filled, x0->data);
    if (status == FCL_OK) {
        for (int64_t i = 0; i < filled.n; i++)
            memcpy(x->data + i * (size + 1), x0->data + i * size, (size_t)size * sizeof(float));
        status = run(device, checkpoint, &filled, NULL, FCL_SAMPLER_ENERGY, &x, NULL);
    }
    if (status == FCL_OK) {
        set_energy(x0, x, *energy);
        *start = x0;
    } else {
        fcl_array_destroy(&x0);
        fcl_array_destroy(energy);
    }
    fcl_array_destroy(&x);
    return status;
}

static int check_labels(const fcl_checkpoint_info *info, const int32_t *label, int64_t n)
{
    for (int64_t i = 0; label && i < n; i++)
        if (label[i] < 0 || label[i] >= info->classes)
            return fcl_fail(FCL_ERR_ARGUMENT, "label %d of sample %lld is not one of the model's %d classes",
                            label[i], (long long)i, info->classes);
    return FCL_OK;
}

int fcl_transport(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                  const fcl_array *x, const int32_t *label, bool backward, fcl_array **result,
                  fcl_sample_stats *stats)
{
    fcl_sample_options filled = *options;
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    int64_t n = x->shape.rank ? x->shape.dim[0] : 0, size = fcl_shape_size(info->sample);
    *result = NULL;
    fcl_options_defaults(fcl_sample_table, &filled);
    FCL_TRY(fcl_sample_check(&filled));
    if (n < 1 || fcl_shape_size(x->shape) != n * size)
        return fcl_fail(FCL_ERR_SHAPE,
                        "%lld numbers in %lld rows are no samples of the model, which have %lld each",
                        (long long)fcl_shape_size(x->shape), (long long)n, (long long)size);
    FCL_TRY(check_labels(info, label, n));
    FCL_TRY(fcl_samples_create(info->sample, n, result));
    memcpy((*result)->data, x->data, (size_t)(n * size) * sizeof(float));
    return run(device, checkpoint, &filled, label, backward ? FCL_SAMPLER_BACKWARD : 0, result, stats);
}
