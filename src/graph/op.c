/* Nodes, and THE table of operations. Adding an operation is a row here, a builder and its functions. */
#include "graph/plan.h"
#include "graph/rules.h"

#include <flowcl/text.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
const fcl_op fcl_ops[] = {
    /* leaves: their content comes from outside */
    {"input",    fcl_shape_of_attributes, .leaf = FCL_LEAF_MEMORY},
    {"leaf",     fcl_shape_of_attributes, .leaf = FCL_LEAF_MEMORY},
    {"constant", fcl_shape_of_attributes, .leaf = FCL_LEAF_CONSTANT},
    {"scalar",   fcl_shape_of_attributes, .leaf = FCL_LEAF_SCALAR},
    {"part",     fcl_shape_of_attributes}, /* a further result of its input's launch */

    /* elementwise; in expressions a, b, c are the inputs, `real` is float or a vector of them; a NaN stays one */
    {"add",        fcl_broadcast_shape, "a + b",                        .adjoint = fcl_add_adjoint,        .tangent = FCL_LINEAR},
    {"sub",        fcl_broadcast_shape, "a - b",                        .adjoint = fcl_sub_adjoint,        .tangent = FCL_LINEAR},
    {"neg",        fcl_broadcast_shape, "-a",                           .adjoint = fcl_neg_adjoint,        .tangent = FCL_LINEAR},
    {"mul",        fcl_broadcast_shape, "a * b",                        .adjoint = fcl_mul_adjoint,        .tangent = FCL_MULTILINEAR},
    {"div",        fcl_broadcast_shape, "a / b",                        .adjoint = fcl_div_adjoint,        .tangent = FCL_OWN_TANGENT, .own_tangent = fcl_div_tangent},
    {"max",        fcl_broadcast_shape, "select(a, b, a < b)",           .adjoint = fcl_max_adjoint,        .tangent = FCL_OWN_TANGENT, .own_tangent = fcl_max_tangent},
    {"min",        fcl_broadcast_shape, "select(a, b, a > b)",           .adjoint = fcl_min_adjoint,        .tangent = FCL_OWN_TANGENT, .own_tangent = fcl_min_tangent},
    {"greater",    fcl_broadcast_shape, "select((real)(0.0f), (real)(1.0f), a > b)",                       .tangent = FCL_NO_TANGENT},
    {"where",      fcl_broadcast_shape, "select(c, b, a != (real)(0.0f))", .adjoint = fcl_where_adjoint,   .tangent = FCL_OWN_TANGENT, .own_tangent = fcl_where_tangent},
    {"abs",        fcl_broadcast_shape, "fabs(a)",                      .adjoint = fcl_abs_adjoint,        .tangent = FCL_SYMMETRIC},
    {"square",     fcl_broadcast_shape, "a * a",                        .adjoint = fcl_square_adjoint,     .tangent = FCL_SYMMETRIC},
    {"sqrt",       fcl_broadcast_shape, "sqrt(a)",                      .adjoint = fcl_sqrt_adjoint,       .tangent = FCL_SYMMETRIC},
    {"reciprocal", fcl_broadcast_shape, "(real)(1.0f) / a",             .adjoint = fcl_reciprocal_adjoint, .tangent = FCL_SYMMETRIC},
    {"exp",        fcl_broadcast_shape, "MATH(exp)(a)",                 .adjoint = fcl_exp_adjoint,        .tangent = FCL_SYMMETRIC},
    {"log",        fcl_broadcast_shape, "MATH(log)(a)",                 .adjoint = fcl_log_adjoint,        .tangent = FCL_SYMMETRIC},
    {"expm1",      fcl_broadcast_shape, "expm1(a)",                     .adjoint = fcl_expm1_adjoint,      .tangent = FCL_SYMMETRIC},
    {"log1p",      fcl_broadcast_shape, "log1p(a)",                     .adjoint = fcl_log1p_adjoint,      .tangent = FCL_SYMMETRIC},
    {"pow",        fcl_broadcast_shape, "pow(a, b)",                    .adjoint = fcl_pow_adjoint,        .tangent = FCL_OWN_TANGENT, .own_tangent = fcl_pow_tangent},
    {"sin",        fcl_broadcast_shape, "sin(a)",                       .adjoint = fcl_sin_adjoint,        .tangent = FCL_SYMMETRIC},
    {"cos",        fcl_broadcast_shape, "cos(a)",                       .adjoint = fcl_cos_adjoint,        .tangent = FCL_SYMMETRIC},
    {"tanh",       fcl_broadcast_shape, "MATH(tanh)(a)",                .adjoint = fcl_tanh_adjoint,       .tangent = FCL_SYMMETRIC},
    {"erf",        fcl_broadcast_shape, "MATH(erf)(a)",                 .adjoint = fcl_erf_adjoint,        .tangent = FCL_SYMMETRIC},
    {"sigmoid",    fcl_broadcast_shape, "(real)(1.0f) / ((real)(1.0f) + MATH(exp)(-a))", .adjoint = fcl_sigmoid_adjoint, .tangent = FCL_SYMMETRIC},
    {"relu",       fcl_broadcast_shape, "select(a, (real)(0.0f), a < (real)(0.0f))", .adjoint = fcl_relu_adjoint,       .tangent = FCL_SYMMETRIC},
    {"silu",       fcl_broadcast_shape, "a / ((real)(1.0f) + MATH(exp)(-a))", .adjoint = fcl_silu_adjoint,       .tangent = FCL_SYMMETRIC},
    {"gelu",       fcl_broadcast_shape, "(real)(0.5f) * a * ((real)(1.0f) + MATH(erf)(a * (real)(0.70710678f)))", .adjoint = fcl_gelu_adjoint, .tangent = FCL_SYMMETRIC},
    {"selu",       fcl_broadcast_shape, "select((real)(1.75809934f) * MATH(expm1_negative)(select(a, (real)(0.0f), a > (real)(0.0f))), (real)(1.05070099f) * a, a > (real)(0.0f))", .adjoint = fcl_selu_adjoint, .tangent = FCL_SYMMETRIC},
    {"detach",     fcl_broadcast_shape, "a",                                                               .tangent = FCL_NO_TANGENT},

    /* reductions and products */
    {"sum",        fcl_sum_shape,     .lower = fcl_sum_lower,     .adjoint = fcl_sum_adjoint,     .tangent = FCL_LINEAR, .scratch = fcl_sum_scratch},
    {"matmul",     fcl_matmul_shape,  .product = true,            .adjoint = fcl_matmul_adjoint,  .tangent = FCL_MULTILINEAR},

    /* shape */
    {"reshape",    fcl_reshape_shape, .view = true,               .adjoint = fcl_reshape_adjoint, .tangent = FCL_LINEAR},
    {"expand",     fcl_expand_shape,  "a",                        .adjoint = fcl_expand_adjoint,  .tangent = FCL_LINEAR},
    {"permute",    fcl_permute_shape, .lower = fcl_permute_lower, .adjoint = fcl_permute_adjoint, .tangent = FCL_LINEAR},
    {"slice",      fcl_slice_shape,   .lower = fcl_slice_lower,   .adjoint = fcl_slice_adjoint,   .tangent = FCL_LINEAR},
    {"pad",        fcl_pad_shape,     .lower = fcl_pad_lower,     .adjoint = fcl_pad_adjoint,     .tangent = FCL_LINEAR},
    {"concat",     fcl_concat_shape,  .lower = fcl_concat_lower,  .adjoint = fcl_concat_adjoint,  .tangent = FCL_LINEAR},

    /* rows by index: linear in the rows, not in the index */
    {"gather_rows",  fcl_gather_shape,  .lower = fcl_gather_lower,  .adjoint = fcl_gather_adjoint,  .tangent = FCL_OWN_TANGENT, .own_tangent = fcl_gather_tangent},
    {"scatter_rows", fcl_scatter_shape, .lower = fcl_scatter_lower, .adjoint = fcl_scatter_adjoint, .tangent = FCL_OWN_TANGENT, .own_tangent = fcl_scatter_tangent},

    /* random numbers */
    {"normal",      fcl_shape_of_attributes, .lower = fcl_normal_lower},
    {"uniform",     fcl_shape_of_attributes, .lower = fcl_uniform_lower},
    {"batch_index", fcl_shape_of_attributes, .lower = fcl_batch_index_lower},
    {"row_number",  fcl_shape_of_attributes, .lower = fcl_row_number_lower},

    /* a function given by a table; not differentiated */
    {"interpolate", fcl_interpolate_shape, .lower = fcl_interpolate_lower},

    /* flow matching */
    {"cfm_loss",    fcl_cfm_loss_shape,    .lower = fcl_cfm_loss_lower, .adjoint = fcl_cfm_loss_adjoint, .tangent = FCL_OWN_TANGENT, .own_tangent = fcl_cfm_loss_tangent},
    {"cfm_loss_grad", fcl_cfm_loss_grad_shape, .lower = fcl_cfm_loss_grad_lower, .adjoint = fcl_cfm_loss_grad_adjoint, .tangent = FCL_OWN_TANGENT, .own_tangent = fcl_cfm_loss_grad_tangent},
    {"sinkhorn",       fcl_sinkhorn_shape,       .lower = fcl_sinkhorn_lower,       .scratch = fcl_sinkhorn_scratch},
    {"transport_draw", fcl_transport_draw_shape, .lower = fcl_transport_draw_lower, .scratch = fcl_transport_draw_scratch},
    {"ode_advance", fcl_ode_advance_shape, .lower = fcl_ode_advance_lower, .in_place = true},
    {0},
};
/* clang-format on */

const fcl_op *fcl_op_find(const char *name)
{
    for (const fcl_op *op = fcl_ops; op->name; op++)
        if (strcmp(op->name, name) == 0)
            return op;
    abort(); /* a builder names a row that does not exist */
}

fcl_graph *fcl_graph_create(void)
{
    return fcl_zalloc(sizeof(fcl_graph));
}

void fcl_graph_destroy(fcl_graph **graph)
{
    if (!*graph)
        return;
    fcl_plan_destroy(&(*graph)->plan);
    fcl_arena_free(&(*graph)->arena);
    free((*graph)->nodes);
    free((*graph)->assignments);
    free(*graph);
    *graph = NULL;
}

void fcl_mistake(fcl_graph *graph, const char *format, ...)
{
    if (graph->mistake)
        return;
    va_list args;
    va_start(args, format);
    char text[1024];
    fcl_vsnprintf(text, sizeof text, format, args);
    va_end(args);
    graph->mistake = fcl_arena_format(&graph->arena, "%s", text);
}

const char *fcl_shape_text(fcl_graph *graph, fcl_shape shape)
{
    fcl_text text = {0};
    fcl_text_add(&text, "(");
    for (int i = 0; i < shape.rank; i++)
        fcl_text_format(&text, i ? ", %lld" : "%lld", (long long)shape.dim[i]);
    fcl_text_add(&text, ")");
    const char *kept = fcl_arena_format(&graph->arena, "%s", text.data);
    fcl_text_free(&text);
    return kept;
}

const char *fcl_node_text(const fcl_tensor *node)
{
    if (!node->name[0])
        return node->op->name;
    return fcl_arena_format(&node->graph->arena, "%s '%s'", node->op->name, node->name);
}

bool fcl_shape_equal(fcl_shape a, fcl_shape b)
{
    return a.rank == b.rank && memcmp(a.dim, b.dim, (size_t)a.rank * sizeof *a.dim) == 0;
}

int64_t fcl_shape_from_end(fcl_shape shape, int from_end)
{
    return from_end < shape.rank ? shape.dim[shape.rank - 1 - from_end] : 1;
}

size_t fcl_tensor_bytes(const fcl_tensor *tensor)
{
    return (size_t)fcl_shape_size(tensor->shape) * (tensor->type == FCL_U8 ? 1 : 4);
}

fcl_shape fcl_shape_of_attributes(fcl_tensor *node)
{
    return node->attributes.shape;
}

static void check_shape(fcl_tensor *node)
{
    fcl_shape shape = node->shape;
    int64_t size = 1;
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] < 1 || shape.dim[i] > INT32_MAX / size) {
            fcl_mistake(node->graph, "%s: a tensor of shape %s; each has 1 to 2^31 - 1 elements", fcl_node_text(node),
                        fcl_shape_text(node->graph, shape));
            node->shape = FCL_SCALAR;
            return;
        }
        size *= shape.dim[i];
    }
}

fcl_tensor *fcl_node(fcl_graph *graph, const char *name, int inputs, fcl_tensor *const *input,
                     const fcl_attributes *attributes)
{
    fcl_tensor *node = fcl_arena_alloc(&graph->arena, sizeof *node);
    node->graph = graph;
    node->op = fcl_op_find(name);
    node->name = "";
    node->inputs = inputs;
    node->input = fcl_arena_alloc(&graph->arena, (size_t)inputs * sizeof *input);
    if (inputs)
        memcpy(node->input, input, (size_t)inputs * sizeof *input);
    if (attributes)
        node->attributes = *attributes;
    if (graph->plan)
        fcl_mistake(graph, "%s was added to a compiled graph", name);
    node->shape = node->op->shape(node);
    check_shape(node);
    if (graph->count == graph->capacity) {
        graph->capacity = 2 * graph->capacity + 64;
        graph->nodes = fcl_grow(graph->nodes, (size_t)graph->capacity * sizeof *graph->nodes);
    }
    node->id = graph->count;
    graph->nodes[graph->count++] = node;
    return node;
}

fcl_tensor *fcl_node_part(fcl_tensor *node, int index, fcl_type type, fcl_shape shape)
{
    fcl_tensor *part = fcl_node(node->graph, "part", 1, &node, &(fcl_attributes){.shape = shape});
    part->type = type;
    return node->part[index] = part;
}

fcl_tensor *fcl_input(fcl_graph *graph, const char *name, fcl_type type, fcl_shape shape)
{
    fcl_tensor *node = fcl_node(graph, "input", 0, NULL, &(fcl_attributes){.shape = shape});
    node->type = type;
    return fcl_name(node, "%s", name);
}

fcl_tensor *fcl_input_filled(fcl_graph *graph, const char *name, fcl_shape shape, const float *values)
{
    size_t bytes = (size_t)fcl_shape_size(shape) * sizeof *values;
    float *content = memcpy(fcl_arena_alloc(&graph->arena, bytes), values, bytes);
    return fcl_name(fcl_node(graph, "input", 0, NULL, &(fcl_attributes){.shape = shape, .content = content}), "%s",
                    name);
}

fcl_tensor *fcl_leaf(fcl_graph *graph, const char *name, fcl_type type, fcl_shape shape, fcl_buffer *buffer,
                     size_t offset)
{
    fcl_tensor *node = fcl_node(graph, "leaf", 0, NULL, &(fcl_attributes){.shape = shape});
    node->type = type;
    node->bound = buffer;
    node->bound_offset = offset;
    return fcl_name(node, "%s", name);
}

fcl_tensor *fcl_constant(fcl_graph *graph, float value)
{
    return fcl_node(graph, "constant", 0, NULL, &(fcl_attributes){.number = {value}});
}

fcl_tensor *fcl_scalar(fcl_graph *graph, const char *name)
{
    return fcl_name(fcl_node(graph, "scalar", 0, NULL, NULL), "%s", name);
}

void fcl_scalar_set(fcl_tensor *scalar, float value)
{
    scalar->scalar = value;
}

void fcl_graph_random(fcl_graph *graph, uint64_t seed, uint32_t step, uint64_t first_row)
{
    graph->seed = seed;
    graph->step = step;
    graph->first_row = first_row;
}

fcl_shape fcl_tensor_shape(const fcl_tensor *tensor)
{
    return tensor->shape;
}

fcl_graph *fcl_tensor_graph(const fcl_tensor *tensor)
{
    return tensor->graph;
}

fcl_tensor *fcl_name(fcl_tensor *tensor, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    fcl_vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tensor->name = fcl_arena_format(&tensor->graph->arena, "%s", text);
    return tensor;
}

fcl_tensor *fcl_output(fcl_tensor *tensor)
{
    tensor->kept = true;
    return tensor;
}

fcl_tensor *fcl_node_root(fcl_tensor *node)
{
    while (node->op->view)
        node = node->input[0];
    return node;
}

void fcl_assign(fcl_tensor *target, fcl_tensor *value)
{
    fcl_graph *graph = target->graph;
    if (fcl_node_root(value)->op->leaf == FCL_LEAF_MEMORY)
        value = fcl_detach(value); /* another assignment may change that leaf before the copy */
    if (target->op->leaf != FCL_LEAF_MEMORY)
        fcl_mistake(graph, "assign to %s, which is neither an input nor a leaf", fcl_node_text(target));
    if (fcl_shape_size(target->shape) != fcl_shape_size(value->shape) || target->type != value->type)
        fcl_mistake(graph, "assign to %s: shape %s, the value has %s", fcl_node_text(target),
                    fcl_shape_text(graph, target->shape), fcl_shape_text(graph, value->shape));
    for (int i = 0; i < graph->assignment_count; i++)
        if (graph->assignments[i].target == target)
            fcl_mistake(graph, "two values assigned to %s", fcl_node_text(target));
    graph->assignments = fcl_grow(graph->assignments, (size_t)(graph->assignment_count + 1) * sizeof *graph->assignments);
    graph->assignments[graph->assignment_count].target = target;
    graph->assignments[graph->assignment_count++].value = value;
}
