/* The functions of cl/math.h and the operations that stand on them, over the whole range of single precision,
 * against double: the bounds asserted here are those that cl/math.h states. And the driver's own that operations
 * use, by the bounds of OpenCL's specification (1.2, section 7.4). */
#include "device.h"
#include "trial.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

static double gelu(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2));
}

static double selu(double x)
{
    return x > 0 ? 1.0507009873554805 * x : 1.7580993408473766 * expm1(x);
}

static double gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

static double softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static fcl_tensor *build_clamp(fcl_tensor *x)
{
    return fcl_clamp(x, -0.25f, 3);
}

static double clamp(double x)
{
    return x < -0.25 ? -0.25 : x > 3 ? 3 : x;
}

static const struct function {
    const char *name;
    fcl_tensor *(*build)(fcl_tensor *x);
    double (*reference)(double x);
    double units;    /* of the last place of the result, where quotients are rounded rightly */
    int quotients;   /* each may err by 2.5 units: two more than that */
    double relative; /* or so much of the argument: a difference that cancels */
    bool odd;        /* a zero keeps its sign */
} functions[] = {
    {"exp", fcl_exp, exp, 2, 0, 0, false},
    {"log", fcl_log, log, 2, 0, 0, false},
    {"tanh", fcl_tanh, tanh, 3, 1, 0, true},
    {"erf", fcl_erf, erf, 3, 0, 0, true},
    {"sigmoid", fcl_sigmoid, sigmoid, 4, 1, 0, false},
    {"silu", fcl_silu, silu, 4, 1, 0, false},
    {"gelu", fcl_gelu, gelu, 2, 0, 2e-7, false},
    {"selu", fcl_selu, selu, 4, 0, 0, false},
    {"gelu_tanh", fcl_gelu_tanh, gelu_tanh, 4, 1, 2e-7, false},
    {"softplus", fcl_softplus, softplus, 3, 0, 0, false},
    {"clamp", build_clamp, clamp, 0, 0, 0, false},
    {"sin", fcl_sin, sin, 4, 0, 0, true},
    {"cos", fcl_cos, cos, 4, 0, 0, false},
    {"expm1", fcl_expm1, expm1, 3, 0, 0, true},
    {"log1p", fcl_log1p, log1p, 2, 0, 0, true},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* --- arguments --- */

static const float edges[] = {
    0.0f,         -0.0f,        INFINITY,     -INFINITY,    NAN,          FLT_MAX,      -FLT_MAX,
    FLT_MIN,      -FLT_MIN,     0x1p-149f,    -0x1p-149f,   0x1.8p-127f,  -0x1.8p-127f, 1.0f,
    88.7228317f,  88.7228394f,  88.73f,       -87.3365402f, -87.3365479f, -87.34f,      -104.0f,
    0.346573591f, -0.34657359f, 0.899999976f, 0.900000036f, 4.0f,         3.99999976f,  4.00000048f,
    0.999999940f, 1.00000012f,  0.707106769f, 0.707106829f, 1.41421354f,  1.41421366f,  -30.0f,
    -30.0000019f, 9.01f,        -9.01f,       1e-20f,       -1e-20f,      0x1p-24f,     -0x1p-24f,
    -87.6831665f, -87.6831818f, -88.0f,       -88.0000076f,
};
enum { EDGES = sizeof edges / sizeof *edges };

/* Any bits, ranges where the functions bend, and magnitudes from 2^-40 to 2^7. */
static float draw(int i)
{
    uint32_t bits = (uint32_t)trial_int(0, INT32_MAX) ^ (uint32_t)trial_int(0, INT32_MAX) << 1;
    float any, sign = i / 4 % 2 ? -1 : 1;
    memcpy(&any, &bits, sizeof any);
    switch (i % 4) {
    case 0:
        return any;
    case 1:
        return (float)(200 * trial_uniform() - 100);
    case 2:
        return (float)(8 * trial_uniform() - 4);
    default:
        return sign * (float)exp2(47 * trial_uniform() - 40);
    }
}

static float *arguments(int count)
{
    float *x = fcl_zalloc((size_t)count * sizeof *x);
    for (int i = 0; i < count; i++)
        x[i] = i < EDGES ? edges[i] : i >= count - EDGES ? edges[i - (count - EDGES)] : draw(i);
    return x;
}

/* --- verdicts --- */

static double unit_of(double value)
{
    int exponent;
    frexp(value, &exponent);
    return ldexp(1, exponent < -125 ? -149 : exponent - 24);
}

static bool within(const struct function *f, float x, float found, double expected)
{
    if (isnan(expected))
        return isnan(found);
    if (isinf((float)expected))
        return found == (float)expected;
    double size = fmin(fabs(x), FLT_MAX);
    double small = fabs(expected) < FLT_MIN * fmax(2, 2 * size) ? FLT_MIN * fmax(1, size) : 0;
    double bound = (f->units + 2 * f->quotients) * unit_of(expected) + f->relative * size + small;
    return fabs(found - expected) <= bound && !(f->odd && x == 0 && signbit(x) != signbit(found));
}

static bool agrees(const struct function *f, float x, float found)
{
    bool as_zero = fabsf(x) < FLT_MIN && within(f, copysignf(0, x), found, f->reference(copysignf(0, x)));
    return as_zero || within(f, x, found, f->reference(x));
}

static int count_wrong(const struct function *f, const float *x, const float *found, int count)
{
    int wrong = 0;
    double worst = 0;
    for (int i = 0; i < count; i++) {
        double expected = f->reference(x[i]);
        if (isfinite((float)expected) && fabs(expected) > 1e3 * FLT_MIN)
            worst = fmax(worst, fabs(found[i] - expected) / (unit_of(expected) + f->relative * fabs(x[i])));
        if (!agrees(f, x[i], found[i]) && wrong++ < 5)
            printf("%s(%.9g) is %.9g, expected %.9g\n", f->name, (double)x[i], (double)found[i], expected);
    }
    printf("%s: at most %.2f units\n", f->name, worst);
    return wrong;
}

/* The whole graph is one chain: most elements go through vectors, those at its end one by one. */
static void functions_keep_their_bounds(void **state)
{
    const int count = trial_tiny() ? 16 * EDGES + 5 : 40000 + 13;
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(count)), *y[FUNCTIONS];
    for (int i = 0; i < FUNCTIONS; i++)
        y[i] = fcl_output(functions[i].build(x));
    float *value = arguments(count), *found = fcl_zalloc((size_t)count * sizeof *found);
    int wrong = 0;
    bool ran = fcl_graph_compile(graph, *state, NULL) == FCL_OK && fcl_tensor_write(x, value) == FCL_OK &&
               fcl_graph_run(graph) == FCL_OK;
    for (int i = 0; i < FUNCTIONS && ran; i++) {
        ran = fcl_tensor_read(y[i], found) == FCL_OK;
        wrong += count_wrong(&functions[i], value, found, count);
    }
    if (!ran)
        print_error("%s\n", fcl_error());
    free(value);
    free(found);
    fcl_graph_destroy(&graph);
    assert_true(ran);
    assert_int_equal(wrong, 0);
}

/* --- pow --- */

/* Bases over the whole range with exponents that bring the power into it, and exponents of which the power of a negative
 * base is known. */
static void draw_power(int i, float *base, float *exponent)
{
    *base = (float)exp2(250 * trial_uniform() - 125);
    if (i % 4 == 0)
        *base = (float)(0.5 + trial_uniform());
    double most = 120 / fmax(fabs(log2((double)*base)), 0.05);
    *exponent = (float)((2 * trial_uniform() - 1) * fmin(most, 1000));
    if (i % 8 == 1)
        *exponent = (float)rint(*exponent);
    if (i % 16 == 1)
        *base = -*base;
    if (i % 64 == 2)
        *exponent = 0;
}

static void powers_keep_their_bound(void **state)
{
    const int count = trial_tiny() ? 997 : 40013;
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *a = fcl_input(graph, "a", FCL_F32, FCL_SHAPE(count)), *b = fcl_input(graph, "b", FCL_F32, FCL_SHAPE(count));
    fcl_tensor *y = fcl_output(fcl_pow(a, b));
    float *base = fcl_zalloc((size_t)count * sizeof *base), *exponent = fcl_zalloc((size_t)count * sizeof *exponent);
    float *found = fcl_zalloc((size_t)count * sizeof *found);
    int wrong = 0;
    for (int i = 0; i < count; i++)
        draw_power(i, &base[i], &exponent[i]);
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    assert_ok(fcl_tensor_write(a, base));
    assert_ok(fcl_tensor_write(b, exponent));
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(y, found));
    for (int i = 0; i < count; i++) {
        double expected = pow(base[i], exponent[i]);
        bool out = fabs(expected) > FLT_MAX || fabs(expected) < FLT_MIN; /* of range: what it becomes is not looked at */
        if (out || fabs(found[i] - expected) <= 16 * unit_of(expected) || wrong++ >= 5)
            continue;
        printf("pow(%.9g, %.9g) is %.9g, expected %.9g\n", (double)base[i], (double)exponent[i], (double)found[i], expected);
    }
    free(base);
    free(exponent);
    free(found);
    fcl_graph_destroy(&graph);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_keep_their_bounds),
        cmocka_unit_test(powers_keep_their_bound),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
