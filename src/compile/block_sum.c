/* Sums over a row block's rows: the gradients of weights (a' b of two values) and of biases (the sum of axis
 * 0), the mean of a loss. Each work-item adds up its own rows, tile after tile, while they are in the nearest
 * cache; a second kernel adds the work-items' parts, always in the same order. */
#include "compile/block_writer.h"

bool fcl_block_sums(const fcl_tensor *node)
{
    if (node->op->product)
        return fcl_matmul_problem(node).transpose_a && !fcl_matmul_problem(node).transpose_b && node->shape.rank == 2 &&
               node->input[0]->shape.rank == 2 && node->input[1]->shape.rank == 2;
    return fcl_sums_rows(node);
}

/* A product turns its second factor's columns into rows, sixteen at a time; what is left goes without. */
int fcl_block_sum_columns(const fcl_tensor *node)
{
    return node->op->product ? (int)node->shape.dim[1] / 16 * 16 : 0;
}

static int64_t place_size(const fcl_tensor *node)
{
    return (fcl_shape_size(node->shape) + 15) / 16 * 16;
}

int64_t fcl_block_sums_size(const fcl_step *block)
{
    int64_t size = 0;
    for (int s = 0; s < block->blocks; s++)
        for (int i = 0; i < fcl_step_nodes(&block->block[s]); i++) {
            const fcl_tensor *node = fcl_step_node(&block->block[s], i);
            size += fcl_block_sums(node) ? place_size(node) : 0;
        }
    return size;
}

void fcl_block_write_sum(fcl_block_writer *w, const fcl_tensor *node)
{
    fcl_generated *g = w->g;
    int of = fcl_block_place_of(w, node->input[0]), columns = (int)node->input[0]->shape.dim[1];
    if (!node->op->product) {
        fcl_text_format(&g->body, "    block_sum_rows(part + %d, &tile[%d * BLOCK_VECTORS], %d, live);\n",
                        (int)g->partial, of, columns);
    } else {
        const fcl_block_value *turned = fcl_block_find(w, node, fcl_block_sum_columns(node));
        fcl_text_format(
            &g->body,
            "    block_sum_outer%s(part + %d, &tile[%d * BLOCK_VECTORS], &tile[%d * BLOCK_VECTORS], "
            "&tile[%d * BLOCK_VECTORS], %d, %d, live);\n",
            w->apart ? "_apart" : "", (int)g->partial, of, fcl_block_place_of(w, node->input[1]), turned ? turned->place : 0, columns,
            (int)node->shape.dim[1]);
    }
    g->sum[g->sums++] = (fcl_tensor *)node;
    g->partial += place_size(node);
}

void fcl_block_sums_kernel(fcl_text *text, const char *name, const fcl_generated *g)
{
    fcl_text_format(text, "kernel void %s_sums(const global float *part, const int parts", name);
    for (int i = 0; i < g->sums; i++)
        fcl_text_format(text, ", global float *y%d", i);
    fcl_text_format(text,
                    ")\n{\n    const int i = (int)get_global_id(0);\n    if (i >= %d)\n        return;\n"
                    "    float16 sum = vload16(i, part);\n"
                    "    for (int k = 1; k < parts; k++)\n        sum += vload16(k * %d + i, part);\n",
                    (int)g->partial / 16, (int)g->partial / 16);
    int begin = 0;
    for (int i = 0; i < g->sums; i++) {
        int size = (int)fcl_shape_size(g->sum[i]->shape), end = begin + (int)place_size(g->sum[i]) / 16;
        fcl_text_format(text, "    %sif (i < %d)\n        block_put(y%d, 16 * (i - %d), %d, sum);\n",
                        i ? "else " : "", end, i, begin, size);
        begin = end;
    }
    fcl_text_add(text, "}\n\n");
}
