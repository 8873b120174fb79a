/* The kernels of the self-test (src/device/selftest.c): each family of what the other kernels rely on. */

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

/* The sum of each group's share of n numbers, in groups of SELFTEST_GROUP: as many groups as there are
 * partials. The second stage is the same kernel in one group. */
#define SELFTEST_GROUP 64
kernel void selftest_sum(const global float *restrict in, global float *restrict out, const uint n)
{
    local float share[SELFTEST_GROUP];
    const uint lane = get_local_id(0);
    float sum = 0.0f;
    for (uint i = get_global_id(0); i < n; i += get_global_size(0))
        sum += in[i];
    share[lane] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint width = SELFTEST_GROUP / 2; width > 0; width /= 2) {
        if (lane < width)
            share[lane] += share[lane + width];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (lane == 0)
        out[get_group_id(0)] = share[0];
}

/* out[row] = table[index[row]], rows of `columns` numbers. */
kernel void selftest_gather(const global float *restrict table, const global int *restrict index,
                            global float *restrict out, const int columns, const int rows)
{
    const int column = get_global_id(0), row = get_global_id(1);
    if (column < columns && row < rows)
        out[row * columns + column] = table[index[row] * columns + column];
}
