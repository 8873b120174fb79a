#include "compile/groups.h"

#include <limits.h>
#include <stdlib.h>

/* Labels of neighbours in the order; NEAR where there is room between them to keep some for those that come
 * later. */
static const int64_t APART = (int64_t)1 << 30, NEAR = (int64_t)1 << 15;

typedef struct group {
    int first, last;   /* its nodes, by number */
    int64_t label;     /* grows along the order */
    int before, after; /* in the order */
    int reach;         /* the furthest place of the trunk that it depends on or holds; 0: none */
    int entry;         /* the nearest place of the trunk that depends on it or is held; INT_MAX: none */
    int seen;          /* the last search that came here */
} group;

typedef struct found {
    int64_t label;
    int group;
} found;

struct fcl_groups {
    const fcl_graph *graph;
    group *groups;
    int count;
    int ends;           /* a group without nodes, before the first and behind the last */
    int *of, *next;     /* per node: its group, -1: none; the next node of the group, -1: none */
    int *reach, *entry; /* per node */
    found *queue;       /* what the search has found */
    int queued, search;
    int64_t visits;
};

/* --- the trunk --- */

static const fcl_tensor *deepest_input(const fcl_tensor *node, const int *depth)
{
    const fcl_tensor *deepest = NULL;
    for (int k = 0; k < node->inputs; k++)
        if (!deepest || depth[node->input[k]->id] > depth[deepest->id])
            deepest = node->input[k];
    return deepest;
}

/* Numbers the nodes of the longest path from 1; all others are 0. */
static void find_trunk(const fcl_graph *graph, int *place)
{
    int *depth = fcl_zalloc(((size_t)graph->count + 1) * sizeof *depth);
    const fcl_tensor *end = NULL;
    for (int i = 0; i < graph->count; i++) {
        const fcl_tensor *node = graph->nodes[i], *input = deepest_input(node, depth);
        depth[i] = 1 + (input ? depth[input->id] : 0);
        if (node->needed && (!end || depth[i] > depth[end->id]))
            end = node;
    }
    for (; end; end = deepest_input(end, depth))
        place[end->id] = depth[end->id];
    free(depth);
}

static void find_places(fcl_groups *g)
{
    const fcl_graph *graph = g->graph;
    find_trunk(graph, g->reach);
    for (int i = 0; i < graph->count; i++)
        g->entry[i] = g->reach[i] ? g->reach[i] : INT_MAX;
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i]->inputs; k++) {
            int input = graph->nodes[i]->input[k]->id;
            if (g->reach[i] < g->reach[input])
                g->reach[i] = g->reach[input];
        }
    for (int i = graph->count; i-- > 0;)
        for (int k = 0; k < graph->nodes[i]->inputs && graph->nodes[i]->needed; k++) {
            int input = graph->nodes[i]->input[k]->id;
            if (g->entry[input] > g->entry[i])
                g->entry[input] = g->entry[i];
        }
}

/* --- the order --- */

static void unlink_group(fcl_groups *g, int number)
{
    const group *one = &g->groups[number];
    g->groups[one->before].after = one->after;
    g->groups[one->after].before = one->before;
}

static void link_before(fcl_groups *g, int number, int behind, int64_t label)
{
    group *one = &g->groups[number];
    one->label = label;
    one->after = behind;
    one->before = g->groups[behind].before;
    g->groups[one->before].after = g->groups[behind].before = number;
}

static void label_anew(fcl_groups *g)
{
    int64_t label = 0;
    for (int i = g->groups[g->ends].after; i != g->ends; i = g->groups[i].after)
        g->groups[i].label = label += APART;
}

static int by_label(const void *a, const void *b)
{
    const found *x = a, *y = b;
    return (x->label > y->label) - (x->label < y->label);
}

/* Moves what the search has found before the group, in the order that it has. */
static void move_found(fcl_groups *g, int behind)
{
    qsort(g->queue, (size_t)g->queued, sizeof *g->queue, by_label);
    for (int i = 0; i < g->queued; i++)
        unlink_group(g, g->queue[i].group);
    const int before = g->groups[behind].before;
    if (g->groups[behind].label - g->groups[before].label <= g->queued)
        label_anew(g);
    int64_t begin = g->groups[before].label, gap = (g->groups[behind].label - begin) / (g->queued + 1);
    gap = gap < NEAR ? gap : NEAR;
    for (int i = 0; i < g->queued; i++)
        link_before(g, g->queue[i].group, behind, begin += gap);
}

/* --- searches --- */

/* Finds the groups that a node reads and that stand behind group `on`. Does it read that one itself? */
static bool follow(fcl_groups *g, const fcl_tensor *node, int on)
{
    bool direct = false;
    for (int k = 0; k < node->inputs; k++) {
        const int from = fcl_groups_find(g, node->input[k]);
        direct |= from == on;
        if (from < 0 || from == on || g->groups[from].seen == g->search ||
            g->groups[from].label < g->groups[on].label)
            continue;
        g->groups[from].seen = g->search;
        g->queue[g->queued++] = (found){g->groups[from].label, from};
    }
    g->visits++;
    return direct;
}

static bool follow_all(fcl_groups *g, int from, int on)
{
    bool direct = false;
    for (int i = g->groups[from].first; i >= 0; i = g->next[i])
        direct |= follow(g, g->graph->nodes[i], on);
    return direct;
}

/* Goes on from what was found: does any of it depend on the group? Where not, all is found that stands behind
 * the group and has to stand before what the search began with. */
static bool leads_to(fcl_groups *g, int on)
{
    for (int i = 0; i < g->queued; i++) {
        const int from = g->queue[i].group;
        if (g->groups[from].reach >= g->groups[on].entry || follow_all(g, from, on))
            return true;
    }
    return false;
}

static void begin_search(fcl_groups *g)
{
    g->search++;
    g->queued = 0;
}

/* From a group: does it read `on` itself? */
static bool search_from(fcl_groups *g, int from, int on)
{
    begin_search(g);
    g->groups[from].seen = g->search;
    return follow_all(g, from, on);
}

bool fcl_groups_lead_back(fcl_groups *g, const fcl_tensor *node, int on)
{
    begin_search(g);
    follow(g, node, on);
    return leads_to(g, on);
}

bool fcl_groups_detour(fcl_groups *g, int from, int on)
{
    if (g->groups[from].label < g->groups[on].label)
        return false;
    search_from(g, from, on);
    return leads_to(g, on);
}

bool fcl_groups_depend(fcl_groups *g, int from, int on)
{
    if (g->groups[from].label < g->groups[on].label)
        return false;
    return search_from(g, from, on) || leads_to(g, on);
}

/* --- groups --- */

static void append(fcl_groups *g, int number, int node)
{
    group *one = &g->groups[number];
    g->of[node] = number;
    g->next[node] = -1;
    *(one->first < 0 ? &one->first : &g->next[one->last]) = node;
    one->last = node;
    one->reach = one->reach > g->reach[node] ? one->reach : g->reach[node];
    one->entry = one->entry < g->entry[node] ? one->entry : g->entry[node];
}

static int add_group(fcl_groups *g)
{
    g->groups[g->count] = (group){.first = -1, .last = -1, .entry = INT_MAX};
    int last = g->groups[g->ends].before;
    link_before(g, g->count, g->ends, last == g->ends ? 0 : g->groups[last].label + APART);
    return g->count++;
}

int fcl_groups_add(fcl_groups *g, const fcl_tensor *node)
{
    append(g, add_group(g), node->id);
    return g->count - 1;
}

void fcl_groups_join(fcl_groups *g, int number, const fcl_tensor *node)
{
    fcl_groups_lead_back(g, node, number);
    move_found(g, number);
    append(g, number, node->id);
}

void fcl_groups_merge(fcl_groups *g, int to, int from)
{
    const bool turned = g->groups[from].label < g->groups[to].label;
    const int first = turned ? from : to, last = turned ? to : from;
    fcl_groups_detour(g, last, first);
    move_found(g, first);
    unlink_group(g, last);
    if (turned) {
        link_before(g, to, from, g->groups[from].label);
        unlink_group(g, from);
    }
    for (int i = g->groups[from].first, next; i >= 0; i = next) {
        next = g->next[i];
        append(g, to, i);
    }
    g->groups[from].first = -1;
}

int fcl_groups_find(const fcl_groups *g, const fcl_tensor *input)
{
    return g->of[fcl_node_root((fcl_tensor *)input)->id];
}

int64_t fcl_groups_visits(const fcl_groups *g)
{
    return g->visits;
}

fcl_groups *fcl_groups_create(const fcl_graph *graph)
{
    fcl_groups *g = fcl_zalloc(sizeof *g);
    size_t room = (size_t)graph->count + 1;
    g->graph = graph;
    g->groups = fcl_zalloc(room * sizeof *g->groups);
    g->of = fcl_zalloc(room * sizeof *g->of);
    g->next = fcl_zalloc(room * sizeof *g->next);
    g->reach = fcl_zalloc(room * sizeof *g->reach);
    g->entry = fcl_zalloc(room * sizeof *g->entry);
    g->queue = fcl_zalloc(room * sizeof *g->queue);
    for (int i = 0; i < graph->count; i++)
        g->of[i] = -1;
    g->ends = graph->count;
    g->groups[g->ends] = (group){.first = -1, .label = INT64_MIN / 2, .before = g->ends, .after = g->ends};
    find_places(g);
    return g;
}

fcl_groups *fcl_groups_of_steps(const fcl_graph *graph, int steps)
{
    fcl_groups *g = fcl_groups_create(graph);
    for (int s = 0; s < steps; s++)
        add_group(g);
    for (int i = 0; i < graph->count; i++)
        if (graph->nodes[i]->step >= 0)
            append(g, graph->nodes[i]->step, i);
    return g;
}

void fcl_groups_destroy(fcl_groups **groups)
{
    fcl_groups *g = *groups;
    if (!g)
        return;
    free(g->groups);
    free(g->of);
    free(g->next);
    free(g->reach);
    free(g->entry);
    free(g->queue);
    free(g);
    *groups = NULL;
}
