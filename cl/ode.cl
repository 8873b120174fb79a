/* The end of an adaptive Runge-Kutta step, each sample with its own time and step: the error's norm, whether
 * the step is accepted, the next step's size (ode.h). A work-group owns a sample. */
#include "group.h"
#include "ode.h"

/* No restrict: a result may stand in the memory of an input of its shape. Each element of x, x_new, k_first and
 * k_last is read by the work-item that writes it, and the state is written last. The results x_out, k_out and
 * state_out that nobody reads are NULL. */
kernel void ode_advance(const global float *x, const global float *x_new, const global float *error,
                        const global float *k_first, const global float *k_last, const global float *state,
                        int d, float rtol, float atol, float order, global float *x_out, global float *k_out,
                        global float *state_out)
{
    local float partial[GROUP_MAX];
    int row = get_group_id(0), begin = row * d, end = begin + d;
    float next[8];
    vstore8(vload8(row, state), 0, next);
    float sum = 0;
    int i = begin;
    if (get_local_size(0) == 1) {
        float16 wide = 0;
        for (; i + 16 <= end; i += 16) {
            float16 size = max(fabs(vload16(0, x + i)), fabs(vload16(0, x_new + i)));
            float16 ratio = vload16(0, error + i) / (atol + rtol * size);
            wide += ratio * ratio;
        }
        sum = sum_of_16(wide);
    }
    for (i += get_local_id(0); i < end; i += get_local_size(0)) {
        float ratio = error[i] / (atol + rtol * max(fabs(x[i]), fabs(x_new[i])));
        sum += ratio * ratio;
    }
    float norm = sqrt(group_sum(sum, partial) / d);
    const bool accepted = math_ode_control_float(next, norm, order);
    for (i = begin + get_local_id(0); i < end; i += get_local_size(0)) {
        float next_x = accepted ? x_new[i] : x[i];
        float next_k = accepted ? k_last[i] : k_first[i];
        if (x_out)
            x_out[i] = next_x;
        if (k_out)
            k_out[i] = next_k;
    }
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    if (get_local_id(0) == 0 && state_out)
        vstore8(vload8(0, next), row, state_out);
}
