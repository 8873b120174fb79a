/* What an operation is: a row of the table (op/ops.h), an object beside its functions (op/). Everything that derivatives,
 * fusing, blocks and lowering ask of an operation stands here; none of them knows an operation by its name. */
#ifndef GRAPH_OP_H
#define GRAPH_OP_H

#include <flowcl/graph.h>

typedef struct fcl_lowering fcl_lowering;             /* prepares launches: op/lower.h */
typedef struct fcl_element_writer fcl_element_writer; /* writes the text of fused kernels, and of row blocks: op/text.h */
typedef struct fcl_row_writer fcl_row_writer;

typedef enum fcl_tangent {
    FCL_NO_TANGENT,  /* the derivative is zero by definition: detach, greater, noise */
    FCL_LINEAR,      /* the same operation, lifted, on the tangents of all inputs */
    FCL_MULTILINEAR, /* the sum over inputs of the operation with that input replaced by its tangent */
    FCL_SYMMETRIC,   /* J = J': the adjoint rule is the tangent rule (one input) */
    FCL_OWN_TANGENT  /* op->own_tangent */
} fcl_tangent;

/* The node's value at element i, as a part of a fused kernel in the form of GPUs, where launches cost most (cl/element.h). */
typedef struct fcl_element {
    void (*write)(fcl_element_writer *writer, fcl_tensor *node); /* an expression in i; NULL: the node has none */
    bool (*joins)(const fcl_tensor *node); /* may a fused kernel go on with it? NULL: always */
    bool single;   /* its text is for one number, not for vectors */
    bool anywhere; /* it reads elements of its inputs at other places than i, so what makes them is another kernel */
} fcl_element;

/* The node's rows as a part of a row block: from tile to tile (cl/block.h). */
typedef struct fcl_row_text {
    void (*write)(fcl_row_writer *writer, fcl_tensor *node); /* NULL: the node has none */
    bool (*fits)(const fcl_tensor *node); /* NULL: always */
    bool random;        /* it draws: in a kernel that repeats its block the counters would stand still */
    bool own_pace;      /* rows take more or fewer repetitions, as samples under error control do */
    unsigned any_rows;  /* inputs of which it reads any rows, from memory, where others read a row for a row; bit k */
} fcl_row_text;

typedef struct fcl_op {
    const char *name;                     /* in messages and profiles */
    size_t attributes;                    /* bytes of its own attributes; 0: none */
    fcl_shape (*shape)(fcl_tensor *node); /* from inputs and attributes; a misfit calls fcl_mistake */
    const char *expression;               /* elementwise: OpenCL C in a, b, c of type `real`; else NULL */
    int (*lower)(fcl_lowering *lowering, fcl_tensor *node); /* else: append the launches */
    double (*work)(const fcl_tensor *node); /* floating-point operations of its definition; NULL: few beside others' */
    size_t (*scratch)(const fcl_tensor *node, const fcl_device *device); /* memory of these alone, bytes; NULL: none */
    fcl_element element;
    fcl_row_text rows;

    /* --- derivatives --- */

    /* du[i] = (dy/dx_i)' u for each input that wants one (NULL left for none); NULL: no derivative */
    void (*adjoint)(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
    /* a + b of two nodes of this operation in fewer launches, for adjoints that meet; NULL, or gives NULL: unknown */
    fcl_tensor *(*joined)(fcl_tensor *a, fcl_tensor *b);
    fcl_tangent tangent;
    /* Tangents may have leading dimensions that their tensors lack, `lead`: T tangents in one sweep. Attributes of which
     * the meaning moves with them, as an axis, are made so here; NULL: none does. */
    void (*lift)(const fcl_tensor *node, fcl_shape lead, void *lifted);
    /* dx[i] may be NULL: zero. Each has the leading dimensions; the result has them, too. */
    fcl_tensor *(*own_tangent)(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx);

    /* --- kinds --- */

    enum { FCL_NO_LEAF, FCL_LEAF_MEMORY, FCL_LEAF_CONSTANT, FCL_LEAF_SCALAR } leaf; /* content from outside */
    bool view;    /* shares its input's memory: reshape */
    bool part;    /* a further result of its input's launch */
    bool product; /* goes to the providers of device/gemm.h, as fcl_matmul_problem says */
    bool convolution; /* is computed by the tiles of device/conv.h where these have its problem, else by `lower` */
    enum { FCL_NO_REDUCTION, FCL_SUM, FCL_MAX } reduction; /* over axes, as fcl_reduced_axes says */
    /* The kernel reads an element of each input for the last time before it writes that element of a result,
     * and no other work-item reads it: a result may stand in an input's memory. */
    bool in_place;
} fcl_op;

#endif
