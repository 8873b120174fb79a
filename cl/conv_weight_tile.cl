/* The weights' gradient of convolutions of images, for CPUs. A template: src/device/conv_weight.c defines these names before
 * it, and removes them behind it.
 *
 *   CONV_NAME          the kernel's name
 *   CONV_ROWS          1 to 8: weights of one output channel in a register tile
 *   CONV_VECTORS       1, 2 or 4: float16 vectors in each of its rows
 *   CONV_PANELS        panels of output channels that a work-item takes, side by side
 *   CONV_BLOCK         input channels that it takes
 *   CONV_LINES         lines of output pixels that are read at once, at most
 *   CONV_BLOCKS        such blocks of an image
 *   CONV_X_..., _Y_... HEIGHT, WIDTH, CHANNELS of x, of which each pixel stands for UP x UP, and of y's gradient
 *   CONV_SIDE, _STRIDE, _PADDING   of the convolution
 *   CONV_SHARE_X, _Y   1: one for the whole batch
 *
 * A product A' B over all pixels: B is y's gradient, a row of A what a pixel's taps read. As in conv_tile.cl the lines that
 * some pixels read are copied into private memory, so that the taps of a row of the kernel are one run. All tiles of a
 * work-item then go over these pixels, which the nearest cache holds, and keep their sums in private memory. A part of the
 * images is a work-item's; another kernel adds the parts. */

#ifndef CONV_WEIGHT_COPIES
#define CONV_WEIGHT_COPIES
/* `block` channels of a pixel, of which `left` exist: zeros beyond, or everywhere where there is no pixel. */
static void conv_copy_pixel(float *to, const global float *pixel, int block, int left)
{
    if (left >= block) {
        for (int c = 0; c < block; c++)
            to[c] = pixel[c];
        return;
    }
    for (int c = 0; c < block; c++)
        to[c] = c < left ? pixel[c] : 0;
}

/* Lines from number `top` on, pixels from number `begin` on, of an image. */
static void conv_copy_block(float *to, int lines, int columns, const global float *image, int top, int begin, int height,
                            int width, int up, int channels, int block, int left)
{
    for (int i = 0; i < lines; i++) {
        const bool inside = top + i >= 0 && top + i < height * up;
        const global float *line = image + (inside ? (top + i) / up : 0) * width * channels;
        for (int j = 0; j < columns; j++, to += block) {
            const int at = begin + j;
            const bool is_pixel = inside && at >= 0 && at < width * up;
            conv_copy_pixel(to, line + (is_pixel ? at / up : 0) * channels, block, is_pixel ? left : 0);
        }
    }
}
#endif

kernel void CONV_NAME(const global float *restrict x, const global float *restrict y, global float *restrict w,
                      const int images, const int parts)
{
    enum {
        WIDTH = 16 * CONV_VECTORS,
        COLUMNS = (CONV_Y_WIDTH - 1) * CONV_STRIDE + CONV_SIDE,
        PITCH = COLUMNS * CONV_BLOCK,
        RUN = CONV_SIDE * CONV_BLOCK, /* weights of a row of the kernel */
        TILES = (RUN + CONV_ROWS - 1) / CONV_ROWS,
        PIXELS = CONV_LINES * CONV_Y_WIDTH,
        X_LINE = CONV_X_WIDTH * CONV_X_CHANNELS,
        Y_LINE = CONV_Y_WIDTH * CONV_Y_CHANNELS,
        ASKS = CONV_LINES * (CONV_STRIDE * CONV_X_WIDTH / CONV_UP + Y_LINE / 16) /
                   (CONV_SIDE * CONV_PANELS * TILES) + 1 /* lines of y, or pixels of x, that a tile asks for */,
        GROUPS = (CONV_Y_CHANNELS + WIDTH * CONV_PANELS - 1) / (WIDTH * CONV_PANELS)
    };
    const int first_col = get_global_id(0) % GROUPS * (WIDTH * CONV_PANELS);
    const int first = get_global_id(0) / GROUPS * CONV_BLOCK; /* channel */
    const int part = get_global_id(1), item = get_global_id(2);
    const int panels = min(CONV_PANELS, (CONV_Y_CHANNELS - first_col + WIDTH - 1) / WIDTH);
    const long units = (long)images * CONV_BLOCKS;
    float strip[((CONV_LINES - 1) * CONV_STRIDE + CONV_SIDE) * PITCH + CONV_ROWS] __attribute__((aligned(64)));
    float16 panel[CONV_PANELS][PIXELS * CONV_VECTORS];
    float16 sums[CONV_SIDE][CONV_PANELS][TILES][CONV_ROWS][CONV_VECTORS];
    x += (size_t)(CONV_SHARE_X ? 0 : item) * images * (CONV_X_HEIGHT * CONV_X_WIDTH * CONV_X_CHANNELS) + first;
    y += (size_t)(CONV_SHARE_Y ? 0 : item) * images * (CONV_Y_HEIGHT * CONV_Y_WIDTH * CONV_Y_CHANNELS);
    w += ((size_t)item * parts + part) * (CONV_SIDE * CONV_SIDE * CONV_X_CHANNELS * CONV_Y_CHANNELS);
    for (int i = 0; i < CONV_SIDE * CONV_PANELS * TILES * CONV_ROWS * WIDTH; i++)
        ((float *)sums)[i] = 0;
    for (int i = 0; i < CONV_ROWS; i++)
        strip[((CONV_LINES - 1) * CONV_STRIDE + CONV_SIDE) * PITCH + i] = 0;
    for (int unit = (int)(part * units / parts); unit < (int)((part + 1) * units / parts); unit++) {
        const int image = unit / CONV_BLOCKS, top = unit % CONV_BLOCKS * CONV_LINES;
        const int lines = min(CONV_LINES, CONV_Y_HEIGHT - top);
        const int copied = (lines - 1) * CONV_STRIDE + CONV_SIDE;
        conv_copy_block(strip, copied, COLUMNS, x + (size_t)image * (CONV_X_HEIGHT * CONV_X_WIDTH * CONV_X_CHANNELS),
                        top * CONV_STRIDE - CONV_PADDING, -CONV_PADDING, CONV_X_HEIGHT, CONV_X_WIDTH, CONV_UP,
                        CONV_X_CHANNELS, CONV_BLOCK, CONV_X_CHANNELS - first);
        for (int i = 0; i < CONV_ROWS; i++)
            strip[copied * PITCH + i] = 0;
        for (int p = 0; p < panels; p++)
            gemm_copy_panel(panel[p], CONV_VECTORS,
                            y + ((size_t)image * CONV_Y_HEIGHT + top) * (CONV_Y_WIDTH * CONV_Y_CHANNELS),
                            lines * CONV_Y_WIDTH, CONV_Y_CHANNELS, first_col + WIDTH * p);
        /* Lines of y that are next, then pixels of x, of which a block's channels may begin on any line of the cache. */
        const bool more = unit + 1 < (int)((part + 1) * units / parts);
        const int next_lines = more ? min(CONV_LINES, CONV_Y_HEIGHT - (unit + 1) % CONV_BLOCKS * CONV_LINES) : 0;
        const global float *next_y = y + ((size_t)image * CONV_Y_HEIGHT + top + lines) * Y_LINE;
        const global float *const end_y = next_y + next_lines * Y_LINE;
        const global float *next_x = x + ((size_t)image * CONV_X_HEIGHT + (top + lines) * CONV_STRIDE / CONV_UP) * X_LINE;
        const global float *const end_x = x + min((size_t)(next_x - x) + next_lines * CONV_STRIDE / CONV_UP * X_LINE,
                                                  (size_t)images * CONV_X_HEIGHT * X_LINE - CONV_X_CHANNELS);
        for (int u = 0; u < CONV_SIDE; u++)
            for (int p = 0; p < panels; p++)
                for (int tile = 0; tile < TILES; tile++) {
                    for (int i = 0; i < ASKS; i++) {
                        if (next_y < end_y) {
                            FETCH_FAR(next_y);
                            next_y += 16;
                        } else if (next_x < end_x) {
                            for (int c = 0; c < CONV_BLOCK; c += 16)
                                FETCH_FAR(next_x + c);
                            next_x += CONV_X_CHANNELS;
                        }
                    }
                    float16(*before)[CONV_VECTORS] = sums[u][p][tile];
                    float16 sum[CONV_ROWS][CONV_VECTORS];
                    UNROLL for (int r = 0; r < CONV_ROWS; r++) {
                        UNROLL for (int v = 0; v < CONV_VECTORS; v++)
                            sum[r][v] = before[r][v];
                    }
                    const float16 *row = panel[p];
                    for (int i = 0; i < lines; i++) {
                        const float *from = strip + (i * CONV_STRIDE + u) * PITCH + tile * CONV_ROWS;
                        for (int j = 0; j < CONV_Y_WIDTH; j++) {
                            UNROLL for (int r = 0; r < CONV_ROWS; r++) {
                                UNROLL for (int v = 0; v < CONV_VECTORS; v++)
                                    sum[r][v] += from[r] * row[v];
                            }
                            from += CONV_STRIDE * CONV_BLOCK;
                            row += CONV_VECTORS;
                        }
                    }
                    UNROLL for (int r = 0; r < CONV_ROWS; r++) {
                        UNROLL for (int v = 0; v < CONV_VECTORS; v++)
                            before[r][v] = sum[r][v];
                    }
                }
    }
    for (int i = 0; i < CONV_SIDE * RUN; i++) {
        const int u = i / RUN, j = i % RUN, channel = first + j % CONV_BLOCK;
        if (channel >= CONV_X_CHANNELS)
            continue;
        const int tap = u * CONV_SIDE + j / CONV_BLOCK;
        global float *to = w + ((size_t)tap * CONV_X_CHANNELS + channel) * CONV_Y_CHANNELS;
        for (int p = 0; p < panels; p++) {
            const float *from = (const float *)sums[u][p][j / CONV_ROWS][j % CONV_ROWS];
            const int col = first_col + WIDTH * p;
            for (int k = 0; k < min(WIDTH, CONV_Y_CHANNELS - col); k++)
                to[col + k] = from[k];
        }
    }
}

#undef CONV_NAME
