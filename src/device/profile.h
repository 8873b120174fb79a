/* What the host does beside the device, as lines of the device's profile. */
#ifndef DEVICE_PROFILE_H
#define DEVICE_PROFILE_H

#include <flowcl/device.h>

/* Adds to the line of that name, by the thread that launches; nothing where the device does not profile. */
void fcl_profile_host(fcl_device *device, const char *what, int64_t times, double seconds);

typedef struct fcl_profile fcl_profile;

/* What is made and run until it is taken up again is no part of the profile; NULL where the device does not profile. */
fcl_profile *fcl_profile_lay_aside(fcl_device *device);
void fcl_profile_take_up(fcl_device *device, fcl_profile *profile);

#endif
