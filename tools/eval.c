/* flowcl eval: how near samples are to data, and how a model gets there. */
#include "eval.h"
#include "launch.h"
#include "sample_rows.h"
#include "terminal.h"

#include <stdlib.h>
#include <string.h>

#define ROW(member) FCL_OPTION(eval_settings, member)

static const char *against_name(int index)
{
    static const char *const names[] = {"test", "train"};
    return index >= 0 && index < 2 ? names[index] : NULL;
}

/* clang-format off */
static const fcl_option table[] = {
    {"metrics", ROW(metrics), .placeholder = "NAME,...", .group = "Evaluation",
     .help = "what to measure; without it everything that can be, but for what is of features"},
    {"features", ROW(features), .placeholder = "DIR",
     .help = "a classifier of classify: measure its features of pictures, against the test part of DATA where there is one"},
    {"against", ROW(against), .choice = against_name,
     .help = "what --features holds samples against: the test part of DATA, or DATA itself (default test)"},
    {"floor", ROW(floor), .fallback = "yes",
     .help = "measure each distance between draws of the data, too, at the same number of points"},
    {"floor-draws", ROW(floor_draws), .minimum = 2, .maximum = 1000, .fallback = "5",
     .help = "how many pairs of draws that floor is the mean of"},
    {"label-column", ROW(label_column), .placeholder = "NAME",
     .help = "of DATA the column or array that is the label, and of SAMPLES where they have it; without it that of the "
             "training, or \"label\""},
    {"data-seed", ROW(data_seed), .minimum = 1, .maximum = 1.8e19, .fallback = "1",
     .help = "of a generated data set: another than a model was trained on gives held-out points"},
    {"chart", ROW(chart), .placeholder = "FILE",
     .help = "draw data, samples and trajectories, or pictures and their nearest data, as .png; of several, the first"},
    {"device", ROW(device), .placeholder = "D[,D]",
     .help = TOOL_DEVICES_HELP},
    {"json", ROW(json), .help = "print one JSON object instead of a table"},
    {0},
};

static const sample_change changes[] = {
    {"n", "2000", "how many samples of a model; of a file, all unless this is given"},
    {"ema", NULL, "which weights: yes, the averaged ones, of several averages the first; no, those without average; an "
                  "average's decay; or all, each average and the weights, a row each"},
    {0},
};
/* clang-format on */

static fcl_option sample_rows[SAMPLE_ROWS];

static int bind(fcl_options *options, void *values)
{
    eval_settings *settings = values;
    sample_rows_fill(sample_rows, changes);
    int status = fcl_options_add(options, table, settings);
    if (status == FCL_OK)
        status = fcl_options_add(options, fcl_image_table, &settings->image);
    if (status == FCL_OK)
        status = fcl_options_add(options, fcl_distance_table, &settings->distance);
    if (status == FCL_OK)
        status = fcl_options_add(options, fcl_foreign_table, &settings->foreign);
    return status ? status : fcl_options_add(options, sample_rows, &settings->sample);
}

static bool is_given(const tool_call *call, const char *key)
{
    return fcl_options_source(call->options, key) != FCL_FROM_DEFAULT;
}

static int measure_all(evaluation *work, eval_subject *subjects, eval_results *results)
{
    int status = FCL_OK;
    for (int i = 0; i < results->metrics && status == FCL_OK; i++) {
        const eval_metric *metric = &results->metric[i];
        for (int k = 0; k < results->subjects && status == FCL_OK; k++)
            status = eval_measure(work, metric, &subjects[k], &results->value[i][k]);
        if (status == FCL_OK && tool_is_first())
            status = eval_measure_floor(work, metric, subjects, results->subjects, results->value[i],
                                        &results->floor[i]);
    }
    return status;
}

static int compute(evaluation *work, const tool_call *call, eval_subject *subjects, eval_results *results)
{
    const char *name = call->positional[call->count - 1];
    bool limited = is_given(call, "n");
    int64_t most = 0;
    int status = eval_open_models(work, subjects, results->subjects);
    if (status == FCL_OK && work->all_averages)
        status = eval_spread(work, subjects, results);
    if (status == FCL_OK)
        status = eval_open_data(work, name, is_given(call, "data-seed"));
    if (status == FCL_OK)
        status = eval_open_features(work, name);
    if (status == FCL_OK)
        status = eval_match_classes(work, subjects, results->subjects);
    if (status == FCL_OK)
        status = eval_read_label(work);
    for (int k = 0; k < results->subjects && status == FCL_OK; k++) {
        status = eval_prepare(work, limited, &subjects[k]);
        if (status == FCL_OK && subjects[k].samples->shape.dim[0] > most)
            most = subjects[k].samples->shape.dim[0];
    }
    if (status == FCL_OK)
        status = eval_draw_data(work, name, most);
    if (status == FCL_OK && tool_is_first())
        status = eval_see_all(work, subjects, results->subjects, most);
    if (status == FCL_OK)
        status = measure_all(work, subjects, results);
    if (status != FCL_OK || !tool_is_first())
        return status;
    status = eval_measure_classes(work, &subjects[0]);
    return status == FCL_OK ? eval_draw_chart(work, &subjects[0]) : status;
}

static bool is_among(const char *name, const char *const *names)
{
    while (*names && strcmp(*names, name))
        names++;
    return *names;
}

/* No option of distances without a metric that takes it; those of a classifier's features take none. */
static int check_distances(const tool_call *call, const eval_results *results)
{
    const eval_settings *settings = results->work->settings;
    static const struct {
        const char *key, *metrics[16];
    } uses[] = {
        {"points", {"w1", "w2", "energy", "mmd", "ot-cost", "npe"}},
        {"projections", {"sliced"}},
        {"bandwidth", {"mmd"}},
        {"floor-draws", {"w1", "w2", "sliced", "energy", "mmd", "frechet", "kid", "precision", "recall", "density", "coverage"}},
    };
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        bool used = !is_given(call, uses[i].key);
        for (int k = 0; k < results->metrics && !used; k++)
            used = is_among(results->metric[k].name, uses[i].metrics) &&
                   !(settings->features && results->metric[k].of_features);
        if (!used)
            return tool_fail_usage(&eval_command, "--%s has no use with --%s %s", uses[i].key,
                                   settings->metrics ? "metrics" : "features",
                                   settings->metrics ? settings->metrics : settings->features);
    }
    if (settings->floor == FCL_OFF && is_given(call, "floor-draws"))
        return tool_fail_usage(&eval_command, "--floor-draws has no use with --floor no");
    return EXIT_DONE;
}

/* How a model is sampled has no use for files alone. */
static int check_sampling(const tool_call *call)
{
    static const char *const of_files[] = {"n", "seed", "label", NULL};
    for (int k = 0; k < call->count - 1; k++)
        if (tool_is_model(call->positional[k]))
            return EXIT_DONE;
    for (int i = 0; sample_rows[i].key; i++)
        if (!is_among(sample_rows[i].key, of_files) && is_given(call, sample_rows[i].key))
            return tool_fail_usage(&eval_command, "--%s has no use without a model: %s holds samples",
                                   sample_rows[i].key, call->positional[0]);
    static const char *const of_models[] = {"device", "config", "names"};
    const eval_settings *settings = call->settings;
    for (size_t i = settings->features ? 1 : 0; i < sizeof of_models / sizeof *of_models; i++)
        if (is_given(call, of_models[i]))
            return tool_fail_usage(&eval_command, "--%s has no use without a model", of_models[i]);
    return EXIT_DONE;
}

static int check_usage(const tool_call *call, evaluation *work, eval_results *results)
{
    bool models = true;
    fcl_sample_options *sample = &work->settings->sample;
    if (sample->ema && strcmp(sample->ema, "all") == 0) {
        work->all_averages = true;
        sample->ema = NULL; /* each subject has its own */
    }
    if (sample->ema && fcl_sample_check(&(fcl_sample_options){.ema = sample->ema}))
        return tool_fail_usage(&eval_command, "%s; or all, each average and the weights", fcl_error());
    if (fcl_options_finish(call->options) || fcl_sample_check(&work->settings->sample) ||
        fcl_distance_check(&work->settings->distance))
        return tool_fail_usage(&eval_command, "%s", fcl_error());
    for (int k = 0; k < results->subjects; k++)
        models = models && tool_is_model(call->positional[k]);
    if (work->settings->against && !work->settings->features)
        return tool_fail_usage(&eval_command, "--against has no use without --features");
    results->metrics = eval_choose(work, models, results->metric);
    int status = results->metrics < 0 ? FCL_ERR_ARGUMENT : eval_check_chart(work);
    if (work->fault[0])
        return tool_fail_usage(&eval_command, "%s", work->fault);
    if (status == FCL_OK && (check_distances(call, results) || check_sampling(call)))
        return EXIT_USAGE;
    return status == FCL_OK ? EXIT_DONE : tool_fail_library();
}

static void destroy(evaluation *work, eval_subject *subjects, int count)
{
    for (int k = 0; k < count; k++) {
        if (!subjects[k].shared)
            fcl_checkpoint_close(&subjects[k].checkpoint);
        free(subjects[k].note);
        fcl_array_destroy(&subjects[k].samples);
        fcl_array_destroy(&subjects[k].start);
        fcl_array_destroy(&subjects[k].energy);
        eval_forget(&subjects[k].seen);
        free(subjects[k].nearest);
    }
    fcl_array_destroy(&work->reference);
    fcl_free(work->labels);
    fcl_array_destroy(&work->pool);
    fcl_dataset_destroy(&work->data);
    fcl_dataset_destroy(&work->training);
    eval_forget(&work->seen_reference);
    eval_forget(&work->seen_floor);
    free(work->of_class);
    fcl_classifier_close(&work->classifier);
    fcl_device_close(&work->device);
}

static int report(const eval_results *results)
{
    const evaluation *work = results->work;
    for (int k = 0; k < results->subjects; k++) {
        const eval_subject *subject = &results->subject[k];
        if (subject->info && !subject->shared)
            tool_print_foreign(subject->info);
        tool_print_note(subject->name, subject->note);
    }
    tool_print_note(work->data->name, work->data->note);
    if (work->settings->json)
        return eval_print_json(results);
    eval_print_table(results);
    return EXIT_DONE;
}

static int run(const tool_call *call)
{
    eval_subject subjects[EVAL_MOST_SUBJECTS] = {0};
    evaluation work = {.settings = call->settings};
    eval_results results = {.work = &work, .subject = subjects, .subjects = call->count - 1};
    for (int k = 0; k < results.subjects; k++)
        subjects[k].name = call->positional[k];
    int status = check_usage(call, &work, &results);
    if (status != EXIT_DONE)
        return status;
    if (launch_listed(work.settings->device, &status))
        return status;
    if ((status = tool_agree("charts to draw (--chart)", work.settings->chart)) != EXIT_DONE)
        return status;
    progress bar = {0};
    work.settings->sample.ranks = tool_ranks();
    tool_watch(&bar);
    progress_announce(&bar, "sampling and measuring");
    int computed = compute(&work, call, subjects, &results);
    progress_erase(&bar);
    if (computed != FCL_OK)
        status = work.fault[0] ? tool_fail("%s", work.fault) : tool_fail_library();
    else if (tool_is_first())
        status = report(&results);
    destroy(&work, subjects, results.subjects);
    return status;
}

static bool metric_at(int index, help_entry *entry)
{
    eval_metric metric;
    bool there = eval_metric_at(index, &metric);
    if (there)
        *entry = (help_entry){metric.name, metric.help};
    return there;
}

static const help_list metrics = {"Metrics", metric_at}, *const lists[] = {&metrics, &help_grids, &help_data_sets, NULL};

const subcommand eval_command = {
    .name = "eval",
    .usage = "CHECKPOINT|DIR|SAMPLES... DATA [options]",
    .summary = "measure how near samples are to data, and how a model gets there",
    .about = "SAMPLES is a .npy, .npz or .csv file or a folder of pictures, DATA a built-in\n"
             "set's name, a file or a folder. Of several models or files the mean and the\n"
             "standard deviation are told. Files may also hold features of pictures, a row\n"
             "each, which any program has made:\n"
             "  flowcl eval a.npy b.npy --metrics frechet,kid,precision\n"
             "With --features DIR, a classifier that flowcl classify has made, frechet to\n"
             "coverage are of its features of pictures, samples are held against the test part\n"
             "of DATA, and the floor is as many training pictures against the same; without\n"
             "--metrics these are measured, accuracy, nearest and nfe, and told by class, too.",
    .lists = lists,
    .shared = true,
    .least = 2,
    .most = EVAL_MOST_SUBJECTS + 1,
    .size = sizeof(eval_settings),
    .bind = bind,
    .run = run,
};
