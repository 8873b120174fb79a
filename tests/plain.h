/* Layers in plain C and double precision, from their formulas, channels last: what their graphs are held against. */
#ifndef TESTS_PLAIN_H
#define TESTS_PLAIN_H

#include <flowcl/layers.h>

/* Images, (n, height, width, channels). */
typedef struct plain_image {
    int n, height, width, channels;
} plain_image;

int64_t plain_pixels(plain_image images); /* of all of them */
int64_t plain_numbers(plain_image images);
double *plain_room(plain_image images); /* for them, zeros; for free */

/* Weights by their names, in graphs' order of dimensions; NULL: there is none of the name. */
typedef struct plain_weights {
    const void *of;
    const double *(*find)(const void *of, const char *name);
} plain_weights;

double plain_silu(double x);
/* y (rows, out) of x (rows, in); bias may be NULL. */
void plain_linear(int rows, int in, int out, const double *x, const double *weight, const double *bias, double *y);

/* What follows gives the images that come out, in y; weights are those under `name`. */

plain_image plain_convolve(const plain_weights *w, const char *name, plain_image from, const double *x, int out, int side,
                           const fcl_conv2d_options *how, double *y);
/* Of epsilon 1e-5. */
void plain_group_norm(const plain_weights *w, const char *name, plain_image of, int groups, const double *x, double *y);
/* To half of the size, or to twice of it. */
plain_image plain_resample(plain_image from, fcl_resample how, const double *x, double *y);
/* embedding (n, how->embedding), or NULL. */
plain_image plain_residual(const plain_weights *w, const char *name, plain_image from, const double *x,
                           const double *embedding, const fcl_residual_options *how, double *y);
void plain_attention_block(const plain_weights *w, const char *name, plain_image of, int heads, int groups, const double *x,
                           double *y);

#endif
