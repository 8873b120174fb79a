/* The bounds that tests hold devices to, themselves held: single precision in any order stays within them,
 * and an element that is wrong by a few units of its own is seen, however large its neighbours are. No
 * device. */
#include "status.h"
#include "trial.h"

#include <math.h>

enum { ROWS = 7, TERMS = 600 };

/* (ROWS, TERMS) of sizes from 2^-20 to 2^20, a row of one size. */
static fcl_tensor *rows_of_all_sizes(trial *t)
{
    return trial_input(t, FCL_SHAPE(ROWS, TERMS), PREPARED, 0);
}

static void fill_by_size(trial *t, const fcl_tensor *x)
{
    double *value = trial_leaf_of(t, x)->value;
    for (int i = 0; i < ROWS * TERMS; i++)
        value[i] = (double)(float)ldexp(trial_normal(), 20 * (i / TERMS) * 2 / (ROWS - 1) - 20);
}

static void evaluate(trial *t)
{
    trial_evaluate(t, 0, 0, NULL, NULL);
}

/* The reference in single precision, with one element wrong by `units` of its last place. */
static float *found_with(trial *t, const fcl_tensor *y, int64_t wrong, double units)
{
    float *found = fcl_zalloc((size_t)fcl_shape_size(y->shape) * sizeof *found);
    for (int64_t i = 0; i < fcl_shape_size(y->shape); i++)
        found[i] = (float)reference_value(t->r, y)[i];
    found[wrong] += (float)(units * 0x1p-23 * fabs((double)found[wrong]));
    return found;
}

static int64_t misfit_with(trial *t, const fcl_tensor *y, int64_t wrong, double units)
{
    float *found = found_with(t, y, wrong, units);
    int64_t at = trial_misfit(t, y, found);
    free(found);
    return at;
}

/* Eight units of any element, as small as 2^-40 of the largest, are seen; what is right is taken. */
static void a_small_element_is_seen_beside_large_ones(void **state)
{
    (void)state;
    trial *t = trial_create();
    fcl_tensor *x = rows_of_all_sizes(t);
    fcl_tensor *all[] = {fcl_mul(x, x), fcl_add(x, fcl_scale(x, 0.25f)), fcl_tanh(x),
                         fcl_permute(x, (int[]){1, 0})};
    fill_by_size(t, x);
    evaluate(t);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int tries = 0; tries < 20; tries++) {
            int64_t at = trial_int(0, ROWS * TERMS - 1);
            assert_int_equal(misfit_with(t, all[i], at, 0), -1);
            assert_int_equal(misfit_with(t, all[i], at, 8), at);
        }
    trial_destroy(&t);
}

/* What neither adds nor rounds is exact. */
static void a_move_is_exact(void **state)
{
    (void)state;
    trial *t = trial_create();
    fcl_tensor *x = rows_of_all_sizes(t), *y = fcl_slice(fcl_reshape(x, FCL_SHAPE(TERMS, ROWS)), 0, 3, 50);
    fill_by_size(t, x);
    evaluate(t);
    for (int64_t i = 0; i < fcl_shape_size(y->shape); i++)
        assert_true(trial_error(t, y)[i] == 0);
    trial_destroy(&t);
}

/* The sums of each row's terms, times the weights that there are, in `lanes` lanes which are then added up.
 */
static void add_up(const double *x, const double *weight, int lanes, float *sum)
{
    for (int row = 0; row < ROWS; row++) {
        float part[64] = {0};
        for (int i = 0; i < TERMS; i++) {
            float product = (float)x[row * TERMS + i] * (weight ? (float)weight[i] : 1);
            part[i % lanes] += product;
        }
        sum[row] = part[0];
        for (int k = 1; k < lanes; k++)
            sum[row] += part[k];
    }
}

static void check_sum(trial *t, const fcl_tensor *x, const fcl_tensor *weight, const fcl_tensor *y)
{
    const double *terms = reference_value(t->r, x), *factor = weight ? reference_value(t->r, weight) : NULL;
    for (int lanes = 1; lanes <= 64; lanes *= 4) {
        float sum[ROWS];
        add_up(terms, factor, lanes, sum);
        assert_int_equal(trial_misfit(t, y, sum), -1);
        int row = trial_int(0, ROWS - 1), left_out = row * TERMS + trial_int(0, TERMS - 1);
        while (fabs(terms[left_out]) < 0.01 * ldexp(1, 20 * row * 2 / (ROWS - 1) - 20))
            left_out = row * TERMS + trial_int(0, TERMS - 1);
        sum[row] -= (float)(terms[left_out] * (factor ? factor[left_out % TERMS] : 1));
        assert_int_equal(trial_misfit(t, y, sum), row);
    }
}

/* In any order sums are within their bounds, and without one of 600 terms they are not. */
static void sums_hold_in_any_order_and_miss_no_term(void **state)
{
    (void)state;
    for (int tries = 0; tries < 20; tries++) {
        trial *t = trial_create();
        fcl_tensor *x = rows_of_all_sizes(t), *weight = trial_input(t, FCL_SHAPE(TERMS, 1), AWAY, 0);
        fcl_tensor *sum = fcl_sum_axes(x, 2), *product = fcl_matmul(x, weight, false, false);
        trial_fill(t);
        fill_by_size(t, x);
        if (tries % 2) /* all of one sign: a sum as large as it can be */
            for (int i = 0; i < ROWS * TERMS; i++)
                trial_leaf_of(t, x)->value[i] = fabs(trial_leaf_of(t, x)->value[i]);
        evaluate(t);
        check_sum(t, x, NULL, sum);
        check_sum(t, x, weight, product);
        trial_destroy(&t);
    }
}

/* A difference of nearly equal numbers has the error of both; a choice between them may be either. */
static void what_cancels_has_the_error_of_its_parts(void **state)
{
    (void)state;
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(1), PREPARED, 0), *e = fcl_exp(x);
    fcl_tensor *rest = fcl_sub(e, fcl_shift(e, -0.0001f)), *choice = fcl_greater(fcl_exp(x), e);
    trial_leaf_of(t, x)->value[0] = 5;
    evaluate(t);
    double unit = 0x1p-23 * exp(5);
    assert_true(trial_error(t, rest)[0] >= 4 * unit && trial_error(t, rest)[0] <= 16 * unit);
    assert_true(trial_error(t, choice)[0] >= 1);
    trial_destroy(&t);
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_element_is_seen_beside_large_ones),
        cmocka_unit_test(a_move_is_exact),
        cmocka_unit_test(sums_hold_in_any_order_and_miss_no_term),
        cmocka_unit_test(what_cancels_has_the_error_of_its_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
