/* What broke in a step whose loss or gradient is not finite. */
#include "train/trainer.h"

#include "base/error.h"
#include "graph/graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The data set's number of a row is known but where rows are paired: they come in another order. */
void fcl_trainer_name_rows(fcl_trainer *trainer, int64_t step, int part)
{
    const fcl_batch *batch = &trainer->feed.data;
    const fcl_broken *broken = fcl_graph_broken(trainer->graph);
    int64_t rows = batch->options.rows, first_row = trainer->feed.share.first + part * rows;
    if (!broken->broken_rows || broken->rows != rows)
        return;
    fcl_fail(FCL_ERR_NUMERIC, "%s, in %lld of the %lld rows of %s", fcl_error(), (long long)broken->broken_rows,
             (long long)rows, rows == batch->options.total ? "the batch" : "this part of the batch");
    if (!trainer->feed.matcher && broken->broken_rows < rows)
        fcl_fail(FCL_ERR_NUMERIC, "%s, of which the first is sample %lld of %s (from 0)", fcl_error(),
                 (long long)fcl_batch_sample(batch, step, first_row + broken->row), trainer->data->name);
}

static int check_states(const fcl_trainer *trainer)
{
    const fcl_learner *learner = trainer->learner;
    fcl_states states = {
        .name = "", .params = learner->params, .averages = learner->averages, .step = learner->read_step};
    memcpy(states.buffer, learner->state, sizeof states.buffer);
    fcl_state_tensors *tensors;
    FCL_TRY(fcl_state_tensors_create(1, &states, &tensors));
    int status = fcl_state_tensors_check(tensors);
    fcl_state_tensors_destroy(&tensors);
    return status;
}

static int check_step(fcl_trainer *trainer, int64_t step)
{
    fcl_graph_destroy(&trainer->graph);
    FCL_TRY(fcl_trainer_build_graph(trainer, true));
    FCL_TRY(fcl_buffer_zero(fcl_learner_gradients(trainer->learner)));
    FCL_TRY(fcl_feed_prepare(&trainer->feed, step));
    for (int part = 0; part < trainer->options.accumulate; part++)
        FCL_TRY(fcl_trainer_run_part(trainer, step, part));
    return FCL_OK;
}

/* The largest number of a slice of the gradient, by its size. */
static int find_largest(const fcl_learner *learner, const fcl_param *slice, float *largest)
{
    int64_t count = fcl_shape_size(slice->shape);
    float *values = fcl_zalloc((size_t)count * sizeof *values);
    int status = fcl_buffer_read(learner->gradients, slice->offset, (size_t)count * sizeof *values, values);
    *largest = 0;
    for (int64_t i = 0; i < count; i++)
        *largest = fmaxf(*largest, fabsf(values[i]));
    free(values);
    return status;
}

/* Of a step whose values are all finite, the slice of the gradient whose squares are the largest. */
static int tell_largest(const fcl_learner *learner)
{
    const fcl_param *of = fcl_params_at(learner->params, 0);
    float most = 0, largest;
    for (int i = 0; i < fcl_params_trained(learner->params); i++) {
        FCL_TRY(find_largest(learner, fcl_params_at(learner->params, i), &largest));
        if (largest > most) {
            most = largest;
            of = fcl_params_at(learner->params, i);
        }
    }
    return fcl_fail(FCL_ERR_NUMERIC,
                    "the sum of the gradient's squares: each value of the step itself is finite, and the "
                    "gradient of %s is the "
                    "largest, up to %g",
                    of->name, (double)most);
}

/* What a rank has found, in words. */
typedef struct finding {
    bool breaks; /* a value of its own is not finite, the first of which is told */
    char what[1016];
} finding;

static finding find(fcl_trainer *trainer, int64_t step)
{
    finding found;
    memset(&found, 0, sizeof found);
    int status = check_states(trainer);
    if (status == FCL_OK)
        status = check_step(trainer, step);
    found.breaks = status == FCL_ERR_NUMERIC;
    if (status == FCL_OK)
        status = tell_largest(trainer->learner);
    snprintf(found.what, sizeof found.what, "%s%s", status == FCL_ERR_NUMERIC ? " is " : " cannot be told: ", fcl_error());
    return found;
}

/* Of what ranks have found, the first one's whose own values break; its number is told unless all found the same. */
static char *tell_first(const finding *all, int count)
{
    int first = 0;
    bool same = true;
    for (int i = count - 1; i >= 0; i--) {
        first = all[i].breaks ? i : first;
        same &= strcmp(all[i].what, all[0].what) == 0;
    }
    return all[first].breaks && !same ? fcl_format("what broke first, on rank %d,%s", first, all[first].what)
                                      : fcl_format("what broke first%s", all[first].what);
}

/* Each rank looks at its own rows. Where the others have not come with it, it tells of these. Released by free. */
static char *find_first(fcl_trainer *trainer, int64_t step)
{
    fcl_ranks *ranks = trainer->options.ranks;
    const finding mine = find(trainer, step);
    finding *all = fcl_zalloc((size_t)fcl_ranks_count(ranks) * sizeof *all);
    int status = fcl_ranks_gather(ranks, sizeof mine, &mine, all);
    char *words = status == FCL_OK ? tell_first(all, fcl_ranks_count(ranks)) : tell_first(&mine, 1);
    free(all);
    return words;
}

int fcl_trainer_explain(fcl_trainer *trainer, int64_t step)
{
    char *loss = fcl_strdup(fcl_error());
    if (!trainer->broken)
        trainer->broken = find_first(trainer, step);
    fcl_fail(FCL_ERR_NUMERIC, "%s; %s", loss, trainer->broken);
    free(loss);
    return FCL_ERR_NUMERIC;
}

int fcl_trainer_recover(fcl_trainer *trainer)
{
    if (!trainer->broken)
        return FCL_OK;
    free(trainer->broken);
    trainer->broken = NULL;
    fcl_graph_destroy(&trainer->graph);
    return fcl_trainer_build_graph(trainer, trainer->options.check);
}
