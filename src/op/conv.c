/* Convolutions of images, channels last.
 *
 * x (N, H, W, C), weights w (k, k, C, O) and y (N, OH, OW, O) make a number, F = sum of conv(x, w) y, which is linear in
 * each of them. The three operations are its gradients in one from the other two: in y the convolution, in x and in w what
 * derivatives need. So those of each are the other two again. A factor of more than four dimensions is a batch in its
 * leading ones, a convolution for each; one of four is shared by the batch. */
#include "op/op.h"

enum { X = FCL_CONV_X, W = FCL_CONV_W, Y = FCL_CONV_Y, FACTORS, RANK = 4 };

/* What each reads, in the order of its inputs. */
static const int inputs_of[FACTORS][2] = {[X] = {Y, W}, [W] = {X, Y}, [Y] = {X, W}};
static const fcl_op *const op_of[FACTORS] = {&fcl_op_conv2d_input, &fcl_op_conv2d_weight, &fcl_op_conv2d};

static const fcl_conv_attributes *how_of(const fcl_tensor *node)
{
    return node->attributes;
}

static int result_of(const fcl_tensor *node)
{
    int result = 0;
    while (op_of[result] != node->op)
        result++;
    return result;
}

/* The four dimensions of one of a batch. */
static fcl_shape one_of(fcl_shape shape)
{
    fcl_shape one = {.rank = RANK};
    for (int i = 0; i < RANK; i++)
        one.dim[i] = shape.dim[shape.rank - RANK + i];
    return one;
}

static fcl_shape leading(fcl_shape shape)
{
    shape.rank -= RANK;
    return shape;
}

static fcl_shape lead_of(const fcl_tensor *node)
{
    fcl_shape a = node->input[0]->shape, b = node->input[1]->shape;
    return leading(a.rank > RANK ? a : b);
}

/* --- shapes --- */

static bool ranks_fit(fcl_tensor *node)
{
    fcl_shape a = node->input[0]->shape, b = node->input[1]->shape;
    bool images = a.rank >= RANK && b.rank >= RANK;
    if (images && (a.rank == RANK || b.rank == RANK || fcl_shape_equal(leading(a), leading(b))))
        return true;
    fcl_mistake(node->graph, "%s of %s %s by %s %s: images are (N, H, W, C), weights (k, k, C, O)", node->op->name,
                fcl_node_text(node->input[0]), fcl_shape_text(node->graph, a), fcl_node_text(node->input[1]),
                fcl_shape_text(node->graph, b));
    return false;
}

/* A sentence about what does not fit; NULL: all does. */
static const char *misfit(fcl_graph *graph, fcl_shape x, fcl_shape w, const fcl_conv_attributes *how)
{
    fcl_arena *arena = &graph->arena;
    if (how->stride != 1 && how->stride != 2)
        return fcl_arena_format(arena, "the stride is 1 or 2, not %d", how->stride);
    if (w.dim[0] != w.dim[1] || w.dim[0] % 2 == 0)
        return fcl_arena_format(arena, "kernels are square, of odd sides, not %lld x %lld", (long long)w.dim[0],
                                (long long)w.dim[1]);
    if (how->padding < 0 || how->padding >= w.dim[0])
        return fcl_arena_format(arena, "the padding of a kernel of %lld x %lld is 0 to %lld, not %d", (long long)w.dim[0],
                                (long long)w.dim[1], (long long)w.dim[0] - 1, how->padding);
    if (x.dim[3] != w.dim[2])
        return fcl_arena_format(arena, "the images have %lld channels, the weights take %lld", (long long)x.dim[3],
                                (long long)w.dim[2]);
    for (int i = 1; i <= 2; i++)
        if (x.dim[i] * how->upsample + 2 * how->padding < w.dim[0])
            return fcl_arena_format(arena, "images of %lld x %lld with a padding of %d are smaller than a kernel of %lld x %lld",
                                    (long long)x.dim[1] * how->upsample, (long long)x.dim[2] * how->upsample, how->padding,
                                    (long long)w.dim[0], (long long)w.dim[1]);
    return NULL;
}

static int64_t out_size(int64_t size, const fcl_conv_attributes *how)
{
    return (size * how->upsample + 2 * how->padding - how->side) / how->stride + 1;
}

static fcl_shape conv2d_shape(fcl_tensor *node)
{
    fcl_graph *graph = node->graph;
    fcl_require_type(node, 0, FCL_F32);
    fcl_require_type(node, 1, FCL_F32);
    if (!ranks_fit(node))
        return FCL_SCALAR;
    const fcl_conv_attributes *how = how_of(node);
    fcl_shape x = one_of(node->input[0]->shape), w = one_of(node->input[1]->shape);
    const char *what = misfit(graph, x, w, how);
    if (what) {
        fcl_mistake(graph, "conv2d of %s %s by %s %s: %s", fcl_node_text(node->input[0]), fcl_shape_text(graph, x),
                    fcl_node_text(node->input[1]), fcl_shape_text(graph, w), what);
        return FCL_SCALAR;
    }
    fcl_shape y = FCL_SHAPE(x.dim[0], out_size(x.dim[1], how), out_size(x.dim[2], how), w.dim[3]);
    return fcl_shape_joined(lead_of(node), y);
}

/* The gradients' shapes follow from a convolution's that fits. */
static fcl_shape conv2d_input_shape(fcl_tensor *node)
{
    if (!ranks_fit(node))
        return FCL_SCALAR;
    fcl_shape y = one_of(node->input[0]->shape), w = one_of(node->input[1]->shape);
    fcl_shape x = FCL_SHAPE(y.dim[0], how_of(node)->height, how_of(node)->width, w.dim[2]);
    return fcl_shape_joined(lead_of(node), x);
}

static fcl_shape conv2d_weight_shape(fcl_tensor *node)
{
    if (!ranks_fit(node))
        return FCL_SCALAR;
    fcl_shape x = one_of(node->input[0]->shape), y = one_of(node->input[1]->shape);
    fcl_shape w = FCL_SHAPE(how_of(node)->side, how_of(node)->side, x.dim[3], y.dim[3]);
    return fcl_shape_joined(lead_of(node), w);
}

/* --- builders --- */

static fcl_tensor *of_factors(int result, fcl_tensor *const *factor, const fcl_conv_attributes *how)
{
    const int *input = inputs_of[result];
    return fcl_node(factor[input[0]]->graph, op_of[result], 2, (fcl_tensor *[]){factor[input[0]], factor[input[1]]}, how);
}

/* A batch by shared weights is one convolution of all its images. */
static fcl_tensor *of_folded(int result, fcl_tensor *const *factor, const fcl_conv_attributes *how)
{
    fcl_tensor *all[FACTORS] = {factor[X], factor[W], factor[Y]}, *images = factor[inputs_of[result][0]];
    fcl_shape flat = one_of(images->shape);
    flat.dim[0] *= fcl_shape_size(leading(images->shape));
    all[inputs_of[result][0]] = fcl_reshape(images, flat);
    fcl_tensor *node = of_factors(result, all, how);
    if (node->shape.rank != RANK)
        return node;
    fcl_shape shape = node->shape;
    shape.dim[0] = images->shape.dim[images->shape.rank - RANK];
    return fcl_reshape(node, fcl_shape_joined(leading(images->shape), shape));
}

static fcl_tensor *gradient(int result, fcl_tensor *const *factor, const fcl_conv_attributes *how)
{
    bool folds = result != W && factor[W]->shape.rank == RANK && factor[inputs_of[result][0]]->shape.rank > RANK;
    return folds ? of_folded(result, factor, how) : of_factors(result, factor, how);
}

fcl_tensor *fcl_conv2d(fcl_tensor *x, fcl_tensor *weight, const fcl_conv2d_options *options)
{
    const fcl_conv2d_options standard = {0}, *o = options ? options : &standard;
    bool images = x->shape.rank >= RANK && weight->shape.rank >= RANK;
    fcl_conv_attributes how = {.side = images ? (int)one_of(weight->shape).dim[0] : 0,
                               .stride = o->stride ? o->stride : 1,
                               .padding = o->padding,
                               .upsample = o->upsample ? 2 : 1,
                               .height = images ? (int)one_of(x->shape).dim[1] : 0,
                               .width = images ? (int)one_of(x->shape).dim[2] : 0};
    return gradient(Y, (fcl_tensor *[]){x, weight, NULL}, &how);
}

/* --- derivatives --- */

/* Of a batch that shares a factor, that one's derivative sums over the batch. */
static fcl_tensor *batch_sum_to(fcl_tensor *a, fcl_shape shape)
{
    if (a->shape.rank == shape.rank)
        return a;
    fcl_shape folded = fcl_shape_joined(FCL_SHAPE(fcl_shape_size(leading(a->shape))), one_of(a->shape));
    return fcl_sum_to(fcl_reshape(a, folded), shape);
}

static void conv_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    int result = result_of(node);
    for (int i = 0; i < 2; i++) {
        fcl_tensor *factor[FACTORS] = {0};
        factor[result] = u;
        factor[inputs_of[result][1 - i]] = node->input[1 - i];
        du[i] = batch_sum_to(gradient(inputs_of[result][i], factor, node->attributes), node->input[i]->shape);
    }
}

/* A tangent in place of one factor. Where the other one is a batch, too, both are brought to one batch. */
static fcl_tensor *tangent_term(fcl_tensor *node, fcl_shape lead, int replaced, fcl_tensor *dx)
{
    int result = result_of(node);
    fcl_tensor *input[2] = {node->input[0], node->input[1]}, *factor[FACTORS] = {0};
    input[replaced] = dx;
    if (lead.rank && input[1 - replaced]->shape.rank > RANK) {
        fcl_shape all = fcl_shape_joined(lead, leading(node->shape));
        input[replaced] = fcl_lead_aligned(dx, lead, node->shape.rank);
        for (int i = 0; i < 2; i++)
            input[i] = fcl_expand(input[i], fcl_shape_joined(all, one_of(input[i]->shape)));
    }
    for (int i = 0; i < 2; i++)
        factor[inputs_of[result][i]] = input[i];
    return gradient(result, factor, node->attributes);
}

static fcl_tensor *conv_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    fcl_tensor *a = dx[0] ? tangent_term(node, lead, 0, dx[0]) : NULL;
    fcl_tensor *b = dx[1] ? tangent_term(node, lead, 1, dx[1]) : NULL;
    return a && b ? fcl_add(a, b) : a ? a : b;
}

/* --- running --- */

fcl_conv_problem fcl_conv_problem_of(const fcl_tensor *node)
{
    const fcl_conv_attributes *how = how_of(node);
    fcl_conv_problem problem = {.result = (fcl_conv_factor)result_of(node),
                                .batch = (int)fcl_shape_size(leading(node->shape)),
                                .side = how->side,
                                .stride = how->stride,
                                .padding = how->padding,
                                .upsample = how->upsample,
                                .height = how->height,
                                .width = how->width,
                                .out_height = (int)out_size(how->height, how),
                                .out_width = (int)out_size(how->width, how)};
    for (int i = 0; i < 3; i++) {
        int factor = i < 2 ? inputs_of[problem.result][i] : (int)problem.result;
        fcl_shape shape = i < 2 ? node->input[i]->shape : node->shape, one = one_of(shape);
        problem.share[factor] = problem.batch > 1 && shape.rank == RANK;
        *(factor == Y ? &problem.outputs : &problem.channels) = (int)one.dim[factor == W ? 2 : 3];
        if (factor == W)
            problem.outputs = (int)one.dim[3];
        else
            problem.images = (int)one.dim[0];
    }
    return problem;
}

/* What the weights' gradient adds for itself: rows of the images, one below the other, in `parts` of `chunk`. */
typedef struct row_parts {
    int chunk, parts;
} row_parts;

static row_parts parts_of(const fcl_conv_problem *p, const fcl_tensor *node, const fcl_device *device)
{
    enum { ITEMS = 1024 /* of a compute unit, where there are so many */ };
    int64_t rows = (int64_t)p->images * p->out_height, size = fcl_shape_size(node->shape);
    int64_t wanted = ((int64_t)ITEMS * fcl_device_traits(device).units + size - 1) / size;
    int64_t chunk = (rows + wanted - 1) / wanted;
    return (row_parts){(int)chunk, (int)((rows + chunk - 1) / chunk)};
}

static size_t conv_scratch(const fcl_tensor *node, const fcl_device *device)
{
    fcl_conv_problem p = fcl_conv_problem_of(node);
    int parts = p.result == FCL_CONV_W ? parts_of(&p, node, device).parts : 1;
    return parts > 1 ? sizeof(float) * (size_t)fcl_shape_size(node->shape) * (size_t)parts : 0;
}

static int item_size(const fcl_tensor *input, bool shared)
{
    return shared ? 0 : (int)fcl_shape_size(one_of(input->shape));
}

/* The kernel of the node's name. Returns the number of its next argument. */
static int set_arguments(fcl_launch *launch, const fcl_tensor *node, const fcl_conv_problem *p, fcl_buffer *result)
{
    const int sizes[] = {p->images,  p->height, p->width,  p->channels, p->out_height, p->out_width,
                         p->outputs, p->side,   p->stride, p->padding,  p->upsample};
    int index = 0;
    for (int i = 0; i < 2; i++)
        fcl_launch_buffer(launch, index++, node->input[i]->buffer);
    fcl_launch_buffer(launch, index++, result);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        fcl_launch_int(launch, index++, sizes[i]);
    for (int i = 0; i < 2; i++)
        fcl_launch_int(launch, index++, item_size(node->input[i], p->share[inputs_of[p->result][i]]));
    return index;
}

static int conv_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_conv_problem p = fcl_conv_problem_of(node);
    fcl_launch *launch = fcl_lower_kernel(lowering, node, node->op->name);
    int width = (int)fcl_shape_from_end(node->shape, 0), rows = (int)(fcl_shape_size(node->shape) / width);
    fcl_launch_int(launch, set_arguments(launch, node, &p, node->buffer), rows);
    fcl_lower_grid(launch, width, rows);
    return FCL_OK;
}

static int weight_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_conv_problem p = fcl_conv_problem_of(node);
    row_parts parts = parts_of(&p, node, fcl_lower_device(lowering));
    fcl_buffer *result = parts.parts > 1 ? fcl_lower_scratch(lowering) : node->buffer;
    fcl_launch *launch = fcl_lower_kernel(lowering, node, node->op->name);
    int size = (int)fcl_shape_size(node->shape), rows = size / p.outputs * parts.parts;
    int index = set_arguments(launch, node, &p, result);
    fcl_launch_int(launch, index++, rows);
    fcl_launch_int(launch, index++, parts.chunk);
    fcl_launch_int(launch, index++, parts.parts);
    fcl_lower_grid(launch, p.outputs, rows);
    if (parts.parts > 1)
        fcl_sum_parts(lowering, node, p.batch, parts.parts, result);
    return FCL_OK;
}

/* Taps in the padding among them, as those inside. */
static double conv_work(const fcl_tensor *node)
{
    fcl_conv_problem p = fcl_conv_problem_of(node);
    return 2.0 * p.batch * p.images * p.out_height * p.out_width * p.outputs * p.side * p.side * p.channels;
}

const fcl_op fcl_op_conv2d = {"conv2d",
                              sizeof(fcl_conv_attributes),
                              conv2d_shape,
                              .lower = conv_lower,
                              .work = conv_work,
                              .adjoint = conv_adjoint,
                              .tangent = FCL_OWN_TANGENT,
                              .own_tangent = conv_tangent,
                              .convolution = true};

const fcl_op fcl_op_conv2d_input = {"conv2d_input",
                                    sizeof(fcl_conv_attributes),
                                    conv2d_input_shape,
                                    .lower = conv_lower,
                                    .work = conv_work,
                                    .adjoint = conv_adjoint,
                                    .tangent = FCL_OWN_TANGENT,
                                    .own_tangent = conv_tangent,
                                    .convolution = true};

const fcl_op fcl_op_conv2d_weight = {"conv2d_weight",
                                     sizeof(fcl_conv_attributes),
                                     conv2d_weight_shape,
                                     .lower = weight_lower,
                                     .work = conv_work,
                                     .scratch = conv_scratch,
                                     .adjoint = conv_adjoint,
                                     .tangent = FCL_OWN_TANGENT,
                                     .own_tangent = conv_tangent,
                                     .convolution = true};
