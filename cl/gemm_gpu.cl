/* The product for GPUs: C = op(A) op(B), row-major, a batch of them. A template: src/device/gemm_gpu.c defines these names
 * before it, and the end of this file removes them. X is A or B; a tile of A has GEMM_A_SIDE rows of op(A), one of B
 * GEMM_B_SIDE columns of op(B).
 *
 *   GEMM_NAME          the kernel's name
 *   GEMM_X_SIDE        4 to 256: a group's results are GEMM_A_SIDE x GEMM_B_SIDE
 *   GEMM_DEEP          8 to 32: how far the tiles reach along k
 *   GEMM_X_ITEMS       work-items of a group along either side, 256 together at most
 *   GEMM_BUFFERS       1 or 2 tiles of each in local memory: with 2, one barrier a step is enough
 *   GEMM_X_ALONG       1: the operand is stored so that k runs along its rows
 *   GEMM_X_WIDE        4 or 1: numbers that a work-item reads of it at a time, 4 where its rows are of aligned float4
 *   GEMM_X_PITCH       floats between two lines of a tile, its side and a pad where lines are written across: neighbours
 *                      write to other banks then
 *   GEMM_X_SHARE       1: one matrix for the whole batch
 *   GEMM_X_RUN         4, 2 or 1: rows, columns, that a work-item has side by side
 *   GEMM_WHOLE         1: results are finished by float4, as many columns as there are fill them
 *   GEMM_ALIGNED       1: these begin at multiples of 16 bytes in all memory that the epilogue sees
 *   GEMM_CONV          GEMM_CONV_Y, _X, _W: operands are read as a convolution's (conv_gpu.h, which stands before it); 0: a product
 *   GEMM_PARTED        1: k is cut into parts; the results of each are to be added by GEMM_SUMS_NAME
 *   GEMM_PARAMS        further parameters of the kernel that finishes C, each after a comma
 *   GEMM_EPILOGUE      statements that run on each finished `v` (see src/device/gemm.h)
 *
 *                   B_SIDE
 *                  +-------+          A group copies a tile of each operand into local memory, lines along k whichever way
 *             DEEP |   B   |          they lie in global memory, neighbours next to each other there. Each work-item adds
 *         DEEP     +-------+          up A_SIDE / A_ITEMS x B_SIDE / B_ITEMS results in registers: for every line of the
 *        +-----+   +-------+          tiles it reads so many numbers of A and of B, in runs of up to a float4, and
 *        |     |   | x x   |          multiplies each by each. What it reads of the next tiles is on its way meanwhile.
 * A_SIDE |  A  |   |       |  x: a work-item's results: runs that lie A_ITEMS and B_ITEMS runs apart, so that
 *        |     |   | x x   |     neighbours read and write neighbouring float4
 *        +-----+   +-------+
 *
 * Beyond the ragged edges tiles hold zeros, whose results are not stored. The sums of a result are in the order of k, and
 * those of parts in the parts' order: a run repeats bit for bit. */

#ifndef GEMM_GPU
#define GEMM_GPU

#define GEMM_CONV_Y 1
#define GEMM_CONV_X 2
#define GEMM_CONV_W 3

#define GEMM_UNROLL _Pragma("unroll")
#define GEMM_UNROLL_SOME _Pragma("unroll 4")
#define GEMM_JOIN2(a, b) a##b
#define GEMM_JOIN(a, b) GEMM_JOIN2(a, b)

/* Numbers that stand side by side, as an array. */
#define GEMM_SPREAD_1(to, v) (to)[0] = (v)
#define GEMM_SPREAD_2(to, v) (to)[0] = (v).x, (to)[1] = (v).y
#define GEMM_SPREAD_4(to, v) (to)[0] = (v).x, (to)[1] = (v).y, (to)[2] = (v).z, (to)[3] = (v).w

/* Into a tile: lines are `step` apart. */
static inline void gemm_put_1(local float *to, int step, float v)
{
    (void)step;
    *to = v;
}

static inline void gemm_put_4(local float *to, int step, float4 v)
{
    if (step == 1) {
        *(local float4 *)to = v;
    } else {
        to[0] = v.x;
        to[step] = v.y;
        to[2 * step] = v.z;
        to[3 * step] = v.w;
    }
}

typedef float gemm_real_1;
typedef float2 gemm_real_2;
typedef float4 gemm_real_4;

/* Of the q-th piece of a tile that is read: which row of op(A), or column of op(B), and which k. */
#define GEMM_ACROSS(X, q)                                                                                              \
    (GEMM_##X##_ALONG ? (q) / (GEMM_DEEP / GEMM_##X##_WIDE) : (q) % (GEMM_##X##_SIDE / GEMM_##X##_WIDE) * GEMM_##X##_WIDE)
#define GEMM_DOWN(X, q)                                                                                                \
    (GEMM_##X##_ALONG ? (q) % (GEMM_DEEP / GEMM_##X##_WIDE) * GEMM_##X##_WIDE : (q) / (GEMM_##X##_SIDE / GEMM_##X##_WIDE))
/* Pieces of a tile, and of a work-item. */
#define GEMM_PIECES(X) (GEMM_##X##_SIDE * GEMM_DEEP / GEMM_##X##_WIDE)
#define GEMM_SHARE_OF(X) ((GEMM_PIECES(X) + GEMM_ITEMS - 1) / GEMM_ITEMS)
#define GEMM_REAL(X, size) GEMM_JOIN(gemm_real_, GEMM_##X##_##size)

/* next[i] = the work-item's i-th piece of the tile that `x` begins at; `size` of its rows or columns exist, `left` of k. */
#define GEMM_FETCH(X, next, x, stride, size, left)                                                                     \
    GEMM_UNROLL for (int i = 0; i < GEMM_SHARE_OF(X); i++)                                                             \
    {                                                                                                                  \
        const int q = id + i * GEMM_ITEMS, across = GEMM_ACROSS(X, q), down = GEMM_DOWN(X, q);                         \
        const size_t from = GEMM_##X##_ALONG ? (size_t)across * (stride) + down : (size_t)down * (stride) + across;    \
        next[i] = across < (size) && down < (left) ? *(const global GEMM_REAL(X, WIDE) *)((x) + from)                   \
                                                       : (GEMM_REAL(X, WIDE))(0);                                      \
    }
#define GEMM_PUT(X, next, tile)                                                                                        \
    GEMM_UNROLL for (int i = 0; i < GEMM_SHARE_OF(X); i++)                                                             \
    {                                                                                                                  \
        const int q = id + i * GEMM_ITEMS;                                                                             \
        if (GEMM_PIECES(X) % GEMM_ITEMS == 0 || q < GEMM_PIECES(X))                                                    \
            GEMM_JOIN(gemm_put_, GEMM_##X##_WIDE)                                                                      \
            ((tile) + GEMM_DOWN(X, q) * GEMM_##X##_PITCH + GEMM_ACROSS(X, q), GEMM_##X##_ALONG ? GEMM_##X##_PITCH : 1, \
             next[i]);                                                                                                 \
    }
/* Where run i of the work-item that is `place`-th along a side begins in a tile. */
#define GEMM_RUN(X, i, place) (((i) * GEMM_##X##_ITEMS + (place)) * GEMM_##X##_RUN)

#endif

#define GEMM_ITEMS (GEMM_A_ITEMS * GEMM_B_ITEMS)
#define GEMM_ROWS (GEMM_A_SIDE / GEMM_A_ITEMS)
#define GEMM_RUNS (GEMM_B_SIDE / GEMM_B_ITEMS / GEMM_B_RUN)

#if GEMM_WHOLE
#define GEMM_FINISH 4
#define GEMM_FINISHED float4
#else
#define GEMM_FINISH 1
#define GEMM_FINISHED float
#endif
#if GEMM_WHOLE && !GEMM_ALIGNED
#define GEMM_LOAD(p, i) vload4(0, (p) + (i))
#define GEMM_STORE(p, i, x) vstore4(x, 0, (p) + (i))
#else
#define GEMM_LOAD(p, i) (*(const global GEMM_FINISHED *)((p) + (i)))
#define GEMM_STORE(p, i, x) (*(global GEMM_FINISHED *)((p) + (i)) = (x))
#endif
#if GEMM_PARTED
#define GEMM_OWN_PARAMS
#else
#define GEMM_OWN_PARAMS GEMM_PARAMS
#endif
#if GEMM_CONV
#define GEMM_SIZES                                                                                                     \
    , const int images, const int height, const int width, const int channels, const int out_height,                  \
        const int out_width, const int outputs, const int side, const int stride, const int padding, const int upsample
#define GEMM_IMAGE_SIZE , const int image
#else
#define GEMM_SIZES
#define GEMM_IMAGE_SIZE
#endif

/* `depth` of k, a multiple of GEMM_DEEP, is a part's. Dimension 0 of the range is along the columns, 1 along the rows, and
 * 2 over the parts of a batch, one product after the other. */
kernel __attribute__((reqd_work_group_size(GEMM_B_ITEMS, GEMM_A_ITEMS, 1)))
void GEMM_NAME(const global float *restrict a, const global float *restrict b, global float *restrict c, const int rows,
               const int cols, const int k, const int depth GEMM_SIZES GEMM_OWN_PARAMS)
{
    local float tile_a[GEMM_BUFFERS * GEMM_DEEP * GEMM_A_PITCH] __attribute__((aligned(16)));
    local float tile_b[GEMM_BUFFERS * GEMM_DEEP * GEMM_B_PITCH] __attribute__((aligned(16)));
    const int x = get_local_id(0), y = get_local_id(1), id = y * GEMM_B_ITEMS + x;
    const int first_row = get_global_id(1) / GEMM_A_ITEMS * GEMM_A_SIDE;
    const int first_col = get_global_id(0) / GEMM_B_ITEMS * GEMM_B_SIDE;
    const int parts = (k + depth - 1) / depth;
#if GEMM_CONV
    const conv_sizes sizes = {images, height, width, channels, out_height, out_width, outputs, side, stride, padding, upsample};
#endif
#if GEMM_CONV == GEMM_CONV_X /* classes of pixels: each has as many as the largest, some of which do not exist */
    const int step = upsample < stride ? 2 : 1, kind = get_global_id(2) % (step * step);
    const int down_from = kind / step, along_from = kind % step;
    const size_t matrix = get_global_id(2) / (step * step), item = matrix / parts;
    const conv_grid grid = conv_grid_of_x(sizes, down_from, along_from);
    const int deep = conv_depth(grid), lines = images * grid.height * grid.width;
#else
    const size_t matrix = get_global_id(2), item = matrix / parts;
    const int deep = k, lines = rows;
#endif
#if GEMM_CONV == GEMM_CONV_Y
    const conv_grid grid = conv_grid_of_y(sizes);
#endif
    int begin = matrix % parts * depth;
    const int end = min(begin + depth, deep), whole = end - begin;
#if GEMM_CONV
    a += GEMM_A_SHARE ? 0 : item * images * (GEMM_CONV == GEMM_CONV_X ? out_height * out_width * outputs : height * width * channels);
    b += GEMM_B_SHARE ? 0 : item * (GEMM_CONV == GEMM_CONV_W ? images * out_height * out_width * outputs : side * side * channels * outputs);
#else
    const int a_stride = GEMM_A_ALONG ? k : rows, b_stride = GEMM_B_ALONG ? k : cols;
    const size_t a_step = GEMM_A_ALONG ? GEMM_DEEP : (size_t)GEMM_DEEP * rows;
    const size_t b_step = GEMM_B_ALONG ? GEMM_DEEP : (size_t)GEMM_DEEP * cols;
    a += (GEMM_A_SHARE ? 0 : item * rows * k) +
         (GEMM_A_ALONG ? (size_t)first_row * k + begin : (size_t)begin * rows + first_row);
    b += (GEMM_B_SHARE ? 0 : item * k * cols) +
         (GEMM_B_ALONG ? (size_t)first_col * k + begin : (size_t)begin * cols + first_col);
#endif

    GEMM_REAL(B, RUN) sum[GEMM_ROWS][GEMM_RUNS];
    GEMM_REAL(A, WIDE) next_a[GEMM_SHARE_OF(A)];
    GEMM_REAL(B, WIDE) next_b[GEMM_SHARE_OF(B)];
    GEMM_UNROLL for (int i = 0; i < GEMM_ROWS; i++)
    {
        GEMM_UNROLL for (int j = 0; j < GEMM_RUNS; j++)
            sum[i][j] = 0;
    }
    int which = 0; /* of the buffers */
    /* In its first round it only reads. */
    for (int left = whole + GEMM_DEEP; left > 0; left -= GEMM_DEEP) {
        const bool first = left > whole;
        if (!first) {
            GEMM_PUT(A, next_a, tile_a + which * GEMM_DEEP * GEMM_A_PITCH)
            GEMM_PUT(B, next_b, tile_b + which * GEMM_DEEP * GEMM_B_PITCH)
        }
        barrier(CLK_LOCAL_MEM_FENCE);
#if GEMM_CONV == GEMM_CONV_W
        CONV_FETCH(A, next_a, a, first_row, lines, conv_read_at(sizes, across, down))
#elif GEMM_CONV
        CONV_FETCH(A, next_a, a, first_row, lines, conv_at(grid, across, down))
#endif
#if GEMM_CONV == GEMM_CONV_X
        CONV_FETCH_SUMS(B, next_b, b, first_col, cols, conv_turned_at(sizes, grid, down_from, along_from, down, across, at))
#elif GEMM_CONV
        CONV_FETCH(B, next_b, b, first_col, cols, (long)down * cols + across)
#endif
#if GEMM_CONV
        begin += GEMM_DEEP;
#else
        GEMM_FETCH(A, next_a, a, a_stride, rows - first_row, left - GEMM_DEEP)
        GEMM_FETCH(B, next_b, b, b_stride, cols - first_col, left - GEMM_DEEP)
        a += a_step;
        b += b_step;
#endif
        const local float *line_a = tile_a + which * GEMM_DEEP * GEMM_A_PITCH;
        const local float *line_b = tile_b + which * GEMM_DEEP * GEMM_B_PITCH;
        if (!first) {
            GEMM_UNROLL_SOME for (int t = 0; t < GEMM_DEEP; t++, line_a += GEMM_A_PITCH, line_b += GEMM_B_PITCH) {
                float of_a[GEMM_ROWS];
                GEMM_UNROLL for (int i = 0; i < GEMM_ROWS / GEMM_A_RUN; i++)
                {
                    const GEMM_REAL(A, RUN) v = *(const local GEMM_REAL(A, RUN) *)(line_a + GEMM_RUN(A, i, y));
                    GEMM_JOIN(GEMM_SPREAD_, GEMM_A_RUN)(of_a + i * GEMM_A_RUN, v);
                }
                GEMM_UNROLL for (int j = 0; j < GEMM_RUNS; j++)
                {
                    const GEMM_REAL(B, RUN) of_b = *(const local GEMM_REAL(B, RUN) *)(line_b + GEMM_RUN(B, j, x));
                    GEMM_UNROLL for (int i = 0; i < GEMM_ROWS; i++)
                        sum[i][j] += of_a[i] * of_b;
                }
            }
        }
#if GEMM_BUFFERS == 2
        which = 1 - which;
#else
        barrier(CLK_LOCAL_MEM_FENCE);
#endif
    }

    GEMM_UNROLL for (int i = 0; i < GEMM_ROWS; i++)
    {
        GEMM_UNROLL for (int j = 0; j < GEMM_RUNS; j++)
        {
            const int line = first_row + GEMM_RUN(A, i / GEMM_A_RUN, y) + i % GEMM_A_RUN;
            const int first = first_col + GEMM_RUN(B, j, x);
            GEMM_FINISHED done[GEMM_B_RUN / GEMM_FINISH];
#if GEMM_WHOLE
            done[0] = sum[i][j];
#else
            GEMM_JOIN(GEMM_SPREAD_, GEMM_B_RUN)(done, sum[i][j]);
#endif
            GEMM_UNROLL for (int l = 0; l < GEMM_B_RUN / GEMM_FINISH; l++)
            {
                const int col = first + l;
                if (line >= lines || col >= cols)
                    continue;
#if GEMM_CONV == GEMM_CONV_X
                const int down = line / grid.width % grid.height * step + down_from;
                const int along = line % grid.width * step + along_from;
                if (down >= height || along >= width)
                    continue;
                const int row = (line / grid.width / grid.height * height + down) * width + along;
#else
                const int row = line;
#endif
#if GEMM_CONV == GEMM_CONV_Y || GEMM_CONV == GEMM_CONV_X
                const size_t sample = item * images + line / grid.width / grid.height;
#endif
                const size_t at = (matrix * rows + row) * cols + col;
#define real GEMM_FINISHED
#define LOAD GEMM_LOAD
#define STORE GEMM_STORE
                real v = done[l];
#if !GEMM_PARTED
                GEMM_EPILOGUE
#endif
                STORE(c, at, v);
#undef real
#undef LOAD
#undef STORE
            }
        }
    }
}

#if GEMM_PARTED
/* A work-item adds the parts of GEMM_FINISH results: dimension 0 along a row, 1 over the rows, 2 over the batch. */
kernel void GEMM_SUMS_NAME(const global float *restrict part, global float *restrict c, const int rows, const int cols,
                           const int batch, const int parts GEMM_IMAGE_SIZE GEMM_PARAMS)
{
    const int col = get_global_id(0) * GEMM_FINISH, row = get_global_id(1);
    const size_t item = get_global_id(2), at = (item * rows + row) * cols + col, size = (size_t)rows * cols;
    if (col >= cols || row >= rows || item >= batch)
        return;
#if GEMM_CONV
    const size_t sample = (item * rows + row) / image;
#endif
    part += item * (parts - 1) * size; /* then `at` is in its first part */
#define real GEMM_FINISHED
#define LOAD GEMM_LOAD
#define STORE GEMM_STORE
    real v = LOAD(part, at);
    for (int p = 1; p < parts; p++)
        v += LOAD(part, p * size + at);
    GEMM_EPILOGUE
    STORE(c, at, v);
#undef real
#undef LOAD
#undef STORE
}
#endif

#undef GEMM_NAME
#undef GEMM_SUMS_NAME
#undef GEMM_ITEMS
#undef GEMM_ROWS
#undef GEMM_RUNS
#undef GEMM_FINISH
#undef GEMM_FINISHED
#undef GEMM_LOAD
#undef GEMM_STORE
#undef GEMM_OWN_PARAMS
#undef GEMM_SIZES
#undef GEMM_IMAGE_SIZE
#undef GEMM_PARAMS
#undef GEMM_EPILOGUE
