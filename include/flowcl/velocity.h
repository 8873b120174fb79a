/* flowcl/velocity.h: what a velocity is asked with, between models (nn.h) and what asks them: objectives, solvers,
 * likelihoods (flow.h).
 *
 *     static fcl_tensor *contract(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
 *     {
 *         return fcl_neg(in->x);                                              // dx/dt = -x
 *     }
 *
 * What comes to be told later is a member more, zero where it is not there: whoever passes a struct on copies it and
 * changes what is another's. */
#ifndef FLOWCL_VELOCITY_H
#define FLOWCL_VELOCITY_H

#include <flowcl/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* B rows, which are samples and do not influence each other, of D numbers. NULL, or 0: not told. */
typedef struct fcl_velocity_inputs {
    fcl_tensor *x;                 /* (B, D) */
    fcl_tensor *t;                 /* (B, 1), or () where all rows have one time */
    fcl_tensor *r;                 /* the second time, like t, of a velocity averaged between them */
    fcl_tensor *label;             /* (B) of FCL_I32: each row's class */
    fcl_tensor *const *conditions; /* (B, ...) each: what else a row is made for */
    int condition_count;
    bool training; /* its derivative is taken for a step of the optimiser: what is random in training alone is on */
} fcl_velocity_inputs;

/* Appends the nodes of the velocity and returns it: (B, D). `graph` is x's. May be called several times for one graph
 * (a solver calls it once a stage), so it shares its leaves between the calls, and once for each of several graphs.
 * Objectives and solvers tell x, t (B, 1) and `training`; label and conditions are added by the callback that knows
 * them. */
typedef fcl_tensor *(*fcl_velocity)(void *data, fcl_graph *graph, const fcl_velocity_inputs *in);

#ifdef __cplusplus
}
#endif

#endif
