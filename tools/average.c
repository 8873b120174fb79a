/* Which of a checkpoint's weights are taken. */
#include "tool.h"

/* The index of an average, -1: none. What cannot be was refused before. */
static int taken(const fcl_checkpoint_info *info, const fcl_sample_options *options)
{
    int index;
    return fcl_sample_average(info, options, &index) == FCL_OK ? index : -1;
}

const char *tool_average(const fcl_checkpoint_info *info, const fcl_sample_options *options)
{
    int index = taken(info, options);
    return index < 0 ? NULL : info->averages[index];
}

void tool_print_average(const fcl_checkpoint_info *info, const fcl_sample_options *options)
{
    const char *decay = tool_average(info, options);
    if (decay)
        printf("average %s", decay);
    else
        fputs("not averaged", stdout);
}

void tool_add_average(const fcl_checkpoint_info *info, const fcl_sample_options *options, json_t *object)
{
    const char *decay = tool_average(info, options);
    json_object_set_new(object, "average", json_boolean(decay));
    json_object_set_new(object, "ema", decay ? json_string(decay) : json_null());
}
