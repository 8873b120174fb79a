/* Numbers that belong to samples, beside them or alone, by the file's ending. */
#include <flowcl/eval.h>

#include "base/csv.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"
#include "eval/plot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const fcl_column *find_classes(int count, const fcl_column *columns)
{
    for (int c = 0; c < count; c++)
        if (!columns[c].values)
            return &columns[c];
    return NULL;
}

/* (n, size + count): a sample's numbers, then the columns', those of classes only where `classes`. */
static int join(int64_t n, const fcl_array *samples, int count, const fcl_column *columns, bool classes,
                fcl_array **table)
{
    int64_t size = samples ? fcl_shape_size(samples->shape) / n : 0;
    int64_t width = size + count - (!classes && find_classes(count, columns));
    FCL_TRY(fcl_array_create(FCL_SHAPE(n, width), table));
    for (int64_t i = 0; i < n; i++) {
        float *to = (*table)->data + i * width;
        if (size)
            memcpy(to, samples->data + i * size, (size_t)size * sizeof *to);
        to += size;
        for (int c = 0; c < count; c++)
            if (columns[c].values || classes)
                *to++ = columns[c].values ? columns[c].values[i] : (float)columns[c].label[i];
    }
    return FCL_OK;
}

/* The classes as words, one a row; all of it is released by fcl_arena_free. */
static const char *const *words_of(int64_t n, const fcl_column *column, fcl_arena *arena)
{
    const char **words = fcl_arena_alloc(arena, (size_t)n * sizeof *words);
    for (int64_t i = 0; i < n; i++)
        words[i] = column->class_names ? column->class_names[column->label[i]]
                                       : fcl_arena_format(arena, "%d", column->label[i]);
    return words;
}

static int write_csv(const char *path, int64_t n, const fcl_array *samples, int count,
                     const fcl_column *columns)
{
    const fcl_column *classes = find_classes(count, columns);
    fcl_text heading = {0};
    fcl_arena words = {0};
    fcl_array *table;
    FCL_TRY(join(n, samples, count, columns, false, &table));
    int64_t size = table->shape.dim[1] - count + (classes != NULL);
    for (int64_t d = 0; d < size; d++)
        fcl_text_format(&heading, "%sx%lld", d ? "," : "", (long long)d + 1);
    for (int c = 0; c < count; c++)
        if (columns[c].values)
            fcl_text_format(&heading, "%s%s", heading.length ? "," : "", columns[c].name);
    if (classes)
        fcl_text_format(&heading, "%s%s", heading.length ? "," : "", classes->name);
    int status =
        fcl_csv_write_headed(path, heading.data, table, classes ? words_of(n, classes, &words) : NULL);
    fcl_arena_free(&words);
    fcl_text_free(&heading);
    fcl_array_destroy(&table);
    return status;
}

/* A column as an array (n), whose numbers are the column's own. */
static fcl_array as_array(int64_t n, const fcl_column *column)
{
    return (fcl_array){.shape = FCL_SHAPE(n), .data = (float *)column->values};
}

static int write_npz(const char *path, int64_t n, const fcl_array *samples, int count,
                     const fcl_column *columns)
{
    fcl_npz_entry entries[FCL_MOST_COLUMNS + 1];
    fcl_array arrays[FCL_MOST_COLUMNS];
    int entry = 0;
    if (samples)
        entries[entry++] = (fcl_npz_entry){"x", .array = samples};
    for (int c = 0; c < count; c++) {
        arrays[c] = as_array(n, &columns[c]);
        entries[entry++] = (fcl_npz_entry){.name = columns[c].name,
                                           .array = columns[c].values ? &arrays[c] : NULL,
                                           .count = n,
                                           .number = columns[c].label,
                                           .word = columns[c].class_names};
    }
    return fcl_npz_write(path, entries, entry);
}

char *fcl_columns_path(const char *path, const char *name)
{
    const char *dot = strrchr(path, '.');
    if (fcl_file_ends_with(path, ".npz") || fcl_file_ends_with(path, ".csv"))
        return fcl_format("%s", path);
    return fcl_format("%.*s.%s.npy", (int)(dot ? (size_t)(dot - path) : strlen(path)), path, name);
}

static int write_classes(const char *path, int64_t n, const fcl_column *column)
{
    uint8_t *bytes;
    size_t size;
    fcl_file file;
    FCL_TRY(fcl_npy_encode_labels(n, column->label, column->class_names, &bytes, &size));
    int status = fcl_file_create(path, &file);
    if (status == FCL_OK) {
        fcl_file_write(&file, bytes, size);
        status = fcl_file_commit(&file);
    }
    free(bytes);
    return status;
}

/* Beside samples that a file holds alone: "samples.npy" or ".png", and "samples.logp.npy". */
static int write_beside(const char *path, int64_t n, int count, const fcl_column *columns)
{
    int status = FCL_OK;
    for (int c = 0; c < count && status == FCL_OK; c++) {
        char *beside = fcl_columns_path(path, columns[c].name);
        fcl_array array = as_array(n, &columns[c]);
        status = columns[c].values ? fcl_npy_write(beside, &array) : write_classes(beside, n, &columns[c]);
        fcl_free(beside);
    }
    return status;
}

static int write_alone(const char *path, int64_t n, int count, const fcl_column *columns)
{
    fcl_array *table;
    if (!fcl_file_ends_with(path, ".npy"))
        return fcl_fail(FCL_ERR_ARGUMENT, "numbers of samples go to .npy, .npz or .csv, not to '%s'", path);
    FCL_TRY(join(n, NULL, count, columns, true, &table));
    int status = fcl_npy_write(path, table);
    fcl_array_destroy(&table);
    return status;
}

int fcl_columns_write(const char *path, int64_t n, const fcl_array *samples, int count,
                      const fcl_column *columns)
{
    FCL_TRY(fcl_samples_check_path(path));
    if (count < 1 || count > FCL_MOST_COLUMNS || n < 1 || (samples && samples->shape.dim[0] != n))
        return fcl_fail(FCL_ERR_SHAPE, "cannot write %s: %d columns of %lld numbers", path, count,
                        (long long)n);
    if (fcl_file_ends_with(path, ".npz"))
        return write_npz(path, n, samples, count, columns);
    if (fcl_file_ends_with(path, ".csv"))
        return write_csv(path, n, samples, count, columns);
    if (!samples)
        return write_alone(path, n, count, columns);
    FCL_TRY(fcl_samples_write(path, samples, NULL));
    return write_beside(path, n, count, columns);
}
