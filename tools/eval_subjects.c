/* What flowcl eval judges: models, whose samples are drawn, and files of samples. */
#include "eval.h"

#include <stdio.h>
#include <string.h>

static int open_model(const evaluation *work, eval_subject *subject)
{
    int status = fcl_checkpoint_open_with(subject->name, &work->settings->foreign, &subject->checkpoint), average;
    if (status != FCL_OK)
        return status;
    subject->info = fcl_checkpoint_describe(subject->checkpoint);
    subject->how = work->settings->sample;
    return fcl_sample_average(subject->info, &subject->how, &average);
}

/* Of a file that has labels those of the class alone, where one is judged. */
static int take_class(evaluation *work, fcl_dataset *file, eval_subject *subject)
{
    int status = fcl_dataset_match_classes(file, work->data->classes, (const char *const *)work->data->class_name);
    int64_t there = fcl_dataset_count(file, work->label);
    if (status == FCL_OK && there == 0) {
        snprintf(work->fault, sizeof work->fault, "--label %.40s: %s has no sample of that class",
                 work->settings->sample.label, subject->name);
        return FCL_ERR_ARGUMENT;
    }
    return status ? status
                  : fcl_dataset_draw(file, work->label, there, work->settings->sample.seed, &subject->samples, NULL);
}

static int read_samples(evaluation *work, bool limited, eval_subject *subject)
{
    fcl_dataset *file;
    fcl_dataset_options options = {.count = limited ? work->settings->sample.n : 0,
                                   .unlabeled = work->label < 0,
                                   .label_guess = work->label_of_samples,
                                   .background_guess = work->settings->image.background,
                                   .like = work->data->shape};
    int status = fcl_dataset_open(subject->name, &options, &file);
    if (status != FCL_OK)
        return status;
    status = file->label ? take_class(work, file, subject)
                         : fcl_dataset_take(file, 0, file->count, &subject->samples);
    subject->note = file->note ? strdup(file->note) : NULL;
    fcl_dataset_destroy(&file);
    return status;
}

/* The numbers of a sample have to be as many as the data's; then they stand in the same shape. */
static int fit_shape(evaluation *work, const eval_subject *subject, fcl_array *samples)
{
    const fcl_shape *shape = &work->data->shape;
    long long given = fcl_shape_size(samples->shape) / samples->shape.dim[0], wanted = fcl_shape_size(*shape);
    if (given != wanted) {
        snprintf(work->fault, sizeof work->fault,
                 "%s: its samples have %lld numbers each, those of %s have %lld", subject->name, given,
                 work->data->name, wanted);
        return FCL_ERR_ARGUMENT;
    }
    samples->shape.rank = shape->rank + 1;
    memcpy(samples->shape.dim + 1, shape->dim, (size_t)shape->rank * sizeof *shape->dim);
    return FCL_OK;
}

static int check_model(evaluation *work, const eval_subject *subject)
{
    long long given = fcl_shape_size(subject->info->sample), wanted = fcl_shape_size(work->data->shape);
    if (given == wanted)
        return FCL_OK;
    snprintf(work->fault, sizeof work->fault, "%s: its samples have %lld numbers each, those of %s have %lld",
             subject->name, given, work->data->name, wanted);
    return FCL_ERR_ARGUMENT;
}

int eval_prepare(evaluation *work, bool limited, eval_subject *subject)
{
    int status = subject->info ? FCL_OK : read_samples(work, limited, subject);
    if (status == FCL_OK)
        status = subject->info ? check_model(work, subject) : fit_shape(work, subject, subject->samples);
    if (status == FCL_OK && subject->info && !work->device)
        status = tool_open_device(work->settings->device, &work->device);
    if (status == FCL_OK && subject->info)
        status = fcl_sample(work->device, subject->checkpoint, &subject->how, &subject->samples, &subject->stats);
    if (status == FCL_OK)
        status = fit_shape(work, subject, subject->samples);
    return status;
}

/* What the training's table had as its third column has nothing to do with the third of a table of samples. */
static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

int eval_open_models(evaluation *work, eval_subject *subjects, int count)
{
    int status = FCL_OK;
    bool foreign = false;
    work->label_guess = work->settings->label_column;
    for (int k = 0; k < count && status == FCL_OK; k++) {
        status = tool_is_model(subjects[k].name) ? open_model(work, &subjects[k]) : FCL_OK;
        foreign |= subjects[k].info && subjects[k].info->foreign;
        if (status == FCL_OK && subjects[k].info && !work->label_guess)
            work->label_guess = subjects[k].info->options->label_column;
        if (status == FCL_OK && subjects[k].info) {
            work->like = subjects[k].info->sample;
            work->background_guess = subjects[k].info->options->image.background;
        }
    }
    bool given = work->settings->label_column || (work->label_guess && !is_number(work->label_guess));
    work->label_of_samples = given ? work->label_guess : NULL;
    if (status == FCL_OK && !foreign && tool_foreign_is_unused(&work->settings->foreign, subjects[0].name, work->fault))
        status = FCL_ERR_ARGUMENT;
    return status;
}
