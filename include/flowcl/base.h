/* flowcl/base.h: what every layer shares: errors and shapes.
 *
 * Errors. A function that can fail returns FCL_OK (0) or one of the codes below, and leaves one sentence
 * with the facts (what, where, what to do) in a message of the calling thread:
 *
 *     if (fcl_device_open("gpu", NULL, &device) != FCL_OK)
 *         fprintf(stderr, "%s\n", fcl_error());
 *
 * Ownership. create/destroy own memory, open/close own something outside the program. A destroy or close
 * takes the address of the handle, accepts a NULL handle and leaves NULL. Arguments are borrowed for the
 * call only. Nothing here is global but the thread's message; one graph belongs to one thread at a time. */
#ifndef FLOWCL_BASE_H
#define FLOWCL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FCL_API __attribute__((visibility("default")))

/* code, what it means in general */
#define FCL_ERRORS(X)                                                                                       \
    X(FCL_OK, "success")                                                                                    \
    X(FCL_ERR_ARGUMENT, "an argument or option is not usable")                                              \
    X(FCL_ERR_MEMORY, "out of memory, on the host or on the device")                                        \
    X(FCL_ERR_FILE, "a file could not be opened, read or written")                                          \
    X(FCL_ERR_FORMAT, "a file's content is damaged or of a foreign format")                                 \
    X(FCL_ERR_DEVICE, "no such device, or the device is refused")                                           \
    X(FCL_ERR_OPENCL, "an OpenCL or CLBlast call failed")                                                   \
    X(FCL_ERR_BUILD, "a kernel did not compile")                                                            \
    X(FCL_ERR_SHAPE, "shapes in a graph do not fit")                                                        \
    X(FCL_ERR_NUMERIC, "a value became NaN or infinite")                                                    \
    X(FCL_ERR_STOPPED, "stopped at the caller's request")                                                   \
    X(FCL_ERR_UNSUPPORTED, "this build or this combination does not support it")                            \
    X(FCL_ERR_RANK, "another of the processes that work together has ended")

typedef enum fcl_status {
#define X(code, text) code,
    FCL_ERRORS(X)
#undef X
} fcl_status;

/* The sentence that describes the calling thread's last failure; "" before the first one. Valid until the
 * thread's next failing call. */
FCL_API const char *fcl_error(void);

/* The name of a code ("FCL_ERR_FILE") and what it means in general; "unknown" for any other number. */
FCL_API const char *fcl_status_name(int status);
FCL_API const char *fcl_status_text(int status);

/* What is told and asked during a call that may take long: reading or making data, sampling, a distance, an
 * evaluation of densities. Some ten times a second, in the calling thread:
 *
 *     progress   `what` is being done ("sampling"), and how much of it is: a share from 0 to 1
 *     stop       true: the call ends with FCL_ERR_STOPPED and leaves nothing behind
 *
 * Either may be NULL. A training has hooks of its own (train.h), and asks this watch while it reads or
 * makes its data, which a thread of its own does. */
typedef struct fcl_watch {
    void *data;
    bool (*stop)(void *data);
    void (*progress)(void *data, const char *what, double share);
} fcl_watch;

/* The watch of the calling thread from now on; borrowed until another is set. NULL: none, as at the start. */
FCL_API void fcl_watch_set(const fcl_watch *watch);

/* Releases memory that a flowcl function allocated and handed over (its comment says so). */
FCL_API void fcl_free(void *memory);

/* Writes a file as every function here does: whole or not at all, as it is written aside, synced and renamed over the old
 * one. Of an old one links, mode and owner stay; a device, a pipe or /dev/stdout is written directly. */
FCL_API int fcl_file_replace(const char *path, const void *bytes, size_t size);

/* A tensor's extent, outermost first: (rows, columns) is {2, {rows, columns}}. Rank 0 is a scalar. */
#define FCL_MAX_RANK 8

typedef struct fcl_shape {
    int rank;
    int64_t dim[FCL_MAX_RANK];
} fcl_shape;

/* FCL_SHAPE(256, 64) is a shape literal of rank 2. */
#ifndef __cplusplus
#define FCL_SHAPE(...)                                                                                      \
    ((fcl_shape){.rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .dim = {__VA_ARGS__}})
#define FCL_SCALAR ((fcl_shape){.rank = 0})
#else
extern "C++" template <class... extent> constexpr fcl_shape fcl_shape_of(extent... dim)
{
    return fcl_shape{(int)sizeof...(dim), {(int64_t)dim...}};
}
#define FCL_SHAPE(...) fcl_shape_of(__VA_ARGS__)
#define FCL_SCALAR     fcl_shape_of()
#endif

/* The number of elements: the product of the dimensions, 1 for a scalar. */
static inline int64_t fcl_shape_size(fcl_shape shape)
{
    int64_t size = 1;
    for (int i = 0; i < shape.rank; i++)
        size *= shape.dim[i];
    return size;
}

/* An array on the host: float32 in C order (the last index runs fastest). Open data; `data` belongs to it. */
typedef struct fcl_array {
    fcl_shape shape;
    float *data; /* fcl_shape_size(shape) values */
} fcl_array;

/* A new array of zeros. FCL_ERR_SHAPE for a negative dimension or a size that overflows, FCL_ERR_MEMORY. */
FCL_API int fcl_array_create(fcl_shape shape, fcl_array **array);
FCL_API void fcl_array_destroy(fcl_array **array);

#ifdef __cplusplus
}
#endif

#endif
