/* What data are normalised by: where auto acts and how, ranges of pictures, what is refused, and there and
 * back. */
#include "status.h"
#include "trial.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

enum { ROWS = 400, MOST = 64 };

static int setup(void **state)
{
    (void)state;
    trial_seed();
    return 0;
}

/* Columns of exactly that mean and deviation, but for single precision: half of the rows one above, half one
 * below. */
static fcl_dataset *columns(int count, const double *mean, const double *deviation)
{
    float values[ROWS * MOST];
    for (int i = 0; i < ROWS * count; i++)
        values[i] = (float)(mean[i % count] + deviation[i % count] * (i / count % 2 ? 1 : -1));
    fcl_dataset *data, given = {.count = ROWS, .shape = FCL_SHAPE(count), .values = values};
    assert_ok(fcl_dataset_from(&given, &data));
    return data;
}

static fcl_normalisation *create(const fcl_dataset *data, const char *normalise, const char *range)
{
    fcl_normalisation *by;
    assert_ok(fcl_normalisation_create(data, normalise, range, &by));
    return by;
}

static void assert_near(double found, double expected)
{
    if (!(fabs(found - expected) <= 2e-6 * fabs(expected) + 1e-12))
        fail_msg("%.9g, not %.9g", found, expected);
}

/* --- columns --- */

typedef struct rule {
    const char *normalise;
    int count;
    double mean[3], deviation[3], scale[3]; /* scale 0: numbers stay as they are */
} rule;

static const rule rules[] = {
    {"auto", 2, {9, -9}, {0.2, 9}, {0}},
    {"auto", 2, {11, 0}, {1, 1}, {1, 1}},
    {"auto", 2, {0, -11}, {0.5, 2}, {1.4577379737, 1.4577379737}}, /* root of (1/4 + 4)/2 */
    {"auto", 2, {0, 0}, {12, 12}, {12, 12}},
    {"auto", 2, {0, 0}, {1, 0.05}, {1, 0.05}},
    {"auto", 2, {0, 0}, {0.05, 0.02}, {0.0380788655, 0.0380788655}},
    {"auto", 3, {1000, 1000, 1000}, {2, 2, 2}, {2, 2, 2}},
    {"auto", 3, {101325, 0.02, 1}, {800, 0.004, 1}, {800, 0.004, 1}},
    {"auto", 3, {500, 7, 0}, {3, 0, 3}, {3, 3, 3}}, /* a constant says nothing of the scale */
    {"auto", 3, {500, 7, 0}, {3, 0, 300}, {3, 1, 300}},
    {"auto", 1, {42}, {0}, {1}},
    {"auto", 1, {0}, {1e-6}, {1e-6}},
    {"auto", 2, {1e30, 0}, {1e29, 1}, {1e29, 1}},
    {"auto", 2, {-1e-30, 1e-30}, {1e-30, 3e-30}, {2.2360679775e-30, 2.2360679775e-30}},
    {"off", 2, {1000, 0}, {300, 1}, {0}},
    {"columns", 2, {1, 2}, {1, 0.5}, {1, 0.5}},
    {"columns", 2, {1, 2}, {0, 0.5}, {1, 0.5}},
    {"all", 2, {1, 2}, {1, 3}, {2.2360679775, 2.2360679775}},
    {"7,3", 2, {1000, 1}, {1, 1}, {3, 3}},
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const rule *r = &rules[i];
        fcl_dataset *data = columns(r->count, r->mean, r->deviation);
        fcl_normalisation *by = create(data, r->normalise, NULL);
        print_message("rule %zu: %s\n", i, r->normalise);
        assert_int_equal(by->count > 0, r->scale[0] > 0);
        for (int k = 0; by->count && k < r->count; k++) {
            assert_near(by->centre[k % by->count], strcmp(r->normalise, "7,3") ? r->mean[k] : 7);
            assert_near(by->scale[k % by->count], r->scale[k]);
        }
        fcl_normalisation_destroy(&by);
        fcl_dataset_destroy(&data);
    }
}

/* Against means and deviations of random numbers, in long double; NULL is auto. */
static void test_statistics(void **state)
{
    (void)state;
    float values[3 * ROWS];
    const double offset[3] = {1e6, -3e4, 0.25}, spread[3] = {2, 700, 1e-3};
    for (int i = 0; i < 3 * ROWS; i++)
        values[i] = (float)(offset[i % 3] + spread[i % 3] * trial_normal());
    fcl_dataset *data, given = {.count = ROWS, .shape = FCL_SHAPE(3), .values = values};
    assert_ok(fcl_dataset_from(&given, &data));
    fcl_normalisation *by = create(data, NULL, NULL);
    assert_int_equal(by->count, 3);
    for (int k = 0; k < 3; k++) {
        long double mean = 0, squares = 0;
        for (int i = 0; i < ROWS; i++)
            mean += values[3 * i + k] / (long double)ROWS;
        for (int i = 0; i < ROWS; i++)
            squares += (values[3 * i + k] - mean) * (values[3 * i + k] - mean);
        assert_true(fabs(by->centre[k] - (double)mean) <= 1e-7 * fabs((double)mean));
        assert_near(by->scale[k], (double)sqrtl(squares / ROWS));
    }
    fcl_normalisation_destroy(&by);
    fcl_dataset_destroy(&data);
}

static void test_there_and_back(void **state)
{
    (void)state;
    const double mean[2] = {101325, 0.02}, deviation[2] = {800, 0.004};
    fcl_dataset *data = columns(2, mean, deviation);
    fcl_normalisation *by = create(data, NULL, NULL);
    float x[2 * ROWS], before[2 * ROWS];
    double log_scale = 0;
    for (int i = 0; i < 2 * ROWS; i++)
        before[i] = x[i] = (float)(mean[i % 2] + deviation[i % 2] * trial_normal());
    fcl_normalisation_apply(by, ROWS, 2, x);
    for (int i = 0; i < 2 * ROWS; i++)
        assert_true(fabs(x[i] - (before[i] - by->centre[i % 2]) / by->scale[i % 2]) < 1e-6 &&
                    fabsf(x[i]) < 7);
    fcl_normalisation_undo(by, ROWS, 2, x);
    for (int i = 0; i < 2 * ROWS; i++) { /* a number near 0 is the difference of larger ones */
        double size = fabs((double)before[i]) + fabs((double)before[i] - by->centre[i % 2]);
        assert_true(fabs((double)x[i] - (double)before[i]) <= 2 * size * 0x1p-23);
    }
    for (int k = 0; k < 2; k++)
        log_scale += log(by->scale[k]);
    assert_near(fcl_normalisation_log_scale(by, 2), log_scale);
    char *text = fcl_normalisation_text(by);
    assert_string_equal(text, "(x1 - 101325)/800, (x2 - 0.02)/0.004");
    fcl_free(text);
    fcl_normalisation_destroy(&by);
    by = create(data, "-2,0.5", NULL);
    text = fcl_normalisation_text(by);
    assert_string_equal(text, "(x + 2)/0.5");
    assert_near(fcl_normalisation_log_scale(by, 2), 2 * log(0.5));
    fcl_free(text);
    fcl_normalisation_destroy(&by);
    fcl_dataset_destroy(&data);
}

/* --- pictures --- */

/* Random pictures of these ends, both of which occur. */
static fcl_dataset *pictures(fcl_shape shape, double least, double most, bool whole)
{
    enum { COUNT = 20 };
    int64_t size = COUNT * fcl_shape_size(shape);
    float *values = calloc((size_t)size, sizeof *values);
    for (int64_t i = 0; i < size; i++) {
        double x = i ? i == 1 ? most : least + (most - least) * trial_uniform() : least;
        values[i] = (float)(whole ? rint(x) : x);
    }
    fcl_dataset *data, given = {.count = COUNT, .shape = shape, .values = values};
    assert_ok(fcl_dataset_from(&given, &data));
    free(values);
    return data;
}

typedef struct extent {
    double least, most;
    bool whole;
    const char *normalise, *given;
    double low, high;
    double centre, scale; /* scale 0: as they are */
} extent;

static const extent ranges[] = {
    {0, 1, false, "auto", NULL, 0, 1, 0.5, 0.5},
    {0, 1, true, "auto", NULL, 0, 1, 0.5, 0.5},
    {-1, 1, false, "auto", NULL, -1, 1, 0, 0},
    {-0.9, 0.3, false, "auto", NULL, -1, 1, 0, 0},
    {0, 255, false, "auto", NULL, 0, 255, 127.5, 127.5},
    {3, 250, true, "auto", NULL, 0, 255, 127.5, 127.5},
    {0, 16, true, "auto", NULL, 0, 16, 8, 8},
    {0, 4095, true, "auto", NULL, 0, 4095, 2047.5, 2047.5},
    {0, 60000, true, "auto", NULL, 0, 65535, 32767.5, 32767.5},
    {0, 1, false, "off", NULL, 0, 1, 0, 0},
    {0, 100, false, "auto", "0,100", 0, 100, 50, 50},
    {-2, 2, false, "auto", "-2,2", -2, 2, 0, 2},
    {0, 1, false, "off", "-1,1", -1, 1, 0, 0},
    {0, 255, false, "100,50", NULL, 0, 255, 100, 50},
    {-2, 2.5, false, "auto", NULL, -2, 2.5, 0, 0}, /* of the scale of noise already */
};

static void test_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const extent *r = &ranges[i];
        for (int kind = 0; kind < 3; kind++) {
            fcl_shape shape = kind == 0   ? FCL_SHAPE(5, 4)
                              : kind == 1 ? FCL_SHAPE(1, 5, 4)
                                          : FCL_SHAPE(3, 5, 4);
            fcl_dataset *data = pictures(shape, r->least, r->most, r->whole);
            fcl_normalisation *by = create(data, r->normalise, r->given);
            print_message("range %zu of kind %d\n", i, kind);
            assert_near(by->low, r->low);
            assert_near(by->high, r->high);
            assert_int_equal(by->count, r->scale > 0);
            if (by->count) {
                assert_near(by->centre[0], r->centre);
                assert_near(by->scale[0], r->scale);
            }
            fcl_normalisation_destroy(&by);
            fcl_dataset_destroy(&data);
        }
    }
}

/* Values of bytes are (byte * 2/255 - 1); a range is told in bytes. */
static void test_bytes(void **state)
{
    (void)state;
    uint8_t bytes[40 * 6];
    fcl_dataset *data, given = {.count = 40, .shape = FCL_SHAPE(1, 2, 3), .bytes = bytes};
    for (int most = 16; most <= 255; most += 239) {
        for (int i = 0; i < 40 * 6; i++)
            bytes[i] = (uint8_t)(i == 0 ? most : trial_int(0, most));
        assert_ok(fcl_dataset_from(&given, &data));
        fcl_normalisation *by = create(data, NULL, NULL), *ranged = create(data, NULL, "10,60");
        assert_int_equal(by->count, most == 16);
        assert_near(by->low, -1);
        assert_near(by->high, most * 2.0 / 255 - 1);
        assert_near(ranged->low, 10 * 2.0 / 255 - 1);
        assert_near(ranged->high, 60 * 2.0 / 255 - 1);
        assert_near(ranged->scale[0], 25 * 2.0 / 255);
        assert_near(ranged->centre[0], 35 * 2.0 / 255 - 1);
        fcl_normalisation_destroy(&by);
        fcl_normalisation_destroy(&ranged);
        fcl_dataset_destroy(&data);
    }
}

/* Other pictures, and arrays (H, W) that are none. */
static void test_unknown_ranges(void **state)
{
    (void)state;
    fcl_dataset *data = pictures(FCL_SHAPE(3, 5, 4), 300.5, 900.25, false);
    fcl_normalisation *by = create(data, NULL, NULL);
    assert_int_equal(by->count, 1); /* all numbers by one mean and deviation */
    assert_near(by->low, 300.5);
    assert_near(by->high, 900.25);
    assert_true(fabs(by->centre[0] - 600) < 60 && fabs(by->scale[0] - 173) < 30);
    fcl_normalisation_destroy(&by);
    fcl_dataset_destroy(&data);
    data = pictures(FCL_SHAPE(5, 4), 300.5, 900.25, false);
    by = create(data, NULL, NULL);
    assert_int_equal(by->count, 20);
    fcl_normalisation_destroy(&by);
    fcl_dataset_destroy(&data);
}

/* --- what is refused --- */

static void assert_refused(const fcl_dataset *data, const char *normalise, const char *range,
                           const char *told)
{
    fcl_normalisation *by;
    assert_status(FCL_ERR_ARGUMENT, fcl_normalisation_create(data, normalise, range, &by));
    assert_null(by);
    assert_told(told);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const unusable[] = {"",    "1",     "1,0",   "1,-1",   "1,2,3", "1,2,",
                                           "1;2", "1,nan", "1,inf", "1e39,1", "colums"};
    fcl_dataset *data = columns(3, (const double[]){0, 0, 0}, (const double[]){1, 1, 1}), *moons;
    for (size_t i = 0; i < sizeof unusable / sizeof *unusable; i++)
        assert_refused(data, unusable[i], NULL, "is not usable: expected auto, off, columns, all, or pairs");
    assert_refused(data, "1,2,3,4", NULL,
                   "4 numbers are neither a centre and a scale for all, nor a pair for each of the 3");
    assert_refused(data, NULL, "0,1", "range 0,1 is for pictures");
    fcl_dataset_destroy(&data);
    data = pictures(FCL_SHAPE(1, 5, 4), 0, 1, false);
    static const char *const ranges_unusable[] = {"", "1", "1,0", "1,1", "0,1,2", "a,b", "0,inf"};
    for (size_t i = 0; i < sizeof ranges_unusable / sizeof *ranges_unusable; i++)
        assert_refused(data, NULL, ranges_unusable[i], "range: ");
    fcl_dataset_destroy(&data);
    assert_ok(fcl_dataset_open("moons", &(fcl_dataset_options){.count = 100}, &moons));
    static const char *const touching[] = {"columns", "all", "0,1"};
    for (size_t i = 0; i < sizeof touching / sizeof *touching; i++)
        assert_refused(moons, touching[i], NULL, "has no use with moons: built-in sets are not normalised");
    fcl_normalisation *by = create(moons, "auto", NULL);
    assert_int_equal(by->count, 0);
    fcl_normalisation_destroy(&by);
    fcl_dataset_destroy(&moons);
}

/* A built-in set stays as it is, though a file of the same numbers would not. */
static void test_builtin(void **state)
{
    (void)state;
    fcl_dataset *data, *own;
    assert_ok(fcl_dataset_open("rings", &(fcl_dataset_options){.count = 50}, &data));
    assert_true(data->builtin && fcl_dataset_is_builtin("rings") && !fcl_dataset_is_builtin("./rings"));
    for (int i = 0; i < 100; i++)
        data->values[i] = 100 * data->values[i];
    fcl_normalisation *by = create(data, NULL, NULL);
    assert_int_equal(by->count, 0);
    fcl_normalisation_destroy(&by);
    assert_ok(fcl_dataset_from(data, &own));
    by = create(own, NULL, NULL);
    assert_int_equal(by->count, 2);
    fcl_normalisation_destroy(&by);
    fcl_dataset_destroy(&own);
    fcl_dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),          cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_bytes),          cmocka_unit_test(test_unknown_ranges),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_builtin),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
