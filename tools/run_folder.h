/* The folder of a training: what the program writes into it beside the library's checkpoints.
 *
 *     config.yaml             the effective configuration
 *     metrics.jsonl           a JSON object a line: step, loss, gradient_norm, lr, samples_per_second,
 * seconds samples-0000001000.png    samples of the model at that step (.npy where they cannot be drawn)
 *     loss.png                the loss over the steps, where charts are built in */
#ifndef RUN_FOLDER_H
#define RUN_FOLDER_H

#include <flowcl/flowcl.h>
#include <stdio.h>

typedef struct run_folder {
    const char *path; /* made by the library before the first step */
    FILE *metrics;
    double *step, *loss; /* every row of the metrics, for the chart */
    int64_t count;
    char failure[1024]; /* the sentence, where a function returned false */
} run_folder;

bool run_folder_write_config(run_folder *folder, const fcl_options *options);
/* Opens the metrics; of an earlier part of the run, the rows up to `first_step` stay. */
bool run_folder_begin(run_folder *folder, int64_t first_step);
bool run_folder_add_metrics(run_folder *folder, const fcl_train_metrics *metrics);
/* `reference`: points of the data under the picture, or NULL. */
bool run_folder_add_samples(run_folder *folder, int64_t step, const fcl_array *samples,
                            const fcl_array *reference);
bool run_folder_draw_loss(run_folder *folder);
void run_folder_close(run_folder *folder);

#endif
