#include "rounds.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Between the two nearest of the sorted values. */
static double quantile(const double *sorted, int count, double share)
{
    double at = share * (count - 1);
    int below = (int)at;
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
}

rounds_spread rounds_ratio(const double *values, const double *to, int count)
{
    double *sorted = count > 0 ? malloc((size_t)count * sizeof *sorted) : NULL;
    if (!sorted)
        return (rounds_spread){NAN, NAN, NAN};
    for (int i = 0; i < count; i++)
        sorted[i] = to ? values[i] / to[i] : values[i];
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    rounds_spread spread = {quantile(sorted, count, 0.5), quantile(sorted, count, 0.1),
                            quantile(sorted, count, 0.9)};
    free(sorted);
    return spread;
}

rounds_spread rounds_of(const double *values, int count)
{
    return rounds_ratio(values, NULL, count);
}
