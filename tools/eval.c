/* flowcl eval: how near samples are to data, and how a model gets there. */
#include "eval.h"
#include "launch.h"
#include "sample_rows.h"
#include "terminal.h"

#include <inttypes.h>
#include <math.h>
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
     .help = "draw data, samples and trajectories, or pictures and their nearest data, as .png"},
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

/* --- what is judged --- */

static bool is_given(const tool_call *call, const char *key)
{
    return fcl_options_source(call->options, key) != FCL_FROM_DEFAULT;
}

static int open_model(const evaluation *work, eval_subject *subject)
{
    int status = fcl_checkpoint_open_with(subject->name, &work->settings->foreign, &subject->checkpoint), average;
    if (status != FCL_OK)
        return status;
    subject->info = fcl_checkpoint_describe(subject->checkpoint);
    subject->how = work->settings->sample;
    return fcl_sample_average(subject->info, &subject->how, &average);
}

/* Of a file that has labels those of the class alone, where one is judged. */
static int take_class(evaluation *work, fcl_dataset *file, eval_subject *subject)
{
    int status = fcl_dataset_match_classes(file, work->data->classes, (const char *const *)work->data->class_name);
    int64_t there = fcl_dataset_count(file, work->label);
    if (status == FCL_OK && there == 0) {
        snprintf(work->fault, sizeof work->fault, "--label %.40s: %s has no sample of that class",
                 work->settings->sample.label, subject->name);
        return FCL_ERR_ARGUMENT;
    }
    return status ? status
                  : fcl_dataset_draw(file, work->label, there, work->settings->sample.seed, &subject->samples, NULL);
}

static int read_samples(evaluation *work, bool limited, eval_subject *subject)
{
    fcl_dataset *file;
    fcl_dataset_options options = {.count = limited ? work->settings->sample.n : 0,
                                   .unlabeled = work->label < 0,
                                   .label_guess = work->label_of_samples,
                                   .background_guess = work->settings->image.background,
                                   .like = work->data->shape};
    int status = fcl_dataset_open(subject->name, &options, &file);
    if (status != FCL_OK)
        return status;
    status = file->label ? take_class(work, file, subject)
                         : fcl_dataset_take(file, 0, file->count, &subject->samples);
    subject->note = file->note ? strdup(file->note) : NULL;
    fcl_dataset_destroy(&file);
    return status;
}

/* The numbers of a sample have to be as many as the data's; then they stand in the same shape. */
static int fit_shape(evaluation *work, const eval_subject *subject, fcl_array *samples)
{
    const fcl_shape *shape = &work->data->shape;
    long long given = fcl_shape_size(samples->shape) / samples->shape.dim[0], wanted = fcl_shape_size(*shape);
    if (given != wanted) {
        snprintf(work->fault, sizeof work->fault,
                 "%s: its samples have %lld numbers each, those of %s have %lld", subject->name, given,
                 work->data->name, wanted);
        return FCL_ERR_ARGUMENT;
    }
    samples->shape.rank = shape->rank + 1;
    memcpy(samples->shape.dim + 1, shape->dim, (size_t)shape->rank * sizeof *shape->dim);
    return FCL_OK;
}

static int check_model(evaluation *work, const eval_subject *subject)
{
    long long given = fcl_shape_size(subject->info->sample), wanted = fcl_shape_size(work->data->shape);
    if (given == wanted)
        return FCL_OK;
    snprintf(work->fault, sizeof work->fault, "%s: its samples have %lld numbers each, those of %s have %lld",
             subject->name, given, work->data->name, wanted);
    return FCL_ERR_ARGUMENT;
}

static int prepare_subject(evaluation *work, bool limited, eval_subject *subject)
{
    int status = subject->info ? FCL_OK : read_samples(work, limited, subject);
    if (status == FCL_OK)
        status = subject->info ? check_model(work, subject) : fit_shape(work, subject, subject->samples);
    if (status == FCL_OK && subject->info && !work->device)
        status = tool_open_device(work->settings->device, &work->device);
    if (status == FCL_OK && subject->info)
        status = fcl_sample(work->device, subject->checkpoint, &subject->how, &subject->samples, &subject->stats);
    if (status == FCL_OK)
        status = fit_shape(work, subject, subject->samples);
    return status;
}

/* --- what it is held against --- */

static int refuse_label(evaluation *work, const char *text)
{
    int64_t *counts = NULL;
    int length = snprintf(work->fault, sizeof work->fault, "--label %.40s: %s has no sample of that class", text,
                          work->data->name);
    if (work->data->label && fcl_class_counts(work->data, &counts) == FCL_OK) {
        char *classes = fcl_class_list(work->data->classes, (const char *const *)work->data->class_name, counts, false);
        snprintf(work->fault + length, sizeof work->fault - (size_t)length, ", it has %s", classes);
        fcl_free(classes);
    }
    fcl_free(counts);
    return FCL_ERR_ARGUMENT;
}

/* --label means the class of the samples and so of the data; none: samples of no class, beside all of the data. */
static int read_label(evaluation *work)
{
    const char *text = work->settings->sample.label;
    work->label = -1;
    if (!text)
        return FCL_OK;
    int32_t found = fcl_class_find(work->data->classes, (const char *const *)work->data->class_name, text);
    if (found >= 0 && fcl_dataset_count(work->data, found) > 0) {
        work->label = found;
        return FCL_OK;
    }
    if (strchr(text, ',')) {
        snprintf(work->fault, sizeof work->fault, "--label %.40s: samples are judged beside data of one class, or of all", text);
        return FCL_ERR_ARGUMENT;
    }
    return strcmp(text, "none") == 0 ? FCL_OK : refuse_label(work, text);
}

static bool same_names(const fcl_dataset *data, const fcl_checkpoint_info *info)
{
    bool same = data->classes == info->classes && !data->class_name == !info->class_names;
    for (int k = 0; same && data->class_name && k < info->classes; k++)
        same = strcmp(data->class_name[k], info->class_names[k]) == 0;
    return same;
}

/* The data's labels are numbered as the models' classes, which have to be the same ones. */
static int match_classes(evaluation *work, const eval_subject *subjects, int count)
{
    const eval_subject *first = NULL;
    int status = FCL_OK;
    for (int k = 0; k < count && status == FCL_OK && work->data->class_name; k++) {
        const eval_subject *now = &subjects[k];
        if (!now->info || !now->info->classes)
            continue;
        if (!first)
            status = fcl_dataset_match_classes(work->data, now->info->classes, now->info->class_names);
        else if (!same_names(work->data, now->info)) {
            snprintf(work->fault, sizeof work->fault, "the classes of %.100s and %.100s have other names: evaluate each alone",
                     first->name, now->name);
            status = FCL_ERR_ARGUMENT;
        }
        first = first ? first : now;
    }
    return status;
}

/* What the training's table had as its third column has nothing to do with the third of a table of samples. */
static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

static int open_models(evaluation *work, eval_subject *subjects, int count)
{
    int status = FCL_OK;
    bool foreign = false;
    work->label_guess = work->settings->label_column;
    for (int k = 0; k < count && status == FCL_OK; k++) {
        status = tool_is_model(subjects[k].name) ? open_model(work, &subjects[k]) : FCL_OK;
        foreign |= subjects[k].info && subjects[k].info->foreign;
        if (status == FCL_OK && subjects[k].info && !work->label_guess)
            work->label_guess = subjects[k].info->options->label_column;
        if (status == FCL_OK && subjects[k].info) {
            work->like = subjects[k].info->sample;
            work->background_guess = subjects[k].info->options->image.background;
        }
    }
    bool given = work->settings->label_column || (work->label_guess && !is_number(work->label_guess));
    work->label_of_samples = given ? work->label_guess : NULL;
    if (status == FCL_OK && !foreign && tool_foreign_is_unused(&work->settings->foreign, subjects[0].name, work->fault))
        status = FCL_ERR_ARGUMENT;
    return status;
}

static int open_data(evaluation *work, const tool_call *call)
{
    fcl_dataset_options options = {.seed = work->settings->data_seed,
                                   .label_column = work->settings->label_column,
                                   .label_guess = work->label_guess,
                                   .image = work->settings->image,
                                   .background_guess = work->background_guess,
                                   .like = work->like};
    int status = fcl_dataset_open(call->positional[call->count - 1], &options, &work->data);
    if (status == FCL_OK && is_given(call, "data-seed") && !work->data->generated) {
        snprintf(work->fault, sizeof work->fault, "--data-seed has no use with %s, which is not generated",
                 work->data->name);
        return FCL_ERR_ARGUMENT;
    }
    return status;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A generated set is drawn anew, with another seed, as large as the floor's draws want it. */
static int open_pool(const evaluation *work, const char *name, int64_t wanted, fcl_dataset **pool)
{
    enum { MOST = 1 << 24, SPARE = 16 };
    double share = (double)fcl_dataset_count(work->data, work->label) / (double)work->data->count;
    int64_t count = (int64_t)fmin(1.1 * (double)wanted / share + SPARE, MOST);
    uint64_t seed = work->settings->data_seed ^ UINT64_C(0x9e3779b97f4a7c15);
    return fcl_dataset_open(name, &(fcl_dataset_options){.count = count, .seed = seed}, pool);
}

/* Enough for all draws of the floor, where the data has so many: `points` of both sets each time. */
static int draw_pool(evaluation *work, const char *name, int64_t points)
{
    enum { LEAST = 4 }; /* two for each set */
    fcl_dataset *fresh = NULL;
    int64_t wanted = points * work->settings->floor_draws;
    int status = work->data->generated ? open_pool(work, name, wanted, &fresh) : FCL_OK;
    const fcl_dataset *from = fresh ? fresh : work->data;
    int64_t count = status == FCL_OK ? least(wanted, fcl_dataset_count(from, work->label)) : 0;
    if (status == FCL_OK && count >= LEAST)
        status = fcl_dataset_draw(from, work->label, count, work->settings->sample.seed, &work->pool, NULL);
    fcl_dataset_destroy(&fresh);
    return status;
}

/* As many points as there are samples, or all. */
static int draw_data(evaluation *work, const char *name, int64_t samples)
{
    int64_t count = least(samples, fcl_dataset_count(work->data, work->label));
    int status = fcl_dataset_draw(work->data, work->label, count, work->settings->sample.seed,
                                  &work->reference, &work->labels);
    bool floor = work->settings->floor != FCL_OFF && tool_is_first();
    return status == FCL_OK && floor ? draw_pool(work, name, samples + count) : status;
}

/* --- the run --- */

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
    bool limited = is_given(call, "n");
    int64_t most = 0;
    int status = open_models(work, subjects, results->subjects);
    if (status == FCL_OK && work->all_averages)
        status = eval_spread(work, subjects, results);
    if (status == FCL_OK)
        status = open_data(work, call);
    if (status == FCL_OK)
        status = eval_open_features(work, call->positional[call->count - 1]);
    if (status == FCL_OK)
        status = match_classes(work, subjects, results->subjects);
    if (status == FCL_OK)
        status = read_label(work);
    for (int k = 0; k < results->subjects && status == FCL_OK; k++) {
        status = prepare_subject(work, limited, &subjects[k]);
        if (status == FCL_OK && subjects[k].samples->shape.dim[0] > most)
            most = subjects[k].samples->shape.dim[0];
    }
    if (status == FCL_OK)
        status = draw_data(work, call->positional[call->count - 1], most);
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

/* No option of distances without a metric that takes it. */
static int check_distances(const tool_call *call, const eval_results *results)
{
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
            used = is_among(results->metric[k].name, uses[i].metrics);
        if (!used)
            return tool_fail_usage(&eval_command, "--%s has no use with --metrics %s", uses[i].key,
                                   results->work->settings->metrics);
    }
    if (results->work->settings->floor == FCL_OFF && is_given(call, "floor-draws"))
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
