/* Row blocks: what a fused kernel of whole layers is made of (src/compile/block.c). For CPUs.
 *
 * A work-item owns BLOCK_ROWS = 16 BLOCK_VECTORS samples and keeps their values in private memory, the
 * samples in the lanes of float16 vectors:
 *
 *     value (BLOCK_ROWS, C)  =  tile[C][BLOCK_VECTORS]          tile[c][s].lane j = row 16 s + j, column c
 *
 * So a layer of any width runs without a ragged edge, a weight is a number that is broadcast, and neither
 * matrix has to be turned. Values that stay inside the block never leave the nearest caches.
 *
 * Where samples need more or fewer repetitions, a lane does not wait for the others: it takes another row.
 *
 * Before it src/compile/lower.c defines BLOCK_SUMS, how many sums of float16 the processor's registers hold beside
 * what is added to them, and BLOCK_ABREAST, of how many vectors of samples these are. */
#ifndef BLOCK_H
#define BLOCK_H

#define BLOCK_VECTORS 2
#define BLOCK_ROWS (16 * BLOCK_VECTORS)
#define BLOCK_COLUMNS (BLOCK_SUMS / BLOCK_ABREAST)
#define UNROLLED __attribute__((opencl_unroll_hint))
#define INLINE static inline __attribute__((always_inline))

/* Some columns of a product: out[n] = sum over k of a[k] w[n stride_n + k stride_k]. Literal widths: only such
 * loops are unrolled in time for the sums to be registers, 8 x 2 of AVX-512's 32 or 4 x 1, in two halves each, of 16. */
INLINE void block_columns(float16 *out, const float16 *a, const global float *w, int count, int stride_n,
                          int stride_k)
{
    float16 sum[BLOCK_COLUMNS][BLOCK_ABREAST];
    UNROLLED for (int j = 0; j < BLOCK_COLUMNS; j++)
        UNROLLED for (int s = 0; s < BLOCK_ABREAST; s++)
            sum[j][s] = 0;
    for (int k = 0; k < count; k++) {
        float16 x[BLOCK_ABREAST];
        UNROLLED for (int s = 0; s < BLOCK_ABREAST; s++)
            x[s] = a[k * BLOCK_VECTORS + s];
        UNROLLED for (int j = 0; j < BLOCK_COLUMNS; j++) {
            const float16 weight = w[j * stride_n + k * stride_k];
            UNROLLED for (int s = 0; s < BLOCK_ABREAST; s++)
                sum[j][s] += weight * x[s];
        }
    }
    UNROLLED for (int j = 0; j < BLOCK_COLUMNS; j++)
        UNROLLED for (int s = 0; s < BLOCK_ABREAST; s++)
            out[j * BLOCK_VECTORS + s] = sum[j][s];
}

INLINE void block_column(float16 *out, const float16 *a, const global float *w, int count, int stride_k)
{
    float16 sum[BLOCK_VECTORS];
    UNROLLED for (int s = 0; s < BLOCK_VECTORS; s++)
        sum[s] = 0;
    for (int k = 0; k < count; k++) {
        const float16 weight = w[k * stride_k];
        UNROLLED for (int s = 0; s < BLOCK_VECTORS; s++)
            sum[s] += weight * a[k * BLOCK_VECTORS + s];
    }
    UNROLLED for (int s = 0; s < BLOCK_VECTORS; s++)
        out[s] = sum[s];
}

/* out (BLOCK_ROWS, columns) = a (BLOCK_ROWS, count) times w; every number is a literal where it is called.
 * *_narrow are for few columns (less than 8 of a product, less than 16 of rows): the same, in little code. */
INLINE void block_product_narrow(float16 *out, const float16 *a, const global float *w, int columns, int count,
                                 int stride_n, int stride_k)
{
    for (int n = 0; n < columns; n++)
        block_column(out + n * BLOCK_VECTORS, a, w + n * stride_n, count, stride_k);
}

INLINE void block_product(float16 *out, const float16 *a, const global float *w, int columns, int count,
                          int stride_n, int stride_k)
{
    int n = 0;
    for (; n + BLOCK_COLUMNS <= columns; n += BLOCK_COLUMNS)
        for (int s = 0; s < BLOCK_VECTORS; s += BLOCK_ABREAST)
            block_columns(out + n * BLOCK_VECTORS + s, a + s, w + n * stride_n, count, stride_n, stride_k);
    block_product_narrow(out + n * BLOCK_VECTORS, a, w + n * stride_n, columns - n, count, stride_n, stride_k);
}

/* For blocks of many products. */
APART void block_product_apart(float16 *out, const float16 *a, const global float *w, int columns, int count,
                               int stride_n, int stride_k)
{
    block_product(out, a, w, columns, count, stride_n, stride_k);
}

/* The end of an adaptive step (ode.h) of the tile's samples; places are columns of the tile, those of results -1
 * where nobody reads them. active[lane]: whether that sample is still on its way. */
INLINE void block_ode_advance(float16 *tile, int *active, int x, int x_new, int error, int k_first, int k_last,
                              int state, int columns, float rtol, float atol, float order, int x_out, int k_out,
                              int state_out)
{
    for (int s = 0; s < BLOCK_VECTORS; s++) {
        float16 sum = 0, next[8];
        for (int c = 0; c < columns; c++) {
            const float16 size = fmax(fabs(tile[(x + c) * BLOCK_VECTORS + s]), fabs(tile[(x_new + c) * BLOCK_VECTORS + s]));
            const float16 ratio = tile[(error + c) * BLOCK_VECTORS + s] / (atol + rtol * size);
            sum += ratio * ratio;
        }
        for (int i = 0; i < 8; i++)
            next[i] = tile[(state + i) * BLOCK_VECTORS + s];
        const int16 accepted = math_ode_control_float16(next, sqrt(sum / (float)columns), order);
        vstore16(next[ODE_ACTIVE] == 1.0f, 0, active + 16 * s);
        for (int c = 0; c < columns && x_out >= 0; c++)
            tile[(x_out + c) * BLOCK_VECTORS + s] =
                select(tile[(x + c) * BLOCK_VECTORS + s], tile[(x_new + c) * BLOCK_VECTORS + s], accepted);
        for (int c = 0; c < columns && k_out >= 0; c++)
            tile[(k_out + c) * BLOCK_VECTORS + s] =
                select(tile[(k_first + c) * BLOCK_VECTORS + s], tile[(k_last + c) * BLOCK_VECTORS + s], accepted);
        for (int i = 0; i < 8 && state_out >= 0; i++)
            tile[(state_out + i) * BLOCK_VECTORS + s] = next[i];
    }
}

INLINE float16 block_low(float16 x, float16 y)
{
    return (float16)(x.s0, y.s0, x.s1, y.s1, x.s2, y.s2, x.s3, y.s3, x.s4, y.s4, x.s5, y.s5, x.s6, y.s6, x.s7, y.s7);
}

INLINE float16 block_high(float16 x, float16 y)
{
    return (float16)(x.s8, y.s8, x.s9, y.s9, x.sa, y.sa, x.sb, y.sb, x.sc, y.sc, x.sd, y.sd, x.se, y.se, x.sf, y.sf);
}

/* Rows become columns: each pass turns the eight bits of (row, column) left by one place. */
INLINE void block_turn(float16 *x)
{
    UNROLLED for (int pass = 0; pass < 4; pass++) {
        float16 y[16];
        UNROLLED for (int i = 0; i < 8; i++) {
            y[2 * i] = block_low(x[i], x[i + 8]);
            y[2 * i + 1] = block_high(x[i], x[i + 8]);
        }
        UNROLLED for (int i = 0; i < 16; i++)
            x[i] = y[i];
    }
}

/* Columns c .. columns - 1 of tile = rows first .. of x (rows, columns); beyond the last row, that row again. */
INLINE void block_load_from(float16 *tile, const global float *x, int c, int columns, int first, int rows)
{
    for (; c < columns; c++)
        for (int s = 0; s < BLOCK_VECTORS; s++) {
            float lane[16];
            for (int j = 0; j < 16; j++)
                lane[j] = x[min(first + 16 * s + j, rows - 1) * columns + c];
            tile[c * BLOCK_VECTORS + s] = vload16(0, lane);
        }
}

INLINE void block_load_narrow(float16 *tile, const global float *x, int columns, int first, int rows)
{
    block_load_from(tile, x, 0, columns, first, rows);
}

APART void block_load(float16 *tile, const global float *x, int columns, int first, int rows)
{
    int c = 0;
    for (; c + 16 <= columns; c += 16)
        for (int s = 0; s < BLOCK_VECTORS; s++) {
            float16 square[16];
            UNROLLED for (int j = 0; j < 16; j++)
                square[j] = vload16(0, x + min(first + 16 * s + j, rows - 1) * columns + c);
            block_turn(square);
            UNROLLED for (int j = 0; j < 16; j++)
                tile[(c + j) * BLOCK_VECTORS + s] = square[j];
        }
    block_load_from(tile, x, c, columns, first, rows);
}

/* Rows first .. of x (rows, columns) = tile, columns c .. columns - 1, as far as there are rows. */
INLINE void block_store_from(global float *x, const float16 *tile, int c, int columns, int first, int rows)
{
    for (; c < columns; c++)
        for (int s = 0; s < BLOCK_VECTORS; s++) {
            float lane[16];
            vstore16(tile[c * BLOCK_VECTORS + s], 0, lane);
            for (int j = 0; j < min(16, rows - first - 16 * s); j++)
                x[(first + 16 * s + j) * columns + c] = lane[j];
        }
}

INLINE void block_store_narrow(global float *x, const float16 *tile, int columns, int first, int rows)
{
    block_store_from(x, tile, 0, columns, first, rows);
}

APART void block_store(global float *x, const float16 *tile, int columns, int first, int rows)
{
    int c = 0;
    for (; c + 16 <= columns && first + BLOCK_ROWS <= rows; c += 16)
        for (int s = 0; s < BLOCK_VECTORS; s++) {
            float16 square[16];
            UNROLLED for (int j = 0; j < 16; j++)
                square[j] = tile[(c + j) * BLOCK_VECTORS + s];
            block_turn(square);
            UNROLLED for (int j = 0; j < 16; j++)
                vstore16(square[j], 0, x + (first + 16 * s + j) * columns + c);
        }
    block_store_from(x, tile, c, columns, first, rows);
}

/* at[lane]: the row that the lane holds; beyond the last row, that row again. */
INLINE void block_rows_at(int *at, int first, int rows)
{
    for (int j = 0; j < BLOCK_ROWS; j++)
        at[j] = min(first + j, rows - 1);
}

/* --- sums over rows: `part` is a work-item's own --- */

/* live: the lanes that hold one of `rows` rows. */
INLINE void block_live(int16 *live, int rows)
{
    const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int s = 0; s < BLOCK_VECTORS; s++)
        live[s] = lane + 16 * s < rows;
}

INLINE float16 block_living(float16 x, int16 live)
{
    return select((float16)(0), x, live);
}

/* part[c] += the sum of column c of a (BLOCK_ROWS, columns). */
INLINE void block_sum_rows(global float *part, const float16 *a, int columns, const int16 *live)
{
    for (int c = 0; c < columns; c++) {
        float16 sum = 0;
        UNROLLED for (int s = 0; s < BLOCK_VECTORS; s++)
            sum += block_living(a[c * BLOCK_VECTORS + s], live[s]);
        part[c] += sum_of_16(sum);
    }
}

/* part (n, m) += y' x with y (BLOCK_ROWS, n) and x (BLOCK_ROWS, m), from column c of x on. */
INLINE void block_sum_outer_narrow(global float *part, const float16 *y, const float16 *x, int c, int n, int m,
                                   const int16 *live)
{
    for (; c < m; c++)
        for (int j = 0; j < n; j++) {
            float16 sum = 0;
            UNROLLED for (int s = 0; s < BLOCK_VECTORS; s++)
                sum += block_living(y[j * BLOCK_VECTORS + s] * x[c * BLOCK_VECTORS + s], live[s]);
            part[j * m + c] += sum_of_16(sum);
        }
}

/* Some rows of sixteen columns of part, and one row; y's numbers are broadcast, a vector of x is a row's. */
INLINE void block_outer_rows(global float *part, const float *y, const float16 *x, int vectors, int m)
{
    float16 sum[BLOCK_SUMS];
    UNROLLED for (int j = 0; j < BLOCK_SUMS; j++)
        sum[j] = 0;
    for (int row = 0; row < BLOCK_ROWS; row++) {
        const float16 columns = x[row * vectors];
        UNROLLED for (int j = 0; j < BLOCK_SUMS; j++)
            sum[j] += y[j * BLOCK_ROWS + row] * columns;
    }
    UNROLLED for (int j = 0; j < BLOCK_SUMS; j++)
        vstore16(vload16(0, part + j * m) + sum[j], 0, part + j * m);
}

INLINE void block_outer_row(global float *part, const float *y, const float16 *x, int vectors)
{
    float16 sum[4] = {0, 0, 0, 0};
    for (int row = 0; row < BLOCK_ROWS; row += 4)
        UNROLLED for (int k = 0; k < 4; k++)
            sum[k] += y[row + k] * x[(row + k) * vectors];
    vstore16(vload16(0, part) + ((sum[0] + sum[1]) + (sum[2] + sum[3])), 0, part);
}

/* The same as narrow, in rows: `turned` is room for m / 16 * 16 columns. */
INLINE void block_sum_outer(global float *part, const float16 *y, const float16 *x, float16 *turned, int n, int m,
                            const int16 *live)
{
    const int vectors = m / 16;
    for (int v = 0; v < vectors; v++)
        for (int s = 0; s < BLOCK_VECTORS; s++) {
            float16 square[16];
            UNROLLED for (int j = 0; j < 16; j++)
                square[j] = block_living(x[(16 * v + j) * BLOCK_VECTORS + s], live[s]);
            block_turn(square);
            UNROLLED for (int j = 0; j < 16; j++)
                turned[(16 * s + j) * vectors + v] = square[j];
        }
    const float *numbers = (const float *)y;
    for (int v = 0; v < vectors; v++) {
        int j = 0;
        for (; j + BLOCK_SUMS <= n; j += BLOCK_SUMS)
            block_outer_rows(part + j * m + 16 * v, numbers + j * BLOCK_ROWS, turned + v, vectors, m);
        for (; j < n; j++)
            block_outer_row(part + j * m + 16 * v, numbers + j * BLOCK_ROWS, turned + v, vectors);
    }
    block_sum_outer_narrow(part, y, x, 16 * vectors, n, m, live);
}

APART void block_sum_outer_apart(global float *part, const float16 *y, const float16 *x, float16 *turned, int n, int m,
                                 const int16 *live)
{
    block_sum_outer(part, y, x, turned, n, m, live);
}

/* Sixteen numbers of a result of `size`, or what is left of it. */
INLINE void block_put(global float *y, int i, int size, float16 sum)
{
    if (i + 16 <= size) {
        vstore16(sum, 0, y + i);
        return;
    }
    float lane[16];
    vstore16(sum, 0, lane);
    for (int j = 0; i + j < size; j++)
        y[i + j] = lane[j];
}

/* Samples that end at different times: lane j owns row[j], or ~row[j] once nothing is left for it to do. A lane
 * whose sample is done takes the next row of the work-item's, which end before `end`. */
INLINE void block_take_rows(int *row, int *repetitions, int *next, int end)
{
    for (int j = 0; j < BLOCK_ROWS; j++) {
        row[j] = *next < end ? (*next)++ : ~(end - 1);
        repetitions[j] = 0;
    }
}

/* False when all are done, or were repeated as often as may be. */
INLINE bool block_next_rows(int *row, int *repetitions, const int *active, int *next, int end, int most)
{
    bool running = false;
    for (int j = 0; j < BLOCK_ROWS; j++) {
        repetitions[j]++;
        if (row[j] >= 0 && (!active[j] || repetitions[j] == most)) {
            row[j] = *next < end ? (*next)++ : ~row[j];
            repetitions[j] = 0;
        }
        running = running || row[j] >= 0;
    }
    return running;
}

INLINE void block_load_rows(float16 *tile, const global float *x, int columns, const int *row)
{
    for (int c = 0; c < columns; c++)
        for (int s = 0; s < BLOCK_VECTORS; s++) {
            float lane[16];
            for (int j = 0; j < 16; j++)
                lane[j] = x[max(row[16 * s + j], ~row[16 * s + j]) * columns + c];
            tile[c * BLOCK_VECTORS + s] = vload16(0, lane);
        }
}

INLINE void block_store_rows(global float *x, const float16 *tile, int columns, const int *row)
{
    for (int c = 0; c < columns; c++)
        for (int s = 0; s < BLOCK_VECTORS; s++) {
            float lane[16];
            vstore16(tile[c * BLOCK_VECTORS + s], 0, lane);
            for (int j = 0; j < 16; j++)
                if (row[16 * s + j] >= 0)
                    x[row[16 * s + j] * columns + c] = lane[j];
        }
}

/* index[lane]: a number of the lane's row; read, stored, or made: the row of a data set of `count` that belongs to
 * the row of the batch (permute.h). */
INLINE void block_load_index(int *index, const global int *x, const int *at)
{
    for (int j = 0; j < BLOCK_ROWS; j++)
        index[j] = x[at[j]];
}

INLINE void block_store_index(global int *x, const int *index, const int *at)
{
    for (int j = 0; j < BLOCK_ROWS; j++)
        x[at[j]] = index[j];
}

INLINE void block_batch_index(int *index, int count, ulong total, uint stream, ulong seed, uint step, ulong first_row,
                              const int *at)
{
    for (int s = 0; s < BLOCK_VECTORS; s++)
        vstore16(permute_samples16(step * total + first_row + at[0], vload16(s, at) - at[0], count, seed, stream), s, index);
}

/* tile = the rows of table (count, columns) that `index` names. */
INLINE void block_gather(float16 *tile, const global float *table, const int *index, int columns, int count, float scale,
                         float shift)
{
    int from[BLOCK_ROWS];
    for (int j = 0; j < BLOCK_ROWS; j++)
        from[j] = clamp(index[j], 0, count - 1);
    for (int c = 0; c < columns; c++)
        for (int s = 0; s < BLOCK_VECTORS; s++) {
            float lane[16];
            for (int j = 0; j < 16; j++)
                lane[j] = table[from[16 * s + j] * columns + c];
            tile[c * BLOCK_VECTORS + s] = vload16(0, lane) * scale + shift;
        }
}

/* The words of Philox that belong to element (row, c) of noise (rows, columns), and that element's place in them. */
INLINE noise_words block_words(const int *at, int columns, int c, uint stream, ulong seed, uint step, ulong first_row,
                               uint16 *place)
{
    const ulong16 element = (convert_ulong16(vload16(0, at)) + first_row) * (ulong)columns + (ulong)c;
    *place = convert_uint16(element & 3);
    const ulong16 block = element >> 2;
    return noise_philox16(convert_uint16(block & 0xffffffff), convert_uint16(block >> 32), stream, seed, step);
}

/* For few columns: of a block's four numbers one is used. */
INLINE void block_uniform(float16 *tile, int columns, uint stream, ulong seed, uint step, ulong first_row, const int *at)
{
    for (int c = 0; c < columns; c++)
        for (int s = 0; s < BLOCK_VECTORS; s++) {
            uint16 place;
            const noise_words bits = block_words(at + 16 * s, columns, c, stream, seed, step, first_row, &place);
            const uint16 low = select(bits.word[0], bits.word[1], place == 1), high = select(bits.word[2], bits.word[3], place == 3);
            tile[c * BLOCK_VECTORS + s] = noise_uniform16(select(low, high, place >= 2));
        }
}

INLINE void block_normal(float16 *tile, int columns, uint stream, ulong seed, uint step, ulong first_row, const int *at)
{
    for (int c = 0; c < columns; c++)
        for (int s = 0; s < BLOCK_VECTORS; s++) {
            uint16 place;
            const noise_words bits = block_words(at + 16 * s, columns, c, stream, seed, step, first_row, &place);
            const float16 radius = noise_radius16(select(bits.word[0], bits.word[2], place >= 2));
            float16 cosine;
            const float16 sine = noise_sincos16(noise_uniform16(select(bits.word[1], bits.word[3], place >= 2)), &cosine);
            tile[c * BLOCK_VECTORS + s] = radius * select(cosine, sine, (place & 1) == 1);
        }
}

#endif
