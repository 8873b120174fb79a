/* flowcl/measure.h: what a device can do at best, to hold a program's times against.
 *
 *     fcl_measure *peak = NULL;
 *     double seconds;
 *     fcl_measure_create(device, FCL_MEASURE_PEAK, NULL, &peak);
 *     fcl_measure_run(peak, 1, &seconds);                                  // the first run also warms up
 *     fcl_measure_run(peak, 10, &seconds);
 *     printf("%g GFLOP/s\n", 1e-9 * 10 * fcl_measure_describe(peak)->work / seconds);
 *     fcl_measure_destroy(&peak);
 *
 * A measurement holds kernels and buffers, ready to run; a round is a fixed amount of work. Each can tell
 * whether what it computed is right: a fast wrong number is none. Several may be open at once: two times are
 * divided only where they were measured in turn, round by round, since a machine's speed changes; the ratio is
 * the median of the rounds' own. */
#ifndef FLOWCL_MEASURE_H
#define FLOWCL_MEASURE_H

#include <flowcl/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fcl_measure fcl_measure;

typedef enum fcl_measure_kind {
    FCL_MEASURE_LAUNCH, /* an all but empty kernel, one after the other: a round is one of them */
    FCL_MEASURE_WAITED, /* the same, each waited for by the host */
    FCL_MEASURE_COPY,   /* a = b; bytes are those read and those written */
    FCL_MEASURE_TRIAD, /* a = b + s c (McCalpin's STREAM); a write that first reads its cache line counts once
                        */
    FCL_MEASURE_PEAK,  /* chains of fused multiply-adds in registers, two operations each */
    FCL_MEASURE_KINDS
} fcl_measure_kind;

/* Zero is the default. */
typedef struct fcl_measure_options {
    uint64_t bytes; /* of each buffer of copy and triad; 0: 128 MiB, or four times the device's last cache
                       where that is more (1 GiB on a GPU whose cache is not known), as far as its memory allows */
    int steps;      /* multiply-adds of a chain of the peak, in fours; 0: enough for some milliseconds */
} fcl_measure_options;

typedef struct fcl_measure_info {
    double work;      /* of a round, in `unit` */
    const char *unit; /* "launch", "B" or "FLOP" */
    char how[64];     /* "12 chains of float16", or a product's provider: "clblast", "tile 8x2x32" */
} fcl_measure_info;

/* `options` may be NULL. */
FCL_API int fcl_measure_create(fcl_device *device, fcl_measure_kind kind, const fcl_measure_options *options,
                               fcl_measure **measure);

/* By the provider that a run of a model would take, with what follows it: C becomes the sum of the product and all that
 * is read, and is stored as often as is said, in the product's own kernel where the provider can, else in a pass behind
 * it. What is cold is measured on several copies of the matrices in turn, more than the last cache holds. Random values. */
FCL_API int fcl_measure_product(fcl_device *device, const fcl_product *product, fcl_measure **measure);

FCL_API void fcl_measure_destroy(fcl_measure **measure);
FCL_API const fcl_measure_info *fcl_measure_describe(const fcl_measure *measure);

/* Enqueues `rounds` rounds and waits for the last; *seconds is the host's time for it. */
FCL_API int fcl_measure_run(fcl_measure *measure, int64_t rounds, double *seconds);

/* The largest error of what the runs so far have left, against double precision: relative to the sum of the
 * magnitudes of the terms; of a product, on a sample of its elements. Infinite where a launch was lost. */
FCL_API int fcl_measure_error(fcl_measure *measure, double *error);

#ifdef __cplusplus
}
#endif

#endif
