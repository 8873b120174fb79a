/* What flowcl eval holds them against: the data, of one class or all, and draws of them for the floor. */
#include "eval.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int refuse_label(evaluation *work, const char *text)
{
    int64_t *counts = NULL;
    int length = snprintf(work->fault, sizeof work->fault, "--label %.40s: %s has no sample of that class", text,
                          work->data->name);
    if (work->data->label && fcl_class_counts(work->data, &counts) == FCL_OK) {
        char *classes = fcl_class_list(work->data->classes, (const char *const *)work->data->class_name, counts, false);
        snprintf(work->fault + length, sizeof work->fault - (size_t)length, ", it has %s", classes);
        fcl_free(classes);
    }
    fcl_free(counts);
    return FCL_ERR_ARGUMENT;
}

int eval_read_label(evaluation *work)
{
    const char *text = work->settings->sample.label;
    work->label = -1;
    if (!text)
        return FCL_OK;
    int32_t found = fcl_class_find(work->data->classes, (const char *const *)work->data->class_name, text);
    if (found >= 0 && fcl_dataset_count(work->data, found) > 0) {
        work->label = found;
        return FCL_OK;
    }
    if (strchr(text, ',')) {
        snprintf(work->fault, sizeof work->fault, "--label %.40s: samples are judged beside data of one class, or of all", text);
        return FCL_ERR_ARGUMENT;
    }
    return strcmp(text, "none") == 0 ? FCL_OK : refuse_label(work, text);
}

static bool same_names(const fcl_dataset *data, const fcl_checkpoint_info *info)
{
    bool same = data->classes == info->classes && !data->class_name == !info->class_names;
    for (int k = 0; same && data->class_name && k < info->classes; k++)
        same = strcmp(data->class_name[k], info->class_names[k]) == 0;
    return same;
}

int eval_match_classes(evaluation *work, const eval_subject *subjects, int count)
{
    const eval_subject *first = NULL;
    int status = FCL_OK;
    for (int k = 0; k < count && status == FCL_OK && work->data->class_name; k++) {
        const eval_subject *now = &subjects[k];
        if (!now->info || !now->info->classes)
            continue;
        if (!first)
            status = fcl_dataset_match_classes(work->data, now->info->classes, now->info->class_names);
        else if (!same_names(work->data, now->info)) {
            snprintf(work->fault, sizeof work->fault, "the classes of %.100s and %.100s have other names: evaluate each alone",
                     first->name, now->name);
            status = FCL_ERR_ARGUMENT;
        }
        first = first ? first : now;
    }
    return status;
}

int eval_open_data(evaluation *work, const char *name, bool seeded)
{
    fcl_dataset_options options = {.seed = work->settings->data_seed,
                                   .label_column = work->settings->label_column,
                                   .label_guess = work->label_guess,
                                   .image = work->settings->image,
                                   .background_guess = work->background_guess,
                                   .like = work->like};
    int status = fcl_dataset_open(name, &options, &work->data);
    if (status == FCL_OK && seeded && !work->data->generated) {
        snprintf(work->fault, sizeof work->fault, "--data-seed has no use with %s, which is not generated",
                 work->data->name);
        return FCL_ERR_ARGUMENT;
    }
    return status;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A generated set is drawn anew, with another seed, as large as the floor's draws want it. */
static int open_pool(const evaluation *work, const char *name, int64_t wanted, fcl_dataset **pool)
{
    enum { MOST = 1 << 24, SPARE = 16 };
    double share = (double)fcl_dataset_count(work->data, work->label) / (double)work->data->count;
    int64_t count = (int64_t)fmin(1.1 * (double)wanted / share + SPARE, MOST);
    uint64_t seed = work->settings->data_seed ^ UINT64_C(0x9e3779b97f4a7c15);
    return fcl_dataset_open(name, &(fcl_dataset_options){.count = count, .seed = seed}, pool);
}

/* Enough for all draws of the floor, where the data has so many: `points` of both sets each time. */
static int draw_pool(evaluation *work, const char *name, int64_t points)
{
    enum { LEAST = 4 }; /* two for each set */
    fcl_dataset *fresh = NULL;
    int64_t wanted = points * work->settings->floor_draws;
    int status = work->data->generated ? open_pool(work, name, wanted, &fresh) : FCL_OK;
    const fcl_dataset *from = fresh ? fresh : work->data;
    int64_t count = status == FCL_OK ? least(wanted, fcl_dataset_count(from, work->label)) : 0;
    if (status == FCL_OK && count >= LEAST)
        status = fcl_dataset_draw(from, work->label, count, work->settings->sample.seed, &work->pool, NULL);
    fcl_dataset_destroy(&fresh);
    return status;
}

int eval_draw_data(evaluation *work, const char *name, int64_t samples)
{
    int64_t count = least(samples, fcl_dataset_count(work->data, work->label));
    int status = fcl_dataset_draw(work->data, work->label, count, work->settings->sample.seed,
                                  &work->reference, &work->labels);
    bool floor = work->settings->floor != FCL_OFF && tool_is_first();
    return status == FCL_OK && floor ? draw_pool(work, name, samples + count) : status;
}
