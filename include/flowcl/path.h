/* flowcl/path.h: paths between noise and data, and what a network may predict on them.
 *
 * A path is x_t = alpha(t) x1 + sigma(t) x0 + tube(t) eps with data x1, noise x0 and further noise eps; t = 0
 * is noise, t = 1 is data. Its coefficients are formulas: those of a row of the table, or the user's own,
 * "alpha = t^2, sigma = 1 - t^2", whose derivatives the program takes by itself.
 *
 *     fcl_path *path = NULL;
 *     fcl_path_create("cosine", 0, &path);
 *     fcl_path_point p = fcl_path_value(path, 0.3);               // on the host, in double
 *     fcl_path_at at = fcl_path_build(path, t);                   // nodes of a graph, t (B, 1)
 *     fcl_path_destroy(&path);
 *
 * Ends. Where a coefficient or its slope is infinite at an end (linear-vp's sigma' at t = 1, the bridge's
 * tube' at both), times within FCL_PATH_END of it are taken as FCL_PATH_END away from it; fcl_path_range tells.
 * So training has its points there, and sampling does not ask beyond: see "the ends of a solve" below. */
#ifndef FLOWCL_PATH_H
#define FLOWCL_PATH_H

#include <flowcl/velocity.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FCL_PATH_END 1e-4

/* The index-th path's name, NULL past the last, and its one-line description. */
FCL_API const char *fcl_path_name(int index);
FCL_API const char *fcl_path_help(int index);

typedef struct fcl_path fcl_path;

/* `text`: a row's name, with its parameters in parentheses where they are not the default ones
 * ("polynomial(3)"), or "alpha = ..., sigma = ...", formulas in t; NULL: "linear". `width`: the standard
 * deviation s of the tube around the path, for lipman that of its end, for the bridge that of its middle,
 * times 2; 0: the row's own. FCL_ERR_ARGUMENT with the sentence: no such row, a formula that does not parse,
 * or that is no path (its ends are not noise and data, it is not finite or not monotone inside), a width that
 * the row cannot have or lacks. */
FCL_API int fcl_path_create(const char *text, double width, fcl_path **path);
FCL_API void fcl_path_destroy(fcl_path **path);

/* Coefficients at one time, and their derivatives in t. */
typedef struct fcl_path_point {
    double alpha, sigma, tube, alpha_dot, sigma_dot, tube_dot;
} fcl_path_point;
FCL_API fcl_path_point fcl_path_value(const fcl_path *path, double t);

/* The same in a graph: t (B, 1) or () -> each of t's shape or (). */
typedef struct fcl_path_at {
    fcl_tensor *alpha, *sigma, *tube, *alpha_dot, *sigma_dot, *tube_dot;
} fcl_path_at;
FCL_API fcl_path_at fcl_path_build(const fcl_path *path, fcl_tensor *t);

/* The times that are taken as they are; those outside are taken as the nearer one. */
FCL_API void fcl_path_range(const fcl_path *path, double *begin, double *end);
FCL_API bool fcl_path_has_tube(const fcl_path *path);
/* Whether the path is one only where x0 ~ N(0, I). */
FCL_API bool fcl_path_needs_gaussian(const fcl_path *path);
/* A formula of the path as text, in t: "alpha", "sigma" or "tube", or with "'" its derivative; released by
 * fcl_free. */
FCL_API char *fcl_path_formula(const fcl_path *path, const char *which);

/* --- predictions: what a network says of x_t ---
 * The velocity v = E[dx_t/dt | x_t], the data x1, the noise eps (x0), or the score -eps/sigma. On a path
 * without a tube each follows from each. v = p x + q (prediction), with
 *
 *     x1:    p = sigma'/sigma, q = (alpha' sigma - sigma' alpha)/sigma
 *     eps:   p = alpha'/alpha, q = (sigma' alpha - alpha' sigma)/alpha
 *     score: p = alpha'/alpha, q = sigma (alpha' sigma - sigma' alpha)/alpha
 *
 * They divide by sigma, which is 0 at the data (x1, score), or by alpha, 0 at the noise (eps, score). So a
 * network is trained, and asked, where sigma is at least FCL_PREDICTION_SIGMA, or alpha at least
 * FCL_PREDICTION_ALPHA: nearer to the ends it is asked at these times. The score is one of p_t only where
 * x0 ~ N(0, I) and is independent of x1. */

#define FCL_PREDICTION_ALPHA 1e-3
#define FCL_PREDICTION_SIGMA 0.01

/* --- the ends of a solve ---
 * A solver (flow.h) that is given fcl_predictor_velocity below, itself or with an energy or a log density beside
 * it, asks for the velocity only at times at which the prediction has one, t_lo to t_hi, fcl_predictor_range:
 *
 *     from the noise to t_lo    x = sigma(t) x0: nothing is known of the data, and alpha x1 is a thousandth of it
 *     t_lo to t_hi              the solver's steps, the last of which ends on t_hi
 *     from t_hi to the data     x = alpha(t) x1^ + sigma(t) x0^, by one evaluation at t_hi, without noise: it ends
 *                               on x1^ = (sigma v - sigma' x)/(alpha' sigma - sigma' alpha), what an
 *                               x1-prediction says, and (x - sigma x0^)/alpha of an eps-prediction's x0^
 *
 * Backward from data to noise likewise: x = alpha(t) x1 to t_hi, and from t_lo on to x0^. With S for
 * sqrt(sigma^2 + tube^2), that of t_hi, data of the standard deviation c end, or begin, too narrow, or too wide,
 * by S^2/(2 c^2): S is 0.01 for x1 and score; a log density lacks as much for each dimension.
 *
 * v and eps have a velocity up to the data where the slopes are finite. But at the data itself it is a mean over
 * all noise that ends there, not the slope of any path that does, and no solver with fixed steps has a stage there:
 * "heun2" takes its last step by "midpoint", "rk4" and "rk4-38" theirs by "heun3", stochastic solvers theirs
 * without noise. Along straight paths (linear, lipman) that step ends on x1^; along others, under error control,
 * and after heun3, x1^ is taken FCL_PATH_END before the end, ten times that where the path is changed. All of this
 * keeps the solver's order. Where sigma' is infinite S is 0.014 on linear-vp, 0.0032 on vp and 0.01 s on bridge(s):
 * on a Gaussian solvers have been measured to keep their order down to that S^2/(2 c), 2e-4, 1e-5 and 1e-4 for
 * c = 0.5; on a point it is exact. */

FCL_API const char *fcl_prediction_name(int index);
FCL_API const char *fcl_prediction_help(int index);

/* p and q at a time, on the host. FCL_ERR_ARGUMENT: no such prediction. */
FCL_API int fcl_prediction_value(const char *prediction, const fcl_path *path, double t, double *p,
                                 double *q);

/* A network as a velocity, for solvers: its prediction is converted, and it may be sampled along another path
 * than it was trained on. With alpha, sigma the trained path's and A, S the other's coefficients, at the time
 * s:
 *
 *     t = rho^-1(A/S),  rho = alpha/sigma,   k = S/sigma(t),   v = k'/k x + k t' v(x/k, t)
 *
 * `network` and `data` are as of any fcl_velocity, borrowed until destroy as the paths are. */
typedef struct fcl_predictor fcl_predictor;

/* `prediction` NULL: "v"; `sampled` NULL: the trained path. FCL_ERR_ARGUMENT: no such prediction, or a path
 * with a tube where it has to have none. */
FCL_API int fcl_predictor_create(const char *prediction, const fcl_path *trained, const fcl_path *sampled,
                                 fcl_velocity network, void *data, fcl_predictor **predictor);
/* Of a network that was trained from another alpha on than FCL_PREDICTION_ALPHA; 0: that. */
FCL_API void fcl_predictor_trained_from(fcl_predictor *predictor, double least_alpha);
FCL_API void fcl_predictor_destroy(fcl_predictor **predictor);
/* The times, of the path that is sampled along, between which the network is asked; beyond them it is asked at the
 * nearer one. */
FCL_API void fcl_predictor_range(const fcl_predictor *predictor, double *begin, double *end);
/* An fcl_velocity whose data is an fcl_predictor. It is one at a time t: a second one is the graph's mistake. */
FCL_API fcl_tensor *fcl_predictor_velocity(void *predictor, fcl_graph *graph, const fcl_velocity_inputs *in);

#ifdef __cplusplus
}
#endif

#endif
