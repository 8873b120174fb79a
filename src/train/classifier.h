/* What a classifier of pictures is made of: its network (classifier_net.c), its file (classifier_file.c), its
 * training (classifier_train.c), and what it says of pictures (classifier.c). */
#ifndef TRAIN_CLASSIFIER_H
#define TRAIN_CLASSIFIER_H

#include <flowcl/classify.h>
#include <jansson.h>

/* Sides up to 2^MOST_STAGES times the largest that is not halved. */
enum { FCL_CLASSIFIER_STAGES = 12 };

typedef struct fcl_classifier_stage {
    fcl_layer_conv2d conv;
    fcl_layer_group_norm norm;
    bool halved;
} fcl_classifier_stage;

typedef struct fcl_classifier_net {
    int64_t channels, height, width;
    int stages;
    fcl_classifier_stage stage[FCL_CLASSIFIER_STAGES];
    fcl_layer_linear features, last;
} fcl_classifier_net;

/* Declares it for pictures of that shape. */
void fcl_classifier_declare(fcl_params *params, fcl_shape picture, int classes, fcl_classifier_net *net);
/* x (B, H, W, C) -> (B, FCL_FEATURES); these -> logits (B, classes). */
fcl_tensor *fcl_classifier_features(const fcl_classifier_net *net, fcl_tensor *const *weights, fcl_tensor *x);
fcl_tensor *fcl_classifier_logits(const fcl_classifier_net *net, fcl_tensor *const *weights,
                                  fcl_tensor *features);
/* x (B, C H W) as it lies in the data -> (B, H, W, C). */
fcl_tensor *fcl_classifier_turn(const fcl_classifier_net *net, fcl_tensor *x);
/* The same, each picture moved by up to `shift` pixels, and with `mirror` half of them mirrored. */
fcl_tensor *fcl_classifier_move(const fcl_classifier_net *net, fcl_tensor *x, int shift, bool mirror);

struct fcl_classifier {
    fcl_classifier_info info;
    fcl_device *device;
    char *path;
    fcl_params *params;
    fcl_classifier_net net;
    fcl_normalisation *normalisation;
    json_t *texts; /* holds what `info` points to */
    const char **class_name;
    fcl_buffer *weights, *own; /* looked at; `own`, where they are not someone else's */
    fcl_graph *graph;          /* NULL until it is asked for the first time */
    fcl_tensor *x, *features, *logits;
    int rows; /* of the graph */
};

/* Of what `info` says of picture, classes, class_names, data, content, config and normalisation, which are
 * copied; with `weights` of someone else, or NULL: its own. */
int fcl_classifier_make(fcl_device *device, const fcl_classifier_info *info, fcl_buffer *weights,
                        fcl_classifier **classifier);

/* Features (n, FCL_FEATURES) and logits (n, classes) of normalised pictures (n, C H W); either may be NULL.
 */
int fcl_classifier_run(fcl_classifier *classifier, const float *pictures, int64_t n, float *features,
                       float *logits);

/* In a folder: the classifier, and what its training goes on from. */
#define FCL_CLASSIFIER_FILE     "classifier.safetensors"
#define FCL_CLASSIFIER_TRAINING "training.safetensors"

/* The metadata's key that says whose file it is; its value is the version of the format. */
#define FCL_CLASSIFIER_FORMAT "flowcl_classifier"

/* The file: the weights, and as metadata what the info says. */
int fcl_classifier_save(const char *path, const fcl_classifier *classifier);
int fcl_classifier_load(fcl_device *device, const char *path, fcl_classifier **classifier);

#endif
