#include "learn/learner.h"

#include "base/error.h"
#include "base/memory.h"
#include "device/window.h"
#include "graph/graph.h"
#include "learn/options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(FCL_FURTHER == FCL_AVERAGES - 1, "the optimiser's averages are the learner's");

/* --- making --- */

static int create_buffers(fcl_learner *learner)
{
    size_t bytes = fcl_params_bytes(learner->params);
    for (fcl_state state = 0; state < FCL_STATES; state++)
        if (state != FCL_STATE_EMA)
            FCL_TRY(fcl_buffer_create(learner->device, bytes, &learner->state[state]));
    for (int i = 0; i < learner->averages.count; i++)
        FCL_TRY(fcl_buffer_create(learner->device, bytes, &learner->state[fcl_state_average(i)]));
    FCL_TRY(fcl_buffer_create(learner->device, bytes + FCL_BUFFER_ALIGN, &learner->gradients));
    return fcl_buffer_slice(learner->gradients, bytes, sizeof(float), &learner->loss);
}

/* On CPUs what moves and adds the numbers are the cores that compute. */
static bool takes_buckets(const fcl_learner *learner, int64_t numbers)
{
    fcl_buckets buckets = fcl_buckets_of(&learner->options);
    bool gpu = fcl_device_describe(learner->device)->type == FCL_DEVICE_GPU;
    return buckets == FCL_BUCKETS_YES || (buckets == FCL_BUCKETS_AUTO && gpu && numbers > FCL_WINDOW_PIECE);
}

/* With the loss, which lies behind the gradients. */
static int create_exchange(fcl_learner *learner)
{
    int64_t numbers = (int64_t)(fcl_params_bytes(learner->params) / sizeof(float));
    if (learner->options.share == 0)
        learner->options.share = 1.0 / fcl_ranks_count(learner->options.ranks);
    const fcl_exchange_options options = {
        .count = numbers + 1, .runs = learner->options.accumulate, .early = takes_buckets(learner, numbers + 1)};
    learner->options.buckets = NULL;
    return fcl_exchange_create(learner->options.ranks, learner->gradients, &options, &learner->exchange);
}

static int create_adamw(fcl_learner *learner)
{
    size_t bytes = fcl_params_trained_bytes(learner->params);
    fcl_adamw_buffers buffers = {
        .weights = learner->state[FCL_STATE_WEIGHTS],
        .gradients = learner->gradients,
        .m = learner->state[FCL_STATE_M],
        .v = learner->state[FCL_STATE_V],
        .ema = learner->state[FCL_STATE_EMA],
        .loss = learner->loss,
        .undecayed = bytes - fcl_params_decayed_bytes(learner->params),
    };
    memcpy(buffers.further, learner->state + FCL_STATE_FURTHER, sizeof buffers.further);
    return fcl_adamw_create(learner->device, &buffers, bytes, &learner->adamw);
}

static int make(fcl_learner *learner)
{
    FCL_TRY(fcl_params_check(learner->params));
    FCL_TRY(fcl_learner_check(&learner->options));
    fcl_options_defaults(fcl_learner_table, &learner->options);
    learner->options.schedule = fcl_schedule_own_name(learner->options.schedule);
    FCL_TRY(fcl_averages_read(learner->options.ema, &learner->averages));
    learner->options.ema = NULL;
    FCL_TRY(fcl_states_check_names(learner->params, &learner->averages));
    FCL_TRY(create_buffers(learner));
    FCL_TRY(create_exchange(learner));
    return create_adamw(learner);
}

int fcl_learner_make(fcl_device *device, const fcl_params *params, const fcl_learner_options *options,
                     fcl_learner **learner)
{
    enum { WINDOW = 50 };
    *learner = fcl_zalloc(sizeof **learner);
    (*learner)->device = device;
    (*learner)->params = params;
    (*learner)->window = WINDOW;
    if (options)
        (*learner)->options = *options;
    int status = make(*learner);
    if (status != FCL_OK)
        fcl_learner_destroy(learner);
    return status;
}

/* Every average becomes what the weights are. */
static int begin_averages(fcl_learner *learner)
{
    size_t bytes = fcl_params_bytes(learner->params);
    for (int i = 0; i < learner->averages.count; i++)
        FCL_TRY(fcl_buffer_copy(fcl_learner_average(learner, i), 0, learner->state[FCL_STATE_WEIGHTS], 0, bytes));
    return FCL_OK;
}

int fcl_learner_initialise(fcl_learner *learner)
{
    fcl_buffer *weights = learner->state[FCL_STATE_WEIGHTS];
    FCL_TRY(fcl_params_initialise(learner->params, learner->options.seed, FCL_STREAM_WEIGHTS, weights));
    return begin_averages(learner);
}

int fcl_learner_create(fcl_device *device, const fcl_params *params, const fcl_learner_options *options,
                       fcl_learner **learner)
{
    FCL_TRY(fcl_learner_make(device, params, options, learner));
    int status = fcl_learner_initialise(*learner);
    if (status != FCL_OK)
        fcl_learner_destroy(learner);
    return status;
}

void fcl_learner_destroy(fcl_learner **learner)
{
    fcl_learner *dying = *learner;
    if (!dying)
        return;
    fcl_adamw_destroy(&dying->adamw);
    fcl_exchange_destroy(&dying->exchange);
    fcl_buffer_destroy(&dying->loss);
    fcl_buffer_destroy(&dying->gradients);
    for (int i = 0; i < FCL_ALL_STATES; i++)
        fcl_buffer_destroy(&dying->state[i]);
    free(dying);
    *learner = NULL;
}

/* --- in a graph --- */

fcl_tensor **fcl_learner_bind(fcl_learner *learner, fcl_graph *graph)
{
    return fcl_params_bind(learner->params, graph, learner->state[FCL_STATE_WEIGHTS], "");
}

/* The runs of a step by one process, or by ranks, have one graph: so that both add the same numbers, to the bit. */
static bool adds_up(const fcl_learner *learner)
{
    return learner->options.accumulate > 1 || learner->options.ranks;
}

/* A leaf takes a run's share; of several runs each adds to what is there, which the step zeroes. */
static void leave(const fcl_learner *learner, fcl_tensor *leaf, fcl_tensor *share)
{
    fcl_assign(leaf, adds_up(learner) ? fcl_add(leaf, share) : share);
}

void fcl_learner_minimise(fcl_learner *learner, fcl_tensor *const *weights, fcl_tensor *loss)
{
    const fcl_params *params = learner->params;
    fcl_graph *graph = fcl_tensor_graph(loss);
    fcl_shape shape = fcl_tensor_shape(loss);
    int trained = fcl_params_trained(params);
    if (shape.rank != 0) {
        fcl_mistake(graph, "a loss is one number, (), and not %s: fcl_mean makes it one", fcl_shape_text(graph, shape));
        return;
    }
    loss = fcl_name(fcl_scale(loss, (float)(learner->options.share / learner->options.accumulate)), "loss");
    fcl_tensor **gradients = fcl_zalloc((size_t)trained * sizeof(fcl_tensor *));
    fcl_tensor **leaves = fcl_params_bind(params, graph, learner->gradients, "gradient.");
    fcl_vjp(loss, NULL, trained, weights, gradients);
    for (int i = 0; i < trained; i++)
        leave(learner, leaves[i], gradients[i]);
    fcl_exchange_listen(learner->exchange, graph);
    leave(learner, fcl_leaf(graph, "loss", FCL_F32, FCL_SCALAR, learner->gradients, fcl_params_bytes(params)), loss);
    free(gradients);
    fcl_free(leaves);
}

/* --- a step --- */

/* FCL_OFF, or a number. */
static double number_or_zero(float option)
{
    return option > 0 ? option : 0;
}

/* For runs that add to it. */
static int clear_gradient(fcl_learner *learner)
{
    return adds_up(learner) ? fcl_buffer_zero(learner->gradients) : FCL_OK;
}

int fcl_learner_step(fcl_learner *learner)
{
    const fcl_learner_options *options = &learner->options;
    if (learner->step - learner->read_step == FCL_RING)
        FCL_TRY(fcl_learner_drain(learner, NULL));
    FCL_TRY(fcl_exchange_end(learner->exchange));
    fcl_adamw_step step = {
        .step = learner->step,
        .rate = fcl_learner_rate(options, learner->step),
        .weight_decay = options->weight_decay,
        .beta1 = number_or_zero(options->beta1),
        .beta2 = number_or_zero(options->beta2),
        .epsilon = options->epsilon,
        .clip = number_or_zero(options->clip),
        .ema_decay = learner->averages.decay[0],
        .skip = fcl_skips_nan(options),
    };
    for (int i = 1; i < learner->averages.count; i++)
        step.further_decay[i - 1] = learner->averages.decay[i];
    FCL_TRY(fcl_adamw_enqueue(learner->adamw, &step));
    learner->step++;
    return clear_gradient(learner);
}

/* Of a step that did not come about runs may have left a part. */
int fcl_learner_go_on(fcl_learner *learner, int64_t step)
{
    FCL_TRY(fcl_exchange_drop(learner->exchange));
    FCL_TRY(clear_gradient(learner));
    learner->step = learner->read_step = step;
    learner->loss_sum = learner->norm_sum = learner->recent = 0;
    learner->sum_count = learner->recent_count = learner->skipped = learner->skipped_in_row = 0;
    return fcl_adamw_restart(learner->adamw);
}

int64_t fcl_learner_steps(const fcl_learner *learner)
{
    return learner->step;
}

/* --- what the steps gave --- */

static int fail_numeric(const fcl_learner *learner, fcl_adamw_row row)
{
    bool loss = !isfinite(row.loss);
    char in_row[64] = "";
    if (learner->skipped_in_row)
        snprintf(in_row, sizeof in_row, ", the last of %lld in a row", (long long)learner->skipped_in_row + 1);
    return fcl_fail(FCL_ERR_NUMERIC, "the %s became %g at step %lld%s (learning rate %g); a smaller lr or clip may help",
                    loss ? "loss" : "gradient's norm", (double)(loss ? row.loss : row.norm),
                    (long long)learner->read_step + 1, in_row, fcl_learner_rate(&learner->options, learner->read_step));
}

static bool may_skip(const fcl_learner *learner)
{
    return fcl_skips_nan(&learner->options) && learner->skipped_in_row < FCL_MOST_SKIPS - 1;
}

static void skip_row(fcl_learner *learner)
{
    learner->skipped++;
    learner->skipped_in_row++;
    learner->read_step++;
}

static void take_row(fcl_learner *learner, fcl_adamw_row row)
{
    double window = fmin((double)++learner->recent_count, (double)learner->window);
    learner->recent += (row.loss - learner->recent) / window;
    learner->loss_sum += row.loss;
    learner->norm_sum += row.norm;
    learner->sum_count++;
    learner->skipped_in_row = 0;
    learner->read_step++;
}

int fcl_learner_drain(fcl_learner *learner, fcl_adamw_row *fault)
{
    fcl_adamw_row rows[FCL_RING];
    int count = (int)(learner->step - learner->read_step);
    FCL_TRY(fcl_adamw_read(learner->adamw, learner->read_step, count, rows));
    for (int i = 0; i < count; i++) {
        bool sound = isfinite(rows[i].loss) && isfinite(rows[i].norm);
        if (!sound && !may_skip(learner)) {
            if (fault)
                *fault = rows[i];
            return fail_numeric(learner, rows[i]);
        }
        if (sound)
            take_row(learner, rows[i]);
        else
            skip_row(learner);
    }
    return FCL_OK;
}

void fcl_learner_take_means(fcl_learner *learner, double *loss, double *gradient_norm)
{
    double count = learner->sum_count ? (double)learner->sum_count : learner->skipped_in_row ? NAN : 1;
    *loss = learner->loss_sum / count;
    *gradient_norm = learner->norm_sum / count;
    learner->loss_sum = learner->norm_sum = 0;
    learner->sum_count = 0;
}

int fcl_learner_loss(fcl_learner *learner, double *loss, double *gradient_norm)
{
    double unread;
    FCL_TRY(fcl_learner_drain(learner, NULL));
    fcl_learner_take_means(learner, loss ? loss : &unread, gradient_norm ? gradient_norm : &unread);
    return FCL_OK;
}

int64_t fcl_learner_skipped(const fcl_learner *learner)
{
    return learner->skipped;
}

fcl_buffer *fcl_learner_weights(fcl_learner *learner)
{
    return learner->state[FCL_STATE_WEIGHTS];
}

fcl_buffer *fcl_learner_ema(fcl_learner *learner)
{
    return fcl_learner_average(learner, 0);
}

fcl_buffer *fcl_learner_average(fcl_learner *learner, int index)
{
    return index >= 0 && index < learner->averages.count ? learner->state[fcl_state_average(index)] : NULL;
}

fcl_buffer *fcl_learner_gradients(fcl_learner *learner)
{
    return learner->gradients;
}
