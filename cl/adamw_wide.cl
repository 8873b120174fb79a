/* The update of adamw.cl for CPUs: a work-item takes eight numbers. `partials` is a multiple of 16; `ema` may be null. */
kernel void adamw_update_wide(global const float *restrict partial, int partials, global const float *restrict loss,
                              float clip, global float *restrict ring, int row, ulong count,
                              global const float *restrict g, global float *restrict w, global float *restrict m,
                              global float *restrict v, global float *restrict ema, float keep, float beta1,
                              float rest1, float beta2, float rest2, float step1, float root2, float epsilon,
                              float ema_rest, ulong decayed, int before)
{
    local float factor;
    if (get_local_id(0) == 0) {
        float16 sum = 0.0f;
        for (int i = 0; i < partials / 16; i++)
            sum += vload16(i, partial);
        factor = adamw_factor(sum_of_16(sum), loss[0], clip, ring, row, before);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const size_t i = get_global_id(0);
    if (8 * i >= count || !adamw_finite(factor))
        return;
    const float8 x = vload8(i, g) * factor, w0 = vload8(i, w), m0 = vload8(i, m), v0 = vload8(i, v);
    ADAMW_STEP(float8, x, w0, m0, v0, (8 * i < decayed ? keep : 1.0f))
    vstore8(m1, i, m);
    vstore8(v1, i, v);
    vstore8(w1, i, w);
    if (ema) {
        float8 e = vload8(i, ema);
        vstore8(e + ema_rest * (w1 - e), i, ema);
    }
}

/* adamw_average: a work-item takes eight numbers. */
kernel void adamw_average_wide(global const float *restrict ring, int row, ulong count, global const float *restrict w,
                               global float *restrict ema, float ema_rest)
{
    const size_t i = get_global_id(0);
    if (8 * i >= count || !adamw_sound(ring, row))
        return;
    const float8 e = vload8(i, ema);
    vstore8(e + ema_rest * (vload8(i, w) - e), i, ema);
}
