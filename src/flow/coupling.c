/* Couplings: which noise x0 belongs to which data x1 of a batch. */
#include "flow/flow.h"

/* x0 ~ N(0, I), whatever x1 is. */
static fcl_tensor *independent(fcl_graph *graph, fcl_tensor *x1)
{
    return fcl_normal(graph, fcl_tensor_shape(x1), FCL_STREAM_SOURCE);
}

static const fcl_coupling couplings[] = {
    {"independent", independent, "noise and data are paired by chance"},
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
