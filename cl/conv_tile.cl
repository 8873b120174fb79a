/* Convolutions of images for CPUs, and their gradient in x. A template: src/device/conv_tile.c defines these names before
 * it, and removes them behind it. Sizes are arguments: convolutions of any size share a kernel.
 *
 *   CONV_NAME          the kernel's name; CONV_APART: of the function that it calls
 *   CONV_ROWS          1 to 8: pixels of the register tile
 *   CONV_VECTORS       1, 2 or 4: float16 vectors in each of its rows
 *   CONV_ROOM          float16 vectors of private memory, for lines, a panel and sums
 *   CONV_TURN          1: the gradient: weights are stored (side, side, out, in), and a tap is the sum of some of them
 *   CONV_FOURS         1: channels of what is read are a multiple of four: the loop over them leaves no rest
 *   CONV_PARAMS, CONV_ARGUMENTS, CONV_EPILOGUE   as of a product's tiles (src/device/gemm.h)
 *
 *   most_lines, panels   of output pixels, and of output channels side by side, that a work-item takes at most
 *   blocks             of so many lines in an image
 *   together           images of a work-item, where a block is a whole one
 *   part               rows of the kernel whose panel is copied at once
 *   in_...             height, width, channels of what is read; of which each pixel stands for up x up
 *   out_..., cols      height, width, channels of the result, whose pixels lie `step` apart: each class of them, step x step,
 *                      has taps of its own
 *   read               pixels that a neighbour of a class reads further on
 *   side, stride, padding, upsample   of the convolution
 *   in_item, w_item    floats from one of the batch to the next; 0: one for all
 *   past               1: as GEMM_PAST
 *
 *      +---+---+---+---+     A work-item copies the lines that its pixels read into private memory, with zeros around them:
 *      | 0 | 0 | 0 | 0 |     the taps of a row of the kernel are then one run of (columns x channels) floats, and each row
 *      | 0 | a | b | c |     of a register tile is a pointer that moves on by a line from one row of the kernel to the
 *      | 0 | d | e | f |     next. So it is a matrix product whose A is read, and its B a panel of the weights as in
 *      +---+---+---+---+     gemm.cl, which the private lines stand beside in the near caches. */

#ifndef CONV_COPIES
#define CONV_COPIES
/* The taps of a class of pixels along an axis: their number, how many pixels the first one is before the first pixel, and
 * its row of the weights. */
typedef struct conv_taps {
    int count, before, row;
} conv_taps;

/* The gradient's `first` adds up what has read it, or one of `upsample` pixels that it stands for: o, by row
 * first * upsample + at + padding - o * stride of the weights. */
static conv_taps conv_taps_back(int first, int side, int stride, int padding, int upsample)
{
    const int row = first * upsample + padding;
    const int least = (row + (stride - 1) * side + stride) / stride - side, most = (row + upsample - 1) / stride;
    const conv_taps taps = {most - least + 1, -least, row - least * stride};
    return taps;
}

/* The panel of one tap: the sum of the weights of the rows and columns that are its own. */
static void conv_turn_tap(float16 *panel, int vectors, const global float *w, int side, int row, int column, int upsample,
                          int depth, int n, int col)
{
    int count = 0;
    for (int at = 0; at < upsample * upsample; at++) {
        const int u = row + at / upsample, v = column + at % upsample;
        if (u < 0 || u >= side || v < 0 || v >= side)
            continue;
        const global float *tap = w + (u * side + v) * depth * n;
        if (count++ == 0) {
            gemm_turn_panel(panel, vectors, tap, depth, n, depth, col);
            continue;
        }
        for (int i = 0; i < depth; i++)
            for (int j = 0; j < 16; j++)
                ((float *)&panel[i * vectors])[j] += tap[min(col + j, n - 1) * depth + i];
    }
}

/* A pixel of a work-item: its place in the result, and from where on the strip has what its taps read. */
typedef struct conv_pixel {
    int x, y, image, from, place;
} conv_pixel;

/* What these grow by to the next pixel, besides to that of the next line, besides to that of the next image. */
typedef struct conv_steps {
    int width, lines, from, line_from, image_from, place, line_place, image_place;
} conv_steps;

static conv_pixel conv_next(conv_pixel p, const conv_steps s)
{
    p.from += s.from;
    p.place += s.place;
    if (++p.x == s.width) {
        p.x = 0;
        p.from += s.line_from;
        p.place += s.line_place;
        if (++p.y == s.lines) {
            p.y = 0;
            p.image++;
            p.from += s.image_from;
            p.place += s.image_place;
        }
    }
    return p;
}

static void conv_store(global float *p, float16 x, int past)
{
    if (past)
        store16_past(p, x);
    else
        vstore16(x, 0, p);
}
#endif

/* Adds number i from here on of the pixels' taps, times row i of the panel. */
#define MULTIPLY(i)                                                                                                    \
    UNROLL for (int r = 0; r < CONV_ROWS; r++)                                                                         \
    {                                                                                                                  \
        UNROLL for (int v = 0; v < CONV_VECTORS; v++)                                                                  \
            sum[r][v] += from[r][at + (i)] * of_panel[(i) * CONV_VECTORS + v];                                         \
    }

#define CONV_SIZES                                                                                                     \
    int images, int most_lines, int panels, int blocks, int together, int part, int in_height, int in_width,               \
        int in_channels, int up, int out_height, int out_width, int cols, int read, int step, int side, int stride,        \
        int padding, int upsample, int in_item, int w_item, int past

APART void CONV_APART(const int across, const int down_block, const int down_item, const global float *restrict in,
                      const global float *restrict w, global float *restrict out, CONV_SIZES CONV_PARAMS)
{
    enum { WIDTH = 16 * CONV_VECTORS, ANSWER = 2048 /* terms of the sums in whose time memory answers, at the latest */ };
    const int kind = down_item % (step * step), image = down_block / blocks * together;
    const int taken = min(together, images - image), top = down_block % blocks * most_lines;
    const int first_y = kind / step, first_x = kind % step;
    const int width = (out_width - first_x + step - 1) / step;
    const int lines = min(most_lines, (out_height - first_y + step - 1) / step - top);
    if (lines <= 0 || width <= 0)
        return;
#if CONV_TURN
    const conv_taps down = conv_taps_back(first_y, side, stride, padding, upsample);
    const conv_taps along = conv_taps_back(first_x, side, stride, padding, upsample);
#else
    const conv_taps down = {side, padding, 0}, along = down;
#endif
    const size_t item = down_item / (step * step);
    const int rows = images * out_height * out_width;
    const int copied = (lines - 1) * read + down.count, columns = (width - 1) * read + along.count;
    const int pitch = columns * in_channels, run = along.count * in_channels;
    const int pixels = taken * lines * width, tiles = (pixels + CONV_ROWS - 1) / CONV_ROWS;
    float strip[16 * CONV_ROOM] __attribute__((aligned(64))); /* the panel and the sums stand behind it */
    float16 *panel = (float16 *)strip + (taken * copied * pitch + 15) / 16;
    float16(*sums)[CONV_ROWS][CONV_VECTORS] = (float16(*)[CONV_ROWS][CONV_VECTORS])(panel + part * run * CONV_VECTORS);
    float16 done[CONV_ROWS][CONV_VECTORS];
    const conv_steps steps = {width,
                              lines,
                              read * in_channels,
                              read * (pitch - width * in_channels),
                              (copied - lines * read) * pitch,
                              step,
                              step * (out_width - width),
                              (out_height - lines * step) * out_width};
    const conv_pixel first = {0, 0, image, 0, (image * out_height + top * step + first_y) * out_width + first_x};
    const int line = in_width * in_channels, image_size = in_height * line;
    /* Floats that the next block reads first, and lines of the cache that a tile asks for. */
    const int ahead = (together - 1) * image_size + most_lines * read / up * line;
    const int asks = ahead / (16 * tiles * panels) + 1;
    in += item * in_item;
    w += item * w_item;
    size_t next = (size_t)(image + taken - 1) * image_size + (top + lines) * read / up * line;
    const size_t end = min(next + ahead, (size_t)images * image_size);
    for (int i = 0; i < taken; i++)
        tile_copy_lines(strip + i * copied * pitch, copied, columns, in_channels, in + (size_t)(image + i) * image_size,
                        top * read - down.before, -along.before, in_height, in_width, in_channels, in_channels, up);
    for (int p = 0; p < panels; p++) {
        const int left_col = (across * panels + p) * WIDTH;
        if (left_col >= cols)
            break;
        int tap = 0;
        do {
            const int taps = min(part, down.count - tap);
#if CONV_TURN
            for (int t = 0; t < taps * along.count; t++)
                for (int v = 0; v < CONV_VECTORS; v++)
                    conv_turn_tap(panel + t * in_channels * CONV_VECTORS + v, CONV_VECTORS, w, side,
                                  down.row - (tap + t / along.count) * stride, along.row - t % along.count * stride, upsample,
                                  in_channels, cols, left_col + 16 * v);
#else
            gemm_copy_panel(panel, CONV_VECTORS, w + (size_t)tap * run * cols, taps * run, cols, left_col);
#endif
            const bool finished = tap + taps >= down.count;
            const int early = CONV_ROWS + ANSWER / (taps * run + 1);
            int asked = finished ? 0 : pixels; /* for what the epilogue reads and writes */
            conv_pixel next_asked = first, next_row = first;
            for (int tile = 0; tile < tiles; tile++) {
                for (int i = 0; i < asks && next < end; i++, next += 16)
                    FETCH_FAR(in + next);
                const float *from[CONV_ROWS];
                int place[CONV_ROWS], number[CONV_ROWS];
                UNROLL for (int r = 0; r < CONV_ROWS; r++) {
                    from[r] = strip + tap * pitch + next_row.from;
                    place[r] = next_row.place;
                    number[r] = next_row.image;
                    if (tile * CONV_ROWS + r + 1 < pixels)
                        next_row = conv_next(next_row, steps);
                }
#ifdef FETCH_TO_WRITE /* the epilogue, whose loads and stores only ask: the compiler drops the rest */
                for (; asked < min(tile * CONV_ROWS + early, pixels); asked++) {
                    const size_t sample = item * images + next_asked.image;
                    const int row = next_asked.place;
                    UNROLL for (int q = 0; q < CONV_VECTORS; q++) {
                        const int col = left_col + 16 * q;
                        const size_t at = (item * rows + row) * cols + col;
                        if (col + 16 > cols)
                            continue;
#define real float16
#define LOAD(p, i) (FETCH((p) + (i)), (float16)0.0f)
#define STORE(p, i, x) ((void)(x), past ? (void)0 : FETCH_TO_WRITE((p) + (i)))
                        real v = 0.0f;
                        CONV_EPILOGUE
                        STORE(out, at, v);
#undef real
#undef LOAD
#undef STORE
                    }
                    next_asked = conv_next(next_asked, steps);
                }
#endif
                float16 sum[CONV_ROWS][CONV_VECTORS];
                UNROLL for (int r = 0; r < CONV_ROWS; r++) {
                    UNROLL for (int v = 0; v < CONV_VECTORS; v++)
                        sum[r][v] = tap ? sums[tile][r][v] : 0;
                }
                const float16 *of_panel = panel;
                for (int t = 0; t < taps; t++) {
                    int at = t * pitch;
                    const int last = at + run;
                    for (; at + 4 <= last; at += 4, of_panel += 4 * CONV_VECTORS) {
                        UNROLL for (int j = 0; j < 4; j++)
                            MULTIPLY(j);
                    }
#if !CONV_FOURS
                    for (; at < last; at++, of_panel += CONV_VECTORS)
                        MULTIPLY(0);
#endif
                }
                float16(*to)[CONV_VECTORS] = finished ? done : sums[tile];
                UNROLL for (int r = 0; r < CONV_ROWS; r++) {
                    UNROLL for (int v = 0; v < CONV_VECTORS; v++)
                        to[r][v] = sum[r][v];
                }
                const int vectors = finished ? min(CONV_ROWS, pixels - tile * CONV_ROWS) * CONV_VECTORS : 0;
                for (int q = 0; q < vectors; q++) {
                    const size_t sample = item * images + number[q / CONV_VECTORS];
                    const int row = place[q / CONV_VECTORS];
                    int col = left_col + 16 * (q % CONV_VECTORS);
                    size_t at = (item * rows + row) * cols + col;
                    if (col + 16 <= cols) {
#define real float16
#define LOAD(p, i) vload16(0, (p) + (i))
#define STORE(p, i, x) conv_store((p) + (i), x, past)
                        real v = done[q / CONV_VECTORS][q % CONV_VECTORS];
                        CONV_EPILOGUE
                        STORE(out, at, v);
#undef real
#undef LOAD
#undef STORE
                        continue;
                    }
                    for (int j = 0; j < 16 && col < cols; j++, col++, at++) {
#define real float
#define LOAD(p, i) ((p)[i])
#define STORE(p, i, x) ((p)[i] = (x))
                        real v = ((const float *)done)[16 * q + j];
                        CONV_EPILOGUE
                        STORE(out, at, v);
#undef real
#undef LOAD
#undef STORE
                    }
                }
            }
            tap += part;
        } while (tap < down.count);
    }
}

kernel void CONV_NAME(const global float *restrict in, const global float *restrict w, global float *restrict out,
                      CONV_SIZES CONV_PARAMS)
{
    CONV_APART(get_global_id(0), get_global_id(1), get_global_id(2), in, w, out, images, most_lines, panels, blocks, together,
               part, in_height, in_width, in_channels, up, out_height, out_width, cols, read, step, side, stride, padding,
               upsample, in_item, w_item, past CONV_ARGUMENTS);
}

#undef MULTIPLY
#undef CONV_NAME
#undef CONV_APART
#undef CONV_SIZES
#undef CONV_ARGUMENTS
#undef CONV_PARAMS
#undef CONV_EPILOGUE
