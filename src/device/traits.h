/* What a device is good at, of which the forms of kernels follow. */
#ifndef DEVICE_TRAITS_H
#define DEVICE_TRAITS_H

#include <flowcl/device.h>

typedef struct fcl_traits {
    /* The form for CPUs whose driver has vectors: a work-item has rows of its own, in vectors of sixteen, and goes through
     * row blocks. Elsewhere, in the form of GPUs, a group of work-items shares a row, and launches cost most. */
    bool wide;
    /* In the wide form, all of cl/ is one program: PoCL compiles a kernel at its first launch, so that a program costs the
     * same with one kernel or with forty. Elsewhere each file is a program of its own, compiled at its first need. */
    bool whole;
    /* Work-items of a group that owns a row: 1 where wide, else 64. Such kernels loop by get_local_size and reduce in local
     * memory, so any size is right. $FLOWCL_ROW_GROUP says another; 1 is wide. */
    size_t group;
    /* Elements that a work-item takes in fused kernels and along rows: 16 from anywhere on where wide, else 1, so that
     * neighbours read neighbours, or 4 ($FLOWCL_VECTOR), as an aligned float4, where the memory and the length of rows
     * allow it. */
    int vector;
    int units; /* compute units; at least 1 */
} fcl_traits;

/* Bytes of a result from which on CPUs write it past their caches: more than a second cache, and of a third one more than a
 * step's share. */
enum { FCL_PAST_CACHES = 4 << 20 };

fcl_traits fcl_device_traits(const fcl_device *device);

#endif
