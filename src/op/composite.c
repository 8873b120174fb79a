/* Operations made of others: what their reductions read and what follows them compiles into the same kernels,
 * and their derivatives are those of their parts. */
#include "op/op.h"

#include <math.h>

static unsigned one_axis(fcl_tensor *a, int axis, const char *what)
{
    if (axis >= 0 && axis < a->shape.rank)
        return 1u << axis;
    fcl_mistake(a->graph, "%s of %s: axis %d of shape %s", what, fcl_node_text(a), axis,
                fcl_shape_text(a->graph, a->shape));
    return 0;
}

static int64_t count_of(fcl_shape shape, unsigned axes)
{
    int64_t count = 1;
    for (int i = 0; i < shape.rank; i++)
        count *= axes >> i & 1 ? shape.dim[i] : 1;
    return count;
}

static fcl_tensor *mean_axes(fcl_tensor *a, unsigned axes)
{
    return fcl_scale(fcl_sum_axes(a, axes), (float)(1.0 / (double)count_of(a->shape, axes)));
}

/* --- softmax --- */

/* What is taken from logarithms before exp, so that it cannot overflow; the result does not depend on it. Of
 * a row that is all -infinity, or has +infinity, nothing is: the difference would be no number. */
static fcl_tensor *largest(fcl_tensor *a, unsigned axes)
{
    fcl_tensor *m = fcl_detach(fcl_max_axes(a, axes)), *infinity = fcl_constant(a->graph, INFINITY);
    return fcl_where(fcl_greater(infinity, fcl_abs(m)), m, fcl_constant(a->graph, 0));
}

fcl_tensor *fcl_softmax(fcl_tensor *a, int axis)
{
    unsigned axes = one_axis(a, axis, "softmax");
    fcl_tensor *e = fcl_exp(fcl_sub(a, largest(a, axes)));
    return fcl_mul(e, fcl_reciprocal(fcl_sum_axes(e, axes)));
}

static fcl_tensor *log_sum_exp(fcl_tensor *a, unsigned axes)
{
    fcl_tensor *m = largest(a, axes);
    return fcl_add(m, fcl_log(fcl_sum_axes(fcl_exp(fcl_sub(a, m)), axes)));
}

fcl_tensor *fcl_log_sum_exp(fcl_tensor *a, int axis)
{
    return log_sum_exp(a, one_axis(a, axis, "log_sum_exp"));
}

fcl_tensor *fcl_log_softmax(fcl_tensor *a, int axis)
{
    return fcl_sub(a, log_sum_exp(a, one_axis(a, axis, "log_softmax")));
}

/* --- norms --- */

static fcl_tensor *reciprocal_root(fcl_tensor *mean_square, float epsilon)
{
    return fcl_reciprocal(fcl_sqrt(fcl_shift(mean_square, epsilon)));
}

static fcl_tensor *normalised(fcl_tensor *x, unsigned axes, float epsilon)
{
    fcl_tensor *centred = fcl_sub(x, mean_axes(x, axes));
    return fcl_mul(centred, reciprocal_root(mean_axes(fcl_square(centred), axes), epsilon));
}

static fcl_tensor *affine(fcl_tensor *x, fcl_tensor *weight, fcl_tensor *bias)
{
    fcl_tensor *scaled = weight ? fcl_mul(x, weight) : x;
    return bias ? fcl_add(scaled, bias) : scaled;
}

fcl_tensor *fcl_layer_norm(fcl_tensor *x, fcl_tensor *weight, fcl_tensor *bias, float epsilon)
{
    return affine(normalised(x, one_axis(x, x->shape.rank - 1, "layer_norm"), epsilon), weight, bias);
}

fcl_tensor *fcl_rms_norm(fcl_tensor *x, fcl_tensor *weight, float epsilon)
{
    unsigned axes = one_axis(x, x->shape.rank - 1, "rms_norm");
    return affine(fcl_mul(x, reciprocal_root(mean_axes(fcl_square(x), axes), epsilon)), weight, NULL);
}

/* A weight (C) where x has its channels: (C, 1, ..., 1). */
static fcl_tensor *along(fcl_tensor *weight, int behind)
{
    if (!weight)
        return NULL;
    fcl_shape shape = {.rank = 1 + behind, .dim = {fcl_shape_size(weight->shape)}};
    for (int i = 1; i <= behind; i++)
        shape.dim[i] = 1;
    return fcl_reshape(weight, shape);
}

fcl_tensor *fcl_group_norm(fcl_tensor *x, int axis, int groups, fcl_tensor *weight, fcl_tensor *bias,
                           float epsilon)
{
    fcl_shape shape = x->shape;
    int64_t channels = one_axis(x, axis, "group_norm") && axis > 0 ? shape.dim[axis] : 0;
    if (groups < 1 || channels < 1 || channels % groups) {
        fcl_mistake(x->graph,
                    "group_norm of %s: %d groups along axis %d of shape %s; it takes (N, ..., C, ...) and a "
                    "divisor of C",
                    fcl_node_text(x), groups, axis, fcl_shape_text(x->graph, shape));
        return x;
    }
    int64_t before = fcl_shape_outer(shape, axis) / shape.dim[0], behind = fcl_shape_inner(shape, axis);
    fcl_tensor *parts = fcl_reshape(x, FCL_SHAPE(shape.dim[0], before, groups, channels / groups, behind));
    fcl_tensor *same = fcl_reshape(normalised(parts, 1u << 1 | 1u << 3 | 1u << 4, epsilon), shape);
    int rest = shape.rank - 1 - axis;
    return affine(same, along(weight, rest), along(bias, rest));
}

/* --- losses --- */

fcl_tensor *fcl_mean_squared_error(fcl_tensor *a, fcl_tensor *b)
{
    return fcl_mean(fcl_square(fcl_sub(a, b)));
}

fcl_tensor *fcl_cross_entropy(fcl_tensor *logits, fcl_tensor *label, float smoothing)
{
    fcl_shape shape = logits->shape;
    if (shape.rank != 2 || label->shape.rank != 1 || label->shape.dim[0] != shape.dim[0] ||
        !(smoothing >= 0 && smoothing < 1)) {
        fcl_mistake(logits->graph,
                    "cross_entropy: logits %s of shape %s, labels of shape %s, smoothing %g; it takes "
                    "(B, C), (B), and 0 to below 1",
                    fcl_node_text(logits), fcl_shape_text(logits->graph, shape),
                    fcl_shape_text(logits->graph, label->shape), (double)smoothing);
        return logits;
    }
    fcl_tensor *target = fcl_scale(fcl_one_hot(label, shape.dim[1]), 1 - smoothing);
    target = fcl_shift(target, smoothing / (float)shape.dim[1]);
    return fcl_sub(log_sum_exp(logits, 1u << 1), fcl_sum_axes(fcl_mul(target, logits), 1u << 1));
}

/* --- images of other sizes --- */

/* The sum of neighbours in dimension `from_end`, which is halved. */
static fcl_tensor *sum_of_pairs(fcl_tensor *x, int from_end)
{
    fcl_shape shape = x->shape;
    int64_t inner = 1;
    for (int i = 0; i < from_end; i++)
        inner *= fcl_shape_from_end(shape, i);
    shape.dim[shape.rank - 1 - from_end] /= 2;
    fcl_shape pairs = FCL_SHAPE(fcl_shape_size(shape) / inner, 2, inner);
    return fcl_reshape(fcl_sum_axes(fcl_reshape(x, pairs), 1u << 1), shape);
}

fcl_tensor *fcl_avg_pool2d(fcl_tensor *x)
{
    fcl_shape shape = x->shape;
    if (shape.rank < 3 || fcl_shape_from_end(shape, 1) % 2 || fcl_shape_from_end(shape, 2) % 2) {
        fcl_mistake(x->graph, "avg_pool2d of %s %s: images are (..., H, W, C), H and W even", fcl_node_text(x),
                    fcl_shape_text(x->graph, shape));
        return x;
    }
    return fcl_scale(sum_of_pairs(sum_of_pairs(x, 2), 1), 0.25f);
}

fcl_tensor *fcl_upsample2d(fcl_tensor *x)
{
    fcl_shape shape = x->shape;
    if (shape.rank < 3) {
        fcl_mistake(x->graph, "upsample2d of %s %s: images are (..., H, W, C)", fcl_node_text(x),
                    fcl_shape_text(x->graph, shape));
        return x;
    }
    int64_t *size = &shape.dim[shape.rank - 3], height = size[0], width = size[1], channels = size[2];
    int64_t count = fcl_shape_size(shape) / (height * width * channels);
    size[0] *= 2, size[1] *= 2;
    fcl_tensor *pixels = fcl_reshape(x, FCL_SHAPE(count, height, 1, width, 1, channels));
    return fcl_reshape(fcl_expand(pixels, FCL_SHAPE(count, height, 2, width, 2, channels)), shape);
}
