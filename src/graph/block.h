/* Row blocks: forming them (block.c), and the text of their kernels (block_text.c). */
#ifndef GRAPH_BLOCK_H
#define GRAPH_BLOCK_H

#include "graph/plan.h"

/* After fuse: joins steps that are local to rows; renumbers plan->steps. */
void fcl_plan_block(fcl_plan *plan);

/* Can a block compute this node that lowers itself elsewhere? `repeats`: the block's kernel may repeat it, where
 * nothing changes the random counters. */
bool fcl_block_has_text(const fcl_tensor *node, bool repeats);

/* Does the node read this input from memory, any of its rows, where other nodes read a row for a row? */
bool fcl_block_reads_all(const fcl_tensor *node, int input);

/* Writes the body of a block's kernel, and what it reads, stores and is told. After plan.c's memory. */
void fcl_block_generate(const fcl_step *block, fcl_generated *generated);
/* Appends the whole kernel. Its arguments: reads, stores, then the scalars one by one, the number of
 * rows and, where it draws numbers, the random counters; or, where `repeats`, a table of the scalars' values, a row a repetition, the number of rows and the number of
 * repetitions. */
void fcl_block_kernel(fcl_text *text, const char *name, const fcl_generated *generated, bool repeats);
/* Work-items for so many rows. */
size_t fcl_block_items(const fcl_generated *generated, const fcl_device *device, int64_t rows);

#endif
