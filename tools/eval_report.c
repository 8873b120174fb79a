/* What flowcl eval prints. */
#include "eval.h"
#include "terminal.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

typedef struct several {
    double mean, deviation; /* NAN where there is none */
} several;

/* Over the subjects of a group, of the member of eval_value that stands `offset` bytes in. */
static several mean_of(const eval_results *results, int metric, int group, size_t offset)
{
    int n = 0;
    double sum = 0, squares = 0, value[EVAL_MOST_SUBJECTS];
    for (int i = 0; i < results->subjects; i++) {
        if (results->subject[i].group != group)
            continue;
        value[n] = *(const double *)((const char *)&results->value[metric][i] + offset);
        sum += value[n++];
    }
    for (int i = 0; i < n; i++)
        squares += pow(value[i] - sum / n, 2);
    return (several){sum / n, n > 1 ? sqrt(squares / (n - 1)) : NAN};
}

#define MEAN_OF(results, metric, group, member) mean_of(results, metric, group, offsetof(eval_value, member))

/* Without --ema all there is one, of all subjects. */
static int group_count(const eval_results *results)
{
    return results->groups ? results->groups : 1;
}

static const eval_value *first_value(const eval_results *results, int metric, int group)
{
    int i = 0;
    while (results->subject[i].group != group)
        i++;
    return &results->value[metric][i];
}

static void print_subject(const eval_subject *subject)
{
    printf("%" PRId64 " samples of %s", subject->samples->shape.dim[0], tool_plain(subject->name));
    const fcl_sample_options *how = &subject->how;
    if (subject->info) {
        printf(" (step %" PRId64 ", %s", subject->info->step, how->solver);
        tool_print_guidance(how);
        fcl_printf(", %.4g evaluations a sample, ", subject->stats.nfe_mean);
        tool_print_average(subject->info, how);
        putchar(')');
    }
    putchar('\n');
}

static bool has_floor(const eval_results *results)
{
    for (int i = 0; i < results->metrics; i++) {
        if (!isnan(results->floor[i].mean))
            return true;
    }
    return false;
}

/* How many points each set of the floor's draws has, where that is one number for all metrics; else 0. */
static int64_t floor_size(const eval_results *results)
{
    int64_t size = 0;
    for (int i = 0; i < results->metrics; i++) {
        const fcl_distance_mean *floor = &results->floor[i];
        if (isnan(floor->mean))
            continue;
        if (floor->points[0] != floor->points[1] || (size && size != floor->points[0]))
            return 0;
        size = floor->points[0];
    }
    return size;
}

/* Of distances between samples; those between features have another floor. */
static bool has_drawn_floor(const eval_results *results)
{
    bool drawn = false;
    for (int i = 0; i < results->metrics; i++)
        drawn |= !isnan(results->floor[i].mean) && !isnan(results->floor[i].deviation);
    return drawn;
}

static void print_features(const evaluation *work)
{
    const fcl_classifier_info *info = fcl_classifier_describe(work->classifier);
    fcl_printf("features of %s, %.2f %% right\n", tool_plain(info->path), 100 * info->accuracy);
    if (!work->training)
        printf("%s is the reference itself: %s\n", tool_plain(work->data->name),
               work->settings->against ? "--against train" : "no test part");
    if (work->seen_floor.features)
        printf("floor of features: %" PRId64 " pictures of %s against the same\n", work->seen_floor.features->shape.dim[0],
               tool_plain(eval_training(work)->name));
}

static void print_floors(const eval_results *results)
{
    int64_t size = floor_size(results);
    printf("floor: the same distance between two draws of ");
    if (size)
        printf("%" PRId64 " each of ", size);
    printf("the data:\n       mean and deviation of %d\n", results->work->settings->floor_draws);
}

static void print_head(const eval_results *results)
{
    const evaluation *work = results->work;
    for (int i = 0; i < results->subjects; i++)
        print_subject(&results->subject[i]);
    printf("against %" PRId64 " of the %" PRId64 " of %s\n", work->reference->shape.dim[0],
           fcl_dataset_count(work->data, work->label), tool_plain(work->data->name));
    if (work->classifier)
        print_features(work);
    if (has_drawn_floor(results))
        print_floors(results);
    putchar('\n');
}

static void number(double value, char text[16])
{
    if (isnan(value))
        strcpy(text, "");
    else
        fcl_snprintf(text, 16, "%.4g", value);
}

enum { INDENT = 14 };

/* What was done, behind `column` columns; and where the floor is of fewer points than the value, the value at these. */
static void print_how(const eval_results *results, int metric, int group, int column)
{
    const fcl_distance_mean *floor = &results->floor[metric];
    double at_floor = MEAN_OF(results, metric, group, at_floor).mean;
    terminal_print_wrapped(column, column, first_value(results, metric, group)->how);
    if (!isnan(at_floor) && floor->points[0] == floor->points[1])
        fcl_printf("%*sat the floor's %" PRId64 " points: %.4g\n", INDENT, "", floor->points[0], at_floor);
    else if (!isnan(at_floor))
        fcl_printf("%*sat the floor's %" PRId64 " and %" PRId64 " points: %.4g\n", INDENT, "", floor->points[0],
                   floor->points[1], at_floor);
}

static int print_floor(const fcl_distance_mean *floor)
{
    char mean[16], deviation[16];
    number(floor->mean, mean);
    number(floor->deviation, deviation);
    return printf(" %9s %-2s %-8s", mean, deviation[0] ? "+-" : "", deviation);
}

/* Beside --floor no every other column stays away. */
static void print_class(const eval_class *row, const char *name, bool floor)
{
    const double numbers[] = {row->frechet, row->frechet_floor, row->accuracy, row->accuracy_floor};
    printf("%-13s %8" PRId64, tool_plain(name), row->count);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i += floor ? 1 : 2) {
        char text[16];
        number(numbers[i], text);
        printf(" %10s", text);
    }
    putchar('\n');
}

/* They are of the first subject: of several it is told which that is. */
static void print_classes_head(const eval_results *results, bool floor)
{
    const eval_subject *first = &results->subject[0];
    printf("\nby the class that %s", first->seen.label ? "was asked for" : "the classifier finds");
    if (results->subjects > 1)
        printf(", of %s", tool_plain(first->name));
    if (results->subjects > 1 && first->info) {
        fputs(" (", stdout);
        tool_print_average(first->info, &first->how);
        putchar(')');
    }
    if (floor)
        printf("\n%-13s %8s %10s %10s %10s %10s\n", "class", "samples", "frechet", "floor", "accuracy", "floor");
    else
        printf("\n%-13s %8s %10s %10s\n", "class", "samples", "frechet", "accuracy");
}

/* Of conditional samples by the class that was asked for, else by the one that the classifier finds. */
static void print_classes(const eval_results *results)
{
    const evaluation *work = results->work;
    bool floor = work->settings->floor != FCL_OFF;
    if (!work->of_class)
        return;
    print_classes_head(results, floor);
    for (int k = 0; k < work->data->classes; k++) {
        char text[16];
        snprintf(text, sizeof text, "%d", k);
        print_class(&work->of_class[k], work->data->class_name ? work->data->class_name[k] : text, floor);
    }
}

static void print_row(const eval_results *results, int metric, int group, bool many, bool floor)
{
    char mean[16], spread[16];
    several told = MEAN_OF(results, metric, group, with_sign);
    if (isnan(told.mean))
        told = MEAN_OF(results, metric, group, value);
    number(told.mean, mean);
    number(told.deviation, spread);
    int column = printf("%-13s", group ? "" : results->metric[metric].name);
    if (results->groups)
        column += printf(" %-10s", results->group[group]);
    column += printf(" %10s", mean);
    if (many)
        column += printf(" %10s", spread);
    if (floor)
        column += print_floor(&results->floor[metric]);
    column += first_value(results, metric, group)->how[0] ? printf("  ") : 0;
    print_how(results, metric, group, column);
}

/* Whether a row is a mean over several. */
static bool is_of_many(const eval_results *results)
{
    return results->subjects > group_count(results);
}

void eval_print_table(const eval_results *results)
{
    bool many = is_of_many(results), floor = has_floor(results);
    print_head(results);
    printf("%-13s", "metric");
    if (results->groups)
        printf(" %-10s", "weights");
    printf(" %10s%s%s\n", many ? "mean" : "value", many ? "  deviation" : "", floor ? "     floor" : "");
    for (int i = 0; i < results->metrics; i++)
        for (int group = 0; group < group_count(results); group++)
            print_row(results, i, group, many, floor);
    print_classes(results);
}

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void add_floor_json(const eval_results *results, int metric, json_t *object)
{
    const fcl_distance_mean *floor = &results->floor[metric];
    bool there = !isnan(floor->mean);
    json_object_set_new(object, "floor", real_or_null(floor->mean));
    json_object_set_new(object, "floor_deviation", real_or_null(floor->deviation));
    json_object_set_new(object, "floor_points",
                        there && floor->points[0]
                            ? json_pack("[I, I]", (json_int_t)floor->points[0], (json_int_t)floor->points[1])
                            : json_null());
    json_object_set_new(object, "floor_disjoint", there ? json_boolean(floor->disjoint) : json_null());
    json_object_set_new(object, "value_at_floor_points",
                        real_or_null(MEAN_OF(results, metric, 0, at_floor).mean));
}

/* Of --ema all; what stands beside it is of the first average. */
static json_t *groups_json(const eval_results *results, int metric)
{
    json_t *object = json_object();
    for (int group = 0; group < results->groups; group++) {
        several value = MEAN_OF(results, metric, group, value);
        json_object_set_new(object, results->group[group],
                            json_pack("{s:o, s:o}", "value", real_or_null(value.mean), "deviation",
                                      real_or_null(value.deviation)));
    }
    return object;
}

static json_t *metric_json(const eval_results *results, int metric)
{
    several value = MEAN_OF(results, metric, 0, value), with_sign = MEAN_OF(results, metric, 0, with_sign);
    json_t *object = json_object(), *values = json_array();
    for (int i = 0; i < results->subjects; i++)
        json_array_append_new(values, real_or_null(results->value[metric][i].value));
    json_object_set_new(object, "value", real_or_null(value.mean));
    json_object_set_new(object, "deviation", real_or_null(value.deviation));
    if (!isnan(with_sign.mean))
        json_object_set_new(object, "signed", json_real(with_sign.mean));
    if (!isnan(results->value[metric][0].error))
        json_object_set_new(object, "standard_error", json_real(results->value[metric][0].error));
    add_floor_json(results, metric, object);
    if (results->groups)
        json_object_set_new(object, "of", groups_json(results, metric));
    json_object_set_new(object, "values", values);
    json_object_set_new(object, "how", json_string(results->value[metric][0].how));
    return object;
}

static json_t *subject_json(const eval_subject *subject)
{
    json_t *object = json_object();
    json_object_set_new(object, "name", tool_text_json(subject->name));
    json_object_set_new(object, "n", json_integer(subject->samples->shape.dim[0]));
    if (subject->info) {
        json_object_set_new(object, "checkpoint", tool_text_json(subject->info->path));
        json_object_set_new(object, "step", json_integer(subject->info->step));
        json_object_set_new(object, "nfe", json_real(subject->stats.nfe_mean));
        json_object_set_new(object, "seconds", json_real(subject->stats.seconds));
        tool_add_average(subject->info, &subject->how, object);
    }
    return object;
}

/* Of each set, in the first metric that has a floor. */
static json_t *floor_points(const eval_results *results)
{
    for (int i = 0; i < results->metrics; i++)
        if (!isnan(results->floor[i].mean))
            return json_integer(results->floor[i].points[0]);
    return json_null();
}

static bool has_models(const eval_results *results)
{
    bool any = false;
    for (int i = 0; i < results->subjects; i++)
        any |= results->subject[i].info != NULL;
    return any;
}

static json_t *classes_json(const evaluation *work)
{
    json_t *list = json_array();
    for (int k = 0; k < work->data->classes; k++) {
        const eval_class *row = &work->of_class[k];
        json_t *object = json_object();
        json_object_set_new(object, "name", work->data->class_name ? tool_text_json(work->data->class_name[k]) : json_integer(k));
        json_object_set_new(object, "n", json_integer(row->count));
        json_object_set_new(object, "frechet", real_or_null(row->frechet));
        json_object_set_new(object, "frechet_floor", real_or_null(row->frechet_floor));
        json_object_set_new(object, "accuracy", real_or_null(row->accuracy));
        json_object_set_new(object, "accuracy_floor", real_or_null(row->accuracy_floor));
        json_array_append_new(list, object);
    }
    return list;
}

/* Which subject the classes are told of. */
static json_t *classes_of_json(const eval_subject *first)
{
    json_t *object = json_object();
    json_object_set_new(object, "name", tool_text_json(first->name));
    if (first->info)
        tool_add_average(first->info, &first->how, object);
    return object;
}

static void add_features_json(const eval_results *results, json_t *object)
{
    const evaluation *work = results->work;
    const fcl_classifier_info *info = fcl_classifier_describe(work->classifier);
    json_object_set_new(object, "features", tool_text_json(info->path));
    json_object_set_new(object, "classifier_accuracy", json_real(info->accuracy));
    json_object_set_new(object, "training", tool_text_json(eval_training(work)->name));
    if (!work->of_class)
        return;
    json_object_set_new(object, "classes_of", classes_of_json(&results->subject[0]));
    json_object_set_new(object, "classes", classes_json(work));
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
    json_object_set_new(object, "data", tool_text_json(work->data->name));
    json_object_set_new(object, "reference", json_integer(work->reference->shape.dim[0]));
    json_object_set_new(object, "floor_points", floor_points(results));
    json_object_set_new(object, "floor_draws",
                        has_drawn_floor(results) ? json_integer(work->settings->floor_draws) : json_null());
    json_object_set_new(object, "metrics", metrics);
    if (work->classifier)
        add_features_json(results, object);
    if (has_models(results)) {
        json_object_set_new(object, "solver", json_string(work->settings->sample.solver));
        tool_add_guidance(&work->settings->sample, object);
    }
    if (work->device)
        json_object_set_new(object, "device", tool_text_json(fcl_device_describe(work->device)->name));
    return tool_print_json(object);
}
