/* Couplings: which noise x0 belongs to which data x1 of a batch. */
#include "flow/coupling.h"

static const fcl_coupling couplings[] = {
    {"independent", FCL_COUPLING_NONE, "noise and data are paired by chance"},
    {"ot", FCL_COUPLING_EXACT, "the pairing with the least sum of squared distances, exact"},
};
enum { COUNT = sizeof couplings / sizeof *couplings };

const char *fcl_coupling_name(int index)
{
    return index >= 0 && index < COUNT ? couplings[index].name : NULL;
}

const char *fcl_coupling_help(int index)
{
    return index >= 0 && index < COUNT ? couplings[index].help : NULL;
}

const fcl_coupling *fcl_coupling_find(const char *name)
{
    int index = fcl_row_index(fcl_coupling_name, name);
    return index < 0 ? NULL : &couplings[index];
}

/* As |a|^2 + |b|^2 - 2 a b', of points moved to the middle of the data: far from it the difference of large
 * numbers would lose the small one. */
fcl_tensor *fcl_coupling_cost(fcl_tensor *x0, fcl_tensor *x1)
{
    int64_t rows = fcl_tensor_shape(x1).dim[0];
    fcl_tensor *middle = fcl_scale(fcl_sum_axes(x1, 1), 1.0f / (float)rows); /* (1, D) */
    fcl_tensor *a = fcl_sub(x0, middle), *b = fcl_sub(x1, middle);
    fcl_tensor *of_a = fcl_sum_axes(fcl_square(a), 2);                                  /* (M, 1) */
    fcl_tensor *of_b = fcl_reshape(fcl_sum_axes(fcl_square(b), 2), FCL_SHAPE(1, rows)); /* (1, M) */
    fcl_tensor *cost = fcl_add(fcl_add(fcl_scale(fcl_matmul(a, b, false, true), -2), of_a), of_b);
    return fcl_max(cost, fcl_constant(fcl_tensor_graph(x0), 0)); /* (M, M) */
}
