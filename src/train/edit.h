/* Samples that begin with data: gone on with from some time of the path (edit.c), and of which a part is kept, which the
 * network sees in its place on the path (known.c). */
#ifndef TRAIN_EDIT_H
#define TRAIN_EDIT_H

#include <flowcl/train.h>

typedef struct fcl_edit {
    fcl_path *trained, *sampled; /* sampled NULL: along the trained one */
    const char *prediction;      /* NULL: "v" */
    int64_t n, size;
    float *data, *noise; /* (n, size) x1 and x0, normalised */
    float *mask;         /* (n, size) 1: painted anew, 0: kept; NULL: all are painted anew */
    double last;         /* the last time that is kept of the samples */
} fcl_edit;

/* Whether options ask for it; and, of those that are not for fcl_transport forward, that they do not. */
bool fcl_edit_is_asked(const fcl_sample_options *options);
int fcl_edit_refuse(const fcl_sample_options *options);
/* Ranges, whatever the model is. */
int fcl_edit_check(const fcl_sample_options *options);

/* fcl_transport of checked options. */
int fcl_edit_run(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options, const fcl_array *x,
                 const int32_t *label, fcl_array **result, fcl_sample_stats *stats);

/* Puts what is kept into its place on the path, in x (count, n, size), which are the samples at these times. */
void fcl_edit_keep(fcl_edit *edit, int count, const double *times, float *x);

/* --- known.c: for a sampler of `rows` rows at once --- */

typedef struct fcl_known fcl_known;

int fcl_known_create(fcl_device *device, const fcl_edit *edit, int64_t rows, fcl_known **known);
void fcl_known_destroy(fcl_known **known);
/* Before the rows from `first` on are solved; missing ones are copies of the last. */
int fcl_known_write(fcl_known *known, int64_t first, int64_t count);
/* x (B, D) with what is kept at its place at the time t of the trained path; and the network's answer there, with the one
 * that leads along the path in its place. */
fcl_tensor *fcl_known_put(fcl_known *known, const fcl_velocity_inputs *in);
fcl_tensor *fcl_known_answer(fcl_known *known, fcl_tensor *answer, fcl_tensor *t);

#endif
