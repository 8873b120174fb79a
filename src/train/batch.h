/* Where the rows of a batch come from: the whole data set on the device, gathered there; or, where it does
 * not fit, the host's memory, from which a thread gathers the next rows while the device works on these. Both
 * take the same rows: the order of fcl_batch_index. */
#ifndef TRAIN_BATCH_H
#define TRAIN_BATCH_H

#include <flowcl/train.h>

typedef struct fcl_reader fcl_reader;

typedef struct fcl_batch {
    const fcl_dataset *data;
    uint64_t seed;
    int64_t rows;               /* of one part of a step */
    int64_t total;              /* of a step */
    fcl_buffer *table, *labels; /* of the whole set, or of the rows alone */
    fcl_buffer *index;          /* 0, 1, ..., rows - 1; NULL with the whole set */
    fcl_reader *reader;         /* NULL with the whole set */
} fcl_batch;

/* `labels`: also the labels; `stream`: from the host even where it fits. On failure nothing is left. */
int fcl_batch_create(fcl_device *device, const fcl_dataset *data, const fcl_train_options *options,
                     fcl_batch *batch);
void fcl_batch_destroy(fcl_batch *batch);

/* The nodes: x1 (rows, D), and *label (rows) or NULL. */
fcl_tensor *fcl_batch_build(const fcl_batch *batch, fcl_graph *graph, fcl_tensor **label);

/* Before the part of a step runs that begins at `first_row`. */
int fcl_batch_prepare(fcl_batch *batch, int64_t step, int64_t first_row);

/* --- reader.c: the thread --- */

int fcl_reader_create(const fcl_batch *batch, bool labels, fcl_reader **reader);
void fcl_reader_destroy(fcl_reader **reader);
/* Begins to gather, and returns at once. */
void fcl_reader_ask(fcl_reader *reader, int64_t step, int64_t first_row);
/* Waits for those rows (asks for them first where that was not done); theirs until the next ask. */
void fcl_reader_take(fcl_reader *reader, int64_t step, int64_t first_row, const void **rows,
                     const int32_t **labels);

#endif
