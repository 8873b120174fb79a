/* What flowcl sample tells. */
#include "sample.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

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
    if (!sample_as_bytes(work))
        return "";
    return sample_has_ending(work->settings->out, ".npz") ? ": bytes (N, H, W, C) as arr_0" : ": a picture each, 00000.png and so on";
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

int sample_report(const sampling *work)
{
    int status = EXIT_DONE;
    tool_print_foreign(work->info);
    if (work->data)
        tool_print_note(work->data->name, work->data->note);
    if (work->mask_data)
        tool_print_note(work->mask_data->name, work->mask_data->note);
    if (work->settings->json)
        status = print_json(work);
    else
        print_report(work);
    return status == EXIT_DONE && work->unfinished[0] ? tool_fail("%s", work->unfinished) : status;
}
