/* flowcl classify: trains a classifier of pictures, by whose features eval judges. */
#include "run_folder.h"
#include "terminal.h"
#include "tool.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct classify_settings {
    fcl_classify_options classify;
    fcl_image_options image;
    const char *out, *data, *test, *label_column, *device;
    int64_t data_count;
    bool json;
} classify_settings;

#define ROW(member) FCL_OPTION(classify_settings, member)

/* clang-format off */
static const fcl_option table[] = {
    {"out", ROW(out), .flags = FCL_OPTION_COMMAND_LINE | FCL_OPTION_REQUIRED, .placeholder = "DIR", .group = "Classifier",
     .help = "folder that the classifier goes to"},
    {"data", ROW(data), .placeholder = "DATA", .help = "the same as DATA: pictures with labels"},
    {"test", ROW(test), .placeholder = "DATA",
     .help = "pictures whose accuracy is told at the end; without it the test part of DATA, where there is one"},
    {"data-count", ROW(data_count), .minimum = 0, .maximum = 1e15, .help = "samples of DATA to use; 0: all"},
    {"label-column", ROW(label_column), .placeholder = "NAME", .help = "of DATA the array that is the label"},
    {"device", ROW(device), .placeholder = "D",
     .help = "P:D, cpu, gpu or a piece of a name, /N.K after it: part K of N; $FLOWCL_DEVICE, else the best one"},
    {"json", ROW(json), .flags = FCL_OPTION_COMMAND_LINE, .help = "print one JSON object instead of text"},
    {0},
};
/* clang-format on */

static int bind(fcl_options *options, void *values)
{
    classify_settings *settings = values;
    int status = fcl_options_add(options, table, settings);
    if (status == FCL_OK)
        status = fcl_options_add(options, fcl_image_table, &settings->image);
    return status ? status : fcl_options_add(options, fcl_classify_table, &settings->classify);
}

/* How often each class of a set was right. */
typedef struct score {
    int64_t count, right, *count_of, *right_of; /* (classes) */
} score;

typedef struct classifying {
    classify_settings *settings;
    const fcl_options *options; /* the same by name */
    fcl_device *device;
    fcl_dataset *data, *test; /* test NULL: there is none */
    char *test_name;
    fcl_classifier *classifier;
    run_folder folder;
    progress bar;
    progress_state state;
    bool started, stop_told, metrics_told, chart_told;
    score score;
} classifying;

/* --- while it trains --- */

/* What --resume needs. Beside what belongs to another run, as a training's, its files would be mixed up with these. */
static bool begin_folder(classifying *run, int64_t first_step)
{
    bool kept;
    if (!run_folder_write_config(&run->folder, run->options, NULL, &kept))
        return false;
    return kept ? run_folder_fail(&run->folder, "%s/config.yaml is not of a classifier: choose another folder with --out",
                                  run->folder.path)
                : run_folder_begin(&run->folder, first_step);
}

static int on_start(void *data, const fcl_classify_start *start)
{
    classifying *run = data;
    const fcl_device_info *device = fcl_device_describe(run->device);
    fcl_watch_set(NULL); /* from here on on_stop is asked, and what is done is saved */
    run->started = true;
    run->state.step = start->first_step;
    if (!begin_folder(run, start->first_step))
        return FCL_ERR_FILE;
    progress_start(&run->bar, start->first_step, start->steps);
    fprintf(stderr, "device  %s %s (%s)\n", device->id, device->name, device->platform_name);
    fprintf(stderr, "data    %s: %" PRId64 " pictures to train on, %" PRId64 " held out\n",
            tool_plain(run->data->name), start->trained, start->held_out);
    fprintf(stderr, "model   classifier of %d classes: %" PRId64 " parameters\n", run->data->classes,
            start->parameters);
    if (start->first_step)
        fprintf(stderr, "resumes at step %" PRId64 "\n", start->first_step);
    return FCL_OK;
}

static void on_progress(void *data, const fcl_train_progress *now)
{
    classifying *run = data;
    progress_train(&run->bar, &run->state, now);
}

static json_t *row_of(const fcl_classify_metrics *metrics)
{
    json_t *row = json_object();
    json_object_set_new(row, "step", json_integer(metrics->step));
    json_object_set_new(row, "loss", tool_real_json(metrics->loss));
    json_object_set_new(row, "gradient_norm", tool_real_json(metrics->gradient_norm));
    json_object_set_new(row, "lr", tool_real_json(metrics->lr));
    json_object_set_new(row, "held_out_loss", tool_real_json(metrics->held_out_loss));
    json_object_set_new(row, "held_out_accuracy", tool_real_json(metrics->accuracy));
    json_object_set_new(row, "samples_per_second", tool_real_json(metrics->samples_per_second));
    json_object_set_new(row, "seconds", tool_real_json(metrics->seconds));
    return row;
}

/* A training goes on without its metrics and their chart: what fails is told once. */
static void survive(classifying *run, bool succeeded, bool *told)
{
    if (!succeeded && !*told)
        progress_say(&run->bar, "warning %s", run->folder.failure);
    *told |= !succeeded;
    run->folder.failure[0] = 0;
}

static int on_metrics(void *data, const fcl_classify_metrics *metrics)
{
    classifying *run = data;
    progress_say(&run->bar,
                 "step %" PRId64 ": %.2f %% of the held-out pictures are right, the best so far %.2f %%",
                 metrics->step, 100 * metrics->accuracy, 100 * metrics->best);
    survive(run, run_folder_add_row(&run->folder, row_of(metrics)), &run->metrics_told);
    survive(run, run_folder_draw_loss(&run->folder), &run->chart_told);
    return FCL_OK;
}

static bool on_stop(void *data)
{
    classifying *run = data;
    return progress_stop(&run->bar, &run->stop_told);
}

/* --- what it has learned --- */

static int count_right(classifying *run, const fcl_array *pictures, const int32_t *label)
{
    int32_t *said = NULL;
    int status = fcl_classifier_apply(run->classifier, pictures, NULL, &said);
    size_t classes = (size_t)run->data->classes;
    run->score = (score){pictures->shape.dim[0], 0, calloc(classes, sizeof(int64_t)),
                         calloc(classes, sizeof(int64_t))};
    if (status == FCL_OK && (!run->score.count_of || !run->score.right_of))
        status = FCL_ERR_MEMORY;
    for (int64_t i = 0; status == FCL_OK && i < run->score.count; i++) {
        run->score.count_of[label[i]]++;
        run->score.right_of[label[i]] += said[i] == label[i];
        run->score.right += said[i] == label[i];
    }
    fcl_free(said);
    return status;
}

static int test(classifying *run)
{
    fcl_array *pictures = NULL;
    if (!run->test)
        return FCL_OK;
    int status = fcl_dataset_take(run->test, 0, run->test->count, &pictures);
    if (status == FCL_OK)
        status = count_right(run, pictures, run->test->label);
    fcl_array_destroy(&pictures);
    return status;
}

static void print_classes(const classifying *run)
{
    for (int k = 0; k < run->data->classes; k++) {
        char number[16];
        snprintf(number, sizeof number, "%d", k);
        const char *name = run->data->class_name ? run->data->class_name[k] : number;
        if (run->score.count_of[k])
            fcl_printf("  %-20s %6.2f %% of %" PRId64 "\n", tool_plain(name),
                       100 * (double)run->score.right_of[k] / (double)run->score.count_of[k],
                       run->score.count_of[k]);
    }
}

static void print_text(const classifying *run)
{
    const fcl_classifier_info *info = fcl_classifier_describe(run->classifier);
    if (run->test)
        fcl_printf("accuracy %.2f %% of the %" PRId64 " pictures of %s\n",
                   100 * (double)run->score.right / (double)run->score.count, run->score.count,
                   tool_plain(run->test->name));
    fcl_printf("%saccuracy %.2f %% of %" PRId64 " held-out pictures, the best, after step %" PRId64 "\n",
               run->test ? "" : "there is no test part: ", 100 * info->accuracy, info->held_out, info->step);
    if (run->test)
        print_classes(run);
    printf("written to %s\n", tool_plain(info->path));
}

static int print_json(const classifying *run)
{
    const fcl_classifier_info *info = fcl_classifier_describe(run->classifier);
    const score *s = &run->score;
    json_t *object = json_object();
    json_object_set_new(object, "test", run->test ? tool_text_json(run->test->name) : json_null());
    json_object_set_new(object, "n", json_integer(s->count));
    json_object_set_new(object, "accuracy",
                        run->test ? json_real((double)s->right / (double)s->count) : json_null());
    json_object_set_new(object, "held_out_accuracy", json_real(info->accuracy));
    json_object_set_new(object, "held_out", json_integer(info->held_out));
    json_object_set_new(object, "step", json_integer(info->step));
    json_object_set_new(object, "parameters", json_integer(info->parameters));
    json_object_set_new(object, "out", tool_text_json(info->path));
    json_object_set_new(object, "device", tool_text_json(fcl_device_describe(run->device)->name));
    return tool_print_json(object);
}

/* --- the run --- */

static int open_test(classifying *run)
{
    const classify_settings *settings = run->settings;
    run->test_name = settings->test ? strdup(settings->test) : tool_test_part(settings->data);
    if (!run->test_name)
        return FCL_OK;
    fcl_dataset_options which = {.label_guess = settings->label_column,
                                 .background_guess = settings->image.background,
                                 .like = run->data->shape};
    int status = fcl_dataset_open(run->test_name, &which, &run->test);
    if (status == FCL_OK)
        status = fcl_dataset_match_classes(run->test, run->data->classes,
                                           (const char *const *)run->data->class_name);
    return status;
}

/* What the test part lacks; NULL: nothing. */
static const char *test_fault(const classifying *run)
{
    const fcl_dataset *data = run->data, *held = run->test;
    if (!held)
        return NULL;
    if (!held->label)
        return "has no labels";
    if (held->classes > data->classes)
        return "has more classes than the data";
    return fcl_shape_size(held->shape) == fcl_shape_size(data->shape)
               ? NULL
               : "has pictures of another size than the data";
}

/* A training that goes on has the options and the data that it began with. One that another program began has no file of
 * them, but those of training in the classifier's, see below. */
static int read_options(const tool_call *call)
{
    const classify_settings *settings = call->settings;
    const run_folder folder = {.path = settings->out};
    if (call->count && fcl_options_set(call->options, "data", call->positional[0], FCL_FROM_COMMAND_LINE))
        return FCL_ERR_ARGUMENT;
    if (!settings->classify.resume || !settings->out)
        return FCL_OK;
    char *path = run_folder_file(&folder, "config.yaml");
    int status = access(path, F_OK) == 0 ? fcl_options_read_yaml(call->options, path) : FCL_OK;
    free(path);
    return status;
}

static int read_classifier_options(classifying *run, const tool_call *call)
{
    fcl_classifier *earlier;
    if (!run->settings->classify.resume ||
        fcl_classifier_open(run->device, run->settings->out, &earlier) != FCL_OK)
        return FCL_OK;
    int status = fcl_options_read_json(call->options, fcl_classifier_describe(earlier)->config);
    fcl_classifier_close(&earlier);
    return status;
}

static int prepare(classifying *run, const tool_call *call)
{
    const classify_settings *settings = run->settings;
    fcl_dataset_options which = {
        .count = settings->data_count, .label_column = settings->label_column, .image = settings->image};
    int status = fcl_dataset_open(settings->data, &which, &run->data);
    if (status == FCL_OK)
        status = open_test(run);
    if (status == FCL_OK)
        status = fcl_device_open(settings->device, NULL, &run->device);
    if (status == FCL_OK)
        status = read_classifier_options(run, call);
    return status;
}

static int train(classifying *run)
{
    fcl_classify_hooks hooks = {
        .data = run, .start = on_start, .progress = on_progress, .metrics = on_metrics, .stop = on_stop};
    int status = fcl_classifier_train(run->device, run->data, &run->settings->classify, &hooks,
                                      run->settings->out, &run->classifier);
    if (run->started && (status == FCL_OK || status == FCL_ERR_STOPPED))
        progress_finish(&run->bar, &run->state);
    else
        progress_erase(&run->bar);
    run_folder_close(&run->folder);
    return status;
}

static int report(classifying *run, int status)
{
    if (status == FCL_ERR_STOPPED && run->started) {
        fprintf(stderr, "stopped at step %" PRId64 "; go on with: flowcl classify --resume --out %s\n",
                run->state.step, tool_plain(run->settings->out));
        return EXIT_DONE;
    }
    if (run->folder.failure[0])
        return tool_fail("%s", run->folder.failure);
    if (status == FCL_OK)
        status = test(run);
    if (status != FCL_OK)
        return tool_fail_library();
    if (run->settings->json)
        return print_json(run);
    print_text(run);
    return EXIT_DONE;
}

static void release(classifying *run)
{
    fcl_classifier_close(&run->classifier);
    fcl_dataset_destroy(&run->data);
    fcl_dataset_destroy(&run->test);
    fcl_device_close(&run->device);
    free(run->test_name);
    free(run->score.count_of);
    free(run->score.right_of);
}

static int run(const tool_call *call)
{
    classify_settings *settings = call->settings;
    classifying work = {.settings = settings, .options = call->options, .folder = {.path = settings->out}};
    int read = read_options(call);
    if (read == FCL_ERR_FILE || read == FCL_ERR_FORMAT)
        return tool_fail_library();
    if (read != FCL_OK || fcl_options_finish(call->options) || fcl_classify_check(&settings->classify))
        return tool_fail_usage(&classify_command, "%s", fcl_error());
    if (!settings->data)
        return tool_fail_usage(&classify_command, "DATA is needed: a built-in set's name or a path");
    tool_watch(&work.bar);
    progress_announce(&work.bar, "preparing data, device and kernels");
    int status = prepare(&work, call);
    const char *fault = status == FCL_OK ? test_fault(&work) : NULL;
    if (status == FCL_OK && !fault)
        status = train(&work);
    else
        progress_erase(&work.bar);
    int ended = fault ? tool_fail("%s %s", work.test->name, fault) : report(&work, status);
    release(&work);
    return ended;
}

const subcommand classify_command = {
    .name = "classify",
    .usage = "[DATA] --out DIR [options]",
    .summary = "train a classifier of pictures, for eval --features",
    .about = "DATA has pictures with labels: a built-in set's name or a file. The classifier\n"
             "is small and convolutional; what it sees of a picture, 128 numbers before its\n"
             "last layer, is what eval --features DIR compares. Pictures are moved by some\n"
             "pixels and mirrored while it trains. A part of the data is held out; the weights\n"
             "that did best there are kept in DIR/classifier.safetensors; metrics.jsonl tells\n"
             "of each look at it, and loss.png shows them. The accuracy on the test part is\n"
             "printed at the end.\n"
             "Ctrl-C finishes the step and saves; --resume --out DIR goes on from there, with\n"
             "the options and the data that it began with, which are in DIR/config.yaml.",
    .lists = (const help_list *const[]){&help_data_sets, NULL},
    .most = 1,
    .size = sizeof(classify_settings),
    .bind = bind,
    .run = run,
};
