#include "train/sampler_ranks.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "ranks/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Also of those that are no rows of the table. How many are computed at once is a rank's own affair. */
static int write_options(const fcl_sample_options *options, char **text)
{
    fcl_sample_options copy = *options;
    fcl_options *bound = fcl_options_create();
    copy.batch = 0;
    int status = fcl_options_add(bound, fcl_sample_table, &copy);
    if (status == FCL_OK)
        status = fcl_options_add(bound, fcl_divergence_table, &copy.divergence);
    *text = status == FCL_OK ? fcl_options_to_json(bound) : NULL;
    fcl_options_destroy(&bound);
    return status;
}

static uint64_t hash_mask(const fcl_array *mask)
{
    size_t bytes = mask ? (size_t)fcl_shape_size(mask->shape) * sizeof(float) : 0;
    return fcl_hash_bytes(FCL_HASH_START, mask ? mask->data : NULL, bytes);
}

/* A folder's newest checkpoint may be another one by the time that another rank looks. */
static int hash_weights(const fcl_sampled *of, uint64_t *hash)
{
    size_t bytes = fcl_params_bytes(fcl_model_params(of->model));
    void *weights = fcl_zalloc(bytes);
    int status = fcl_buffer_read(of->weights, 0, bytes, weights);
    *hash = fcl_hash_bytes(FCL_HASH_START, weights, bytes);
    free(weights);
    return status;
}

int fcl_sampler_compare(const fcl_sample_options *options, unsigned flags, const fcl_sampled *of, int64_t n)
{
    char *text;
    uint64_t weights;
    fcl_text all = {0};
    if (!options->ranks)
        return FCL_OK;
    FCL_TRY(hash_weights(of, &weights));
    FCL_TRY(write_options(options, &text));
    fcl_text_format(&all, "%s %s %.17g %016" PRIx64 " %u %" PRId64 " %" PRId64 " %016" PRIx64, text,
                    options->times ? options->times : "", options->from_time, hash_mask(options->mask), flags, n,
                    fcl_shape_size(fcl_model_sample(of->model)), weights);
    int status = fcl_ranks_same(options->ranks, "options, or another model,", strlen(all.data), all.data);
    fcl_text_free(&all);
    free(text);
    return status;
}

/* --- counts --- */

typedef struct told {
    fcl_sample_stats stats;
    char sentence[512]; /* of what is unfinished */
} told;

static void add(const fcl_sample_stats *more, fcl_sample_stats *sums)
{
    if (more->nfe_maximum && (!sums->nfe_maximum || more->nfe_minimum < sums->nfe_minimum))
        sums->nfe_minimum = more->nfe_minimum;
    sums->nfe_maximum = more->nfe_maximum > sums->nfe_maximum ? more->nfe_maximum : sums->nfe_maximum;
    sums->nfe_mean += more->nfe_mean;
    sums->accepted += more->accepted;
    sums->rejected += more->rejected;
    sums->unfinished += more->unfinished;
    sums->seconds = more->seconds > sums->seconds ? more->seconds : sums->seconds;
}

int fcl_sampler_gather_stats(fcl_ranks *ranks, fcl_sample_stats *stats)
{
    int count = fcl_ranks_count(ranks);
    told mine, *all = fcl_zalloc((size_t)count * sizeof *all);
    memset(&mine, 0, sizeof mine);
    mine.stats = *stats;
    snprintf(mine.sentence, sizeof mine.sentence, "%s", stats->unfinished ? fcl_error() : "");
    int status = fcl_ranks_gather(ranks, sizeof mine, &mine, all);
    *stats = (fcl_sample_stats){0};
    for (int rank = 0; rank < count && status == FCL_OK; rank++) {
        add(&all[rank].stats, stats);
        if (all[rank].stats.unfinished)
            fcl_fail(FCL_ERR_NUMERIC, "%s", all[rank].sentence);
    }
    free(all);
    return status;
}
