/* Entropic optimal transport between M and N points of equal weight, in the log domain.
 *
 * Of the costs K over the entropy's weight, Sinkhorn's iterations (Cuturi 2013; in logarithms: Peyre and
 * Cuturi, "Computational Optimal Transport", 4.4) take by turns, for rows and for columns,
 *
 *     s_i = log mean_j exp(g_j - K_ij),    f_i = -relax s_i
 *
 * relax 1 keeps the marginals, relax rho / (rho + reg) charges a difference from them rho times its relative
 * entropy (Chizat et al. 2018). Where only a part of the mass is moved, rows and columns give at most what
 * they have, and a number lambda common to all keeps the total (the dual of Benamou et al. 2015, section 3.2):
 *
 *     f_i = min(0, -s_i - lambda),    lambda = log mass - log mean_i exp(f_i + s_i) */
#include "graph/rules.h"

enum { COST, TURNED, RELAX, INPUTS };   /* the turned costs are (N, M), so that both ways go along rows */
enum { G_PART, SUM_PART, REPORT_PART }; /* the node is f */

fcl_sinkhorn_plan fcl_sinkhorn(fcl_tensor *cost, fcl_tensor *relax, const fcl_sinkhorn_control *control)
{
    fcl_graph *graph = cost->graph;
    if (cost->shape.rank != 2) {
        fcl_mistake(graph, "sinkhorn: costs of shape %s; it takes (M, N)",
                    fcl_shape_text(graph, cost->shape));
        cost = fcl_reshape(cost, FCL_SHAPE(fcl_shape_size(cost->shape), 1));
    }
    int64_t rows = cost->shape.dim[0], columns = cost->shape.dim[1];
    if (control->iterations < 1 || !(control->tolerance >= 0) || !(control->mass >= 0 && control->mass <= 1))
        fcl_mistake(graph,
                    "sinkhorn: %d iterations, tolerance %g, mass %g; it takes 1 or more, 0 or more, 0 to 1",
                    control->iterations, (double)control->tolerance, (double)control->mass);
    fcl_tensor *inputs[] = {cost, fcl_permute(cost, (int[]){1, 0}), relax ? relax : fcl_constant(graph, 1)};
    fcl_tensor *f = fcl_node(graph, "sinkhorn", INPUTS, inputs, &(fcl_attributes){.sinkhorn = *control});
    /* All of it is kept, whoever reads it: the iterations need the memory. */
    return (fcl_sinkhorn_plan){
        .cost = cost,
        .f = fcl_output(f),
        .g = fcl_output(fcl_node_part(f, G_PART, FCL_F32, FCL_SHAPE(columns))),
        .sum = fcl_output(fcl_node_part(f, SUM_PART, FCL_F32, FCL_SHAPE(rows))),
        .report = fcl_output(fcl_node_part(f, REPORT_PART, FCL_F32, FCL_SHAPE(FCL_TRANSPORT_REPORT))),
    };
}

fcl_shape fcl_sinkhorn_shape(fcl_tensor *node)
{
    for (int i = 0; i < INPUTS; i++)
        fcl_require_type(node, i, FCL_F32);
    if (node->input[RELAX]->shape.rank != 0)
        fcl_mistake(node->graph, "%s: relax has shape %s; it is one number", fcl_node_text(node),
                    fcl_shape_text(node->graph, node->input[RELAX]->shape));
    return FCL_SHAPE(node->input[COST]->shape.dim[0]);
}

/* What the launches of a node share. */
typedef struct solve {
    fcl_lowering *lowering;
    fcl_tensor *node;
    fcl_buffer *f, *g, *sum, *turned_sum, *report;
    int rows, columns;
} solve;

static void lower_sums(const solve *s, bool turned, bool fresh, bool always)
{
    size_t group = fcl_row_group(fcl_lower_device(s->lowering));
    fcl_launch *launch = fcl_lower_kernel(s->lowering, s->node, "transport_rows");
    fcl_launch_buffer(launch, 0, s->node->input[turned ? TURNED : COST]->buffer);
    fcl_launch_buffer(launch, 1, turned ? s->f : s->g);
    fcl_launch_buffer(launch, 2, s->report);
    fcl_launch_int(launch, 3, turned ? s->rows : s->columns);
    fcl_launch_int(launch, 4, fresh);
    fcl_launch_int(launch, 5, always);
    fcl_launch_buffer(launch, 6, turned ? s->turned_sum : s->sum);
    fcl_launch_range_1d(launch, (size_t)(turned ? s->columns : s->rows) * group, group);
}

static void lower_update(const solve *s, bool turned, bool fresh)
{
    size_t group = fcl_row_group(fcl_lower_device(s->lowering));
    const fcl_sinkhorn_control *control = &s->node->attributes.sinkhorn;
    fcl_launch *launch = fcl_lower_kernel(s->lowering, s->node, "transport_update");
    fcl_launch_buffer(launch, 0, turned ? s->turned_sum : s->sum);
    fcl_launch_buffer(launch, 1, s->node->input[RELAX]->buffer);
    fcl_launch_int(launch, 2, turned ? s->columns : s->rows);
    fcl_launch_float(launch, 3, control->mass);
    fcl_launch_float(launch, 4, control->tolerance);
    fcl_launch_int(launch, 5, fresh);
    fcl_launch_int(launch, 6, !turned);
    fcl_launch_buffer(launch, 7, turned ? s->g : s->f);
    fcl_launch_buffer(launch, 8, s->report);
    fcl_launch_range_1d(launch, group, group);
}

/* Rows are summed once more with the last potential of the columns: what draws from the plan need. */
static void lower_iterations(const solve *s)
{
    for (int i = 0; i < s->node->attributes.sinkhorn.iterations; i++) {
        lower_sums(s, false, i == 0, false);
        lower_update(s, false, i == 0);
        lower_sums(s, true, false, false);
        lower_update(s, true, i == 0);
    }
    lower_sums(s, false, false, true);
}

size_t fcl_sinkhorn_scratch(const fcl_tensor *node, const fcl_device *device)
{
    (void)device;
    return (size_t)node->input[COST]->shape.dim[1] * sizeof(float);
}

int fcl_sinkhorn_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    solve s = {
        .lowering = lowering,
        .node = node,
        .f = node->buffer,
        .g = node->part[G_PART]->buffer,
        .sum = node->part[SUM_PART]->buffer,
        .turned_sum = fcl_lower_scratch(lowering),
        .report = node->part[REPORT_PART]->buffer,
        .rows = (int)node->input[COST]->shape.dim[0],
        .columns = (int)node->input[COST]->shape.dim[1],
    };
    lower_iterations(&s);
    return FCL_OK;
}

/* --- pairs --- */

enum { D_COST, D_F, D_G, D_SUM, D_REPORT, D_U, D_INPUTS }; /* the node is the columns, its part the rows */

fcl_transport_pairs fcl_transport_draw(const fcl_sinkhorn_plan *plan, fcl_tensor *u, bool each_row)
{
    fcl_tensor *inputs[] = {plan->cost, plan->f, plan->g, plan->sum, plan->report, u};
    fcl_tensor *node =
        fcl_node(plan->cost->graph, "transport_draw", D_INPUTS, inputs, &(fcl_attributes){.count = each_row});
    node->type = FCL_I32;
    return (fcl_transport_pairs){.row = fcl_node_part(node, 0, FCL_I32, node->shape), .column = node};
}

fcl_shape fcl_transport_draw_shape(fcl_tensor *node)
{
    fcl_shape rows = FCL_SHAPE(node->input[D_COST]->shape.dim[0]);
    if (!fcl_shape_equal(node->input[D_U]->shape, FCL_SHAPE(rows.dim[0], 2)))
        fcl_mistake(node->graph, "%s: uniform numbers of shape %s for %lld rows; it takes two a row",
                    fcl_node_text(node), fcl_shape_text(node->graph, node->input[D_U]->shape),
                    (long long)rows.dim[0]);
    return rows;
}

size_t fcl_transport_draw_scratch(const fcl_tensor *node, const fcl_device *device)
{
    (void)device;
    return (size_t)node->shape.dim[0] * sizeof(float);
}

int fcl_transport_draw_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    int rows = (int)node->input[D_COST]->shape.dim[0], columns = (int)node->input[D_COST]->shape.dim[1];
    bool each_row = node->attributes.count;
    fcl_buffer *cumulative = fcl_lower_scratch(lowering);
    if (!each_row) {
        fcl_launch *masses = fcl_lower_kernel(lowering, node, "transport_masses");
        fcl_launch_buffer(masses, 0, node->input[D_F]->buffer);
        fcl_launch_buffer(masses, 1, node->input[D_SUM]->buffer);
        fcl_launch_buffer(masses, 2, node->input[D_REPORT]->buffer);
        fcl_launch_int(masses, 3, rows);
        fcl_launch_buffer(masses, 4, cumulative);
        fcl_launch_range_1d(masses, 1, 1);
    }
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "transport_draw");
    fcl_launch_buffer(launch, 0, node->input[D_COST]->buffer);
    fcl_launch_buffer(launch, 1, node->input[D_G]->buffer);
    fcl_launch_buffer(launch, 2, node->input[D_SUM]->buffer);
    fcl_launch_buffer(launch, 3, node->input[D_U]->buffer);
    fcl_launch_buffer(launch, 4, each_row ? NULL : cumulative);
    fcl_launch_int(launch, 5, rows);
    fcl_launch_int(launch, 6, columns);
    fcl_launch_buffer(launch, 7, node->part[0]->buffer);
    fcl_launch_buffer(launch, 8, node->buffer);
    fcl_launch_range_1d(launch, (size_t)rows, fcl_row_group(fcl_lower_device(lowering)) == 1 ? 1 : 64);
    return FCL_OK;
}
