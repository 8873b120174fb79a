/* One step of AdamW (Loshchilov and Hutter 2019) over flat buffers, in two launches:
 *
 *     adamw_squares   partial sums of g^2, one a group, over `chunk` numbers each
 *     adamw_update    their sum, in each group anew: the global norm and the factor that clips it. With g clipped:
 *                         m = beta1 m + (1 - beta1) g          v = beta2 v + (1 - beta2) g^2
 *                         w = (1 - rate decay) w - rate / (1 - beta1^n) m / (sqrt(v) / sqrt(1 - beta2^n) + epsilon)
 *                         ema = d ema + (1 - d) w
 *
 * Where the loss or the norm is not finite, the update leaves everything as it was; the host sees it in the
 * ring. `count` and `chunk` are multiples of 8. Any local size is right for both. */
#include "group.h"

kernel void adamw_squares(global const float *restrict g, global float *restrict partial, ulong count,
                          ulong chunk, local float *lane_sum)
{
    size_t lane = get_local_id(0), lanes = get_local_size(0);
    ulong begin = get_group_id(0) * chunk, end = min(begin + chunk, count);
    float8 sum = 0.0f;
    for (ulong i = begin + 8 * lane; i < end; i += 8 * lanes) {
        float8 x = vload8(0, g + i);
        sum += x * x;
    }
    float4 four = sum.lo + sum.hi;
    float2 two = four.lo + four.hi;
    lane_sum[lane] = two.x + two.y;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane == 0) {
        float total = 0.0f;
        for (size_t i = 0; i < lanes; i++)
            total += lane_sum[i];
        partial[get_group_id(0)] = total;
    }
}

static int adamw_finite(float x)
{
    return (as_uint(x) & 0x7f800000u) != 0x7f800000u;
}

/* The factor that clips the gradient, or NaN where no update may happen. The first group writes a row of the ring: loss,
 * norm. `partials` is a multiple of 16. */
static inline float adamw_factor(global const float *partial, int partials, float loss, float clip, global float *ring,
                                 int row)
{
    float16 sum = 0.0f;
    for (int i = 0; i < partials / 16; i++)
        sum += vload16(i, partial);
    const float norm = sqrt(sum_of_16(sum));
    if (get_group_id(0) == 0) {
        ring[2 * row] = loss;
        ring[2 * row + 1] = norm;
    }
    if (!adamw_finite(norm) || !adamw_finite(loss))
        return NAN;
    return clip > 0.0f ? min(1.0f, clip / (norm + 1e-6f)) : 1.0f;
}

/* A work-item takes eight numbers. `ema` may be null. keep = 1 - rate decay, step1 = rate / (1 - beta1^n), root2 = 1 / sqrt(1 - beta2^n);
 * rest1 = 1 - beta1, rest2 = 1 - beta2 and ema_rest = 1 - d come rounded once, from double. */
kernel void adamw_update(global const float *restrict partial, int partials, global const float *restrict loss, float clip,
                         global float *restrict ring, int row, ulong count, global const float *restrict g,
                         global float *restrict w, global float *restrict m, global float *restrict v,
                         global float *restrict ema, float keep, float beta1, float rest1, float beta2,
                         float rest2, float step1, float root2, float epsilon, float ema_rest)
{
    local float factor;
    if (get_local_id(0) == 0)
        factor = adamw_factor(partial, partials, loss[0], clip, ring, row);
    barrier(CLK_LOCAL_MEM_FENCE);
    const size_t i = get_global_id(0);
    if (8 * i >= count || !adamw_finite(factor))
        return;
    float8 x = vload8(i, g) * factor, w0 = vload8(i, w), m0 = vload8(i, m), v0 = vload8(i, v);
    float8 m1 = beta1 * m0 + rest1 * x;
    float8 v1 = beta2 * v0 + rest2 * x * x;
    float8 w1 = keep * w0 - step1 * m1 / (sqrt(v1) * root2 + epsilon);
    vstore8(m1, i, m);
    vstore8(v1, i, v);
    vstore8(w1, i, w);
    if (ema) {
        float8 e = vload8(i, ema);
        vstore8(e + ema_rest * (w1 - e), i, ema);
    }
}
