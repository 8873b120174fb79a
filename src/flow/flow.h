/* The rows of the flow layer's tables. A table's first row is its default. */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include <flowcl/flow.h>

/* Who pairs the rows, and how. */
typedef enum fcl_coupling_kind {
    FCL_COUPLING_NONE,  /* they stay as they are drawn */
    FCL_COUPLING_EXACT, /* the host: an assignment */
    FCL_COUPLING_PLAN   /* the device: draws from an entropic plan */
} fcl_coupling_kind;

/* What a coupling has to be told besides its name. */
enum fcl_coupling_uses {
    FCL_USES_REG = 1,
    FCL_USES_RELAXATION = 2,
    FCL_USES_MASS = 4,
    FCL_USES_ITERATIONS = 8, /* and the tolerance */
    FCL_USES_SIGMA = 16      /* of the bridge, which sets reg */
};

typedef struct fcl_coupling { /* coupling.c */
    const char *name;
    fcl_coupling_kind kind;
    unsigned uses;
    const char *help;
} fcl_coupling;

/* An explicit Runge-Kutta method: k_i = v(x + h sum_j a_ij k_j, t + c_i h), x_new = x + h sum_i b_i k_i. */
typedef struct fcl_tableau { /* tableau.c */
    const char *name;
    int stages;
    int order;             /* of x_new */
    int estimate_order;    /* of the solution that the error estimate compares x_new with; 0: there is none */
    bool fsal;             /* the last stage stands at x_new: its slope is the next step's first */
    const double *a;       /* rows 1, 2, ... of the strictly lower triangle: 1, 2, ... numbers */
    const double *b, *c;   /* `stages` numbers each */
    const double *b_error; /* b less the weights of the compared solution; NULL: fixed steps only */
    int adams;             /* an Adams-Bashforth method of so many slopes (adams.c); 0: Runge-Kutta */
    const char *starter;   /* the Runge-Kutta method of its first steps */
    const char *careful;   /* the one of a step next to an end of the path: no stage at its end, no noise, and such an
                              order that the whole solve keeps its own; NULL: itself */
    bool noise;            /* for the SDE: slopes have a noise of their own (diffusion.c) */
    const char *help;
} fcl_tableau;

enum { FCL_MAX_STAGES = 16, FCL_MOST_ADAMS = 4 };

typedef struct fcl_probe_law fcl_probe_law; /* likelihood.c: how a probe's numbers are drawn */

/* The row of that name, the default for NULL, and NULL where there is no such row. */
const fcl_coupling *fcl_coupling_find(const char *name);
const fcl_tableau *fcl_tableau_find(const char *name);

/* Of the velocity in so many steps. */
int64_t fcl_tableau_evaluations(const fcl_tableau *tableau, int64_t steps);

/* The index of `name` among the names that a table's function gives: 0 for NULL, -1 where it is not there. */
int fcl_row_index(const char *(*names)(int index), const char *name);

/* The velocity, with a mistake in the graph where it has not the shape of x. */
fcl_tensor *fcl_velocity_build(fcl_velocity velocity, void *data, const fcl_velocity_inputs *in);

#endif
