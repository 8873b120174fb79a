/* The control of an adaptive step, for whole kernels (ode.cl) and for row blocks (block.h): of one sample, or of
 * one in each lane of `real` (math.h).
 *
 * PI control (Gustafsson) with the weights of Hairer and Wanner's DOPRI5 at order 5:
 * factor = clamp(0.9 error^(-0.85/order) previous^(0.2/order), 0.2, 5). A steady solution keeps an error of
 * 0.9^(order/0.65), 0.44 of the tolerance at order 5. The errors are clamped from below, so that a vanishing one
 * gives the largest factor and not an infinity. A norm that is NaN or infinite rejects with the smallest factor. */
#include "math.h"

#ifndef ODE_T
/* The columns of enum fcl_ode_state. */
#define ODE_T 0
#define ODE_H 1
#define ODE_T_END 2
#define ODE_ERROR 3
#define ODE_ACCEPTED 4
#define ODE_REJECTED 5
#define ODE_ACTIVE 6
#define ODE_PROPOSED 7
#endif

static inline real MATH(ode_factor)(real norm, real previous, MATH_INT accepted, float order)
{
    const MATH_INT finite = norm < 1e30f;
    const real error = MATH(log)(max(select((real)(1.0f), norm, finite), 1e-6f));
    const real power = error * (-0.85f / order) + MATH(log)(max(previous, 1e-4f)) * (0.2f / order);
    const real factor = select((real)(0.2f), clamp(0.9f * MATH(exp)(power), 0.2f, 5.0f), finite);
    return select(min(factor, 0.9f), factor, accepted);
}

/* `s`, the columns of the state, after a step whose error norm is `norm`. True where the step is accepted. */
static inline MATH_INT MATH(ode_control)(real *s, real norm, float order)
{
    const MATH_INT active = s[ODE_ACTIVE] == 1.0f, accepted = active & (norm <= 1.0f);
    const MATH_INT rejected = active & !accepted;
    const real h = s[ODE_H], factor = MATH(ode_factor)(norm, s[ODE_ERROR], accepted, order);
    const MATH_INT last = accepted & (h == s[ODE_T_END] - s[ODE_T]);
    s[ODE_T] = select(s[ODE_T], select(s[ODE_T] + h, s[ODE_T_END], last), accepted);
    s[ODE_ERROR] = select(s[ODE_ERROR], norm, accepted);
    s[ODE_ACCEPTED] = select(s[ODE_ACCEPTED], s[ODE_ACCEPTED] + 1.0f, accepted);
    s[ODE_REJECTED] = select(s[ODE_REJECTED], s[ODE_REJECTED] + 1.0f, rejected);
    const real left = s[ODE_T_END] - s[ODE_T];
    const MATH_INT goes_on = left * h > 0.0f;
    real next = h * factor;
    /* Below four rounding errors of t a step no longer moves it. The comparison is false for a NaN. */
    const MATH_INT alive = fabs(next) >= 4.8e-7f * max(fabs(s[ODE_T]), fabs(s[ODE_T_END]));
    /* A step that t_end has cut short says less of the next size than what was proposed before it. */
    const real proposed = select(next, s[ODE_PROPOSED], last & (fabs(s[ODE_PROPOSED]) > fabs(next)));
    s[ODE_PROPOSED] = select(s[ODE_PROPOSED], proposed, active);
    next = select(next, left, fabs(next) * 1.01f >= fabs(left));
    const MATH_INT done = accepted & !goes_on, runs = active & alive & !done;
    const real ended = select((real)(-1.0f), (real)(0.0f), done);
    s[ODE_H] = select((real)(0.0f), next, runs);
    s[ODE_ACTIVE] = select(s[ODE_ACTIVE], select(ended, (real)(1.0f), runs), active);
    return accepted;
}
