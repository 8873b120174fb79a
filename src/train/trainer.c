#include "train/trainer.h"

#include "base/error.h"
#include "train/options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int fcl_trainer_create(fcl_device *device, const fcl_dataset *data, const fcl_train_options *options,
                       fcl_trainer **trainer)
{
    fcl_trainer *created = fcl_zalloc(sizeof *created);
    created->device = device;
    created->data = data;
    *trainer = created;
    fcl_train_options named = *options;
    if (!named.data) /* a checkpoint tells what it was trained on */
        named.data = *data->name ? data->name : "memory";
    int status = fcl_train_options_fill(&named, &created->strings, &created->options);
    if (status == FCL_OK)
        status = fcl_trainer_setup(created);
    if (status != FCL_OK)
        fcl_trainer_destroy(trainer);
    return status;
}

void fcl_trainer_destroy(fcl_trainer **trainer)
{
    fcl_trainer *dying = *trainer;
    if (!dying)
        return;
    fcl_trainer_dismantle(dying);
    fcl_adamw_destroy(&dying->adamw);
    fcl_buffer_destroy(&dying->loss);
    fcl_buffer_destroy(&dying->gradients);
    for (int i = 0; i < FCL_STATES; i++)
        fcl_buffer_destroy(&dying->state[i]);
    fcl_model_destroy(&dying->model);
    fcl_free(dying->class_counts);
    fcl_normalisation_destroy(&dying->normalisation);
    fcl_arena_free(&dying->strings);
    free(dying);
    *trainer = NULL;
}

/* --- a step --- */

/* FCL_OFF, or a number. */
static double number_or_zero(float option)
{
    return option > 0 ? option : 0;
}

static int run_part(fcl_trainer *trainer, int part)
{
    int64_t first_row = part * trainer->batch.options.rows, in_pool = trainer->step % trainer->pool_steps;
    fcl_graph_random(trainer->graph, trainer->options.seed, (uint32_t)(trainer->step - in_pool),
                     (uint64_t)(in_pool * trainer->options.batch + first_row));
    FCL_TRY(fcl_batch_prepare(&trainer->batch, trainer->step, first_row));
    if (trainer->source_data)
        FCL_TRY(fcl_batch_prepare(&trainer->source, trainer->step, first_row));
    if (trainer->matcher)
        FCL_TRY(fcl_matcher_prepare_part(trainer->matcher, trainer->step, first_row));
    int status = fcl_graph_run(trainer->graph);
    return status == FCL_OK ? status : fcl_fail_within(status, "step %lld", (long long)trainer->step + 1);
}

int fcl_trainer_step(fcl_trainer *trainer)
{
    const fcl_train_options *options = &trainer->options;
    if (trainer->step - trainer->read_step == FCL_RING)
        FCL_TRY(fcl_trainer_drain(trainer));
    if (options->accumulate > 1)
        FCL_TRY(fcl_buffer_zero(trainer->gradients));
    if (trainer->matcher)
        FCL_TRY(fcl_matcher_prepare(trainer->matcher, trainer->step));
    for (int part = 0; part < options->accumulate; part++)
        FCL_TRY(run_part(trainer, part));
    fcl_adamw_step step = {
        .step = trainer->step,
        .rate = fcl_schedule_rate(options, trainer->step),
        .weight_decay = options->weight_decay,
        .beta1 = number_or_zero(options->beta1),
        .beta2 = number_or_zero(options->beta2),
        .epsilon = options->epsilon,
        .clip = number_or_zero(options->clip),
        .ema_decay = number_or_zero(options->ema),
    };
    FCL_TRY(fcl_adamw_enqueue(trainer->adamw, &step));
    trainer->step++;
    return FCL_OK;
}

int64_t fcl_trainer_steps(const fcl_trainer *trainer)
{
    return trainer->step;
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

static int fail_numeric(const fcl_trainer *trainer, int64_t step, fcl_adamw_row row)
{
    const fcl_dataset *sets[] = {trainer->data, trainer->source_data};
    bool loss = !isfinite(row.loss);
    for (int i = 0; i < 2 && sets[i]; i++) {
        excess found = find_excess(sets[i]);
        if (found.largest != 0)
            return fail_data(sets[i], &found, loss ? "loss" : "gradient's norm", step);
    }
    return fcl_fail(
        FCL_ERR_NUMERIC,
        "the %s became %g at step %lld (learning rate %g); a smaller lr or clip may help, and the option check "
        "names the first tensor that is not finite",
        loss ? "loss" : "gradient's norm", (double)(loss ? row.loss : row.norm), (long long)step + 1,
        fcl_schedule_rate(&trainer->options, step));
}

static void take_row(fcl_trainer *trainer, fcl_adamw_row row)
{
    double window = fmin((double)++trainer->recent_count, (double)trainer->options.metrics_every);
    trainer->recent += (row.loss - trainer->recent) / window;
    trainer->loss_sum += row.loss;
    trainer->norm_sum += row.norm;
    trainer->sum_count++;
    trainer->read_step++;
}

int fcl_trainer_drain(fcl_trainer *trainer)
{
    fcl_adamw_row rows[FCL_RING];
    int count = (int)(trainer->step - trainer->read_step);
    FCL_TRY(fcl_adamw_read(trainer->adamw, trainer->read_step, count, rows));
    for (int i = 0; i < count; i++) {
        if (!isfinite(rows[i].loss) || !isfinite(rows[i].norm))
            return fail_numeric(trainer, trainer->read_step, rows[i]);
        take_row(trainer, rows[i]);
    }
    return FCL_OK;
}

int fcl_trainer_loss(fcl_trainer *trainer, double *loss)
{
    FCL_TRY(fcl_trainer_drain(trainer));
    *loss = trainer->sum_count ? trainer->loss_sum / (double)trainer->sum_count : 0;
    trainer->loss_sum = trainer->norm_sum = 0;
    trainer->sum_count = 0;
    return FCL_OK;
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
        .step = trainer->step,
        .class_counts = trainer->class_counts,
        .normalisation = trainer->normalisation,
        .class_names = trainer->class_counts ? (const char *const *)trainer->data->class_name : NULL,
    };
    memcpy(snapshot.state, trainer->state, sizeof snapshot.state);
    return fcl_checkpoint_save(path, &snapshot);
}

const fcl_model *fcl_trainer_model(const fcl_trainer *trainer)
{
    return trainer->model;
}

fcl_buffer *fcl_trainer_weights(fcl_trainer *trainer)
{
    return trainer->state[FCL_STATE_WEIGHTS];
}

fcl_buffer *fcl_trainer_ema(fcl_trainer *trainer)
{
    return trainer->state[FCL_STATE_EMA];
}
