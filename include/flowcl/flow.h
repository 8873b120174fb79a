/* flowcl/flow.h: flow matching itself: the training objective and the solvers of the flow's equation.
 *
 * A flow moves noise x0 (t = 0) to data x1 (t = 1) along dx/dt = v(x, t). To this layer a model is a callback
 * that appends the nodes of its velocity to a graph (velocity.h):
 *
 *     static fcl_tensor *contract(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
 *     {
 *         return fcl_neg(in->x);                                              // dx/dt = -x
 *     }
 *
 * Training: one function builds the loss in a graph, made of a path, a coupling, a time law and a loss, each
 * chosen by its name:
 *
 *     fcl_tensor *loss = fcl_cfm_objective(graph, NULL, x1, velocity, model);
 *     fcl_vjp(loss, NULL, count, weights, gradients);
 *
 * Sampling: a solver is compiled once for a velocity and a batch, and run on as many batches as wanted:
 *
 *     fcl_solver_options options = {.solver = "dopri5", .rtol = 1e-6, .atol = 1e-6};
 *     fcl_solver *solver = NULL;
 *     if (fcl_solver_create(device, contract, NULL, &options, 256, 2, &solver) == FCL_OK)
 *         fcl_solver_run(solver, noise, samples, &stats);
 *     fcl_solver_destroy(&solver);
 *
 * Options are structs whose zero is the default. Every table below has a function that gives the name of its
 * index-th row, NULL past the last (what fcl_option's `choice` wants), and one that gives the row's one-line
 * description. */
#ifndef FLOWCL_FLOW_H
#define FLOWCL_FLOW_H

#include <flowcl/graph.h>
#include <flowcl/options.h>
#include <flowcl/path.h>
#include <flowcl/velocity.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- formulas ---
 * Paths, time laws, weights, a solver's w and energies may be the user's own formulas: numbers, the variables that are
 * named there, + - * / ^, parentheses, the constants pi and e, and functions: of one number, but for min, max and
 * greater(a, b), 1 where a > b, else 0, and where(a, b, c), c where a is 0, else b. */

/* The index-th function's name, NULL past the last. */
FCL_API const char *fcl_formula_function(int index);

/* --- what an objective is made of --- */

FCL_API const char *fcl_coupling_name(int index);
FCL_API const char *fcl_coupling_help(int index);
FCL_API const char *fcl_time_name(int index);
FCL_API const char *fcl_time_help(int index);
FCL_API const char *fcl_time_draw_name(int index);
FCL_API const char *fcl_time_draw_help(int index);
FCL_API const char *fcl_weight_name(int index);
FCL_API const char *fcl_weight_help(int index);
FCL_API const char *fcl_loss_name(int index);
FCL_API const char *fcl_loss_help(int index);

/* The random streams that an objective draws from (see fcl_normal); others keep away from 2 to 15. */
enum fcl_flow_stream {
    FCL_STREAM_SOURCE = 2, /* x0 (B, D): normal */
    FCL_STREAM_TIME = 3,   /* t (B, 1): uniform, before the time law's transformation */
    FCL_STREAM_TUBE = 4,   /* eps (B, D): normal; only with sigma > 0 */
    FCL_STREAM_DIFFUSION = 8, /* xi (B, D): normal; the step is the solver's */
    FCL_STREAM_COUPLING = 14,  /* (B, 2): uniform; draws from an entropic plan */
    FCL_STREAM_PROBE = 15      /* of Hutchinson's estimate, in fcl_likelihood_run */
};

/* Rows are chosen by their names; those with parameters take them in parentheses, as numbers or formulas of
 * numbers: "logit-normal(0.5, 1)", "polynomial(3)", "huber(pi/4)". Time laws and weights may be the user's own
 * formula too, as paths may (path.h). */
typedef struct fcl_cfm_options {
    const char *path;       /* NULL: "linear" */
    const char *coupling;   /* NULL: "independent" */
    const char *prediction; /* what the network answers with; NULL: "v" */
    const char *time;       /* NULL: "uniform"; or the quantile of t, a formula in u: "u^2" */
    const char *time_draw;  /* how a batch's u are drawn; NULL: "independent" */
    const char *weight;     /* NULL: "one"; or a formula in t, alpha, sigma, their slopes alpha_dot, sigma_dot,
                               the prediction's q (path.h), and the sample's loss l */
    const char *loss;       /* NULL: "squared" */
    float sigma;            /* the path's width s (fcl_path_create), 0 to 100 */
    float time_shift;       /* the noise level n = 1 - t becomes s n / (1 + (s - 1) n), once; 0: 1, no shift */
    float least_alpha;      /* an eps- or score-prediction is trained from this alpha on; 0: FCL_PREDICTION_ALPHA */
    int64_t batch_total;    /* samples of the whole step, where a batch is a part of it; 0: the batch is all */

    /* Of the couplings that draw from an entropic plan (see fcl_sinkhorn); 0: the default. The cost of a pair is
     * |x0 - x1|^2; the mean cost is a batch's, over all its pairs, and where marginals are kept (sinkhorn, bridge) of
     * both sets moved to one mean, which moves no pair: so it is the sum of their variances. Nothing depends on where
     * both sets are, nor, by default, on their scale. A number that the coupling does not look at is refused. */
    float reg;               /* the entropy's weight; default: a twentieth of the mean cost. Single precision makes no
                                plan of less than a millionth of (mean |x0 - its mean|) (mean |x1 - its mean|), over
                                samples and numbers: less acts as that */
    float relaxation;        /* unbalanced: what the marginals' relative entropy costs; default: the mean cost */
    float mass;              /* partial: the share of samples that is paired, up to 1; default 0.9 */
    int coupling_iterations; /* at most; default 100 */
    float coupling_tolerance; /* the share of the mass in the wrong place at which they end; default 0.001 */
} fcl_cfm_options;

/* Whether an objective can be built of these options. FCL_ERR_ARGUMENT with a sentence, which names the
 * nearest row where a name is wrong. */
FCL_API int fcl_cfm_check(const fcl_cfm_options *options);
/* FCL_OK where x0 may have any law, else FCL_ERR_ARGUMENT with the reason: the path, or the prediction, is one only
 * for x0 ~ N(0, I). */
FCL_API int fcl_cfm_check_source(const fcl_cfm_options *options);

/* The objective in formulas, for people: path, coupling, target, time law, weight, loss, lines of "what  formula".
 * *explanation is released by fcl_free. Errors as fcl_cfm_check. */
FCL_API int fcl_cfm_explain(const fcl_cfm_options *options, char **explanation);

/* Conditional flow matching (Lipman et al. 2023; Tong et al. 2024): draws x0 ~ N(0, I) for the data x1 (B, D),
 * draws t by the time law, and returns the mean over the batch of
 *     weight * loss(network(x_t, t), target),   x_t = alpha(t) x1 + sigma(t) x0 + tube(t) eps,
 * shape (). The target is that of the prediction: dx_t/dt for v. The squared loss is averaged over the D numbers
 * of a sample. No derivative goes through the weight. A run draws anew when fcl_graph_random has set another
 * step. `options` may be NULL; options that fcl_cfm_check refuses are the graph's mistake, and so is a coupling
 * other than independent: pairs are found before, and go to fcl_cfm_objective_of. */
FCL_API fcl_tensor *fcl_cfm_objective(fcl_graph *graph, const fcl_cfm_options *options, fcl_tensor *x1,
                                      fcl_velocity network, void *data);

/* The same for given pairs: row i of x0 (B, D) goes with row i of x1. options->coupling is not looked at: what
 * it says has been done. */
FCL_API fcl_tensor *fcl_cfm_objective_of(fcl_graph *graph, const fcl_cfm_options *options, fcl_tensor *x0,
                                         fcl_tensor *x1, fcl_velocity network, void *data);

/* The exact coupling of a batch, on the host: x0 of row i goes with x1 of row partner[i], a permutation for which
 * the sum of |x0 - x1|^2 is least (Tong et al. 2024). x0, x1 (count, size). label (count), of x1 and of the x0
 * that was drawn with it, or NULL: rows are paired inside each class only. Conditions that are numbers stand
 * beside both, times the root of their weight (Cheng et al. 2025). Exact to single precision of the distances from the
 * sets' (with labels, the classes') means, wherever these are. Takes count (count + 2 size) floats of memory; 5 ms at
 * 512, a second at 4096. Entropic couplings are drawn in a graph: fcl_sinkhorn, fcl_transport_draw.
 * FCL_ERR_MEMORY; FCL_ERR_ARGUMENT: less than 1 or more than 2^20 rows; FCL_ERR_NUMERIC: a distance is not finite. */
FCL_API int fcl_couple(int64_t count, int64_t size, const float *x0, const float *x1, const int32_t *label,
                       int32_t *partner);

/* --- solvers ---
 *
 * Which one? Unsure: "dopri5", whose tolerances say how exact the samples are. Few evaluations: "midpoint" or
 * "heun2" with 10 to 50 steps, "ab2" and "ab3" with as many evaluations as steps. Exact: "dopri8" or "tsit5"
 * with small tolerances, for instance to encode data. Fixed steps: a narrow network's whole solve is one
 * launch. What a velocity that is a network's prediction does at the ends of its path: path.h. Orders and
 * coefficients: Hairer, Norsett, Wanner, "Solving Ordinary Differential Equations I". */

FCL_API const char *fcl_solver_name(int index);
FCL_API const char *fcl_solver_help(int index);
/* Whether the solver chooses its steps by an error estimate (then rtol and atol apply, else steps). False for
 * an unknown name; NULL is the default solver. */
FCL_API bool fcl_solver_is_adaptive(const char *name);
/* Its order: halving the steps divides the error by 2^order. *estimate, where it is not NULL, becomes the order of
 * the solution that the error estimate compares with: 0 where there is none. 0 for an unknown name. */
FCL_API int fcl_solver_order(const char *name, int *estimate);
/* Whether it solves the SDE below (then w applies). */
FCL_API bool fcl_solver_is_stochastic(const char *name);

/* Where the steps of a solver with fixed steps end. */
FCL_API const char *fcl_grid_name(int index);
FCL_API const char *fcl_grid_help(int index);

typedef struct fcl_solver_options {
    const char *solver; /* NULL: "euler" */
    int steps;          /* of a solver with fixed steps; 0: 100, or as many as the grid's list has */
    const char *grid;   /* of its steps; NULL: "uniform". A name, "edm" and "shifted" also with their number
                           ("edm:7", "shifted:3"); or all times, ends included, as a list ("0,0.1,0.5,1") or a
                           file, see fcl_times_read */
    double rtol, atol;  /* of an adaptive solver: relative and absolute tolerance; 0: 1e-5 */
    int max_steps;      /* an adaptive solver gives up after so many steps; 0: 10000 */
    double t_begin, t_end; /* both 0: from 0 to 1. t_begin > t_end runs backward (data to noise) */
    /* of a stochastic solver */
    const char *w;    /* w(t) >= 0, a formula in t, alpha and sigma ("sigma^2", "0.5"); NULL: "sigma". A step of size h
                         takes N/h, N = sigma^2 + tube^2, where that is less: more would overshoot */
    const char *path; /* that v is the velocity of, and its width: see fcl_path_create; NULL: "linear" */
    double path_width;
    double v_from, v_until; /* times between which v is that; outside it is not asked for. Both 0: 0 to 1 */
} fcl_solver_options;

/* Stochastic solvers: with the score s = grad log p_t and any w(t) >= 0
 *
 *     dx = (v + w s) dt + sqrt(2 w) dW
 *
 * has the flow's marginals (Song et al. 2021; Ma et al. 2024, "SiT"); w = 0 is the flow's own equation. The
 * score comes from v, with N = sigma^2 + tube^2:
 *
 *     s = (alpha v - alpha' x) / (alpha' N - alpha N'/2)
 *
 * That holds only where x0 ~ N(0, I) is independent of x1: no other source, no coupling. It divides by zero
 * at the data, and on some paths at the noise: a stage nearer to such an end than half a step is taken at the
 * other end of its step, and the step next to the data is one of the flow, w = 0. The velocity is taken as a
 * prediction of v on the path, whose ends are those of path.h. The noise of row i of a batch is counted by
 * (seed, first_row + i, step): see fcl_solver_random. */

/* Whether a solver can be made of these options; needs no device. FCL_ERR_ARGUMENT with a sentence: a name, a
 * number or a grid is not usable, or goes with another kind of solver (tolerances without an error estimate).
 */
FCL_API int fcl_solver_check(const fcl_solver_options *options);

/* The same in formulas, for people: its update, its steps, and how often it evaluates the velocity. *explanation is
 * released by fcl_free. Errors as fcl_solver_check. */
FCL_API int fcl_solver_explain(const fcl_solver_options *options, char **explanation);

/* Times from text: numbers between commas; or a file of them, .npy or a table of numbers; or a whole number
 * from 2 on, for so many evenly spaced ones, both ends included. They are sorted in the direction from
 * t_begin to t_end. *times is released by fcl_free. FCL_ERR_ARGUMENT: no such file, a time outside, or one
 * twice; else as reading the file. */
FCL_API int fcl_times_read(const char *text, double t_begin, double t_end, double **times, int *count);

/* Of one run. A batch is solved at once, so a batch that is not full is padded by the caller with any finite
 * rows (copies of the last one); their counts are in these numbers. */
typedef struct fcl_solver_stats {
    int64_t nfe_minimum, nfe_maximum; /* evaluations of the velocity that one sample took part in */
    double nfe_mean;
    int64_t accepted, rejected; /* steps, summed over the samples */
    int64_t steps;              /* of the whole batch: the most that any sample took, and a few beyond */
    int64_t evaluations;        /* of the velocity on the whole batch */
    int64_t unfinished;         /* samples that did not reach t_end, or are not finite */
} fcl_solver_stats;

typedef struct fcl_solver fcl_solver;

/* Builds and compiles the solver of dx/dt = v(x, t) for batches x (batch, size). `data` is handed to the
 * velocity during this call only; what the velocity's leaves are bound to outlives the solver. `options` may
 * be NULL. FCL_ERR_ARGUMENT: see fcl_solver_check; else as fcl_graph_compile. */
FCL_API int fcl_solver_create(fcl_device *device, fcl_velocity velocity, void *data,
                              const fcl_solver_options *options, int64_t batch, int64_t size,
                              fcl_solver **solver);
FCL_API void fcl_solver_destroy(fcl_solver **solver);

/* Takes one step from zeros, which nobody reads, and waits for it: drivers that build a kernel at its first
 * launch have then built all of the solver's, and a run's time is that of solving alone. Never needed;
 * overwrites the solver's buffer. */
FCL_API int fcl_solver_prepare(fcl_solver *solver);

/* Solves from t_begin to t_end. x_in, x_out: (batch, size) on the host, and may be the same. x_in NULL starts
 * from what fcl_solver_buffer holds, x_out NULL leaves the result only there. `stats` may be NULL.
 *
 * Fixed steps: the host waits for nothing but x_out. Adaptive: each sample has its own time and step size
 * (see fcl_ode_advance), the first one by Hairer, Norsett, Wanner, II.4. All of a batch runs until its last
 * sample is done; a sample that is done stands still, and is not counted on.
 *
 * FCL_ERR_NUMERIC: samples that did not finish within max_steps, whose step size became too small for single
 * precision, or that are not finite. x_out and stats are filled all the same; each such sample of an adaptive
 * solver stands where its last accepted step ended. */
FCL_API int fcl_solver_run(fcl_solver *solver, const float *x_in, float *x_out, fcl_solver_stats *stats);

/* The same, and x_times (count, batch, size) becomes the samples at `times`, which lie between t_begin and
 * t_end, the ends included, and go in that direction. Steps end on them: the values have the solver's own
 * order, by no interpolation. So a time that is not on the grid is a further step of fixed ones;
 * Adams-Bashforth's weights follow. An adaptive sample goes on after each time with the step size that it had
 * before. The run ends at t_end whatever the last time is. FCL_ERR_ARGUMENT: a time is outside, or does not
 * follow on the one before. */
FCL_API int fcl_solver_run_times(fcl_solver *solver, const float *x_in, int count, const double *times,
                                 float *x_times, float *x_out, fcl_solver_stats *stats);

/* What the noise of further runs is drawn by, at first both 0: the number of the batch's first row in all
 * samples, so that a sample has the same noise however they are cut into batches. */
FCL_API void fcl_solver_random(fcl_solver *solver, uint64_t seed, uint64_t first_row);

/* The *steps + 1 times of a solver with fixed steps, in its direction; the solver's. NULL where it is
 * adaptive. */
FCL_API const double *fcl_solver_grid(const fcl_solver *solver, int *steps);

/* The batch on the device: (batch, size) floats, before a run its start and after it its result. The
 * solver's. */
FCL_API fcl_buffer *fcl_solver_buffer(fcl_solver *solver);
/* Evaluations that one row of the batch took part in during the last run, and the steps it took. */
FCL_API int64_t fcl_solver_nfe(const fcl_solver *solver, int64_t row);
FCL_API void fcl_solver_steps(const fcl_solver *solver, int64_t row, int64_t *accepted, int64_t *rejected);
/* Whether a row of the last run, whose result is x (batch, size), reached t_end with finite numbers. */
FCL_API bool fcl_solver_arrived(const fcl_solver *solver, const float *x, int64_t row);

/* --- the energy of paths --- */

typedef struct fcl_energy_flow {
    fcl_velocity velocity;
    void *data;
    fcl_buffer *weight; /* (D), or NULL; the energy is that of weight * v, number by number */
} fcl_energy_flow;

/* The velocity of states (B, D + 1) whose first D numbers move by the velocity of `energy_flow`, a
 * fcl_energy_flow, and whose last one by |v(x, t)|^2: started at 0, it ends on the energy of each path,
 *
 *     int |v|^2 dt,
 *
 * by the solver's own quadrature. Its mean is the path energy (Tong et al. 2024), at least W2^2 of source and data.
 * What a path costs beyond a straight one, int |v - (x1 - x0)|^2 dt, is its energy less |x1 - x0|^2: also of a
 * Runge-Kutta method's sums, since its x1 - x0 is the same sum of the same v. An adaptive solver's error
 * control sees the energy, too.
 *
 *     fcl_energy_flow flow = {velocity, model};
 *     fcl_solver_create(device, fcl_energy_velocity, &flow, NULL, batch, size + 1, &solver); */
FCL_API fcl_tensor *fcl_energy_velocity(void *energy_flow, fcl_graph *graph, const fcl_velocity_inputs *in);

/* --- likelihood ---
 * Along a path of the flow the log density changes by -div v (Chen et al. 2018; Grathwohl et al. 2019):
 *     log p1(x) = log p0(x(0)) - int_0^1 div v(x(t), t) dt,    x(1) = x,    p0 = N(0, I).
 * The change is solved together with x, by any solver: tolerances and step sizes see it as one more number of
 * the sample. The divergence is exact, from a tangent a dimension, all of them one sweep beside one evaluation of
 * the velocity; or Hutchinson's estimate, the mean of z' (dv/dx) z over random probes z, which stay the same
 * during a solve. Its mean is the exact one's, and probes cost a sweep each where an exact one costs D.
 *
 *     fcl_likelihood *likelihood = NULL;
 *     fcl_likelihood_options options = {.solver = {.solver = "dopri5"}};
 *     if (fcl_likelihood_create(device, contract, NULL, &options, 256, 2, &likelihood) == FCL_OK)
 *         fcl_likelihood_run(likelihood, data, 0, NULL, log_density, NULL, NULL);
 *     fcl_likelihood_destroy(&likelihood);
 */

FCL_API const char *fcl_divergence_name(int index);
FCL_API const char *fcl_probe_name(int index);

typedef struct fcl_divergence_options {
    const char *divergence; /* NULL: "exact"; or "hutchinson" */
    int probes;             /* of hutchinson; 0: 8. One alone has no standard error */
    const char *probe;      /* of hutchinson: NULL: "rademacher", each number 1 or -1; or "normal" */
} fcl_divergence_options;

FCL_API extern const fcl_option fcl_divergence_table[];
/* FCL_ERR_ARGUMENT: an option is not usable, also probes for the exact divergence. */
FCL_API int fcl_divergence_check(const fcl_divergence_options *options);
/* How many tangents a sample of `size` numbers takes at once, at most: for who chooses batches by memory. */
FCL_API int64_t fcl_divergence_tangents(const fcl_divergence_options *options, int64_t size);

typedef struct fcl_likelihood_options {
    fcl_solver_options solver; /* with its times both 0: from 1 to 0, data to noise. From 0 to 1 it draws
                                  samples and carries their log density along. The smaller time is the
                                  source's */
    fcl_divergence_options divergence;
    uint64_t seed; /* of the probes */
} fcl_likelihood_options;

typedef struct fcl_likelihood fcl_likelihood;

/* Builds and compiles the solve for batches (batch, size); else as fcl_solver_create. */
FCL_API int fcl_likelihood_create(fcl_device *device, fcl_velocity velocity, void *data,
                                  const fcl_likelihood_options *options, int64_t batch, int64_t size,
                                  fcl_likelihood **likelihood);
FCL_API void fcl_likelihood_destroy(fcl_likelihood **likelihood);

/* x_in (batch, size) on the host -> log_density (batch), in nats, of the samples at the later time: of x_in
 * where the solve runs backward, of x_out where forward. `standard_error` (batch) is that of Hutchinson's
 * estimate: 0 for the exact divergence, NaN for one probe. x_out (batch, size) is the other end of the path.
 * x_out, standard_error and stats may be NULL. `first_row` is the number of the batch's first sample in the
 * whole data set: probes are drawn by it, so that a sample has the same ones however the set is cut. The device draws
 * them: number d of probe p of sample i is element (i probes + p) size + d of the stream FCL_STREAM_PROBE, the same on
 * every device for "rademacher", and for "normal" to some 1e-6, as exact as its log, sine and cosine are. Errors as
 * fcl_solver_run; a sample that did not finish has the log density NaN. */
FCL_API int fcl_likelihood_run(fcl_likelihood *likelihood, const float *x_in, uint64_t first_row,
                               float *x_out, double *log_density, double *standard_error, fcl_solver_stats *stats);
/* For fcl_solver_nfe and fcl_solver_steps. The likelihood's. */
FCL_API fcl_solver *fcl_likelihood_solver(fcl_likelihood *likelihood);

/* log N(x; 0, I) of `size` numbers. */
FCL_API double fcl_log_normal(const float *x, int64_t size);

/* --- importance weights ---
 * Samples x of a flow with log densities log q(x) stand for a density that is known up to its scale,
 * exp(-E)/Z (Noe et al. 2019): each has the weight w = exp(-E(x))/q(x). */

typedef struct fcl_importance {
    double ess;         /* effective sample size (sum w)^2 / sum w^2, from 1 to n */
    double log_z;       /* log of the mean of w: an estimate of log int exp(-E) */
    double log_z_error; /* its standard error, from the spread of w, to first order; NaN for one sample */
} fcl_importance;

/* log_density, energy (n) -> log_weight (n), and what they say. An infinite energy gives no weight.
 * FCL_ERR_NUMERIC: a number is NaN, a density is 0, or no sample has a weight. */
FCL_API int fcl_importance_weigh(int64_t n, const double *log_density, const double *energy,
                                 double *log_weight, fcl_importance *result);
/* An energy as a formula in x1, x2, ...: "0.5*(x1^2 + x2^2)", of each sample of x (n, ...) -> energy (n).
 * FCL_ERR_ARGUMENT: it does not parse (what may stand in it: "formulas" above); FCL_ERR_NUMERIC: it is NaN
 * somewhere. */
FCL_API int fcl_importance_energy(const char *formula, const fcl_array *x, double *energy);

#ifdef __cplusplus
}
#endif

#endif
