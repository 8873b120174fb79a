/* What flowcl eval says of pictures by a classifier (classify.h): its features of samples, of the reference,
 * and of training pictures, which are the floor. */
#include "eval.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static int refuse(evaluation *work, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(evaluation *work, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fcl_vsnprintf(work->fault, sizeof work->fault, format, args);
    va_end(args);
    return FCL_ERR_ARGUMENT;
}

/* --- what the samples are held against --- */

/* The test part of DATA takes its place, and DATA is what a model was trained on. */
static int open_reference(evaluation *work, const char *data)
{
    bool train = work->settings->against && strcmp(work->settings->against, "train") == 0;
    char *name = train ? NULL : tool_test_part(data);
    if (!name)
        return FCL_OK;
    fcl_dataset *test;
    fcl_dataset_options options = {.label_guess = work->label_guess,
                                   .background_guess = work->settings->image.background,
                                   .like = work->data->shape};
    int status = fcl_dataset_open(name, &options, &test);
    free(name);
    if (status != FCL_OK)
        return status;
    work->training = work->data;
    work->data = test;
    return fcl_dataset_match_classes(test, work->training->classes,
                                     (const char *const *)work->training->class_name);
}

static int check_classifier(evaluation *work)
{
    const fcl_classifier_info *info = fcl_classifier_describe(work->classifier);
    long long given = fcl_shape_size(work->data->shape), wanted = fcl_shape_size(info->picture);
    if (given != wanted)
        return refuse(work, "--features %.100s: its pictures have %lld numbers, those of %s have %lld",
                      work->settings->features, wanted, work->data->name, given);
    if (work->data->label && work->data->classes != info->classes)
        return refuse(work, "--features %.100s: it tells %d classes apart, %s has %d",
                      work->settings->features, info->classes, work->data->name, work->data->classes);
    return FCL_OK;
}

int eval_open_features(evaluation *work, const char *data)
{
    if (!work->settings->features)
        return FCL_OK;
    int status = work->device ? FCL_OK : tool_open_device(work->settings->device, &work->device);
    if (status == FCL_OK)
        status = fcl_classifier_open(work->device, work->settings->features, &work->classifier);
    if (status == FCL_OK)
        status = open_reference(work, data);
    return status == FCL_OK ? check_classifier(work) : status;
}

const fcl_dataset *eval_training(const evaluation *work)
{
    return work->training ? work->training : work->data;
}

/* --- features --- */

static int see(evaluation *work, const fcl_array *pictures, eval_seen *seen)
{
    return fcl_classifier_apply(work->classifier, pictures, &seen->features, &seen->said);
}

void eval_forget(eval_seen *seen)
{
    fcl_array_destroy(&seen->features);
    fcl_free(seen->said);
    free(seen->label);
    *seen = (eval_seen){0};
}

/* Puts the last `count` of the pictures first: those of a draw that the reference is not among. */
static void keep_last(fcl_array *pictures, int32_t *label, int64_t count)
{
    int64_t n = pictures->shape.dim[0], size = fcl_shape_size(pictures->shape) / n;
    memmove(pictures->data, pictures->data + (n - count) * size,
            (size_t)(count * size) * sizeof *pictures->data);
    if (label)
        memmove(label, label + (n - count), (size_t)count * sizeof *label);
    pictures->shape.dim[0] = count;
}

/* As many training pictures as there are samples; of one set for all, others than the reference, whose draw
 * begins as theirs does. */
static int draw_floor(evaluation *work, int64_t samples)
{
    const fcl_dataset *from = eval_training(work);
    int64_t taken = work->training ? 0 : work->reference->shape.dim[0],
            there = fcl_dataset_count(from, work->label);
    int64_t count = samples < there - taken ? samples : there - taken;
    fcl_array *pictures = NULL;
    if (count < 2 || work->settings->floor == FCL_OFF)
        return FCL_OK;
    int status = fcl_dataset_draw(from, work->label, taken + count, work->settings->sample.seed, &pictures,
                                  &work->seen_floor.label);
    if (status == FCL_OK) {
        keep_last(pictures, work->seen_floor.label, count);
        status = see(work, pictures, &work->seen_floor);
    }
    fcl_array_destroy(&pictures);
    return status;
}

/* The class that each sample was asked to be of, where the model has the classifier's. */
static int take_asked(evaluation *work, eval_subject *subject)
{
    int classes = fcl_classifier_describe(work->classifier)->classes;
    if (!subject->info || subject->info->classes != classes)
        return FCL_OK;
    int status = fcl_sample_labels(subject->checkpoint, &subject->how, &subject->seen.label);
    for (int64_t i = 0; status == FCL_OK && subject->seen.label && i < subject->samples->shape.dim[0]; i++)
        if (subject->seen.label[i] >= classes) { /* of no class */
            fcl_free(subject->seen.label);
            subject->seen.label = NULL;
        }
    return status;
}

static int copy_labels(const int32_t *label, int64_t n, int32_t **copy)
{
    *copy = malloc((size_t)n * sizeof **copy);
    if (*copy)
        memcpy(*copy, label, (size_t)n * sizeof **copy);
    return *copy ? FCL_OK : FCL_ERR_MEMORY;
}

int eval_see_all(evaluation *work, eval_subject *subjects, int count, int64_t most)
{
    if (!work->classifier)
        return FCL_OK;
    int status = see(work, work->reference, &work->seen_reference);
    if (status == FCL_OK && work->labels)
        status = copy_labels(work->labels, work->reference->shape.dim[0], &work->seen_reference.label);
    if (status == FCL_OK)
        status = draw_floor(work, most);
    for (int k = 0; k < count && status == FCL_OK; k++) {
        status = see(work, subjects[k].samples, &subjects[k].seen);
        if (status == FCL_OK)
            status = take_asked(work, &subjects[k]);
    }
    return status;
}

/* --- metrics --- */

int eval_feature_floor(evaluation *work, const eval_metric *metric, fcl_distance_mean *floor)
{
    fcl_distance distance;
    if (!work->seen_floor.features)
        return FCL_OK;
    int status = fcl_distance_measure(metric->name, work->seen_floor.features, work->seen_reference.features,
                                      &work->settings->distance, &distance);
    floor->mean = distance.value;
    memcpy(floor->points, distance.points, sizeof floor->points);
    floor->disjoint = true;
    return status;
}

/* The share of pictures that the classifier finds of their class; NAN where none has one. Of one class,
 * unless below 0. */
static double share_right(const eval_seen *seen, int32_t of)
{
    int64_t right = 0, all = 0;
    for (int64_t i = 0; seen->label && i < seen->features->shape.dim[0]; i++) {
        all += of < 0 || seen->label[i] == of;
        right += (of < 0 || seen->label[i] == of) && seen->said[i] == seen->label[i];
    }
    return all ? (double)right / (double)all : NAN;
}

int eval_measure_accuracy(evaluation *work, eval_subject *subject, eval_value *value)
{
    value->value = share_right(&subject->seen, -1);
    value->floor = share_right(&work->seen_reference, -1);
    const char *floor = work->settings->floor == FCL_OFF ? "" : "the floor is that of the reference";
    snprintf(value->how, sizeof value->how, "%s", subject->seen.label ? floor : "of no class");
    return FCL_OK;
}

enum { MOST_NEAREST = 1000 };

/* How far the first so many pictures are from the nearest training picture. */
static int search(const fcl_array *pictures, const fcl_array *training, int64_t *count, double **distance,
                  double *mean)
{
    fcl_array first = *pictures;
    *count = first.shape.dim[0] = first.shape.dim[0] < MOST_NEAREST ? first.shape.dim[0] : MOST_NEAREST;
    int64_t *index = calloc((size_t)*count, sizeof *index);
    *distance = calloc((size_t)*count, sizeof **distance);
    int status = index && *distance ? fcl_nearest_points(&first, training, index, *distance) : FCL_ERR_MEMORY;
    *mean = 0;
    for (int64_t i = 0; status == FCL_OK && i < *count; i++)
        *mean += (*distance)[i] / (double)*count;
    free(index);
    return status;
}

/* A reference that is among the training pictures is 0 from them: it is no floor. */
int eval_measure_nearest(evaluation *work, eval_subject *subject, eval_value *value)
{
    const fcl_dataset *set = eval_training(work);
    fcl_array *training;
    double *of_reference = NULL, least = INFINITY;
    int64_t count;
    int status = fcl_dataset_take(set, 0, set->count, &training);
    if (status == FCL_OK)
        status =
            search(subject->samples, training, &subject->nearest_count, &subject->nearest, &value->value);
    if (status == FCL_OK && work->training && work->settings->floor != FCL_OFF)
        status = search(work->reference, training, &count, &of_reference, &value->floor);
    for (int64_t i = 0; status == FCL_OK && i < subject->nearest_count; i++)
        least = fmin(least, subject->nearest[i]);
    if (status == FCL_OK)
        fcl_snprintf(value->how, sizeof value->how, "least %.4g, %" PRId64 " of %" PRId64 " pictures", least,
                     subject->nearest_count, set->count);
    free(of_reference);
    fcl_array_destroy(&training);
    return status;
}

/* --- by class --- */

/* The features of what is of a class: of its label, or of what the classifier says where there are none. */
static int select_class(const eval_seen *seen, int32_t label, fcl_array **chosen)
{
    const int32_t *of = seen->label ? seen->label : seen->said;
    int64_t n = seen->features->shape.dim[0], count = 0;
    int status = fcl_array_create(seen->features->shape, chosen);
    for (int64_t i = 0; status == FCL_OK && i < n; i++)
        if (of[i] == label)
            memcpy((*chosen)->data + FCL_FEATURES * count++, seen->features->data + FCL_FEATURES * i,
                   FCL_FEATURES * sizeof(float));
    if (status == FCL_OK)
        (*chosen)->shape.dim[0] = count;
    return status;
}

static int measure_class(const eval_seen *seen, const fcl_array *reference, int32_t label, int64_t *count,
                         double *frechet)
{
    fcl_array *chosen;
    fcl_distance distance = {.value = NAN};
    *frechet = NAN;
    *count = 0;
    if (!seen->features)
        return FCL_OK;
    int status = select_class(seen, label, &chosen);
    *count = status == FCL_OK ? chosen->shape.dim[0] : 0;
    if (status == FCL_OK && *count > 1 && reference->shape.dim[0] > 1)
        status = fcl_distance_measure("frechet", chosen, reference, NULL, &distance);
    *frechet = distance.value;
    fcl_array_destroy(&chosen);
    return status;
}

int eval_measure_classes(evaluation *work, const eval_subject *subject)
{
    int classes = work->classifier && work->labels && work->label < 0 ? work->data->classes : 0,
        status = FCL_OK;
    work->of_class = classes ? calloc((size_t)classes, sizeof *work->of_class) : NULL;
    for (int32_t k = 0; k < classes && status == FCL_OK; k++) {
        eval_class *row = &work->of_class[k];
        fcl_array *reference;
        int64_t count;
        status = select_class(&work->seen_reference, k, &reference);
        if (status == FCL_OK)
            status = measure_class(&subject->seen, reference, k, &row->count, &row->frechet);
        if (status == FCL_OK)
            status = measure_class(&work->seen_floor, reference, k, &count, &row->frechet_floor);
        row->accuracy = share_right(&subject->seen, k);
        row->accuracy_floor = work->settings->floor == FCL_OFF ? NAN : share_right(&work->seen_reference, k);
        fcl_array_destroy(&reference);
    }
    return status;
}
