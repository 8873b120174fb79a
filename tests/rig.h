/* What the tests of training and of sampling have in common: a device, a folder for files, and fresh draws. */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include "scratch.h"
#include "status.h"
#include "trial.h"

#include <flowcl/device.h>

static fcl_device *device;

/* Set-up and tear-down of a group of tests. */
static inline int rig_up(void **state)
{
    trial_seed();
    if (fcl_device_open(NULL, NULL, &device) == FCL_OK)
        return scratch_setup(state);
    print_error("%s\n", fcl_error());
    return -1;
}

static inline int rig_down(void **state)
{
    fcl_device_close(&device);
    return scratch_teardown(state);
}

#endif
