/* exp, log, tanh and erf in straight lines, for `real` = float or a vector of them: the same text is compiled
 * once for each type (cl/meson.build), as math_exp_float16(x) and so on; MATH(exp)(x) is the one for the `real`
 * of the place. A driver's own are calls that keep a whole kernel in memory, and may err by 16 units.
 *
 * Bounds, in units of the last place, which tests/test_math.c asserts for every driver:
 *
 *     exp, log, expm1_negative, exp_negative: 2        erf: 3        tanh: 5        sin, cos: 4, the driver's own
 *
 * Two of tanh's are the quotient's: OpenCL lets it err by 2.5 units, and no option asks for the half unit of most CPUs.
 * A result below FLT_MIN may be zero, an argument below it may be read as zero. NaN gives NaN, infinities their
 * limits, and zeros keep their sign in tanh and erf. The polynomials are the best of their degree for the
 * relative error, their coefficients rounded one after the other. */
#ifndef MATH
#define MATH_JOIN2(a, b) a##b
#define MATH_JOIN(a, b) MATH_JOIN2(a, b)
#define MATH(name) MATH_JOIN(math_##name##_, real)
#define MATH_INT_float int
#define MATH_INT_float4 int4
#define MATH_INT_float16 int16
#define MATH_INT MATH_JOIN(MATH_INT_, real)
#define MATH_AS_INT MATH_JOIN(as_, MATH_INT)
#define MATH_AS_REAL MATH_JOIN(as_, real)
#define MATH_CONVERT_REAL MATH_JOIN(convert_, real)
#define MATH_ANY_float(x) (x)
#define MATH_ANY_float4(x) any(x)
#define MATH_ANY_float16(x) any(x)
#define MATH_ANY MATH_JOIN(MATH_ANY_, real)
#endif

/* exp(r) = 1 + r + r^2 tail for |r| <= ln 2 / 2, to 1.4e-8. */
static inline real MATH(exp_tail)(real r)
{
    return 0.49999997f + r * (0.166665465f + r * (0.0416674353f + r * (8.36625602e-3f + r * 1.38706365e-3f)));
}

static inline real MATH(expm1_reduced)(real r)
{
    return r + r * r * MATH(exp_tail)(r);
}

/* x = n ln 2 + r. Adding 1.5 2^23 rounds to the integer n and leaves it in the lowest bits. ln 2 is cut into a part
 * whose product with n is exact, and the rest. */
static inline real MATH(exp)(real x)
{
    const real rounded = x * 1.44269504f + 12582912.0f, n = rounded - 12582912.0f;
    const real y = 1.0f + MATH(expm1_reduced)((x - n * 0.693359375f) - n * -2.12194440e-4f);
    const MATH_INT bits = MATH_AS_INT(y) + (MATH_AS_INT(rounded) << 23);
    const real finite = select(MATH_AS_REAL(bits), (real)(0.0f), x < -87.3365402f);
    return select(x * FLT_MAX, finite, x < 88.7228394f);
}

/* exp(x) - 1 for x <= 0: near 0 it loses nothing. What is lost of n ln 2 is made small by 2^n: it need not be cut. */
static inline real MATH(expm1_negative)(real x)
{
    const real bounded = select(x, (real)(-30.0f), x < -30.0f);
    const real rounded = bounded * 1.44269504f + 12582912.0f, n = rounded - 12582912.0f;
    const real y = MATH(expm1_reduced)(bounded - n * 0.693147182f);
    const real scale = MATH_AS_REAL((MATH_AS_INT(rounded) << 23) + 0x3f800000);
    return scale * y + (scale - 1.0f);
}

/* exp(x) for x <= 0, or a little above, in half of the steps: below -87.7 it is 0. */
static inline real MATH(exp_negative)(real x)
{
    const real bounded = select(x, (real)(-88.0f), x < -88.0f);
    const real rounded = bounded * 1.44269504f + 12582912.0f, n = rounded - 12582912.0f;
    const real r = (bounded - n * 0.693359375f) - n * -2.12194440e-4f;
    const real y = 1.0f + r * (1.0f + r * MATH(exp_tail)(r));
    return y * MATH_AS_REAL((MATH_AS_INT(rounded) << 23) + 0x3f800000);
}

/* x = 2^n m with m from the root of 1/2 to that of 2; log(1 + f) = f - f^2/2 + f^3 tail, f = m - 1. */
static inline real MATH(log)(real x)
{
    const MATH_INT tiny = x < FLT_MIN;
    const MATH_INT bits = MATH_AS_INT(select(x, x * 8388608.0f, tiny)), exponent = (bits - 0x3f3504f3) >> 23;
    const real f = MATH_AS_REAL(bits - (exponent << 23)) - 1.0f;
    const real n = MATH_CONVERT_REAL(exponent) - select((real)(0.0f), (real)(23.0f), tiny);
    const real last = 0.127622172f + f * -0.0763643906f;
    const real high = -0.166234091f + f * (0.1420158f + f * (-0.131596103f + f * last));
    const real tail = 0.333333313f + f * (-0.250008196f + f * (0.200012416f + f * high));
    const real sum = f + (f * f * (f * tail - 0.5f) + n * -2.12194440e-4f);
    const real limit = select((real)(NAN), (real)(-INFINITY), x == 0.0f);
    return select(limit, select(x, sum + n * 0.693359375f, x < INFINITY), x > 0.0f);
}

static inline real MATH(with_sign)(real x, real sign)
{
    return MATH_AS_REAL((MATH_AS_INT(x) & 0x7fffffff) | (MATH_AS_INT(sign) & (int)0x80000000));
}

/* (1 - exp(-2a)) / (1 + exp(-2a)) */
static inline real MATH(tanh)(real x)
{
    const real less = MATH(expm1_negative)(-2.0f * fabs(x));
    return MATH(with_sign)(less / (2.0f + less), x);
}

/* An odd polynomial below 0.9, then 1 - exp(log erfc(a)), a polynomial in a; from 4 on it is 1. */
static inline real MATH(erf)(real x)
{
    const real a = fabs(x), y = x * x, b = select(a, (real)(4.0f), a > 4.0f);
    const real odd = -0.0267720949f + y * (5.00149047e-3f + y * -6.03445922e-4f);
    const real near_zero = x + x * (0.128379151f + y * (-0.376125067f + y * (0.112819612f + y * odd)));
    const real high = -0.091322653f + b * (0.0156524833f + b * -1.26136688e-3f);
    const real log_erfc = -1.82225346e-3f + b * (-1.12039781f + b * (-0.650453866f + b * high));
    return select(MATH(with_sign)(MATH(expm1_negative)(log_erfc), x), near_zero, a < 0.9f);
}

/* PoCL 3.1 errs by 0.008 near 0 in vectors of which another element is beyond some million: those beyond 1e5 and the
 * others are given to it in turn. */
static inline real MATH(sin)(real x)
{
    const MATH_INT far = fabs(x) > 1e5f;
    const real near = sin(select(x, (real)(0.0f), far));
    return MATH_ANY(far) ? select(near, sin(select((real)(1e7f), x, far)), far) : near;
}

static inline real MATH(cos)(real x)
{
    const MATH_INT far = fabs(x) > 1e5f;
    const real near = cos(select(x, (real)(0.0f), far));
    return MATH_ANY(far) ? select(near, cos(select((real)(1e7f), x, far)), far) : near;
}
