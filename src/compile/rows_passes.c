/* What a row program computes when. */
#include "compile/rows_writer.h"

#include <stdlib.h>
#include <string.h>

static int by_id(const void *a, const void *b)
{
    const fcl_row_entry *x = a, *y = b;
    return x->node->id - y->node->id;
}

int fcl_rows_find(const fcl_rows_writer *w, const fcl_tensor *root)
{
    int low = 0, high = w->count - 1;
    while (low <= high) {
        int middle = (low + high) / 2, id = w->entries[middle].node->id;
        if (id == root->id)
            return middle;
        if (id < root->id)
            low = middle + 1;
        else
            high = middle - 1;
    }
    return -1;
}

static fcl_row_entry *input_of(const fcl_rows_writer *w, const fcl_row_entry *e, int k)
{
    int from = fcl_rows_find(w, fcl_node_root(e->node->input[k]));
    return from < 0 ? NULL : &w->entries[from];
}

bool fcl_rows_is_value(const fcl_row_entry *e)
{
    return e->kind == FCL_ROW_VALUE || e->kind == FCL_ROW_FOLDED;
}

static void place(fcl_rows_writer *w, fcl_row_entry *e)
{
    for (int k = 0; k < e->node->inputs; k++) {
        const fcl_row_entry *from = input_of(w, e, k);
        int pass = from ? from->pass + (from->kind == FCL_ROW_REDUCED) : 0;
        e->pass = pass > e->pass ? pass : e->pass;
    }
    if (!fcl_rows_is_value(e) && e->pass >= w->passes)
        w->passes = e->pass + 1;
}

static bool is_saved(const fcl_row_entry *e)
{
    return e->kind == FCL_ROW_FULL && (e->node->storage || e->kept);
}

/* --- what is kept: a CPU's core computes a function for longer than it waits for its second cache --- */

enum { MOST_KEPT = 1 << 16 /* numbers of a row: such rows are still in that cache */ };

/* Of functions in straight lines (cl/math.h), or made of such without anything kept in between. */
static bool is_costly(const fcl_rows_writer *w, const fcl_row_entry *e)
{
    bool costly = e->node->op->expression && strstr(e->node->op->expression, "MATH(");
    for (int k = 0; k < e->node->inputs; k++) {
        const fcl_row_entry *from = input_of(w, e, k);
        costly |= from && from->costly && !(is_saved(from) && from->pass < e->pass);
    }
    return costly;
}

static bool is_read_later(const fcl_rows_writer *w, const fcl_row_entry *e)
{
    for (int r = 0; r < e->node->readers; r++) {
        int at = fcl_rows_find(w, e->node->reader[r]);
        if (at >= 0 && w->entries[at].pass > e->pass)
            return true;
    }
    return false;
}

static void keep(fcl_rows_writer *w)
{
    for (int i = 0; i < w->count; i++) {
        fcl_row_entry *e = &w->entries[i];
        e->costly = e->kind == FCL_ROW_FULL && is_costly(w, e);
        e->kept = e->costly && !e->node->storage && is_read_later(w, e);
    }
}

fcl_rows_writer fcl_rows_begin(const fcl_step *step, const fcl_device *device)
{
    fcl_rows_writer w = {
        .step = step, .count = fcl_step_nodes(step), .pieces = fcl_rows_pieces(&step->extent, device)};
    w.entries = fcl_zalloc((size_t)w.count * sizeof *w.entries);
    for (int i = 0; i < w.count; i++) {
        fcl_tensor *node = fcl_step_node(step, i);
        w.entries[i] = (fcl_row_entry){.node = node, .kind = fcl_row_kind_of(node, &step->extent)};
    }
    qsort(w.entries, (size_t)w.count, sizeof *w.entries, by_id);
    for (int i = 0; i < w.count; i++)
        place(&w, &w.entries[i]);
    if (fcl_device_traits(device).wide && step->extent.width <= MOST_KEPT)
        keep(&w);
    return w;
}

bool fcl_rows_saved(const fcl_rows_writer *w, const fcl_row_entry *e)
{
    return is_saved(e) && e->pass < w->pass;
}

/* What ends in the pass; then, backwards, what that is made of, as far as it is not saved. */
void fcl_rows_want(fcl_rows_writer *w)
{
    for (int i = w->count - 1; i >= 0; i--) {
        fcl_row_entry *e = &w->entries[i];
        e->wanted = e->pass == w->pass && (e->kind >= FCL_ROW_REDUCED || is_saved(e));
        for (int j = i + 1; j < w->count && e->kind == FCL_ROW_FULL && !e->wanted && e->pass <= w->pass; j++)
            for (int k = 0; k < w->entries[j].node->inputs && w->entries[j].wanted; k++)
                if (!fcl_rows_is_value(&w->entries[j]) &&
                    fcl_node_root(w->entries[j].node->input[k]) == e->node && !fcl_rows_saved(w, &w->entries[j]))
                    e->wanted = true;
    }
}
