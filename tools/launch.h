/* Starts this program once more, as ranks of MPI: for who names several devices and does not type mpirun. */
#ifndef LAUNCH_H
#define LAUNCH_H

/* How many ranks the devices ask for: their number where a process alone is given a list of them, else 0. FCL_OK, or a
 * status with the library's message. */
int launch_count(const char *device, int *count);

/* Runs so many processes with this one's arguments, hands them what Ctrl-C and SIGTERM ask for, and returns their exit
 * status, or EXIT_FAILED after a sentence. */
int launch_ranks(int count);

#endif
