/* What would be taken of a device's memory, before any is: what is made on a rehearsal counts as it would on
 * the device itself, by the same code, but has no memory, no kernels, and runs nothing. */
#ifndef DEVICE_REHEARSAL_H
#define DEVICE_REHEARSAL_H

#include <flowcl/device.h>

typedef struct fcl_room {
    uint64_t bytes;   /* of a device, all its buffers at once; or what they would take at their peak */
    uint64_t largest; /* of one of them */
} fcl_room;

/* Begins with what is in use on the device, which it borrows until its end. */
fcl_device *fcl_rehearsal_begin(const fcl_device *device);
void fcl_rehearsal_end(fcl_device **rehearsal);
bool fcl_device_is_rehearsal(const fcl_device *device);

/* What was needed since it began. */
fcl_room fcl_rehearsal_room(const fcl_device *rehearsal);
/* What the device has: as it says, or less, where its driver has refused more already. */
fcl_room fcl_device_room(const fcl_device *device);

#endif
