/* Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
 * problems", Computing 38 (1987): column reduction, two sweeps of row reduction, and a shortest path for each
 * row that is still free. Their row reduction runs until nothing changes, which on real costs can take
 * minutes; a sweep here looks at each free row once. */
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

static void column_reduction(problem *p)
{
    int n = p->n;
    for (int j = 0; j < n; j++) {
        p->v[j] = p->cost[j];
        p->row[j] = 0;
    }
    for (int i = 1; i < n; i++) {
        const double *cost = p->cost + (size_t)i * (size_t)n;
        for (int j = 0; j < n; j++) {
            if (cost[j] < p->v[j]) {
                p->v[j] = cost[j];
                p->row[j] = i;
            }
        }
    }
    for (int j = 0; j < n; j++) { /* a row that is least in several columns keeps the first */
        if (p->column[p->row[j]] < 0)
            p->column[p->row[j]] = j;
        else
            p->row[j] = -1;
    }
    for (int i = 0; i < n; i++) {
        if (p->column[i] < 0)
            p->free_rows[p->free_count++] = i;
    }
}

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

/* Each free row takes its best column, at a price that makes its second best as good; who held it is free. */
static void row_reduction(problem *p)
{
    int count = p->free_count;
    p->free_count = 0;
    for (int k = 0; k < count; k++) {
        int i = p->free_rows[k];
        two_least least = find_two_least(p, i);
        int j = least.first_at;
        if (least.first < least.second)
            p->v[j] -= least.second - least.first;
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
    double *reals = malloc(2 * size * sizeof *reals + 1);
    int *integers = malloc(4 * size * sizeof *integers + 1);
    if (reals && integers) {
        problem p = {.n = n, .cost = cost, .v = reals, .distance = reals + size, .column = column};
        p.row = integers;
        p.free_rows = integers + size;
        p.previous = integers + 2 * size;
        p.order = integers + 3 * size;
        for (int i = 0; i < n; i++)
            column[i] = -1;
        if (n > 0)
            column_reduction(&p);
        for (int sweep = 0; sweep < 2 && n > 1; sweep++)
            row_reduction(&p);
        augment(&p);
    }
    bool solved = reals && integers;
    free(reals);
    free(integers);
    return solved ? FCL_OK : fcl_fail(FCL_ERR_MEMORY, "no memory to assign %d rows", n);
}
