/* Shares of a batch by speeds: written as text, which says the rows of each rank again. */
#include "status.h"
#include "trial.h"

#include "train/share.h"

#include <flowcl/text.h>

#include <math.h>

enum { MOST = 9 };

/* What train.h says of a share: the ends of the ranks' rows are the nearest whole numbers. */
static void rows_of(const char *text, int ranks, int rows, int own[MOST])
{
    double share[MOST], all = 0, sum = 0;
    const char *next = text;
    for (int i = 0; i < ranks; i++) {
        char *end;
        share[i] = fcl_strtod(next, &end);
        assert_true(end > next && share[i] > 0 && *end == (i < ranks - 1 ? ':' : '\0'));
        next = end + 1;
        all += share[i];
    }
    int before = 0;
    for (int i = 0; i < ranks; i++) {
        sum += share[i];
        int until = (int)floor(rows * sum / all + 0.5);
        own[i] = until - before;
        before = until;
    }
    assert_int_equal(before, rows);
}

/* Each rank has a row, and as many as its speed says, to the three digits of a share and the rounding of rows; where that
 * would leave somebody without, to a row a rank. */
static void test_speeds(void **state)
{
    (void)state;
    int few = 0;
    for (int time = 0; time < 2000; time++) {
        int ranks = trial_int(2, MOST), rows = ranks + (int)pow(10, 4 * trial_uniform()) - 1, own[MOST];
        double speed[MOST], all = 0, spread = trial_int(0, 1) ? 1 : 14;
        for (int i = 0; i < ranks; i++) {
            speed[i] = 1e3 * exp(spread * trial_uniform());
            all += speed[i];
        }
        char *text = fcl_share_text(speed, ranks, rows);
        assert_true(fcl_share_suits(text, ranks, rows));
        rows_of(text, ranks, rows, own);
        for (int i = 0; i < ranks; i++) {
            assert_true(own[i] >= 1);
            few += own[i] == 1 && rows * speed[i] / all < 0.2;
            assert_true(fabs(own[i] - rows * speed[i] / all) <= 2 * (0.0101 * rows + 0.5) + ranks + 1);
        }
        free(text);
    }
    assert_true(few > 0);
}

static void test_suits(void **state)
{
    (void)state;
    assert_true(fcl_share_suits(NULL, 3, 3) && fcl_share_suits("equal", 3, 3) && fcl_share_suits("measured", 3, 3));
    assert_true(fcl_share_suits("2:1", 2, 2) && fcl_share_suits("0.5:0.25:1e3", 3, 4000));
    assert_false(fcl_share_suits(NULL, 3, 2) || fcl_share_suits("4:1", 2, 2) || fcl_share_suits("1:0:1", 3, 30));
    assert_false(fcl_share_suits("1:1:1", 2, 30) || fcl_share_suits("1:", 2, 30) || fcl_share_suits("1:many", 2, 30));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speeds),
        cmocka_unit_test(test_suits),
    };
    trial_seed();
    return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
