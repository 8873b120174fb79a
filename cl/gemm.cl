/* The tile product for CPUs: C = op(A) op(B), row-major, a batch of them. A template: src/device/gemm_tile.c
 * defines these names before it, and the end of this file removes them.
 *
 *   GEMM_NAME          the kernel's name
 *   GEMM_ROWS          1 to 8: rows of the register tile
 *   GEMM_VECTORS       1, 2 or 4: float16 vectors in each of its rows. 8 x 2 sums, 2 of B and 1 of A fit the
 *                      32 registers of AVX-512; more than ROWS * VECTORS = 24 spill
 *   GEMM_BLOCK         1 to 32: register tiles, one below the other, that share a panel
 *   GEMM_PANELS        1 to 16: panels, side by side, that share what the second cache holds of A
 *   GEMM_DEPTH         most rows of a panel: 384 / VECTORS fill 24 KiB of the nearest cache
 *   GEMM_TRANSPOSE_A   1: stored k x m
 *   GEMM_TRANSPOSE_B   1: stored n x k
 *   GEMM_SHARE_A, _B   1: one matrix for the whole batch
 *   GEMM_PARAMS        further parameters of the kernel, each after a comma
 *   GEMM_EPILOGUE      statements that run on each finished `v` (see src/device/gemm.h)
 *
 *                    16 * VECTORS
 *                    +---------+
 *                    |  panel  | DEPTH     A work-item copies a panel of op(B) into private memory, turned
 *           DEPTH    |         |           where it must be, and multiplies it with BLOCK register tiles: the
 *         +-------+  +---------+           inner loop reads the panel in one stream from the nearest cache.
 *   ROWS  |   A   |  |   sum   |           Then the next DEPTH of k. Local size 1, no local memory, no
 *         +-------+  +---------+  BLOCK    barrier: a driver for CPUs gives work-groups to its threads.
 *         |   A   |  |   sum   |
 *         +-------+  +---------+           Beyond the ragged edge the last row or column that exists is read
 *                                          again, or zeros, computed, and not stored. */

#ifndef GEMM_COPIES
#define GEMM_COPIES

#define UNROLL __attribute__((opencl_unroll_hint))
#define ROLLED __attribute__((opencl_unroll_hint(1)))

/* Each pass turns the eight bits of (row, column) left by one place: after four, rows are columns. One
 * pass is 16 shuffles; unrolled, the four take the compiler half a second. */
static void gemm_transpose(float16 *x)
{
    ROLLED for (int pass = 0; pass < 4; pass++) {
        float16 y[16];
        UNROLL for (int i = 0; i < 8; i++) {
            y[2 * i].even = x[i].lo;
            y[2 * i].odd = x[i + 8].lo;
            y[2 * i + 1].even = x[i].hi;
            y[2 * i + 1].odd = x[i + 8].hi;
        }
        UNROLL for (int i = 0; i < 16; i++)
            x[i] = y[i];
    }
}

/* panel[i * stride] = columns col .. col + 15 of row i of b, which is stored (depth, n) from here on. */
static void gemm_copy_panel(float16 *panel, int stride, const global float *b, int depth, int n, int col)
{
    if (col + 16 <= n) {
        for (int i = 0; i < depth; i++)
            panel[i * stride] = vload16(0, b + (size_t)i * n + col);
        return;
    }
    for (int i = 0; i < depth; i++) {
        float *row = (float *)&panel[i * stride];
        panel[i * stride] = 0;
        for (int j = 0; j < n - col; j++)
            row[j] = b[(size_t)i * n + col + j];
    }
}

/* The same from a b that is stored (n, k). */
static void gemm_turn_panel(float16 *panel, int stride, const global float *b, int depth, int n, int k,
                            int col)
{
    int i = 0;
    for (; i + 16 <= depth; i += 16) {
        float16 square[16];
        UNROLL for (int j = 0; j < 16; j++) square[j] = vload16(0, b + (size_t)min(col + j, n - 1)
            * k + i);
        gemm_transpose(square);
        UNROLL for (int j = 0; j < 16; j++) panel[(i + j)
            * stride] = square[j];
    }
    for (; i < depth; i++) {
        float *row = (float *)&panel[i * stride];
        for (int j = 0; j < 16; j++)
            row[j] = b[(size_t)min(col + j, n - 1) * k + i];
    }
}

#endif

kernel void GEMM_NAME(const global float *restrict a, const global float *restrict b,
                      global float *restrict c, const int rows, const int cols, const int k GEMM_PARAMS)
{
    const int first_col = get_global_id(0) * (16 * GEMM_VECTORS * GEMM_PANELS);
    const int first_row = get_global_id(1) * (GEMM_ROWS * GEMM_BLOCK);
    const size_t item = get_global_id(2);
    float16 panel[GEMM_DEPTH * GEMM_VECTORS];
    float16 sums[GEMM_PANELS][GEMM_BLOCK][GEMM_ROWS][GEMM_VECTORS];

    a += GEMM_SHARE_A ? 0 : item * rows * k;
    b += GEMM_SHARE_B ? 0 : item * k * cols;
    const int parts = (k + GEMM_DEPTH - 1) / GEMM_DEPTH;
    const int part = (k + parts - 1) / parts; /* equal parts: a short last one would not pay for its sums */
    for (int k0 = 0; k0 < k; k0 += part) {
        const int depth = min(part, k - k0);
        for (int p = 0; p < GEMM_PANELS && first_col + p * 16 * GEMM_VECTORS < cols; p++) {
            for (int w = 0; w < GEMM_VECTORS; w++) {
                const int col = first_col + 16 * (p * GEMM_VECTORS + w);
#if GEMM_TRANSPOSE_B
                gemm_turn_panel(panel + w, GEMM_VECTORS, b + k0, depth, cols, k, col);
#else
                gemm_copy_panel(panel + w, GEMM_VECTORS, b + (size_t)k0 * cols, depth, cols, col);
#endif
            }
            for (int tile = 0; tile < GEMM_BLOCK && first_row + tile * GEMM_ROWS < rows; tile++) {
                float16 sum[GEMM_ROWS][GEMM_VECTORS];
                UNROLL for (int r = 0; r < GEMM_ROWS; r++) {
                    UNROLL for (int w = 0; w < GEMM_VECTORS; w++)
                        sum[r][w] = k0 ? sums[p][tile][r][w] : 0;
                }
                const global float *from[GEMM_ROWS];
                UNROLL for (int r = 0; r < GEMM_ROWS; r++) {
                    const size_t row = min(first_row + tile * GEMM_ROWS + r, rows - 1);
                    from[r] = a + (GEMM_TRANSPOSE_A ? (size_t)k0 * rows + row : row * k + k0);
                }
                for (int i = 0; i < depth; i++) {
                    const size_t step = GEMM_TRANSPOSE_A ? (size_t)i * rows : i;
                    UNROLL for (int r = 0; r < GEMM_ROWS; r++) {
                        UNROLL for (int w = 0; w < GEMM_VECTORS; w++)
                            sum[r][w] += from[r][step] * panel[i * GEMM_VECTORS + w];
                    }
                }
                UNROLL for (int r = 0; r < GEMM_ROWS; r++) {
                    UNROLL for (int w = 0; w < GEMM_VECTORS; w++)
                        sums[p][tile][r][w] = sum[r][w];
                }
            }
        }
    }

    const int last_row = min(rows, first_row + GEMM_ROWS * GEMM_BLOCK);
    for (int row = first_row; row < last_row; row++) {
        const int r = row - first_row;
        for (int q = 0; q < GEMM_PANELS * GEMM_VECTORS; q++) {
            const float16 sum = sums[q / GEMM_VECTORS][r / GEMM_ROWS][r % GEMM_ROWS][q % GEMM_VECTORS];
            int col = first_col + 16 * q;
            size_t at = (item * rows + row) * cols + col;
            if (col + 16 <= cols) {
#define real float16
#define LOAD(p, i) vload16(0, (p) + (i))
#define STORE(p, i, x) vstore16(x, 0, (p) + (i))
                real v = sum;
                GEMM_EPILOGUE
                STORE(c, at, v);
#undef real
#undef LOAD
#undef STORE
                continue;
            }
            for (int j = 0; j < 16 && col < cols; j++, col++, at++) {
#define real float
#define LOAD(p, i) ((p)[i])
#define STORE(p, i, x) ((p)[i] = (x))
                real v = ((const float *)&sum)[j];
                GEMM_EPILOGUE
                STORE(c, at, v);
#undef real
#undef LOAD
#undef STORE
            }
        }
    }
}

#undef GEMM_NAME
#undef GEMM_ROWS
#undef GEMM_VECTORS
#undef GEMM_BLOCK
#undef GEMM_DEPTH
#undef GEMM_PANELS
#undef GEMM_TRANSPOSE_A
#undef GEMM_TRANSPOSE_B
#undef GEMM_SHARE_A
#undef GEMM_SHARE_B
#undef GEMM_PARAMS
#undef GEMM_EPILOGUE
