/* Paths between noise and data: x_t = alpha(t) x1 + sigma(t) x0. Their formulas stand in cl/cfm.cl. */
#include "flow/flow.h"

static const fcl_path paths[] = {
    {"linear", FCL_PATH_LINEAR, "straight lines: x_t = t x1 + (1 - t) x0 (rectified flow, conditional OT)"},
};
enum { COUNT = sizeof paths / sizeof *paths };

const char *fcl_path_name(int index)
{
    return index >= 0 && index < COUNT ? paths[index].name : NULL;
}

const char *fcl_path_help(int index)
{
    return index >= 0 && index < COUNT ? paths[index].help : NULL;
}

const fcl_path *fcl_path_find(const char *name)
{
    int index = fcl_row_index(fcl_path_name, name);
    return index < 0 ? NULL : &paths[index];
}
