/* The tile product for CPUs: C = op(A) op(B), row-major, a batch of them. A template: src/device/gemm_tile.c
 * defines these names before it, and the end of this file removes them.
 *
 *   GEMM_NAME          the kernel's name; GEMM_APART: of the function that it calls
 *   GEMM_ROWS          1 to 8: rows of the register tile
 *   GEMM_VECTORS       1, 2 or 4: float16 vectors in each of its rows. 8 x 2 sums, 2 of B and 1 of A fit the
 *                      32 registers of AVX-512; more than ROWS * VECTORS = 24 spill
 *   GEMM_BLOCK         1 to 256: register tiles, one below the other, that share a panel
 *   GEMM_PANELS        1 to 16: panels, side by side, that share what the second cache holds of A
 *   GEMM_DEPTH         most rows of a panel
 *   GEMM_PARTS         1: k is cut into parts of at most DEPTH; 0: it is no longer than DEPTH
 *   GEMM_LONG          1: rows are so long that the first cache would not keep several until they are read
 *   GEMM_PAST          1: results are too large for the caches to keep: they are written past them, so that
 *                      nothing is read to be overwritten
 *   GEMM_TRANSPOSE_A   1: stored k x m
 *   GEMM_TRANSPOSE_B   1: stored n x k
 *   GEMM_SHARE_A, _B   1: one matrix for the whole batch
 *   GEMM_STRIPS        1: A, stored k x m, is copied into strips
 *   GEMM_ROW_SUMS      1: GEMM_TO_ROW_SUMS, a parameter, takes the sums of op(A)'s rows, where A is copied into
 *                      strips
 *   GEMM_PARAMS        further parameters of the kernel, each after a comma; GEMM_ARGUMENTS: their names
 *   GEMM_EPILOGUE      statements that run on each finished `v` (see src/device/gemm.h)
 *
 *                    16 * VECTORS
 *                    +---------+
 *                    |  panel  | DEPTH     A work-item copies a panel of op(B) into private memory, turned
 *           DEPTH    |         |           where it must be, and multiplies it with BLOCK register tiles: the
 *         +-------+  +---------+           inner loop reads the panel in one stream from the near caches.
 *   ROWS  |   A   |  |   sum   |           Meanwhile it asks for the next panel and the next rows of A, whose
 *         +-------+  +---------+  BLOCK    strides no hardware foresees. Then the next panel, then the next
 *         |   A   |  |   sum   |           DEPTH of k; the last one finishes C. Local size 1, no local memory,
 *         +-------+  +---------+           no barrier: a driver for CPUs gives work-groups to its threads.
 *
 * Rows of an A stored k x m lie so that a few sets of the caches would hold them all: where several panels
 * share A, its tiles are copied into strips of private memory. Before a tile's last sums it asks for what its
 * epilogue will read and write. Beyond the ragged edge the last row or column that exists is read again, or
 * zeros, computed, and not stored. */

#ifndef GEMM_COPIES
#define GEMM_COPIES

/* strip[i * height + r] = column r of row i of a, which is stored (depth, m), for `count` strips, side by
 * side in a and `size` apart in memory. Of the columns `left` exist. sums[r] += the sum of column r. */
static void gemm_copy_strips(float *strip, int size, int height, int count, const global float *a, int depth,
                             int m, int left, float *sums)
{
    const int width = height * count;
    float sum[16];
    UNROLL for (int r = 0; r < width; r++)
        sum[r] = 0;
    for (int i = 0; i < depth && left < width; i++)
        for (int r = 0; r < width; r++) {
            const float x = a[(size_t)i * m + min(r, left - 1)];
            strip[r / height * size + i * height + r % height] = x;
            sum[r] += x;
        }
    for (int i = 0; i < depth && left >= width; i++) {
        UNROLL for (int r = 0; r < width; r++) {
            const float x = a[(size_t)i * m + r];
            strip[r / height * size + i * height + r % height] = x;
            sum[r] += x;
        }
    }
    for (int r = 0; r < width && sums; r++)
        sums[r] += sum[r];
}

/* What the loop over k asks for, two lines with each four of its steps, since hundreds at once would wait for each
 * other: `at` and `beside` it; then `at` moves by `step`, until `last`, and by `turn` each sixteen. */
typedef struct gemm_asks {
    const global float *at;
    ptrdiff_t beside, step, turn;
    int last;
} gemm_asks;

/* Eight rows that are `stride` apart, as far as the loop goes. */
static gemm_asks gemm_ask_along(const global float *x, int stride)
{
    const gemm_asks asks = {x, stride, 2 * (ptrdiff_t)stride, 16 - 8 * (ptrdiff_t)stride, INT_MAX};
    return asks;
}

/* A line, and what is beside it, of each of `count` rows that are `step` apart. */
static gemm_asks gemm_ask_down(const global float *x, int beside, int step, int count)
{
    const gemm_asks asks = {x, beside, step, 0, 4 * (count - 1)};
    return asks;
}

#endif

#define GEMM_PAIR (GEMM_ROWS == 8 ? 2 : 1) /* strips that share a line of the cache */
#define GEMM_ASK(p) (GEMM_LONG ? FETCH_FAR(p) : FETCH(p))
/* Adds column i of A's rows times row i of the panel. */
#define MULTIPLY(i)                                                                                                    \
    UNROLL for (int r = 0; r < GEMM_ROWS; r++)                                                                         \
    {                                                                                                                  \
        UNROLL for (int w = 0; w < GEMM_VECTORS; w++)                                                                  \
            sum[r][w] += FROM_A(r, i) * panel[(i) * GEMM_VECTORS + w];                                                 \
    }

APART void GEMM_APART(const int first_col, const int first_row, const size_t item, const global float *restrict a,
                      const global float *restrict b, global float *restrict c, const int rows, const int cols,
                      const int k GEMM_PARAMS)
{
    enum { WIDTH = 16 * GEMM_VECTORS, STRIP = GEMM_ROWS * GEMM_DEPTH };
    float16 panel[GEMM_DEPTH * GEMM_VECTORS];
#if GEMM_PARTS
    float16 sums[GEMM_BLOCK][GEMM_PANELS][GEMM_ROWS][GEMM_VECTORS];
#define BEFORE(r, w) (k0 ? sums[tile][p][r][w] : 0)
#else
#define BEFORE(r, w) 0
#endif
    float16 done[GEMM_ROWS][GEMM_VECTORS];
#if GEMM_ROW_SUMS
    float row_sums[(GEMM_BLOCK + 1) * GEMM_ROWS];
    for (int i = 0; i < (GEMM_BLOCK + 1) * GEMM_ROWS; i++)
        row_sums[i] = 0;
#else
    float *const row_sums = 0;
#endif
#if GEMM_STRIPS
    float strips[(GEMM_BLOCK + 1) * STRIP] __attribute__((aligned(64)));
#endif

    a += GEMM_SHARE_A ? 0 : item * rows * k;
    b += GEMM_SHARE_B ? 0 : item * k * cols;
    const int tiles = min(GEMM_BLOCK, (rows - first_row + GEMM_ROWS - 1) / GEMM_ROWS);
    const int panels = min(GEMM_PANELS, (cols - first_col + WIDTH - 1) / WIDTH);
    const int parts = (k + GEMM_DEPTH - 1) / GEMM_DEPTH;
    const int part = (k + parts - 1) / parts; /* equal parts: a short last one would not pay for its sums */
    for (int k0 = 0; k0 < k; k0 += part) {
        const int depth = min(part, k - k0);
        for (int p = 0; p < panels; p++) {
            const int left_col = first_col + WIDTH * p, width = min(WIDTH, cols - left_col);
#if GEMM_TRANSPOSE_B
            for (int w = 0; w < GEMM_VECTORS; w++)
                gemm_turn_panel(panel + w, GEMM_VECTORS, b + k0, depth, cols, k, left_col + 16 * w);
#else
            gemm_copy_panel(panel, GEMM_VECTORS, b + (size_t)k0 * cols, depth, cols, left_col);
#endif
            /* The next panel is the one beside, or the first of the next part. */
            const bool turns = p + 1 == panels;
            const int next_k0 = turns ? k0 + part : k0, next_depth = min(part, k - next_k0);
            const int next_col = turns ? first_col : left_col + WIDTH, next_cols = min(WIDTH, cols - next_col);
            const int next_rows = next_depth <= 0 ? 0 : GEMM_TRANSPOSE_B ? next_cols : next_depth;
            const int share = (next_rows + tiles - 1) / tiles; /* of the next panel's rows, with each tile */
            for (int tile = 0; tile < tiles; tile++) {
                const int top = first_row + tile * GEMM_ROWS;
                const int height = k0 + depth == k ? min(GEMM_ROWS, rows - top) : 0; /* of what is finished */
                const int begin = min(tile * share, next_rows), end = min(begin + share, next_rows);
                /* Of these the loop over k asks for what it can, but with the first panel for what is next of A. */
                const int asked = p == 0 ? begin : min(begin + (GEMM_TRANSPOSE_B ? 8 : depth / 4), end);
#if GEMM_TRANSPOSE_B
                const global float *next = b + (size_t)next_col * k + next_k0;
                gemm_fetch(next + (size_t)asked * k, k, end - asked, next_depth);
#else
                const global float *next = b + (size_t)next_k0 * cols + next_col;
                gemm_fetch(next + (size_t)asked * cols, cols, end - asked, next_cols);
#endif
#if GEMM_STRIPS
                if (p == 0 && tile % GEMM_PAIR == 0)
                    gemm_copy_strips(strips + tile * STRIP, STRIP, GEMM_ROWS, GEMM_PAIR,
                                     a + (size_t)k0 * rows + top, depth, rows, rows - top,
                                     row_sums ? row_sums + tile * GEMM_ROWS : 0);
                const float *strip = strips + tile * STRIP;
#define FROM_A(r, i) strip[(i) * GEMM_ROWS + (r)]
#else
                const global float *from[GEMM_ROWS];
                UNROLL for (int r = 0; r < GEMM_ROWS; r++) {
                    const size_t row = min(top + r, rows - 1);
                    from[r] = a + (GEMM_TRANSPOSE_A ? (size_t)k0 * rows + row : row * k + k0);
                }
#define FROM_A(r, i) from[r][GEMM_TRANSPOSE_A ? (size_t)(i) * rows : (size_t)(i)]
#endif
#ifdef FETCH_TO_WRITE /* the epilogue, whose loads and stores only ask: the compiler drops the rest */
                for (int r = 0; r < height; r++) {
                    const int row = top + r;
                    UNROLL for (int w = 0; w < GEMM_VECTORS; w++) {
                        const int col = left_col + 16 * w;
                        const size_t at = (item * rows + row) * cols + col;
                        if (col + 16 > cols)
                            break;
#define real float16
#define LOAD(p, i) (FETCH((p) + (i)), (float16)0.0f)
#if GEMM_PAST
#define STORE(p, i, x) ((void)(x))
#else
#define STORE(p, i, x) ((void)(x), FETCH_TO_WRITE((p) + (i)))
#endif
                        real v = 0.0f;
                        GEMM_EPILOGUE
                        STORE(c, at, v);
#undef real
#undef LOAD
#undef STORE
                    }
                }
#endif
#if GEMM_ROW_SUMS
                for (int r = 0; r < min(GEMM_ROWS, rows - top) && first_col + p == 0 && k0 + depth == k; r++)
                    GEMM_TO_ROW_SUMS[top + r] = row_sums[tile * GEMM_ROWS + r];
#endif
                float16 sum[GEMM_ROWS][GEMM_VECTORS];
                UNROLL for (int r = 0; r < GEMM_ROWS; r++) {
                    UNROLL for (int w = 0; w < GEMM_VECTORS; w++)
                        sum[r][w] = BEFORE(r, w);
                }
                gemm_asks asks = gemm_ask_down(b, 0, 0, 1);
                if (p > 0 && begin < end)
                    asks = GEMM_TRANSPOSE_B
                               ? gemm_ask_along(next + (size_t)begin * k, share > 1 ? k : 0)
                               : gemm_ask_down(next + (size_t)begin * cols, WIDTH - 16, cols, end - begin);
#if GEMM_STRIPS /* the next strips: half of k with each tile of a pair */
                if (p == 0)
                    asks = gemm_ask_down(a + (size_t)(k0 + tile % 2 * (depth / 2)) * rows + first_row +
                                             (tile / GEMM_PAIR + 1) * GEMM_PAIR * GEMM_ROWS,
                                         rows, 2 * rows, depth / 4);
#elif !GEMM_TRANSPOSE_A
                if (p == 0)
                    asks = gemm_ask_along(a + (size_t)(top + GEMM_ROWS) * k + k0, k);
#endif
                int i = 0;
                for (; i + 4 <= depth; i += 4) {
                    GEMM_ASK(asks.at);
                    GEMM_ASK(asks.at + asks.beside);
                    asks.at += (i < asks.last ? asks.step : 0) + (i % 16 == 12 ? asks.turn : 0);
                    UNROLL for (int j = i; j < i + 4; j++)
                        MULTIPLY(j);
                }
                for (; i < depth; i++)
                    MULTIPLY(i);
#undef FROM_A
#if GEMM_PARTS
                float16(*to)[GEMM_VECTORS] = height ? done : sums[tile][p];
#else
                float16(*to)[GEMM_VECTORS] = done;
#endif
                UNROLL for (int r = 0; r < GEMM_ROWS; r++) {
                    UNROLL for (int w = 0; w < GEMM_VECTORS; w++)
                        to[r][w] = sum[r][w];
                }
                for (int r = 0; r < height; r++) {
                    const int row = top + r;
                    UNROLL for (int w = 0; w < GEMM_VECTORS; w++) {
                        const int col = left_col + 16 * w;
                        const size_t at = (item * rows + row) * cols + col;
                        if (col + 16 > cols)
                            break;
#define real float16
#define LOAD(p, i) vload16(0, (p) + (i))
#if GEMM_PAST
#define STORE(p, i, x) store16_past((p) + (i), x)
#else
#define STORE(p, i, x) vstore16(x, 0, (p) + (i))
#endif
                        real v = done[r][w];
                        GEMM_EPILOGUE
                        STORE(c, at, v);
#undef real
#undef LOAD
#undef STORE
                    }
                    for (int col = left_col + width / 16 * 16; col < left_col + width; col++) {
                        const size_t at = (item * rows + row) * cols + col;
#define real float
#define LOAD(p, i) ((p)[i])
#define STORE(p, i, x) ((p)[i] = (x))
                        real v = ((const float *)done[r])[col - left_col];
                        GEMM_EPILOGUE
                        STORE(c, at, v);
#undef real
#undef LOAD
#undef STORE
                    }
                }
            }
        }
    }
}

#undef BEFORE
#undef GEMM_STRIPS
#undef GEMM_PAIR
#undef GEMM_ASK
#undef MULTIPLY
kernel void GEMM_NAME(const global float *restrict a, const global float *restrict b, global float *restrict c, const int rows,
                      const int cols, const int k GEMM_PARAMS)
{
    GEMM_APART(get_global_id(0) * (16 * GEMM_VECTORS * GEMM_PANELS), get_global_id(1) * (GEMM_ROWS * GEMM_BLOCK),
               get_global_id(2), a, b, c, rows, cols, k GEMM_ARGUMENTS);
}

#undef GEMM_NAME
#undef GEMM_APART
#undef GEMM_ARGUMENTS
#undef GEMM_ROWS
#undef GEMM_VECTORS
#undef GEMM_BLOCK
#undef GEMM_DEPTH
#undef GEMM_PARTS
#undef GEMM_PAST
#undef GEMM_LONG
#undef GEMM_PANELS
#undef GEMM_TRANSPOSE_A
#undef GEMM_TRANSPOSE_B
#undef GEMM_SHARE_A
#undef GEMM_SHARE_B
#undef GEMM_PARAMS
#undef GEMM_EPILOGUE
#undef GEMM_ROW_SUMS
#undef GEMM_TO_ROW_SUMS
