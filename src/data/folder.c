/* A data set of the pictures of a folder, or, where it has none, of its .npy files (npy_files.c). */
#include "data/folder.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/watch.h"
#include "base/words.h"

#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 256 }; /* pictures between two looks at the watch */

/* --- which files are pictures --- */

typedef struct looking {
    fcl_folder *r;
    int64_t first;
} looking;

static void look_at(void *data, int64_t i)
{
    const looking *l = data;
    int64_t at = l->first + i;
    fcl_looked *file = &l->r->looked[at];
    char *path = fcl_format("%s/%s", l->r->pictures->folder, l->r->tree.name[at]);
    file->status = fcl_picture_read(path, NULL, &file->head);
    if (file->status != FCL_OK)
        file->fault = fcl_strdup(fcl_error());
    free(path);
}

static int look_at_all(fcl_folder *r)
{
    int64_t count = r->tree.count;
    r->looked = fcl_zalloc(((size_t)count + 1) * sizeof *r->looked);
    for (int64_t first = 0; first < count; first += AT_ONCE) {
        FCL_TRY(fcl_watch_at("looking at pictures", first, count));
        fcl_pool_run(r->pictures->pool, count - first < AT_ONCE ? count - first : AT_ONCE, look_at,
                     &(looking){r, first});
    }
    return FCL_OK;
}

/* A damaged picture: passed over, or the end. */
static int pass_over(fcl_folder *r, int status, const char *fault)
{
    if (status != FCL_ERR_FORMAT && status != FCL_ERR_FILE)
        return fcl_fail(status, "%s", fault);
    if (!r->of->options->image.skip_damaged)
        return fcl_fail(status, "%s; skip-damaged leaves such files away", fault);
    if (!r->damaged++)
        r->fault = fcl_strdup(fault);
    return FCL_OK;
}

/* Each is damaged. */
static int refuse_all(const fcl_folder *r)
{
    return fcl_fail(FCL_ERR_FORMAT, "the folder %s holds no pictures that can be read (damaged: %lld), the first: %s",
                    r->pictures->folder, (long long)r->damaged, r->fault);
}

static int keep_pictures(fcl_folder *r)
{
    fcl_pictures *p = r->pictures;
    size_t count = (size_t)r->tree.count;
    p->name = fcl_zalloc((count + 1) * sizeof *p->name);
    r->head = fcl_zalloc((count + 1) * sizeof *r->head);
    for (size_t i = 0; i < count; i++) {
        const fcl_looked *file = &r->looked[i];
        if (file->status != FCL_OK) {
            FCL_TRY(pass_over(r, file->status, file->fault));
        } else if (!file->head.width) {
            r->others++;
        } else {
            r->head[p->count] = file->head;
            p->name[p->count++] = fcl_strdup(r->tree.name[i]);
        }
    }
    if (p->count)
        return FCL_OK;
    if (r->damaged)
        return refuse_all(r);
    return fcl_fail(FCL_ERR_FORMAT,
                    "the folder %s holds no pictures, PNG or JPEG, and no .npy files, nor do its subfolders (other files: "
                    "%lld): name the one that they lie in",
                    p->folder, (long long)r->others);
}

/* --- their size --- */

static int refuse_sizes(const fcl_folder *r)
{
    enum { TOLD = 4 };
    const fcl_pictures *p = r->pictures;
    int64_t first[TOLD + 1], found = 0;
    fcl_text list = {0};
    for (int64_t i = 0; i < p->count && found <= TOLD; i++) {
        bool known = false;
        for (int64_t k = 0; k < found; k++)
            known |=
                r->head[first[k]].width == r->head[i].width && r->head[first[k]].height == r->head[i].height;
        if (!known)
            first[found++] = i;
    }
    for (int64_t k = 0; k < found && k < TOLD; k++)
        fcl_text_format(&list, "%s%d x %d (%s)", k ? ", " : "", r->head[first[k]].width,
                        r->head[first[k]].height, p->name[first[k]]);
    int status =
        fcl_fail(FCL_ERR_SHAPE,
                 "%s holds pictures of several sizes, width by height: %s%s; image-size brings them to one",
                 p->folder, list.data, found > TOLD ? " and more" : "");
    fcl_text_free(&list);
    return status;
}

static int choose_size(fcl_folder *r)
{
    fcl_pictures *p = r->pictures;
    const fcl_dataset_options *options = r->of->options;
    bool like = options->like.rank == 3;
    FCL_TRY(fcl_image_size(options->image.size, &p->height, &p->width));
    if (!p->height && like) {
        p->height = (int)options->like.dim[1];
        p->width = (int)options->like.dim[2];
    }
    for (int64_t i = 0; i < p->count && !options->image.size && !like; i++) {
        p->height = r->head[0].height;
        p->width = r->head[0].width;
        if (r->head[i].height != p->height || r->head[i].width != p->width)
            return refuse_sizes(r);
    }
    return FCL_OK;
}

bool fcl_folder_is_coloured(const fcl_folder *r, const fcl_picture *head)
{
    const uint8_t *below = r->pictures->background;
    return head->channels == 3 || (head->clear && (below[0] != below[1] || below[0] != below[2]));
}

static void choose_channels(fcl_folder *r)
{
    int own = 1;
    for (int64_t i = 0; i < r->pictures->count; i++)
        if (fcl_folder_is_coloured(r, &r->head[i]))
            own = 3;
    r->pictures->channels = fcl_image_channels(r->of->options, own);
}

/* --- their pixels --- */

/* Leaves away those with a status, of `bytes` (NULL: none) too. */
static void compact(fcl_folder *r, const int *status, uint8_t *bytes)
{
    fcl_pictures *p = r->pictures;
    size_t size = (size_t)p->channels * (size_t)p->height * (size_t)p->width;
    int64_t kept = 0;
    for (int64_t i = 0; i < p->count; i++) {
        if (status[i] != FCL_OK) {
            free(p->name[i]);
            continue;
        }
        if (bytes && kept < i)
            memmove(bytes + (size_t)kept * size, bytes + (size_t)i * size, size);
        r->head[kept] = r->head[i];
        p->name[kept++] = p->name[i];
    }
    p->count = kept;
}

/* The first of them are enough where no more are asked for and none can turn out to be damaged. */
static int64_t wanted_count(const fcl_folder *r)
{
    const fcl_dataset_options *options = r->of->options;
    bool fewer = options->count && options->count < r->pictures->count && !options->image.skip_damaged;
    return fewer ? options->count : r->pictures->count;
}

/* Decodes all into `bytes`, or, where that is NULL, only to see whether it can be done. */
static int decode_all(fcl_folder *r, uint8_t *bytes, int *status)
{
    const fcl_pictures *p = r->pictures;
    int64_t count = wanted_count(r);
    size_t size = (size_t)p->channels * (size_t)p->height * (size_t)p->width;
    uint8_t *apart = bytes ? NULL : malloc(AT_ONCE * size);
    int result = bytes || apart ? FCL_OK : fcl_fail(FCL_ERR_MEMORY, "no memory for %d pictures", AT_ONCE);
    for (int64_t first = 0; first < count && result == FCL_OK; first += AT_ONCE) {
        int64_t which[AT_ONCE], n = count - first < AT_ONCE ? count - first : AT_ONCE;
        for (int64_t i = 0; i < n; i++)
            which[i] = first + i;
        result = fcl_watch_at("decoding pictures", first, count);
        if (result == FCL_OK)
            fcl_pictures_read(p, n, which, bytes ? bytes + (size_t)first * size : apart, status + first);
        for (int64_t i = 0; i < n && result == FCL_OK; i++)
            result = status[first + i] == FCL_OK ? FCL_OK : pass_over(r, status[first + i], fcl_error());
    }
    free(apart);
    return result;
}

static int decode(fcl_folder *r, uint8_t *bytes)
{
    int *status = fcl_zalloc((size_t)r->pictures->count * sizeof *status);
    int result = decode_all(r, bytes, status);
    if (result == FCL_OK)
        compact(r, status, bytes);
    free(status);
    return result == FCL_OK && !r->pictures->count ? refuse_all(r) : result;
}

/* In memory, or decoded when they are asked for. */
static int take_pixels(fcl_folder *r, fcl_dataset *dataset)
{
    fcl_pictures *p = r->pictures;
    size_t size = (size_t)p->channels * (size_t)p->height * (size_t)p->width;
    int64_t count = wanted_count(r);
    double wanted = (double)count * (double)size;
    dataset->shape = FCL_SHAPE(p->channels, p->height, p->width);
    if (r->of->options->stream || r->of->options->from_disk || fcl_dataset_is_large(wanted)) {
        dataset->pictures = p;
        return r->of->options->image.skip_damaged ? decode(r, NULL) : FCL_OK;
    }
    dataset->bytes = malloc((size_t)count * size);
    return dataset->bytes
               ? decode(r, dataset->bytes)
               : fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its %lld pictures", p->folder, (long long)count);
}

/* --- their classes --- */

/* The folder above a picture that is nearest to the whole; false: there is none. */
static bool class_of(const char *name, size_t *length)
{
    *length = strcspn(name, "/");
    return name[*length];
}

static bool have_subfolders(const fcl_pictures *p)
{
    size_t length;
    for (int64_t i = 0; i < p->count; i++)
        if (!class_of(p->name[i], &length))
            return false;
    return true;
}

static int read_subfolders(const fcl_pictures *p, fcl_dataset *dataset)
{
    fcl_words words = {0};
    size_t length;
    int status = FCL_OK;
    for (int64_t i = 0; i < p->count && status == FCL_OK; i++) {
        class_of(p->name[i], &length);
        status = fcl_words_add(&words, p->name[i], length, FCL_LABEL_LIMIT);
    }
    status = status == FCL_OK ? fcl_dataset_set_words(dataset, &words, p->folder)
                              : fcl_fail_within(status, "%s", p->folder);
    fcl_words_free(&words);
    return status;
}

static int take_labels(fcl_folder *r, fcl_dataset *dataset)
{
    const fcl_dataset_options *options = r->of->options;
    bool none = options->label_column && strcmp(options->label_column, FCL_NO_LABEL) == 0;
    if (options->unlabeled || none)
        return FCL_OK;
    if (options->image.label_file)
        return fcl_pictures_read_labels(r->pictures, options, dataset, &r->spare);
    if (options->label_column)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "%s is a folder: its classes are its subfolders, or stand in a label-file; there the "
                        "label may be '%s'",
                        r->of->path, options->label_column);
    return have_subfolders(r->pictures) ? read_subfolders(r->pictures, dataset) : FCL_OK;
}

/* --- all of it --- */

static bool is_named_picture(const char *name)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg"};
    bool picture = false;
    for (size_t k = 0; k < sizeof endings / sizeof *endings; k++)
        picture |= fcl_file_ends_with(name, endings[k]);
    return picture;
}

/* By the endings of the names. */
static int find_arrays(const fcl_folder *r, char **name, int64_t *count)
{
    int64_t pictures = 0;
    *count = 0;
    for (int64_t i = 0; i < r->tree.count; i++) {
        pictures += is_named_picture(r->tree.name[i]);
        if (fcl_file_ends_with(r->tree.name[i], ".npy"))
            name[(*count)++] = r->tree.name[i];
    }
    if (!pictures || !*count)
        return FCL_OK;
    return fcl_fail(FCL_ERR_FORMAT,
                    "the folder %s holds both pictures (%lld) and .npy files (%lld): leave those that are the data, and "
                    "move the others elsewhere",
                    r->pictures->folder, (long long)pictures, (long long)*count);
}

static int read_pictures(fcl_folder *r, fcl_dataset *dataset)
{
    FCL_TRY(fcl_image_background(fcl_image_below(r->of->options), r->pictures->background));
    FCL_TRY(look_at_all(r));
    FCL_TRY(keep_pictures(r));
    FCL_TRY(choose_size(r));
    choose_channels(r);
    FCL_TRY(take_pixels(r, dataset));
    dataset->count = r->pictures->count;
    dataset->scale = FCL_PICTURE_SCALE;
    dataset->shift = FCL_PICTURE_SHIFT;
    dataset->full_range = true;
    FCL_TRY(take_labels(r, dataset));
    dataset->note = fcl_folder_describe(r, dataset);
    return FCL_OK;
}

static int read_all(fcl_folder *r, fcl_dataset *dataset)
{
    FCL_TRY(fcl_tree_list(r->pictures->folder, &r->tree));
    char **name = fcl_zalloc(((size_t)r->tree.count + 1) * sizeof *name);
    int64_t arrays;
    int status = find_arrays(r, name, &arrays);
    if (status == FCL_OK)
        status = arrays ? fcl_dataset_read_arrays(r->of, arrays, name, r->tree.count, dataset)
                        : read_pictures(r, dataset);
    free(name);
    return status;
}

int fcl_dataset_read_folder(const fcl_reading *of, fcl_dataset *dataset)
{
    fcl_folder r = {.of = of};
    r.pictures = fcl_zalloc(sizeof *r.pictures);
    r.pictures->folder = fcl_strdup(of->path);
    r.pictures->mask = of->options->mask;
    r.pictures->pool = fcl_pool_create(0);
    int status = read_all(&r, dataset);
    for (int64_t i = 0; r.looked && i < r.tree.count; i++)
        free(r.looked[i].fault);
    free(r.looked);
    free(r.head);
    free(r.fault);
    fcl_tree_free(&r.tree);
    if (!dataset->pictures)
        fcl_pictures_destroy(&r.pictures);
    return status;
}
