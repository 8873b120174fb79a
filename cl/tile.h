/* What the tile kernels for CPUs have in common: asking for rows of a matrix, panels of sixteen columns, lines of
 * an image. */
#ifndef TILE_H
#define TILE_H

#define UNROLL __attribute__((opencl_unroll_hint))
#define ROLLED __attribute__((opencl_unroll_hint(1)))

/* Asks for rows of a matrix, `stride` apart. */
static void gemm_fetch(const global float *x, int stride, int rows, int columns)
{
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < columns; i += 16)
            FETCH(x + (size_t)r * stride + i);
}

/* to[i * stride] = column i of sixteen rows, by squares of eight by eight: these fit AVX2's registers, and their shuffles
 * stay in halves of a register until the last. */
static void gemm_transpose(float16 *to, int stride, const float16 *from)
{
    ROLLED for (int square = 0; square < 4; square++) {
        const int side = square % 2, row = square / 2;
        float8 x[8], y[8];
        UNROLL for (int i = 0; i < 8; i++)
            x[i] = ((const float8 *)(from + 8 * row + i))[side];
        UNROLL for (int i = 0; i < 8; i += 2) {
            const float8 a = x[i], b = x[i + 1];
            y[i] = (float8)(a.s0, b.s0, a.s1, b.s1, a.s4, b.s4, a.s5, b.s5);
            y[i + 1] = (float8)(a.s2, b.s2, a.s3, b.s3, a.s6, b.s6, a.s7, b.s7);
        }
        UNROLL for (int i = 0; i < 8; i++) {
            const float8 a = y[i / 4 * 4 + i % 4 / 2], b = y[i / 4 * 4 + i % 4 / 2 + 2];
            x[i] = i % 2 ? (float8)(a.s23, b.s23, a.s67, b.s67) : (float8)(a.s01, b.s01, a.s45, b.s45);
        }
        UNROLL for (int i = 0; i < 4; i++) {
            ((float8 *)(to + (8 * side + i) * stride))[row] = (float8)(x[i].lo, x[i + 4].lo);
            ((float8 *)(to + (8 * side + i + 4) * stride))[row] = (float8)(x[i].hi, x[i + 4].hi);
        }
    }
}

/* panel[i * vectors + w] = columns col + 16 w .. col + 16 w + 15 of row i of b, which is stored (depth, n) from here
 * on; zeros beyond its last column. */
static void gemm_copy_panel(float16 *panel, int vectors, const global float *b, int depth, int n, int col)
{
    if (col + 16 * vectors <= n) {
        for (int i = 0; i < depth; i++) {
            UNROLL for (int w = 0; w < vectors; w++)
                panel[i * vectors + w] = vload16(w, b + (size_t)i * n + col);
        }
        return;
    }
    for (int i = 0; i < depth; i++) {
        float *row = (float *)&panel[i * vectors];
        for (int w = 0; w < vectors; w++)
            panel[i * vectors + w] = 0;
        for (int j = 0; j < n - col; j++)
            row[j] = b[(size_t)i * n + col + j];
    }
}

/* panel[i * stride] = columns col .. col + 15 of row i of a b that is stored (n, k). */
static void gemm_turn_panel(float16 *panel, int stride, const global float *b, int depth, int n, int k,
                            int col)
{
    int i = 0;
    for (; i + 16 <= depth; i += 16) {
        float16 square[16];
        UNROLL for (int j = 0; j < 16; j++) square[j] = vload16(0, b + (size_t)min(col + j, n - 1)
            * k + i);
        gemm_transpose(panel + i * stride, stride, square);
    }
    for (; i < depth; i++) {
        float *row = (float *)&panel[i * stride];
        for (int j = 0; j < 16; j++)
            row[j] = b[(size_t)min(col + j, n - 1) * k + i];
    }
}

static void tile_zeros(float *to, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = 0;
}

static void tile_copy(float *to, const global float *from, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = from[i];
}

/* A line of `columns` pixels, of which the first is number `begin` of a line of `width` pixels that stand for `up` each, with
 * zeros around these: of each the first `taken` of its channels, and zeros up to `block` of them. */
static void tile_copy_line(float *to, int columns, int block, const global float *line, int begin, int width, int channels,
                           int taken, int up)
{
    const int first = clamp(-begin, 0, columns), end = clamp(width * up - begin, first, columns);
    tile_zeros(to, first * block);
    if (up == 1 && block == channels) {
        tile_copy(to + first * block, line + (begin + first) * channels, (end - first) * channels);
    } else {
        for (int i = first; i < end; i++) {
            tile_copy(to + i * block, line + (begin + i) / up * channels, taken);
            tile_zeros(to + i * block + taken, block - taken);
        }
    }
    tile_zeros(to + end * block, (columns - end) * block);
}

/* Lines of an image, from number `top` on. */
static void tile_copy_lines(float *to, int lines, int columns, int block, const global float *image, int top, int begin,
                            int height, int width, int channels, int taken, int up)
{
    for (int i = 0; i < lines; i++, to += columns * block) {
        if (top + i < 0 || top + i >= height * up)
            tile_zeros(to, columns * block);
        else
            tile_copy_line(to, columns, block, image + (top + i) / up * width * channels, begin, width, channels, taken,
                           up);
    }
}

#endif
