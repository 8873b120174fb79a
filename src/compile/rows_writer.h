/* What the files that write a row program's kernel share: rows_passes.c, rows_text.c,
 * rows_columns.c, rows_kernel.c. */
#ifndef COMPILE_ROWS_WRITER_H
#define COMPILE_ROWS_WRITER_H

#include "compile/rows.h"

/* A pass goes over a row once. Reductions of a pass are known behind it, and so are the values made of them. */
typedef struct fcl_row_entry {
    fcl_tensor *node;
    fcl_row_kind kind;
    int pass;    /* full, reduced, summed: the first in which it can be; values: before which they are */
    bool wanted; /* in the pass that is being written */
    bool costly; /* full: a function is computed for it, in its pass */
    bool kept;   /* full: later passes read it from a row of the group's own memory */
} fcl_row_entry;

typedef struct fcl_rows_writer {
    const fcl_step *step;
    fcl_generated *g;
    fcl_row_entry *entries; /* in the order of the graph's nodes */
    int count, passes, pass;
    int64_t pieces;
    bool by_rows[FCL_MAX_ARGUMENTS]; /* of the reads: those of which the row is read */
    bool grouped[2][FCL_MAX_ARGUMENTS]; /* of the reads, with columns: those that an array holds, by row or not */
} fcl_rows_writer;

/* The program's nodes, their passes, and what is kept; its entries are the caller's to free. */
fcl_rows_writer fcl_rows_begin(const fcl_step *step, const fcl_device *device);
/* The entry of a node, -1: it is not in the program. */
int fcl_rows_find(const fcl_rows_writer *w, const fcl_tensor *root);
/* A number a row, or one for each of its columns. */
bool fcl_rows_is_value(const fcl_row_entry *e);
/* What a reduction begins with. */
const char *fcl_rows_start(const fcl_row_entry *e);
/* A full value that an earlier pass has stored or kept is read again; others are computed again. */
bool fcl_rows_saved(const fcl_rows_writer *w, const fcl_row_entry *e);
/* Marks what w->pass has to compute. */
void fcl_rows_want(fcl_rows_writer *w);

/* rows_columns.c: the lines that a program with columns has in place of others. */
/* How a node that is full, or one that is not, reads an input from memory. */
void fcl_columns_memory(fcl_rows_writer *w, const fcl_tensor *node, fcl_tensor *input);
/* Before a row's first pass: arrays of its values, and what groups of columns read. */
void fcl_columns_begin(fcl_rows_writer *w);
/* The values that are known before a pass; the operands' writer is the caller's. */
void fcl_columns_values(fcl_rows_writer *w, fcl_operand_writer *write);
/* Entry i, reduced: before its pass, of element i in it, and behind it. */
void fcl_columns_clear(fcl_rows_writer *w, int i);
void fcl_columns_add(fcl_rows_writer *w, int i);
void fcl_columns_store(fcl_rows_writer *w, int i);

#endif
