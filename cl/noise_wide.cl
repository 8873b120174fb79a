/* The random numbers of noise.cl in the form for CPUs: a work-item draws sixteen blocks, one in each lane, and writes
 * their 64 elements. */

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

/* Sixteen rows a work-item. */
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
