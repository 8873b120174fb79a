/* Formulas: what text means, what is refused and where, derivatives, and their nodes in a graph. */
#include "base/expression.h"
#include "graph/expression.h"
#include "device.h"
#include "trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"t", "s", NULL};
static const fcl_parameter parameters[] = {{"half", 0.5}, {NULL, 0}};

static fcl_expression *parsed(const char *text)
{
    fcl_expression *expression;
    if (fcl_expression_parse(text, names, parameters, &expression) != FCL_OK)
        fail_msg("%s", fcl_error());
    return expression;
}

static void assert_near(double value, double expected, double bound, const char *text)
{
    if (!(fabs(value - expected) <= bound * fmax(1, fabs(expected))))
        fail_msg("%s: %.15g is further than %g from %.15g", text, value, bound, expected);
}

static void text_means_what_it_says(void **state)
{
    const double t = 0.25, s = 3;
    const struct {
        const char *text;
        double value;
    } cases[] = {
        {"1.5e-3", 1.5e-3},
        {".5 + 2.", 2.5},
        {" 1 -\t2 - 3 ", -4},
        {"2*3/4*2", 3},
        {"2^3^2", 512},
        {"-2^2", -4},
        {"2^-1", 0.5},
        {"(1 - t)*s", (1 - t) * s},
        {"--t", t},
        {"+t", t},
        {"-t*-s", t * s},
        {"pi + e", acos(-1) + exp(1)},
        {"half*t", 0.5 * t},
        {"exp(t) - expm1(t)", 1},
        {"log(s) + log1p(s)", log(s) + log1p(s)},
        {"sqrt(s)", sqrt(s)},
        {"sin(s) + cos(s)*tan(t)", sin(s) + cos(s) * tan(t)},
        {"sinh(s) + cosh(s)*tanh(t)", sinh(s) + cosh(s) * tanh(t)},
        {"asinh(-s) + sigmoid(t)", asinh(-s) + 1 / (1 + exp(-t))},
        {"abs(-s) + abs(s)", 2 * s},
        {"min(t, s)*10 + max(t, s)", 10 * t + s},
        {"where(greater(s, t), 7, 8) + greater(t, s)", 7},
        {"probit(0.975)", 1.959963984540054},
        {"probit(1e-9)", -5.997807015007687},
        {"probit(half)", 0},
        {"2e", NAN}, /* refused; see below */
    };
    (void)state;
    for (size_t i = 0; !isnan(cases[i].value); i++) {
        fcl_expression *expression = parsed(cases[i].text);
        assert_near(fcl_expression_value(expression, (const double[]){t, s}), cases[i].value, 1e-14,
                    cases[i].text);
        fcl_expression_destroy(&expression);
        assert_null(expression);
    }
}

static void mistakes_are_told_with_their_column(void **state)
{
    static const char *const cases[][2] = {
        {"", "column 1: expected a number, a name or (, but the text ends"},
        {"1 +", "column 4"},
        {"t^^2", "column 3: expected a number, a name or (, not '^'"},
        {"(t", "column 3: expected an operator or ), but the text ends"},
        {"t)", "column 2: expected an operator or the end, not ')'"},
        {"2t", "column 2: expected an operator or the end, not 't'"},
        {"2e", "column 2"},
        {"1.2.3", "column 1: not a number"},
        {"1e999", "not a number"},
        {"0x10", "column 2"},
        {"sgmoid(t)", "column 1: \"sgmoid\" is not known here; did you mean \"sigmoid\"?"},
        {"1 + qqqqqqqq", "column 5: \"qqqqqqqq\" is not known here; the variables are t, s"},
        {"sin t", "column 5: expected ( after a function's name, not 't'"},
        {"min(t)", "column 6: expected a comma and the function's next argument, not ')'"},
        {"exp(t, s)", "column 6: expected ) after the function's last argument, not ','"},
        {"t, s", "column 2"},
        {"nan", "not known"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fcl_expression *expression;
        assert_int_equal(fcl_expression_parse(cases[i][0], names, parameters, &expression), FCL_ERR_ARGUMENT);
        assert_null(expression);
        if (!strstr(fcl_error(), cases[i][1]))
            fail_msg("\"%s\" lacks \"%s\"", fcl_error(), cases[i][1]);
    }
}

/* Far longer and deeper than anything sane: a sentence, not a full stack. */
static void excess_is_refused(void **state)
{
    enum { SIZE = 100000 };
    static char text[SIZE + 1];
    static const char *const fill[] = {"(", "-", "t^", "1+", "sin(", "exp(t)*", "asinh(t)/", "probit(t)+"};
    (void)state;
    for (size_t i = 0; i < sizeof fill / sizeof *fill; i++) {
        fcl_expression *expression;
        size_t length = strlen(fill[i]);
        for (size_t at = 0; at + length <= SIZE; at += length)
            memcpy(text + at, fill[i], length);
        text[SIZE] = '\0';
        assert_int_equal(fcl_expression_parse(text, names, NULL, &expression), FCL_ERR_ARGUMENT);
        assert_true(strstr(fcl_error(), "too deeply") || strstr(fcl_error(), "too long"));
    }
}

static void lists_give_each_key_once(void **state)
{
    static const char *const keys[] = {"alpha", "sigma", NULL};
    static const char *const wrong[][2] = {
        {"alpha=t", "lacks \"sigma = ...\""},
        {"alpha=t, beta=1", "column 10: expected \"alpha = ...\""},
        {"alpha=t, alpha=1", "column 10: \"alpha\" is given a second time"},
        {"alpha=t sigma=1", "column 9: expected an operator, a comma or the end, not 's'"},
        {"alpha t", "column 7: expected =, not 't'"},
        {"alpha=t, sigma=1-", "column 18"},
        {"", "column 1: expected \"alpha = ...\""},
    };
    fcl_expression *made[2];
    const double t[] = {0.3, 0};
    (void)state;
    assert_int_equal(fcl_expression_parse_list(" sigma = 1 - min(t, 2) , alpha=t^2", keys, names, NULL, made),
                     FCL_OK);
    assert_near(fcl_expression_value(made[0], t), 0.09, 1e-15, "alpha");
    assert_near(fcl_expression_value(made[1], t), 0.7, 1e-15, "sigma");
    fcl_expression_destroy(&made[0]);
    fcl_expression_destroy(&made[1]);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(fcl_expression_parse_list(wrong[i][0], keys, names, NULL, made), FCL_ERR_ARGUMENT);
        assert_true(!made[0] && !made[1]);
        if (!strstr(fcl_error(), wrong[i][1]))
            fail_msg("\"%s\" lacks \"%s\"", fcl_error(), wrong[i][1]);
    }
}

/* Every operation; t in (0, 1), s in (1, 2). */
static const char *const formulas[] = {
    "t + s - 2*t*s",
    "t/s - s/(1 + t)",
    "t^2 - s^-3 + s^half + (1 + t)^-half + t^5.5 + (1 + t)^s",
    "-exp(-t*s) + expm1(t/8) + log(s) - log1p(-t/2) + sqrt(t + s)",
    "sin(3*t)*cos(s) + tan(t*half) + sigmoid(4*t - 2)",
    "sinh(t - half) + cosh(s) - tanh(t) + asinh(3*(t - half)) + asinh(100*s)",
    "probit(t) + probit(t/100) - probit(1 - t/8)",
    "min(t, 0.4)*max(s, 1.5) + abs(t - 0.6) + where(greater(t, half), s, t)",
    "sqrt(-expm1(-((1 - t)^2*19.9/2 + (1 - t)*0.1)))",
    "pi - e",
};
enum { FORMULAS = sizeof formulas / sizeof *formulas };

/* Away from the kinks at 0.4, 0.5, 0.6 and 1.5. */
static void draw(double *values)
{
    do
        values[0] = 0.02 + 0.96 * trial_uniform();
    while (fabs(values[0] - 0.4) < 0.01 || fabs(values[0] - 0.5) < 0.01 || fabs(values[0] - 0.6) < 0.01);
    do
        values[1] = 1 + trial_uniform();
    while (fabs(values[1] - 1.5) < 0.01);
}

static void derivatives_are_difference_quotients(void **state)
{
    const double step = 1e-4;
    (void)state;
    for (int i = 0; i < FORMULAS; i++) {
        fcl_expression *expression = parsed(formulas[i]);
        for (int variable = 0; variable < 2; variable++) {
            fcl_expression *slope = fcl_expression_derivative(expression, variable);
            for (int draws = 0; draws < 20; draws++) {
                double at[2], side[4];
                draw(at);
                double middle = at[variable], found = fcl_expression_value(slope, at);
                for (int j = 0; j < 4; j++) {
                    at[variable] = middle + step * (double[]){-2, -1, 1, 2}[j];
                    side[j] = fcl_expression_value(expression, at);
                }
                double quotient = (side[0] - 8 * side[1] + 8 * side[2] - side[3]) / (12 * step);
                assert_near(found, quotient, 1e-7, formulas[i]);
            }
            fcl_expression_destroy(&slope);
        }
        fcl_expression_destroy(&expression);
    }
}

static void check_text(const fcl_expression *expression)
{
    char *text = fcl_expression_text(expression);
    fcl_expression *again = parsed(text);
    char *second = fcl_expression_text(again);
    double at[2];
    draw(at);
    assert_near(fcl_expression_value(again, at), fcl_expression_value(expression, at), 1e-13, text);
    assert_string_equal(second, text);
    fcl_expression_destroy(&again);
    free(second);
    free(text);
}

static void text_reads_back(void **state)
{
    static const char *const exact[] = {"1 - (1 - s)*t",    "sin(pi*t/2)", "-(t - s)", "t^(s^2)",
                                        "(-t)^2",           "t - (s - 1)", "t/(s*2)",  "2^-t",
                                        "pi/2*cos(pi*t/2)", "(3*pi/2)^2*t"};
    (void)state;
    for (int i = 0; i < FORMULAS; i++) {
        fcl_expression *expression = parsed(formulas[i]), *slope = fcl_expression_derivative(expression, 0);
        check_text(expression);
        check_text(slope);
        fcl_expression_destroy(&slope);
        fcl_expression_destroy(&expression);
    }
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        fcl_expression *expression = parsed(exact[i]);
        check_text(expression);
        fcl_expression_destroy(&expression);
    }
    fcl_expression *expression = parsed("(1 - ((1 - s)*t))");
    char *text = fcl_expression_text(expression);
    assert_string_equal(text, "1 - (1 - s)*t");
    assert_true(fcl_expression_uses(expression, 1));
    free(text);
    fcl_expression_destroy(&expression);
    expression = parsed("2*t");
    assert_false(fcl_expression_uses(expression, 1));
    fcl_expression_destroy(&expression);
}

/* One graph with all formulas and their derivatives in t, on rows (B, 1). */
static void nodes_compute_the_values(void **state)
{
    int64_t rows = trial_tiny() ? 3 : 133;
    fcl_expression *expressions[2 * FORMULAS];
    fcl_tensor *found[2 * FORMULAS];
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *in[] = {fcl_input(graph, "t", FCL_F32, FCL_SHAPE(rows, 1)),
                        fcl_input(graph, "s", FCL_F32, FCL_SHAPE(rows, 1))};
    float *values[2], *result = malloc((size_t)rows * sizeof *result);
    for (int i = 0; i < 2 * FORMULAS; i++) {
        expressions[i] = i % 2 ? fcl_expression_derivative(expressions[i - 1], 0) : parsed(formulas[i / 2]);
        found[i] = fcl_expression_build(expressions[i], graph, in);
        found[i] = fcl_output(fcl_expand(fcl_add(found[i], fcl_constant(graph, 0)), FCL_SHAPE(rows, 1)));
    }
    if (fcl_graph_compile(graph, *state, NULL) != FCL_OK)
        fail_msg("%s", fcl_error());
    for (int i = 0; i < 2; i++)
        values[i] = malloc((size_t)rows * sizeof(float));
    for (int64_t row = 0; row < rows; row++) {
        double at[2];
        draw(at);
        values[0][row] = (float)at[0];
        values[1][row] = (float)at[1];
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(fcl_tensor_write(in[i], values[i]), FCL_OK);
    assert_int_equal(fcl_graph_run(graph), FCL_OK);
    for (int i = 0; i < 2 * FORMULAS; i++) {
        assert_int_equal(fcl_tensor_read(found[i], result), FCL_OK);
        for (int64_t row = 0; row < rows; row++) {
            const double at[] = {(double)values[0][row], (double)values[1][row]};
            assert_near((double)result[row], fcl_expression_value(expressions[i], at), 3e-5, formulas[i / 2]);
        }
        fcl_expression_destroy(&expressions[i]);
    }
    for (int i = 0; i < 2; i++)
        free(values[i]);
    free(result);
    fcl_graph_destroy(&graph);
}

enum { FACTORS = 240, SINES = 12 };

/* "t*t*...*t", and "sin(sin(...t...))" */
static char *product_text(void)
{
    char *text = malloc(2 * FACTORS);
    for (int i = 0; i < FACTORS; i++)
        memcpy(text + 2 * i, i + 1 < FACTORS ? "t*" : "t", 2);
    return text;
}

static char *nest_text(void)
{
    char *text = malloc(6 * SINES + 2), *end = text;
    for (int i = 0; i < SINES; i++)
        end += sprintf(end, "sin(");
    end += sprintf(end, "t");
    for (int i = 0; i < SINES; i++)
        end += sprintf(end, ")");
    return text;
}

static void assert_close(double value, double expected, double bound, const char *what)
{
    assert_near(value / expected, 1, bound, what);
}

/* 240 t^239 at 1, and the nest's slope at `point`. */
static void check_nodes(fcl_device *device, const fcl_expression *slope, const fcl_expression *deep_slope,
                        double point, double chain)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(2, 1));
    const float in[] = {(float)point, 1};
    float out[2], out_deep[2];
    fcl_tensor *y = fcl_output(fcl_expression_build(slope, graph, &t));
    fcl_tensor *y_deep = fcl_output(fcl_expression_build(deep_slope, graph, &t));
    assert_int_equal(fcl_graph_compile(graph, device, NULL), FCL_OK);
    assert_int_equal(fcl_tensor_write(t, in), FCL_OK);
    assert_int_equal(fcl_graph_run(graph), FCL_OK);
    assert_int_equal(fcl_tensor_read(y, out), FCL_OK);
    assert_int_equal(fcl_tensor_read(y_deep, out_deep), FCL_OK);
    assert_near((double)out[1], FACTORS, 1e-4 * FACTORS, "slope at 1");
    assert_near((double)out_deep[0], chain, 1e-5, "nest");
    fcl_graph_destroy(&graph);
}

/* What is derived of a formula grows with its length only, and so do the nodes made of it: of 240 factors, and of a
 * nest, the first derivative is right on the device, and the second in double. */
static void long_formulas_have_short_derivatives(void **state)
{
    const double at[] = {0.5 + 0.5 * trial_uniform(), 0};
    char *product = product_text(), *nest = nest_text();
    fcl_expression *first = parsed(product), *slope = fcl_expression_derivative(first, 0);
    fcl_expression *curve = fcl_expression_derivative(slope, 0);
    fcl_expression *deep = parsed(nest), *deep_slope = fcl_expression_derivative(deep, 0);
    assert_true(fcl_expression_terms(first) <= 2 * FACTORS);
    assert_true(fcl_expression_terms(slope) <= 4 * FACTORS);
    assert_true(fcl_expression_terms(curve) <= 16 * FACTORS);
    assert_true(fcl_expression_terms(deep_slope) <= 8 * SINES);
    assert_close(fcl_expression_value(slope, at), FACTORS * pow(at[0], FACTORS - 1), 1e-12, "slope");
    assert_close(fcl_expression_value(curve, at), FACTORS * (FACTORS - 1.0) * pow(at[0], FACTORS - 2), 1e-12,
                 "curve");
    double x = at[0], chain = 1;
    for (int i = 0; i < SINES; i++) {
        chain *= cos(x);
        x = sin(x);
    }
    assert_close(fcl_expression_value(deep_slope, at), chain, 1e-12, "nest");
    if (!trial_tiny())
        check_nodes(*state, slope, deep_slope, at[0], chain);
    fcl_expression_destroy(&first);
    fcl_expression_destroy(&slope);
    fcl_expression_destroy(&curve);
    fcl_expression_destroy(&deep);
    fcl_expression_destroy(&deep_slope);
    free(product);
    free(nest);
}

/* Beyond single precision's range the limits, and near 0 the small number itself. */
static void nodes_have_limits(void **state)
{
    static const float at[] = {-200, 200, 0, 1e-6f};
    float found[4];
    fcl_expression *expression = parsed("sinh(t)");
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(4, 1));
    fcl_tensor *y = fcl_output(fcl_expression_build(expression, graph, &t));
    assert_int_equal(fcl_graph_compile(graph, *state, NULL), FCL_OK);
    assert_int_equal(fcl_tensor_write(t, at), FCL_OK);
    assert_int_equal(fcl_graph_run(graph), FCL_OK);
    assert_int_equal(fcl_tensor_read(y, found), FCL_OK);
    assert_true(found[0] == -INFINITY && found[1] == INFINITY && found[2] == 0);
    assert_near((double)found[3], (double)at[3], 1e-12, "sinh near 0");
    fcl_graph_destroy(&graph);
    fcl_expression_destroy(&expression);
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_means_what_it_says),
        cmocka_unit_test(mistakes_are_told_with_their_column),
        cmocka_unit_test(excess_is_refused),
        cmocka_unit_test(lists_give_each_key_once),
        cmocka_unit_test(derivatives_are_difference_quotients),
        cmocka_unit_test(text_reads_back),
        cmocka_unit_test(nodes_compute_the_values),
        cmocka_unit_test(long_formulas_have_short_derivatives),
        cmocka_unit_test(nodes_have_limits),
    };
    return cmocka_run_group_tests_name("expression", tests, open_device, close_device);
}
