#include "device/opencl.h"

#include "base/memory.h"

#include <stdlib.h>

fcl_device *fcl_rehearsal_begin(const fcl_device *device)
{
    fcl_device *rehearsal = fcl_zalloc(sizeof *rehearsal);
    *rehearsal = *device;
    rehearsal->rehearsal = true;
    rehearsal->batch_tested = true;
    if (device->temporary) /* of products that were made before; a rehearsal makes its own, as large as it needs */
        rehearsal->memory -= device->temporary->bytes;
    rehearsal->memory_peak = rehearsal->memory;
    rehearsal->largest = 0;
    rehearsal->program = NULL;
    rehearsal->programs = NULL;
    rehearsal->profile = NULL;
    rehearsal->fence = NULL;
    rehearsal->temporary = NULL;
    return rehearsal;
}

void fcl_rehearsal_end(fcl_device **rehearsal)
{
    fcl_device *ending = *rehearsal;
    if (!ending)
        return;
    fcl_buffer_destroy(&ending->temporary);
    fcl_device_programs_destroy(ending);
    free(ending);
    *rehearsal = NULL;
}

bool fcl_device_is_rehearsal(const fcl_device *device)
{
    return device->rehearsal;
}

fcl_room fcl_rehearsal_room(const fcl_device *rehearsal)
{
    return (fcl_room){rehearsal->memory_peak, rehearsal->largest};
}

fcl_room fcl_device_room(const fcl_device *device)
{
    uint64_t all = device->info.memory;
    bool less = device->refused && device->refused < all;
    return (fcl_room){less ? device->refused : all, device->info.max_allocation};
}
