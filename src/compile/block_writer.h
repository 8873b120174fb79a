/* What the files that write a row block's kernel share: block_values.c, block_sum.c, block_text.c. */
#ifndef COMPILE_BLOCK_WRITER_H
#define COMPILE_BLOCK_WRITER_H

#include "compile/block.h"

enum { FCL_BLOCK_ROWS = 32 }; /* as in cl/block.h */

/* A value (B, C) that a step of the block reads later, or that goes to memory, has its columns in the tile;
 * the places of values that are not alive together may be the same. */
typedef struct fcl_block_value {
    fcl_tensor *root;
    int columns, first, last; /* inner steps; -1: loaded before the first */
    int place;                /* its first column in the tile; -1: it has none */
    bool loaded;
    int other; /* value of the same root, of as many columns as a view has; -1: none */
} fcl_block_value;

typedef struct fcl_block_writer {
    const fcl_step *block;
    fcl_generated *g;
    fcl_block_value *values;
    int count;
    bool apart; /* its products are called: so many copies would take the compiler half a minute */
} fcl_block_writer;

/* --- block_values.c --- */

/* Finds all values and gives them their places; the tile's columns. */
int fcl_block_place(fcl_block_writer *w);
fcl_block_value *fcl_block_find(const fcl_block_writer *w, const fcl_tensor *root, int columns);
/* Where the columns of a node's input begin. */
int fcl_block_place_of(const fcl_block_writer *w, const fcl_tensor *input);
/* Is the input a value of the block's rows? */
bool fcl_block_is_rows(const fcl_block_writer *w, const fcl_tensor *input);

/* --- block_sum.c: nodes that sum over the block's rows --- */

/* Columns of the tile that the sum works in. */
int fcl_block_sum_columns(const fcl_tensor *node);
/* The lines that add the tile's part of the sum to the work-item's. */
void fcl_block_write_sum(fcl_block_writer *w, const fcl_tensor *node);
/* The kernel "NAME_sums": adds what the work-items have. Arguments: their parts, how many, the results. */
void fcl_block_sums_kernel(fcl_text *text, const char *name, const fcl_generated *g);

#endif
