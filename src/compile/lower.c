/* From steps to prepared launches: the generated kernels, and the rows that lower themselves. */
#include "compile/block.h"
#include "base/hash.h"
#include "compile/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fcl_lowering {
    fcl_plan *plan;
    int step;
    fcl_look *look; /* whose row of actions is not ended; NULL: none */
    /* the generated kernels so far: their text, and each one's own text to find doubles */
    fcl_text source;
    char **texts;
    int *slots; /* the numbers of kernels, at places that follow from their texts; -1: free; twice as many as steps */
    int kernels;
    int sums; /* kernels that add the parts of sums, beside some of these */
};

/* --- what a run does, in order --- */

static fcl_action *add_action(fcl_lowering *l)
{
    fcl_plan *plan = l->plan;
    plan->actions = fcl_grow(plan->actions, (size_t)(plan->action_count + 1) * sizeof *plan->actions);
    fcl_action *action = &plan->actions[plan->action_count++];
    *action = (fcl_action){.step = l->step};
    return action;
}

static void add_binding(fcl_lowering *l, fcl_launch *launch, int index, fcl_tensor *scalar)
{
    fcl_plan *plan = l->plan;
    plan->bindings = fcl_grow(plan->bindings, (size_t)(plan->binding_count + 1) * sizeof *plan->bindings);
    plan->bindings[plan->binding_count++] = (fcl_binding){launch, index, scalar};
}

/* --- for rows that lower themselves --- */

fcl_launch *fcl_lower_kernel(fcl_lowering *l, const fcl_tensor *node, const char *kernel)
{
    fcl_action *action = add_action(l);
    fcl_device_launch(l->plan->device, kernel, node->name[0] ? node->name : kernel, &action->launch);
    return action->launch;
}

fcl_device *fcl_lower_device(const fcl_lowering *l)
{
    return l->plan->device;
}

fcl_buffer *fcl_lower_scratch(const fcl_lowering *l)
{
    const fcl_storage *scratch = l->plan->steps[l->step].scratch;
    return scratch ? scratch->buffer : NULL;
}

fcl_tensor *fcl_lower_beside(const fcl_lowering *l, int index)
{
    const fcl_step *step = &l->plan->steps[l->step];
    return index < step->besides ? step->beside[index] : NULL;
}

void fcl_lower_random(fcl_lowering *l, fcl_launch *launch, int index)
{
    add_binding(l, launch, index, NULL);
}

void fcl_lower_look(fcl_lowering *l, fcl_buffer *buffer, int index)
{
    if (!l->look) {
        l->look = fcl_zalloc(sizeof *l->look);
        *l->look = (fcl_look){.buffer = buffer, .offset = (size_t)index * sizeof(float), .first = l->plan->action_count};
    }
    add_action(l)->look = l->look;
}

void fcl_lower_look_end(fcl_lowering *l)
{
    if (l->look)
        l->look->end = l->plan->action_count;
    l->look = NULL;
}

/* --- generated kernels: first all their text, then one program, then the launches --- */

static fcl_gemm_problem problem_of(const fcl_step *step)
{
    return fcl_matmul_problem(step->product);
}

static bool is_generated(const fcl_step *step)
{
    return !step->own && !(step->product && step->choice.provider != FCL_GEMM_TILE);
}

static void kernel_text(fcl_text *text, const fcl_plan *plan, const fcl_step *step, const fcl_generated *g,
                        const char *name)
{
    if (step->width) {
        fcl_rows_kernel(text, name, step, plan->device, g);
    } else if (step->block) {
        fcl_block_kernel(text, name, g, plan->table_index >= 0);
    } else if (step->product) {
        fcl_gemm_problem problem = problem_of(step);
        char row_sums[16] = "";
        if (g->row_sum >= 0)
            snprintf(row_sums, sizeof row_sums, "y%d", g->row_sum);
        fcl_gemm_tile_source(text, name, &problem, &step->choice, g->params.data,
                             step->members ? g->body.data : "", row_sums);
    } else {
        fcl_generate_kernel(text, name, g, fcl_shape_size(step->shape));
    }
}

/* The slot of the kernel with this text, or a free one where there is none yet. */
static int *slot_of(const fcl_lowering *l, const char *text)
{
    size_t slots = 2 * (size_t)l->plan->count, at = fcl_hash(text) % slots;
    while (l->slots[at] >= 0 && strcmp(l->texts[l->slots[at]], text) != 0)
        at = (at + 1) % slots;
    return &l->slots[at];
}

/* The number of the kernel with this step's text; a new one is added to the source. */
static int kernel_of(fcl_lowering *l, const fcl_step *step, const fcl_generated *g)
{
    fcl_text text = {0};
    kernel_text(&text, l->plan, step, g, "fused");
    int *slot = slot_of(l, text.data);
    if (*slot >= 0) {
        fcl_text_free(&text);
        return *slot;
    }
    *slot = l->kernels;
    l->sums += g->sums > 0;
    l->texts = fcl_grow(l->texts, (size_t)(l->kernels + 1) * sizeof *l->texts);
    l->texts[l->kernels] = text.data;
    char name[32];
    snprintf(name, sizeof name, "fused_%d", l->kernels);
    kernel_text(&l->source, l->plan, step, g, name);
    return l->kernels++;
}

/* "matmul add silu", at most as long as a profile's column. */
static void step_label(const fcl_step *step, char *label, size_t size)
{
    snprintf(label, size, "%s", step->width ? "rows:" : step->block ? "block:" : "");
    for (int i = 0; i < fcl_step_nodes(step); i++) {
        size_t length = strlen(label);
        const char *name = fcl_step_node(step, i)->op->name;
        if (length + strlen(name) + 5 > size) {
            snprintf(label + length, size - length, " ..");
            return;
        }
        snprintf(label + length, size - length, "%s%s", length ? " " : "", name);
    }
}

static void set_generated_arguments(fcl_lowering *l, fcl_launch *launch, int index, const fcl_generated *g)
{
    for (int i = 0; i < g->reads; i++)
        fcl_launch_buffer(launch, index++, g->read[i]->buffer);
    for (int i = 0; i < g->stores; i++)
        fcl_launch_buffer(launch, index++, g->store[i]->buffer);
    for (int i = 0; i < g->scalars && l->plan->table_index < 0; i++)
        add_binding(l, launch, index++, g->scalar[i]);
}

/* The scalars of all repetitions of a block stand in a table, a row each. */
static int make_table(fcl_plan *plan, const fcl_generated *g)
{
    size_t row = (size_t)(g->scalars ? g->scalars : 1) * sizeof(float);
    plan->table_index = g->reads + g->stores;
    plan->table_scalars = g->scalars;
    plan->table_scalar = fcl_zalloc((size_t)g->scalars * sizeof *plan->table_scalar);
    for (int i = 0; i < g->scalars; i++)
        plan->table_scalar[i] = g->scalar[i];
    return fcl_buffer_create(plan->device, row * (size_t)plan->options.repeat, &plan->table);
}

static int lower_block_sums(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, const char *kernel)
{
    char name[40];
    snprintf(name, sizeof name, "%s_sums", kernel);
    fcl_action *action = add_action(l);
    FCL_TRY(fcl_launch_create(l->plan->program, name, "sums of block", &action->launch));
    fcl_launch_buffer(action->launch, 0, step->scratch->buffer);
    fcl_launch_int(action->launch, 1, (int32_t)fcl_block_items(step, l->plan->device));
    for (int i = 0; i < g->sums; i++)
        fcl_launch_buffer(action->launch, 2 + i, g->sum[i]->buffer);
    fcl_launch_range_1d(action->launch, (size_t)g->partial / 16, 64);
    return FCL_OK;
}

static int lower_block(fcl_lowering *l, fcl_launch *launch, const fcl_step *step, const fcl_generated *g,
                       const char *kernel)
{
    int index = g->reads + g->stores;
    set_generated_arguments(l, launch, 0, g);
    if (l->plan->table_index >= 0)
        fcl_launch_buffer(launch, index++, l->plan->table);
    else
        index += g->scalars;
    fcl_launch_int(launch, index++, (int32_t)step->rows);
    if (g->random)
        add_binding(l, launch, index, NULL);
    if (g->sums)
        fcl_launch_buffer(launch, index + (g->random ? 3 : 0), step->scratch->buffer);
    fcl_launch_range_1d(launch, fcl_block_items(step, l->plan->device), 1);
    return g->sums ? lower_block_sums(l, step, g, kernel) : FCL_OK;
}

static int lower_row_parts(fcl_lowering *l, const fcl_step *step, const char *kernel)
{
    char name[40];
    snprintf(name, sizeof name, "%s_sums", kernel);
    fcl_action *action = add_action(l);
    FCL_TRY(fcl_launch_create(l->plan->program, name, "sums of rows", &action->launch));
    fcl_launch_buffer(action->launch, 0, step->scratch->buffer);
    int64_t results = 0;
    fcl_tensor *node;
    fcl_extents e;
    for (int i = 0; fcl_rows_parts(step, l->plan->device, i, &node, &e); i++) {
        fcl_launch_buffer(action->launch, 1 + i, node->buffer);
        results += e.outer * e.inner;
    }
    fcl_launch_range_1d(action->launch, (size_t)results, 64);
    return FCL_OK;
}

static int lower_rows(fcl_lowering *l, fcl_launch *launch, const fcl_step *step, const fcl_generated *g,
                      const char *kernel)
{
    const fcl_device *device = l->plan->device;
    int index = g->reads + g->stores + g->scalars;
    set_generated_arguments(l, launch, 0, g);
    fcl_launch_int(launch, index++, (int32_t)(step->rows * fcl_rows_pieces(step, device)));
    if (g->random)
        add_binding(l, launch, index, NULL);
    if (g->parts)
        fcl_launch_buffer(launch, index + (g->random ? 3 : 0), step->scratch->buffer);
    fcl_launch_groups(launch, (size_t)fcl_rows_groups(step, device), fcl_device_traits(device).group);
    return g->parts ? lower_row_parts(l, step, kernel) : FCL_OK;
}

static int lower_generated(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, int kernel)
{
    enum { GROUP = 64 };
    char name[32], label[64];
    snprintf(name, sizeof name, "fused_%d", kernel);
    step_label(step, label, sizeof label);
    fcl_action *action = add_action(l);
    FCL_TRY(fcl_launch_create(l->plan->program, name, label, &action->launch));
    fcl_launch *launch = action->launch;
    if (step->width) {
        return lower_rows(l, launch, step, g, name);
    } else if (step->block) {
        return lower_block(l, launch, step, g, name);
    } else if (step->product) {
        fcl_gemm_problem problem = problem_of(step);
        fcl_gemm_tile_launch(launch, &problem, &step->choice, step->product->input[0]->buffer,
                             step->product->input[1]->buffer, g->result->buffer);
        set_generated_arguments(l, launch, FCL_GEMM_TILE_ARGUMENTS, g);
    } else {
        int64_t size = fcl_shape_size(step->shape);
        set_generated_arguments(l, launch, 0, g);
        fcl_launch_int(launch, g->reads + g->stores + g->scalars, (int32_t)size);
        if (g->random)
            add_binding(l, launch, g->reads + g->stores + g->scalars + 1, NULL);
        fcl_launch_range_1d(launch, fcl_generate_items(g, size), GROUP);
    }
    return FCL_OK;
}

static int lower_product(fcl_lowering *l, const fcl_step *step)
{
    fcl_gemm_problem problem = problem_of(step);
    const fcl_tensor *product = step->product;
    return fcl_gemm_create(l->plan->device, &problem, &step->choice, 0, product->input[0]->buffer,
                           product->input[1]->buffer, product->buffer, "matmul", &add_action(l)->gemm);
}

static int lower_own(fcl_lowering *l, fcl_tensor *node)
{
    int before = l->plan->action_count;
    FCL_TRY(node->op->lower(l, node));
    for (int i = before; i < l->plan->action_count; i++)
        if (!l->plan->actions[i].launch && !l->plan->actions[i].look)
            return FCL_ERR_OPENCL; /* fcl_lower_kernel left the message */
    return FCL_OK;
}

static void lower_copies(fcl_lowering *l)
{
    const fcl_graph *graph = l->plan->graph;
    l->step = l->plan->count;
    for (int i = 0; i < graph->assignment_count; i++) {
        fcl_tensor *target = graph->assignments[i].target,
                   *value = fcl_node_root(graph->assignments[i].value);
        if (value->storage->instead == target)
            continue;
        fcl_action *action = add_action(l);
        action->copy_to = target->buffer;
        action->copy_from = value->buffer;
    }
}

static int lower_steps(fcl_lowering *l, const fcl_generated *generated, const int *kernel)
{
    for (l->step = 0; l->step < l->plan->count; l->step++) {
        const fcl_step *step = &l->plan->steps[l->step];
        if (is_generated(step))
            FCL_TRY(lower_generated(l, step, &generated[l->step], kernel[l->step]));
        else if (step->product)
            FCL_TRY(lower_product(l, step));
        else
            FCL_TRY(lower_own(l, step->own));
    }
    lower_copies(l);
    return FCL_OK;
}

static void generate(const fcl_plan *plan, const fcl_step *step, fcl_generated *g)
{
    if (step->width)
        fcl_rows_generate(step, plan->device, g);
    else if (step->block)
        fcl_block_generate(step, g);
    else
        fcl_generate(step, plan->device, g);
}

/* A graph that is one block, with every assignment in place, is repeated inside its kernel. Where each row
 * has its own number of repetitions, no scalar can tell one from the next. */
static bool repeats_in_kernel(const fcl_plan *plan, const fcl_generated *g)
{
    const fcl_graph *graph = plan->graph;
    if (!plan->options.repeat || plan->count != 1 || !plan->steps[0].block || plan->steps[0].width || (g->own_pace && g->scalars))
        return false;
    for (int i = 0; i < graph->assignment_count; i++)
        if (fcl_node_root(graph->assignments[i].value)->storage->instead != graph->assignments[i].target)
            return false;
    return true;
}

/* Blocks, chains where rows are a work-item's, and tiles compute in the vectors of CPUs. */
static bool has_wide_vectors(const fcl_plan *plan)
{
    for (int s = 0; s < plan->count; s++)
        if (plan->steps[s].product && is_generated(&plan->steps[s]))
            return true;
    return fcl_device_traits(plan->device).wide;
}

/* What the kernels are made of; a graph has either blocks or texts of elements. */
static void add_headers(fcl_lowering *l, const fcl_generated *generated)
{
    static const char *const of_blocks[] = {"ode.h",     "ode_wide.h",     "philox.h", "noise.h",
                                            "permute.h", "permute_wide.h", "group.h",  NULL};
    static const char *const of_elements[] = {"philox.h", "permute.h", "element.h", NULL};
    bool blocks = false, rows = false, elements = false;
    for (int s = 0; s < l->plan->count; s++) {
        rows |= l->plan->steps[s].width > 0;
        blocks |= l->plan->steps[s].block && !l->plan->steps[s].width;
        elements |= generated[s].elements;
    }
    fcl_text_add(&l->source, fcl_kernel_text("math.h"));
    if (has_wide_vectors(l->plan))
        fcl_text_add(&l->source, fcl_kernel_text("math_wide.h"));
    for (const char *const *name = blocks ? of_blocks : of_elements; (blocks || elements) && *name; name++)
        fcl_text_add(&l->source, fcl_kernel_text(*name));
    if (rows)
        fcl_text_add(&l->source, fcl_kernel_text("group.h"));
    if (!blocks)
        return;
    bool long_vectors = fcl_device_describe(l->plan->device)->vector_width >= 16;
    fcl_text_format(&l->source, "#define BLOCK_SUMS %d\n#define BLOCK_ABREAST %d\n%s", long_vectors ? 16 : 4,
                    long_vectors ? 2 : 1, fcl_kernel_text("block.h"));
}

static int build_kernels(const fcl_lowering *l)
{
    fcl_plan *plan = l->plan;
    double before = fcl_device_count(plan->device).build_seconds;
    plan->kernels = l->kernels + l->sums;
    FCL_TRY(fcl_program_build_generated(plan->device, "graph", l->source.data, plan->kernels, &plan->program));
    plan->build_seconds = fcl_device_count(plan->device).build_seconds - before;
    return FCL_OK;
}

int fcl_plan_lower(fcl_plan *plan)
{
    fcl_lowering l = {.plan = plan};
    size_t room = (size_t)plan->count + 1;
    fcl_generated *generated = fcl_zalloc(room * sizeof *generated);
    int *kernel = fcl_zalloc(room * sizeof *kernel);
    l.slots = fcl_zalloc(2 * room * sizeof *l.slots);
    memset(l.slots, -1, 2 * room * sizeof *l.slots);
    for (int s = 0; s < plan->count; s++)
        if (is_generated(&plan->steps[s]))
            generate(plan, &plan->steps[s], &generated[s]);
    int status = FCL_OK;
    if (repeats_in_kernel(plan, &generated[0]))
        status = make_table(plan, &generated[0]);
    add_headers(&l, generated);
    for (int s = 0; s < plan->count; s++)
        if (is_generated(&plan->steps[s]))
            kernel[s] = kernel_of(&l, &plan->steps[s], &generated[s]);
    if (status == FCL_OK && l.kernels)
        status = build_kernels(&l);
    if (status == FCL_OK)
        status = lower_steps(&l, generated, kernel);
    for (int s = 0; s < plan->count; s++)
        fcl_generated_free(&generated[s]);
    for (int i = 0; i < l.kernels; i++)
        free(l.texts[i]);
    free(l.texts);
    free(l.slots);
    fcl_text_free(&l.source);
    free(generated);
    free(kernel);
    return status;
}
