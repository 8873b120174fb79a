/* Shortest augmenting paths (Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse
 * linear assignment problems", Computing 38, 1987) from the prices of an auction with falling increments
 * (Bertsekas, "The auction algorithm", Annals of Operations Research 14, 1988). The auction alone is near the
 * best assignment soon and at it late; the paths alone are long where many rows want the same columns; after
 * the auction they are short. The paths make the result exact whatever the prices are, so the auction may
 * stop at any time. */
#include "base/assign.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

typedef struct problem {
    int n;
    const double *cost;
    double *v;   /* the columns' prices: cost[i][j] - v[j] is what the rows compare */
    int *column; /* of a row, -1 while it is free */
    int *row;    /* of a column, -1 while it is free */
    int *free_rows;
    int free_count;
    double *distance; /* of a column from the row that a path begins at */
    int *previous;    /* the row before a column on its path */
    int *order;       /* the columns: [0, low) finished, [low, high) at the least distance, then the others */
} problem;

/* A row's least and second least reduced cost, and where. */
typedef struct two_least {
    double first, second;
    int first_at, second_at;
} two_least;

static two_least find_two_least(const problem *p, int row)
{
    const double *cost = p->cost + (size_t)row * (size_t)p->n;
    two_least least = {INFINITY, INFINITY, 0, 0};
    for (int j = 0; j < p->n; j++) {
        double h = cost[j] - p->v[j];
        if (h >= least.second)
            continue;
        if (h < least.first) {
            least.second = least.first;
            least.second_at = least.first_at;
            least.first = h;
            least.first_at = j;
        } else {
            least.second = h;
            least.second_at = j;
        }
    }
    return least;
}

/* Each free row takes its best column, at a price that makes it worse than its second best by `increment`;
 * who held it is free. With no increment every holder's column stays the best one for it. */
static void bid(problem *p, double increment)
{
    int count = p->free_count;
    p->free_count = 0;
    for (int k = 0; k < count; k++) {
        int i = p->free_rows[k];
        two_least least = find_two_least(p, i);
        int j = least.first_at;
        if (least.first < least.second || increment > 0)
            p->v[j] -= least.second - least.first + increment;
        else if (p->row[j] >= 0)
            j = least.second_at;
        int loser = p->row[j];
        p->row[j] = i;
        p->column[i] = j;
        if (loser >= 0) {
            p->column[loser] = -1;
            p->free_rows[p->free_count++] = loser;
        }
    }
}

static void free_all(problem *p)
{
    p->free_count = p->n;
    for (int i = 0; i < p->n; i++) {
        p->column[i] = p->row[i] = -1;
        p->free_rows[i] = i;
    }
}

static double largest_spread(const problem *p)
{
    double spread = 0;
    for (int i = 0; i < p->n; i++) {
        const double *cost = p->cost + (size_t)i * (size_t)p->n;
        double low = cost[0], high = cost[0];
        for (int j = 1; j < p->n; j++) {
            low = cost[j] < low ? cost[j] : low;
            high = cost[j] > high ? cost[j] : high;
        }
        spread = high - low > spread ? high - low : spread;
    }
    return spread;
}

/* Leaves good prices, and the assignment of two sweeps without increment at them. The increments fall from a
 * sixteenth of the costs' spread to a twentieth of its n-th part; a round ends when a hundredth of the rows
 * is free, which alone would take as long as all others. Measured on a normal cloud against 8gaussians, n =
 * 2000: 0.2 s, and 3.5 s without the auction. */
static void auction(problem *p)
{
    enum { SWEEPS = 1000 }; /* more than a round takes, on costs that are not made to be hard */
    double spread = largest_spread(p);
    for (double increment = spread / 16; increment > spread / (20.0 * p->n); increment /= 5) {
        free_all(p);
        for (int sweep = 0; sweep < SWEEPS && p->free_count > p->n / 100; sweep++)
            bid(p, increment);
    }
    free_all(p);
    bid(p, 0);
    bid(p, 0);
}

static void swap(int *a, int *b)
{
    int held = *a;
    *a = *b;
    *b = held;
}

/* Moves the columns at the least distance to order[low, high) and returns high. */
static int gather_least(problem *p, int low, double *least)
{
    int high = low;
    *least = INFINITY;
    for (int k = low; k < p->n; k++) {
        double d = p->distance[p->order[k]];
        if (d > *least)
            continue;
        if (d < *least) {
            *least = d;
            high = low;
        }
        swap(&p->order[high++], &p->order[k]);
    }
    return high;
}

/* Goes on from column `from`, at the distance `least`: over its row to all other columns. Returns a free
 * column that is as near, or -1. */
static int relax(problem *p, int from, double least, int *high)
{
    int i = p->row[from];
    const double *cost = p->cost + (size_t)i * (size_t)p->n;
    double base = cost[from] - p->v[from] - least;
    for (int k = *high; k < p->n; k++) {
        int j = p->order[k];
        double d = cost[j] - p->v[j] - base;
        if (d >= p->distance[j])
            continue;
        p->distance[j] = d;
        p->previous[j] = i;
        if (d <= least) {
            if (p->row[j] < 0)
                return j;
            swap(&p->order[(*high)++], &p->order[k]);
        }
    }
    return -1;
}

static int free_among(const problem *p, int low, int high)
{
    for (int k = low; k < high; k++) {
        if (p->row[p->order[k]] < 0)
            return p->order[k];
    }
    return -1;
}

/* Dijkstra from a free row to the nearest free column; prices follow, so that reduced costs stay fit. */
static int shortest_path(problem *p, int start)
{
    const double *cost = p->cost + (size_t)start * (size_t)p->n;
    for (int j = 0; j < p->n; j++) {
        p->distance[j] = cost[j] - p->v[j];
        p->previous[j] = start;
        p->order[j] = j;
    }
    int low = 0, high = 0, finished = 0, end = -1;
    double least = 0;
    while (end < 0) {
        if (low == high) {
            finished = low;
            high = gather_least(p, low, &least);
            end = free_among(p, low, high);
        }
        while (end < 0 && low < high)
            end = relax(p, p->order[low++], least, &high);
    }
    for (int k = 0; k < finished; k++)
        p->v[p->order[k]] += p->distance[p->order[k]] - least;
    return end;
}

static void augment(problem *p)
{
    for (int k = 0; k < p->free_count; k++) {
        int start = p->free_rows[k], j = shortest_path(p, start), i;
        do {
            i = p->previous[j];
            p->row[j] = i;
            swap(&p->column[i], &j);
        } while (i != start);
    }
}

int fcl_assignment_solve(int n, const double *cost, int *column)
{
    size_t size = (size_t)n;
    double *reals = calloc(2 * size + 1, sizeof *reals);
    int *integers = malloc(4 * size * sizeof *integers + 1);
    if (reals && integers) {
        problem p = {.n = n, .cost = cost, .v = reals, .distance = reals + size, .column = column};
        p.row = integers;
        p.free_rows = integers + size;
        p.previous = integers + 2 * size;
        p.order = integers + 3 * size;
        if (n > 1)
            auction(&p);
        else
            free_all(&p);
        augment(&p);
    }
    bool solved = reals && integers;
    free(reals);
    free(integers);
    return solved ? FCL_OK : fcl_fail(FCL_ERR_MEMORY, "no memory to assign %d rows", n);
}
