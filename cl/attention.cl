/* Attention's gradient in the bias, an element a work-item, and its tangent, of which a work-group of any size has a row: its
 * work-items share the keys of a chunk, and then the columns. What a chunk computes stands in local memory; sums over chunks
 * in the result. Names and formulas: src/device/attention.h. Of rows number n belongs to item n % batch of q, k, v, mask and
 * bias. A key whose mask is 0 is not read, nor is its value. */
#include "group.h"
#include "math.h"

#define ATTENTION_CHUNK 256
#define ATTENTION_SIZES int batch, int heads, int queries, int keys, int width, int bias_size, float scale

static inline float attention_dot(const global float *a, const global float *b, int width)
{
    float sum = 0;
    for (int c = 0; c < width; c++)
        sum += a[c] * b[c];
    return sum;
}

/* Of a query by key number j, -INFINITY where that is left out. q, mask and bias are the query's. */
static inline float attention_score(const global float *q, const global float *k, const global float *mask,
                                    const global float *bias, int j, int pitch, int width, float scale)
{
    if (mask && mask[j] == 0)
        return -INFINITY;
    const float product = scale * attention_dot(q, k + j * pitch, width);
    return bias ? product + bias[j] : product;
}

/* The sum of weight[j] times row j of x, whose rows of weight 0 are not read. */
static inline float attention_sum(const local float *weight, const global float *x, int count, int pitch)
{
    float sum = 0;
    for (int j = 0; j < count; j++)
        if (weight[j] != 0)
            sum += weight[j] * x[j * pitch];
    return sum;
}

/* In the bias, (rows, keys): a work-item an element, which adds up the batch where all of it shares the bias. */
kernel void attention_grad_bias(const global float *restrict q, const global float *restrict k, const global float *restrict v,
                                const global float *mask, const global float *restrict bias,
                                const global float *restrict o, const global float *restrict lse,
                                const global float *restrict u, global float *restrict dbias, ATTENTION_SIZES, int rows)
{
    const int j = get_global_id(0), row = get_global_id(1);
    if (j >= keys || row >= rows)
        return;
    const int i = row % queries, head = row / queries % heads, n = row / queries / heads, pitch = heads * width;
    const int first = bias_size ? n % batch : 0, end = bias_size ? first + 1 : batch;
    const int lead = bias_size ? n / batch : n;
    float sum = 0;
    for (int item = first; item < end; item++) {
        const int at = (item * queries + i) * pitch + head * width;
        const int seed = ((lead * batch + item) * queries + i) * pitch + head * width;
        const float s = attention_score(q + at, k + item * keys * pitch + head * width, mask ? mask + item * keys : mask,
                                        bias + item * bias_size + (head * queries + i) * keys, j, pitch, width, scale);
        const float p = math_exp_float(s - lse[(item * heads + head) * queries + i]);
        if (p != 0)
            sum += p * (attention_dot(u + seed, v + (item * keys + j) * pitch + head * width, width) -
                        attention_dot(u + seed, o + at, width));
    }
    dbias[row * keys + j] = sum;
}

/* The tangent: of each of q, k, v and bias there may be none. */
kernel void attention_tangent(const global float *restrict q, const global float *restrict k, const global float *restrict v,
                              const global float *mask, const global float *bias, const global float *restrict o,
                              const global float *restrict lse, const global float *dq, const global float *dk,
                              const global float *dv, const global float *dbias, global float *restrict out, ATTENTION_SIZES)
{
    local float partial[GROUP_MAX], weight[ATTENTION_CHUNK], slope[ATTENTION_CHUNK];
    const int row = get_group_id(0), id = get_local_id(0), size = get_local_size(0);
    const int i = row % queries, head = row / queries % heads, n = row / queries / heads, item = n % batch;
    const int pitch = heads * width, own = (n * queries + i) * pitch + head * width;
    const int of_keys = n * keys * pitch + head * width, of_bias = (head * queries + i) * keys;
    q += (item * queries + i) * pitch + head * width;
    o += (item * queries + i) * pitch + head * width;
    out += own;
    k += item * keys * pitch + head * width;
    v += item * keys * pitch + head * width;
    const global float *own_mask = mask ? mask + item * keys : mask;
    const global float *own_bias = bias ? bias + item * bias_size + of_bias : bias;
    const float own_lse = lse[(item * heads + head) * queries + i];
    const int slopes = (bias_size ? n : n / batch) * heads * queries * keys + of_bias;
    float mean = 0;
    for (int first = 0; first < keys; first += ATTENTION_CHUNK) {
        const int count = min(ATTENTION_CHUNK, keys - first);
        float part = 0;
        for (int at = id; at < count; at += size) {
            const int j = first + at;
            const float s = attention_score(q, k, own_mask, own_bias, j, pitch, width, scale);
            float t = 0;
            weight[at] = math_exp_float(s - own_lse);
            if (weight[at] != 0) {
                if (dq)
                    t += attention_dot(dq + own, k + j * pitch, width);
                if (dk)
                    t += attention_dot(q, dk + of_keys + j * pitch, width);
                t = scale * t + (dbias ? dbias[slopes + j] : 0);
            }
            slope[at] = weight[at] * t;
            part += slope[at];
        }
        mean += group_sum(part, partial);
        for (int c = id; c < width; c += size) {
            float sum = attention_sum(slope, v + first * pitch + c, count, pitch);
            if (dv)
                sum += attention_sum(weight, dv + of_keys + first * pitch + c, count, pitch);
            out[c] = (first ? out[c] : 0) + sum;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    for (int c = id; c < width; c += size)
        out[c] -= mean * o[c];
}
#undef ATTENTION_SIZES
