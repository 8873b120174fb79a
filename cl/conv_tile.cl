/* Convolutions of images for CPUs, and their gradient in x. A template: src/device/conv_tile.c defines these names before
 * it, and removes them behind it.
 *
 *   CONV_NAME          the kernel's name
 *   CONV_ROWS          1 to 8: pixels of the register tile
 *   CONV_VECTORS       1, 2 or 4: float16 vectors in each of its rows
 *   CONV_PANELS        panels of output channels that a work-item takes, side by side
 *   CONV_LINES         lines of output pixels that a work-item takes at most
 *   CONV_BLOCKS        such blocks of an image
 *   CONV_PART          rows of the kernel whose panel is copied at once
 *   CONV_TAPS          most rows and columns of a kernel
 *   CONV_IN_...        HEIGHT, WIDTH, CHANNELS of what is read; of which each pixel stands for UP x UP
 *   CONV_OUT_...       HEIGHT, WIDTH, CHANNELS of the result, whose pixels lie STEP apart: each class of them, STEP x STEP,
 *                      has its own kernel
 *   CONV_READ          pixels that a neighbour of a class reads further on
 *   CONV_TURN          1: weights are stored (side, side, out, in), and a tap is the sum of some of them
 *   CONV_SHARE_IN, _W  1: one for the whole batch
 *   CONV_PAST          1: as GEMM_PAST
 *   CONV_SIDE          of the weights
 *   CONV_CLASSES       the table's name: of each class its taps, the pixels that the first one is before a line's own, and
 *                      for each tap up to two rows of the weights, -1 where there is none
 *   CONV_PARAMS, CONV_EPILOGUE   as of a product's tiles (src/device/gemm.h)
 *
 *      +---+---+---+---+     A work-item copies the lines that its pixels read into private memory, with zeros around them:
 *      | 0 | 0 | 0 | 0 |     the taps of a row of the kernel are then one run of (columns x channels) floats, and each row
 *      | 0 | a | b | c |     of a register tile is a pointer that moves on by a line from one row of the kernel to the
 *      | 0 | d | e | f |     next. So it is a matrix product whose A is read, and its B a panel of the weights as in
 *      +---+---+---+---+     gemm.cl, which the private lines stand beside in the near caches. */

#ifndef CONV_COPIES
#define CONV_COPIES
static void conv_zeros(float *to, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = 0;
}

static void conv_copy(float *to, const global float *from, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = from[i];
}

/* A line of `columns` pixels, of which the first is number `begin` of a line of `width` pixels that stand for `up` each. */
static void conv_copy_line(float *to, int columns, const global float *line, int begin, int width, int up, int channels)
{
    const int first = clamp(-begin, 0, columns), end = clamp(width * up - begin, first, columns);
    conv_zeros(to, first * channels);
    if (up == 1) {
        conv_copy(to + first * channels, line + (begin + first) * channels, (end - first) * channels);
    } else {
        for (int i = first; i < end; i++)
            conv_copy(to + i * channels, line + (begin + i) / up * channels, channels);
    }
    conv_zeros(to + end * channels, (columns - end) * channels);
}

/* The lines of one image from number `top` on. */
static void conv_copy_lines(float *to, int lines, int columns, const global float *image, int top, int left, int height,
                            int width, int up, int channels)
{
    for (int i = 0; i < lines; i++) {
        if (top + i < 0 || top + i >= height * up)
            conv_zeros(to + i * columns * channels, columns * channels);
        else
            conv_copy_line(to + i * columns * channels, columns, image + (top + i) / up * width * channels, left, width,
                           up, channels);
    }
}

/* The panel of one tap: the sum of the weights of the rows and columns that are its own. */
static void conv_turn_tap(float16 *panel, int stride, const global float *w, int side, constant int *rows, constant int *columns,
                          int depth, int n, int col)
{
    for (int at = 0, count = 0; at < 4; at++) {
        const int row = rows[at / 2], column = columns[at % 2];
        if (row < 0 || column < 0)
            continue;
        const global float *tap = w + (row * side + column) * depth * n;
        if (count++ == 0) {
            gemm_turn_panel(panel, stride, tap, depth, n, depth, col);
            continue;
        }
        for (int i = 0; i < depth; i++)
            for (int j = 0; j < 16; j++)
                ((float *)&panel[i * stride])[j] += tap[min(col + j, n - 1) * depth + i];
    }
}
#endif

#define MULTIPLY(i)                                                                                                    \
    UNROLL for (int r = 0; r < CONV_ROWS; r++)                                                                         \
    {                                                                                                                  \
        UNROLL for (int v = 0; v < CONV_VECTORS; v++)                                                                  \
            sum[r][v] += from[r][i] * row[(i) * CONV_VECTORS + v];                                                     \
    }

constant int CONV_CLASSES[CONV_STEP][2 + 2 * CONV_TAPS] = {CONV_TABLE};

kernel void CONV_NAME(const global float *restrict in, const global float *restrict w, global float *restrict out,
                      const int images CONV_PARAMS)
{
    enum {
        WIDTH = 16 * CONV_VECTORS,
        COLUMNS = ((CONV_OUT_WIDTH + CONV_STEP - 1) / CONV_STEP - 1) * CONV_READ + CONV_TAPS,
        PITCH = COLUMNS * CONV_IN_CHANNELS,
        PIXELS = CONV_LINES * ((CONV_OUT_WIDTH + CONV_STEP - 1) / CONV_STEP),
        TILES = (PIXELS + CONV_ROWS - 1) / CONV_ROWS,
        LINE = CONV_IN_WIDTH * CONV_IN_CHANNELS,
        NEXT = CONV_LINES * CONV_READ / CONV_UP * LINE, /* floats that the next block reads first */
        ASKS = NEXT / (16 * TILES * CONV_PANELS) + 1    /* lines of the cache that a tile asks for */
    };
    const int kind = get_global_id(2) % (CONV_STEP * CONV_STEP), item = get_global_id(2) / (CONV_STEP * CONV_STEP);
    const int image = get_global_id(1) / CONV_BLOCKS, top = get_global_id(1) % CONV_BLOCKS * CONV_LINES;
    const int first_y = kind / CONV_STEP, first_x = kind % CONV_STEP;
    constant int *down = CONV_CLASSES[first_y], *along = CONV_CLASSES[first_x];
    const int width = (CONV_OUT_WIDTH - first_x + CONV_STEP - 1) / CONV_STEP;
    const int lines = min(CONV_LINES, (CONV_OUT_HEIGHT - first_y + CONV_STEP - 1) / CONV_STEP - top);
    if (lines <= 0 || width <= 0)
        return;
    float strip[((CONV_LINES - 1) * CONV_READ + CONV_TAPS) * PITCH] __attribute__((aligned(64)));
    float16 panel[CONV_PART * CONV_TAPS * CONV_IN_CHANNELS * CONV_VECTORS];
    float16 done[CONV_ROWS][CONV_VECTORS];
#if CONV_PART < CONV_TAPS
    float16 sums[TILES][CONV_ROWS][CONV_VECTORS];
#define BEFORE(r, v) (tap ? sums[tile][r][v] : 0)
#else
#define BEFORE(r, v) 0
#endif
    in += (size_t)(CONV_SHARE_IN ? 0 : item) * images * (CONV_IN_HEIGHT * LINE);
    size_t next = (size_t)image * (CONV_IN_HEIGHT * LINE) + (top + lines) * CONV_READ / CONV_UP * LINE;
    const size_t end = min(next + NEXT, (size_t)images * (CONV_IN_HEIGHT * LINE));
    const global float *const all = in;
    in += (size_t)image * (CONV_IN_HEIGHT * LINE);
    w += (size_t)(CONV_SHARE_W ? 0 : item) * (CONV_SIDE * CONV_SIDE * CONV_IN_CHANNELS * CONV_OUT_CHANNELS);
    conv_copy_lines(strip, (lines - 1) * CONV_READ + down[0], COLUMNS, in, top * CONV_READ - down[1], -along[1],
                    CONV_IN_HEIGHT, CONV_IN_WIDTH, CONV_UP, CONV_IN_CHANNELS);
    const int run = along[0] * CONV_IN_CHANNELS, pixels = lines * width;
    for (int p = 0; p < CONV_PANELS; p++) {
        const int left_col = (get_global_id(0) * CONV_PANELS + p) * WIDTH;
        if (left_col >= CONV_OUT_CHANNELS)
            break;
        int tap = 0;
        do {
            const int taps = min(CONV_PART, down[0] - tap);
#if CONV_TURN
            for (int t = 0; t < taps * along[0]; t++)
                for (int v = 0; v < CONV_VECTORS; v++)
                    conv_turn_tap(panel + t * CONV_IN_CHANNELS * CONV_VECTORS + v, CONV_VECTORS, w, CONV_SIDE,
                                  down + 2 + 2 * (tap + t / along[0]), along + 2 + 2 * (t % along[0]), CONV_IN_CHANNELS,
                                  CONV_OUT_CHANNELS, left_col + 16 * v);
#else
            gemm_copy_panel(panel, CONV_VECTORS, w + (size_t)tap * run * CONV_OUT_CHANNELS, taps * run, CONV_OUT_CHANNELS,
                            left_col);
#endif
            int y = 0, x = 0; /* of the next row of a tile */
            for (int tile = 0; tile * CONV_ROWS < pixels; tile++) {
                for (int i = 0; i < ASKS && next < end; i++, next += 16)
                    FETCH_FAR(all + next);
                const float *from[CONV_ROWS];
                int place[CONV_ROWS];
                UNROLL for (int r = 0; r < CONV_ROWS; r++) {
                    from[r] = strip + (y * CONV_READ + tap) * PITCH + x * CONV_READ * CONV_IN_CHANNELS;
                    place[r] = ((top + y) * CONV_STEP + first_y) * CONV_OUT_WIDTH + x * CONV_STEP + first_x;
                    const bool turns = x + 1 == width, last = turns && y + 1 == lines;
                    x = last ? x : turns ? 0 : x + 1;
                    y = last ? y : turns ? y + 1 : y;
                }
                float16 sum[CONV_ROWS][CONV_VECTORS];
                UNROLL for (int r = 0; r < CONV_ROWS; r++) {
                    UNROLL for (int v = 0; v < CONV_VECTORS; v++)
                        sum[r][v] = BEFORE(r, v);
                }
                const float16 *row = panel;
                for (int t = 0; t < taps; t++) {
                    int i = 0;
                    for (; i + 4 <= run; i += 4) {
                        UNROLL for (int j = i; j < i + 4; j++)
                            MULTIPLY(j);
                    }
                    for (; i < run; i++)
                        MULTIPLY(i);
                    row += run * CONV_VECTORS;
                    UNROLL for (int r = 0; r < CONV_ROWS; r++)
                        from[r] += PITCH;
                }
                const bool finished = tap + taps >= down[0];
#if CONV_PART < CONV_TAPS
                float16(*to)[CONV_VECTORS] = finished ? done : sums[tile];
#else
                float16(*to)[CONV_VECTORS] = done;
#endif
                UNROLL for (int r = 0; r < CONV_ROWS; r++) {
                    UNROLL for (int v = 0; v < CONV_VECTORS; v++)
                        to[r][v] = sum[r][v];
                }
                const int vectors = finished ? min(CONV_ROWS, pixels - tile * CONV_ROWS) * CONV_VECTORS : 0;
                for (int q = 0; q < vectors; q++) {
                    const size_t pixel = ((size_t)item * images + image) * (CONV_OUT_HEIGHT * CONV_OUT_WIDTH) +
                                         place[q / CONV_VECTORS];
                    int col = left_col + 16 * (q % CONV_VECTORS);
                    size_t at = pixel * CONV_OUT_CHANNELS + col;
                    if (col + 16 <= CONV_OUT_CHANNELS) {
#define real float16
#define LOAD(p, i) vload16(0, (p) + (i))
#if CONV_PAST
#define STORE(p, i, x) store16_past((p) + (i), x)
#else
#define STORE(p, i, x) vstore16(x, 0, (p) + (i))
#endif
                        real v = done[q / CONV_VECTORS][q % CONV_VECTORS];
                        CONV_EPILOGUE
                        STORE(out, at, v);
#undef real
#undef LOAD
#undef STORE
                        continue;
                    }
                    for (int j = 0; j < 16 && col < CONV_OUT_CHANNELS; j++, col++, at++) {
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
            tap += CONV_PART;
        } while (tap < down[0]);
    }
}

#undef BEFORE
#undef MULTIPLY
#undef CONV_NAME
#undef CONV_PARAMS
#undef CONV_EPILOGUE
#undef CONV_CLASSES
#undef CONV_TABLE
