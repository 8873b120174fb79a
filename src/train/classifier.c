/* A classifier of pictures, and what it says of them. */
#include "train/classifier.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/watch.h"
#include "train/normalised.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- making --- */

static const char *keep_text(fcl_classifier *classifier, const char *key, const char *text)
{
    if (!text)
        return NULL;
    json_object_set_new(classifier->texts, key, json_string(text));
    return json_string_value(json_object_get(classifier->texts, key));
}

static void keep_names(fcl_classifier *classifier, const char *const *names)
{
    if (!names)
        return;
    int classes = classifier->info.classes;
    json_t *list = json_array();
    classifier->class_name = fcl_zalloc((size_t)classes * sizeof *classifier->class_name);
    for (int k = 0; k < classes; k++) {
        json_array_append_new(list, json_string(names[k]));
        classifier->class_name[k] = json_string_value(json_array_get(list, (size_t)k));
    }
    json_object_set_new(classifier->texts, "class_names", list);
}

static int make(const fcl_classifier_info *info, fcl_buffer *weights, fcl_classifier *classifier)
{
    classifier->texts = json_object();
    classifier->params = fcl_params_create();
    classifier->info = *info;
    classifier->info.data = keep_text(classifier, "data", info->data);
    classifier->info.content = keep_text(classifier, "content", info->content);
    classifier->info.config = keep_text(classifier, "config", info->config);
    keep_names(classifier, info->class_names);
    classifier->info.class_names = classifier->class_name;
    classifier->normalisation = fcl_normalised_copy(info->normalisation);
    classifier->info.normalisation = classifier->normalisation;
    fcl_classifier_declare(classifier->params, info->picture, info->classes, &classifier->net);
    FCL_TRY(fcl_params_check(classifier->params));
    classifier->info.parameters = fcl_params_numbers(classifier->params);
    if (!weights)
        FCL_TRY(
            fcl_buffer_create(classifier->device, fcl_params_bytes(classifier->params), &classifier->own));
    classifier->weights = weights ? weights : classifier->own;
    return FCL_OK;
}

int fcl_classifier_make(fcl_device *device, const fcl_classifier_info *info, fcl_buffer *weights,
                        fcl_classifier **classifier)
{
    *classifier = fcl_zalloc(sizeof **classifier);
    (*classifier)->device = device;
    int status = make(info, weights, *classifier);
    if (status != FCL_OK)
        fcl_classifier_close(classifier);
    return status;
}

int fcl_classifier_open(fcl_device *device, const char *path, fcl_classifier **classifier)
{
    struct stat about;
    bool folder = stat(path, &about) == 0 && S_ISDIR(about.st_mode);
    char *file = folder ? fcl_format("%s/" FCL_CLASSIFIER_FILE, path) : fcl_strdup(path);
    *classifier = NULL;
    int status = fcl_classifier_load(device, file, classifier);
    free(file);
    return status;
}

void fcl_classifier_close(fcl_classifier **classifier)
{
    fcl_classifier *dying = *classifier;
    if (!dying)
        return;
    fcl_graph_destroy(&dying->graph);
    fcl_buffer_destroy(&dying->own);
    fcl_params_destroy(&dying->params);
    fcl_normalisation_destroy(&dying->normalisation);
    json_decref(dying->texts);
    free(dying->class_name);
    free(dying->path);
    free(dying);
    *classifier = NULL;
}

const fcl_classifier_info *fcl_classifier_describe(const fcl_classifier *classifier)
{
    return &classifier->info;
}

/* --- applying --- */

static int build(fcl_classifier *classifier)
{
    enum { ROWS = 250, MOST_NUMBERS = 1 << 20 };
    int64_t size = fcl_shape_size(classifier->info.picture), most = MOST_NUMBERS / size;
    fcl_graph *graph = classifier->graph = fcl_graph_create();
    classifier->rows = (int)(most < 1 ? 1 : most < ROWS ? most : ROWS);
    fcl_tensor **w = fcl_params_bind(classifier->params, graph, classifier->weights, "");
    classifier->x = fcl_input(graph, "pictures", FCL_F32, FCL_SHAPE(classifier->rows, size));
    fcl_tensor *x = fcl_classifier_turn(&classifier->net, classifier->x);
    classifier->features = fcl_output(fcl_classifier_features(&classifier->net, w, x));
    classifier->logits = fcl_output(fcl_classifier_logits(&classifier->net, w, classifier->features));
    fcl_free(w);
    int status = fcl_graph_compile(graph, classifier->device, NULL);
    if (status != FCL_OK)
        fcl_graph_destroy(&classifier->graph);
    return status;
}

static int take(fcl_tensor *tensor, int64_t n, float *to)
{
    size_t bytes = (size_t)(n * fcl_tensor_shape(tensor).dim[1]) * sizeof *to;
    return to ? fcl_buffer_read(fcl_tensor_buffer(tensor), 0, bytes, to) : FCL_OK;
}

static int run_part(fcl_classifier *classifier, const float *pictures, int64_t n, float *features,
                    float *logits)
{
    size_t bytes = (size_t)(n * fcl_shape_size(classifier->info.picture)) * sizeof *pictures;
    FCL_TRY(fcl_buffer_write(fcl_tensor_buffer(classifier->x), 0, bytes, pictures));
    FCL_TRY(fcl_graph_run(classifier->graph));
    FCL_TRY(take(classifier->features, n, features));
    return take(classifier->logits, n, logits);
}

int fcl_classifier_run(fcl_classifier *classifier, const float *pictures, int64_t n, float *features,
                       float *logits)
{
    int64_t size = fcl_shape_size(classifier->info.picture);
    if (!classifier->graph)
        FCL_TRY(build(classifier));
    for (int64_t first = 0, rows = classifier->rows; first < n; first += rows) {
        FCL_TRY(fcl_watch_at("looking at pictures", first, n));
        FCL_TRY(run_part(classifier, pictures + first * size, n - first < rows ? n - first : rows,
                         features ? features + first * FCL_FEATURES : NULL,
                         logits ? logits + first * classifier->info.classes : NULL));
    }
    return FCL_OK;
}

static int check_pictures(const fcl_classifier *classifier, const fcl_array *pictures)
{
    char given[FCL_SHAPE_TEXT], wanted[FCL_SHAPE_TEXT];
    fcl_shape shape = pictures->shape;
    int64_t size = fcl_shape_size(classifier->info.picture);
    if (shape.rank < 2 || shape.dim[0] < 1 || fcl_shape_size(shape) / shape.dim[0] != size)
        return fcl_fail(FCL_ERR_SHAPE, "%s is of pictures of the shape %s, which %s are not",
                        classifier->path, fcl_shape_format(classifier->info.picture, wanted),
                        fcl_shape_format(shape, given));
    for (int64_t i = 0; i < fcl_shape_size(shape); i++)
        if (!isfinite(pictures->data[i]))
            return fcl_fail(FCL_ERR_NUMERIC,
                            "a classifier needs finite pictures: number %lld of picture %lld is %g",
                            (long long)(i % size), (long long)(i / size), (double)pictures->data[i]);
    return FCL_OK;
}

static void choose_labels(const float *logits, int64_t n, int classes, int32_t *label)
{
    for (int64_t i = 0; i < n; i++, logits += classes) {
        label[i] = 0;
        for (int32_t k = 1; k < classes; k++)
            label[i] = logits[k] > logits[label[i]] ? k : label[i];
    }
}

/* Of normalised pictures, which are the caller's copy. */
static int apply(fcl_classifier *classifier, const fcl_array *pictures, float *features, int32_t *label)
{
    int64_t n = pictures->shape.dim[0];
    int classes = classifier->info.classes;
    float *logits = label ? malloc((size_t)(n * classes) * sizeof *logits) : NULL;
    if (label && !logits)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the classes of %lld pictures", (long long)n);
    int status = fcl_classifier_run(classifier, pictures->data, n, features, logits);
    if (status == FCL_OK && label)
        choose_labels(logits, n, classes, label);
    free(logits);
    return status;
}

int fcl_classifier_apply(fcl_classifier *classifier, const fcl_array *pictures, fcl_array **features,
                         int32_t **label)
{
    fcl_array *copy = NULL, *made = NULL;
    FCL_TRY(check_pictures(classifier, pictures));
    int64_t n = pictures->shape.dim[0], size = fcl_shape_size(classifier->info.picture);
    int32_t *chosen = label ? fcl_zalloc((size_t)n * sizeof *chosen) : NULL;
    int status = fcl_array_create(pictures->shape, &copy);
    if (status == FCL_OK && features)
        status = fcl_array_create(FCL_SHAPE(n, FCL_FEATURES), &made);
    if (status == FCL_OK) {
        memcpy(copy->data, pictures->data, (size_t)(n * size) * sizeof *copy->data);
        fcl_normalisation_apply(classifier->normalisation, n, size, copy->data);
        status = apply(classifier, copy, made ? made->data : NULL, chosen);
    }
    fcl_array_destroy(&copy);
    if (status != FCL_OK) {
        fcl_array_destroy(&made);
        free(chosen);
        made = NULL;
        chosen = NULL;
    }
    if (features)
        *features = made;
    if (label)
        *label = chosen;
    return status;
}
