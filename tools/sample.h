/* What flowcl sample is made of: its options and run (sample.c), what --encode and --decode begin with (sample_start.c), the
 * files (sample_write.c) and what is told of them (sample_report.c). */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "tool.h"
#include "weights.h"

typedef struct sample_settings {
    fcl_sample_options sample;
    fcl_foreign_options foreign;
    fcl_image_options image; /* of encode's or decode's */
    const char *out, *encode, *decode, *mask, *label_column, *energy, *device;
    bool logp, json;
} sample_settings;

typedef struct sampling {
    const sample_settings *settings;
    bool limited; /* --n was given */
    fcl_checkpoint *checkpoint;
    const fcl_checkpoint_info *info; /* of the checkpoint */
    fcl_device *device;
    fcl_dataset *data;                    /* of --encode or --decode */
    fcl_dataset *mask_data;               /* of --mask */
    fcl_array *start, *samples, *density; /* density (n, 2): NULL without --logp */
    int32_t *start_label;                 /* (n) of the start, where that is data taken in turn; else NULL */
    fcl_array *mask;
    fcl_sample_stats stats;
    weights weights;      /* of --energy */
    bool rows_of_classes;   /* the picture has a row for each class */
    char fault[TOOL_FAULT]; /* what the program itself finds wrong; empty: nothing */
    char unfinished[512]; /* why some samples are; empty: none is */
} sampling;

/* sample_start.c */
bool sample_begins_with_data(const sample_settings *settings); /* whether --decode's file is data, and not noise */
int sample_start(sampling *work);
/* Of each sample of the start, where an explicit --label does not stand for the whole file; NULL: it has none. */
const int32_t *sample_start_labels(const sampling *work);

/* sample_write.c */
int64_t sample_count(const sampling *work);
bool sample_has_ending(const char *path, const char *ending);
bool sample_holds_arrays(const char *path);
/* Pictures that a file holds as bytes: those at the end of their way, not noise. */
bool sample_as_bytes(const sampling *work);
int sample_write(sampling *work);

/* sample_report.c: an exit status. */
int sample_report(const sampling *work);

#endif
