/* A stream of blocks of one size from the host to the device, which comes while the device works: two tables
 * on the device take the blocks in turn, from page-locked memory, by a queue of their own.
 *
 *     void *memory;
 *     fcl_staging_fill(staging, &memory);    // any one thread: what the next block is written into
 *     fcl_staging_send(staging, 1, &piece);  // the device's thread: enqueues, and waits for nothing */
#ifndef DEVICE_STAGING_H
#define DEVICE_STAGING_H

#include <flowcl/device.h>

typedef struct fcl_staging fcl_staging;

/* `bytes`: of a block. */
int fcl_staging_create(fcl_device *device, size_t bytes, fcl_staging **staging);
void fcl_staging_destroy(fcl_staging **staging);

/* The host's memory of the next block, once the block two before it has left the host. */
int fcl_staging_fill(fcl_staging *staging, void **memory);

/* A part of a block, and where it goes. */
typedef struct fcl_staged {
    size_t from, bytes;
    fcl_buffer *to;
    size_t offset;
} fcl_staged;

/* Sends the block that was filled. What is enqueued before still finds the old content in the pieces'
 * buffers, what is enqueued after it the new one. */
int fcl_staging_send(fcl_staging *staging, int pieces, const fcl_staged *piece);

#endif
