/* How samples are guided, for people and programs. */
#include "tool.h"

bool tool_is_guided(const fcl_sample_options *options)
{
    return options->guidance != 1;
}

void tool_print_guidance(const fcl_sample_options *options)
{
    const char *interval = options->guidance_interval;
    if (tool_is_guided(options))
        fcl_printf(", guidance %g%s%s", (double)options->guidance, interval ? " at times " : "", interval ? interval : "");
}

void tool_add_guidance(const fcl_sample_options *options, json_t *object)
{
    if (!tool_is_guided(options))
        return;
    json_object_set_new(object, "guidance", json_real((double)options->guidance));
    json_object_set_new(object, "guidance_interval",
                        json_string(options->guidance_interval ? options->guidance_interval : "0,1"));
}
