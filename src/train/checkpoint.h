/* What a checkpoint holds of a run, and how it gets into a file and out again. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include "base/memory.h"
#include "learn/states.h"

#include <flowcl/train.h>
#include <jansson.h>

/* Looked into by who reads files: checkpoint.c, foreign.c. */
struct fcl_checkpoint {
    fcl_checkpoint_info info;
    char *path;
    uint8_t *bytes;
    size_t size;
    fcl_safetensors file;
    fcl_options *bound; /* owns the texts of `options` */
    fcl_train_options options;
    fcl_averages averages; /* those that the file has */
    fcl_decay_text average_text[FCL_AVERAGES];
    const char *average_name[FCL_AVERAGES]; /* what info.averages points to */
    fcl_model *model;
    int64_t *class_counts;
    fcl_normalisation *normalisation;
    json_t *class_names; /* holds the texts that info.class_names points to */
    const char **class_name;
    fcl_checkpoint_tensor *tensors;
    fcl_arena strings;   /* of a foreign file: texts of `info`, names of tensors */
    const char *halved;  /* of a foreign file: tensors that are taken by half; NULL: none */
    fcl_array **numbers; /* of a foreign file: its tensors, converted */
};

/* The metadata's key that says whose file it is, and the version that is written and read. */
#define FCL_CHECKPOINT_FORMAT  "flowcl_format"
#define FCL_CHECKPOINT_VERSION "1"

/* The name of the caller's model that it is of; not there: of one of the table. */
#define FCL_CHECKPOINT_OWN_MODEL "own_model"

/* The least alpha at which an eps- or score-prediction was trained; files without it are of the time when it was
 * FCL_CHECKPOINT_OLD_ALPHA. */
#define FCL_CHECKPOINT_ALPHA     "least_alpha"
#define FCL_CHECKPOINT_OLD_ALPHA 0.01f

/* fcl_metadata_sum over what a checkpoint says. */
fcl_sum_text fcl_checkpoint_sum(uint32_t data_sum, const json_t *metadata);

typedef struct fcl_snapshot {
    const fcl_train_options *options;
    const char *data_content, *source_content, *condition_content; /* as fcl_fingerprint tells; or NULL */
    const fcl_model *model;
    const char *device;
    int64_t step;
    const int64_t *class_counts;            /* of each of the model's classes; NULL: not known */
    const char *const *class_names;         /* of the same; NULL: they are numbers */
    const fcl_normalisation *normalisation; /* of the data; NULL: not known */
    fcl_buffer *state[FCL_ALL_STATES]; /* averages, options->ema of them, may be NULL */
} fcl_snapshot;

/* Reads the buffers from the device and writes the file. FCL_ERR_NUMERIC where a number is not finite: such a
 * checkpoint is never written. */
int fcl_checkpoint_save(const char *path, const fcl_snapshot *snapshot);

/* fcl_checkpoint_open_with of a file's content: copied, then trusted in nothing. */
int fcl_checkpoint_parse(const uint8_t *bytes, size_t size, const fcl_foreign_options *foreign,
                         fcl_checkpoint **checkpoint);

/* Weights for a training that begins with them: of a checkpoint, whatever its options are, or of a foreign file, which
 * is taken as weights of `model`, which options made. `names`: see fcl_foreign_options. */
int fcl_checkpoint_open_for(const char *path, const char *names, const fcl_train_options *options,
                            const fcl_model *model, fcl_checkpoint **checkpoint);

/* Tells of checkpoint->averages in its info. */
void fcl_checkpoint_tell_averages(fcl_checkpoint *checkpoint);

/* Of a parsed file without our metadata (foreign.c): fills in all the rest by the configuration; and, with the model
 * there already, its tensors alone. */
int fcl_foreign_read(fcl_checkpoint *checkpoint, const fcl_foreign_options *foreign);
int fcl_foreign_take(fcl_checkpoint *checkpoint, const char *names);

/* Writes one of the checkpoint's flat buffers to the device. */
int fcl_checkpoint_load(const fcl_checkpoint *checkpoint, fcl_state state, fcl_buffer *flat);

#endif
