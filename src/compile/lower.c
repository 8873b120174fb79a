/* From steps to prepared launches, by their kinds. */
#include "base/hash.h"
#include "compile/kind.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what a run does, in order --- */

fcl_action *fcl_lowering_action(fcl_lowering *l)
{
    fcl_plan *plan = l->plan;
    plan->actions = fcl_grow(plan->actions, (size_t)(plan->action_count + 1) * sizeof *plan->actions);
    fcl_action *action = &plan->actions[plan->action_count++];
    *action = (fcl_action){.step = l->step};
    return action;
}

void fcl_lowering_bind(fcl_lowering *l, fcl_launch *launch, int index, fcl_tensor *scalar)
{
    fcl_plan *plan = l->plan;
    plan->bindings = fcl_grow(plan->bindings, (size_t)(plan->binding_count + 1) * sizeof *plan->bindings);
    plan->bindings[plan->binding_count++] = (fcl_binding){launch, index, scalar};
}

/* --- for rows that lower themselves --- */

fcl_launch *fcl_lower_kernel(fcl_lowering *l, const fcl_tensor *node, const char *kernel)
{
    fcl_action *action = fcl_lowering_action(l);
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
    fcl_lowering_bind(l, launch, index, NULL);
}

void fcl_lower_look(fcl_lowering *l, fcl_buffer *buffer, int index)
{
    if (!l->look) {
        l->look = fcl_zalloc(sizeof *l->look);
        *l->look = (fcl_look){.buffer = buffer, .offset = (size_t)index * sizeof(float), .first = l->plan->action_count};
    }
    fcl_lowering_action(l)->look = l->look;
}

void fcl_lower_look_end(fcl_lowering *l)
{
    if (l->look)
        l->look->end = l->plan->action_count;
    l->look = NULL;
}

/* --- generated kernels: first all their text, then one program, then the launches --- */

static bool is_generated(const fcl_step *step)
{
    return fcl_kind_of(step)->text;
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
    fcl_kind_of(step)->text(&text, l->plan, step, g, "fused");
    int *slot = slot_of(l, text.data);
    if (*slot >= 0) {
        fcl_text_free(&text);
        return *slot;
    }
    *slot = l->kernels;
    l->sums += g->sums > 0 || g->parts;
    l->texts = fcl_grow(l->texts, (size_t)(l->kernels + 1) * sizeof *l->texts);
    l->texts[l->kernels] = text.data;
    char name[32];
    snprintf(name, sizeof name, "fused_%d", l->kernels);
    fcl_kind_of(step)->text(&l->source, l->plan, step, g, name);
    return l->kernels++;
}

/* "matmul add silu", at most as long as a profile's column. */
static void step_label(const fcl_step *step, char *label, size_t size)
{
    snprintf(label, size, "%s", fcl_kind_of(step)->name);
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

int fcl_lowering_arguments(fcl_lowering *l, fcl_launch *launch, int index, const fcl_generated *g)
{
    for (int i = 0; i < g->reads; i++)
        fcl_launch_buffer(launch, index++, g->read[i]->buffer);
    for (int i = 0; i < g->stores; i++)
        fcl_launch_buffer(launch, index++, g->store[i]->buffer);
    for (int i = 0; i < g->scalars && l->plan->table_index < 0; i++)
        fcl_lowering_bind(l, launch, index++, g->scalar[i]);
    return index;
}

int fcl_lowering_sums(fcl_lowering *l, const char *name, const char *label, fcl_launch **launch)
{
    char sums[40];
    snprintf(sums, sizeof sums, "%s_sums", name);
    fcl_action *action = fcl_lowering_action(l);
    FCL_TRY(fcl_launch_create(l->plan->program, sums, label, &action->launch));
    *launch = action->launch;
    return FCL_OK;
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

static int lower_step(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, int kernel)
{
    const fcl_kind *kind = fcl_kind_of(step);
    char name[32], label[64];
    if (!kind->text)
        return kind->lower(l, step, NULL, NULL, NULL);
    snprintf(name, sizeof name, "fused_%d", kernel);
    step_label(step, label, sizeof label);
    fcl_action *action = fcl_lowering_action(l);
    FCL_TRY(fcl_launch_create(l->plan->program, name, label, &action->launch));
    return kind->lower(l, step, g, action->launch, name);
}

static void copy(fcl_lowering *l, fcl_tensor *target, const fcl_tensor *value)
{
    fcl_action *action = fcl_lowering_action(l);
    action->copy_to = target->buffer;
    action->copy_from = value->buffer;
}

/* Assignments by the step behind which they are done, and in their order. */
static int *sort_assignments(const fcl_plan *plan)
{
    const fcl_graph *graph = plan->graph;
    int *sorted = fcl_zalloc(((size_t)graph->assignment_count + 1) * sizeof *sorted);
    int *next = fcl_zalloc(((size_t)plan->count + 2) * sizeof *next);
    for (int i = 0; i < graph->assignment_count; i++)
        next[graph->assignments[i].behind + 1]++;
    for (int s = 0; s < plan->count; s++)
        next[s + 1] += next[s];
    for (int i = 0; i < graph->assignment_count; i++)
        sorted[next[graph->assignments[i].behind]++] = i;
    free(next);
    return sorted;
}

/* Those behind the step, of which *next is the first. */
static void assign(fcl_lowering *l, const int *sorted, int *next)
{
    const fcl_graph *graph = l->plan->graph;
    for (; *next < graph->assignment_count && graph->assignments[sorted[*next]].behind == l->step; ++*next) {
        struct fcl_assignment *assignment = &graph->assignments[sorted[*next]];
        const fcl_tensor *value = fcl_node_root(assignment->value);
        if (value->storage->instead != assignment->target)
            copy(l, assignment->target, value);
        assignment->action = l->plan->action_count - 1;
    }
}

static int lower_steps(fcl_lowering *l, const fcl_generated *generated, const int *kernel)
{
    int *sorted = sort_assignments(l->plan), next = 0, status = FCL_OK;
    for (l->step = 0; l->step < l->plan->count && status == FCL_OK; l->step++) {
        status = lower_step(l, &l->plan->steps[l->step], &generated[l->step], kernel[l->step]);
        assign(l, sorted, &next);
    }
    assign(l, sorted, &next);
    free(sorted);
    return status;
}

/* A graph that is one block, with every assignment in place, is repeated inside its kernel. Where each row
 * has its own number of repetitions, no scalar can tell one from the next. */
static bool repeats_in_kernel(const fcl_plan *plan, const fcl_generated *g)
{
    const fcl_graph *graph = plan->graph;
    if (!plan->options.repeat || plan->count != 1 || !plan->steps[0].block || plan->steps[0].extent.width ||
        (g->own_pace && g->scalars))
        return false;
    for (int i = 0; i < graph->assignment_count; i++)
        if (fcl_node_root(graph->assignments[i].value)->storage->instead != graph->assignments[i].target)
            return false;
    return true;
}

static bool is_named(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

enum { MOST_HEADERS = 16 };

/* Adds those headers that are not there by now; returns how many there are. */
static int add_new(fcl_lowering *l, const char *const *names, const char **added, int count)
{
    for (; names && *names; names++)
        if (!is_named(added, count, *names)) {
            assert(count < MOST_HEADERS);
            added[count++] = *names;
            fcl_text_add(&l->source, fcl_kernel_text(*names));
        }
    return count;
}

/* What the kernels are made of, each header once. */
static void add_headers(fcl_lowering *l, const fcl_generated *generated)
{
    static const char *const of_elements[] = {"philox.h", "permute.h", "element.h", NULL};
    const char *added[MOST_HEADERS];
    int count = 0;
    bool wide = fcl_device_traits(l->plan->device).wide;
    for (int s = 0; s < l->plan->count; s++)
        wide |= fcl_kind_of(&l->plan->steps[s])->wide;
    fcl_text_add(&l->source, fcl_kernel_text("math.h"));
    if (wide)
        fcl_text_add(&l->source, fcl_kernel_text("math_wide.h"));
    for (int s = 0; s < l->plan->count; s++) {
        const fcl_kind *kind = fcl_kind_of(&l->plan->steps[s]);
        if (kind->prelude && !is_named(added, count, kind->headers[0]))
            kind->prelude(&l->source, l->plan);
        count = add_new(l, kind->headers, added, count);
        count = add_new(l, generated[s].elements ? of_elements : NULL, added, count);
    }
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
            fcl_kind_of(&plan->steps[s])->generate(plan, &plan->steps[s], &generated[s]);
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
