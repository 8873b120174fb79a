/* Checkpoints, and weights of another program in their place. */
#include "tool.h"

#include <dirent.h>
#include <string.h>
#include <strings.h>

static bool ends_with(const char *path, const char *ending)
{
    size_t length = strlen(path), tail = strlen(ending);
    return length > tail && strcasecmp(path + length - tail, ending) == 0;
}

bool tool_is_model(const char *path)
{
    bool run = false, pictures = false;
    DIR *entries = opendir(path);
    if (!entries)
        return ends_with(path, ".safetensors");
    for (struct dirent *entry; (entry = readdir(entries));) {
        const char *name = entry->d_name;
        run = run || ends_with(name, ".safetensors") || strcmp(name, "config.yaml") == 0;
        pictures = pictures || ends_with(name, ".png") || ends_with(name, ".jpg") || ends_with(name, ".jpeg");
    }
    closedir(entries);
    return run || !pictures;
}

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
