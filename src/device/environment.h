/* Environment variables that force a variant, for tests and for measuring: CONTRIBUTING.md lists them. */
#ifndef DEVICE_ENVIRONMENT_H
#define DEVICE_ENVIRONMENT_H

/* A variable's text; NULL where it is not set or empty. */
const char *fcl_environment(const char *name);

/* FCL_ERR_ARGUMENT names the first one that holds what it may not. Asked before a device is opened. */
int fcl_environment_check(void);

#endif
