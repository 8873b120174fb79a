#include "trial.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t state; /* of the draws: a test program has one thread */

void trial_seed(void)
{
    const char *given = getenv("FCL_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    state = given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    printf("FCL_TEST_SEED=%llu\n", (unsigned long long)state);
    fflush(stdout);
}

bool trial_tiny(void)
{
    const char *tiny = getenv("FCL_TEST_TINY");
    return tiny && strcmp(tiny, "1") == 0;
}

uint64_t trial_mark(void)
{
    return state;
}

void trial_return(uint64_t mark)
{
    state = mark;
}

/* splitmix64 */
static uint64_t next(void)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

double trial_uniform(void)
{
    return ((double)(next() >> 12) + 0.5) * 0x1p-52;
}

double trial_normal(void)
{
    double radius = sqrt(-2 * log(trial_uniform()));
    return radius * cos(6.283185307179586 * trial_uniform());
}

int trial_int(int low, int high)
{
    return (int)(low + (int64_t)(next() % (uint64_t)((int64_t)high - low + 1)));
}

trial *trial_create(void)
{
    trial *t = fcl_zalloc(sizeof *t);
    t->graph = fcl_graph_create();
    return t;
}

void trial_destroy(trial **t)
{
    for (int i = 0; i < (*t)->leaves; i++)
        free((*t)->leaf[i].value);
    if ((*t)->r)
        reference_destroy(&(*t)->r);
    fcl_graph_destroy(&(*t)->graph);
    free(*t);
    *t = NULL;
}

fcl_tensor *trial_input(trial *t, fcl_shape shape, domain kind, int64_t limit)
{
    if (t->leaves == TRIAL_LEAVES)
        abort();
    char name[16];
    snprintf(name, sizeof name, "x%d", t->leaves);
    trial_leaf *leaf = &t->leaf[t->leaves++];
    leaf->domain = kind;
    leaf->limit = limit;
    leaf->value = fcl_zalloc((size_t)fcl_shape_size(shape) * sizeof(double));
    fcl_type type = kind == INDEX ? FCL_I32 : kind == BYTES ? FCL_U8 : FCL_F32;
    return leaf->tensor = fcl_input(t->graph, name, type, shape);
}

trial_leaf *trial_leaf_of(trial *t, const fcl_tensor *tensor)
{
    for (int i = 0; i < t->leaves; i++)
        if (t->leaf[i].tensor == tensor)
            return &t->leaf[i];
    abort();
}

static double draw(const trial_leaf *leaf, int number)
{
    double grid = rint(64 * trial_normal()) / 64 + (number % 31 + 1) / 2048.0;
    grid = (double)(float)(grid + 0x1p-14 * trial_uniform()); /* of whole steps all roundings of a sum would be alike */
    switch (leaf->domain) {
    case SMOOTH:
        return grid;
    case POSITIVE:
        return (double)(float)(fabs(grid) + 0.125);
    case AWAY:
        return (double)(float)(grid + (grid < 0 ? -0.5 : 0.5));
    case TIME:
        return (double)(float)trial_uniform();
    case MASK:
        return trial_int(0, 1);
    case INDEX:
        return trial_int(-2, (int)leaf->limit + 1);
    case BYTES:
        return trial_int(0, 255);
    case PREPARED:
        break;
    }
    return 0;
}

void trial_fill(trial *t)
{
    for (int i = 0; i < t->leaves; i++)
        for (int64_t k = 0; k < fcl_shape_size(t->leaf[i].tensor->shape); k++)
            t->leaf[i].value[k] = draw(&t->leaf[i], i);
}

static void fill_leaf(trial *t, const trial_leaf *leaf)
{
    memcpy(reference_value(t->r, leaf->tensor), leaf->value, (size_t)fcl_shape_size(leaf->tensor->shape) * sizeof(double));
}

/* `factor` times the value of leaf direction[i] is added to leaf x[i]. */
static void shift(trial *t, double factor, int count, fcl_tensor *const *x, fcl_tensor *const *direction)
{
    for (int i = 0; i < count; i++)
        for (int64_t k = 0; k < fcl_shape_size(x[i]->shape); k++)
            reference_value(t->r, x[i])[k] += factor * trial_leaf_of(t, direction[i])->value[k];
}

/* Of inputs that a layer has filled by itself. */
static void fill_contents(trial *t)
{
    for (int i = 0; i < t->graph->count; i++) {
        const fcl_tensor *node = t->graph->nodes[i];
        for (int64_t k = 0; node->content && k < fcl_shape_size(node->shape); k++)
            reference_value(t->r, node)[k] = (double)node->content[k];
    }
}

void trial_evaluate(trial *t, double factor, int count, fcl_tensor *const *x, fcl_tensor *const *direction)
{
    if (!t->r)
        t->r = reference_create(t->graph);
    fill_contents(t);
    for (int i = 0; i < t->leaves; i++)
        fill_leaf(t, &t->leaf[i]);
    shift(t, factor, count, x, direction);
    reference_run(t->r);
    t->bounded = false;
}

void trial_move(trial *t, trial_part part, double factor, int count, fcl_tensor *const *x, fcl_tensor *const *direction)
{
    for (int i = 0; i < count; i++)
        fill_leaf(t, trial_leaf_of(t, x[i]));
    shift(t, factor, count, x, direction);
    reference_run_part(t->r, part.first, part.end);
    t->bounded = false;
}

static int write_leaf(const trial_leaf *leaf)
{
    int64_t size = fcl_shape_size(leaf->tensor->shape);
    float *data = fcl_zalloc((size_t)size * sizeof *data);
    for (int64_t i = 0; i < size; i++) {
        if (leaf->tensor->type == FCL_F32)
            data[i] = (float)leaf->value[i];
        else if (leaf->tensor->type == FCL_I32)
            ((int32_t *)data)[i] = (int32_t)leaf->value[i];
        else
            ((uint8_t *)data)[i] = (uint8_t)leaf->value[i];
    }
    int status = fcl_tensor_write(leaf->tensor, data);
    free(data);
    return status;
}

int trial_run(trial *t)
{
    for (int i = 0; i < t->leaves; i++)
        FCL_TRY(write_leaf(&t->leaf[i]));
    return fcl_graph_run(t->graph);
}

static bool differs(double found, double expected, double bound)
{
    if (isnan(found) || isnan(expected))
        return isnan(found) != isnan(expected);
    return found != expected && !(fabs(found - expected) <= bound + (double)FLT_MIN);
}

double *trial_error(trial *t, const fcl_tensor *node)
{
    if (!t->bounded)
        reference_run_with_errors(t->r);
    t->bounded = true;
    return reference_error(t->r, node);
}

static double number_at(const fcl_tensor *tensor, const void *content, int64_t i)
{
    return tensor->type == FCL_I32 ? ((const int32_t *)content)[i] : (double)((const float *)content)[i];
}

int64_t trial_misfit(trial *t, const fcl_tensor *output, const void *found)
{
    const double *error = trial_error(t, output), *expected = reference_value(t->r, output);
    for (int64_t i = 0; i < fcl_shape_size(output->shape); i++)
        if (differs(number_at(output, found, i), expected[i], error[i]))
            return i;
    return -1;
}

bool trial_agrees(trial *t, fcl_tensor *output, const char *what)
{
    void *found = fcl_zalloc((size_t)fcl_shape_size(output->shape) * sizeof(float));
    bool read = fcl_tensor_read(output, found) == FCL_OK;
    int64_t i = read ? trial_misfit(t, output, found) : -1;
    if (!read)
        printf("%s: %s\n", what, fcl_error());
    if (i >= 0)
        printf("%s, shape %s: element %lld is %.9g, expected %.9g, bound %.2g\n", what,
               fcl_shape_text(t->graph, output->shape), (long long)i, number_at(output, found, i),
               reference_value(t->r, output)[i], trial_error(t, output)[i]);
    free(found);
    return read && i < 0;
}
