/* What flowcl eval prints. */
#include "eval.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The mean over the subjects, and their standard deviation. */
static double mean_of(const eval_results *results, int metric, double *deviation)
{
    const eval_value *value = results->value[metric];
    int n = results->subjects;
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++)
        sum += value[i].value;
    for (int i = 0; i < n; i++)
        squares += pow(value[i].value - sum / n, 2);
    *deviation = n > 1 ? sqrt(squares / (n - 1)) : NAN;
    return sum / n;
}

static void print_subject(const eval_results *results, const eval_subject *subject)
{
    printf("%" PRId64 " samples of %s", subject->samples->shape.dim[0], subject->name);
    if (subject->info)
        fcl_printf(" (step %" PRId64 ", %s, %.4g evaluations a sample)", subject->info->step,
                   results->work->settings->sample.solver, subject->stats.nfe_mean);
    putchar('\n');
}

static bool has_floor(const eval_results *results)
{
    for (int i = 0; i < results->metrics; i++) {
        if (!isnan(results->floor[i].value))
            return true;
    }
    return false;
}

static void print_head(const eval_results *results)
{
    const evaluation *work = results->work;
    for (int i = 0; i < results->subjects; i++)
        print_subject(results, &results->subject[i]);
    printf("against %" PRId64 " of the %" PRId64 " of %s\n", work->reference->shape.dim[0],
           fcl_dataset_count(work->data, work->label), work->data->name);
    if (has_floor(results))
        printf("floor: the same distance between two draws of %" PRId64 " each of the data\n",
               work->floor[0]->shape.dim[0]);
    putchar('\n');
}

static void number(double value, char text[16])
{
    if (isnan(value))
        strcpy(text, "");
    else
        fcl_snprintf(text, 16, "%.4g", value);
}

void eval_print_table(const eval_results *results)
{
    bool several = results->subjects > 1, floor = has_floor(results);
    char mean[16], spread[16], least[16];
    print_head(results);
    printf("%-13s %10s%s%s\n", "metric", several ? "mean" : "value", several ? "  deviation" : "",
           floor ? "      floor" : "");
    for (int i = 0; i < results->metrics; i++) {
        double deviation;
        number(mean_of(results, i, &deviation), mean);
        number(deviation, spread);
        number(results->floor[i].value, least);
        printf("%-13s %10s", results->metric[i].name, mean);
        if (several)
            printf(" %10s", spread);
        if (floor)
            printf(" %10s", least);
        printf("%s%s\n", results->value[i][0].how[0] ? "   " : "", results->value[i][0].how);
    }
}

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *metric_json(const eval_results *results, int metric)
{
    double deviation, mean = mean_of(results, metric, &deviation);
    json_t *object = json_object(), *values = json_array();
    for (int i = 0; i < results->subjects; i++)
        json_array_append_new(values, real_or_null(results->value[metric][i].value));
    json_object_set_new(object, "value", real_or_null(mean));
    json_object_set_new(object, "deviation", real_or_null(deviation));
    json_object_set_new(object, "floor", real_or_null(results->floor[metric].value));
    json_object_set_new(object, "values", values);
    json_object_set_new(object, "how", json_string(results->value[metric][0].how));
    return object;
}

static json_t *subject_json(const eval_subject *subject)
{
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(subject->name));
    json_object_set_new(object, "n", json_integer(subject->samples->shape.dim[0]));
    if (subject->info) {
        json_object_set_new(object, "checkpoint", json_string(subject->info->path));
        json_object_set_new(object, "step", json_integer(subject->info->step));
        json_object_set_new(object, "nfe", json_real(subject->stats.nfe_mean));
        json_object_set_new(object, "seconds", json_real(subject->stats.seconds));
    }
    return object;
}

int eval_print_json(const eval_results *results)
{
    const evaluation *work = results->work;
    json_t *object = json_object(), *subjects = json_array(), *metrics = json_object();
    for (int i = 0; i < results->subjects; i++)
        json_array_append_new(subjects, subject_json(&results->subject[i]));
    for (int i = 0; i < results->metrics; i++)
        json_object_set_new(metrics, results->metric[i].name, metric_json(results, i));
    json_object_set_new(object, "subjects", subjects);
    json_object_set_new(object, "data", json_string(work->data->name));
    json_object_set_new(object, "reference", json_integer(work->reference->shape.dim[0]));
    json_object_set_new(object, "floor_points",
                        work->floor[0] ? json_integer(work->floor[0]->shape.dim[0]) : json_null());
    json_object_set_new(object, "metrics", metrics);
    if (work->device) {
        json_object_set_new(object, "solver", json_string(work->settings->sample.solver));
        json_object_set_new(object, "device", json_string(fcl_device_describe(work->device)->name));
    }
    return tool_print_json(object);
}
