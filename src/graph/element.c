/* Nodes that have kernels of their own, and a text for an element as well: in the form of GPUs, where launches cost
 * most, what they make goes on in the same kernel (cl/element.h). */
#include "graph/plan.h"

#include <string.h>

/* --- texts: an element's value, an expression in i --- */

/* The number of the argument that an input is read from, at any place. */
static int memory_of(fcl_generated *g, fcl_tensor *input)
{
    return fcl_generate_slot(g->read, &g->reads, fcl_node_root(input));
}

static long long row_size(const fcl_tensor *node)
{
    return node->shape.rank ? fcl_shape_size(node->shape) / node->shape.dim[0] : 1;
}

/* normal, uniform */
static void write_noise(fcl_generated *g, fcl_tensor *node, fcl_operand_writer *write, void *context)
{
    (void)write, (void)context;
    g->random = true;
    fcl_text_format(&g->body, "element_%s(first_row * %lld + i, %uu, seed, step)", node->op->name, row_size(node),
                    node->attributes.stream);
}

static void write_batch_index(fcl_generated *g, fcl_tensor *node, fcl_operand_writer *write, void *context)
{
    (void)write, (void)context;
    g->random = true;
    fcl_text_format(&g->body, "element_batch_index(first_row + i, %lldu, %lldul, %uu, seed, step)",
                    (long long)node->attributes.count, (long long)node->attributes.total, node->attributes.stream);
}

static void write_row_number(fcl_generated *g, fcl_tensor *node, fcl_operand_writer *write, void *context)
{
    (void)write, (void)context;
    g->random = true;
    fcl_text_format(&g->body, "(float)((first_row + i) %% %lldul)", (long long)node->attributes.total);
}

static void write_gather(fcl_generated *g, fcl_tensor *node, fcl_operand_writer *write, void *context)
{
    (void)write, (void)context;
    const float *number = node->attributes.number;
    int table = memory_of(g, node->input[0]), index = memory_of(g, node->input[1]);
    long long width = row_size(node), last = node->input[0]->shape.dim[0] - 1;
    fcl_text_format(&g->body, "x%d[clamp(x%d[i / %lld], 0, %lld) * %lld + i %% %lld]", table, index, width, last, width,
                    width);
    if (node->type == FCL_F32)
        fcl_text_format(&g->body, " * %.9ef + %.9ef", (double)number[0], (double)number[1]);
}

/* The part that holds column i % row. */
static void write_concat(fcl_generated *g, fcl_tensor *node, fcl_operand_writer *write, void *context)
{
    (void)write, (void)context;
    int axis = node->attributes.axis;
    long long inner = 1, begin = 0;
    for (int d = axis + 1; d < node->shape.rank; d++)
        inner *= node->shape.dim[d];
    const long long row = node->shape.dim[axis] * inner;
    for (int k = 0; k < node->inputs; k++) {
        const long long width = node->input[k]->shape.dim[axis] * inner, end = begin + width;
        if (k + 1 < node->inputs)
            fcl_text_format(&g->body, "i %% %lld < %lld ? ", row, end);
        fcl_text_format(&g->body, "x%d[i / %lld * %lld + i %% %lld - %lld]%s", memory_of(g, node->input[k]), row,
                        width, row, begin, k + 1 < node->inputs ? " : " : "");
        begin = end;
    }
}

static void write_cfm_loss(fcl_generated *g, fcl_tensor *node, fcl_operand_writer *write, void *context)
{
    (void)write, (void)context;
    int d = (int)node->input[0]->shape.dim[1], v = memory_of(g, node->input[0]), u = memory_of(g, node->input[1]);
    fcl_text_format(&g->body, "element_cfm_loss(x%d + i * %d, x%d + i * %d, %d)", v, d, u, d, d);
}

static void write_cfm_loss_grad(fcl_generated *g, fcl_tensor *node, fcl_operand_writer *write, void *context)
{
    fcl_text_format(&g->body, "(real)(%.9ef) * ", 2.0 / (double)node->shape.dim[1]);
    write(context, node, node->input[2]);
    fcl_text_add(&g->body, " * (");
    write(context, node, node->input[0]);
    fcl_text_add(&g->body, " - ");
    write(context, node, node->input[1]);
    fcl_text_add(&g->body, ")");
}

/* --- which nodes have one --- */

/* A longer row is for a work-group. */
static bool is_short_row(const fcl_tensor *node)
{
    return node->input[0]->shape.dim[1] <= 32;
}

/* More would be more arguments than a kernel may have beside those of what joins it. */
static bool has_few_parts(const fcl_tensor *node)
{
    return node->inputs <= 8;
}

static const struct {
    const char *op;
    fcl_element_writer *write;
    bool (*joins)(const fcl_tensor *node); /* NULL: any */
    bool single;                           /* a text for one number, not for vectors */
    bool anywhere;                         /* reads elements of its inputs at other places than its own */
} rows[] = {
    {"normal", write_noise, NULL, true, false},
    {"uniform", write_noise, NULL, true, false},
    {"batch_index", write_batch_index, NULL, true, false},
    {"row_number", write_row_number, NULL, true, false},
    {"gather_rows", write_gather, NULL, true, true},
    {"concat", write_concat, has_few_parts, true, true},
    {"cfm_loss", write_cfm_loss, is_short_row, true, true},
    {"cfm_loss_grad", write_cfm_loss_grad, NULL, false, false},
};

static int row_of(const fcl_tensor *node)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].op, node->op->name) == 0)
            return (int)i;
    return -1;
}

fcl_element_writer *fcl_element_text(const fcl_tensor *node)
{
    int i = row_of(node);
    return i < 0 ? NULL : rows[i].write;
}

bool fcl_element_joins(const fcl_tensor *node)
{
    int i = row_of(node);
    return i >= 0 && (!rows[i].joins || rows[i].joins(node));
}

bool fcl_element_is_single(const fcl_tensor *node)
{
    int i = row_of(node);
    return i >= 0 && rows[i].single;
}

bool fcl_element_reads_anywhere(const fcl_tensor *node)
{
    int i = row_of(node);
    return i >= 0 && rows[i].anywhere;
}
