/* Checks of what a network predicts: a perfect one, in closed form, has to move samples with the exact
 * velocity. */
#include "verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 256, NUMBERS = ROWS * VERIFY_SIZE };

/* Where a predictor is converted as it is: it divides by these. Nearer to the ends times are cut. */
static bool is_inside(const fcl_path_point *at, double least)
{
    return at->alpha >= least && at->sigma >= least;
}

/* --- predictions in closed form, converted --- */

/* One conversion in the graph, and what goes in. */
typedef struct conversion {
    const char *prediction;
    int path_index;
    fcl_path *path;
    fcl_predictor *predictor;
    fcl_tensor *predicted, *velocity; /* (ROWS, VERIFY_SIZE) */
    double expected[NUMBERS];
    float number[NUMBERS];
} conversion;

typedef struct conversions {
    int count;
    conversion *each;
    float x[NUMBERS], t[ROWS];
} conversions;

static fcl_tensor *perfect_network(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    conversion *to = data;
    return to->predicted = fcl_input(graph, "prediction", FCL_F32, fcl_tensor_shape(in->x));
}

static int open_conversions(conversions *all)
{
    int paths = 0, predictions = 0;
    while (fcl_path_name(paths))
        paths++;
    while (fcl_prediction_name(predictions))
        predictions++;
    all->each = calloc((size_t)paths * (size_t)predictions, sizeof *all->each);
    if (!all->each)
        return FCL_ERR_MEMORY;
    for (int i = 0; i < paths * predictions; i++) {
        conversion *to = &all->each[all->count];
        to->prediction = fcl_prediction_name(i / paths);
        to->path_index = i % paths;
        if (verify_path_open_plain(to->path_index, &to->path) != FCL_OK)
            continue; /* it has a tube always: no conversion */
        all->count++;
        TRY(fcl_predictor_create(to->prediction, to->path, NULL, perfect_network, to, &to->predictor));
    }
    return FCL_OK;
}

static void close_conversions(conversions *all)
{
    for (int i = 0; i < all->count; i++) {
        fcl_predictor_destroy(&all->each[i].predictor);
        fcl_path_destroy(&all->each[i].path);
    }
    free(all->each);
}

static void predict(const conversions *all, conversion *to)
{
    for (int row = 0; row < ROWS; row++) {
        const double x[VERIFY_SIZE] = {all->x[row * VERIFY_SIZE], all->x[row * VERIFY_SIZE + 1]};
        fcl_path_point at = fcl_path_value(to->path, all->t[row]);
        verify_means means = verify_mixture_means(&at, x);
        for (int i = 0; i < VERIFY_SIZE; i++) {
            to->number[row * VERIFY_SIZE + i] = (float)verify_prediction(to->prediction, &at, &means, i);
            to->expected[row * VERIFY_SIZE + i] = verify_prediction("v", &at, &means, i);
        }
    }
}

static double conversion_error(const conversions *all, const conversion *to, const float *found)
{
    double largest = 0;
    for (int i = 0; i < NUMBERS; i++) {
        fcl_path_point at = fcl_path_value(to->path, all->t[i / VERIFY_SIZE]);
        double error = fabs(found[i] - to->expected[i]) / (1 + fabs(to->expected[i]));
        if (is_inside(&at, 0.02))
            largest = verify_larger(largest, error);
    }
    return largest;
}

/* A line a prediction: the largest error on all paths. */
static int report_conversions(verification *v, const conversions *all)
{
    float found[NUMBERS];
    double largest = 0;
    int worst = 0;
    for (int i = 0; i < all->count; i++) {
        const conversion *to = &all->each[i];
        TRY(fcl_tensor_read(to->velocity, found));
        double error = conversion_error(all, to, found);
        worst = error <= largest ? worst : to->path_index;
        largest = verify_larger(largest, error);
        if (i + 1 < all->count && !strcmp(to->prediction, all->each[i + 1].prediction))
            continue;
        TRY(verify_remark(v, to->prediction, largest, "on %s", fcl_path_name(worst)));
        largest = 0;
    }
    return FCL_OK;
}

static int convert_in(verification *v, fcl_graph *graph, conversions *all)
{
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(ROWS, VERIFY_SIZE));
    fcl_tensor *t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(ROWS, 1));
    fcl_velocity_inputs in = {.x = x, .t = t};
    for (int i = 0; i < all->count; i++)
        all->each[i].velocity = fcl_output(fcl_predictor_velocity(all->each[i].predictor, graph, &in));
    TRY(fcl_graph_compile(graph, verify_device(v), NULL));
    TRY(fcl_tensor_write(x, all->x));
    TRY(fcl_tensor_write(t, all->t));
    for (int i = 0; i < all->count; i++) {
        predict(all, &all->each[i]);
        TRY(fcl_tensor_write(all->each[i].predicted, all->each[i].number));
    }
    TRY(fcl_graph_run(graph));
    return report_conversions(v, all);
}

int verify_predictions(verification *v)
{
    conversions all = {0};
    for (int i = 0; i < ROWS; i++)
        all.t[i] = (float)verify_uniform(v);
    for (int i = 0; i < NUMBERS; i++)
        all.x[i] = (float)(1.5 * verify_normal(v));
    fcl_graph *graph = fcl_graph_create();
    int status = open_conversions(&all);
    if (status == FCL_OK)
        status = convert_in(v, graph, &all);
    fcl_graph_destroy(&graph);
    close_conversions(&all);
    return status;
}

/* --- a network of one path sampled along another ---
 * The network is the exact velocity of N(0, I) to N(m, c^2) in the graph:
 *     v = alpha' m + (alpha' alpha c^2 + sigma' sigma)/(alpha^2 c^2 + sigma^2) (x - alpha m) */

static const double mean = 1.25, deviation = 0.6;

static fcl_tensor *gaussian(void *path, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    const float m = (float)mean, c2 = (float)(deviation * deviation);
    fcl_path_at at = fcl_path_build(path, in->t);
    fcl_tensor *above =
        fcl_add(fcl_scale(fcl_mul(at.alpha_dot, at.alpha), c2), fcl_mul(at.sigma_dot, at.sigma));
    fcl_tensor *below = fcl_add(fcl_scale(fcl_square(at.alpha), c2), fcl_square(at.sigma));
    fcl_tensor *rest = fcl_sub(in->x, fcl_scale(at.alpha, m));
    (void)graph;
    return fcl_add(fcl_mul(fcl_div(above, below), rest), fcl_scale(at.alpha_dot, m));
}

static double gaussian_velocity(const fcl_path_point *at, double x)
{
    double c2 = deviation * deviation, below = at->alpha * at->alpha * c2 + at->sigma * at->sigma;
    double above = at->alpha_dot * at->alpha * c2 + at->sigma_dot * at->sigma;
    return at->alpha_dot * mean + above / below * (x - at->alpha * mean);
}

/* Trained on the default path and sampled along another one, and the other way round. */
typedef struct change {
    fcl_path *path[2]; /* trained, sampled */
    fcl_predictor *predictor;
    fcl_tensor *velocity;
} change;

static int open_change(int index, bool turned, change *to)
{
    TRY(verify_path_open_plain(turned ? index : 0, &to->path[0]));
    TRY(verify_path_open_plain(turned ? 0 : index, &to->path[1]));
    return fcl_predictor_create("v", to->path[0], to->path[1], gaussian, to->path[0], &to->predictor);
}

static double change_error(const change *to, const float *x, const float *t, const float *found)
{
    double largest = 0;
    for (int i = 0; i < NUMBERS; i++) {
        fcl_path_point at = fcl_path_value(to->path[1], t[i / VERIFY_SIZE]);
        double expected = gaussian_velocity(&at, x[i]);
        if (is_inside(&at, 0.05))
            largest = verify_larger(largest, fabs(found[i] - expected) / (1 + fabs(expected)));
    }
    return largest;
}

static int change_in(verification *v, fcl_graph *graph, change *all, int count, const int *path)
{
    float x[NUMBERS], t[ROWS], found[NUMBERS];
    for (int i = 0; i < ROWS; i++)
        t[i] = (float)verify_uniform(v);
    for (int i = 0; i < NUMBERS; i++)
        x[i] = (float)(1.5 * verify_normal(v));
    fcl_tensor *at_x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(ROWS, VERIFY_SIZE));
    fcl_tensor *at_t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(ROWS, 1));
    fcl_velocity_inputs in = {.x = at_x, .t = at_t};
    for (int i = 0; i < count; i++)
        all[i].velocity = fcl_output(fcl_predictor_velocity(all[i].predictor, graph, &in));
    TRY(fcl_graph_compile(graph, verify_device(v), NULL));
    TRY(fcl_tensor_write(at_x, x));
    TRY(fcl_tensor_write(at_t, t));
    TRY(fcl_graph_run(graph));
    for (int i = 0; i < count; i += 2) {
        double error[2];
        for (int turned = 0; turned < 2; turned++) {
            TRY(fcl_tensor_read(all[i + turned].velocity, found));
            error[turned] = change_error(&all[i + turned], x, t, found);
        }
        TRY(verify_remark(v, fcl_path_name(path[i / 2]), verify_larger(error[0], error[1]),
                          "from %s, and back", fcl_path_name(0)));
    }
    return FCL_OK;
}

int verify_changed_paths(verification *v)
{
    enum { MOST = 64 };
    change all[2 * MOST] = {0};
    int path[MOST], count = 0, status = FCL_OK;
    for (int i = 1; fcl_path_name(i) && count < MOST; i++) {
        fcl_path *plain;
        if (verify_path_open_plain(i, &plain) != FCL_OK)
            continue; /* it has a tube always */
        fcl_path_destroy(&plain);
        path[count++] = i;
    }
    for (int i = 0; i < 2 * count && status == FCL_OK; i++)
        status = open_change(path[i / 2], i % 2, &all[i]);
    fcl_graph *graph = fcl_graph_create();
    if (status == FCL_OK)
        status = change_in(v, graph, all, 2 * count, path);
    fcl_graph_destroy(&graph);
    for (int i = 0; i < 2 * count; i++) {
        fcl_predictor_destroy(&all[i].predictor);
        fcl_path_destroy(&all[i].path[0]);
        fcl_path_destroy(&all[i].path[1]);
    }
    return status;
}

/* --- the end of a solve ---
 * Where the data is one point m, x - alpha m is all noise, and no prediction tells any of it at the data. */

typedef struct point {
    const char *prediction;
    fcl_path *path;
} point;

static fcl_tensor *point_network(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    const point *to = data;
    fcl_path_at at = fcl_path_build(to->path, in->t);
    fcl_tensor *m = fcl_constant(graph, (float)mean);
    fcl_tensor *noise = fcl_div(fcl_sub(in->x, fcl_mul(at.alpha, m)), at.sigma);
    if (!strcmp(to->prediction, "v"))
        return fcl_add(fcl_mul(at.alpha_dot, m), fcl_mul(at.sigma_dot, noise));
    if (!strcmp(to->prediction, "x1"))
        return fcl_add(fcl_scale(in->x, 0), m);
    return !strcmp(to->prediction, "eps") ? noise : fcl_neg(fcl_div(noise, at.sigma));
}

/* How far from the point the farthest sample ends. */
static int end_on_point(verification *v, point *to, double *error)
{
    float x[NUMBERS];
    fcl_predictor *predictor;
    fcl_solver *solver;
    const fcl_solver_options options = {.solver = "heun2", .steps = 20};
    TRY(fcl_predictor_create(to->prediction, to->path, NULL, point_network, to, &predictor));
    int status = fcl_solver_create(verify_device(v), fcl_predictor_velocity, predictor, &options, ROWS,
                                   VERIFY_SIZE, &solver);
    fcl_predictor_destroy(&predictor);
    for (int i = 0; i < NUMBERS; i++)
        x[i] = (float)verify_normal(v);
    if (status == FCL_OK)
        status = fcl_solver_run(solver, x, x, NULL);
    *error = 0;
    for (int i = 0; i < NUMBERS; i++)
        *error = verify_larger(*error, fabs(x[i] - mean));
    fcl_solver_destroy(&solver);
    return status;
}

int verify_ends(verification *v)
{
    static const char *const paths[] = {"linear", "cosine", "linear-vp"};
    for (int k = 0; fcl_prediction_name(k); k++) {
        double largest = 0, error;
        const char *worst = paths[0];
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
            point to = {.prediction = fcl_prediction_name(k)};
            TRY(fcl_path_create(paths[i], 0, &to.path));
            int status = end_on_point(v, &to, &error);
            fcl_path_destroy(&to.path);
            TRY(status);
            worst = error <= largest ? worst : paths[i];
            largest = verify_larger(largest, error);
        }
        TRY(verify_remark(v, fcl_prediction_name(k), largest, "on %s", worst));
    }
    return FCL_OK;
}
