/* Couplings: which noise x0 belongs to which data x1 of a batch. */
#include "flow/coupling.h"

#include "base/error.h"

#include <string.h>

static const fcl_coupling couplings[] = {
    {"independent", FCL_COUPLING_NONE, 0, "noise and data are paired by chance"},
    {"ot", FCL_COUPLING_EXACT, 0, "the pairing with the least sum of squared distances, exact"},
    {"sinkhorn", FCL_COUPLING_PLAN, FCL_USES_REG | FCL_USES_ITERATIONS, "pairs drawn from the entropic plan"},
    {"unbalanced", FCL_COUPLING_PLAN, FCL_USES_REG | FCL_USES_ITERATIONS | FCL_USES_RELAXATION,
     "the same, where far samples may be left out at a price"},
    {"partial", FCL_COUPLING_PLAN, FCL_USES_REG | FCL_USES_ITERATIONS | FCL_USES_MASS,
     "the same, of the share of samples that is cheapest to pair"},
    {"bridge", FCL_COUPLING_PLAN, FCL_USES_ITERATIONS | FCL_USES_SIGMA,
     "the entropic plan of a Schroedinger bridge: reg is 2 sigma^2"},
};
enum { COUNT = sizeof couplings / sizeof *couplings };

const char *fcl_coupling_name(int index)
{
    return index >= 0 && index < COUNT ? couplings[index].name : NULL;
}

const char *fcl_coupling_help(int index)
{
    return index >= 0 && index < COUNT ? couplings[index].help : NULL;
}

const fcl_coupling *fcl_coupling_find(const char *name)
{
    int index = fcl_row_index(fcl_coupling_name, name);
    return index < 0 ? NULL : &couplings[index];
}

/* As |a|^2 + |b|^2 - 2 a b', of points moved to the middle of the data: far from it the difference of large
 * numbers would lose the small one. */
fcl_tensor *fcl_coupling_cost(fcl_tensor *x0, fcl_tensor *x1)
{
    int64_t rows = fcl_tensor_shape(x1).dim[0];
    fcl_tensor *middle = fcl_scale(fcl_sum_axes(x1, 1), 1.0f / (float)rows); /* (1, D) */
    fcl_tensor *a = fcl_sub(x0, middle), *b = fcl_sub(x1, middle);
    fcl_tensor *of_a = fcl_sum_axes(fcl_square(a), 2);                                  /* (M, 1) */
    fcl_tensor *of_b = fcl_reshape(fcl_sum_axes(fcl_square(b), 2), FCL_SHAPE(1, rows)); /* (1, M) */
    fcl_tensor *cost = fcl_add(fcl_add(fcl_scale(fcl_matmul(a, b, false, true), -2), of_a), of_b);
    return fcl_max(cost, fcl_constant(fcl_tensor_graph(x0), 0)); /* (M, M) */
}

/* --- the entropic plans --- */

/* The rate s of the options' Brownian bridge, whose tube is s/2 at its middle; 0: the path is none. */
static double bridge_width(const fcl_cfm_options *options)
{
    static const char name[] = "bridge";
    fcl_path *path;
    size_t length = sizeof name - 1;
    bool named = options->path && strncmp(options->path, name, length) == 0;
    if (!named || (options->path[length] && options->path[length] != '('))
        return 0;
    if (fcl_path_create(options->path, (double)options->sigma, &path) != FCL_OK)
        return 0;
    double width = 2 * fcl_path_value(path, 0.5).tube;
    fcl_path_destroy(&path);
    return width;
}

/* The entropy's weight: the path's for a bridge, else as given, else a twentieth of the mean cost. */
static fcl_tensor *entropy_weight(const fcl_coupling *coupling, const fcl_cfm_options *options,
                                  fcl_tensor *cost)
{
    fcl_graph *graph = fcl_tensor_graph(cost);
    double width = coupling->uses & FCL_USES_SIGMA ? bridge_width(options) : 0;
    if (width > 0)
        return fcl_constant(graph, (float)(2 * width * width));
    return options->reg > 0 ? fcl_constant(graph, options->reg) : fcl_scale(fcl_mean(cost), 0.05f);
}

/* rho / (rho + reg); rho as given, else the mean cost. */
static fcl_tensor *relaxation(const fcl_coupling *coupling, const fcl_cfm_options *options, fcl_tensor *cost,
                              fcl_tensor *reg)
{
    if (!(coupling->uses & FCL_USES_RELAXATION))
        return NULL;
    fcl_tensor *rho =
        options->relaxation > 0 ? fcl_constant(fcl_tensor_graph(cost), options->relaxation) : fcl_mean(cost);
    return fcl_div(rho, fcl_add(rho, reg));
}

fcl_coupling_pairs fcl_coupling_draw(const fcl_cfm_options *options, fcl_tensor *cost, fcl_tensor *forbidden)
{
    const fcl_coupling *coupling = fcl_coupling_find(options->coupling);
    fcl_graph *graph = fcl_tensor_graph(cost);
    fcl_tensor *reg = entropy_weight(coupling, options, cost);
    fcl_tensor *k = fcl_div(cost, reg);
    if (forbidden) /* beyond what any allowed cost is, even over a tiny reg */
        k = fcl_where(forbidden, fcl_constant(graph, 1e29f), k);
    fcl_sinkhorn_control control = {
        .iterations = options->coupling_iterations ? options->coupling_iterations : 100,
        .tolerance = options->coupling_tolerance > 0 ? options->coupling_tolerance : 0.01f,
        .mass = !(coupling->uses & FCL_USES_MASS) ? 0
                : options->mass > 0               ? options->mass
                                                  : 0.9f,
    };
    fcl_sinkhorn_plan plan = fcl_sinkhorn(k, relaxation(coupling, options, cost, reg), &control);
    fcl_shape two = FCL_SHAPE(fcl_tensor_shape(cost).dim[0], 2);
    bool kept = !(coupling->uses & (FCL_USES_MASS | FCL_USES_RELAXATION));
    fcl_transport_pairs pairs = fcl_transport_draw(&plan, fcl_uniform(graph, two, FCL_STREAM_COUPLING), kept);
    return (fcl_coupling_pairs){pairs.row, pairs.column, plan.report};
}

/* --- what may be said --- */

/* A number that was given although the coupling does not look at it. */
static int check_use(const fcl_coupling *coupling, unsigned use, double value, const char *key)
{
    if (value == 0 || coupling->uses & use)
        return FCL_OK;
    if (use == FCL_USES_REG && coupling->uses & FCL_USES_SIGMA)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "reg %g has no use with the coupling bridge, whose reg is 2 sigma^2", value);
    return fcl_fail(FCL_ERR_ARGUMENT, "%s %g has no use with the coupling %s", key, value, coupling->name);
}

static int check_bridge(const fcl_cfm_options *options)
{
    return bridge_width(options) > 0
               ? FCL_OK
               : fcl_fail(FCL_ERR_ARGUMENT,
                          "the coupling bridge belongs to the path bridge, not to the path %s",
                          options->path ? options->path : fcl_path_name(0));
}

int fcl_coupling_check(const fcl_cfm_options *options)
{
    const fcl_coupling *coupling = fcl_coupling_find(options->coupling);
    FCL_TRY(check_use(coupling, FCL_USES_REG, (double)options->reg, "reg"));
    FCL_TRY(check_use(coupling, FCL_USES_RELAXATION, (double)options->relaxation, "relaxation"));
    FCL_TRY(check_use(coupling, FCL_USES_MASS, (double)options->mass, "mass"));
    FCL_TRY(check_use(coupling, FCL_USES_ITERATIONS, options->coupling_iterations, "coupling-iterations"));
    FCL_TRY(
        check_use(coupling, FCL_USES_ITERATIONS, (double)options->coupling_tolerance, "coupling-tolerance"));
    return coupling->uses & FCL_USES_SIGMA ? check_bridge(options) : FCL_OK;
}
