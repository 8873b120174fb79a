/* From the data's units to the model's, and back. */
#include <flowcl/normalise.h>

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void fcl_normalisation_destroy(fcl_normalisation **normalisation)
{
    if (!*normalisation)
        return;
    free((*normalisation)->centre);
    free((*normalisation)->scale);
    free(*normalisation);
    *normalisation = NULL;
}

void fcl_normalisation_apply(const fcl_normalisation *by, int64_t n, int64_t size, float *x)
{
    for (int64_t i = 0; by->count && i < n * size; i++) {
        int64_t k = i % size % by->count;
        x[i] = (float)(((double)x[i] - by->centre[k]) / by->scale[k]);
    }
}

void fcl_normalisation_undo(const fcl_normalisation *by, int64_t n, int64_t size, float *x)
{
    for (int64_t i = 0; by->count && i < n * size; i++) {
        int64_t k = i % size % by->count;
        x[i] = (float)((double)x[i] * by->scale[k] + by->centre[k]);
    }
}

double fcl_normalisation_log_scale(const fcl_normalisation *by, int64_t size)
{
    double sum = 0;
    for (int64_t d = 0; by->count && d < size; d++)
        sum += log(by->scale[d % by->count]);
    return sum;
}

static void add_pair(const fcl_normalisation *by, int64_t d, const char *name, fcl_text *text)
{
    double centre = by->centre[d], scale = by->scale[d];
    fcl_text_format(text, scale == 1 ? "%s %c %.6g" : "(%s %c %.6g)", name, centre < 0 ? '+' : '-',
                    fabs(centre));
    if (scale != 1)
        fcl_text_format(text, "/%.6g", scale);
}

char *fcl_normalisation_text(const fcl_normalisation *by)
{
    enum { TOLD = 4 };
    char name[24];
    fcl_text text = {0};
    fcl_text_add(&text, "");
    if (by->count == 1)
        add_pair(by, 0, "x", &text);
    for (int64_t d = 0; by->count > 1 && d < by->count && d < TOLD; d++) {
        snprintf(name, sizeof name, "x%lld", (long long)d + 1);
        fcl_text_add(&text, d ? ", " : "");
        add_pair(by, d, name, &text);
    }
    if (by->count > TOLD)
        fcl_text_format(&text, ", and so on, each of %lld numbers", (long long)by->count);
    return text.data;
}
