/* The kernels of the self-test (src/device/selftest.c): what the other kernels rely on. */
#include "math.h"
#include "philox.h"

/* in: (cases, 6), a counter of four words and a key of two; out: (cases, 4). */
kernel void selftest_philox(const global uint *restrict in, global uint *restrict out)
{
    const size_t i = get_global_id(0);
    const philox_block block =
        philox(in[6 * i], in[6 * i + 1], in[6 * i + 2], in[6 * i + 3], in[6 * i + 4], in[6 * i + 5]);
    for (int word = 0; word < 4; word++)
        out[4 * i + word] = block.word[word];
}

/* out: (functions, n), in the order of the table in selftest.c. */
kernel void selftest_functions(const global float *restrict in, global float *restrict out, const uint n)
{
    const uint i = get_global_id(0);
    if (i >= n)
        return;
    const float x = in[i];
    out[0 * n + i] = exp(x);
    out[1 * n + i] = log(fabs(x) + 0.125f);
    out[2 * n + i] = tanh(x);
    out[3 * n + i] = sqrt(fabs(x));
    out[4 * n + i] = sin(x);
    out[5 * n + i] = cos(x);
    out[6 * n + i] = erf(x);
    out[7 * n + i] = x / (1.0f + exp(-x));
    out[8 * n + i] = x > 0.0f ? x : 1.5f * expm1(x);
}

/* cl/math.h for one number a work-item, and for vectors; out: (functions, n), in the order of the table in
 * selftest_step.c. n is a multiple of the vectors' length. */
kernel void selftest_math(const global float *restrict in, global float *restrict out, const uint n)
{
    const uint i = get_global_id(0);
    const float x = in[i];
    out[0 * n + i] = math_exp_float(x);
    out[1 * n + i] = math_log_float(fabs(x));
    out[2 * n + i] = math_tanh_float(x);
    out[3 * n + i] = math_erf_float(x);
    out[4 * n + i] = math_expm1_negative_float(-fabs(x));
}

kernel void selftest_math4(const global float *restrict in, global float *restrict out, const uint n)
{
    const uint i = get_global_id(0);
    const float4 x = vload4(i, in);
    vstore4(math_exp_float4(x), i, out + 0 * n);
    vstore4(math_log_float4(fabs(x)), i, out + 1 * n);
    vstore4(math_tanh_float4(x), i, out + 2 * n);
    vstore4(math_erf_float4(x), i, out + 3 * n);
    vstore4(math_expm1_negative_float4(-fabs(x)), i, out + 4 * n);
}

/* out[row] = table[index[row]], rows of `columns` numbers. */
kernel void selftest_gather(const global float *restrict table, const global int *restrict index,
                            global float *restrict out, const int columns, const int rows)
{
    const int column = get_global_id(0), row = get_global_id(1);
    if (column < columns && row < rows)
        out[row * columns + column] = table[index[row] * columns + column];
}
