/* flowcl sample: new samples of a trained model, or data carried to noise and back. */
#include "sample.h"
#include "launch.h"
#include "terminal.h"

#include <stdlib.h>

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

static int draw(sampling *work)
{
    const sample_settings *settings = work->settings;
    fcl_sample_options how = settings->sample;
    how.mask = work->mask;
    if (work->start)
        return fcl_transport(work->device, work->checkpoint, &how, work->start,
                             sample_start_labels(work), settings->encode != NULL, &work->samples, &work->stats);
    if (settings->logp || settings->energy)
        return fcl_sample_density(work->device, work->checkpoint, &settings->sample, &work->samples,
                                  &work->density, &work->stats);
    return fcl_sample(work->device, work->checkpoint, &settings->sample, &work->samples, &work->stats);
}

static int compute(sampling *work, const char *checkpoint)
{
    const sample_settings *settings = work->settings;
    int status = tool_open_checkpoint(checkpoint, &settings->foreign, &work->checkpoint, work->fault);
    if (status == FCL_OK)
        work->info = fcl_checkpoint_describe(work->checkpoint);
    if (status == FCL_OK && !settings->sample.times)
        status = fcl_samples_check_shape(settings->out, work->info->sample);
    if (status == FCL_OK)
        status = sample_start(work);
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
    return status == FCL_OK ? sample_write(work) : status;
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
    if (sample_begins_with_data(settings) && !settings->decode)
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
    if ((settings->encode || settings->decode) && !sample_begins_with_data(settings) && !fcl_solver_is_stochastic(settings->sample.solver) &&
        fcl_options_source(call->options, "seed") == FCL_FROM_COMMAND_LINE)
        return tool_fail_usage(&sample_command,
                               "--seed has no use with --encode or --decode: they draw no noise");
    if (fcl_options_finish(call->options))
        return tool_fail_usage(&sample_command, "%s", fcl_error());
    if (fcl_sample_check(&settings->sample) || fcl_divergence_check(&settings->sample.divergence))
        return tool_fail_usage(&sample_command, "%s", fcl_error());
    if (settings->sample.times && !sample_holds_arrays(settings->out))
        return tool_fail_usage(&sample_command,
                               "--times makes one array of all times: --out %s must be .npy or .npz",
                               settings->out);
    int status = tool_is_first() ? fcl_samples_check_path(settings->out) : FCL_OK;
    if (status == FCL_ERR_ARGUMENT)
        return tool_fail_usage(&sample_command, "%s", fcl_error());
    return status == FCL_OK ? EXIT_DONE : tool_fail_library();
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
    if ((status = tool_agree("files to write (--out)", settings->out)) != EXIT_DONE)
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
        status = sample_report(&work);
    weights_free(&work.weights);
    fcl_array_destroy(&work.density);
    fcl_array_destroy(&work.samples);
    fcl_array_destroy(&work.start);
    fcl_array_destroy(&work.mask);
    free(work.start_label);
    fcl_dataset_destroy(&work.data);
    fcl_dataset_destroy(&work.mask_data);
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
