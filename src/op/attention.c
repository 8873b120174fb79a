/* Attention and its derivatives (device/attention.h has the formulas).
 *
 * The node keeps a log-sum-exp of each row beside its result; from these the gradients and the tangent compute the weights
 * again. Gradients are in q (the node), in k and v (its parts), and in the bias, a node of its own, as it is rarely asked
 * for. */
#include "op/attention.h"

#include <math.h>

/* --- inputs: of a part its node's stand behind it --- */

static fcl_tensor *next_if(bool has, fcl_tensor *const **input)
{
    return has ? *(*input)++ : NULL;
}

fcl_attention_operands fcl_attention_operands_of(const fcl_tensor *node)
{
    const fcl_attention_attributes *how = node->attributes;
    fcl_tensor *const *input = node->input + (node->op->part ? 1 : 0);
    fcl_attention_operands a = {0};
    for (int i = 0; i < BIAS; i++)
        a.x[i] = *input++;
    a.mask = next_if(how->mask, &input);
    a.x[BIAS] = next_if(how->bias, &input);
    if (node->op == &fcl_op_attention)
        return a;
    a.o = *input++;
    a.lse = *input++;
    a.u = next_if(!how->moving, &input);
    for (int i = 0; i < FACTORS; i++)
        a.dx[i] = next_if(how->moving >> i & 1, &input);
    return a;
}

enum { INPUTS = 2 * FACTORS + 4 };

/* Fills in what is there, in the order of the inputs; returns how many. */
static int inputs_of(const fcl_attention_operands *a, fcl_tensor **input)
{
    fcl_tensor *const all[INPUTS] = {a->x[Q], a->x[K],  a->x[V],  a->mask,  a->x[BIAS], a->o,
                                     a->lse,  a->u, a->dx[Q], a->dx[K], a->dx[V],   a->dx[BIAS]};
    int count = 0;
    for (int i = 0; i < INPUTS; i++)
        if (all[i])
            input[count++] = all[i];
    return count;
}

static fcl_attention_attributes attributes_of(const fcl_attention_operands *a, int heads)
{
    fcl_attention_attributes how = {.heads = heads, .mask = a->mask, .bias = a->x[BIAS]};
    for (int i = 0; i < FACTORS; i++)
        how.moving |= a->dx[i] ? 1u << i : 0;
    return how;
}

static fcl_tensor *make(const fcl_op *op, const fcl_attention_operands *a, int heads)
{
    fcl_tensor *input[INPUTS];
    fcl_attention_attributes how = attributes_of(a, heads);
    return fcl_node(a->x[Q]->graph, op, inputs_of(a, input), input, &how);
}

/* --- shapes --- */

static const int rank_of[FACTORS] = {3, 3, 3, 4};

fcl_shape fcl_attention_leading(const fcl_tensor *dx, int i)
{
    fcl_shape shape = dx->shape;
    shape.rank -= rank_of[i];
    return shape;
}

static fcl_shape lead_of(const fcl_tensor *node)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    for (int i = 0; i < FACTORS; i++)
        if (a.dx[i])
            return fcl_attention_leading(a.dx[i], i);
    return a.u ? fcl_attention_leading(a.u, Q) : FCL_SCALAR;
}

static bool is_shape(const fcl_tensor *t, int rank, const int64_t *dim)
{
    bool same = t->shape.rank == rank;
    for (int i = 0; i < rank && same; i++)
        same = t->shape.dim[i] == dim[i] || dim[i] == 0;
    return same;
}

/* A sentence about what does not fit; NULL: all does. */
static const char *misfit(const fcl_attention_operands *a, int heads)
{
    fcl_graph *graph = a->x[Q]->graph;
    fcl_arena *arena = &graph->arena;
    fcl_shape q = a->x[Q]->shape, k = a->x[K]->shape;
    if (q.rank != 3 || !is_shape(a->x[K], 3, (int64_t[]){q.dim[0], 0, q.dim[2]}) || !fcl_shape_equal(k, a->x[V]->shape))
        return fcl_arena_format(arena, "k %s and v %s; they are (B, Tq, heads d), (B, Tk, heads d) and (B, Tk, heads d)",
                                fcl_shape_text(graph, k), fcl_shape_text(graph, a->x[V]->shape));
    if (heads < 1 || q.dim[2] % heads)
        return fcl_arena_format(arena, "%d heads do not divide its %lld columns", heads, (long long)q.dim[2]);
    if (a->mask && !is_shape(a->mask, 2, (int64_t[]){q.dim[0], k.dim[1]}))
        return fcl_arena_format(arena, "a mask %s; it is (%lld, %lld), a number for each key",
                                fcl_shape_text(graph, a->mask->shape), (long long)q.dim[0], (long long)k.dim[1]);
    const fcl_tensor *bias = a->x[BIAS];
    if (bias && !is_shape(bias, 4, (int64_t[]){bias->shape.dim[0] == 1 ? 1 : q.dim[0], heads, q.dim[1], k.dim[1]}))
        return fcl_arena_format(arena, "a bias %s; it is (%lld or 1, %d, %lld, %lld)", fcl_shape_text(graph, bias->shape),
                                (long long)q.dim[0], heads, (long long)q.dim[1], (long long)k.dim[1]);
    return NULL;
}

static fcl_shape attention_shape(fcl_tensor *node)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    for (int i = 0; i < node->inputs; i++)
        fcl_require_type(node, i, FCL_F32);
    const char *what = misfit(&a, fcl_attention_how(node)->heads);
    if (what)
        fcl_mistake(node->graph, "attention of %s %s: %s", fcl_node_text(a.x[Q]),
                    fcl_shape_text(node->graph, a.x[Q]->shape), what);
    return a.x[Q]->shape;
}

static fcl_shape grad_shape(fcl_tensor *node)
{
    return fcl_attention_operands_of(node).u->shape;
}

static fcl_shape grad_kv_shape(fcl_tensor *node)
{
    return fcl_shape_joined(lead_of(node), fcl_attention_operands_of(node).x[K]->shape);
}

static fcl_shape grad_bias_shape(fcl_tensor *node)
{
    return fcl_shape_joined(lead_of(node), fcl_attention_operands_of(node).x[BIAS]->shape);
}

static fcl_shape tangent_shape(fcl_tensor *node)
{
    return fcl_shape_joined(lead_of(node), fcl_attention_operands_of(node).x[Q]->shape);
}

/* --- builders --- */

fcl_tensor *fcl_attention(fcl_tensor *q, fcl_tensor *k, fcl_tensor *v, int heads, fcl_tensor *mask, fcl_tensor *bias)
{
    fcl_tensor *node = make(&fcl_op_attention, &(fcl_attention_operands){.x = {q, k, v, bias}, .mask = mask}, heads);
    if (!node->graph->mistake)
        fcl_node_part(node, LSE_PART, FCL_F32, FCL_SHAPE(q->shape.dim[0], heads, q->shape.dim[1]));
    return node;
}

/* The gradient in k or in v, a part of the node. */
static fcl_tensor *grad_part(fcl_tensor *node, int factor)
{
    fcl_tensor *input[1 + INPUTS] = {node};
    fcl_attention_attributes how = *fcl_attention_how(node);
    how.factor = factor;
    for (int i = 0; i < node->inputs; i++)
        input[1 + i] = node->input[i];
    return node->part[factor - K] = fcl_node(node->graph, &fcl_op_attention_grad_kv, 1 + node->inputs, input, &how);
}

void fcl_attention_gradients(const fcl_attention_operands *base, int heads, fcl_tensor *u, fcl_tensor **gradient)
{
    fcl_attention_operands a = {.x = {base->x[Q], base->x[K], base->x[V], base->x[BIAS]},
                                .mask = base->mask, .o = base->o, .lse = base->lse, .u = u};
    gradient[Q] = make(&fcl_op_attention_grad, &a, heads);
    gradient[K] = grad_part(gradient[Q], K);
    gradient[V] = grad_part(gradient[Q], V);
    gradient[BIAS] = a.x[BIAS] ? make(&fcl_op_attention_grad_bias, &a, heads) : NULL;
}

fcl_tensor *fcl_attention_moved(const fcl_attention_operands *base, int heads, fcl_tensor *const *dx)
{
    fcl_attention_operands a = *base;
    bool any = false;
    a.u = NULL;
    for (int i = 0; i < FACTORS; i++)
        any |= (a.dx[i] = dx[i]) != NULL;
    return any ? make(&fcl_op_attention_tangent, &a, heads) : NULL;
}

float fcl_attention_scale(int width)
{
    return (float)(1 / sqrt(width));
}

fcl_attention_problem fcl_attention_problem_of(const fcl_tensor *node)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_shape q = a.x[Q]->shape, bias = a.x[BIAS] ? a.x[BIAS]->shape : FCL_SCALAR;
    int heads = fcl_attention_how(node)->heads;
    return (fcl_attention_problem){.lead = (int)fcl_shape_size(lead_of(node)),
                                   .batch = (int)q.dim[0],
                                   .heads = heads,
                                   .queries = (int)q.dim[1],
                                   .keys = (int)a.x[K]->shape.dim[1],
                                   .width = (int)q.dim[2] / heads,
                                   .mask = a.mask,
                                   .bias = a.x[BIAS],
                                   .shared_bias = a.x[BIAS] && bias.dim[0] == 1};
}

/* --- running: kernels of cl/attention_tile.cl and cl/attention.cl, and those for CPUs of cl/attention_wide.cl --- */

static bool is_wide(const fcl_lowering *lowering, const fcl_attention_problem *p)
{
    enum { WIDTH = 128 /* as in cl/attention_wide.cl */ };
    const fcl_device *device = fcl_lower_device(lowering);
    return fcl_device_traits(device).wide && fcl_gemm_has_tiles(fcl_device_describe(device)->type) && p->width <= WIDTH;
}

/* Heads of all items. */
static size_t heads_of(const fcl_attention_problem *p)
{
    return (size_t)p->lead * (size_t)p->batch * (size_t)p->heads;
}

static fcl_buffer *buffer_of(const fcl_tensor *tensor)
{
    return tensor ? tensor->buffer : NULL;
}

/* A launch whose arguments are these inputs, `between`, as many as NULL ends, and the sizes; returns the next number. */
static int begin(fcl_launch *launch, const fcl_attention_operands *a, const fcl_attention_problem *p, int buffers,
                 fcl_buffer *const *buffer)
{
    fcl_tensor *const first[] = {a->x[Q], a->x[K], a->x[V], a->mask, a->x[BIAS]};
    const int bias_size = p->bias && !p->shared_bias ? p->heads * p->queries * p->keys : 0;
    const int sizes[] = {p->batch, p->heads, p->queries, p->keys, p->width, bias_size};
    int index = 0;
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        fcl_launch_buffer(launch, index++, buffer_of(first[i]));
    for (int i = 0; i < buffers; i++)
        fcl_launch_buffer(launch, index++, buffer[i]);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        fcl_launch_int(launch, index++, sizes[i]);
    fcl_launch_float(launch, index++, fcl_attention_scale(p->width));
    return index;
}

/* `rows` of each head of each item, by tiles: a group has one. Its local memory: `tiles`, and `parts` of a number each for
 * those work-items that share a row. */
static void lower_tiles(fcl_lowering *lowering, const fcl_tensor *node, const char *kernel, int rows, int tiles, int parts,
                        int buffers, fcl_buffer *const *buffer)
{
    enum { SIDE = 32, ITEMS = 64, LINE = 4 * 9, ACROSS = 8 /* as in cl/attention_tile.cl */ };
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_attention_problem p = fcl_attention_problem_of(node);
    fcl_launch *launch = fcl_lower_kernel(lowering, node, kernel);
    fcl_launch_local(launch, begin(launch, &a, &p, buffers, buffer),
                     sizeof(float) * (size_t)(SIDE * (tiles * LINE + parts * ACROSS)));
    fcl_launch_groups(launch, heads_of(&p) * (size_t)((rows + SIDE - 1) / SIDE), ITEMS);
}

/* A work-item has a head, or one of `blocks` parts of it; returns the launch, for which further arguments begin at *index. */
static fcl_launch *lower_heads(fcl_lowering *lowering, const fcl_tensor *node, const char *kernel, int buffers,
                               fcl_buffer *const *buffer, int blocks, int *index)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_attention_problem p = fcl_attention_problem_of(node);
    fcl_launch *launch = fcl_lower_kernel(lowering, node, kernel);
    *index = begin(launch, &a, &p, buffers, buffer);
    fcl_launch_range_1d(launch, heads_of(&p) * (size_t)blocks, 1);
    return launch;
}

/* Parts of so many rows of a head: as many as wanted, but each worth the copies of what all need. */
static int blocks_of(int rows, size_t wanted)
{
    enum { LEAST = 48 };
    int most = (rows + LEAST - 1) / LEAST;
    return wanted < (size_t)most ? (int)wanted : most;
}

/* Of the queries alone: four work-items a core. */
static int query_blocks_of(const fcl_attention_problem *p, size_t units)
{
    return blocks_of(p->queries, (4 * units + heads_of(p) - 1) / heads_of(p));
}

static size_t units_of(const fcl_lowering *lowering)
{
    return (size_t)fcl_device_traits(fcl_lower_device(lowering)).units;
}

static int attention_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_buffer *const buffer[] = {node->buffer, node->part[LSE_PART]->buffer};
    fcl_attention_problem p = fcl_attention_problem_of(node);
    int blocks = query_blocks_of(&p, units_of(lowering)), index;
    if (is_wide(lowering, &p)) {
        fcl_launch *launch = lower_heads(lowering, node, "attention_wide", 2, buffer, blocks, &index);
        fcl_launch_int(launch, index, blocks);
    } else {
        lower_tiles(lowering, node, "attention", p.queries, 3, 2, 2, buffer);
    }
    return FCL_OK;
}

static size_t grad_scratch(const fcl_tensor *node, const fcl_device *device)
{
    fcl_attention_problem p = fcl_attention_problem_of(node);
    (void)device;
    return sizeof(float) * (size_t)p.lead * (size_t)p.batch * (size_t)p.heads * (size_t)p.queries;
}

static void lower_gradients(fcl_lowering *lowering, const fcl_tensor *node, fcl_buffer *dq, fcl_buffer *dk, fcl_buffer *dv,
                            int query_blocks, int key_blocks)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_buffer *const buffer[] = {a.o->buffer, a.lse->buffer, a.u->buffer, dq, dk, dv};
    int index, blocks = query_blocks * key_blocks;
    fcl_launch *launch = lower_heads(lowering, node, "attention_grad_wide", 6, buffer, blocks, &index);
    fcl_launch_int(launch, index, query_blocks);
    fcl_launch_int(launch, index + 1, key_blocks);
}

/* One launch, a work-item a head. Where this leaves half of the cores idle, one for q by parts of the queries, and one for k and
 * v by parts of the keys: both compute the scores and what u gives of them, seven products in place of five. */
static void lower_gradients_wide(fcl_lowering *lowering, const fcl_tensor *node, const fcl_attention_problem *p)
{
    fcl_buffer *dk = buffer_of(node->part[DK_PART]), *dv = buffer_of(node->part[DV_PART]);
    size_t units = units_of(lowering), each = units / heads_of(p);
    if (!dk && !dv) {
        lower_gradients(lowering, node, node->buffer, NULL, NULL, query_blocks_of(p, units), 1);
    } else if (each < 2) {
        lower_gradients(lowering, node, node->buffer, dk, dv, 1, 1);
    } else {
        lower_gradients(lowering, node, node->buffer, NULL, NULL, blocks_of(p->queries, each), 1);
        lower_gradients(lowering, node, NULL, dk, dv, 1, blocks_of(p->keys, each));
    }
}

static int grad_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_attention_problem p = fcl_attention_problem_of(node);
    fcl_buffer *centre = fcl_lower_scratch(lowering), *dk = buffer_of(node->part[DK_PART]), *dv = buffer_of(node->part[DV_PART]);
    if (is_wide(lowering, &p)) {
        lower_gradients_wide(lowering, node, &p);
        return FCL_OK;
    }
    fcl_buffer *const in_q[] = {a.o->buffer, a.lse->buffer, a.u->buffer, node->buffer, centre};
    lower_tiles(lowering, node, "attention_grad", p.queries, 2, 1, 5, in_q);
    fcl_buffer *const in_kv[] = {centre, a.lse->buffer, a.u->buffer, dk, dv};
    if (dk || dv)
        lower_tiles(lowering, node, "attention_grad_kv", p.keys, 2, 0, 5, in_kv);
    return FCL_OK;
}

static int grad_bias_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_attention_problem p = fcl_attention_problem_of(node);
    fcl_buffer *const buffer[] = {a.o->buffer, a.lse->buffer, a.u->buffer, node->buffer};
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "attention_grad_bias");
    int rows = (int)(fcl_shape_size(node->shape) / p.keys);
    fcl_launch_int(launch, begin(launch, &a, &p, 4, buffer), rows);
    fcl_lower_grid(launch, p.keys, rows);
    return FCL_OK;
}

static int tangent_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_attention_operands a = fcl_attention_operands_of(node);
    fcl_buffer *const buffer[] = {a.o->buffer,           a.lse->buffer,         buffer_of(a.dx[Q]), buffer_of(a.dx[K]),
                                  buffer_of(a.dx[V]), buffer_of(a.dx[BIAS]), node->buffer};
    fcl_attention_problem p = fcl_attention_problem_of(node);
    if (is_wide(lowering, &p)) {
        int index;
        lower_heads(lowering, node, "attention_tangent_wide", 7, buffer, 1, &index);
    } else {
        fcl_launch *launch = fcl_lower_kernel(lowering, node, "attention_tangent");
        begin(launch, &a, &p, 7, buffer);
        fcl_launch_groups(launch, heads_of(&p) * (size_t)p.queries, fcl_device_traits(fcl_lower_device(lowering)).group);
    }
    return FCL_OK;
}

/* So many products of the size of the scores. */
static double work_of(const fcl_tensor *node, int products)
{
    fcl_attention_problem p = fcl_attention_problem_of(node);
    return 2.0 * products * p.lead * p.batch * p.heads * p.queries * p.keys * p.width;
}

/* q k' and what is done with v. */
static double attention_work(const fcl_tensor *node)
{
    return work_of(node, 2);
}

/* Of q, k and v in one: what the softmax takes is not counted again. */
static double grad_work(const fcl_tensor *node)
{
    return work_of(node, 4);
}

/* dq k', q dk', and what is done with v and dv. */
static double tangent_work(const fcl_tensor *node)
{
    return work_of(node, 4);
}

#define ATTENTION_ROW(name_, shape_) .name = name_, .attributes = sizeof(fcl_attention_attributes), .shape = shape_, .tangent = FCL_OWN_TANGENT
const fcl_op fcl_op_attention = {ATTENTION_ROW("attention", attention_shape), .lower = attention_lower, .work = attention_work,
                                 .adjoint = fcl_attention_adjoint, .own_tangent = fcl_attention_tangent};
const fcl_op fcl_op_attention_grad = {ATTENTION_ROW("attention_grad", grad_shape), .lower = grad_lower, .scratch = grad_scratch, .work = grad_work,
                                      .adjoint = fcl_attention_grad_adjoint, .own_tangent = fcl_attention_grad_tangent};
const fcl_op fcl_op_attention_grad_kv = {ATTENTION_ROW("attention_grad_kv", grad_kv_shape), .part = true,
                                         .adjoint = fcl_attention_grad_adjoint, .own_tangent = fcl_attention_grad_tangent};
const fcl_op fcl_op_attention_grad_bias = {ATTENTION_ROW("attention_grad_bias", grad_bias_shape), .lower = grad_bias_lower,
                                           .adjoint = fcl_attention_grad_adjoint, .own_tangent = fcl_attention_grad_tangent};
const fcl_op fcl_op_attention_tangent = {ATTENTION_ROW("attention_tangent", tangent_shape), .lower = tangent_lower,
                                         .work = tangent_work,
                                         .adjoint = fcl_attention_tangent_adjoint,
                                         .own_tangent = fcl_attention_tangent_tangent};
#undef ATTENTION_ROW
