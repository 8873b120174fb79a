/* Readers of data files. Each fills `values` or `bytes`, `shape`, `count` and, unless `unlabeled`, `label`.
 */
#ifndef DATA_READER_H
#define DATA_READER_H

#include <flowcl/data.h>
#include "base/npy.h"

typedef int fcl_dataset_reader(const char *path, bool unlabeled, fcl_dataset *dataset);

fcl_dataset_reader fcl_dataset_read_npy;
fcl_dataset_reader fcl_dataset_read_npz;
fcl_dataset_reader fcl_dataset_read_csv;
fcl_dataset_reader fcl_dataset_read_idx;

/* Takes an array of a file into the data set, and may take over array->whole; `where` names it in messages.
 */
typedef int fcl_dataset_setter(fcl_dataset *dataset, fcl_npy *array, const char *where);

/* The samples of an array whose first dimension counts them. Takes pictures as bytes, all else as floats. */
fcl_dataset_setter fcl_dataset_set_samples;

/* The labels of the samples that are there already. */
fcl_dataset_setter fcl_dataset_set_labels;

/* A label is a number below this. */
enum { FCL_LABEL_LIMIT = 65536 };

/* A picture's byte goes to [-1, 1]: byte * scale + shift. */
#define FCL_PICTURE_SCALE (2.0f / 255)
#define FCL_PICTURE_SHIFT (-1.0f)

/* FCL_ERR_NUMERIC with the place of the first of its floats that is NaN or infinite. */
int fcl_dataset_check_finite(const fcl_dataset *dataset, const char *where);

#endif
