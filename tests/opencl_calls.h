/* What a thread asks of OpenCL, CLBlast's calls among them: a test that links opencl_calls.c has functions of the
 * loader's names, which count and go on to the loader's. */
#ifndef TESTS_OPENCL_CALLS_H
#define TESTS_OPENCL_CALLS_H

/* Set to {0}, call, look. */
typedef struct opencl_calls {
    int waits;    /* for the device: clFinish, clWaitForEvents, blocking copies and maps */
    int launches; /* of kernels */
    int reads;    /* of buffers; and how many launches were before the first of them */
    int launches_before_reads;
    int writes;   /* from the host's memory to the device's */
} opencl_calls;

extern _Thread_local opencl_calls calls;

#endif
