/* The control of an adaptive step of one sample, for whole kernels (ode.cl) and for row blocks (block.h).
 *
 * PI control (Gustafsson): factor = clamp(0.9 error^(-0.7/order) previous^(0.4/order), 0.2, 5); the errors are
 * clamped from below, so that a vanishing one gives the largest factor and not an infinity. A norm that is NaN
 * or infinite rejects with the smallest factor. */
#ifndef ODE_H_
#define ODE_H_

/* The columns of enum fcl_ode_state. */
#define ODE_T 0
#define ODE_H 1
#define ODE_T_END 2
#define ODE_ERROR 3
#define ODE_ACCEPTED 4
#define ODE_REJECTED 5
#define ODE_ACTIVE 6
#define ODE_PROPOSED 7

/* The state after a step whose error norm is `norm`. */
static inline float8 ode_control(float8 old, float norm, float order, bool accepted)
{
    float s[8];
    vstore8(old, 0, s);
    float factor = 0.2f;
    if (norm < 1e30f)
        factor = clamp(0.9f * pow(max(norm, 1e-6f), -0.7f / order) * pow(max(s[ODE_ERROR], 1e-4f), 0.4f / order),
                       0.2f, 5.0f);
    bool last = accepted && s[ODE_H] == s[ODE_T_END] - s[ODE_T];
    if (accepted) {
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
    /* A step that t_end has cut short says less of the next size than what was proposed before it. */
    s[ODE_PROPOSED] = last && fabs(s[ODE_PROPOSED]) > fabs(h) ? s[ODE_PROPOSED] : h;
    if (fabs(h) * 1.01f >= fabs(left))
        h = left;
    s[ODE_H] = done || !alive ? 0.0f : h;
    s[ODE_ACTIVE] = done ? 0.0f : alive ? 1.0f : -1.0f;
    return vload8(0, s);
}

#endif
