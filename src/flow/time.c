/* Time laws: at which t the velocity is trained, and how often. */
#include "flow/flow.h"

static fcl_tensor *uniform(fcl_graph *graph, int64_t batch)
{
    return fcl_uniform(graph, FCL_SHAPE(batch, 1), FCL_STREAM_TIME);
}

static const fcl_time_law laws[] = {
    {"uniform", uniform, "every time between 0 and 1 is as likely"},
};
enum { COUNT = sizeof laws / sizeof *laws };

const char *fcl_time_name(int index)
{
    return index >= 0 && index < COUNT ? laws[index].name : NULL;
}

const char *fcl_time_help(int index)
{
    return index >= 0 && index < COUNT ? laws[index].help : NULL;
}

const fcl_time_law *fcl_time_find(const char *name)
{
    int index = fcl_row_index(fcl_time_name, name);
    return index < 0 ? NULL : &laws[index];
}
