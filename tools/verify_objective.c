/* Checks of what a network is trained to: fcl_cfm_objective_of on given pairs of noise and a mixture of
 * Gaussians. The network answers 0, so that the loss's derivative by its answer tells each sample's target.
 */
#include "verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 16384, NUMBERS = ROWS * VERIFY_SIZE, MOST = 64 };

typedef struct objective {
    const char *row, *prediction;
    fcl_path *path;
    double width;
    fcl_tensor *answer, *x, *t, *gradient; /* (ROWS, VERIFY_SIZE), t (ROWS, 1) */
} objective;

typedef struct objectives {
    objective each[MOST];
    int count;
    float noise[NUMBERS], data[NUMBERS];
    float x[NUMBERS], t[ROWS], target[NUMBERS]; /* of one objective */
} objectives;

static fcl_tensor *silent_network(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    objective *to = data;
    (void)graph;
    to->x = fcl_output(in->x);
    to->t = fcl_output(fcl_expand(in->t, FCL_SHAPE(ROWS, 1)));
    return to->answer;
}

/* Each path, in a tube where it can have one; and each other prediction on the default path. */
static int open_all(objectives *all)
{
    for (int i = 0; fcl_path_name(i) && all->count < MOST; i++) {
        objective *to = &all->each[all->count++];
        to->row = fcl_path_name(i);
        to->prediction = "v";
        to->width = VERIFY_WIDTH;
        if (fcl_path_create(to->row, to->width, &to->path) == FCL_OK)
            continue;
        to->width = 0;
        TRY(fcl_path_create(to->row, 0, &to->path));
    }
    for (int i = 0; fcl_prediction_name(i) && all->count < MOST; i++) {
        objective *to = &all->each[all->count];
        to->row = to->prediction = fcl_prediction_name(i);
        if (!strcmp(to->prediction, "v"))
            continue;
        all->count++;
        TRY(fcl_path_create(fcl_path_name(0), 0, &to->path));
    }
    return FCL_OK;
}

static void build(fcl_graph *graph, fcl_tensor *x0, fcl_tensor *x1, objective *to)
{
    fcl_cfm_options options = {.path = to->row, .prediction = to->prediction, .sigma = (float)to->width};
    if (!strcmp(to->row, to->prediction))
        options.path = fcl_path_name(0);
    to->answer = fcl_input(graph, "answer", FCL_F32, FCL_SHAPE(ROWS, VERIFY_SIZE)); /* zeros */
    fcl_tensor *loss = fcl_cfm_objective_of(graph, &options, x0, x1, silent_network, to);
    fcl_vjp(loss, NULL, 1, &to->answer, &to->gradient);
    fcl_output(to->gradient);
}

static int run_all(verification *v, fcl_graph *graph, objectives *all)
{
    fcl_tensor *x0 = fcl_input(graph, "x0", FCL_F32, FCL_SHAPE(ROWS, VERIFY_SIZE));
    fcl_tensor *x1 = fcl_input(graph, "x1", FCL_F32, FCL_SHAPE(ROWS, VERIFY_SIZE));
    for (int i = 0; i < all->count; i++)
        build(graph, x0, x1, &all->each[i]);
    fcl_graph_random(graph, (uint64_t)(verify_uniform(v) * 0x1p52), 0, 0);
    TRY(fcl_graph_compile(graph, verify_device(v), NULL));
    TRY(fcl_tensor_write(x0, all->noise));
    TRY(fcl_tensor_write(x1, all->data));
    return fcl_graph_run(graph);
}

/* The mean over the numbers of (answer - target)^2 at the answer 0 has the derivative -2 target/numbers. */
static int read_one(const objective *to, objectives *all)
{
    TRY(fcl_tensor_read(to->x, all->x));
    TRY(fcl_tensor_read(to->t, all->t));
    TRY(fcl_tensor_read(to->gradient, all->target));
    for (int i = 0; i < NUMBERS; i++)
        all->target[i] *= -NUMBERS / 2.0f;
    return FCL_OK;
}

static int report_in(verification *v, fcl_graph *graph, objectives *all,
                     double (*error)(const objectives *all, const objective *to))
{
    TRY(open_all(all));
    TRY(run_all(v, graph, all));
    for (int i = 0; i < all->count; i++) {
        TRY(read_one(&all->each[i], all));
        TRY(verify_report(v, all->each[i].row, error(all, &all->each[i])));
    }
    return FCL_OK;
}

static int report(verification *v, double (*error)(const objectives *all, const objective *to))
{
    objectives *all = calloc(1, sizeof *all);
    if (!all)
        return FCL_ERR_MEMORY;
    for (int row = 0; row < ROWS; row++) {
        double x[VERIFY_SIZE];
        verify_mixture_draw(v, x);
        for (int i = 0; i < VERIFY_SIZE; i++) {
            all->data[row * VERIFY_SIZE + i] = (float)x[i];
            all->noise[row * VERIFY_SIZE + i] = (float)verify_normal(v);
        }
    }
    fcl_graph *graph = fcl_graph_create();
    int status = report_in(v, graph, all, error);
    fcl_graph_destroy(&graph);
    for (int i = 0; i < all->count; i++)
        fcl_path_destroy(&all->each[i].path);
    free(all);
    return status;
}

/* --- the lines --- */

/* One number of x_t and of its target from those of the pair. Of a tube the noise is what x_t has beyond the
 * others. */
static double pair_error(const objectives *all, const objective *to, int i, const fcl_path_point *at)
{
    double x = all->x[i], size = 1 + fabs(at->alpha_dot) + fabs(at->sigma_dot);
    verify_means means = {{all->data[i]}, {all->noise[i]}, {0}};
    double rest = x - at->alpha * means.data[0] - at->sigma * means.noise[0];
    if (at->tube > 0) {
        means.tube[0] = rest / at->tube;
        size += (fabs(at->tube_dot) + 1) / at->tube;
        rest = 0;
    }
    if (!strcmp(to->prediction, "score"))
        size += 1 / at->sigma;
    double expected = verify_prediction(to->prediction, at, &means, 0);
    return verify_larger(fabs(rest), fabs(all->target[i] - expected) / size);
}

static double point_error(const objectives *all, const objective *to)
{
    double largest = 0;
    for (int i = 0; i < NUMBERS; i++) {
        fcl_path_point at = fcl_path_value(to->path, all->t[i / VERIFY_SIZE]);
        largest = verify_larger(largest, pair_error(all, to, i, &at));
    }
    return largest;
}

int verify_points(verification *v)
{
    return report(v, point_error);
}

/* What is left of the target without its mean given x_t is uncorrelated with every function of x_t and t: the
 * largest sum of products, in its standard errors. Ends, where targets are large, count less. */
static double mean_error(const objectives *all, const objective *to)
{
    enum { FEATURES = 5 };
    double sum[FEATURES * VERIFY_SIZE] = {0}, square[FEATURES * VERIFY_SIZE] = {0}, largest = 0;
    for (int row = 0; row < ROWS; row++) {
        const double x[VERIFY_SIZE] = {all->x[row * VERIFY_SIZE], all->x[row * VERIFY_SIZE + 1]},
                     t = all->t[row];
        const double feature[FEATURES] = {1, t - 0.5, x[0], x[1], sin(2 * x[0]) * cos(2 * x[1])};
        fcl_path_point at = fcl_path_value(to->path, t);
        verify_means means = verify_mixture_means(&at, x);
        for (int k = 0; k < FEATURES * VERIFY_SIZE; k++) {
            int i = k % VERIFY_SIZE;
            double rest =
                all->target[row * VERIFY_SIZE + i] - verify_prediction(to->prediction, &at, &means, i);
            double product = at.alpha * at.sigma * rest * feature[k / VERIFY_SIZE];
            sum[k] += product;
            square[k] += product * product;
        }
    }
    for (int k = 0; k < FEATURES * VERIFY_SIZE; k++)
        largest = verify_larger(largest, fabs(sum[k]) / sqrt(square[k]));
    return largest;
}

int verify_mean_targets(verification *v)
{
    return report(v, mean_error);
}
