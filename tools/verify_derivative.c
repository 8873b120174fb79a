/* Checks of derivatives, in all their arguments, of y = f(f(x A' + a)) B' + b with one f after the other, all
 * in one graph. The reference is the same in plain double, and its difference quotients. */
#include "verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, IN = 3, WIDTH = 8, OUT = 2, INPUTS = 5, NUMBERS_OUT = ROWS * OUT };
enum { X, A, A_BIAS, B, B_BIAS };
static const int extent[INPUTS][2] = {
    [X] = {ROWS, IN}, [A] = {WIDTH, IN}, [A_BIAS] = {1, WIDTH}, [B] = {OUT, WIDTH}, [B_BIAS] = {1, OUT}};
enum { NUMBERS = ROWS * IN + WIDTH * IN + WIDTH + OUT * WIDTH + OUT };

/* --- f, on the device and in double --- */

static double sigmoid(double a)
{
    return 1 / (1 + exp(-a));
}

static double silu(double a)
{
    return a * sigmoid(a);
}

static double selu(double a)
{
    return 1.0507009873554805 * (a > 0 ? a : 1.6732632423543772 * expm1(a));
}

static double gelu(double a)
{
    return a / 2 * (1 + erf(a / sqrt(2)));
}

static double relu(double a)
{
    return a > 0 ? a : 0;
}

/* What no activation uses: each operation once. */
static fcl_tensor *chain_build(fcl_tensor *a)
{
    fcl_graph *graph = fcl_tensor_graph(a);
    fcl_tensor *root = fcl_sqrt(fcl_shift(fcl_square(a), 1));
    fcl_tensor *wave = fcl_mul(fcl_sin(a), fcl_cos(fcl_scale(a, 2)));
    fcl_tensor *bell = fcl_exp(fcl_neg(fcl_abs(a)));
    fcl_tensor *slow = fcl_add(fcl_log(root), fcl_log1p(bell));
    fcl_tensor *power = fcl_pow(root, fcl_shift(fcl_scale(fcl_sigmoid(a), 2), 0.5f));
    fcl_tensor *cut = fcl_max(fcl_min(a, fcl_constant(graph, 0.7f)), fcl_constant(graph, -0.6f));
    fcl_tensor *either = fcl_where(fcl_greater(a, fcl_constant(graph, 0.2f)), fcl_erf(a), fcl_expm1(cut));
    fcl_tensor *sum = fcl_add(fcl_div(wave, root), fcl_sub(slow, fcl_reciprocal(power)));
    return fcl_add(sum, fcl_add(either, fcl_detach(fcl_constant(graph, 1))));
}

static double chain(double a)
{
    double root = sqrt(a * a + 1), bell = exp(-fabs(a)), power = pow(root, 2 * sigmoid(a) + 0.5);
    double cut = fmax(fmin(a, (double)0.7f), (double)-0.6f), either = a > (double)0.2f ? erf(a) : expm1(cut);
    return sin(a) * cos(2 * a) / root + log(root) + log1p(bell) - 1 / power + either + 1;
}

/* Sums, shapes and products: p = softmax of each row; (p_left' p) carried back by p_right, and the columns
 * turned. */
enum { HALF = WIDTH / 2, TURN = 3 };

static fcl_tensor *shapes_build(fcl_tensor *a)
{
    fcl_tensor *e = fcl_exp(a), *p = fcl_div(e, fcl_sum_axes(e, 1u << 1));
    fcl_tensor *left = fcl_permute(fcl_slice(p, 1, 0, HALF), (const int[]){1, 0}); /* (HALF, ROWS) */
    fcl_tensor *carried =
        fcl_matmul(fcl_slice(p, 1, HALF, WIDTH), fcl_matmul(left, p, false, false), false, false);
    fcl_tensor *parts[] = {fcl_slice(a, 1, TURN, WIDTH), fcl_slice(a, 1, 0, TURN)};
    fcl_tensor *mean = fcl_expand(fcl_mean(fcl_square(a)), FCL_SHAPE(ROWS, WIDTH));
    return fcl_add(fcl_add(carried, fcl_concat(2, parts, 1)), mean);
}

static void shapes(double a[ROWS][WIDTH])
{
    double p[ROWS][WIDTH], product[HALF][WIDTH] = {{0}}, old[ROWS][WIDTH], mean = 0;
    memcpy(old, a, sizeof old);
    for (int i = 0; i < ROWS; i++) {
        double sum = 0;
        for (int j = 0; j < WIDTH; j++)
            sum += p[i][j] = exp(a[i][j]);
        for (int j = 0; j < WIDTH; j++) {
            p[i][j] /= sum;
            mean += a[i][j] * a[i][j] / (ROWS * WIDTH);
        }
        for (int k = 0; k < HALF; k++)
            for (int j = 0; j < WIDTH; j++)
                product[k][j] += p[i][k] * p[i][j];
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < WIDTH; j++) {
            a[i][j] = old[i][(j + TURN) % WIDTH] + mean;
            for (int k = 0; k < HALF; k++)
                a[i][j] += p[i][HALF + k] * product[k][j];
        }
}

typedef struct function {
    const char *name;
    fcl_activation *build;              /* NULL: an activation of the library, by its name */
    double (*each)(double a);           /* of each number, or */
    void (*all)(double a[ROWS][WIDTH]); /* of all of them */
    bool second;                        /* its second derivative is checked, too */
} function;

/* clang-format off */
static const function functions[] = {
    {"silu", NULL, silu, NULL, true},
    {"selu", NULL, selu, NULL, false},
    {"gelu", NULL, gelu, NULL, false},
    {"relu", NULL, relu, NULL, false},
    {"tanh", NULL, tanh, NULL, false},
    {"elementwise", chain_build, chain, NULL, false},
    {"sums and shapes", shapes_build, NULL, shapes, true},
};
/* clang-format on */
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static int complain_of_unknown(verification *v)
{
    for (int i = 0; fcl_activation_name(i); i++) {
        bool known = false;
        for (int k = 0; k < FUNCTIONS; k++)
            known |= !strcmp(functions[k].name, fcl_activation_name(i));
        if (!known)
            TRY(verify_remark(v, fcl_activation_name(i), NAN, "it has no reference in double"));
    }
    return FCL_OK;
}

/* --- in double --- */

static void linear(const double *x, int in, const double *weight, const double *bias, int out, double *y)
{
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < out; j++) {
            y[i * out + j] = bias[j];
            for (int k = 0; k < in; k++)
                y[i * out + j] += x[i * in + k] * weight[j * in + k];
        }
}

static void apply(const function *f, double a[ROWS][WIDTH])
{
    if (f->all)
        f->all(a);
    for (int i = 0; f->each && i < ROWS * WIDTH; i++)
        a[i / WIDTH][i % WIDTH] = f->each(a[i / WIDTH][i % WIDTH]);
}

/* `p`: all inputs, one after the other. */
static void evaluate(const function *f, const double *p, double y[NUMBERS_OUT])
{
    const double *input[INPUTS];
    double h[ROWS][WIDTH];
    for (int i = 0; i < INPUTS; p += extent[i][0] * extent[i][1], i++)
        input[i] = p;
    linear(input[X], IN, input[A], input[A_BIAS], WIDTH, h[0]);
    apply(f, h);
    apply(f, h);
    linear(h[0], WIDTH, input[B], input[B_BIAS], OUT, y);
}

/* --- on the device --- */

typedef struct derived {
    fcl_tensor *forward;      /* J v (ROWS, OUT) */
    fcl_tensor *back[INPUTS]; /* J' u, in parts */
    fcl_tensor *second;       /* w' H v (): H is of u' y, v and w are directions */
    float forward_found[NUMBERS_OUT], back_found[NUMBERS], second_found;
} derived;

typedef struct derivatives {
    double point[NUMBERS], along[NUMBERS], other[NUMBERS], seed[NUMBERS_OUT]; /* p, v, w, u */
    derived each[FUNCTIONS];
} derivatives;

static double dot(int count, const double *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += a[i] * (double)b[i];
    return sum;
}

static void build(const function *f, fcl_tensor *const *input, fcl_tensor *const *along,
                  fcl_tensor *const *other, fcl_tensor *seed, derived *d)
{
    fcl_activation *activation = f->build ? f->build : fcl_activation_find(f->name);
    fcl_tensor *h = fcl_linear(input[X], input[A], fcl_reshape(input[A_BIAS], FCL_SHAPE(WIDTH)));
    h = activation(activation(h));
    fcl_tensor *y = fcl_linear(h, input[B], fcl_reshape(input[B_BIAS], FCL_SHAPE(OUT)));
    fcl_jvp(1, &y, &d->forward, INPUTS, input, along);
    fcl_output(d->forward);
    fcl_vjp(y, seed, INPUTS, input, d->back);
    for (int i = 0; i < INPUTS; i++)
        fcl_output(d->back[i]);
    if (!f->second)
        return;
    fcl_tensor *turned[INPUTS], *sum = NULL;
    fcl_jvp(INPUTS, d->back, turned, INPUTS, input, along);
    for (int i = 0; i < INPUTS; i++) {
        fcl_tensor *part = fcl_sum(fcl_mul(turned[i], other[i]));
        sum = sum ? fcl_add(sum, part) : part;
    }
    d->second = fcl_output(sum);
}

static int write_numbers(fcl_tensor *tensor, const double *numbers)
{
    float copy[NUMBERS];
    int64_t count = fcl_shape_size(fcl_tensor_shape(tensor));
    for (int64_t i = 0; i < count; i++)
        copy[i] = (float)numbers[i];
    return fcl_tensor_write(tensor, copy);
}

static int write_parts(fcl_tensor *const *tensor, const double *numbers)
{
    for (int i = 0; i < INPUTS; numbers += extent[i][0] * extent[i][1], i++)
        TRY(write_numbers(tensor[i], numbers));
    return FCL_OK;
}

static int read_derived(derived *d)
{
    float *part = d->back_found;
    TRY(fcl_tensor_read(d->forward, d->forward_found));
    for (int i = 0; i < INPUTS; part += extent[i][0] * extent[i][1], i++)
        TRY(fcl_tensor_read(d->back[i], part));
    return d->second ? fcl_tensor_read(d->second, &d->second_found) : FCL_OK;
}

static int run_in(fcl_graph *graph, fcl_device *device, derivatives *all)
{
    fcl_tensor *leaf[3][INPUTS];
    const double *const content[3] = {all->point, all->along, all->other};
    for (int i = 0; i < 3 * INPUTS; i++)
        leaf[i / INPUTS][i % INPUTS] =
            fcl_input(graph, "number", FCL_F32, FCL_SHAPE(extent[i % INPUTS][0], extent[i % INPUTS][1]));
    fcl_tensor *seed = fcl_input(graph, "seed", FCL_F32, FCL_SHAPE(ROWS, OUT));
    for (int i = 0; i < FUNCTIONS; i++)
        build(&functions[i], leaf[0], leaf[1], leaf[2], seed, &all->each[i]);
    TRY(fcl_graph_compile(graph, device, NULL));
    for (int i = 0; i < 3; i++)
        TRY(write_parts(leaf[i], content[i]));
    TRY(write_numbers(seed, all->seed));
    TRY(fcl_graph_run(graph));
    for (int i = 0; i < FUNCTIONS; i++)
        TRY(read_derived(&all->each[i]));
    return FCL_OK;
}

/* Numbers that a float holds. */
static void fill(verification *v, int count, double *numbers, double size)
{
    for (int i = 0; i < count; i++)
        numbers[i] = (double)(float)(size * verify_normal(v));
}

static int report(verification *v,
                  double (*error)(const function *f, const derivatives *all, const derived *d))
{
    derivatives all = {0};
    fill(v, NUMBERS, all.point, 0.5);
    fill(v, NUMBERS, all.along, 1);
    fill(v, NUMBERS, all.other, 1);
    fill(v, NUMBERS_OUT, all.seed, 1);
    fcl_graph *graph = fcl_graph_create();
    int status = run_in(graph, verify_device(v), &all);
    fcl_graph_destroy(&graph);
    for (int i = 0; i < FUNCTIONS && status == FCL_OK; i++)
        if (error(&functions[i], &all, &all.each[i]) >= 0)
            status = verify_report(v, functions[i].name, error(&functions[i], &all, &all.each[i]));
    return status == FCL_OK ? complain_of_unknown(v) : status;
}

/* --- the lines --- */

/* y at p + a v + b w */
static void evaluate_along(const function *f, const derivatives *all, double a, double b,
                           double y[NUMBERS_OUT])
{
    double p[NUMBERS];
    for (int i = 0; i < NUMBERS; i++)
        p[i] = all->point[i] + a * all->along[i] + b * all->other[i];
    evaluate(f, p, y);
}

static double forward_error(const function *f, const derivatives *all, const derived *d)
{
    const double h = 1e-6;
    double after[NUMBERS_OUT], before[NUMBERS_OUT], largest = 0, size = 1;
    evaluate_along(f, all, h, 0, after);
    evaluate_along(f, all, -h, 0, before);
    for (int i = 0; i < NUMBERS_OUT; i++) {
        double expected = (after[i] - before[i]) / (2 * h);
        largest = verify_larger(largest, fabs((double)d->forward_found[i] - expected));
        size = fmax(size, fabs(expected));
    }
    return largest / size;
}

static double back_error(const function *f, const derivatives *all, const derived *d)
{
    const double h = 1e-6;
    double p[NUMBERS], after[NUMBERS_OUT], before[NUMBERS_OUT], largest = 0, size = 1;
    for (int k = 0; k < NUMBERS; k++) {
        double expected = 0;
        memcpy(p, all->point, sizeof p);
        p[k] += h;
        evaluate(f, p, after);
        p[k] -= 2 * h;
        evaluate(f, p, before);
        for (int i = 0; i < NUMBERS_OUT; i++)
            expected += all->seed[i] * (after[i] - before[i]) / (2 * h);
        largest = verify_larger(largest, fabs((double)d->back_found[k] - expected));
        size = fmax(size, fabs(expected));
    }
    return largest / size;
}

/* <u, J v> = <J' u, v>, in units of what is summed. */
static double adjoint_error(const function *f, const derivatives *all, const derived *d)
{
    double size = 0;
    (void)f;
    for (int i = 0; i < NUMBERS; i++)
        size += fabs(all->along[i] * (double)d->back_found[i]);
    return fabs(dot(NUMBERS_OUT, all->seed, d->forward_found) - dot(NUMBERS, all->along, d->back_found)) /
           size;
}

/* A derivative along v of a derivative by vjp. -1: not of this function. */
static double second_error(const function *f, const derivatives *all, const derived *d)
{
    const double h = 1e-4;
    double expected = 0, size = 1;
    if (!f->second)
        return -1;
    for (int corner = 0; corner < 4; corner++) {
        double y[NUMBERS_OUT], a = corner & 1 ? h : -h, b = corner & 2 ? h : -h;
        evaluate_along(f, all, a, b, y);
        for (int i = 0; i < NUMBERS_OUT; i++)
            expected += all->seed[i] * y[i] * (a * b > 0 ? 1 : -1) / (4 * h * h);
    }
    size = fmax(size, fabs(expected));
    return fabs((double)d->second_found - expected) / size;
}

int verify_jvp(verification *v)
{
    return report(v, forward_error);
}

int verify_vjp(verification *v)
{
    return report(v, back_error);
}

int verify_adjoint(verification *v)
{
    return report(v, adjoint_error);
}

int verify_second(verification *v)
{
    return report(v, second_error);
}
