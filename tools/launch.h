/* Starts this program once more, as ranks of MPI: for who names several devices and does not type mpirun. */
#ifndef LAUNCH_H
#define LAUNCH_H

#include <stdbool.h>

/* Where a process alone is given a list of devices: true, with the exit status of its ranks, a process each, or of a failure
 * that was told. */
bool launch_listed(const char *device, int *status);

/* Runs so many processes with this one's arguments, hands them what Ctrl-C and SIGTERM ask for, and returns their exit
 * status, or EXIT_FAILED after a sentence. */
int launch_ranks(int count);

#endif
