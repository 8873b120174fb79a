/* The training objective of conditional flow matching, put together from the tables' rows. */
#include "flow/flow.h"

#include "base/error.h"
#include "graph/graph.h"

#include <flowcl/options.h>

#include <string.h>

static const fcl_option cfm_table[] = {
    {"path", FCL_OPTION(fcl_cfm_options, path), .choice = fcl_path_name},
    {"coupling", FCL_OPTION(fcl_cfm_options, coupling), .choice = fcl_coupling_name},
    {"time", FCL_OPTION(fcl_cfm_options, time), .choice = fcl_time_name},
    {"loss", FCL_OPTION(fcl_cfm_options, loss), .choice = fcl_loss_name},
    {"sigma", FCL_OPTION(fcl_cfm_options, sigma), .minimum = 0, .maximum = 100},
    {0}};

int fcl_row_index(const char *(*names)(int index), const char *name)
{
    if (!name)
        return 0;
    for (int i = 0; names(i); i++)
        if (!strcmp(names(i), name))
            return i;
    return -1;
}

fcl_tensor *fcl_velocity_build(fcl_velocity velocity, void *data, fcl_tensor *x, fcl_tensor *t)
{
    fcl_graph *graph = fcl_tensor_graph(x);
    fcl_tensor *v = velocity(data, graph, x, t);
    if (!fcl_shape_equal(fcl_tensor_shape(v), fcl_tensor_shape(x)))
        fcl_mistake(graph, "the velocity is %s, but x is %s", fcl_shape_text(graph, fcl_tensor_shape(v)),
                    fcl_shape_text(graph, fcl_tensor_shape(x)));
    return v;
}

int fcl_cfm_check(const fcl_cfm_options *options)
{
    return fcl_options_check(cfm_table, options);
}

static const fcl_cfm_options defaults;

fcl_tensor *fcl_cfm_objective(fcl_graph *graph, const fcl_cfm_options *options, fcl_tensor *x1,
                              fcl_velocity velocity, void *data)
{
    const fcl_coupling *coupling = fcl_coupling_find(options ? options->coupling : NULL);
    if (coupling && coupling->kind != FCL_COUPLING_NONE) {
        fcl_mistake(graph,
                    "cfm objective: the coupling '%s' pairs the rows before the objective sees them, which is then "
                    "fcl_cfm_objective_of",
                    coupling->name);
        return fcl_constant(graph, 0);
    }
    fcl_tensor *x0 = fcl_normal(graph, fcl_tensor_shape(x1), FCL_STREAM_SOURCE);
    return fcl_cfm_objective_of(graph, options, x0, x1, velocity, data);
}

fcl_tensor *fcl_cfm_objective_of(fcl_graph *graph, const fcl_cfm_options *options, fcl_tensor *x0,
                                 fcl_tensor *x1, fcl_velocity velocity, void *data)
{
    fcl_shape shape = fcl_tensor_shape(x1);
    if (!options)
        options = &defaults;
    if (fcl_cfm_check(options) != FCL_OK) {
        fcl_mistake(graph, "cfm objective: %s", fcl_error());
        return fcl_constant(graph, 0);
    }
    if (shape.rank != 2) {
        fcl_mistake(graph, "cfm objective: x1 is %s, not (batch, size)", fcl_shape_text(graph, shape));
        return fcl_constant(graph, 0);
    }
    fcl_tensor *t = fcl_time_find(options->time)->draw(graph, shape.dim[0]); /* (B, 1) */
    fcl_tensor *eps = options->sigma > 0 ? fcl_normal(graph, shape, FCL_STREAM_TUBE) : NULL;
    fcl_tensor *u;
    fcl_tensor *x = fcl_cfm_point(fcl_path_find(options->path)->kind, x0, x1, t, eps, options->sigma, &u);
    fcl_tensor *v = fcl_velocity_build(velocity, data, x, t); /* (B, D) */
    return fcl_mean(fcl_loss_find(options->loss)->build(v, u));
}
