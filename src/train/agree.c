/* What ranks that train together have alike: their options, their data, and at each checkpoint their weights. */
#include "train/trainer.h"

#include "base/error.h"
#include "base/memory.h"
#include "device/traits.h"
#include "train/options.h"

#include <stdlib.h>
#include <string.h>

/* --- before the first step --- */

static int same_text(fcl_ranks *ranks, const char *what, const char *text)
{
    return fcl_ranks_same(ranks, what, text ? strlen(text) : 0, text ? text : "");
}

int fcl_train_options_agree(const fcl_train_options *options)
{
    if (!options->ranks)
        return FCL_OK;
    fcl_train_options common = *options;
    common.device = common.out = NULL;
    char *text = fcl_train_options_json(&common);
    int status = same_text(options->ranks, "options", text);
    free(text);
    return status == FCL_OK ? same_text(options->ranks, "shares (the option share)", options->share) : status;
}

int fcl_train_tell(fcl_ranks *ranks, char **text)
{
    uint64_t length = *text ? strlen(*text) : 0;
    FCL_TRY(fcl_ranks_broadcast(ranks, sizeof length, &length));
    if (fcl_ranks_number(ranks) > 0) {
        free(*text);
        *text = length ? fcl_zalloc(length + 1) : NULL;
    }
    return length ? fcl_ranks_broadcast(ranks, length, *text) : FCL_OK;
}

/* Devices of one kind compute the same bits. */
int fcl_trainer_compare_devices(fcl_trainer *trainer)
{
    trainer->alike = true;
    if (!trainer->options.ranks)
        return FCL_OK;
    const fcl_device_info *info = fcl_device_describe(trainer->device);
    const fcl_traits traits = fcl_device_traits(trainer->device);
    char *kind = fcl_format("%s, %s, %s, %d units, wide %d, whole %d, vectors of %d, groups of %d", info->platform_name, info->name,
                            info->driver, info->compute_units, traits.wide, traits.whole, traits.vector, (int)traits.group);
    int status = same_text(trainer->options.ranks, "devices", kind);
    free(kind);
    trainer->alike = status == FCL_OK;
    return status == FCL_ERR_ARGUMENT ? FCL_OK : status;
}

int fcl_trainer_meet(fcl_trainer *trainer)
{
    fcl_ranks *ranks = trainer->options.ranks;
    if (!ranks)
        return FCL_OK;
    FCL_TRY(same_text(ranks, "data", trainer->data_content));
    FCL_TRY(same_text(ranks, "data of the source", trainer->source_content));
    FCL_TRY(same_text(ranks, "conditions", trainer->condition_content));
    return fcl_trainer_agree(trainer);
}

/* --- and then --- */

static int compare_weights(const fcl_trainer *trainer, size_t bytes, void *content)
{
    FCL_TRY(fcl_buffer_read(fcl_learner_weights(trainer->learner), 0, bytes, content));
    int status = fcl_ranks_same(trainer->options.ranks, "weights", bytes, content);
    if (status != FCL_ERR_ARGUMENT)
        return status;
    return fcl_fail(FCL_ERR_DEVICE, "%s at step %lld, though all take the same steps on devices of one kind: one of them is not "
                                    "to be trusted; go on from the checkpoint before on others",
                    fcl_error(), (long long)fcl_learner_steps(trainer->learner));
}

/* The first rank's, by all: those of other devices have gone other ways by the rounding of their own. */
static int take_first(const fcl_trainer *trainer, size_t bytes, void *content)
{
    bool first = fcl_ranks_number(trainer->options.ranks) == 0;
    for (fcl_state state = 0; state < FCL_ALL_STATES; state++) {
        fcl_buffer *buffer = trainer->learner->state[state];
        if (!buffer)
            continue;
        FCL_TRY(first ? fcl_buffer_read(buffer, 0, bytes, content) : FCL_OK);
        FCL_TRY(fcl_ranks_broadcast(trainer->options.ranks, bytes, content));
        FCL_TRY(first ? FCL_OK : fcl_buffer_write(buffer, 0, bytes, content));
    }
    return FCL_OK;
}

int fcl_trainer_agree(fcl_trainer *trainer)
{
    if (!trainer->options.ranks)
        return FCL_OK;
    size_t bytes = fcl_params_bytes(trainer->learner->params);
    void *content = malloc(bytes);
    if (!content)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the %zu bytes of the weights", bytes);
    int status = trainer->alike ? compare_weights(trainer, bytes, content) : take_first(trainer, bytes, content);
    free(content);
    return status;
}
