/* What the dimensions of an array are taken for: samples as they lie, or pictures: (N, H, W), (N, C, H, W), (N, H, W, C). */
#ifndef DATA_LAYOUT_H
#define DATA_LAYOUT_H

#include "base/npy.h"

#include <flowcl/data.h>

typedef struct fcl_layout {
    bool bytes;       /* pictures that stay bytes; all else is floats */
    bool turned;      /* (H, W, C), which becomes (C, H, W) */
    bool clear;       /* of these RGBA, which becomes RGB: what can be seen through lies over `below`, of 0 to 255 */
    uint8_t below[3];
    float white;      /* of RGBA: what is white, and opaque, in the array's numbers */
    fcl_shape sample; /* in the set */
} fcl_layout;

/* Bytes that a number takes in the set. */
static inline size_t fcl_layout_number(const fcl_layout *layout)
{
    return layout->bytes ? 1 : sizeof(float);
}

/* Whether its numbers stay bytes: those of rank 3 or 4 are pictures, whatever they are. */
bool fcl_layout_keeps_bytes(const fcl_npy *array);

/* By its shape and type alone. *note, to be released by free: what people want to know of it; NULL: nothing.
 * FCL_ERR_ARGUMENT: the background is not usable, or has no use. */
int fcl_layout_begin(const fcl_npy *array, const fcl_dataset_options *options, const char *where, fcl_layout *layout,
                     char **note);

/* Whether numbers say more: those of so many samples, spread evenly over all. */
bool fcl_layout_asks(const fcl_npy *array);
int64_t fcl_layout_asked(fcl_shape sample, int64_t count);

/* The layout by the numbers of n samples as they lie. The rest as above. */
int fcl_layout_decide(const fcl_npy *array, int64_t n, const float *values, const fcl_dataset_options *options,
                      const char *where, fcl_layout *layout, char **note);

/* n samples that are turned, from `numbers`, bytes or floats as they lie, which are changed, to `rows`. */
void fcl_layout_arrange(const fcl_layout *layout, int64_t n, void *numbers, void *rows);

#endif
