/* Entropic optimal transport between M and N points of equal weight, in the log domain.
 *
 * Of the costs K over the entropy's weight, Sinkhorn's iterations (Cuturi 2013; in logarithms: Peyre and
 * Cuturi, "Computational Optimal Transport", 4.4) take by turns, for rows and for columns,
 *
 *     s_i = log mean_j exp(g_j - K_ij),    f_i = -relax s_i
 *
 * relax 1 keeps the marginals, relax rho / (rho + reg) charges a difference from them rho times its relative
 * entropy (Chizat et al. 2018). Where only a part of the mass is moved, rows and columns give at most what
 * they have, and a number lambda common to all keeps the total (the dual of Benamou et al. 2015,
 * section 3.2):
 *
 *     f_i = min(0, -s_i - lambda),    mean_i exp(f_i + s_i + lambda) = mass
 *
 * both at once, which is Bregman's projection on all that is asked of the rows; lambda by itself, after f,
 * took two to ten times as many iterations.
 *
 * Steps are longer than that by a factor (Thibault, Chizat, Dossal, Papadakis, "Overrelaxed Sinkhorn-Knopp
 * algorithm for regularized optimal transport", 2021), except for potentials whose own term of the dual would
 * fall: the dual is a sum over rows for given g, so it never falls. With the entropy's weight a twentieth of
 * the mean cost that takes 10 to 35 iterations to an error of 1e-3 where plain ones take 15 to 65, with a
 * hundredth 60 to 150 where they take 200 to 600, and up to 436 where the data lie apart (8gaussians).
 *
 * The masses exp(f_i + s_i + lambda) are summed as they are, with what rounding loses of f + g - K: they tell
 * the plan's error, which a potential that has stopped moving in single precision does not.
 *
 * Off CPUs a small pool's iterations are a few launches of one work-group, which waits for nothing in
 * between; others are two or three launches each, as many as a look at the report, now and then, finds
 * needed. */
#include "op/op.h"

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
    fcl_tensor *f = fcl_node(graph, &fcl_op_sinkhorn, INPUTS, inputs, control);
    /* All of it is kept, whoever reads it: the iterations need the memory. */
    return (fcl_sinkhorn_plan){
        .cost = cost,
        .f = fcl_output(f),
        .g = fcl_output(fcl_node_part(f, G_PART, FCL_F32, FCL_SHAPE(columns))),
        .sum = fcl_output(fcl_node_part(f, SUM_PART, FCL_F32, FCL_SHAPE(rows))),
        .report = fcl_output(fcl_node_part(f, REPORT_PART, FCL_F32, FCL_SHAPE(FCL_TRANSPORT_REPORT))),
    };
}

static fcl_shape sinkhorn_shape(fcl_tensor *node)
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
    fcl_buffer *f, *g, *mass, *turned_mass, *report;
    int rows, columns;
} solve;

/* A row here is as long as a pool: up to four times as many work-items share it as elsewhere, as far as there
 * is a number for each. 1: the form for CPUs. */
static size_t group_for(const fcl_device *device, int64_t numbers)
{
    enum { WIDER = 4, MOST = 256 };
    size_t group = fcl_device_traits(device).group, most = group == 1 ? 1 : group < MOST / WIDER ? WIDER * group : MOST;
    while (group < most && (int64_t)group < numbers)
        group *= 2;
    return group;
}

static size_t group_of(const solve *s, int64_t numbers)
{
    return group_for(fcl_lower_device(s->lowering), numbers);
}

static void lower_start(const solve *s)
{
    int most = s->rows > s->columns ? s->rows : s->columns;
    fcl_launch *launch = fcl_lower_kernel(s->lowering, s->node, "transport_start");
    fcl_launch_int(launch, 0, s->rows);
    fcl_launch_int(launch, 1, s->columns);
    fcl_launch_buffer(launch, 2, s->f);
    fcl_launch_buffer(launch, 3, s->g);
    fcl_launch_buffer(launch, 4, s->report);
    fcl_launch_range_1d(launch, (size_t)most, 64);
}

/* `renew`: the potentials go where these masses want them, in an iteration. */
static void lower_masses(const solve *s, bool turned, bool renew, int iteration)
{
    int rows = turned ? s->columns : s->rows, columns = turned ? s->rows : s->columns;
    size_t group = group_of(s, columns);
    fcl_launch *launch = fcl_lower_kernel(s->lowering, s->node, "transport_rows");
    fcl_launch_buffer(launch, 0, s->node->input[turned ? TURNED : COST]->buffer);
    fcl_launch_buffer(launch, 1, turned ? s->g : s->f);
    fcl_launch_buffer(launch, 2, turned ? s->f : s->g);
    fcl_launch_buffer(launch, 3, s->report);
    fcl_launch_int(launch, 4, columns);
    fcl_launch_buffer(launch, 5, turned ? s->turned_mass : s->mass);
    fcl_launch_buffer(launch, 6, s->node->input[RELAX]->buffer);
    fcl_launch_int(launch, 7, renew);
    fcl_launch_int(launch, 8, iteration);
    fcl_launch_groups(launch, (size_t)rows, group);
}

/* The arguments that update and finish begin with. */
static fcl_launch *lower_one_group(const solve *s, const char *kernel, bool turned)
{
    const fcl_sinkhorn_control *control = s->node->attributes;
    int rows = turned ? s->columns : s->rows;
    size_t group = group_of(s, rows);
    fcl_launch *launch = fcl_lower_kernel(s->lowering, s->node, kernel);
    fcl_launch_buffer(launch, 0, turned ? s->turned_mass : s->mass);
    fcl_launch_buffer(launch, 1, s->node->input[RELAX]->buffer);
    fcl_launch_int(launch, 2, rows);
    fcl_launch_float(launch, 3, control->mass);
    fcl_launch_float(launch, 4, control->tolerance);
    fcl_launch_groups(launch, 1, group);
    return launch;
}

static void lower_update(const solve *s, bool turned, int iteration)
{
    fcl_launch *launch = lower_one_group(s, "transport_update", turned);
    fcl_launch_int(launch, 5, iteration);
    fcl_launch_int(launch, 6, !turned);
    fcl_launch_buffer(launch, 7, turned ? s->g : s->f);
    fcl_launch_buffer(launch, 8, s->report);
}

static void lower_finish(const solve *s)
{
    lower_masses(s, false, false, 0);
    fcl_launch *launch = lower_one_group(s, "transport_finish", false);
    fcl_launch_buffer(launch, 5, s->f);
    fcl_launch_buffer(launch, 6, s->report);
}

/* The rows' error decides how an iteration goes on, and where a share is asked for a number is common to all
 * columns. The last columns are exact, so that the error of the rows is the plan's: their steps are no longer
 * than the first iteration's. */
static void lower_iteration(const solve *s, int iteration)
{
    const fcl_sinkhorn_control *control = s->node->attributes;
    int of_columns = iteration == control->iterations - 1 ? 0 : iteration;
    lower_masses(s, false, false, iteration);
    lower_update(s, false, iteration);
    lower_masses(s, true, control->mass == 0, of_columns);
    if (control->mass > 0)
        lower_update(s, true, of_columns);
}

/* Some iterations by one work-group, from `begin` on, so many that no kernel runs for long; returns the next
 * one. */
static int lower_solve(const solve *s, int begin)
{
    enum { MOST = 64, EACH = 8 }; /* iterations, and costs of a work-item */
    size_t group = group_of(s, (int64_t)s->rows * s->columns / EACH);
    const fcl_sinkhorn_control *control = s->node->attributes;
    int left = control->iterations - begin, end = begin + (left < MOST ? left : MOST);
    fcl_launch *launch = fcl_lower_kernel(s->lowering, s->node, "transport_solve");
    fcl_launch_buffer(launch, 0, s->node->input[COST]->buffer);
    fcl_launch_buffer(launch, 1, s->node->input[TURNED]->buffer);
    fcl_launch_buffer(launch, 2, s->node->input[RELAX]->buffer);
    fcl_launch_int(launch, 3, s->rows);
    fcl_launch_int(launch, 4, s->columns);
    fcl_launch_float(launch, 5, control->mass);
    fcl_launch_float(launch, 6, control->tolerance);
    fcl_launch_int(launch, 7, begin);
    fcl_launch_int(launch, 8, end);
    fcl_launch_int(launch, 9, control->iterations);
    fcl_launch_buffer(launch, 10, s->f);
    fcl_launch_buffer(launch, 11, s->g);
    fcl_launch_buffer(launch, 12, s->mass);
    fcl_launch_buffer(launch, 13, s->turned_mass);
    fcl_launch_buffer(launch, 14, s->report);
    fcl_launch_groups(launch, 1, group);
    return end;
}

/* Where a row is a work-item's, one work-group is as fast as many that begin anew for each half of an
 * iteration. */
static bool is_small(const solve *s)
{
    enum { SMALL = 256 };
    return group_of(s, 1) > 1 && s->rows <= SMALL && s->columns <= SMALL;
}

static void lower_iterations(const solve *s)
{
    enum { EVERY = 8 }; /* iterations between looks */
    const fcl_sinkhorn_control *control = s->node->attributes;
    int iterations = control->iterations;
    for (int i = 0; is_small(s) && i < iterations;)
        i = lower_solve(s, i);
    for (int i = 0; !is_small(s) && i < iterations; i++) {
        if (i > 0 && i % EVERY == 0)
            fcl_lower_look(s->lowering, s->report, FCL_TRANSPORT_OPEN);
        lower_iteration(s, i);
    }
    fcl_lower_look_end(s->lowering);
}

static size_t sinkhorn_scratch(const fcl_tensor *node, const fcl_device *device)
{
    (void)device;
    return (size_t)node->input[COST]->shape.dim[1] * sizeof(float);
}

static int sinkhorn_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    solve s = {
        .lowering = lowering,
        .node = node,
        .f = node->buffer,
        .g = node->part[G_PART]->buffer,
        .mass = node->part[SUM_PART]->buffer,
        .turned_mass = fcl_lower_scratch(lowering),
        .report = node->part[REPORT_PART]->buffer,
        .rows = (int)node->input[COST]->shape.dim[0],
        .columns = (int)node->input[COST]->shape.dim[1],
    };
    lower_start(&s);
    lower_iterations(&s);
    lower_finish(&s);
    return FCL_OK;
}

const fcl_op fcl_op_sinkhorn = {"sinkhorn", sizeof(fcl_sinkhorn_control), sinkhorn_shape,
                                .lower = sinkhorn_lower, .scratch = sinkhorn_scratch};

/* --- pairs --- */

enum { D_COST, D_F, D_G, D_SUM, D_U, D_INPUTS }; /* the node is the columns, its part the rows */

fcl_transport_pairs fcl_transport_draw(const fcl_sinkhorn_plan *plan, fcl_tensor *u, bool each_row)
{
    fcl_tensor *inputs[] = {plan->cost, plan->f, plan->g, plan->sum, u};
    fcl_tensor *node = fcl_node(plan->cost->graph, &fcl_op_transport_draw, D_INPUTS, inputs,
                                &(fcl_transport_draw_attributes){each_row});
    node->type = FCL_I32;
    return (fcl_transport_pairs){.row = fcl_node_part(node, 0, FCL_I32, node->shape), .column = node};
}

static fcl_shape draw_shape(fcl_tensor *node)
{
    fcl_shape rows = FCL_SHAPE(node->input[D_COST]->shape.dim[0]);
    if (!fcl_shape_equal(node->input[D_U]->shape, FCL_SHAPE(rows.dim[0], 2)))
        fcl_mistake(node->graph, "%s: uniform numbers of shape %s for %lld rows; it takes two a row",
                    fcl_node_text(node), fcl_shape_text(node->graph, node->input[D_U]->shape),
                    (long long)rows.dim[0]);
    return rows;
}

static size_t draw_scratch(const fcl_tensor *node, const fcl_device *device)
{
    (void)device;
    return (size_t)node->shape.dim[0] * sizeof(float);
}

static int draw_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    int rows = (int)node->input[D_COST]->shape.dim[0], columns = (int)node->input[D_COST]->shape.dim[1];
    const fcl_transport_draw_attributes *how = node->attributes;
    fcl_buffer *cumulative = fcl_lower_scratch(lowering);
    const fcl_device *device = fcl_lower_device(lowering);
    size_t group = group_for(device, columns), of_masses = group_for(device, rows);
    if (!how->each_row) {
        fcl_launch *masses = fcl_lower_kernel(lowering, node, "transport_masses");
        fcl_launch_buffer(masses, 0, node->input[D_F]->buffer);
        fcl_launch_buffer(masses, 1, node->input[D_SUM]->buffer);
        fcl_launch_int(masses, 2, rows);
        fcl_launch_buffer(masses, 3, cumulative);
        fcl_launch_groups(masses, 1, of_masses);
    }
    fcl_launch *launch =
        fcl_lower_kernel(lowering, node, group == 1 ? "transport_draw_wide" : "transport_draw");
    fcl_launch_buffer(launch, 0, node->input[D_COST]->buffer);
    fcl_launch_buffer(launch, 1, node->input[D_F]->buffer);
    fcl_launch_buffer(launch, 2, node->input[D_G]->buffer);
    fcl_launch_buffer(launch, 3, node->input[D_U]->buffer);
    fcl_launch_buffer(launch, 4, how->each_row ? NULL : cumulative);
    fcl_launch_int(launch, 5, rows);
    fcl_launch_int(launch, 6, columns);
    fcl_launch_buffer(launch, 7, node->part[0]->buffer);
    fcl_launch_buffer(launch, 8, node->buffer);
    fcl_launch_groups(launch, (size_t)rows, group);
    return FCL_OK;
}

const fcl_op fcl_op_transport_draw = {"transport_draw", sizeof(fcl_transport_draw_attributes), draw_shape,
                                      .lower = draw_lower, .scratch = draw_scratch};
