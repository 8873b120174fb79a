/* AdamW with clipping and averages over flat buffers (cl/adamw.cl). A step only enqueues; the loss and the norm of
 * each step are kept in a ring on the device. */
#ifndef LEARN_ADAMW_H
#define LEARN_ADAMW_H

#include <flowcl/device.h>

enum {
    FCL_RING = 1024,  /* rows of the ring: it is read before it is full */
    FCL_FURTHER = 3   /* averages beside the first */
};

typedef struct fcl_adamw_buffers {
    fcl_buffer *weights, *gradients, *m, *v;
    fcl_buffer *ema;  /* NULL: none */
    fcl_buffer *further[FCL_FURTHER]; /* up to the first NULL: more of them, each a pass of its own over the weights */
    fcl_buffer *loss; /* one float */
    size_t undecayed; /* bytes at the end of what is trained, a multiple of FCL_BUFFER_ALIGN: no weight decay */
} fcl_adamw_buffers;

typedef struct fcl_adamw_step {
    int64_t step; /* 0, 1, ... */
    double rate, weight_decay, beta1, beta2, epsilon;
    double clip;      /* 0: not clipped */
    double ema_decay; /* the largest; it grows to it as (1 + step) / (10 + step) */
    double further_decay[FCL_FURTHER]; /* in the same way */
    bool skip; /* a step that was not finite is left out; else nothing changes behind it either, until fcl_adamw_restart */
} fcl_adamw_step;

typedef struct fcl_adamw_row {
    float loss, norm;
} fcl_adamw_row;

typedef struct fcl_adamw fcl_adamw;

/* `bytes`: what of the flat buffers is trained, a multiple of FCL_BUFFER_ALIGN. Buffers are borrowed. */
int fcl_adamw_create(fcl_device *device, const fcl_adamw_buffers *buffers, size_t bytes, fcl_adamw **adamw);
void fcl_adamw_destroy(fcl_adamw **adamw);
int fcl_adamw_enqueue(fcl_adamw *adamw, const fcl_adamw_step *step);
/* Forgets the steps before. */
int fcl_adamw_restart(fcl_adamw *adamw);

/* Waits, and copies the rows of the steps first .. first + count - 1, at most FCL_RING of the last. */
int fcl_adamw_read(fcl_adamw *adamw, int64_t first, int count, fcl_adamw_row *rows);

#endif
