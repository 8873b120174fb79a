/* Row blocks: forming them (block.c), and the text of their kernels (block_text.c). */
#ifndef COMPILE_BLOCK_H
#define COMPILE_BLOCK_H

#include "compile/plan.h"

/* After fuse: joins steps that are local to rows; renumbers plan->steps. */
void fcl_plan_block(fcl_plan *plan);

/* Can a block compute this node that lowers itself elsewhere? `repeats`: the block's kernel may repeat it,
 * where nothing changes the random counters. */
bool fcl_block_has_text(const fcl_tensor *node, bool repeats);

/* Does the node sum over rows, as gradients of weights and biases and the mean of a loss do: a' b of two
 * matrices of rows, or the sum of axis 0? A block may have such nodes, whose results nothing in it reads: its
 * work-items sum over their own rows, and a second kernel over the work-items. */
bool fcl_block_sums(const fcl_tensor *node);
/* Floats that a work-item needs for its part of all of a block's sums. */
int64_t fcl_block_sums_size(const fcl_step *block);

/* Do rows take more or fewer repetitions, as samples under error control do? */
bool fcl_block_own_pace(const fcl_step *steps, int count);

/* Is the input a number of each row, which has no columns: what gather_rows and batch_index are about? */
bool fcl_block_is_index(const fcl_tensor *input);

/* Does the node read this input from memory, any of its rows, where other nodes read a row for a row? */
bool fcl_block_reads_all(const fcl_tensor *node, int input);

/* Writes the body of a block's kernel, and what it reads, stores and is told. After plan.c's memory. */
void fcl_block_generate(const fcl_step *block, fcl_generated *generated);
/* Appends the whole kernel. Its arguments: reads, stores, then the scalars one by one and the number of rows,
 * or, where `repeats`, a table of the scalars' values, a row a repetition, the number of rows and the number
 * of repetitions; where it draws numbers, the random counters; where it sums, the work-items' parts. Then a
 * kernel NAME_sums follows; its arguments: the parts, how many, the results. */
void fcl_block_kernel(fcl_text *text, const char *name, const fcl_generated *generated, bool repeats);
/* Work-items of a block's kernel. */
size_t fcl_block_items(const fcl_step *block, const fcl_device *device);

#endif
