/* An objective's options, read: the rows that they name, with their parameters. */
#ifndef FLOW_OBJECTIVE_H
#define FLOW_OBJECTIVE_H

#include "flow/choice.h"
#include "base/memory.h"
#include "flow/flow.h"

/* What a network predicts (prediction.c). Formulas in alpha, sigma, alpha_dot, sigma_dot. */
typedef struct fcl_prediction {
    const char *name;
    const char *p, *q;              /* v = p x + q (prediction) */
    const char *of_data, *of_noise; /* target = of_data x1 + of_noise x0 */
    bool divides_by_alpha, divides_by_sigma;
    bool gaussian; /* it means what it says only for independent noise */
    const char *help;
} fcl_prediction;

const fcl_prediction *fcl_prediction_find(const char *name); /* NULL: there is none */
/* The times at which a network is trained and asked, within the path's own (path.h). least_alpha: see
 * fcl_cfm_options. */
void fcl_prediction_range(const fcl_prediction *prediction, const fcl_path *path, double least_alpha,
                          double *begin, double *end);
/* A formula in alpha, sigma, alpha_dot, sigma_dot at a path's coefficients. */
fcl_tensor *fcl_prediction_build(const char *formula, fcl_path_at at);

/* `t` no nearer to the ends than begin and end, where these are not the ends. */
fcl_tensor *fcl_time_clamp(fcl_tensor *t, double begin, double end);
/* The same path, which is there until it is destroyed once more. */
fcl_path *fcl_path_keep(const fcl_path *path);
/* fcl_path_value at the time as it is. */
fcl_path_point fcl_path_unclamped(const fcl_path *path, double t);
/* The first time at which alpha, the last at which sigma is at least so much. */
double fcl_path_alpha_from(const fcl_path *path, double least);
double fcl_path_sigma_until(const fcl_path *path, double least);
/* alpha/(alpha + sigma), which grows from 0 to 1, and its derivative; by no clamped times. */
double fcl_path_share(const fcl_path *path, double t, double *slope);

typedef struct fcl_objective {
    const fcl_cfm_options *options;
    const fcl_prediction *prediction;
    fcl_path *path;
    fcl_expression *time;   /* t in u; NULL: the beta law */
    fcl_expression *weight; /* in the variables of weight.c */
    fcl_choice time_choice, weight_choice, loss_choice;
    double begin, end; /* times are taken inside */
} fcl_objective;

/* Reads the options, which are borrowed until destroy, and checks that they go together. */
int fcl_objective_create(const fcl_cfm_options *options, fcl_objective **objective);
void fcl_objective_destroy(fcl_objective **objective);

/* time.c */
int fcl_time_read(fcl_objective *objective);
fcl_tensor *fcl_time_draw(const fcl_objective *objective, fcl_graph *graph, int64_t batch); /* t (B, 1) */

/* beta.c: t ~ Beta(a, b) of u (B, 1), uniform in (0, 1) */
fcl_tensor *fcl_beta_quantile(fcl_tensor *u, double a, double b);

/* weight.c */
int fcl_weight_read(fcl_objective *objective);
/* Each sample's loss (B, 1) times its weight, through which no derivative goes; NULL weight: 1. */
fcl_tensor *fcl_weight_apply(const fcl_objective *objective, fcl_path_at at, fcl_tensor *t, fcl_tensor *loss);

/* loss.c: found, wanted (B, D) -> (B, 1) */
int fcl_loss_read(fcl_objective *objective);
fcl_tensor *fcl_loss_build(const fcl_objective *objective, fcl_tensor *found, fcl_tensor *wanted);

/* The row and its formula, a line of `text` each (explain.c). */
void fcl_time_explain(const fcl_objective *objective, fcl_text *text);
void fcl_weight_explain(const fcl_objective *objective, fcl_text *text);
void fcl_loss_explain(const fcl_objective *objective, fcl_text *text);
void fcl_choice_explain(const char *label, const fcl_choice_table *table, const fcl_choice *choice,
                        fcl_text *text);

#endif
