/* Checks of derivatives, in all its arguments, of y = f(x A' + a)) B' + b for one f after the other. All of
 * them are one graph, with numbers of their own: f takes its part between products of as many matrices. The
 * reference is the same in plain double, and its difference quotients. */
#include "verify.h"

#include <math.h>
#include <string.h>

enum { ROWS = 6, IN = 3, WIDTH = 8, OUT = 2, RESULTS = ROWS * OUT };
enum { X, A, A_BIAS, B, B_BIAS, INPUTS };
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
    bool smooth;                        /* it has a second derivative everywhere */
} function;

/* clang-format off */
static const function functions[] = {
    {"silu", NULL, silu, NULL, true},
    {"selu", NULL, selu, NULL, false},
    {"gelu", NULL, gelu, NULL, true},
    {"relu", NULL, relu, NULL, false},
    {"tanh", NULL, tanh, NULL, true},
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
static void evaluate(const function *f, const double *p, double y[RESULTS])
{
    const double *input[INPUTS];
    double h[ROWS][WIDTH];
    for (int i = 0; i < INPUTS; p += extent[i][0] * extent[i][1], i++)
        input[i] = p;
    linear(input[X], IN, input[A], input[A_BIAS], WIDTH, h[0]);
    apply(f, h);
    linear(h[0], WIDTH, input[B], input[B_BIAS], OUT, y);
}

/* --- on the device --- */

/* Of one f: p, two directions v and w, the seed u; J v, J' u and w' H v, H of u' y. */
typedef struct derived {
    float point[NUMBERS], along[NUMBERS], other[NUMBERS], seed[RESULTS];
    float forward[RESULTS], back[NUMBERS], second;
} derived;

static fcl_tensor *apply_each(fcl_tensor *h) /* (FUNCTIONS, ROWS, WIDTH) */
{
    fcl_tensor *part[FUNCTIONS];
    for (int i = 0; i < FUNCTIONS; i++) {
        fcl_activation *f = functions[i].build ? functions[i].build : fcl_activation_find(functions[i].name);
        fcl_tensor *a = fcl_reshape(fcl_slice(h, 0, i, i + 1), FCL_SHAPE(ROWS, WIDTH));
        part[i] = fcl_reshape(f(a), FCL_SHAPE(1, ROWS, WIDTH));
    }
    return fcl_concat(FUNCTIONS, part, 0);
}

static fcl_tensor *product(fcl_tensor *x, fcl_tensor *weight, fcl_tensor *bias)
{
    return fcl_add(fcl_matmul(x, weight, false, true), bias);
}

static void leaves(fcl_graph *graph, fcl_tensor **leaf)
{
    for (int i = 0; i < INPUTS; i++)
        leaf[i] = fcl_input(graph, "number", FCL_F32, FCL_SHAPE(FUNCTIONS, extent[i][0], extent[i][1]));
}

typedef struct derivatives {
    fcl_tensor *point[INPUTS], *along[INPUTS], *other[INPUTS], *seed;
    fcl_tensor *forward, *back[INPUTS], *second;
} derivatives;

static void build(fcl_graph *graph, derivatives *d)
{
    fcl_tensor *turned[INPUTS];
    leaves(graph, d->point);
    leaves(graph, d->along);
    leaves(graph, d->other);
    d->seed = fcl_input(graph, "seed", FCL_F32, FCL_SHAPE(FUNCTIONS, ROWS, OUT));
    fcl_tensor *h = apply_each(product(d->point[X], d->point[A], d->point[A_BIAS]));
    fcl_tensor *y = product(h, d->point[B], d->point[B_BIAS]);
    fcl_jvp(1, &y, &d->forward, INPUTS, d->point, d->along);
    fcl_vjp(y, d->seed, INPUTS, d->point, d->back);
    fcl_jvp(INPUTS, d->back, turned, INPUTS, d->point, d->along);
    fcl_output(d->forward);
    for (int i = 0; i < INPUTS; i++) {
        fcl_tensor *part = fcl_sum_axes(fcl_mul(turned[i], d->other[i]), 1u << 1 | 1u << 2);
        d->second = i ? fcl_add(d->second, part) : part;
        fcl_output(d->back[i]);
    }
    fcl_output(d->second);
}

/* One tensor of all functions, and `count` numbers of each that begin `first` bytes into its struct. */
static int transfer(fcl_tensor *tensor, bool write, derived *all, size_t first, int count)
{
    float numbers[FUNCTIONS * NUMBERS];
    size_t bytes = sizeof *numbers * (size_t)count;
    for (int i = 0; i < FUNCTIONS && write; i++)
        memcpy(numbers + i * count, (char *)&all[i] + first, bytes);
    TRY(write ? fcl_tensor_write(tensor, numbers) : fcl_tensor_read(tensor, numbers));
    for (int i = 0; i < FUNCTIONS && !write; i++)
        memcpy((char *)&all[i] + first, numbers + i * count, bytes);
    return FCL_OK;
}

static int transfer_inputs(fcl_tensor *const *tensor, bool write, derived *all, size_t first)
{
    for (int i = 0; i < INPUTS; i++) {
        int count = extent[i][0] * extent[i][1];
        TRY(transfer(tensor[i], write, all, first, count));
        first += sizeof(float) * (size_t)count;
    }
    return FCL_OK;
}

static int run_in(fcl_graph *graph, fcl_device *device, derived *all)
{
    derivatives d;
    build(graph, &d);
    TRY(fcl_graph_compile(graph, device, NULL));
    TRY(transfer_inputs(d.point, true, all, offsetof(derived, point)));
    TRY(transfer_inputs(d.along, true, all, offsetof(derived, along)));
    TRY(transfer_inputs(d.other, true, all, offsetof(derived, other)));
    TRY(transfer(d.seed, true, all, offsetof(derived, seed), RESULTS));
    TRY(fcl_graph_run(graph));
    TRY(transfer(d.forward, false, all, offsetof(derived, forward), RESULTS));
    TRY(transfer_inputs(d.back, false, all, offsetof(derived, back)));
    return transfer(d.second, false, all, offsetof(derived, second), 1);
}

static void fill(verification *v, int count, double size, float *numbers)
{
    for (int i = 0; i < count; i++)
        numbers[i] = (float)(size * verify_normal(v));
}

static int derive(verification *v, derived *all)
{
    for (int i = 0; i < FUNCTIONS; i++) {
        fill(v, NUMBERS, 0.7, all[i].point);
        fill(v, NUMBERS, 1, all[i].along);
        fill(v, NUMBERS, 1, all[i].other);
        fill(v, RESULTS, 1, all[i].seed);
    }
    fcl_graph *graph = fcl_graph_create();
    int status = run_in(graph, verify_device(v), all);
    fcl_graph_destroy(&graph);
    return status;
}

static int report(verification *v, bool second, double (*error)(const function *f, const derived *d))
{
    derived all[FUNCTIONS];
    TRY(derive(v, all));
    for (int i = 0; i < FUNCTIONS; i++)
        if (functions[i].smooth || !second)
            TRY(verify_report(v, functions[i].name, error(&functions[i], &all[i])));
    return second ? FCL_OK : complain_of_unknown(v);
}

/* --- the lines --- */

/* y at p + a v + b w */
static void evaluate_along(const function *f, const derived *d, double a, double b, double y[RESULTS])
{
    double p[NUMBERS];
    for (int i = 0; i < NUMBERS; i++)
        p[i] = d->point[i] + a * d->along[i] + b * d->other[i];
    evaluate(f, p, y);
}

static double forward_error(const function *f, const derived *d)
{
    const double h = 1e-6;
    double after[RESULTS], before[RESULTS], largest = 0, size = 1;
    evaluate_along(f, d, h, 0, after);
    evaluate_along(f, d, -h, 0, before);
    for (int i = 0; i < RESULTS; i++) {
        double expected = (after[i] - before[i]) / (2 * h);
        largest = verify_larger(largest, fabs(d->forward[i] - expected));
        size = fmax(size, fabs(expected));
    }
    return largest / size;
}

/* u' (y with the k-th number h larger, less y with it h smaller)/(2 h) */
static double slope(const function *f, const derived *d, int k)
{
    const double h = 1e-6;
    double p[NUMBERS], after[RESULTS], before[RESULTS], sum = 0;
    for (int i = 0; i < NUMBERS; i++)
        p[i] = d->point[i];
    p[k] = d->point[k] + h;
    evaluate(f, p, after);
    p[k] = d->point[k] - h;
    evaluate(f, p, before);
    for (int i = 0; i < RESULTS; i++)
        sum += d->seed[i] * (after[i] - before[i]) / (2 * h);
    return sum;
}

static double back_error(const function *f, const derived *d)
{
    double largest = 0, size = 1;
    for (int k = 0; k < NUMBERS; k++) {
        double expected = slope(f, d, k);
        largest = verify_larger(largest, fabs(d->back[k] - expected));
        size = fmax(size, fabs(expected));
    }
    return largest / size;
}

/* <u, J v> = <J' u, v>, in units of what is summed. */
static double adjoint_error(const function *f, const derived *d)
{
    double difference = 0, size = 0;
    (void)f;
    for (int i = 0; i < RESULTS; i++)
        difference += (double)d->seed[i] * d->forward[i];
    for (int i = 0; i < NUMBERS; i++) {
        double term = (double)d->along[i] * d->back[i];
        difference -= term;
        size += fabs(term);
    }
    return fabs(difference) / size;
}

static double second_error(const function *f, const derived *d)
{
    const double h = 1e-4;
    double expected = 0;
    for (int corner = 0; corner < 4; corner++) {
        double y[RESULTS], a = corner & 1 ? h : -h, b = corner & 2 ? h : -h;
        evaluate_along(f, d, a, b, y);
        for (int i = 0; i < RESULTS; i++)
            expected += d->seed[i] * y[i] * (a * b > 0 ? 1 : -1) / (4 * h * h);
    }
    return fabs(d->second - expected) / fmax(1, fabs(expected));
}

int verify_jvp(verification *v)
{
    return report(v, false, forward_error);
}

int verify_vjp(verification *v)
{
    return report(v, false, back_error);
}

int verify_adjoint(verification *v)
{
    return report(v, false, adjoint_error);
}

int verify_second(verification *v)
{
    return report(v, true, second_error);
}
