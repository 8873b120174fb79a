/* A classifier's training: part of the data is held out, looked at now and then, and what did best there is
 * kept. */
#include "train/classifier.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "data/rows.h"
#include "learn/learner.h"
#include "train/batch.h"
#include "train/fingerprint.h"
#include "train/folder.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROW(member) FCL_OPTION(fcl_classify_options, member)

/* clang-format off */
const fcl_option fcl_classify_table[] = {
    {"seed", ROW(seed), .group = "Training", .help = "of the first weights, the order and the moves of pictures"},
    {"steps", ROW(steps), .minimum = 1, .maximum = 4e9, .fallback = "7000", .help = "optimiser steps, at most"},
    {"batch", ROW(batch), .minimum = 1, .maximum = 1 << 20, .fallback = "128", .help = "pictures a step"},
    {"lr", ROW(lr), .minimum = 0, .maximum = 1e6, .fallback = "0.002", .help = "learning rate; it falls with a cosine"},
    {"weight-decay", ROW(weight_decay), .minimum = 0, .maximum = 1e3, .fallback = "0.05",
     .flags = FCL_OPTION_CAN_BE_OFF, .help = "decoupled weight decay"},
    {"shift", ROW(shift), .minimum = 0, .maximum = 64, .fallback = "2", .flags = FCL_OPTION_CAN_BE_OFF,
     .help = "pixels that a picture is moved by at most, each way"},
    {"mirror", ROW(mirror), .fallback = "yes", .help = "left becomes right, every other time; not for digits and letters"},
    {"held-out", ROW(held_out), .minimum = 0, .maximum = 0.5, .fallback = "0.05",
     .help = "share of the data to look at, and not to train on"},
    {"look-every", ROW(look_every), .minimum = 0, .maximum = 4e9, .help = "steps between looks; 0: a twentieth of all"},
    {"patience", ROW(patience), .minimum = 1, .maximum = 1e6, .fallback = "8",
     .help = "looks without one as good as the best after which it ends"},
    {"resume", ROW(resume), .flags = FCL_OPTION_COMMAND_LINE, .help = "go on where a training in the folder was stopped"},
    {0},
};
/* clang-format on */

int fcl_classify_check(const fcl_classify_options *options)
{
    fcl_classify_options filled = *options;
    fcl_options_defaults(fcl_classify_table, &filled);
    return fcl_options_check(fcl_classify_table, &filled);
}

typedef struct training {
    fcl_device *device;
    const fcl_dataset *data;
    fcl_classify_options options;
    const fcl_classify_hooks *hooks;
    char *file, *state; /* paths of the best one, and of what to go on from */
    fcl_arena strings;
    fcl_dataset *trained;
    fcl_array *held_out;   /* normalised */
    int32_t *label;        /* of these */
    fcl_classifier *judge; /* of the averaged weights */
    fcl_learner *learner;
    fcl_batch batch;
    fcl_graph *graph;
    double began, reported, row_began;
    int64_t first_step, row_step;
    bool looked;
} training;

static int64_t step_of(const training *t)
{
    return fcl_learner_steps(t->learner);
}

/* --- the data, in two parts --- */

static int check_data(const fcl_dataset *data)
{
    char shape[FCL_SHAPE_TEXT];
    int64_t *counts;
    if (!fcl_shape_is_picture(data->shape))
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "%s has samples of the shape %s: a classifier is of pictures, (height, width) or "
                        "(1 or 3, height, width)",
                        data->name, fcl_shape_format(data->shape, shape));
    if (!data->label)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s has no labels: a classifier learns from them", data->name);
    FCL_TRY(fcl_class_counts(data, &counts));
    int classes = fcl_class_existing(data->classes, counts);
    fcl_free(counts);
    if (classes < 2)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "%s has pictures of one class: a classifier tells at least two apart", data->name);
    return data->count <= INT32_MAX
               ? FCL_OK
               : fcl_fail(FCL_ERR_UNSUPPORTED, "%s has %lld samples; at most %d can be drawn from",
                          data->name, (long long)data->count, INT32_MAX);
}

static int64_t count_held_out(const training *t)
{
    enum { MOST = 10000, MOST_NUMBERS = 1 << 26 };
    int64_t most = MOST_NUMBERS / fcl_shape_size(t->data->shape);
    int64_t count = llround((double)t->options.held_out * (double)t->data->count);
    count = count > 0 ? count : 1;
    count = count < MOST ? count : MOST;
    return count < most ? count : most;
}

/* The samples of these numbers, as a set of its own, in memory. */
static int pick(const fcl_dataset *data, const int64_t *order, int64_t count, fcl_dataset **picked)
{
    fcl_dataset given = *data;
    void *rows = malloc((size_t)count * fcl_dataset_row_bytes(data));
    given.count = count;
    given.label = malloc((size_t)count * sizeof *given.label);
    given.pictures = NULL;
    given.bytes = fcl_dataset_has_bytes(data) ? rows : NULL;
    given.values = given.bytes ? NULL : rows;
    int status = rows && given.label
                     ? fcl_dataset_rows(data, count, order, rows)
                     : fcl_fail(FCL_ERR_MEMORY, "no memory for %lld pictures", (long long)count);
    for (int64_t i = 0; status == FCL_OK && i < count; i++)
        given.label[i] = data->label[order[i]];
    if (status == FCL_OK)
        status = fcl_dataset_from(&given, picked);
    free(rows);
    free(given.label);
    return status;
}

static int take_held_out(training *t, const int64_t *order, int64_t count)
{
    fcl_dataset *set;
    FCL_TRY(pick(t->data, order, count, &set));
    int status = fcl_dataset_take(set, 0, count, &t->held_out);
    if (status == FCL_OK)
        fcl_normalisation_apply(t->judge->normalisation, count, fcl_shape_size(set->shape),
                                t->held_out->data);
    t->label = set->label;
    set->label = NULL;
    fcl_dataset_destroy(&set);
    return status;
}

static int split(training *t)
{
    int64_t n = t->data->count, held = count_held_out(t);
    if (n - held < 1 || held < 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s has %lld pictures: too few to hold a part out", t->data->name,
                        (long long)n);
    int64_t *order = malloc((size_t)n * sizeof *order);
    if (!order)
        return fcl_fail(FCL_ERR_MEMORY, "no memory to draw from %lld pictures", (long long)n);
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    fcl_random_order((fcl_random){.seed = t->options.seed, .stream = FCL_STREAM_HELD_OUT}, n, n, order);
    int status = take_held_out(t, order, held);
    if (status == FCL_OK)
        status = pick(t->data, order + held, n - held, &t->trained);
    free(order);
    return status;
}

/* --- the step --- */

static int build(training *t)
{
    const fcl_classifier_net *net = &t->judge->net;
    fcl_batch_options rows = {.seed = t->options.seed,
                              .stream = FCL_STREAM_BATCH,
                              .total = t->options.batch,
                              .rows = t->options.batch,
                              .labels = true,
                              .normalisation = t->judge->normalisation};
    fcl_tensor *label;
    FCL_TRY(fcl_batch_create(t->device, t->trained, &rows, &t->batch));
    t->graph = fcl_graph_create();
    fcl_tensor **w = fcl_learner_bind(t->learner, t->graph),
               *x = fcl_batch_build(&t->batch, t->graph, &label);
    int shift = t->options.shift > 0 ? t->options.shift : 0;
    bool mirror = t->options.mirror == FCL_ON;
    x = shift || mirror ? fcl_classifier_move(net, x, shift, mirror) : fcl_classifier_turn(net, x);
    fcl_tensor *logits = fcl_classifier_logits(net, w, fcl_classifier_features(net, w, x));
    fcl_learner_minimise(t->learner, w, fcl_mean(fcl_cross_entropy(logits, label, 0)));
    fcl_free(w);
    return fcl_graph_compile(t->graph, t->device, NULL);
}

static char *config_of(fcl_classify_options *options)
{
    fcl_options *bound = fcl_options_create();
    char *text =
        fcl_options_add(bound, fcl_classify_table, options) == FCL_OK ? fcl_options_to_json(bound) : NULL;
    fcl_options_destroy(&bound);
    return text;
}

/* The learner of the judge's parameters, and the judge of the learner's average: the parameters come first.
 */
static int create_judge(training *t)
{
    fcl_classify_options copy = t->options;
    fcl_normalisation *by = NULL;
    const char *content;
    FCL_TRY(fcl_fingerprint(t->data, true, &t->strings, &content));
    FCL_TRY(fcl_normalisation_create(t->data, NULL, NULL, &by));
    char *config = config_of(&copy);
    fcl_classifier_info info = {.picture = t->data->shape,
                                .classes = t->data->classes,
                                .class_names = (const char *const *)t->data->class_name,
                                .data = t->data->name,
                                .content = content,
                                .config = config,
                                .normalisation = by};
    int status = fcl_classifier_make(t->device, &info, NULL, &t->judge);
    fcl_free(config);
    fcl_normalisation_destroy(&by);
    return status;
}

static int create_learner(training *t)
{
    const fcl_classify_options *options = &t->options;
    fcl_learner_options how = {.seed = options->seed,
                               .steps = options->steps,
                               .lr = options->lr,
                               .weight_decay = options->weight_decay > 0 ? options->weight_decay : 0,
                               .warmup = options->steps / 50};
    FCL_TRY(fcl_learner_create(t->device, t->judge->params, &how, &t->learner));
    t->judge->weights = fcl_learner_ema(t->learner);
    return FCL_OK;
}

/* --- going on --- */

static int refuse_change(const training *t, const char *what)
{
    return fcl_fail(FCL_ERR_ARGUMENT, "the training in %s had other %s: it goes on with the same only",
                    t->state, what);
}

/* How well the best one did, of the same options and data. */
static int take_best(training *t)
{
    fcl_classifier *best;
    FCL_TRY(fcl_classifier_load(t->device, t->file, &best));
    int status = strcmp(best->info.content, t->judge->info.content) ? refuse_change(t, "data")
                 : strcmp(best->info.config, t->judge->info.config) ? refuse_change(t, "options")
                                                                    : FCL_OK;
    t->judge->info.step = best->info.step;
    t->judge->info.accuracy = best->info.accuracy;
    t->looked = true;
    fcl_classifier_close(&best);
    return status;
}

/* *done: a training that ended is there. */
static int go_on(training *t, bool *done)
{
    bool file = access(t->file, F_OK) == 0, state = access(t->state, F_OK) == 0;
    *done = t->options.resume && file && !state;
    if (!t->options.resume && file)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s is there already: %schoose another folder", t->file,
                        state ? "go on with --resume (the option resume), or " : "");
    if (!t->options.resume || !state)
        return FCL_OK;
    FCL_TRY(take_best(t));
    return fcl_learner_load(t->learner, t->state);
}

/* --- looking --- */

static double cross_entropy(const float *logits, int classes, int32_t label)
{
    double most = (double)logits[0], sum = 0;
    for (int k = 1; k < classes; k++)
        most = fmax(most, (double)logits[k]);
    for (int k = 0; k < classes; k++)
        sum += exp((double)logits[k] - most);
    return most + log(sum) - (double)logits[label];
}

static bool is_right(const float *logits, int classes, int32_t label)
{
    for (int k = 0; k < classes; k++)
        if (logits[k] > logits[label] || (logits[k] == logits[label] && k < label))
            return false;
    return true;
}

static int judge_held_out(const training *t, fcl_classify_metrics *metrics)
{
    int64_t n = t->held_out->shape.dim[0];
    int classes = t->judge->info.classes;
    float *logits = malloc((size_t)(n * classes) * sizeof *logits);
    if (!logits)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the classes of %lld pictures", (long long)n);
    int status = fcl_classifier_run(t->judge, t->held_out->data, n, NULL, logits);
    for (int64_t i = 0; i < n && status == FCL_OK; i++) {
        metrics->held_out_loss += cross_entropy(logits + i * classes, classes, t->label[i]) / (double)n;
        metrics->accuracy += is_right(logits + i * classes, classes, t->label[i]) ? 1 / (double)n : 0;
    }
    free(logits);
    return status;
}

static int keep_best(training *t, double accuracy)
{
    fcl_classifier_info *best = &t->judge->info;
    if (t->looked && accuracy < best->accuracy - 1e-6) /* of equals the later; a file tells six digits */
        return FCL_OK;
    t->looked = true;
    best->accuracy = accuracy < 1 ? accuracy : 1;
    best->step = step_of(t);
    best->held_out = t->held_out->shape.dim[0];
    return fcl_classifier_save(t->file, t->judge);
}

static int look(training *t, bool last)
{
    FCL_TRY(fcl_learner_drain(t->learner, NULL));
    double time = fcl_clock_seconds(), seconds = time - t->row_began;
    int64_t step = step_of(t);
    fcl_classify_metrics metrics = {
        .step = step, .lr = fcl_learner_rate(&t->learner->options, step - 1), .seconds = time - t->began};
    metrics.samples_per_second =
        seconds > 0 ? (double)((step - t->row_step) * t->options.batch) / seconds : 0;
    fcl_learner_take_means(t->learner, &metrics.loss, &metrics.gradient_norm);
    FCL_TRY(judge_held_out(t, &metrics));
    FCL_TRY(keep_best(t, metrics.accuracy));
    metrics.best = t->judge->info.accuracy;
    if (!last)
        FCL_TRY(fcl_learner_save(t->learner, t->state));
    t->row_began = fcl_clock_seconds();
    t->row_step = step;
    return t->hooks->metrics ? t->hooks->metrics(t->hooks->data, &metrics) : FCL_OK;
}

/* --- the loop --- */

static int report(training *t)
{
    enum { REPORTS_A_SECOND = 4 };
    double time = fcl_clock_seconds();
    int64_t done = step_of(t) - t->first_step, left = t->options.steps - step_of(t);
    if (!t->hooks->progress || (left > 0 && time - t->reported < 1.0 / REPORTS_A_SECOND))
        return FCL_OK;
    FCL_TRY(fcl_learner_drain(t->learner, NULL));
    t->reported = fcl_clock_seconds();
    double seconds = t->reported - t->began;
    fcl_train_progress now = {
        .step = step_of(t), .steps = t->options.steps, .loss = t->learner->recent, .seconds = seconds};
    now.samples_per_second = seconds > 0 ? (double)(done * t->options.batch) / seconds : 0;
    now.seconds_left = seconds / (double)done * (double)left;
    t->hooks->progress(t->hooks->data, &now);
    return FCL_OK;
}

static int run_step(training *t)
{
    int64_t step = step_of(t);
    fcl_graph_random(t->graph, t->options.seed, (uint32_t)step, 0);
    FCL_TRY(fcl_batch_prepare(&t->batch, step, 0));
    FCL_TRY(fcl_graph_run(t->graph));
    return fcl_learner_step(t->learner);
}

static int stop(training *t)
{
    FCL_TRY(fcl_learner_save(t->learner, t->state));
    return fcl_fail(FCL_ERR_STOPPED,
                    "stopped after step %lld of %lld; %s is the best so far, and resume goes on",
                    (long long)step_of(t), (long long)t->options.steps, t->file);
}

static int64_t look_every(const fcl_classify_options *options)
{
    int64_t every = options->look_every ? options->look_every : options->steps / 20;
    return every > 0 ? every : 1;
}

static int iterate(training *t)
{
    int64_t every = look_every(&t->options), steps = t->options.steps;
    bool ended = step_of(t) >= steps;
    while (!ended) {
        FCL_TRY(run_step(t));
        bool last = step_of(t) >= steps, asked = !last && t->hooks->stop && t->hooks->stop(t->hooks->data);
        FCL_TRY(report(t));
        if (last || step_of(t) % every == 0 || (asked && !t->looked))
            FCL_TRY(look(t, last));
        if (asked)
            return stop(t);
        ended = last || step_of(t) - t->judge->info.step >= t->options.patience * every;
    }
    return unlink(t->state) == 0 || errno == ENOENT
               ? FCL_OK
               : fcl_fail(FCL_ERR_FILE, "cannot remove %s: %s", t->state, strerror(errno));
}

static int begin(training *t)
{
    t->began = t->reported = t->row_began = fcl_clock_seconds();
    t->first_step = t->row_step = step_of(t);
    fcl_classify_start start = {.trained = t->trained->count,
                                .held_out = t->held_out->shape.dim[0],
                                .parameters = t->judge->info.parameters,
                                .first_step = t->first_step,
                                .steps = t->options.steps};
    return t->hooks->start ? t->hooks->start(t->hooks->data, &start) : FCL_OK;
}

static int train(training *t)
{
    bool done;
    FCL_TRY(check_data(t->data));
    FCL_TRY(create_judge(t));
    FCL_TRY(split(t));
    FCL_TRY(create_learner(t));
    FCL_TRY(go_on(t, &done));
    if (done)
        return FCL_OK;
    FCL_TRY(build(t));
    FCL_TRY(begin(t));
    return iterate(t);
}

static void release(training *t)
{
    fcl_graph_destroy(&t->graph);
    fcl_batch_destroy(&t->batch);
    fcl_classifier *judge = t->judge;
    fcl_params *params = judge ? judge->params : NULL;
    if (judge) {
        judge->params = NULL; /* the learner's, too */
        fcl_classifier_close(&t->judge);
    }
    fcl_learner_destroy(&t->learner);
    fcl_params_destroy(&params);
    fcl_dataset_destroy(&t->trained);
    fcl_array_destroy(&t->held_out);
    free(t->label);
    free(t->file);
    free(t->state);
    fcl_arena_free(&t->strings);
}

int fcl_classifier_train(fcl_device *device, const fcl_dataset *data, const fcl_classify_options *options,
                         const fcl_classify_hooks *hooks, const char *out, fcl_classifier **classifier)
{
    static const fcl_classify_hooks none = {0};
    training t = {.device = device, .data = data, .options = *options, .hooks = hooks ? hooks : &none};
    fcl_run_lock *lock = NULL;
    if (classifier)
        *classifier = NULL;
    FCL_TRY(fcl_classify_check(options));
    fcl_options_defaults(fcl_classify_table, &t.options);
    FCL_TRY(fcl_run_lock_take(out, &lock));
    t.file = fcl_format("%s/" FCL_CLASSIFIER_FILE, out);
    t.state = fcl_format("%s/" FCL_CLASSIFIER_TRAINING, out);
    int status = train(&t);
    release(&t);
    if (status == FCL_OK && classifier)
        status = fcl_classifier_open(device, out, classifier);
    fcl_run_lock_release(&lock);
    return status;
}
