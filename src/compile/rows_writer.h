/* What the files that write a row program's kernel share: rows_passes.c, rows_text.c. */
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
} fcl_rows_writer;

/* The program's nodes, their passes, and what is kept; its entries are the caller's to free. */
fcl_rows_writer fcl_rows_begin(const fcl_step *step, const fcl_device *device);
/* The entry of a node, -1: it is not in the program. */
int fcl_rows_find(const fcl_rows_writer *w, const fcl_tensor *root);
/* A full value that an earlier pass has stored or kept is read again; others are computed again. */
bool fcl_rows_saved(const fcl_rows_writer *w, const fcl_row_entry *e);
/* Marks what w->pass has to compute. */
void fcl_rows_want(fcl_rows_writer *w);

#endif
