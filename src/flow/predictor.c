/* A network as a velocity: its prediction converted, and its path changed for another one. */
#include "flow/ends.h"
#include "flow/objective.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/expression.h"
#include "graph/graph.h"

#include <math.h>
#include <stdlib.h>

/* What changes the path, at equal steps of the time s between the sampled path's ends. */
enum { TIME, INVERSE_SCALE, GROWTH, SHARE_SPEED, COLUMNS }; /* t, 1/k, A'/A, share' */
enum { ROWS = 4097 };

struct fcl_predictor {
    const fcl_prediction *prediction;
    const fcl_path *trained, *sampled;
    fcl_velocity network;
    void *data;
    double begin, end;       /* times at which the network is asked */
    fcl_tensor *of_v, *of_x; /* see fcl_predictor_cross */
    float *table;            /* (ROWS, COLUMNS); NULL: the path is not changed */
    fcl_graph *graph;        /* the tensor below belongs to it */
    fcl_tensor *curve;       /* the table in it */
};

/* The path's time with that share of data. A share that it does not have, as lipman's ends short of 1, is
 * taken as its end. */
static double time_of_share(const fcl_path *path, double share)
{
    double below = 0, above = 1, slope, middle = 0.5;
    for (int i = 0; i < 60; i++) {
        middle = (below + above) / 2;
        *(fcl_path_share(path, middle, &slope) < share ? &below : &above) = middle;
    }
    return fmin(fmax(middle, 1e-12), 1 - 1e-12);
}

static bool has_share(const fcl_path *path, double share)
{
    const double rounding = 1e-9;
    double slope;
    return share >= fcl_path_share(path, 0, &slope) - rounding &&
           share <= fcl_path_share(path, 1, &slope) + rounding;
}

/* k is S/sigma and A/alpha at once, and so (A + S)/(alpha + sigma), which is regular at both ends. At a time
 * that stands for shares beyond it, it is the one that is right at that end. */
static void fill_row(const fcl_predictor *predictor, double s, float *row)
{
    double share_dot, slope;
    fcl_path_point to = fcl_path_value(predictor->sampled, s);
    double share = fcl_path_share(predictor->sampled, s, &share_dot);
    double t = time_of_share(predictor->trained, share);
    fcl_path_share(predictor->trained, t, &slope);
    bool moves = has_share(predictor->trained, share) && share_dot / slope > 0;
    fcl_path_point from = fcl_path_unclamped(predictor->trained, t);
    double weight_data = moves || t > 0.5, weight_noise = moves || t < 0.5;
    double above = weight_data * to.alpha + weight_noise * to.sigma;
    double under = weight_data * from.alpha + weight_noise * from.sigma;
    row[TIME] = (float)t;
    row[INVERSE_SCALE] = (float)(under / above);
    row[GROWTH] = (float)((weight_data * to.alpha_dot + weight_noise * to.sigma_dot) / above);
    row[SHARE_SPEED] = moves ? (float)share_dot : 0;
}

/* Where the trained path sets out so slowly that t' has no bound (t^2), the network's error would be multiplied
 * by it: the end's row asks half a row further in. `inwards` is half a row, with its sign. */
static void settle_end(const fcl_predictor *predictor, double s, double inwards, float *row)
{
    double at_end, further, speed;
    double t = time_of_share(predictor->trained, fcl_path_share(predictor->sampled, s + inwards, &speed));
    fcl_path_share(predictor->trained, (double)row[TIME], &at_end);
    fcl_path_share(predictor->trained, t, &further);
    if (at_end < further / 2)
        row[TIME] = (float)t;
}

/* `format` takes the width of the path's tube, a formula. */
__attribute__((format(printf, 2, 0))) static int fail_tube(const fcl_path *path, const char *format)
{
    char *width = fcl_path_formula(path, "tube");
    int status = fcl_fail(FCL_ERR_ARGUMENT, format, width);
    fcl_free(width);
    return status;
}

static int check(const fcl_predictor *predictor)
{
    bool converts = predictor->prediction != fcl_prediction_find(NULL);
    if (fcl_path_has_tube(predictor->trained) && (converts || predictor->sampled))
        return fail_tube(predictor->trained, "the network was trained on a path with a tube, %s wide: it has a "
                                             "velocity, and that of this path only");
    if (predictor->sampled && fcl_path_has_tube(predictor->sampled))
        return fail_tube(predictor->sampled, "the path to sample along has a tube, %s wide: only paths without "
                                             "one can be sampled along instead of the training's");
    return FCL_OK;
}

/* The times of the table's ends, in single precision as a solver's are. */
static void table_range(const fcl_predictor *predictor, double *begin, double *end)
{
    fcl_path_range(predictor->sampled, begin, end);
    *begin = (double)(float)*begin;
    *end = (double)(float)*end;
}

static void fill_table(fcl_predictor *predictor)
{
    double begin, end;
    table_range(predictor, &begin, &end);
    const double step = (end - begin) / (ROWS - 1);
    float *table = predictor->table = fcl_zalloc(sizeof(float) * ROWS * COLUMNS);
    for (int i = 0; i < ROWS; i++)
        fill_row(predictor, begin + step * i, table + i * COLUMNS);
    settle_end(predictor, begin, step / 2, table);
    settle_end(predictor, end, -step / 2, table + (ROWS - 1) * COLUMNS);
}

int fcl_predictor_create(const char *prediction, const fcl_path *trained, const fcl_path *sampled,
                         fcl_velocity network, void *data, fcl_predictor **predictor)
{
    fcl_predictor made = {.prediction = fcl_prediction_find(prediction),
                          .trained = trained,
                          .sampled = sampled,
                          .network = network,
                          .data = data};
    *predictor = NULL;
    if (!made.prediction)
        return fcl_fail(FCL_ERR_ARGUMENT, "there is no prediction \"%.80s\"", prediction);
    FCL_TRY(check(&made));
    fcl_prediction_range(made.prediction, trained, 0, &made.begin, &made.end);
    if (sampled)
        fill_table(&made);
    *predictor = fcl_zalloc(sizeof made);
    **predictor = made;
    return FCL_OK;
}

void fcl_predictor_destroy(fcl_predictor **predictor)
{
    if (!*predictor)
        return;
    free((*predictor)->table);
    free(*predictor);
    *predictor = NULL;
}

void fcl_predictor_range(const fcl_predictor *predictor, double *begin, double *end)
{
    double slope;
    *begin = predictor->begin;
    *end = predictor->end;
    if (!predictor->sampled)
        return;
    fcl_path_range(predictor->sampled, begin, end);
    if (predictor->begin > 0)
        *begin = fmax(*begin, time_of_share(predictor->sampled,
                                            fcl_path_share(predictor->trained, predictor->begin, &slope)));
    if (predictor->end < 1)
        *end = fmin(*end, time_of_share(predictor->sampled,
                                        fcl_path_share(predictor->trained, predictor->end, &slope)));
}

void fcl_predictor_trained_from(fcl_predictor *predictor, double least_alpha)
{
    fcl_prediction_range(predictor->prediction, predictor->trained, least_alpha, &predictor->begin,
                         &predictor->end);
}

void fcl_predictor_narrow(fcl_predictor *predictor, double begin, double end)
{
    predictor->begin = fmax(predictor->begin, begin);
    predictor->end = fmin(predictor->end, end);
}

const fcl_path *fcl_predictor_path(const fcl_predictor *predictor)
{
    return predictor->sampled ? predictor->sampled : predictor->trained;
}

/* Along another path the network's time is rounded apart from the solver's: farther off that is less of sigma. */
double fcl_predictor_end(const fcl_predictor *predictor)
{
    return predictor->sampled ? 10 * FCL_PATH_END : FCL_PATH_END;
}

fcl_predictor *fcl_predictor_within(fcl_velocity velocity, void *data)
{
    while (velocity == fcl_energy_velocity || velocity == fcl_likelihood_velocity) {
        const fcl_energy_flow *of = data;
        velocity = of->velocity;
        data = of->data;
    }
    return velocity == fcl_predictor_velocity ? data : NULL;
}

void fcl_predictor_cross(fcl_predictor *predictor, fcl_tensor *of_v, fcl_tensor *of_x)
{
    predictor->of_v = of_v;
    predictor->of_x = of_x;
}

/* --- in a graph --- */

/* v of the trained path, at a time that the network is asked at. */
static fcl_tensor *convert(const fcl_predictor *predictor, fcl_velocity_inputs in)
{
    const fcl_prediction *prediction = predictor->prediction;
    fcl_tensor *predicted = fcl_velocity_build(predictor->network, predictor->data, &in);
    if (prediction == fcl_prediction_find(NULL))
        return predicted;
    fcl_path_at at = fcl_path_build(predictor->trained, in.t);
    fcl_tensor *p = fcl_prediction_build(prediction->p, at), *q = fcl_prediction_build(prediction->q, at);
    return fcl_add(fcl_mul(in.x, p), fcl_mul(predicted, q));
}

static fcl_tensor *column(fcl_tensor *row, int index)
{
    return fcl_slice(row, 1, index, index + 1); /* (B, 1) */
}

/* k'/k and k t' from a row of the table. The slopes of the trained path are those at the time t itself that the
 * network is asked at, between two rows too: where t' has no bound, v vanishes with its inverse. */
static void changed_speeds(const fcl_predictor *to, fcl_tensor *row, fcl_tensor *t, fcl_tensor **growth,
                           fcl_tensor **speed)
{
    const float least = 1e-12f;
    fcl_path_at from = fcl_path_build(to->trained, t);
    fcl_tensor *under = fcl_add(from.alpha, from.sigma);
    fcl_tensor *turn = fcl_sub(fcl_mul(from.alpha_dot, from.sigma), fcl_mul(from.sigma_dot, from.alpha));
    fcl_tensor *slope = fcl_max(fcl_div(turn, fcl_square(under)), fcl_constant(fcl_tensor_graph(t), least));
    fcl_tensor *t_dot = fcl_div(column(row, SHARE_SPEED), slope);
    fcl_tensor *under_dot = fcl_add(from.alpha_dot, from.sigma_dot);
    *growth = fcl_sub(column(row, GROWTH), fcl_mul(fcl_div(under_dot, under), t_dot));
    *speed = fcl_div(t_dot, column(row, INVERSE_SCALE));
}

/* v of the path that is sampled along. */
static fcl_tensor *velocity(fcl_predictor *to, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    double begin, end;
    fcl_velocity_inputs of = *in;
    if (!to->sampled) {
        of.t = fcl_time_clamp(in->t, to->begin, to->end);
        return convert(to, of);
    }
    if (to->graph != graph) { /* a solver asks once a stage */
        to->graph = graph;
        to->curve = fcl_input_filled(graph, "path", FCL_SHAPE(ROWS, COLUMNS), to->table);
    }
    table_range(to, &begin, &end);
    const double rounding = 2e-7; /* the last time is the last row, not a little before it */
    fcl_tensor *place = fcl_scale(fcl_shift(in->t, (float)-begin), (float)((1 + rounding) / (end - begin)));
    fcl_tensor *row = fcl_interpolate(to->curve, place); /* (B, COLUMNS) */
    fcl_tensor *growth, *speed;
    of.x = fcl_mul(in->x, column(row, INVERSE_SCALE));
    of.t = fcl_time_clamp(column(row, TIME), to->begin, to->end);
    changed_speeds(to, row, of.t, &growth, &speed);
    return fcl_add(fcl_mul(in->x, growth), fcl_mul(convert(to, of), speed));
}

fcl_tensor *fcl_predictor_velocity(void *predictor, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    fcl_predictor *to = predictor;
    if (in->r)
        fcl_mistake(graph, "a prediction is converted at one time: it takes no second time r");
    if (!to->of_x)
        return velocity(to, graph, in);
    fcl_tensor *of_x = fcl_mul(to->of_x, in->x);
    return to->of_v ? fcl_add(fcl_mul(to->of_v, velocity(to, graph, in)), of_x) : of_x;
}
