/* What ranks that learn together do between the gradient and the step: each has the gradient of its rows, and takes the
 * sum of all, with the loss behind it. */
#ifndef LEARN_EXCHANGE_H
#define LEARN_EXCHANGE_H

#include <flowcl/device.h>
#include <flowcl/ranks.h>

typedef struct fcl_exchange fcl_exchange;

/* Of the buffer's first `count` numbers. Both are borrowed. */
int fcl_exchange_create(fcl_ranks *ranks, fcl_buffer *buffer, int64_t count, fcl_exchange **exchange);
void fcl_exchange_destroy(fcl_exchange **exchange);

/* Enqueues that the numbers come to the host, where they do not lie there, and waits for nothing: what is enqueued from
 * here to the end, and leaves the buffer alone, runs beside. NULL: nothing is done. */
int fcl_exchange_begin(fcl_exchange *exchange);
/* Begins, where that is not done, and ends with the sums in the buffer. */
int fcl_exchange_end(fcl_exchange *exchange);

#endif
