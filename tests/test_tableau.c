/* The solvers' coefficients, without a device: the order conditions, one for each rooted tree (Butcher;
 * Hairer, Norsett, Wanner, "Solving ODEs I", II.2), and the weights of Adams-Bashforth. */
#include "flow/solver.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "status.h"

/* --- rooted trees up to order 9 --- */

enum { MOST_ORDER = 9, MOST_TREES = 512 };

typedef struct tree {
    int order;
    double gamma; /* the order times that of each branch */
    int branches, branch[MOST_ORDER];
} tree;

static tree trees[MOST_TREES];
static int tree_count;

/* Adds each tree whose branches are `grown`'s and further ones, none after `last` in the list, `left` nodes
 * in all. */
static void grow(tree grown, int left, int last)
{
    if (left == 0) {
        grown.gamma = grown.order;
        for (int i = 0; i < grown.branches; i++)
            grown.gamma *= trees[grown.branch[i]].gamma;
        assert_true(tree_count < MOST_TREES);
        trees[tree_count++] = grown;
        return;
    }
    for (int i = last; i >= 0; i--)
        if (trees[i].order <= left) {
            tree more = grown;
            more.branch[more.branches++] = i;
            grow(more, left - trees[i].order, i);
        }
}

static int make_trees(void **state)
{
    (void)state;
    for (int order = 1; order <= MOST_ORDER; order++)
        grow((tree){.order = order}, order - 1, tree_count - 1);
    return 0;
}

static void trees_are_counted(void **state)
{
    static const int expected[MOST_ORDER] = {1, 1, 2, 4, 9, 20, 48, 115, 286}; /* OEIS A000081 */
    int found[MOST_ORDER] = {0};
    (void)state;
    for (int i = 0; i < tree_count; i++)
        found[trees[i].order - 1]++;
    assert_memory_equal(found, expected, sizeof found);
}

/* --- the conditions --- */

/* The tree's weight at each stage: the product over its branches of sum_j a_ij (the branch's weight at j). */
static void stage_weights(const fcl_tableau *tableau, const tree *t, double *weights)
{
    for (int i = 0; i < tableau->stages; i++)
        weights[i] = 1;
    for (int n = 0; n < t->branches; n++) {
        double branch[FCL_MAX_STAGES];
        stage_weights(tableau, &trees[t->branch[n]], branch);
        for (int i = 0; i < tableau->stages; i++) {
            double sum = 0;
            for (int j = 0; j < i; j++)
                sum += tableau->a[i * (i - 1) / 2 + j] * branch[j];
            weights[i] *= sum;
        }
    }
}

/* How far the worst condition of an order is from being met: by b, or by the weights that it is compared
 * with. */
static double worst_condition(const fcl_tableau *tableau, bool compared, int order)
{
    double worst = 0;
    for (int n = 0; n < tree_count; n++) {
        double weights[FCL_MAX_STAGES], sum = 0;
        if (trees[n].order != order)
            continue;
        stage_weights(tableau, &trees[n], weights);
        for (int i = 0; i < tableau->stages; i++)
            sum += (tableau->b[i] - (compared ? tableau->b_error[i] : 0)) * weights[i];
        worst = fmax(worst, fabs(sum - 1 / trees[n].gamma));
    }
    return worst;
}

static void check_order(const fcl_tableau *tableau, bool compared, int expected)
{
    for (int order = 1; order <= expected + 1; order++) {
        double worst = worst_condition(tableau, compared, order);
        if (order <= expected ? worst > 5e-14 : worst < 1e-6) {
            print_error("%s%s: a condition of order %d is missed by %g\n", tableau->name,
                        compared ? " (compared)" : "", order, worst);
            fail();
        }
    }
}

static void every_tableau_meets_its_order_conditions(void **state)
{
    (void)state;
    for (int row = 0; fcl_solver_name(row); row++) {
        const fcl_tableau *tableau = fcl_tableau_find(fcl_solver_name(row));
        if (tableau->adams)
            continue;
        check_order(tableau, false, tableau->order);
        if (tableau->b_error)
            check_order(tableau, true, tableau->estimate_order);
    }
}

static void stages_stand_at_their_times(void **state)
{
    (void)state;
    for (int row = 0; fcl_solver_name(row); row++) {
        const fcl_tableau *tableau = fcl_tableau_find(fcl_solver_name(row));
        assert_true(tableau->stages <= FCL_MAX_STAGES);
        assert_true(fcl_solver_is_adaptive(tableau->name) == (tableau->b_error != NULL));
        for (int i = 0; i < tableau->stages; i++) {
            int row_begin = i * (i - 1) / 2;
            double sum = 0;
            for (int j = 0; j < i; j++)
                sum += tableau->a[row_begin + j];
            assert_true(fabs(sum - tableau->c[i]) < 2e-15);
            if (tableau->fsal && i == tableau->stages - 1) /* the last stage stands at x_new */
                assert_memory_equal(tableau->a + row_begin, tableau->b, sizeof *tableau->b * (size_t)i);
        }
        assert_true(!tableau->fsal || tableau->b[tableau->stages - 1] == 0);
    }
}

/* --- Adams-Bashforth --- */

static void equal_steps_have_the_known_weights(void **state)
{
    static const double known[][FCL_MOST_ADAMS] = {
        {1}, {3 / 2., -1 / 2.}, {23 / 12., -16 / 12., 5 / 12.}, {55 / 24., -59 / 24., 37 / 24., -9 / 24.}};
    const double grid[] = {0.3, 0.4, 0.5, 0.6, 0.7};
    (void)state;
    for (int count = 1; count <= FCL_MOST_ADAMS; count++) {
        double weights[FCL_MOST_ADAMS];
        fcl_adams_weights(grid + 3, count, weights);
        for (int i = 0; i < count; i++)
            assert_true(fabs(weights[i] - 0.1 * known[count - 1][i]) < 1e-14);
    }
}

/* A slope that is a polynomial of t of degree count - 1 is integrated exactly, whatever the steps. */
static void ragged_steps_integrate_polynomials(void **state)
{
    static const double grid[] = {1, 0.7, 0.65, 0.2, 0.11}; /* backward */
    const double *now = grid + 3;
    (void)state;
    for (int count = 1; count <= FCL_MOST_ADAMS; count++)
        for (int power = 0; power < count; power++) {
            double weights[FCL_MOST_ADAMS], sum = 0;
            fcl_adams_weights(now, count, weights);
            for (int i = 0; i < count; i++)
                sum += weights[i] * pow(now[-i], power);
            assert_true(fabs(sum - (pow(now[1], power + 1) - pow(now[0], power + 1)) / (power + 1)) < 1e-14);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_are_counted),
        cmocka_unit_test(every_tableau_meets_its_order_conditions),
        cmocka_unit_test(stages_stand_at_their_times),
        cmocka_unit_test(equal_steps_have_the_known_weights),
        cmocka_unit_test(ragged_steps_integrate_polynomials),
    };
    return cmocka_run_group_tests_name("tableau", tests, make_trees, NULL);
}
