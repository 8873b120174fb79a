/* Matrix products: shapes, derivatives, and the problem a node hands to the providers. */
#include "graph/plan.h"
#include "graph/rules.h"

static int64_t rows_of(const fcl_tensor *t)
{
    return t->shape.dim[t->shape.rank - 2];
}

static int64_t columns_of(const fcl_tensor *t)
{
    return t->shape.dim[t->shape.rank - 1];
}

static int64_t batch_of(const fcl_tensor *t)
{
    return fcl_shape_size(t->shape) / (rows_of(t) * columns_of(t));
}

static bool leading_dims_fit(const fcl_tensor *a, const fcl_tensor *b)
{
    if (a->shape.rank == 2 || b->shape.rank == 2)
        return true;
    if (a->shape.rank != b->shape.rank)
        return false;
    for (int d = 0; d < a->shape.rank - 2; d++)
        if (a->shape.dim[d] != b->shape.dim[d])
            return false;
    return true;
}

fcl_shape fcl_matmul_shape(fcl_tensor *node)
{
    fcl_tensor *a = node->input[0], *b = node->input[1];
    bool ranks = a->shape.rank >= 2 && b->shape.rank >= 2;
    bool ta = node->attributes.transpose_a, tb = node->attributes.transpose_b;
    if (!ranks || (ta ? rows_of(a) : columns_of(a)) != (tb ? columns_of(b) : rows_of(b)) ||
        !leading_dims_fit(a, b)) {
        fcl_mistake(node->graph, "matmul of %s %s%s by %s %s%s", fcl_node_text(a),
                    fcl_shape_text(node->graph, a->shape), ta ? " transposed" : "", fcl_node_text(b),
                    fcl_shape_text(node->graph, b->shape), tb ? " transposed" : "");
        return FCL_SCALAR;
    }
    fcl_shape shape = a->shape.rank >= b->shape.rank ? a->shape : b->shape;
    shape.dim[shape.rank - 2] = ta ? columns_of(a) : rows_of(a);
    shape.dim[shape.rank - 1] = tb ? rows_of(b) : columns_of(b);
    return shape;
}

/* A (..., M, K) by a shared (K, N) is one product of all rows; the shape comes back by a view. */
static fcl_tensor *fold_rows(fcl_tensor *a, fcl_tensor *b, bool transpose_b)
{
    int64_t columns = columns_of(a);
    fcl_tensor *flat = fcl_reshape(a, FCL_SHAPE(fcl_shape_size(a->shape) / columns, columns));
    fcl_tensor *product = fcl_matmul(flat, b, false, transpose_b);
    fcl_shape shape = a->shape;
    shape.dim[shape.rank - 1] = columns_of(product);
    return fcl_reshape(product, shape);
}

fcl_tensor *fcl_matmul(fcl_tensor *a, fcl_tensor *b, bool transpose_a, bool transpose_b)
{
    if (a->shape.rank > 2 && b->shape.rank == 2 && !transpose_a)
        return fold_rows(a, b, transpose_b);
    return fcl_node(a->graph, "matmul", 2, (fcl_tensor *[]){a, b},
                    &(fcl_attributes){.transpose_a = transpose_a, .transpose_b = transpose_b});
}

fcl_tensor *fcl_linear(fcl_tensor *x, fcl_tensor *weight, fcl_tensor *bias)
{
    fcl_tensor *product = fcl_matmul(x, weight, false, true);
    return bias ? fcl_add(product, bias) : product;
}

/* The product of a whole batch summed: where one operand is shared, its derivative sums over the batch. */
static fcl_tensor *batch_sum_to(fcl_tensor *product, fcl_shape shape)
{
    if (product->shape.rank == shape.rank)
        return product;
    fcl_shape folded = FCL_SHAPE(batch_of(product), rows_of(product), columns_of(product));
    return fcl_sum_to(fcl_reshape(product, folded), shape);
}

/* C = A B:  dA = U B', dB = A' U; with op() on either, transposed accordingly. */
void fcl_matmul_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *a = node->input[0], *b = node->input[1];
    bool ta = node->attributes.transpose_a, tb = node->attributes.transpose_b;
    fcl_tensor *da = ta ? fcl_matmul(b, u, tb, true) : fcl_matmul(u, b, false, !tb);
    fcl_tensor *db = tb ? fcl_matmul(u, a, true, ta) : fcl_matmul(a, u, !ta, false);
    du[0] = batch_sum_to(da, a->shape);
    du[1] = batch_sum_to(db, b->shape);
}

/* A (..., M, K) by a shared B is one product of all rows. */
fcl_gemm_problem fcl_matmul_problem(const fcl_tensor *node)
{
    const fcl_tensor *a = node->input[0], *b = node->input[1];
    bool ta = node->attributes.transpose_a;
    bool rows = b->shape.rank == 2 && !ta;
    int64_t batch = batch_of(node);
    return (fcl_gemm_problem){
        .m = (int)(rows ? rows_of(node) * batch : rows_of(node)),
        .n = (int)columns_of(node),
        .k = (int)(ta ? rows_of(a) : columns_of(a)),
        .batch = rows ? 1 : (int)batch,
        .transpose_a = ta,
        .transpose_b = node->attributes.transpose_b,
        .share_a = batch > 1 && a->shape.rank == 2,
        .share_b = batch > 1 && b->shape.rank == 2 && !rows,
    };
}

static bool is_listed(const fcl_product *list, int count, const fcl_product *p)
{
    for (int i = 0; i < count; i++)
        if (list[i].m == p->m && list[i].n == p->n && list[i].k == p->k && list[i].batch == p->batch &&
            list[i].transpose_a == p->transpose_a && list[i].transpose_b == p->transpose_b &&
            list[i].share_a == p->share_a && list[i].share_b == p->share_b)
            return true;
    return false;
}

int fcl_graph_products(const fcl_graph *graph, fcl_product **products, int *count)
{
    *products = NULL;
    *count = 0;
    if (!graph->plan)
        return fcl_fail(FCL_ERR_ARGUMENT, "a graph must be compiled before its products are known");
    for (int i = 0; i < graph->plan->count; i++) {
        const fcl_tensor *node = graph->plan->steps[i].product;
        if (!node)
            continue;
        fcl_gemm_problem p = fcl_matmul_problem(node);
        fcl_product product = {.m = p.m,
                               .n = p.n,
                               .k = p.k,
                               .transpose_a = p.transpose_a,
                               .transpose_b = p.transpose_b,
                               .batch = p.batch,
                               .share_a = p.share_a,
                               .share_b = p.share_b};
        if (is_listed(*products, *count, &product))
            continue;
        *products = fcl_grow(*products, (size_t)(*count + 1) * sizeof product);
        (*products)[(*count)++] = product;
    }
    return FCL_OK;
}
