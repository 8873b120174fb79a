/* Which arrays are pictures, and how they lie: by shape and numbers, in files that are read whole, in pieces and from the disk. */
#include "scratch.h"
#include "status.h"
#include "trial.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { HEADER = 128, CHANNELS = 4 };

typedef struct array_case {
    const char *type;
    int64_t dim[3]; /* of a sample in the file; 0: it has fewer */
    double low, high;
    bool alpha;          /* its fourths are 0, white or, in a quarter, between */
    fcl_shape like, found; /* found: in the set */
    bool turned;         /* (H, W, C) became (C, H, W) */
    const char *note;    /* part of it; NULL: there is none */
    const char *background;
} array_case;

static const array_case cases[] = {
    /* (N, H, W, C) of numbers as pictures have them */
    {"f4", {10, 12, 3}, 0, 1, .found = FCL_SHAPE(3, 10, 12), .turned = true, .note = "is read as (N, H, W, C)"},
    {"f8", {8, 9, 1}, 0, 255, .found = FCL_SHAPE(1, 8, 9), .turned = true, .note = "is read as (N, H, W, C)"},
    {"f2", {9, 8, 3}, 0, 1, .found = FCL_SHAPE(3, 9, 8), .turned = true, .note = "is read as (N, H, W, C)"},
    {"i8", {8, 8, 3}, 0, 255, .found = FCL_SHAPE(3, 8, 8), .turned = true, .note = "is read as (N, H, W, C)"},
    {"u2", {8, 8, 3}, 0, 65535, .found = FCL_SHAPE(3, 8, 8), .turned = true, .note = "is read as (N, H, W, C)"},
    {"i4", {8, 8, 1}, 0, 16, .found = FCL_SHAPE(1, 8, 8), .turned = true, .note = "is read as (N, H, W, C)"},
    /* and of others */
    {"f4", {10, 12, 3}, -1, 1, .found = FCL_SHAPE(10, 12, 3), .note = "is not read as pictures (N, H, W, C)"},
    {"f4", {10, 12, 3}, -20, 30, .found = FCL_SHAPE(10, 12, 3), .note = "is not read as pictures (N, H, W, C)"},
    {"f4", {10, 12, 3}, 0, 30, .found = FCL_SHAPE(10, 12, 3), .note = "is not read as pictures (N, H, W, C)"},
    {"f4", {10, 7, 3}, 0, 1, .found = FCL_SHAPE(10, 7, 3), .note = "is not read as pictures (N, H, W, C)"},
    {"f4", {3, 10, 3}, 0, 1, .found = FCL_SHAPE(3, 10, 3)},
    {"f4", {10, 12, 5}, 0, 1, .found = FCL_SHAPE(10, 12, 5)},
    {"f4", {4, 10, 12}, 0, 1, .found = FCL_SHAPE(4, 10, 12)},
    /* what can be seen through */
    {"f4", {10, 12, 4}, 0, 1, true, .found = FCL_SHAPE(3, 10, 12), .turned = true, .note = "(N, H, W, C), RGBA over white"},
    {"i8", {10, 12, 4}, 0, 255, true, .found = FCL_SHAPE(3, 10, 12), .turned = true, .note = "RGBA over #204080",
     .background = "#204080"},
    {"u2", {10, 12, 4}, 0, 65535, true, .found = FCL_SHAPE(3, 10, 12), .turned = true, .note = "RGBA over grey",
     .background = "grey"},
    {"u1", {5, 4, 4}, 0, 255, .found = FCL_SHAPE(3, 5, 4), .turned = true, .note = "(N, H, W, C), RGBA over white"},
    {"u1", {5, 4, 4}, 0, 255, .found = FCL_SHAPE(3, 5, 4), .turned = true, .note = "RGBA over black", .background = "black"},
    {"f4", {10, 12, 4}, 0, 1, .found = FCL_SHAPE(10, 12, 4), .note = "an alpha that is mostly 0 or the largest"},
    {"i8", {10, 12, 4}, 10, 100, true, .found = FCL_SHAPE(10, 12, 4), .note = "an alpha that is mostly 0 or the largest"},
    /* (N, H, W) */
    {"f4", {12, 12}, 0, 1, .found = FCL_SHAPE(1, 12, 12), .note = "is read as (N, H, W)"},
    {"f8", {8, 8}, 0, 255, .found = FCL_SHAPE(1, 8, 8), .note = "is read as (N, H, W)"},
    {"i8", {12, 12}, 0, 255, .found = FCL_SHAPE(1, 12, 12), .note = "is read as (N, H, W)"},
    {"b1", {9, 9}, 0, 1, .found = FCL_SHAPE(1, 9, 9), .note = "is read as (N, H, W)"},
    {"u1", {9, 5}, 0, 255, .found = FCL_SHAPE(1, 9, 5)},
    {"f4", {24, 28}, 0, 1, .found = FCL_SHAPE(24, 28), .note = "may be that of tables"},
    {"f4", {12, 12}, -1, 1, .found = FCL_SHAPE(12, 12), .note = "(N, 1, H, W) is of pictures, and (N, H, W) where it is square"},
    {"f4", {12, 12}, -20, 30, .found = FCL_SHAPE(12, 12)},
    {"f4", {7, 7}, 0, 1, .found = FCL_SHAPE(7, 7)},
    {"f4", {64}, 0, 1, .found = FCL_SHAPE(64)},
    /* like what is known */
    {"f4", {10, 12, 3}, -20, 30, .like = FCL_SHAPE(3, 10, 12), .found = FCL_SHAPE(3, 10, 12), .turned = true,
     .note = "is read as (N, H, W, C)"},
    {"f4", {10, 12, 3}, 0, 1, .like = FCL_SHAPE(10, 12, 3), .found = FCL_SHAPE(10, 12, 3)},
    {"f4", {9, 12}, -20, 30, .like = FCL_SHAPE(1, 9, 12), .found = FCL_SHAPE(1, 9, 12), .note = "is read as (N, H, W)"},
    {"f4", {12, 12}, 0, 1, .like = FCL_SHAPE(12, 12), .found = FCL_SHAPE(12, 12)},
};

/* --- files --- */

static bool is_float(const array_case *c)
{
    return *c->type == 'f';
}

static int ranks(const array_case *c)
{
    return c->dim[2] ? 3 : c->dim[1] ? 2 : 1;
}

static int64_t size_of(const array_case *c)
{
    int64_t size = 1;
    for (int i = 0; i < ranks(c); i++)
        size *= c->dim[i];
    return size;
}

/* Numbers that the type holds; those of floats of two bytes are multiples of 1/256. */
static void draw(const array_case *c, int64_t count, double *x)
{
    for (int64_t i = 0; i < count; i++) {
        bool alpha = c->alpha && i % CHANNELS == CHANNELS - 1;
        double u = alpha && trial_int(0, 3) ? trial_int(0, 1) : trial_uniform();
        x[i] = c->low + (c->high - c->low) * u;
        x[i] = !is_float(c) ? rint(x[i]) : strcmp(c->type, "f2") == 0 ? rint(256 * x[i]) / 256 : (double)(float)x[i];
    }
    x[0] = c->low;
    x[count - 1] = c->high;
}

/* 0 or a normal number. */
static uint16_t half_of(double x)
{
    int power;
    double part = frexp(fabs(x), &power);
    unsigned sign = x < 0 ? 0x8000 : 0;
    return (uint16_t)(x == 0 ? 0 : sign + ((unsigned)(power + 14) << 10) + (unsigned)(part * 2048 - 1024));
}

/* Little-endian, as the tests' machines are. */
static void store(const char *type, double x, uint8_t *to)
{
    int64_t whole = type[0] == 'f' ? 0 : (int64_t)x;
    float single = (float)x;
    uint16_t half = strcmp(type, "f2") == 0 ? half_of(x) : 0;
    const void *from = strcmp(type, "f4") == 0   ? (const void *)&single
                       : strcmp(type, "f8") == 0 ? (const void *)&x
                       : strcmp(type, "f2") == 0 ? (const void *)&half
                                                 : (const void *)&whole;
    memcpy(to, from, (size_t)(type[1] - '0'));
}

static size_t make_file(const array_case *c, int64_t n, const double *x, uint8_t **file)
{
    int size = c->type[1] - '0', used;
    int64_t count = n * size_of(c);
    char dims[80];
    int length = snprintf(dims, sizeof dims, "%lld,", (long long)n);
    for (int i = 0; i < ranks(c); i++)
        length += snprintf(dims + length, sizeof dims - (size_t)length, " %lld,", (long long)c->dim[i]);
    *file = malloc((size_t)(HEADER + count * size + 8));
    memset(*file, ' ', HEADER);
    used = snprintf((char *)*file + 10, HEADER - 10, "{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }",
                    size > 1 ? "<" : "|", c->type, dims);
    memcpy(*file, "\x93NUMPY\1\0\x76\0", 10);
    (*file)[10 + used] = ' ';
    (*file)[HEADER - 1] = '\n';
    for (int64_t i = 0; i < count; i++)
        store(c->type, x[i], *file + HEADER + i * size);
    return (size_t)(HEADER + count * size);
}

static void pack(const char *path, const void *bytes, size_t size)
{
    gzFile file = gzopen(path, "wb1");
    if (!file || gzwrite(file, bytes, (unsigned)size) != (int)size || gzclose(file) != Z_OK)
        abort();
}

/* --- the definition, in double --- */

static double below(const array_case *c, int channel)
{
    const char *name = c->background ? c->background : "white";
    return *name == '#'                 ? (double)((0x204080 >> (8 * (2 - channel))) & 255) / 255
           : strcmp(name, "white") == 0 ? 1
           : strcmp(name, "grey") == 0  ? 128 / 255.0
                                        : 0;
}

/* Number i of a sample of the set, from those of the file. */
static double expected(const array_case *c, const double *x, int64_t i)
{
    if (!c->turned)
        return x[i];
    int64_t pixels = c->dim[0] * c->dim[1], channel = i / pixels, pixel = i % pixels;
    const double *from = x + pixel * c->dim[2];
    if (c->dim[2] < CHANNELS)
        return from[channel];
    double alpha = from[3] / c->high;
    return from[channel] * alpha + below(c, (int)channel) * c->high * (1 - alpha);
}

static void check_shape(const array_case *c, const fcl_dataset *data)
{
    assert_int_equal(data->shape.rank, c->found.rank);
    for (int i = 0; i < c->found.rank; i++)
        assert_int_equal(data->shape.dim[i], c->found.dim[i]);
    if (c->note && (!data->note || !strstr(data->note, c->note)))
        fail_msg("'%s' lacks '%s'", data->note ? data->note : "", c->note);
    if (!c->note && data->note)
        fail_msg("'%s' is told", data->note);
}

/* Bytes of RGBA are rounded to bytes; what is mixed of floats is so to some of their roundings. */
static void check_numbers(const array_case *c, const fcl_dataset *data, int64_t n, const double *x)
{
    fcl_array *all;
    int64_t size = fcl_shape_size(c->found);
    bool bytes = strcmp(c->type, "u1") == 0 && ranks(c) > 1, mixed = c->turned && c->dim[2] == CHANNELS;
    double bound = !mixed ? 0 : bytes ? 0.5 : 8 * c->high * 0x1p-24;
    assert_int_equal(data->count, n);
    assert_true(fcl_dataset_has_bytes(data) == bytes);
    assert_ok(fcl_dataset_take(data, 0, n, &all));
    for (int64_t i = 0; i < n * size; i++) {
        double wanted = expected(c, x + i / size * size_of(c), i % size), found = all->data[i];
        found = bytes ? (found + 1) * 127.5 : found;
        if (!(fabs(found - wanted) <= bound + (bytes ? 1e-4 : 0)))
            fail_msg("%s: number %lld is %.9g, not %.9g", c->type, (long long)i, found, wanted);
    }
    fcl_array_destroy(&all);
}

static void check(const array_case *c)
{
    int64_t n = trial_int(1, 4) == 1 ? trial_int(100, 200) : trial_int(1, 30);
    double *x = malloc((size_t)(n * size_of(c)) * sizeof *x);
    uint8_t *file;
    draw(c, n * size_of(c), x);
    size_t size = make_file(c, n, x, &file);
    scratch_write("a.npy", file, size);
    pack(scratch_path("b.npy.gz"), file, size);
    for (int way = 0; way < 3; way++) {
        const fcl_dataset_options options = {.like = c->like, .from_disk = way == 2, .image.background = c->background};
        fcl_dataset *data;
        assert_ok(fcl_dataset_open(scratch_path(way ? "a.npy" : "b.npy.gz"), &options, &data));
        assert_true(!data->stored == (way < 2));
        check_shape(c, data);
        check_numbers(c, data, n, x);
        fcl_dataset_destroy(&data);
    }
    free(file);
    free(x);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&cases[i]);
}

/* What lies below nothing that can be seen through is no wish that can be met. */
static void test_background(void **state)
{
    static const array_case plain = {"f4", {10, 12, 3}, 0, 1}, clear = {"u1", {10, 12, 4}, 0, 255};
    static const struct {
        const array_case *of;
        const char *background, *says;
    } rows[] = {{&plain, "black", "background has no use with "}, {&clear, "#12", "background: \"#12\" is not usable"}};
    double x[480];
    uint8_t *file;
    fcl_dataset *data;
    (void)state;
    for (int i = 0; i < 4; i++) {
        const array_case *c = rows[i / 2].of;
        draw(c, size_of(c), x);
        size_t size = make_file(c, 1, x, &file);
        const char *path = scratch_write("c.npy", file, size);
        const fcl_dataset_options options = {.from_disk = i % 2, .image.background = rows[i / 2].background};
        assert_status(FCL_ERR_ARGUMENT, fcl_dataset_open(path, &options, &data));
        assert_told(rows[i / 2].says);
        free(file);
    }
}

/* Numbers that nobody looked at can be of any size: what is made of them is finite, or refused. */
static void test_too_large(void **state)
{
    static const array_case c = {"f4", {8, 8, 4}, 0, 1, true};
    enum { N = 200 };
    double *x = malloc(N * 256 * sizeof *x);
    uint8_t *file;
    fcl_dataset *data;
    fcl_array *all;
    (void)state;
    draw(&c, N * 256, x);
    for (int i = 256; i < 512; i++)
        x[i] = 1e30;
    size_t size = make_file(&c, N, x, &file);
    scratch_write("a.npy", file, size);
    pack(scratch_path("b.npy.gz"), file, size);
    for (int way = 0; way < 3; way++) {
        const fcl_dataset_options options = {.from_disk = way == 2};
        int status = fcl_dataset_open(scratch_path(way ? "a.npy" : "b.npy.gz"), &options, &data);
        if (way == 2) {
            assert_ok(status);
            status = fcl_dataset_take(data, 0, N, &all);
            fcl_dataset_destroy(&data);
        }
        assert_status(FCL_ERR_NUMERIC, status);
        assert_told("sample 1 holds an infinite");
    }
    free(file);
    free(x);
}

static int up(void **state)
{
    trial_seed();
    return scratch_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_background),
                                       cmocka_unit_test(test_too_large)};
    return cmocka_run_group_tests(tests, up, scratch_teardown);
}
