/* What samples a model is of, where another program's weights are all there is: its row may tell by the shapes of tensors,
 * else sizes are tried. */
#include "train/naming.h"

#include "base/error.h"
#include "graph/graph.h"
#include "nn/model.h"

#include <string.h>

/* What the tensors may tell: numbers of a sample, and classes. */
typedef struct guess {
    int64_t size, classes;
    int missing, left; /* see fcl_pairing */
    int alike;         /* slices whose shape a tensor has */
} guess;

enum { MOST_SIZES = 64, MOST_CLASSES = 8 };

static int add_once(int64_t *list, int count, int most, int64_t value)
{
    for (int i = 0; i < count; i++)
        if (list[i] == value)
            return count;
    if (count < most)
        list[count++] = value;
    return count;
}

/* The last layer's outputs are a sample's numbers: one of the first dimensions. */
static int list_sizes(const fcl_checkpoint *checkpoint, int64_t sizes[MOST_SIZES])
{
    int count = 0;
    for (int i = 0; i < checkpoint->file.count; i++) {
        const fcl_safetensor *tensor = &checkpoint->file.tensors[i];
        if (tensor->shape.rank && tensor->bytes)
            count = add_once(sizes, count, MOST_SIZES, tensor->shape.dim[0]);
    }
    if (!count)
        sizes[count++] = 1;
    return count;
}

/* A label's embedding is a row for each class, of as many numbers as the model's has; and one for no class, where the
 * configuration says so. */
static int list_classes(const fcl_checkpoint *checkpoint, int64_t columns, int64_t classes[MOST_CLASSES])
{
    int count = 0, further = checkpoint->options.model.null_label;
    for (int i = 0; i < checkpoint->file.count; i++) {
        const fcl_safetensor *tensor = &checkpoint->file.tensors[i];
        if (tensor->shape.rank == 2 && tensor->bytes && tensor->shape.dim[1] == columns &&
            tensor->shape.dim[0] > further && tensor->shape.dim[0] <= 1000000)
            count = add_once(classes, count, MOST_CLASSES, tensor->shape.dim[0] - further);
    }
    if (!count)
        classes[count++] = 1;
    return count;
}

static int create_model(fcl_checkpoint *checkpoint, fcl_shape sample, int64_t classes)
{
    fcl_model_destroy(&checkpoint->model);
    return fcl_model_create(&checkpoint->options.model, sample, (int)classes, &checkpoint->model);
}

/* Of files with very many tensors it is not asked for: it only decides which of the models that do not fit is
 * told. */
static int count_alike(const fcl_checkpoint *checkpoint)
{
    enum { MOST_TENSORS = 4096 };
    const fcl_params *params = fcl_model_params(checkpoint->model);
    const fcl_safetensors *file = &checkpoint->file;
    int alike = 0;
    for (int i = 0; i < fcl_params_count(params) && file->count <= MOST_TENSORS; i++) {
        int k = 0;
        const fcl_shape shape = fcl_param_file_shape(fcl_params_at(params, i));
        while (k < file->count && !fcl_shape_equal(file->tensors[k].shape, shape))
            k++;
        alike += k < file->count;
    }
    return alike;
}

static bool is_better(const guess *a, const guess *b)
{
    if (a->missing != b->missing)
        return a->missing < b->missing;
    if (a->left != b->left)
        return a->left < b->left;
    return a->alike != b->alike ? a->alike > b->alike : a->size < b->size;
}

static int try(fcl_checkpoint *checkpoint, const fcl_naming *naming, guess *made)
{
    fcl_pairing pairing;
    FCL_TRY(create_model(checkpoint, FCL_SHAPE(made->size), made->classes));
    fcl_pairing_make(naming, fcl_model_params(checkpoint->model), &pairing);
    made->missing = pairing.missing;
    made->left = pairing.left;
    made->alike = pairing.missing ? count_alike(checkpoint) : 0;
    fcl_pairing_free(&pairing);
    return FCL_OK;
}

/* The model that most tensors are of; what does not fit it is told later. */
static int guess_by_trying(fcl_checkpoint *checkpoint, const fcl_naming *naming)
{
    int64_t sizes[MOST_SIZES], classes[MOST_CLASSES] = {0};
    guess best = {0};
    const fcl_params *params = fcl_model_params(checkpoint->model);
    int label = fcl_params_find(params, "label.weight");
    int class_counts =
        label < 0 ? 1 : list_classes(checkpoint, fcl_param_file_shape(fcl_params_at(params, label)).dim[1], classes);
    int size_count = list_sizes(checkpoint, sizes);
    for (int i = 0; i < size_count * class_counts; i++) {
        guess now = {.size = sizes[i / class_counts], .classes = classes[i % class_counts]};
        FCL_TRY(try(checkpoint, naming, &now));
        if (!best.size || is_better(&now, &best))
            best = now;
    }
    checkpoint->info.sample = FCL_SHAPE(best.size);
    checkpoint->info.classes = (int)best.classes;
    return create_model(checkpoint, checkpoint->info.sample, best.classes);
}

/* --- by the model's row --- */

static fcl_shape find_none(const void *file, const char *slice)
{
    (void)file, (void)slice;
    return (fcl_shape){.rank = -1};
}

static fcl_shape find_named(const void *file, const char *slice)
{
    const fcl_named *there = fcl_naming_find(file, slice);
    return there ? there->shape : (fcl_shape){.rank = -1};
}

/* `naming` NULL: any that it can be of. */
static int guess_by_row(fcl_checkpoint *checkpoint, const fcl_naming *naming)
{
    fcl_checkpoint_info *info = &checkpoint->info;
    bool labels = checkpoint->options.labels;
    FCL_TRY(fcl_model_guess(&checkpoint->options.model, naming ? find_named : find_none, naming, &info->sample, &info->classes));
    info->classes = !labels ? 0 : info->classes ? info->classes : 1;
    return create_model(checkpoint, info->sample, info->classes);
}

int fcl_guess_samples(fcl_checkpoint *checkpoint, const char *names, fcl_naming *naming)
{
    bool told = fcl_model_guesses(&checkpoint->options.model);
    FCL_TRY(told ? guess_by_row(checkpoint, NULL) /* for its names */
                 : create_model(checkpoint, FCL_SHAPE(1), checkpoint->options.labels));
    FCL_TRY(fcl_naming_create(&checkpoint->file, names, checkpoint->path, fcl_model_params(checkpoint->model), naming));
    int status = told ? guess_by_row(checkpoint, naming) : guess_by_trying(checkpoint, naming);
    if (status != FCL_OK)
        fcl_naming_free(naming);
    return status;
}
