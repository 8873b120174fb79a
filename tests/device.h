/* A device for a group of tests: open_device and close_device are its set-up and tear-down, *state the device. */
#ifndef TESTS_DEVICE_H
#define TESTS_DEVICE_H

#include "status.h"

#include <flowcl/device.h>

static inline int open_device(void **state)
{
    fcl_device *device = NULL;
    int status = fcl_device_open(NULL, NULL, &device);
    if (status != FCL_OK)
        print_error("%s\n", fcl_error());
    *state = device;
    return status;
}

static inline int close_device(void **state)
{
    fcl_device *device = *state;
    fcl_device_close(&device);
    return 0;
}

#endif
