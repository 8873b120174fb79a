/* The exact coupling. Of classes each is a problem of its own: no cost that forbids, so none that hides the
 * others' digits, and the work falls with the square of their number. */
#include "flow/coupling.h"

#include "base/assign.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>

/* What costs come from: a matrix, or else points. */
typedef struct origin {
    int count;
    const float *cost;      /* (count, count) */
    int64_t size;           /* of a point */
    const float *x0, *x1;   /* (count, size) */
    float *moved0, *moved1; /* room for as many */
} origin;

/* The rows of a class, `size` of them, and room for their costs and columns. */
typedef struct class_problem {
    int size;
    int *row, *column;
    float *cost;
} class_problem;

/* --- costs --- */

static void copy_costs(const class_problem *one, const origin *from)
{
    for (int i = 0; i < one->size; i++)
        for (int j = 0; j < one->size; j++)
            one->cost[(size_t)i * (size_t)one->size + (size_t)j] =
                from->cost[(size_t)one->row[i] * (size_t)from->count + (size_t)one->row[j]];
}

/* One number of the class's points, moved to its mean there; the largest that this leaves is returned. */
static double move_column(const class_problem *one, const float *x, int64_t size, int64_t at, float *moved)
{
    double sum = 0, largest = 0;
    for (int i = 0; i < one->size; i++)
        sum += (double)x[one->row[i] * size + at];
    double mean = isfinite(sum) ? sum / one->size : 0; /* what is not finite is the cost's to tell */
    for (int i = 0; i < one->size; i++) {
        double left = (double)x[one->row[i] * size + at] - mean;
        moved[i * size + at] = (float)left;
        largest = fmax(largest, fabs(left));
    }
    return largest;
}

/* The class's points moved to their mean and over their size, so that single precision holds what is left. */
static void move_points(const class_problem *one, const float *x, int64_t size, float *moved)
{
    double largest = 0;
    for (int64_t at = 0; at < size; at++)
        largest = fmax(largest, move_column(one, x, size, at, moved));
    if (!(largest > 0) || isinf(largest))
        return;
    for (int64_t i = 0; i < one->size * size; i++)
        moved[i] = (float)((double)moved[i] / largest);
}

static double product(const float *a, const float *b, int64_t size)
{
    double sum = 0;
    for (int64_t i = 0; i < size; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* -a.b in place of |a - b|^2: the squares are the same for a whole row or column, and so change no pairing.
 */
static void compute_costs(const class_problem *one, const origin *from)
{
    move_points(one, from->x0, from->size, from->moved0);
    move_points(one, from->x1, from->size, from->moved1);
    for (int64_t i = 0; i < one->size; i++)
        for (int64_t j = 0; j < one->size; j++)
            one->cost[i * one->size + j] =
                (float)-product(from->moved0 + i * from->size, from->moved1 + j * from->size, from->size);
}

/* --- classes --- */

static int solve_class(const class_problem *one, const origin *from, int32_t *partner)
{
    from->cost ? copy_costs(one, from) : compute_costs(one, from);
    FCL_TRY(fcl_assignment_solve(one->size, one->cost, one->column));
    for (int i = 0; i < one->size; i++)
        partner[one->row[i]] = one->row[one->column[i]];
    return FCL_OK;
}

static int compare(const void *left, const void *right)
{
    const int32_t *a = left, *b = right; /* label, row */
    return a[0] != b[0] ? (a[0] > b[0]) - (a[0] < b[0]) : (a[1] > b[1]) - (a[1] < b[1]);
}

static int solve_classes(const origin *from, const int32_t (*sorted)[2], class_problem *one, int32_t *partner)
{
    for (int begin = 0; begin < from->count; begin += one->size) {
        one->size = 0;
        while (begin + one->size < from->count && sorted[begin + one->size][0] == sorted[begin][0]) {
            one->row[one->size] = sorted[begin + one->size][1];
            one->size++;
        }
        FCL_TRY(solve_class(one, from, partner));
    }
    return FCL_OK;
}

static int solve(const origin *from, const int32_t *label, int32_t *partner)
{
    size_t size = (size_t)from->count;
    int32_t(*sorted)[2] = malloc(size * sizeof *sorted);
    int *rows = malloc(2 * size * sizeof *rows);
    float *own = malloc(size * size * sizeof *own);
    int status =
        sorted && rows && own ? FCL_OK : fcl_fail(FCL_ERR_MEMORY, "no memory to pair %d rows", from->count);
    if (status == FCL_OK) {
        for (int i = 0; i < from->count; i++) {
            sorted[i][0] = label ? label[i] : 0;
            sorted[i][1] = i;
        }
        qsort(sorted, size, sizeof *sorted, compare);
        class_problem one = {.row = rows, .column = rows + size, .cost = own};
        status = solve_classes(from, (const int32_t(*)[2])sorted, &one, partner);
    }
    free(sorted);
    free(rows);
    free(own);
    return status;
}

int fcl_coupling_assign(int count, const float *cost, const int32_t *label, int32_t *partner)
{
    return label ? solve(&(origin){.count = count, .cost = cost}, label, partner)
                 : fcl_assignment_solve(count, cost, partner);
}

int fcl_couple(int64_t count, int64_t size, const float *x0, const float *x1, const int32_t *label,
               int32_t *partner)
{
    if (count < 1 || count > 1 << 20)
        return fcl_fail(FCL_ERR_ARGUMENT, "%lld rows cannot be paired: it takes 1 to 2^20", (long long)count);
    if (size < 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "rows of %lld numbers cannot be paired", (long long)size);
    float *moved = malloc(2 * (size_t)count * (size_t)size * sizeof *moved);
    if (!moved)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for a copy of %lld rows", (long long)count);
    origin from = {.count = (int)count, .size = size, .x0 = x0, .x1 = x1, .moved0 = moved};
    from.moved1 = moved + count * size;
    int status = solve(&from, label, partner);
    free(moved);
    return status;
}
