/* File formats of the host: .npy, .npz, .csv, .png. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"

#include "base/csv.h"
#include "base/file.h"
#include "base/npz.h"
#include "base/png.h"
#include "scratch.h"

#include <locale.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>

#define assert_says(part) assert_non_null(strstr(fcl_error(), part))

/* .npy: headers and data written byte by byte. */

typedef struct bytes {
    uint8_t data[1024];
    size_t size;
} bytes;

static bytes make_npy(int version, const char *header, const void *data, size_t size)
{
    bytes file = {.size = 0};
    memcpy(file.data, "\x93NUMPY", 6);
    file.data[6] = (uint8_t)version;
    size_t length = strlen(header), at = version == 1 ? 10 : 12;
    for (size_t i = 8; i < at; i++)
        file.data[i] = (uint8_t)(length >> (8 * (i - 8)));
    memcpy(file.data + at, header, length);
    memcpy(file.data + at + length, data, size);
    file.size = at + length + size;
    return file;
}

static int parse(const bytes *file, fcl_array **array)
{
    fcl_npy npy;
    *array = NULL;
    int status = fcl_npy_parse(file->data, file->size, "file.npy", &npy);
    return status == FCL_OK ? fcl_npy_floats(&npy, "file.npy", array) : status;
}

typedef struct type_case {
    const char *descr;
    const char *data; /* three elements */
    size_t size;
    float value[3];
} type_case;

/* clang-format off */
static const type_case type_cases[] = {
    {"<f4", "\0\0\x80\x3f" "\0\0\0\xc0" "\0\0\x20\x41", 12, {1, -2, 10}},
    {">f4", "\x3f\x80\0\0" "\xc0\0\0\0" "\x41\x20\0\0", 12, {1, -2, 10}},
    {"<f8", "\0\0\0\0\0\0\xf0\x3f" "\0\0\0\0\0\0\0\xc0" "\0\0\0\0\0\0\x24\x40", 24, {1, -2, 10}},
    {">f8", "\x3f\xf0\0\0\0\0\0\0" "\xc0\0\0\0\0\0\0\0" "\x40\x24\0\0\0\0\0\0", 24, {1, -2, 10}},
    {"<f2", "\0\x3c" "\0\xc0" "\1\0", 6, {1, -2, 5.9604644775390625e-8f}}, /* the last one is subnormal */
    {">f2", "\x3c\0" "\x7b\xff" "\x80\0", 6, {1, 65504, -0.0f}},
    {"|i1", "\x7f\x80\xff", 3, {127, -128, -1}},
    {"<i2", "\xff\x7f" "\0\x80" "\xff\xff", 6, {32767, -32768, -1}},
    {">i2", "\x7f\xff" "\x80\0" "\xff\xff", 6, {32767, -32768, -1}},
    {"<i4", "\1\0\0\0" "\0\1\0\0" "\xfe\xff\xff\xff", 12, {1, 256, -2}},
    {">i4", "\0\0\0\1" "\0\0\1\0" "\xff\xff\xff\xfe", 12, {1, 256, -2}},
    {"<i8", "\1\0\0\0\0\0\0\0" "\0\0\0\0\1\0\0\0" "\xfe\xff\xff\xff\xff\xff\xff\xff", 24, {1, 4294967296.f, -2}},
    {"|u1", "\x7f\x80\xff", 3, {127, 128, 255}},
    {"<u2", "\xff\x7f" "\0\x80" "\xff\xff", 6, {32767, 32768, 65535}},
    {">u4", "\0\0\0\1" "\0\0\1\0" "\xff\xff\xff\xff", 12, {1, 256, 4294967295.f}},
    {"<u8", "\1\0\0\0\0\0\0\0" "\0\0\0\0\1\0\0\0" "\0\0\0\0\0\0\0\x80", 24, {1, 4294967296.f, 9223372036854775808.f}},
    {"|b1", "\0\1\2", 3, {0, 1, 1}},
};
/* clang-format on */

static void npy_reads_every_type_and_byte_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof type_cases / sizeof *type_cases; i++) {
        const type_case *c = &type_cases[i];
        char header[128];
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (3,), }  \n",
                 c->descr);
        bytes file = make_npy(1, header, c->data, c->size);
        fcl_array *array;
        assert_int_equal(parse(&file, &array), FCL_OK);
        assert_int_equal(array->shape.rank, 1);
        assert_int_equal(array->shape.dim[0], 3);
        for (int k = 0; k < 3; k++)
            assert_true(array->data[k] == c->value[k]);
        fcl_array_destroy(&array);
    }
}

static void npy_reads_versions_key_orders_and_shapes(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n",
        "{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"|u1\"}",
        " { 'fortran_order' : False , 'shape' : ( 2L , 3L , ) , 'descr' : '|u1' } ",
    };
    for (int version = 1; version <= 3; version++) {
        bytes file = make_npy(version, headers[version - 1], "\1\2\3\4\5\6", 6);
        fcl_array *array;
        assert_int_equal(parse(&file, &array), FCL_OK);
        assert_int_equal(array->shape.rank, 2);
        assert_int_equal(array->shape.dim[1], 3);
        for (int i = 0; i < 6; i++)
            assert_true(array->data[i] == i + 1);
        fcl_array_destroy(&array);
    }
    bytes scalar = make_npy(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (), }", "\7", 1);
    fcl_array *array;
    assert_int_equal(parse(&scalar, &array), FCL_OK);
    assert_int_equal(array->shape.rank, 0);
    assert_true(array->data[0] == 7);
    fcl_array_destroy(&array);
}

/* Element (i, j, k) of a (2, 3, 2) array is 100 i + 10 j + k; in Fortran order i runs fastest. */
static void npy_turns_fortran_order(void **state)
{
    (void)state;
    static const char *const types[] = {"|u1", "<f4"};
    for (int t = 0; t < 2; t++) {
        uint8_t small[12];
        float wide[12];
        for (int n = 0; n < 12; n++) {
            small[n] = (uint8_t)(100 * (n % 2) + 10 * (n / 2 % 3) + n / 6);
            wide[n] = small[n];
        }
        char header[128];
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': True, 'shape': (2, 3, 2), }",
                 types[t]);
        bytes file = make_npy(1, header, t ? (void *)wide : (void *)small, t ? sizeof wide : sizeof small);
        fcl_array *array;
        assert_int_equal(parse(&file, &array), FCL_OK);
        for (int n = 0; n < 12; n++)
            assert_true(array->data[n] == 100 * (n / 6) + 10 * (n / 2 % 3) + n % 2);
        fcl_array_destroy(&array);
    }
}

static const struct {
    const char *header;
    const char *says;
} npy_mistakes[] = {
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", "needs 16 bytes of data, 8 are there"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "needs 4 bytes of data, 8 are there"},
    {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "'<c8'"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "'|O'"},
    {"{'descr': '', 'fortran_order': False, 'shape': (1,), }", "''"},
    {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,), }", "records"},
    {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }", "damaged .npy header"},
    {"{'descr': '<f4', 'fortran_order': False, }", "damaged .npy header"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2", "damaged .npy header"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "damaged .npy header"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "damaged .npy header"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 2), }", "no memory can hold"},
    {"{'descr': '|u1', 'fortran_order': False, 'shape': (0, 9223372036854775807, 9), }",
     "no memory can hold"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 2), }", "9 dimensions"},
    {"{'descr': '<f4', 'surprise': 1, 'fortran_order': False, 'shape': (2,), }", "damaged .npy header"},
    {"", "damaged .npy header"},
};

static void npy_tells_each_mistake(void **state)
{
    (void)state;
    fcl_array *array;
    for (size_t i = 0; i < sizeof npy_mistakes / sizeof *npy_mistakes; i++) {
        bytes file = make_npy(1, npy_mistakes[i].header, "\0\0\0\0\0\0\0\0", 8);
        assert_int_equal(parse(&file, &array), FCL_ERR_FORMAT);
        assert_says(npy_mistakes[i].says);
        assert_says("file.npy");
    }
    bytes foreign = {"hello, world", 12};
    assert_int_equal(parse(&foreign, &array), FCL_ERR_FORMAT);
    assert_says("not a .npy array");
    bytes future = make_npy(4, "{}", "", 0);
    assert_int_equal(parse(&future, &array), FCL_ERR_FORMAT);
    assert_says("version 4");
}

static void npy_refuses_every_truncation(void **state)
{
    (void)state;
    static const char header[] = "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 2), }\n";
    for (int version = 1; version <= 2; version++) {
        bytes whole = make_npy(version, header, "\1\0\2\0\3\0\4\0", 8);
        for (size_t size = 0; size < whole.size; size++) {
            /* exactly as long as it is, so that a sanitizer sees a read behind it */
            uint8_t *copy = malloc(size + !size);
            memcpy(copy, whole.data, size);
            fcl_npy npy;
            assert_int_equal(fcl_npy_parse(copy, size, "cut.npy", &npy), FCL_ERR_FORMAT);
            free(copy);
        }
    }
}

static fcl_array *counting_array(fcl_shape shape)
{
    fcl_array *array;
    assert_int_equal(fcl_array_create(shape, &array), FCL_OK);
    for (int64_t i = 0; i < fcl_shape_size(shape); i++)
        array->data[i] = (float)i / 3 - 1;
    return array;
}

static void assert_same_array(const fcl_array *a, const fcl_array *b)
{
    assert_int_equal(a->shape.rank, b->shape.rank);
    assert_memory_equal(a->shape.dim, b->shape.dim, (size_t)a->shape.rank * sizeof *a->shape.dim);
    assert_memory_equal(a->data, b->data, (size_t)fcl_shape_size(a->shape) * sizeof(float));
}

static void npy_written_is_numpys_format(void **state)
{
    (void)state;
    fcl_array *array = counting_array(FCL_SHAPE(5, 2)), *again;
    assert_int_equal(fcl_npy_write(scratch_path("a.npy"), array), FCL_OK);
    uint8_t *content;
    size_t size;
    assert_int_equal(fcl_file_read(scratch_path("a.npy"), &content, &size), FCL_OK);
    static const char start[] = "\x93NUMPY\1\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (5, 2), }";
    assert_int_equal(size, 128 + 40);
    assert_memory_equal(content, start, sizeof start - 1);
    assert_int_equal(content[127], '\n');
    fcl_npy npy;
    assert_int_equal(fcl_npy_parse(content, size, "a.npy", &npy), FCL_OK);
    assert_int_equal(fcl_npy_floats(&npy, "a.npy", &again), FCL_OK);
    assert_same_array(array, again);
    free(content);
    fcl_array_destroy(&array);
    fcl_array_destroy(&again);
}

/* .npz */

static void npz_keeps_named_arrays(void **state)
{
    (void)state;
    fcl_array *x = counting_array(FCL_SHAPE(7, 3)), *y = counting_array(FCL_SHAPE(7)), *again;
    const char *path = scratch_path("a.npz");
    assert_int_equal(fcl_npz_write(path, (fcl_npz_entry[]){{"y", y}, {"x", x}}, 2), FCL_OK);
    fcl_npz *npz;
    assert_int_equal(fcl_npz_open(path, &npz), FCL_OK);
    assert_string_equal(fcl_npz_name_at(npz, 0), "y");
    assert_string_equal(fcl_npz_name_at(npz, 1), "x");
    assert_null(fcl_npz_name_at(npz, 2));
    assert_true(fcl_npz_holds(npz, "x") && !fcl_npz_holds(npz, "data"));
    fcl_npy npy;
    uint8_t *memory;
    assert_int_equal(fcl_npz_load(npz, "x", &npy, &memory), FCL_OK);
    assert_int_equal(fcl_npy_floats(&npy, "x", &again), FCL_OK);
    assert_same_array(x, again);
    free(memory);
    fcl_npz_close(&npz);
    assert_null(npz);
    fcl_array_destroy(&again);
    fcl_array_destroy(&x);
    fcl_array_destroy(&y);
}

/* Every cut loses the directory at the end; a changed byte of the data fails the checksum. */
static void npz_refuses_damage(void **state)
{
    (void)state;
    fcl_array *x = counting_array(FCL_SHAPE(3));
    assert_int_equal(fcl_npz_write(scratch_path("b.npz"), &(fcl_npz_entry){"x", x}, 1), FCL_OK);
    fcl_array_destroy(&x);
    uint8_t *content;
    size_t size;
    fcl_npz *npz;
    assert_int_equal(fcl_file_read(scratch_path("b.npz"), &content, &size), FCL_OK);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(fcl_npz_open(scratch_write("cut.npz", content, cut), &npz), FCL_ERR_FORMAT);
        assert_says("cut.npz");
    }
    content[30 + strlen("x.npy") + 128 + 5] ^= 1; /* local header, name, .npy header, some byte of the data */
    assert_int_equal(fcl_npz_open(scratch_write("bad.npz", content, size), &npz), FCL_OK);
    fcl_npy npy;
    uint8_t *memory;
    assert_int_equal(fcl_npz_load(npz, "x", &npy, &memory), FCL_ERR_FORMAT);
    assert_says("CRC");
    assert_null(memory);
    fcl_npz_close(&npz);
    free(content);
}

/* Writes the archive that another program would, which names an array twice. */
static void rename_in_archive(uint8_t *content, size_t size, const char *from, const char *to)
{
    size_t length = strlen(from);
    for (size_t i = 0; i + length <= size; i++)
        if (memcmp(content + i, from, length) == 0)
            memcpy(content + i, to, length);
}

static void npz_takes_the_last_of_a_name(void **state)
{
    (void)state;
    fcl_array *first = counting_array(FCL_SHAPE(2)), *other = counting_array(FCL_SHAPE(4)),
              *last = counting_array(FCL_SHAPE(3)), *read;
    const fcl_npz_entry entries[] = {{"x", first}, {"other", other}, {"q", last}};
    assert_int_equal(fcl_npz_write(scratch_path("t.npz"), entries, 3), FCL_OK);
    uint8_t *content, *memory;
    size_t size;
    fcl_npz *npz;
    fcl_npy npy;
    assert_int_equal(fcl_file_read(scratch_path("t.npz"), &content, &size), FCL_OK);
    rename_in_archive(content, size, "q.npy", "x.npy");
    assert_int_equal(fcl_npz_open(scratch_write("twice.npz", content, size), &npz), FCL_OK);
    assert_string_equal(fcl_npz_name_at(npz, 0), "x");
    assert_string_equal(fcl_npz_name_at(npz, 1), "other");
    assert_null(fcl_npz_name_at(npz, 2));
    assert_int_equal(fcl_npz_load(npz, "x", &npy, &memory), FCL_OK);
    assert_int_equal(fcl_npy_floats(&npy, "x", &read), FCL_OK);
    assert_same_array(read, last);
    fcl_array_destroy(&read);
    free(memory);
    fcl_npz_close(&npz);
    free(content);
    fcl_array_destroy(&first);
    fcl_array_destroy(&other);
    fcl_array_destroy(&last);
}

static const char *write_packed(const char *name, int method, const void *file, size_t size)
{
    const char *path = scratch_path(name);
    unlink(path);
    zip_t *archive = zip_open(path, ZIP_CREATE, NULL);
    assert_non_null(archive);
    zip_int64_t index = zip_file_add(archive, "x.npy", zip_source_buffer(archive, file, size, 0), 0);
    assert_int_equal(zip_set_file_compression(archive, (zip_uint64_t)index, method, 9), 0);
    assert_int_equal(zip_close(archive), 0);
    return path;
}

/* Zeros become a thousandth by deflate and a millionth by bzip2, and are all there again. */
static void npz_unpacks_what_is_packed_far(void **state)
{
    (void)state;
    enum { COUNT = 4 << 20 };
    static const int methods[] = {ZIP_CM_STORE, ZIP_CM_DEFLATE, ZIP_CM_BZIP2, ZIP_CM_XZ};
    char header[FCL_NPY_HEADER_SIZE];
    size_t head = fcl_npy_header('f', 4, FCL_SHAPE(COUNT), header), size = head + COUNT * sizeof(float);
    uint8_t *zeros = calloc(1, size), *memory;
    memcpy(zeros, header, head);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        fcl_npz *npz;
        fcl_npy npy;
        if (!zip_compression_method_supported(methods[i], 1))
            continue;
        assert_int_equal(fcl_npz_open(write_packed("far.npz", methods[i], zeros, size), &npz), FCL_OK);
        if (fcl_npz_load(npz, "x", &npy, &memory) != FCL_OK)
            fail_msg("method %d: %s", methods[i], fcl_error());
        assert_int_equal(npy.shape.dim[0], COUNT);
        assert_memory_equal(memory, zeros, size);
        free(memory);
        fcl_npz_close(&npz);
    }
    free(zeros);
}

/* A size that its packed bytes cannot become claims no memory. */
static void npz_refuses_sizes_that_cannot_be(void **state)
{
    (void)state;
    static const int methods[] = {ZIP_CM_STORE, ZIP_CM_DEFLATE, ZIP_CM_BZIP2};
    uint8_t file[128] = {0}, *content, *memory;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        size_t size, at;
        fcl_npz *npz;
        fcl_npy npy;
        const char *path = write_packed("lie.npz", methods[i], file, sizeof file);
        assert_int_equal(fcl_file_read(path, &content, &size), FCL_OK);
        for (at = 0; memcmp(content + at, "PK\1\2", 4) != 0; at++)
            ;
        memset(content + at + 24, 0xfe, 4); /* 4 GB, says the directory */
        assert_int_equal(fcl_npz_open(scratch_write("lie.npz", content, size), &npz), FCL_OK);
        assert_int_equal(fcl_npz_load(npz, "x", &npy, &memory), FCL_ERR_FORMAT);
        assert_says("the archive does not tell its true size");
        assert_null(memory);
        fcl_npz_close(&npz);
        free(content);
    }
}

/* --- text in arrays --- */

static void npy_reads_text(void **state)
{
    (void)state;
    static const uint8_t little[] = {'b', 0, 0, 0, 0xe9, 0, 0, 0, 'a',  0, 0, 0,
                                     0,   0, 0, 0, 'b',  0, 0, 0, 0xe9, 0, 0, 0},
                         big[] = {0, 1, 0xf6, 0, 0, 0, 0, 0}, file[] = {'y', 'e', 's', 'n', 'o', 0};
    const struct {
        fcl_npy npy;
        const char *word[2];
        int32_t order[3]; /* of each element in `word` */
    } rows[] = {
        {{.kind = 'U', .item_size = 8, .shape = FCL_SHAPE(3), .data = little}, {"a", "b\xc3\xa9"}, {1, 0, 1}},
        {{.kind = 'U', .item_size = 8, .big_endian = true, .shape = FCL_SHAPE(1), .data = big},
         {"\xf0\x9f\x98\x80"},
         {0}},
        {{.kind = 'S', .item_size = 3, .shape = FCL_SHAPE(2), .data = file}, {"no", "yes"}, {1, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fcl_words words = {0};
        fcl_array *floats;
        assert_int_equal(fcl_npy_words(&rows[i].npy, "a.npy", 10, &words), FCL_OK);
        assert_int_equal(words.size, rows[i].npy.shape.dim[0]);
        for (int k = 0; k < words.count; k++)
            assert_string_equal(words.word[k], rows[i].word[k]);
        for (int64_t k = 0; k < words.size; k++)
            assert_int_equal(words.first[rows[i].order[k]], words.number[k]);
        fcl_words_free(&words);
        assert_int_equal(fcl_npy_floats(&rows[i].npy, "a.npy", &floats), FCL_ERR_FORMAT);
        assert_says("holds text");
    }
    fcl_words words = {0};
    assert_int_equal(fcl_npy_words(&rows[0].npy, "a.npy", 1, &words), FCL_ERR_ARGUMENT);
    assert_says("more than 1 different");
    fcl_words_free(&words);
}

static void npy_writes_labels(void **state)
{
    (void)state;
    static const int32_t number[] = {1, 0, 1};
    static const char *const word[] = {"\xc3\xa9t\xc3\xa9", "\xf0\x9f\x98\x80"};
    static const uint32_t letters[] = {0x1f600, 0, 0, 0xe9, 't', 0xe9, 0x1f600, 0, 0};
    uint8_t *file;
    size_t size;
    fcl_npy npy;
    assert_int_equal(fcl_npy_encode_labels(3, number, word, &file, &size), FCL_OK);
    assert_int_equal(fcl_npy_parse(file, size, "y", &npy), FCL_OK);
    assert_int_equal(npy.kind, 'U');
    assert_int_equal(npy.item_size, 12);
    assert_memory_equal(npy.data, letters, sizeof letters);
    free(file);
    assert_int_equal(fcl_npy_encode_labels(3, number, NULL, &file, &size), FCL_OK);
    assert_int_equal(fcl_npy_parse(file, size, "y", &npy), FCL_OK);
    assert_int_equal(npy.kind, 'i');
    assert_memory_equal(npy.data, number, sizeof number);
    free(file);
}

/* .csv */

static void csv_gives_each_float_back_in_any_locale(void **state)
{
    (void)state;
    setlocale(LC_ALL, "de_DE.UTF-8"); /* has a decimal comma, where it is installed */
    fcl_array *array = counting_array(FCL_SHAPE(4, 3, 2)), *again;
    array->data[0] = 1.17549435e-38f;
    array->data[1] = -3.40282347e38f;
    assert_int_equal(fcl_csv_write(scratch_path("a.csv"), array), FCL_OK);
    assert_int_equal(fcl_csv_read(scratch_path("a.csv"), &again), FCL_OK);
    setlocale(LC_ALL, "C");
    assert_int_equal(again->shape.rank, 2);
    assert_int_equal(again->shape.dim[0], 4);
    assert_int_equal(again->shape.dim[1], 6);
    assert_memory_equal(array->data, again->data, 24 * sizeof(float));
    fcl_array_destroy(&array);
    fcl_array_destroy(&again);
}

/* What a table reads as. */
typedef struct csv_case {
    const char *text;
    int64_t rows, columns;
    float values[6];
    const char *note; /* a part of it; NULL: there is none */
} csv_case;

static void check_table(const csv_case *is, const char *path)
{
    fcl_csv table;
    if (fcl_csv_read_table(path, &(fcl_csv_options){0}, &table) != FCL_OK)
        fail_msg("%s: %s", is->text, fcl_error());
    if (table.numbers->shape.dim[0] != is->rows || table.numbers->shape.dim[1] != is->columns ||
        memcmp(table.numbers->data, is->values, (size_t)(is->rows * is->columns) * sizeof(float)) != 0)
        fail_msg("'%s' is read as other numbers", is->text);
    if (!table.note != !is->note || (is->note && !strstr(table.note, is->note)))
        fail_msg("'%s' is said to be '%s'", is->text, table.note ? table.note : "plain");
    fcl_csv_free(&table);
}

static void csv_tells_how_a_table_is_written(void **state)
{
    (void)state;
    static const csv_case rows[] = {
        {"x, y\r\n# a remark\n\n1,2\r\n 3 , 4\n-7e1,8.5", 3, 2, {1, 2, 3, 4, -70, 8.5f}, NULL},
        {"1,2\r3,4\r5,6\r", 3, 2, {1, 2, 3, 4, 5, 6}, NULL}, /* as old spreadsheets end lines */
        {"x,y\r\r1,2\r3,4", 2, 2, {1, 2, 3, 4}, NULL},
        {"\xef\xbb\xbfx,y\r\n1,2\r\n", 1, 2, {1, 2}, NULL},
        {"1;2;3\n4;5;6\n", 2, 3, {1, 2, 3, 4, 5, 6}, "semicolons"},
        {"1,5;2\n3;4\n5,25;6\n",
         3,
         2,
         {1.5f, 2, 3, 4, 5.25f, 6},
         "semicolons between columns; decimal commas"},
        {"a;b\n1;2\n3;4,5\n", 2, 2, {1, 2, 3, 4.5f}, "decimal commas"}, /* only the last tells */
        {"0,5\t-2,5e1\n3\t4,25\n", 2, 2, {0.5f, -25, 3, 4.25f}, "tabs between columns; decimal commas"},
        {"0.5\t2\n3\t4\n", 2, 2, {0.5f, 2, 3, 4}, "tabs"},
        {"1,5 2,5\n3,5 4\n", 2, 2, {1.5f, 2.5f, 3.5f, 4}, "spaces between columns; decimal commas"},
        {"  1   2\n 3 \t 4 \n", 2, 2, {1, 2, 3, 4}, "spaces"},
        {"\"1,5\",\"2,5\"\n\"3\",\"4,25\"\n", 2, 2, {1.5f, 2.5f, 3, 4.25f}, "decimal commas"},
        {"value\n1,5\n2\n", 2, 1, {1.5f, 2}, "decimal commas"},
        {"body mass\n1.5\n2\n", 2, 1, {1.5f, 2}, NULL},
        {"height weight\n180 70\n70 180\n", 2, 2, {180, 70, 70, 180}, "spaces"},
        {"\"1\",\"2\"\n\"3\",\"4\"\n", 2, 2, {1, 2, 3, 4}, NULL}, /* no heading */
        {"2020,2021\n1,2\n", 2, 2, {2020, 2021, 1, 2}, NULL},
        {"+1,-2\n.5,1.\n", 2, 2, {1, -2, 0.5f, 1}, NULL},
        /* headings that begin as numbers do */
        {"infected,nano,id\n1,2,3\n", 1, 3, {1, 2, 3}, NULL},
        {"1st,0x10,e5\n1,2,3\n", 1, 3, {1, 2, 3}, NULL},
        {"inf,sup\n1,2\n", 1, 2, {1, 2}, NULL},
        {"nan_count,-x\n1,2\n", 1, 2, {1, 2}, NULL},
        {"country,2020,2021\n1,2,3\n", 1, 3, {1, 2, 3}, NULL},
        {"\"a, \"\"b\"\"\nc\",d\n1,2\n", 1, 2, {1, 2}, NULL},
        /* what numbers or names the rows */
        {",x,y\n0,1,2\n1,3,4\n", 2, 2, {1, 2, 3, 4}, "first column"},
        {",x,y\n7,1,2\n3,3,4\n", 2, 2, {1, 2, 3, 4}, "first column"}, /* of a shuffled table */
        {"Unnamed: 0,x\n0,5\n1,6\n", 2, 1, {5, 6}, "first column"},
        {"\"\",\"x\"\n\"Mazda\",5\n\"Fiat\",6\n", 2, 1, {5, 6}, "first column"},
        {"\"x\" \"y\"\n\"1\" 1 2\n\"2\" 3 4\n", 2, 2, {1, 2, 3, 4}, "first column"},
        {" x y\n0 1 2\n1 3 4\n", 2, 2, {1, 2, 3, 4}, "first column"},
        {",x\n0.5,1\n1.5,2\n", 2, 2, {0.5f, 1, 1.5f, 2}, NULL},
        {"1,2,\n3,4,\n", 2, 2, {1, 2, 3, 4}, "last column"},
        {"x,y,\n1,2,\n", 1, 2, {1, 2}, "last column"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_table(&rows[i], scratch_write("b.csv", rows[i].text, strlen(rows[i].text)));
        gzFile file = gzopen(scratch_path("b.csv.gz"), "wb");
        assert_int_equal(gzputs(file, rows[i].text), strlen(rows[i].text));
        assert_int_equal(gzclose(file), Z_OK);
        check_table(&rows[i], scratch_path("b.csv.gz"));
    }
}

static void csv_refuses_what_it_cannot_be_sure_of(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        int status;
    } mistakes[] = {
        {"1,2\n3\n", "last line has 1 columns, the first 2", FCL_ERR_FORMAT},
        {"x,y\n1,2\n3\n4,5", "line 3 has 1 columns, the lines before it have 2", FCL_ERR_FORMAT},
        {"1;2\n3;4\n5;6;7\n", "line 3 has 3 columns", FCL_ERR_FORMAT},
        {"x,y\n1 2\n3 4\n", "first line has 1 columns, the others have 2", FCL_ERR_FORMAT},
        {"a,b\n1,2\n1,zwei\n1,3\n", "line 3: 'zwei' is not a number (column 'b', row 2", FCL_ERR_FORMAT},
        {"a,b\nc,1\nd,2\n", "column 'a' holds text ('c' in line 2)", FCL_ERR_FORMAT},
        {"1,2x\n", "line 1: '2x'", FCL_ERR_FORMAT},
        {"1.O,2\n3,4\n", "line 1: '1.O' is not a number", FCL_ERR_FORMAT},
        {"x,y\n", "no row", FCL_ERR_FORMAT},
        {"# nothing\n", "no row", FCL_ERR_FORMAT},
        /* missing values, also in the first row */
        {"1,,2\n", "line 1: the value of column 2 is missing in row 1 ('')", FCL_ERR_NUMERIC},
        {"NA,NA\n1,2\n", "line 1: the value of column 1 is missing in row 1 ('NA')", FCL_ERR_NUMERIC},
        {"x,y\n\n1,2\n3,n/a\n", "line 4: the value of column 'y' is missing in row 2 ('n/a')",
         FCL_ERR_NUMERIC},
        {"x,y\n1,2\n3,null\n", "('null')", FCL_ERR_NUMERIC},
        {"x,y\n1,2\n3,NaN\n", "('NaN')", FCL_ERR_NUMERIC},
        {"x,y\n1,2\n3,\n", "row 2", FCL_ERR_NUMERIC},
        {"x;y\n1,5;2\n3;?\n", "('?')", FCL_ERR_NUMERIC},
        {"x,y\n1,2\n3,-inf\n", "'-inf' is infinite or too large a number (column 'y', row 2)",
         FCL_ERR_NUMERIC},
        {"1,2\n1e60,2\n", "line 2: '1e60' is infinite or too large", FCL_ERR_NUMERIC},
        /* thousands */
        {"1 234,5\n2 345,6\n", "'1 234,5' may be one number with its thousands parted, or two columns",
         FCL_ERR_FORMAT},
        {"value\n1 234,5\n12,5\n", "'1 234,5' is not a number (column 'value', row 1): write thousands",
         FCL_ERR_FORMAT},
        {"1 234,5;2\n2,5;3\n", "'1 234,5' is not a number", FCL_ERR_FORMAT},
        {"1 234.5,2\n2.5,3\n", "'1 234.5' is not a number", FCL_ERR_FORMAT},
        {"\"1,234.5\",2\n\"6.5\",3\n", "'1,234.5' is not a number", FCL_ERR_FORMAT},
        {"1.234,5;2\n2,5;3\n", "'1.234,5' is not a number", FCL_ERR_FORMAT},
        {"1'234.5,2\n", "'1'234.5' is not a number", FCL_ERR_FORMAT},
        {"1\xc2\xa0"
         "234,5;2\n",
         "write thousands without a mark", FCL_ERR_FORMAT},
        {"\"1,234\",\"5,678\"\n", "'1,234' may be a decimal number or one in thousands", FCL_ERR_FORMAT},
        {"1,234;5,678\n", "'1,234' may be", FCL_ERR_FORMAT},
        {"1.5;2\n2,5;3\n", "'2,5' is not a number (column 1, row 2; decimals are written with a point)",
         FCL_ERR_FORMAT},
        /* what is no measurement */
        {"x,when\n1,2020-01-31\n2,2020-02-01\n", "column 'when' holds dates ('2020-01-31' in line 2)",
         FCL_ERR_FORMAT},
        {"x,when\n1,31.01.2020\n2,1/2/2020\n", "column 'when' holds dates", FCL_ERR_FORMAT},
        {"x,at\n1,12:30\n2,2020-02-01 12:31:00\n", "column 'at' holds dates", FCL_ERR_FORMAT},
        {"x,alive\n1,True\n2,False\n", "column 'alive' holds yes or no ('True' in line 2)", FCL_ERR_FORMAT},
        {"x,alive\n1,yes\n2,no\n", "column 'alive' holds yes or no", FCL_ERR_FORMAT},
        {"5.1,setosa\n4.9,virginica\n", "column 2 holds text ('setosa' in line 1)", FCL_ERR_FORMAT},
        {",x\n3,1\n3,2\n", "its first column has no name", FCL_ERR_FORMAT},
        /* quotes */
        {"x,y\n\"1,2\n3,4\n", "line 2: a quote is opened and not closed", FCL_ERR_FORMAT},
        {"\"1\"2,3\n", "line 1: text follows a closing quote", FCL_ERR_FORMAT},
        {"\xff\xfe"
         "1",
         "UTF-16", FCL_ERR_FORMAT},
    };
    fcl_array *array;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const char *path = scratch_write("c.csv", mistakes[i].text, strlen(mistakes[i].text));
        if (fcl_csv_read(path, &array) != mistakes[i].status)
            fail_msg("'%s' has another status (%s)", mistakes[i].text, fcl_error());
        if (!strstr(fcl_error(), mistakes[i].says))
            fail_msg("'%s' does not say '%s'", fcl_error(), mistakes[i].says);
        assert_null(array);
    }
    assert_int_equal(fcl_csv_read(scratch_write("c.csv", "1,2\0003", 5), &array), FCL_ERR_FORMAT);
    assert_says("zero bytes");
}

/* .png, read back by libpng's simplified interface */

static void png_keeps_pixels(void **state)
{
    (void)state;
    static const png_uint_32 formats[] = {0, PNG_FORMAT_GRAY, 0, PNG_FORMAT_RGB, PNG_FORMAT_RGBA};
    uint8_t pixels[5 * 3 * 4], again[sizeof pixels];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(37 * i + 128);
    for (int channels = 1; channels <= 4; channels++) {
        if (!formats[channels] && channels != 1)
            continue;
        const char *path = scratch_path("a.png");
        assert_int_equal(fcl_png_write(path, pixels, 5, 3, channels), FCL_OK);
        png_image image = {.version = PNG_IMAGE_VERSION};
        assert_true(png_image_begin_read_from_file(&image, path));
        assert_int_equal(image.width, 5);
        assert_int_equal(image.height, 3);
        assert_int_equal(image.format, formats[channels]);
        assert_true(png_image_finish_read(&image, NULL, again, 0, NULL));
        assert_memory_equal(pixels, again, (size_t)(15 * channels));
    }
    assert_int_equal(fcl_png_write(scratch_path("b.png"), pixels, 0, 3, 1),
                     FCL_ERR_FILE); /* libpng's own error */
    assert_says("libpng says");
    assert_int_equal(scratch_count("b.png"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_reads_every_type_and_byte_order),
        cmocka_unit_test(npy_reads_versions_key_orders_and_shapes),
        cmocka_unit_test(npy_turns_fortran_order),
        cmocka_unit_test(npy_tells_each_mistake),
        cmocka_unit_test(npy_refuses_every_truncation),
        cmocka_unit_test(npy_written_is_numpys_format),
        cmocka_unit_test(npz_keeps_named_arrays),
        cmocka_unit_test(npz_refuses_damage),
        cmocka_unit_test(npz_takes_the_last_of_a_name),
        cmocka_unit_test(npz_unpacks_what_is_packed_far),
        cmocka_unit_test(npz_refuses_sizes_that_cannot_be),
        cmocka_unit_test(npy_reads_text),
        cmocka_unit_test(npy_writes_labels),
        cmocka_unit_test(csv_gives_each_float_back_in_any_locale),
        cmocka_unit_test(csv_tells_how_a_table_is_written),
        cmocka_unit_test(csv_refuses_what_it_cannot_be_sure_of),
        cmocka_unit_test(png_keeps_pixels),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
