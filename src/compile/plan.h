/* A compiled graph. The passes, in order: prune and fuse (fuse.c) make steps; block.c joins those of narrow rows, and
 * fuse.c sums over rows with products that read them; plan.c gives every stored value its place; generate.c and
 * block_text.c write the kernels of fused steps; lower.c prepares the launches, and run.c runs them. */
#ifndef COMPILE_PLAN_H
#define COMPILE_PLAN_H

#include "op/op.h"

enum { FCL_MAX_MEMBERS = 32, FCL_MAX_ARGUMENTS = 128 }; /* of a fused step: bounds a kernel's arguments */

/* How a row program sees tensors, whatever their shapes: as (rows, width), or as (rows, pixels, columns) where sums along a
 * row leave its columns apart; columns is 1 where it does not. */
typedef struct fcl_row_extent {
    int64_t rows, width, columns; /* width: of all that is in a row */
    int64_t sample;               /* rows that follow each other, over which some of its sums go; 0: none do */
} fcl_row_extent;

/* What is computed at once, one of
 *   - a chain of elementwise nodes of one shape, and on GPUs of what is computed by elements (op->element), or of such
 *     chains of one size: a generated kernel;
 *   - a matrix product, with such a chain as its epilogue and a sum of an operand's rows where the provider can; or a
 *     convolution by tiles, with such a chain;
 *   - a node that lowers itself, or several small sums;
 *   - a block of such steps, or a row program of them. */
typedef struct fcl_step {
    fcl_tensor *product; /* or a convolution */
    fcl_gemm_problem problem; /* with what follows it, */
    fcl_gemm_choice choice;   /* by which this was chosen: where it takes no epilogue, another step does that */
    fcl_tensor *row_sum; /* of a product a' b: the sum of a's rows, as a bias's gradient is beside a weight's */
    fcl_tensor *own;
    fcl_tensor *beside[FCL_MAX_SUMS - 1]; /* `own` and these are sums, in one launch */
    int besides;
    fcl_tensor **member; /* elementwise nodes, inputs before users */
    int members;
    int arguments;        /* of the members' kernel, at most: what they read of others, and store */
    fcl_shape shape;      /* of the members and the product */
    fcl_storage *scratch; /* of `own`; of a block or row program: its work-items' parts of sums, rows that they keep */
    struct fcl_step *block; /* or: steps joined into one kernel, a row block of so many rows (block.c) or, where these */
    int blocks;             /* have an extent, a row program (rows.c) */
    int64_t rows;
    fcl_row_extent extent;
} fcl_step;

/* The nodes that a step computes, each after what it reads. */
int fcl_step_nodes(const fcl_step *step);
fcl_tensor *fcl_step_node(const fcl_step *step, int index);
/* Of its nodes, all of one: what a derivative computes again waits for that derivative, and joins no older step. But in a
 * row block, whose values leave nothing in memory. */
int fcl_step_age(const fcl_step *step);
/* The place of a node among the members; -1: it is none. */
int fcl_step_member(const fcl_step *step, const fcl_tensor *node);

/* A piece of memory: a window of the arena, live from step `first` to step `last`, or a leaf's own. */
struct fcl_storage {
    size_t bytes, offset;
    int first, last;
    fcl_tensor *owner;   /* NULL: scratch */
    fcl_tensor *instead; /* an assigned leaf whose memory this value is written into directly */
    fcl_buffer *buffer;
};

/* A number of the device that says, where it is 0, that a row of actions has nothing left to do. A run looks at it now
 * and then between these, each time at the copy that was begun at the look before: the device has work meanwhile. */
typedef struct fcl_look {
    fcl_buffer *buffer;
    size_t offset;
    float value;
    fcl_transfer *transfer;
    int first, end; /* the action that is the first look, and the one behind the row */
} fcl_look;

/* One thing a run enqueues; or a look. */
typedef struct fcl_action {
    fcl_launch *launch;
    fcl_gemm *gemm;
    fcl_look *look;
    fcl_buffer *copy_to, *copy_from; /* an assignment that could not be written in place */
    int step;
} fcl_action;

/* Behind an action a listener is told of a piece. */
typedef struct fcl_mark {
    int action; /* -1: before the first */
    const fcl_listener *listener;
    int64_t piece;
} fcl_mark;

/* A kernel argument that is set before each run. */
typedef struct fcl_binding {
    fcl_launch *launch;
    int index;
    fcl_tensor *scalar; /* NULL: the random counters, three arguments */
} fcl_binding;

typedef struct fcl_plan {
    fcl_graph *graph;
    fcl_device *device;
    fcl_graph_options options;
    fcl_step *steps;
    int count;
    fcl_storage **storages;
    int storage_count;
    size_t arena_bytes, sum_bytes;
    int64_t visits; /* nodes and runs of memory that the passes' searches have looked at */
    fcl_buffer *arena;
    fcl_program *program; /* the generated kernels */
    int kernels;
    double build_seconds; /* of these */
    fcl_action *actions;
    int action_count;
    fcl_binding *bindings;
    int binding_count;
    fcl_mark *marks; /* in the order of their actions */
    int mark_count;
    /* for fcl_graph_repeat, where one kernel repeats the whole graph: the order of the table's columns */
    fcl_tensor **table_scalar;
    int table_scalars;
    int table_index; /* of the kernel's argument; -1: the graph is run again and again */
    fcl_buffer *table;
    fcl_broken broken; /* with options.check, the last value that was looked at */
} fcl_plan;

/* run.c: all passes that need no driver, up to the places of values; the plan is the graph's. */
fcl_plan *fcl_plan_create(fcl_graph *graph, fcl_device *device, const fcl_graph_options *options);

/* check.c: looks at everything that the step has stored. FCL_ERR_NUMERIC: plan->broken. */
int fcl_plan_check(fcl_plan *plan, int step);

/* same.c: nodes read the first of those that compute the same. */
void fcl_plan_find_same(fcl_graph *graph);
/* again.c: a derivative computes what is cheap anew, from what is kept. */
void fcl_plan_compute_again(fcl_graph *graph);
/* fuse.c: marks what is needed and groups it into plan->steps, in the order of running. */
void fcl_plan_fuse(fcl_plan *plan);
/* Is the node the sum of axis 0 of a matrix? */
bool fcl_sums_rows(const fcl_tensor *node);
/* After blocks: sums over rows join the products a' b of the same a, which read it anyway; what is left of small ones
 * is one launch in the form of GPUs. */
void fcl_plan_join_sums(fcl_plan *plan);
/* order.c: takes over `steps`, in an order in which each stands behind what it needs; renumbers the nodes' steps. */
void fcl_plan_order(fcl_plan *plan, const fcl_step *steps, int count);

/* plan.c: a place for every stored value, then the buffers. */
void fcl_plan_place(fcl_plan *plan);
int fcl_plan_memory(fcl_plan *plan);

/* lower.c: builds the generated kernels and prepares plan->actions. */
int fcl_plan_lower(fcl_plan *plan);

/* marks.c: of the actions, the last that writes each of the listeners' pieces. */
void fcl_plan_mark(fcl_plan *plan);

/* generate.c. A fused kernel's arguments: pointers to what it reads, pointers to what it stores, scalars,
 * then, where it stands alone, the number of elements and what it draws by. As a product's epilogue its parameters
 * follow the product's own. */
typedef struct fcl_generated {
    fcl_text params, body;
    fcl_tensor *read[FCL_MAX_ARGUMENTS], *store[FCL_MAX_ARGUMENTS], *scalar[FCL_MAX_ARGUMENTS];
    int reads, stores, scalars;
    fcl_tensor *result; /* in an epilogue: what the product itself stores */
    int64_t cols, image; /* there: the product's columns; of a convolution, elements of an image; else 0 */
    int row_sum;        /* of a product: which of `store` its row_sum is; -1: it has none */
    int vector;         /* elements a work-item takes */
    bool unaligned;     /* these may begin anywhere: in the form of CPUs */
    int64_t run;        /* elements over which rows and columns run on: a vector never crosses its end */
    bool own_pace;      /* of a block: each row has its own number of repetitions */
    fcl_tensor *sum[FCL_MAX_ARGUMENTS]; /* of a block: nodes that sum over its rows */
    int sums;
    int64_t partial; /* floats of a work-item's part of them */
    bool random;        /* the random counters are three arguments behind the number of rows or elements */
    int reductions;     /* of a row program: along rows, by its groups */
    bool parts;         /* of a row program, or of a product: a second kernel adds what its groups leave */
    bool scratch;       /* of a row program: its groups have memory, for these or for rows that they keep */
    bool elements;      /* it holds texts of op->element */
} fcl_generated;

void fcl_generate(const fcl_step *step, const fcl_device *device, fcl_generated *generated);
void fcl_generated_free(fcl_generated *generated);
/* Appends the kernel of a plain chain over `size` elements, and tells how many work-items it needs. */
void fcl_generate_kernel(fcl_text *text, const char *name, const fcl_generated *generated, int64_t size);
size_t fcl_generate_items(const fcl_generated *generated, int64_t size);
/* The number of a tensor in a list of arguments; a new one is added. */
int fcl_generate_slot(fcl_tensor **list, int *count, fcl_tensor *tensor);
/* A constant's value or a scalar's argument, as an expression. */
void fcl_generate_literal(fcl_generated *generated, fcl_tensor *root);
/* The lines that compute an elementwise node as `real vINDEX`; `write` writes how it reads an input. */
typedef void fcl_operand_writer(void *context, const fcl_tensor *node, fcl_tensor *input);
void fcl_generate_member(fcl_generated *generated, fcl_tensor *node, int index, fcl_operand_writer *write,
                         void *context);
/* How elements of a shape read a tensor that is broadcast to it. */
typedef enum fcl_form {
    FCL_WHOLE,       /* x[i] */
    FCL_ROW_OPERAND, /* x[i / size]: leading dimensions, then ones */
    FCL_COLUMN,      /* x[i % size]: trailing dimensions */
    FCL_SINGLE,      /* x[0] */
    FCL_SAMPLE_COLUMN, /* x[i / period * size + i % size]: all but dimensions in the middle */
    FCL_MIDDLE,      /* x[i / size % period]: dimensions between ones */
    FCL_SCATTERED    /* any other broadcast: its index is computed for each element */
} fcl_form;
typedef struct fcl_operand {
    fcl_form form;
    int64_t size, period;
} fcl_operand;
fcl_operand fcl_classify(fcl_shape from, fcl_shape to);
/* Makes g->run end where runs of `size` elements do, too. */
void fcl_generate_run(fcl_generated *generated, int64_t size);
/* Writes how element i of the node reads an input from memory; narrows g->run. */
void fcl_generate_memory(fcl_generated *generated, const fcl_tensor *node, fcl_tensor *input);
/* Writes the parameters: reads, stores, scalars; `behind_others`: a comma stands before. */
void fcl_generate_params(fcl_generated *generated, bool behind_others);
/* Does all that it reads and stores begin at a multiple of a float4? */
bool fcl_generate_is_aligned(const fcl_generated *generated);
/* Is an input of the node broadcast in a way that vectors and epilogues cannot read, or its text for one number? */
bool fcl_generate_scattered(const fcl_tensor *node);

/* May a fused kernel of GPUs go on with it? */
bool fcl_element_joins(const fcl_tensor *node);

#endif
