/* Readers of data files. Each fills `values` or `bytes`, `shape`, `count`, `note` and, unless
 * options->unlabeled, `label`. */
#ifndef DATA_READER_H
#define DATA_READER_H

#include "data/layout.h"

typedef struct fcl_reading {
    const char *path;
    const char *array; /* that is asked for of an .npz; NULL: none is */
    const fcl_dataset_options *options;
    bool packed; /* by gzip */
} fcl_reading;

typedef int fcl_dataset_reader(const fcl_reading *reading, fcl_dataset *dataset);

fcl_dataset_reader fcl_dataset_read_npy;
fcl_dataset_reader fcl_dataset_read_npz;
fcl_dataset_reader fcl_dataset_read_csv;
fcl_dataset_reader fcl_dataset_read_idx;
fcl_dataset_reader fcl_dataset_read_picture;
fcl_dataset_reader fcl_dataset_read_cifar;
fcl_dataset_reader fcl_dataset_read_folder;
fcl_dataset_reader fcl_dataset_read_cifar_folder;

/* A folder's .npy files, `count` of `files` below it, whose names these are: the samples of one after those of the other. */
int fcl_dataset_read_arrays(const fcl_reading *reading, int64_t count, char *const *name, int64_t files,
                            fcl_dataset *dataset);
/* Labels of samples that are there, from an archive's array of that name; NULL: as labels are called, or the only one. */
int fcl_dataset_read_npz_labels(const char *path, const char *column, fcl_dataset *dataset);

/* Whether samples of so many bytes are left in their files: more than a quarter of the machine's memory. */
bool fcl_dataset_is_large(double bytes);

/* Whether a folder holds CIFAR-10's batches. */
bool fcl_dataset_is_cifar(const char *folder);

/* What options.label_column says where no column is the label. */
#define FCL_NO_LABEL "none"

/* Takes an array of a file into the data set, and may take over array->whole; `where` names it in messages.
 */
typedef int fcl_dataset_setter(fcl_dataset *dataset, fcl_npy *array, const fcl_dataset_options *options, const char *where);

/* The samples of an array whose first dimension counts them. Takes pictures of bytes as these, all else as floats. */
fcl_dataset_setter fcl_dataset_set_samples;

/* What such samples are, as far as the array's header says: count, shape, note; of bytes scale and shift, which other
 * samples have not. */
int fcl_samples_describe(const fcl_npy *array, const fcl_dataset_options *options, const char *where, fcl_layout *layout,
                         fcl_dataset *dataset);
/* Where their numbers say more, the i-th of n samples that are looked at. */
int64_t fcl_samples_asked(const fcl_dataset *dataset, int64_t i, int64_t n);
/* Whether they lie in the array as they will in the set; else they are converted, of an array in C order, into `rows`.
 * FCL_ERR_MEMORY. */
bool fcl_samples_lie_so(const fcl_npy *array, const fcl_layout *layout);
int fcl_samples_convert(const fcl_npy *array, const fcl_layout *layout, void *rows);

/* The labels of the samples that are there already. */
fcl_dataset_setter fcl_dataset_set_labels;
/* The same of words, a copy each. */
int fcl_dataset_set_words(fcl_dataset *dataset, const fcl_words *words, const char *where);

/* A label is a number below this. */
enum { FCL_LABEL_LIMIT = 65536 };

/* A picture's byte goes to [-1, 1]: byte * scale + shift. */
#define FCL_PICTURE_SCALE (2.0f / 255)
#define FCL_PICTURE_SHIFT (-1.0f)

/* FCL_ERR_NUMERIC with the place of the first of its floats that is NaN or infinite. */
int fcl_dataset_check_finite(const fcl_dataset *dataset, const char *where);

#endif
