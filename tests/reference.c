#include "reference_attention.h"

#include "base/random.h"
#include "cl/philox.h"
#include "cl/permute.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reference {
    const fcl_graph *graph;
    int count;
    double **value, **error;
};

/* --- indices --- */

/* The place of element i of `shape` along each axis. */
static void place_of(fcl_shape shape, int64_t i, int64_t *at)
{
    for (int d = shape.rank - 1; d >= 0; d--) {
        at[d] = i % shape.dim[d];
        i /= shape.dim[d];
    }
}

static int64_t index_of(fcl_shape shape, const int64_t *at)
{
    int64_t i = 0;
    for (int d = 0; d < shape.rank; d++)
        i = i * shape.dim[d] + at[d];
    return i;
}

/* The element of a tensor of shape `from` that element i of shape `to` reads by broadcasting. */
static int64_t broadcast_index(fcl_shape from, fcl_shape to, int64_t i)
{
    int64_t at[FCL_MAX_RANK], own[FCL_MAX_RANK];
    place_of(to, i, at);
    for (int d = 0; d < from.rank; d++)
        own[d] = from.dim[d] == 1 ? 0 : at[d + to.rank - from.rank];
    return index_of(from, own);
}

static int64_t row_size(fcl_shape shape)
{
    return shape.rank ? fcl_shape_size(shape) / shape.dim[0] : 1;
}

/* --- elementwise --- */

/* clang-format off */
static double f_add(const double *x) { return x[0] + x[1]; }
static double f_sub(const double *x) { return x[0] - x[1]; }
static double f_neg(const double *x) { return -x[0]; }
static double f_mul(const double *x) { return x[0] * x[1]; }
static double f_div(const double *x) { return x[0] / x[1]; }
static double f_max(const double *x) { return x[0] < x[1] ? x[1] : x[0]; }
static double f_min(const double *x) { return x[0] > x[1] ? x[1] : x[0]; }
static double f_greater(const double *x) { return x[0] > x[1]; }
static double f_where(const double *x) { return x[0] != 0 ? x[1] : x[2]; }
static double f_abs(const double *x) { return fabs(x[0]); }
static double f_square(const double *x) { return x[0] * x[0]; }
static double f_sqrt(const double *x) { return sqrt(x[0]); }
static double f_reciprocal(const double *x) { return 1 / x[0]; }
static double f_exp(const double *x) { return exp(x[0]); }
static double f_log(const double *x) { return log(x[0]); }
static double f_expm1(const double *x) { return expm1(x[0]); }
static double f_log1p(const double *x) { return log1p(x[0]); }
static double f_pow(const double *x) { return pow(x[0], x[1]); }
static double f_sin(const double *x) { return sin(x[0]); }
static double f_cos(const double *x) { return cos(x[0]); }
static double f_tanh(const double *x) { return tanh(x[0]); }
static double f_erf(const double *x) { return erf(x[0]); }
static double f_sigmoid(const double *x) { return 1 / (1 + exp(-x[0])); }
static double f_relu(const double *x) { return x[0] > 0 ? x[0] : 0; }
static double f_silu(const double *x) { return x[0] / (1 + exp(-x[0])); }
static double f_gelu(const double *x) { return x[0] * 0.5 * erfc(-x[0] / sqrt(2)); }
static double f_softplus(const double *x) { return fmax(x[0], 0) + log1p(exp(-fabs(x[0]))); }
static double f_same(const double *x) { return x[0]; }
/* clang-format on */

/* Klambauer et al. 2017: lambda x, or lambda alpha (e^x - 1) for x < 0 */
static double f_selu(const double *x)
{
    const double lambda = 1.0507009873554805, alpha = 1.6732632423543772;
    return x[0] > 0 ? lambda * x[0] : lambda * alpha * expm1(x[0]);
}

/* Hendrycks, Gimpel 2016, (2) */
static double f_gelu_tanh(const double *x)
{
    const double a = x[0];
    return 0.5 * a * (1 + tanh(sqrt(2 / acos(-1)) * (a + 0.044715 * a * a * a)));
}

static double f_gelu_gate(const double *x)
{
    const double a = x[0];
    return 0.5 * (1 + tanh(sqrt(2 / acos(-1)) * (a + 0.044715 * a * a * a)));
}

/* Their units of the last place: a rounding, what OpenCL grants (1.2, section 7.4), or what cl/math.h promises and
 * tests/test_math.c holds it to. What is not rounded has none. */
static const struct {
    const char *op;
    bound_function is;
} elementwise[] = {
    {"add", {f_add, 0.5}},
    {"sub", {f_sub, 0.5}},
    {"neg", {f_neg}},
    {"mul", {f_mul, 0.5}},
    {"div", {f_div, 2.5}},
    {"max", {f_max}},
    {"min", {f_min}},
    {"abs", {f_abs}},
    {"square", {f_square, 0.5}},
    {"greater", {f_greater}},
    {"sqrt", {f_sqrt, 3}},
    {"where", {f_where}},
    {"reciprocal", {f_reciprocal, 2.5}},
    {"exp", {f_exp, 2}},
    {"log", {f_log, 2}},
    {"expm1", {f_expm1, 3}},
    {"log1p", {f_log1p, 2}},
    {"pow", {f_pow, 16}},
    {"sin", {f_sin, 4}},
    {"cos", {f_cos, 4}},
    {"tanh", {f_tanh, 5}},
    {"erf", {f_erf, 3}},
    {"relu", {f_relu}},
    {"silu", {f_silu, 6}},
    {"gelu", {f_gelu, 2, 4}},
    {"selu", {f_selu, 4}},
    {"gelu_tanh", {f_gelu_tanh, 6, 4}},
    {"gelu_gate", {f_gelu_gate, 6, 4}},
    {"softplus", {f_softplus, 4}},
    {"sigmoid", {f_sigmoid, 6}},
    {"detach", {f_same}},
    {"expand", {f_same}},
    {0},
};

static void eval_elementwise(const evaluation *e, const bound_function *is)
{
    for (int64_t i = 0; i < e->size; i++) {
        double x[3] = {0}, error[3] = {0};
        for (int k = 0; k < e->node->inputs; k++) {
            int64_t at = broadcast_index(e->node->input[k]->shape, e->node->shape, i);
            x[k] = e->in[k][at];
            error[k] = e->error ? e->in_error[k][at] : 0;
        }
        e->out[i] = is->f(x);
        if (e->error)
            e->error[i] = bound_of_function(is, e->node->inputs, x, error);
    }
}

/* --- reductions and products --- */

static void eval_sum(const evaluation *e)
{
    fcl_shape from = e->node->input[0]->shape;
    memset(e->out, 0, (size_t)e->size * sizeof *e->out);
    for (int64_t i = 0; i < fcl_shape_size(from); i++) {
        int64_t at[FCL_MAX_RANK];
        place_of(from, i, at);
        for (int d = 0; d < from.rank; d++)
            if (fcl_reduced_axes(e->node) >> d & 1)
                at[d] = 0;
        e->out[index_of(e->node->shape, at)] += e->in[0][i];
    }
}

static bool is_larger(double a, double b)
{
    return a > b || (isnan(a) && !isnan(b));
}

/* The largest of each result, and its place along the axes in their order. */
static void find_largest(const evaluation *e, double *value, double *place)
{
    fcl_shape from = e->node->input[0]->shape, to = e->node->shape;
    bool *seen = fcl_zalloc((size_t)e->size * sizeof *seen);
    for (int64_t i = 0; i < fcl_shape_size(from); i++) {
        int64_t at[FCL_MAX_RANK], number = 0;
        place_of(from, i, at);
        for (int d = 0; d < from.rank; d++)
            if (fcl_reduced_axes(e->node) >> d & 1) {
                number = number * from.dim[d] + at[d];
                at[d] = 0;
            }
        int64_t k = index_of(to, at);
        if (seen[k] && !is_larger(e->in[0][i], value[k]))
            continue;
        seen[k] = true;
        value[k] = e->in[0][i];
        place[k] = (double)number;
    }
    free(seen);
}

static void eval_max_axes(const evaluation *e)
{
    double *place = fcl_zalloc((size_t)e->size * sizeof *place);
    find_largest(e, e->out, place);
    free(place);
}

static void eval_arg_max(const evaluation *e)
{
    double *value = fcl_zalloc((size_t)e->size * sizeof *value);
    find_largest(e, value, e->out);
    free(value);
}

static double matrix_at(const evaluation *e, int input, bool transpose, int64_t batch, int64_t row,
                        int64_t column)
{
    fcl_shape s = e->node->input[input]->shape;
    int64_t rows = s.dim[s.rank - 2], columns = s.dim[s.rank - 1];
    int64_t base = s.rank == 2 ? 0 : batch * rows * columns;
    return e->in[input][base + (transpose ? column * columns + row : row * columns + column)];
}

static void eval_matmul(const evaluation *e)
{
    const fcl_matmul_attributes *how = e->node->attributes;
    fcl_shape s = e->node->shape, a = e->node->input[0]->shape;
    int64_t m = s.dim[s.rank - 2], n = s.dim[s.rank - 1], k = a.dim[a.rank - (how->transpose_a ? 2 : 1)];
    for (int64_t i = 0; i < e->size; i++) {
        e->out[i] = 0;
        for (int64_t j = 0; j < k; j++)
            e->out[i] += matrix_at(e, 0, how->transpose_a, i / (m * n), i / n % m, j) *
                         matrix_at(e, 1, how->transpose_b, i / (m * n), j, i % n);
    }
}

/* --- convolutions --- */

/* Calls `add` for each term of F = sum of conv(x, w) y, with its places in x, w and y. */
static void each_term(const evaluation *e, void (*add)(const evaluation *e, const int64_t *at))
{
    const fcl_conv_problem p = fcl_conv_problem_of(e->node);
    for (int64_t pixel = 0; pixel < (int64_t)p.batch * p.images * p.out_height * p.out_width; pixel++)
        for (int64_t tap = 0; tap < p.side * p.side; tap++) {
            int64_t image = pixel / p.out_width / p.out_height, item = image / p.images, n = image % p.images;
            int64_t i = pixel / p.out_width % p.out_height * p.stride - p.padding + tap / p.side;
            int64_t j = pixel % p.out_width * p.stride - p.padding + tap % p.side;
            if (i < 0 || i >= p.height * p.upsample || j < 0 || j >= p.width * p.upsample)
                continue;
            int64_t x = (((p.share[0] ? 0 : item * p.images) + n) * p.height + i / p.upsample) * p.width + j / p.upsample;
            int64_t w = (p.share[1] ? 0 : item * p.side * p.side) + tap;
            int64_t y = p.share[2] ? pixel - item * p.images * p.out_height * p.out_width : pixel;
            for (int64_t c = 0; c < p.channels; c++)
                for (int64_t o = 0; o < p.outputs; o++)
                    add(e, (int64_t[]){x * p.channels + c, (w * p.channels + c) * p.outputs + o, y * p.outputs + o});
        }
}

static void add_to_y(const evaluation *e, const int64_t *at)
{
    e->out[at[2]] += e->in[0][at[0]] * e->in[1][at[1]];
}

static void add_to_x(const evaluation *e, const int64_t *at)
{
    e->out[at[0]] += e->in[0][at[2]] * e->in[1][at[1]];
}

static void add_to_w(const evaluation *e, const int64_t *at)
{
    e->out[at[1]] += e->in[0][at[0]] * e->in[1][at[2]];
}

static void eval_convolution(const evaluation *e, void (*add)(const evaluation *e, const int64_t *at))
{
    memset(e->out, 0, (size_t)e->size * sizeof *e->out);
    each_term(e, add);
}

static void eval_conv2d(const evaluation *e)
{
    eval_convolution(e, add_to_y);
}

static void eval_conv2d_input(const evaluation *e)
{
    eval_convolution(e, add_to_x);
}

static void eval_conv2d_weight(const evaluation *e)
{
    eval_convolution(e, add_to_w);
}

/* --- shape --- */

static void eval_reshape(const evaluation *e)
{
    memcpy(e->out, e->in[0], (size_t)e->size * sizeof *e->out);
}

static void eval_permute(const evaluation *e)
{
    const fcl_permute_attributes *how = e->node->attributes;
    fcl_shape from = e->node->input[0]->shape;
    for (int64_t i = 0; i < e->size; i++) {
        int64_t at[FCL_MAX_RANK], source[FCL_MAX_RANK];
        place_of(e->node->shape, i, at);
        for (int d = 0; d < from.rank; d++)
            source[how->order[d]] = at[d];
        e->out[i] = e->in[0][index_of(from, source)];
    }
}

static void eval_slice(const evaluation *e)
{
    const fcl_window_attributes *how = e->node->attributes;
    for (int64_t i = 0; i < e->size; i++) {
        int64_t at[FCL_MAX_RANK];
        place_of(e->node->shape, i, at);
        at[how->axis] += how->begin;
        e->out[i] = e->in[0][index_of(e->node->input[0]->shape, at)];
    }
}

static void eval_pad(const evaluation *e)
{
    const fcl_window_attributes *how = e->node->attributes;
    fcl_shape from = e->node->input[0]->shape;
    int axis = how->axis;
    for (int64_t i = 0; i < e->size; i++) {
        int64_t at[FCL_MAX_RANK];
        place_of(e->node->shape, i, at);
        at[axis] -= how->begin;
        bool inside = at[axis] >= 0 && at[axis] < from.dim[axis];
        e->out[i] = inside ? e->in[0][index_of(from, at)] : 0;
    }
}

static void eval_concat(const evaluation *e)
{
    const fcl_window_attributes *how = e->node->attributes;
    int axis = how->axis;
    for (int64_t i = 0; i < e->size; i++) {
        int64_t at[FCL_MAX_RANK];
        int part = 0;
        place_of(e->node->shape, i, at);
        while (at[axis] >= e->node->input[part]->shape.dim[axis])
            at[axis] -= e->node->input[part++]->shape.dim[axis];
        e->out[i] = e->in[part][index_of(e->node->input[part]->shape, at)];
    }
}

/* --- rows by index: what lies outside is clamped --- */

static int64_t row_of(double index, int64_t count)
{
    return index < 0 ? 0 : index > (double)(count - 1) ? count - 1 : (int64_t)index;
}

/* Place i of (outer, rows, width) is row `row_of its index` of (outer, count, width); an index has rows for each of the last of
 * the outer places, or for all. */
static int64_t indexed_place(const evaluation *e, int64_t i, int axis, int64_t count)
{
    fcl_shape shape = e->node->shape;
    fcl_shape index = e->node->input[1]->shape;
    int64_t rows = index.dim[index.rank - 1], width = 1;
    for (int d = axis + 1; d < shape.rank; d++)
        width *= shape.dim[d];
    return (i / width / rows * count + row_of(e->in[1][i / width % fcl_shape_size(index)], count)) * width + i % width;
}

static void eval_gather(const evaluation *e)
{
    const fcl_gather_attributes *how = e->node->attributes;
    int64_t count = e->node->input[0]->shape.dim[how->axis];
    double rounded = (how->scale != 1) + (how->shift != 0);
    for (int64_t i = 0; i < e->size; i++) {
        int64_t at = indexed_place(e, i, how->axis, count);
        double scaled = e->in[0][at] * (double)how->scale;
        e->out[i] = scaled + (double)how->shift;
        if (e->error)
            e->error[i] = fabs((double)how->scale) * e->in_error[0][at] + rounded * BOUND_UNIT * (fabs(scaled) + fabs(e->out[i]));
    }
}

static void eval_scatter(const evaluation *e)
{
    const fcl_scatter_attributes *how = e->node->attributes;
    memset(e->out, 0, (size_t)e->size * sizeof *e->out);
    for (int64_t i = 0; i < fcl_shape_size(e->node->input[0]->shape); i++)
        e->out[indexed_place(e, i, how->axis, e->node->shape.dim[how->axis])] += e->in[0][i];
}

static void eval_one_hot(const evaluation *e)
{
    int64_t count = e->node->shape.dim[1];
    for (int64_t i = 0; i < e->size; i++)
        e->out[i] = row_of(e->in[0][i / count], count) == i % count;
}

/* --- random numbers --- */

static const fcl_noise_attributes *noise_of(const evaluation *e)
{
    return e->node->attributes;
}

static fcl_random key_of(const evaluation *e)
{
    const fcl_graph *graph = e->r->graph;
    return (fcl_random){.seed = graph->seed, .stream = noise_of(e)->stream, .step = graph->step};
}

static void eval_uniform(const evaluation *e)
{
    uint64_t first = e->r->graph->first_row * (uint64_t)row_size(e->node->shape);
    for (int64_t i = 0; i < e->size; i++)
        e->out[i] = fcl_random_uniform(key_of(e), first + (uint64_t)i);
}

static void eval_normal(const evaluation *e)
{
    uint64_t first = e->r->graph->first_row * (uint64_t)row_size(e->node->shape);
    for (int64_t i = 0; i < e->size; i++)
        e->out[i] = fcl_random_normal(key_of(e), first + (uint64_t)i);
    for (int64_t i = 0; i < e->size && e->error; i++)
        e->error[i] = 64 * BOUND_UNIT; /* an angle up to 2 pi, rounded, times a radius up to 5.8; the functions' own */
}

static void eval_batch_index(const evaluation *e)
{
    const fcl_graph *graph = e->r->graph;
    uint64_t count = (uint64_t)noise_of(e)->count;
    for (int64_t i = 0; i < e->size; i++) {
        uint64_t sample = graph->step * (uint64_t)noise_of(e)->total + graph->first_row + (uint64_t)i;
        e->out[i] = permute_index((uint32_t)(sample % count), (uint32_t)count, graph->seed,
                                  noise_of(e)->stream, sample / count);
    }
}

static void eval_row_number(const evaluation *e)
{
    for (int64_t i = 0; i < e->size; i++)
        e->out[i] = (double)((e->r->graph->first_row + (uint64_t)i) % (uint64_t)noise_of(e)->total);
}

static void eval_drop_labels(const evaluation *e)
{
    const fcl_graph *graph = e->r->graph;
    const fcl_drop_attributes *how = e->node->attributes;
    fcl_random key = {.seed = graph->seed, .stream = how->stream, .step = graph->step};
    for (int64_t i = 0; i < e->size; i++) {
        bool dropped = fcl_random_uniform(key, graph->first_row + (uint64_t)i) < how->share;
        e->out[i] = dropped ? how->instead : e->in[0][i];
    }
}

static void eval_interpolate(const evaluation *e)
{
    int64_t last = e->node->input[0]->shape.dim[0] - 1, columns = e->node->shape.dim[1];
    for (int64_t i = 0; i < e->size; i++) {
        double place = fmin(fmax(e->in[1][i / columns], 0), 1) * (double)last;
        int64_t cell = place < (double)last ? (int64_t)place : last - 1;
        const double *at = e->in[0] + cell * columns + i % columns;
        double step = at[columns] - at[0];
        e->out[i] = at[0] + (place - (double)cell) * step;
        if (e->error) {
            const double *error = e->in_error[0] + cell * columns + i % columns;
            e->error[i] = fmax(error[0], error[columns]) + fabs(step) * (double)last * e->in_error[1][i / columns] +
                          BOUND_UNIT * (fabs(step) * (place + 2) + fabs(e->out[i]));
        }
    }
}

/* --- flow matching --- */

static double *part_of(const evaluation *e, int index)
{
    const fcl_tensor *part = e->node->part[index];
    return part && part->id < e->r->count ? e->r->value[part->id] : NULL;
}

static double *part_error(const evaluation *e, int index)
{
    return e->r->error[e->node->part[index]->id];
}

/* The error of in[0][i] - in[1][i] */
static double error_of_difference(const evaluation *e, int64_t i)
{
    return e->in_error[0][i] + e->in_error[1][i] + BOUND_UNIT * fabs(e->in[0][i] - e->in[1][i]);
}

static void eval_cfm_loss(const evaluation *e)
{
    int64_t d = row_size(e->node->input[0]->shape);
    for (int64_t row = 0; row < e->size; row++) {
        double error = 0;
        e->out[row] = 0;
        for (int64_t i = row * d; i < row * d + d; i++) {
            double difference = e->in[0][i] - e->in[1][i];
            e->out[row] += difference * difference / (double)d;
            if (e->error)
                error += 2 * fabs(difference) * error_of_difference(e, i) / (double)d;
        }
        if (e->error)
            e->error[row] = error + BOUND_UNIT * (2 * sqrt((double)d) + 6) * e->out[row];
    }
}

static void eval_cfm_loss_grad(const evaluation *e)
{
    int64_t d = row_size(e->node->shape);
    for (int64_t i = 0; i < e->size; i++) {
        double difference = e->in[0][i] - e->in[1][i], scale = 2 * e->in[2][i / d] / (double)d;
        e->out[i] = scale * difference;
        if (e->error)
            e->error[i] = fabs(scale) * error_of_difference(e, i) + 8 * BOUND_UNIT * fabs(e->out[i]) +
                          2 / (double)d * e->in_error[2][i / d] * fabs(difference);
    }
}

/* --- ODE control, as the header tells it --- */

static double error_norm(const evaluation *e, int64_t row, int64_t d)
{
    const fcl_ode_control *control = e->node->attributes;
    double sum = 0;
    for (int64_t i = row * d; i < row * d + d; i++) {
        double size = fmax(fabs(e->in[0][i]), fabs(e->in[1][i]));
        double ratio = e->in[2][i] / ((double)control->atol + (double)control->rtol * size);
        sum += ratio * ratio / (double)d;
    }
    return sqrt(sum);
}

/* s: the state of one sample, in place. */
static void control_step(double *s, double norm, double order)
{
    bool accepted = norm <= 1;
    double factor = 0.2;
    if (isfinite(norm))
        factor = 0.9 * pow(fmax(norm, 1e-6), -0.85 / order) * pow(fmax(s[FCL_ODE_ERROR], 1e-4), 0.2 / order);
    factor = fmin(fmax(factor, 0.2), accepted ? 5 : 0.9);
    bool last = accepted && s[FCL_ODE_H] == s[FCL_ODE_T_END] - s[FCL_ODE_T];
    if (accepted) {
        s[FCL_ODE_T] = last ? s[FCL_ODE_T_END] : s[FCL_ODE_T] + s[FCL_ODE_H];
        s[FCL_ODE_ERROR] = norm;
    }
    s[accepted ? FCL_ODE_ACCEPTED : FCL_ODE_REJECTED]++;
    double left = s[FCL_ODE_T_END] - s[FCL_ODE_T], h = s[FCL_ODE_H] * factor;
    bool done = accepted && left * s[FCL_ODE_H] <= 0;
    bool stuck = !done && !(fabs(h) >= 4.8e-7 * fmax(fabs(s[FCL_ODE_T]), fabs(s[FCL_ODE_T_END])));
    s[FCL_ODE_ACTIVE] = done ? 0 : stuck ? -1 : 1;
    s[FCL_ODE_PROPOSED] = last && fabs(s[FCL_ODE_PROPOSED]) > fabs(h) ? s[FCL_ODE_PROPOSED] : h;
    s[FCL_ODE_H] = done || stuck ? 0 : fabs(h) * 1.01 >= fabs(left) ? left : h;
}

/* Of the norm of d numbers, then its power and the quotients; a step may be what is left of the time. */
static void error_of_control(const double *s, int64_t d, double *error)
{
    for (int k = 0; k < FCL_ODE_STATE; k++) {
        double size = fabs(s[k]) + (k == FCL_ODE_T || k == FCL_ODE_H ? fabs(s[FCL_ODE_T]) + fabs(s[FCL_ODE_T_END]) : 0);
        error[k] = s[FCL_ODE_ACTIVE] == 0 && k == FCL_ODE_H ? 0 : BOUND_UNIT * (48 + 2 * sqrt((double)d)) * size;
    }
}

static void eval_ode_advance(const evaluation *e)
{
    const fcl_ode_control *control = e->node->attributes;
    int64_t d = row_size(e->node->shape);
    double *k_out = part_of(e, 0), *state_out = part_of(e, 1);
    for (int64_t row = 0; row < e->node->shape.dim[0]; row++) {
        double *s = state_out + row * FCL_ODE_STATE;
        double norm = error_norm(e, row, d);
        memcpy(s, e->in[5] + row * FCL_ODE_STATE, FCL_ODE_STATE * sizeof *s);
        bool active = s[FCL_ODE_ACTIVE] == 1, accepted = active && norm <= 1;
        if (active)
            control_step(s, norm, control->order);
        else
            s[FCL_ODE_H] = 0;
        for (int64_t i = row * d; i < row * d + d; i++) {
            e->out[i] = e->in[accepted ? 1 : 0][i];
            k_out[i] = e->in[accepted ? 4 : 3][i];
        }
        if (e->error)
            error_of_control(s, d, part_error(e, 1) + row * FCL_ODE_STATE);
    }
}

/* --- entropic transport, as the header tells it --- */

/* The logarithms of the means over j of exp(potential_j - K_ij), or of K_ji where `turned`. */
static void log_means(const evaluation *e, bool turned, const double *potential, double *sum)
{
    fcl_shape shape = e->node->input[0]->shape;
    int64_t rows = shape.dim[turned], columns = shape.dim[!turned];
    for (int64_t i = 0; i < rows; i++) {
        double most = -INFINITY, total = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < columns; j++) {
                double a = potential[j] - e->in[0][turned ? j * shape.dim[1] + i : i * columns + j];
                most = pass ? most : fmax(most, a);
                total += pass ? exp(a - most) : 0;
            }
        sum[i] = most + log(total / (double)columns);
    }
}

/* The lambda for which the mean of min(1, exp(s_i + lambda)) is `mass`, by halving. */
static double level(int64_t count, const double *sum, double mass)
{
    double low = -1e4, high = 1e4;
    for (int k = 0; k < 100; k++) {
        double middle = (low + high) / 2, total = 0;
        for (int64_t i = 0; i < count; i++)
            total += exp(fmin(0, sum[i] + middle)) / (double)count;
        *(total < mass ? &low : &high) = middle;
    }
    return low;
}

/* The dual's gain by a step d of a potential p whose row has the mass exp(log_mass). */
static double gain(double p, double d, double log_mass, double relax)
{
    double q = (1 - relax) / relax, own = q > 0 ? (exp(-q * p) - exp(-q * (p + d))) / q : d;
    return own - exp(log_mass + d) + exp(log_mass);
}

/* One side's step, `stretch` times as far as its target where the dual does not fall; the plan's error before. */
static double new_potential(const evaluation *e, int64_t count, const double *sum, double stretch, double *potential,
                            double *report)
{
    const fcl_sinkhorn_control *control = e->node->attributes;
    double mass = (double)control->mass, before = report[FCL_TRANSPORT_LAMBDA];
    double relax = e->in[2][0], total = 0, moved = 0, all = 0, lambda = mass > 0 ? level(count, sum, mass) : 0;
    for (int64_t i = 0; i < count; i++) {
        double target = mass > 0 ? fmin(0, -sum[i] - lambda) : -relax * sum[i];
        double far = potential[i] + stretch * (target - potential[i]);
        double now = exp(potential[i] + sum[i] + before), then = exp(target + sum[i] + lambda);
        moved += fabs(then - now);
        all += fmax(then, now);
        if (mass > 0)
            far = fmin(0, far);
        bool fits = gain(potential[i], far - potential[i], potential[i] + sum[i] + lambda, mass > 0 ? 1 : relax) >= 0;
        potential[i] = stretch > 0 && fits ? far : stretch > 0 ? target : potential[i];
        total += exp(potential[i] + sum[i]) / (double)count;
    }
    if (stretch > 0)
        report[FCL_TRANSPORT_LAMBDA] = mass > 0 ? log(mass / total) : 0;
    report[FCL_TRANSPORT_MASS] = total * exp(report[FCL_TRANSPORT_LAMBDA]);
    return moved / all;
}

/* Logarithms of means of exponentials, one on another's in each iteration: the arguments are differences of costs and
 * potentials, as large as the largest cost. */
static void error_of_potentials(const evaluation *e, double iterations)
{
    double *const errors[] = {e->error, part_error(e, 0), part_error(e, 1)}, *report = part_error(e, 2), largest = 1;
    fcl_shape cost = e->node->input[0]->shape;
    const int64_t counts[] = {e->size, cost.dim[1], cost.dim[0]};
    for (int64_t i = 0; i < fcl_shape_size(cost); i++)
        largest = fmax(largest, fabs(e->in[0][i]));
    double error = BOUND_UNIT * 16 * (1 + iterations) * largest;
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < counts[k]; i++)
            errors[k][i] = error;
    report[FCL_TRANSPORT_CHANGE] = report[FCL_TRANSPORT_MASS] = report[FCL_TRANSPORT_LAMBDA] = error;
}

/* Ends where the error is small twice in a row, the columns being exact the second time. */
static void eval_sinkhorn(const evaluation *e)
{
    const fcl_sinkhorn_control *control = e->node->attributes;
    int64_t rows = e->node->input[0]->shape.dim[0], columns = e->node->input[0]->shape.dim[1];
    double *f = e->out, *g = part_of(e, 0), *sum = part_of(e, 1), *report = part_of(e, 2);
    double *turned_sum = calloc((size_t)columns, sizeof *turned_sum), tolerance = (double)control->tolerance;
    bool exact = false;
    memset(f, 0, (size_t)rows * sizeof *f);
    memset(g, 0, (size_t)columns * sizeof *g);
    memset(report, 0, FCL_TRANSPORT_REPORT * sizeof *report);
    for (int k = 0; k < control->iterations; k++) {
        double stretch = k < 5 ? 1 : k < 40 ? 1.5 : 1.8;
        log_means(e, false, g, sum);
        bool near = new_potential(e, rows, sum, 0, f, report) < tolerance;
        if (near && exact)
            break;
        exact = near;
        new_potential(e, rows, sum, near ? 1 : stretch, f, report);
        log_means(e, true, f, turned_sum);
        bool plain = near || k == control->iterations - 1;
        new_potential(e, columns, turned_sum, plain ? 1 : stretch, g, report);
        report[FCL_TRANSPORT_ITERATIONS]++;
    }
    log_means(e, false, g, sum);
    report[FCL_TRANSPORT_CHANGE] = new_potential(e, rows, sum, 0, f, report);
    report[FCL_TRANSPORT_OPEN] = !(report[FCL_TRANSPORT_CHANGE] < tolerance);
    if (e->error)
        error_of_potentials(e, report[FCL_TRANSPORT_ITERATIONS]);
    free(turned_sum);
}

static void eval_transport_draw(const evaluation *e)
{
    int64_t rows = e->node->input[0]->shape.dim[0], columns = e->node->input[0]->shape.dim[1];
    const double *cost = e->in[0], *f = e->in[1], *g = e->in[2], *sum = e->in[3], *u = e->in[4];
    const fcl_transport_draw_attributes *how = e->node->attributes;
    double *row_out = part_of(e, 0), total = 0;
    for (int64_t i = 0; i < rows; i++)
        total += exp(f[i] + sum[i]);
    for (int64_t k = 0; k < rows; k++) {
        int64_t row = how->each_row ? k : -1, column = -1;
        double left = ((double)k + u[2 * k]) / (double)rows * total;
        while (!how->each_row && left > 0 && row < rows - 1)
            left -= exp(f[row + 1] + sum[row + 1]), row++;
        for (left = u[2 * k + 1]; left > 0 && column < columns - 1; column++)
            left -= exp(g[column + 1] - cost[row * columns + column + 1] - sum[row]) / (double)columns;
        row_out[k] = (double)row;
        e->out[k] = (double)column;
    }
}

/* --- attention --- */

static void eval_by_parts(const evaluation *e, void (*eval)(const evaluation *e, const attention_parts *parts))
{
    attention_parts parts = {0};
    for (int k = 0; k < 2; k++) {
        parts.value[k] = part_of(e, k);
        parts.error[k] = parts.value[k] ? part_error(e, k) : NULL;
    }
    eval(e, &parts);
}

static void eval_attention(const evaluation *e)
{
    eval_by_parts(e, reference_attention);
}

static void eval_attention_grad(const evaluation *e)
{
    eval_by_parts(e, reference_attention_grad);
}

static void eval_constant(const evaluation *e)
{
    e->out[0] = (double)e->node->scalar;
}

static void eval_scalar(const evaluation *e)
{
    e->out[0] = (double)e->node->scalar;
}

static void eval_nothing(const evaluation *e)
{
    (void)e; /* a leaf's value is the caller's, a part's its node's */
}

static const struct {
    const char *op;
    void (*eval)(const evaluation *e);
    bound_rule rule; /* for its error */
} others[] = {
    {"input", eval_nothing, BOUND_OWN},
    {"leaf", eval_nothing, BOUND_OWN},
    {"part", eval_nothing, BOUND_OWN},
    {"constant", eval_constant, BOUND_EXACT},
    {"scalar", eval_scalar, BOUND_EXACT},
    {"sum", eval_sum, BOUND_LINEAR},
    {"max_axes", eval_max_axes, BOUND_CHOICE},
    {"arg_max", eval_arg_max, BOUND_EXACT},
    {"matmul", eval_matmul, BOUND_LINEAR},
    {"conv2d", eval_conv2d, BOUND_LINEAR},
    {"conv2d_input", eval_conv2d_input, BOUND_LINEAR},
    {"conv2d_weight", eval_conv2d_weight, BOUND_LINEAR},
    {"attention", eval_attention, BOUND_OWN},
    {"attention_grad", eval_attention_grad, BOUND_OWN},
    {"attention_grad_kv", eval_nothing, BOUND_OWN},
    {"attention_grad_bias", reference_attention_grad_bias, BOUND_OWN},
    {"attention_tangent", reference_attention_tangent, BOUND_OWN},
    {"reshape", eval_reshape, BOUND_LINEAR},
    {"permute", eval_permute, BOUND_LINEAR},
    {"slice", eval_slice, BOUND_LINEAR},
    {"pad", eval_pad, BOUND_LINEAR},
    {"concat", eval_concat, BOUND_LINEAR},
    {"gather_rows", eval_gather, BOUND_OWN},
    {"scatter_rows", eval_scatter, BOUND_LINEAR},
    {"one_hot", eval_one_hot, BOUND_EXACT},
    {"normal", eval_normal, BOUND_OWN},
    {"uniform", eval_uniform, BOUND_EXACT},
    {"batch_index", eval_batch_index, BOUND_EXACT},
    {"row_number", eval_row_number, BOUND_EXACT},
    {"drop_labels", eval_drop_labels, BOUND_EXACT},
    {"interpolate", eval_interpolate, BOUND_OWN},
    {"cfm_loss", eval_cfm_loss, BOUND_OWN},
    {"cfm_loss_grad", eval_cfm_loss_grad, BOUND_OWN},
    {"sinkhorn", eval_sinkhorn, BOUND_OWN},
    {"transport_draw", eval_transport_draw, BOUND_EXACT},
    {"ode_advance", eval_ode_advance, BOUND_OWN},
    {0},
};

/* Evaluates with e, or only looks where e is NULL. False: no such operation. */
static bool evaluate(const char *op, const evaluation *e)
{
    for (int i = 0; elementwise[i].op; i++)
        if (strcmp(elementwise[i].op, op) == 0) {
            if (e)
                eval_elementwise(e, &elementwise[i].is);
            return true;
        }
    for (int i = 0; others[i].op; i++)
        if (strcmp(others[i].op, op) == 0) {
            if (e)
                others[i].eval(e);
            if (e && e->error)
                bound_by_rule(e, others[i].rule, others[i].eval);
            return true;
        }
    return false;
}

bool reference_knows(const char *op)
{
    return evaluate(op, NULL);
}

reference *reference_create(const fcl_graph *graph)
{
    reference *r = fcl_zalloc(sizeof *r);
    r->graph = graph;
    r->count = graph->count;
    r->value = fcl_zalloc((size_t)r->count * sizeof *r->value + 1);
    r->error = fcl_zalloc((size_t)r->count * sizeof *r->error + 1);
    for (int i = 0; i < r->count; i++) {
        r->value[i] = fcl_zalloc((size_t)fcl_shape_size(graph->nodes[i]->shape) * sizeof(double));
        r->error[i] = fcl_zalloc((size_t)fcl_shape_size(graph->nodes[i]->shape) * sizeof(double));
    }
    return r;
}

void reference_destroy(reference **r)
{
    for (int i = 0; i < (*r)->count; i++) {
        free((*r)->value[i]);
        free((*r)->error[i]);
    }
    free((*r)->value);
    free((*r)->error);
    free(*r);
    *r = NULL;
}

double *reference_value(const reference *r, const fcl_tensor *node)
{
    return r->value[node->id];
}

double *reference_error(const reference *r, const fcl_tensor *node)
{
    return r->error[node->id];
}

static void run(reference *r, int first, int end, bool with_errors)
{
    for (int id = first; id < end; id++) {
        evaluation e = {.r = r, .node = r->graph->nodes[id], .out = r->value[id]};
        e.size = fcl_shape_size(e.node->shape);
        e.error = with_errors ? r->error[id] : NULL;
        for (int k = 0; k < e.node->inputs; k++) {
            e.in[k] = r->value[e.node->input[k]->id];
            e.in_error[k] = r->error[e.node->input[k]->id];
        }
        if (!evaluate(e.node->op->name, &e))
            abort(); /* the test of the table tells of it first */
    }
}

void reference_run(reference *r)
{
    run(r, 0, r->count, false);
}

void reference_run_part(reference *r, int first, int end)
{
    run(r, first, end, false);
}

void reference_run_with_errors(reference *r)
{
    run(r, 0, r->count, true);
}
