/* Parameters, for layers and for what reads and writes their files. */
#ifndef NN_PARAMS_H
#define NN_PARAMS_H

#include <flowcl/nn.h>

/* What is wrong with a declaration, printf style; fcl_params_check tells the first. */
void fcl_params_mistake(fcl_params *params, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What draws in each step, as dropout does, has a stream of its own: the number of the next. */
uint32_t fcl_params_next_draw(fcl_params *params);

/* A slice between its file, which has PyTorch's order of dimensions, and the flat buffer (order.c).
 * Both of as many floats as the slice has; `file` may have any alignment. */
void fcl_param_from_file(const fcl_param *slice, const void *file, float *placed);
void fcl_param_to_file(const fcl_param *slice, const float *placed, float *file);

#endif
