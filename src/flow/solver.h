/* What a solver is made of: its options (solver.c), its graphs (fixed.c, adaptive.c), its runs (solve.c) and
 * what it tells of them (report.c). */
#ifndef FLOW_SOLVER_H
#define FLOW_SOLVER_H

#include "flow/diffusion.h"
#include "flow/ends.h"

/* A graph that moves x on by one step, and the numbers that the step is told. */
typedef struct fcl_fixed_step {
    const fcl_tableau *tableau;
    const fcl_diffusion *diffusion; /* NULL: no noise */
    const fcl_ends *ends;           /* of a crossing */
    fcl_crossing crossing;
    fcl_graph *graph;
    int scalars;
    fcl_tensor *scalar[1 + FCL_MAX_STAGES * (1 + FCL_DIFFUSION_NUMBERS)];
} fcl_fixed_step;

struct fcl_solver {
    fcl_device *device;
    const fcl_tableau *tableau;
    fcl_solver_options options; /* defaults filled in; its strings are the caller's, and not read again */
    int64_t batch, size;
    fcl_buffer *x; /* (B, D) */
    fcl_ends ends;
    fcl_predictor *predictor; /* while it is built: whose velocity it solves; or NULL */
    fcl_fixed_step entering; /* before ends.first */
    fcl_fixed_step arriving; /* behind ends.last, at each time there from `held` */
    fcl_buffer *held;        /* (B, D): x at ends.last */
    int64_t evaluated;       /* in the last run, by other steps than those under error control */

    /* fixed steps */
    double *grid; /* steps + 1 times, from t_begin to t_end */
    int steps;
    fcl_fixed_step fixed;
    fcl_fixed_step first;             /* of Adams-Bashforth: the steps before there are enough slopes */
    fcl_fixed_step careful;           /* of a step next to an end, see fcl_ends */
    fcl_buffer *past[FCL_MOST_ADAMS]; /* (B, D) each, from index 1: its slopes */
    fcl_diffusion *diffusion;         /* of a stochastic solver */
    uint64_t seed, first_row;         /* of its noise */
    int64_t steps_run; /* in the last run: those of the grid, and further ones for times between */

    /* adaptive */
    fcl_graph *step;   /* moves each sample on by a step of its own */
    fcl_graph *start;  /* sets slope and state from x */
    fcl_buffer *slope; /* (B, D): v at x, where the tableau is fsal */
    fcl_buffer *state; /* (B, FCL_ODE_STATE) */
    float *state_read; /* `state` as the host has seen it last; after a run, its end */
};

/* --- step.c --- */

fcl_tensor *fcl_solver_leaf(const fcl_solver *solver, fcl_graph *graph); /* x */
/* The slopes k[0 .. stages), k[0] being there already, at times[0 .. stages) of shape (B, 1); returns x_new.
 */
fcl_tensor *fcl_stages_build(const fcl_tableau *tableau, fcl_velocity velocity, void *data, fcl_tensor *x,
                             fcl_tensor *h, fcl_tensor *const *times, fcl_tensor **k);

/* --- fixed.c, adaptive.c --- */

/* Build and compile the graphs; x, and of an adaptive solver state and slope, are there already. */
int fcl_solver_build_crossings(fcl_solver *solver, fcl_velocity velocity, void *data);
int fcl_solver_build_fixed(fcl_solver *solver, fcl_velocity velocity, void *data);
int fcl_solver_build_adaptive(fcl_solver *solver, fcl_velocity velocity, void *data);
/* The scalars of the step from now[0] to now[1]; of Adams-Bashforth the times before stand at now[-1] ... */
void fcl_fixed_numbers(const fcl_fixed_step *step, const double *now, float *numbers);

/* The weights of the slopes at now[0], now[-1], ..., for the step from now[0] to now[1]. */
void fcl_adams_weights(const double *now, int count, double *weights); /* adams.c */

/* --- grid.c --- */

/* The times of a solver's steps, in its direction; options->steps 0: as many as the grid has, else 100.
 * *times is released by fcl_free. */
int fcl_grid_read(const fcl_solver_options *options, double **times, int *steps);

/* --- report.c --- */

const float *fcl_solver_state(const fcl_solver *solver, int64_t row);
/* x: the result on the host, or NULL. Fills the stats; FCL_ERR_NUMERIC where samples did not finish. */
int fcl_solver_report(const fcl_solver *solver, const float *x, int64_t steps, fcl_solver_stats *stats);

#endif
