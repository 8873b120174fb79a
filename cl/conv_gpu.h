/* How the product for GPUs (gemm_gpu.cl) reads a convolution of images, or a gradient of it: the matrix of patches is nowhere.
 *
 *                  rows of A, of the result        k                         B
 *   GEMM_CONV_Y    pixels of y                     taps, channels of x       w, as it lies
 *   GEMM_CONV_X    pixels of x, of a class         taps, channels of y       w, a matrix of each tap turned
 *   GEMM_CONV_W    rows and columns of w, and      pixels of y               y, as it lies
 *                  channels of x
 *
 * Pixel i along a dimension reads pixel `read` i + d, for a run of taps d from `least` on. The gradient in x of a stride of 2
 * has two classes of pixels along each dimension, of which each has its own taps, so that no zeros are multiplied; that of an
 * upsampled x reads sums of weights. */
#ifndef CONV_GPU
#define CONV_GPU

/* x (images, height, width, channels) by kernels of `side` x `side` is y (images, out_height, out_width, outputs). */
typedef struct conv_sizes {
    int images, height, width, channels, out_height, out_width, outputs, side, stride, padding, upsample;
} conv_sizes;

/* The taps of x's pixels upsample-d along a dimension, from class `first` of those that a stride of 2 parts. */
static inline int conv_least(conv_sizes s, int first)
{
    return (s.upsample * first + s.padding - s.side + s.stride) >> (s.stride - 1);
}

static inline int conv_taps(conv_sizes s, int first)
{
    return ((s.upsample * first + s.upsample - 1 + s.padding) >> (s.stride - 1)) - conv_least(s, first) + 1;
}

/* The row of w that tap d reads for pixel `at` of those that one of x stands for. */
static inline int conv_row(conv_sizes s, int first, int at, int d)
{
    return s.upsample * first + at + s.padding - s.stride * d;
}

/* What a kernel goes over: pixels in a grid that reads another one. */
typedef struct conv_grid {
    int height, width;                    /* of a class of the result's pixels */
    int in_height, in_width, channels, up; /* of what is read, in which a pixel stands for up x up */
    int read, top, left, taps_down, taps_along;
} conv_grid;

static inline conv_grid conv_grid_of_y(conv_sizes s)
{
    const conv_grid g = {s.out_height, s.out_width, s.height,   s.width, s.channels, s.upsample,
                         s.stride,     -s.padding,  -s.padding, s.side,  s.side};
    return g;
}

static inline conv_grid conv_grid_of_x(conv_sizes s, int down, int along)
{
    const int step = s.upsample < s.stride ? 2 : 1, read = s.upsample > s.stride ? 2 : 1;
    const conv_grid g = {(s.height + step - 1) / step, (s.width + step - 1) / step, s.out_height, s.out_width, s.outputs, 1, read,
                         conv_least(s, down), conv_least(s, along), conv_taps(s, down), conv_taps(s, along)};
    return g;
}

static inline int conv_depth(conv_grid g)
{
    return g.taps_down > 0 && g.taps_along > 0 ? g.taps_down * g.taps_along * g.channels : 0;
}

/* Where the grid's pixel `row` reads number `k` of its taps; -1: outside of the image. */
static inline long conv_at(conv_grid g, int row, int k)
{
    const int tap = k / g.channels, along = max(g.taps_along, 1);
    const int image = row / g.width / g.height;
    const int i = row / g.width % g.height * g.read + g.top + tap / along, j = row % g.width * g.read + g.left + tap % along;
    if (i < 0 || j < 0 || i >= g.in_height * g.up || j >= g.in_width * g.up)
        return -1;
    return (((long)image * g.in_height + i / g.up) * g.in_width + j / g.up) * g.channels + k % g.channels;
}

/* Where w has what column `c` of x multiplies number `k` of the taps with, for pixel `at` of those that one of x stands for; -1: nowhere. */
static inline long conv_turned_at(conv_sizes s, conv_grid g, int down, int along, int k, int c, int at)
{
    const int tap = k / g.channels, wide = max(g.taps_along, 1);
    const int row = conv_row(s, down, at / s.upsample, g.top + tap / wide);
    const int column = conv_row(s, along, at % s.upsample, g.left + tap % wide);
    if (row < 0 || column < 0 || row >= s.side || column >= s.side)
        return -1;
    return ((long)(row * s.side + column) * s.channels + c) * s.outputs + k % g.channels;
}

/* Where x has what row `row` of w multiplies pixel `k` of y with; -1: outside of the image. */
static inline long conv_read_at(conv_sizes s, int row, int k)
{
    const int tap = row / s.channels, image = k / s.out_width / s.out_height;
    const int i = k / s.out_width % s.out_height * s.stride - s.padding + tap / s.side;
    const int j = k % s.out_width * s.stride - s.padding + tap % s.side;
    if (i < 0 || j < 0 || i >= s.height * s.upsample || j >= s.width * s.upsample)
        return -1;
    return (((long)image * s.height + i / s.upsample) * s.width + j / s.upsample) * s.channels + row % s.channels;
}

/* The i-th pieces of the tiles, as GEMM_FETCH has them. */
#define CONV_FETCH(X, next, x, first, count, place)                                                                    \
    GEMM_UNROLL for (int i = 0; i < GEMM_SHARE_OF(X); i++)                                                             \
    {                                                                                                                  \
        const int q = id + i * GEMM_ITEMS, across = (first) + GEMM_ACROSS(X, q), down = begin + GEMM_DOWN(X, q);       \
        const long from = across < (count) && down < end ? (place) : -1;                                               \
        next[i] = from < 0 ? (GEMM_REAL(X, WIDE))(0) : *(const global GEMM_REAL(X, WIDE) *)((x) + from);               \
    }
/* Of weights that are added before they are multiplied. */
#define CONV_FETCH_SUMS(X, next, x, first, count, place)                                                               \
    GEMM_UNROLL for (int i = 0; i < GEMM_SHARE_OF(X); i++)                                                             \
    {                                                                                                                  \
        const int q = id + i * GEMM_ITEMS, across = (first) + GEMM_ACROSS(X, q), down = begin + GEMM_DOWN(X, q);       \
        next[i] = 0;                                                                                                   \
        for (int at = 0; at < sizes.upsample * sizes.upsample; at++) {                                           \
            const long from = across < (count) && down < end ? (place) : -1;                                           \
            if (from >= 0)                                                                                             \
                next[i] += *(const global GEMM_REAL(X, WIDE) *)((x) + from);                                           \
        }                                                                                                              \
    }

#endif
