/* Random numbers, counted by (seed, stream, step, element), element = first_row * row_size + i for element i
 * of the result. A work-item draws one Philox block and writes the four elements that it belongs to, as far
 * as they stand in the result: the first element need not be a multiple of four. */
#include "element.h"

/* Writes four values; value 0 belongs to element 4 * block. */
static inline void noise_store(float4 value, global float *out, ulong first, ulong block, int count)
{
    long i = (long)(4 * block - first);
    if (i >= 0 && i + 4 <= count && i % 4 == 0) {
        *(global float4 *)(out + i) = value;
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
    philox_block bits = element_block(4 * block, stream, seed, step);
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
    philox_block bits = element_block(4 * block, stream, seed, step);
    float2 u = (float2)(philox_uniform(bits.word[0]), philox_uniform(bits.word[2]));
    float2 v = (float2)(philox_uniform(bits.word[1]), philox_uniform(bits.word[3]));
    float2 radius = sqrt(-2.0f * log(u));
    float2 angle = 6.28318531f * v;
    float2 x = radius * cos(angle), y = radius * sin(angle);
    noise_store((float4)(x.x, y.x, x.y, y.y), out, first, block, count);
}

/* The numbers of the rows; seed and step are of no use here. */
kernel void noise_row_number(global float *restrict out, int rows, ulong total, ulong seed, uint step, ulong first_row)
{
    int row = get_global_id(0);
    if (row < rows)
        out[row] = (first_row + row) % total;
}

kernel void noise_drop_labels(const global int *restrict label, global int *restrict out, int rows, int instead,
                              float share, uint stream, ulong seed, uint step, ulong first_row)
{
    int row = get_global_id(0);
    if (row < rows)
        out[row] = element_uniform(first_row + row, stream, seed, step) < share ? instead : label[row];
}

kernel void noise_batch_index(global int *restrict out, int batch, int count, ulong batch_total, uint stream,
                              ulong seed, uint step, ulong first_row)
{
    int row = get_global_id(0);
    if (row < batch)
        out[row] = element_batch_index(first_row + row, count, batch_total, stream, seed, step);
}
