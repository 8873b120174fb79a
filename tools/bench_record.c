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

json_t *bench_numbers_json(const double *values, int count)
{
    json_t *array = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(array, json_real(values[i]));
    return array;
}

/* --- a measurement --- */

json_t *bench_record_measure(const char *device, const char *group, const char *model, const char *what,
                             const char *unit, bool less_is_better, const double *values, int count)
{
    static const double noisy_spread = 0.05;
    rounds_spread spread = rounds_of(values, count);
    json_t *record = json_pack("{s:s, s:s, s:s, s:s?, s:s, s:s, s:s, s:i}", "record", "measure", "device",
                               device, "group", group, "model", model, "what", what, "unit", unit, "better",
                               less_is_better ? "less" : "more", "repeats", count);
    if (count > 0) {
        json_object_set_new(record, "median", json_real(spread.median));
        json_object_set_new(record, "p10", json_real(spread.p10));
        json_object_set_new(record, "p90", json_real(spread.p90));
        json_object_set_new(record, "noisy",
                            json_boolean(spread.p90 - spread.p10 > noisy_spread * spread.median));
        json_object_set_new(record, "values", bench_numbers_json(values, count));
    }
    return record;
}

void bench_record_set_spread(json_t *record, const char *key, rounds_spread spread)
{
    char name[64];
    if (!isfinite(spread.median))
        return;
    json_object_set_new(record, key, json_real(spread.median));
    snprintf(name, sizeof name, "%s_p10", key);
    json_object_set_new(record, name, json_real(spread.p10));
    snprintf(name, sizeof name, "%s_p90", key);
    json_object_set_new(record, name, json_real(spread.p90));
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

static bool less_is_better(const json_t *record)
{
    const char *better = bench_text(record, "better");
    return better && !strcmp(better, "less");
}

static int read_values(const json_t *record, double values[BENCH_REPEATS_MOST])
{
    const json_t *array = json_object_get(record, "values");
    int count = (int)json_array_size(array);
    for (int i = 0; i < count; i++)
        values[i] = json_number_value(json_array_get(array, (size_t)i));
    return count;
}

double bench_record_ratio(const json_t *record, const json_t *other)
{
    double own[BENCH_REPEATS_MOST], others[BENCH_REPEATS_MOST];
    int count = read_values(record, own), many = read_values(other, others);
    count = many < count ? many : count; /* a start-up that takes long has fewer rounds */
    return (less_is_better(record) ? rounds_ratio(others, own, count) : rounds_ratio(own, others, count))
        .median;
}

double bench_record_ratio_before(const json_t *record, const json_t *other)
{
    double own = bench_number(record, "median"), before = bench_number(other, "median");
    return less_is_better(record) ? before / own : own / before;
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
