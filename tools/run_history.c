/* The contact sheet of a run: made of the pictures that lie in its folder, whichever part of the run drew them. */
#include "run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The step of a picture of samples; -1: the file is none. */
static int64_t step_of(const char *name)
{
    static const char beginning[] = "samples-";
    char *end;
    if (strncmp(name, beginning, sizeof beginning - 1) != 0 || name[sizeof beginning - 1] < '0' ||
        name[sizeof beginning - 1] > '9')
        return -1;
    errno = 0;
    long long step = strtoll(name + sizeof beginning - 1, &end, 10);
    return errno == 0 && strcmp(end, ".png") == 0 ? step : -1;
}

static int is_picture(const struct dirent *entry)
{
    return step_of(entry->d_name) >= 0;
}

static int by_step(const struct dirent **left, const struct dirent **right)
{
    int64_t a = step_of((*left)->d_name), b = step_of((*right)->d_name);
    return (a > b) - (a < b);
}

/* By the library's reader of pictures: what is damaged, or another's, is told. */
static bool add_picture(run_folder *folder, fcl_history *history, const char *name)
{
    fcl_dataset *drawing = NULL;
    char *path = run_folder_file(folder, name);
    int status = fcl_dataset_open(path, NULL, &drawing);
    if (status == FCL_OK)
        status = fcl_history_add(history, step_of(name), drawing->shape, drawing->bytes);
    if (status != FCL_OK && !folder->failure[0]) /* the first of them is told */
        run_folder_fail(folder, "history.png is drawn without %s: %s", path, fcl_error());
    fcl_dataset_destroy(&drawing);
    free(path);
    return status == FCL_OK;
}

bool run_folder_gather_history(run_folder *folder, fcl_history *history, int64_t step)
{
    struct dirent **entry;
    int which[FCL_HISTORY_MOST], count = scandir(folder->path, &entry, is_picture, by_step), until = 0;
    bool all = true;
    if (count < 0)
        return run_folder_fail(folder, "cannot read %s: %s", folder->path, strerror(errno));
    while (until < count && step_of(entry[until]->d_name) <= step)
        until++;
    int chosen = fcl_history_choose(until, which);
    for (int k = 0; k < chosen; k++)
        all &= add_picture(folder, history, entry[which[k]]->d_name);
    for (int i = 0; i < count; i++)
        free(entry[i]);
    free(entry);
    return all;
}

bool run_folder_draw_history(run_folder *folder, const fcl_history *history)
{
    char *path = run_folder_file(folder, "history.png");
    bool drawn = fcl_history_count(history) == 0 || fcl_history_write(path, history) == FCL_OK ||
                 run_folder_fail(folder, "%s", fcl_error());
    free(path);
    return drawn;
}
