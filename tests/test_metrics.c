/* Distances between sets of points against plain double references and closed forms. */
#include "draws.h"

#include <flowcl/eval.h>

#include <math.h>
#include <stdlib.h>

static fcl_array *new_points(int n, int size)
{
    fcl_array *points;
    assert_ok(fcl_array_create(FCL_SHAPE(n, size), &points));
    return points;
}

/* N(mean, deviation^2 I) */
static fcl_array *normal_points(int n, int size, double mean, double deviation)
{
    fcl_array *points = new_points(n, size);
    for (int i = 0; i < n * size; i++)
        points->data[i] = (float)(mean + deviation * normal());
    return points;
}

static fcl_array *shuffled(const fcl_array *points)
{
    int n = (int)points->shape.dim[0], size = (int)points->shape.dim[1];
    fcl_array *copy = new_points(n, size);
    memcpy(copy->data, points->data, sizeof(float) * (size_t)(n * size));
    for (int i = n - 1; i > 0; i--) {
        for (int d = 0, j = whole(0, i); d < size; d++) {
            float swapped = copy->data[i * size + d];
            copy->data[i * size + d] = copy->data[j * size + d];
            copy->data[j * size + d] = swapped;
        }
    }
    return copy;
}

static double distance_of(const char *name, const fcl_array *a, const fcl_array *b,
                          const fcl_distance_options *options)
{
    fcl_distance distance;
    assert_ok(fcl_distance_measure(name, a, b, options, &distance));
    assert_true(distance.how[0] != 0);
    return distance.value;
}

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        print_error("%.12g is not %.12g within %g\n", value, expected, tolerance);
    assert_true(fabs(value - expected) <= tolerance);
}

/* --- references --- */

static double between(const fcl_array *a, int i, const fcl_array *b, int j)
{
    int size = (int)(fcl_shape_size(a->shape) / a->shape.dim[0]);
    double sum = 0;
    for (int d = 0; d < size; d++)
        sum += pow((double)a->data[i * size + d] - (double)b->data[j * size + d], 2);
    return sqrt(sum);
}

typedef double function_of_distance(double distance, double parameter);

static double plain(double distance, double parameter)
{
    (void)parameter;
    return distance;
}

static double gaussian(double distance, double h)
{
    return exp(-distance * distance / (2 * h * h));
}

/* The mean over all pairs, those of a point with itself included or not. */
static double pair_mean(const fcl_array *a, const fcl_array *b, bool with_self, function_of_distance *f,
                        double parameter)
{
    int n = (int)a->shape.dim[0], m = (int)b->shape.dim[0];
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            sum += with_self || i != j ? f(between(a, i, b, j), parameter) : 0;
    return sum / (n * (double)(with_self ? m : m - 1));
}

static double reference_energy(const fcl_array *a, const fcl_array *b)
{
    return 2 * pair_mean(a, b, true, plain, 0) - pair_mean(a, a, true, plain, 0) -
           pair_mean(b, b, true, plain, 0);
}

static double reference_mmd(const fcl_array *a, const fcl_array *b, double h)
{
    return pair_mean(a, a, false, gaussian, h) + pair_mean(b, b, false, gaussian, h) -
           2 * pair_mean(a, b, true, gaussian, h);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Every point of both sets repeated to a common count, sorted, paired in order. */
static double reference_line(const fcl_array *a, const fcl_array *b, double power)
{
    int n = (int)a->shape.dim[0], m = (int)b->shape.dim[0];
    double *x = malloc(sizeof *x * (size_t)(n * m)), *y = malloc(sizeof *y * (size_t)(n * m)), sum = 0;
    for (int i = 0; i < n * m; i++) {
        x[i] = a->data[i / m];
        y[i] = b->data[i / n];
    }
    qsort(x, (size_t)(n * m), sizeof *x, compare);
    qsort(y, (size_t)(n * m), sizeof *y, compare);
    for (int i = 0; i < n * m; i++)
        sum += pow(fabs(x[i] - y[i]), power) / (n * m);
    free(x);
    free(y);
    return pow(sum, 1 / power);
}

/* The least mean cost over all pairings of up to eight points, by trying each. */
static double best_pairing(const fcl_array *a, const fcl_array *b, double power, int row, unsigned taken)
{
    int n = (int)a->shape.dim[0];
    double best = row == n ? 0 : INFINITY;
    for (int j = 0; j < n && row < n; j++) {
        if (taken >> j & 1)
            continue;
        double rest = best_pairing(a, b, power, row + 1, taken | 1u << j);
        best = fmin(best, pow(between(a, row, b, j), power) / n + rest);
    }
    return best;
}

/* --- tests --- */

static void transport_is_the_best_pairing(void **state)
{
    (void)state;
    for (int n = 1; n <= 7; n++) {
        fcl_array *a = normal_points(n, 3, 0, 1), *b = normal_points(n, 3, 0.5, 2);
        assert_near(distance_of("w1", a, b, NULL), best_pairing(a, b, 1, 0, 0), 1e-6);
        assert_near(distance_of("w2", a, b, NULL), sqrt(best_pairing(a, b, 2, 0, 0)), 1e-6);
        fcl_array_destroy(&a);
        fcl_array_destroy(&b);
    }
}

static void transport_on_a_line_takes_any_counts(void **state)
{
    (void)state;
    for (int trial = 0; trial < 20; trial++) {
        fcl_array *a = normal_points(whole(1, 40), 1, 0, 1), *b = normal_points(whole(1, 40), 1, 1, 2);
        fcl_distance_options few = {.points = 3}; /* sorting needs no limit */
        assert_near(distance_of("w1", a, b, &few), reference_line(a, b, 1), 1e-9);
        assert_near(distance_of("w2", a, b, NULL), reference_line(a, b, 2), 1e-9);
        assert_near(distance_of("sliced", a, b, NULL), reference_line(a, b, 2), 1e-9);
        fcl_array_destroy(&a);
        fcl_array_destroy(&b);
    }
}

static void sums_over_pairs(void **state)
{
    (void)state;
    static const int sizes[] = {1, 2, 5, 33};
    for (int i = 0; i < 4; i++) {
        fcl_array *a = normal_points(whole(2, 70), sizes[i], 0, 1);
        fcl_array *b = normal_points(whole(2, 70), sizes[i], 0.3, 1.5);
        assert_near(distance_of("energy", a, b, NULL), reference_energy(a, b), 1e-9);
        fcl_distance_options one = {.bandwidth = "0.75"}, two = {.bandwidth = "0.75,2.5"};
        double first = reference_mmd(a, b, 0.75), second = reference_mmd(a, b, 2.5);
        assert_near(distance_of("mmd", a, b, &one), first, 1e-9);
        assert_near(distance_of("mmd", a, b, &two), (first + second) / 2, 1e-9);
        fcl_array_destroy(&a);
        fcl_array_destroy(&b);
    }
}

/* The median over all pairs of the pooled points, which are few enough here. */
static void mmd_takes_the_median_distance(void **state)
{
    (void)state;
    int n = whole(2, 30), m = whole(2, 30), count = 0;
    fcl_array *a = normal_points(n, 4, 0, 1), *b = normal_points(m, 4, 1, 1), *all = new_points(n + m, 4);
    memcpy(all->data, a->data, sizeof(float) * (size_t)(4 * n));
    memcpy(all->data + 4 * n, b->data, sizeof(float) * (size_t)(4 * m));
    double *distance = malloc(sizeof *distance * (size_t)((n + m) * (n + m)));
    for (int i = 0; i < n + m; i++)
        for (int j = i + 1; j < n + m; j++)
            distance[count++] = between(all, i, all, j);
    qsort(distance, (size_t)count, sizeof *distance, compare);
    double median = (distance[(count - 1) / 2] + distance[count / 2]) / 2;
    fcl_distance mmd;
    assert_ok(fcl_distance_measure("mmd", a, b, NULL, &mmd));
    assert_near(mmd.bandwidth, median, 1e-9);
    assert_near(mmd.value, reference_mmd(a, b, median), 1e-9);
    assert_non_null(strstr(mmd.how, "median distance"));
    free(distance);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
    fcl_array_destroy(&all);
}

/* The same points in another order: all are 0, but mmd, whose unbiased estimate leaves pairs of equals out.
 */
static void equal_sets_are_at_no_distance(void **state)
{
    (void)state;
    static const char *const names[] = {"w1", "w2", "sliced", "energy"};
    for (int size = 1; size < 5; size += 3) {
        fcl_array *a = normal_points(whole(1, 90), size, 2, 3), *b = shuffled(a);
        for (int i = 0; i < 4; i++)
            assert_near(distance_of(names[i], a, b, NULL), 0, 1e-7);
        fcl_array_destroy(&a);
        fcl_array_destroy(&b);
    }
    fcl_array *a = normal_points(50, 2, 0, 1), *b = shuffled(a);
    fcl_distance_options one = {.bandwidth = "1"};
    assert_near(distance_of("mmd", a, b, &one), reference_mmd(a, a, 1), 1e-9);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
}

/* Moving a set by a vector costs its length; a projection sees its share, whose mean square is |shift|^2 / D.
 */
static void translations_are_seen_as_their_length(void **state)
{
    (void)state;
    int n = whole(50, 150);
    fcl_array *a = normal_points(n, 3, 0, 1), *b = shuffled(a);
    for (int i = 0; i < n; i++) {
        b->data[3 * i] += 8;
        b->data[3 * i + 2] -= 6;
    }
    fcl_distance_options many = {.projections = 20000};
    assert_near(distance_of("w1", a, b, NULL), 10, 1e-5);
    assert_near(distance_of("w2", a, b, NULL), 10, 1e-5);
    assert_near(distance_of("sliced", a, b, &many), 10 / sqrt(3), 0.1);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
}

/* N(0, I) and N(m, s^2 I): W2^2 = |m|^2 + D (1 - s)^2, and what both project to is at |m|^2 / D + (1 - s)^2.
 */
static void gaussians_are_where_the_formula_says(void **state)
{
    (void)state;
    fcl_array *a = normal_points(1500, 2, 0, 1), *b = normal_points(1500, 2, 2, 0.5);
    assert_near(distance_of("w2", a, b, NULL), sqrt(8 + 2 * 0.25), 0.25);
    assert_near(distance_of("sliced", a, b, NULL), sqrt(4 + 0.25), 0.25);
    /* mmd of Gaussians: E k(x, y) = (h^2 / (h^2 + s1^2 + s2^2))^(D/2) exp(-|m|^2 / (2 (h^2 + s1^2 + s2^2)))
     */
    fcl_distance_options one = {.bandwidth = "1"};
    double expected = 1 / 3.0 + 1 / 1.5 - 2 / 2.25 * exp(-8 / (2 * 2.25));
    assert_near(distance_of("mmd", a, b, &one), expected, 0.12);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
    /* energy of N(0, 1) and N(m, 1): 2 E|N(m, 2)| - 4 / sqrt(pi), far apart nearly 2 |m| - 4 / sqrt(pi) */
    a = normal_points(2000, 1, 0, 1);
    b = normal_points(1000, 1, 10, 1);
    assert_near(distance_of("energy", a, b, NULL), 20 - 4 / sqrt(M_PI), 0.4);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
}

static void of_large_sets_points_are_drawn(void **state)
{
    (void)state;
    fcl_array *a = normal_points(700, 2, 0, 1), *b = normal_points(500, 2, 3, 1);
    fcl_distance_options options = {.points = 200, .seed = 1}, other = {.points = 200, .seed = 2};
    fcl_distance w2, again, energy;
    assert_ok(fcl_distance_measure("w2", a, b, &options, &w2));
    assert_int_equal(w2.points[0], 200);
    assert_int_equal(w2.points[1], 200);
    assert_non_null(strstr(w2.how, "200 points each drawn"));
    assert_ok(fcl_distance_measure("w2", a, b, &options, &again));
    assert_true(w2.value == again.value);
    assert_true(distance_of("w2", a, b, &other) != w2.value);
    assert_near(w2.value, sqrt(18), 0.6);
    options.points = 600;
    assert_ok(fcl_distance_measure("w2", a, b, &options, &w2));
    assert_int_equal(w2.points[0], 500);
    assert_ok(fcl_distance_measure("energy", a, b, &options, &energy));
    assert_int_equal(energy.points[0], 600);
    assert_int_equal(energy.points[1], 500);
    assert_non_null(strstr(energy.how, "600 and 500 points drawn"));
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
    /* Nothing is drawn twice: as many as there are is the set itself. */
    a = normal_points(300, 2, 0, 1);
    options.points = 300;
    assert_near(distance_of("energy", a, a, &options), 0, 1e-9);
    fcl_array_destroy(&a);
}

static void points_may_have_any_shape(void **state)
{
    (void)state;
    fcl_array *flat = normal_points(20, 12, 0, 1), *other = normal_points(20, 12, 1, 1);
    double expected = distance_of("w2", flat, other, NULL);
    flat->shape = other->shape = FCL_SHAPE(20, 1, 3, 4);
    assert_near(distance_of("w2", flat, other, NULL), expected, 0);
    fcl_array_destroy(&flat);
    fcl_array_destroy(&other);
}

/* Energy distance of two draws, n and m points without one in common, from all of some points: the mean over all
 * such draws is (1/n + 1/m) of the mean distance of two points. */
static void floor_has_no_bias(void **state)
{
    enum { N = 150, DRAWS = 400 };
    (void)state;
    fcl_array *points = normal_points(N, 2, 0, 1);
    const int64_t count[] = {60, 40};
    fcl_distance_options options = {.seed = (uint64_t)whole(0, 1 << 30)};
    fcl_distance_mean floor;
    double mean = pair_mean(points, points, false, plain, 0) * (1.0 / 60 + 1.0 / 40);
    assert_ok(fcl_distance_draws("energy", points, NULL, count, DRAWS, &options, &floor));
    assert_true(floor.points[0] == 60 && floor.points[1] == 40 && !floor.disjoint);
    assert_near(floor.mean, mean, 5 * floor.deviation / sqrt(DRAWS));
    fcl_array_destroy(&points);
}

/* The mean and deviation of W1 between fresh draws, by sorting, from as many points as are never used twice. */
static void floor_is_that_of_fresh_draws(void **state)
{
    enum { N = 40, DRAWS = 200 };
    (void)state;
    fcl_array *points = normal_points(2 * N * DRAWS, 1, 0, 1);
    const int64_t count[] = {N, N};
    double sum = 0, squares = 0;
    fcl_distance_mean floor;
    for (int i = 0; i < DRAWS; i++) {
        fcl_array *a = normal_points(N, 1, 0, 1), *b = normal_points(N, 1, 0, 1);
        double value = reference_line(a, b, 1);
        sum += value;
        squares += value * value;
        fcl_array_destroy(&a);
        fcl_array_destroy(&b);
    }
    double mean = sum / DRAWS, deviation = sqrt((squares - sum * mean) / (DRAWS - 1));
    assert_ok(fcl_distance_draws("w1", points, NULL, count, DRAWS, NULL, &floor));
    assert_true(floor.disjoint && floor.points[0] == N && floor.points[1] == N);
    assert_near(floor.mean, mean, 5 * deviation * sqrt(2.0 / DRAWS));
    assert_near(floor.deviation, deviation, 0.5 * deviation);
    fcl_array_destroy(&points);
}

/* Whole numbers that are all different: disjoint sets of them are at least 1 apart; too few points are parted. */
static void draws_share_no_point(void **state)
{
    enum { N = 90 };
    (void)state;
    fcl_array *points = new_points(N, 1), *other = normal_points(7, 1, 0, 1);
    const int64_t half[] = {60, 120}, three[] = {3, 7}, more[] = {3, 8};
    fcl_distance_mean mean;
    for (int i = 0; i < N; i++)
        points->data[i] = (float)i;
    for (int i = 0; i < 20; i++) {
        fcl_distance_options options = {.seed = (uint64_t)whole(0, 1 << 30)};
        const int64_t same[] = {45, 45};
        assert_ok(fcl_distance_draws("w1", points, NULL, same, 1, &options, &mean));
        assert_true(mean.mean >= 1 && isnan(mean.deviation));
    }
    assert_ok(fcl_distance_draws("w1", points, NULL, half, 2, NULL, &mean));
    assert_true(mean.points[0] == 30 && mean.points[1] == 60);
    assert_ok(fcl_distance_draws("w1", points, other, three, 3, NULL, &mean));
    assert_true(mean.points[0] == 3 && mean.points[1] == 7 && mean.mean > 0);
    assert_status(FCL_ERR_ARGUMENT, fcl_distance_draws("w1", points, other, more, 3, NULL, &mean));
    assert_told("8 points cannot be drawn of 7");
    assert_status(FCL_ERR_ARGUMENT, fcl_distance_draws("w1", points, NULL, half, 0, NULL, &mean));
    assert_told("0 draws");
    fcl_array_destroy(&points);
    fcl_array_destroy(&other);
}

static void refusals_say_why(void **state)
{
    (void)state;
    fcl_array *a = normal_points(6, 2, 0, 1), *b = normal_points(4, 3, 0, 1),
              *one = normal_points(1, 2, 0, 1);
    fcl_array *none = new_points(0, 2);
    fcl_distance distance;
    assert_status(FCL_ERR_ARGUMENT, fcl_distance_measure("w3", a, a, NULL, &distance));
    assert_told("did you mean 'w");
    for (int i = 0; fcl_distance_name(i); i++) {
        const char *name = fcl_distance_name(i);
        assert_true(strlen(fcl_distance_help(i)) > 10);
        assert_status(FCL_ERR_SHAPE, fcl_distance_measure(name, a, b, NULL, &distance));
        assert_told("(6, 2) and (4, 3)");
        assert_status(FCL_ERR_SHAPE, fcl_distance_measure(name, a, none, NULL, &distance));
        a->data[3] = NAN;
        assert_status(FCL_ERR_NUMERIC, fcl_distance_measure(name, a, a, NULL, &distance));
        assert_told("number 1 of point 1 of the first set is nan");
        a->data[3] = 1;
    }
    assert_status(FCL_ERR_SHAPE, fcl_distance_measure("mmd", a, one, NULL, &distance));
    assert_told("at least 2 points");
    static const char *const bad[] = {"0", "-1", "1,", "wide", "nan", ",1", "1;2"};
    for (int i = 0; i < 7; i++) {
        fcl_distance_options options = {.bandwidth = bad[i]};
        assert_status(FCL_ERR_ARGUMENT, fcl_distance_check(&options));
        assert_status(FCL_ERR_ARGUMENT, fcl_distance_measure("mmd", a, a, &options, &distance));
        assert_told("expected median");
    }
    assert_ok(fcl_distance_check(NULL));
    assert_ok(fcl_distance_check(&(fcl_distance_options){.bandwidth = "0.5,2"}));
    fcl_distance_options negative = {.projections = -3};
    assert_status(FCL_ERR_ARGUMENT, fcl_distance_check(&negative));
    assert_status(FCL_ERR_ARGUMENT, fcl_distance_measure("sliced", a, a, &negative, &distance));
    assert_told("projections");
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
    fcl_array_destroy(&one);
    fcl_array_destroy(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transport_is_the_best_pairing),
        cmocka_unit_test(transport_on_a_line_takes_any_counts),
        cmocka_unit_test(sums_over_pairs),
        cmocka_unit_test(mmd_takes_the_median_distance),
        cmocka_unit_test(equal_sets_are_at_no_distance),
        cmocka_unit_test(translations_are_seen_as_their_length),
        cmocka_unit_test(gaussians_are_where_the_formula_says),
        cmocka_unit_test(of_large_sets_points_are_drawn),
        cmocka_unit_test(points_may_have_any_shape),
        cmocka_unit_test(floor_has_no_bias),
        cmocka_unit_test(floor_is_that_of_fresh_draws),
        cmocka_unit_test(draws_share_no_point),
        cmocka_unit_test(refusals_say_why),
    };
    seed_draws(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
