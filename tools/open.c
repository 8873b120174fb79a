/* Checkpoints, and weights of another program in their place. */
#include "tool.h"

#include <string.h>

bool tool_foreign_is_unused(const fcl_foreign_options *foreign, const char *path, char fault[TOOL_FAULT])
{
    if (foreign->config || foreign->names)
        fcl_snprintf(fault, TOOL_FAULT,
                     "--%s has no use with %.400s, a checkpoint of flowcl: it says itself what it is",
                     foreign->config ? "config" : "names", path);
    return foreign->config || foreign->names;
}

int tool_open_checkpoint(const char *path, const fcl_foreign_options *foreign, fcl_checkpoint **checkpoint,
                         char fault[TOOL_FAULT])
{
    int status = fcl_checkpoint_open_with(path, foreign, checkpoint);
    if (status != FCL_OK || fcl_checkpoint_describe(*checkpoint)->foreign ||
        !tool_foreign_is_unused(foreign, path, fault))
        return status;
    fcl_checkpoint_close(checkpoint);
    return FCL_ERR_ARGUMENT;
}

void tool_print_foreign(const fcl_checkpoint_info *info)
{
    if (info->foreign)
        tool_print_note(tool_plain(info->path), tool_plain(info->foreign));
}
