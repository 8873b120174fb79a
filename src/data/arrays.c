/* Data in NumPy's files and in tables of text. */
#include "data/reader.h"

#include "base/csv.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/npz.h"

#include <stdlib.h>

int fcl_dataset_read_npy(const char *path, bool unlabeled, fcl_dataset *dataset)
{
    (void)unlabeled; /* a single array has no labels */
    uint8_t *bytes;
    size_t size;
    fcl_npy array;
    FCL_TRY(fcl_file_read(path, &bytes, &size));
    int status = fcl_npy_parse(bytes, size, path, &array);
    if (status == FCL_OK)
        status = fcl_dataset_set_samples(dataset, &array, path);
    free(bytes);
    return status;
}

static const char *const sample_names[] = {"x", "data", NULL};
static const char *const label_names[] = {"y", "labels", "label", NULL};

static int set_from(const fcl_npz *npz, const char *path, const char *name, fcl_dataset_setter *set,
                    fcl_dataset *dataset)
{
    fcl_npy array;
    uint8_t *bytes;
    FCL_TRY(fcl_npz_load(npz, name, &array, &bytes));
    char *where = fcl_format("%s, array %s", path, name);
    int status = set(dataset, &array, where);
    free(where);
    free(bytes);
    return status;
}

int fcl_dataset_read_npz(const char *path, bool unlabeled, fcl_dataset *dataset)
{
    fcl_npz *npz;
    FCL_TRY(fcl_npz_open(path, &npz));
    const char *samples = fcl_npz_find(npz, sample_names), *labels = fcl_npz_find(npz, label_names);
    if (!samples)
        samples = fcl_npz_first_but(npz, label_names);
    int status = samples ? set_from(npz, path, samples, fcl_dataset_set_samples, dataset)
                         : fcl_fail(FCL_ERR_FORMAT, "%s holds labels (%s) but no samples", path, labels);
    if (status == FCL_OK && labels && !unlabeled)
        status = set_from(npz, path, labels, fcl_dataset_set_labels, dataset);
    fcl_npz_close(&npz);
    return status;
}

int fcl_dataset_read_csv(const char *path, bool unlabeled, fcl_dataset *dataset)
{
    (void)unlabeled; /* every column is data */
    fcl_array *table;
    FCL_TRY(fcl_csv_read(path, &table));
    fcl_npy array = {.kind = 'f', .item_size = sizeof(float), .shape = table->shape};
    array.big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    array.data = (const uint8_t *)table->data;
    int status = fcl_dataset_set_samples(dataset, &array, path);
    fcl_array_destroy(&table);
    return status;
}
