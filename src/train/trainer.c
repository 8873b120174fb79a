#include "train/trainer.h"

#include "base/error.h"
#include "train/fit.h"
#include "train/options.h"
#include "train/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* On failure it is left to be destroyed. */
static int create(fcl_device *device, const fcl_trainer *lender, const fcl_dataset *data, const fcl_train_options *options,
                  fcl_trainer **trainer)
{
    fcl_trainer *created = *trainer = fcl_zalloc(sizeof *created);
    created->device = device;
    created->data = data;
    created->others = fcl_device_memory(device);
    created->lender = lender;
    FCL_TRY(fcl_train_options_fill(options, &data->shape, &created->strings, &created->options));
    return fcl_trainer_setup(created);
}

int fcl_trainer_create(fcl_device *device, const fcl_dataset *data, const fcl_train_options *options,
                       fcl_trainer **trainer)
{
    fcl_train_options named = *options;
    if (!named.data) /* a checkpoint tells what it was trained on */
        named.data = *data->name ? data->name : "memory";
    int status = create(device, NULL, data, &named, trainer);
    if (status == FCL_ERR_MEMORY && !(*trainer)->room_told)
        status = fcl_fit_explain(*trainer, &named);
    if (status != FCL_OK)
        fcl_trainer_destroy(trainer);
    return status;
}

int fcl_trainer_create_beside(fcl_device *device, const fcl_trainer *lender, const fcl_dataset *data,
                              const fcl_train_options *options, fcl_trainer **trainer)
{
    int status = create(device, lender, data, options, trainer);
    if (status != FCL_OK)
        fcl_trainer_destroy(trainer);
    return status;
}

void fcl_trainer_leave_device(fcl_trainer *trainer)
{
    fcl_trainer_dismantle(trainer);
    fcl_learner_destroy(&trainer->learner);
}

void fcl_trainer_destroy(fcl_trainer **trainer)
{
    fcl_trainer *dying = *trainer;
    if (!dying)
        return;
    fcl_sampler_destroy(&dying->sampler);
    fcl_trainer_dismantle(dying);
    fcl_learner_destroy(&dying->learner);
    fcl_model_destroy(&dying->model);
    fcl_split_destroy(&dying->split);
    fcl_free(dying->class_counts);
    free(dying->neighbours);
    free(dying->broken);
    if (!dying->lender) {
        fcl_normalisation_destroy(&dying->normalisation);
        fcl_dataset_destroy(&dying->source_data);
        fcl_dataset_destroy(&dying->condition_data);
    }
    fcl_arena_free(&dying->strings);
    free(dying);
    *trainer = NULL;
}

/* --- a step --- */

int fcl_trainer_run_part(fcl_trainer *trainer, int64_t step, int part)
{
    int status = fcl_feed_run(&trainer->feed, trainer->graph, step, part);
    if (status == FCL_ERR_NUMERIC)
        fcl_trainer_name_rows(trainer, step, part);
    return status;
}

/* The pairs of the next step are sought while the ranks sum this one's gradient. */
static int begin_exchange(fcl_trainer *trainer)
{
    int64_t next = fcl_trainer_steps(trainer) + 1;
    fcl_exchange *exchange = trainer->learner->exchange;
    FCL_TRY(fcl_exchange_begin(exchange));
    return exchange && next < trainer->options.steps ? fcl_feed_prepare(&trainer->feed, next) : FCL_OK;
}

/* Ranks, which may have read some rows each, read the rest of them at the same step. */
static bool is_full(const fcl_learner *learner)
{
    return learner->options.ranks ? learner->step % FCL_RING == 0 : learner->step - learner->read_step == FCL_RING;
}

int fcl_trainer_step(fcl_trainer *trainer)
{
    const fcl_learner *learner = trainer->learner;
    if (is_full(learner))
        FCL_TRY(fcl_trainer_drain(trainer));
    FCL_TRY(fcl_feed_prepare(&trainer->feed, learner->step));
    for (int part = 0; part < trainer->options.accumulate; part++) {
        int status = fcl_trainer_run_part(trainer, learner->step, part);
        if (status != FCL_OK)
            return fcl_fail_within(status, "step %lld", (long long)learner->step + 1);
    }
    FCL_TRY(begin_exchange(trainer));
    return fcl_learner_step(trainer->learner);
}

int64_t fcl_trainer_steps(const fcl_trainer *trainer)
{
    return fcl_learner_steps(trainer->learner);
}

/* --- what the steps gave --- */

/* Where a set has numbers whose squares, or the squares of what a gradient makes of these, single precision does not
 * hold. */
typedef struct excess {
    int64_t first, last, column; /* samples, and the number of them that is the largest, all from 0 */
    float largest;               /* by its size; 0: there is no such number */
} excess;

static excess find_excess(const fcl_dataset *data)
{
    const float most = 1e8f;
    excess found = {0};
    int64_t size = fcl_shape_size(data->shape);
    for (int64_t i = 0; data->values && i < data->count * size; i++) {
        if (!(fabsf(data->values[i]) > most))
            continue;
        found.first = found.largest != 0 ? found.first : i / size;
        found.last = i / size;
        if (fabsf(data->values[i]) > fabsf(found.largest)) {
            found.largest = data->values[i];
            found.column = i % size;
        }
    }
    return found;
}

/* Numbers far off unit scale are to blame, not the learning rate. */
static int fail_data(const fcl_dataset *data, const excess *found, const char *what, int64_t step)
{
    char samples[64];
    if (found->first == found->last)
        snprintf(samples, sizeof samples, "sample %lld", (long long)found->first + 1);
    else
        snprintf(samples, sizeof samples, "samples between %lld and %lld", (long long)found->first + 1,
                 (long long)found->last + 1);
    return fcl_fail(FCL_ERR_NUMERIC,
                    "the %s overflows at step %lld because of the data: %s has numbers up to %g (column %lld), in %s; "
                    "correct them, or scale the data to numbers around one",
                    what, (long long)step + 1, data->name, (double)found->largest, (long long)found->column + 1,
                    samples);
}

int fcl_trainer_drain(fcl_trainer *trainer)
{
    fcl_adamw_row row;
    const fcl_dataset *sets[] = {trainer->data, trainer->source_data};
    int status = fcl_learner_drain(trainer->learner, &row);
    for (int i = 0; status == FCL_ERR_NUMERIC && i < 2 && sets[i]; i++) {
        excess found = find_excess(sets[i]);
        if (found.largest != 0)
            return fail_data(sets[i], &found, isfinite(row.loss) ? "gradient's norm" : "loss",
                             trainer->learner->read_step);
    }
    return status == FCL_ERR_NUMERIC ? fcl_trainer_explain(trainer, trainer->learner->read_step) : status;
}

int fcl_trainer_loss(fcl_trainer *trainer, double *loss)
{
    double norm;
    FCL_TRY(fcl_trainer_drain(trainer));
    fcl_learner_take_means(trainer->learner, loss, &norm);
    return FCL_OK;
}

int fcl_trainer_held_out_loss(fcl_trainer *trainer, double *loss)
{
    if (!trainer->held_out)
        return fcl_fail(FCL_ERR_ARGUMENT, "nothing of %s is held out: the option held-out says how much", trainer->data->name);
    int status = fcl_held_out_loss(trainer->held_out, loss);
    return status == FCL_OK ? status : fcl_fail_within(status, "the held-out part");
}

void fcl_trainer_note(fcl_trainer *trainer, const char *sentence)
{
    if (sentence && trainer->note_count < (int)(sizeof trainer->notes / sizeof *trainer->notes))
        trainer->notes[trainer->note_count++] = fcl_arena_format(&trainer->strings, "%s", sentence);
}

/* --- saving --- */

int fcl_trainer_save(fcl_trainer *trainer, const char *path)
{
    FCL_TRY(fcl_trainer_drain(trainer));
    fcl_snapshot snapshot = {
        .options = &trainer->options,
        .data_content = trainer->data_content,
        .source_content = trainer->source_content,
        .condition_content = trainer->condition_content,
        .model = trainer->model,
        .device = fcl_device_describe(trainer->device)->name,
        .step = fcl_trainer_steps(trainer),
        .class_counts = trainer->class_counts,
        .normalisation = trainer->normalisation,
        .class_names = trainer->class_counts ? (const char *const *)trainer->data->class_name : NULL,
    };
    memcpy(snapshot.state, trainer->learner->state, sizeof snapshot.state);
    return fcl_checkpoint_save(path, &snapshot);
}

fcl_graph_stats fcl_trainer_describe(const fcl_trainer *trainer)
{
    return fcl_graph_describe(trainer->graph);
}

const fcl_model *fcl_trainer_model(const fcl_trainer *trainer)
{
    return trainer->model;
}

fcl_buffer *fcl_trainer_weights(fcl_trainer *trainer)
{
    return fcl_learner_weights(trainer->learner);
}

fcl_buffer *fcl_trainer_ema(fcl_trainer *trainer)
{
    return fcl_learner_ema(trainer->learner);
}

fcl_buffer *fcl_trainer_average(fcl_trainer *trainer, int index)
{
    return fcl_learner_average(trainer->learner, index);
}
