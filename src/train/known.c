/* The part of samples that is kept. Its numbers move along their own path, x = alpha x1 + sigma x0 of the data x1 and one noise
 * x0, whatever the network says; and the network, wherever a solver asks it, sees them exactly there. So what is painted anew
 * follows from what is kept at each evaluation (RePaint, Lugmayr et al. 2022, does it at each step), with every solver. */
#include "train/edit.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { DATA, NOISE, MASK, TABLES };

struct fcl_known {
    const fcl_edit *edit;
    int64_t rows;
    fcl_buffer *table[TABLES]; /* (rows, size) */
    float *part;
    fcl_graph *graph; /* the leaves below belong to it */
    fcl_tensor *leaf[TABLES];
};

int fcl_known_create(fcl_device *device, const fcl_edit *edit, int64_t rows, fcl_known **known)
{
    fcl_known *made = *known = fcl_zalloc(sizeof *made);
    size_t bytes = (size_t)(rows * edit->size) * sizeof(float);
    made->edit = edit;
    made->rows = rows;
    made->part = fcl_zalloc(bytes);
    for (int i = 0; i < TABLES; i++)
        FCL_TRY(fcl_buffer_create(device, bytes, &made->table[i]));
    return FCL_OK;
}

void fcl_known_destroy(fcl_known **known)
{
    if (!*known)
        return;
    for (int i = 0; i < TABLES; i++)
        fcl_buffer_destroy(&(*known)->table[i]);
    free((*known)->part);
    free(*known);
    *known = NULL;
}

int fcl_known_write(fcl_known *known, int64_t first, int64_t count)
{
    const fcl_edit *edit = known->edit;
    const float *tables[TABLES] = {edit->data, edit->noise, edit->mask};
    size_t row = (size_t)edit->size * sizeof(float);
    for (int i = 0; i < TABLES; i++) {
        for (int64_t k = 0; k < known->rows; k++)
            memcpy(known->part + k * edit->size, tables[i] + (first + (k < count ? k : count - 1)) * edit->size, row);
        FCL_TRY(fcl_buffer_write(known->table[i], 0, (size_t)known->rows * row, known->part));
    }
    return FCL_OK;
}

/* A solver asks once a stage, and may build several graphs. */
static void bind_leaves(fcl_known *known, fcl_graph *graph)
{
    static const char *const names[TABLES] = {"kept data", "kept noise", "mask"};
    if (known->graph == graph)
        return;
    known->graph = graph;
    for (int i = 0; i < TABLES; i++)
        known->leaf[i] =
            fcl_leaf(graph, names[i], FCL_F32, FCL_SHAPE(known->rows, known->edit->size), known->table[i], 0);
}

static fcl_tensor *mix(const fcl_known *known, fcl_tensor *of_data, fcl_tensor *of_noise)
{
    return fcl_add(fcl_mul(of_data, known->leaf[DATA]), fcl_mul(of_noise, known->leaf[NOISE]));
}

fcl_tensor *fcl_known_put(fcl_known *known, const fcl_velocity_inputs *in)
{
    bind_leaves(known, fcl_tensor_graph(in->x));
    fcl_path_at at = fcl_path_build(known->edit->trained, in->t);
    return fcl_where(known->leaf[MASK], in->x, mix(known, at.alpha, at.sigma));
}

/* What a network that knew x1 and x0 would say. */
static fcl_tensor *build_answer(const fcl_known *known, fcl_tensor *t)
{
    const char *prediction = known->edit->prediction;
    fcl_path_at at = fcl_path_build(known->edit->trained, t);
    if (prediction && strcmp(prediction, "x1") == 0)
        return known->leaf[DATA];
    if (prediction && strcmp(prediction, "eps") == 0)
        return known->leaf[NOISE];
    if (prediction && strcmp(prediction, "score") == 0)
        return fcl_neg(fcl_div(known->leaf[NOISE], at.sigma));
    return mix(known, at.alpha_dot, at.sigma_dot);
}

fcl_tensor *fcl_known_answer(fcl_known *known, fcl_tensor *answer, fcl_tensor *t)
{
    return fcl_where(known->leaf[MASK], answer, build_answer(known, t));
}
