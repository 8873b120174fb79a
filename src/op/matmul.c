/* Matrix products: shapes, derivatives, and the problem a node hands to the providers. */
#include "op/op.h"

static const fcl_matmul_attributes *how_of(const fcl_tensor *node)
{
    return node->attributes;
}

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

static fcl_shape matmul_shape(fcl_tensor *node)
{
    fcl_tensor *a = node->input[0], *b = node->input[1];
    bool ranks = a->shape.rank >= 2 && b->shape.rank >= 2;
    bool ta = how_of(node)->transpose_a, tb = how_of(node)->transpose_b;
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

/* A (..., M, K) by a shared (K, N) is one product of all rows, (... M, K); the shape comes back by a view. */
static fcl_tensor *fold_rows(fcl_tensor *a)
{
    int64_t columns = columns_of(a);
    return fcl_reshape(a, FCL_SHAPE(fcl_shape_size(a->shape) / columns, columns));
}

static fcl_tensor *unfold_rows(fcl_tensor *product, const fcl_tensor *a)
{
    fcl_shape shape = a->shape;
    shape.dim[shape.rank - 1] = columns_of(product);
    return fcl_reshape(product, shape);
}

fcl_tensor *fcl_matmul(fcl_tensor *a, fcl_tensor *b, bool transpose_a, bool transpose_b)
{
    if (a->shape.rank > 2 && b->shape.rank == 2 && !transpose_a)
        return unfold_rows(fcl_matmul(fold_rows(a), b, false, transpose_b), a);
    return fcl_node(a->graph, &fcl_op_matmul, 2, (fcl_tensor *[]){a, b},
                    &(fcl_matmul_attributes){transpose_a, transpose_b});
}

fcl_tensor *fcl_linear(fcl_tensor *x, fcl_tensor *weight, fcl_tensor *bias)
{
    if (!bias)
        return fcl_matmul(x, weight, false, true);
    /* Before the view: so the bias joins its product, and the sum of its gradient one that reads the same rows. */
    if (x->shape.rank > 2 && weight->shape.rank == 2 && bias->shape.rank == 1)
        return unfold_rows(fcl_linear(fold_rows(x), weight, bias), x);
    return fcl_add(fcl_matmul(x, weight, false, true), bias);
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
static void matmul_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    fcl_tensor *a = node->input[0], *b = node->input[1];
    bool ta = how_of(node)->transpose_a, tb = how_of(node)->transpose_b;
    fcl_tensor *da = ta ? fcl_matmul(b, u, tb, true) : fcl_matmul(u, b, false, !tb);
    fcl_tensor *db = tb ? fcl_matmul(u, a, true, ta) : fcl_matmul(a, u, !ta, false);
    du[0] = batch_sum_to(da, a->shape);
    du[1] = batch_sum_to(db, b->shape);
}

/* All leading dimensions of a product's operand, (M, K) or (..., M, K), written out: (lead, ..., M, K). */
static fcl_tensor *spread(fcl_tensor *a, fcl_shape leading)
{
    fcl_shape matrix = FCL_SHAPE(fcl_shape_from_end(a->shape, 1), fcl_shape_from_end(a->shape, 0));
    return fcl_expand(a, fcl_shape_joined(leading, matrix));
}

/* A tangent in place of one factor. Where both are batches of matrices they are brought to one batch. */
static fcl_tensor *tangent_term(fcl_tensor *node, fcl_shape lead, int replaced, fcl_tensor *dx)
{
    fcl_tensor *factor[2] = {node->input[0], node->input[1]};
    factor[replaced] = dx;
    if (lead.rank && factor[1 - replaced]->shape.rank > 2) {
        fcl_shape leading = fcl_shape_joined(lead, node->shape);
        leading.rank -= 2;
        factor[replaced] = spread(fcl_lead_aligned(dx, lead, node->shape.rank), leading);
        factor[1 - replaced] = spread(factor[1 - replaced], leading);
    }
    return fcl_node(node->graph, &fcl_op_matmul, 2, factor, node->attributes);
}

static fcl_tensor *matmul_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    fcl_tensor *a = dx[0] ? tangent_term(node, lead, 0, dx[0]) : NULL;
    fcl_tensor *b = dx[1] ? tangent_term(node, lead, 1, dx[1]) : NULL;
    return a && b ? fcl_add(a, b) : a ? a : b;
}

/* A (..., M, K) by a shared B is one product of all rows. */
fcl_gemm_problem fcl_matmul_problem(const fcl_tensor *node)
{
    const fcl_tensor *a = node->input[0], *b = node->input[1];
    bool ta = how_of(node)->transpose_a;
    bool rows = b->shape.rank == 2 && !ta;
    int64_t batch = batch_of(node);
    return (fcl_gemm_problem){
        .m = (int)(rows ? rows_of(node) * batch : rows_of(node)),
        .n = (int)columns_of(node),
        .k = (int)(ta ? rows_of(a) : columns_of(a)),
        .batch = rows ? 1 : (int)batch,
        .transpose_a = ta,
        .transpose_b = how_of(node)->transpose_b,
        .share_a = batch > 1 && a->shape.rank == 2,
        .share_b = batch > 1 && b->shape.rank == 2 && !rows,
    };
}

static double matmul_work(const fcl_tensor *node)
{
    fcl_gemm_problem p = fcl_matmul_problem(node);
    return 2.0 * p.batch * p.m * p.n * p.k;
}

const fcl_op fcl_op_matmul = {"matmul",
                              sizeof(fcl_matmul_attributes),
                              matmul_shape,
                              .work = matmul_work,
                              .rows = {.any_rows = 1u << 1},
                              .adjoint = matmul_adjoint,
                              .tangent = FCL_OWN_TANGENT,
                              .own_tangent = matmul_tangent,
                              .product = true};
