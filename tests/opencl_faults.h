/* Calls of OpenCL that fail: a test that links opencl_faults.c has functions of the loader's names, for
 * itself, the library and CLBlast, which count, fail where they are told to, and otherwise go on to the
 * loader's. They also count the objects that are made and released. */
#ifndef TESTS_OPENCL_FAULTS_H
#define TESTS_OPENCL_FAULTS_H

#include <stdbool.h>

typedef enum opencl_object {
    OPENCL_CONTEXT,
    OPENCL_QUEUE,
    OPENCL_MEMORY, /* buffers, and slices of them */
    OPENCL_PROGRAM,
    OPENCL_KERNEL,
    OPENCL_EVENT,
    OPENCL_MAP, /* of a buffer into the host's memory */
    OPENCL_OBJECTS
} opencl_object;

typedef struct opencl_faults {
    int at;    /* the call that fails, from 1; 0: none */
    int code;  /* what it returns; of waits: that a command has failed */
    bool gone; /* so do all behind it, with another code, as of a device that is gone, but releases and what
                  asks the driver for facts */
    _Atomic int calls;
    const char *failed; /* the function that failed first; NULL: none has */
    _Atomic int alive[OPENCL_OBJECTS];
} opencl_faults;

extern opencl_faults faults;

extern const char *const opencl_object_names[OPENCL_OBJECTS];

#endif
