#include "learn/exchange.h"

#include "base/error.h"
#include "base/memory.h"
#include "device/window.h"
#include "graph/graph.h"
#include "ranks/sum.h"

#include <stdlib.h>
#include <string.h>

struct fcl_exchange {
    fcl_ranks *ranks;
    fcl_buffer *buffer;
    fcl_exchange_options options;
    fcl_window *window;
    float *numbers;  /* of the window that is open; NULL: none is */
    int buckets;
    int *told;       /* (buckets) runs that have completed it since the exchange before */
    int32_t *order;  /* (buckets) in which ranks sum them; before they have agreed, those that are complete, as they came */
    int ordered;
    bool agreed;
};

int fcl_exchange_create(fcl_ranks *ranks, fcl_buffer *buffer, const fcl_exchange_options *options, fcl_exchange **exchange)
{
    *exchange = NULL;
    if (!ranks)
        return FCL_OK;
    int buckets = (int)((options->count + FCL_WINDOW_PIECE - 1) / FCL_WINDOW_PIECE);
    *exchange = fcl_zalloc(sizeof **exchange);
    **exchange = (fcl_exchange){.ranks = ranks, .buffer = buffer, .options = *options, .buckets = buckets};
    (*exchange)->told = fcl_zalloc((size_t)buckets * sizeof *(*exchange)->told);
    (*exchange)->order = fcl_zalloc((size_t)buckets * sizeof *(*exchange)->order);
    int status = fcl_window_create(buffer, options->early, &(*exchange)->window);
    if (status != FCL_OK)
        fcl_exchange_destroy(exchange);
    return status;
}

void fcl_exchange_destroy(fcl_exchange **exchange)
{
    if (!*exchange)
        return;
    fcl_window_destroy(&(*exchange)->window);
    free((*exchange)->told);
    free((*exchange)->order);
    free(*exchange);
    *exchange = NULL;
}

/* --- buckets that are complete --- */

/* Of several runs the last one completes it. Another one would write where it may be on its way by now. */
static int complete(void *data, int64_t bucket)
{
    fcl_exchange *exchange = data;
    const int runs = exchange->options.runs;
    if (exchange->told[bucket] == runs)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "this is a run more than the %d of a step (the option accumulate): fcl_learner_step comes before it", runs);
    if (++exchange->told[bucket] != runs)
        return FCL_OK;
    if (!exchange->agreed)
        exchange->order[exchange->ordered++] = (int32_t)bucket;
    return exchange->options.early ? fcl_window_read(exchange->window, bucket) : FCL_OK;
}

void fcl_exchange_listen(fcl_exchange *exchange, fcl_graph *graph)
{
    if (exchange)
        fcl_graph_listen(graph, &(fcl_listener){.buffer = exchange->buffer,
                                                .piece = FCL_WINDOW_PIECE * sizeof(float),
                                                .written = complete,
                                                .data = exchange});
}

/* Unlike devices have unlike plans, and a sum is of all: the first rank's order is everybody's. */
static int agree(fcl_exchange *exchange)
{
    if (exchange->agreed)
        return FCL_OK;
    for (int bucket = 0; bucket < exchange->buckets; bucket++)
        if (exchange->told[bucket] < exchange->options.runs) /* by no run, such as those that look at their values */
            exchange->order[exchange->ordered++] = bucket;
    exchange->agreed = true;
    return fcl_ranks_broadcast(exchange->ranks, (size_t)exchange->buckets * sizeof *exchange->order, exchange->order);
}

static void forget(fcl_exchange *exchange)
{
    exchange->numbers = NULL;
    memset(exchange->told, 0, (size_t)exchange->buckets * sizeof *exchange->told);
}

/* --- the sum --- */

int fcl_exchange_begin(fcl_exchange *exchange)
{
    return exchange ? fcl_window_open(exchange->window, &exchange->numbers) : FCL_OK;
}

static int wait_for(void *window, int64_t first, int64_t count)
{
    return fcl_window_wait(window, first, count);
}

static int look_for(void *window, int64_t first, int64_t count, bool *there)
{
    return fcl_window_look(window, first, count, there);
}

static int give_back(void *window, int64_t first, int64_t count)
{
    return fcl_window_return(window, first, count);
}

int fcl_exchange_end(fcl_exchange *exchange)
{
    if (!exchange)
        return FCL_OK;
    const fcl_sum_pieces pieces = {exchange->window, FCL_WINDOW_PIECE, exchange->order, wait_for, look_for, give_back};
    if (!exchange->numbers)
        FCL_TRY(fcl_exchange_begin(exchange));
    FCL_TRY(agree(exchange));
    FCL_TRY(fcl_ranks_sum_pieces(exchange->ranks, exchange->options.count, exchange->numbers, &pieces));
    forget(exchange);
    return fcl_window_close(exchange->window);
}

int fcl_exchange_drop(fcl_exchange *exchange)
{
    if (!exchange)
        return FCL_OK;
    forget(exchange);
    exchange->ordered = exchange->agreed ? exchange->ordered : 0;
    return fcl_window_drop(exchange->window);
}
