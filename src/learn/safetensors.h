/* The safetensors format: eight bytes with the length of a JSON header, the header, the tensors.
 *     {"__metadata__": {"key": "text", ...},
 *      "layers.0.weight": {"dtype": "F32", "shape": [64, 3], "data_offsets": [0, 768]}, ...}
 * Numbers are little-endian, as they lie in memory. F32 alone is written; other types are told apart, and
 * those of weights are turned into it. */
#ifndef LEARN_SAFETENSORS_H
#define LEARN_SAFETENSORS_H

#include <flowcl/base.h>
#include <jansson.h>

/* A type of numbers; `bits` of one. */
typedef struct fcl_safetensor_type {
    const char *name;
    int bits;
    bool weights; /* fcl_safetensor_floats reads it */
} fcl_safetensor_type;

extern const fcl_safetensor_type fcl_safetensor_f32;

typedef struct fcl_safetensor {
    const char *name;
    const fcl_safetensor_type *type; /* not looked at where a file is written */
    fcl_shape shape;
    const void *data; /* inside the file's bytes, at any alignment */
    size_t bytes;
} fcl_safetensor;

typedef struct fcl_safetensors {
    json_t *header;          /* owns the names */
    fcl_safetensor *tensors; /* in the order of their data */
    int count;
    const uint8_t *data; /* everything behind the header */
    size_t data_bytes;
} fcl_safetensors;

/* Understands `bytes`; `where` names them in messages. Everything is checked: the header's length, its JSON
 * without duplicate names, types, shapes, and that the tensors fill the file without overlap or hole.
 * FCL_ERR_FORMAT. */
int fcl_safetensors_parse(const uint8_t *bytes, size_t size, const char *where, fcl_safetensors *file);
void fcl_safetensors_free(fcl_safetensors *file);

/* NULL where there is none of that name. */
const fcl_safetensor *fcl_safetensors_find(const fcl_safetensors *file, const char *name);
const char *fcl_safetensors_metadata(const fcl_safetensors *file, const char *key);

/* The numbers in single precision: exact from F16 and BF16, to the nearest from F64. Each is
 * finite. FCL_ERR_FORMAT: a number is not, or is too large, or the type is none of these; FCL_ERR_MEMORY. */
int fcl_safetensor_floats(const fcl_safetensor *tensor, const char *where, fcl_array **values);

/* An array of at most FCL_MAX_RANK dimensions of 0 or more. */
bool fcl_shape_from_json(const json_t *json, fcl_shape *shape);

/* Hands over the values of a tensor, valid until the next call. */
typedef int fcl_safetensors_source(void *from, int index, const void **values);

/* Writes the file aside, syncs it and renames it. `metadata` is a JSON object of texts. The tensors' data
 * comes from `source`, one after the other, and not from their `data`. FCL_ERR_ARGUMENT: two have one name. */
int fcl_safetensors_write(const char *path, json_t *metadata, int count, const fcl_safetensor *tensors,
                          fcl_safetensors_source *source, void *from);

#endif
