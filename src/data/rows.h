/* Samples by their numbers, as they lie in a set: bytes or floats. */
#ifndef DATA_ROWS_H
#define DATA_ROWS_H

#include <flowcl/data.h>

/* The bytes that a sample takes. */
size_t fcl_dataset_row_bytes(const fcl_dataset *dataset);

/* An array (count, shape) of zeros, for the samples from `first` on. FCL_ERR_ARGUMENT where there are not so
 * many. */
int fcl_dataset_room(const fcl_dataset *dataset, int64_t first, int64_t count, fcl_array **array);

/* The samples which[0 .. n), one after the other. Reads or decodes those of a set that lies in files still: FCL_ERR_FILE,
 * FCL_ERR_FORMAT, FCL_ERR_NUMERIC, FCL_ERR_MEMORY; else it cannot fail. */
int fcl_dataset_rows(const fcl_dataset *dataset, int64_t n, const int64_t *which, void *rows);

/* The same as floats: (n, shape). */
int fcl_dataset_values(const fcl_dataset *dataset, int64_t n, const int64_t *which, float *values);

#endif
