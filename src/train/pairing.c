#include "train/naming.h"

#include "base/array.h"
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

/* --- by our names --- */

static void begin(const fcl_naming *naming, const fcl_params *params, fcl_pairing *pairing)
{
    int slices = fcl_params_count(params);
    *pairing =
        (fcl_pairing){.naming = naming, .params = params, .missing = slices, .left = naming->file->count};
    pairing->used = fcl_zalloc((size_t)naming->file->count + 1);
    pairing->tensor[0] = fcl_zalloc((size_t)slices * sizeof(int));
    for (int i = 0; i < slices; i++)
        pairing->tensor[0][i] = -1;
}

/* Tensors of the state under their names; those of another shape are not there. */
static int find_state(const fcl_pairing *pairing, fcl_state state, int *tensor)
{
    int found = 0;
    for (int i = 0; i < fcl_state_slices(pairing->params, state); i++) {
        const fcl_param *slice = fcl_params_at(pairing->params, i);
        char *name = fcl_format("%s%s", fcl_state_prefix[state], slice->name);
        const fcl_named *there = fcl_naming_find(pairing->naming, name);
        bool fits = there && fcl_shape_equal(there->shape, fcl_param_file_shape(slice));
        tensor[i] = fits ? there->index : -1;
        found += fits;
        free(name);
    }
    return found;
}

static void take_state(fcl_pairing *pairing, fcl_state state, int *tensor)
{
    pairing->tensor[state] = tensor;
    for (int i = 0; i < fcl_state_slices(pairing->params, state); i++) {
        if (tensor[i] < 0)
            continue;
        pairing->used[tensor[i]] = true;
        pairing->left--;
        pairing->missing -= state == FCL_STATE_WEIGHTS;
    }
}

static void pair_names(fcl_pairing *pairing)
{
    find_state(pairing, FCL_STATE_WEIGHTS, pairing->tensor[FCL_STATE_WEIGHTS]);
    take_state(pairing, FCL_STATE_WEIGHTS, pairing->tensor[FCL_STATE_WEIGHTS]);
    for (fcl_state state = FCL_STATE_WEIGHTS + 1; state < FCL_STATES; state++) {
        int slices = fcl_state_slices(pairing->params, state);
        int *tensor = fcl_zalloc((size_t)fcl_params_count(pairing->params) * sizeof *tensor);
        if (find_state(pairing, state, tensor) == slices)
            take_state(pairing, state, tensor);
        else
            free(tensor);
    }
}

/* --- by order --- */

static bool is_same_stem(const fcl_named *a, const fcl_named *b)
{
    return a->stem == b->stem && memcmp(a->name, b->name, a->stem) == 0;
}

/* A layer: what shares a stem. */
typedef struct layer {
    const fcl_named *first;
    int count;
    bool done;
} layer;

static layer *find_layers(const fcl_named *named, int count, int *layers)
{
    layer *made = fcl_zalloc((size_t)(count + 1) * sizeof *made);
    *layers = 0;
    for (int i = 0; i < count; i++) {
        if (i == 0 || !is_same_stem(&named[i - 1], &named[i]))
            made[(*layers)++].first = &named[i];
        made[*layers - 1].count++;
    }
    return made;
}

/* The same tensors, by what follows the stem and by shape; of a layer of one tensor the shape alone is looked
 * at. */
static bool is_same_kind(const layer *a, const layer *b)
{
    bool same = a->count == b->count;
    for (int i = 0; i < a->count && same; i++) {
        const fcl_named *one = &a->first[i], *two = &b->first[i];
        same = fcl_shape_equal(one->shape, two->shape) &&
               (a->count == 1 || strcmp(one->name + one->stem, two->name + two->stem) == 0);
    }
    return same;
}

static int select_kind(const layer *kind, layer *layers, int count, layer **selected)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        if (is_same_kind(kind, &layers[i]))
            selected[found++] = &layers[i];
    return found;
}

static bool is_ordered(fcl_pairing *pairing, layer *const *theirs, int count)
{
    char shape[FCL_SHAPE_TEXT];
    for (int i = 1; i < count; i++) {
        const fcl_named *a = theirs[i - 1]->first, *b = theirs[i]->first;
        bool ordered =
            fcl_named_same_row(a, b) && fcl_natural_compare(a->name, a->stem, b->name, b->stem) < 0;
        if (!ordered && !pairing->doubt)
            pairing->doubt =
                fcl_format("which of %s and %s, both %s, comes first is not told by a number in their names",
                           a->name, b->name, fcl_shape_format(a->shape, shape));
        if (!ordered)
            return false;
    }
    return true;
}

static void pair_layer(fcl_pairing *pairing, const layer *ours, const layer *theirs)
{
    for (int k = 0; k < ours->count; k++) {
        pairing->tensor[FCL_STATE_WEIGHTS][ours->first[k].index] = theirs->first[k].index;
        pairing->used[theirs->first[k].index] = true;
        pairing->missing--;
        pairing->left--;
    }
}

static void pair_layers(fcl_pairing *pairing, layer *ours, int our_count, layer *theirs, int their_count)
{
    layer **left = fcl_zalloc((size_t)our_count * sizeof *left);
    layer **right = fcl_zalloc((size_t)(their_count + 1) * sizeof *right);
    for (int i = 0; i < our_count; i++) {
        if (ours[i].done)
            continue;
        int count = select_kind(&ours[i], ours, our_count, left);
        int found = select_kind(&ours[i], theirs, their_count, right);
        bool whole = count == found && is_ordered(pairing, right, found);
        for (int k = 0; k < count; k++) {
            left[k]->done = true;
            if (whole)
                pair_layer(pairing, left[k], right[k]);
        }
    }
    free(left);
    free(right);
}

/* What stands alone: a layer each, by its whole name. */
static layer *make_layers(const fcl_named *named, int count)
{
    layer *made = fcl_zalloc((size_t)(count + 1) * sizeof *made);
    for (int i = 0; i < count; i++)
        made[i] = (layer){.first = &named[i], .count = 1};
    return made;
}

/* Layers of which something is missing: their matrices. And vectors of numbers in a row of their own ("b0",
 * "biases.0"): another layer's bias has no such name. */
static bool stands_alone(const fcl_named *tensor, bool vectors)
{
    size_t length = strlen(tensor->name);
    return vectors ? length && strchr("0123456789", tensor->name[length - 1]) : tensor->shape.rank > 1;
}

static void pair_alone(fcl_pairing *pairing, const fcl_named *slice, bool vectors)
{
    const fcl_naming *naming = pairing->naming;
    int slices = fcl_params_count(pairing->params), our_count = 0, their_count = 0;
    fcl_named *ours = fcl_zalloc((size_t)slices * sizeof *ours);
    fcl_named *theirs = fcl_zalloc(((size_t)naming->file->count + 1) * sizeof *theirs);
    for (int i = 0; i < slices; i++)
        if (pairing->tensor[FCL_STATE_WEIGHTS][slice[i].index] < 0 && (vectors || slice[i].shape.rank > 1))
            ours[our_count++] = slice[i];
    for (int i = 0; i < naming->file->count; i++)
        if (!pairing->used[naming->tensor[i].index] && stands_alone(&naming->tensor[i], vectors))
            theirs[their_count++] = naming->tensor[i];
    for (int i = 0; i < their_count; i++)
        theirs[i].stem = strlen(theirs[i].name);
    qsort(theirs, (size_t)their_count, sizeof *theirs, fcl_named_compare);
    layer *left = make_layers(ours, our_count), *right = make_layers(theirs, their_count);
    pair_layers(pairing, left, our_count, right, their_count);
    free(left);
    free(right);
    free(ours);
    free(theirs);
}

/* The other tensors of a layer that has its matrix. */
static void pair_mates(fcl_pairing *pairing, const fcl_named *slice)
{
    int *tensor = pairing->tensor[FCL_STATE_WEIGHTS], slices = fcl_params_count(pairing->params);
    for (int i = 0; i < 2 * slices; i++) {
        const fcl_named *ours = &slice[i / 2], *mate = ours + (i % 2 ? 1 : -1);
        bool there = mate >= slice && mate < slice + slices && is_same_stem(ours, mate);
        if (!there || tensor[mate->index] < 0 || tensor[ours->index] >= 0)
            continue;
        const char *theirs = pairing->naming->file->tensors[tensor[mate->index]].name;
        char *name = fcl_format("%.*s%s", (int)fcl_named_make(theirs, FCL_SCALAR, 0).stem, theirs,
                                ours->name + ours->stem);
        const fcl_named *found = fcl_naming_find(pairing->naming, name);
        if (found && !pairing->used[found->index] && fcl_shape_equal(found->shape, ours->shape))
            pair_layer(pairing, &(layer){.first = ours, .count = 1}, &(layer){.first = found, .count = 1});
        free(name);
    }
}

static void pair_order(fcl_pairing *pairing)
{
    int slices = fcl_params_count(pairing->params), our_count, their_count;
    fcl_named *slice = fcl_zalloc((size_t)slices * sizeof *slice);
    pairing->by_order = true;
    for (int i = 0; i < slices; i++)
        slice[i] = fcl_named_make(fcl_params_at(pairing->params, i)->name,
                                  fcl_param_file_shape(fcl_params_at(pairing->params, i)), i);
    qsort(slice, (size_t)slices, sizeof *slice, fcl_named_compare);
    layer *ours = find_layers(slice, slices, &our_count);
    layer *theirs = find_layers(pairing->naming->tensor, pairing->naming->file->count, &their_count);
    pair_layers(pairing, ours, our_count, theirs, their_count);
    pair_alone(pairing, slice, false);
    pair_mates(pairing, slice);
    pair_alone(pairing, slice, true);
    free(ours);
    free(theirs);
    free(slice);
}

/* --- both --- */

static bool is_better(const fcl_pairing *a, const fcl_pairing *b)
{
    return a->missing != b->missing ? a->missing < b->missing : a->left < b->left;
}

void fcl_pairing_make(const fcl_naming *naming, const fcl_params *params, fcl_pairing *pairing)
{
    fcl_pairing ordered;
    begin(naming, params, pairing);
    pair_names(pairing);
    if (naming->list || fcl_pairing_is_whole(pairing))
        return;
    begin(naming, params, &ordered);
    pair_order(&ordered);
    bool better = is_better(&ordered, pairing) || (ordered.doubt && ordered.missing <= pairing->missing);
    fcl_pairing_free(better ? pairing : &ordered);
    if (better)
        *pairing = ordered;
}

void fcl_pairing_free(fcl_pairing *pairing)
{
    for (fcl_state state = 0; state < FCL_STATES; state++)
        free(pairing->tensor[state]);
    free(pairing->used);
    free(pairing->doubt);
    *pairing = (fcl_pairing){0};
}

bool fcl_pairing_is_whole(const fcl_pairing *pairing)
{
    return !pairing->missing && (!pairing->left || pairing->naming->list);
}

/* --- in words --- */

/* A list that is longer than a message ends with how many more there are. */
enum { MOST_TEXT = 6000 };

static void add_missing(const fcl_pairing *pairing, fcl_text *text)
{
    char shape[FCL_SHAPE_TEXT], other[FCL_SHAPE_TEXT];
    int told = 0;
    for (int i = 0; i < fcl_params_count(pairing->params) && text->length < MOST_TEXT; i++) {
        const fcl_param *slice = fcl_params_at(pairing->params, i);
        const fcl_named *there = pairing->by_order ? NULL : fcl_naming_find(pairing->naming, slice->name);
        if (pairing->tensor[FCL_STATE_WEIGHTS][i] >= 0)
            continue;
        fcl_text_format(text, "%s%s %s", told++ ? ", " : "missing ", slice->name,
                        fcl_shape_format(fcl_param_file_shape(slice), shape));
        if (there)
            fcl_text_format(text, " where it has %s", fcl_shape_format(there->shape, other));
    }
    if (told < pairing->missing)
        fcl_text_format(text, " and %d more", pairing->missing - told);
}

static bool has_other_shape(const fcl_pairing *pairing, const fcl_named *tensor)
{
    return !pairing->by_order && fcl_params_find(pairing->params, tensor->name) >= 0;
}

static void add_left(const fcl_pairing *pairing, fcl_text *text)
{
    char shape[FCL_SHAPE_TEXT];
    const fcl_safetensors *file = pairing->naming->file;
    size_t begun = text->length;
    int told = 0, left = 0;
    for (int i = 0; i < file->count; i++) {
        const fcl_named *tensor = &pairing->naming->tensor[i];
        if (pairing->used[tensor->index] || has_other_shape(pairing, tensor))
            continue;
        left++;
        if (text->length - begun < MOST_TEXT)
            fcl_text_format(text, "%s%s %s",
                            told++             ? ", "
                            : pairing->missing ? "; left over "
                                               : "left over ",
                            file->tensors[tensor->index].name, fcl_shape_format(tensor->shape, shape));
    }
    if (told < left)
        fcl_text_format(text, " and %d more", left - told);
}

char *fcl_pairing_faults(const fcl_pairing *pairing)
{
    fcl_text text = {0};
    fcl_text_add(&text, "");
    if (pairing->doubt)
        fcl_text_format(&text, "%s; ", pairing->doubt);
    if (pairing->missing)
        add_missing(pairing, &text);
    if (pairing->left)
        add_left(pairing, &text);
    return text.data;
}

static void add_pairs(const fcl_pairing *pairing, fcl_text *text)
{
    const int *tensor = pairing->tensor[FCL_STATE_WEIGHTS];
    for (int i = 0; i < fcl_params_count(pairing->params); i++)
        fcl_text_format(text, "%s %s from %s", i ? "," : "", fcl_params_at(pairing->params, i)->name,
                        pairing->naming->file->tensors[tensor[i]].name);
}

char *fcl_pairing_text(const fcl_pairing *pairing)
{
    fcl_text text = {0};
    fcl_text_add(&text, pairing->by_order       ? "names matched by order:"
                        : pairing->naming->list ? "names matched by "
                                                : "names taken as they are");
    if (pairing->naming->list)
        fcl_text_format(&text, "%s:", pairing->naming->list);
    if (pairing->by_order || pairing->naming->list)
        add_pairs(pairing, &text);
    if (pairing->left) {
        fcl_text left = {0};
        fcl_text_add(&left, "");
        add_left(pairing, &left);
        fcl_text_format(&text, "; %s", left.data);
        fcl_text_free(&left);
    }
    return text.data;
}
