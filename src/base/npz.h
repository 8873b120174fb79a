/* NumPy's .npz: a zip archive of .npy files, one a named array. */
#ifndef BASE_NPZ_H
#define BASE_NPZ_H

#include "base/npy.h"

typedef struct fcl_npz fcl_npz;

int fcl_npz_open(const char *path, fcl_npz **npz);
void fcl_npz_close(fcl_npz **npz);

/* The names of its arrays by index, in the archive's order; NULL past the last. Valid until close. A name
 * that is there twice stands once, for the array that came last. */
const char *fcl_npz_name_at(const fcl_npz *npz, int index);
bool fcl_npz_holds(const fcl_npz *npz, const char *name);

/* Reads one array: npy->data points into *bytes, which is released by free. */
int fcl_npz_load(const fcl_npz *npz, const char *name, fcl_npy *npy, uint8_t **bytes);

/* An array; or bytes; or, where both are NULL, labels: see fcl_npy_encode_labels. */
typedef struct fcl_npz_entry {
    const char *name;
    const fcl_array *array;
    int64_t count;
    const int32_t *number;
    const char *const *word;
    const uint8_t *bytes;
    fcl_shape shape; /* of these */
} fcl_npz_entry;

int fcl_npz_write(const char *path, const fcl_npz_entry *entries, int count);

#endif
