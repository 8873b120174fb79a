/* The metrics of features against plain double references and closed forms. */
#include "draws.h"

#include <flowcl/eval.h>

#include <math.h>
#include <stdlib.h>

enum { MOST = 16 };

/* Normal points, moved by `mean` and mixed so that their numbers depend on each other. */
static fcl_array *draw_points(int n, int size, double mean)
{
    double mix[MOST][MOST];
    fcl_array *points;
    assert_ok(fcl_array_create(FCL_SHAPE(n, size), &points));
    for (int i = 0; i < size; i++)
        for (int k = 0; k < size; k++)
            mix[i][k] = normal() / sqrt(size);
    for (int p = 0; p < n; p++)
        for (int k = 0; k < size; k++) {
            double z = normal();
            for (int i = 0; i < size; i++)
                points->data[p * size + i] += (float)(mix[i][k] * z + mean / size);
        }
    return points;
}

static int count_of(const fcl_array *points)
{
    return (int)points->shape.dim[0];
}

static int size_of(const fcl_array *points)
{
    return (int)points->shape.dim[1];
}

static double at(const fcl_array *points, int p, int i)
{
    return points->data[p * size_of(points) + i];
}

static fcl_array *shuffled(const fcl_array *points)
{
    int n = count_of(points), size = size_of(points);
    fcl_array *copy;
    assert_ok(fcl_array_create(points->shape, &copy));
    memcpy(copy->data, points->data, sizeof(float) * (size_t)(n * size));
    for (int p = n - 1; p > 0; p--)
        for (int d = 0, other = whole(0, p); d < size; d++) {
            float swapped = copy->data[p * size + d];
            copy->data[p * size + d] = copy->data[other * size + d];
            copy->data[other * size + d] = swapped;
        }
    return copy;
}

static fcl_distance measured(const char *name, const fcl_array *a, const fcl_array *b)
{
    fcl_distance distance;
    assert_ok(fcl_distance_measure(name, a, b, NULL, &distance));
    assert_true(distance.how[0] != 0);
    return distance;
}

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        print_error("%.12g is not %.12g within %g\n", value, expected, tolerance);
    assert_true(fabs(value - expected) <= tolerance);
}

/* --- the Frechet distance --- */

typedef double matrix[MOST][MOST];

static void multiply(int size, matrix a, matrix b, matrix result)
{
    for (int i = 0; i < size; i++)
        for (int k = 0; k < size; k++) {
            result[i][k] = 0;
            for (int j = 0; j < size; j++)
                result[i][k] += a[i][j] * b[j][k];
        }
}

static void moments_of(const fcl_array *points, double *mean, matrix covariance)
{
    int n = count_of(points), size = size_of(points);
    for (int i = 0; i < size; i++) {
        mean[i] = 0;
        for (int p = 0; p < n; p++)
            mean[i] += at(points, p, i) / n;
    }
    for (int i = 0; i < size; i++)
        for (int k = 0; k < size; k++) {
            covariance[i][k] = 0;
            for (int p = 0; p < n; p++)
                covariance[i][k] += (at(points, p, i) - mean[i]) * (at(points, p, k) - mean[k]) / (n - 1);
        }
}

/* By Gauss and Jordan, with pivots. */
static void invert(int size, matrix a, matrix inverse)
{
    matrix work;
    memcpy(work, a, sizeof work);
    for (int i = 0; i < size; i++)
        for (int k = 0; k < size; k++)
            inverse[i][k] = i == k;
    for (int c = 0; c < size; c++) {
        int pivot = c;
        for (int r = c; r < size; r++)
            pivot = fabs(work[r][c]) > fabs(work[pivot][c]) ? r : pivot;
        for (int k = 0; k < size; k++) {
            double w = work[c][k], v = inverse[c][k];
            work[c][k] = work[pivot][k], work[pivot][k] = w;
            inverse[c][k] = inverse[pivot][k], inverse[pivot][k] = v;
        }
        double by = work[c][c];
        for (int k = 0; k < size; k++)
            work[c][k] /= by, inverse[c][k] /= by;
        for (int r = 0; r < size; r++) {
            double times = r == c ? 0 : work[r][c];
            for (int k = 0; k < size; k++)
                work[r][k] -= times * work[c][k], inverse[r][k] -= times * inverse[c][k];
        }
    }
}

/* tr (S1 S2)^1/2 by the iteration of Denman and Beavers, which looks at no eigenvalue. */
static double trace_of_root(int size, matrix a, matrix b)
{
    matrix y, z, inverse_y, inverse_z;
    double trace = 0;
    multiply(size, a, b, y);
    for (int i = 0; i < size; i++)
        for (int k = 0; k < size; k++)
            z[i][k] = i == k;
    for (int round = 0; round < 40; round++) {
        invert(size, y, inverse_y);
        invert(size, z, inverse_z);
        for (int i = 0; i < size; i++)
            for (int k = 0; k < size; k++) {
                y[i][k] = (y[i][k] + inverse_z[i][k]) / 2;
                z[i][k] = (z[i][k] + inverse_y[i][k]) / 2;
            }
    }
    for (int i = 0; i < size; i++)
        trace += y[i][i];
    return trace;
}

static void frechet_is_that_of_the_moments(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        int size = whole(1, 8);
        fcl_array *a = draw_points(whole(40, 200), size, 1), *b = draw_points(whole(40, 200), size, -0.5);
        double mean[2][MOST], expected = 0;
        matrix covariance[2];
        moments_of(a, mean[0], covariance[0]);
        moments_of(b, mean[1], covariance[1]);
        for (int i = 0; i < size; i++)
            expected += pow(mean[0][i] - mean[1][i], 2) + covariance[0][i][i] + covariance[1][i][i];
        expected -= 2 * trace_of_root(size, covariance[0], covariance[1]);
        double value = measured("frechet", a, b).value;
        assert_near(value, expected, 1e-6 * (1 + expected));
        assert_near(measured("frechet", b, a).value, value, 1e-9 * (1 + value));
        fcl_array_destroy(&a);
        fcl_array_destroy(&b);
    }
}

/* Points +-s on each axis, turned by one angle in each plane: mean and covariance are known without a sum
 * over points, and the distance of two such sets on the same axes is |m1 - m2|^2 + sum (d1 - d2)^2 with the
 * deviations d. */
static fcl_array *cross_of(int size, const double *deviation, double mean, double angle)
{
    fcl_array *points;
    int n = 2 * size;
    assert_ok(fcl_array_create(FCL_SHAPE(n, size), &points));
    for (int p = 0; p < n; p++) {
        double x[MOST] = {0};
        x[p / 2] = deviation[p / 2] * sqrt((n - 1) / 2.0) * (p % 2 ? 1 : -1);
        for (int i = 0; i + 1 < size; i++) {
            double c = cos(angle), s = sin(angle), was = x[i];
            x[i] = c * was - s * x[i + 1];
            x[i + 1] = s * was + c * x[i + 1];
        }
        for (int i = 0; i < size; i++)
            points->data[p * size + i] = (float)(x[i] + mean);
    }
    return points;
}

static void frechet_is_the_closed_form_of_known_gaussians(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        int size = whole(1, MOST);
        double one[MOST], other[MOST], angle = 6 * erand48(state48), mean = normal(),
                                       expected = size * mean * mean;
        for (int i = 0; i < size; i++) {
            one[i] = whole(0, 2) * erand48(state48); /* 0: without extent in a direction */
            other[i] = whole(0, 2) * erand48(state48);
            expected += pow(one[i] - other[i], 2);
        }
        fcl_array *a = cross_of(size, one, mean, angle), *b = cross_of(size, other, 0, angle);
        assert_near(measured("frechet", a, b).value, expected, 2e-5 * (1 + expected));
        fcl_array_destroy(&a);
        fcl_array_destroy(&b);
    }
}

/* --- the kernel distance --- */

static double cubic(const fcl_array *a, int p, const fcl_array *b, int q)
{
    double sum = 0;
    for (int i = 0; i < size_of(a); i++)
        sum += at(a, p, i) * at(b, q, i);
    return pow(sum / size_of(a) + 1, 3);
}

static double reference_kernel(const fcl_array *a, const fcl_array *b)
{
    double n = count_of(a), m = count_of(b), aa = 0, bb = 0, ab = 0;
    for (int p = 0; p < n; p++)
        for (int q = 0; q < n; q++)
            aa += p == q ? 0 : cubic(a, p, a, q) / (n * (n - 1));
    for (int p = 0; p < m; p++)
        for (int q = 0; q < m; q++)
            bb += p == q ? 0 : cubic(b, p, b, q) / (m * (m - 1));
    for (int p = 0; p < n; p++)
        for (int q = 0; q < m; q++)
            ab += cubic(a, p, b, q) / (n * m);
    return aa + bb - 2 * ab;
}

/* Sets no larger than a subset are each subset whole. */
static void kernel_distance_of_whole_sets_is_the_unbiased_estimate(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        int size = whole(1, MOST), n = whole(2, 60);
        fcl_array *a = draw_points(n, size, 2), *b = draw_points(n, size, -1);
        fcl_distance kid = measured("kid", a, b);
        double expected = reference_kernel(a, b), scale = fabs(expected) + 1;
        assert_near(kid.value, expected, 1e-9 * scale);
        assert_true(isnan(kid.error)); /* all subsets are one */
        fcl_array_destroy(&a);
        fcl_array_destroy(&b);
    }
}

/* Subsets of a larger set scatter about the estimate of all of it, as its own error says; the seed draws
 * them. */
static void kernel_distance_of_subsets_is_the_mean_of_all(void **state)
{
    fcl_array *a = draw_points(1000, 4, 1), *b = draw_points(80, 4, 0);
    double all = reference_kernel(a, b);
    fcl_distance first = measured("kid", a, b), second, again;
    (void)state;
    assert_non_null(strstr(first.how, "100 subsets of 80"));
    assert_ok(fcl_distance_measure("kid", a, b, &(fcl_distance_options){.seed = 7}, &second));
    assert_ok(fcl_distance_measure("kid", a, b, &(fcl_distance_options){.seed = 7}, &again));
    assert_true(first.error > 0 && first.value != second.value && second.value == again.value);
    assert_near(first.value, all, 6 * first.error);
    assert_near(second.value, all, 6 * second.error);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
}

/* --- balls --- */

static double squared(const fcl_array *a, int p, const fcl_array *b, int q)
{
    double sum = 0;
    for (int i = 0; i < size_of(a); i++)
        sum += pow(at(a, p, i) - at(b, q, i), 2);
    return sum;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of each point the squared distance of its k-th neighbour: the list sorted, itself the first. */
static double *radii_of(const fcl_array *set, int k)
{
    int n = count_of(set);
    double *radius = calloc((size_t)n, sizeof *radius), *row = calloc((size_t)n, sizeof *row);
    assert_true(radius && row);
    for (int p = 0; p < n; p++) {
        for (int q = 0; q < n; q++)
            row[q] = squared(set, p, set, q);
        qsort(row, (size_t)n, sizeof *row, ascending);
        radius[p] = row[k];
    }
    free(row);
    return radius;
}

/* Of points p and centres q of balls to the k-th neighbour: how many points are in any, how many balls have
 * any, and how many pairs there are. */
typedef struct counts {
    double points, balls, pairs;
} counts;

static counts count_balls(const fcl_array *points, const fcl_array *centres, int k)
{
    int n = count_of(points), m = count_of(centres);
    double *radius = radii_of(centres, k);
    counts found = {0};
    for (int p = 0; p < n; p++) {
        int inside = 0;
        for (int q = 0; q < m; q++)
            inside += squared(points, p, centres, q) <= radius[q];
        found.points += inside > 0;
        found.pairs += inside;
    }
    for (int q = 0; q < m; q++) {
        bool any = false;
        for (int p = 0; p < n; p++)
            any |= squared(points, p, centres, q) <= radius[q];
        found.balls += any;
    }
    free(radius);
    return found;
}

static void balls_are_those_of_all_pairs(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) {
        int size = whole(1, MOST), n = whole(6, 150), m = whole(6, 150);
        fcl_array *a = draw_points(n, size, erand48(state48)), *b = draw_points(m, size, 0);
        counts three = count_balls(a, b, 3), back = count_balls(b, a, 3), five = count_balls(a, b, 5);
        assert_near(measured("precision", a, b).value, three.points / n, 1e-12);
        assert_near(measured("recall", a, b).value, back.points / m, 1e-12);
        assert_near(measured("density", a, b).value, five.pairs / (5.0 * n), 1e-12);
        assert_near(measured("coverage", a, b).value, five.balls / m, 1e-12);
        fcl_array_destroy(&a);
        fcl_array_destroy(&b);
    }
}

static void nearest_points_are_the_nearest(void **state)
{
    int n = whole(1, 90), m = 8192 + whole(1, 900), size = whole(1, 5);
    fcl_array *a = draw_points(n, size, 0), *b = draw_points(m, size, 0);
    int64_t *index = calloc((size_t)n, sizeof *index);
    double *distance = calloc((size_t)n, sizeof *distance);
    (void)state;
    assert_true(index && distance);
    memcpy(b->data + (m - 1) * size, a->data, sizeof(float) * (size_t)size); /* one of them is there */
    assert_ok(fcl_nearest_points(a, b, index, distance));
    assert_true(index[0] == m - 1 && distance[0] == 0);
    for (int p = 0; p < n; p++) {
        double least = INFINITY;
        for (int q = 0; q < m; q++)
            least = fmin(least, squared(a, p, b, q));
        assert_near(distance[p], sqrt(least), 1e-7);
        assert_near(squared(a, p, b, (int)index[p]), least, 1e-12);
    }
    free(index);
    free(distance);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
}

/* --- what they have in common --- */

static const char *const names[] = {"frechet", "kid", "precision", "recall", "density", "coverage"};
enum { NAMES = sizeof names / sizeof *names };

static void equal_sets_and_far_ones_give_the_ends(void **state)
{
    static const double equal[NAMES] = {0, 0, 1, 1, 6.0 / 5, 1}, apart[NAMES] = {0, 0, 0, 0, 0, 0};
    fcl_array *a = draw_points(100, 6, 0), *b = shuffled(a), *far = draw_points(90, 6, 0);
    (void)state;
    for (int i = 0; i < 90 * 6; i++)
        far->data[i] += 1000;
    for (int k = 0; k < NAMES; k++) {
        fcl_distance same = measured(names[k], a, b);
        if (k != 1) /* unbiased: the pairs of a point with itself are in one of the sums only */
            assert_near(same.value, equal[k], 1e-9);
        if (k >= 2)
            assert_near(measured(names[k], a, far).value, apart[k], 0);
    }
    assert_near(measured("frechet", a, far).value, 6e6, 6e4);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
    fcl_array_destroy(&far);
}

static void order_of_points_does_not_matter(void **state)
{
    fcl_array *a = draw_points(70, 5, 0.3), *b = draw_points(70, 5, 0), *c = shuffled(a), *d = shuffled(b);
    (void)state;
    for (int k = 0; k < NAMES; k++)
        assert_near(measured(names[k], c, d).value, measured(names[k], a, b).value, 1e-9);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
    fcl_array_destroy(&c);
    fcl_array_destroy(&d);
}

/* More points than lie in one group of tiles, and columns than meet at once. */
static void large_sets_are_measured_as_small_ones(void **state)
{
    fcl_array *a = draw_points(301, 16, 0.2), *b = draw_points(999, 16, 0);
    counts five = count_balls(a, b, 5);
    (void)state;
    assert_near(measured("density", a, b).value, five.pairs / (5.0 * 301), 1e-12);
    assert_near(measured("coverage", a, b).value, five.balls / 999, 1e-12);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
}

static void too_few_and_bad_points_are_refused(void **state)
{
    fcl_array *one = draw_points(1, 3, 0), *three = draw_points(3, 3, 0), *many = draw_points(9, 3, 0),
              *wide = draw_points(9, 4, 0);
    fcl_distance distance;
    (void)state;
    assert_status(FCL_ERR_SHAPE, fcl_distance_measure("frechet", one, many, NULL, &distance));
    assert_told("frechet needs at least 2 points of each set, not 1 and 9");
    assert_status(FCL_ERR_SHAPE, fcl_distance_measure("kid", many, one, NULL, &distance));
    assert_told("kid needs at least 2 points");
    assert_status(FCL_ERR_SHAPE, fcl_distance_measure("precision", many, three, NULL, &distance));
    assert_told("at least 4 points");
    assert_status(FCL_ERR_SHAPE, fcl_distance_measure("coverage", many, three, NULL, &distance));
    assert_told("at least 6 points");
    assert_status(FCL_ERR_SHAPE, fcl_distance_measure("frechet", many, wide, NULL, &distance));
    assert_told("points of one shape");
    assert_status(FCL_ERR_SHAPE, fcl_nearest_points(many, wide, NULL, NULL));
    many->data[4] = NAN;
    for (int k = 0; k < NAMES; k++) {
        assert_status(FCL_ERR_NUMERIC, fcl_distance_measure(names[k], many, many, NULL, &distance));
        assert_told("number 1 of point 1");
    }
    fcl_array_destroy(&one);
    fcl_array_destroy(&three);
    fcl_array_destroy(&many);
    fcl_array_destroy(&wide);
}

static bool stop(void *data)
{
    (void)data;
    return true;
}

static void the_watch_ends_each(void **state)
{
    fcl_array *a = draw_points(400, 16, 0);
    fcl_distance distance;
    (void)state;
    for (int k = 0; k < NAMES; k++) {
        int status = FCL_OK;
        fcl_watch_set(&(fcl_watch){.stop = stop});
        while (status == FCL_OK) /* it is asked ten times a second */
            status = fcl_distance_measure(names[k], a, a, NULL, &distance);
        assert_status(FCL_ERR_STOPPED, status);
    }
    fcl_watch_set(NULL);
    fcl_array_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frechet_is_that_of_the_moments),
        cmocka_unit_test(frechet_is_the_closed_form_of_known_gaussians),
        cmocka_unit_test(kernel_distance_of_whole_sets_is_the_unbiased_estimate),
        cmocka_unit_test(kernel_distance_of_subsets_is_the_mean_of_all),
        cmocka_unit_test(balls_are_those_of_all_pairs),
        cmocka_unit_test(nearest_points_are_the_nearest),
        cmocka_unit_test(equal_sets_and_far_ones_give_the_ends),
        cmocka_unit_test(order_of_points_does_not_matter),
        cmocka_unit_test(large_sets_are_measured_as_small_ones),
        cmocka_unit_test(too_few_and_bad_points_are_refused),
        cmocka_unit_test(the_watch_ends_each),
    };
    return cmocka_run_group_tests(tests, seed_draws, NULL);
}
