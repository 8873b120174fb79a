/* NumPy's .npz: a zip archive of .npy files, one a named array. */
#ifndef BASE_NPZ_H
#define BASE_NPZ_H

#include "base/npy.h"

typedef struct fcl_npz fcl_npz;

int fcl_npz_open(const char *path, fcl_npz **npz);
void fcl_npz_close(fcl_npz **npz);

/* The first of the NULL-terminated names that the archive holds, or NULL. */
const char *fcl_npz_find(const fcl_npz *npz, const char *const *names);

/* The name of the first array that is none of the NULL-terminated names, or NULL. Valid until close. */
const char *fcl_npz_first_but(const fcl_npz *npz, const char *const *names);

/* Reads one array: npy->data points into *bytes, which is released by free. */
int fcl_npz_load(const fcl_npz *npz, const char *name, fcl_npy *npy, uint8_t **bytes);

typedef struct fcl_npz_entry {
    const char *name;
    const fcl_array *array;
} fcl_npz_entry;

int fcl_npz_write(const char *path, const fcl_npz_entry *entries, int count);

#endif
