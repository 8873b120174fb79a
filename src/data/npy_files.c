/* Data in .npy files: one, or those of a folder. Small ones are read into memory, large ones stay where they
 * are. */
#include "data/reader.h"

#include "base/error.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/memory.h"
#include "base/watch.h"
#include "base/words.h"
#include "data/rows.h"
#include "data/stored.h"

#include <stdlib.h>
#include <string.h>

/* --- samples --- */

/* What is packed, or in Fortran order, is read whole. */
static int read_whole(const char *path, fcl_dataset_setter *set, const fcl_dataset_options *options, fcl_dataset *dataset)
{
    uint8_t *bytes;
    size_t size;
    fcl_npy array;
    FCL_TRY(fcl_gzip_read_all(path, &bytes, &size));
    int status = fcl_npy_parse(bytes, size, path, &array);
    if (status == FCL_OK)
        status = set(dataset, &array, options, path);
    free(bytes);
    return status;
}

static int load(const fcl_stored *stored, int64_t count, uint8_t *rows)
{
    int64_t some = (16 << 20) / (int64_t)stored->row_bytes + 1;
    for (int64_t first = 0; first < count; first += some) {
        FCL_TRY(fcl_watch_at("reading the data", first, count));
        FCL_TRY(fcl_stored_run(stored, first, count - first < some ? count - first : some,
                               rows + (size_t)first * stored->row_bytes));
    }
    return FCL_OK;
}

/* Samples that are open come into memory, as many as are asked for, unless they are to stay. */
static int settle(const fcl_reading *reading, fcl_dataset *dataset)
{
    const fcl_dataset_options *options = reading->options;
    const fcl_stored *stored = dataset->stored;
    int64_t count = options->count && options->count < dataset->count ? options->count : dataset->count;
    double bytes = (double)count * (double)stored->row_bytes;
    if (options->from_disk || fcl_dataset_is_large(bytes))
        return FCL_OK;
    void *rows = malloc((size_t)bytes);
    if (!rows)
        return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its %zu bytes", reading->path, (size_t)bytes);
    if (dataset->scale != 0)
        dataset->bytes = rows;
    else
        dataset->values = rows;
    FCL_TRY(load(stored, count, rows));
    fcl_stored_close(&dataset->stored);
    return FCL_OK;
}

/* A label a sample, in their order. */
static int read_label_file(const fcl_reading *reading, fcl_dataset *dataset)
{
    const char *path = reading->options->image.label_file, *column = reading->options->label_column;
    if (fcl_file_ends_with(path, ".npz"))
        return fcl_dataset_read_npz_labels(path, column, dataset);
    if (fcl_file_ends_with(path, ".npy") || fcl_file_ends_with(path, ".npy.gz"))
        return read_whole(path, fcl_dataset_set_labels, reading->options, dataset);
    return fcl_fail(FCL_ERR_ARGUMENT,
                    "%s is no label file of .npy data: a .npy or .npz with a label of each sample is", path);
}

static bool wants_labels(const fcl_dataset_options *options)
{
    const char *column = options->label_column;
    return !options->unlabeled && !(column && strcmp(column, FCL_NO_LABEL) == 0);
}

int fcl_dataset_read_npy(const fcl_reading *reading, fcl_dataset *dataset)
{
    const fcl_dataset_options *options = reading->options;
    fcl_npy head = {0};
    FCL_TRY(reading->packed ? FCL_OK : fcl_stored_look(reading->path, &head));
    double bytes = (double)fcl_shape_size(head.shape) * (fcl_layout_keeps_bytes(&head) ? 1 : sizeof(float));
    bool stays = options->from_disk || fcl_dataset_is_large(bytes);
    bool turned = head.fortran && head.shape.rank > 1;
    if (reading->packed && options->from_disk)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "%s is packed, and cannot be read in pieces: unpack it by gunzip, or leave "
                        "from-disk away",
                        reading->path);
    bool whole = reading->packed || (turned && !stays);
    FCL_TRY(whole ? read_whole(reading->path, fcl_dataset_set_samples, options, dataset)
                  : fcl_stored_open(1, (char *[]){(char *)reading->path}, options, dataset, &dataset->stored));
    if (options->image.label_file && wants_labels(options))
        FCL_TRY(read_label_file(reading, dataset));
    return whole ? FCL_OK : settle(reading, dataset);
}

/* --- folders --- */

/* The classes of files, which are their topmost subfolders. */
static int read_classes(const fcl_reading *reading, char *const *name, fcl_dataset *files)
{
    fcl_words words = {0};
    int status = FCL_OK;
    for (int64_t i = 0; i < files->count && status == FCL_OK; i++)
        status = fcl_words_add(&words, name[i], strcspn(name[i], "/"), FCL_LABEL_LIMIT);
    status = status == FCL_OK ? fcl_dataset_set_words(files, &words, reading->path)
                              : fcl_fail_within(status, "%s", reading->path);
    fcl_words_free(&words);
    return status;
}

/* Of each sample, its file's. */
static int take_classes(const fcl_reading *reading, fcl_dataset *files, fcl_dataset *dataset)
{
    const fcl_stored *stored = dataset->stored;
    dataset->classes = files->classes;
    dataset->class_name = files->class_name;
    dataset->label = malloc((size_t)dataset->count * sizeof *dataset->label);
    if (!dataset->label)
        return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for %lld labels", reading->path,
                        (long long)dataset->count);
    for (int64_t i = 0; i < files->count; i++)
        for (int64_t row = 0; row < stored->file[i].head.shape.dim[0]; row++)
            dataset->label[stored->file[i].first + row] = files->label[i];
    return FCL_OK;
}

static int read_subfolders(const fcl_reading *reading, int64_t count, char *const *name, fcl_dataset *dataset)
{
    fcl_dataset files = {.count = count};
    for (int64_t i = 0; i < count; i++)
        if (!strchr(name[i], '/'))
            return FCL_OK;
    int status = read_classes(reading, name, &files);
    if (status == FCL_OK)
        status = take_classes(reading, &files, dataset);
    free(files.label);
    return status;
}

/* Options of pictures are for nothing else. */
static int check_options(const fcl_reading *reading)
{
    const fcl_image_options *image = &reading->options->image;
    const char *key = image->size           ? "image-size"
                      : image->skip_damaged ? "skip-damaged"
                                            : NULL;
    return key ? fcl_fail(FCL_ERR_ARGUMENT,
                          "%s has no use with %s, a folder of .npy files: it is for pictures", key,
                          reading->path)
               : FCL_OK;
}

static int read_labels(const fcl_reading *reading, int64_t count, char *const *name, fcl_dataset *dataset)
{
    const fcl_dataset_options *options = reading->options;
    if (!wants_labels(options))
        return FCL_OK;
    if (options->image.label_file)
        return read_label_file(reading, dataset);
    if (options->label_column)
        return fcl_fail(
            FCL_ERR_ARGUMENT,
            "%s is a folder of .npy files: its classes are its subfolders, or stand in a label-file; there "
            "the label may be '%s'",
            reading->path, options->label_column);
    return read_subfolders(reading, count, name, dataset);
}

static void describe(int64_t count, int64_t files, fcl_dataset *dataset)
{
    fcl_text note = {0};
    fcl_text_format(&note, "%lld .npy file%s", (long long)count, count == 1 ? "" : "s");
    if (files > count)
        fcl_text_format(&note, "; skipped: %lld other files", (long long)(files - count));
    if (dataset->note)
        fcl_text_format(&note, "; %s", dataset->note);
    free(dataset->note);
    dataset->note = note.data;
}

int fcl_dataset_read_arrays(const fcl_reading *reading, int64_t count, char *const *name, int64_t files,
                            fcl_dataset *dataset)
{
    FCL_TRY(check_options(reading));
    char **path = fcl_zalloc((size_t)count * sizeof *path);
    for (int64_t i = 0; i < count; i++)
        path[i] = fcl_format("%s/%s", reading->path, name[i]);
    int status = fcl_stored_open(count, path, reading->options, dataset, &dataset->stored);
    for (int64_t i = 0; i < count; i++)
        free(path[i]);
    free(path);
    FCL_TRY(status);
    describe(count, files, dataset);
    FCL_TRY(read_labels(reading, count, name, dataset));
    return settle(reading, dataset);
}
