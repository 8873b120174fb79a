/* NumPy's .npy format, versions 1 to 3 (numpy.lib.format). */
#ifndef BASE_NPY_H
#define BASE_NPY_H

#include <flowcl/base.h>
#include "base/file.h"

/* An array as it lies in a file's bytes. */
typedef struct fcl_npy {
    char kind;     /* 'f' float, 'i' signed, 'u' unsigned, 'b' bool */
    int item_size; /* bytes of an element */
    bool big_endian;
    bool fortran; /* the first index runs fastest */
    fcl_shape shape;
    const uint8_t *data; /* inside the bytes that were parsed */
    uint8_t *whole;      /* NULL, or an allocation of the elements alone: who takes it over sets NULL here */
} fcl_npy;

/* Understands `bytes` as a .npy file; `where` names them in messages. The data is checked to be all there. */
int fcl_npy_parse(const uint8_t *bytes, size_t size, const char *where, fcl_npy *npy);

/* A new array of its values, in C order and single precision. */
int fcl_npy_floats(const fcl_npy *npy, const char *where, fcl_array **array);

/* Copies the elements, whatever they are, in C order: fcl_shape_size(shape) * item_size bytes. */
void fcl_npy_copy(const fcl_npy *npy, void *destination);

/* The header of an array of floats in C order and this machine's byte order, padded to a multiple of 64
 * bytes; its length is returned. */
enum { FCL_NPY_HEADER_SIZE = 256 };
size_t fcl_npy_header(fcl_shape shape, char header[FCL_NPY_HEADER_SIZE]);

int fcl_npy_write(const char *path, const fcl_array *array);

#endif
