/* Records: what was measured as JSON objects, and what is derived from them. */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double bench_number(const json_t *record, const char *key)
{
    const json_t *value = json_object_get(record, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *bench_text(const json_t *record, const char *key)
{
    return json_string_value(json_object_get(record, key));
}

/* --- a measurement --- */

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Between the two nearest of the sorted values. */
static double quantile(const double *sorted, int count, double share)
{
    double at = share * (count - 1);
    int below = (int)at;
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
}

json_t *bench_record_measure(const char *device, const char *group, const char *model, const char *what,
                             const char *unit, bool less_is_better, const double *values, int count)
{
    static const double noisy_spread = 0.05;
    double *sorted = calloc((size_t)count + 1, sizeof *sorted);
    json_t *record = json_pack("{s:s, s:s, s:s, s:s?, s:s, s:s, s:s, s:i}", "record", "measure", "device",
                               device, "group", group, "model", model, "what", what, "unit", unit, "better",
                               less_is_better ? "less" : "more", "repeats", count);
    if (sorted && count > 0) {
        memcpy(sorted, values, (size_t)count * sizeof *sorted);
        qsort(sorted, (size_t)count, sizeof *sorted, ascending);
        double median = quantile(sorted, count, 0.5), p10 = quantile(sorted, count, 0.1);
        double p90 = quantile(sorted, count, 0.9);
        json_object_set_new(record, "median", json_real(median));
        json_object_set_new(record, "p10", json_real(p10));
        json_object_set_new(record, "p90", json_real(p90));
        json_object_set_new(record, "noisy", json_boolean(p90 - p10 > noisy_spread * median));
    }
    free(sorted);
    return record;
}

/* --- looking up --- */

static bool same_text(const json_t *a, const json_t *b, const char *key)
{
    const char *left = bench_text(a, key), *right = bench_text(b, key);
    return left == right || (left && right && !strcmp(left, right));
}

static bool has_text(const json_t *record, const char *key, const char *text)
{
    const char *own = bench_text(record, key);
    return own && !strcmp(own, text);
}

json_t *bench_record_find(const json_t *records, const char *key, const char *value, const json_t *like)
{
    size_t i;
    json_t *record;
    json_array_foreach(records, i, record)
    {
        if (same_text(record, like, "record") && same_text(record, like, "group") &&
            same_text(record, like, "model") && same_text(record, like, "what") &&
            has_text(record, key, value))
            return record;
    }
    return NULL;
}

double bench_record_median(const json_t *records, const char *device, const char *group, const char *model,
                           const char *what)
{
    json_t *like =
        json_pack("{s:s, s:s, s:s?, s:s}", "record", "measure", "group", group, "model", model, "what", what);
    double median = bench_number(bench_record_find(records, "device", device, like), "median");
    json_decref(like);
    return median;
}

double bench_record_ratio(const json_t *record, const json_t *other)
{
    double a = bench_number(record, "median"), b = bench_number(other, "median");
    const char *better = bench_text(record, "better");
    return better && !strcmp(better, "less") ? b / a : a / b;
}

/* --- what limits a step --- */

/* The largest of the floors; how much of the step it explains says how sure that is. */
void bench_record_limit(json_t *step)
{
    const char *name, *limit = NULL;
    json_t *floor;
    double largest = 0, seconds = bench_number(step, "seconds");
    json_object_foreach(json_object_get(step, "floors"), name, floor)
    {
        if (!(json_number_value(floor) > largest))
            continue;
        largest = json_number_value(floor);
        limit = name;
    }
    json_object_set_new(step, "limit", limit ? json_string(limit) : json_null());
    json_object_set_new(step, "limit_share",
                        limit && seconds > 0 ? json_real(largest / seconds) : json_null());
}

/* --- an earlier run --- */

static int read_line(const char *path, int number, const char *line, json_t *records)
{
    json_error_t error;
    json_t *record = json_loads(line, 0, &error);
    if (!record)
        return tool_fail("%s:%d: not a line of flowcl bench --json: %s", path, number, error.text);
    if (!bench_text(record, "record") || !bench_text(record, "device")) {
        json_decref(record);
        return tool_fail("%s:%d: not a record of flowcl bench --json: \"record\" or \"device\" is missing",
                         path, number);
    }
    json_array_append_new(records, record);
    return EXIT_DONE;
}

json_t *bench_baseline_read(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        tool_fail("cannot open the baseline %s: %s", path, strerror(errno));
        return NULL;
    }
    json_t *records = json_array();
    char *line = NULL;
    size_t room = 0;
    int status = EXIT_DONE;
    for (int number = 1; status == EXIT_DONE && getline(&line, &room, file) > 0; number++)
        status = read_line(path, number, line, records);
    if (status == EXIT_DONE && (ferror(file) || json_array_size(records) == 0))
        status = tool_fail("the baseline %s %s", path, ferror(file) ? "cannot be read" : "is empty");
    free(line);
    fclose(file);
    if (status == EXIT_DONE)
        return records;
    json_decref(records);
    return NULL;
}
