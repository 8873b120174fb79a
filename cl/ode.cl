/* The end of an adaptive Runge-Kutta step, each sample with its own time and step: the error's norm, whether
 * the step is accepted, the next step's size. A work-group owns a sample.
 *
 * PI control (Gustafsson): factor = clamp(0.9 error^(-0.7/order) previous^(0.4/order), 0.2, 5); the errors are
 * clamped from below, so that a vanishing one gives the largest factor and not an infinity. A norm that is NaN
 * or infinite rejects with the smallest factor. */

/* The columns of enum fcl_ode_state. */
#define ODE_T 0
#define ODE_H 1
#define ODE_T_END 2
#define ODE_ERROR 3
#define ODE_ACCEPTED 4
#define ODE_REJECTED 5
#define ODE_ACTIVE 6

/* The state after a step whose error norm is `norm`. */
static inline float8 ode_control(float8 old, float norm, float order, bool accepted)
{
    float s[8];
    vstore8(old, 0, s);
    float factor = 0.2f;
    if (norm < 1e30f)
        factor = clamp(0.9f * pow(max(norm, 1e-6f), -0.7f / order) * pow(max(s[ODE_ERROR], 1e-4f), 0.4f / order),
                       0.2f, 5.0f);
    if (accepted) {
        bool last = s[ODE_H] == s[ODE_T_END] - s[ODE_T];
        s[ODE_T] = last ? s[ODE_T_END] : s[ODE_T] + s[ODE_H];
        s[ODE_ERROR] = norm;
        s[ODE_ACCEPTED] += 1;
    } else {
        factor = min(factor, 0.9f);
        s[ODE_REJECTED] += 1;
    }
    float left = s[ODE_T_END] - s[ODE_T];
    float h = s[ODE_H] * factor;
    bool done = accepted && !(left * s[ODE_H] > 0);
    /* Below four rounding errors of t a step no longer moves it. The comparison is false for a NaN. */
    bool alive = fabs(h) >= 4.8e-7f * max(fabs(s[ODE_T]), fabs(s[ODE_T_END]));
    if (fabs(h) * 1.01f >= fabs(left))
        h = left;
    s[ODE_H] = done || !alive ? 0.0f : h;
    s[ODE_ACTIVE] = done ? 0.0f : alive ? 1.0f : -1.0f;
    return vload8(0, s);
}

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
    float8 old = vload8(row, state);
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
    bool active = old.s6 == 1.0f;
    bool accepted = active && norm <= 1.0f;
    for (i = begin + get_local_id(0); i < end; i += get_local_size(0)) {
        float next_x = accepted ? x_new[i] : x[i];
        float next_k = accepted ? k_last[i] : k_first[i];
        if (x_out)
            x_out[i] = next_x;
        if (k_out)
            k_out[i] = next_k;
    }
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    if (get_local_id(0) == 0 && state_out) {
        float8 stopped = old;
        stopped.s1 = 0.0f;
        vstore8(active ? ode_control(old, norm, order, accepted) : stopped, row, state_out);
    }
}
