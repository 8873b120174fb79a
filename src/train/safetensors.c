#include "train/safetensors.h"

#include "base/array.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTH_SIZE = 8, ALIGN = 64 };
#define LARGEST_HEADER 100000000u

static int damaged(const char *where, const char *what)
{
    return fcl_fail(FCL_ERR_FORMAT, "%s is not a checkpoint, or is damaged: %s", where, what);
}

/* --- reading --- */

static int read_header(const uint8_t *bytes, size_t size, const char *where, fcl_safetensors *file)
{
    if (size < LENGTH_SIZE)
        return damaged(where, size ? "it is shorter than a header" : "it is empty");
    uint64_t length = 0;
    for (int i = LENGTH_SIZE - 1; i >= 0; i--)
        length = length << 8 | bytes[i];
    if (length > LARGEST_HEADER || length > size - LENGTH_SIZE)
        return damaged(where, "its header is longer than the file");
    json_error_t error;
    file->header = fcl_json_read(bytes + LENGTH_SIZE, length, &error);
    if (!file->header)
        return fcl_fail(FCL_ERR_FORMAT, "%s is not a checkpoint, or is damaged: its header is no JSON (%s)",
                        where, error.text);
    if (!json_is_object(file->header))
        return damaged(where, "its header is no JSON object");
    file->data = bytes + LENGTH_SIZE + length;
    file->data_bytes = size - LENGTH_SIZE - length;
    return FCL_OK;
}

static int bad_tensor(const char *where, const char *name, const char *what)
{
    return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: tensor \"%s\" %s", where, name, what);
}

bool fcl_shape_from_json(const json_t *json, fcl_shape *shape)
{
    if (!json_is_array(json) || json_array_size(json) > FCL_MAX_RANK)
        return false;
    *shape = (fcl_shape){.rank = (int)json_array_size(json)};
    for (int i = 0; i < shape->rank; i++) {
        const json_t *dimension = json_array_get(json, (size_t)i);
        if (!json_is_integer(dimension) || json_integer_value(dimension) < 0)
            return false;
        shape->dim[i] = json_integer_value(dimension);
    }
    return true;
}

/* The half-open range of bytes, inside the data. */
static bool read_range(const json_t *json, size_t limit, size_t *begin, size_t *end)
{
    if (!json_is_array(json) || json_array_size(json) != 2)
        return false;
    const json_t *first = json_array_get(json, 0), *last = json_array_get(json, 1);
    if (!json_is_integer(first) || !json_is_integer(last))
        return false;
    json_int_t low = json_integer_value(first), high = json_integer_value(last);
    *begin = (size_t)low;
    *end = (size_t)high;
    return low >= 0 && low <= high && (uint64_t)high <= limit;
}

static int read_tensor(const char *where, const char *name, const json_t *json, fcl_safetensors *file)
{
    const char *type = json_string_value(json_object_get(json, "dtype"));
    if (!type)
        return bad_tensor(where, name, "has no dtype");
    if (strcmp(type, "F32") != 0)
        return fcl_fail(FCL_ERR_FORMAT,
                        "%s is not a checkpoint: tensor \"%s\" has dtype %.20s, where it has F32", where,
                        name, type);
    fcl_safetensor tensor = {.name = name};
    size_t begin, end;
    if (!fcl_shape_from_json(json_object_get(json, "shape"), &tensor.shape) ||
        !fcl_shape_bytes(tensor.shape, sizeof(float), &tensor.bytes))
        return bad_tensor(where, name, "has no usable shape");
    if (!read_range(json_object_get(json, "data_offsets"), file->data_bytes, &begin, &end))
        return bad_tensor(where, name, "lies outside the file");
    if (end - begin != tensor.bytes)
        return bad_tensor(where, name, "has another size than its shape");
    tensor.data = file->data + begin;
    file->tensors[file->count++] = tensor;
    return FCL_OK;
}

static int by_place(const void *a, const void *b)
{
    const fcl_safetensor *left = a, *right = b;
    if (left->data != right->data)
        return (const char *)left->data < (const char *)right->data ? -1 : 1;
    return left->bytes < right->bytes ? -1 : left->bytes > right->bytes;
}

static int check_places(const char *where, const fcl_safetensors *file)
{
    const uint8_t *next = file->data;
    for (int i = 0; i < file->count; i++) {
        const uint8_t *begin = file->tensors[i].data;
        if (begin != next)
            return bad_tensor(where, file->tensors[i].name,
                              begin < next ? "overlaps another" : "leaves a hole before it");
        next = begin + file->tensors[i].bytes;
    }
    if (next != file->data + file->data_bytes)
        return damaged(where, "bytes follow behind the last tensor");
    return FCL_OK;
}

static int read_tensors(const char *where, fcl_safetensors *file)
{
    file->tensors = fcl_zalloc(json_object_size(file->header) * sizeof *file->tensors);
    const char *name;
    json_t *value;
    json_object_foreach(file->header, name, value)
    {
        if (strcmp(name, "__metadata__") != 0)
            FCL_TRY(read_tensor(where, name, value, file));
        else if (!json_is_object(value))
            return damaged(where, "its metadata is no JSON object");
    }
    qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, by_place);
    return check_places(where, file);
}

int fcl_safetensors_parse(const uint8_t *bytes, size_t size, const char *where, fcl_safetensors *file)
{
    *file = (fcl_safetensors){0};
    int status = read_header(bytes, size, where, file);
    if (status == FCL_OK)
        status = read_tensors(where, file);
    if (status != FCL_OK)
        fcl_safetensors_free(file);
    return status;
}

void fcl_safetensors_free(fcl_safetensors *file)
{
    json_decref(file->header);
    free(file->tensors);
    *file = (fcl_safetensors){0};
}

const fcl_safetensor *fcl_safetensors_find(const fcl_safetensors *file, const char *name)
{
    for (int i = 0; i < file->count; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

const char *fcl_safetensors_metadata(const fcl_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

/* --- writing --- */

static json_t *describe(int count, const fcl_safetensor *tensors, json_t *metadata)
{
    json_t *header = json_object();
    json_object_set(header, "__metadata__", metadata);
    size_t offset = 0;
    for (int i = 0; i < count; i++) {
        json_t *shape = json_array();
        for (int d = 0; d < tensors[i].shape.rank; d++)
            json_array_append_new(shape, json_integer(tensors[i].shape.dim[d]));
        json_object_set_new(header, tensors[i].name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets",
                                      (json_int_t)offset, (json_int_t)(offset + tensors[i].bytes)));
        offset += tensors[i].bytes;
    }
    return header;
}

/* Blanks behind the JSON align the data, as the format allows. */
static void write_header(fcl_file *file, const char *text)
{
    size_t length = strlen(text);
    size_t padded = (LENGTH_SIZE + length + ALIGN - 1) / ALIGN * ALIGN - LENGTH_SIZE;
    uint8_t little[LENGTH_SIZE];
    for (int i = 0; i < LENGTH_SIZE; i++)
        little[i] = (uint8_t)((uint64_t)padded >> 8 * i);
    fcl_file_write(file, little, LENGTH_SIZE);
    fcl_file_format(file, "%-*s", (int)padded, text);
}

static int write_data(fcl_file *file, int count, const fcl_safetensor *tensors,
                      fcl_safetensors_source *source, void *from)
{
    for (int i = 0; i < count; i++) {
        const void *values;
        FCL_TRY(source(from, i, &values));
        fcl_file_write(file, values, tensors[i].bytes);
    }
    return FCL_OK;
}

int fcl_safetensors_write(const char *path, json_t *metadata, int count, const fcl_safetensor *tensors,
                          fcl_safetensors_source *source, void *from)
{
    json_t *header = describe(count, tensors, metadata);
    char *text = fcl_json_text(header, JSON_COMPACT);
    json_decref(header);
    if (!text)
        return fcl_fail(FCL_ERR_FORMAT, "cannot write %s: its metadata is not UTF-8", path);
    fcl_file file;
    int status = fcl_file_create(path, &file);
    if (status == FCL_OK) {
        write_header(&file, text);
        status = write_data(&file, count, tensors, source, from);
        if (status == FCL_OK)
            status = fcl_file_commit(&file);
        else
            fcl_file_abandon(&file);
    }
    free(text);
    return status;
}
