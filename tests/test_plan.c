/* Entropic plans as a coupling makes them: held against plain iterations in double of the true costs,
 * wherever the two sets are and however large; and what single precision does not reach is told. */
#include "flow/coupling.h"

#include "device/launch.h"
#include "opencl_calls.h"
#include "status.h"
#include "trial.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 29, SIZE = 2 };

static fcl_device *device;

static int setup(void **state)
{
    (void)state;
    trial_seed();
    if (fcl_device_open(NULL, NULL, &device) == FCL_OK)
        return 0;
    print_error("%s\n", fcl_error());
    return -1;
}

static int teardown(void **state)
{
    (void)state;
    fcl_device_close(&device);
    return 0;
}

/* --- a plan of the device --- */

/* A graph that finds a plan by its options, and what it has found. */
typedef struct found {
    int count;
    fcl_graph *graph;
    fcl_tensor *x0, *x1, *colours;
    fcl_coupling_pairs pairs;
    float x[2][MOST * SIZE], colour[MOST]; /* rows of different colour are never paired */
    float k[MOST * MOST], f[MOST], g[MOST], report[FCL_TRANSPORT_REPORT];
    int32_t row[2][MOST];
    double plan[MOST * MOST];
} found;

static void open_plan(found *d, int count, const fcl_cfm_options *options)
{
    memset(d, 0, sizeof *d);
    assert_ok(fcl_cfm_check(options));
    fcl_graph *graph = d->graph = fcl_graph_create();
    d->count = count;
    d->x0 = fcl_input(graph, "x0", FCL_F32, FCL_SHAPE(count, SIZE));
    d->x1 = fcl_input(graph, "x1", FCL_F32, FCL_SHAPE(count, SIZE));
    d->colours = fcl_input(graph, "colour", FCL_F32, FCL_SHAPE(count, 1));
    fcl_tensor *turned = fcl_reshape(d->colours, FCL_SHAPE(1, count));
    d->pairs = fcl_coupling_draw(options, d->x0, d->x1, fcl_abs(fcl_sub(d->colours, turned)));
    fcl_tensor *kept[] = {d->pairs.x0_row, d->pairs.x1_row, d->pairs.report, d->pairs.plan.cost};
    for (int i = 0; i < 4; i++)
        fcl_output(kept[i]);
    assert_ok(fcl_graph_compile(graph, device, NULL));
}

static void find(found *d)
{
    float own[FCL_TRANSPORT_REPORT];
    int n = d->count;
    assert_ok(fcl_tensor_write(d->x0, d->x[0]));
    assert_ok(fcl_tensor_write(d->x1, d->x[1]));
    assert_ok(fcl_tensor_write(d->colours, d->colour));
    fcl_graph_random(d->graph, 4, 1, 0);
    assert_ok(fcl_graph_run(d->graph));
    assert_ok(fcl_tensor_read(d->pairs.x0_row, d->row[0]));
    assert_ok(fcl_tensor_read(d->pairs.x1_row, d->row[1]));
    assert_ok(fcl_tensor_read(d->pairs.report, d->report));
    assert_ok(fcl_tensor_read(d->pairs.plan.report, own));
    assert_ok(fcl_tensor_read(d->pairs.plan.cost, d->k));
    assert_ok(fcl_tensor_read(d->pairs.plan.f, d->f));
    assert_ok(fcl_tensor_read(d->pairs.plan.g, d->g));
    for (int i = 0; i < n * n; i++)
        d->plan[i] = exp((double)d->f[i / n] + d->g[i % n] - d->k[i] + own[FCL_TRANSPORT_LAMBDA]) / n / n;
}

/* --- the same in double --- */

typedef struct reference {
    double cost[MOST * MOST], mean, plan[MOST * MOST], mass;
} reference;

/* |x0 - x1|^2; `moved`: of both sets moved to one mean. */
static void fill_costs(const found *d, bool moved, reference *r)
{
    int n = d->count;
    double middle[2][SIZE] = {{0}};
    for (int side = 0; side < 2; side++)
        for (int i = 0; moved && i < n * SIZE; i++)
            middle[side][i % SIZE] += (double)d->x[side][i] / n;
    r->mean = 0;
    for (int i = 0; i < n * n; i++) {
        r->cost[i] = 0;
        for (int k = 0; k < SIZE; k++) {
            double a = d->x[0][i / n * SIZE + k] - middle[0][k], b = d->x[1][i % n * SIZE + k] - middle[1][k];
            r->cost[i] += (a - b) * (a - b);
        }
        r->mean += r->cost[i] / n / n;
    }
}

/* log mean_j exp(g_j - K_ij), or of the other side's. */
static double log_mean(const found *d, const reference *r, double reg, bool turned, int i,
                       const double *potential)
{
    int n = d->count;
    double e[MOST], most = -INFINITY, total = 0;
    for (int j = 0; j < n; j++) {
        bool apart = d->colour[i] != d->colour[j];
        e[j] = apart ? -INFINITY : potential[j] - r->cost[turned ? j * n + i : i * n + j] / reg;
        most = fmax(most, e[j]);
    }
    for (int j = 0; j < n; j++)
        total += exp(e[j] - most);
    return most + log(total / n);
}

/* lambda so that the mean of min(1, exp(s + lambda)) is the mass. */
static double level(int n, const double *s, double mass)
{
    double low = INFINITY, high = -INFINITY;
    for (int i = 0; i < n; i++) {
        low = fmin(low, -s[i]);
        high = fmax(high, -s[i]);
    }
    low += log(mass) - 1;
    for (int k = 0; k < 60; k++) {
        double middle = (low + high) / 2, total = 0;
        for (int i = 0; i < n; i++)
            total += exp(fmin(0, s[i] + middle)) / n;
        *(total < mass ? &low : &high) = middle;
    }
    return low;
}

/* Plain alternating steps until nothing moves. */
static void solve(const found *d, double reg, double relax, double mass, reference *r)
{
    int n = d->count;
    double potential[2][MOST] = {{0}}, s[MOST], lambda = 0, moved = 1;
    for (int k = 0; k < 4000 && (moved > 1e-9 || k < 4); k++) {
        int side = k % 2;
        moved = side ? moved : 0;
        for (int i = 0; i < n; i++)
            s[i] = log_mean(d, r, reg, side, i, potential[!side]);
        lambda = mass > 0 ? level(n, s, mass) : 0;
        for (int i = 0; i < n; i++) {
            double next = mass > 0 ? fmin(0, -s[i] - lambda) : -relax * s[i];
            moved = fmax(moved, fabs(next - potential[side][i]));
            potential[side][i] = next;
        }
    }
    r->mass = 0;
    for (int i = 0; i < n * n; i++) {
        bool apart = d->colour[i / n] != d->colour[i % n];
        double exponent = potential[0][i / n] + potential[1][i % n] + lambda - r->cost[i] / reg;
        r->plan[i] = apart ? 0 : exp(exponent) / n / n;
        r->mass += r->plan[i];
    }
}

/* --- they are the same --- */

/* Both plans as shares of their mass: what is elsewhere, and their mean costs over the costs' spread. */
static void compare(const found *d, const reference *r)
{
    double total = 0, apart = 0, cost = 0, expected = 0, least = INFINITY;
    for (int i = 0; i < d->count * d->count; i++) {
        total += d->plan[i];
        least = fmin(least, r->cost[i]);
    }
    for (int i = 0; i < d->count * d->count; i++) {
        double share = d->plan[i] / total, right = r->plan[i] / r->mass;
        apart += fabs(share - right) / 2;
        cost += share * (r->cost[i] - least);
        expected += right * (r->cost[i] - least);
    }
    assert_true(d->report[FCL_TRANSPORT_OPEN] == 0);
    assert_true(d->report[FCL_TRANSPORT_CHANGE] < 1e-3f);
    assert_true(apart < 0.02);
    assert_true(fabs(cost - expected) <= 5e-3 * expected);
    assert_true(fabs((double)d->report[FCL_TRANSPORT_MASS] - r->mass) <= 2e-3 * r->mass + 1e-30);
}

/* Two clouds, one of them in two heaps, at given places and scales, in so many colours. */
static void place(found *d, const double at[2], const double scale[2], int colours)
{
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < d->count * SIZE; i++) {
            double x = trial_normal() + (side && i / SIZE % 2 ? 2 : 0);
            d->x[side][i] = (float)(at[side] + scale[side] * x);
        }
    for (int i = 0; i < d->count; i++)
        d->colour[i] = (float)(i % colours);
}

typedef struct kind {
    const char *coupling;
    float reg, rho, mass; /* 0: by default */
} kind;

static const kind kinds[] = {
    {"sinkhorn", 0, 0, 0},      {"unbalanced", 0, 0, 0},    {"partial", 0, 0, 0},   {"sinkhorn", 0.2f, 0, 0},
    {"unbalanced", 0.3f, 2, 0}, {"partial", 0.1f, 0, 0.6f}, {"bridge", 0.5f, 0, 0}, {"partial", 1, 0, 0.6f},
};

static bool is_a(const kind *of, const char *coupling)
{
    return strcmp(of->coupling, coupling) == 0;
}

static void open_kind(found *d, const kind *of)
{
    fcl_cfm_options options = {
        .coupling = of->coupling, .reg = of->reg, .relaxation = of->rho, .mass = of->mass,
        .coupling_iterations = 1000 /* some draws take more than a hundred */};
    if (is_a(of, "bridge")) {
        options.reg = 0;
        options.path = "bridge";
        options.sigma = sqrtf(of->reg / 2);
    }
    open_plan(d, MOST, &options);
}

static void check(found *d, const kind *of)
{
    static reference r;
    fill_costs(d, is_a(of, "sinkhorn") || is_a(of, "bridge"), &r);
    double reg = of->reg > 0 ? (double)of->reg : r.mean / 20, rho = of->rho > 0 ? (double)of->rho : r.mean;
    double mass = !is_a(of, "partial") ? 0 : of->mass > 0 ? (double)of->mass : (double)0.9f;
    find(d);
    solve(d, reg, is_a(of, "unbalanced") ? rho / (rho + reg) : 1, mass, &r);
    compare(d, &r);
}

/* Sets near and far from the origin and from each other, small and large, with classes and without; with
 * numbers of the user's at a scale of one alone. */
static void test_plans_are_those_of_double(void **state)
{
    (void)state;
    static const struct {
        double at[2], scale[2];
        int colours;
    } places[] = {
        {{0, 0}, {1, 1}, 1},      {{0, 1}, {1, 0.5}, 3},     {{1e4, 1e4}, {1, 1}, 1}, {{0, 1e4}, {1, 1}, 1},
        {{-1e4, 3e3}, {1, 2}, 3}, {{0, 0}, {1e-5, 1e-5}, 1}, {{7, 0}, {1, 1e4}, 2},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        found d;
        open_kind(&d, &kinds[i]);
        for (int k = 0; k < (kinds[i].reg > 0 ? 3 : 7); k++) {
            place(&d, places[k].at, places[k].scale, places[k].colours);
            check(&d, &kinds[i]);
        }
        fcl_graph_destroy(&d.graph);
    }
}

/* Without numbers of the user's, moving both sets, and of kept marginals each, changes no pair; nor does
 * scaling. */
static void test_defaults_are_invariant(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        found d;
        double before[MOST * MOST];
        open_kind(&d, &kinds[i]);
        place(&d, (double[]){0, 0}, (double[]){1, 1}, 1);
        find(&d);
        memcpy(before, d.plan, sizeof before);
        for (int k = 0; k < MOST * SIZE; k++) {
            d.x[0][k] = 4096 * d.x[0][k] + 0x1p20f;
            d.x[1][k] = 4096 * d.x[1][k] + (i == 0 ? -0x1p20f : 0x1p20f);
        }
        find(&d);
        for (int k = 0; k < MOST * MOST; k++)
            assert_true(fabs(before[k] - d.plan[k]) < 2e-4);
        fcl_graph_destroy(&d.graph);
    }
}

/* --- what cannot be reached --- */

static void check_pairs(const found *d)
{
    for (int i = 0; i < FCL_TRANSPORT_REPORT; i++)
        assert_true(isfinite(d->report[i]));
    for (int i = 0; i < d->count; i++) {
        assert_true(d->row[0][i] >= 0 && d->row[0][i] < d->count);
        assert_true(d->row[1][i] >= 0 && d->row[1][i] < d->count);
        assert_true(d->colour[d->row[0][i]] == d->colour[d->row[1][i]]);
    }
}

/* What is called converged has the right masses in double; and nothing is NaN. */
static void check_report(const found *d)
{
    double wrong = 0;
    int n = d->count;
    check_pairs(d);
    for (int i = 0; i < n; i++) {
        double row = 0, column = 0;
        for (int j = 0; j < n; j++) {
            row += d->plan[i * n + j] * n;
            column += d->plan[j * n + i] * n;
        }
        wrong += (fabs(row - 1) + fabs(column - 1)) / n;
    }
    assert_true(d->report[FCL_TRANSPORT_OPEN] == 0 ? wrong < 3e-3 : d->report[FCL_TRANSPORT_CHANGE] >= 1e-3f);
}

static void test_what_is_not_reached_is_told(void **state)
{
    (void)state;
    static const float regs[] = {1e-30f, 1e-6f, 0.05f, 1e9f};
    static const double scales[] = {1e-5, 1, 1e5};
    for (int i = 0; i < 4; i++) {
        found d;
        open_plan(&d, MOST, &(fcl_cfm_options){.coupling = "sinkhorn", .reg = regs[i]});
        for (int k = 0; k < 6; k++) {
            double scale = scales[k % 3], size = scale * (k < 3 ? scale : 1);
            place(&d, (double[]){0, 0}, (double[]){k < 3 ? scale : 1, scale}, 1 + k % 2);
            find(&d);
            check_report(&d);
            if (size * 1e-6 > (double)regs[i])
                assert_true(d.report[FCL_TRANSPORT_OPEN] == 1);
            if (size < (double)regs[i])
                assert_true(d.report[FCL_TRANSPORT_OPEN] == 0);
        }
        fcl_graph_destroy(&d.graph);
    }
}

/* One row, all rows the same, rows that are the same in one set: a plan, and pairs. */
static void test_degenerate_sets(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        found d;
        const kind *of = &kinds[i % 4];
        int count = i < 4 ? 1 : MOST;
        fcl_cfm_options options = {.coupling = of->coupling, .reg = i % 4 == 3 ? 1e-30f : 0};
        open_plan(&d, count, &options);
        for (int k = 0; k < 3; k++) {
            place(&d, (double[]){1e4, k ? 1e4 : 3}, (double[]){0, k == 2 ? 1 : 0}, 1);
            find(&d);
            check_pairs(&d);
            if (k < 2 || i % 4 < 3)
                assert_true(d.report[FCL_TRANSPORT_OPEN] == 0);
        }
        fcl_graph_destroy(&d.graph);
    }
}

/* --- how it is found --- */

/* A pool of points in the plane, and its plan. */
typedef struct pool {
    fcl_graph *graph;
    fcl_tensor *x0, *x1;
    fcl_coupling_pairs pairs;
} pool;

static pool open_pool(int count, const fcl_cfm_options *options)
{
    pool p = {.graph = fcl_graph_create()};
    p.x0 = fcl_input(p.graph, "x0", FCL_F32, FCL_SHAPE(count, SIZE));
    p.x1 = fcl_input(p.graph, "x1", FCL_F32, FCL_SHAPE(count, SIZE));
    p.pairs = fcl_coupling_draw(options, p.x0, p.x1, NULL);
    fcl_output(p.pairs.x0_row);
    fcl_output(p.pairs.x1_row);
    fcl_output(p.pairs.report);
    assert_ok(fcl_graph_compile(p.graph, device, NULL));
    float *x = malloc((size_t)count * SIZE * sizeof *x);
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < count * SIZE; i++)
            x[i] = (float)trial_normal();
        assert_ok(fcl_tensor_write(side ? p.x1 : p.x0, x));
    }
    free(x);
    return p;
}

/* Off CPUs one work-group iterates by itself for a small pool: some launches for the costs, some for the
 * plan. */
static void test_small_pools_take_few_launches(void **state)
{
    (void)state;
    static const char *const couplings[] = {"sinkhorn", "unbalanced", "partial"};
    if (fcl_device_traits(device).wide)
        skip();
    for (int i = 0; i < 3; i++) {
        float report[FCL_TRANSPORT_REPORT];
        pool p = open_pool(i == 2 ? 256 : 64, &(fcl_cfm_options){.coupling = couplings[i]});
        calls = (opencl_calls){0};
        assert_ok(fcl_graph_run(p.graph));
        assert_in_range(calls.launches, 1, 50);
        assert_in_range(fcl_graph_describe(p.graph).launches, 1, 50);
        assert_ok(fcl_tensor_read(p.pairs.report, report));
        assert_true(report[FCL_TRANSPORT_OPEN] == 0);
        fcl_graph_destroy(&p.graph);
    }
}

/* Iterations of a larger pool are enqueued some at a time, and no more once one has been seen to be the last;
 * a run that does not get there has all of them, whatever the run before it saw. */
static void test_no_launches_behind_the_end(void **state)
{
    (void)state;
    enum { COUNT = 260, ITERATIONS = 120 };
    float report[FCL_TRANSPORT_REPORT], apart[COUNT * SIZE];
    fcl_cfm_options options = {.coupling = "sinkhorn", .reg = 1, .coupling_iterations = ITERATIONS};
    pool p = open_pool(COUNT, &options);
    for (int run = 0; run < 4; run++) {
        for (int i = 0; i < COUNT * SIZE; i++) /* the less entropy over the costs, the more iterations */
            apart[i] = (float)trial_normal() * (run % 2 ? 300 : 1);
        assert_ok(fcl_tensor_write(p.x1, apart));
        calls = (opencl_calls){0};
        assert_ok(fcl_graph_run(p.graph));
        assert_ok(fcl_tensor_read(p.pairs.report, report));
        if (run % 2) {
            assert_true(report[FCL_TRANSPORT_OPEN] == 1);
            assert_true(report[FCL_TRANSPORT_ITERATIONS] == ITERATIONS);
            assert_int_equal(calls.launches, fcl_graph_describe(p.graph).launches);
        } else {
            assert_true(report[FCL_TRANSPORT_OPEN] == 0);
            assert_true(calls.launches < fcl_graph_describe(p.graph).launches / 2);
        }
    }
    fcl_graph_destroy(&p.graph);
}

/* A uniform number next to one ends on a column that has a share, though rounding leaves some of it; the last
 * columns have none. */
static void test_no_pair_without_a_share(void **state)
{
    (void)state;
    enum { ROWS = 200, COLUMNS = 96, SHARED = 90 };
    static float k[ROWS * COLUMNS], zero[ROWS], u[2 * ROWS];
    int32_t column[ROWS];
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *cost = fcl_input(graph, "k", FCL_F32, FCL_SHAPE(ROWS, COLUMNS));
    fcl_tensor *f = fcl_input(graph, "f", FCL_F32, FCL_SHAPE(ROWS)),
               *g = fcl_input(graph, "g", FCL_F32, FCL_SHAPE(COLUMNS));
    fcl_tensor *uniform = fcl_input(graph, "u", FCL_F32, FCL_SHAPE(ROWS, 2));
    const fcl_sinkhorn_plan plan = {.cost = cost, .f = f, .g = g, .sum = f};
    fcl_tensor *drawn = fcl_output(fcl_transport_draw(&plan, uniform, true).column);
    assert_ok(fcl_graph_compile(graph, device, NULL));
    for (int i = 0; i < ROWS * COLUMNS; i++)
        k[i] = i % COLUMNS < SHARED ? (float)trial_uniform() : 1e29f;
    for (int i = 0; i < 2 * ROWS; i++)
        u[i] = 1 - 0x1p-24f;
    assert_ok(fcl_tensor_write(cost, k));
    assert_ok(fcl_tensor_write(f, zero));
    assert_ok(fcl_tensor_write(g, zero));
    assert_ok(fcl_tensor_write(uniform, u));
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(drawn, column));
    for (int i = 0; i < ROWS; i++)
        assert_in_range(column[i], SHARED / 2, SHARED - 1);
    fcl_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans_are_those_of_double),
        cmocka_unit_test(test_defaults_are_invariant),
        cmocka_unit_test(test_what_is_not_reached_is_told),
        cmocka_unit_test(test_degenerate_sets),
        cmocka_unit_test(test_small_pools_take_few_launches),
        cmocka_unit_test(test_no_launches_behind_the_end),
        cmocka_unit_test(test_no_pair_without_a_share),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
