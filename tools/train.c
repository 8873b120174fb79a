/* flowcl train: reads the options, lets the library train, keeps the run folder and the person informed. */
#include "launch.h"
#include "preset.h"
#include "run_folder.h"
#include "stop.h"
#include "terminal.h"
#include "tool.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct train_settings {
    fcl_train_options train;
    const char *config, *preset;
    bool replaced; /* the preset's model is, by another */
} train_settings;

static const fcl_option table[] = {
    {"config", FCL_OPTION(train_settings, config), .flags = FCL_OPTION_COMMAND_LINE, .placeholder = "FILE",
     .group = "Run", .help = "YAML file of options; the command line overrides it"},
    {"preset", FCL_OPTION(train_settings, preset), .flags = FCL_OPTION_COMMAND_LINE | FCL_OPTION_CAN_BE_BARE,
     .placeholder = "[NAME]", .help = "begin with the options of a preset, which all others override; with another --model than "
     "its own, without what it says of the network and of how that learns; without a name they are listed"},
    {0},
};

static int bind(fcl_options *options, void *values)
{
    train_settings *settings = values;
    int status = fcl_options_add(options, table, settings);
    return status ? status : fcl_train_options_bind(options, &settings->train);
}

/* --- while it trains --- */

/* What a training goes on without. */
typedef enum trouble {
    TROUBLE_METRICS,
    TROUBLE_PICTURE,
    TROUBLE_CHART,
    TROUBLE_OLD_PICTURE, /* one that the history was to show */
    TROUBLE_HISTORY,
    TROUBLES
} trouble;

typedef struct training {
    const char *config, *preset; /* the --config and the --preset, or NULL */
    bool replaced;               /* see train_settings */
    run_folder folder;
    progress bar;
    progress_state state;
    bool started, stop_told, plans_told, told[TROUBLES];
    bool finished;        /* it had done its steps already */
    int64_t skipped;      /* steps */
    char *saved;          /* path of the newest checkpoint */
    fcl_array *reference; /* some points of the data, drawn under the samples; NULL for pictures */
    double low, high;     /* of pictures */
    fcl_shape sample;     /* shape of one */
    int64_t samples;      /* in a picture */
    int32_t *label;       /* (samples); NULL: the model is told none */
} training;

enum { REFERENCE_POINTS = 2000 };

/* Before the first step, when a person is still there, a failure ends the training. */
static int status_of(bool succeeded)
{
    return succeeded ? FCL_OK : FCL_ERR_FILE; /* the sentence is in folder.failure */
}

/* Later on it is told, once of its kind. */
static void survive(training *run, trouble kind, bool succeeded)
{
    if (!succeeded && !run->told[kind])
        progress_say(&run->bar, "warning %s", run->folder.failure);
    run->told[kind] |= !succeeded;
    run->folder.failure[0] = 0;
}

static void on_warning(void *data, const char *sentence)
{
    training *run = data;
    progress_say(&run->bar, "warning %s", sentence);
}

static void tell(const char *what, char *text)
{
    if (text)
        fprintf(stderr, "%-7s %s\n", what, text);
    free(text);
}

/* Parameters with their gradients, moments and averages; samples: what draws the pictures of the folder. */
static void print_memory(const fcl_train_memory *m)
{
    const double mib = 1 << 20;
    uint64_t parameters = m->weights + m->gradients + m->moments + m->average;
    fcl_fprintf(stderr, "memory  %.3g MiB: parameters %.3g, activations %.3g, data %.3g", (double)m->total / mib,
                (double)parameters / mib, (double)m->activations / mib, (double)m->data / mib);
    if (m->samples)
        fcl_fprintf(stderr, ", samples %.3g", (double)m->samples / mib);
    if (m->pinned)
        fcl_fprintf(stderr, "; %.3g of the host's locked for copies", (double)m->pinned / mib);
    if (m->read_ahead)
        fcl_fprintf(stderr, "; %.3g of the host's for what is read ahead", (double)m->read_ahead / mib);
    fputc('\n', stderr);
}

static void print_ranks(const fcl_train_start *start)
{
    for (int i = 0; i < start->rank_count; i++) {
        const fcl_train_rank *rank = &start->ranks[i];
        fprintf(stderr, "%-7s %d on %s: %d of the %d samples, device %s\n", i ? "" : "ranks", i, tool_plain(rank->host), rank->rows,
                start->options->batch, tool_plain(rank->device));
    }
    if (start->measured)
        fprintf(stderr, "share   %s, as measured; --share %s repeats it\n", start->measured, start->measured);
}

static void print_start(const fcl_train_start *start)
{
    char *model = fcl_model_text(&start->options->model);
    const fcl_device_info *device = start->device;
    char shape[TOOL_SHAPE_TEXT];
    tool_shape_text(start->data->shape, shape);
    fprintf(stderr, "device  %s %s (%s)\n", device->id, device->name, device->platform_name);
    print_ranks(start);
    if (device->tuning[0])
        fprintf(stderr, "warning %s\n", device->tuning);
    fprintf(stderr, "data    %s: %" PRId64 " samples of %s, %s\n", tool_plain(start->data->name),
            start->data->count, shape,
            start->data_on_device    ? "on the device"
            : start->data->pictures ? "in the folder"
            : start->data->stored   ? "on the disk"
                                    : "on the host");
    if (start->data->note)
        fprintf(stderr, "        %s\n", start->data->note);
    if (start->held_out)
        fprintf(stderr, "        %" PRId64 " of them are held out\n", start->held_out);
    tell("scale", tool_normalisation_text(start->normalisation));
    if (start->class_counts)
        tell("labels", tool_classes_text(start->data->classes, (const char *const *)start->data->class_name,
                                         start->class_counts, (double)start->options->label_drop));
    const char *activation = start->options->model.activation; /* NULL: the model reads none */
    fprintf(stderr, "model   %s%s%s: %" PRId64 " parameters\n", model, activation ? ", " : "",
            activation ? activation : "", start->parameters);
    fcl_free(model);
    print_memory(&start->memory);
    if (start->options->out)
        fprintf(stderr, "run     %s\n", tool_plain(start->options->out));
    if (start->begun_with)
        fprintf(stderr, "weights %s\n", tool_plain(start->begun_with));
    if (start->resumed)
        fprintf(stderr, "resumes %s\n", tool_plain(start->resumed));
    if (start->came_from)
        fprintf(stderr, "note    it was trained on %s: on another device the run goes on, but not bit for bit\n",
                tool_plain(start->came_from));
}

/* All options in effect, also those that follow from the data. */
static bool write_config(training *run, const fcl_train_options *options, bool *kept)
{
    fcl_train_options copy = *options;
    fcl_options *bound = fcl_options_create();
    bool written = fcl_train_options_bind(bound, &copy) == FCL_OK &&
                   run_folder_write_config(&run->folder, bound, run->config, kept);
    fcl_options_destroy(&bound);
    return written;
}

/* Writes what the folder holds from the first step on. */
static int begin_folder(training *run, const fcl_train_start *start)
{
    bool kept = false;
    bool begun = (run->finished || write_config(run, start->options, &kept)) &&
                 run_folder_begin(&run->folder, start->first_step);
    if (kept)
        fprintf(stderr, "note    %s/config.yaml is yours and stays as it is; flowcl info tells every option in effect\n",
                run->folder.path);
    if (begun && run->finished)
        fprintf(stderr, "note    all %" PRId64 " steps are done already; more --steps go on\n", start->steps);
    return status_of(begun);
}

/* Points of the data, by the two numbers that are drawn of each, a few at a time: samples may be large. */
static int take_reference(training *run, const fcl_dataset *data)
{
    enum { NUMBERS = 1 << 18 };
    int64_t count = data->count < REFERENCE_POINTS ? data->count : REFERENCE_POINTS, size = data->shape.dim[0];
    int64_t some = NUMBERS / size > 1 ? NUMBERS / size : 1;
    int status = fcl_array_create(FCL_SHAPE(count, 2), &run->reference);
    for (int64_t first = 0; first < count && status == FCL_OK; first += some) {
        fcl_array *part = NULL;
        int64_t n = count - first < some ? count - first : some;
        status = fcl_dataset_take(data, first, n, &part);
        for (int64_t i = 0; i < n && status == FCL_OK; i++)
            memcpy(run->reference->data + 2 * (first + i), part->data + i * size, 2 * sizeof(float));
        fcl_array_destroy(&part);
    }
    return status;
}

static int on_start(void *data, const fcl_train_start *start)
{
    training *run = data;
    fcl_watch_set(NULL); /* from here on on_stop is asked, and what is done is saved */
    run->started = true;
    if (start->data->shape.rank == 1 && start->data->shape.dim[0] >= 2) {
        int status = take_reference(run, start->data);
        if (status != FCL_OK)
            return status;
    }
    run->low = start->normalisation->low;
    run->high = start->normalisation->high;
    run->folder.clip = fmax(0, (double)start->options->clip);
    run->sample = start->data->shape;
    run->samples = start->samples;
    if (start->class_counts) {
        run->label = calloc((size_t)run->samples, sizeof *run->label);
        if (!run->label)
            return FCL_ERR_MEMORY;
        fcl_class_draw(start->data->classes, start->class_counts, run->samples, run->label);
    }
    progress_start(&run->bar, start->first_step, start->steps);
    if (run->preset && !start->resumed)
        fprintf(stderr, "preset  %s%s\n", tool_plain(run->preset),
                run->replaced ? ", but for its model and how that learns" : "");
    print_start(start);
    run->state.step = start->first_step;
    run->finished = start->first_step >= start->steps;
    return begin_folder(run, start);
}

static bool on_stop(void *data)
{
    training *run = data;
    if (!run->started)
        fcl_watch_set(NULL); /* as on_start does on the first rank */
    run->started = true;
    return tool_is_first() ? progress_stop(&run->bar, &run->stop_told) : stop_asked();
}

static void on_progress(void *data, const fcl_train_progress *now)
{
    training *run = data;
    run->skipped = now->skipped;
    progress_train(&run->bar, &run->state, now);
}

/* Once a run; metrics.jsonl tells of all. */
static void warn_of_plans(training *run, const fcl_train_metrics *metrics)
{
    const fcl_train_plans *plans = &metrics->plans;
    if (!plans->open || run->plans_told)
        return;
    run->plans_told = true;
    progress_erase(&run->bar);
    fcl_fprintf(stderr,
                "warning %" PRId64 " of %" PRId64 " plans of the coupling had not converged by step %" PRId64
                " (%.2g of their mass is in the wrong place): more --coupling-iterations or a larger --reg may help\n",
                plans->open, plans->count, metrics->step, plans->change);
}

static int on_metrics(void *data, const fcl_train_metrics *metrics)
{
    training *run = data;
    warn_of_plans(run, metrics);
    survive(run, TROUBLE_METRICS, run_folder_add_metrics(&run->folder, metrics));
    return FCL_OK;
}

/* Of the pictures that are there up to a step. */
static void draw_history(training *run, int64_t step)
{
    fcl_history *history;
    if (fcl_history_create(run->sample, run->samples, run->label, &history) != FCL_OK)
        return; /* such samples are not drawn */
    survive(run, TROUBLE_OLD_PICTURE, run_folder_gather_history(&run->folder, history, step));
    survive(run, TROUBLE_HISTORY, run_folder_draw_history(&run->folder, history));
    fcl_history_destroy(&history);
}

static int on_samples(void *data, int64_t step, const fcl_array *samples)
{
    training *run = data;
    char title[64];
    snprintf(title, sizeof title, "samples after step %" PRId64, step);
    fcl_picture_options picture = {
        .reference = run->reference, .low = run->low, .high = run->high, .title = title, .label = run->label};
    survive(run, TROUBLE_PICTURE, run_folder_add_samples(&run->folder, step, samples, &picture));
    draw_history(run, step);
    survive(run, TROUBLE_CHART, run_folder_draw_loss(&run->folder));
    return FCL_OK;
}

static bool has_samples(void *data, int64_t step)
{
    const training *run = data;
    return run_folder_has_samples(&run->folder, step);
}

static int on_checkpoint(void *data, int64_t step, const char *path)
{
    training *run = data;
    free(run->saved);
    run->saved = strdup(path);
    if (run->stop_told || step == run->bar.total) /* the last one, with the folder still locked */
        survive(run, TROUBLE_CHART, run_folder_draw_loss(&run->folder));
    return FCL_OK;
}

static int on_finish(void *data, fcl_device *device)
{
    training *run = data;
    fcl_profile_line *lines;
    int count;
    if (run->finished)
        draw_history(run, run->state.step);
    else
        progress_finish(&run->bar, &run->state);
    survive(run, TROUBLE_CHART, run_folder_draw_loss(&run->folder));
    int status = fcl_device_profile(device, &lines, &count);
    if (status != FCL_OK)
        return status;
    double total = 0;
    int64_t untimed = 0;
    for (int i = 0; i < count; i++) {
        total += lines[i].host ? 0 : lines[i].seconds;
        untimed += lines[i].untimed;
    }
    if (count > 0)
        fprintf(stderr, "%-48s %10s %10s %6s\n", "kernel", "launches", "seconds", "share");
    for (int i = 0; i < count; i++) {
        fcl_fprintf(stderr, "%-48s %10" PRId64 " %10.4f ", lines[i].name, lines[i].launches, lines[i].seconds);
        if (lines[i].host)
            fprintf(stderr, "%6s\n", "host");
        else
            fcl_fprintf(stderr, "%5.1f%%\n", total > 0 ? 100 * lines[i].seconds / total : 0);
    }
    const fcl_device_counts counts = fcl_device_count(device);
    if (count > 0)
        fcl_fprintf(stderr, "distinct kernels generated: %" PRId64 "; building took %.3g s\n",
                    counts.generated, counts.build_seconds);
    if (untimed > 0)
        fprintf(stderr,
                "warning of %" PRId64 " launches the driver tells times that cannot be; these are not in the seconds\n",
                untimed);
    fcl_free(lines);
    return FCL_OK;
}

/* --- from the command line to fcl_train --- */

/* Takes up the configuration of the folder's newest checkpoint: --resume needs no other option. */
static int read_checkpoint_options(const tool_call *call, const char *path)
{
    fcl_checkpoint *checkpoint = NULL;
    int status = fcl_checkpoint_open(path, &checkpoint);
    if (status == FCL_OK)
        status = fcl_options_read_json(call->options, fcl_checkpoint_describe(checkpoint)->config);
    if (status != FCL_OK)
        tool_fail("cannot resume: %s", fcl_error());
    fcl_checkpoint_close(&checkpoint);
    return status == FCL_OK ? EXIT_DONE : EXIT_FAILED;
}

/* The model of a checkpoint of ours that the weights come from, what is learned and along which path: others than these
 * are told by the command line or a --config. */
static bool is_of_model(const char *key)
{
    static const char *const flow[] = {"path", "prediction", "sigma"};
    for (const fcl_option *row = fcl_model_table; row->key; row++)
        if (!strcmp(row->key, key))
            return true;
    for (size_t i = 0; i < sizeof flow / sizeof *flow; i++)
        if (!strcmp(flow[i], key))
            return true;
    return false;
}

static int read_init_options(const tool_call *call, const char *path)
{
    fcl_checkpoint *checkpoint = NULL;
    if (fcl_checkpoint_open(path, &checkpoint) != FCL_OK)
        return FCL_OK; /* of another program, or the library's to say */
    json_t *config = json_loads(fcl_checkpoint_describe(checkpoint)->config, 0, NULL), *value;
    const char *key;
    void *next;
    json_object_foreach_safe(config, next, key, value)
    {
        if (!is_of_model(key))
            json_object_del(config, key);
    }
    char *text = json_dumps(config, JSON_REAL_PRECISION(9));
    int status = fcl_options_read_json(call->options, text);
    fcl_free(text);
    json_decref(config);
    fcl_checkpoint_close(&checkpoint);
    return status;
}

static int read_earlier_run(const tool_call *call)
{
    const fcl_train_options *train = &((train_settings *)call->settings)->train;
    char *newest = NULL;
    if (fcl_checkpoint_newest(train->out, &newest) != FCL_OK)
        return train->init && read_init_options(call, train->init) ? tool_fail_library() : EXIT_DONE;
    int status = EXIT_DONE; /* without --resume, what is wrong with the folder is the library's to say */
    if (train->resume)
        status = read_checkpoint_options(call, newest);
    else if (!train->data)
        status = tool_fail("%s holds a run already (%s): go on with --resume, or choose another folder with --out",
                           train->out, newest);
    fcl_free(newest);
    return status;
}

static bool is_of_preset(const tool_call *call, const char *key)
{
    return fcl_options_source(call->options, key) == FCL_FROM_PRESET;
}

/* What a preset says for its own labels and its own number of steps is not held against who wants others. */
static void fit_preset(const tool_call *call)
{
    fcl_train_options *train = &((train_settings *)call->settings)->train;
    if (!train->labels && is_of_preset(call, "label-drop"))
        train->label_drop = 0;
    bool other_steps = train->steps > 0 && !is_of_preset(call, "steps");
    if (other_steps && is_of_preset(call, "warmup") && train->warmup > train->steps / 10)
        train->warmup = train->steps / 10;
}

/* Of a preset those of a path, and not a built-in set's, are to be made first. */
static bool lacks_data(const tool_call *call)
{
    const char *data = ((train_settings *)call->settings)->train.data;
    return is_of_preset(call, "data") && !fcl_dataset_is_builtin(data) && access(data, F_OK) != 0;
}

static int read_options(const tool_call *call)
{
    train_settings *settings = call->settings;
    if (call->count && fcl_options_set(call->options, "data", call->positional[0], FCL_FROM_COMMAND_LINE))
        return tool_fail_usage(&train_command, "%s", fcl_error());
    if (settings->config && fcl_options_read_yaml(call->options, settings->config))
        return tool_fail_library();
    int status = settings->preset ? preset_read(call->options, settings->preset, settings->train.model.model, &settings->replaced)
                                  : EXIT_DONE;
    if (status != EXIT_DONE)
        return status;
    if (!settings->train.out)
        return tool_fail_usage(&train_command,
                               "--out DIR is needed: the folder for checkpoints and pictures");
    status = read_earlier_run(call);
    if (status != EXIT_DONE)
        return status;
    if (!settings->train.data)
        return tool_fail_usage(&train_command, "DATA is needed: a built-in set's name or a path");
    fit_preset(call);
    if (fcl_options_finish(call->options) || fcl_train_options_check(&settings->train))
        return tool_fail_usage(&train_command, "%s", fcl_error());
    return lacks_data(call) ? preset_fail_data(settings->preset, settings->train.data) : EXIT_DONE;
}

static int report(training *run, int status)
{
    if (!tool_is_first()) /* which tells */
        return status == FCL_OK || (status == FCL_ERR_STOPPED && run->started) ? EXIT_DONE : tool_fail_library();
    if (status == FCL_ERR_STOPPED && run->started)
        progress_finish(&run->bar, &run->state);
    if (run->bar.drawn && run->state.step > 0) /* it ended in the middle of the bar's line, which stays */
        fputc('\n', stderr);
    else
        progress_erase(&run->bar);
    if (run->folder.failure[0])
        return tool_fail("%s", run->folder.failure);
    if (status != FCL_OK && (status != FCL_ERR_STOPPED || !run->started))
        return tool_fail_library();
    if (run->skipped)
        fprintf(stderr, "skipped %" PRId64 " of %" PRId64 " steps, whose loss or gradient was not finite\n", run->skipped,
                run->state.step - run->bar.first);
    if (run->saved)
        fprintf(stderr, "saved %s\n", tool_plain(run->saved));
    if (status == FCL_ERR_STOPPED)
        fprintf(stderr, "stopped at step %" PRId64 "; go on with: flowcl train --resume --out %s\n",
                run->state.step, tool_plain(run->folder.path));
    return EXIT_DONE;
}

/* Of a --preset without a name. Who trains has forgotten it, or a variable of a script's is empty. */
static int list_presets(const tool_call *call)
{
    const train_settings *settings = call->settings;
    if (call->count || settings->train.out)
        return tool_fail_usage(&train_command, "--preset needs a name to train by; flowcl train --preset lists them");
    return preset_list();
}

static int run(const tool_call *call)
{
    train_settings *settings = call->settings;
    settings->train.ranks = tool_ranks();
    if (!settings->preset && fcl_options_source(call->options, "preset") == FCL_FROM_COMMAND_LINE)
        return list_presets(call);
    int status = read_options(call);
    if (status != EXIT_DONE)
        return status;
    if (launch_listed(settings->train.device, &status))
        return status;
    if ((status = tool_agree("folders of a run (--out)", settings->train.out)) != EXIT_DONE)
        return status;
    training run = {.config = settings->config, .preset = settings->preset, .replaced = settings->replaced, .folder = {.path = settings->train.out}};
    fcl_train_hooks hooks = {.data = &run,
                             .stop = on_stop,
                             .start = on_start,
                             .progress = on_progress,
                             .metrics = on_metrics,
                             .checkpoint = on_checkpoint,
                             .samples = FCL_SAMPLES_OF_A_PICTURE,
                             .sampled = on_samples,
                             .has_samples = has_samples,
                             .warning = on_warning,
                             .finish = on_finish};
    tool_watch(&run.bar);
    progress_announce(&run.bar, "preparing data, device and kernels");
    status = report(&run, fcl_train(&settings->train, &hooks));
    run_folder_close(&run.folder);
    fcl_array_destroy(&run.reference);
    free(run.label);
    free(run.saved);
    return status;
}

static const help_list *const lists[] = {&help_formulas, &help_data_sets, NULL};

const subcommand train_command = {
    .name = "train",
    .usage = "[DATA] --out DIR [options]",
    .summary = "train a model on data, with checkpoints and pictures in a folder",
    .about = "DATA is a built-in set's name, or the path of a .npy, .npz, .csv or IDX file;\n"
             "FILE.npz:NAME is one array of an archive. --label-column names a table's label.\n"
             "A folder is its PNG and JPEG files: with --labels its subfolders are classes,\n"
             "or --label-file tells them. CIFAR-10's binary batches are read, too.\n"
             "A folder of .npy files is their samples. Large .npy files and folders stay on\n"
             "the disk, as with --from-disk: then blocks of 1 MiB come in a random order, and\n"
             "the samples of 32 of them at a time, unless --shuffle says otherwise.\n"
             "--preset NAME begins with the options of a documented training, its data among\n"
             "them; --preset alone lists which there are. With another --model only the data,\n"
             "classes and steps of it are taken.\n"
             "--init FILE begins with the weights of a checkpoint, whose model is taken, too,\n"
             "or of a safetensors file of another program, whose model the options tell.\n"
             "--help --model NAME lists the options of that model, and its defaults.\n"
             "Ctrl-C finishes the step and saves; --resume goes on from there, bit for bit.\n"
             "A picture or a checkpoint that cannot be written, as on a full disk, is told and\n"
             "does not end the training; only the last checkpoint must succeed.\n"
             "The folder gets config.yaml, metrics.jsonl, samples-*.png, always of the same\n"
             "noise, history.png, which shows these in one picture, loss.png, a chart, and\n"
             "checkpoint-*.safetensors, the checkpoints. --resume draws both pictures again.",
    .lists = lists,
    .shared = true,
    .chooser = "model",
    .most = 1,
    .size = sizeof(train_settings),
    .bind = bind,
    .run = run,
};
