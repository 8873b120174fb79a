/* flowcl/train.h: training, checkpoints, samples of a trained model.
 *
 *     fcl_train_options options = {.data = "moons", .out = "run"};
 *     if (fcl_train(&options, NULL) != FCL_OK)
 *         return fprintf(stderr, "%s\n", fcl_error()), 1;
 *
 *     fcl_checkpoint *checkpoint = NULL;
 *     fcl_array *samples = NULL;
 *     fcl_sample_options how = {.n = 2000};
 *     fcl_checkpoint_open("run", &checkpoint);                    // a file, or a folder: its newest
 *     fcl_sample(device, checkpoint, &how, &samples, NULL);       // (2000, 2)
 *
 * A step of training: indices of a batch, its rows, noise and times, the point and target of the path, the
 * model's velocity, the loss, its gradient, AdamW with EMA. All of it is enqueued, nothing is waited for,
 * allocated or compiled. Losses stay on the device and are read every so many steps.
 * Every random number is counted by (seed, stream, step, element): a resumed run continues bit for bit as if
 * it had never stopped, on the same device. */
#ifndef FLOWCL_TRAIN_H
#define FLOWCL_TRAIN_H

#include <flowcl/data.h>
#include <flowcl/flow.h>
#include <flowcl/learn.h>
#include <flowcl/nn.h>
#include <flowcl/normalise.h>
#include <flowcl/ranks.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Further streams of random numbers, beside those of flow.h and learn.h. */
enum fcl_stream {
    FCL_STREAM_BATCH = 1,         /* the order of the data */
    FCL_STREAM_SAMPLE = 16,       /* x0 (n, D) in sampling: normal; the order of the source's samples */
    FCL_STREAM_SOURCE_BATCH = 17, /* the order of the source's samples */
    FCL_STREAM_LABEL_DROP = 18,   /* (B): uniform; which rows are told no class */
    FCL_STREAM_MIRROR = 19,       /* (B, 1): uniform; which pictures are mirrored */
    FCL_STREAM_SPLIT = 20         /* a permutation of the data, whose first samples are held out */
};

/* --- options --- */

typedef struct fcl_train_options {
    const char *data;   /* a built-in data set's name, or a path; required by fcl_train. Where data are handed over
                           (fcl_trainer_create), their name for the checkpoint; NULL: fcl_dataset.name */
    int64_t data_count; /* samples to use; 0: all of a file, FCL_TOY_COUNT of a generated set */
    double held_out;    /* of these, a share below 1, rounded, at least one, or a number: samples that are never trained on.
                           Which, the seed and their number in the data say. Every held_out_every steps the objective is
                           computed on them, with the first average, or the weights where there is none, by the same noise
                           and times each time, without dropout, mirrors or dropped labels: fcl_trainer_held_out_loss, which is
                           not interrupted.
                           class_counts are of the others, `normalise` looks at all. 0: none. A resumed run's is the same;
                           with data_changed it is drawn anew of the other data */
    const char *normalise; /* what the model sees of the data's numbers: see normalise.h; NULL: "auto" */
    const char *range;     /* of pictures, black and white: "0,255"; NULL: as they are recognised */
    const char *source; /* of x0: "normal", which is N(0, I); or a set like `data`, in an order of its own */
    const char *out;    /* folder for checkpoints, which holds none yet unless `resume`; NULL: none is written */
    const char *device; /* NULL: see fcl_device_open */
    bool resume;        /* go on from the newest checkpoint in `out`; without any, begin. Data, source and condition are
                           known by their content, wherever they lie: others are refused */
    bool data_changed;  /* unless this is set: the resumed run goes on with other data of the same shape */
    const char *init;   /* begin with these weights, and the averages beside them: a checkpoint, a folder, or a file of
                           another program (fcl_checkpoint_open_with), of which this configuration says what it is. NULL:
                           with random ones. Not looked at where a run is resumed */
    const char *names;  /* of the tensors of `init`, see fcl_foreign_options */
    uint64_t seed;
    int64_t steps;
    int batch;      /* samples a step */
    fcl_ranks *ranks;  /* train together, borrowed: each takes its share of every batch, whose random numbers are those of its
                          place in the whole batch, and all take the same step by the sum of their gradients: N ranks, where N divides the batch, what one
                          does with accumulate N. Rank 0 writes, and of the hooks the others call stop alone.
                          NULL: alone */
    /* Of a batch, by rank: "2:1" where the first is as fast as two of the second; "equal": as many each; "measured": when it is
     * made, a trainer of ranks trains the model for half a second, or three steps, on all of them at the same time, each with as
     * many rows of the data as an equal share has (paired, if they are, on their own), and their shares are what they did in a
     * second. NULL: measured where devices are unlike, else equal. What was measured is told (fcl_train_start.measured), and
     * as `share` repeats the run bit for bit. It is no part of a run: one that is resumed is measured anew. */
    const char *share;
    const char *buckets; /* "yes", "no", "auto": whether pieces of the gradient are summed while others are still computed, see
                            fcl_learner_options. No bit depends on it */
    int accumulate; /* in so many parts, one after the other: less memory, the same numbers up to rounding */
    bool recompute; /* of each of the model's blocks (fcl_block_begin) what it reads alone is kept, and the rest computed again
                       for the gradient: less memory, a third more work, the same numbers up to rounding */
    fcl_model_options model; /* of the table, or the caller's: model.own, borrowed while it is trained. None chosen: that of the
                                data, fcl_model_for */
    bool labels; /* the model is told each sample's class */
    float label_drop; /* with `labels`, below 1: the share of rows, drawn anew each step, that are told no class, so that one
                         network knows both velocities (Ho, Salimans 2022): what fcl_sample_options.guidance asks for. Above
                         0 it sets model.null_label; the caller's is not looked at */
    const char *label_column; /* of the data, see fcl_dataset_options */
    fcl_image_options image;  /* of a folder of pictures, see data.h */
    bool hflip; /* each picture of a batch is mirrored, left to right, with probability 1/2. What is learned then knows no
                   left and right; not for writing and its like */

    fcl_cfm_options objective; /* path, coupling, time law, loss, sigma: see flow.h */
    /* Of couplings that pair by cost. With labels, pairs do not cross classes; `condition`, or NULL, is a set of as many
     * samples as the data, and condition_weight (0: 1) times the squared distance of two of them is added to a pair's
     * cost (Cheng et al. 2025). FCL_OFF: pairs may cross classes. The model is not told the conditions, and
     * they are not normalised. */
    const char *condition;
    float condition_weight;
    int coupling_batch; /* rows that are paired at once, a multiple of batch; 0: batch */
    bool coupling_across_ranks; /* pairs are sought among the rows of all ranks, by each of them, as one alone would; else
                                   among its own: paths about a hundredth longer, and several times faster for "ot"
                                   (PERFORMANCE.md, Ranks) */

    /* Defaults of batch, lr, schedule, beta2, clip and ema are the model's (fcl_model_row.training), or else the learner's. */
    float lr;
    const char *schedule; /* "constant", "warmup", "cosine" */
    int64_t warmup; /* steps of linear warm-up; 0: none, except for "warmup", where it is a tenth of steps */
    float weight_decay, beta1, beta2, epsilon;
    float clip; /* largest global norm of the gradient; FCL_OFF */
    const char *ema; /* decays of the averaged weights, see fcl_learner_options: "0.999,0.9999"; "off". Samples while it
                        trains are those of the first */

    const char *on_nan; /* "stop", and what broke is named, or "skip", see fcl_learner_skipped; of a resumed run "in a row"
                           begins anew */

    int64_t metrics_every, samples_every, checkpoint_every; /* steps; the last two FCL_OFF or 0: default */
    int64_t held_out_every;                                 /* steps; 0: 1000 */
    int keep;                                               /* checkpoints that stay in `out` */
    bool check;                                             /* look at each tensor of each step; slow */
    bool profile;                                           /* measure each kernel; slows launches */
    /* Where the data are. On the device, where they fit there. In the host's memory, from where a thread sends each step's
     * rows while the device works on the step before, where they do not, or `stream_data` says so. On the disk, where they
     * are more than a quarter of the machine's memory, or `from_disk` says so (with pictures of a folder `stream_data`,
     * too): pictures of a folder, a .npy file, or a folder of these; other files are always in memory. Steps, losses and
     * checkpoints are the same bit for bit wherever they are, if `shuffle` is. */
    bool stream_data, from_disk;
    /* The order of the samples: "whole", where each epoch is a permutation of all; or "blocks": of .npy data on the disk,
     * random rows would be a read each. Blocks of 1 MiB (or a sample) are permuted, and then the samples of each 32 of them;
     * of samples above 1 MiB, of as many as 32 MiB hold, at least 2. Threads read the blocks of the next 32 while the samples
     * of these are taken, and no more than these 68 are in memory. NULL: "auto", blocks where .npy data stay on the disk; a
     * resumed run has the order that it began with, and sources are in the same kind of order. Where it is "blocks" data are
     * not kept on the device.
     * Lost is this: the samples of a stretch of steps are of 32 places of the file. Of data in a random order nothing is; of
     * sorted data a class of share p has in these steps a share that is off by sqrt(p (1 - p)/32) in the mean square, 5 %
     * where 10 classes are equal; and what is beside each other in the file tends to come in the same steps in each epoch.
     * numpy.random.default_rng().shuffle(x) before saving leaves nothing of either. */
    const char *shuffle;
} fcl_train_options;

/* Adds the rows of training and of its model to a program's options. Files of them, documented each, are the presets of
 * `flowcl train --preset`: fcl_options_read_preset(options, "/usr/local/share/flowcl/presets/fashion-mnist-unet.yaml"). */
FCL_API int fcl_train_options_bind(fcl_options *options, fcl_train_options *train);
/* Whether a training with these options can begin, as far as options alone say; zeros are defaults. */
FCL_API int fcl_train_options_check(const fcl_train_options *train);

/* The learning rate of a step (0, 1, ...): fcl_learner_rate of the learner's part of these options. */
FCL_API double fcl_schedule_rate(const fcl_train_options *options, int64_t step);

/* --- hooks: what the caller wants to see; any may be NULL --- */

/* What a training takes on the device, in bytes, known before the first step. */
typedef struct fcl_train_memory {
    uint64_t weights, gradients, moments, average; /* average: all of them */
    uint64_t activations; /* values between the step's kernels, those at one place counted once */
    uint64_t data;        /* the data set, or two blocks of it on their way; batches, pairs, what else a step needs */
    uint64_t samples;     /* the solver that draws them for `sampled`, and their noise; 0: none are drawn */
    uint64_t total;       /* their sum */
    uint64_t pinned;      /* of the host's memory: from where the driver copies blocks, and a gradient to and fro */
    uint64_t read_ahead;  /* of the host's memory: blocks of files, see `shuffle` */
} fcl_train_memory;

/* One of the processes that train together. */
typedef struct fcl_train_rank {
    char host[64], device[320]; /* the machine's name, and the device's with its number */
    int rows;                   /* of a batch */
} fcl_train_rank;

/* Before the first step. */
typedef struct fcl_train_start {
    const fcl_device_info *device;
    const fcl_train_rank *ranks; /* (rank_count) in their order; none: it trains alone */
    int rank_count;
    const fcl_dataset *data;
    int64_t held_out;            /* samples of data that are never trained on */
    const int64_t *class_counts; /* (data->classes) of each of those that are; NULL: without labels */
    const fcl_normalisation *normalisation;
    int64_t parameters;
    fcl_train_memory memory;
    int64_t first_step; /* 0, or where a resumed run goes on */
    int64_t steps;
    int64_t samples; /* that fcl_train_hooks.sampled is handed; 0: it is not called */
    bool data_on_device;
    const char *resumed;              /* path of the checkpoint, or NULL */
    const char *measured;             /* options->share, where it was measured: "2.13:1"; else NULL */
    const char *begun_with;           /* what options.init's weights are, in words; NULL: random ones, or a resumed run */
    const char *came_from;            /* the device it was trained on, where that is another; else NULL */
    const fcl_train_options *options; /* with every default filled in */
} fcl_train_start;

/* Now and then, a few times a second, and at each tenth of the way. */
typedef struct fcl_train_progress {
    int64_t step, steps; /* done, of */
    double loss;         /* mean of the last steps, about one interval of metrics */
    double held_out_loss; /* as it was last measured; NaN: not yet */
    double samples_per_second, seconds, seconds_left;
    int64_t skipped; /* steps since the training started, with options.on_nan = "skip" */
} fcl_train_progress;

/* Entropic plans, in the mean over `count` of them; none with other couplings. */
typedef struct fcl_train_plans {
    int64_t count;
    int64_t open;      /* of them, those that did not converge within coupling-iterations */
    double iterations;
    double change;     /* their error (see fcl_sinkhorn): the share of the mass in the wrong place */
    double mass;       /* of the plan: 1 where nothing is left out */
} fcl_train_plans;

/* Every metrics_every steps, where the held-out loss is measured, and at the end. */
typedef struct fcl_train_metrics {
    int64_t step;         /* steps done */
    double loss;          /* mean since the last row, of steps that were not skipped; NaN where all were */
    double gradient_norm; /* the same, before clipping */
    int64_t skipped;      /* steps since the training started, with options.on_nan = "skip" */
    double lr;            /* of the last step */
    double held_out_loss; /* on options.held_out, after this step; NaN where it was not measured */
    double seconds;       /* since the training started */
    double samples_per_second;
    fcl_train_plans plans; /* since the last row, of a coupling that draws from an entropic plan */
} fcl_train_metrics;

/* A hook that returns a status other than FCL_OK ends the training; its state is saved first, where there is a folder. */
typedef struct fcl_train_hooks {
    void *data;               /* handed to each hook */
    bool (*stop)(void *data); /* asked after each step: true finishes, saves, returns FCL_ERR_STOPPED */
    int (*start)(void *data, const fcl_train_start *start);
    void (*progress)(void *data, const fcl_train_progress *progress);
    int (*metrics)(void *data, const fcl_train_metrics *metrics);
    int (*checkpoint)(void *data, int64_t step, const char *path); /* one was written */
    /* Every samples_every steps, and at the end: samples of the model as it is, `samples` of them, whose noise and classes
     * are the same each time, of a resumed run, too; 0: none, FCL_SAMPLES_OF_A_PICTURE: as many as make a good picture of
     * this data, 64 pictures or 2000 points. */
    int samples;
#define FCL_SAMPLES_OF_A_PICTURE (-1)
    int (*sampled)(void *data, int64_t step, const fcl_array *samples); /* not all finite where the model fails: told */
    /* Asked when a run is resumed at a step that has samples: false draws them now, as the run before went down between
     * its checkpoint and them. NULL: they are there. */
    bool (*has_samples)(void *data, int64_t step);
    /* What the caller should know and the training survives: samples that cannot be drawn, a checkpoint that cannot be
     * written, a file system without locks, a rate that jumps, the first step that is skipped. Each kind once; a checkpoint
     * again after one was written. */
    void (*warning)(void *data, const char *sentence);
    int (*finish)(void *data, fcl_device *device); /* after the last step, device still open: profile */
} fcl_train_hooks;

/* Opens device and data, trains, writes checkpoints, closes. `hooks` may be NULL. The folder `out` is locked meanwhile:
 * FCL_ERR_FILE names the process that trains into it already. A checkpoint that cannot be written (a full disk) leaves
 * the one before as it is, and the training goes on to the next; the last one must succeed, else FCL_ERR_FILE. A run
 * that has done its steps already is FCL_OK, and nothing is trained.
 * FCL_ERR_STOPPED: a hook asked for it; the checkpoint is written and the message says so.
 * FCL_ERR_NUMERIC: the loss or the gradient became NaN or infinite; the message says at which step and, after that step was
 * computed once more, kernel by kernel, which tensor broke first and by which sample, of ranks also on which of them;
 * nothing of it is saved.
 * FCL_ERR_ARGUMENT: an option is not usable, or a resumed run differs in what cannot change. */
FCL_API int fcl_train(const fcl_train_options *options, const fcl_train_hooks *hooks);

/* --- the trainer under it, for programs that hold device and data themselves --- */

typedef struct fcl_trainer fcl_trainer;

/* Builds and compiles everything. `device` and `data` are borrowed until destroy; options are copied. Data of your own
 * come from fcl_dataset_from (data.h). Ranks make theirs together: options.share.
 * FCL_ERR_MEMORY: it does not fit on the device, and nothing was trained. The message says how much it needs, counted by
 * building it without memory (of ranks that share a device, all of them), how much there is, the largest batch that fits, and
 * whether accumulate or recompute make it fit; each was built in the same way. */
FCL_API int fcl_trainer_create(fcl_device *device, const fcl_dataset *data, const fcl_train_options *options,
                               fcl_trainer **trainer);
FCL_API void fcl_trainer_destroy(fcl_trainer **trainer);
/* Takes up weights, averages, moments and step of a checkpoint; which averages go on, see fcl_learners_load.
 * FCL_ERR_ARGUMENT where its configuration differs in what cannot change (the message names it). */
FCL_API int fcl_trainer_resume(fcl_trainer *trainer, const char *path);
/* Takes up the weights of a file, and the averages that it has, and no more: what options.init and options.names ask of
 * fcl_train. FCL_ERR_ARGUMENT where they are of another model; of weights of another program as
 * fcl_checkpoint_open_with. */
FCL_API int fcl_trainer_init(fcl_trainer *trainer, const char *path, const char *names);
FCL_API int fcl_trainer_step(fcl_trainer *trainer);            /* enqueues one step */
FCL_API int64_t fcl_trainer_steps(const fcl_trainer *trainer); /* done so far */
/* Waits; the mean loss of the steps since the last call, FCL_ERR_NUMERIC where one was not finite: ranks look for what broke
 * together, and so call this, or save, together where steps have been taken since. */
FCL_API int fcl_trainer_loss(fcl_trainer *trainer, double *loss);
/* Waits; the objective on what is held out, after the steps so far: see fcl_train_options. FCL_ERR_ARGUMENT where nothing
 * is. */
FCL_API int fcl_trainer_held_out_loss(fcl_trainer *trainer, double *loss);
FCL_API int fcl_trainer_save(fcl_trainer *trainer, const char *path);
/* Trains until options.steps, with hooks and checkpoints; the folder options.out is locked meanwhile, as by fcl_train. */
FCL_API int fcl_trainer_run(fcl_trainer *trainer, const fcl_train_hooks *hooks);
/* Of the graph of a step, or of each of its parts where options.accumulate says so. */
FCL_API fcl_graph_stats fcl_trainer_describe(const fcl_trainer *trainer);
/* The network, which sees normalised numbers. */
FCL_API const fcl_model *fcl_trainer_model(const fcl_trainer *trainer);
/* The flat buffers, in the layout of the model's fcl_params. */
FCL_API fcl_buffer *fcl_trainer_weights(fcl_trainer *trainer);
FCL_API fcl_buffer *fcl_trainer_ema(fcl_trainer *trainer); /* the first average; NULL where there is none */
FCL_API fcl_buffer *fcl_trainer_average(fcl_trainer *trainer, int index); /* in the order of options.ema; NULL past the last */

/* --- checkpoints: one safetensors file ---
 *
 * Weights stand under their plain names, so that PyTorch loads them by
 * model.load_state_dict(safetensors.torch.load_file(path), strict=False); beside them "ema.NAME",
 * "adam.m.NAME" and "adam.v.NAME", and averages after the first as "ema.0.9999.NAME", with their decay. The metadata
 * holds the whole configuration as JSON, step, seed, sample shape, classes, their names and how many samples each had,
 * what the data were normalised by, the versions of format and library, and the device. */
typedef struct fcl_checkpoint fcl_checkpoint;

typedef struct fcl_checkpoint_tensor {
    const char *name;
    fcl_shape shape;
} fcl_checkpoint_tensor;

typedef struct fcl_checkpoint_info {
    const char *path;
    int64_t step;
    uint64_t seed;
    int64_t parameters; /* trained numbers */
    fcl_shape sample;   /* shape of one sample */
    int classes;        /* 0: no labels */
    const char *const *class_names; /* (classes) what they are called in the training's data; NULL: by their numbers */
    const int64_t *class_counts; /* (classes) samples of each in the training's data; NULL: not known, taken as equal */
    const fcl_normalisation *normalisation; /* of the training's data; none in checkpoints that do not know it */
    bool has_ema;
    int average_count; /* averages of the weights that it has */
    const char *const *averages; /* (average_count) their decays, the shortest decimals: "0.999"; "unknown" of another
                                    program's */
    bool pictures;       /* samples have the shape of pictures; normalisation says what is black and white */
    const char *config;  /* JSON object of fcl_train_options */
    const char *library; /* version that wrote it; NULL of foreign weights */
    const char *device;  /* that it was trained on; NULL of foreign weights */
    const char *foreign; /* of weights of another program: how they were taken, in words; NULL: a checkpoint of ours */
    /* What the training's data, source and condition held, "300 samples of (2,), checksum 1a2b3c4d"; NULL where there was
     * none, and all three in a checkpoint that does not tell, as earlier ones. */
    const char *data_content, *source_content, *condition_content;
    int tensor_count;    /* all of them: weights, averages, moments */
    const fcl_checkpoint_tensor *tensors;
    const fcl_train_options *options; /* the configuration, read */
    const fcl_model *model; /* sees normalised numbers */
} fcl_checkpoint_info;

/* Weights of another program: a safetensors file without our metadata, such as safetensors.torch.save_file makes of a
 * state dict. What else a checkpoint says is taken from a configuration. */
typedef struct fcl_foreign_options {
    const char *config; /* YAML file of fcl_train_options, what train's --config reads. Of `data`, where it names them,
                           samples have the shape, the classes and the normalisation that a training would give them.
                           Without `data` the shape is (D), D and the number of classes (with label_drop one less than
                           labels) follow from the weights, and `normalise` is "off", as "auto" is here, or numbers */
    const char *names;  /* YAML file of lines "layers.0.weight: net.0.weight", our name of a tensor (nn.h) and the
                           file's; what is not in it has our name. NULL: see below */
    const fcl_model_row *own; /* the caller's model (nn.h) that the file is of, of another program or a checkpoint of ours;
                                 borrowed until close. NULL: one of the table. No row of the options */
} fcl_foreign_options;

FCL_API extern const fcl_option fcl_foreign_table[];

/* The same as fcl_checkpoint_open; `foreign` says what a file is that has no metadata of ours, and but for `own` is not
 * looked at where a file has them. Its tensors are found
 *     by our names, where all are there: also averages ("ema.NAME"), as of a checkpoint without its metadata;
 *     by order, else: layers, which are tensors that share what stands before the last point of their names, with
 *         the same shapes are taken in the order of the numbers in their names ("net.2", "net.10", "module.net.12"), if
 *         their names differ in nothing else and there are as many as the model has. A label's embedding and the
 *         frequencies of time are known by their shapes;
 *     or as `names` says, which may leave tensors of the file aside.
 * F16, BF16 and F64 become F32, to the nearest. info.foreign tells how names were matched and which types were turned.
 * FCL_ERR_FORMAT lists every tensor that is missing, has another shape, or is left over; also a type that is none of
 * these, a number that is not finite, and layers that order cannot tell apart. FCL_ERR_ARGUMENT, FCL_ERR_FILE: the
 * configuration, its data or the list of names are not usable. */
FCL_API int fcl_checkpoint_open_with(const char *path, const fcl_foreign_options *foreign,
                                     fcl_checkpoint **checkpoint);

/* Opens and validates a file, or a folder's newest checkpoint (fcl_checkpoint_newest). FCL_ERR_FILE,
 * FCL_ERR_FORMAT: damaged, the message says where, or of another program: see fcl_checkpoint_open_with.
 * FCL_ERR_ARGUMENT: it is of a caller's model, or of another one than options say. */
FCL_API int fcl_checkpoint_open(const char *path, fcl_checkpoint **checkpoint);
FCL_API void fcl_checkpoint_close(fcl_checkpoint **checkpoint);
FCL_API const fcl_checkpoint_info *fcl_checkpoint_describe(const fcl_checkpoint *checkpoint);
/* Path of a folder's newest checkpoint: the last by name of those that a run wrote, checkpoint-STEP.safetensors with ten
 * digits; without any, the last *.safetensors. *path released by fcl_free. FCL_ERR_FILE where there is none. */
FCL_API int fcl_checkpoint_newest(const char *folder, char **path);

/* --- sampling ---
 * Numbers that go in and come out are in the data's units (normalise.h), at all times of a path, and so are log densities
 * and energies. Only noise, where a path begins, is N(0, I) itself, or in the units of a built-in source: what
 * fcl_transport begins with, and what it ends on backward without options->times. Tolerances and options->w are those of
 * normalised numbers. */

typedef struct fcl_sample_options {
    int64_t n;
    const char *solver; /* a name of flow.h's table */
    int steps;          /* of a solver with fixed steps */
    const char *grid;   /* of its steps: see fcl_solver_options */
    double rtol, atol;  /* of an adaptive one */
    int max_steps;      /* after which an adaptive one leaves a sample unfinished */
    const char *w;      /* of a stochastic one: see fcl_solver_options */
    const char *path;   /* sample along another path than that of the training (fcl_predictor); NULL: along that */
    uint64_t seed;
    const char *source; /* of x0, see fcl_train_options; NULL: as the model was trained */
    const char *ema;   /* which weights: "yes", the averaged ones, of several averages the first, where there are any; "no",
                          the weights themselves; or the decay of an average that the checkpoint has, "0.9999". NULL: "yes" */
    const char *label; /* class of every sample, by its name or number; or several, "3,5": of N samples and K classes number i,
                          from 0, is of class i K / N, rounded down, so that those of a class stand together; or "none", of
                          a model that was trained with label_drop. NULL: classes in the shares of the data that the model
                          was trained on, see fcl_class_draw */
    float guidance; /* W: the velocity is v_u + W (v_c - v_u), of the sample's class v_c and of no class v_u (Ho, Salimans
                       2022): above 1 samples are more typical of their class, and less different. 0: 1, which is v_c and
                       evaluates nothing else. Else of a model that was trained with label_drop, which each evaluation asks
                       once, with all samples twice. Log densities and energies are those of the flow that is guided so;
                       scores, of stochastic solvers, too. Predictions of x1, eps or the score are moved by the same formula,
                       which is that of the velocity, since v = p x + q (prediction) in both */
    const char *guidance_interval; /* "LO,HI": times of the training's path, ends included, at which W acts; elsewhere the
                                      velocity is v_c. They are jumps of the velocity, which an adaptive solver's estimate of
                                      its error may step over: where they count, `times` names them, and steps end there.
                                      NULL: "0,1" */
    int batch;         /* samples at once; 0: as many as memory allows, at most about a million numbers. FCL_ERR_MEMORY: so
                          many, or not even one, do not fit */
    const char *times; /* keep the samples at these times, see fcl_times_read, or "steps": at each of the grid, a
                          whole trajectory. NULL: at the end only. No row of the table */
    /* Of fcl_transport forward alone, which then is given data. No rows of the table. */
    double from_time; /* the way begins there, below 1, at alpha x1 + sigma x0 of the given data x1 and noise x0 drawn by `seed`
                         as fcl_sample's (SDEdit, Meng et al. 2022); steps are those from there to 1. 0: with the noise */
    const fcl_array *mask; /* (sample shape), or one for each sample: numbers where it is 0 are kept. Wherever a solver asks
                              for the velocity they are at alpha(t) x1 + sigma(t) x0, with the same x0 (as RePaint, Lugmayr
                              et al. 2022, has them at each step), so that the others fit them; of options->times, too, and
                              at t = 1 they are the data bit for bit. With every solver. NULL: nothing is kept */
    fcl_divergence_options divergence; /* of log densities: see flow.h */
    void (*progress)(void *data, int64_t done, int64_t n); /* after each batch; or NULL. Of ranks: of the samples of all, as far
                                                              as this one is with its own */
    void *progress_data;
    fcl_ranks *ranks; /* sample together, borrowed: each computes a run of the samples, in the order of ranks, with the random
                         numbers of their places among all, and all ranks get all of them, with the counts of all. So they
                         are what one process draws: to the last bit where a device computes a sample alike beside others, up
                         to rounding else. All of this section's functions share their samples so; those that are given some
                         are given all. FCL_ERR_ARGUMENT on each: a rank has other options, another model, or is given others.
                         NULL: alone */
} fcl_sample_options;

FCL_API extern const fcl_option fcl_sample_table[];

/* Whether the options can be used, before a device is opened: ranges, and what fcl_solver_check looks at. What they
 * ask of a model, fcl_sample looks at: a stochastic solver needs one whose noise is N(0, I) and independent of the
 * data. */
FCL_API int fcl_sample_check(const fcl_sample_options *options);

/* Which of info->averages these options take: *index, -1 where the weights themselves. FCL_ERR_ARGUMENT: it is none of
 * them, and the message names these. */
FCL_API int fcl_sample_average(const fcl_checkpoint_info *info, const fcl_sample_options *options, int *index);

typedef struct fcl_sample_stats {
    int64_t nfe_minimum, nfe_maximum; /* function evaluations of a sample; with guidance each is of a doubled batch */
    double nfe_mean;
    int64_t accepted, rejected; /* steps, summed over samples */
    int64_t unfinished;         /* samples that did not arrive, or are not finite */
    double seconds;             /* of solving */
    double build_seconds;       /* before that: building the solver's kernels, with one step for trial */
} fcl_sample_stats;

/* New samples: (n, sample shape), t from 0 to 1, from x0 of the source, whose row i depends on seed and i only.
 * Normal noise is drawn by the device: its number k is fcl_normal's of the seed, step 0 and element k of the stream
 * FCL_STREAM_SAMPLE, bit for bit the same however many are drawn, and on every device to some 1e-6, as exact as its
 * log, sine and cosine are;
 * with options->times (T, n, sample shape). `stats` may be NULL, which saves the step for trial; *samples released
 * by fcl_array_destroy. FCL_ERR_NUMERIC: some samples are unfinished (see fcl_solver_run); the message counts
 * them, and *samples and stats are there all the same. */
FCL_API int fcl_sample(fcl_device *device, const fcl_checkpoint *checkpoint,
                       const fcl_sample_options *options, fcl_array **samples, fcl_sample_stats *stats);
/* The classes of the samples that fcl_sample draws with the same options: *label (n), to be released by fcl_free, or
 * NULL of a model without classes; no class is the number of classes. Errors as fcl_sample. */
FCL_API int fcl_sample_labels(const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                              int32_t **label);
/* The energy of the paths that fcl_sample takes with the same options (see fcl_energy_velocity in flow.h):
 * *energy (n, 2), of each path int |v|^2 dt and int |v - (x1 - x0)|^2 dt, how far it is from straight; *start
 * (n, sample shape), their x0, here in the data's units, too. options->times is not used. */
FCL_API int fcl_sample_energy(fcl_device *device, const fcl_checkpoint *checkpoint,
                              const fcl_sample_options *options, fcl_array **start, fcl_array **energy);
/* fcl_sample from given noise `x` (n, sample shape), or with `backward` from data to noise, t from 1 to 0.
 * `label` (n) is each one's class, or the number of classes for none, of a model that was trained with label_drop; NULL: as
 * the options say. options->n is not used, and seed only by stochastic solvers, and with options->from_time or mask, where `x`
 * are data. FCL_ERR_SHAPE: a mask is neither one sample's nor all samples'. */
FCL_API int fcl_transport(fcl_device *device, const fcl_checkpoint *checkpoint,
                          const fcl_sample_options *options, const fcl_array *x, const int32_t *label,
                          bool backward, fcl_array **result, fcl_sample_stats *stats);

/* The velocity itself, dx/dt, at given points `x` (n, sample shape) of the path of the training, or of options->path, and times
 * `t` (n), 0 the noise and 1 the data, each sample's own: *v (n, sample shape), in the data's units a unit of t. `label` as in
 * fcl_transport; of the options only those count that say which network is asked, and how: ema, label, guidance and its interval,
 * path, batch; NULL: their defaults. A time nearer to an end than a prediction other than v can be turned into the velocity at is
 * taken as the nearest where it can. FCL_ERR_SHAPE; FCL_ERR_ARGUMENT: a time is outside 0 to 1; FCL_ERR_NUMERIC: some velocities
 * are not finite, and *v is there all the same. */
FCL_API int fcl_velocity_at(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                            const fcl_array *x, const fcl_array *t, const int32_t *label, fcl_array **v);

/* --- log densities (see flow.h) ---
 * *density (n, 2): of each sample log p, in nats, and the standard error of Hutchinson's estimate, 0 for the
 * exact divergence and NaN for one probe. options->divergence says which; options->seed draws the probes.
 * FCL_ERR_ARGUMENT also where the source is not N(0, I): its density is not known. FCL_ERR_NUMERIC: as
 * fcl_sample; an unfinished sample's log p is NaN. */

/* Of given samples `x` (n, sample shape), with `label` as in fcl_transport. */
FCL_API int fcl_log_density(fcl_device *device, const fcl_checkpoint *checkpoint,
                            const fcl_sample_options *options, const fcl_array *x, const int32_t *label,
                            fcl_array **density, fcl_sample_stats *stats);
/* fcl_sample with the log density of each sample, carried along in the same solve. */
FCL_API int fcl_sample_density(fcl_device *device, const fcl_checkpoint *checkpoint,
                               const fcl_sample_options *options, fcl_array **samples, fcl_array **density,
                               fcl_sample_stats *stats);

/* -log p of a picture of 8-bit numbers, dequantised by fcl_dataset_dequantise, in bits per number:
 * -log p / (size ln 2) + 7, as the numbers of a byte lie 2/256 apart. */
FCL_API double fcl_bits_per_dimension(double log_density, int64_t size);

#ifdef __cplusplus
}
#endif

#endif
