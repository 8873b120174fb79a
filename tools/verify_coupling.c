/* Checks of couplings: an entropic plan is the best one where it has the form P_ij = exp(f_i + g_j + lambda -
 * K_ij)/(M N) and obeys the conditions below; an assignment is held against all pairings of a few points. */
#include "verify.h"

#include <math.h>

enum { M = 40, N = 56 };

typedef struct plan {
    float cost[M * N], f[M], g[N], report[FCL_TRANSPORT_REPORT];
    double row[M], column[N], total; /* masses, as shares of 1 / M, 1 / N and 1 */
} plan;

/* Three kinds of marginals. */
static const struct {
    const char *name;
    float relax, mass;
} kinds[] = {{"balanced", 1, 0}, {"unbalanced", 0.8f, 0}, {"partial", 1, 0.7f}};

static int run_in(fcl_graph *graph, fcl_device *device, int kind, plan *p)
{
    fcl_sinkhorn_control control = {.iterations = 3000, .tolerance = 1e-6f, .mass = kinds[kind].mass};
    fcl_tensor *cost = fcl_input(graph, "cost", FCL_F32, FCL_SHAPE(M, N));
    fcl_tensor *relax = kinds[kind].relax < 1 ? fcl_constant(graph, kinds[kind].relax) : NULL;
    fcl_sinkhorn_plan found = fcl_sinkhorn(cost, relax, &control);
    fcl_output(found.f), fcl_output(found.g), fcl_output(found.report);
    TRY(fcl_graph_compile(graph, device, NULL));
    TRY(fcl_tensor_write(cost, p->cost));
    TRY(fcl_graph_run(graph));
    TRY(fcl_tensor_read(found.f, p->f));
    TRY(fcl_tensor_read(found.g, p->g));
    return fcl_tensor_read(found.report, p->report);
}

static void weigh(plan *p)
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double exponent =
                (double)p->f[i] + p->g[j] + p->report[FCL_TRANSPORT_LAMBDA] - p->cost[i * N + j];
            double share = exp(exponent) / M / N;
            p->row[i] += share * M;
            p->column[j] += share * N;
            p->total += share;
        }
}

/* Of one row or column with the potential f and the mass m, in shares. Balanced: m = 1. Unbalanced: the
 * relative entropy's slope, log m = -f reg/rho, with relax = rho/(rho + reg). Partial: m <= 1, f <= 0, and
 * one of them equal. */
static double marginal_error(int kind, double f, double m)
{
    double relax = (double)kinds[kind].relax;
    if (kinds[kind].mass > 0)
        return fmax(fmax(m - 1, f), fabs(fmin(1 - m, -f)));
    return relax < 1 ? fabs(log(m) + f * (1 - relax) / relax) : fabs(m - 1);
}

static double plan_error(int kind, const plan *p)
{
    double mass = (double)kinds[kind].mass, largest = mass > 0 ? fabs(p->total / mass - 1) : 0;
    for (int i = 0; i < M; i++)
        largest = verify_larger(largest, marginal_error(kind, p->f[i], p->row[i]));
    for (int j = 0; j < N; j++)
        largest = verify_larger(largest, marginal_error(kind, p->g[j], p->column[j]));
    return largest;
}

static void fill_costs(verification *v, float *cost)
{
    double x[M][VERIFY_SIZE], y[VERIFY_SIZE];
    for (int i = 0; i < M * VERIFY_SIZE; i++)
        x[i / VERIFY_SIZE][i % VERIFY_SIZE] = verify_normal(v);
    for (int j = 0; j < N; j++) {
        verify_mixture_draw(v, y);
        for (int i = 0; i < M; i++)
            cost[i * N + j] = (float)(pow(x[i][0] - y[0], 2) + pow(x[i][1] - y[1], 2));
    }
}

int verify_plans(verification *v)
{
    for (int kind = 0; kind < 3; kind++) {
        plan p = {.total = 0};
        fill_costs(v, p.cost);
        fcl_graph *graph = fcl_graph_create();
        int status = run_in(graph, verify_device(v), kind, &p);
        fcl_graph_destroy(&graph);
        TRY(status);
        weigh(&p);
        TRY(verify_remark(v, kinds[kind].name, plan_error(kind, &p), "%.0f iterations",
                          (double)p.report[FCL_TRANSPORT_ITERATIONS]));
    }
    return FCL_OK;
}

/* --- exact --- */

enum { POINTS = 7 };

/* The least sum over all ways to give the rows from `row` on the columns that are not used. */
static double least_cost(const double cost[POINTS][POINTS], int row, unsigned used)
{
    double least = INFINITY;
    if (row == POINTS)
        return 0;
    for (int j = 0; j < POINTS; j++)
        if (!(used >> j & 1))
            least = fmin(least, cost[row][j] + least_cost(cost, row + 1, used | 1u << j));
    return least;
}

int verify_assignment(verification *v)
{
    float a[POINTS * VERIFY_SIZE], b[POINTS * VERIFY_SIZE];
    double cost[POINTS][POINTS], found;
    for (int i = 0; i < POINTS * VERIFY_SIZE; i++) {
        a[i] = (float)verify_normal(v);
        b[i] = (float)verify_normal(v);
    }
    for (int i = 0; i < POINTS * POINTS; i++) {
        const float *from = a + i / POINTS * VERIFY_SIZE, *to = b + i % POINTS * VERIFY_SIZE;
        cost[i / POINTS][i % POINTS] = pow((double)from[0] - to[0], 2) + pow((double)from[1] - to[1], 2);
    }
    const fcl_array from = {FCL_SHAPE(POINTS, VERIFY_SIZE), a}, to = {FCL_SHAPE(POINTS, VERIFY_SIZE), b};
    TRY(fcl_w2_squared(&from, &to, &found));
    double expected = least_cost(cost, 0, 0) / POINTS;
    return verify_report(v, "w2", fabs(found / expected - 1));
}
