#include "data/statistics.h"

#include <math.h>

/* Number i of all, (count, shape). */
static double number_of(const fcl_dataset *dataset, int64_t i)
{
    return dataset->values ? (double)dataset->values[i]
                           : (double)((float)dataset->bytes[i] * dataset->scale + dataset->shift);
}

static int64_t size_of(const fcl_dataset *dataset)
{
    return dataset->count * fcl_shape_size(dataset->shape);
}

/* Around each column's first number: an offset far larger than the deviation takes nothing away from it, and
 * a constant column's deviation is exactly 0. */
void fcl_dataset_measure(const fcl_dataset *dataset, int64_t columns, double *mean, double *deviation)
{
    int64_t size = size_of(dataset);
    double rows = (double)(size / columns);
    for (int64_t k = 0; k < columns; k++)
        mean[k] = deviation[k] = 0;
    for (int64_t i = 0; i < size; i++)
        mean[i % columns] += number_of(dataset, i) - number_of(dataset, i % columns);
    for (int64_t k = 0; k < columns; k++)
        mean[k] = number_of(dataset, k) + mean[k] / rows;
    for (int64_t i = 0; i < size; i++)
        deviation[i % columns] += pow(number_of(dataset, i) - mean[i % columns], 2);
    for (int64_t k = 0; k < columns; k++)
        deviation[k] = sqrt(deviation[k] / rows);
}

fcl_extent fcl_dataset_extent(const fcl_dataset *dataset)
{
    fcl_extent extent = {INFINITY, -INFINITY, true};
    for (int64_t i = 0; i < size_of(dataset); i++) {
        double x = dataset->values ? (double)dataset->values[i] : (double)dataset->bytes[i];
        extent.least = fmin(extent.least, x);
        extent.most = fmax(extent.most, x);
        extent.whole = extent.whole && x == floor(x);
    }
    return extent;
}
