/* Where the rows of a batch come from: the whole data set on the device, gathered there; or, where it does
 * not fit, the host's memory or its files, from which a thread gathers the next rows, which come to the device while it works
 * on these. All take the same rows: the order of fcl_batch_index, or that of blocks (shuffle.h), whose rows the host gathers
 * wherever they lie. Of .npy files in that order other threads read the blocks of the next window (blocks.h).
 *
 * Rows may be taken in another order than they come: those of some steps in a row are a pool, and an index
 * says which of it belong to a part of a step (matcher.h). */
#ifndef TRAIN_BATCH_H
#define TRAIN_BATCH_H

#include "train/shuffle.h"

#include <flowcl/train.h>

typedef struct fcl_reader fcl_reader;

typedef struct fcl_batch_options {
    uint64_t seed;
    uint32_t stream;  /* of the order */
    int64_t total;    /* rows of a step */
    int64_t first, count; /* of these, those that are taken here: a rank's; a count of 0: all */
    int64_t rows;     /* of one part of them */
    int64_t pool;     /* rows of a pool: of one step those that are taken, or all of some; 0: none */
    const int32_t *only; /* (only_count) the samples that are drawn, borrowed; NULL: all */
    int64_t only_count;
    int64_t block, window; /* of the order, see shuffle.h; 0: whole */
    bool labels;      /* also the labels */
    bool stream_data; /* from the host even where it fits */
    bool hflip;       /* pictures are mirrored, see mirror.h */
    const fcl_normalisation *normalisation; /* of the samples; NULL: they stay as they are */
} fcl_batch_options;

typedef struct fcl_batch {
    const fcl_dataset *data;
    fcl_batch_options options;
    fcl_buffer *table, *labels; /* of the whole set; or the rows alone: of a part, or of two pools by turns */
    fcl_buffer *centre, *factor; /* of the normalisation; NULL without */
    fcl_buffer *only;           /* (only_count) of the whole set, those that are drawn; NULL: all, or rows are read */
    fcl_buffer *index;          /* (rows) of the part in the table; NULL: drawn in the graph */
    fcl_buffer *natural;        /* (pool) in the table, as they come; NULL without a pool */
    fcl_buffer *order;          /* (pool) in the table, as they are taken */
    fcl_buffer *columns;        /* (W) of a picture that is mirrored; NULL: none is */
    fcl_buffer *draw;           /* (rows) of the part, by which its rows are mirrored; NULL: drawn in the graph */
    fcl_buffer *draw_order;     /* (pool) as they are taken; NULL without a pool */
    fcl_reader *reader;         /* NULL with the whole set */
} fcl_batch;

/* On failure nothing is left. */
int fcl_batch_create(fcl_device *device, const fcl_dataset *data, const fcl_batch_options *options,
                     fcl_batch *batch);
void fcl_batch_destroy(fcl_batch *batch);

/* The host's memory that is filled with what is read ahead, in bytes. */
uint64_t fcl_batch_read_ahead(const fcl_batch *batch);

/* The nodes: x (rows, D), and *label (rows) or NULL; `label` may be NULL. */
fcl_tensor *fcl_batch_build(const fcl_batch *batch, fcl_graph *graph, fcl_tensor **label);

/* Before the part of a step runs that begins at `first_row`. */
int fcl_batch_prepare(fcl_batch *batch, int64_t step, int64_t first_row);

/* Of what it draws: of all, or of options.only by their places. */
fcl_shuffle fcl_batch_order(const fcl_batch *batch);
/* The data set's number of a row of a step, or of the steps after it where `row` is beyond: by step and row alone, so that
 * any part of a step can be asked for at any time, by any process. */
int64_t fcl_batch_sample(const fcl_batch *batch, int64_t step, int64_t row);

/* --- a pool --- */

/* x (pool, D), in the order in which they come: what `natural` tells. */
fcl_tensor *fcl_batch_build_pool(const fcl_batch *batch, fcl_graph *graph);
/* Brings the pool that begins at `step` to the device, and tells the table's number of each of its rows. */
int fcl_batch_load_pool(fcl_batch *batch, int64_t step, int32_t *rows);

/* --- reader.c: the thread --- */

/* Their seconds are two lines of the device's profile: how long a step has waited, and how long was read. */
int fcl_reader_create(fcl_device *device, const fcl_batch *batch, bool labels, fcl_reader **reader);
void fcl_reader_destroy(fcl_reader **reader);
uint64_t fcl_reader_ahead(const fcl_reader *reader); /* bytes of blocks */
/* Begins to gather, and returns at once. */
void fcl_reader_ask(fcl_reader *reader, int64_t step, int64_t first_row);
/* Once those rows are gathered (asks for them first where that was not done), enqueues that they and their labels come
 * to the batch's table, to its row `at` and those after it; and waits for nothing on the device. */
int fcl_reader_send(fcl_reader *reader, int64_t step, int64_t first_row, int64_t at);

#endif
