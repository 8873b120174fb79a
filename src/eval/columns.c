/* Numbers that belong to samples, beside them or alone, by the file's ending. */
#include <flowcl/eval.h>

#include "base/csv.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 16 };

/* (n, size + count): a sample's numbers, then the columns'. */
static int join(int64_t n, const fcl_array *samples, int count, const fcl_column *columns, fcl_array **table)
{
    int64_t size = samples ? fcl_shape_size(samples->shape) / n : 0, width = size + count;
    FCL_TRY(fcl_array_create(FCL_SHAPE(n, width), table));
    for (int64_t i = 0; i < n; i++) {
        float *row = (*table)->data + i * width;
        if (size)
            memcpy(row, samples->data + i * size, (size_t)size * sizeof *row);
        for (int c = 0; c < count; c++)
            row[size + c] = columns[c].values[i];
    }
    return FCL_OK;
}

static int write_csv(const char *path, const fcl_array *table, int count, const fcl_column *columns)
{
    fcl_text heading = {0};
    for (int64_t d = 0; d < table->shape.dim[1] - count; d++)
        fcl_text_format(&heading, "x%lld,", (long long)d + 1);
    for (int c = 0; c < count; c++)
        fcl_text_format(&heading, c ? ",%s" : "%s", columns[c].name);
    int status = fcl_csv_write_headed(path, heading.data, table);
    fcl_text_free(&heading);
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
    fcl_npz_entry entries[MOST_COLUMNS + 1];
    fcl_array arrays[MOST_COLUMNS];
    int entry = 0;
    if (samples)
        entries[entry++] = (fcl_npz_entry){"x", samples};
    for (int c = 0; c < count; c++) {
        arrays[c] = as_array(n, &columns[c]);
        entries[entry++] = (fcl_npz_entry){columns[c].name, &arrays[c]};
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

/* Beside samples that a file holds alone: "samples.npy" or ".png", and "samples.logp.npy". */
static int write_beside(const char *path, int64_t n, int count, const fcl_column *columns)
{
    int status = FCL_OK;
    for (int c = 0; c < count && status == FCL_OK; c++) {
        char *beside = fcl_columns_path(path, columns[c].name);
        fcl_array array = as_array(n, &columns[c]);
        status = fcl_npy_write(beside, &array);
        fcl_free(beside);
    }
    return status;
}

int fcl_columns_write(const char *path, int64_t n, const fcl_array *samples, int count,
                      const fcl_column *columns)
{
    FCL_TRY(fcl_samples_check_path(path));
    if (count < 1 || count > MOST_COLUMNS || n < 1 || (samples && samples->shape.dim[0] != n))
        return fcl_fail(FCL_ERR_SHAPE, "cannot write %s: %d columns of %lld numbers", path, count,
                        (long long)n);
    if (fcl_file_ends_with(path, ".npz"))
        return write_npz(path, n, samples, count, columns);
    bool csv = fcl_file_ends_with(path, ".csv");
    if (samples && !csv) {
        FCL_TRY(fcl_samples_write(path, samples, NULL));
        return write_beside(path, n, count, columns);
    }
    if (!csv && !fcl_file_ends_with(path, ".npy"))
        return fcl_fail(FCL_ERR_ARGUMENT, "numbers of samples go to .npy, .npz or .csv, not to '%s'", path);
    fcl_array *table;
    FCL_TRY(join(n, samples, count, columns, &table));
    int status = csv ? write_csv(path, table, count, columns) : fcl_npy_write(path, table);
    fcl_array_destroy(&table);
    return status;
}
