/* Samples that lie in .npy files: any of them can be read at any time, by any thread. Nothing of a file is
 * mapped: one that shrinks meanwhile is a sentence, and its pages are no memory of the process. */
#ifndef DATA_STORED_H
#define DATA_STORED_H

#include "base/pool.h"
#include "data/layout.h"

typedef struct fcl_stored_file {
    char *path;
    fcl_npy head;    /* its data are not there */
    int64_t first;   /* the number of its first sample among all */
    uint64_t offset; /* of that in the file */
    int open;        /* a descriptor; -1: it is opened to be read, since there are too many of them */
} fcl_stored_file;

typedef struct fcl_stored {
    fcl_stored_file *file;
    int64_t file_count;
    int64_t count;     /* of all samples */
    fcl_layout layout; /* of each */
    size_t file_bytes; /* of a sample in the files */
    size_t row_bytes;  /* of it in the set: bytes of pictures, else floats */
    fcl_pool *pool;
} fcl_stored;

/* A file's header alone. */
int fcl_stored_look(const char *path, fcl_npy *head);

/* The files of these paths, in their order, and what the set's samples are, by the options' like and background.
 * FCL_ERR_FILE, FCL_ERR_FORMAT: one cannot be read, or not in pieces (Fortran order); FCL_ERR_SHAPE: one has samples of
 * another shape or type than the first. */
int fcl_stored_open(int64_t count, char *const *path, const fcl_dataset_options *options, fcl_dataset *dataset,
                    fcl_stored **stored);
void fcl_stored_close(fcl_stored **stored);

/* The samples from `first` on, which are there, one after the other, by this thread. FCL_ERR_FILE: a file
 * cannot be read, or has become shorter; FCL_ERR_NUMERIC: a number is NaN or infinite; FCL_ERR_MEMORY. */
int fcl_stored_run(const fcl_stored *stored, int64_t first, int64_t n, void *rows);

/* The samples which[0 .. n), in as few reads as make sense, by this thread; and by several. */
int fcl_stored_gather(const fcl_stored *stored, int64_t n, const int64_t *which, void *rows);
int fcl_stored_rows(const fcl_stored *stored, int64_t n, const int64_t *which, void *rows);

#endif
