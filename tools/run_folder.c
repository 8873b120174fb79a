#include "run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool run_folder_fail(run_folder *folder, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fcl_vsnprintf(folder->failure, sizeof folder->failure, format, args);
    va_end(args);
    return false;
}

static bool fail_library(run_folder *folder)
{
    return run_folder_fail(folder, "%s", fcl_error());
}

char *run_folder_file(const run_folder *folder, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder->path, name) < 0)
        abort();
    return path;
}

/* --- the configuration --- */

static bool is_same_file(const char *a, const char *b)
{
    struct stat left, right;
    return stat(a, &left) == 0 && stat(b, &right) == 0 && left.st_dev == right.st_dev &&
           left.st_ino == right.st_ino;
}

/* A text file whole, "" where none is there; released by free. */
static char *read_text(const char *path)
{
    struct stat info;
    FILE *file = stat(path, &info) == 0 && S_ISREG(info.st_mode) ? fopen(path, "re") : NULL;
    char *text = NULL;
    size_t room = 0;
    if (file && getdelim(&text, &room, 0, file) < 0 && text)
        *text = 0;
    if (file)
        fclose(file);
    return text ? text : calloc(1, 1);
}

bool run_folder_write_config(run_folder *folder, const fcl_options *options, const char *config, bool *kept)
{
    char *path = run_folder_file(folder, "config.yaml"), *text = fcl_options_to_yaml(options),
         *there = read_text(path);
    if (!there)
        abort();
    bool foreign =
        *there && strncmp(there, text, strcspn(text, "\n") + 1) != 0; /* ours begins with a heading */
    *kept = foreign || (config && is_same_file(path, config));
    int status = *kept || strcmp(there, text) == 0 ? FCL_OK : fcl_file_replace(path, text, strlen(text));
    free(there);
    fcl_free(text);
    free(path);
    return status == FCL_OK || fail_library(folder);
}

/* --- metrics --- */

static const char *const shown_keys[SHOWN] = {"step", "loss", "held_out_loss", "gradient_norm", "lr"};

static void remember(run_folder *folder, const json_t *row)
{
    for (int k = 0; k < SHOWN; k++) {
        const json_t *number = json_object_get(row, shown_keys[k]);
        double *column = realloc(folder->shown[k], (size_t)(folder->count + 1) * sizeof *column);
        if (!column)
            abort();
        column[folder->count] = json_is_number(number) ? json_number_value(number) : NAN;
        folder->shown[k] = column;
    }
    folder->count++;
}

/* A whole row up to `first_step`, which is remembered; not one that was cut short, as the machine went down. */
static bool keep_row(run_folder *folder, const char *line, size_t length, int64_t first_step)
{
    json_t *row = json_loadb(line, length, 0, NULL);
    const json_t *step = json_object_get(row, "step");
    bool kept = json_is_integer(step) && json_integer_value(step) >= 0 && json_integer_value(step) <= first_step;
    if (kept)
        remember(folder, row);
    json_decref(row);
    return kept;
}

/* Copies the whole rows up to `first_step`, each with the end of its line. Returns whether that is all there
 * is. */
static bool keep_rows(run_folder *folder, FILE *from, FILE *to, int64_t first_step)
{
    char *line = NULL;
    size_t room = 0;
    bool all = true;
    for (ssize_t length; (length = getline(&line, &room, from)) > 0;) {
        bool ended = line[length - 1] == '\n';
        bool kept = keep_row(folder, line, (size_t)(length - ended), first_step);
        all &= kept && ended;
        if (kept)
            fprintf(to, "%.*s\n", (int)(length - ended), line);
    }
    free(line);
    return all;
}

/* Takes away what is not to be kept of an earlier part of the run. */
static bool trim_metrics(run_folder *folder, const char *path, int64_t first_step)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return true;
    FILE *from = fopen(path, "re");
    if (!from)
        return run_folder_fail(folder, "cannot read %s: %s", path, strerror(errno));
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        abort();
    bool all = keep_rows(folder, from, to, first_step);
    fclose(from);
    fclose(to);
    bool trimmed = all || fcl_file_replace(path, text, size) == FCL_OK || fail_library(folder);
    free(text);
    return trimmed;
}

bool run_folder_begin(run_folder *folder, int64_t first_step)
{
    char *path = run_folder_file(folder, "metrics.jsonl");
    bool begun = trim_metrics(folder, path, first_step > 0 ? first_step : -1);
    if (begun) {
        folder->metrics = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        begun = folder->metrics >= 0 || run_folder_fail(folder, "cannot write %s: %s", path, strerror(errno));
    }
    free(path);
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

static json_t *row_of(const fcl_train_metrics *metrics)
{
    json_t *row = json_object();
    json_object_set_new(row, "step", json_integer(metrics->step));
    json_object_set_new(row, "loss", number_or_null(metrics->loss));
    if (!isnan(metrics->held_out_loss))
        json_object_set_new(row, "held_out_loss", number_or_null(metrics->held_out_loss));
    json_object_set_new(row, "gradient_norm", number_or_null(metrics->gradient_norm));
    json_object_set_new(row, "lr", number_or_null(metrics->lr));
    if (metrics->skipped)
        json_object_set_new(row, "skipped", json_integer(metrics->skipped));
    json_object_set_new(row, "samples_per_second", number_or_null(metrics->samples_per_second));
    json_object_set_new(row, "seconds", number_or_null(metrics->seconds));
    if (metrics->plans.count)
        json_object_set_new(row, "coupling", plans_json(&metrics->plans));
    return row;
}

static void add_text(run_folder *folder, const char *text)
{
    size_t length = strlen(text);
    folder->rows = realloc(folder->rows, folder->rows_size + length + 1);
    if (!folder->rows)
        abort();
    memcpy(folder->rows + folder->rows_size, text, length);
    folder->rows[folder->rows_size + length] = '\n';
    folder->rows_size += length + 1;
}

/* All rows or none of them: a part of one would spoil the next as well. */
static bool write_rows(run_folder *folder)
{
    off_t end = lseek(folder->metrics, 0, SEEK_END);
    for (size_t done = 0; done < folder->rows_size;) {
        ssize_t written = write(folder->metrics, folder->rows + done, folder->rows_size - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            int error = errno;
            if (done && ftruncate(folder->metrics, end) != 0)
                error = errno;
            return run_folder_fail(folder, "cannot write %s/metrics.jsonl: %s; its rows wait until there is room",
                                   folder->path, strerror(error));
        }
        done += (size_t)written;
    }
    folder->rows_size = 0;
    return true;
}

bool run_folder_add_row(run_folder *folder, json_t *row)
{
    char *text = json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (!text)
        abort();
    add_text(folder, text);
    free(text);
    remember(folder, row);
    json_decref(row);
    return write_rows(folder);
}

bool run_folder_add_metrics(run_folder *folder, const fcl_train_metrics *metrics)
{
    return run_folder_add_row(folder, row_of(metrics));
}

/* --- pictures --- */

static char *samples_path(const run_folder *folder, int64_t step, const char *ending)
{
    char name[64];
    snprintf(name, sizeof name, "samples-%010lld%s", (long long)step, ending);
    return run_folder_file(folder, name);
}

static bool are_finite(const fcl_array *samples)
{
    for (int64_t i = 0; i < fcl_shape_size(samples->shape); i++)
        if (!isfinite(samples->data[i]))
            return false;
    return true;
}

/* In place of a picture, the failure of which is told. */
static void write_numbers(run_folder *folder, const char *path, const fcl_array *samples)
{
    char reason[sizeof folder->failure / 2];
    snprintf(reason, sizeof reason, "%s", fcl_error());
    if (fcl_samples_write(path, samples, NULL) == FCL_OK)
        run_folder_fail(folder, "%s; the numbers are in %s", reason, path);
    else
        run_folder_fail(folder, "%s; nor can the numbers be written: %s", reason, fcl_error());
}

bool run_folder_add_samples(run_folder *folder, int64_t step, const fcl_array *samples,
                            const fcl_picture_options *picture)
{
    char *drawing = samples_path(folder, step, ".png"), *numbers = samples_path(folder, step, ".npy");
    bool drawn = fcl_samples_write(drawing, samples, picture) == FCL_OK;
    if (!drawn)
        write_numbers(folder, numbers, samples);
    else if (!are_finite(samples)) /* what is not finite does not show in a picture */
        drawn = fcl_samples_write(numbers, samples, NULL) == FCL_OK || fail_library(folder);
    free(drawing);
    free(numbers);
    return drawn;
}

bool run_folder_has_samples(const run_folder *folder, int64_t step)
{
    char *picture = samples_path(folder, step, ".png"), *numbers = samples_path(folder, step, ".npy");
    bool there = access(picture, F_OK) == 0 || access(numbers, F_OK) == 0;
    free(picture);
    free(numbers);
    return there;
}

bool run_folder_draw_loss(run_folder *folder)
{
    if (folder->drawn == folder->count)
        return true;
    fcl_loss_chart chart = {.step = folder->shown[SHOWN_STEP],
                            .loss = folder->shown[SHOWN_LOSS],
                            .count = folder->count,
                            .title = "training",
                            .held_out_loss = folder->shown[SHOWN_HELD_OUT_LOSS],
                            .gradient_norm = folder->shown[SHOWN_GRADIENT_NORM],
                            .clip = folder->clip,
                            .lr = folder->shown[SHOWN_LR]};
    char *path = run_folder_file(folder, "loss.png");
    int status = folder->count > 0 ? fcl_loss_chart_write(path, &chart) : FCL_ERR_NUMERIC;
    free(path);
    folder->drawn = folder->count;
    /* No chart without cairo, nor of losses that have no place on a logarithmic scale. */
    return status == FCL_OK || status == FCL_ERR_UNSUPPORTED || status == FCL_ERR_NUMERIC ||
           fail_library(folder);
}

void run_folder_close(run_folder *folder)
{
    if (folder->metrics > 0)
        close(folder->metrics);
    free(folder->rows);
    for (int k = 0; k < SHOWN; k++)
        free(folder->shown[k]);
}
