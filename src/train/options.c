#include "train/options.h"

#include "base/error.h"
#include "base/option_value.h"
#include "data/pictures.h"
#include "flow/flow.h"
#include "learn/options.h"
#include "nn/model.h"
#include "train/share.h"
#include "train/shuffle.h"
#include "train/source.h"

#include <math.h>
#include <string.h>

/* A matrix of costs has indices of 32 bits. */
enum { MOST_PAIRED = 32768 };

enum { CALL = FCL_OPTION_COMMAND_LINE, OFF = FCL_OPTION_CAN_BE_OFF, FORMULA = FCL_OPTION_FORMULA,
       PARAMETERS = FCL_OPTION_PARAMETERS };
#define ROW(member) FCL_OPTION(fcl_train_options, member)

static const char *model_default(const void *values, const char *key)
{
    const fcl_train_options *options = values;
    return fcl_model_is_chosen(&options->model) ? fcl_model_training(&options->model, key) : fcl_option_later;
}

/* clang-format off */
static const fcl_option train_table[] = {
    {"data", ROW(data), .flags = FCL_OPTION_REQUIRED, .placeholder = "DATA", .group = "Data",
     .help = "name of a built-in data set, a file, or a folder of pictures or of .npy files"},
    {"data-count", ROW(data_count), .minimum = 0, .maximum = 1e12, .help = "samples to use; 0: all of a file, 100000 of a generated set"},
    {"normalise", ROW(normalise), .fallback = "auto", .flags = FORMULA, .choice = fcl_normalise_name,
     .choice_help = fcl_normalise_help, .placeholder = "HOW",
     .help = "how numbers of the data are moved, and samples back: a name, or centre and scale as 1000,50, or a pair for each number"},
    {"range", ROW(range), .placeholder = "LOW,HIGH", .help = "black and white of pictures; without it 0,1, -1,1, 0,255 or whole numbers are recognised"},
    {"source", ROW(source), .fallback = "normal", .placeholder = "SOURCE",
     .help = "what the flow begins with: \"normal\" noise, a built-in data set, or a file"},
    {"labels", ROW(labels), .help = "tell the model each sample's class"},
    {"label-drop", ROW(label_drop), .minimum = 0, .maximum = 0.99,
     .help = "share of the samples, drawn anew each step, whose class the model is not told; above 0 it can be sampled with guidance"},
    {"label-column", ROW(label_column), .placeholder = "NAME",
     .help = "the column of a table, or the array of an .npz, that is the label and no data; \"none\": there is none; without it the one called \"label\""},
    {"hflip", ROW(hflip), .help = "mirror each picture of a batch, left to right, with probability 1/2"},
    {"stream-data", ROW(stream_data), .help = "keep the data on the host even where it fits on the device, and pictures in their folder even where they fit into memory"},
    {"from-disk", ROW(from_disk), .help = "leave a .npy file, a folder of them, or of pictures, on the disk even where it fits into memory: it is read while it is trained on"},
    {"shuffle", ROW(shuffle), .fallback = FCL_SHUFFLE_AUTO, .choice = fcl_shuffle_name, .choice_help = fcl_shuffle_help,
     .help = "the order of the samples: all of an epoch at random, or, for what is read from the disk, at random within "
             "stretches of 32 MiB"},
    {"held-out", ROW(held_out), .minimum = 0, .maximum = 1e12, .placeholder = "X",
     .help = "of the data, a share below 1 or a number of samples that are never trained on: the loss there is told"},
    {"out", ROW(out), .flags = CALL, .placeholder = "DIR", .group = "Run",
     .help = "folder of the run: checkpoints, metrics, pictures"},
    {"device", ROW(device), .placeholder = "DEVICE",
     .help = "P:D, cpu, gpu, or a piece of a device's name; /N.K after it: part K of N; several, as 0:0,1:0, train together"},
    {"seed", ROW(seed), .help = "of every random number"},
    {"resume", ROW(resume), .flags = CALL, .help = "go on from the newest checkpoint of the folder"},
    {"data-changed", ROW(data_changed), .flags = CALL, .help = "with resume: go on although the data are not those of before"},
    {"init", ROW(init), .flags = CALL, .placeholder = "FILE",
     .help = "begin with the weights of this checkpoint, or of a safetensors file of another program"},
    {"names", ROW(names), .flags = CALL, .placeholder = "FILE",
     .help = "of that program's tensors: lines \"layers.0.weight: net.0.weight\", the model's and the file's; without it by their names, or by order"},
    {"metrics-every", ROW(metrics_every), .minimum = 1, .maximum = 1e9, .fallback = "50", .help = "steps between rows of metrics"},
    {"samples-every", ROW(samples_every), .minimum = 1, .maximum = 1e9, .fallback = "1000", .flags = OFF,
     .help = "steps between pictures of samples"},
    {"held-out-every", ROW(held_out_every), .minimum = 1, .maximum = 1e9, .fallback = "1000",
     .help = "steps between losses on the held-out part; the last step has one, too"},
    {"checkpoint-every", ROW(checkpoint_every), .minimum = 1, .maximum = 1e9, .fallback = "1000", .flags = OFF,
     .help = "steps between checkpoints; the last step always writes one"},
    {"keep", ROW(keep), .minimum = 1, .maximum = 1e6, .fallback = "2", .help = "checkpoints that stay, the newest"},
    {"check", ROW(check), .flags = CALL, .help = "look at each tensor of each step, and end at the first NaN; slow: --on-nan stop looks once a loss is not finite"},
    {"profile", ROW(profile), .flags = CALL, .help = "measure each kernel; slows a step"},
    {"steps", ROW(steps), .minimum = 1, .maximum = 4e9, .fallback = "5000", .group = "Optimiser", .help = "steps of the optimiser"},
    {"batch", ROW(batch), .minimum = 1, .maximum = 1e6, .fallback = "256", .fallback_of = model_default, .help = "samples of a step"},
    {"share", ROW(share), .flags = CALL, .placeholder = "A:B:...", .help = "of several processes, what each takes of a batch: 2:1 for one that is twice as fast, equal, or measured, which it is without this where devices are unlike"},
    FCL_BUCKETS_ROW(fcl_train_options, CALL),
    {"accumulate", ROW(accumulate), .minimum = 1, .maximum = 1e6, .fallback = "1",
     .help = "parts a step's samples are computed in, to save memory"},
    {"recompute", ROW(recompute),
     .help = "keep of each of the model's blocks what it reads alone, and compute the rest again backwards, to save memory"},
    FCL_OPTIMISER_ROWS(fcl_train_options, model_default),
    {"path", ROW(objective.path), .fallback = "linear", .flags = FORMULA, .choice = fcl_path_name,
     .choice_help = fcl_path_help, .placeholder = "PATH", .group = "Flow",
     .help = "path from noise to data: a name, or \"alpha=t^2, sigma=1-t^2\""},
    {"coupling", ROW(objective.coupling), .fallback = "independent", .choice = fcl_coupling_name, .choice_help = fcl_coupling_help, .help = "which noise goes with which data"},
    {"reg", ROW(objective.reg), .minimum = 0, .maximum = 1e9, .help = "weight of an entropic coupling's entropy; 0: a twentieth of the mean cost"},
    {"relaxation", ROW(objective.relaxation), .minimum = 0, .maximum = 1e9, .help = "unbalanced coupling: price of leaving samples out; 0: the mean cost"},
    {"mass", ROW(objective.mass), .minimum = 0, .maximum = 1, .help = "partial coupling: share of samples that is paired; 0: 0.9"},
    {"coupling-iterations", ROW(objective.coupling_iterations), .minimum = 0, .maximum = 100000,
     .help = "of an entropic coupling, at most; 0: 100"},
    {"coupling-tolerance", ROW(objective.coupling_tolerance), .minimum = 0, .maximum = 1,
     .help = "share of the mass in the wrong place at which they end; 0: 0.001"},
    {"condition", ROW(condition), .placeholder = "FILE", .help = "a row of numbers for each sample; pairs of unlike rows cost more"},
    {"condition-weight", ROW(condition_weight), .minimum = 0, .maximum = 1e9, .fallback = "1", .flags = OFF,
     .help = "of their distance in a pair's cost; off: pairs may cross classes"},
    {"coupling-batch", ROW(coupling_batch), .minimum = 0, .maximum = MOST_PAIRED, .help = "samples that are paired at once, a multiple of batch; 0: batch"},
    {"coupling-across-ranks", ROW(coupling_across_ranks), .help = "of several processes: pair the samples of all, not of each on its own"},
    {"prediction", ROW(objective.prediction), .fallback = "v", .choice = fcl_prediction_name,
     .choice_help = fcl_prediction_help, .help = "what the network predicts"},
    {"time", ROW(objective.time), .fallback = "uniform", .flags = FORMULA, .choice = fcl_time_name,
     .choice_help = fcl_time_help, .placeholder = "LAW", .help = "distribution of the times: a name, or its quantile, a formula in u: \"u^2\""},
    {"time-draw", ROW(objective.time_draw), .fallback = "independent", .choice = fcl_time_draw_name,
     .choice_help = fcl_time_draw_help, .help = "how a batch's times are drawn"},
    {"time-shift", ROW(objective.time_shift), .minimum = 0.001, .maximum = 1000, .fallback = "1",
     .help = "S: the noise level n = 1 - t becomes S n/(1 + (S - 1) n)"},
    {"weight", ROW(objective.weight), .fallback = "one", .flags = FORMULA, .choice = fcl_weight_name,
     .choice_help = fcl_weight_help, .placeholder = "WEIGHT",
     .help = "factor of a sample's loss: a name, or a formula in t, alpha, sigma and the loss l: \"1/(0.1 + t)\""},
    {"loss", ROW(objective.loss), .fallback = "squared", .flags = PARAMETERS, .choice = fcl_loss_name,
     .choice_help = fcl_loss_help, .help = "distance of the prediction and its target"},
    {"sigma", ROW(objective.sigma), .minimum = 0, .maximum = 100,
     .help = "width s of the path: standard deviation of the tube around it, of lipman's end, rate of the bridge"},
    {0},
};
/* clang-format on */

static const struct {
    const fcl_option *table;
    size_t offset;
} parts[] = {{train_table, 0},
             {fcl_image_table, offsetof(fcl_train_options, image)},
             {fcl_model_table, offsetof(fcl_train_options, model)}};

enum { PARTS = sizeof parts / sizeof *parts };

int fcl_train_options_bind(fcl_options *options, fcl_train_options *train)
{
    for (int i = 0; i < PARTS; i++)
        FCL_TRY(fcl_options_add(options, parts[i].table, (char *)train + parts[i].offset));
    return FCL_OK;
}

static int check_condition(const fcl_train_options *options, const fcl_coupling *coupling)
{
    double weight = (double)options->condition_weight;
    if ((options->condition || weight != 1) && coupling->kind == FCL_COUPLING_NONE)
        return fcl_fail(FCL_ERR_ARGUMENT, "conditions have no use with the coupling %s, which pairs by chance",
                        coupling->name);
    if (weight > 0 && weight != 1 && !options->condition)
        return fcl_fail(FCL_ERR_ARGUMENT, "condition-weight %g has no use without conditions", weight);
    if (weight < 0 && (options->condition || !options->labels))
        return fcl_fail(FCL_ERR_ARGUMENT, "condition-weight off says that pairs may cross classes: it needs "
                                          "labels, and no conditions");
    return FCL_OK;
}

static int check_coupling(const fcl_train_options *options)
{
    int rows = options->coupling_batch;
    const fcl_coupling *coupling = fcl_coupling_find(options->objective.coupling);
    if (coupling->kind != FCL_COUPLING_NONE && options->batch > MOST_PAIRED)
        return fcl_fail(FCL_ERR_ARGUMENT, "a batch of %d is too large for the coupling %s, which pairs at most %d",
                        options->batch, coupling->name, MOST_PAIRED);
    if (rows && coupling->kind == FCL_COUPLING_NONE)
        return fcl_fail(FCL_ERR_ARGUMENT, "coupling-batch %d has no use with the coupling %s, which pairs by chance",
                        rows, coupling->name);
    FCL_TRY(check_condition(options, coupling));
    if (options->coupling_across_ranks && coupling->kind == FCL_COUPLING_NONE)
        return fcl_fail(FCL_ERR_ARGUMENT, "coupling-across-ranks has no use with the coupling %s, which pairs by chance",
                        coupling->name);
    if (rows > options->batch && options->ranks && !options->coupling_across_ranks)
        return fcl_fail(FCL_ERR_ARGUMENT, "a coupling-batch of %d, more than a batch, is of the samples of all ranks: it needs "
                                          "coupling-across-ranks", rows);
    if (rows % options->batch != 0)
        return fcl_fail(FCL_ERR_ARGUMENT, "coupling-batch %d is not a multiple of the batch of %d", rows,
                        options->batch);
    return FCL_OK;
}

fcl_learner_options fcl_train_learner_options(const fcl_train_options *options)
{
    return (fcl_learner_options){
        .seed = options->seed,
        .steps = options->steps,
        .accumulate = options->accumulate,
        .lr = options->lr,
        .schedule = options->schedule,
        .warmup = options->warmup,
        .weight_decay = options->weight_decay,
        .beta1 = options->beta1,
        .beta2 = options->beta2,
        .epsilon = options->epsilon,
        .clip = options->clip,
        .ema = options->ema,
        .on_nan = options->on_nan,
        .ranks = options->ranks,
        .buckets = options->buckets,
    };
}

double fcl_schedule_rate(const fcl_train_options *options, int64_t step)
{
    fcl_learner_options learner = fcl_train_learner_options(options);
    return fcl_learner_rate(&learner, step);
}

static int check_image(const fcl_train_options *options)
{
    int height, width;
    uint8_t colour[3];
    FCL_TRY(fcl_image_size(options->image.size, &height, &width));
    FCL_TRY(options->image.background ? fcl_image_background(options->image.background, colour) : FCL_OK);
    return options->image.label_file && !options->labels
               ? fcl_fail(FCL_ERR_ARGUMENT, "label-file has no use without labels")
               : FCL_OK;
}

/* What single rows cannot say. */
static int check_together(const fcl_train_options *options)
{
    if (options->label_drop > 0 && !options->labels)
        return fcl_fail(FCL_ERR_ARGUMENT, "label-drop %g has no use without labels: there is no class to leave out",
                        (double)options->label_drop);
    if (options->held_out >= 1 && options->held_out != floor(options->held_out))
        return fcl_fail(FCL_ERR_ARGUMENT, "held-out %g: expected a share below 1, or a whole number of samples",
                        options->held_out);
    if (options->batch % options->accumulate != 0)
        return fcl_fail(FCL_ERR_ARGUMENT, "a batch of %d cannot be computed in %d equal parts",
                        options->batch, options->accumulate);
    fcl_share share;
    FCL_TRY(fcl_share_of(options, &share));
    if (options->resume && !options->out)
        return fcl_fail(FCL_ERR_ARGUMENT, "resuming needs the folder that holds the checkpoints (out)");
    const fcl_learner_options learner = fcl_train_learner_options(options);
    FCL_TRY(fcl_learner_check_together(&learner));
    FCL_TRY(fcl_normalise_check(options->normalise, options->range));
    FCL_TRY(check_image(options));
    FCL_TRY(fcl_cfm_check(&options->objective));
    if (strcmp(options->source, FCL_SOURCE_NORMAL) != 0)
        FCL_TRY(fcl_cfm_check_source(&options->objective));
    FCL_TRY(fcl_model_check(&options->model));
    return check_coupling(options);
}

/* Whether what a caller's model says of its training can be said. */
static int check_own_training(const fcl_model_row *own)
{
    for (const fcl_option_use *use = own ? own->training : NULL; use && use->key; use++) {
        fcl_train_options unused = {0};
        const fcl_option *row = train_table;
        while (row->key && strcmp(row->key, use->key) != 0)
            row++;
        if (!row->fallback_of || !use->fallback)
            return fcl_fail(FCL_ERR_ARGUMENT, "the model %s gives no default of training by \"%s\": it may of lr, schedule, "
                                              "beta2, clip, ema and batch", own->name, use->key);
        int status = fcl_option_read(row, &unused, use->fallback, NULL);
        if (status != FCL_OK)
            return fcl_fail_within(status, "the default %s of the model %s", use->key, own->name);
    }
    return FCL_OK;
}

/* With the defaults of training that the index-th model has; its own options are looked at once it is chosen. */
static int check_with(const fcl_train_options *filled, int model)
{
    fcl_train_options with = *filled;
    with.model = (fcl_model_options){.model = fcl_model_name(model), .null_label = filled->model.null_label};
    for (int i = 0; i < PARTS; i++)
        fcl_options_defaults(parts[i].table, (char *)&with + parts[i].offset);
    return check_together(&with);
}

/* Until the model is chosen: whether there can be one. */
static int check_unchosen(const fcl_train_options *filled)
{
    for (int i = 1; fcl_model_name(i); i++)
        if (check_with(filled, i) == FCL_OK)
            return FCL_OK;
    return check_with(filled, 0);
}

static int fill_all(fcl_arena *strings, fcl_train_options *filled)
{
    for (int i = 0; i < PARTS; i++) {
        char *values = (char *)filled + parts[i].offset;
        fcl_options_defaults(parts[i].table, values);
        FCL_TRY(fcl_options_check(parts[i].table, values));
        for (const fcl_option *row = parts[i].table; row->key; row++) {
            const char **text = (const char **)(void *)(values + row->offset);
            if (row->type == FCL_OPTION_STRING && *text)
                *text = fcl_arena_format(strings, "%s", *text);
        }
    }
    fcl_train_options_settle(filled);
    return fcl_model_is_chosen(&filled->model) ? check_together(filled) : check_unchosen(filled);
}

/* Of options that are usable with another model: why it is this one. The message of what is wrong with all is left as it is. */
static int explain_choice(const fcl_train_options *given, int status, fcl_arena *strings, fcl_train_options *filled)
{
    const char *model = filled->model.model, *reason = fcl_arena_format(strings, "%s", fcl_error());
    *filled = *given;
    return fill_all(strings, filled) != FCL_OK
               ? status
               : fcl_fail(status, "%s; pictures have the model %s where no other is named (the option model)", reason, model);
}

int fcl_train_options_fill(const fcl_train_options *given, const fcl_shape *sample, fcl_arena *strings,
                           fcl_train_options *filled)
{
    *filled = *given;
    bool choose = sample && !fcl_model_is_chosen(&given->model);
    FCL_TRY(check_own_training(given->model.own));
    if (choose)
        filled->model.model = fcl_model_for(*sample);
    int status = fill_all(strings, filled);
    bool told = !choose || strcmp(filled->model.model, fcl_model_name(0)) == 0;
    return status == FCL_OK || told ? status : explain_choice(given, status, strings, filled);
}

void fcl_train_options_settle(fcl_train_options *filled)
{
    filled->model.null_label = filled->label_drop > 0;
}

int fcl_train_options_check(const fcl_train_options *train)
{
    fcl_arena strings = {0};
    fcl_train_options filled;
    int status = fcl_train_options_fill(train, NULL, &strings, &filled);
    fcl_arena_free(&strings);
    return status;
}

char *fcl_train_options_json(const fcl_train_options *options)
{
    fcl_train_options copy = *options;
    fcl_options *bound = fcl_options_create();
    char *text = fcl_train_options_bind(bound, &copy) == FCL_OK ? fcl_options_to_json(bound) : NULL;
    fcl_options_destroy(&bound);
    return text;
}

/* A resumed run may be longer, learn at another rate, decay, clip and report differently, run elsewhere, and find its
 * data elsewhere. Anything else would continue what never began: also dropping labels, where the model has no label of
 * no class, though not at another rate. What belongs to one call was never part of the run. */
static bool may_change(const fcl_option *row)
{
    static const char *const free_keys[] = {
        "device", "metrics-every", "samples-every", "checkpoint-every", "held-out-every", "keep", "steps", "lr", "schedule",
        "warmup", "weight-decay", "clip", "ema", "beta1", "beta2", "epsilon", "accumulate", "recompute", "on-nan", "stream-data",
        "from-disk", "shuffle", /* which resume.c looks at */
        "data", "source", "condition", "data-count", "label-column", "image-size", "background", "label-file", "skip-damaged"};
    for (size_t i = 0; i < sizeof free_keys / sizeof *free_keys; i++)
        if (strcmp(free_keys[i], row->key) == 0)
            return true;
    return row->flags & FCL_OPTION_COMMAND_LINE;
}

static int compare_row(const fcl_option *row, const void *saved, const void *given, const char *where)
{
    char *before = fcl_option_text(row, saved), *now = fcl_option_text(row, given);
    int status = FCL_OK;
    if (strcmp(before, now) != 0)
        status = fcl_fail(FCL_ERR_ARGUMENT,
                          "cannot resume from %s: it was trained with %s %s, not %s; leave the option away, "
                          "or train into another folder",
                          where, row->key, before, now);
    fcl_free(before);
    fcl_free(now);
    return status;
}

int fcl_train_options_compare_one(const fcl_train_options *saved, const fcl_train_options *given, const char *key,
                                  const char *where)
{
    for (const fcl_option *row = train_table; row->key; row++)
        if (strcmp(row->key, key) == 0)
            return compare_row(row, saved, given, where);
    return FCL_OK;
}

int fcl_train_options_compare_model(const fcl_train_options *saved, const fcl_train_options *given, const char *where)
{
    if (saved->model.null_label != given->model.null_label)
        return fcl_fail(FCL_ERR_ARGUMENT, "cannot begin with %s: it was trained %s label-drop, and so has %s label of no class",
                        where, given->model.null_label ? "without" : "with", given->model.null_label ? "no" : "a");
    for (const fcl_option *row = fcl_model_table; row->key; row++) {
        char *before = fcl_option_text(row, &saved->model), *now = fcl_option_text(row, &given->model);
        int status = strcmp(before, now) == 0
                         ? FCL_OK
                         : fcl_fail(FCL_ERR_ARGUMENT, "cannot begin with %s: its %s is %s, not %s", where, row->key,
                                    before, now);
        fcl_free(before);
        fcl_free(now);
        FCL_TRY(status);
    }
    return FCL_OK;
}

int fcl_train_options_compare(const fcl_train_options *saved, const fcl_train_options *given,
                              const char *where)
{
    bool drops = saved->label_drop > 0 && given->label_drop > 0;
    for (int i = 0; i < PARTS; i++)
        for (const fcl_option *row = parts[i].table; row->key; row++)
            if (!may_change(row) && !(drops && strcmp(row->key, "label-drop") == 0))
                FCL_TRY(compare_row(row, (const char *)saved + parts[i].offset,
                                    (const char *)given + parts[i].offset, where));
    return FCL_OK;
}
