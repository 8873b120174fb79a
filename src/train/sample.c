/* Samples of checkpoints. */
#include "train/sample.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/option_value.h"
#include "flow/diffusion.h"
#include "train/checkpoint.h"
#include "train/guidance.h"
#include "train/source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROW(member) FCL_OPTION(fcl_sample_options, member)

/* clang-format off */
const fcl_option fcl_sample_table[] = {
    {"n", ROW(n), .minimum = 1, .maximum = 1e9, .fallback = "64", .group = "Samples", .help = "how many samples"},
    {"solver", ROW(solver), .fallback = "euler", .choice = fcl_solver_name, .choice_help = fcl_solver_help, .help = "how the flow's equation is solved"},
    {"steps", ROW(steps), .minimum = 0, .maximum = 1e6, .help = "of a solver with fixed steps; 0: 100"},
    {"grid", ROW(grid), .placeholder = "GRID", .help = "of fixed steps: uniform, edm[:RHO], shifted[:S], all times as 0,0.1,0.5,1, or a file of them; without it uniform"},
    {"rtol", ROW(rtol), .minimum = 0, .maximum = 1, .help = "relative tolerance of an adaptive solver, from 1e-7; 0: 1e-5"},
    {"atol", ROW(atol), .minimum = 0, .maximum = 1e6, .help = "absolute tolerance of an adaptive solver, from 1e-12; 0: 1e-5"},
    {"max-steps", ROW(max_steps), .minimum = 0, .maximum = 1e9, .help = "an adaptive solver leaves a sample unfinished after so many; 0: 10000"},
    {"path", ROW(path), .flags = FCL_OPTION_FORMULA, .choice = fcl_path_name, .placeholder = "PATH",
     .help = "sample along another path than the training's, without a tube: a name, or \"alpha=t^2, sigma=1-t^2\""},
    {"sde-w", ROW(w), .placeholder = "W", .help = "noise of a stochastic solver, a formula in t, alpha and sigma that is not negative; without it sigma"},
    {"seed", ROW(seed), .help = "of the noise"},
    {"source", ROW(source), .placeholder = "SOURCE", .help = "begin with samples of this set or file, or \"normal\"; default: as it was trained"},
    {"ema", ROW(ema), .fallback = "yes", .placeholder = "WHICH", .help = "which weights: yes, the averaged ones, of several averages the first; no, those without average; or an average's decay"},
    {"label", ROW(label), .placeholder = "CLASS", .help = "class of every sample, by its name or number; several, as 3,5, share them in this order; none: no class, of a model trained with label-drop; without it classes in the shares of the training's data"},
    {"guidance", ROW(guidance), .minimum = 0.01, .maximum = 1000, .fallback = "1", .placeholder = "W",
     .help = "classifier-free: the velocity is v_u + W (v_c - v_u) of class and no class, from a doubled batch; of a model trained with label-drop"},
    {"guidance-interval", ROW(guidance_interval), .placeholder = "LO,HI",
     .help = "times at which guidance acts, ends included; elsewhere the velocity is the class's; without it 0,1"},
    {"batch", ROW(batch), .minimum = 0, .maximum = 1e6, .help = "samples at once; 0: as memory allows"},
    {0},
};
/* clang-format on */

/* Whether it is a formula; its values are only known on a path, which may be the model's. */
static int check_w(const char *w)
{
    fcl_expression *expression;
    FCL_TRY(fcl_diffusion_parse(w, &expression));
    fcl_expression_destroy(&expression);
    return FCL_OK;
}

/* Yes, no, or a decay, which is 0 else. */
static int read_average(const char *text, bool *yes, float *decay)
{
    fcl_averages one = {0};
    *decay = 0;
    *yes = true;
    if (!text || fcl_option_read_yes_no(text, yes))
        return FCL_OK;
    if (fcl_averages_read(text, &one) != FCL_OK || one.count != 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "ema: \"%.80s\" is not usable: expected yes, no, or the decay of an average as 0.9999", text);
    *decay = one.decay[0];
    return FCL_OK;
}

static int refuse_average(const fcl_checkpoint_info *info, const char *text)
{
    fcl_text there = {0};
    for (int i = 0; i < info->average_count; i++)
        fcl_text_format(&there, "%s%s", i ? ", " : "", info->averages[i]);
    fcl_fail(FCL_ERR_ARGUMENT, "ema %.80s: %s has no average of that decay, it has %s", text, info->path,
             there.data ? there.data : "none");
    fcl_text_free(&there);
    return FCL_ERR_ARGUMENT;
}

int fcl_sample_average(const fcl_checkpoint_info *info, const fcl_sample_options *options, int *index)
{
    bool yes;
    float decay;
    *index = -1;
    FCL_TRY(read_average(options->ema, &yes, &decay));
    if (decay == 0) {
        *index = yes && info->average_count ? 0 : -1;
        return FCL_OK;
    }
    fcl_decay_text text = fcl_average_text(decay);
    for (int i = 0; i < info->average_count; i++)
        if (strcmp(info->averages[i], text.text) == 0)
            *index = i;
    return *index >= 0 ? FCL_OK : refuse_average(info, options->ema);
}

int fcl_sample_check(const fcl_sample_options *options)
{
    bool yes;
    float decay;
    fcl_solver_options how = fcl_sampler_solver(options, 0);
    double *times = NULL;
    int count, status = FCL_OK;
    fcl_guidance by;
    FCL_TRY(fcl_options_check(fcl_sample_table, options));
    FCL_TRY(read_average(options->ema, &yes, &decay));
    FCL_TRY(fcl_guidance_read(options, &by));
    FCL_TRY(fcl_edit_check(options));
    if (fcl_solver_is_stochastic(options->solver)) {
        FCL_TRY(check_w(options->w));
        how.path = options->path;
        how.w = options->path ? options->w : NULL;
    }
    FCL_TRY(fcl_solver_check(&how));
    if (options->path) {
        fcl_path *path;
        FCL_TRY(fcl_path_create(options->path, 0, &path));
        fcl_path_destroy(&path);
    }
    if (fcl_sampler_each_step(options) && fcl_solver_is_adaptive(options->solver))
        return fcl_fail(
            FCL_ERR_ARGUMENT,
            "with solver %s each sample has its own steps: times are a list, a file or a number, not "
            "\"steps\"",
            options->solver);
    if (options->times && !fcl_sampler_each_step(options))
        status = fcl_times_read(options->times, how.t_begin, how.t_end, &times, &count);
    free(times);
    return status;
}

int fcl_samples_create(fcl_shape sample, int64_t n, fcl_array **array)
{
    fcl_shape shape = {.rank = 1 + sample.rank, .dim = {n}};
    *array = NULL;
    if (shape.rank > FCL_MAX_RANK)
        return fcl_fail(FCL_ERR_SHAPE, "samples of %d dimensions have one too many for an array",
                        sample.rank);
    memcpy(shape.dim + 1, sample.dim, (size_t)sample.rank * sizeof *shape.dim);
    return fcl_array_create(shape, array);
}

/* --- of a checkpoint --- */

/* Puts (T, n, sample shape) in the place of x. */
static int make_times(const fcl_sampler *sampler, const fcl_array *x, fcl_array **times)
{
    fcl_shape shape = {.rank = x->shape.rank + 1, .dim = {fcl_sampler_times(sampler)}};
    if (shape.rank > FCL_MAX_RANK)
        return fcl_fail(FCL_ERR_SHAPE, "samples of %d dimensions have one too many for an array of times",
                        x->shape.rank - 1);
    memcpy(shape.dim + 1, x->shape.dim, (size_t)x->shape.rank * sizeof *shape.dim);
    return fcl_array_create(shape, times);
}

/* Energies are in the data's units: of each number's velocity times its scale, here over the largest, so that the
 * solver's error control sees what it sees of normalised numbers. */
static double largest_scale(const fcl_normalisation *by)
{
    double largest = by->count ? 0 : 1;
    for (int64_t k = 0; k < by->count; k++)
        largest = fmax(largest, by->scale[k]);
    return largest;
}

static int create_energy_weight(fcl_device *device, const fcl_normalisation *by, fcl_buffer **weight)
{
    if (by->count <= 1)
        return FCL_OK;
    float *relative = fcl_zalloc((size_t)by->count * sizeof *relative);
    for (int64_t k = 0; k < by->count; k++)
        relative[k] = (float)(by->scale[k] / largest_scale(by));
    int status = fcl_buffer_create(device, (size_t)by->count * sizeof *relative, weight);
    if (status == FCL_OK)
        status = fcl_buffer_write(*weight, 0, (size_t)by->count * sizeof *relative, relative);
    free(relative);
    return status;
}

int fcl_sample_weights(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                       fcl_buffer **weights)
{
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    int average;
    FCL_TRY(fcl_sample_average(info, options, &average));
    FCL_TRY(fcl_buffer_create(device, fcl_params_bytes(fcl_model_params(info->model)), weights));
    return fcl_checkpoint_load(checkpoint, average < 0 ? FCL_STATE_WEIGHTS : fcl_state_average(average), *weights);
}

static int move(fcl_sampler *sampler, const int32_t *label, fcl_array **x, fcl_sample_stats *stats)
{
    fcl_array *times = NULL;
    int64_t n = (*x)->shape.dim[0];
    if (!fcl_sampler_times(sampler))
        return fcl_sampler_run(sampler, (*x)->data, label, n, NULL, stats);
    FCL_TRY(make_times(sampler, *x, &times));
    int status = fcl_sampler_run(sampler, (*x)->data, label, n, times->data, stats);
    fcl_array_destroy(x);
    *x = times;
    return status;
}

static int run_with(fcl_device *device, const fcl_sampled *of, const fcl_sample_options *options, const int32_t *label,
                    unsigned flags, fcl_array **x, fcl_array *density, fcl_sample_stats *stats)
{
    fcl_sampler *sampler;
    double seconds = 0;
    FCL_TRY(fcl_sampler_create(device, of, options, flags, (*x)->shape.dim[0], &sampler));
    fcl_sampler_collect(sampler, density ? density->data : NULL);
    int status = stats ? fcl_sampler_prepare(sampler, &seconds) : FCL_OK;
    if (status == FCL_OK)
        status = move(sampler, label, x, stats);
    if (of->edit && fcl_sample_is_there(status))
        fcl_edit_keep(of->edit, fcl_sampler_times(sampler), fcl_sampler_time_list(sampler), (*x)->data);
    if (stats)
        stats->build_seconds = seconds;
    fcl_sampler_destroy(&sampler);
    return status;
}

int fcl_sample_move(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                    const int32_t *label, unsigned flags, fcl_edit *edit, fcl_array **x, fcl_array *density,
                    fcl_sample_stats *stats)
{
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    fcl_sampled of = {.model = info->model, .objective = &info->options->objective, .edit = edit};
    int32_t *labels = NULL;
    int status = fcl_guidance_check(info, options);
    if (status == FCL_OK)
        status = fcl_sample_make_labels(info, options, label, (*x)->shape.dim[0], &labels);
    if (status == FCL_OK && labels)
        status = fcl_ranks_same(options->ranks, "classes", (size_t)(*x)->shape.dim[0] * sizeof *labels, labels);
    if (status == FCL_OK)
        status = fcl_sample_weights(device, checkpoint, options, &of.weights);
    if (status == FCL_OK && flags & FCL_SAMPLER_ENERGY)
        status = create_energy_weight(device, info->normalisation, &of.energy_weight);
    if (status == FCL_OK)
        status = run_with(device, &of, options, labels, flags, x, density, stats);
    fcl_buffer_destroy(&of.energy_weight);
    fcl_buffer_destroy(&of.weights);
    free(labels);
    if (!fcl_sample_is_there(status))
        fcl_array_destroy(x);
    return status;
}

static bool begins_moved(const fcl_checkpoint_info *info, const fcl_sample_options *options)
{
    return fcl_source_is_moved(options->source ? options->source : info->options->source);
}

int fcl_sample_run(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                   const int32_t *label, unsigned flags, fcl_array **x, fcl_array *density,
                   fcl_sample_stats *stats)
{
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    const fcl_normalisation *by = info->normalisation;
    int64_t size = fcl_shape_size(info->sample);
    bool backward = flags & FCL_SAMPLER_BACKWARD, moved = begins_moved(info, options);
    if (backward || moved)
        fcl_normalisation_apply(by, (*x)->shape.dim[0], size, (*x)->data);
    int status = fcl_sample_move(device, checkpoint, options, label, flags, NULL, x, density, stats);
    if (fcl_sample_is_there(status) && (!backward || moved || options->times))
        fcl_normalisation_undo(by, fcl_shape_size((*x)->shape) / size, size, (*x)->data);
    for (int64_t i = 0; density && i < density->shape.dim[0]; i++)
        density->data[2 * i] -= (float)fcl_normalisation_log_scale(by, size);
    return status;
}

int fcl_sample_start(fcl_device *device, const fcl_checkpoint_info *info, const fcl_sample_options *options, float *x)
{
    const char *source = options->source ? options->source : info->options->source;
    fcl_dataset *set;
    FCL_TRY(fcl_source_open(info->options, source, options->seed, info->sample, &set));
    int status = fcl_source_draw(device, set, options->seed, options->n, fcl_shape_size(info->sample), x);
    fcl_dataset_destroy(&set);
    return status;
}

/* Whether the model's score follows from its velocity, where the solver wants it. */
static int check_score(const fcl_checkpoint_info *info, const fcl_sample_options *options)
{
    const char *coupling = info->options->objective.coupling, *source = info->options->source;
    if (!fcl_solver_is_stochastic(options->solver))
        return FCL_OK;
    if (coupling && strcmp(coupling, fcl_coupling_name(0)))
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "%s needs the score, which follows from the velocity only where noise and data are "
                        "independent: the model was trained with coupling %s",
                        options->solver, coupling);
    if (options->source)
        source = options->source;
    if (source && strcmp(source, FCL_SOURCE_NORMAL))
        return fcl_fail(
            FCL_ERR_ARGUMENT,
            "%s needs the score, which follows from the velocity only where x0 is drawn from N(0, I): "
            "the source is %s",
            options->solver, source);
    return FCL_OK;
}

int fcl_sample(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
               fcl_array **samples, fcl_sample_stats *stats)
{
    fcl_sample_options filled = *options;
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    *samples = NULL;
    FCL_TRY(fcl_edit_refuse(options));
    fcl_options_defaults(fcl_sample_table, &filled);
    FCL_TRY(fcl_sample_check(&filled));
    FCL_TRY(check_score(info, &filled));
    FCL_TRY(fcl_samples_create(info->sample, filled.n, samples));
    int status = fcl_sample_start(device, info, &filled, (*samples)->data);
    if (status != FCL_OK)
        fcl_array_destroy(samples);
    return status == FCL_OK ? fcl_sample_run(device, checkpoint, &filled, NULL, 0, samples, NULL, stats)
                            : status;
}

/* From (n, D + 1) ends with their energies and the starts, normalised, to energy and what it has beyond the straight way.
 */
static void set_energy(const fcl_normalisation *by, const fcl_array *start, const fcl_array *end, fcl_array *energy)
{
    int64_t n = end->shape.dim[0], size = end->shape.dim[1] - 1;
    double unit = largest_scale(by);
    for (int64_t i = 0; i < n; i++) {
        const float *x0 = start->data + i * size, *x1 = end->data + i * (size + 1);
        double way = 0, all = x1[size] * unit * unit;
        for (int64_t d = 0; d < size; d++)
            way += pow(((double)x1[d] - x0[d]) * (by->count ? by->scale[d % by->count] : 1), 2);
        energy->data[2 * i] = (float)all;
        energy->data[2 * i + 1] = (float)fmax(all - way, 0);
    }
}

int fcl_sample_energy(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                      fcl_array **start, fcl_array **energy)
{
    fcl_sample_options filled = *options;
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    int64_t size = fcl_shape_size(info->sample);
    fcl_array *x0 = NULL, *x = NULL;
    *start = *energy = NULL;
    FCL_TRY(fcl_edit_refuse(options));
    if (options->times)
        return fcl_fail(FCL_ERR_ARGUMENT, "the energy of paths is one number for all times: no times \"%s\"",
                        options->times);
    fcl_options_defaults(fcl_sample_table, &filled);
    FCL_TRY(fcl_sample_check(&filled));
    if (fcl_solver_is_stochastic(filled.solver))
        return fcl_fail(FCL_ERR_ARGUMENT, "%s adds noise: only the flow's own paths have an energy",
                        filled.solver);
    int status = fcl_samples_create(info->sample, filled.n, &x0);
    if (status == FCL_OK)
        status = fcl_array_create(FCL_SHAPE(filled.n, size + 1), &x);
    if (status == FCL_OK)
        status = fcl_array_create(FCL_SHAPE(filled.n, 2), energy);
    if (status == FCL_OK)
        status = fcl_sample_start(device, info, &filled, x0->data);
    if (status == FCL_OK) {
        if (begins_moved(info, &filled))
            fcl_normalisation_apply(info->normalisation, filled.n, size, x0->data);
        for (int64_t i = 0; i < filled.n; i++)
            memcpy(x->data + i * (size + 1), x0->data + i * size, (size_t)size * sizeof(float));
        status = fcl_sample_move(device, checkpoint, &filled, NULL, FCL_SAMPLER_ENERGY, NULL, &x, NULL, NULL);
    }
    if (status == FCL_OK) {
        set_energy(info->normalisation, x0, x, *energy);
        fcl_normalisation_undo(info->normalisation, filled.n, size, x0->data);
        *start = x0;
    } else {
        fcl_array_destroy(&x0);
        fcl_array_destroy(energy);
    }
    fcl_array_destroy(&x);
    return status;
}

int fcl_sample_take(fcl_ranks *ranks, const fcl_checkpoint_info *info, const fcl_array *x, fcl_array **copy)
{
    int64_t n = x->shape.rank ? x->shape.dim[0] : 0, size = fcl_shape_size(info->sample);
    if (n < 1 || fcl_shape_size(x->shape) != n * size)
        return fcl_fail(FCL_ERR_SHAPE,
                        "%lld numbers in %lld rows are no samples of the model, which have %lld each",
                        (long long)fcl_shape_size(x->shape), (long long)n, (long long)size);
    FCL_TRY(fcl_ranks_same(ranks, "samples", (size_t)(n * size) * sizeof(float), x->data));
    FCL_TRY(fcl_samples_create(info->sample, n, copy));
    memcpy((*copy)->data, x->data, (size_t)(n * size) * sizeof(float));
    return FCL_OK;
}

int fcl_transport(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                  const fcl_array *x, const int32_t *label, bool backward, fcl_array **result,
                  fcl_sample_stats *stats)
{
    fcl_sample_options filled = *options;
    *result = NULL;
    fcl_options_defaults(fcl_sample_table, &filled);
    FCL_TRY(fcl_sample_check(&filled));
    FCL_TRY(check_score(fcl_checkpoint_describe(checkpoint), &filled));
    if (backward)
        FCL_TRY(fcl_edit_refuse(options));
    if (fcl_edit_is_asked(options))
        return fcl_edit_run(device, checkpoint, &filled, x, label, result, stats);
    FCL_TRY(fcl_sample_take(options->ranks, fcl_checkpoint_describe(checkpoint), x, result));
    return fcl_sample_run(device, checkpoint, &filled, label, backward ? FCL_SAMPLER_BACKWARD : 0, result,
                          NULL, stats);
}
