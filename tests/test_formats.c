/* File formats of the host: .npy, .npz, .csv, .png. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 2), }", "7 dimensions"},
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
    assert_string_equal(fcl_npz_find(npz, (const char *[]){"data", "x", NULL}), "x");
    assert_null(fcl_npz_find(npz, (const char *[]){"data", NULL}));
    assert_string_equal(fcl_npz_first_but(npz, (const char *[]){"y", NULL}), "x");
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

static void csv_reads_headings_comments_and_separators(void **state)
{
    (void)state;
    static const char text[] = "x, y\r\n# a remark\n\n1,2\r\n 3 ; 4\n5\t6\n-7e1 8.5";
    fcl_array *array;
    assert_int_equal(fcl_csv_read(scratch_write("b.csv", text, sizeof text - 1), &array), FCL_OK);
    static const float expected[] = {1, 2, 3, 4, 5, 6, -70, 8.5f};
    assert_int_equal(array->shape.dim[0], 4);
    assert_memory_equal(array->data, expected, sizeof expected);
    fcl_array_destroy(&array);
}

static void csv_names_the_line_of_a_mistake(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } mistakes[] = {
        {"1,2\n3\n", "line 2 has 1 numbers"}, {"a,b\n1,2\n1,zwei\n", "line 3: 'zwei'"},
        {"a,b\nc,d\n", "line 2: 'c'"},        {"1,,2\n", "line 1: ''"},
        {"1,2x\n", "line 1: '2x'"},           {"x,y\n", "no row"},
    };
    fcl_array *array;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const char *path = scratch_write("c.csv", mistakes[i].text, strlen(mistakes[i].text));
        assert_int_equal(fcl_csv_read(path, &array), FCL_ERR_FORMAT);
        assert_says(mistakes[i].says);
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
        cmocka_unit_test(csv_gives_each_float_back_in_any_locale),
        cmocka_unit_test(csv_reads_headings_comments_and_separators),
        cmocka_unit_test(csv_names_the_line_of_a_mistake),
        cmocka_unit_test(png_keeps_pixels),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
