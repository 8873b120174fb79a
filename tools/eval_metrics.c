/* The metrics of flowcl eval. */
#include "eval.h"

#include <math.h>
#include <string.h>

/* --- of models --- */

static int need_energy(evaluation *work, eval_subject *subject)
{
    if (subject->energy)
        return FCL_OK;
    return fcl_sample_energy(work->device, subject->checkpoint, &subject->how, &subject->start,
                             &subject->energy);
}

/* The mean of a column of (n, 2), and its standard error. */
static double mean_column(const fcl_array *array, int column, double *standard_error)
{
    int64_t n = array->shape.dim[0];
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += array->data[2 * i + column];
    for (int64_t i = 0; i < n; i++)
        squares += pow(array->data[2 * i + column] - sum / (double)n, 2);
    *standard_error = n > 1 ? sqrt(squares / (double)(n - 1) / (double)n) : NAN;
    return sum / (double)n;
}

/* A stochastic solver's samples have no path whose energy could be told. */
static bool has_paths(const evaluation *work, eval_value *value)
{
    if (!fcl_solver_is_stochastic(work->settings->sample.solver))
        return true;
    snprintf(value->how, sizeof value->how, "%s adds noise", work->settings->sample.solver);
    return false;
}

static int measure_energy(evaluation *work, eval_subject *subject, int column, eval_value *value)
{
    double standard_error;
    if (!has_paths(work, value))
        return FCL_OK;
    int status = need_energy(work, subject);
    if (status != FCL_OK)
        return status;
    value->value = mean_column(subject->energy, column, &standard_error);
    fcl_snprintf(value->how, sizeof value->how, "standard error %.2g", standard_error);
    return FCL_OK;
}

static int measure_path_energy(evaluation *work, eval_subject *subject, eval_value *value)
{
    return measure_energy(work, subject, 0, value);
}

static int measure_straightness(evaluation *work, eval_subject *subject, eval_value *value)
{
    return measure_energy(work, subject, 1, value);
}

/* W2^2 of the model's noise and the data. */
static int measure_ot_cost(evaluation *work, eval_subject *subject, eval_value *value)
{
    fcl_distance *w2 = &subject->transport;
    if (!has_paths(work, value))
        return FCL_OK;
    int status = need_energy(work, subject);
    if (status != FCL_OK || !tool_is_first())
        return status;
    if (!w2->how[0])
        status = fcl_distance_measure("w2", subject->start, work->reference, &work->settings->distance, w2);
    if (status != FCL_OK)
        return status;
    value->value = w2->value * w2->value;
    snprintf(value->how, sizeof value->how, "exact, %lld points each", (long long)w2->points[0]);
    return FCL_OK;
}

static int measure_npe(evaluation *work, eval_subject *subject, eval_value *value)
{
    double standard_error;
    int status = measure_ot_cost(work, subject, value);
    if (status != FCL_OK || isnan(value->value))
        return status;
    double cost = value->value;
    value->with_sign = (mean_column(subject->energy, 0, &standard_error) - cost) / cost;
    value->value = fabs(value->with_sign);
    value->how[0] = 0;
    return FCL_OK;
}

static int measure_nfe(evaluation *work, eval_subject *subject, eval_value *value)
{
    const fcl_sample_stats *stats = &subject->stats;
    (void)work;
    value->value = stats->nfe_mean;
    if (stats->nfe_minimum < stats->nfe_maximum)
        snprintf(value->how, sizeof value->how, "%lld to %lld", (long long)stats->nfe_minimum,
                 (long long)stats->nfe_maximum);
    return FCL_OK;
}

/* --- likelihood --- */

/* Why the data has no density under the model; NULL: it has one. */
static const char *without_density(const evaluation *work, const eval_subject *subject)
{
    const char *chosen = work->settings->sample.source;
    const char *source = chosen ? chosen : subject->info->options->source;
    if (source && strcmp(source, "normal"))
        return "the source's density is not known";
    if (fcl_dataset_has_bytes(work->data))
        return "of 8-bit pictures: flowcl likelihood";
    if (subject->info->classes && !work->labels && !work->settings->sample.label)
        return "the data has no labels";
    return NULL;
}

static void choose_adaptive(fcl_sample_options *options)
{
    if (fcl_solver_is_adaptive(options->solver))
        return;
    options->solver = "dopri5";
    options->steps = 0;
    options->grid = options->w = NULL;
}

/* By an adaptive solver, whatever draws the samples: the coarse steps of one would be in the density. */
static int measure_nll(evaluation *work, eval_subject *subject, eval_value *value)
{
    enum { EXACT_SIZE = 64 };
    fcl_sample_options options = subject->how;
    const char *why = without_density(work, subject);
    fcl_array *density;
    if (why) {
        snprintf(value->how, sizeof value->how, "%s", why);
        return FCL_OK;
    }
    choose_adaptive(&options);
    bool exact = fcl_shape_size(work->data->shape) <= EXACT_SIZE, own = !options.label || work->label >= 0;
    options.divergence = (fcl_divergence_options){.divergence = exact ? "exact" : "hutchinson"};
    int status = fcl_log_density(work->device, subject->checkpoint, &options, work->reference,
                                 subject->info->classes && own ? work->labels : NULL, &density, NULL);
    if (status == FCL_OK) {
        double standard_error;
        value->value = -mean_column(density, 0, &standard_error);
        fcl_snprintf(value->how, sizeof value->how, "nats, standard error %.2g, %s, %s divergence",
                     standard_error, options.solver, options.divergence.divergence);
    }
    fcl_array_destroy(&density);
    return status;
}

/* --- bits per dimension --- */

/* Of the first pictures of the data, as many as the reference has, dequantised. */
static int log_density_of_bytes(evaluation *work, eval_subject *subject, fcl_sample_options *options, fcl_array **density)
{
    int64_t n = work->reference->shape.dim[0];
    fcl_array *pictures;
    const int32_t *label = subject->info->classes && !options->label ? work->data->label : NULL;
    int status = fcl_dataset_dequantise(work->data, 0, n, options->seed, &pictures);
    if (status == FCL_OK)
        status = fcl_log_density(work->device, subject->checkpoint, options, pictures, label, density, NULL);
    fcl_array_destroy(&pictures);
    return status;
}

static int measure_bits(evaluation *work, eval_subject *subject, eval_value *value)
{
    fcl_sample_options options = subject->how;
    fcl_array *density = NULL;
    int64_t size = fcl_shape_size(work->data->shape);
    if (!fcl_dataset_has_bytes(work->data) || work->label >= 0) {
        snprintf(value->how, sizeof value->how, "of 8-bit pictures of all classes only");
        return FCL_OK;
    }
    choose_adaptive(&options);
    options.divergence = (fcl_divergence_options){.divergence = "hutchinson"};
    int status = log_density_of_bytes(work, subject, &options, &density);
    if (status == FCL_OK) {
        value->value = fcl_bits_per_dimension(mean_column(density, 0, &value->error), size);
        value->error /= (double)size * log(2);
        fcl_snprintf(value->how, sizeof value->how, "standard error %.2g, %lld pictures, %s, hutchinson divergence",
                     value->error, (long long)density->shape.dim[0], options.solver);
    }
    fcl_array_destroy(&density);
    return status;
}

/* clang-format off */
static const eval_metric of_models[] = {
    {"nll", "mean negative log-likelihood of the data", true, measure_nll},
    {"path-energy", "int E|v|^2 dt along the paths; the OT cost at least", true, measure_path_energy},
    {"ot-cost", "W2^2 of noise and data, what straight paths of OT cost", true, measure_ot_cost},
    {"npe", "(path energy - OT cost) / OT cost; of --json the size", true, measure_npe},
    {"straightness", "int E|v - (x1 - x0)|^2 dt, 0 where every path is straight", true, measure_straightness},
    {"nfe", "evaluations of the model for one sample", true, measure_nfe},
    {"bpd", "of 8-bit pictures: bits per dimension, where it is named", true, measure_bits, .asked = true},
    {"accuracy", "share of samples that --features finds of the class asked for", true, eval_measure_accuracy,
     .of_features = true, .needs_features = true},
    {"nearest", "mean distance to the nearest training picture", false, eval_measure_nearest,
     .of_features = true, .needs_features = true},
};
/* clang-format on */
enum { OF_MODELS = sizeof of_models / sizeof *of_models };

/* --- all of them --- */

bool eval_metric_at(int index, eval_metric *metric)
{
    int distances = 0;
    while (fcl_distance_name(distances))
        distances++;
    if (index < distances)
        *metric = (eval_metric){.name = fcl_distance_name(index),
                                .help = fcl_distance_help(index),
                                .of_features = fcl_distance_is_of_features(index)};
    else if (index < distances + OF_MODELS)
        *metric = of_models[index - distances];
    return index < distances + OF_MODELS;
}

static bool find(const char *name, size_t length, eval_metric *metric)
{
    for (int i = 0; eval_metric_at(i, metric); i++) {
        if (strlen(metric->name) == length && strncmp(metric->name, name, length) == 0)
            return true;
    }
    return false;
}

static int refuse(evaluation *work, const char *name, int length)
{
    char given[64];
    const char *names[EVAL_MOST_METRICS];
    eval_metric metric;
    int count = 0;
    while (eval_metric_at(count, &metric))
        names[count++] = metric.name;
    snprintf(given, sizeof given, "%.*s", length, name);
    const char *nearest = fcl_nearest(given, names, count);
    snprintf(work->fault, sizeof work->fault, "--metrics: there is no metric \"%s\"%s%s%s", given,
             nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    return -1;
}

/* With a classifier what it tells, and the evaluations. */
static bool is_default(const evaluation *work, bool models, const eval_metric *metric)
{
    bool features = work->settings->features;
    if (metric->asked || (metric->of_model && !models))
        return false;
    return features ? metric->of_features || metric->measure == measure_nfe : !metric->of_features;
}

static int choose_all(const evaluation *work, bool models, eval_metric chosen[EVAL_MOST_METRICS])
{
    int count = 0;
    for (int i = 0; eval_metric_at(i, &chosen[count]); i++)
        count += is_default(work, models, &chosen[count]);
    return count;
}

int eval_choose(evaluation *work, bool models, eval_metric chosen[EVAL_MOST_METRICS])
{
    const char *name = work->settings->metrics;
    int count = 0;
    if (!name)
        return choose_all(work, models, chosen);
    for (;;) {
        size_t length = strcspn(name, ",");
        if (count == EVAL_MOST_METRICS || !find(name, length, &chosen[count]))
            return refuse(work, name, (int)length);
        if (chosen[count].of_model && !models) {
            snprintf(work->fault, sizeof work->fault, "--metrics: %s is a property of models, not of samples",
                     chosen[count].name);
            return -1;
        }
        if (chosen[count].needs_features && !work->settings->features) {
            snprintf(work->fault, sizeof work->fault, "--metrics: %s needs --features DIR, a classifier", chosen[count].name);
            return -1;
        }
        count++;
        if (!name[length])
            return count;
        name += length + 1;
    }
}

static int measure_distance(const eval_metric *metric, const fcl_array *a, const fcl_array *b,
                            const fcl_distance_options *options, eval_value *value)
{
    fcl_distance distance;
    int status = fcl_distance_measure(metric->name, a, b, options, &distance);
    value->value = distance.value;
    value->bandwidth = distance.bandwidth;
    value->error = distance.error;
    memcpy(value->points, distance.points, sizeof value->points);
    snprintf(value->how, sizeof value->how, "%s", distance.how);
    return status;
}

int eval_measure(evaluation *work, const eval_metric *metric, eval_subject *subject, eval_value *value)
{
    *value = (eval_value){.value = NAN, .with_sign = NAN, .error = NAN, .floor = NAN, .at_floor = NAN};
    if (!metric->of_model && !tool_is_first())
        return FCL_OK;
    if (metric->measure)
        return metric->measure(work, subject, value);
    if (metric->of_features && work->classifier)
        return measure_distance(metric, subject->seen.features, work->seen_reference.features, &work->settings->distance,
                                value);
    return measure_distance(metric, subject->samples, work->reference, &work->settings->distance, value);
}

static bool has_fewer_points(const fcl_distance_mean *floor, const eval_value *value, int count)
{
    for (int k = 0; k < count; k++)
        if (memcmp(value[k].points, floor->points, sizeof floor->points))
            return true;
    return false;
}

static int measure_at_floor(evaluation *work, const eval_metric *metric, const eval_subject *subject,
                            const fcl_distance_options *options, const fcl_distance_mean *floor,
                            eval_value *value)
{
    fcl_distance_mean mean;
    int status = fcl_distance_draws(metric->name, subject->samples, work->reference, floor->points,
                                    work->settings->floor_draws, options, &mean);
    value->at_floor = mean.mean;
    return status;
}

int eval_measure_floor(evaluation *work, const eval_metric *metric, const eval_subject *subjects, int count,
                       eval_value *value, fcl_distance_mean *floor)
{
    char bandwidth[40];
    int64_t points[2] = {INT64_MAX, INT64_MAX};
    fcl_distance_options options = work->settings->distance;
    *floor = (fcl_distance_mean){.mean = NAN, .deviation = NAN};
    if (metric->measure && work->settings->floor != FCL_OFF)
        floor->mean = value->floor;
    if (metric->of_features && work->classifier && !metric->measure)
        return eval_feature_floor(work, metric, floor);
    if (metric->measure || !work->pool)
        return FCL_OK;
    for (int k = 0; k < 2 * count; k++)
        if (value[k / 2].points[k % 2] < points[k % 2])
            points[k % 2] = value[k / 2].points[k % 2];
    if (value->bandwidth > 0) {
        fcl_snprintf(bandwidth, sizeof bandwidth, "%.17g", value->bandwidth);
        options.bandwidth = bandwidth;
    }
    int status = fcl_distance_draws(metric->name, work->pool, NULL, points, work->settings->floor_draws,
                                    &options, floor);
    bool fewer = status == FCL_OK && has_fewer_points(floor, value, count);
    for (int k = 0; k < count && fewer && status == FCL_OK; k++)
        status = measure_at_floor(work, metric, &subjects[k], &options, floor, &value[k]);
    return status;
}
