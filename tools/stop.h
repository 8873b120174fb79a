/* Ctrl-C: the first signal asks for a stop, the second one ends the program as it always would. A terminal that closes
 * asks, too, and never ends. */
#ifndef STOP_H
#define STOP_H

#include <signal.h>
#include <stdbool.h>

/* Of ranks, also what Open MPI's launcher hands to each of them (version 4 this one, and not SIGUSR1): told to end, it would
 * leave them a second. */
#define STOP_OF_RANKS SIGUSR2

/* From now on SIGINT, SIGTERM and SIGHUP are waited for by a thread of their own. To be called before any other
 * thread exists (a driver makes some), and once. */
void stop_watch(void);

/* Whether a signal has come. */
bool stop_asked(void);

#endif
