/* Inside a graph: tensors, nodes, and what builders and derivatives need. No device is known here. */
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

#include "base/error.h"
#include "base/memory.h"
#include "graph/op.h"

typedef struct fcl_storage fcl_storage;

enum { FCL_MAX_PARTS = 3 };

struct fcl_tensor {
    fcl_graph *graph;
    const fcl_op *op;
    const void *attributes; /* op->attributes bytes: the operation's own struct (op/ops.h) */
    int id; /* its place in graph->nodes: inputs stand before their users */
    fcl_type type;
    fcl_shape shape;
    int inputs;
    fcl_tensor **input;
    fcl_tensor *root; /* see fcl_node_root */
    const char *name;                /* "" if nobody named it */
    fcl_tensor *part[FCL_MAX_PARTS]; /* further results of the same launch; see fcl_node_part */
    fcl_buffer *bound;               /* a leaf's own memory */
    size_t bound_offset;
    const float *content; /* of a filled input; in the graph's arena */
    float scalar;         /* a constant, or what fcl_scalar_set said */
    int block;            /* that it was built in, from 1; 0: in none */
    int age;              /* of the nodes at its building: what is computed again is younger than what it repeats */
    bool derived;         /* by fcl_vjp: a part of a backward pass */
    bool again;           /* of values that it computes again, and no more (compile/again.c) */
    bool kept;            /* fcl_output */
    bool assigned;        /* fcl_assign has a value for it */

    /* set by compile */
    bool needed;
    fcl_tensor **reader; /* the needed nodes that read it, views, and what reads it through them */
    int readers;
    bool in_memory; /* a constant or scalar that some launch reads from memory */
    bool bare;      /* a product whose provider takes nothing of what follows it */
    int step;       /* the step that computes it, -1: none */
    int last_step;  /* the last one that reads it */
    fcl_storage *storage; /* NULL: never stored (fused away, or nobody reads it) */
    fcl_buffer *buffer;   /* where it is; NULL without storage */
    int value;            /* the last of its values in the row block that is written, if that one is of it */
};

/* Whom each run tells, piece by piece of a buffer, that it has enqueued the last that writes there: behind it in the run
 * nothing is assigned to a leaf in that piece. Pieces to which nothing is assigned are told first. Not of a run that looks at
 * its values (fcl_graph_options.check). What `written` returns ends the run where it is not FCL_OK. */
typedef struct fcl_listener {
    fcl_buffer *buffer; /* what leaves are bound to */
    size_t piece;       /* bytes; the last one may have fewer */
    int (*written)(void *data, int64_t piece);
    void *data;
} fcl_listener;

struct fcl_graph {
    fcl_arena arena; /* nodes, names: freed with the graph */
    fcl_tensor **nodes;
    int count, capacity;
    struct fcl_assignment {
        fcl_tensor *target, *value;
        /* set by compile: the step behind which the value is copied, unless it is written in place; and the action that
         * leaves it in the target */
        int behind, action;
    } *assignments;
    int assignment_count;
    fcl_listener *listeners;
    int listener_count;
    char *mistake; /* the first one, NULL while there is none */
    int blocks, nested; /* begun so far; begun and not ended, of which the outermost counts */
    bool recompute;
    int age; /* of the nodes that are built now */
    int deriving; /* fcl_vjp calls that build them */
    uint64_t seed, first_row;
    uint32_t step;
    struct fcl_plan *plan; /* after compile (compile/plan.h) */
};

void fcl_plan_destroy(struct fcl_plan **plan);

/* Before it is compiled. The buffer and `data` are borrowed until no run comes any more. */
void fcl_graph_listen(fcl_graph *graph, const fcl_listener *listener);

/* Of a value, what is not finite. */
typedef struct fcl_broken {
    const fcl_tensor *node;
    int64_t element;           /* the first */
    float value;
    int64_t row, rows;         /* it is in this one of so many, by the first dimension */
    int64_t broken_rows;       /* that have such numbers; 0: the value is finite */
} fcl_broken;

/* Of a graph that looks at its values (fcl_graph_options.check): the last one that it looked at. */
const fcl_broken *fcl_graph_broken(const fcl_graph *graph);

/* Appends a node. Its shape comes from the row; `attributes`, the row's own, are copied. */
fcl_tensor *fcl_node(fcl_graph *graph, const fcl_op *op, int inputs, fcl_tensor *const *input, const void *attributes);
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
/* The dimensions of `lead`, then those of `shape`; what is beyond FCL_MAX_RANK is left out. */
fcl_shape fcl_shape_joined(fcl_shape lead, fcl_shape shape);
size_t fcl_tensor_bytes(const fcl_tensor *tensor);
/* "add", or "add 'blocks.0'" where the node has a name; in the graph's arena. */
const char *fcl_node_text(const fcl_tensor *node);

/* The node whose memory `node` shares, through views; itself if it is none. */
fcl_tensor *fcl_node_root(fcl_tensor *node);

/* again[id] becomes, for all nodes of the node's block up to number `until`, a copy that reads the block's inputs where
 * they are kept; a leaf stays itself. The copies begin a new age. */
void fcl_block_again(const fcl_tensor *node, int until, fcl_tensor **again);

/* The sum of `a` over the dimensions along which `shape` was broadcast to a's shape. */
fcl_tensor *fcl_sum_to(fcl_tensor *a, fcl_shape shape);
/* (lead, shape) as (lead, 1, ..., shape), for a broadcast with a tensor of `rank` dimensions without lead. */
fcl_tensor *fcl_lead_aligned(fcl_tensor *dx, fcl_shape lead, int rank);

#endif
