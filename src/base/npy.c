#include "base/npy.h"

#include "base/array.h"
#include "base/error.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIG_ENDIAN_HOST (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

/* The header's text is a Python dict literal:
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (1000, 2), }
 * padded with spaces and ended by a newline. The cursor reads it token by token. */
typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_spaces(cursor *c)
{
    while (c->at < c->end && isspace((unsigned char)*c->at))
        c->at++;
}

static bool take(cursor *c, const char *token)
{
    skip_spaces(c);
    size_t length = strlen(token);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, token, length) != 0)
        return false;
    c->at += length;
    return true;
}

/* A quoted word of at most 15 letters. */
static bool take_string(cursor *c, char word[16])
{
    skip_spaces(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return false;
    char quote = *c->at++;
    for (int n = 0; n < 16 && c->at < c->end; n++) {
        char letter = *c->at++;
        word[n] = letter == quote ? 0 : letter;
        if (letter == quote)
            return true;
    }
    return false;
}

static bool take_number(cursor *c, int64_t *number)
{
    skip_spaces(c);
    const char *first = c->at;
    *number = 0;
    for (; c->at < c->end && isdigit((unsigned char)*c->at); c->at++) {
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, *c->at - '0', number))
            return false;
    }
    bool found = c->at > first;
    take(c, "L"); /* as Python 2 wrote it */
    return found;
}

/* (), (5,), (2, 3) or (2, 3,). A rank above FCL_MAX_RANK is counted but not kept. */
static bool take_shape(cursor *c, fcl_shape *shape)
{
    *shape = FCL_SCALAR;
    if (!take(c, "("))
        return false;
    while (!take(c, ")")) {
        int64_t dim;
        if (!take_number(c, &dim))
            return false;
        if (shape->rank < FCL_MAX_RANK)
            shape->dim[shape->rank] = dim;
        shape->rank++;
        if (!take(c, ",") && (c->at == c->end || *c->at != ')'))
            return false;
    }
    return true;
}

typedef struct header {
    char descr[16];
    bool fortran;
    fcl_shape shape;
    bool records; /* the elements are not numbers but structures */
    unsigned seen;
} header;

enum { SEEN_DESCR = 1, SEEN_ORDER = 2, SEEN_SHAPE = 4, SEEN_ALL = 7 };

static bool take_value(cursor *c, const char *key, header *h)
{
    if (strcmp(key, "descr") == 0) {
        h->seen |= SEEN_DESCR;
        h->records = !take_string(c, h->descr);
        return !h->records;
    }
    if (strcmp(key, "fortran_order") == 0) {
        h->seen |= SEEN_ORDER;
        h->fortran = take(c, "True");
        return h->fortran || take(c, "False");
    }
    h->seen |= SEEN_SHAPE;
    return strcmp(key, "shape") == 0 && take_shape(c, &h->shape);
}

static bool take_header(cursor *c, header *h)
{
    if (!take(c, "{"))
        return false;
    while (!take(c, "}")) {
        char key[16];
        if (!take_string(c, key) || !take(c, ":") || !take_value(c, key, h))
            return false;
        if (!take(c, ",") && (c->at == c->end || *c->at != '}'))
            return false;
    }
    return h->seen == SEEN_ALL;
}

enum { MOST_LETTERS = 4096 };

/* The element types that are read: kind and size, as in '<f4'. */
static const char *const types[] = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"};

/* "U12": 12 letters of 4 bytes each; "S12": 12 bytes. */
static bool text_type_parse(const char *type, fcl_npy *npy)
{
    char *end;
    long letters = strtol(type + 1, &end, 10);
    npy->kind = *type;
    npy->item_size = *type == 'U' ? 4 * (int)letters : (int)letters;
    return isdigit((unsigned char)type[1]) && !*end && letters >= 1 && letters <= MOST_LETTERS;
}

static bool type_parse(const char *descr, fcl_npy *npy)
{
    char order = *descr;
    if (!order || !strchr("<>=|", order))
        return false;
    npy->big_endian = order == '>' || (order == '=' && BIG_ENDIAN_HOST);
    if (descr[1] == 'U' || descr[1] == 'S')
        return text_type_parse(descr + 1, npy);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(descr + 1, types[i]) == 0) {
            npy->kind = types[i][0];
            npy->item_size = types[i][1] - '0';
            return true;
        }
    }
    return false;
}

static bool has_mark(const uint8_t *bytes, size_t size)
{
    return size >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0;
}

/* Magic, version, length in 2 bytes (version 1) or 4, both little-endian: where the text begins, and how long it is, 0
 * where fewer bytes are there. */
static size_t read_length(const uint8_t *bytes, size_t size, size_t *length)
{
    size_t start = bytes[6] == 1 ? 10 : 12;
    *length = 0;
    for (size_t i = start; i > 8 && size >= start; i--)
        *length = *length << 8 | bytes[i - 1];
    return start;
}

size_t fcl_npy_head_size(const uint8_t *bytes, size_t size)
{
    size_t length;
    if (!has_mark(bytes, size) || size < 8)
        return 0;
    size_t whole = read_length(bytes, size, &length) + length;
    return whole < FCL_NPY_LONGEST_HEADER ? whole : FCL_NPY_LONGEST_HEADER;
}

/* Finds the header's text. */
static int find_header(const uint8_t *bytes, size_t size, const char *where, cursor *text)
{
    if (!has_mark(bytes, size))
        return fcl_fail(FCL_ERR_FORMAT, "%s is not a .npy array: it does not begin with the mark of one",
                        where);
    if (size < 8)
        return fcl_fail(FCL_ERR_FORMAT, "%s is cut off after %zu bytes, inside its header", where, size);
    if (bytes[6] < 1 || bytes[6] > 3)
        return fcl_fail(FCL_ERR_FORMAT, "%s is a .npy array of version %d; versions 1 to 3 are read", where,
                        bytes[6]);
    size_t length, start = read_length(bytes, size, &length);
    if (size < start || size - start < length)
        return fcl_fail(FCL_ERR_FORMAT, "%s is cut off after %zu bytes, inside its header", where, size);
    *text = (cursor){(const char *)bytes + start, (const char *)bytes + start + length};
    return FCL_OK;
}

static int check_data(const fcl_npy *npy, uint64_t found, const char *where)
{
    char text[FCL_SHAPE_TEXT];
    size_t expected;
    if (!fcl_shape_bytes(npy->shape, (size_t)npy->item_size, &expected))
        return fcl_fail(FCL_ERR_FORMAT, "%s claims the shape %s, which no memory can hold", where,
                        fcl_shape_format(npy->shape, text));
    if (found < expected)
        return fcl_fail(FCL_ERR_FORMAT, "%s is cut off: its shape %s needs %zu bytes of data, %llu are there",
                        where, fcl_shape_format(npy->shape, text), expected, (unsigned long long)found);
    if (found > expected)
        return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: its shape %s needs %zu bytes of data, %llu are there",
                        where, fcl_shape_format(npy->shape, text), expected, (unsigned long long)found);
    return FCL_OK;
}

int fcl_npy_parse_head(const uint8_t *bytes, size_t size, uint64_t whole, const char *where, fcl_npy *npy)
{
    cursor text;
    FCL_TRY(find_header(bytes, size, where, &text));
    header h = {0};
    if (!take_header(&text, &h))
        return fcl_fail(FCL_ERR_FORMAT,
                        h.records ? "%s holds records or long strings; only arrays of numbers are read"
                                  : "%s has a damaged .npy header",
                        where);
    *npy = (fcl_npy){.fortran = h.fortran, .shape = h.shape, .data = (const uint8_t *)text.end};
    if (!type_parse(h.descr, npy))
        return fcl_fail(FCL_ERR_FORMAT,
                        "%s has elements of type '%s'; floats of 2, 4 or 8 bytes, integers, booleans and, as "
                        "labels, text are read",
                        where, h.descr);
    if (h.shape.rank > FCL_MAX_RANK)
        return fcl_fail(FCL_ERR_FORMAT, "%s has %d dimensions; at most %d are read", where, h.shape.rank,
                        FCL_MAX_RANK);
    return check_data(npy, whole - (uint64_t)(npy->data - bytes), where);
}

int fcl_npy_parse(const uint8_t *bytes, size_t size, const char *where, fcl_npy *npy)
{
    return fcl_npy_parse_head(bytes, size, size, where, npy);
}

/* IEEE half precision: sign, 5 bits of exponent with bias 15, 10 bits of fraction. */
static double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double magnitude = exponent == 31 ? (fraction ? NAN : INFINITY)
                       : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                      : ldexp(fraction, -24);
    return bits >> 15 ? -magnitude : magnitude;
}

static float element_value(const fcl_npy *npy, const uint8_t *element)
{
    int size = npy->item_size;
    uint64_t bits = 0;
    for (int i = 0; i < size; i++)
        bits = bits << 8 | element[npy->big_endian ? i : size - 1 - i];
    if (npy->kind == 'b')
        return bits != 0;
    if (npy->kind == 'u')
        return (float)bits;
    if (npy->kind == 'i')
        return (float)((int64_t)(bits << (64 - 8 * size)) >> (64 - 8 * size)); /* extends the sign */
    if (size == 2)
        return (float)half_value((uint16_t)bits);
    if (size == 4)
        return (union {
                   uint32_t bits;
                   float value;
               }){(uint32_t)bits}
            .value;
    return (float)(union {
               uint64_t bits;
               double value;
           }){bits}
        .value;
}

/* Where the elements lie, in C order: an odometer over the indices that carries the offset along. */
typedef struct walk {
    int64_t index[FCL_MAX_RANK], stride[FCL_MAX_RANK], offset;
} walk;

static walk walk_start(const fcl_npy *npy)
{
    walk w = {0};
    int64_t stride = 1;
    for (int i = 0; i < npy->shape.rank; i++) {
        int axis = npy->fortran ? i : npy->shape.rank - 1 - i;
        w.stride[axis] = stride;
        stride *= npy->shape.dim[axis];
    }
    return w;
}

static void walk_step(walk *w, fcl_shape shape)
{
    for (int axis = shape.rank - 1; axis >= 0; axis--) {
        w->offset += w->stride[axis];
        if (++w->index[axis] < shape.dim[axis])
            return;
        w->offset -= w->stride[axis] * shape.dim[axis];
        w->index[axis] = 0;
    }
}

void fcl_npy_copy(const fcl_npy *npy, void *destination)
{
    size_t item = (size_t)npy->item_size, count = (size_t)fcl_shape_size(npy->shape);
    if (!npy->fortran) {
        memcpy(destination, npy->data, count * item);
        return;
    }
    walk w = walk_start(npy);
    for (size_t i = 0; i < count; i++, walk_step(&w, npy->shape))
        memcpy((uint8_t *)destination + i * item, npy->data + (size_t)w.offset * item, item);
}

void fcl_npy_convert(const fcl_npy *npy, float *to)
{
    if (npy->kind == 'f' && npy->item_size == 4 && npy->big_endian == BIG_ENDIAN_HOST) {
        fcl_npy_copy(npy, to);
        return;
    }
    walk w = walk_start(npy);
    int64_t count = fcl_shape_size(npy->shape);
    for (int64_t i = 0; i < count; i++, walk_step(&w, npy->shape))
        to[i] = element_value(npy, npy->data + w.offset * npy->item_size);
}

int fcl_npy_floats(const fcl_npy *npy, const char *where, fcl_array **array)
{
    *array = NULL;
    if (npy->kind == 'U' || npy->kind == 'S')
        return fcl_fail(FCL_ERR_FORMAT, "%s holds text, and numbers are wanted", where);
    if (fcl_array_create(npy->shape, array) != FCL_OK)
        return fcl_fail_within(FCL_ERR_MEMORY, "%s", where);
    fcl_npy_convert(npy, (*array)->data);
    return FCL_OK;
}

size_t fcl_npy_header(char kind, int size, fcl_shape shape, char header_text[FCL_NPY_HEADER_SIZE])
{
    char dims[FCL_SHAPE_TEXT];
    char *text = header_text + 10;
    int used =
        snprintf(text, FCL_NPY_HEADER_SIZE - 10, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': %s, }",
                 BIG_ENDIAN_HOST ? '>' : '<', kind, size, fcl_shape_format(shape, dims));
    size_t total = (10 + (size_t)used + 1 + 63) / 64 * 64;
    memset(text + used, ' ', total - 10 - (size_t)used);
    header_text[total - 1] = '\n';
    memcpy(header_text, "\x93NUMPY\x01\x00", 8);
    header_text[8] = (char)((total - 10) & 255);
    header_text[9] = (char)((total - 10) >> 8);
    return total;
}

int fcl_npy_write(const char *path, const fcl_array *array)
{
    char text[FCL_NPY_HEADER_SIZE];
    fcl_file file;
    FCL_TRY(fcl_file_create(path, &file));
    fcl_file_write(&file, text, fcl_npy_header('f', 4, array->shape, text));
    fcl_file_write(&file, array->data, (size_t)fcl_shape_size(array->shape) * sizeof(float));
    return fcl_file_commit(&file);
}
