/* Pictures of a folder: which there are, and their pixels, decoded by several threads. */
#ifndef DATA_PICTURES_H
#define DATA_PICTURES_H

#include "base/pool.h"
#include "data/picture.h"
#include "data/reader.h"

typedef struct fcl_pictures {
    char *folder;
    int64_t count;
    char **name; /* (count) paths below the folder */
    uint8_t background[3];
    bool mask; /* they are masks: options.mask */
    int channels, height, width; /* that they are brought to */
    fcl_pool *pool;
} fcl_pictures;

void fcl_pictures_destroy(fcl_pictures **pictures);

/* The pixels (n, channels, height, width) of the pictures which[0 .. n), by as many threads as there are
 * processors. `status` (n), or NULL: of each of them; with it a picture that cannot be read is no failure of
 * all, and what it was of the first of them is the message. */
int fcl_pictures_read(const fcl_pictures *pictures, int64_t n, const int64_t *which, uint8_t *to,
                      int *status);

/* --- label_file.c --- */

/* The labels of the pictures by a table of text with the columns "file", a path below the folder, and
 * "label", or that of options->label_column. *spare: rows of other files. FCL_ERR_FORMAT: a picture has no
 * row, or two that disagree. */
int fcl_pictures_read_labels(const fcl_pictures *pictures, const fcl_dataset_options *options,
                             fcl_dataset *dataset, int64_t *spare);

/* --- image.c: what options say --- */

/* FCL_ERR_ARGUMENT where a text is not usable. NULL: no size, 0. */
int fcl_image_size(const char *text, int *height, int *width);
/* How they are brought to another size, in words. */
const char *fcl_image_way(const fcl_dataset_options *options);
/* Of pictures: those that options ask for, else their own. */
int fcl_image_channels(const fcl_dataset_options *options, int own);
/* The background's text: as it is given, guessed, or white. */
const char *fcl_image_below(const fcl_dataset_options *options);
int fcl_image_background(const char *text, uint8_t colour[3]);

#endif
