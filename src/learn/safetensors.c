#include "learn/safetensors.h"

#include "base/array.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_SIZE = 8, ALIGN = 64 };

const fcl_safetensor_type fcl_safetensor_f32 = {"F32", 32, true};

static const fcl_safetensor_type bf16 = {"BF16", 16, true};

/* Those that PyTorch saves, and no smaller than a byte. */
static const fcl_safetensor_type other_types[] = {
    {"F16", 16, true},     {"F64", 64, true},     {"BOOL", 8, false},    {"U8", 8, false},
    {"I8", 8, false},      {"U16", 16, false},    {"I16", 16, false},    {"U32", 32, false},
    {"I32", 32, false},    {"U64", 64, false},    {"I64", 64, false},    {"C64", 64, false},
    {"F8_E4M3", 8, false}, {"F8_E5M2", 8, false}, {"F8_E8M0", 8, false},
};
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
    if (memcmp(bytes, "PK\3\4", 4) == 0)
        return damaged(
            where,
            "its header is longer than the file, as it is a zip archive; a file of torch.save becomes one "
            "of this format by safetensors.torch.save_file(torch.load(FILE), NAME)");
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

static const fcl_safetensor_type *find_type(const char *name)
{
    if (strcmp(name, fcl_safetensor_f32.name) == 0)
        return &fcl_safetensor_f32;
    if (strcmp(name, bf16.name) == 0)
        return &bf16;
    for (size_t i = 0; i < sizeof other_types / sizeof *other_types; i++)
        if (strcmp(name, other_types[i].name) == 0)
            return &other_types[i];
    return NULL;
}

static int read_tensor(const char *where, const char *name, const json_t *json, fcl_safetensors *file)
{
    const char *type = json_string_value(json_object_get(json, "dtype"));
    if (!type)
        return bad_tensor(where, name, "has no dtype");
    fcl_safetensor tensor = {.name = name, .type = find_type(type)};
    if (!tensor.type)
        return fcl_fail(FCL_ERR_FORMAT, "%s: tensor \"%s\" has dtype \"%.20s\", which is not known here",
                        where, name, type);
    size_t begin, end;
    if (!fcl_shape_from_json(json_object_get(json, "shape"), &tensor.shape) ||
        !fcl_shape_bytes(tensor.shape, (size_t)tensor.type->bits / 8, &tensor.bytes))
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

/* --- numbers --- */

/* The upper half of a float. */
static void widen(const uint8_t *halves, int64_t count, float *values)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)halves[2 * i] << 16 | (uint32_t)halves[2 * i + 1] << 24;
        memcpy(&values[i], &bits, sizeof bits);
    }
}

static int check_finite(const fcl_safetensor *tensor, const char *where, const float *values)
{
    int64_t count = fcl_shape_size(tensor->shape);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return fcl_fail(FCL_ERR_FORMAT, "%s: number %lld of tensor \"%s\" is %s%s", where,
                            (long long)i + 1, tensor->name, isnan(values[i]) ? "NaN" : "infinite",
                            isinf(values[i]) && tensor->type->bits > 32 ? " in single precision" : "");
    return FCL_OK;
}

int fcl_safetensor_floats(const fcl_safetensor *tensor, const char *where, fcl_array **values)
{
    fcl_npy numbers = {
        .kind = 'f', .item_size = tensor->type->bits / 8, .shape = tensor->shape, .data = tensor->data};
    *values = NULL;
    if (!tensor->type->weights)
        return fcl_fail(FCL_ERR_FORMAT, "%s: tensor \"%s\" has dtype %s; weights are F32, F16, BF16 or F64",
                        where, tensor->name, tensor->type->name);
    int status = tensor->type == &bf16 ? fcl_array_create(tensor->shape, values)
                                       : fcl_npy_floats(&numbers, where, values);
    if (status == FCL_OK && tensor->type == &bf16)
        widen(tensor->data, fcl_shape_size(tensor->shape), (*values)->data);
    if (status == FCL_OK)
        status = check_finite(tensor, where, (*values)->data);
    if (status != FCL_OK)
        fcl_array_destroy(values);
    return status;
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
    bool distinct = json_object_size(header) == (size_t)count + 1;
    char *text = fcl_json_text(header, JSON_COMPACT);
    json_decref(header);
    if (!distinct) {
        free(text);
        return fcl_fail(FCL_ERR_ARGUMENT, "cannot write %s: two of its tensors would have one name", path);
    }
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
