/* Data sets from files: what files become, and the sentence for each bad one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"

#include <flowcl/data.h>
#include "base/csv.h"
#include "base/file.h"
#include "base/npz.h"
#include "scratch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define assert_says(part) assert_non_null(strstr(fcl_error(), part))

static fcl_dataset *open_ok(const char *name, const fcl_dataset_options *options)
{
    fcl_dataset *dataset;
    if (fcl_dataset_open(name, options, &dataset) != FCL_OK)
        fail_msg("%s", fcl_error());
    return dataset;
}

static void assert_refused(const char *name, int status, const char *says)
{
    fcl_dataset *dataset;
    assert_int_equal(fcl_dataset_open(name, NULL, &dataset), status);
    assert_null(dataset);
    if (!strstr(fcl_error(), says))
        fail_msg("'%s' does not say '%s'", fcl_error(), says);
}

/* IDX by hand: two pictures of 2 by 3. */

static const uint8_t pictures[] = {0, 0, 8, 3, 0, 0, 0, 2, 0,   0,   0,   2,   0,   0,
                                   0, 3, 0, 1, 2, 3, 4, 5, 255, 254, 253, 252, 251, 250};
static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 7, 0};

static const char *write_gzip(const char *name, const void *bytes, size_t size)
{
    const char *path = scratch_path(name);
    gzFile file = gzopen(path, "wb");
    if (!file || gzwrite(file, bytes, (unsigned)size) != (int)size || gzclose(file) != Z_OK)
        abort();
    return path;
}

static void assert_the_pictures(const char *path, bool labeled)
{
    fcl_dataset *data = open_ok(path, NULL);
    assert_int_equal(data->count, 2);
    assert_int_equal(data->shape.rank, 3);
    assert_int_equal(data->shape.dim[0], 1);
    assert_int_equal(data->shape.dim[1], 2);
    assert_int_equal(data->shape.dim[2], 3);
    assert_memory_equal(data->bytes, pictures + 16, 12);
    assert_int_equal(data->classes, labeled ? 8 : 0);
    if (labeled)
        assert_int_equal(data->label[0], 7);
    fcl_array *second;
    assert_int_equal(fcl_dataset_take(data, 1, 1, &second), FCL_OK);
    assert_int_equal(second->shape.rank, 4);
    assert_int_equal(second->shape.dim[0], 1);
    assert_true(fabsf(second->data[0] - 1) < 1e-6f);
    assert_true(fabs(second->data[5] - (250 * 2 / 255.0 - 1)) < 1e-6);
    fcl_array_destroy(&second);
    assert_int_equal(fcl_dataset_take(data, 1, 2, &second), FCL_ERR_ARGUMENT);
    assert_int_equal(fcl_dataset_take(data, INT64_MAX, 1, &second), FCL_ERR_ARGUMENT);
    fcl_dataset_destroy(&data);
}

/* Each number lies in the 2/256 of its byte, by its place in the set. */
static void bytes_are_dequantised(void **state)
{
    (void)state;
    fcl_dataset *data = open_ok(scratch_write("lone-idx3-ubyte", pictures, sizeof pictures), NULL);
    fcl_array *all, *second, *other;
    assert_int_equal(fcl_dataset_dequantise(data, 0, 2, 5, &all), FCL_OK);
    assert_int_equal(all->shape.rank, 4);
    double mean = 0;
    for (int i = 0; i < 12; i++) {
        double u = (all->data[i] + 1) * 128 - pictures[16 + i];
        assert_true(u > -1e-4 && u < 1 + 1e-4);
        mean += u / 12;
    }
    assert_true(mean > 0.1 && mean < 0.9);
    assert_int_equal(fcl_dataset_dequantise(data, 1, 1, 5, &second), FCL_OK);
    assert_memory_equal(second->data, all->data + 6, 6 * sizeof(float));
    assert_int_equal(fcl_dataset_dequantise(data, 1, 1, 6, &other), FCL_OK);
    assert_memory_not_equal(other->data, second->data, 6 * sizeof(float));
    fcl_array_destroy(&all);
    fcl_array_destroy(&second);
    fcl_array_destroy(&other);
    assert_int_equal(fcl_dataset_dequantise(data, 1, 2, 5, &all), FCL_ERR_ARGUMENT);
    fcl_dataset_destroy(&data);
    data = open_ok("moons", &(fcl_dataset_options){.count = 2});
    assert_int_equal(fcl_dataset_dequantise(data, 0, 1, 5, &all), FCL_ERR_ARGUMENT);
    fcl_dataset_destroy(&data);
}

static void idx_is_read_plain_and_gzipped_with_its_labels(void **state)
{
    (void)state;
    assert_the_pictures(scratch_write("lone-idx3-ubyte", pictures, sizeof pictures), false);
    scratch_write("a-labels-idx1-ubyte", labels, sizeof labels);
    assert_the_pictures(scratch_write("a-images-idx3-ubyte", pictures, sizeof pictures), true);
    write_gzip("b-labels.idx1-ubyte.gz", labels, sizeof labels);
    const char *path = write_gzip("b-images.idx3-ubyte.gz", pictures, sizeof pictures);
    assert_the_pictures(path, true);
    fcl_dataset *data = open_ok(path, &(fcl_dataset_options){.unlabeled = true, .count = 1});
    assert_null(data->label);
    assert_int_equal(data->count, 1);
    fcl_dataset_destroy(&data);
    assert_int_equal(fcl_dataset_open(path, &(fcl_dataset_options){.count = 3}, &data), FCL_ERR_ARGUMENT);
    assert_says("holds 2 samples, not the 3");
}

static void idx_reads_big_endian_numbers(void **state)
{
    (void)state;
    static const uint8_t floats[] = {0, 0, 13, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0};
    fcl_dataset *data = open_ok(scratch_write("f.idx", floats, sizeof floats), NULL);
    assert_int_equal(data->count, 1);
    assert_true(data->values[0] == 1 && data->values[1] == -2);
    fcl_dataset_destroy(&data);
    static const uint8_t shorts[] = {0, 0, 11, 1, 0, 0, 0, 2, 1, 0, 0xff, 0xff};
    data = open_ok(scratch_write("s.idx", shorts, sizeof shorts), NULL);
    assert_int_equal(data->count, 2);
    assert_int_equal(data->shape.dim[0], 1);
    assert_true(data->values[0] == 256 && data->values[1] == -1);
    fcl_dataset_destroy(&data);
}

static void idx_refuses_every_truncation(void **state)
{
    (void)state;
    fcl_dataset *data;
    for (size_t size = 0; size < sizeof pictures; size++) {
        const char *path = scratch_write("cut-idx3-ubyte", pictures, size);
        assert_int_equal(fcl_dataset_open(path, NULL, &data), FCL_ERR_FORMAT);
        assert_says(size == 0 ? "is empty" : "is cut off");
    }
    assert_says("(2, 2, 3) need 12 bytes of data, 11 are there");
    write_gzip("whole.gz", pictures, sizeof pictures);
    uint8_t *packed;
    size_t packed_size;
    assert_int_equal(fcl_file_read(scratch_path("whole.gz"), &packed, &packed_size), FCL_OK);
    for (size_t size = 1; size < packed_size; size++) {
        assert_int_equal(fcl_dataset_open(scratch_write("cut.gz", packed, size), NULL, &data),
                         FCL_ERR_FORMAT);
        assert_says("cut.gz");
    }
    packed[packed_size - 6] ^= 1; /* the checksum */
    assert_int_equal(fcl_dataset_open(scratch_write("sum.gz", packed, packed_size), NULL, &data),
                     FCL_ERR_FORMAT);
    assert_says("gzip");
    free(packed);
}

static void idx_tells_its_mistakes(void **state)
{
    (void)state;
    uint8_t longer[sizeof pictures + 1] = {0}, bad[sizeof pictures];
    memcpy(longer, pictures, sizeof pictures);
    assert_refused(scratch_write("long.idx", longer, sizeof longer), FCL_ERR_FORMAT, "bytes follow the 12");
    memcpy(bad, pictures, sizeof bad);
    bad[4] = bad[8] = bad[12] = 0x7f; /* a picture of 2^93 bytes */
    assert_refused(scratch_write("huge.idx", bad, sizeof bad), FCL_ERR_FORMAT, "no memory can hold");
    bad[4] = bad[8] = 0; /* 2 times 2 times 2^31: claims memory only as it comes */
    assert_refused(scratch_write("lie.idx", bad, sizeof bad), FCL_ERR_FORMAT, "is cut off");
    memcpy(bad, pictures, sizeof bad);
    bad[3] = 9;
    assert_refused(scratch_write("rank.idx", bad, sizeof bad), FCL_ERR_FORMAT, "9 dimensions");
    bad[2] = 10;
    assert_refused(scratch_write("type.idx", bad, sizeof bad), FCL_ERR_FORMAT, "begins with 00 00 0a 09");
    memcpy(bad, pictures, sizeof bad);
    bad[7] = 0;
    assert_refused(scratch_write("none.idx", bad, 16), FCL_ERR_FORMAT, "no samples: its shape is (0, 2, 3)");
    scratch_write("c-labels-idx1-ubyte", labels, sizeof labels - 1);
    assert_refused(scratch_write("c-images-idx3-ubyte", pictures, sizeof pictures), FCL_ERR_FORMAT,
                   "c-labels");
    static const uint8_t three[] = {0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3};
    scratch_write("d-labels-idx1-ubyte", three, sizeof three);
    assert_refused(scratch_write("d-images-idx3-ubyte", pictures, sizeof pictures), FCL_ERR_FORMAT,
                   "3 labels for 2 samples");
}

/* NumPy's files */

static const char *write_npy(const char *name, const char *descr, const char *shape, const void *data,
                             size_t size)
{
    char file[1024], header[200];
    int length = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n",
                          descr, shape);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (char)length;
    file[9] = 0;
    memcpy(file + 10, header, (size_t)length);
    memcpy(file + 10 + length, data, size);
    return scratch_write(name, file, 10 + (size_t)length + size);
}

static void npy_bytes_of_rank_3_and_4_are_pictures(void **state)
{
    (void)state;
    uint8_t bytes[24];
    for (int i = 0; i < 24; i++)
        bytes[i] = (uint8_t)i;
    fcl_dataset *data = open_ok(write_npy("chw.npy", "|u1", "(2, 3, 2, 2)", bytes, 24), NULL);
    assert_int_equal(data->shape.dim[0], 3);
    assert_memory_equal(data->bytes, bytes, 24);
    fcl_dataset_destroy(&data);
    data = open_ok(write_npy("hwc.npy", "|u1", "(2, 2, 2, 3)", bytes, 24), NULL);
    assert_int_equal(data->shape.dim[0], 3);
    assert_int_equal(data->shape.dim[1], 2);
    for (int i = 0; i < 24; i++) /* sample, channel, pixel */
        assert_int_equal(data->bytes[i], i / 12 * 12 + i % 4 * 3 + i % 12 / 4);
    fcl_dataset_destroy(&data);
    data = open_ok(write_npy("table.npy", "|u1", "(8, 3)", bytes, 24), NULL);
    assert_null(data->bytes);
    assert_true(data->values[23] == 23);
    fcl_dataset_destroy(&data);
}

/* What the dimensions were taken for is said. */
static void shapes_of_pictures_are_told(void **state)
{
    static const struct {
        const char *shape, *note;
        int64_t channels;
    } rows[] = {
        {"(2, 3, 2, 2)", "its shape (2, 3, 2, 2) is read as (N, C, H, W)", 3},
        {"(2, 2, 2, 3)", "its shape (2, 2, 2, 3) is read as (N, H, W, C)", 3},
        {"(2, 4, 3, 1)", "its shape (2, 4, 3, 1) is read as (N, H, W, C)", 1},
        {"(1, 3, 8, 1)", "its shape (1, 3, 8, 1) is read as (N, C, H, W), and could be (N, H, W, C)", 3},
        {"(1, 2, 6, 2)", "its shape (1, 2, 6, 2) is read as (N, C, H, W), though these are neither 1 nor 3 channels", 2},
        {"(1, 2, 3, 4)", "its shape (1, 2, 3, 4) is read as (N, H, W, C), RGBA over white", 3},
        {"(2, 3, 4)", NULL, 1},
    };
    const uint8_t bytes[24] = {0};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fcl_dataset *data = open_ok(write_npy("shape.npy", "|u1", rows[i].shape, bytes, 24), NULL);
        assert_int_equal(data->shape.dim[0], rows[i].channels);
        if (rows[i].note)
            assert_string_equal(data->note, rows[i].note);
        else
            assert_null(data->note);
        fcl_dataset_destroy(&data);
    }
}

static void npy_of_one_dimension_is_samples_of_one_number(void **state)
{
    (void)state;
    static const float values[] = {1, 2, 3};
    fcl_dataset *data = open_ok(write_npy("one.npy", "<f4", "(3,)", values, sizeof values), NULL);
    assert_int_equal(data->count, 3);
    assert_int_equal(data->shape.rank, 1);
    assert_int_equal(data->shape.dim[0], 1);
    fcl_dataset_destroy(&data);
}

static void bad_arrays_are_refused(void **state)
{
    (void)state;
    static const float nan_at_3[] = {1, 2, 3, 4, 5, 6, 7, NAN}, infinite[] = {1, 2, INFINITY, 4};
    static const double too_large[] = {1, 1e300};
    assert_refused(write_npy("nan.npy", "<f4", "(4, 2)", nan_at_3, sizeof nan_at_3), FCL_ERR_NUMERIC,
                   "sample 3 holds NaN (its number 1, both from 0)");
    assert_refused(write_npy("inf.npy", "<f4", "(2, 2)", infinite, sizeof infinite), FCL_ERR_NUMERIC,
                   "sample 1 holds an infinite");
    assert_refused(write_npy("big.npy", "<f8", "(1, 2)", too_large, sizeof too_large), FCL_ERR_NUMERIC,
                   "sample 0");
    assert_refused(write_npy("none.npy", "<f4", "(0, 2)", "", 0), FCL_ERR_FORMAT,
                   "no samples: its shape is (0, 2)");
    assert_refused(write_npy("empty.npy", "<f4", "(2, 0)", "", 0), FCL_ERR_FORMAT,
                   "no samples: its shape is (2, 0)");
    assert_refused(write_npy("scalar.npy", "<f4", "()", nan_at_3, 4), FCL_ERR_FORMAT, "single number");
    assert_refused(scratch_write("no.npy", "\x93NU", 3), FCL_ERR_FORMAT, "no.npy is not a .npy array");
    assert_refused(scratch_write("zero.npy", "", 0), FCL_ERR_FORMAT, "is empty");
    assert_refused(scratch_write("text.md", "hello world", 11), FCL_ERR_FORMAT, "none of the formats");
    assert_refused(write_npy("text.npy", "<U2", "(1,)", nan_at_3, 8), FCL_ERR_FORMAT, "holds text");
    assert_refused(write_npy("object.npy", "|O", "(1,)", nan_at_3, 8), FCL_ERR_FORMAT, "elements of type '|O'");
    assert_refused(scratch_path("missing.npy"), FCL_ERR_FILE, "No such file");
    assert_int_equal(mkdir(scratch_path("bare"), 0700), 0);
    assert_refused(scratch_path("bare"), FCL_ERR_FORMAT, "holds no pictures");
}

static fcl_array *array_of(fcl_shape shape, float step)
{
    fcl_array *array;
    assert_int_equal(fcl_array_create(shape, &array), FCL_OK);
    for (int64_t i = 0; i < fcl_shape_size(shape); i++)
        array->data[i] = step * (float)i;
    return array;
}

static void npz_finds_samples_and_labels(void **state)
{
    (void)state;
    fcl_array *x = array_of(FCL_SHAPE(3, 2), 0.5f), *y = array_of(FCL_SHAPE(3, 1), 2),
              *z = array_of(FCL_SHAPE(4, 4), 1);
    const char *path = scratch_path("a.npz");
    assert_int_equal(fcl_npz_write(path, (fcl_npz_entry[]){{"z", z}, {"y", y}, {"x", x}}, 3), FCL_OK);
    fcl_dataset *data = open_ok(path, NULL);
    assert_int_equal(data->count, 3);
    assert_memory_equal(data->values, x->data, 6 * sizeof(float));
    assert_int_equal(data->classes, 5);
    assert_int_equal(data->label[2], 4);
    fcl_dataset_destroy(&data);
    assert_int_equal(fcl_npz_write(path, (fcl_npz_entry[]){{"labels", y}, {"points", x}}, 2), FCL_OK);
    data = open_ok(path, NULL);
    assert_memory_equal(data->values, x->data, 6 * sizeof(float));
    assert_int_equal(data->classes, 5);
    fcl_dataset_destroy(&data);
    assert_int_equal(fcl_npz_write(path, (fcl_npz_entry[]){{"data", z}, {"y", y}}, 2), FCL_OK);
    assert_refused(path, FCL_ERR_FORMAT, "array y holds 3 labels for 4 samples");
    assert_int_equal(fcl_npz_write(path, (fcl_npz_entry[]){{"y", y}}, 1), FCL_OK);
    assert_refused(path, FCL_ERR_FORMAT, "holds labels (y) but no samples");
    y->data[1] = 0.5f;
    assert_int_equal(fcl_npz_write(path, (fcl_npz_entry[]){{"x", x}, {"y", y}}, 2), FCL_OK);
    assert_refused(path, FCL_ERR_FORMAT, "the label of sample 1 is 0.5");
    y->data[1] = NAN;
    assert_int_equal(fcl_npz_write(path, (fcl_npz_entry[]){{"x", x}, {"y", y}}, 2), FCL_OK);
    assert_refused(path, FCL_ERR_FORMAT, "the label of sample 1");
    fcl_array_destroy(&x);
    fcl_array_destroy(&y);
    fcl_array_destroy(&z);
}

/* What is in the archives of others: which array holds the samples, which the labels. */
static void npz_knows_the_usual_names(void **state)
{
    (void)state;
    static const int32_t y[] = {1, 0, 2};
    static const struct {
        const char *names[4]; /* of arrays: x is (3, 2), y labels (3), z (4, 4), float f (3) */
        const char *kinds, *ask;
        char taken;
        const char *labels;
    } rows[] = {
        {{"x_train", "y_train", "x_test"}, "xyz", NULL, 'x', "y_train"},
        {{"x_test", "x_train", "y_train"}, "zxy", NULL, 'x', "y_train"},
        {{"train_images", "train_labels", "test_images", "val_images"}, "xyzz", NULL, 'x', "train_labels"},
        {{"y", "X"}, "yx", NULL, 'x', "y"},
        {{"target", "data"}, "yx", NULL, 'x', "target"},
        {{"labels", "images"}, "yx", NULL, 'x', "labels"},
        {{"arr_0", "arr_1"}, "xy", NULL, 'x', "arr_1"},
        {{"arr_0", "arr_1"}, "xf", NULL, 'x', NULL}, /* numbers of another kind */
        {{"arr_0", "arr_1"}, "xz", NULL, 'x', NULL},
        {{"arr_0"}, "x", NULL, 'x', NULL},
        {{"targets", "whatever"}, "yx", NULL, 'x', "targets"},
        {{"x_train", "y_train", "x_test", "y_test"}, "zzxy", "x_test", 'x', "y_test"},
        {{"x", "y", "more"}, "xyz", "more", 'z', NULL}, /* y is of x */
        {{"x", "y"}, "xy", "y", 'y', NULL},
    };
    fcl_array *x = array_of(FCL_SHAPE(3, 2), 0.5f), *z = array_of(FCL_SHAPE(4, 4), 1), *f = array_of(FCL_SHAPE(3), 0.1f);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fcl_npz_entry entries[4] = {{0}};
        int count = (int)strlen(rows[i].kinds);
        char path[4096], note[100];
        for (int k = 0; k < count; k++)
            entries[k] = rows[i].kinds[k] == 'y' ? (fcl_npz_entry){rows[i].names[k], NULL, 3, y, NULL}
                                                 : (fcl_npz_entry){rows[i].names[k], .array = rows[i].kinds[k] == 'x'   ? x
                                                                                             : rows[i].kinds[k] == 'z' ? z
                                                                                                                       : f};
        assert_int_equal(fcl_npz_write(scratch_path("usual.npz"), entries, count), FCL_OK);
        snprintf(path, sizeof path, "%s%s%s", scratch_path("usual.npz"), rows[i].ask ? ":" : "", rows[i].ask ? rows[i].ask : "");
        fcl_dataset *data = open_ok(path, NULL);
        snprintf(note, sizeof note, rows[i].labels ? ", the labels %s" : "%s", rows[i].labels ? rows[i].labels : "the samples are array ");
        if (!strstr(data->note, note) || !data->label != !rows[i].labels)
            fail_msg("row %d: %s", (int)i, data->note);
        if (data->label)
            assert_memory_equal(data->label, y, sizeof y);
        assert_int_equal(data->count, rows[i].taken == 'z' ? 4 : 3);
        assert_int_equal(data->shape.dim[0], rows[i].taken == 'z' ? 4 : rows[i].taken == 'x' ? 2 : 1);
        fcl_dataset_destroy(&data);
    }
    fcl_array_destroy(&x);
    fcl_array_destroy(&z);
    fcl_array_destroy(&f);
}

static void npz_takes_the_array_that_is_named(void **state)
{
    (void)state;
    static const int32_t y[] = {1, 0, 1}, minus[] = {1, -1, 1};
    static const char *const word[] = {"no", "yes"};
    char path[4096];
    fcl_array *x = array_of(FCL_SHAPE(3, 2), 0.5f);
    fcl_npz_entry entries[] = {{"x", x}, {"answer", NULL, 3, y, word}, {"sign", NULL, 3, minus, NULL}};
    assert_int_equal(fcl_npz_write(scratch_path("named.npz"), entries, 3), FCL_OK);
    snprintf(path, sizeof path, "%s:ansver", scratch_path("named.npz"));
    assert_refused(path, FCL_ERR_ARGUMENT, "holds no array 'ansver'; did you mean 'answer'?");
    snprintf(path, sizeof path, "%s:qqqqqqq", scratch_path("named.npz"));
    assert_refused(path, FCL_ERR_ARGUMENT, "its arrays are x, answer, sign");
    snprintf(path, sizeof path, "%s:answer", scratch_path("named.npz"));
    assert_refused(path, FCL_ERR_FORMAT, "array answer holds text");
    fcl_dataset *data = open_ok(scratch_path("named.npz"), &(fcl_dataset_options){.label_column = "answer"});
    assert_string_equal(data->class_name[1], "yes");
    assert_memory_equal(data->label, y, sizeof y);
    fcl_dataset_destroy(&data);
    data = open_ok(scratch_path("named.npz"), &(fcl_dataset_options){.label_guess = "sign"});
    assert_int_equal(data->classes, 2); /* -1 and 1, in this order */
    assert_string_equal(data->class_name[0], "-1");
    assert_memory_equal(data->label, y, sizeof y);
    fcl_dataset_destroy(&data);
    assert_int_equal(fcl_dataset_open(scratch_path("named.npz"), &(fcl_dataset_options){.label_column = "x"}, &data),
                     FCL_ERR_ARGUMENT);
    assert_says("both samples and labels");
    snprintf(path, sizeof path, "%s:x", write_npy("named.npy", "<f4", "(1,)", y, 4));
    assert_refused(path, FCL_ERR_FILE, "named.npy:x"); /* no archive: the whole is a name */
    write_npy("false.npz", "<f4", "(1,)", y, 4);
    snprintf(path, sizeof path, "%s:x", scratch_path("false.npz"));
    assert_refused(path, FCL_ERR_ARGUMENT, "no .npz archive");
    fcl_array_destroy(&x);
}

static void arrays_and_tables_may_be_gzipped(void **state)
{
    (void)state;
    static const float values[] = {1, 2, 3};
    uint8_t *bytes;
    size_t size;
    assert_int_equal(fcl_file_read(write_npy("g.npy", "<f4", "(3,)", values, sizeof values), &bytes, &size), FCL_OK);
    fcl_dataset *data = open_ok(write_gzip("g.npy.gz", bytes, size), NULL);
    assert_int_equal(data->count, 3);
    assert_true(data->values[2] == 3);
    fcl_dataset_destroy(&data);
    data = open_ok(write_gzip("named_anything", bytes, size), NULL); /* the content tells */
    assert_int_equal(data->count, 3);
    fcl_dataset_destroy(&data);
    free(bytes);
    data = open_ok(write_gzip("g.CSV.gz", "1;2\n3;4\n", 8), NULL);
    assert_int_equal(data->count, 2);
    assert_true(data->values[3] == 4);
    fcl_dataset_destroy(&data);
    assert_int_equal(fcl_file_read(scratch_path("g.CSV.gz"), &bytes, &size), FCL_OK);
    for (size_t cut = 2; cut < size; cut++)
        assert_refused(scratch_write("cut.csv.gz", bytes, cut), FCL_ERR_FORMAT, "cut.csv.gz");
    free(bytes);
    fcl_array *x = array_of(FCL_SHAPE(3, 2), 0.5f);
    assert_int_equal(fcl_npz_write(scratch_path("g.npz"), &(fcl_npz_entry){"x", x}, 1), FCL_OK);
    assert_int_equal(fcl_file_read(scratch_path("g.npz"), &bytes, &size), FCL_OK);
    assert_refused(write_gzip("g.npz.gz", bytes, size), FCL_ERR_FORMAT, "packed once more");
    free(bytes);
    fcl_array_destroy(&x);
}

static void csv_is_a_row_a_sample(void **state)
{
    (void)state;
    fcl_dataset *data = open_ok(scratch_write("a.csv", "x,y\n1,2\n3,4\n", 12), NULL);
    assert_int_equal(data->count, 2);
    assert_int_equal(data->shape.dim[0], 2);
    assert_true(data->values[3] == 4);
    assert_null(data->note);
    fcl_dataset_destroy(&data);
    data = open_ok(scratch_write("a.tsv", "x\ty\n1\t2\n3\t4\n", 12), NULL);
    assert_int_equal(data->shape.dim[0], 2);
    assert_string_equal(data->note, "tabs between columns");
    fcl_dataset_destroy(&data);
    assert_refused(scratch_write("b.csv", "1,nan\n", 6), FCL_ERR_NUMERIC, "missing in row 1 ('nan')");
}

/* --- labels in tables --- */

typedef struct label_case {
    const char *text, *column;
    int classes;
    int32_t label[4];
    const char *names[4]; /* NULL: classes are numbers */
} label_case;

/* Of the order of names, not of their coming; numbers by their order, and those from 0 as they are. */
static void labels_get_numbers_in_order(void **state)
{
    (void)state;
    static const label_case rows[] = {
        {"x,y,species\n1,2,b\n3,4,a\n5,6,c\n7,8,a\n", "species", 3, {1, 0, 2, 0}, {"a", "b", "c"}},
        {"species,x,y\nb,1,2\nB,3,4\n\xc3\xa9,5,6\nb,7,8\n", "species", 3, {1, 0, 2, 1}, {"B", "b", "\xc3\xa9"}},
        {"1,2,b\n3,4,a\n5,6,a\n7,8,a\n", "3", 2, {1, 0, 0, 0}, {"a", "b"}},
        {"x,y,n\n1,2,10\n3,4,9\n5,6,2\n7,8,9\n", "n", 11, {10, 9, 2, 9}, {NULL}},
        {"x,y,n\n1,2,1.0\n3,4,0.0\n5,6,1\n7,8,0\n", "n", 2, {1, 0, 1, 0}, {NULL}},
        {"x,y,n\n1,2,10\n3,4,-9\n5,6,-10\n7,8,10\n", "n", 3, {2, 1, 0, 2}, {"-10", "-9", "10"}},
        {"x,y,n\n1,2,True\n3,4,False\n5,6,False\n7,8,True\n", "n", 2, {1, 0, 0, 1}, {"False", "True"}},
        {"x;y;n\n1;2;\"a;\"\"b\"\"\nc\"\n3;4;0\n5;6;0\n7;8;0\n", "n", 2, {1, 0, 0, 0}, {"0", "a;\"b\"\nc"}},
        {"x,y,Label\n1,2,b\n3,4,a\n5,6,a\n7,8,a\n", NULL, 2, {1, 0, 0, 0}, {"a", "b"}}, /* known by its name */
        {",x,y,labels\n0,1,2,1\n1,3,4,0\n2,5,6,0\n3,7,8,1\n", NULL, 2, {1, 0, 0, 1}, {NULL}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *path = scratch_write("l.csv", rows[i].text, strlen(rows[i].text));
        fcl_dataset *data = open_ok(path, &(fcl_dataset_options){.label_column = rows[i].column});
        assert_int_equal(data->shape.dim[0], 2);
        for (int k = 0; k < 8; k++)
            assert_true(data->values[k] == (float)k + 1);
        assert_int_equal(data->classes, rows[i].classes);
        assert_memory_equal(data->label, rows[i].label, sizeof rows[i].label);
        assert_int_equal(data->class_name != NULL, rows[i].names[0] != NULL);
        for (int k = 0; data->class_name && k < data->classes; k++)
            assert_string_equal(data->class_name[k], rows[i].names[k]);
        assert_non_null(strstr(data->note, "the label is column"));
        fcl_dataset_destroy(&data);
        data = open_ok(path, &(fcl_dataset_options){.label_column = rows[i].column, .unlabeled = true});
        assert_null(data->label);
        assert_null(data->class_name);
        assert_int_equal(data->shape.dim[0], 2);
        fcl_dataset_destroy(&data);
    }
}

static void label_columns_that_are_none_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *column, *says;
        int status;
    } rows[] = {
        {"x,species\n1,a\n", "specis", "has no column 'specis'; did you mean 'species'?", FCL_ERR_ARGUMENT},
        {"x,species\n1,a\n", "qqqqqqq", "its columns are x, species", FCL_ERR_ARGUMENT},
        {"x,a,a\n1,2,3\n", "a", "has two columns 'a'", FCL_ERR_ARGUMENT},
        {"1,2\n3,4\n", "a", "has no names of columns", FCL_ERR_ARGUMENT},
        {"1,2\n3,4\n", "3", "no number from 1 to 2", FCL_ERR_ARGUMENT},
        {"x,s\n1,a\n2,\n", "s", "line 3: the value of column 's' is missing in row 2 ('')", FCL_ERR_NUMERIC},
        {"x,s\n1,0.5\n2,1\n", "s", "a label is 0.5; labels are whole numbers or words", FCL_ERR_FORMAT},
        {"s\na\nb\n", "s", "no column of numbers", FCL_ERR_FORMAT},
    };
    fcl_dataset *data;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *path = scratch_write("m.csv", rows[i].text, strlen(rows[i].text));
        if (fcl_dataset_open(path, &(fcl_dataset_options){.label_column = rows[i].column}, &data) != rows[i].status)
            fail_msg("'%s' has another status (%s)", rows[i].text, fcl_error());
        if (!strstr(fcl_error(), rows[i].says))
            fail_msg("'%s' does not say '%s'", fcl_error(), rows[i].says);
    }
    const fcl_dataset_options none = {.label_column = "none"}, named = {.label_column = "a"};
    data = open_ok(scratch_write("n.csv", "x,label\n1,2\n", 12), &none);
    assert_int_equal(data->shape.dim[0], 2);
    assert_null(data->label);
    fcl_dataset_destroy(&data);
    assert_int_equal(fcl_dataset_open("moons", &named, &data), FCL_ERR_ARGUMENT);
    assert_int_equal(fcl_dataset_open(scratch_write("n.idx", pictures, sizeof pictures), &named, &data), FCL_ERR_ARGUMENT);
    assert_says("no columns");
}

static void classes_are_matched_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    fcl_dataset *data = open_ok(scratch_write("k.csv", "x,label\n1,c\n2,a\n", 16), NULL);
    assert_int_equal(data->label[0], 1);
    assert_int_equal(fcl_dataset_match_classes(data, 3, names), FCL_OK);
    assert_int_equal(data->label[0], 2);
    assert_int_equal(data->label[1], 0);
    assert_int_equal(data->classes, 3);
    assert_string_equal(data->class_name[1], "b");
    assert_int_equal(fcl_dataset_match_classes(data, 2, names), FCL_ERR_ARGUMENT);
    assert_says("has the class 'c', and the model's are a, b");
    assert_int_equal(fcl_dataset_match_classes(data, 2, NULL), FCL_ERR_ARGUMENT);
    assert_says("the model's classes are numbers");
    assert_int_equal(data->label[0], 2);
    fcl_dataset_destroy(&data);
    assert_int_equal(fcl_class_find(3, names, "b"), 1);
    assert_int_equal(fcl_class_find(3, names, "2"), 2);
    assert_int_equal(fcl_class_find(3, names, "3"), -1);
    assert_int_equal(fcl_class_find(3, names, ""), -1);
    assert_int_equal(fcl_class_find(3, NULL, "a"), -1);
}

/* --- from memory --- */

static void memory_becomes_a_data_set_of_its_own(void **state)
{
    (void)state;
    float x[6] = {1, -2, 3, 4, 5.5f, 6};
    int32_t y[3] = {4, 0, 1};
    fcl_dataset given = {.name = "mine", .count = 3, .shape = FCL_SHAPE(2), .values = x, .label = y}, *data;
    assert_int_equal(fcl_dataset_from(&given, &data), FCL_OK);
    x[4] = 7;
    y[0] = 3;
    assert_string_equal(data->name, "mine");
    assert_int_equal(data->count, 3);
    assert_int_equal(data->shape.rank, 1);
    assert_int_equal(data->shape.dim[0], 2);
    assert_true(data->values[4] == 5.5f && !data->bytes);
    assert_int_equal(data->label[0], 4);
    assert_int_equal(data->classes, 5);
    fcl_dataset_destroy(&data);
    uint8_t bytes[2] = {0, 255};
    char *names[] = {"no", "yes"};
    int32_t which[2] = {1, 0};
    given = (fcl_dataset){.count = 2, .shape = FCL_SHAPE(1, 1, 1), .bytes = bytes, .label = which, .classes = 2,
                          .class_name = names};
    assert_int_equal(fcl_dataset_from(&given, &data), FCL_OK);
    fcl_array *floats;
    assert_int_equal(fcl_dataset_take(data, 0, 2, &floats), FCL_OK);
    assert_true(fabsf(floats->data[0] + 1) < 1e-6f && fabsf(floats->data[1] - 1) < 1e-6f);
    assert_string_equal(data->name, "memory");
    assert_string_equal(data->class_name[1], "yes");
    assert_ptr_not_equal(data->class_name[1], names[1]);
    fcl_array_destroy(&floats);
    fcl_dataset_destroy(&data);
}

static void memory_that_is_no_data_set_is_refused(void **state)
{
    (void)state;
    float x[4] = {1, 2, 3, 4}, infinite[4] = {1, 2, 3, INFINITY}, nan[4] = {1, NAN, 3, 4};
    uint8_t bytes[4] = {0};
    int32_t good[2] = {0, 1}, below[2] = {0, -1}, above[2] = {2, 0}, huge[2] = {0, INT32_MAX};
    char *unnamed[] = {"a", NULL}, *empty[] = {"", "b"};
    const fcl_shape two = FCL_SHAPE(2);
    const struct {
        fcl_dataset given;
        int status;
        const char *says;
    } rows[] = {
        {{.count = 0, .shape = two, .values = x}, FCL_ERR_ARGUMENT, "0 samples"},
        {{.count = -1, .shape = two, .values = x}, FCL_ERR_ARGUMENT, "-1 samples"},
        {{.count = 2, .shape = two}, FCL_ERR_ARGUMENT, "neither values nor bytes"},
        {{.count = 2, .shape = two, .values = x, .bytes = bytes}, FCL_ERR_ARGUMENT, "both values and bytes"},
        {{.count = 2, .values = x}, FCL_ERR_SHAPE, "1 to 7 dimensions, not 0"},
        {{.count = 2, .shape = {.rank = FCL_MAX_RANK}, .values = x}, FCL_ERR_SHAPE, "dimensions"},
        {{.count = 2, .shape = {.rank = -3}, .values = x}, FCL_ERR_SHAPE, "dimensions"},
        {{.count = 2, .shape = FCL_SHAPE(2, 0), .values = x}, FCL_ERR_SHAPE, "(2, 0)"},
        {{.count = 2, .shape = FCL_SHAPE(-2), .values = x}, FCL_ERR_SHAPE, "(-2,)"},
        {{.count = INT64_MAX, .shape = two, .values = x}, FCL_ERR_SHAPE, "samples of shape (2,)"},
        {{.count = 2, .shape = FCL_SHAPE(INT64_MAX, 8), .values = x}, FCL_ERR_SHAPE, "samples of shape"},
        {{.count = 2, .shape = two, .values = infinite}, FCL_ERR_NUMERIC, "sample 1 holds an infinite"},
        {{.count = 2, .shape = two, .values = nan}, FCL_ERR_NUMERIC, "sample 0 holds NaN"},
        {{.count = 2, .shape = two, .bytes = bytes, .scale = NAN}, FCL_ERR_NUMERIC, "scale"},
        {{.count = 2, .shape = two, .values = x, .label = below}, FCL_ERR_ARGUMENT, "label of sample 1 is -1"},
        {{.count = 2, .shape = two, .values = x, .label = huge}, FCL_ERR_ARGUMENT, "label of sample 1"},
        {{.count = 2, .shape = two, .values = x, .label = above, .classes = 2}, FCL_ERR_ARGUMENT, "from 0 to 1"},
        {{.count = 2, .shape = two, .values = x, .classes = 2}, FCL_ERR_ARGUMENT, "classes but no labels"},
        {{.count = 2, .shape = two, .values = x, .label = good, .classes = -2}, FCL_ERR_ARGUMENT, "-2 classes"},
        {{.count = 2, .shape = two, .values = x, .label = good, .classes = 2, .class_name = unnamed},
         FCL_ERR_ARGUMENT, "class 1 has no name"},
        {{.count = 2, .shape = two, .values = x, .label = good, .classes = 2, .class_name = empty},
         FCL_ERR_ARGUMENT, "class 0 has no name"},
        {{.count = 2, .shape = two, .values = x, .label = good, .class_name = unnamed}, FCL_ERR_ARGUMENT, "named"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fcl_dataset *data;
        assert_int_equal(fcl_dataset_from(&rows[i].given, &data), rows[i].status);
        assert_null(data);
        assert_says(rows[i].says);
        assert_says("memory");
    }
}

/* Each sample once, with its own label; another seed another order; a class alone where one is asked for. */
static void draws_take_no_sample_twice(void **state)
{
    (void)state;
    fcl_array *x = array_of(FCL_SHAPE(40, 2), 0), *y = array_of(FCL_SHAPE(40), 0), *drawn, *other;
    for (int i = 0; i < 40; i++) {
        x->data[2 * i] = (float)i;
        y->data[i] = (float)(i % 4);
    }
    const char *path = scratch_path("draw.npz");
    assert_int_equal(fcl_npz_write(path, (fcl_npz_entry[]){{"x", x}, {"y", y}}, 2), FCL_OK);
    fcl_dataset *data = open_ok(path, NULL);
    int32_t *classes;
    for (int32_t label = -1; label < 4; label++) {
        int64_t count = label < 0 ? 40 : 10;
        int seen[40] = {0};
        assert_int_equal(fcl_dataset_count(data, label), count);
        assert_int_equal(fcl_dataset_draw(data, label, count, 7, &drawn, &classes), FCL_OK);
        for (int64_t i = 0; i < count; i++) {
            int which = (int)drawn->data[2 * i];
            assert_int_equal(seen[which]++, 0);
            assert_int_equal(classes[i], which % 4);
            assert_true(label < 0 || classes[i] == label);
        }
        fcl_free(classes);
        fcl_array_destroy(&drawn);
        assert_int_equal(fcl_dataset_draw(data, label, count + 1, 7, &drawn, NULL), FCL_ERR_ARGUMENT);
        assert_non_null(strstr(fcl_error(), "cannot be drawn"));
    }
    assert_int_equal(fcl_dataset_draw(data, -1, 10, 1, &drawn, NULL), FCL_OK);
    assert_int_equal(fcl_dataset_draw(data, -1, 10, 2, &other, NULL), FCL_OK);
    assert_memory_not_equal(drawn->data, other->data, 20 * sizeof(float));
    fcl_array_destroy(&drawn);
    fcl_array_destroy(&other);
    fcl_array_destroy(&x);
    fcl_array_destroy(&y);
    fcl_dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idx_is_read_plain_and_gzipped_with_its_labels),
        cmocka_unit_test(bytes_are_dequantised),
        cmocka_unit_test(idx_reads_big_endian_numbers),
        cmocka_unit_test(idx_refuses_every_truncation),
        cmocka_unit_test(idx_tells_its_mistakes),
        cmocka_unit_test(npy_bytes_of_rank_3_and_4_are_pictures),
        cmocka_unit_test(shapes_of_pictures_are_told),
        cmocka_unit_test(npy_of_one_dimension_is_samples_of_one_number),
        cmocka_unit_test(bad_arrays_are_refused),
        cmocka_unit_test(npz_finds_samples_and_labels),
        cmocka_unit_test(npz_knows_the_usual_names),
        cmocka_unit_test(npz_takes_the_array_that_is_named),
        cmocka_unit_test(arrays_and_tables_may_be_gzipped),
        cmocka_unit_test(csv_is_a_row_a_sample),
        cmocka_unit_test(labels_get_numbers_in_order),
        cmocka_unit_test(label_columns_that_are_none_are_refused),
        cmocka_unit_test(classes_are_matched_by_name),
        cmocka_unit_test(memory_becomes_a_data_set_of_its_own),
        cmocka_unit_test(memory_that_is_no_data_set_is_refused),
        cmocka_unit_test(draws_take_no_sample_twice),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
