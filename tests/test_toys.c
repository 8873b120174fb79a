/* The built-in data sets: what their points are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"

#include <flowcl/data.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double pi = 3.14159265358979323846;

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

static void toys_are_deterministic_points(void **state)
{
    (void)state;
    const fcl_dataset_builtin *about;
    for (int i = 0; (about = fcl_dataset_builtin_at(i)); i++) {
        if (strncmp(about->name, "fashion", 7) == 0)
            continue;
        fcl_dataset *a = open_ok(about->name, &(fcl_dataset_options){.count = 1001, .seed = 5});
        fcl_dataset *b =
            open_ok(about->name, &(fcl_dataset_options){.count = 1001, .seed = 5, .unlabeled = true});
        fcl_dataset *c = open_ok(about->name, &(fcl_dataset_options){.count = 1001, .seed = 6});
        assert_string_equal(a->name, about->name);
        assert_int_equal(a->count, 1001);
        assert_int_equal(a->shape.rank, 1);
        assert_int_equal(a->shape.dim[0], 2);
        assert_memory_equal(a->values, b->values, 2002 * sizeof(float));
        assert_memory_not_equal(a->values, c->values, 2002 * sizeof(float));
        assert_null(b->label);
        assert_int_equal(b->classes, 0);
        assert_int_equal(a->label != NULL, a->classes > 0);
        for (int k = 0; a->label && k < 1001; k++)
            assert_in_range(a->label[k], 0, a->classes - 1);
        fcl_dataset_destroy(&a);
        fcl_dataset_destroy(&b);
        fcl_dataset_destroy(&c);
        fcl_dataset_destroy(&c);
    }
    assert_null(fcl_dataset_builtin_at(-1));
    fcl_dataset *whole = open_ok("moons", NULL);
    assert_int_equal(whole->count, FCL_TOY_COUNT);
    fcl_dataset_destroy(&whole);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Undoes "times 2 minus 1": a moon's residual radius is N(0, 0.05) in each coordinate, and its angles are
 * those of an even division of [0, pi] but for the noise. */
static void moons_are_scikit_learns(void **state)
{
    (void)state;
    enum { N = 20001 };
    fcl_dataset *moons = open_ok("moons", &(fcl_dataset_options){.count = N, .seed = 3});
    static double angle[2][N];
    int count[2] = {0};
    double square = 0;
    for (int i = 0; i < N; i++) {
        double x = (moons->values[2 * i] + 1) / 2, y = (moons->values[2 * i + 1] + 1) / 2;
        int inner = moons->label[i];
        x = inner ? 1 - x : x;
        y = inner ? 0.5 - y : y;
        double a = atan2(y, x);
        angle[inner][count[inner]++] = a < -pi / 2 ? a + 2 * pi : a;
        square += (hypot(x, y) - 1) * (hypot(x, y) - 1);
    }
    assert_int_equal(count[0], N / 2);
    assert_int_equal(count[1], N - N / 2);
    assert_true(fabs(sqrt(square / N) - 0.05) < 0.002);
    for (int moon = 0; moon < 2; moon++) {
        qsort(angle[moon], (size_t)count[moon], sizeof(double), compare);
        for (int k = count[moon] / 10; k < count[moon] * 9 / 10; k += 100)
            assert_true(fabs(angle[moon][k] - pi * k / (count[moon] - 1)) < 0.01);
    }
    fcl_dataset_destroy(&moons);
}

/* Any stretch of moons covers them: a quarter of the samples has the angles' mean of the whole. */
static void moons_are_mixed(void **state)
{
    (void)state;
    fcl_dataset *moons = open_ok("moons", &(fcl_dataset_options){.count = 4000});
    for (int part = 0; part < 4; part++) {
        double x = 0;
        for (int i = 1000 * part; i < 1000 * (part + 1); i++)
            x += moons->values[2 * i];
        assert_true(fabs(x / 1000) < 0.03); /* the outer moon's mean is -1, the inner one's 1 */
    }
    fcl_dataset_destroy(&moons);
}

/* Radius 5 and deviation 1 of each mode: the trap is another deviation under the same name. */
static void eight_gaussians_have_deviation_1(void **state)
{
    (void)state;
    enum { N = 80000 };
    fcl_dataset *data = open_ok("8gaussians", &(fcl_dataset_options){.count = N, .seed = 1});
    double count[8] = {0}, mean[8][2] = {{0}}, square = 0, product = 0;
    for (int i = 0; i < N; i++) {
        int mode = data->label[i];
        double dx = data->values[2 * i] - 5 * cos(mode * pi / 4),
               dy = data->values[2 * i + 1] - 5 * sin(mode * pi / 4);
        count[mode]++;
        mean[mode][0] += dx;
        mean[mode][1] += dy;
        square += (dx * dx + dy * dy) / 2;
        product += dx * dy;
    }
    assert_true(fabs(square / N - 1) < 0.02);
    assert_true(fabs(product / N) < 0.02); /* each coordinate has its own noise */
    for (int mode = 0; mode < 8; mode++) {
        assert_true(fabs(count[mode] - N / 8) < 500);
        assert_true(hypot(mean[mode][0], mean[mode][1]) / count[mode] < 0.05);
    }
    fcl_dataset_destroy(&data);
}

static void checkerboard_fills_the_black_squares(void **state)
{
    (void)state;
    enum { N = 80000 };
    fcl_dataset *data = open_ok("checkerboard", &(fcl_dataset_options){.count = N});
    int count[4][4] = {{0}};
    for (int i = 0; i < N; i++) {
        double x = (data->values[2 * i] + 4) / 2, y = (data->values[2 * i + 1] + 4) / 2;
        assert_true(x >= 0 && x <= 4 && y >= 0 && y <= 4);
        count[(int)fmin(x, 3)][(int)fmin(y, 3)]++;
    }
    for (int i = 0; i < 16; i++) {
        int expected = (i / 4 + i % 4) % 2 == 0 ? N / 8 : 0;
        assert_true(abs(count[i / 4][i % 4] - expected) < 500);
        assert_true(expected > 0 || count[i / 4][i % 4] <= 1); /* single precision may round onto an edge */
    }
    fcl_dataset_destroy(&data);
}

static void rings_and_curves_have_their_shapes(void **state)
{
    (void)state;
    enum { N = 30000 };
    fcl_dataset *rings = open_ok("rings", &(fcl_dataset_options){.count = N});
    fcl_dataset *curve = open_ok("s-curve", &(fcl_dataset_options){.count = N});
    fcl_dataset *spirals = open_ok("spirals", &(fcl_dataset_options){.count = N});
    double ring_square = 0;
    for (int i = 0; i < N; i++) {
        const float *r = rings->values + 2 * i, *c = curve->values + 2 * i, *s = spirals->values + 2 * i;
        double off = hypot(r[0], r[1]) - (rings->label[i] + 1);
        ring_square += off * off;
        assert_true(fabs(hypot(c[0], fabs(c[1]) - 1) - 1) <
                    0.4); /* two unit circles about (0, 1) and (0, -1) */
        double radius = hypot(s[0], s[1]),
               angle = pi * radius + spirals->label[i] * pi; /* 3 pi r, radius 3 r */
        double along = cos(angle) * s[0] + sin(angle) * s[1];
        assert_true(radius < 0.6 || along > 0);
    }
    assert_true(fabs(sqrt(ring_square / N) - 0.08) < 0.004);
    fcl_dataset_destroy(&rings);
    fcl_dataset_destroy(&curve);
    fcl_dataset_destroy(&spirals);
}

static void unknown_names_get_the_nearest(void **state)
{
    (void)state;
    assert_refused("mons", FCL_ERR_ARGUMENT, "did you mean 'moons'");
    assert_refused("fashion", FCL_ERR_ARGUMENT, "did you mean 'fashion-mnist'");
    assert_refused("zebra", FCL_ERR_ARGUMENT, "moons, 8gaussians, checkerboard");
    assert_refused("", FCL_ERR_ARGUMENT, "no data set");
    fcl_dataset *dataset;
    assert_int_equal(fcl_dataset_open("moons", &(fcl_dataset_options){.count = -1}, &dataset),
                     FCL_ERR_ARGUMENT);
    assert_int_equal(fcl_dataset_open("moons", &(fcl_dataset_options){.count = INT64_MAX}, &dataset),
                     FCL_ERR_ARGUMENT);
}

/* Fashion-MNIST, where its package is installed; else its sentence. */
static void fashion_mnist_is_found_or_explained(void **state)
{
    (void)state;
    if (access("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz", R_OK) != 0) {
        assert_refused("fashion-mnist-test", FCL_ERR_FILE, "apt-get install dataset-fashion-mnist");
        return;
    }
    fcl_dataset *data = open_ok("fashion-mnist-test", NULL);
    assert_string_equal(data->name, "fashion-mnist-test");
    assert_int_equal(data->count, 10000);
    assert_int_equal(data->shape.rank, 3);
    assert_int_equal(data->shape.dim[0], 1);
    assert_int_equal(data->shape.dim[2], 28);
    assert_non_null(data->bytes);
    assert_null(data->values);
    assert_int_equal(data->classes, 10);
    int each[10] = {0};
    for (int i = 0; i < 10000; i++)
        each[data->label[i]]++;
    for (int i = 0; i < 10; i++)
        assert_int_equal(each[i], 1000);
    fcl_dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(toys_are_deterministic_points),
        cmocka_unit_test(moons_are_scikit_learns),
        cmocka_unit_test(moons_are_mixed),
        cmocka_unit_test(eight_gaussians_have_deviation_1),
        cmocka_unit_test(checkerboard_fills_the_black_squares),
        cmocka_unit_test(rings_and_curves_have_their_shapes),
        cmocka_unit_test(unknown_names_get_the_nearest),
        cmocka_unit_test(fashion_mnist_is_found_or_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
