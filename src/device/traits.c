#include "device/traits.h"

#include "device/environment.h"

#include <stdlib.h>
#include <string.h>

static int number_or(const char *text, int otherwise)
{
    return text ? (int)strtol(text, NULL, 10) : otherwise;
}

fcl_traits fcl_device_traits(const fcl_device *device)
{
    const fcl_device_info *info = fcl_device_describe(device);
    bool vectors = info->type == FCL_DEVICE_CPU && info->vector_width > 1;
    int group = number_or(fcl_environment("FLOWCL_ROW_GROUP"), vectors ? 1 : 64);
    return (fcl_traits){.wide = group == 1,
                        .whole = group == 1 && strstr(info->platform_name, "Portable Computing Language"),
                        .group = (size_t)group,
                        .vector = group == 1 ? 16 : number_or(fcl_environment("FLOWCL_VECTOR"), 1),
                        .units = info->compute_units < 1 ? 1 : info->compute_units};
}
