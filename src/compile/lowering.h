/* Lowering, for the kinds of kernels. Rows of operations see op/lower.h. */
#ifndef COMPILE_LOWERING_H
#define COMPILE_LOWERING_H

#include "compile/plan.h"

struct fcl_lowering {
    fcl_plan *plan;
    int step;
    fcl_look *look; /* whose row of actions is not ended; NULL: none */
    /* the generated kernels so far: their text, and each one's own text to find doubles */
    fcl_text source;
    char **texts;
    int *slots; /* the numbers of kernels, at places that follow from their texts; -1: free; twice as many as steps */
    int kernels;
    int sums; /* kernels that add the parts of sums, beside some of these */
};

/* Appends one of what a run does. */
fcl_action *fcl_lowering_action(fcl_lowering *lowering);
/* Before each run the argument becomes the scalar's value or, where it is NULL, three the random counters. */
void fcl_lowering_bind(fcl_lowering *lowering, fcl_launch *launch, int index, fcl_tensor *scalar);
/* The arguments that generated kernels have: reads, stores, scalars; those of a table are in it. Returns the next index. */
int fcl_lowering_arguments(fcl_lowering *lowering, fcl_launch *launch, int index, const fcl_generated *generated);
/* Appends a launch of the kernel NAME_sums, which adds parts. */
int fcl_lowering_sums(fcl_lowering *lowering, const char *name, const char *label, fcl_launch **launch);

#endif
