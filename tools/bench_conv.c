/* Convolutions of images, forward and their gradients, as a graph of nothing else. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>

struct bench_conv {
    bench_image image;
    int form;            /* of bench_conv_names */
    fcl_graph *graph;
    fcl_tensor *result;
    float *values[3]; /* of x, the weights and y's gradient; NULL where not read */
    bool ran;
};

enum { X, W, Y, SIDE = 3 };
const char *const bench_conv_names[] = {"forward", "dX", "dW", NULL};
static const int is_read[][3] = {{1, 1, 0}, {0, 1, 1}, {1, 0, 1}};

double bench_conv_work(const bench_image *i)
{
    return 2.0 * i->images * i->size * i->size * SIDE * SIDE * i->channels * i->outputs;
}

static fcl_shape shape_of(const bench_image *i, int factor)
{
    return factor == W ? FCL_SHAPE(SIDE, SIDE, i->channels, i->outputs)
                       : FCL_SHAPE(i->images, i->size, i->size, factor == X ? i->channels : i->outputs);
}

static void build(bench_conv *conv, fcl_tensor **factor)
{
    static const char *const names[] = {"x", "weights", "gradient"};
    conv->graph = fcl_graph_create();
    for (int i = 0; i < 3; i++)
        factor[i] = fcl_input(conv->graph, names[i], FCL_F32, shape_of(&conv->image, i));
    conv->result = fcl_conv2d(factor[X], factor[W], &(fcl_conv2d_options){.padding = SIDE / 2});
    if (conv->form > 0)
        fcl_vjp(conv->result, factor[Y], 1, &factor[conv->form - 1], &conv->result);
    fcl_output(conv->result);
}

static int fill(bench_conv *conv, fcl_tensor *const *factor)
{
    int status = FCL_OK;
    for (int i = 0; i < 3 && status == FCL_OK; i++) {
        if (!is_read[conv->form][i])
            continue;
        size_t count = (size_t)fcl_shape_size(fcl_tensor_shape(factor[i]));
        conv->values[i] = bench_numbers(count);
        status = fcl_tensor_write(factor[i], conv->values[i]);
    }
    return status;
}

int bench_conv_create(fcl_device *device, const bench_image *image, int form, bench_conv **conv)
{
    bench_conv *made = calloc(1, sizeof *made);
    fcl_tensor *factor[3];
    *conv = made;
    if (!made)
        return FCL_ERR_MEMORY;
    *made = (bench_conv){.image = *image, .form = form};
    build(made, factor);
    int status = fcl_graph_compile(made->graph, device, NULL);
    return status == FCL_OK ? fill(made, factor) : status;
}

void bench_conv_destroy(bench_conv **conv)
{
    if (!*conv)
        return;
    fcl_graph_destroy(&(*conv)->graph);
    for (int i = 0; i < 3; i++)
        free((*conv)->values[i]);
    free(*conv);
    *conv = NULL;
}

int bench_conv_run(bench_conv *conv)
{
    conv->ran = true;
    return fcl_graph_run(conv->graph);
}

/* --- against double precision --- */

/* What number `at` of the result adds up: for each pixel of y that (n, i, j) of x meets by tap (u, v). */
typedef struct place {
    int n, i, j, u, v, c, o;
} place;

static size_t index_of(const bench_image *m, int factor, const place *p)
{
    size_t pixel = ((size_t)p->n * (size_t)m->size + (size_t)p->i) * (size_t)m->size + (size_t)p->j;
    if (factor == W)
        return ((size_t)(p->u * SIDE + p->v) * (size_t)m->channels + (size_t)p->c) * (size_t)m->outputs + (size_t)p->o;
    if (factor == Y)
        return pixel * (size_t)m->outputs + (size_t)p->o;
    size_t line = (size_t)p->n * (size_t)m->size + (size_t)(p->i + p->u - SIDE / 2);
    return (line * (size_t)m->size + (size_t)(p->j + p->v - SIDE / 2)) * (size_t)m->channels + (size_t)p->c;
}

static bool is_inside(const bench_image *m, const place *p)
{
    int i = p->i + p->u - SIDE / 2, j = p->j + p->v - SIDE / 2;
    return i >= 0 && j >= 0 && i < m->size && j < m->size && p->i >= 0 && p->j >= 0 && p->i < m->size && p->j < m->size;
}

static void add_term(const bench_conv *conv, const place *p, double *sum, double *scale)
{
    double term = 1;
    if (!is_inside(&conv->image, p))
        return;
    for (int i = 0; i < 3; i++)
        term *= conv->values[i] ? (double)conv->values[i][index_of(&conv->image, i, p)] : 1;
    *sum += term;
    *scale += fabs(term);
}

static double expected(const bench_conv *conv, size_t at, double *scale)
{
    const bench_image *m = &conv->image;
    size_t size = (size_t)m->size, channels = (size_t)(conv->form == 1 ? m->channels : m->outputs);
    int last = (int)(at % channels), column = (int)(at / channels % size), line = (int)(at / channels / size % size);
    int image = (int)(at / channels / size / size);
    double sum = 0;
    *scale = 0;
    if (conv->form == 2) {
        size_t row = at / channels;
        for (int pixel = 0; pixel < m->images * m->size * m->size; pixel++)
            add_term(conv,
                     &(place){pixel / m->size / m->size, pixel / m->size % m->size, pixel % m->size,
                              (int)(row / (size_t)m->channels) / SIDE, (int)(row / (size_t)m->channels) % SIDE,
                              (int)(row % (size_t)m->channels), last},
                     &sum, scale);
        return sum;
    }
    for (int u = 0; u < SIDE; u++)
        for (int v = 0; v < SIDE; v++)
            for (int k = 0; k < (conv->form == 0 ? m->channels : m->outputs); k++) {
                place p = {image, line, column, u, v, k, last};
                if (conv->form == 1)
                    p = (place){image, line - u + SIDE / 2, column - v + SIDE / 2, u, v, last, k};
                add_term(conv, &p, &sum, scale);
            }
    return sum;
}

int bench_conv_error(const bench_conv *conv, double *error)
{
    enum { ELEMENTS = 101, STRIDE = 100003 };
    size_t size = (size_t)fcl_shape_size(fcl_tensor_shape(conv->result));
    float *found = calloc(size, sizeof *found);
    int status = found ? fcl_tensor_read(conv->result, found) : FCL_ERR_MEMORY;
    *error = conv->ran ? 0 : INFINITY;
    for (size_t i = 0; status == FCL_OK && i < ELEMENTS; i++) {
        size_t at = i * STRIDE % size;
        double scale, wanted = expected(conv, at, &scale);
        double wrong = fabs((double)found[at] - wanted) / (scale > 0 ? scale : 1);
        *error = wrong <= *error ? *error : isnan(wrong) ? INFINITY : wrong;
    }
    free(found);
    return status;
}
