/* A model's flow, compiled for a number of rows, and run on a set of samples in parts. */
#include "train/sample.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/watch.h"
#include "ranks/rows.h"
#include "train/guidance.h"
#include "train/sampler_ranks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct fcl_sampler {
    const fcl_model *model;
    fcl_guidance guidance;
    fcl_known *known; /* what is kept of the samples; NULL: nothing */
    fcl_solver *solver;
    fcl_buffer *labels; /* (rows), with guidance as many of no class behind them; NULL without classes */
    int64_t rows, size; /* of a part; D, or D + 1 with energy */
    float *part;
    int time_count;
    double *times;
    float *part_times; /* (times, rows, size) */
    int32_t *part_labels;
    uint64_t seed;  /* of a stochastic solver's noise */
    double created; /* when its making began */
    fcl_ranks *ranks; /* which share the samples; NULL: it is alone */
    void (*progress)(void *data, int64_t done, int64_t n);
    void *progress_data;

    /* with log densities */
    fcl_likelihood *likelihood; /* has the solver; else NULL */
    double *part_density, *part_error;
    float *density; /* (n, 2), the caller's */

    /* where the velocity alone is asked for: there is no solver */
    fcl_graph *graph;
    fcl_tensor *x, *t, *v; /* (rows, size), (rows, 1), (rows, size) */
    const float *at;       /* (n), the caller's */
    float *part_at;        /* (rows) */
};

/* --- compiling --- */

typedef struct call {
    const fcl_sampler *sampler;
    fcl_buffer *weights;
    fcl_graph *graph; /* the leaves below belong to it */
    fcl_tensor **leaves, *label;
} call;

/* Rows that the network is asked at once. */
static int64_t asked_rows(const fcl_sampler *sampler)
{
    return fcl_guidance_doubles(&sampler->guidance) ? 2 * sampler->rows : sampler->rows;
}

/* A solver asks once a stage, and may build several graphs: each gets its leaves once. */
static void bind_leaves(call *to, fcl_graph *graph)
{
    const fcl_sampler *sampler = to->sampler;
    fcl_free(to->leaves);
    to->graph = graph;
    to->leaves = fcl_params_bind(fcl_model_params(sampler->model), graph, to->weights, "");
    to->label = NULL;
    if (sampler->labels)
        to->label = fcl_leaf(graph, "label", FCL_I32, FCL_SHAPE(asked_rows(sampler)), sampler->labels, 0);
}

/* The network, with its labels and guidance. */
static fcl_tensor *ask(const call *to, const fcl_velocity_inputs *in)
{
    const fcl_sampler *sampler = to->sampler;
    fcl_velocity_inputs labelled = *in;
    labelled.label = to->label;
    if (!fcl_guidance_doubles(&sampler->guidance))
        return fcl_model_velocity(sampler->model, to->leaves, &labelled);
    labelled = fcl_guidance_ask(in, to->label);
    fcl_tensor *both = fcl_model_velocity(sampler->model, to->leaves, &labelled);
    return fcl_guidance_answer(&sampler->guidance, both, in->t);
}

static fcl_tensor *velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    call *to = data;
    const fcl_sampler *sampler = to->sampler;
    if (to->graph != graph)
        bind_leaves(to, graph);
    fcl_velocity_inputs of = *in;
    if (!sampler->known)
        return ask(to, in);
    of.x = fcl_known_put(sampler->known, in);
    return fcl_known_answer(sampler->known, ask(to, &of), in->t);
}

/* What a row counts for: its numbers, with guidance twice, or an eighth of those that are swept with it, which are not
 * kept long. */
static int64_t row_numbers(const fcl_sampler *sampler, const fcl_sample_options *options, unsigned flags)
{
    int64_t size = fcl_guidance_doubles(&sampler->guidance) ? 2 * sampler->size : sampler->size;
    int64_t tangents = flags & FCL_SAMPLER_DENSITY ? fcl_divergence_tangents(&options->divergence, size) : 1;
    return tangents < 8 ? size : tangents < INT32_MAX / size ? tangents * size / 8 : INT32_MAX;
}

/* As many rows at once as hold about a million numbers of `size` each. */
static int64_t part_rows(const fcl_sample_options *options, int64_t size, int64_t most)
{
    enum { NUMBERS = 1 << 20, MOST_ROWS = 16384 };
    int64_t limit = options->batch;
    if (!limit)
        limit = NUMBERS / size < 1 ? 1 : NUMBERS / size > MOST_ROWS ? MOST_ROWS : NUMBERS / size;
    int64_t parts = (most + limit - 1) / limit;
    return (most + parts - 1) / parts;
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
    FCL_TRY(fcl_predictor_create(objective->prediction, along->trained, along->sampled, velocity, to,
                                 &along->predictor));
    fcl_predictor_trained_from(along->predictor, (double)objective->least_alpha);
    return FCL_OK;
}

static void destroy_predictor(paths *along)
{
    fcl_predictor_destroy(&along->predictor);
    fcl_path_destroy(&along->sampled);
    fcl_path_destroy(&along->trained);
}

fcl_solver_options fcl_sampler_solver(const fcl_sample_options *options, unsigned flags)
{
    bool backward = flags & FCL_SAMPLER_BACKWARD;
    return (fcl_solver_options){.solver = options->solver,
                                .steps = options->steps,
                                .grid = options->grid,
                                .rtol = options->rtol,
                                .atol = options->atol,
                                .max_steps = options->max_steps,
                                .w = options->w,
                                .t_begin = backward ? 1 : options->from_time,
                                .t_end = !backward};
}

bool fcl_sampler_each_step(const fcl_sample_options *options)
{
    return options->times && !strcmp(options->times, "steps");
}

static int read_times(const fcl_sample_options *options, const fcl_solver_options *how, fcl_sampler *sampler)
{
    if (!options->times)
        return FCL_OK;
    if (fcl_sampler_each_step(options)) {
        int steps;
        const double *grid = fcl_solver_grid(sampler->solver, &steps);
        sampler->time_count = steps + 1;
        sampler->times = fcl_zalloc((size_t)sampler->time_count * sizeof *grid);
        memcpy(sampler->times, grid, (size_t)sampler->time_count * sizeof *grid);
    } else {
        FCL_TRY(
            fcl_times_read(options->times, how->t_begin, how->t_end, &sampler->times, &sampler->time_count));
    }
    size_t numbers = (size_t)sampler->time_count * (size_t)(sampler->rows * sampler->size);
    sampler->part_times = malloc(numbers * sizeof(float));
    return sampler->part_times ? FCL_OK
                               : fcl_fail(FCL_ERR_MEMORY, "no host memory for %lld samples at %d times",
                                          (long long)sampler->rows, sampler->time_count);
}

static int create_likelihood(fcl_device *device, const fcl_sample_options *options,
                             const fcl_solver_options *how, fcl_predictor *predictor, fcl_sampler *sampler)
{
    fcl_likelihood_options with = {.solver = *how, .divergence = options->divergence, .seed = options->seed};
    sampler->part_density = fcl_zalloc((size_t)sampler->rows * sizeof(double));
    sampler->part_error = fcl_zalloc((size_t)sampler->rows * sizeof(double));
    FCL_TRY(fcl_likelihood_create(device, fcl_predictor_velocity, predictor, &with, sampler->rows,
                                  sampler->size, &sampler->likelihood));
    sampler->solver = fcl_likelihood_solver(sampler->likelihood);
    return FCL_OK;
}

/* A graph that asks for the velocity once. */
static int create_point(fcl_device *device, fcl_predictor *predictor, fcl_sampler *sampler)
{
    sampler->graph = fcl_graph_create();
    sampler->x = fcl_input(sampler->graph, "x", FCL_F32, FCL_SHAPE(sampler->rows, sampler->size));
    sampler->t = fcl_input(sampler->graph, "t", FCL_F32, FCL_SHAPE(sampler->rows, 1));
    sampler->v = fcl_output(
        fcl_predictor_velocity(predictor, sampler->graph, &(fcl_velocity_inputs){.x = sampler->x, .t = sampler->t}));
    sampler->part_at = fcl_zalloc((size_t)sampler->rows * sizeof(float));
    return fcl_graph_compile(sampler->graph, device, NULL);
}

static int create_solver(fcl_device *device, const fcl_sampled *of, const fcl_sample_options *options,
                         const fcl_solver_options *how, unsigned flags, fcl_predictor *predictor,
                         fcl_sampler *sampler)
{
    fcl_energy_flow with_energy = {fcl_predictor_velocity, predictor, of->energy_weight};
    bool energy = flags & FCL_SAMPLER_ENERGY;
    if (flags & FCL_SAMPLER_VELOCITY)
        return create_point(device, predictor, sampler);
    if (flags & FCL_SAMPLER_DENSITY)
        return create_likelihood(device, options, how, predictor, sampler);
    return fcl_solver_create(device, energy ? fcl_energy_velocity : fcl_predictor_velocity,
                             energy ? (void *)&with_energy : predictor, how, sampler->rows, sampler->size,
                             &sampler->solver);
}

static int create(fcl_device *device, const fcl_sampled *of, const fcl_sample_options *options, unsigned flags,
                  fcl_sampler *sampler)
{
    const fcl_cfm_options *objective = of->objective;
    if (fcl_model_classes(sampler->model))
        FCL_TRY(fcl_buffer_create(device, (size_t)asked_rows(sampler) * sizeof(int32_t), &sampler->labels));
    if (of->edit && of->edit->mask)
        FCL_TRY(fcl_known_create(device, of->edit, sampler->rows, &sampler->known));
    fcl_solver_options how = fcl_sampler_solver(options, flags);
    call to = {.sampler = sampler, .weights = of->weights};
    paths along = {0};
    int status = create_predictor(objective, options, &to, &along);
    if (status == FCL_OK && fcl_solver_is_stochastic(options->solver)) {
        how.path = options->path ? options->path : objective->path;
        how.path_width = options->path ? 0 : (double)objective->sigma;
    }
    if (status == FCL_OK)
        status = create_solver(device, of, options, &how, flags, along.predictor, sampler);
    destroy_predictor(&along);
    fcl_free(to.leaves);
    return status == FCL_OK ? read_times(options, &how, sampler) : status;
}

/* Of `most` samples, at most `limit` of them at once. On failure it is there, to be destroyed. */
static int make(fcl_device *device, const fcl_sampled *of, const fcl_sample_options *options, unsigned flags, int64_t most,
                int64_t limit, fcl_sampler **sampler)
{
    fcl_sampler *created = fcl_zalloc(sizeof *created);
    created->created = fcl_clock_seconds();
    created->ranks = options->ranks;
    created->model = of->model;
    created->seed = options->seed;
    created->size = fcl_shape_size(fcl_model_sample(of->model)) + (flags & FCL_SAMPLER_ENERGY ? 1 : 0);
    int status = fcl_guidance_read(options, &created->guidance);
    created->rows = part_rows(options, row_numbers(created, options, flags), most);
    created->rows = created->rows < limit ? created->rows : limit;
    created->progress = options->progress;
    created->progress_data = options->progress_data;
    created->part = fcl_zalloc((size_t)(created->rows * created->size) * sizeof(float));
    created->part_labels = fcl_zalloc((size_t)asked_rows(created) * sizeof(int32_t));
    *sampler = created;
    return status == FCL_OK ? create(device, of, options, flags, created) : status;
}

/* Of ranks that have none it is made all the same: what fails is then the same on all. */
static int64_t own_rows(const fcl_ranks *ranks, int64_t n)
{
    int64_t count = fcl_ranks_rows(ranks, n, fcl_ranks_number(ranks)).count;
    return count > 0 ? count : 1;
}

int fcl_sampler_create(fcl_device *device, const fcl_sampled *of, const fcl_sample_options *options, unsigned flags,
                       int64_t most, fcl_sampler **sampler)
{
    FCL_TRY(fcl_sampler_compare(options, flags, of, most));
    int64_t own = own_rows(options->ranks, most);
    for (int64_t limit = own;;) {
        int status = make(device, of, options, flags, own, limit, sampler);
        int64_t rows = (*sampler)->rows;
        if (status == FCL_OK)
            return FCL_OK;
        fcl_sampler_destroy(sampler);
        if (status != FCL_ERR_MEMORY)
            return status;
        if (options->batch)
            return fcl_fail(status, "%s; without --batch (the option batch) as many samples are computed at once as fit",
                            fcl_error());
        if (rows == 1)
            return fcl_fail_within(status, "not even one sample at a time fits");
        limit = (rows + 1) / 2;
    }
}

void fcl_sampler_destroy(fcl_sampler **sampler)
{
    fcl_sampler *dying = *sampler;
    if (!dying)
        return;
    if (dying->likelihood)
        fcl_likelihood_destroy(&dying->likelihood);
    else
        fcl_solver_destroy(&dying->solver);
    fcl_graph_destroy(&dying->graph);
    fcl_buffer_destroy(&dying->labels);
    fcl_known_destroy(&dying->known);
    free(dying->part_density);
    free(dying->part_error);
    free(dying->part_at);
    free(dying->part);
    free(dying->times);
    free(dying->part_times);
    free(dying->part_labels);
    free(dying);
    *sampler = NULL;
}

/* --- running --- */

int fcl_sampler_prepare(fcl_sampler *sampler, double *seconds)
{
    FCL_TRY(fcl_solver_prepare(sampler->solver));
    *seconds = fcl_clock_seconds() - sampler->created;
    return FCL_OK;
}

static int write_labels(fcl_sampler *sampler, const int32_t *label, int64_t first, int64_t count)
{
    if (!sampler->labels)
        return FCL_OK;
    for (int64_t row = 0; row < sampler->rows; row++)
        sampler->part_labels[row] = label[first + (row < count ? row : count - 1)];
    for (int64_t row = sampler->rows; row < asked_rows(sampler); row++)
        sampler->part_labels[row] = fcl_model_classes(sampler->model);
    return fcl_buffer_write(sampler->labels, 0, (size_t)asked_rows(sampler) * sizeof(int32_t),
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

const double *fcl_sampler_time_list(const fcl_sampler *sampler)
{
    return sampler->times;
}

static bool arrived(const fcl_sampler *sampler, int64_t row)
{
    return sampler->likelihood ? !isnan(sampler->part_density[row])
                               : fcl_solver_arrived(sampler->solver, sampler->part, row);
}

static void count_unfinished(const fcl_sampler *sampler, int64_t count, fcl_sample_stats *stats)
{
    for (int64_t row = 0; row < count; row++)
        stats->unfinished += !arrived(sampler, row);
}

void fcl_sampler_at(fcl_sampler *sampler, const float *t)
{
    sampler->at = t;
}

void fcl_sampler_collect(fcl_sampler *sampler, float *density)
{
    sampler->density = density;
}

static int solve_density(fcl_sampler *sampler, int64_t first, int64_t count)
{
    int status = fcl_likelihood_run(sampler->likelihood, sampler->part, (uint64_t)first, sampler->part,
                                    sampler->part_density, sampler->part_error, NULL);
    for (int64_t i = 0; i < count; i++) {
        sampler->density[2 * (first + i)] = (float)sampler->part_density[i];
        sampler->density[2 * (first + i) + 1] = (float)sampler->part_error[i];
    }
    return status;
}

static int ask_point(fcl_sampler *sampler, int64_t first, int64_t count)
{
    for (int64_t row = 0; row < sampler->rows; row++)
        sampler->part_at[row] = sampler->at[first + (row < count ? row : count - 1)];
    FCL_TRY(fcl_tensor_write(sampler->x, sampler->part));
    FCL_TRY(fcl_tensor_write(sampler->t, sampler->part_at));
    FCL_TRY(fcl_graph_run(sampler->graph));
    return fcl_tensor_read(sampler->v, sampler->part);
}

static int solve(fcl_sampler *sampler, int64_t first, int64_t count)
{
    if (sampler->graph)
        return ask_point(sampler, first, count);
    if (sampler->likelihood)
        return solve_density(sampler, first, count);
    return fcl_solver_run_times(sampler->solver, sampler->part, sampler->time_count, sampler->times,
                                sampler->part_times, sampler->part, NULL);
}

/* Goes on where samples are unfinished. */
static int run_part(fcl_sampler *sampler, float *x, const int32_t *label, int64_t first, int64_t count,
                    fcl_sample_stats *stats)
{
    float *rows = x + first * sampler->size;
    FCL_TRY(write_labels(sampler, label, first, count));
    if (sampler->known)
        FCL_TRY(fcl_known_write(sampler->known, first, count));
    fill_part(sampler, rows, count);
    if (sampler->solver)
        fcl_solver_random(sampler->solver, sampler->seed, (uint64_t)first);
    int status = solve(sampler, first, count);
    if (status != FCL_OK && status != FCL_ERR_NUMERIC)
        return status;
    memcpy(rows, sampler->part, (size_t)(count * sampler->size) * sizeof(float));
    if (!sampler->solver)
        return FCL_OK;
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
    return fcl_fail_within(FCL_ERR_NUMERIC, "%lld of %lld samples are unfinished. In their last part",
                           (long long)unfinished, (long long)n);
}

static int run_parts(fcl_sampler *sampler, float *x, const int32_t *label, int64_t n, float *x_times,
                     fcl_sample_stats *sums)
{
    const fcl_rank_rows own = fcl_ranks_rows(sampler->ranks, n, fcl_ranks_number(sampler->ranks));
    for (int64_t done = 0; done < own.count; done += sampler->rows) {
        int64_t first = own.first + done, left = own.count - done, count = left < sampler->rows ? left : sampler->rows;
        fcl_watch_part(done, count, own.count);
        int status = fcl_watch_at("sampling", 0, 1);
        if (status == FCL_OK)
            status = run_part(sampler, x, label, first, count, sums);
        fcl_watch_part(0, 0, 0);
        FCL_TRY(status);
        keep_times(sampler, first, count, n, x_times);
        if (sampler->progress)
            sampler->progress(sampler->progress_data, done + count, own.count);
    }
    return FCL_OK;
}

static int gather(const fcl_sampler *sampler, float *x, int64_t n, float *x_times, fcl_sample_stats *sums)
{
    size_t row = (size_t)sampler->size * sizeof(float);
    if (!sampler->ranks)
        return FCL_OK;
    FCL_TRY(fcl_sampler_gather_stats(sampler->ranks, sums));
    if (!sampler->time_count)
        FCL_TRY(fcl_ranks_gather_rows(sampler->ranks, n, row, x));
    for (int i = 0; i < sampler->time_count; i++)
        FCL_TRY(fcl_ranks_gather_rows(sampler->ranks, n, row, x_times + i * n * sampler->size));
    return sampler->likelihood ? fcl_ranks_gather_rows(sampler->ranks, n, 2 * sizeof(float), sampler->density) : FCL_OK;
}

int fcl_sampler_run(fcl_sampler *sampler, float *x, const int32_t *label, int64_t n, float *x_times,
                    fcl_sample_stats *stats)
{
    fcl_sample_stats sums = {0};
    double began = fcl_clock_seconds();
    FCL_TRY(run_parts(sampler, x, label, n, x_times, &sums));
    sums.seconds = fcl_clock_seconds() - began;
    FCL_TRY(gather(sampler, x, n, x_times, &sums));
    sums.nfe_mean /= (double)n;
    if (stats)
        *stats = sums;
    return tell_unfinished(sums.unfinished, n);
}
