/* Convolutions of images, channels last, single precision; `batch` of them at packed strides, each with weights of its own:
 *
 *     y[n, i, j, o] = sum of x[n, (i stride - padding + u) / upsample, (j stride - padding + v) / upsample, c] w[u, v, c, o]
 *
 * over u, v, c, with zeros outside of x: x (images, height, width, channels), w (side, side, channels, outputs),
 * y (images, out_height, out_width, outputs). The other two forms are its gradients: of x, from y's and w, and of w,
 * from x and y's. */
#ifndef DEVICE_CONV_H
#define DEVICE_CONV_H

#include <stdbool.h>

typedef enum fcl_conv_factor { FCL_CONV_X, FCL_CONV_W, FCL_CONV_Y } fcl_conv_factor;

typedef struct fcl_conv_problem {
    fcl_conv_factor result; /* Y: the convolution; X, W: its gradients */
    int batch;
    bool share[3]; /* one x, w or y for the whole batch */
    int images, height, width, channels;
    int out_height, out_width, outputs;
    int side, stride, padding, upsample; /* upsample 2: x is read as if each pixel stood for 2 x 2 */
} fcl_conv_problem;

#endif
