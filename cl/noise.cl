/* Random numbers, counted by (seed, stream, step, element), element = first_row * row_size + i for element i
 * of the result. A work-item draws one Philox block and writes the four elements that it belongs to, as far
 * as they stand in the result: the first element need not be a multiple of four. */

static inline philox_block noise_block(ulong block, uint stream, ulong seed, uint step)
{
    return philox((uint)block, (uint)(block >> 32), step, stream, (uint)seed, (uint)(seed >> 32));
}

/* Writes four values; value 0 belongs to element 4 * block. */
static inline void noise_store(float4 value, global float *out, ulong first, ulong block, int count)
{
    long i = (long)(4 * block - first);
    if (i >= 0 && i + 4 <= count) {
        vstore4(value, 0, out + i);
        return;
    }
    float lane[4];
    vstore4(value, 0, lane);
    for (int k = 0; k < 4; k++)
        if (i + k >= 0 && i + k < count)
            out[i + k] = lane[k];
}

/* Strictly inside (0, 1). */
kernel void noise_uniform(global float *restrict out, int count, int row_size, uint stream, ulong seed, uint step,
                          ulong first_row)
{
    ulong first = first_row * row_size;
    ulong block = first / 4 + get_global_id(0);
    philox_block bits = noise_block(block, stream, seed, step);
    float4 u = (float4)(philox_uniform(bits.word[0]), philox_uniform(bits.word[1]), philox_uniform(bits.word[2]),
                        philox_uniform(bits.word[3]));
    noise_store(u, out, first, block, count);
}

/* N(0, 1) by Box-Muller: words 0 and 1 of a block make its elements 0 and 1, words 2 and 3 the others. */
kernel void noise_normal(global float *restrict out, int count, int row_size, uint stream, ulong seed, uint step,
                         ulong first_row)
{
    ulong first = first_row * row_size;
    ulong block = first / 4 + get_global_id(0);
    philox_block bits = noise_block(block, stream, seed, step);
    float2 u = (float2)(philox_uniform(bits.word[0]), philox_uniform(bits.word[2]));
    float2 v = (float2)(philox_uniform(bits.word[1]), philox_uniform(bits.word[3]));
    float2 radius = sqrt(-2.0f * log(u));
    float2 angle = 6.28318531f * v;
    float2 x = radius * cos(angle), y = radius * sin(angle);
    noise_store((float4)(x.x, y.x, x.y, y.y), out, first, block, count);
}

/* --- for CPUs: a work-item draws sixteen blocks, one in each lane, and writes their 64 elements --- */

static inline float16 noise_low16(float16 x, float16 y)
{
    return (float16)(x.s0, y.s0, x.s1, y.s1, x.s2, y.s2, x.s3, y.s3, x.s4, y.s4, x.s5, y.s5, x.s6, y.s6, x.s7, y.s7);
}

static inline float16 noise_high16(float16 x, float16 y)
{
    return (float16)(x.s8, y.s8, x.s9, y.s9, x.sa, y.sa, x.sb, y.sb, x.sc, y.sc, x.sd, y.sd, x.se, y.se, x.sf, y.sf);
}

/* Lane b of value[k] belongs to element k of block `block` + b. */
static inline void noise_store16(float16 *value, global float *out, ulong first, ulong block, int count)
{
    const float16 even_low = noise_low16(value[0], value[2]), even_high = noise_high16(value[0], value[2]);
    const float16 odd_low = noise_low16(value[1], value[3]), odd_high = noise_high16(value[1], value[3]);
    const float16 run[4] = {noise_low16(even_low, odd_low), noise_high16(even_low, odd_low),
                            noise_low16(even_high, odd_high), noise_high16(even_high, odd_high)};
    const long begin = (long)(4 * block - first);
    for (int k = 0; k < 4; k++) {
        const long i = begin + 16 * k;
        if (i >= 0 && i + 16 <= count) {
            vstore16(run[k], 0, out + i);
            continue;
        }
        float lane[16];
        vstore16(run[k], 0, lane);
        for (int j = 0; j < 16; j++)
            if (i + j >= 0 && i + j < count)
                out[i + j] = lane[j];
    }
}

kernel void noise_uniform_wide(global float *restrict out, int count, int row_size, uint stream, ulong seed, uint step,
                               ulong first_row)
{
    const ulong first = first_row * row_size, block = first / 4 + 16 * get_global_id(0);
    const noise_words bits = noise_words16(block, stream, seed, step);
    float16 value[4];
    for (int k = 0; k < 4; k++)
        value[k] = noise_uniform16(bits.word[k]);
    noise_store16(value, out, first, block, count);
}

kernel void noise_normal_wide(global float *restrict out, int count, int row_size, uint stream, ulong seed, uint step,
                              ulong first_row)
{
    const ulong first = first_row * row_size, block = first / 4 + 16 * get_global_id(0);
    const noise_words bits = noise_words16(block, stream, seed, step);
    float16 value[4];
    for (int k = 0; k < 4; k += 2) {
        float16 cosine;
        const float16 radius = noise_radius16(bits.word[k]);
        const float16 sine = noise_sincos16(noise_uniform16(bits.word[k + 1]), &cosine);
        value[k] = radius * cosine;
        value[k + 1] = radius * sine;
    }
    noise_store16(value, out, first, block, count);
}

/* The numbers of the rows; seed and step are of no use here. */
kernel void noise_row_number(global float *restrict out, int rows, ulong total, ulong seed, uint step, ulong first_row)
{
    int row = get_global_id(0);
    if (row < rows)
        out[row] = (first_row + row) % total;
}

/* Rows of a data set of `count`: sample s stands at place s % count of the permutation of epoch s / count. */
kernel void noise_batch_index(global int *restrict out, int batch, int count, ulong batch_total, uint stream,
                              ulong seed, uint step, ulong first_row)
{
    int row = get_global_id(0);
    if (row >= batch)
        return;
    ulong sample = step * batch_total + first_row + row;
    ulong epoch = sample / count;
    out[row] = permute_index((uint)(sample - epoch * count), count, seed, stream, epoch);
}

/* For CPUs: sixteen rows a work-item. */
kernel void noise_batch_index_wide(global int *restrict out, int batch, int count, ulong batch_total, uint stream,
                                   ulong seed, uint step, ulong first_row)
{
    const int16 further = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const int row = 16 * get_global_id(0), rows = min(16, batch - row);
    int lane[16];
    vstore16(permute_samples16(step * batch_total + first_row + row, further, count, seed, stream), 0, lane);
    for (int i = 0; i < rows; i++)
        out[row + i] = lane[i];
}
