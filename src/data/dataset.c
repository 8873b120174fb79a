#include <flowcl/data.h>

#include "base/array.h"
#include "base/error.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/memory.h"
#include "base/nearest.h"
#include "base/watch.h"
#include "data/pictures.h"
#include "data/reader.h"
#include "data/rows.h"
#include "data/stored.h"
#include "data/toys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* A built-in set is made by a function or lies in a file that a package brings. */
typedef struct builtin {
    fcl_dataset_builtin about;
    fcl_toy *toy;
    int classes; /* of a toy */
    const char *path;
    const char *package;
} builtin;

#define FASHION "/usr/share/datasets/fashion-mnist/"

/* clang-format off */
static const builtin builtins[] = {
    {{"moons", "two interleaved half circles"}, fcl_toy_moons, 2},
    {{"8gaussians", "eight normal blobs on a circle of radius 5"}, fcl_toy_8gaussians, 8},
    {{"checkerboard", "the black squares of a 4 by 4 board"}, fcl_toy_checkerboard, 0},
    {{"s-curve", "a thin S"}, fcl_toy_s_curve, 0},
    {{"spirals", "two spiral arms"}, fcl_toy_spirals, 2},
    {{"rings", "three concentric circles"}, fcl_toy_rings, 3},
    {{"fashion-mnist", "60 000 pictures of clothes, 28 by 28, 10 classes"},
     .path = FASHION "train-images-idx3-ubyte.gz", .package = "dataset-fashion-mnist"},
    {{"fashion-mnist-test", "10 000 more pictures of the same kind"},
     .path = FASHION "t10k-images-idx3-ubyte.gz", .package = "dataset-fashion-mnist"},
};
/* clang-format on */
enum { BUILTINS = sizeof builtins / sizeof *builtins };

/* A file's format shows in its first bytes, unpacked, or, where these are damaged or text, in its name. */
typedef struct format {
    const char *ending;
    bool (*recognises)(const uint8_t head[4]);
    fcl_dataset_reader *read;
} format;

static bool is_npy(const uint8_t head[4])
{
    return memcmp(head, "\x93NUM", 4) == 0;
}

static bool is_zip(const uint8_t head[4])
{
    return memcmp(head, "PK\3\4", 4) == 0;
}

static bool is_idx(const uint8_t head[4])
{
    return head[0] == 0 && head[1] == 0 && head[2] >= 8 && head[2] <= 14 && head[3] > 0;
}

static bool is_png(const uint8_t head[4])
{
    return fcl_picture_is_png(head, 4);
}

static bool is_jpeg(const uint8_t head[4])
{
    return fcl_picture_is_jpeg(head, 4);
}

static bool is_none(const uint8_t head[4])
{
    (void)head;
    return false;
}

static const format formats[] = {
    {".npy", is_npy, fcl_dataset_read_npy},   {".npz", is_zip, fcl_dataset_read_npz},
    {"-ubyte", is_idx, fcl_dataset_read_idx}, {".idx", is_none, fcl_dataset_read_idx},
    {".csv", is_none, fcl_dataset_read_csv},  {".tsv", is_none, fcl_dataset_read_csv},
    {".txt", is_none, fcl_dataset_read_csv},  {".dat", is_none, fcl_dataset_read_csv},
    {".png", is_png, fcl_dataset_read_picture}, {".jpg", is_jpeg, fcl_dataset_read_picture},
    {".jpeg", is_none, fcl_dataset_read_picture}, {".bin", is_none, fcl_dataset_read_cifar},
};
enum { FORMATS = sizeof formats / sizeof *formats };

static const format *find_format(const char *path, const uint8_t head[4])
{
    for (int i = 0; i < FORMATS; i++) {
        if (formats[i].recognises(head))
            return &formats[i];
    }
    bool packed = fcl_file_ends_with(path, ".gz");
    char *plain = fcl_format("%.*s", (int)(strlen(path) - (packed ? 3 : 0)), path);
    const format *found = NULL;
    for (int i = 0; i < FORMATS && !found; i++)
        found = fcl_file_ends_with(plain, formats[i].ending) ? &formats[i] : NULL;
    free(plain);
    return found;
}

static int read_head(const char *path, uint8_t head[4], bool *packed)
{
    fcl_gzip *stream;
    size_t got = 0;
    FCL_TRY(fcl_gzip_open(path, &stream));
    int status = fcl_gzip_read(stream, head, 4, &got);
    *packed = fcl_gzip_is_packed(stream);
    if (status == FCL_OK && got == 0)
        status = fcl_gzip_check_end(stream);
    fcl_gzip_close(&stream);
    return status == FCL_OK && got == 0 ? fcl_fail(FCL_ERR_FORMAT, "%s is empty", path) : status;
}

static int read_file(const fcl_reading *reading, fcl_dataset *dataset)
{
    const char *path = reading->path;
    uint8_t head[4] = {0};
    bool packed;
    FCL_TRY(read_head(path, head, &packed));
    const format *found = find_format(path, head);
    if (!found)
        return fcl_fail(
            FCL_ERR_FORMAT,
            "%s is of none of the formats that are read: .npy, .npz, IDX, PNG, JPEG, CIFAR-10's .bin, and tables of "
            "text: .csv, .tsv, .txt, .dat",
            path);
    if (reading->array && found->read != fcl_dataset_read_npz)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s is no .npz archive: it has no array '%s'", path,
                        reading->array);
    if (packed && found->read == fcl_dataset_read_npz)
        return fcl_fail(FCL_ERR_FORMAT, "%s is an archive that was packed once more: unpack it by gunzip",
                        path);
    const char *label = reading->options->label_column;
    bool named = found->read == fcl_dataset_read_npz || found->read == fcl_dataset_read_csv;
    if (label && !named && strcmp(label, FCL_NO_LABEL) != 0)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s has no columns with names: the label cannot be '%s'", path,
                        label);
    fcl_reading as_found = *reading;
    as_found.packed = packed;
    return found->read(&as_found, dataset);
}

static bool is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static int read_folder(const fcl_reading *reading, fcl_dataset *dataset)
{
    return fcl_dataset_is_cifar(reading->path) ? fcl_dataset_read_cifar_folder(reading, dataset)
                                               : fcl_dataset_read_folder(reading, dataset);
}

static bool begins(const char *path, bool (*first)(const uint8_t head[4]), bool (*second)(const uint8_t head[4]))
{
    uint8_t head[4] = {0};
    bool packed;
    return !is_folder(path) && read_head(path, head, &packed) == FCL_OK && (first(head) || second(head));
}

/* Options of picture files are for nothing else, but for labels of .npy data and what lies below arrays' RGBA. */
static int check_images(const char *path, const fcl_image_options *image)
{
    bool folder = is_folder(path) && !fcl_dataset_is_cifar(path);
    bool picture = folder || begins(path, is_png, is_jpeg), labelled = folder || begins(path, is_npy, is_npy);
    bool array = labelled || begins(path, is_zip, is_idx);
    const struct {
        const char *key, *what;
        bool given, usable;
    } rows[] = {{"image-size", "picture file and no folder of them", image->size != NULL, picture},
                {"background", "picture file, no folder of them and no array", image->background != NULL, picture || array},
                {"label-file", "folder and no .npy file", image->label_file != NULL, labelled},
                {"skip-damaged", "folder of pictures", image->skip_damaged, folder}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].given && !rows[i].usable)
            return fcl_fail(FCL_ERR_ARGUMENT, "%s has no use with %s, which is no %s", rows[i].key, path, rows[i].what);
    return FCL_OK;
}

bool fcl_dataset_is_large(double bytes)
{
    return bytes > 0.25 * (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
}

static int make_toy(const builtin *row, const fcl_dataset_options *options, fcl_dataset *dataset)
{
    int64_t count = options->count ? options->count : FCL_TOY_COUNT;
    if (count > INT32_MAX)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s is made of at most %d samples, not %lld", row->about.name,
                        INT32_MAX, (long long)count);
    bool labeled = row->classes > 0 && !options->unlabeled && !options->label_column;
    snprintf(dataset->name, sizeof dataset->name, "%s", row->about.name);
    dataset->generated = true;
    dataset->count = count;
    dataset->shape = FCL_SHAPE(2);
    dataset->classes = labeled ? row->classes : 0;
    dataset->values = malloc((size_t)count * 2 * sizeof *dataset->values);
    dataset->label = labeled ? malloc((size_t)count * sizeof *dataset->label) : NULL;
    if (!dataset->values || (labeled && !dataset->label))
        return fcl_fail(FCL_ERR_MEMORY, "no memory for %lld samples of %s", (long long)count,
                        row->about.name);
    for (int64_t i = 0; i < count; i++) {
        FCL_TRY(i % 256 ? FCL_OK : fcl_watch_at("making the data", i, count));
        int32_t label = row->toy(options->seed, i, count, dataset->values + 2 * i);
        if (labeled)
            dataset->label[i] = label;
    }
    return FCL_OK;
}

/* Keeps the first options->count samples of a file. */
static int shorten(fcl_dataset *dataset, int64_t count, const char *path)
{
    if (count > dataset->count)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s holds %lld samples, not the %lld that were asked for", path,
                        (long long)dataset->count, (long long)count);
    if (count > 0)
        dataset->count = count;
    return FCL_OK;
}

/* "FILE.npz:NAME", unless there is a file of that name: where NAME begins, else NULL. */
static const char *array_of(const char *path)
{
    const char *colon = strrchr(path, ':');
    bool archive = colon && colon - path > 4 && strncasecmp(colon - 4, ".npz", 4) == 0;
    return archive && colon[1] && access(path, F_OK) != 0 ? colon + 1 : NULL;
}

static int open_path(const char *path, const fcl_dataset_options *options, fcl_dataset *dataset)
{
    const char *array = array_of(path);
    char *file = fcl_format("%.*s", (int)(array ? array - path - 1 : (long)strlen(path)), path);
    for (size_t length = strlen(file); length > 1 && file[length - 1] == '/'; length--)
        file[length - 1] = 0; /* of a folder's name */
    const char *slash = strrchr(file, '/');
    snprintf(dataset->name, sizeof dataset->name, "%s%s", slash && slash[1] ? slash + 1 : file,
             array ? array - 1 : "");
    const fcl_reading reading = {file, array, options};
    int status = is_folder(file) ? read_folder(&reading, dataset) : read_file(&reading, dataset);
    if (status == FCL_OK)
        status = shorten(dataset, options->count, path);
    free(file);
    return status;
}

static int open_builtin(const builtin *row, const fcl_dataset_options *options, fcl_dataset *dataset)
{
    dataset->builtin = true;
    if (options->label_column && strcmp(options->label_column, FCL_NO_LABEL) != 0)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s has no columns with names: the label cannot be '%s'",
                        row->about.name, options->label_column);
    if (row->toy)
        return make_toy(row, options, dataset);
    if (access(row->path, F_OK) != 0)
        return fcl_fail(
            FCL_ERR_FILE,
            "%s is not installed (%s is missing): install the package %s (apt-get install %s), or give "
            "a path",
            row->about.name, row->path, row->package, row->package);
    FCL_TRY(open_path(row->path, options, dataset));
    snprintf(dataset->name, sizeof dataset->name, "%s", row->about.name);
    return FCL_OK;
}

static int unknown_name(const char *name)
{
    const char *names[BUILTINS];
    for (int i = 0; i < BUILTINS; i++)
        names[i] = builtins[i].about.name;
    const char *nearest = fcl_nearest(name, names, BUILTINS);
    if (nearest)
        return fcl_fail(FCL_ERR_ARGUMENT, "there is no data set and no file '%s'; did you mean '%s'?", name,
                        nearest);
    fcl_text list = {0};
    for (int i = 0; i < BUILTINS; i++)
        fcl_text_format(&list, "%s%s", i ? ", " : "", names[i]);
    int status = fcl_fail(FCL_ERR_ARGUMENT, "there is no data set and no file '%s'; built-in sets are %s",
                          name, list.data);
    fcl_text_free(&list);
    return status;
}

static const builtin *find_builtin(const char *name)
{
    for (int i = 0; i < BUILTINS; i++) {
        if (strcmp(name, builtins[i].about.name) == 0)
            return &builtins[i];
    }
    return NULL;
}

bool fcl_dataset_is_builtin(const char *name)
{
    return find_builtin(name) != NULL;
}

static int open_any(const char *name, const fcl_dataset_options *options, fcl_dataset *dataset)
{
    const builtin *row = find_builtin(name);
    FCL_TRY(row || access(name, F_OK) == 0 ? check_images(name, &options->image) : FCL_OK);
    if (row)
        return open_builtin(row, options, dataset);
    if (access(name, F_OK) != 0 && !strpbrk(name, "/."))
        return unknown_name(name);
    return open_path(name, options, dataset);
}

int fcl_dataset_open(const char *name, const fcl_dataset_options *options, fcl_dataset **dataset)
{
    static const fcl_dataset_options defaults = {0};
    *dataset = NULL;
    if (!options)
        options = &defaults;
    if (options->count < 0)
        return fcl_fail(FCL_ERR_ARGUMENT, "a data set cannot have %lld samples", (long long)options->count);
    fcl_dataset *fresh = fcl_zalloc(sizeof *fresh);
    fcl_dataset_options given = *options;
    bool none = given.label_guess && strcmp(given.label_guess, FCL_NO_LABEL) == 0;
    if (none && !given.label_column)
        given.label_column = given.label_guess;
    int status = open_any(name, &given, fresh);
    if (status == FCL_OK && given.from_disk && !fresh->stored && !fresh->pictures)
        status = fcl_fail(FCL_ERR_ARGUMENT,
                          "from-disk has no use with %s: of what is on the disk, .npy files, folders of them, and folders "
                          "of pictures stay there",
                          name);
    if (status != FCL_OK)
        fcl_dataset_destroy(&fresh);
    *dataset = fresh;
    return status;
}

void fcl_dataset_destroy(fcl_dataset **dataset)
{
    if (!*dataset)
        return;
    free((*dataset)->values);
    free((*dataset)->bytes);
    fcl_pictures_destroy(&(*dataset)->pictures);
    fcl_stored_close(&(*dataset)->stored);
    free((*dataset)->label);
    for (int c = 0; (*dataset)->class_name && c < (*dataset)->classes; c++)
        free((*dataset)->class_name[c]);
    free((*dataset)->class_name);
    free((*dataset)->note);
    free(*dataset);
    *dataset = NULL;
}

/* Some at a time: what has to be decoded takes its time. */
static int take_in_parts(const fcl_dataset *dataset, int64_t first, int64_t count, float *values)
{
    enum { AT_ONCE = 256 };
    int64_t which[AT_ONCE], size = fcl_shape_size(dataset->shape);
    for (int64_t done = 0; done < count; done += AT_ONCE) {
        int64_t n = count - done < AT_ONCE ? count - done : AT_ONCE;
        for (int64_t i = 0; i < n; i++)
            which[i] = first + done + i;
        FCL_TRY(dataset->pictures ? fcl_watch_at("decoding pictures", done, count) : FCL_OK);
        FCL_TRY(fcl_dataset_values(dataset, n, which, values + done * size));
    }
    return FCL_OK;
}

int fcl_dataset_take(const fcl_dataset *dataset, int64_t first, int64_t count, fcl_array **array)
{
    FCL_TRY(fcl_dataset_room(dataset, first, count, array));
    int status = take_in_parts(dataset, first, count, (*array)->data);
    if (status != FCL_OK)
        fcl_array_destroy(array);
    return status;
}

const fcl_dataset_builtin *fcl_dataset_builtin_at(int index)
{
    return index >= 0 && index < BUILTINS ? &builtins[index].about : NULL;
}
