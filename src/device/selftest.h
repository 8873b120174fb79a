/* What the files of the self-test share. */
#ifndef DEVICE_SELFTEST_H
#define DEVICE_SELFTEST_H

#include "device/launch.h"

/* --- a kernel's run, from host arrays to a host array --- */

typedef struct fcl_selftest_input {
    const void *data;
    size_t bytes;
} fcl_selftest_input;

enum { FCL_SELFTEST_INPUTS = 2, FCL_SELFTEST_NUMBERS = 4 };

typedef struct fcl_selftest_trial {
    const char *kernel;
    fcl_selftest_input inputs[FCL_SELFTEST_INPUTS]; /* the first arguments */
    size_t out_bytes;                               /* the buffer after them */
    int numbers[FCL_SELFTEST_NUMBERS];              /* the integers after that */
    int input_count, number_count, dimensions;
    size_t global[2], local[2];
    size_t groups; /* instead of global: groups of local[0] */
} fcl_selftest_trial;

int fcl_selftest_run(fcl_device *device, const fcl_selftest_trial *t, void *out);
/* A new buffer that holds data; zeros where data is NULL. */
int fcl_selftest_upload(fcl_device *device, const void *data, size_t bytes, fcl_buffer **buffer);

/* Keeps the largest error of a line, and words for the first that passes the bound. A NaN is an infinite
 * error. */
void fcl_selftest_judge(fcl_selftest_line *line, double got, double wanted, double scale, const char *what,
                        int index);

/* Numbers in (-1, 1) that look random and are the same everywhere. */
float fcl_selftest_random(uint32_t *state);

/* --- selftest_step.c: what a step of training is made of, in the form that the device gets --- */

int fcl_selftest_math(fcl_device *device, fcl_selftest_line *line);
int fcl_selftest_sums(fcl_device *device, fcl_selftest_line *line);
int fcl_selftest_noise(fcl_device *device, fcl_selftest_line *line);
int fcl_selftest_adamw(fcl_device *device, fcl_selftest_line *line);

#endif
