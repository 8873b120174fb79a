/* Sums over axes. */
#include "op/op.h"

/* A run of neighbouring axes that starts and ends with a reduced one. Axes of extent 1 belong to any run. */
static unsigned first_run(fcl_shape shape, unsigned axes)
{
    unsigned run = 0;
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] == 1)
            continue;
        if (axes >> i & 1)
            run |= 1u << i;
        else if (run)
            break;
    }
    return run;
}

static int64_t elements_of(fcl_shape shape, unsigned axes)
{
    int64_t count = 1;
    for (int i = 0; i < shape.rank; i++)
        count *= axes >> i & 1 ? shape.dim[i] : 1;
    return count;
}

static int last_axis(unsigned axes)
{
    int last = 0;
    while (axes >>= 1)
        last++;
    return last;
}

/* The run that leaves the others least. But one whose elements are neighbours comes behind one that is not much shorter: over
 * pixels first, then over a group's channels, row programs (compile/rows.h) reduce in vectors. */
static unsigned longest_run(fcl_shape shape, unsigned axes)
{
    enum { MUCH = 8 };
    unsigned longest = 0, run;
    for (unsigned rest = axes; (run = first_run(shape, rest)) != 0; rest &= ~run) {
        bool neighbours = fcl_shape_inner(shape, last_axis(run)) == 1;
        if (!longest || elements_of(shape, run) > elements_of(shape, longest) * (neighbours ? MUCH : 1))
            longest = run;
    }
    return longest;
}

fcl_tensor *fcl_reduce(const fcl_op *op, fcl_tensor *a, unsigned axes)
{
    if (axes >> a->shape.rank)
        fcl_mistake(a->graph, "%s of %s: axes 0x%x of shape %s", op->name, fcl_node_text(a), axes,
                    fcl_shape_text(a->graph, a->shape));
    unsigned run;
    while ((run = longest_run(a->shape, axes)) != 0)
        a = fcl_node(a->graph, op, 1, &a, &(fcl_reduction_attributes){.axes = run});
    return a;
}

fcl_tensor *fcl_sum_axes(fcl_tensor *a, unsigned axes)
{
    return fcl_reduce(&fcl_op_sum, a, axes);
}

fcl_tensor *fcl_sum(fcl_tensor *a)
{
    return fcl_reshape(fcl_sum_axes(a, (1u << a->shape.rank) - 1), FCL_SCALAR);
}

/* Scaled before the sum: there it fuses with what makes the terms, after it is a launch for one number. */
fcl_tensor *fcl_mean(fcl_tensor *a)
{
    return fcl_sum(fcl_scale(a, (float)(1.0 / (double)fcl_shape_size(a->shape))));
}

unsigned fcl_reduced_axes(const fcl_tensor *node)
{
    const fcl_reduction_attributes *sum = node->attributes;
    return sum->axes;
}

fcl_shape fcl_reduced_shape(fcl_tensor *node)
{
    fcl_require_type(node, 0, FCL_F32);
    fcl_shape shape = node->input[0]->shape;
    for (int i = 0; i < shape.rank; i++)
        if (fcl_reduced_axes(node) >> i & 1)
            shape.dim[i] = 1;
    return shape;
}

static void sum_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_expand(u, node->input[0]->shape);
}

void fcl_reduction_lift(const fcl_tensor *node, fcl_shape lead, void *lifted)
{
    fcl_reduction_attributes *sum = lifted;
    sum->axes = fcl_reduced_axes(node) << lead.rank;
}

typedef struct sum_plan {
    int outer, reduced, inner;
    enum { ROWS, COLUMNS, COLUMNS16, GROUPS } form;
    int chunk, chunks; /* of the reduced axis */
} sum_plan;

static int ceil_div(int64_t a, int64_t b)
{
    return (int)((a + b - 1) / b);
}

/* Groups that take the columns of a part; as sum_tiles of cl/reduce.cl. */
static int tiles_of(int inner)
{
    return ceil_div(inner, inner > 4 ? 8 : inner > 2 ? 4 : inner);
}

/* What runs side by side: work-items, or groups of them. */
static int64_t items_of(const sum_plan *plan)
{
    int64_t columns = plan->form == COLUMNS16 ? ceil_div(plan->inner, 16)
                      : plan->form == GROUPS  ? tiles_of(plan->inner)
                                              : plan->inner;
    return plan->outer * columns;
}

/* Cuts the reduced axis where the device would idle otherwise, into pieces worth a second launch. */
static void choose_chunks(sum_plan *plan, const fcl_device *device)
{
    static const struct {
        int items, least; /* as many of items_of a compute unit; the shortest chunk */
    } tuning[2][4] = {{{16, 2048}, {512, 32}, {0, 0}, {16, 1024}},
                      {{2, 16384}, {2, 1024}, {2, 1024}, {0, 0}}};
    fcl_traits traits = fcl_device_traits(device);
    int wanted = ceil_div((int64_t)tuning[traits.wide][plan->form].items * traits.units, items_of(plan));
    int most = ceil_div(plan->reduced, tuning[traits.wide][plan->form].least);
    plan->chunk = ceil_div(plan->reduced, wanted < most ? wanted : most);
    plan->chunks = ceil_div(plan->reduced, plan->chunk);
}

/* Columns on GPUs: enough of them give each work-item one, and so do few rows. */
static bool has_idle_items(const sum_plan *plan, const fcl_device *device)
{
    fcl_traits traits = fcl_device_traits(device);
    return plan->reduced > 32 && (int64_t)plan->outer * plan->inner < 512 * traits.units && traits.group >= 8;
}

fcl_extents fcl_reduced_extents(const fcl_tensor *node)
{
    fcl_extents e = {1, 1, 1};
    fcl_shape shape = node->input[0]->shape;
    for (int i = 0; i < shape.rank; i++) {
        if (fcl_reduced_axes(node) >> i & 1)
            e.reduced *= shape.dim[i];
        else if (e.reduced == 1)
            e.outer *= shape.dim[i];
        else
            e.inner *= shape.dim[i];
    }
    return e;
}

static sum_plan plan_of(const fcl_tensor *node, const fcl_device *device)
{
    fcl_extents e = fcl_reduced_extents(node);
    sum_plan plan = {.outer = (int)e.outer, .reduced = (int)e.reduced, .inner = (int)e.inner};
    if (plan.inner == 1 && plan.reduced > 32)
        plan.form = ROWS;
    else if (fcl_device_traits(device).wide)
        plan.form = plan.inner >= 16 ? COLUMNS16 : COLUMNS;
    else
        plan.form = has_idle_items(&plan, device) ? GROUPS : COLUMNS;
    choose_chunks(&plan, device);
    return plan;
}

static size_t sum_scratch(const fcl_tensor *node, const fcl_device *device)
{
    sum_plan plan = plan_of(node, device);
    if (plan.chunks == 1)
        return 0;
    return sizeof(float) * (size_t)plan.outer * (size_t)plan.chunks * (size_t)plan.inner;
}

/* One stage: `in` (outer, reduced, inner) -> `out` (outer, chunks, inner). */
static void lower_stage(fcl_lowering *lowering, const fcl_tensor *node, const sum_plan *plan, fcl_buffer *in,
                        fcl_buffer *out)
{
    static const char *const kernels[] = {"sum_rows", "sum_columns", "sum_columns16", "sum_columns_group"};
    fcl_launch *launch = fcl_lower_kernel(lowering, node, kernels[plan->form]);
    int parts = plan->outer * plan->chunks, index = 0;
    fcl_launch_buffer(launch, index++, in);
    fcl_launch_buffer(launch, index++, out);
    fcl_launch_int(launch, index++, plan->reduced);
    if (plan->form != ROWS)
        fcl_launch_int(launch, index++, plan->inner);
    fcl_launch_int(launch, index++, plan->chunk);
    fcl_launch_int(launch, index++, plan->chunks);
    size_t group = fcl_device_traits(fcl_lower_device(lowering)).group;
    if (plan->form == ROWS) {
        bool whole = plan->chunk % 4 == 0 || plan->chunks == 1;
        fcl_launch_int(launch, index++, whole ? fcl_lower_vector(lowering, node, plan->reduced) : 1);
        fcl_launch_groups(launch, (size_t)parts, group);
    } else if (plan->form == GROUPS) {
        fcl_launch_groups(launch, (size_t)parts * (size_t)tiles_of(plan->inner), group);
    } else if (plan->form == COLUMNS) {
        fcl_launch_int(launch, index++, parts * plan->inner);
        fcl_launch_range_1d(launch, (size_t)parts * (size_t)plan->inner, 64);
    } else {
        size_t global[2] = {(size_t)ceil_div(plan->inner, 16), (size_t)parts};
        fcl_launch_range(launch, 2, global, (const size_t[2]){1, 1});
    }
}

void fcl_sum_parts(fcl_lowering *lowering, const fcl_tensor *node, int outer, int parts, fcl_buffer *from)
{
    int inner = (int)(fcl_shape_size(node->shape) / outer);
    bool wide = fcl_device_traits(fcl_lower_device(lowering)).wide && inner >= 16;
    sum_plan plan = {outer, parts, inner, wide ? COLUMNS16 : COLUMNS, parts, 1};
    lower_stage(lowering, node, &plan, from, node->buffer);
}

bool fcl_sum_is_small(const fcl_tensor *node, const fcl_device *device)
{
    enum { SMALL = 1 << 18 /* elements: larger ones would take memory until the last sum */ };
    if (node->op->reduction != FCL_SUM || fcl_shape_size(node->input[0]->shape) > SMALL)
        return false;
    sum_plan plan = plan_of(node, device);
    return plan.outer == 1 && plan.chunks == 1 &&
           (plan.form == GROUPS || (plan.form == ROWS && plan.inner == 1));
}

/* The node and those beside it. */
static int lower_many(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_device *device = fcl_lower_device(lowering);
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "sum_columns_many");
    int first = 0;
    for (int i = 0; i < FCL_MAX_SUMS; i++) {
        const fcl_tensor *sum = i == 0 ? node : fcl_lower_beside(lowering, i - 1);
        sum_plan plan = sum ? plan_of(sum, device) : (sum_plan){0};
        fcl_launch_buffer(launch, 5 * i, sum ? sum->input[0]->buffer : NULL);
        fcl_launch_buffer(launch, 5 * i + 1, sum ? sum->buffer : NULL);
        fcl_launch_int(launch, 5 * i + 2, plan.reduced);
        fcl_launch_int(launch, 5 * i + 3, plan.inner);
        fcl_launch_int(launch, 5 * i + 4, sum ? first : INT32_MAX);
        first += sum ? tiles_of(plan.inner) : 0;
    }
    fcl_launch_groups(launch, (size_t)first, fcl_device_traits(device).group);
    return FCL_OK;
}

static int sum_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    if (fcl_lower_beside(lowering, 0))
        return lower_many(lowering, node);
    sum_plan plan = plan_of(node, fcl_lower_device(lowering));
    fcl_buffer *in = node->input[0]->buffer;
    if (plan.chunks > 1) {
        fcl_buffer *scratch = fcl_lower_scratch(lowering);
        lower_stage(lowering, node, &plan, in, scratch);
        in = scratch;
        plan.reduced = plan.chunk = plan.chunks;
        plan.chunks = 1;
    }
    lower_stage(lowering, node, &plan, in, node->buffer);
    return FCL_OK;
}

/* --- rows of a block: the columns of each --- */

static bool sums_columns(const fcl_tensor *node)
{
    return fcl_reduced_axes(node) == 1u << 1;
}

static void write_rows(fcl_row_writer *w, fcl_tensor *node)
{
    fcl_text_format(
        fcl_row_text_of(w),
        "    UNROLLED for (int s = 0; s < BLOCK_VECTORS; s++) {\n        real sum = 0;\n"
        "        for (int c = 0; c < %d; c++)\n            sum += tile[(%d + c) * BLOCK_VECTORS + s];\n"
        "        tile[%d * BLOCK_VECTORS + s] = sum;\n    }\n",
        (int)node->input[0]->shape.dim[1], fcl_row_place(w, node->input[0]), fcl_row_place(w, node));
}

const fcl_op fcl_op_sum = {"sum",
                           sizeof(fcl_reduction_attributes),
                           fcl_reduced_shape,
                           .lower = sum_lower,
                           .scratch = sum_scratch,
                           .rows = {write_rows, sums_columns},
                           .adjoint = sum_adjoint,
                           .tangent = FCL_LINEAR,
                           .lift = fcl_reduction_lift,
                           .reduction = FCL_SUM};
