/* The training objective of conditional flow matching, put together from the tables' rows. */
#include "flow/objective.h"

#include "base/error.h"
#include "base/memory.h"
#include "flow/coupling.h"
#include "graph/graph.h"

#include <flowcl/options.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Path, time law, weight and loss are read by their own files. */
static const fcl_option cfm_table[] = {
    {"coupling", FCL_OPTION(fcl_cfm_options, coupling), .choice = fcl_coupling_name},
    {"prediction", FCL_OPTION(fcl_cfm_options, prediction), .choice = fcl_prediction_name},
    {"time-draw", FCL_OPTION(fcl_cfm_options, time_draw), .choice = fcl_time_draw_name},
    {"time-shift", FCL_OPTION(fcl_cfm_options, time_shift), .minimum = 0.001, .maximum = 1000},
    {"sigma", FCL_OPTION(fcl_cfm_options, sigma), .minimum = 0, .maximum = 100},
    {"least-alpha", FCL_OPTION(fcl_cfm_options, least_alpha), .minimum = 0, .maximum = 0.1},
    {"reg", FCL_OPTION(fcl_cfm_options, reg), .minimum = 0, .maximum = 1e9},
    {"relaxation", FCL_OPTION(fcl_cfm_options, relaxation), .minimum = 0, .maximum = 1e9},
    {"mass", FCL_OPTION(fcl_cfm_options, mass), .minimum = 0, .maximum = 1},
    {"coupling-iterations", FCL_OPTION(fcl_cfm_options, coupling_iterations), .minimum = 0, .maximum = 100000},
    {"coupling-tolerance", FCL_OPTION(fcl_cfm_options, coupling_tolerance), .minimum = 0, .maximum = 1},
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

fcl_tensor *fcl_velocity_build(fcl_velocity velocity, void *data, const fcl_velocity_inputs *in)
{
    fcl_graph *graph = fcl_tensor_graph(in->x);
    fcl_tensor *v = velocity(data, graph, in);
    if (!fcl_shape_equal(fcl_tensor_shape(v), fcl_tensor_shape(in->x)))
        fcl_mistake(graph, "the velocity is %s, but x is %s", fcl_shape_text(graph, fcl_tensor_shape(v)),
                    fcl_shape_text(graph, fcl_tensor_shape(in->x)));
    return v;
}

/* --- reading the options --- */

static int check_together(const fcl_objective *objective)
{
    const fcl_prediction *prediction = objective->prediction;
    if (fcl_path_has_tube(objective->path) && prediction != fcl_prediction_find("v"))
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "the prediction %s needs a path without a tube (sigma 0): the tube's noise does not "
                        "follow from it",
                        prediction->name);
    if (prediction->gaussian && fcl_row_index(fcl_coupling_name, objective->options->coupling) != 0)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "the prediction %s needs the coupling %s, not %s: only there is it a score",
                        prediction->name, fcl_coupling_name(0), objective->options->coupling);
    return fcl_coupling_check(objective->options);
}

static int read_objective(fcl_objective *objective)
{
    const fcl_cfm_options *options = objective->options;
    FCL_TRY(fcl_options_check(cfm_table, options));
    objective->prediction = fcl_prediction_find(options->prediction);
    FCL_TRY(fcl_path_create(options->path, options->sigma, &objective->path));
    fcl_prediction_range(objective->prediction, objective->path, (double)options->least_alpha, &objective->begin,
                         &objective->end);
    FCL_TRY(fcl_loss_read(objective));
    FCL_TRY(fcl_time_read(objective));
    FCL_TRY(fcl_weight_read(objective));
    return check_together(objective);
}

int fcl_objective_create(const fcl_cfm_options *options, fcl_objective **objective)
{
    *objective = fcl_zalloc(sizeof **objective);
    (*objective)->options = options;
    int status = read_objective(*objective);
    if (status != FCL_OK)
        fcl_objective_destroy(objective);
    return status;
}

void fcl_objective_destroy(fcl_objective **objective)
{
    if (!*objective)
        return;
    fcl_path_destroy(&(*objective)->path);
    fcl_expression_destroy(&(*objective)->time);
    fcl_expression_destroy(&(*objective)->weight);
    free(*objective);
    *objective = NULL;
}

int fcl_cfm_check(const fcl_cfm_options *options)
{
    fcl_objective *objective;
    FCL_TRY(fcl_objective_create(options, &objective));
    fcl_objective_destroy(&objective);
    return FCL_OK;
}

int fcl_cfm_check_source(const fcl_cfm_options *options)
{
    fcl_objective *objective;
    FCL_TRY(fcl_objective_create(options, &objective));
    int status = FCL_OK;
    if (fcl_path_needs_gaussian(objective->path))
        status = fcl_fail(FCL_ERR_ARGUMENT, "the path %s is one only from normal noise", options->path);
    else if (objective->prediction->gaussian)
        status = fcl_fail(FCL_ERR_ARGUMENT, "the prediction %s needs normal noise as its source",
                          objective->prediction->name);
    fcl_objective_destroy(&objective);
    return status;
}

/* --- its graph --- */

/* x_t and what the network shall predict there. */
typedef struct point {
    fcl_tensor *x, *wanted; /* (B, D) */
} point;

static fcl_tensor *add_scaled(fcl_tensor *sum, fcl_tensor *a, fcl_tensor *x)
{
    return fcl_add(sum, fcl_mul(a, x));
}

static point velocity_point(const fcl_objective *objective, fcl_path_at at, fcl_tensor *x0, fcl_tensor *x1)
{
    point p = {.x = add_scaled(fcl_mul(at.alpha, x1), at.sigma, x0),
               .wanted = add_scaled(fcl_mul(at.alpha_dot, x1), at.sigma_dot, x0)};
    if (fcl_path_has_tube(objective->path)) {
        fcl_tensor *eps = fcl_normal(fcl_tensor_graph(x1), fcl_tensor_shape(x1), FCL_STREAM_TUBE);
        p.x = add_scaled(p.x, at.tube, eps);
        p.wanted = add_scaled(p.wanted, at.tube_dot, eps);
    }
    return p;
}

static point point_at(const fcl_objective *objective, fcl_path_at at, fcl_tensor *x0, fcl_tensor *x1)
{
    const fcl_prediction *prediction = objective->prediction;
    point p = velocity_point(objective, at, x0, x1);
    if (prediction != fcl_prediction_find("v"))
        p.wanted = add_scaled(fcl_mul(fcl_prediction_build(prediction->of_data, at), x1),
                              fcl_prediction_build(prediction->of_noise, at), x0);
    return p;
}

/* The mean over the batch of the weighted loss. */
static fcl_tensor *build(const fcl_objective *objective, fcl_tensor *x0, fcl_tensor *x1, fcl_velocity network,
                         void *data)
{
    fcl_tensor *t = fcl_time_draw(objective, fcl_tensor_graph(x1), fcl_tensor_shape(x1).dim[0]); /* (B, 1) */
    fcl_path_at at = fcl_path_build(objective->path, t);
    point p = point_at(objective, at, x0, x1);
    fcl_velocity_inputs in = {.x = p.x, .t = t, .training = true};
    fcl_tensor *found = fcl_velocity_build(network, data, &in);
    fcl_tensor *loss = fcl_loss_build(objective, found, p.wanted); /* (B, 1) */
    return fcl_mean(fcl_weight_apply(objective, at, t, loss));
}

fcl_tensor *fcl_cfm_objective(fcl_graph *graph, const fcl_cfm_options *options, fcl_tensor *x1,
                              fcl_velocity network, void *data)
{
    const fcl_coupling *coupling = fcl_coupling_find(options ? options->coupling : NULL);
    if (coupling && coupling->kind != FCL_COUPLING_NONE) {
        fcl_mistake(graph,
                    "cfm objective: the coupling '%s' pairs the rows before the objective sees them (fcl_couple, "
                    "fcl_sinkhorn), which is then fcl_cfm_objective_of",
                    coupling->name);
        return fcl_constant(graph, 0);
    }
    fcl_tensor *x0 = fcl_normal(graph, fcl_tensor_shape(x1), FCL_STREAM_SOURCE);
    return fcl_cfm_objective_of(graph, options, x0, x1, network, data);
}

fcl_tensor *fcl_cfm_objective_of(fcl_graph *graph, const fcl_cfm_options *options, fcl_tensor *x0,
                                 fcl_tensor *x1, fcl_velocity network, void *data)
{
    static const fcl_cfm_options defaults = {0};
    fcl_objective *objective;
    fcl_shape shape = fcl_tensor_shape(x1);
    if (shape.rank != 2) {
        fcl_mistake(graph, "cfm objective: x1 is %s, not (batch, size)", fcl_shape_text(graph, shape));
        return fcl_constant(graph, 0);
    }
    if (fcl_objective_create(options ? options : &defaults, &objective) != FCL_OK) {
        fcl_mistake(graph, "cfm objective: %s", fcl_error());
        return fcl_constant(graph, 0);
    }
    fcl_tensor *loss = build(objective, x0, x1, network, data);
    fcl_objective_destroy(&objective);
    return loss;
}
