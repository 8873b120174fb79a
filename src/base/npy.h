/* NumPy's .npy format, versions 1 to 3 (numpy.lib.format). */
#ifndef BASE_NPY_H
#define BASE_NPY_H

#include <flowcl/base.h>
#include "base/file.h"
#include "base/words.h"

/* An array as it lies in a file's bytes. */
typedef struct fcl_npy {
    char kind;     /* 'f' float, 'i' signed, 'u' unsigned, 'b' bool, 'U' text in Unicode, 'S' in bytes */
    int item_size; /* bytes of an element */
    bool big_endian;
    bool fortran; /* the first index runs fastest */
    fcl_shape shape;
    const uint8_t *data; /* inside the bytes that were parsed */
    uint8_t *whole;      /* NULL, or an allocation of the elements alone: who takes it over sets NULL here */
} fcl_npy;

/* Understands `bytes` as a .npy file; `where` names them in messages. The data is checked to be all there. */
int fcl_npy_parse(const uint8_t *bytes, size_t size, const char *where, fcl_npy *npy);

/* The same of the beginning of a file of `whole` bytes, of which `size` are there: as many as fcl_npy_head_size says, or
 * all. The data are not, but in the file there is room for them. */
enum { FCL_NPY_LONGEST_HEADER = 1 << 20 };
int fcl_npy_parse_head(const uint8_t *bytes, size_t size, uint64_t whole, const char *where, fcl_npy *npy);
/* How many bytes the header takes, as the first `size` of a file tell: at most FCL_NPY_LONGEST_HEADER; 0 where they tell of
 * none. */
size_t fcl_npy_head_size(const uint8_t *bytes, size_t size);

/* A new array of its values, in C order and single precision; text is refused. */
int fcl_npy_floats(const fcl_npy *npy, const char *where, fcl_array **array);
/* The same to where there is room for them; of numbers. */
void fcl_npy_convert(const fcl_npy *npy, float *to);

/* Copies the elements, whatever they are, in C order: fcl_shape_size(shape) * item_size bytes. */
void fcl_npy_copy(const fcl_npy *npy, void *destination);

/* Its text, in C order: of element i the words->number[i]. FCL_ERR_ARGUMENT where there are more than `most`
 * different ones. */
int fcl_npy_words(const fcl_npy *npy, const char *where, int most, fcl_words *words);

/* The header of an array in C order and this machine's byte order, of `size` letters (kind 'U') or bytes an
 * element, padded to a multiple of 64 bytes; its length is returned. */
enum { FCL_NPY_HEADER_SIZE = 256 };
size_t fcl_npy_header(char kind, int size, fcl_shape shape, char header[FCL_NPY_HEADER_SIZE]);

int fcl_npy_write(const char *path, const fcl_array *array);

/* A whole file of one dimension in memory, of whole numbers of 4 bytes or, where `word` is not NULL, of the
 * words that they are numbers of. *bytes is released by free. */
int fcl_npy_encode_labels(int64_t count, const int32_t *number, const char *const *word, uint8_t **bytes,
                          size_t *size);

#endif
