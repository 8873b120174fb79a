/* Ratios of what is measured in turn, on a machine that is made up: its speed changes, the ratio of two works
 * does not. */
#include "draws.h"

#include "tools/rounds.h"

#include <math.h>
#include <stdlib.h>

enum { ROUNDS = 9 };

/* The seconds of two works in a round each; in every third round somebody disturbs one of them. */
static void measure_in_turn(double a, double b, double *as, double *bs)
{
    for (int i = 0; i < ROUNDS; i++) {
        double speed = uniform(1, 2);
        as[i] = a / speed * (i % 6 == 0 ? uniform(1, 5) : 1);
        bs[i] = b / speed * (i % 6 == 3 ? uniform(1, 5) : 1);
    }
}

static void the_machines_speed_leaves_the_ratio(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        double a = uniform(0.1, 10), b = uniform(0.1, 10), as[ROUNDS], bs[ROUNDS];
        measure_in_turn(a, b, as, bs);
        rounds_spread ratio = rounds_ratio(as, bs, ROUNDS);
        if (!(fabs(ratio.median * b / a - 1) < 1e-12))
            fail_msg("%g / %g: %.17g", a, b, ratio.median);
        assert_true(ratio.p10 <= ratio.median && ratio.median <= ratio.p90);
    }
}

/* What made a product 1.26 of the peak: the machine was half as fast while the peak was measured. */
static void medians_of_different_minutes_do_not(void **state)
{
    const double peak[] = {2, 2, 2, 1, 1}, product[] = {4, 4, 2, 2, 2}; /* seconds: a half in each round */
    (void)state;
    assert_true(rounds_of(peak, 5).median / rounds_of(product, 5).median == 1);
    assert_true(rounds_ratio(peak, product, 5).median == 0.5);
}

static void quantiles_are_between_the_nearest(void **state)
{
    const double values[] = {40, 10, 50, 20, 30, 0}, to[] = {4, 10, 1, 10, 1, 1};
    (void)state;
    rounds_spread spread = rounds_of(values, 6);
    assert_true(fabs(spread.median - 25) < 1e-12 && fabs(spread.p10 - 5) < 1e-12 &&
                fabs(spread.p90 - 45) < 1e-12);
    spread = rounds_ratio(values, to, 5); /* 10, 1, 50, 2, 30 */
    assert_true(fabs(spread.median - 10) < 1e-12 && fabs(spread.p10 - 1.4) < 1e-12 &&
                fabs(spread.p90 - 42) < 1e-12);
    spread = rounds_of(values, 1);
    assert_true(spread.median == 40 && spread.p10 == 40 && spread.p90 == 40);
    assert_true(isnan(rounds_of(values, 0).median) && isnan(rounds_ratio(values, to, 0).p90));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machines_speed_leaves_the_ratio),
        cmocka_unit_test(medians_of_different_minutes_do_not),
        cmocka_unit_test(quantiles_are_between_the_nearest),
    };
    return cmocka_run_group_tests(tests, seed_draws, NULL);
}
