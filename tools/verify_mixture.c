/* Three Gaussians in the plane, and what is known in double of a flow from N(0, I) to them. */
#include "verify.h"

#include <math.h>
#include <string.h>

enum { PARTS = 3 };
static const struct {
    double weight, mean[VERIFY_SIZE], deviation;
} part[PARTS] = {{0.5, {1.5, 0.5}, 0.5}, {0.3, {-1, 1}, 0.8}, {0.2, {-0.5, -1.5}, 0.3}};

void verify_mixture_draw(verification *v, double x[VERIFY_SIZE])
{
    double u = verify_uniform(v);
    int k = 0;
    while (k < PARTS - 1 && u >= part[k].weight)
        u -= part[k++].weight;
    for (int i = 0; i < VERIFY_SIZE; i++)
        x[i] = part[k].mean[i] + part[k].deviation * verify_normal(v);
}

/* Of one part: x_t is N(alpha m, alpha^2 c^2 + sigma^2 + tube^2), and each of its terms is known by its share
 * of that variance. */
static double add_part(int k, const fcl_path_point *at, const double x[VERIFY_SIZE], verify_means *means)
{
    double c2 = part[k].deviation * part[k].deviation, square = 0;
    double variance = at->alpha * at->alpha * c2 + at->sigma * at->sigma + at->tube * at->tube;
    for (int i = 0; i < VERIFY_SIZE; i++)
        square += pow(x[i] - at->alpha * part[k].mean[i], 2);
    double density = part[k].weight * exp(-square / (2 * variance)) / pow(variance, VERIFY_SIZE / 2.);
    for (int i = 0; i < VERIFY_SIZE; i++) {
        double rest = (x[i] - at->alpha * part[k].mean[i]) / variance;
        means->data[i] += density * (part[k].mean[i] + at->alpha * c2 * rest);
        means->noise[i] += density * at->sigma * rest;
        means->tube[i] += density * at->tube * rest;
    }
    return density;
}

verify_means verify_mixture_means(const fcl_path_point *at, const double x[VERIFY_SIZE])
{
    verify_means means = {{0}, {0}, {0}};
    double density = 0;
    for (int k = 0; k < PARTS; k++)
        density += add_part(k, at, x, &means);
    for (int i = 0; i < VERIFY_SIZE; i++) {
        means.data[i] /= density;
        means.noise[i] /= density;
        means.tube[i] /= density;
    }
    return means;
}

double verify_prediction(const char *prediction, const fcl_path_point *at, const verify_means *means, int i)
{
    if (!strcmp(prediction, "v"))
        return at->alpha_dot * means->data[i] + at->sigma_dot * means->noise[i] +
               at->tube_dot * means->tube[i];
    if (!strcmp(prediction, "x1"))
        return means->data[i];
    if (!strcmp(prediction, "eps"))
        return means->noise[i];
    if (!strcmp(prediction, "score"))
        return -means->noise[i] / at->sigma;
    return NAN;
}
