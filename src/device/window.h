/* A buffer's numbers in the host's memory, to be read and changed there between two steps: on CPUs where they lie, on
 * others in page-locked memory, to which they come, and from which they go back, in pieces.
 *
 *     float *x;
 *     fcl_window_open(window, &x);               // enqueues: what was enqueued before is still at work
 *     fcl_window_wait(window, first, count);     // until these are there
 *     fcl_window_return(window, first, count);   // these were changed
 *     fcl_window_close(window);                  // what is enqueued from here on finds all of them
 *
 * An early one reads pieces before it is opened, as soon as each is complete, and gives each back at once, by queues of its
 * own beside the device's, which goes on meanwhile:
 *
 *     fcl_window_read(window, piece);            // nothing that is enqueued from here to the opening writes there */
#ifndef DEVICE_WINDOW_H
#define DEVICE_WINDOW_H

#include <flowcl/device.h>

enum { FCL_WINDOW_PIECE = 1 << 20 /* numbers: what `first` is a multiple of, and `count`, but for the last */ };

typedef struct fcl_window fcl_window;

/* The buffer is borrowed. An early one has page-locked memory on CPUs, too. */
int fcl_window_create(fcl_buffer *buffer, bool early, fcl_window **window);
void fcl_window_destroy(fcl_window **window);

/* Of an early one. */
int fcl_window_read(fcl_window *window, int64_t piece);
/* The pieces that are not read yet, too. */
int fcl_window_open(fcl_window *window, float **numbers);
int fcl_window_wait(fcl_window *window, int64_t first, int64_t count);
/* Whether a wait for these would end at once. It has to be done all the same: that commands are over says nothing of memory. */
int fcl_window_look(fcl_window *window, int64_t first, int64_t count, bool *there);
int fcl_window_return(fcl_window *window, int64_t first, int64_t count);
int fcl_window_close(fcl_window *window);
/* In place of opening and closing, or between them: what was read is given up, and the buffer stays as it is. */
int fcl_window_drop(fcl_window *window);

#endif
