/* flowcl/classify.h: a judge of pictures: a small convolutional classifier, trained here, and the features that it sees.
 *
 *     fcl_classifier *judge = NULL;
 *     fcl_classify_options options = {.shift = 1};
 *     fcl_classifier_train(device, data, &options, NULL, "judge", &judge);      // or fcl_classifier_open(device, "judge", &judge)
 *     fcl_array *features;
 *     fcl_classifier_apply(judge, pictures, &features, NULL);                   // (n, FCL_FEATURES)
 *     fcl_distance_measure("frechet", features, of_the_data, NULL, &distance);  // eval.h
 *     fcl_classifier_close(&judge);
 *
 * The network, on pictures (H, W) or (C, H, W), channels last:
 *
 *     stages.i   convolution of 3 x 3, group norm of 8, relu; 32 channels, then 64, then 128; a mean of each 2 x 2 pixels
 *                behind it while a side is above 8; at least three stages
 *     features   linear, of all that is left, to FCL_FEATURES; relu
 *     last       linear, to the classes
 *
 * It is trained on pictures that are moved by a few pixels, with what stands at the border going on there, and mirrored,
 * as random bits of each step say (Philox, in the graph); by the cross entropy, AdamW and a schedule; and looked at on a
 * part of the data that is held out. The average of the weights that did best there is kept, the last of equals. */
#ifndef FLOWCL_CLASSIFY_H
#define FLOWCL_CLASSIFY_H

#include <flowcl/train.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FCL_FEATURES = 128 };

/* Random numbers: how a step's pictures are moved, (batch, 3); which part of the data is held out. */
enum { FCL_STREAM_AUGMENT = 24, FCL_STREAM_HELD_OUT = 25 };

/* Zero is the default (options.h). */
typedef struct fcl_classify_options {
    uint64_t seed;
    int64_t steps;
    int batch;         /* pictures a step */
    float lr;          /* falls with the cosine to 0 */
    float weight_decay;
    int shift;         /* pixels that a picture is moved by at most, each way; FCL_OFF */
    fcl_toggle mirror; /* left and right, every other time */
    float held_out;    /* share of the data that is not trained on, up to 10 000 of it */
    int64_t look_every; /* steps between looks at that; 0: a twentieth of all */
    int patience;      /* looks without one as good as the best after which it ends */
    bool resume;       /* go on in a folder where a training was stopped; of no other options */
} fcl_classify_options;

FCL_API extern const fcl_option fcl_classify_table[];

/* Whether the options can be used; zeros are defaults. FCL_ERR_ARGUMENT. */
FCL_API int fcl_classify_check(const fcl_classify_options *options);

/* Of a look. */
typedef struct fcl_classify_metrics {
    int64_t step;
    double loss, gradient_norm; /* means since the last look */
    double lr;
    double held_out_loss, accuracy; /* of the average of the weights, on what is held out */
    double best;                    /* the best accuracy so far, this one included */
    double seconds, samples_per_second;
} fcl_classify_metrics;

/* Before the first step. */
typedef struct fcl_classify_start {
    int64_t trained, held_out; /* pictures */
    int64_t parameters;
    int64_t first_step, steps;
} fcl_classify_start;

/* Any may be NULL; statuses other than FCL_OK end the training. */
typedef struct fcl_classify_hooks {
    void *data;
    int (*start)(void *data, const fcl_classify_start *start);
    void (*progress)(void *data, const fcl_train_progress *progress); /* a few times a second */
    int (*metrics)(void *data, const fcl_classify_metrics *metrics);  /* of each look */
    bool (*stop)(void *data);                                         /* asked after each step */
} fcl_classify_hooks;

typedef struct fcl_classifier fcl_classifier;

/* Trains and leaves "classifier.safetensors" in the folder `out`, which is made, and locked meanwhile; beside it, until it
 * is done, "training.safetensors", from which options.resume goes on. *classifier is the best one; it may be NULL.
 * FCL_ERR_ARGUMENT: no pictures, no labels, fewer than two classes or too few pictures; `out` holds a classifier already;
 * a resumed training has other options or other data. FCL_ERR_STOPPED: a hook asked for it; what was best so far is there. */
FCL_API int fcl_classifier_train(fcl_device *device, const fcl_dataset *data, const fcl_classify_options *options,
                                 const fcl_classify_hooks *hooks, const char *out, fcl_classifier **classifier);

typedef struct fcl_classifier_info {
    const char *path;
    fcl_shape picture;              /* (C, H, W), or (H, W) */
    int classes;
    const char *const *class_names; /* (classes); NULL: by their numbers */
    int64_t parameters;
    int64_t step;                   /* after which it was best */
    double accuracy;                /* then, on what was held out */
    int64_t held_out;               /* pictures that were */
    const char *data;               /* the name of what it was trained on */
    const char *content;            /* what that held, "60000 samples of (1, 28, 28), checksum 1a2b3c4d" */
    const char *config;             /* JSON object of fcl_classify_options */
    const fcl_normalisation *normalisation; /* of the data; pictures come in the data's units */
} fcl_classifier_info;

/* Opens a file, or a folder's "classifier.safetensors". `device` is borrowed until close. FCL_ERR_FILE; FCL_ERR_FORMAT:
 * damaged, or no classifier. */
FCL_API int fcl_classifier_open(fcl_device *device, const char *path, fcl_classifier **classifier);
FCL_API void fcl_classifier_close(fcl_classifier **classifier);
FCL_API const fcl_classifier_info *fcl_classifier_describe(const fcl_classifier *classifier);

/* pictures (n, ...) of as many numbers as its pictures, in the data's units: *features (n, FCL_FEATURES) and *label (n), the
 * likeliest class, released by fcl_free; each may be NULL. A picture's features do not depend on the others.
 * FCL_ERR_SHAPE; FCL_ERR_NUMERIC: a number of the pictures is not finite; FCL_ERR_STOPPED, see fcl_watch. */
FCL_API int fcl_classifier_apply(fcl_classifier *classifier, const fcl_array *pictures, fcl_array **features,
                                 int32_t **label);

#ifdef __cplusplus
}
#endif

#endif
