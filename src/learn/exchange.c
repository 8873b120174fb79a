#include "learn/exchange.h"

#include "base/error.h"
#include "base/memory.h"
#include "device/window.h"
#include "ranks/sum.h"

#include <stdlib.h>

struct fcl_exchange {
    fcl_ranks *ranks;
    int64_t count;
    fcl_window *window;
    float *numbers; /* of the window that is open; NULL: none is */
};

int fcl_exchange_create(fcl_ranks *ranks, fcl_buffer *buffer, int64_t count, fcl_exchange **exchange)
{
    *exchange = NULL;
    if (!ranks)
        return FCL_OK;
    *exchange = fcl_zalloc(sizeof **exchange);
    **exchange = (fcl_exchange){.ranks = ranks, .count = count};
    int status = fcl_window_create(buffer, &(*exchange)->window);
    if (status != FCL_OK)
        fcl_exchange_destroy(exchange);
    return status;
}

void fcl_exchange_destroy(fcl_exchange **exchange)
{
    if (!*exchange)
        return;
    fcl_window_destroy(&(*exchange)->window);
    free(*exchange);
    *exchange = NULL;
}

int fcl_exchange_begin(fcl_exchange *exchange)
{
    return exchange ? fcl_window_open(exchange->window, &exchange->numbers) : FCL_OK;
}

static int wait_for(void *window, int64_t first, int64_t count)
{
    return fcl_window_wait(window, first, count);
}

static int give_back(void *window, int64_t first, int64_t count)
{
    return fcl_window_return(window, first, count);
}

int fcl_exchange_end(fcl_exchange *exchange)
{
    if (!exchange)
        return FCL_OK;
    const fcl_sum_pieces pieces = {exchange->window, FCL_WINDOW_PIECE, wait_for, give_back};
    if (!exchange->numbers)
        FCL_TRY(fcl_exchange_begin(exchange));
    FCL_TRY(fcl_ranks_sum_pieces(exchange->ranks, exchange->count, exchange->numbers, &pieces));
    exchange->numbers = NULL;
    return fcl_window_close(exchange->window);
}
