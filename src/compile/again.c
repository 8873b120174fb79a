/* What is cheap is computed again where a derivative asks for it, and not kept until then. Of a norm and what scales it
 * afterwards, for example, the backward pass reads x - mean, that over the deviation, times the weight, plus the bias: with
 * x, which its sums have in memory anyway, and a few numbers a row, it makes them itself.
 *
 * A node is cheap if it is elementwise, without a division or a function, and one of its inputs alone has its size: then keeping
 * that input, or what this is made of in the same way, is as much memory as keeping the node. What a derivative reads as a
 * factor of a product, or from other places, stays kept. */
#include "base/memory.h"
#include "compile/plan.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL = 4096 }; /* numbers that are kept without a thought */

/* Of a node; what its views are read for, it is read for. */
typedef struct use {
    bool reduced;  /* it is in memory for others than elementwise nodes, before a derivative asks */
    bool asked;    /* a derivative's elementwise nodes or reductions read it, */
    bool kept;     /* or something else of it: it is in memory until then */
    bool ends;     /* what it is made of cheaply is in memory until then, or as well as it */
    bool far;      /* of a derivative: a product, or the like, comes between the values and it, or what reads it */
    int first;     /* the first reader, of them or of what comes again, that wants it again; 0: none does */
    fcl_tensor *clone;
} use;

typedef struct again {
    fcl_graph *graph;
    use *of;            /* by number */
    fcl_tensor **clone; /* all of them */
    int count;
} again;

static bool is_elementwise(const fcl_tensor *node)
{
    return node->op->expression != NULL;
}

static int64_t size_of(const fcl_tensor *node)
{
    return fcl_shape_size(node->shape);
}

/* --- who reads what --- */

/* Of a derivative: a node that can do with what is computed again. */
static bool is_light_reader(const fcl_tensor *reader)
{
    return reader->derived && (is_elementwise(reader) || reader->op->reduction);
}

static void note(use *of, const fcl_tensor *reader)
{
    if (is_light_reader(reader))
        of->asked = true;
    else if (reader->derived)
        of->kept = true;
    else if (!is_elementwise(reader))
        of->reduced = true;
}

static void note_view(use *of, const use *view)
{
    of->reduced |= view->reduced;
    of->asked |= view->asked;
    of->kept |= view->kept;
}

/* Readers stand behind what they read. */
static void find_uses(again *a)
{
    const fcl_graph *graph = a->graph;
    for (int i = 0; i < graph->assignment_count; i++)
        a->of[graph->assignments[i].value->id].kept = true;
    for (int i = graph->count - 1; i >= 0; i--) {
        const fcl_tensor *node = graph->nodes[i];
        a->of[i].kept |= node->kept;
        for (int k = 0; k < node->inputs; k++) {
            use *of = &a->of[node->input[k]->id];
            if (node->op->view)
                note_view(of, &a->of[i]);
            else
                note(of, node);
        }
    }
}

/* --- what is cheap --- */

/* Made of few numbers: a mean, in each place of its row. */
static bool is_broadcast(const fcl_tensor *node)
{
    return is_elementwise(node) && node->inputs == 1 && 8 * size_of(node->input[0]) <= size_of(node);
}

/* The input of the node's size, where the others are few numbers; NULL: there is none, or several. */
static fcl_tensor *large_input(const fcl_tensor *node)
{
    fcl_tensor *large = NULL;
    for (int k = 0; k < node->inputs; k++) {
        fcl_tensor *input = node->input[k];
        if (8 * size_of(input) <= size_of(node) || is_broadcast(input))
            continue;
        if (large && large != input)
            return NULL;
        large = input;
    }
    return large;
}

static bool is_cheap(const again *a, const fcl_tensor *node)
{
    const use *of = &a->of[node->id];
    if (node->derived || size_of(node) < SMALL || !large_input(node))
        return false;
    return node->op->view || (is_elementwise(node) && !strpbrk(node->op->expression, "(/") && !of->reduced && !of->kept);
}

/* A product's result is not in memory where a chain of cheap nodes is its epilogue. */
static void find_ends(again *a)
{
    for (int i = 0; i < a->graph->count; i++) {
        const fcl_tensor *node = a->graph->nodes[i];
        use *of = &a->of[i];
        of->ends = is_cheap(a, node) ? a->of[large_input(node)->id].ends
                                     : of->kept || of->reduced ||
                                           !(is_elementwise(node) || node->op->product || node->op->convolution);
    }
}

/* --- what comes again --- */

/* What reads memory as it likes is a kernel by itself. */
static bool is_heavy(const fcl_tensor *node)
{
    return !is_elementwise(node) && !node->op->reduction && !node->op->leaf && !node->op->view;
}

/* A derivative that can be computed with its values has them at hand. */
static void find_far(again *a)
{
    for (int i = 0; i < a->graph->count; i++) {
        const fcl_tensor *node = a->graph->nodes[i];
        a->of[i].far = node->derived && is_heavy(node);
        for (int k = 0; k < node->inputs; k++)
            a->of[i].far |= a->of[node->input[k]->id].far;
    }
    for (int i = a->graph->count - 1; i >= 0; i--) {
        const fcl_tensor *node = a->graph->nodes[i];
        for (int k = 0; k < node->inputs && a->of[i].far && is_elementwise(node); k++)
            a->of[node->input[k]->id].far = true;
    }
}

static void want(use *of, int reader)
{
    if (!of->first || reader < of->first)
        of->first = reader;
}

/* A view of a derivative's own reads for what reads it. */
static bool may_read_again(const again *a, const fcl_tensor *reader)
{
    return is_light_reader(reader) || (reader->derived && reader->op->view && a->of[reader->id].asked);
}

/* What is wanted wants what it is made of. */
static void find_wanted(again *a)
{
    for (int i = a->graph->count - 1; i >= 0; i--) {
        const fcl_tensor *node = a->graph->nodes[i];
        const use *of = &a->of[i];
        bool reads = of->far && may_read_again(a, node);
        for (int k = 0; k < node->inputs; k++) {
            use *input = &a->of[node->input[k]->id];
            if (reads && is_cheap(a, node->input[k]) && input->ends)
                want(input, i);
            else if (of->first && !node->derived && (is_cheap(a, node->input[k]) || is_broadcast(node->input[k])))
                want(input, of->first);
        }
    }
}

static bool comes_again(const again *a, const fcl_tensor *node)
{
    const use *of = &a->of[node->id];
    return of->first && !node->derived && (!node->op->view || a->of[node->input[0]->id].clone);
}

static fcl_tensor *copy(const again *a, const fcl_tensor *node)
{
    fcl_tensor *made = fcl_arena_alloc(&node->graph->arena, sizeof *made);
    *made = *node;
    made->input = fcl_arena_alloc(&node->graph->arena, (size_t)node->inputs * sizeof *made->input);
    for (int k = 0; k < node->inputs; k++) {
        fcl_tensor *clone = a->of[node->input[k]->id].clone;
        made->input[k] = clone ? clone : node->input[k];
    }
    made->derived = made->again = true;
    made->age = 1;
    return made;
}

static void make_clones(again *a)
{
    for (int i = 0; i < a->graph->count; i++) {
        fcl_tensor *node = a->graph->nodes[i];
        if (comes_again(a, node))
            a->of[i].clone = a->clone[a->count++] = copy(a, node);
        for (int k = 0; k < node->inputs && may_read_again(a, node); k++) {
            fcl_tensor *clone = a->of[node->input[k]->id].clone;
            node->input[k] = clone ? clone : node->input[k];
        }
    }
}

/* --- where they stand --- */

/* Each before the first that wants it, since steps run in the order of their nodes, and behind what it reads. */
static int by_place(const void *a, const void *b, void *of)
{
    const fcl_tensor *x = *(fcl_tensor *const *)a, *y = *(fcl_tensor *const *)b;
    const use *uses = of;
    int first = uses[x->id].first - uses[y->id].first;
    return first ? first : x->id - y->id;
}

static void insert(again *a)
{
    fcl_graph *graph = a->graph;
    int total = graph->count + a->count, next = 0, at = 0;
    fcl_tensor **nodes = fcl_zalloc((size_t)total * sizeof *nodes);
    qsort_r(a->clone, (size_t)a->count, sizeof *a->clone, by_place, a->of);
    for (int i = 0; i < graph->count; i++) {
        while (next < a->count && a->of[a->clone[next]->id].first == i)
            nodes[at++] = a->clone[next++];
        nodes[at++] = graph->nodes[i];
    }
    free(graph->nodes);
    graph->nodes = nodes;
    graph->count = graph->capacity = total;
}

/* They wait for the derivative, and so does what reads them: a derivative's nodes are younger (fcl_step_age), but for
 * elementwise ones of values alone, as of an activation's derivative. These belong to the value's own kernel, or, where it comes
 * again, to that. */
static void number(fcl_graph *graph)
{
    for (int i = 0; i < graph->count; i++) {
        fcl_tensor *node = graph->nodes[i];
        const bool light = is_elementwise(node) || node->op->leaf || node->op->view;
        bool values = light, some = node->again; /* of values alone; of some that come again */
        node->id = i;
        node->root = node->op->view ? node->input[0]->root : node;
        node->age |= node->derived && !light;
        for (int k = 0; k < node->inputs; k++) {
            const fcl_tensor *read = node->input[k];
            node->age |= read->age;
            values &= !read->age || read->again;
            some |= read->again;
        }
        node->again = values && some;
    }
}

void fcl_plan_compute_again(fcl_graph *graph)
{
    size_t count = (size_t)graph->count + 1;
    again a = {.graph = graph, .of = fcl_zalloc(count * sizeof *a.of), .clone = fcl_zalloc(count * sizeof *a.clone)};
    find_uses(&a);
    find_ends(&a);
    find_far(&a);
    find_wanted(&a);
    make_clones(&a);
    if (a.count) {
        insert(&a);
        number(graph);
    }
    free(a.of);
    free(a.clone);
}
