/* flowcl verify: what its checks share. */
#ifndef VERIFY_H
#define VERIFY_H

#include "tool.h"

typedef struct verification verification;

/* A check is a row of the table in verify.c. It gives a line for each row of a table of the library. */
typedef struct verify_check {
    const char *group, *what;
    int (*measure)(verification *v); /* the library's status: other than FCL_OK, it could not be measured */
    double bound;
    const char *reason; /* of the bound */
} verify_check;

/* The device to be certified. */
fcl_device *verify_device(const verification *v);
/* A line of the check that is being measured; an error that is NaN is above every bound. FCL_OK, or
 * FCL_ERR_STOPPED where the user wants no further one. */
int verify_report(verification *v, const char *row, double error);
/* The same, with a remark that stands beside the line. */
int verify_remark(verification *v, const char *row, double error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Random numbers of the check, from --seed: inside (0, 1), and N(0, 1). */
double verify_uniform(verification *v);
double verify_normal(verification *v);

/* The larger one; NaN where one of them is. */
double verify_larger(double a, double b);

/* --- the flow that is known in closed form: noise N(0, I) to a mixture of Gaussians in the plane --- */

enum { VERIFY_SIZE = 2 };

/* A point of the mixture. */
void verify_mixture_draw(verification *v, double x[VERIFY_SIZE]);
/* What is known of the data x1, the noise x0 and the tube's noise where x_t is x: their means. */
typedef struct verify_means {
    double data[VERIFY_SIZE], noise[VERIFY_SIZE], tube[VERIFY_SIZE];
} verify_means;
verify_means verify_mixture_means(const fcl_path_point *at, const double x[VERIFY_SIZE]);
/* What a perfect network predicts, and what it is shown as a target where the means are the values
 * themselves; NaN where this program does not know the prediction. */
double verify_prediction(const char *prediction, const fcl_path_point *at, const verify_means *means, int i);

/* The index-th path, in a tube of width VERIFY_WIDTH where it can have one; without one where it need not. */
#define VERIFY_WIDTH 0.3
int verify_path_open(int index, fcl_path **path);
int verify_path_open_plain(int index, fcl_path **path);

/* --- the checks, by file --- */

int verify_path_values(verification *v); /* verify_path.c */
int verify_path_slopes(verification *v);
int verify_path_ends(verification *v);
int verify_predictions(verification *v); /* verify_prediction.c */
int verify_changed_paths(verification *v);
int verify_ends(verification *v);
int verify_points(verification *v); /* verify_objective.c */
int verify_mean_targets(verification *v);
int verify_jvp(verification *v); /* verify_derivative.c */
int verify_vjp(verification *v);
int verify_adjoint(verification *v);
int verify_second(verification *v);
int verify_order(verification *v); /* verify_solver.c */
int verify_estimate(verification *v);
int verify_tolerance(verification *v);
int verify_marginals(verification *v); /* verify_gaussian.c */
int verify_exact_likelihood(verification *v);
int verify_estimated_likelihood(verification *v);
int verify_plans(verification *v); /* verify_coupling.c */
int verify_assignment(verification *v);

#endif
