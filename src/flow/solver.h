/* What a solver is made of, between its graphs (step.c) and its runs (solver.c). */
#ifndef FLOW_SOLVER_H
#define FLOW_SOLVER_H

#include "flow/flow.h"

struct fcl_solver {
    fcl_device *device;
    const fcl_tableau *tableau;
    fcl_solver_options options; /* defaults filled in */
    int64_t batch, size;
    fcl_buffer *x;   /* (B, D) */
    fcl_graph *step; /* moves x on by one step */

    /* fixed steps */
    fcl_tensor *h;                    /* scalar */
    fcl_tensor *time[FCL_MAX_STAGES]; /* scalar of each stage; stages with equal c share it */

    /* adaptive */
    fcl_graph *start;  /* sets slope and state from x */
    fcl_buffer *slope; /* (B, D): v at x, where the tableau is fsal */
    fcl_buffer *state; /* (B, FCL_ODE_STATE) */
    float *state_read; /* `state` as the host has seen it last; after a run, its end */
};

/* Build and compile the graphs; the buffers are there already. */
int fcl_solver_build_fixed(fcl_solver *solver, fcl_velocity velocity, void *data);
int fcl_solver_build_adaptive(fcl_solver *solver, fcl_velocity velocity, void *data);

#endif
