/* Samples as pictures of bytes: one archive of all, or a file each. */
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"
#include "base/png.h"
#include "eval/plot.h"

#include <flowcl/text.h>

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint8_t fcl_picture_byte(double low, double high, float value)
{
    double scaled = ((double)value - low) * 255 / (high - low);
    return scaled >= 255 ? 255 : scaled > 0 ? (uint8_t)lrint(scaled) : 0;
}

/* (N, H, W, C) */
static int make_bytes(const fcl_array *pictures, const fcl_picture_options *options, fcl_shape *shape, uint8_t **bytes)
{
    const int64_t *dim = pictures->shape.dim;
    const int rank = pictures->shape.rank;
    bool given = options->low < options->high;
    double low = given ? options->low : -1, high = given ? options->high : 1;
    int64_t channels = rank == 4 ? dim[1] : 1, pixels = dim[rank - 2] * dim[rank - 1];
    *shape = FCL_SHAPE(dim[0], dim[rank - 2], dim[rank - 1], channels);
    *bytes = malloc((size_t)fcl_shape_size(*shape));
    if (!*bytes)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the %lld bytes of the pictures", (long long)fcl_shape_size(*shape));
    for (int64_t i = 0; i < dim[0] * pixels; i++)
        for (int64_t c = 0; c < channels; c++) {
            int64_t from = (i / pixels * channels + c) * pixels + i % pixels;
            (*bytes)[i * channels + c] = fcl_picture_byte(low, high, pictures->data[from]);
        }
    return FCL_OK;
}

/* --- an archive --- */

static int write_archive(const char *path, fcl_shape shape, const uint8_t *bytes, int count, const fcl_column *columns)
{
    fcl_npz_entry entries[FCL_MOST_COLUMNS + 1] = {{.name = "arr_0", .bytes = bytes, .shape = shape}};
    fcl_array arrays[FCL_MOST_COLUMNS];
    for (int c = 0; c < count; c++) {
        arrays[c] = (fcl_array){.shape = FCL_SHAPE(shape.dim[0]), .data = (float *)columns[c].values};
        entries[c + 1] = (fcl_npz_entry){.name = columns[c].values ? columns[c].name : "arr_1",
                                         .array = columns[c].values ? &arrays[c] : NULL,
                                         .count = shape.dim[0],
                                         .number = columns[c].label,
                                         .word = columns[c].class_names};
    }
    return fcl_npz_write(path, entries, count + 1);
}

/* --- a folder --- */

/* A folder with the name of a file is no place for either. */
static bool is_named_as_file(const char *path)
{
    static const char *const endings[] = {".npy", ".npz", ".csv", ".png"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (fcl_file_ends_with(path, endings[i]))
            return true;
    return false;
}

bool fcl_pictures_in_folder(const char *path)
{
    struct stat about;
    size_t length = strlen(path);
    if (length && path[length - 1] == '/')
        return true;
    return !is_named_as_file(path) && stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static int check_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT ? FCL_OK : fcl_fail(FCL_ERR_FILE, "cannot open %s: %s", path, strerror(errno));
    const struct dirent *entry;
    while ((entry = readdir(folder)) && !fcl_file_ends_with(entry->d_name, ".png"))
        ;
    char *held = entry ? fcl_strdup(entry->d_name) : NULL;
    closedir(folder);
    int status = FCL_OK;
    if (held)
        status = fcl_fail(FCL_ERR_FILE, "the folder %s holds pictures already, %s: name another, or empty it", path, held);
    else if (access(path, W_OK | X_OK) != 0)
        status = fcl_fail(FCL_ERR_FILE, "cannot write into %s: %s", path, strerror(errno));
    free(held);
    return status;
}

static int make_folder(const char *path)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return FCL_OK;
    return fcl_fail(FCL_ERR_FILE, "cannot make the folder %s: %s", path, strerror(errno));
}

int fcl_pictures_check_path(const char *path)
{
    FCL_TRY(fcl_samples_check_path(path));
    if (fcl_pictures_in_folder(path) || fcl_file_ends_with(path, ".npz"))
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT, "bytes of pictures go to .npz or into a folder, not to '%s'", path);
}

/* What is not there is made, and taken away again. */
int fcl_folder_check(const char *path)
{
    FCL_TRY(check_folder(path));
    if (access(path, F_OK) == 0)
        return FCL_OK;
    FCL_TRY(make_folder(path));
    rmdir(path);
    return FCL_OK;
}

static int digits_of(int64_t count)
{
    enum { LEAST = 5 };
    int digits = 1;
    for (int64_t left = count - 1; left >= 10; left /= 10)
        digits++;
    return digits < LEAST ? LEAST : digits;
}

/* In quotes, which stand twice inside. */
static void add_quoted(fcl_text *text, const char *word)
{
    fcl_text_add(text, "\"");
    for (; *word; word++)
        fcl_text_format(text, *word == '"' ? "\"\"" : "%c", *word);
    fcl_text_add(text, "\"");
}

static void add_cell(fcl_text *text, const fcl_column *column, int64_t row)
{
    fcl_text_add(text, ",");
    if (column->values)
        fcl_text_format(text, "%.9g", (double)column->values[row]);
    else if (column->class_names)
        add_quoted(text, column->class_names[column->label[row]]);
    else
        fcl_text_format(text, "%d", column->label[row]);
}

/* file,label: what is read back as the pictures' labels. */
static int write_table(const char *folder, int64_t n, int count, const fcl_column *columns)
{
    fcl_text text = {0};
    fcl_file file;
    char *path = fcl_format("%s/pictures.csv", folder);
    fcl_text_add(&text, "file");
    for (int c = 0; c < count; c++)
        fcl_text_format(&text, ",%s", columns[c].name);
    fcl_text_add(&text, "\n");
    for (int64_t i = 0; i < n; i++) {
        fcl_text_format(&text, "%0*lld.png", digits_of(n), (long long)i);
        for (int c = 0; c < count; c++)
            add_cell(&text, &columns[c], i);
        fcl_text_add(&text, "\n");
    }
    int status = fcl_file_create(path, &file);
    if (status == FCL_OK) {
        fcl_file_write(&file, text.data, text.length);
        status = fcl_file_commit(&file);
    }
    fcl_text_free(&text);
    free(path);
    return status;
}

static int write_folder(const char *folder, fcl_shape shape, const uint8_t *bytes, int count, const fcl_column *columns)
{
    const int64_t *dim = shape.dim, size = dim[1] * dim[2] * dim[3];
    int status = make_folder(folder);
    for (int64_t i = 0; i < dim[0] && status == FCL_OK; i++) {
        char *path = fcl_format("%s/%0*lld.png", folder, digits_of(dim[0]), (long long)i);
        status = fcl_png_write(path, bytes + i * size, (int)dim[2], (int)dim[1], (int)dim[3]);
        free(path);
    }
    return status == FCL_OK && count ? write_table(folder, dim[0], count, columns) : status;
}

int fcl_pictures_write(const char *path, const fcl_array *pictures, const fcl_picture_options *options, int count,
                       const fcl_column *columns)
{
    static const fcl_picture_options defaults = {0};
    fcl_shape shape;
    uint8_t *bytes;
    FCL_TRY(fcl_pictures_check_path(path));
    if (pictures->shape.rank < 3 || fcl_shape_size(pictures->shape) == 0 ||
        !fcl_samples_are_pictures(fcl_sample_shape(pictures->shape)) || count < 0 || count > FCL_MOST_COLUMNS)
        return fcl_fail(FCL_ERR_SHAPE, "cannot write %s: pictures are (N, H, W), or (N, C, H, W) with C 1 or 3, and at most %d "
                                       "columns stand beside them", path, FCL_MOST_COLUMNS);
    FCL_TRY(make_bytes(pictures, options ? options : &defaults, &shape, &bytes));
    int status = fcl_pictures_in_folder(path) ? write_folder(path, shape, bytes, count, columns)
                                              : write_archive(path, shape, bytes, count, columns);
    free(bytes);
    return status;
}
