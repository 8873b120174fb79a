/* The clock that only goes forward. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/* Seconds since some moment before the program's start. */
double fcl_clock_seconds(void);

#endif
