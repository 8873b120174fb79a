/* Inside a graph: nodes, the operation table, and what lowering an operation needs.
 *
 * An operation is one row of fcl_ops (op.c). A row with an expression is elementwise: fuse.c pastes it into
 * generated kernels. Any other row lowers itself to launches of the library's kernels. */
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

#include <flowcl/graph.h>

#include "base/error.h"
#include "base/memory.h"
#include "device/gemm.h"
#include "device/launch.h"

typedef struct fcl_op fcl_op;
typedef struct fcl_lowering fcl_lowering;
typedef struct fcl_storage fcl_storage;

/* What an operation knows besides its inputs. Each row says in its builder which members it uses. */
typedef struct fcl_attributes {
    fcl_shape shape;
    int axis;
    int64_t begin, end; /* slice; pad: zeros before, zeros after */
    int order[FCL_MAX_RANK];
    unsigned axes;
    bool transpose_a, transpose_b;
    float number[2];      /* constant; gather: scale, shift */
    const float *content; /* of a filled input; in the graph's arena */
    uint32_t stream;
    int64_t count, total;
    fcl_ode_control control;
    fcl_sinkhorn_control sinkhorn;
} fcl_attributes;

enum { FCL_MAX_PARTS = 3 };

struct fcl_tensor {
    fcl_graph *graph;
    const fcl_op *op;
    int id; /* its place in graph->nodes: inputs stand before their users */
    fcl_type type;
    fcl_shape shape;
    int inputs;
    fcl_tensor **input;
    fcl_attributes attributes;
    const char *name;                /* "" if nobody named it */
    fcl_tensor *part[FCL_MAX_PARTS]; /* further results of the same launch; see fcl_node_part */
    fcl_buffer *bound;               /* a leaf's own memory */
    size_t bound_offset;
    float scalar; /* fcl_scalar_set */
    bool kept;    /* fcl_output */

    /* set by compile */
    bool needed;
    bool in_memory; /* a constant or scalar that some launch reads from memory */
    int step;       /* the step that computes it, -1: none */
    int last_step;  /* the last one that reads it */
    fcl_storage *storage; /* NULL: never stored (fused away, or nobody reads it) */
    fcl_buffer *buffer;   /* where it is; NULL without storage */
};

struct fcl_graph {
    fcl_arena arena; /* nodes, names: freed with the graph */
    fcl_tensor **nodes;
    int count, capacity;
    struct fcl_assignment {
        fcl_tensor *target, *value;
    } *assignments;
    int assignment_count;
    char *mistake; /* the first one, NULL while there is none */
    uint64_t seed, first_row;
    uint32_t step;
    struct fcl_plan *plan; /* after compile (plan.h) */
};

/* --- building nodes (op.c) --- */

/* Appends a node of the row `name`. Its shape comes from the row; `attributes` may be NULL. */
fcl_tensor *fcl_node(fcl_graph *graph, const char *name, int inputs, fcl_tensor *const *input,
                     const fcl_attributes *attributes);
/* One more result of node's launch, as a tensor of its own: node->part[index]. Its buffer is NULL at lowering
 * where nobody reads it. */
fcl_tensor *fcl_node_part(fcl_tensor *node, int index, fcl_type type, fcl_shape shape);
/* Records the graph's first mistake: "matmul decoder.0: (64, 128) by (256, 512)". */
void fcl_mistake(fcl_graph *graph, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "(64, 128)"; in the graph's arena. */
const char *fcl_shape_text(fcl_graph *graph, fcl_shape shape);
bool fcl_shape_equal(fcl_shape a, fcl_shape b);
/* The dimension that stands `from_end` places before the last one; 1 where there is none. */
int64_t fcl_shape_from_end(fcl_shape shape, int from_end);
size_t fcl_tensor_bytes(const fcl_tensor *tensor);
/* "add", or "add 'blocks.0'" where the node has a name; in the graph's arena. */
const char *fcl_node_text(const fcl_tensor *node);

/* The node whose memory `node` shares, through views; itself if it is none. */
fcl_tensor *fcl_node_root(fcl_tensor *node);

/* The sum of `a` over the dimensions along which `shape` was broadcast to a's shape. */
fcl_tensor *fcl_sum_to(fcl_tensor *a, fcl_shape shape);

/* The problem that a matrix product's node hands to the providers (matmul.c). */
fcl_gemm_problem fcl_matmul_problem(const fcl_tensor *node);

/* --- the table (op.c) --- */

typedef enum fcl_tangent {
    FCL_NO_TANGENT,  /* the derivative is zero by definition: detach, greater, noise */
    FCL_LINEAR,      /* the same operation on the tangents of all inputs */
    FCL_MULTILINEAR, /* the sum over inputs of the operation with that input replaced by its tangent */
    FCL_SYMMETRIC,   /* J = J': the adjoint rule is the tangent rule (one input) */
    FCL_OWN_TANGENT  /* row->own_tangent */
} fcl_tangent;

struct fcl_op {
    const char *name;
    fcl_shape (*shape)(fcl_tensor *node); /* from inputs and attributes; a misfit calls fcl_mistake */
    const char *expression;               /* elementwise: OpenCL C in a, b, c of type `real`; else NULL */
    int (*lower)(fcl_lowering *lowering, fcl_tensor *node); /* else: append the launches */
    /* du[i] = (dy/dx_i)' u for each input that wants one (NULL left for none); NULL: no derivative */
    void (*adjoint)(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
    fcl_tangent tangent;
    /* dx[i] may be NULL: zero */
    fcl_tensor *(*own_tangent)(fcl_tensor *node, fcl_tensor *const *dx);
    /* Device memory for the launch alone, in bytes; NULL: none. */
    size_t (*scratch)(const fcl_tensor *node, const fcl_device *device);
    enum { FCL_NO_LEAF, FCL_LEAF_MEMORY, FCL_LEAF_CONSTANT, FCL_LEAF_SCALAR } leaf; /* content from outside */
    bool view;    /* shares its input's memory: reshape */
    bool product; /* goes to the providers of device/gemm.h */
    /* The kernel reads an element of each input for the last time before it writes that element of a result,
     * and no other work-item reads it: a result may stand in an input's memory. */
    bool in_place;
};

extern const fcl_op fcl_ops[]; /* ends with a NULL name */
const fcl_op *fcl_op_find(const char *name);

/* --- lowering (lower.c): for row->lower; every buffer is known by now --- */

/* Appends a launch of the library's kernel; its label is the node's name or the kernel's. */
fcl_launch *fcl_lower_kernel(fcl_lowering *lowering, const fcl_tensor *node, const char *kernel);
fcl_device *fcl_lower_device(const fcl_lowering *lowering);
/* The node's scratch memory (row->scratch); NULL without any. */
fcl_buffer *fcl_lower_scratch(const fcl_lowering *lowering);
/* What the launch computes beside the node (fcl_step); NULL past the last. */
fcl_tensor *fcl_lower_beside(const fcl_lowering *lowering, int index);
/* Before each run, arguments index, index + 1, index + 2 become (ulong seed, uint step, ulong first row). */
void fcl_lower_random(fcl_lowering *lowering, fcl_launch *launch, int index);
/* Before a launch: where number `index` of the buffer is 0, this one and those after it, up to fcl_lower_look_end, change
 * nothing, and a run that notices leaves them out. */
void fcl_lower_look(fcl_lowering *lowering, fcl_buffer *buffer, int index);
void fcl_lower_look_end(fcl_lowering *lowering);

#endif
