/* The picture of flowcl eval. */
#include "eval.h"

#include <math.h>
#include <string.h>
#include <strings.h>

int eval_check_chart(evaluation *work)
{
    const char *path = work->settings->chart;
    size_t length = path ? strlen(path) : 0;
    if (!path)
        return FCL_OK;
    if (length > 4 && strcasecmp(path + length - 4, ".png") == 0)
        return tool_is_first() ? fcl_samples_check_path(path) : FCL_OK;
    snprintf(work->fault, sizeof work->fault, "--chart %s: the file's name has to end in .png", path);
    return FCL_ERR_ARGUMENT;
}

/* The ways of some samples: every step of a solver with fixed steps, unless these are many. */
static int draw_paths(evaluation *work, const eval_subject *subject, fcl_array **paths)
{
    enum { PATHS = 200, MOST_STEPS = 200 };
    fcl_sample_options options = subject->how;
    bool few = !fcl_solver_is_adaptive(options.solver) && options.steps <= MOST_STEPS;
    options.n = options.n < PATHS ? options.n : PATHS;
    options.times = few ? "steps" : "51";
    options.ranks = NULL;
    return fcl_sample(work->device, subject->checkpoint, &options, paths, NULL);
}

/* Black and white: the model's, or those of the data. */
static int find_range(const evaluation *work, const eval_subject *subject, fcl_flow_picture *picture)
{
    fcl_normalisation *own = NULL;
    int status = subject->info ? FCL_OK : fcl_normalisation_create(work->data, NULL, NULL, &own);
    const fcl_normalisation *by = subject->info ? subject->info->normalisation : own;
    picture->low = by ? by->low : 0;
    picture->high = by ? by->high : 0;
    fcl_normalisation_destroy(&own);
    return status;
}

/* The samples that are nearest to training pictures, nearest first, where that was measured: what was learned by heart
 * shows. NULL: not measured. */
static int take_nearest(const eval_subject *subject, fcl_array **nearest)
{
    enum { MOST = 64 };
    int64_t n = subject->nearest_count, size = fcl_shape_size(subject->samples->shape) / subject->samples->shape.dim[0];
    fcl_shape shape = subject->samples->shape;
    shape.dim[0] = n < MOST ? n : MOST;
    *nearest = NULL;
    if (!subject->nearest)
        return FCL_OK;
    int status = fcl_array_create(shape, nearest);
    for (int64_t i = 0; status == FCL_OK && i < shape.dim[0]; i++) {
        int64_t best = 0;
        for (int64_t k = 1; k < n; k++)
            best = subject->nearest[k] < subject->nearest[best] ? k : best;
        memcpy((*nearest)->data + i * size, subject->samples->data + best * size, (size_t)size * sizeof(float));
        subject->nearest[best] = INFINITY;
    }
    return status;
}

/* Beside pictures stand the nearest of all the data, not only of what was drawn of it. */
int eval_draw_chart(evaluation *work, const eval_subject *subject)
{
    fcl_array *all = NULL, *paths = NULL, *nearest = NULL;
    int status = FCL_OK;
    if (!work->settings->chart)
        return FCL_OK;
    if (fcl_samples_are_pictures(work->data->shape))
        status = fcl_dataset_take(eval_training(work), 0, eval_training(work)->count, &all);
    else if (subject->checkpoint)
        status = draw_paths(work, subject, &paths);
    if (status == FCL_OK && all)
        status = take_nearest(subject, &nearest);
    fcl_flow_picture picture = {
        .data = all ? all : work->reference, .samples = nearest ? nearest : subject->samples, .paths = paths};
    if (status == FCL_OK && all)
        status = find_range(work, subject, &picture);
    if (status == FCL_OK)
        status = fcl_flow_picture_write(work->settings->chart, &picture);
    fcl_array_destroy(&all);
    fcl_array_destroy(&nearest);
    fcl_array_destroy(&paths);
    return status;
}
