/* The folder of a training: what the program writes into it beside the library's checkpoints.
 *
 *     config.yaml             the effective configuration
 *     metrics.jsonl           a JSON object a line: step, loss, gradient_norm, lr, samples_per_second, seconds
 *     samples-0000001000.png  samples of the model at that step (.npy where they cannot be drawn)
 *     history.png             these of some steps, in one picture
 *     loss.png                loss, held-out loss, gradient's norm and rate over the steps, where charts are built in
 *
 * The library has locked it. A function that returns false leaves the sentence in `failure`; the training need not end
 * by it. */
#ifndef RUN_FOLDER_H
#define RUN_FOLDER_H

#include <flowcl/flowcl.h>
#include <jansson.h>

/* What the chart shows of a row of the metrics. */
enum { SHOWN_STEP, SHOWN_LOSS, SHOWN_HELD_OUT_LOSS, SHOWN_GRADIENT_NORM, SHOWN_LR, SHOWN };

typedef struct run_folder {
    const char *path; /* made by the library before the first step */
    int metrics;      /* descriptor; 0: not open */
    char *rows;       /* of the metrics that are not written yet, as the disk was full */
    size_t rows_size;
    double *shown[SHOWN]; /* of every row of the metrics; NaN: it has none */
    int64_t count, drawn; /* rows; in the last chart */
    double clip;          /* the norm that gradients are clipped to; 0: they are not */
    char failure[4096]; /* the sentence, where a function returned false */
} run_folder;

/* A config.yaml that flowcl did not write, or that was read as `config` (NULL: none was), is the person's: it stays, and
 * *kept is true. */
bool run_folder_write_config(run_folder *folder, const fcl_options *options, const char *config, bool *kept);
/* Opens the metrics; of an earlier part of the run, the whole rows up to `first_step` stay. */
bool run_folder_begin(run_folder *folder, int64_t first_step);
/* A row that cannot be written is written with the next one. */
bool run_folder_add_metrics(run_folder *folder, const fcl_train_metrics *metrics);
/* The same of any row that has a step; it is released. */
bool run_folder_add_row(run_folder *folder, json_t *row);
/* Numbers that are not finite are written beside the picture. False where there is no picture; the sentence says
 * whether the numbers are there. */
bool run_folder_add_samples(run_folder *folder, int64_t step, const fcl_array *samples,
                            const fcl_picture_options *picture);
/* Whether samples of that step are there, drawn or as numbers. */
bool run_folder_has_samples(const run_folder *folder, int64_t step);
/* Puts the pictures of some steps up to `step` onto an empty sheet. False where one was left out. */
bool run_folder_gather_history(run_folder *folder, fcl_history *history, int64_t step);
/* Draws them as history.png, where there are any. */
bool run_folder_draw_history(run_folder *folder, const fcl_history *history);
/* Draws the chart where rows have come since the last one. */
bool run_folder_draw_loss(run_folder *folder);
void run_folder_close(run_folder *folder);

/* --- for its own files --- */

/* Leaves the sentence; false. */
bool run_folder_fail(run_folder *folder, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "FOLDER/NAME", released by free. */
char *run_folder_file(const run_folder *folder, const char *name);

#endif
