/* For op->lower: launches of the library's kernels. Every buffer is known by then. In compile/lower.c. */
#ifndef OP_LOWER_H
#define OP_LOWER_H

#include "device/launch.h"
#include "graph/graph.h"

/* Appends a launch of the library's kernel; its label is the node's name or the kernel's. */
fcl_launch *fcl_lower_kernel(fcl_lowering *lowering, const fcl_tensor *node, const char *kernel);
fcl_device *fcl_lower_device(const fcl_lowering *lowering);
/* The node's scratch memory (op->scratch); NULL without any. */
fcl_buffer *fcl_lower_scratch(const fcl_lowering *lowering);
/* What the launch computes beside the node, where several small sums are one; NULL past the last. */
fcl_tensor *fcl_lower_beside(const fcl_lowering *lowering, int index);
/* Before each run, arguments index, index + 1, index + 2 become (ulong seed, uint step, ulong first row). */
void fcl_lower_random(fcl_lowering *lowering, fcl_launch *launch, int index);
/* Before a launch: where number `index` of the buffer is 0, this one and those after it, up to fcl_lower_look_end, change
 * nothing, and a run that notices leaves them out. */
void fcl_lower_look(fcl_lowering *lowering, fcl_buffer *buffer, int index);
void fcl_lower_look_end(fcl_lowering *lowering);

/* --- shapes of launches (launch.c) --- */

/* The range of a kernel whose dimension 0 runs along rows of `width`, dimension 1 over the rows; few local
 * sizes, as each is compiled once more on CPUs. */
void fcl_lower_grid(fcl_launch *launch, int64_t width, int64_t rows);
/* What a work-item takes at a time of rows of `width` of the node's inputs, where a group owns a row: 4 where all of them
 * are of aligned float4, as $FLOWCL_VECTOR asks for, else 1. */
int fcl_lower_vector(const fcl_lowering *lowering, const fcl_tensor *node, int64_t width);

#endif
