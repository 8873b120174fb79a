/* A buffer's numbers in the host's memory, to be read and changed there between two steps: on CPUs where they lie, on
 * others in page-locked memory, to which they come, and from which they go back, in pieces.
 *
 *     float *x;
 *     fcl_window_open(window, &x);               // enqueues: what was enqueued before is still at work
 *     fcl_window_wait(window, first, count);     // until these are there
 *     fcl_window_return(window, first, count);   // these were changed
 *     fcl_window_close(window);                  // what is enqueued from here on finds all of them */
#ifndef DEVICE_WINDOW_H
#define DEVICE_WINDOW_H

#include <flowcl/device.h>

enum { FCL_WINDOW_PIECE = 1 << 20 /* numbers: what `first` is a multiple of, and `count`, but for the last */ };

typedef struct fcl_window fcl_window;

/* The buffer is borrowed. */
int fcl_window_create(fcl_buffer *buffer, fcl_window **window);
void fcl_window_destroy(fcl_window **window);

int fcl_window_open(fcl_window *window, float **numbers);
int fcl_window_wait(fcl_window *window, int64_t first, int64_t count);
int fcl_window_return(fcl_window *window, int64_t first, int64_t count);
int fcl_window_close(fcl_window *window);

#endif
