#include "train/source.h"

#include "base/error.h"
#include "data/rows.h"

#include "cl/philox.h"
#include "cl/permute.h"

#include <string.h>

int fcl_source_open(const fcl_train_options *trained, const char *source, uint64_t seed, fcl_shape sample,
                    fcl_dataset **set)
{
    *set = NULL;
    if (strcmp(source, FCL_SOURCE_NORMAL) == 0)
        return FCL_OK;
    fcl_dataset_options which = {.seed = seed, .unlabeled = true, .label_guess = trained->label_column, .like = sample};
    int status = fcl_dataset_open(source, &which, set);
    if (status != FCL_OK)
        return fcl_fail_within(status, "the source");
    long long own = fcl_shape_size((*set)->shape), wanted = fcl_shape_size(sample);
    long long count = (*set)->count;
    if (own == wanted && count <= INT32_MAX)
        return FCL_OK;
    fcl_dataset_destroy(set);
    if (own != wanted)
        return fcl_fail(FCL_ERR_SHAPE, "the source %s has samples of %lld numbers, the data of %lld", source,
                        own, wanted);
    return fcl_fail(FCL_ERR_UNSUPPORTED, "the source %s has %lld samples; at most %d can be drawn from",
                    source, count, INT32_MAX);
}

bool fcl_source_is_moved(const char *source)
{
    return source && strcmp(source, FCL_SOURCE_NORMAL) != 0 && !fcl_dataset_is_builtin(source);
}

/* Numbers of normal noise that the device draws at a time. */
static int64_t part_of(int64_t count)
{
    enum { MOST = 1 << 20 };
    return count < MOST ? count : MOST;
}

uint64_t fcl_source_draw_bytes(const fcl_dataset *set, int64_t numbers)
{
    uint64_t bytes = (uint64_t)part_of(numbers) * sizeof(float);
    return set ? 0 : (bytes + FCL_BUFFER_ALIGN - 1) / FCL_BUFFER_ALIGN * FCL_BUFFER_ALIGN;
}

static int draw_normal(fcl_device *device, uint64_t seed, int64_t count, float *x)
{
    int64_t part = part_of(count);
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *noise = fcl_output(fcl_normal(graph, FCL_SHAPE(part), FCL_STREAM_SAMPLE));
    int status = fcl_graph_compile(graph, device, NULL);
    for (int64_t first = 0; first < count && status == FCL_OK; first += part) {
        size_t left = (size_t)(count - first < part ? count - first : part);
        fcl_graph_random(graph, seed, 0, (uint64_t)first);
        status = fcl_graph_run(graph);
        if (status == FCL_OK)
            status = fcl_buffer_read(fcl_tensor_buffer(noise), 0, left * sizeof *x, x + first);
    }
    fcl_graph_destroy(&graph);
    return status;
}

/* The set's sample i of a random order; a new order where it ends. */
static int64_t sample_at(const fcl_dataset *set, uint64_t seed, int64_t i)
{
    return permute_index((uint32_t)(i % set->count), (uint32_t)set->count, seed, FCL_STREAM_SAMPLE,
                         (uint64_t)(i / set->count));
}

int fcl_source_draw(fcl_device *device, const fcl_dataset *set, uint64_t seed, int64_t n, int64_t size,
                    float *x)
{
    if (!set)
        return draw_normal(device, seed, n * size, x);
    int status = FCL_OK;
    for (int64_t i = 0; i < n && status == FCL_OK; i++) {
        int64_t from = sample_at(set, seed, i);
        status = fcl_dataset_values(set, 1, &from, x + i * size);
    }
    return status;
}
