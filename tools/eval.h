/* What flowcl eval is made of: its options and run (eval.c), what is judged (eval_subjects.c), several averages of a model
 * (eval_averages.c), what that is held against (eval_data.c), its metrics (eval_metrics.c, eval_features.c), its output
 * (eval_report.c, eval_chart.c). Of several processes all compute together what a model is asked for, in the same order; the
 * first one alone measures, and tells. */
#ifndef EVAL_H
#define EVAL_H

#include "tool.h"

typedef struct eval_settings {
    fcl_sample_options sample;
    fcl_foreign_options foreign; /* of all models without our metadata */
    fcl_distance_options distance;
    const char *metrics, *chart, *label_column, *device;
    const char *features, *against; /* a classifier; "test" or "train" */
    fcl_image_options image; /* of DATA */
    uint64_t data_seed;
    fcl_toggle floor;
    int floor_draws;
    bool json;
} eval_settings;

/* What a classifier sees of pictures. */
typedef struct eval_seen {
    fcl_array *features;   /* (n, FCL_FEATURES) */
    int32_t *said, *label; /* (n) the class that it finds, and the one that they are of; label NULL: not known */
} eval_seen;

/* What is judged: samples, of a model or from a file. */
typedef struct eval_subject {
    const char *name;
    char *note;                 /* of a file's reader; NULL: nothing to say */
    fcl_checkpoint *checkpoint; /* NULL: a file */
    bool shared;                /* the checkpoint is that of the subject before */
    fcl_sample_options how;     /* of a model: which of its averages, and the settings' else */
    int group;                  /* of --ema all */
    const fcl_checkpoint_info *info;
    fcl_array *samples;        /* (n, ...) */
    fcl_sample_stats stats;    /* of sampling */
    fcl_array *start, *energy; /* see fcl_sample_energy; NULL until a metric asks for them */
    eval_seen seen;            /* where there is a classifier; label: the class that was asked for */
    double *nearest;           /* (nearest_count) distances to the nearest training picture; NULL until they are asked for */
    int64_t nearest_count;
    fcl_distance transport;    /* W2 of start and data; `how` empty until a metric asks for it */
} eval_subject;

/* Of a class of pictures, NAN what is not known. */
typedef struct eval_class {
    int64_t count; /* samples */
    double frechet, frechet_floor, accuracy, accuracy_floor;
} eval_class;

/* Against what. */
typedef struct evaluation {
    eval_settings *settings;
    fcl_device *device; /* NULL where no model is judged */
    fcl_dataset *data;
    const char *label_guess, *label_of_samples; /* what a label's column may be called in DATA and in SAMPLES;
                                                   NULL: nothing is known */
    fcl_shape like;              /* of a model's samples: what pictures of DATA shall be like */
    const char *background_guess; /* of the training's */
    bool all_averages;    /* --ema all */
    int32_t label;        /* the class that is judged; -1: all */
    fcl_array *reference; /* (as many as there are samples, where the data has so many, ...) */
    int32_t *labels;      /* of the reference; NULL: the data has none */
    fcl_array *pool;      /* data that the draws of the floor are taken from; NULL: no floor */
    fcl_classifier *classifier; /* NULL: no features */
    fcl_dataset *training;      /* what the test part `data` is beside of; NULL: `data` itself */
    eval_seen seen_reference, seen_floor;
    eval_class *of_class;   /* (data->classes) of the first subject; NULL: not told */
    char fault[TOOL_FAULT]; /* what the program itself finds wrong; empty: the library says it */
} evaluation;

typedef struct eval_value {
    double value;      /* NAN: there is none */
    double with_sign;  /* the value with the sign that its definition takes away, for people; else NAN */
    double bandwidth;  /* of a distance */
    double error;      /* standard error; NAN: none is known */
    int64_t points[2]; /* of a distance: taken of each set */
    double floor;      /* of what is no distance, the same of the reference; NAN: there is none */
    double at_floor;   /* of a distance: at the floor's points, where these are fewer; else NAN */
    char how[160];
} eval_value;

/* A row: a distance of the library's table between samples and data, which has a floor, or a property of the
 * model. */
typedef struct eval_metric {
    const char *name, *help;
    bool of_model;
    int (*measure)(evaluation *work, eval_subject *subject, eval_value *value); /* NULL: a distance */
    bool of_features; /* of a picture's features: measured where it is asked for, or these are there */
    bool needs_features; /* cannot be had without a classifier */
    bool asked;          /* only where it is named */
} eval_metric;

enum { EVAL_MOST_METRICS = 32, EVAL_MOST_SUBJECTS = 64 };

/* The metrics that settings.metrics names, by default all, those of models only where `models`. Returns how
 * many, or -1 with the sentence in fault. */
int eval_choose(evaluation *work, bool models, eval_metric chosen[EVAL_MOST_METRICS]);
/* Every metric, by index; false past the last. */
bool eval_metric_at(int index, eval_metric *metric);

int eval_measure(evaluation *work, const eval_metric *metric, eval_subject *subject, eval_value *value);
/* The same distance between draws of the data, at the points of `value`, the first of `count`. Where the data has
 * too few for that, each value is measured at the floor's points, too. A mean of NAN: there is no floor. */
int eval_measure_floor(evaluation *work, const eval_metric *metric, const eval_subject *subjects, int count,
                       eval_value *value, fcl_distance_mean *floor);

/* Opens the models among the subjects, and learns of them what DATA is to be like. */
int eval_open_models(evaluation *work, eval_subject *subjects, int count);
/* Draws a model's samples, or reads a file's: where `limited`, as many as --n says. */
int eval_prepare(evaluation *work, bool limited, eval_subject *subject);

/* `seeded`: --data-seed was given. */
int eval_open_data(evaluation *work, const char *name, bool seeded);
/* The data's labels are numbered as the models' classes, which have to be the same ones. */
int eval_match_classes(evaluation *work, const eval_subject *subjects, int count);
/* --label means the class of the samples and so of the data; none: samples of no class, beside all of the data. */
int eval_read_label(evaluation *work);
/* The reference: as many points as there are samples, or all; and the pool of the floor's draws. */
int eval_draw_data(evaluation *work, const char *name, int64_t samples);

/* Opens --features and what it makes of DATA: the reference is the test part, where there is one. */
int eval_open_features(evaluation *work, const char *data);
/* What samples are of that a model learned. */
const fcl_dataset *eval_training(const evaluation *work);
/* Features of the reference, of as many training pictures as the `most` samples of a subject, and of all subjects. */
int eval_see_all(evaluation *work, eval_subject *subjects, int count, int64_t most);
void eval_forget(eval_seen *seen);
/* The same distance of training pictures; a mean of NAN is left where there are none. */
int eval_feature_floor(evaluation *work, const eval_metric *metric, fcl_distance_mean *floor);
int eval_measure_accuracy(evaluation *work, eval_subject *subject, eval_value *value);
int eval_measure_nearest(evaluation *work, eval_subject *subject, eval_value *value);
int eval_measure_classes(evaluation *work, const eval_subject *subject);

/* With --ema all each model is a subject for each of its averages, and for its weights. Those of one decay, of all models,
 * are a group; the last is of the files. */
enum { EVAL_MOST_GROUPS = EVAL_MOST_SUBJECTS };

/* The results: values[metric][subject], and the floor of each metric. */
typedef struct eval_results {
    const evaluation *work;
    const eval_subject *subject;
    int subjects, metrics, groups; /* groups 0: without --ema all */
    const char *group[EVAL_MOST_GROUPS]; /* "0.999", or "weights" */
    eval_metric metric[EVAL_MOST_METRICS];
    eval_value value[EVAL_MOST_METRICS][EVAL_MOST_SUBJECTS];
    fcl_distance_mean floor[EVAL_MOST_METRICS];
} eval_results;

/* Of --ema all: puts a subject for each average of an opened model, and one for its weights, in the place of the model. */
int eval_spread(evaluation *work, eval_subject *subjects, eval_results *results);

/* FCL_OK where no picture is wanted, or it can be written. */
int eval_check_chart(evaluation *work);
int eval_draw_chart(evaluation *work, const eval_subject *subject);

void eval_print_table(const eval_results *results);
int eval_print_json(const eval_results *results);

#endif
