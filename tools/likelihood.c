/* flowcl likelihood: how probable a model finds data. */
#include "launch.h"
#include "sample_rows.h"
#include "terminal.h"
#include "tool.h"
#include "weights.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

typedef struct likelihood_settings {
    fcl_sample_options sample;
    fcl_foreign_options foreign;
    const char *out, *energy, *label_column, *device;
    fcl_image_options image;
    uint64_t data_seed;
    bool json;
} likelihood_settings;

#define ROW(member) FCL_OPTION(likelihood_settings, member)

/* The index-th solver that adds no noise: a log density goes along the flow's own paths. */
static int solver_index(int index)
{
    int i = 0;
    for (const char *name; (name = fcl_solver_name(i)) != NULL; i++)
        if (!fcl_solver_is_stochastic(name) && index-- == 0)
            break;
    return i;
}

static const char *solver_name(int index)
{
    return fcl_solver_name(solver_index(index));
}

static const char *solver_help(int index)
{
    return fcl_solver_help(solver_index(index));
}

/* clang-format off */
static const fcl_option table[] = {
    {"out", ROW(out), .placeholder = "FILE", .group = "Input and output",
     .help = "where each sample's log density goes: .npy, .npz or .csv"},
    {"energy", ROW(energy), .placeholder = "ENERGY",
     .help = "weigh DATA, samples of the model, for the density exp(-ENERGY): a formula in x1, x2, ..., or a file of a number a sample"},
    {"label-column", ROW(label_column), .placeholder = "NAME",
     .help = "of DATA the column or array that is the label; without it that of the training, or \"label\""},
    {"data-seed", ROW(data_seed), .minimum = 1, .maximum = 1.8e19, .fallback = "1",
     .help = "of a generated data set: another than a model was trained on gives held-out points"},
    {"device", ROW(device), .placeholder = "D[,D]",
     .help = TOOL_DEVICES_HELP},
    {"json", ROW(json), .help = "print one JSON object instead of a table"},
    {0},
};

static const sample_change changes[] = {
    {"n", "10000", "the first N samples of DATA, no more than it has"},
    {"solver", "dopri5", .choice = solver_name, .choice_help = solver_help},
    {"seed", .help = "of hutchinson's probes, and of what dequantises bytes"},
    {"label", .help = "class of every sample, by its name or number; without it DATA's own"},
    {"source", .left_out = true}, /* a density needs the normal one */
    {"sde-w", .left_out = true},  /* and no noise on the way */
    {0},
};
/* clang-format on */

static fcl_option sample_rows[SAMPLE_ROWS];

static int bind(fcl_options *options, void *values)
{
    likelihood_settings *settings = values;
    sample_rows_fill(sample_rows, changes);
    int status = fcl_options_add(options, table, settings);
    if (status == FCL_OK)
        status = fcl_options_add(options, fcl_image_table, &settings->image);
    if (status == FCL_OK)
        status = fcl_options_add(options, sample_rows, &settings->sample);
    if (status == FCL_OK)
        status = fcl_options_add(options, fcl_foreign_table, &settings->foreign);
    return status ? status : fcl_options_add(options, fcl_divergence_table, &settings->sample.divergence);
}

typedef struct work {
    likelihood_settings *settings;
    fcl_checkpoint *checkpoint;
    const fcl_checkpoint_info *info;
    fcl_device *device;
    fcl_dataset *data;
    fcl_array *x, *density; /* (n, sample shape), (n, 2) */
    int64_t size;           /* numbers of a sample */
    bool bytes;             /* dequantised */
    fcl_sample_stats stats;
    weights weights;
    progress bar;
    double began; /* 0: the first batch is not yet done */
    char fault[TOOL_FAULT];
} work;

/* --- progress --- */

static void show_progress(void *data, int64_t done, int64_t n)
{
    work *w = data;
    if (!w->bar.total)
        progress_start(&w->bar, 0, n);
    double seconds = tool_now() - w->began, rate = seconds > 0 ? (double)done / seconds : 0;
    progress_update(&w->bar, &(progress_state){.step = done,
                                               .loss = NAN,
                                               .samples_per_second = rate,
                                               .seconds = seconds,
                                               .seconds_left = rate > 0 ? (double)(n - done) / rate : 0});
}

/* --- what came out --- */

typedef struct summary {
    double nll, error;       /* mean of -log p, and its standard error over the samples */
    double hutchinson_error; /* what of it the probes bring in; NaN where not known */
    int64_t n;
} summary;

static summary summarise(const fcl_array *density)
{
    summary s = {.n = density->shape.dim[0]};
    double squares = 0, probes = 0;
    for (int64_t i = 0; i < s.n; i++) {
        s.nll -= density->data[2 * i] / (double)s.n;
        probes += pow(density->data[2 * i + 1], 2);
    }
    for (int64_t i = 0; i < s.n; i++)
        squares += pow(density->data[2 * i] + s.nll, 2);
    s.error = s.n > 1 ? sqrt(squares / (double)(s.n - 1) / (double)s.n) : NAN;
    s.hutchinson_error = sqrt(probes) / (double)s.n;
    return s;
}

static bool is_estimate(const work *w)
{
    return !strcmp(w->settings->sample.divergence.divergence, "hutchinson");
}

static void print_row(const char *name, double value, double error)
{
    fcl_printf("%-25s%.6g", name, value);
    if (!isnan(error))
        fcl_printf(", standard error %.2g", error);
}

static void print_table(const work *w)
{
    summary s = summarise(w->density);
    double per_dimension = (double)w->size * log(2);
    print_row("negative log-likelihood", s.nll, s.error);
    printf(" nats\n%-25smean of %" PRId64 " samples of %s\n", "", s.n, tool_plain(w->data->name));
    if (w->bytes) {
        print_row("bits per dimension", fcl_bits_per_dimension(-s.nll, w->size), s.error / per_dimension);
        puts("; dequantised uniformly");
    }
    if (is_estimate(w) && isnan(s.hutchinson_error))
        puts("divergence               hutchinson by 1 probe: two would tell its error");
    else if (is_estimate(w))
        fcl_printf("divergence               hutchinson; the probes' part of the error is %.2g\n",
                   s.hutchinson_error);
    else
        puts("divergence               exact");
    if (w->settings->energy)
        weights_print(&w->weights, s.n);
    fcl_printf("function evaluations     %.1f a sample (%" PRId64 " to %" PRId64 ") by %s", w->stats.nfe_mean,
               w->stats.nfe_minimum, w->stats.nfe_maximum, w->settings->sample.solver);
    tool_print_guidance(&w->settings->sample);
    fcl_printf(", %.3g s\n%-25s", w->stats.seconds, "weights");
    tool_print_average(w->info, &w->settings->sample);
    putchar('\n');
    if (w->settings->out)
        printf("written to %s\n", tool_plain(w->settings->out));
}

static int print_json(const work *w)
{
    summary s = summarise(w->density);
    json_t *object = json_object();
    json_object_set_new(object, "data", tool_text_json(w->data->name));
    json_object_set_new(object, "n", json_integer(s.n));
    json_object_set_new(object, "nll", json_real(s.nll));
    json_object_set_new(object, "nll_error", tool_real_json(s.error));
    if (w->bytes) {
        json_object_set_new(object, "bits_per_dimension", json_real(fcl_bits_per_dimension(-s.nll, w->size)));
        json_object_set_new(object, "bits_per_dimension_error",
                            tool_real_json(s.error / ((double)w->size * log(2))));
    }
    json_object_set_new(object, "divergence", json_string(w->settings->sample.divergence.divergence));
    if (is_estimate(w))
        json_object_set_new(object, "hutchinson_error", tool_real_json(s.hutchinson_error));
    if (w->settings->energy)
        weights_add_json(&w->weights, object);
    json_object_set_new(object, "solver", json_string(w->settings->sample.solver));
    tool_add_guidance(&w->settings->sample, object);
    tool_add_average(w->info, &w->settings->sample, object);
    json_object_set_new(object, "nfe", json_real(w->stats.nfe_mean));
    json_object_set_new(object, "nfe_minimum", json_integer(w->stats.nfe_minimum));
    json_object_set_new(object, "nfe_maximum", json_integer(w->stats.nfe_maximum));
    json_object_set_new(object, "seconds", json_real(w->stats.seconds));
    json_object_set_new(object, "out", tool_text_json(w->settings->out));
    json_object_set_new(object, "checkpoint", tool_text_json(w->info->path));
    json_object_set_new(object, "step", json_integer(w->info->step));
    json_object_set_new(object, "device", tool_text_json(fcl_device_describe(w->device)->name));
    return tool_print_json(object);
}

/* Columns logp, error where it is estimated, logw where there is an energy. */
static int write_samples(const work *w)
{
    int64_t n = w->density->shape.dim[0];
    fcl_array *parted; /* (2, n) */
    int status = fcl_array_create(FCL_SHAPE(2, n), &parted);
    if (status != FCL_OK)
        return status;
    float *split = parted->data;
    for (int64_t i = 0; i < n; i++) {
        split[i] = w->density->data[2 * i];
        split[n + i] = w->density->data[2 * i + 1];
    }
    fcl_column columns[3] = {{"logp", split}};
    int count = 1;
    if (is_estimate(w))
        columns[count++] = (fcl_column){"error", split + n};
    if (w->settings->energy)
        columns[count++] = (fcl_column){"logw", w->weights.column};
    status = fcl_columns_write(w->settings->out, n, NULL, count, columns);
    fcl_array_destroy(&parted);
    return status;
}

/* --- work --- */

static int read_data(work *w, const char *name)
{
    const likelihood_settings *settings = w->settings;
    fcl_dataset_options options = {.seed = settings->data_seed,
                                   .label_column = settings->label_column,
                                   .label_guess = w->info->options->label_column,
                                   .image = settings->image,
                                   .background_guess = w->info->options->image.background,
                                   .like = w->info->sample};
    int status = fcl_dataset_open(name, &options, &w->data);
    if (status == FCL_OK && w->info->classes && !settings->sample.label)
        status = fcl_dataset_match_classes(w->data, w->info->classes, w->info->class_names);
    if (status != FCL_OK)
        return status;
    int64_t n = settings->sample.n < w->data->count ? settings->sample.n : w->data->count;
    w->bytes = fcl_dataset_has_bytes(w->data);
    return w->bytes ? fcl_dataset_dequantise(w->data, 0, n, settings->sample.seed, &w->x)
                    : fcl_dataset_take(w->data, 0, n, &w->x);
}

static int check_data(work *w)
{
    long long given = fcl_shape_size(w->data->shape), wanted = fcl_shape_size(w->info->sample);
    w->size = wanted;
    if (given != wanted)
        snprintf(w->fault, sizeof w->fault, "%s: its samples have %lld numbers each, the model's have %lld",
                 w->data->name, given, wanted);
    else if (w->info->classes && !w->settings->sample.label && !w->data->label)
        snprintf(w->fault, sizeof w->fault,
                 "%s has no labels, and the density of this model is that of one of %d classes: give --label",
                 w->data->name, fcl_class_existing(w->info->classes, w->info->class_counts));
    return w->fault[0] ? FCL_ERR_ARGUMENT : FCL_OK;
}

/* What a seed is given for has to be drawn. */
static int check_seeds(work *w, const tool_call *call)
{
    if (fcl_options_source(call->options, "data-seed") != FCL_FROM_DEFAULT && !w->data->generated)
        snprintf(w->fault, sizeof w->fault, "--data-seed has no use with %s, which is not generated",
                 w->data->name);
    else if (fcl_options_source(call->options, "seed") != FCL_FROM_DEFAULT && !w->bytes && !is_estimate(w))
        snprintf(w->fault, sizeof w->fault,
                 "--seed has no use here: the exact divergence draws nothing, and %s holds no bytes",
                 w->data->name);
    return w->fault[0] ? FCL_ERR_ARGUMENT : FCL_OK;
}

static int compute(work *w, const tool_call *call)
{
    likelihood_settings *settings = w->settings;
    int status = tool_open_checkpoint(call->positional[0], &settings->foreign, &w->checkpoint, w->fault);
    if (status == FCL_OK) {
        w->info = fcl_checkpoint_describe(w->checkpoint);
        status = read_data(w, call->positional[1]);
    }
    if (status == FCL_OK)
        status = check_data(w);
    if (status == FCL_OK)
        status = check_seeds(w, call);
    if (status == FCL_OK && settings->energy)
        status = weights_check(settings->energy, w->size);
    if (status == FCL_OK)
        status = tool_open_device(settings->device, &w->device);
    settings->sample.progress = tool_is_first() ? show_progress : NULL;
    settings->sample.progress_data = w;
    w->began = tool_now();
    const int32_t *labels = w->info && w->info->classes && !settings->sample.label ? w->data->label : NULL;
    if (status == FCL_OK)
        status = fcl_log_density(w->device, w->checkpoint, &settings->sample, w->x, labels, &w->density,
                                 &w->stats);
    if (status != FCL_OK || !tool_is_first())
        return status;
    if (settings->energy)
        status = weights_compute(&w->weights, settings->energy, w->x, w->density);
    if (status == FCL_OK && settings->out)
        status = write_samples(w);
    return status;
}

static int check_usage(const tool_call *call)
{
    const likelihood_settings *settings = call->settings;
    if (fcl_options_finish(call->options) || fcl_sample_check(&settings->sample) ||
        fcl_divergence_check(&settings->sample.divergence))
        return tool_fail_usage(&likelihood_command, "%s", fcl_error());
    if (!settings->out || !tool_is_first())
        return EXIT_DONE;
    const char *ending = strrchr(settings->out, '.');
    if (ending && !strcasecmp(ending, ".png"))
        return tool_fail_usage(&likelihood_command, "--out %s: numbers go to .npy, .npz or .csv",
                               settings->out);
    int status = fcl_samples_check_path(settings->out);
    if (status == FCL_ERR_ARGUMENT)
        return tool_fail_usage(&likelihood_command, "%s", fcl_error());
    return status == FCL_OK ? EXIT_DONE : tool_fail_library();
}

static int report(const work *w)
{
    tool_print_foreign(w->info);
    tool_print_note(w->data->name, w->data->note);
    if (w->settings->json)
        return print_json(w);
    print_table(w);
    return EXIT_DONE;
}

static int run(const tool_call *call)
{
    work w = {.settings = call->settings};
    int status = check_usage(call);
    if (status != EXIT_DONE)
        return status;
    if (launch_listed(w.settings->device, &status))
        return status;
    if ((status = tool_agree("files to write (--out)", w.settings->out)) != EXIT_DONE)
        return status;
    w.settings->sample.ranks = tool_ranks();
    tool_watch(&w.bar);
    progress_announce(&w.bar, "preparing");
    int computed = compute(&w, call);
    progress_erase(&w.bar);
    const char *fault = w.fault[0] ? w.fault : w.weights.fault;
    if (computed != FCL_OK)
        status = fault[0] ? tool_fail("%s", fault) : tool_fail_library();
    else if (tool_is_first())
        status = report(&w);
    weights_free(&w.weights);
    fcl_array_destroy(&w.density);
    fcl_array_destroy(&w.x);
    fcl_dataset_destroy(&w.data);
    fcl_checkpoint_close(&w.checkpoint);
    fcl_device_close(&w.device);
    return status;
}

static const help_list *const lists[] = {&help_grids, &help_formulas, &help_data_sets, NULL};

const subcommand likelihood_command = {
    .name = "likelihood",
    .usage = "CHECKPOINT|DIR DATA [options]",
    .summary = "tell how probable a model finds data",
    .about = "The log density of each sample of DATA, a built-in set's name or a file, by the\n"
             "flow's equation from data to noise. Pictures of bytes are dequantised, and their\n"
             "likelihood is told in bits per dimension, too.",
    .lists = lists,
    .shared = true,
    .least = 2,
    .most = 2,
    .size = sizeof(likelihood_settings),
    .bind = bind,
    .run = run,
};
