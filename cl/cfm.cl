/* Conditional flow matching: the loss of a sample, and its gradient. Rows are samples, D numbers each. */
#include "group.h"

/* loss = mean over D of (v - u)^2, a work-group a sample. `vector` is 4 on GPUs where rows are of aligned float4, as is
 * asked for. */
kernel void cfm_loss(const global float *restrict v, const global float *restrict u, int d,
                     global float *restrict loss, int vector)
{
    local float partial[GROUP_MAX];
    int row = get_group_id(0), i = 0;
    v += row * d;
    u += row * d;
    float sum = 0;
    if (get_local_size(0) == 1) {
        float16 wide = 0;
        for (; i + 16 <= d; i += 16) {
            float16 error = vload16(0, v + i) - vload16(0, u + i);
            wide += error * error;
        }
        sum = sum_of_16(wide);
    }
    if (vector == 4) {
        float4 four = 0;
        for (i = 4 * get_local_id(0); i < d; i += 4 * get_local_size(0)) {
            float4 error = *(const global float4 *)(v + i) - *(const global float4 *)(u + i);
            four += error * error;
        }
        sum = sum_of_4(four);
    }
    for (i += get_local_id(0); i < d; i += get_local_size(0)) {
        float error = v[i] - u[i];
        sum += error * error;
    }
    sum = group_sum(sum, partial);
    if (get_local_id(0) == 0)
        loss[row] = sum / d;
}

/* d loss / d v times the upstream gradient g of each sample: g * 2 (v - u) / D. */
kernel void cfm_loss_grad(const global float *v, const global float *u, const global float *restrict g, int d,
                          int rows, global float *grad)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x >= d || row >= rows)
        return;
    int i = row * d + x;
    grad[i] = 2.0f / d * g[row] * (v[i] - u[i]);
}
