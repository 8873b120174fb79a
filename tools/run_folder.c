#include "run_folder.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool fail(run_folder *folder, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(run_folder *folder, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fcl_vsnprintf(folder->failure, sizeof folder->failure, format, args);
    va_end(args);
    return false;
}

static bool fail_library(run_folder *folder)
{
    return fail(folder, "%s", fcl_error());
}

/* "FOLDER/NAME", released by free. */
static char *file_in(const run_folder *folder, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder->path, name) < 0)
        abort();
    return path;
}

bool run_folder_write_config(run_folder *folder, const fcl_options *options)
{
    char *path = file_in(folder, "config.yaml");
    int status = fcl_options_write_yaml(options, path);
    free(path);
    return status == FCL_OK || fail_library(folder);
}

/* --- metrics --- */

static void remember(run_folder *folder, double step, double loss)
{
    size_t size = (size_t)(folder->count + 1) * sizeof(double);
    double *steps = realloc(folder->step, size), *losses = realloc(folder->loss, size);
    if (!steps || !losses)
        abort();
    folder->step = steps;
    folder->loss = losses;
    folder->step[folder->count] = step;
    folder->loss[folder->count++] = loss;
}

/* Copies the rows up to `first_step`. A row that is cut short (the machine went down) is dropped. */
static void keep_rows(run_folder *folder, FILE *from, FILE *to, int64_t first_step)
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, from) > 0) {
        json_t *row = json_loads(line, 0, NULL);
        const json_t *step = json_object_get(row, "step"), *loss = json_object_get(row, "loss");
        if (json_is_integer(step) && json_integer_value(step) <= first_step) {
            fputs(line, to);
            if (json_is_number(loss))
                remember(folder, (double)json_integer_value(step), json_number_value(loss));
        }
        json_decref(row);
    }
    free(line);
}

static bool begin_metrics(run_folder *folder, const char *path, const char *aside, int64_t first_step)
{
    FILE *old = first_step > 0 ? fopen(path, "r") : NULL;
    folder->metrics = fopen(aside, "w");
    if (!folder->metrics) {
        int error = errno;
        if (old)
            fclose(old);
        return fail(folder, "cannot write %s: %s", aside, strerror(error));
    }
    if (old) {
        keep_rows(folder, old, folder->metrics, first_step);
        fclose(old);
    }
    if (fflush(folder->metrics) || ferror(folder->metrics) || rename(aside, path))
        return fail(folder, "cannot write %s: %s", path, strerror(errno));
    return true;
}

bool run_folder_begin(run_folder *folder, int64_t first_step)
{
    char *path = file_in(folder, "metrics.jsonl"), *aside = file_in(folder, "metrics.part");
    bool begun = begin_metrics(folder, path, aside, first_step);
    if (!begun)
        unlink(aside);
    free(path);
    free(aside);
    return begun;
}

static json_t *number_or_null(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

static json_t *plans_json(const fcl_train_plans *plans)
{
    json_t *object = json_object();
    json_object_set_new(object, "plans", json_integer(plans->count));
    json_object_set_new(object, "not_converged", json_integer(plans->open));
    json_object_set_new(object, "iterations", number_or_null(plans->iterations));
    json_object_set_new(object, "change", number_or_null(plans->change));
    json_object_set_new(object, "mass", number_or_null(plans->mass));
    return object;
}

bool run_folder_add_metrics(run_folder *folder, const fcl_train_metrics *metrics)
{
    json_t *row = json_object();
    json_object_set_new(row, "step", json_integer(metrics->step));
    json_object_set_new(row, "loss", number_or_null(metrics->loss));
    json_object_set_new(row, "gradient_norm", number_or_null(metrics->gradient_norm));
    json_object_set_new(row, "lr", number_or_null(metrics->lr));
    json_object_set_new(row, "samples_per_second", number_or_null(metrics->samples_per_second));
    json_object_set_new(row, "seconds", number_or_null(metrics->seconds));
    if (metrics->plans.count)
        json_object_set_new(row, "coupling", plans_json(&metrics->plans));
    bool failed = json_dumpf(row, folder->metrics, JSON_COMPACT | JSON_REAL_PRECISION(9)) ||
                  fputc('\n', folder->metrics) == EOF || fflush(folder->metrics);
    json_decref(row);
    if (failed)
        return fail(folder, "cannot write %s/metrics.jsonl: %s", folder->path, strerror(errno));
    remember(folder, (double)metrics->step, metrics->loss);
    return true;
}

/* --- pictures --- */

static int write_samples(const run_folder *folder, int64_t step, const char *ending, const fcl_array *samples,
                         const fcl_picture_options *options)
{
    char name[64];
    snprintf(name, sizeof name, "samples-%010lld%s", (long long)step, ending);
    char *path = file_in(folder, name);
    int status = fcl_samples_write(path, samples, options);
    free(path);
    return status;
}

bool run_folder_add_samples(run_folder *folder, int64_t step, const fcl_array *samples,
                            const fcl_array *reference)
{
    fcl_picture_options options = {.reference = reference};
    int status = write_samples(folder, step, ".png", samples, &options);
    if (status == FCL_ERR_SHAPE || status == FCL_ERR_NUMERIC) /* no picture of these: the numbers then */
        status = write_samples(folder, step, ".npy", samples, NULL);
    return status == FCL_OK || fail_library(folder);
}

bool run_folder_draw_loss(run_folder *folder)
{
    fcl_loss_chart chart = {.step = folder->step, .loss = folder->loss, .count = folder->count};
    char *path = file_in(folder, "loss.png");
    int status = folder->count > 0 ? fcl_loss_chart_write(path, &chart) : FCL_ERR_NUMERIC;
    free(path);
    /* No chart without cairo, nor of losses that have no place on a logarithmic scale. */
    return status == FCL_OK || status == FCL_ERR_UNSUPPORTED || status == FCL_ERR_NUMERIC ||
           fail_library(folder);
}

void run_folder_close(run_folder *folder)
{
    if (folder->metrics)
        fclose(folder->metrics);
    free(folder->step);
    free(folder->loss);
}
