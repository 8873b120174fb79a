/* The weights' gradient of convolutions of images, for CPUs. A template: src/device/conv_weight.c defines these names before
 * it, and removes them behind it. Sizes are arguments: convolutions of any size share a kernel.
 *
 *   CONV_NAME          the kernel's name; CONV_APART: of the function that it calls
 *   CONV_ROWS          1 to 8: weights of one output channel in a register tile
 *   CONV_VECTORS       1, 2 or 4: float16 vectors in each of its rows
 *   CONV_ROOM          float16 vectors of private memory, for lines of x, panels of y's gradient and sums
 *
 *   most_panels, block   of output channels, side by side, and input channels that a work-item takes at most
 *   most_lines         of output pixels that are read at once
 *   blocks             of so many lines in an image
 *   x_..., y_...       height, width, channels of x, of which each pixel stands for up x up, and of y's gradient
 *   side, stride, padding   of the convolution
 *   x_item, y_item     floats from one of the batch to the next; 0: one for all
 *   turned             1: x is y's gradient, and y is x: the result's taps stand the other way round, and its two kinds
 *                      of channels, too
 *
 * A product A' B over all pixels: B is y's gradient, a row of A what a pixel's taps read. As in conv_tile.cl the lines that
 * some pixels read are copied into private memory, so that the taps of a row of the kernel are one run. All tiles of a
 * work-item then go over these pixels, which the nearest cache holds, and keep their sums in private memory. A part of the
 * images is a work-item's; another kernel adds the parts. */

/* Adds pixel `i` from here on. */
#define MULTIPLY(i)                                                                                                    \
    UNROLL for (int r = 0; r < CONV_ROWS; r++)                                                                         \
    {                                                                                                                  \
        UNROLL for (int v = 0; v < CONV_VECTORS; v++)                                                                  \
            sum[r][v] += from[(i) * step + r] * row[(i) * CONV_VECTORS + v];                                           \
    }

#define CONV_SIZES                                                                                                     \
    int images, int parts, int most_panels, int block, int most_lines, int blocks, int x_height, int x_width,              \
        int x_channels, int up, int y_height, int y_width, int y_channels, int side, int stride, int padding, int x_item,  \
        int y_item, int turned

APART void CONV_APART(const int across, const int part, const int item, const global float *restrict x,
                      const global float *restrict y, global float *restrict w, CONV_SIZES)
{
    enum { WIDTH = 16 * CONV_VECTORS };
    const int groups = (y_channels + WIDTH * most_panels - 1) / (WIDTH * most_panels);
    const int first_col = across % groups * (WIDTH * most_panels);
    const int first = across / groups * block; /* channel */
    const int panels = min(most_panels, (y_channels - first_col + WIDTH - 1) / WIDTH);
    const int columns = (y_width - 1) * stride + side, pitch = columns * block;
    const int run = side * block; /* weights of a row of the kernel */
    const int tiles = (run + CONV_ROWS - 1) / CONV_ROWS;
    const int x_line = x_width * x_channels, x_image = x_height * x_line, y_line = y_width * y_channels;
    /* Lines of y, or pixels of x, that a tile asks for. */
    const int asks = most_lines * (stride * x_width / up + y_line / 16) / (side * most_panels * tiles) + 1;
    const int step = stride * block;
    const long units = (long)images * blocks;
    float strip[16 * CONV_ROOM] __attribute__((aligned(64))); /* panels and sums stand behind it */
    float16 *panel = (float16 *)strip + (((most_lines - 1) * stride + side) * pitch + CONV_ROWS + 15) / 16;
    const int panel_vectors = most_lines * y_width * CONV_VECTORS;
    float16(*sums)[CONV_ROWS][CONV_VECTORS] =
        (float16(*)[CONV_ROWS][CONV_VECTORS])(panel + most_panels * panel_vectors);
    x += (size_t)item * x_item + first;
    y += (size_t)item * y_item;
    w += ((size_t)item * parts + part) * (side * side * x_channels * y_channels);
    tile_zeros((float *)sums, side * panels * tiles * CONV_ROWS * WIDTH);
    for (int unit = (int)(part * units / parts); unit < (int)((part + 1) * units / parts); unit++) {
        const int image = unit / blocks, top = unit % blocks * most_lines;
        const int lines = min(most_lines, y_height - top);
        const int copied = (lines - 1) * stride + side;
        tile_copy_lines(strip, copied, columns, block, x + (size_t)image * x_image, top * stride - padding, -padding,
                        x_height, x_width, x_channels, min(block, x_channels - first), up);
        tile_zeros(strip + copied * pitch, CONV_ROWS);
        for (int p = 0; p < panels; p++)
            gemm_copy_panel(panel + p * panel_vectors, CONV_VECTORS, y + ((size_t)image * y_height + top) * y_line,
                            lines * y_width, y_channels, first_col + WIDTH * p);
        /* Lines of y that are next, then pixels of x, of which a block's channels may begin on any line of the cache. */
        const bool more = unit + 1 < (int)((part + 1) * units / parts);
        const int next_lines = more ? min(most_lines, y_height - (unit + 1) % blocks * most_lines) : 0;
        const global float *next_y = y + ((size_t)image * y_height + top + lines) * y_line;
        const global float *const end_y = next_y + next_lines * y_line;
        const global float *next_x = x + ((size_t)image * x_height + (top + lines) * stride / up) * x_line;
        const global float *const end_x = x + min((size_t)(next_x - x) + next_lines * stride / up * x_line,
                                                  (size_t)images * x_height * x_line - x_channels);
        for (int u = 0; u < side; u++)
            for (int p = 0; p < panels; p++)
                for (int tile = 0; tile < tiles; tile++) {
                    for (int i = 0; i < asks; i++) {
                        if (next_y < end_y) {
                            FETCH_FAR(next_y);
                            next_y += 16;
                        } else if (next_x < end_x) {
                            for (int c = 0; c < block; c += 16)
                                FETCH_FAR(next_x + c);
                            next_x += x_channels;
                        }
                    }
                    float16(*before)[CONV_VECTORS] = sums[(u * panels + p) * tiles + tile];
                    float16 sum[CONV_ROWS][CONV_VECTORS];
                    UNROLL for (int r = 0; r < CONV_ROWS; r++) {
                        UNROLL for (int v = 0; v < CONV_VECTORS; v++)
                            sum[r][v] = before[r][v];
                    }
                    const float16 *row = panel + p * panel_vectors;
                    for (int i = 0; i < lines; i++) {
                        const float *from = strip + (i * stride + u) * pitch + tile * CONV_ROWS;
                        int j = 0;
                        for (; j + 2 <= y_width; j += 2, from += 2 * step, row += 2 * CONV_VECTORS) {
                            MULTIPLY(0);
                            MULTIPLY(1);
                        }
                        if (j < y_width) {
                            MULTIPLY(0);
                            row += CONV_VECTORS;
                        }
                    }
                    UNROLL for (int r = 0; r < CONV_ROWS; r++) {
                        UNROLL for (int v = 0; v < CONV_VECTORS; v++)
                            before[r][v] = sum[r][v];
                    }
                }
    }
    for (int i = 0; i < side * run; i++) {
        const int u = i / run, j = i % run, channel = first + j % block;
        if (channel >= x_channels)
            continue;
        const int tap = u * side + j / block, apart = turned ? x_channels : 1;
        const size_t place = turned ? side * side - 1 - tap : tap;
        global float *to = w + place * x_channels * y_channels + channel * (turned ? 1 : y_channels);
        for (int p = 0; p < panels; p++) {
            const float *from = (const float *)sums[(u * panels + p) * tiles + j / CONV_ROWS][j % CONV_ROWS];
            const int col = first_col + WIDTH * p;
            for (int k = 0; k < min(WIDTH, y_channels - col); k++)
                to[(col + k) * apart] = from[k];
        }
    }
}

kernel void CONV_NAME(const global float *restrict x, const global float *restrict y, global float *restrict w, CONV_SIZES)
{
    CONV_APART(get_global_id(0), get_global_id(1), get_global_id(2), x, y, w, images, parts, most_panels, block, most_lines,
               blocks, x_height, x_width, x_channels, up, y_height, y_width, y_channels, side, stride, padding, x_item, y_item,
               turned);
}

#undef MULTIPLY
#undef CONV_NAME
#undef CONV_APART
#undef CONV_SIZES
#undef CONV_ARGUMENTS
#undef CONV_PARAMS
