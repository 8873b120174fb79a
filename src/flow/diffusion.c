/* Stochastic solvers: the SDE with the flow's marginals,
 *
 *     dx = (v + w s) dt + sqrt(2 w) dW,   s the score of p_t, any w(t) >= 0
 *
 * (Anderson 1982; Song et al. 2021; Ma et al. 2024). The path gives the score: x_t = alpha x1 + n with a
 * Gaussian n of variance N = sigma^2 + tube^2, independent of x1, so that s = -E[n | x]/N, while
 * v = alpha' E[x1 | x] + (N'/2)/N E[n | x]:
 *
 *     s = (alpha v - alpha' x) / (alpha' N - alpha N'/2)
 *
 * So a stage of a step of size h has the slope  a v + b x + c xi  with numbers that the host knows, and
 * normal xi, the same at all stages of a step: h c xi is sqrt(2 w) dW. */
#include "flow/diffusion.h"

#include "base/error.h"
#include "base/expression.h"
#include "base/memory.h"

#include <math.h>

struct fcl_diffusion {
    fcl_expression *w; /* in t, alpha, sigma */
    fcl_path *path;
    double from, until; /* times at which v is that of the path */
    double sign;        /* of the direction: going back, the score pulls the other way */
};

int fcl_diffusion_parse(const char *w, fcl_expression **expression)
{
    static const char *const variables[] = {"t", "alpha", "sigma", NULL};
    int status = fcl_expression_parse(w ? w : "sigma", variables, NULL, expression);
    return status == FCL_OK ? FCL_OK : fcl_fail_within(status, "w");
}

bool fcl_diffusion_is_off(const char *w)
{
    fcl_expression *expression;
    if (fcl_diffusion_parse(w, &expression) != FCL_OK)
        return false;
    const fcl_term *root = fcl_expression_root(expression);
    bool off = root->op == FCL_EXPRESSION_NUMBER && root->number == 0;
    fcl_expression_destroy(&expression);
    return off;
}

static double w_at(const fcl_diffusion *diffusion, double t)
{
    fcl_path_point p = fcl_path_value(diffusion->path, t);
    return fcl_expression_value(diffusion->w, (const double[]){t, p.alpha, p.sigma});
}

/* --- the numbers of a stage --- */

/* s = of_v v + of_x x. */
static void score_at(const fcl_diffusion *diffusion, double t, double *of_v, double *of_x)
{
    fcl_path_point p = fcl_path_value(diffusion->path, t);
    double variance = p.sigma * p.sigma + p.tube * p.tube;
    double denominator = p.alpha_dot * variance - p.alpha * (p.sigma * p.sigma_dot + p.tube * p.tube_dot);
    *of_v = p.alpha / denominator;
    *of_x = -p.alpha_dot / denominator;
}

static double clamped(const fcl_diffusion *diffusion, double t)
{
    return fmin(fmax(t, diffusion->from), diffusion->until);
}

/* How steep the score is; NaN becomes infinite. */
static double steepness(const fcl_diffusion *diffusion, double t)
{
    double of_v, of_x;
    score_at(diffusion, t, &of_v, &of_x);
    double steep = fmax(fabs(of_v), fabs(of_x));
    return isfinite(of_v) && isfinite(of_x) ? steep : INFINITY;
}

double fcl_diffusion_time(const fcl_diffusion *diffusion, const double *now, double t)
{
    double here = clamped(diffusion, t), step = fabs(now[1] - now[0]);
    double there = clamped(diffusion, fabs(t - now[0]) < fabs(t - now[1]) ? now[1] : now[0]);
    if (w_at(diffusion, t) == 0) /* the score is not asked for */
        return t;
    double steep = steepness(diffusion, here);
    return steep * step > 2 && steepness(diffusion, there) < steep ? there : here;
}

/* A larger w than N/h overshoots: the score of a single point, -n/N, would carry n beyond it by h w/N > 1. */
static double w_of_step(const fcl_diffusion *diffusion, double t, double h)
{
    double w = w_at(diffusion, t);
    fcl_path_point p = fcl_path_value(diffusion->path, t);
    return isfinite(w) ? fmin(w, (p.sigma * p.sigma + p.tube * p.tube) / fabs(h)) : w;
}

void fcl_diffusion_numbers(const fcl_diffusion *diffusion, double t, double h, float *numbers)
{
    double w = w_of_step(diffusion, t, h), of_v = 0, of_x = 0;
    if (w > 0)
        score_at(diffusion, t, &of_v, &of_x);
    numbers[0] = (float)(1 + diffusion->sign * w * of_v);
    numbers[1] = (float)(diffusion->sign * w * of_x);
    numbers[2] = (float)sqrt(2 * w / fabs(h));
}

/* --- creating --- */

static int check_w(const fcl_diffusion *diffusion, const char *text)
{
    enum { CELLS = 1000 };
    for (int i = 1; i < CELLS; i++) {
        double t = (double)i / CELLS, w = w_at(diffusion, t);
        if (!(w >= 0) || !isfinite(w))
            return fcl_fail(FCL_ERR_ARGUMENT,
                            "w = \"%.200s\" is %g at t = %g: the noise of an SDE has a finite w(t) >= 0",
                            text ? text : "sigma", w, t);
    }
    return FCL_OK;
}

/* At the times that a solve along this grid asks for. */
static int check_grid(const fcl_diffusion *diffusion, const char *text, const double *grid, int steps)
{
    for (int i = 0; i < 2 * steps; i++) {
        const double *now = grid + i / 2;
        double t = fcl_diffusion_time(diffusion, now, now[i % 2]);
        float numbers[FCL_DIFFUSION_NUMBERS];
        fcl_diffusion_numbers(diffusion, t, now[1] - now[0], numbers);
        if (!isfinite(numbers[0]) || !isfinite(numbers[1]) || !isfinite(numbers[2]))
            return fcl_fail(
                FCL_ERR_ARGUMENT,
                "w = \"%.200s\" is %g at t = %g, and the score there is v times %g and x times %g: not "
                "finite; take another w, or smaller steps",
                text ? text : "sigma", w_at(diffusion, t), t, (double)numbers[0], (double)numbers[1]);
    }
    return FCL_OK;
}

static int fill(fcl_diffusion *diffusion, const fcl_solver_options *options, const double *grid, int steps)
{
    if (fmin(options->t_begin, options->t_end) < 0 || fmax(options->t_begin, options->t_end) > 1)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "an SDE goes along a path, whose times are from 0 to 1, not %g to %g",
                        options->t_begin, options->t_end);
    diffusion->from = options->v_from;
    diffusion->until = options->v_until > 0 ? options->v_until : 1;
    diffusion->sign = options->t_end > options->t_begin ? 1 : -1;
    FCL_TRY(fcl_path_create(options->path, options->path_width, &diffusion->path));
    FCL_TRY(fcl_diffusion_parse(options->w, &diffusion->w));
    FCL_TRY(check_w(diffusion, options->w));
    return check_grid(diffusion, options->w, grid, steps);
}

int fcl_diffusion_create(const fcl_solver_options *options, const double *grid, int steps,
                         fcl_diffusion **diffusion)
{
    *diffusion = fcl_zalloc(sizeof **diffusion);
    int status = fill(*diffusion, options, grid, steps);
    if (status != FCL_OK)
        fcl_diffusion_destroy(diffusion);
    return status;
}

void fcl_diffusion_destroy(fcl_diffusion **diffusion)
{
    if (!*diffusion)
        return;
    fcl_expression_destroy(&(*diffusion)->w);
    fcl_path_destroy(&(*diffusion)->path);
    fcl_free(*diffusion);
    *diffusion = NULL;
}
