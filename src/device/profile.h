/* What the host does beside the device, as lines of the device's profile. */
#ifndef DEVICE_PROFILE_H
#define DEVICE_PROFILE_H

#include <flowcl/device.h>

/* Adds to the line of that name, by the thread that launches; nothing where the device does not profile. */
void fcl_profile_host(fcl_device *device, const char *what, int64_t times, double seconds);

#endif
