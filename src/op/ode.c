/* Runge-Kutta steps: a stage is elementwise and fuses; the end of an adaptive step is one launch. */
#include "op/op.h"

enum { MAX_TERMS = 16 };

fcl_tensor *fcl_ode_stage(fcl_tensor *x, fcl_tensor *h, int count, fcl_tensor *const *k,
                          const double *coefficients)
{
    fcl_tensor *sum = NULL;
    if (count > MAX_TERMS)
        fcl_mistake(x->graph, "ode_stage: %d terms; it takes at most %d", count, MAX_TERMS);
    for (int i = 0; i < count && i < MAX_TERMS; i++) {
        if (coefficients[i] == 0)
            continue;
        fcl_tensor *term = coefficients[i] == 1 ? k[i] : fcl_scale(k[i], (float)coefficients[i]);
        sum = sum ? fcl_add(sum, term) : term;
    }
    return sum ? fcl_add(x, fcl_mul(h, sum)) : x;
}

/* The inputs in this order; the node is the next x, its parts are the next k_first and the next state. */
enum { X, X_NEW, ERROR, K_FIRST, K_LAST, STATE, INPUTS };

fcl_ode_next fcl_ode_advance(const fcl_ode_control *control, fcl_tensor *x, fcl_tensor *x_new,
                             fcl_tensor *error, fcl_tensor *k_first, fcl_tensor *k_last, fcl_tensor *state)
{
    fcl_tensor *inputs[INPUTS] = {x, x_new, error, k_first, k_last, state};
    fcl_tensor *node = fcl_node(x->graph, &fcl_op_ode_advance, INPUTS, inputs, control);
    if (control->order < 1 || !(control->rtol >= 0) || !(control->atol >= 0) ||
        !(control->rtol + control->atol > 0))
        fcl_mistake(x->graph,
                    "%s: order %d, rtol %g, atol %g; a tolerance must be positive, neither negative",
                    fcl_node_text(node), control->order, (double)control->rtol, (double)control->atol);
    return (fcl_ode_next){node, fcl_node_part(node, 0, FCL_F32, node->shape),
                          fcl_node_part(node, 1, FCL_F32, state->shape)};
}

static fcl_shape advance_shape(fcl_tensor *node)
{
    fcl_shape shape = node->input[X]->shape;
    for (int i = 0; i < INPUTS; i++) {
        fcl_shape expected = i == STATE ? FCL_SHAPE(shape.dim[0], FCL_ODE_STATE) : shape;
        fcl_require_type(node, i, FCL_F32);
        if (shape.rank != 2 || !fcl_shape_equal(node->input[i]->shape, expected))
            fcl_mistake(node->graph,
                        "%s: %s has shape %s beside x %s; it takes rows (B, D) and a state (B, %d)",
                        fcl_node_text(node), fcl_node_text(node->input[i]),
                        fcl_shape_text(node->graph, node->input[i]->shape),
                        fcl_shape_text(node->graph, shape), FCL_ODE_STATE);
    }
    return shape;
}

static int advance_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    const fcl_ode_control *control = node->attributes;
    size_t group = fcl_device_traits(fcl_lower_device(lowering)).group;
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "ode_advance");
    for (int i = 0; i < INPUTS; i++)
        fcl_launch_buffer(launch, i, node->input[i]->buffer);
    fcl_launch_int(launch, 6, (int)node->shape.dim[1]);
    fcl_launch_float(launch, 7, control->rtol);
    fcl_launch_float(launch, 8, control->atol);
    fcl_launch_float(launch, 9, (float)control->order);
    fcl_launch_buffer(launch, 10, node->buffer);
    fcl_launch_buffer(launch, 11, node->part[0]->buffer);
    fcl_launch_buffer(launch, 12, node->part[1]->buffer);
    fcl_launch_groups(launch, (size_t)node->shape.dim[0], group);
    return FCL_OK;
}

static void write_advance_rows(fcl_row_writer *w, fcl_tensor *node)
{
    const fcl_ode_control *control = node->attributes;
    fcl_text *text = fcl_row_text_of(w);
    fcl_text_add(text, "    block_ode_advance(tile, active, ");
    for (int k = 0; k < node->inputs; k++)
        fcl_text_format(text, "%d, ", fcl_row_place(w, node->input[k]));
    /* Nobody reads the next first slope of a method whose last stage does not stand at the step's end. */
    fcl_text_format(text, "%d, %.9ef, %.9ef, %d.0f, %d, %d, %d);\n", (int)node->shape.dim[1],
                    (double)control->rtol, (double)control->atol, control->order, fcl_row_place(w, node),
                    fcl_row_place(w, node->part[0]), fcl_row_place(w, node->part[1]));
}

const fcl_op fcl_op_ode_advance = {"ode_advance",
                                   sizeof(fcl_ode_control),
                                   advance_shape,
                                   .lower = advance_lower,
                                   .rows = {write_advance_rows, .own_pace = true},
                                   .in_place = true};
