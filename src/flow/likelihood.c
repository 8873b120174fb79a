/* Log densities along a flow. The state of the solve is (x, l): beside a sample's D numbers stands the change
 * of its log density, so every tableau, the error control of each sample and the one-launch kernels serve it
 * as they are:
 *
 *     dx/dt = v(x, t),   dl/dt = -div v = -sum of z' (dv/dx) z over the unit vectors z
 *
 * Hutchinson's estimate has random probes z instead and keeps one l for each: their spread is its standard
 * error. */
#include "flow/ends.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_PROBES = 8,
    FEW = 2,          /* tangents swept one by one: a narrow network stays one kernel */
    NUMBERS = 1 << 23 /* about the most that the tangents of one sweep hold */
};

struct fcl_likelihood {
    fcl_solver *solver; /* of (batch, size + columns) */
    int64_t batch, size, columns;
    bool backward; /* from data to noise */
    int probes;
    int at_once;       /* probes of a sweep; the last sweep may have fewer */
    int64_t rows;      /* of a probe: 1, the unit vectors, or one a sample */
    fcl_buffer *probe; /* sweep by sweep (at_once, rows, size), each aligned */
    size_t sweep_bytes;
    const fcl_probe_law *law; /* NULL: exact */
    fcl_graph *draw;          /* fills `probe` by the law */
    uint64_t seed;
    float *state; /* (batch, size + columns) */
};

/* --- options --- */

static fcl_tensor *draw_normal(fcl_graph *graph, fcl_shape shape)
{
    return fcl_normal(graph, shape, FCL_STREAM_PROBE);
}

static fcl_tensor *draw_sign(fcl_graph *graph, fcl_shape shape)
{
    fcl_tensor *below = fcl_greater(fcl_constant(graph, 0.5f), fcl_uniform(graph, shape, FCL_STREAM_PROBE));
    return fcl_where(below, fcl_constant(graph, -1), fcl_constant(graph, 1));
}

struct fcl_probe_law {
    const char *name;
    fcl_tensor *(*draw)(fcl_graph *graph, fcl_shape shape);
};

static const fcl_probe_law laws[] = {{"rademacher", draw_sign}, {"normal", draw_normal}};

static const char *const divergences[] = {"exact", "hutchinson"};

const char *fcl_probe_name(int index)
{
    return index >= 0 && index < (int)(sizeof laws / sizeof *laws) ? laws[index].name : NULL;
}

const char *fcl_divergence_name(int index)
{
    return index >= 0 && index < 2 ? divergences[index] : NULL;
}

/* clang-format off */
const fcl_option fcl_divergence_table[] = {
    {"divergence", FCL_OPTION(fcl_divergence_options, divergence), .fallback = "exact", .choice = fcl_divergence_name,
     .group = "Divergence", .help = "a tangent for each dimension, or an estimate by random probes"},
    {"probes", FCL_OPTION(fcl_divergence_options, probes), .minimum = 0, .maximum = 10000,
     .help = "random probes of hutchinson; 0: 8"},
    {"probe", FCL_OPTION(fcl_divergence_options, probe), .choice = fcl_probe_name,
     .help = "how they are drawn; without it rademacher: each number 1 or -1"},
    {0},
};
/* clang-format on */

static bool is_exact(const fcl_divergence_options *options)
{
    return fcl_row_index(fcl_divergence_name, options->divergence) == 0;
}

static int64_t probe_count(const fcl_divergence_options *options, int64_t size)
{
    return is_exact(options) ? size : options->probes ? options->probes : DEFAULT_PROBES;
}

int64_t fcl_divergence_tangents(const fcl_divergence_options *options, int64_t size)
{
    int64_t probes = probe_count(options, size);
    return probes <= FEW ? 1 : probes;
}

int fcl_divergence_check(const fcl_divergence_options *options)
{
    FCL_TRY(fcl_options_check(fcl_divergence_table, options));
    if (is_exact(options) && (options->probes || options->probe))
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "the exact divergence draws no probes: probes and probe belong to hutchinson");
    return FCL_OK;
}

/* --- the velocity of (x, l) --- */

typedef struct augmented {
    fcl_energy_flow of; /* x */
    fcl_likelihood *likelihood;
} augmented;

static int sweep_size(const fcl_likelihood *likelihood, int first)
{
    int left = likelihood->probes - first;
    return left < likelihood->at_once ? left : likelihood->at_once;
}

/* The leaf of a sweep's probes: (rows, size), or (T, rows, size) where a sweep takes several. */
static fcl_tensor *probe_leaf(const fcl_likelihood *likelihood, fcl_graph *graph, int first)
{
    int64_t rows = likelihood->rows, size = likelihood->size;
    size_t offset = (size_t)(first / likelihood->at_once) * likelihood->sweep_bytes;
    fcl_shape shape = likelihood->at_once == 1 ? FCL_SHAPE(rows, size)
                                               : FCL_SHAPE(sweep_size(likelihood, first), rows, size);
    return fcl_leaf(graph, "probe", FCL_F32, shape, likelihood->probe, offset);
}

/* z' (dv/dx) z of the probes from `first` on: (B, 1), or (T, B, 1) where a sweep takes several. */
static fcl_tensor *quadratic_forms(fcl_likelihood *likelihood, fcl_tensor *x, fcl_tensor *v, int first)
{
    int count = sweep_size(likelihood, first);
    bool alone = likelihood->at_once == 1;
    fcl_shape all = FCL_SHAPE(count, likelihood->batch, likelihood->size);
    fcl_tensor *z = probe_leaf(likelihood, fcl_tensor_graph(x), first);
    fcl_tensor *dx = fcl_expand(z, alone ? fcl_tensor_shape(x) : all), *dv;
    fcl_jvp(1, &v, &dv, 1, &x, &dx);
    return fcl_sum_axes(fcl_mul(dx, dv), 1u << (alone ? 1 : 2));
}

/* (T, B, 1) as columns (B, T), or their sum (B, 1). */
static fcl_tensor *columns_of(const fcl_likelihood *likelihood, fcl_tensor *forms)
{
    fcl_shape shape = fcl_tensor_shape(forms);
    if (shape.rank == 2)
        return forms;
    if (!likelihood->law)
        return fcl_reshape(fcl_sum_axes(forms, 1u << 0), FCL_SHAPE(shape.dim[1], 1));
    return fcl_permute(fcl_reshape(forms, FCL_SHAPE(shape.dim[0], shape.dim[1])), (const int[]){1, 0});
}

/* dl/dt for each column of l: (B, columns) */
static fcl_tensor *log_density_slopes(fcl_likelihood *likelihood, fcl_tensor *x, fcl_tensor *v)
{
    fcl_tensor *slopes = NULL; /* so far */
    for (int first = 0; first < likelihood->probes; first += likelihood->at_once) {
        fcl_tensor *more = columns_of(likelihood, quadratic_forms(likelihood, x, v, first));
        slopes = !slopes           ? more
                 : likelihood->law ? fcl_concat(2, (fcl_tensor *[]){slopes, more}, 1)
                                   : fcl_add(slopes, more);
    }
    return fcl_neg(slopes);
}

fcl_tensor *fcl_likelihood_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    augmented *to = data;
    (void)graph;
    fcl_velocity_inputs of = *in;
    of.x = fcl_slice(in->x, 1, 0, to->likelihood->size); /* (B, D) */
    fcl_tensor *v = fcl_velocity_build(to->of.velocity, to->of.data, &of);
    fcl_tensor *slopes = log_density_slopes(to->likelihood, of.x, v);
    return fcl_concat(2, (fcl_tensor *[]){v, slopes}, 1); /* (B, D + columns) */
}

/* --- creating --- */

/* Many probes are swept together, as many as memory allows, in sweeps of like size. */
static int probes_at_once(int probes, int64_t batch, int64_t size)
{
    if (probes <= FEW)
        return 1;
    int64_t most = NUMBERS / (batch * size);
    most = most < 1 ? 1 : most < probes ? most : probes;
    int64_t sweeps = (probes + most - 1) / most;
    return (int)((probes + sweeps - 1) / sweeps);
}

/* The place of number d of probe `probe`, in floats. */
static size_t probe_at(const fcl_likelihood *likelihood, int probe, int64_t d)
{
    size_t sweep = (size_t)(probe / likelihood->at_once) * likelihood->sweep_bytes / sizeof(float);
    return sweep + (size_t)(probe % likelihood->at_once * likelihood->size + d);
}

static int write_unit_vectors(fcl_likelihood *likelihood)
{
    size_t bytes = fcl_buffer_size(likelihood->probe);
    float *z = calloc(1, bytes);
    if (!z)
        return fcl_fail(FCL_ERR_MEMORY, "no %zu bytes for the unit vectors of %lld dimensions", bytes,
                        (long long)likelihood->size);
    for (int d = 0; d < likelihood->probes; d++)
        z[probe_at(likelihood, d, d)] = 1;
    int status = fcl_buffer_write(likelihood->probe, 0, bytes, z);
    free(z);
    return status;
}

/* Every number by its place in the data set, (rows, probes, size), so that a draw does not depend on the
 * batches. */
static int build_draw(fcl_device *device, fcl_likelihood *likelihood)
{
    fcl_graph *graph = likelihood->draw = fcl_graph_create();
    fcl_tensor *all =
        likelihood->law->draw(graph, FCL_SHAPE(likelihood->rows, likelihood->probes, likelihood->size));
    for (int first = 0; first < likelihood->probes; first += likelihood->at_once) {
        fcl_tensor *leaf = probe_leaf(likelihood, graph, first);
        fcl_tensor *some = fcl_slice(all, 1, first, first + sweep_size(likelihood, first));
        fcl_assign(leaf, fcl_reshape(fcl_permute(some, (const int[]){1, 0, 2}), fcl_tensor_shape(leaf)));
    }
    return fcl_graph_compile(graph, device, NULL);
}

static int create_probes(fcl_device *device, fcl_likelihood *likelihood)
{
    size_t numbers = (size_t)likelihood->at_once * (size_t)(likelihood->rows * likelihood->size);
    size_t sweeps = (size_t)((likelihood->probes + likelihood->at_once - 1) / likelihood->at_once);
    likelihood->sweep_bytes =
        (numbers * sizeof(float) + FCL_BUFFER_ALIGN - 1) / FCL_BUFFER_ALIGN * FCL_BUFFER_ALIGN;
    FCL_TRY(fcl_buffer_create(device, sweeps * likelihood->sweep_bytes, &likelihood->probe));
    return likelihood->law ? build_draw(device, likelihood) : write_unit_vectors(likelihood);
}

static int create(fcl_device *device, fcl_velocity velocity, void *data,
                  const fcl_likelihood_options *options, fcl_likelihood *likelihood)
{
    fcl_solver_options how = options->solver;
    if (how.t_begin == 0 && how.t_end == 0)
        how.t_begin = 1;
    likelihood->backward = how.t_begin > how.t_end;
    FCL_TRY(create_probes(device, likelihood));
    augmented to = {{velocity, data}, likelihood};
    return fcl_solver_create(device, fcl_likelihood_velocity, &to, &how, likelihood->batch,
                             likelihood->size + likelihood->columns, &likelihood->solver);
}

static int check_extent(int64_t batch, int64_t size, const fcl_divergence_options *options)
{
    int64_t probes = probe_count(options, size);
    if (batch < 1 || size < 1 || batch > INT32_MAX || size > INT32_MAX / batch - probes)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "log densities of batches (%lld, %lld): at least (1, 1), and less than 2^31 numbers",
                        (long long)batch, (long long)size);
    if (!is_exact(options) && probes > INT32_MAX / (batch * size))
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "%lld probes of batches (%lld, %lld): less than 2^31 numbers; take smaller batches",
                        (long long)probes, (long long)batch, (long long)size);
    return FCL_OK;
}

int fcl_likelihood_create(fcl_device *device, fcl_velocity velocity, void *data,
                          const fcl_likelihood_options *options, int64_t batch, int64_t size,
                          fcl_likelihood **result)
{
    static const fcl_likelihood_options defaults = {0};
    *result = NULL;
    if (!options)
        options = &defaults;
    const fcl_divergence_options *divergence = &options->divergence;
    FCL_TRY(fcl_divergence_check(divergence));
    if (fcl_solver_is_stochastic(options->solver.solver))
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "a log density goes along the flow's own paths: %s adds noise to them",
                        options->solver.solver);
    FCL_TRY(check_extent(batch, size, divergence));
    bool exact = is_exact(divergence);
    int probes = (int)probe_count(divergence, size);
    fcl_likelihood *created = fcl_zalloc(sizeof *created);
    *created = (fcl_likelihood){
        .batch = batch,
        .size = size,
        .columns = exact ? 1 : probes,
        .probes = probes,
        .at_once = probes_at_once(probes, batch, size),
        .rows = exact ? 1 : batch,
        .law = exact ? NULL : &laws[fcl_row_index(fcl_probe_name, divergence->probe)],
        .seed = options->seed,
    };
    created->state = fcl_zalloc(sizeof(float) * (size_t)(batch * (size + created->columns)));
    int status = create(device, velocity, data, options, created);
    if (status != FCL_OK)
        fcl_likelihood_destroy(&created);
    *result = created;
    return status;
}

void fcl_likelihood_destroy(fcl_likelihood **likelihood)
{
    fcl_likelihood *dying = *likelihood;
    if (!dying)
        return;
    fcl_solver_destroy(&dying->solver);
    fcl_graph_destroy(&dying->draw);
    fcl_buffer_destroy(&dying->probe);
    free(dying->state);
    free(dying);
    *likelihood = NULL;
}

fcl_solver *fcl_likelihood_solver(fcl_likelihood *likelihood)
{
    return likelihood->solver;
}

/* --- running --- */

double fcl_log_normal(const float *x, int64_t size)
{
    double squares = 0;
    for (int64_t i = 0; i < size; i++)
        squares += (double)x[i] * x[i];
    return -0.5 * (squares + (double)size * log(2 * 3.14159265358979323846));
}

static float *state_of(const fcl_likelihood *likelihood, int64_t row)
{
    return likelihood->state + row * (likelihood->size + likelihood->columns);
}

static void fill_state(fcl_likelihood *likelihood, const float *x)
{
    for (int64_t row = 0; row < likelihood->batch; row++) {
        float *state = state_of(likelihood, row);
        memcpy(state, x + row * likelihood->size, sizeof *state * (size_t)likelihood->size);
        memset(state + likelihood->size, 0, sizeof *state * (size_t)likelihood->columns);
    }
}

/* The mean of a sample's changes, one a probe, and the standard error of that mean. */
static double mean_change(const fcl_likelihood *likelihood, const float *change, double *standard_error)
{
    double mean = 0, squares = 0, count = (double)likelihood->columns;
    for (int64_t i = 0; i < likelihood->columns; i++)
        mean += change[i] / count;
    for (int64_t i = 0; i < likelihood->columns; i++)
        squares += (change[i] - mean) * (change[i] - mean);
    *standard_error = !likelihood->law ? 0 : count > 1 ? sqrt(squares / (count - 1) / count) : NAN;
    return mean;
}

int fcl_likelihood_run(fcl_likelihood *likelihood, const float *x_in, uint64_t first_row, float *x_out,
                       double *log_density, double *standard_error, fcl_solver_stats *stats)
{
    int64_t size = likelihood->size;
    if (likelihood->law) {
        fcl_graph_random(likelihood->draw, likelihood->seed, 0, first_row);
        FCL_TRY(fcl_graph_run(likelihood->draw));
    }
    fill_state(likelihood, x_in);
    int status = fcl_solver_run(likelihood->solver, likelihood->state, likelihood->state, stats);
    if (status != FCL_OK && status != FCL_ERR_NUMERIC)
        return status;
    for (int64_t row = 0; row < likelihood->batch; row++) {
        const float *end = state_of(likelihood, row);
        double error, change = mean_change(likelihood, end + size, &error);
        double source = fcl_log_normal(likelihood->backward ? end : x_in + row * size, size);
        bool there = fcl_solver_arrived(likelihood->solver, likelihood->state, row);
        log_density[row] = !there ? NAN : source + (likelihood->backward ? -change : change);
        if (standard_error)
            standard_error[row] = error;
        if (x_out)
            memcpy(x_out + row * size, end, sizeof *x_out * (size_t)size);
    }
    return status;
}
