/* A slice between its file, which has PyTorch's order of dimensions, and the flat buffer (order.c). */
#ifndef NN_PARAMS_H
#define NN_PARAMS_H

#include <flowcl/nn.h>

/* Both of as many floats as the slice has; `file` may have any alignment. */
void fcl_param_from_file(const fcl_param *slice, const void *file, float *placed);
void fcl_param_to_file(const fcl_param *slice, const float *placed, float *file);

#endif
