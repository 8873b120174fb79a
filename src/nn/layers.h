/* What layers have in common. */
#ifndef NN_LAYERS_H
#define NN_LAYERS_H

#include "nn/params.h"

/* First values of a weight; options may be NULL. */
fcl_param fcl_first_weight(const fcl_layer_options *options, int64_t fan_in);
/* "NAME.bias" (out), undecayed; -1 where there is to be none. */
int fcl_declare_bias(fcl_params *params, const fcl_layer_options *options, int64_t fan_in, int64_t out, const char *name);

/* The leaf of a slice, NULL of none. */
static inline fcl_tensor *fcl_part(fcl_tensor *const *weights, int slice)
{
    return slice < 0 ? NULL : weights[slice];
}

#endif
