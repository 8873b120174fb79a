/* flowcl sample: new samples of a trained model, or data carried to noise and back. */
#include "launch.h"
#include "terminal.h"
#include "tool.h"
#include "weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct sample_settings {
    fcl_sample_options sample;
    fcl_foreign_options foreign;
    fcl_image_options image; /* of encode's or decode's */
    const char *out, *encode, *decode, *mask, *label_column, *energy, *device;
    bool logp, json;
} sample_settings;

/* clang-format off */
static const fcl_option table[] = {
    {"out", FCL_OPTION(sample_settings, out), .flags = FCL_OPTION_REQUIRED, .placeholder = "FILE",
     .group = "Input and output",
     .help = "where the samples go: .npy, .npz, .csv or .png, or a folder, DIR/, for a .png of each picture; with classes .npz and "
             ".csv hold them, too, as \"label\"; pictures are bytes in an .npz, (N, H, W, C) as \"arr_0\", classes \"arr_1\""},
    {"encode", FCL_OPTION(sample_settings, encode), .placeholder = "FILE",
     .help = "carry this data to noise, instead of noise to data"},
    {"decode", FCL_OPTION(sample_settings, decode), .placeholder = "FILE",
     .help = "begin with this noise, instead of drawing it; or with data, see --from-time and --mask"},
    {"from-time", FCL_OPTION(sample_settings, sample.from_time), .minimum = 0.0001, .maximum = 0.9999, .placeholder = "T",
     .help = "begin at this time, from 0, noise, to 1, data, with noise over --decode's file, which then is data: the earlier, the more is new"},
    {"mask", FCL_OPTION(sample_settings, mask), .placeholder = "FILE",
     .help = "paint --decode's file, which then is data, anew where this picture or array is not 0, and keep the rest: one for all, or one each"},
    {"label-column", FCL_OPTION(sample_settings, label_column), .placeholder = "NAME",
     .help = "of that file the column or array that is the label; without it that of the training, or \"label\""},
    {"times", FCL_OPTION(sample_settings, sample.times), .placeholder = "TIMES",
     .help = "keep the samples at these times, as one array (times, samples, ...): 0,0.5,1, a file of them, how many "
             "evenly spaced, or \"steps\", each step's end"},
    {"logp", FCL_OPTION(sample_settings, logp),
     .help = "carry each sample's log density along: array \"logp\" of an .npz, last column of a .csv, else a file "
             "beside, NAME.logp.npy"},
    {"energy", FCL_OPTION(sample_settings, energy), .placeholder = "ENERGY",
     .help = "weigh the samples for the density exp(-ENERGY): a formula in x1, x2, ..., or a file of a number a sample; "
             "their log weights, \"logw\", are written as logp is"},
    {"device", FCL_OPTION(sample_settings, device), .placeholder = "D[,D]",
     .help = TOOL_DEVICES_HELP},
    {"json", FCL_OPTION(sample_settings, json), .help = "print one JSON object on standard output"},
    {0},
};
/* clang-format on */

static int bind(fcl_options *options, void *values)
{
    sample_settings *settings = values;
    int status = fcl_options_add(options, table, settings);
    if (status == FCL_OK)
        status = fcl_options_add(options, fcl_image_table, &settings->image);
    if (status == FCL_OK)
        status = fcl_options_add(options, fcl_sample_table, &settings->sample);
    if (status == FCL_OK)
        status = fcl_options_add(options, fcl_foreign_table, &settings->foreign);
    return status ? status : fcl_options_add(options, fcl_divergence_table, &settings->sample.divergence);
}

typedef struct sampling {
    const sample_settings *settings;
    bool limited; /* --n was given */
    fcl_checkpoint *checkpoint;
    const fcl_checkpoint_info *info; /* of the checkpoint */
    fcl_device *device;
    fcl_dataset *data;                    /* of --encode or --decode */
    fcl_array *start, *samples, *density; /* density (n, 2): NULL without --logp */
    int32_t *start_label;                 /* (n) of the start, where that is data taken in turn; else NULL */
    fcl_array *mask;
    fcl_sample_stats stats;
    weights weights;      /* of --energy */
    bool rows_of_classes;   /* the picture has a row for each class */
    char fault[TOOL_FAULT]; /* what the program itself finds wrong; empty: nothing */
    char unfinished[512]; /* why some samples are; empty: none is */
} sampling;

/* --- output --- */

static bool has_ending(const char *path, const char *ending)
{
    const char *dot = strrchr(path, '.');
    return dot && !strcasecmp(dot, ending);
}

/* Pictures that a file holds as bytes: those at the end of their way, not noise. */
static bool as_bytes(const sampling *work)
{
    const sample_settings *settings = work->settings;
    bool pictures = work->info->pictures && !settings->encode && !settings->sample.times;
    return pictures && (has_ending(settings->out, ".npz") || fcl_pictures_in_folder(settings->out));
}

static int64_t sample_count(const sampling *work)
{
    return work->samples->shape.dim[work->settings->sample.times ? 1 : 0];
}

static void mean_density(const sampling *work, double *mean, double *probes_error)
{
    int64_t n = work->density->shape.dim[0];
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += work->density->data[2 * i];
        squares += pow(work->density->data[2 * i + 1], 2);
    }
    *mean = sum / (double)n;
    *probes_error = sqrt(squares) / (double)n;
}

static void print_density(const sampling *work)
{
    double mean, error;
    mean_density(work, &mean, &error);
    fcl_printf("mean log p               %.6g", mean);
    if (error > 0)
        fcl_printf(", the probes' part of its error %.2g", error);
    putchar('\n');
    if (work->settings->energy)
        weights_print(&work->weights, work->density->shape.dim[0]);
}

/* The solver and its steps, also where they are the defaults. */
static void print_solver(const sampling *work)
{
    const fcl_sample_options *how = &work->settings->sample;
    int64_t samples = sample_count(work), steps = work->stats.accepted / (samples > 0 ? samples : 1);
    fcl_printf("%" PRId64 " samples by %s", samples, how->solver);
    if (!fcl_solver_is_adaptive(how->solver))
        printf(" in %" PRId64 " step%s", steps, steps == 1 ? "" : "s");
    if (how->from_time > 0)
        fcl_printf(" from time %g", how->from_time);
    if (work->mask)
        fputs(", beside what is kept", stdout);
    tool_print_guidance(how);
}

static void print_evaluations(const sampling *work)
{
    const fcl_sample_stats *stats = &work->stats;
    const char *doubled = tool_is_guided(&work->settings->sample) ? ", each with and without the class" : "";
    if (stats->nfe_minimum == stats->nfe_maximum)
        printf("%" PRId64 " function evaluations a sample%s\n", stats->nfe_minimum, doubled);
    else
        fcl_printf("%.1f function evaluations a sample (%" PRId64 " to %" PRId64 ")%s; steps: %" PRId64
                   " accepted, %" PRId64 " rejected\n",
                   stats->nfe_mean, stats->nfe_minimum, stats->nfe_maximum, doubled, stats->accepted, stats->rejected);
}

/* What stands there, where the ending does not say it. */
static const char *written_text(const sampling *work)
{
    if (work->rows_of_classes)
        return ": a row for each class";
    if (!as_bytes(work))
        return "";
    return has_ending(work->settings->out, ".npz") ? ": bytes (N, H, W, C) as arr_0" : ": a picture each, 00000.png and so on";
}

static void print_report(const sampling *work)
{
    const fcl_sample_stats *stats = &work->stats;
    print_solver(work);
    fcl_printf(": %.3g s, %.0f samples/s; kernels built in %.3g s\n", stats->seconds,
               (double)sample_count(work) / (stats->seconds > 0 ? stats->seconds : 1e-9), stats->build_seconds);
    print_evaluations(work);
    fputs("weights: ", stdout);
    tool_print_average(work->info, &work->settings->sample);
    putchar('\n');
    if (work->density)
        print_density(work);
    printf("written to %s%s\n", tool_plain(work->settings->out), written_text(work));
}

static int print_json(const sampling *work)
{
    const fcl_sample_stats *stats = &work->stats;
    json_t *object = json_object();
    json_object_set_new(object, "out", tool_text_json(work->settings->out));
    json_object_set_new(object, "n", json_integer(sample_count(work)));
    json_object_set_new(object, "shape", tool_shape_json(work->samples->shape));
    json_object_set_new(object, "direction", json_string(work->settings->encode ? "encode" : "decode"));
    if (work->settings->sample.from_time > 0)
        json_object_set_new(object, "from_time", json_real(work->settings->sample.from_time));
    if (work->mask)
        json_object_set_new(object, "mask", tool_text_json(work->settings->mask));
    if (!work->start)
        json_object_set_new(object, "source",
                            tool_text_json(work->settings->sample.source ? work->settings->sample.source
                                                                      : work->info->options->source));
    json_object_set_new(object, "solver", json_string(work->settings->sample.solver));
    tool_add_guidance(&work->settings->sample, object);
    tool_add_average(work->info, &work->settings->sample, object);
    json_object_set_new(object, "nfe", json_real(stats->nfe_mean));
    json_object_set_new(object, "nfe_minimum", json_integer(stats->nfe_minimum));
    json_object_set_new(object, "nfe_maximum", json_integer(stats->nfe_maximum));
    json_object_set_new(object, "accepted", json_integer(stats->accepted));
    json_object_set_new(object, "rejected", json_integer(stats->rejected));
    json_object_set_new(object, "unfinished", json_integer(stats->unfinished));
    if (work->density) {
        double mean, error;
        mean_density(work, &mean, &error);
        json_object_set_new(object, "logp", tool_real_json(mean));
        json_object_set_new(object, "logp_error", tool_real_json(error));
    }
    if (work->settings->energy)
        weights_add_json(&work->weights, object);
    json_object_set_new(object, "seconds", json_real(stats->seconds));
    json_object_set_new(object, "build_seconds", json_real(stats->build_seconds));
    json_object_set_new(object, "checkpoint", tool_text_json(work->info->path));
    json_object_set_new(object, "step", json_integer(work->info->step));
    json_object_set_new(object, "device", tool_text_json(fcl_device_describe(work->device)->name));
    return tool_print_json(object);
}

/* --- work --- */

/* An explicit --label stands for the whole file; else the file has to know its classes. */
static const int32_t *start_labels(const sampling *work)
{
    const int32_t *own = work->start_label ? work->start_label : work->data->label;
    return work->info->classes && !work->settings->sample.label ? own : NULL;
}

/* Whether --decode's file is data, and not noise. */
static bool begins_with_data(const sample_settings *settings)
{
    return settings->mask || settings->sample.from_time > 0;
}

static int32_t *repeated_labels(const fcl_dataset *data, const fcl_array *start)
{
    int64_t n = start->shape.dim[0];
    int32_t *label = malloc((size_t)n * sizeof *label);
    for (int64_t i = 0; label && i < n; i++)
        label[i] = data->label[i % data->count];
    return label;
}

/* As many as --n says, from few data in turn: each has noise of its own. */
static int repeat_start(sampling *work)
{
    int64_t n = work->settings->sample.n, size = fcl_shape_size(work->data->shape), there = work->data->count;
    fcl_array *repeated;
    fcl_shape shape = work->start->shape;
    if (!work->limited || n == there)
        return FCL_OK;
    shape.dim[0] = n;
    int status = fcl_array_create(shape, &repeated);
    if (status != FCL_OK)
        return status;
    for (int64_t i = 0; i < n; i++)
        memcpy(repeated->data + i * size, work->start->data + i % there * size, (size_t)size * sizeof(float));
    fcl_array_destroy(&work->start);
    work->start = repeated;
    if (!work->data->label)
        return FCL_OK;
    work->start_label = repeated_labels(work->data, work->start);
    return work->start_label ? FCL_OK : FCL_ERR_MEMORY;
}

/* One for all samples or one each, 1 where they are painted anew; one without channels is that of each channel. Of bytes 0 is
 * what is kept. */
static int make_mask(sampling *work, const fcl_dataset *file, const fcl_array *read)
{
    fcl_shape sample = work->info->sample;
    int64_t size = fcl_shape_size(sample), given = fcl_shape_size(read->shape), n = work->start->shape.dim[0];
    int64_t plane = sample.rank == 3 ? size / sample.dim[0] : size, all = given == plane ? size : given;
    float black = fcl_dataset_has_bytes(file) ? file->shift : 0;
    if (all != size && all != n * size) {
        snprintf(work->fault, sizeof work->fault,
                 "%s has %lld numbers: a mask has those of one sample, %lld, or of all %lld samples", file->name,
                 (long long)given, (long long)size, (long long)n);
        return FCL_ERR_ARGUMENT;
    }
    int status = fcl_array_create(FCL_SHAPE(all), &work->mask);
    for (int64_t i = 0; i < all && status == FCL_OK; i++)
        work->mask->data[i] = fabsf(read->data[i % given] - black) > 1e-6f;
    return status;
}

static int read_mask(sampling *work)
{
    const char *path = work->settings->mask;
    fcl_dataset_options options = {.unlabeled = true, .image = work->settings->image, .like = work->info->sample};
    fcl_dataset *file;
    fcl_array *read = NULL;
    if (!path)
        return FCL_OK;
    int status = fcl_dataset_open(path, &options, &file);
    if (status != FCL_OK)
        return status;
    status = fcl_dataset_take(file, 0, file->count, &read);
    if (status == FCL_OK)
        status = make_mask(work, file, read);
    fcl_array_destroy(&read);
    fcl_dataset_destroy(&file);
    return status;
}

/* The samples that --encode or --decode names: all of them, or as many as --n says. */
static int read_start(sampling *work)
{
    const sample_settings *settings = work->settings;
    const char *path = settings->encode ? settings->encode : settings->decode;
    fcl_dataset_options options = {.count = work->limited && !begins_with_data(settings) ? settings->sample.n : 0,
                                   .label_column = settings->label_column,
                                   .label_guess = work->info->options->label_column,
                                   .image = settings->image,
                                   .background_guess = work->info->options->image.background,
                                   .like = work->info->sample};
    int status = fcl_dataset_open(path, &options, &work->data);
    if (status == FCL_OK && start_labels(work))
        status = fcl_dataset_match_classes(work->data, work->info->classes, work->info->class_names);
    if (status == FCL_OK)
        status = fcl_dataset_take(work->data, 0, work->data->count, &work->start);
    return status;
}

static int check_start(sampling *work)
{
    const fcl_dataset *data = work->data;
    long long given = fcl_shape_size(data->shape), wanted = fcl_shape_size(work->info->sample);
    if (given != wanted)
        snprintf(work->fault, sizeof work->fault,
                 "%s: its samples have %lld numbers each, the model's have %lld", data->name, given, wanted);
    else if (work->info->classes && !work->settings->sample.label && !data->label)
        snprintf(work->fault, sizeof work->fault,
                 "%s has no labels, and the model has %d classes: give --label", data->name,
                 fcl_class_existing(work->info->classes, work->info->class_counts));
    if (work->fault[0])
        return FCL_ERR_ARGUMENT;
    int status = begins_with_data(work->settings) ? repeat_start(work) : FCL_OK;
    return status == FCL_OK ? read_mask(work) : status;
}

static int draw(sampling *work)
{
    const sample_settings *settings = work->settings;
    fcl_sample_options how = settings->sample;
    how.mask = work->mask;
    if (work->start)
        return fcl_transport(work->device, work->checkpoint, &how, work->start,
                             start_labels(work), settings->encode != NULL, &work->samples, &work->stats);
    if (settings->logp || settings->energy)
        return fcl_sample_density(work->device, work->checkpoint, &settings->sample, &work->samples,
                                  &work->density, &work->stats);
    return fcl_sample(work->device, work->checkpoint, &settings->sample, &work->samples, &work->stats);
}

static bool holds_arrays(const char *path)
{
    return has_ending(path, ".npy") || has_ending(path, ".npz");
}

/* The classes of drawn samples; NULL where they have none. */
static int drawn_labels(const sampling *work, const fcl_sample_options *options, int32_t **labels)
{
    int status = fcl_sample_labels(work->checkpoint, options, labels);
    if (status == FCL_OK && *labels && (*labels)[0] == work->info->classes) {
        fcl_free(*labels);
        *labels = NULL;
    }
    return status;
}

/* The class of each sample, where they have one and the file has a place for it; else NULL. */
static int make_labels(const sampling *work, int32_t **labels)
{
    const sample_settings *settings = work->settings;
    const int32_t *given = work->start ? start_labels(work) : NULL;
    fcl_sample_options drawn = settings->sample;
    *labels = NULL;
    drawn.n = sample_count(work);
    if (!work->info->classes || settings->sample.times ||
        !(has_ending(settings->out, ".npz") || has_ending(settings->out, ".csv") || fcl_pictures_in_folder(settings->out)))
        return FCL_OK;
    int status = given ? FCL_OK : drawn_labels(work, &drawn, labels);
    if (given && (*labels = calloc((size_t)drawn.n, sizeof **labels)))
        memcpy(*labels, given, (size_t)drawn.n * sizeof **labels);
    return given && !*labels ? FCL_ERR_MEMORY : status;
}

static int make_logp(const sampling *work, fcl_array **logp)
{
    int64_t n = work->density ? work->density->shape.dim[0] : 0;
    *logp = NULL;
    int status = n ? fcl_array_create(FCL_SHAPE(n), logp) : FCL_OK;
    for (int64_t i = 0; i < n && status == FCL_OK; i++)
        (*logp)->data[i] = work->density->data[2 * i];
    return status;
}

/* A picture of new samples at the end of their way has a title, and shows their classes. */
static int write_plain(sampling *work, fcl_picture_options *picture)
{
    const sample_settings *settings = work->settings;
    char title[96];
    int32_t *label = NULL;
    int status = FCL_OK;
    snprintf(title, sizeof title, "%" PRId64 " samples at step %" PRId64, work->samples->shape.dim[0],
             work->info->step);
    if (!work->start && !settings->sample.times) {
        status = drawn_labels(work, &settings->sample, &label);
        picture->title = title;
        picture->label = label;
        work->rows_of_classes = label && work->info->pictures && has_ending(settings->out, ".png") &&
                                fcl_picture_rows(sample_count(work), label);
    }
    if (status == FCL_OK)
        status = fcl_samples_write(settings->out, work->samples, picture);
    fcl_free(label);
    return status;
}

/* Beside the samples: logp, logw with an energy, and the labels. */
static int write_samples(sampling *work)
{
    const sample_settings *settings = work->settings;
    fcl_array *logp;
    int32_t *labels = NULL;
    const fcl_normalisation *by = work->info->normalisation;
    fcl_picture_options picture = {.low = by->low, .high = by->high};
    bool numbers = holds_arrays(settings->out) || has_ending(settings->out, ".csv");
    fcl_column columns[3];
    int count = 0, status = make_logp(work, &logp);
    if (status == FCL_OK)
        status = make_labels(work, &labels);
    if (logp)
        columns[count++] = (fcl_column){"logp", logp->data};
    if (logp && settings->energy)
        columns[count++] = (fcl_column){"logw", work->weights.column};
    if (labels)
        columns[count++] = (fcl_column){"label", .label = labels, .class_names = work->info->class_names};
    if (status == FCL_OK && as_bytes(work))
        status = fcl_pictures_write(settings->out, work->samples, &picture, count, columns);
    else if (status == FCL_OK && count)
        status = fcl_columns_write(settings->out, sample_count(work), work->samples, count, columns);
    if (status == FCL_OK && !as_bytes(work) && !(count && numbers)) /* a picture in its own range */
        status = write_plain(work, &picture);
    fcl_free(labels);
    fcl_array_destroy(&logp);
    return status;
}

static int compute(sampling *work, const char *checkpoint)
{
    const sample_settings *settings = work->settings;
    int status = tool_open_checkpoint(checkpoint, &settings->foreign, &work->checkpoint, work->fault);
    if (status == FCL_OK)
        work->info = fcl_checkpoint_describe(work->checkpoint);
    if (status == FCL_OK && !settings->sample.times)
        status = fcl_samples_check_shape(settings->out, work->info->sample);
    if (status == FCL_OK && (settings->encode || settings->decode))
        status = read_start(work);
    if (status == FCL_OK && work->start)
        status = check_start(work);
    if (status == FCL_OK && settings->energy)
        status = weights_check(settings->energy, fcl_shape_size(work->info->sample));
    if (status == FCL_OK)
        status = tool_open_device(settings->device, &work->device);
    if (status == FCL_OK && tool_is_first() && fcl_device_describe(work->device)->tuning[0])
        fprintf(stderr, "warning: %s\n", fcl_device_describe(work->device)->tuning);
    if (status == FCL_OK)
        status = draw(work);
    if (status == FCL_ERR_NUMERIC && work->samples) {
        if (tool_is_first())
            snprintf(work->unfinished, sizeof work->unfinished, "%s", fcl_error());
        status = FCL_OK;
    }
    if (status != FCL_OK || !tool_is_first())
        return status;
    if (settings->energy)
        status = weights_compute(&work->weights, settings->energy, work->samples, work->density);
    return status == FCL_OK ? write_samples(work) : status;
}

static int check_density(const tool_call *call)
{
    static const char *const keys[] = {"divergence", "probes", "probe"};
    const sample_settings *settings = call->settings;
    if ((settings->logp || settings->energy) && (settings->encode || settings->decode))
        return tool_fail_usage(&sample_command,
                               "--logp and --energy are for new samples: the log density of data "
                               "is told by flowcl likelihood");
    if ((settings->logp || settings->energy) &&
        (settings->sample.times || fcl_solver_is_stochastic(settings->sample.solver)))
        return tool_fail_usage(&sample_command,
                               "--logp and --energy go along the flow's own paths to their end: no --times, "
                               "and no solver that adds noise");
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !settings->logp && !settings->energy; i++)
        if (fcl_options_source(call->options, keys[i]) == FCL_FROM_COMMAND_LINE)
            return tool_fail_usage(&sample_command, "--%s has no use without --logp", keys[i]);
    return EXIT_DONE;
}

static int check_usage(const tool_call *call)
{
    const sample_settings *settings = call->settings;
    if (check_density(call) != EXIT_DONE)
        return EXIT_USAGE;
    if (begins_with_data(settings) && !settings->decode)
        return tool_fail_usage(&sample_command, "--%s has no use without --decode, which names the data",
                               settings->mask ? "mask" : "from-time");
    if (settings->label_column && !settings->encode && !settings->decode)
        return tool_fail_usage(&sample_command, "--label-column has no use without --encode or --decode");
    for (const fcl_option *row = fcl_image_table; row->key && !settings->encode && !settings->decode; row++)
        if (fcl_options_source(call->options, row->key) == FCL_FROM_COMMAND_LINE)
            return tool_fail_usage(&sample_command, "--%s has no use without --encode or --decode", row->key);
    if (settings->encode && settings->decode)
        return tool_fail_usage(&sample_command, "--encode and --decode exclude each other");
    if ((settings->encode || settings->decode) && settings->sample.source)
        return tool_fail_usage(&sample_command,
                               "--source has no use with --encode or --decode: their file is the start");
    if ((settings->encode || settings->decode) && !begins_with_data(settings) && !fcl_solver_is_stochastic(settings->sample.solver) &&
        fcl_options_source(call->options, "seed") == FCL_FROM_COMMAND_LINE)
        return tool_fail_usage(&sample_command,
                               "--seed has no use with --encode or --decode: they draw no noise");
    if (fcl_options_finish(call->options))
        return tool_fail_usage(&sample_command, "%s", fcl_error());
    if (fcl_sample_check(&settings->sample) || fcl_divergence_check(&settings->sample.divergence))
        return tool_fail_usage(&sample_command, "%s", fcl_error());
    if (settings->sample.times && !holds_arrays(settings->out))
        return tool_fail_usage(&sample_command,
                               "--times makes one array of all times: --out %s must be .npy or .npz",
                               settings->out);
    int status = tool_is_first() ? fcl_samples_check_path(settings->out) : FCL_OK;
    if (status == FCL_ERR_ARGUMENT)
        return tool_fail_usage(&sample_command, "%s", fcl_error());
    return status == FCL_OK ? EXIT_DONE : tool_fail_library();
}

static int report(const sampling *work)
{
    int status = EXIT_DONE;
    tool_print_foreign(work->info);
    if (work->data)
        tool_print_note(work->data->name, work->data->note);
    if (work->settings->json)
        status = print_json(work);
    else
        print_report(work);
    return status == EXIT_DONE && work->unfinished[0] ? tool_fail("%s", work->unfinished) : status;
}

static int run(const tool_call *call)
{
    sample_settings *settings = call->settings;
    sampling work = {.settings = settings, .limited = fcl_options_source(call->options, "n") != FCL_FROM_DEFAULT};
    int status = check_usage(call);
    if (status != EXIT_DONE)
        return status;
    if (launch_listed(settings->device, &status))
        return status;
    progress bar = {0};
    settings->sample.ranks = tool_ranks();
    tool_watch(&bar);
    progress_announce(&bar, "preparing and sampling");
    int computed = compute(&work, call->positional[0]);
    progress_erase(&bar);
    const char *fault = work.fault[0] ? work.fault : work.weights.fault;
    if (computed != FCL_OK)
        status = fault[0] ? tool_fail("%s", fault) : tool_fail_library();
    else if (tool_is_first())
        status = report(&work);
    weights_free(&work.weights);
    fcl_array_destroy(&work.density);
    fcl_array_destroy(&work.samples);
    fcl_array_destroy(&work.start);
    fcl_array_destroy(&work.mask);
    free(work.start_label);
    fcl_dataset_destroy(&work.data);
    fcl_checkpoint_close(&work.checkpoint);
    fcl_device_close(&work.device);
    return status;
}

static const help_list *const lists[] = {&help_grids, &help_formulas, &help_data_sets, NULL};

const subcommand sample_command = {
    .name = "sample",
    .usage = "CHECKPOINT|DIR --n N --out FILE [options]",
    .summary = "draw samples from a trained model",
    .about = "A folder stands for its newest checkpoint; --config tells of weights of another\n"
             "program, such as a state dict of PyTorch. The file's ending says what is\n"
             "written: .npy, .npz, .csv, or .png, a scatter picture of points and a grid of\n"
             "pictures; a folder, DIR/, takes a .png each.",
    .lists = lists,
    .shared = true,
    .least = 1,
    .most = 1,
    .size = sizeof(sample_settings),
    .bind = bind,
    .run = run,
};
