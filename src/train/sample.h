/* A model's flow, compiled for a number of rows and run on as many parts as wanted (sampler.c, sampler_run.c), and what is
 * made of it (sample.c). */
#ifndef TRAIN_SAMPLE_H
#define TRAIN_SAMPLE_H

#include "train/edit.h"

typedef struct fcl_sampler fcl_sampler;

enum {
    FCL_SAMPLER_BACKWARD = 1,
    FCL_SAMPLER_ENERGY = 2, /* rows have D + 1 numbers: the last, from 0 on, collects int |v|^2 dt */
    FCL_SAMPLER_DENSITY = 4, /* see fcl_sampler_collect; with neither energy nor times */
    FCL_SAMPLER_VELOCITY = 8 /* nothing is solved: a run puts each sample's velocity in its place, see fcl_sampler_at; alone */
};

/* What is sampled. The buffers outlive the sampler; their content may change. */
typedef struct fcl_sampled {
    const fcl_model *model;
    fcl_buffer *weights; /* in the layout of the model's parameters */
    const fcl_cfm_options *objective;
    fcl_buffer *energy_weight; /* (D) of fcl_energy_flow, or NULL */
    fcl_edit *edit;            /* what is kept of the samples (edit.h), or NULL */
} fcl_sampled;

/* `most` is how many rows will be asked for: the sampler takes them in equal parts. Its samples are normalised ones. */
int fcl_sampler_create(fcl_device *device, const fcl_sampled *of, const fcl_sample_options *options, unsigned flags,
                       int64_t most, fcl_sampler **sampler);
void fcl_sampler_destroy(fcl_sampler **sampler);

/* Builds the kernels that a first run would build; *seconds is the time since the sampler's making began. */
int fcl_sampler_prepare(fcl_sampler *sampler, double *seconds);

/* The solver that the options ask for. */
fcl_solver_options fcl_sampler_solver(const fcl_sample_options *options, unsigned flags);
/* options->times is "steps". */
bool fcl_sampler_each_step(const fcl_sample_options *options);

/* Where runs put the log density of each sample and its standard error: (n, 2). */
void fcl_sampler_collect(fcl_sampler *sampler, float *density);

/* At which times (n) runs ask for the velocity. */
void fcl_sampler_at(fcl_sampler *sampler, const float *t);

/* How many times options->times names, 0: none; and these. */
int fcl_sampler_times(const fcl_sampler *sampler);
const double *fcl_sampler_time_list(const fcl_sampler *sampler);

/* Moves x (n, D), or (n, D + 1) with energy, in place, and keeps the samples at each time in x_times (T, n,
 * D). `label` (n), looked at where the model has classes. `stats` may be NULL. FCL_ERR_NUMERIC: see fcl_sample. */
int fcl_sampler_run(fcl_sampler *sampler, float *x, const int32_t *label, int64_t n, float *x_times,
                    fcl_sample_stats *stats);

/* Moves the samples x of a checkpoint in place, by options that are checked, or puts those at all times
 * there; with FCL_SAMPLER_DENSITY into `density` (n, 2), too. `label` (n), or NULL: as the options say. On failure x is destroyed, unless samples are
 * only unfinished. */
int fcl_sample_run(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                   const int32_t *label, unsigned flags, fcl_array **x, fcl_array *density,
                   fcl_sample_stats *stats);
/* The same in normalised numbers, with an edit or NULL. */
int fcl_sample_move(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                    const int32_t *label, unsigned flags, fcl_edit *edit, fcl_array **x, fcl_array *density,
                    fcl_sample_stats *stats);
/* The weights, or their average, that the options name; the caller destroys the buffer, also where this fails. */
int fcl_sample_weights(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                       fcl_buffer **weights);
/* x0 (n, D) of the source that the options name, else of the one that the model was trained with. */
int fcl_sample_start(fcl_device *device, const fcl_checkpoint_info *info, const fcl_sample_options *options, float *x);
/* *label (n), released by free: those that are given, checked, or as the options say; NULL without classes. */
int fcl_sample_make_labels(const fcl_checkpoint_info *info, const fcl_sample_options *options,
                           const int32_t *given, int64_t n, int32_t **label);
/* A copy of x, checked to be samples of the model, and the same on all ranks. */
int fcl_sample_take(fcl_ranks *ranks, const fcl_checkpoint_info *info, const fcl_array *x, fcl_array **copy);

/* Whether there are samples: all of them, or some unfinished. */
static inline bool fcl_sample_is_there(int status)
{
    return status == FCL_OK || status == FCL_ERR_NUMERIC;
}

/* Zeros, (n, sample shape). */
int fcl_samples_create(fcl_shape sample, int64_t n, fcl_array **array);

#endif
