/* One step of AdamW (Loshchilov and Hutter 2019) over flat buffers, in two launches and one more for each further average:
 *
 *     adamw_squares   partial sums of g^2, one a group, over `chunk` numbers each
 *     adamw_update    their sum, in each group anew: the global norm and the factor that clips it. With g clipped:
 *                         m = beta1 m + (1 - beta1) g          v = beta2 v + (1 - beta2) g^2
 *                         w = (1 - rate decay) w - rate / (1 - beta1^n) m / (sqrt(v) / sqrt(1 - beta2^n) + epsilon)
 *                         ema = d ema + (1 - d) w
 *     adamw_average   the last line for an average with another d
 *
 * Numbers from `decayed` on have the decay 0. Where the loss or the norm is not finite, everything stays as
 * it was; the host sees it in the ring. With `before` it stays so in the steps behind, too: what broke is there to look
 * at. `count`, `decayed` and `chunk` are multiples of 8. Any local size is right for all; a group of one work-item is the
 * form of CPUs, vectors of eight numbers. On GPUs neighbours take neighbouring numbers. */
#include "group.h"

/* The sum of one group, over numbers begin .. end - 1. */
static inline float adamw_square(global const float *g, ulong begin, ulong end)
{
    size_t lane = get_local_id(0), lanes = get_local_size(0);
    if (lanes == 1) {
        float8 sum = 0.0f;
        for (ulong i = begin; i < end; i += 8) {
            float8 x = vload8(0, g + i);
            sum += x * x;
        }
        return sum_of_4(sum.lo + sum.hi);
    }
    float4 sum = 0.0f;
    ulong i = begin + lane;
    for (; i + 3 * lanes < end; i += 4 * lanes) {
        float4 x = (float4)(g[i], g[i + lanes], g[i + 2 * lanes], g[i + 3 * lanes]);
        sum += x * x;
    }
    for (; i < end; i += lanes)
        sum.x += g[i] * g[i];
    return sum_of_4(sum);
}

kernel void adamw_squares(global const float *restrict g, global float *restrict partial, ulong count,
                          ulong chunk, local float *lane_sum)
{
    size_t lane = get_local_id(0), lanes = get_local_size(0);
    ulong begin = get_group_id(0) * chunk;
    lane_sum[lane] = adamw_square(g, begin, min(begin + chunk, count));
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

static int adamw_sound(global const float *ring, int row)
{
    return adamw_finite(ring[2 * row]) && adamw_finite(ring[2 * row + 1]);
}

/* The factor that clips the gradient, or NaN where no update may happen. The first group writes a row of the ring: loss,
 * norm, which is NaN behind a row `before` that is not finite; -1: that is not looked at. */
static inline float adamw_factor(float squares, float loss, float clip, global float *ring, int row, int before)
{
    const float norm = before < 0 || adamw_sound(ring, before) ? sqrt(squares) : NAN;
    if (get_group_id(0) == 0) {
        ring[2 * row] = loss;
        ring[2 * row + 1] = norm;
    }
    if (!adamw_finite(norm) || !adamw_finite(loss))
        return NAN;
    return clip > 0.0f ? min(1.0f, clip / (norm + 1e-6f)) : 1.0f;
}

/* keep = 1 - rate decay, step1 = rate / (1 - beta1^n), root2 = 1 / sqrt(1 - beta2^n); rest1 = 1 - beta1,
 * rest2 = 1 - beta2 and ema_rest = 1 - d come rounded once, from double. */
#define ADAMW_STEP(real, x, w0, m0, v0, kept)                                                                          \
    const real m1 = beta1 * m0 + rest1 * x;                                                                            \
    const real v1 = beta2 * v0 + rest2 * x * x;                                                                        \
    const real w1 = kept * w0 - step1 * m1 / (sqrt(v1) * root2 + epsilon);

/* A work-item takes a number, and of many the one that lies as far on as there are work-items, and so on. `ema` may
 * be null. */
kernel void adamw_update(global const float *restrict partial, int partials, global const float *restrict loss,
                         float clip, global float *restrict ring, int row, ulong count, global const float *restrict g,
                         global float *restrict w, global float *restrict m, global float *restrict v,
                         global float *restrict ema, float keep, float beta1, float rest1, float beta2, float rest2,
                         float step1, float root2, float epsilon, float ema_rest, ulong decayed, int before)
{
    local float lane_sum[GROUP_MAX], factor;
    float sum = 0.0f;
    for (int i = get_local_id(0); i < partials; i += get_local_size(0))
        sum += partial[i];
    sum = group_sum(sum, lane_sum);
    if (get_local_id(0) == 0)
        factor = adamw_factor(sum, loss[0], clip, ring, row, before);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (ulong i = get_global_id(0); i < count && adamw_finite(factor); i += get_global_size(0)) {
        const float x = g[i] * factor, w0 = w[i], m0 = m[i], v0 = v[i];
        ADAMW_STEP(float, x, w0, m0, v0, (i < decayed ? keep : 1.0f))
        m[i] = m1;
        v[i] = v1;
        w[i] = w1;
        if (ema)
            ema[i] += ema_rest * (w1 - ema[i]);
    }
}

/* After adamw_update, which wrote the row. A work-item takes numbers as there. */
kernel void adamw_average(global const float *restrict ring, int row, ulong count, global const float *restrict w,
                          global float *restrict ema, float ema_rest)
{
    const int sound = adamw_sound(ring, row);
    for (ulong i = get_global_id(0); i < count && sound; i += get_global_size(0))
        ema[i] += ema_rest * (w[i] - ema[i]);
}
