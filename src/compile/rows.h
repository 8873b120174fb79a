/* Row programs: reductions along rows with what leads to them and what follows, in one kernel that has a row in the nearest
 * cache while it goes over it again. Forming them (rows.c), and the text of their kernels (rows_passes.c, rows_text.c,
 * rows_columns.c, rows_kernel.c).
 *
 * A program sees tensors as (rows, width):
 *   - full values have an element for each (row, column); they are computed where they are needed, again in each pass, but
 *     for functions on CPUs: of these a group keeps the row's values for the passes that follow;
 *   - row values have one a row: what reductions give, and what is computed from them;
 *   - sums of a row's parts of one length, as over the pixels of each of a group's channels, leave the program;
 *   - sums over all rows, (width), as of a weight's gradient, are left to a second kernel that adds the groups' parts;
 *   - sums over a sample's rows, (samples, width), as over the tokens that one condition modulates, on CPUs, where a
 *     group takes whole samples.
 * Where there are few rows and nothing goes on after the first reductions, rows are cut into pieces instead, and a second
 * kernel adds the pieces.
 *
 * With columns, as of images that are normalised in groups of their channels, rows are (pixels, columns):
 *   - reductions along a row give a number for each column; what is computed from these are row values, too, and so are
 *     folds: reductions over neighbouring columns, as over a group's. All are kept as a number for each column, a group's
 *     once for each of its own: full values read them as they read a bias;
 *   - sums over all rows and pixels, (columns), are left to the second kernel.
 * The number of pixels is an argument: images of all sizes share a kernel. */
#ifndef COMPILE_ROWS_H
#define COMPILE_ROWS_H

#include "compile/plan.h"

/* After blocks: joins steps into programs; renumbers plan->steps. */
void fcl_plan_rows(fcl_plan *plan);

typedef enum fcl_row_kind {
    FCL_ROW_NONE,
    FCL_ROW_FULL,
    FCL_ROW_VALUE,
    FCL_ROW_FOLDED,
    FCL_ROW_REDUCED, /* this and what follows read full values */
    FCL_ROW_PARTS,
    FCL_ROW_SAMPLED,
    FCL_ROW_SUMMED
} fcl_row_kind;

/* What a node is in programs of this extent; FCL_ROW_NONE: nothing that belongs into one. */
fcl_row_kind fcl_row_kind_of(const fcl_tensor *node, const fcl_row_extent *extent);

/* rows_columns.c: the same in programs with columns, and whether a device gains by them. */
fcl_row_kind fcl_columns_kind(const fcl_tensor *node, const fcl_row_extent *extent);
bool fcl_columns_pay(const fcl_row_extent *extent, const fcl_device *device);

/* How a node reads a tensor that has a number, or some for groups of columns, where the node has a row's pixels. */
typedef struct fcl_column_operand {
    bool by_row;     /* each row has its own */
    int64_t columns; /* numbers of a row, each for as many neighbouring columns */
} fcl_column_operand;
/* False: an operand of another kind. */
bool fcl_columns_operand(const fcl_tensor *node, const fcl_tensor *input, const fcl_row_extent *extent,
                         fcl_column_operand *operand);
/* May a program with columns read it from memory? */
bool fcl_columns_may_load(const fcl_tensor *node, const fcl_tensor *input, const fcl_row_extent *extent);

/* Pieces of a row, each a part of its sums; 1: rows are whole. */
int64_t fcl_rows_pieces(const fcl_row_extent *extent, const fcl_device *device);
/* Bytes of the groups' parts, and of the rows that they keep. */
size_t fcl_rows_scratch(const fcl_step *step, const fcl_device *device);

void fcl_rows_generate(const fcl_step *step, const fcl_device *device, fcl_generated *generated);
/* Appends the kernel; its arguments: reads, stores, scalars, the number of rows or of pieces; where it draws numbers, the
 * random counters; where it has parts or keeps values, their memory. */
void fcl_rows_kernel(fcl_text *text, const char *name, const fcl_step *step, const fcl_device *device,
                     const fcl_generated *generated);
/* Its work-groups, and the second kernel's sums: node number `index` of those that have parts, as
 * (outer, reduced, inner); false past the last. */
int64_t fcl_rows_groups(const fcl_step *step, const fcl_device *device);
bool fcl_rows_parts(const fcl_step *step, const fcl_device *device, int index, fcl_tensor **node, fcl_extents *extents);

#endif
