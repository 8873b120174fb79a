/* The exact coupling. Of classes each is a problem of its own: no cost that forbids, so none that hides the
 * others' digits, and the work falls with the square of their number. */
#include "flow/coupling.h"

#include "base/assign.h"
#include "base/error.h"

#include <stdlib.h>

/* The rows of a class, `size` of them, and room for their costs and columns. */
typedef struct class_problem {
    int size;
    int *row, *column;
    float *cost;
} class_problem;

static int solve_class(const class_problem *one, int count, const float *cost, int32_t *partner)
{
    for (int i = 0; i < one->size; i++)
        for (int j = 0; j < one->size; j++)
            one->cost[(size_t)i * (size_t)one->size + (size_t)j] =
                cost[(size_t)one->row[i] * (size_t)count + (size_t)one->row[j]];
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

static int solve_classes(int count, const float *cost, const int32_t (*sorted)[2], class_problem *one,
                         int32_t *partner)
{
    for (int begin = 0; begin < count; begin += one->size) {
        one->size = 0;
        while (begin + one->size < count && sorted[begin + one->size][0] == sorted[begin][0]) {
            one->row[one->size] = sorted[begin + one->size][1];
            one->size++;
        }
        FCL_TRY(solve_class(one, count, cost, partner));
    }
    return FCL_OK;
}

static float squared_distance(const float *a, const float *b, int64_t size)
{
    double sum = 0;
    for (int64_t i = 0; i < size; i++) {
        double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return (float)sum;
}

int fcl_couple(int64_t count, int64_t size, const float *x0, const float *x1, const int32_t *label,
               int32_t *partner)
{
    if (count < 1 || count > 1 << 20)
        return fcl_fail(FCL_ERR_ARGUMENT, "%lld rows cannot be paired: it takes 1 to 2^20", (long long)count);
    float *cost = malloc((size_t)count * (size_t)count * sizeof *cost);
    if (!cost)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the distances between %lld rows", (long long)count);
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < count; j++)
            cost[i * count + j] = squared_distance(x0 + i * size, x1 + j * size, size);
    int status = fcl_coupling_assign((int)count, cost, label, partner);
    free(cost);
    return status;
}

int fcl_coupling_assign(int count, const float *cost, const int32_t *label, int32_t *partner)
{
    if (!label)
        return fcl_assignment_solve(count, cost, partner);
    size_t size = (size_t)count;
    int32_t(*sorted)[2] = malloc(size * sizeof *sorted);
    int *rows = malloc(2 * size * sizeof *rows);
    float *own = malloc(size * size * sizeof *own);
    int status =
        sorted && rows && own ? FCL_OK : fcl_fail(FCL_ERR_MEMORY, "no memory to pair %d rows", count);
    if (status == FCL_OK) {
        for (int i = 0; i < count; i++) {
            sorted[i][0] = label[i];
            sorted[i][1] = i;
        }
        qsort(sorted, size, sizeof *sorted, compare);
        class_problem one = {.row = rows, .column = rows + size, .cost = own};
        status = solve_classes(count, cost, (const int32_t(*)[2])sorted, &one, partner);
    }
    free(sorted);
    free(rows);
    free(own);
    return status;
}
