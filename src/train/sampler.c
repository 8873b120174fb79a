/* A model's flow, compiled for a number of rows. sampler_run.c runs it. */
#include "train/sampler.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "ranks/rows.h"
#include "train/sampler_ranks.h"

#include <stdlib.h>
#include <string.h>

typedef struct call {
    const fcl_sampler *sampler;
    fcl_buffer *weights;
    fcl_graph *graph; /* the leaves below belong to it */
    fcl_tensor **leaves, *label;
} call;

int64_t fcl_sampler_asked_rows(const fcl_sampler *sampler)
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
        to->label = fcl_leaf(graph, "label", FCL_I32, FCL_SHAPE(fcl_sampler_asked_rows(sampler)), sampler->labels, 0);
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
        FCL_TRY(fcl_buffer_create(device, (size_t)fcl_sampler_asked_rows(sampler) * sizeof(int32_t), &sampler->labels));
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
    created->part_labels = fcl_zalloc((size_t)fcl_sampler_asked_rows(created) * sizeof(int32_t));
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
