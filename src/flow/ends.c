/* The ends of a solve. With x = alpha x1^ + S n^, S^2 = sigma^2 + tube^2 and n^ the noise in units of S, the
 * velocity is v = alpha' x1^ + S' n^, and so it gives both:
 *
 *     x1^ = (S v - S' x)/(alpha' S - S' alpha),   n^ = (alpha' x - alpha v)/(alpha' S - S' alpha)
 *
 * At the time s, with these held, x is alpha(s) x1^ + S(s) n^: at the data x1^, at the noise n^. */
#include "flow/ends.h"

#include "base/error.h"
#include "flow/objective.h"

#include <math.h>

static double noise_of(fcl_path_point at)
{
    return hypot(at.sigma, at.tube);
}

static bool is_noiseless(const fcl_path *path, double t)
{
    return noise_of(fcl_path_unclamped(path, t)) <= FCL_PREDICTION_SIGMA;
}

/* Along a straight path a solver's own step ends where x1^ is. */
static bool is_straight(const fcl_path *path)
{
    enum { CELLS = 8 };
    fcl_path_point middle = fcl_path_value(path, 0.5);
    for (int i = 0; i <= CELLS; i++) {
        fcl_path_point at = fcl_path_value(path, (double)i / CELLS);
        if (fabs(at.alpha_dot - middle.alpha_dot) > 1e-9 || fabs(at.sigma_dot - middle.sigma_dot) > 1e-9)
            return false;
    }
    return true;
}

/* Whether a solve that could ask at the data ends on x1^ all the same: where its own last step does not,
 * where its error estimate stands on the data, or where its careful last step leaves an evaluation over. */
static bool ends_on_data(const fcl_tableau *tableau, const fcl_path *path)
{
    const fcl_tableau *careful = tableau->careful ? fcl_tableau_find(tableau->careful) : tableau;
    return noise_of(fcl_path_unclamped(path, 1)) < 1e-6 &&
           (!is_straight(path) || tableau->b_error || (!tableau->adams && careful->stages < tableau->stages));
}

/* What is moved is a number of single precision, as the device's times are. */
static double inside(double t, double begin, double end)
{
    return t < begin ? (double)(float)begin : t > end ? (double)(float)end : t;
}

void fcl_ends_find(const fcl_solver_options *options, const fcl_tableau *tableau,
                   const fcl_predictor *predictor, fcl_ends *ends)
{
    const double from = options->t_begin, to = options->t_end;
    double begin, end;
    *ends = (fcl_ends){.first = from, .last = to};
    if (!predictor)
        return;
    const fcl_path *path = fcl_predictor_path(predictor);
    ends->path = fcl_path_keep(path);
    fcl_predictor_range(predictor, &begin, &end);
    if (to > from && end == 1 && ends_on_data(tableau, path))
        end = 1 - fcl_predictor_end(predictor);
    ends->first = inside(from, begin, end);
    ends->last = inside(to, begin, end);
    ends->careful_first = tableau->noise && from > to && is_noiseless(path, from);
    ends->careful_last = ends->last != to || is_noiseless(path, to);
}

/* Of what lies beyond the first time one part is known: near the noise alpha x1 is not, near the data S n. */
static void entering_slope(const fcl_path *path, const double *now, double *of_v, double *of_x)
{
    fcl_path_point from = fcl_path_unclamped(path, now[0]), to = fcl_path_unclamped(path, now[1]);
    bool noise = now[0] < now[1];
    double grows = noise ? noise_of(to) / noise_of(from) : to.alpha / from.alpha;
    *of_v = 0;
    *of_x = log(grows) / (now[1] - now[0]);
}

static void arriving_slope(const fcl_path *path, const double *now, double *of_v, double *of_x)
{
    fcl_path_point from = fcl_path_value(path, now[0]),
                   to = fcl_path_unclamped(path, fmin(fmax(now[1], 0), 1));
    double s = noise_of(from), s_dot = (from.sigma * from.sigma_dot + from.tube * from.tube_dot) / s;
    double s_to = noise_of(to), cross = from.alpha_dot * s - s_dot * from.alpha, h = now[1] - now[0];
    *of_v = (to.alpha * s - s_to * from.alpha) / cross / h;
    *of_x = ((from.alpha_dot * s_to - s_dot * to.alpha) / cross - 1) / h;
}

void fcl_ends_slope(const fcl_ends *ends, fcl_crossing crossing, const double *now, double *of_v,
                    double *of_x)
{
    if (crossing == FCL_ENTERING)
        entering_slope(ends->path, now, of_v, of_x);
    else
        arriving_slope(ends->path, now, of_v, of_x);
}
