#include "train/neighbours.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A name may be that of several machines, and containers of one may have several names: where the system tells, it is the
 * number that it drew when it began. */
static void name_machine(char *name, size_t size)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    bool told = file && fgets(name, (int)size, file);
    if (file)
        fclose(file);
    if (!told)
        gethostname(name, size - 1);
}

/* The memory of every processor's driver is the machine's. Of cards two ranks may see other ones by one number. */
static fcl_neighbour describe(const fcl_device *device)
{
    const fcl_device_info *info = fcl_device_describe(device);
    fcl_neighbour mine;
    memset(&mine, 0, sizeof mine);
    name_machine(mine.machine, sizeof mine.machine);
    if (info->type == FCL_DEVICE_CPU)
        snprintf(mine.device, sizeof mine.device, "cpu");
    else
        snprintf(mine.device, sizeof mine.device, "%d:%d %s", info->platform, info->index, info->card);
    snprintf(mine.name, sizeof mine.name, "%s", info->name);
    mine.parts = info->parts ? info->parts : 1;
    mine.room = fcl_device_room(device);
    return mine;
}

int fcl_neighbours_find(fcl_ranks *ranks, const fcl_device *device, fcl_neighbour *all)
{
    const fcl_neighbour mine = describe(device);
    return fcl_ranks_gather(ranks, sizeof mine, &mine, all);
}

static bool is_one(const fcl_neighbour *a, const fcl_neighbour *b)
{
    return strcmp(a->machine, b->machine) == 0 && strcmp(a->device, b->device) == 0;
}

/* Parts have their part of the memory each: no more of them than there are do not take it from each other. */
int fcl_neighbours_sharing(const fcl_neighbour *all, int count, int rank)
{
    double taken = 0;
    int sharing = 0;
    for (int i = 0; i < count; i++)
        if (is_one(&all[i], &all[rank])) {
            taken += 1.0 / all[i].parts;
            sharing++;
        }
    return taken > 1.001 ? sharing : 1;
}

bool fcl_neighbours_share(const fcl_neighbour *all, int count)
{
    for (int i = 0; i < count; i++)
        if (fcl_neighbours_sharing(all, count, i) > 1)
            return true;
    return false;
}

uint64_t fcl_neighbours_need(const fcl_neighbour *all, const fcl_room *needs, int count, int rank)
{
    uint64_t need = 0;
    for (int i = 0; i < count; i++)
        need += is_one(&all[i], &all[rank]) ? needs[i].bytes : 0;
    return need;
}

uint64_t fcl_neighbours_memory(const fcl_neighbour *all, int count, int rank)
{
    uint64_t memory = UINT64_MAX;
    for (int i = 0; i < count; i++) {
        uint64_t whole = all[i].room.bytes * (uint64_t)all[i].parts;
        memory = is_one(&all[i], &all[rank]) && whole < memory ? whole : memory;
    }
    return memory;
}
