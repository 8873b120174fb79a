/* What ranks that learn together do between the gradient and the step: each has the gradient of its rows, and takes the
 * sum of all, with the loss behind it. Early, a bucket at a time while the backward pass goes on.
 *
 * Buckets are the pieces of a window. All ranks sum them in one order, that in which the first rank's plan completes them:
 * in a backward pass the last layers' first, and biases and the loss, which lie behind all weights, at the end. */
#ifndef LEARN_EXCHANGE_H
#define LEARN_EXCHANGE_H

#include <flowcl/graph.h>
#include <flowcl/ranks.h>

typedef struct fcl_exchange fcl_exchange;

typedef struct fcl_exchange_options {
    int64_t count; /* of the buffer's numbers the first so many are exchanged */
    int runs;      /* of graphs that add to them, between two exchanges */
    bool early;
} fcl_exchange_options;

/* Ranks and buffer are borrowed. NULL: without ranks, nothing is to be done. */
int fcl_exchange_create(fcl_ranks *ranks, fcl_buffer *buffer, const fcl_exchange_options *options, fcl_exchange **exchange);
void fcl_exchange_destroy(fcl_exchange **exchange);

/* Before the graph is compiled, whose leaves are bound to the buffer: its runs tell when buckets are complete. */
void fcl_exchange_listen(fcl_exchange *exchange, fcl_graph *graph);

/* Enqueues that the numbers come to the host, where they do not lie there and are not on their way, and waits for nothing:
 * what is enqueued from here to the end, and leaves the buffer alone, runs beside. NULL: nothing is done. */
int fcl_exchange_begin(fcl_exchange *exchange);
/* Begins, where that is not done, and ends with the sums in the buffer. */
int fcl_exchange_end(fcl_exchange *exchange);
/* In place of an end: what runs have told since the last one is forgotten, as the buffer's numbers are to be. */
int fcl_exchange_drop(fcl_exchange *exchange);

#endif
