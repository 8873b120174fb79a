/* Errors: a score is a sum of products; a weight's relative error is that of its score, of the row's log-sum-exp or, where
 * the row is normalised, of what the weights have in common, and of exp; what is summed by weights follows. A weight, and what
 * is multiplied by one, may be zero where it is below FLT_MIN. */
#include "reference_attention.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A number, and how far single precision may be from it. */
typedef struct number {
    double value, error;
} number;

/* A sum of products, by what its error follows from. */
typedef struct sum {
    double value, error, squares, terms;
} sum;

static void add(sum *s, number a, number b)
{
    s->value += a.value * b.value;
    s->error += fabs(a.value) * b.error + fabs(b.value) * a.error + (double)FLT_MIN;
    s->squares += a.value * b.value * a.value * b.value;
    s->terms++;
}

static number total(const sum *s)
{
    double rounded = 4 * BOUND_UNIT * sqrt(s->squares) + bound_of_sum(s->terms, s->value, s->squares);
    return (number){s->value, s->error + rounded};
}

static number scaled(number a, double by)
{
    return (number){by * a.value, fabs(by) * a.error + 2 * BOUND_UNIT * fabs(by * a.value)};
}

static number plus(number a, number b)
{
    return (number){a.value + b.value, a.error + b.error + BOUND_UNIT * fabs(a.value + b.value)};
}

static number times(number a, number b)
{
    return (number){a.value * b.value,
                    fabs(a.value) * b.error + (fabs(b.value) + b.error) * a.error + BOUND_UNIT * fabs(a.value * b.value) +
                        (double)FLT_MIN};
}

/* --- operands --- */

typedef struct problem {
    const evaluation *e;
    fcl_attention_problem p;
    fcl_attention_operands a;
    int n, item, head; /* of the row at hand: of tangents, of the attention */
} problem;

static problem problem_of(const evaluation *e)
{
    return (problem){.e = e, .p = fcl_attention_problem_of(e->node), .a = fcl_attention_operands_of(e->node)};
}

static number at(const problem *b, const fcl_tensor *tensor, int64_t i)
{
    int k = 0;
    while (b->e->node->input[k] != tensor)
        k++;
    return (number){b->e->in[k][i], b->e->error ? b->e->in_error[k][i] : 0};
}

/* Column c of row i of one of q, k, v, or of what belongs to them. */
static int64_t place(const problem *b, int item, int rows, int i, int c)
{
    return (((int64_t)item * rows + i) * b->p.heads + b->head) * b->p.width + c;
}

static int64_t bias_place(const problem *b, int item, int i, int j)
{
    return (((int64_t)item * b->p.heads + b->head) * b->p.queries + i) * b->p.keys + j;
}

static number query(const problem *b, const fcl_tensor *t, int item, int i, int c)
{
    return at(b, t, place(b, item, b->p.queries, i, c));
}

static number key(const problem *b, const fcl_tensor *t, int item, int j, int c)
{
    return at(b, t, place(b, item, b->p.keys, j, c));
}

enum { Q = FCL_ATTENTION_Q, K, V, BIAS };

static bool left_out(const problem *b, int j)
{
    return b->a.mask && at(b, b->a.mask, (int64_t)b->item * b->p.keys + j).value == 0;
}

/* --- rows --- */

static number score(const problem *b, int i, int j)
{
    sum s = {0};
    for (int c = 0; c < b->p.width; c++)
        add(&s, query(b, b->a.x[Q], b->item, i, c), key(b, b->a.x[K], b->item, j, c));
    number product = scaled(total(&s), 1 / sqrt(b->p.width));
    return b->p.bias ? plus(product, at(b, b->a.x[BIAS], bias_place(b, b->p.shared_bias ? 0 : b->item, i, j))) : product;
}

/* The weights of row i; `relative` errors of these, without what a row's have in common. Returns the log-sum-exp, of what
 * may be wrong of it, too. */
static number row_weights(const problem *b, int i, number *weight)
{
    double most = -INFINITY, all = 0, error = 0;
    for (int j = 0; j < b->p.keys; j++) {
        weight[j] = left_out(b, j) ? (number){-INFINITY, 0} : score(b, i, j);
        most = fmax(most, weight[j].value);
    }
    for (int j = 0; j < b->p.keys && most > -INFINITY; j++)
        all += exp(weight[j].value - most);
    double lse = all > 0 ? most + log(all) : 0;
    for (int j = 0; j < b->p.keys; j++) {
        double p = all > 0 ? exp(weight[j].value - lse) : 0;
        double relative = p > 0 ? weight[j].error + BOUND_UNIT * (6 + 2 * fabs(weight[j].value - lse)) : 0;
        error += p * relative;
        weight[j] = (number){p, p * relative + (p > 0 ? (double)FLT_MIN : 0)};
    }
    return (number){lse, all > 0 ? error + BOUND_UNIT * (8 + 2 * sqrt(b->p.keys) + 2 * fabs(lse)) : 0};
}

/* The same from a stored log-sum-exp, whose error the weights have in common. */
static void kept_weights(const problem *b, int i, number *weight)
{
    double error = at(b, b->a.lse, ((int64_t)b->item * b->p.heads + b->head) * b->p.queries + i).error;
    row_weights(b, i, weight);
    for (int j = 0; j < b->p.keys; j++)
        weight[j].error += weight[j].value * error;
}

static number *numbers(int count)
{
    return fcl_zalloc((size_t)count * sizeof(number));
}

/* --- each row of each head --- */

typedef void row_of(problem *b, int i, number *weight, void *context);

static void each_row(problem *b, row_of *row, void *context)
{
    number *weight = numbers(b->p.keys);
    for (b->n = 0; b->n < b->p.lead * b->p.batch; b->n++)
        for (b->head = 0; b->head < b->p.heads; b->head++)
            for (int i = 0; i < b->p.queries; i++) {
                b->item = b->n % b->p.batch;
                row(b, i, weight, context);
            }
    free(weight);
}

static void set(const evaluation *e, int64_t i, number x)
{
    e->out[i] = x.value;
    if (e->error)
        e->error[i] = x.error;
}

/* The value of a row is a mean: a weight that is wrong moves it by the distance of its value from the mean. What the weights
 * have in common in their error then goes; but a device may have summed them wrong. */
static void value_row(problem *b, int i, number *weight, void *context)
{
    const attention_parts *parts = context;
    int64_t row = ((int64_t)b->n * b->p.heads + b->head) * b->p.queries + i;
    number lse = row_weights(b, i, weight);
    if (parts->value[0])
        parts->value[0][row] = lse.value;
    if (parts->value[0] && b->e->error)
        parts->error[0][row] = lse.error;
    for (int c = 0; c < b->p.width; c++) {
        sum s = {0};
        for (int j = 0; j < b->p.keys; j++)
            if (weight[j].value > 0)
                add(&s, weight[j], key(b, b->a.x[V], b->item, j, c));
        number o = total(&s);
        double divisor = 0;
        for (int j = 0; j < b->p.keys; j++)
            divisor += weight[j].error;
        o.error += fabs(o.value) * (divisor + BOUND_UNIT * (8 + 2 * sqrt(b->p.keys)));
        set(b->e, place(b, b->n, b->p.queries, i, c), o);
    }
}

void reference_attention(const evaluation *e, const attention_parts *parts)
{
    problem b = problem_of(e);
    attention_parts own = *parts;
    each_row(&b, value_row, &own);
}

/* --- gradients --- */

/* u o of row i */
static number mean_slope(const problem *b, int i)
{
    sum s = {0};
    for (int c = 0; c < b->p.width; c++)
        add(&s, query(b, b->a.u, b->n, i, c), query(b, b->a.o, b->item, i, c));
    return total(&s);
}

static number slope(const problem *b, int i, int j, number weight, number mean)
{
    sum s = {0};
    if (weight.value == 0)
        return (number){0, 0};
    for (int c = 0; c < b->p.width; c++)
        add(&s, query(b, b->a.u, b->n, i, c), key(b, b->a.x[V], b->item, j, c));
    mean.value = -mean.value;
    return times(weight, plus(total(&s), mean));
}

/* Sums to which each row adds; those of k and v are NULL where nobody reads them. */
typedef struct gradient_sums {
    sum *dk, *dv, *dbias;
} gradient_sums;

static void grad_row(problem *b, int i, number *weight, void *context)
{
    const gradient_sums *sums = context;
    number mean = mean_slope(b, i), *slopes = numbers(b->p.keys);
    kept_weights(b, i, weight);
    for (int j = 0; j < b->p.keys; j++)
        slopes[j] = slope(b, i, j, weight[j], mean);
    for (int j = 0; j < b->p.keys && sums->dbias; j++) {
        int item = b->p.shared_bias ? b->n / b->p.batch : b->n;
        add(&sums->dbias[bias_place(b, item, i, j)], slopes[j], (number){1, 0});
    }
    for (int c = 0; c < b->p.width && !sums->dbias; c++) {
        sum dq = {0};
        for (int j = 0; j < b->p.keys; j++) {
            int64_t to = place(b, b->n, b->p.keys, j, c);
            if (weight[j].value == 0)
                continue;
            add(&dq, slopes[j], key(b, b->a.x[K], b->item, j, c));
            if (sums->dk)
                add(&sums->dk[to], slopes[j], query(b, b->a.x[Q], b->item, i, c));
            if (sums->dv)
                add(&sums->dv[to], weight[j], query(b, b->a.u, b->n, i, c));
        }
        set(b->e, place(b, b->n, b->p.queries, i, c), scaled(total(&dq), 1 / sqrt(b->p.width)));
    }
    free(slopes);
}

static sum *sums_of(int64_t count)
{
    return fcl_zalloc((size_t)count * sizeof(sum));
}

static void finish(const evaluation *e, sum **sums, int64_t count, double scale)
{
    for (int64_t i = 0; i < count && *sums; i++)
        set(e, i, scale == 1 ? total(&(*sums)[i]) : scaled(total(&(*sums)[i]), scale));
    free(*sums);
}

void reference_attention_grad(const evaluation *e, const attention_parts *parts)
{
    problem b = problem_of(e);
    int64_t count = (int64_t)b.p.lead * b.p.batch * b.p.keys * b.p.heads * b.p.width;
    gradient_sums sums = {.dk = parts->value[0] ? sums_of(count) : NULL, .dv = parts->value[1] ? sums_of(count) : NULL};
    each_row(&b, grad_row, &sums);
    finish(&(evaluation){.out = parts->value[0], .error = e->error ? parts->error[0] : NULL}, &sums.dk, count,
           1 / sqrt(b.p.width));
    finish(&(evaluation){.out = parts->value[1], .error = e->error ? parts->error[1] : NULL}, &sums.dv, count, 1);
}

void reference_attention_grad_bias(const evaluation *e)
{
    problem b = problem_of(e);
    gradient_sums sums = {.dbias = sums_of(e->size)};
    each_row(&b, grad_row, &sums);
    finish(e, &sums.dbias, e->size, 1);
}

/* --- the tangent --- */

static number moved_score(const problem *b, int i, int j)
{
    sum s = {0};
    for (int c = 0; c < b->p.width; c++) {
        if (b->a.dx[Q])
            add(&s, query(b, b->a.dx[Q], b->n, i, c), key(b, b->a.x[K], b->item, j, c));
        if (b->a.dx[K])
            add(&s, query(b, b->a.x[Q], b->item, i, c), key(b, b->a.dx[K], b->n, j, c));
    }
    number t = scaled(total(&s), 1 / sqrt(b->p.width));
    int item = b->p.shared_bias ? b->n / b->p.batch : b->n;
    return b->a.dx[BIAS] ? plus(t, at(b, b->a.dx[BIAS], bias_place(b, item, i, j))) : t;
}

static void tangent_row(problem *b, int i, number *weight, void *context)
{
    number *moved = numbers(b->p.keys);
    sum mean = {0};
    (void)context;
    kept_weights(b, i, weight);
    for (int j = 0; j < b->p.keys; j++) {
        moved[j] = weight[j].value > 0 ? times(weight[j], moved_score(b, i, j)) : (number){0, 0};
        add(&mean, moved[j], (number){1, 0});
    }
    for (int c = 0; c < b->p.width; c++) {
        sum s = {0};
        for (int j = 0; j < b->p.keys; j++) {
            if (weight[j].value == 0)
                continue;
            add(&s, moved[j], key(b, b->a.x[V], b->item, j, c));
            if (b->a.dx[V])
                add(&s, weight[j], key(b, b->a.dx[V], b->n, j, c));
        }
        number back = times(total(&mean), query(b, b->a.o, b->item, i, c));
        back.value = -back.value;
        set(b->e, place(b, b->n, b->p.queries, i, c), plus(total(&s), back));
    }
    free(moved);
}

void reference_attention_tangent(const evaluation *e)
{
    problem b = problem_of(e);
    each_row(&b, tangent_row, NULL);
}
