/* Graphs as a whole: fusion, memory, assignments, derivatives of models, mistakes, random numbers, control.
 */
#include "device.h"
#include "trial.h"

#include "cl/philox.h"
#include "cl/permute.h"
#include "compile/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define assert_near(a, b, bound) assert_true(fabs((double)(a) - (double)(b)) <= (bound))

static fcl_tensor *input(fcl_graph *graph, const char *name, fcl_shape shape)
{
    return fcl_input(graph, name, FCL_F32, shape);
}

/* --- a random graph against the reference --- */

enum { POOL = 400 };

typedef struct pool {
    fcl_graph *graph;
    fcl_tensor *tensor[POOL];
    int count;
} pool;

static fcl_tensor *any(const pool *p)
{
    return p->tensor[trial_int(0, p->count - 1)];
}

/* Another tensor that fits `a` elementwise, or a itself. */
static fcl_tensor *fitting(const pool *p, const fcl_tensor *a)
{
    for (int tries = 0; tries < 20; tries++) {
        fcl_tensor *b = any(p);
        bool fits = true;
        for (int d = 1; d <= a->shape.rank && d <= b->shape.rank; d++) {
            int64_t x = a->shape.dim[a->shape.rank - d], y = b->shape.dim[b->shape.rank - d];
            fits &= x == y || x == 1 || y == 1;
        }
        if (fits)
            return b;
    }
    return (fcl_tensor *)a;
}

static fcl_tensor *random_unary(fcl_tensor *a)
{
    static fcl_tensor *(*const unary[])(fcl_tensor *) = {fcl_tanh, fcl_sin,  fcl_sigmoid, fcl_neg, fcl_abs,
                                                         fcl_relu, fcl_silu, fcl_gelu,    fcl_cos, fcl_erf};
    return unary[trial_int(0, 9)](a);
}

static fcl_tensor *random_binary(const pool *p, fcl_tensor *a)
{
    fcl_tensor *b = fitting(p, a);
    switch (trial_int(0, 4)) {
    case 0:
        return fcl_scale(fcl_add(a, b), 0.5f);
    case 1:
        return fcl_tanh(fcl_mul(a, b));
    case 2:
        return fcl_max(a, b);
    case 3:
        return fcl_scale(fcl_sub(b, a), 0.5f);
    default:
        return fcl_mul(b, fcl_sigmoid(a));
    }
}

static fcl_tensor *random_product(const pool *p, fcl_tensor *a)
{
    for (int tries = 0; tries < 20 && a->shape.rank == 2; tries++) {
        fcl_tensor *b = any(p);
        if (b->shape.rank != 2)
            continue;
        for (int form = 0; form < 4; form++)
            if (a->shape.dim[form & 1 ? 0 : 1] == b->shape.dim[form & 2 ? 1 : 0]) {
                fcl_tensor *product = fcl_matmul(a, b, form & 1, form & 2);
                return fcl_scale(product, 1 / (float)a->shape.dim[form & 1 ? 0 : 1]);
            }
    }
    return random_unary(a);
}

/* The loss of rows, or its derivative to them. */
static fcl_tensor *random_loss(const pool *p, fcl_tensor *a)
{
    fcl_tensor *b = fitting(p, a), *loss, *da;
    if (a->shape.rank != 2 || !fcl_shape_equal(a->shape, b->shape))
        return random_unary(a);
    loss = fcl_cfm_loss(a, b);
    if (trial_int(0, 1))
        return loss;
    fcl_vjp(trial_int(0, 1) ? fcl_mean(loss) : loss, NULL, 1, &a, &da);
    return da;
}

static fcl_tensor *random_shape(const pool *p, fcl_tensor *a)
{
    if (a->shape.rank != 2)
        return fcl_scale(fcl_sum_axes(a, a->shape.rank ? 1 : 0),
                         1 / (float)(a->shape.rank ? a->shape.dim[0] : 1));
    int axis = trial_int(0, 1);
    int64_t size = a->shape.dim[axis];
    switch (trial_int(0, 8)) {
    case 0:
        return fcl_permute(a, (int[]){1, 0});
    case 1:
        return fcl_scale(fcl_sum_axes(a, 1u << axis), 1 / (float)size);
    case 2:
        return fcl_concat(
            2, (fcl_tensor *[]){fcl_slice(a, axis, size / 2, size), fcl_slice(a, axis, 0, (size + 1) / 2)},
            axis);
    case 3:
        return fcl_reshape(fcl_sin(fcl_reshape(a, FCL_SHAPE(fcl_shape_size(a->shape)))), a->shape);
    case 4:
        return size > 1 ? fcl_pad(fcl_slice(a, axis, 1, size), axis, 0, 1) : a;
    case 5:
        return fcl_softmax(a, axis);
    case 6:
        return fcl_layer_norm(a, NULL, NULL, 0.5f);
    case 7:
        return fcl_sub(a, fcl_scale(fcl_log_sum_exp(a, axis), 0.25f));
    default:
        (void)p;
        return fcl_mul(a, fcl_mean(a));
    }
}

static void grow(pool *p, int nodes)
{
    for (int i = 0; i < nodes && p->count < POOL; i++) {
        fcl_tensor *a = any(p), *b;
        int kind = trial_int(0, 10);
        b = kind < 3   ? random_unary(a)
            : kind < 7 ? random_binary(p, a)
            : kind < 8 ? random_product(p, a)
            : kind < 9 ? random_loss(p, a)
                       : random_shape(p, a);
        if (fcl_shape_size(b->shape) <= 4096)
            p->tensor[p->count++] = b;
    }
}

typedef struct random_graph {
    trial *t;
    fcl_tensor *output[8], *target[4], *value[4];
    int outputs, targets;
} random_graph;

static void make_leaves(random_graph *g, pool *p, int largest)
{
    int b = trial_int(1, largest), d = trial_int(1, largest);
    const fcl_shape shapes[] = {FCL_SHAPE(b, d), FCL_SHAPE(b, d), FCL_SHAPE(b, 1), FCL_SHAPE(d),
                                FCL_SCALAR,      FCL_SHAPE(d, d), FCL_SHAPE(b, d)};
    for (int i = 0; i < 7; i++)
        p->tensor[p->count++] = trial_input(g->t, shapes[i], SMOOTH, 0);
    p->tensor[p->count++] = fcl_constant(p->graph, 0.5f);
    p->tensor[p->count] = fcl_scalar(p->graph, "s");
    fcl_scalar_set(p->tensor[p->count++], 0.25f);
}

/* Outputs, a derivative among them, and assignments to leaves; some leaves are read afterwards by others. */
static random_graph make_random_graph(int largest)
{
    random_graph g = {.t = trial_create()};
    pool p = {.graph = g.t->graph};
    make_leaves(&g, &p, largest);
    grow(&p, trial_tiny() ? 25 : trial_int(10, 80));
    fcl_tensor *dx;
    fcl_vjp(fcl_mean(p.tensor[p.count - 1]), NULL, 1, &p.tensor[0], &dx);
    p.tensor[p.count++] = dx;
    for (int i = 0; i < 4; i++)
        g.output[g.outputs++] = fcl_output(i ? any(&p) : dx);
    for (int leaf = 0; leaf < 7 && g.targets < 4; leaf++)
        for (int tries = 0; tries < 10; tries++) {
            fcl_tensor *value = any(&p);
            if (fcl_shape_size(value->shape) != fcl_shape_size(p.tensor[leaf]->shape))
                continue;
            fcl_assign(p.tensor[leaf], value);
            g.target[g.targets] = p.tensor[leaf];
            g.value[g.targets++] = value;
            break;
        }
    return g;
}

/* No two values that live at the same time share memory. */
static bool places_are_apart(const fcl_plan *plan)
{
    for (int i = 0; i < plan->storage_count; i++)
        for (int k = 0; k < i; k++) {
            const fcl_storage *a = plan->storages[i], *b = plan->storages[k];
            if (a->instead || b->instead || a->last < b->first || b->last < a->first)
                continue;
            if (a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes)
                return false;
        }
    return true;
}

static bool is_target(const random_graph *g, fcl_tensor *tensor)
{
    for (int i = 0; i < g->targets; i++)
        if (fcl_node_root(tensor) == g->target[i])
            return true;
    return false;
}

/* After a run: outputs and targets against the reference. The reference's leaves then hold what the run left
 * behind, all at once, as the next run finds it. */
static bool run_agrees(random_graph *g, const char *what)
{
    bool right = true;
    trial_evaluate(g->t, 0, 0, NULL, NULL);
    for (int i = 0; i < g->outputs && right; i++)
        right = is_target(g, g->output[i]) || trial_agrees(g->t, g->output[i], what);
    double *error[4];
    for (int i = 0; i < g->targets; i++) {
        size_t bytes = (size_t)fcl_shape_size(g->target[i]->shape) * sizeof(double);
        memcpy(trial_leaf_of(g->t, g->target[i])->value, reference_value(g->t->r, g->value[i]), bytes);
        memcpy(error[i] = fcl_zalloc(bytes), trial_error(g->t, g->value[i]), bytes);
    }
    for (int i = 0; i < g->targets; i++) {
        size_t bytes = (size_t)fcl_shape_size(g->target[i]->shape) * sizeof(double);
        memcpy(reference_value(g->t->r, g->target[i]), trial_leaf_of(g->t, g->target[i])->value, bytes);
        memcpy(reference_error(g->t->r, g->target[i]), error[i], bytes);
        free(error[i]);
    }
    for (int i = 0; i < g->targets && right; i++)
        right = trial_agrees(g->t, g->target[i], what);
    return right;
}

static bool random_graph_agrees(fcl_device *device, uint64_t seed, int largest, bool no_fusion)
{
    char what[80];
    trial_return(seed);
    random_graph g = make_random_graph(largest);
    trial_fill(g.t);
    snprintf(what, sizeof what, "random graph %llu, %s", (unsigned long long)seed,
             no_fusion ? "not fused" : "fused");
    assert_ok(fcl_graph_compile(g.t->graph, device, &(fcl_graph_options){.no_fusion = no_fusion}));
    bool right = places_are_apart(g.t->graph->plan);
    if (!right)
        printf("%s: two live values overlap\n", what);
    assert_ok(trial_run(g.t));
    right = right && run_agrees(&g, what);
    assert_ok(fcl_graph_run(g.t->graph));
    right = right && run_agrees(&g, what);
    trial_destroy(&g.t);
    return right;
}

static void check_random_graphs(fcl_device *device, int rounds, int largest)
{
    int wrong = 0;
    for (int i = 0; i < rounds; i++) {
        uint64_t seed = trial_mark();
        wrong += !random_graph_agrees(device, seed, largest, false);
        wrong += !random_graph_agrees(device, seed, largest, true);
    }
    assert_int_equal(wrong, 0);
}

static void random_graphs_agree_with_the_reference(void **state)
{
    check_random_graphs(*state, trial_tiny() ? 2 : 8, trial_tiny() ? 5 : 40);
}

/* Where rows, columns and single numbers have the same shape. */
static void random_graphs_of_few_rows_agree(void **state)
{
    check_random_graphs(*state, 2, 2);
}

/* --- fusion, pruning, memory --- */

static fcl_tensor *chain(fcl_tensor *x, int length)
{
    for (int i = 0; i < length; i++)
        x = i % 2 ? fcl_tanh(x) : fcl_shift(fcl_scale(x, 1.5f), 0.25f);
    return x;
}

static fcl_graph_stats stats_of_chain(fcl_device *device, bool no_fusion, int unused)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = input(graph, "x", FCL_SHAPE(17, 5));
    fcl_output(chain(x, 9));
    for (int i = 0; i < unused; i++)
        fcl_matmul(x, chain(x, 2), true, false);
    assert_ok(fcl_graph_compile(graph, device, &(fcl_graph_options){.no_fusion = no_fusion}));
    fcl_graph_stats stats = fcl_graph_describe(graph);
    fcl_graph_destroy(&graph);
    return stats;
}

static void a_chain_is_one_launch(void **state)
{
    assert_int_equal(stats_of_chain(*state, false, 0).launches, 1);
    assert_true(stats_of_chain(*state, true, 0).launches > 9);
}

static void what_nobody_reads_launches_nothing(void **state)
{
    fcl_graph_stats bare = stats_of_chain(*state, false, 0), more = stats_of_chain(*state, false, 5);
    assert_int_equal(more.launches, bare.launches);
    assert_int_equal(more.nodes, bare.nodes);
    assert_int_equal(more.arena_bytes, bare.arena_bytes);
}

static void a_long_chain_needs_little_memory(void **state)
{
    fcl_graph_stats stats = stats_of_chain(*state, true, 0);
    assert_true(stats.sum_bytes > 3 * stats.arena_bytes);
}

static double operations_of(fcl_device *device, fcl_tensor *y, int count, fcl_tensor *const *x)
{
    fcl_graph *graph = fcl_tensor_graph(y);
    fcl_tensor *gradient[4];
    fcl_vjp(fcl_output(y), NULL, count, x, gradient);
    for (int i = 0; i < count; i++)
        fcl_output(gradient[i]);
    assert_ok(fcl_graph_compile(graph, device, NULL));
    double operations = fcl_graph_describe(graph).operations;
    fcl_graph_destroy(&graph);
    return operations;
}

/* Of the value, and of as many gradients as are asked for. */
static void operations_are_those_of_definitions(void **state)
{
    trial *t = trial_create();
    fcl_tensor *a = trial_input(t, FCL_SHAPE(4, 7, 5), SMOOTH, 0), *b = trial_input(t, FCL_SHAPE(5, 3), SMOOTH, 0);
    fcl_tensor *product[] = {a, b}, *y = fcl_square(fcl_matmul(a, b, false, false));
    assert_true(operations_of(*state, y, 2, product) == 3 * 2 * 4 * 7 * 5 * 3);
    t->graph = fcl_graph_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(2, 4, 6, 3), SMOOTH, 0), *w = trial_input(t, FCL_SHAPE(3, 3, 3, 5), SMOOTH, 0);
    y = fcl_square(fcl_conv2d(x, w, &(fcl_conv2d_options){.stride = 2, .padding = 1}));
    assert_true(operations_of(*state, y, 1, &w) == 2 * 2 * 2 * 2 * 3 * 5 * 9 * 3);
    t->graph = fcl_graph_create();
    fcl_tensor *q = trial_input(t, FCL_SHAPE(2, 5, 8), SMOOTH, 0), *k = trial_input(t, FCL_SHAPE(2, 9, 8), SMOOTH, 0);
    fcl_tensor *v = trial_input(t, FCL_SHAPE(2, 9, 8), SMOOTH, 0), *all[] = {q, k, v};
    y = fcl_square(fcl_attention(q, k, v, 2, NULL, NULL));
    assert_true(operations_of(*state, y, 3, all) == 6 * 2 * 2 * 2 * 5 * 9 * 4);
    t->graph = fcl_graph_create();
    trial_destroy(&t);
}

/* tanh(h) could follow the product in its kernel, but not h, which the product reads from memory. */
static void a_products_operand_is_made_before_it(void **state)
{
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(40, 24), SMOOTH, 0);
    fcl_tensor *h = fcl_silu(x), *chain_of_h = fcl_tanh(h);
    fcl_tensor *product = fcl_matmul(h, trial_input(t, FCL_SHAPE(24, 24), SMOOTH, 0), false, false);
    fcl_tensor *y = fcl_output(fcl_mul(fcl_scale(product, 0.25f), chain_of_h));
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, *state, NULL));
    assert_ok(trial_run(t));
    assert_true(trial_agrees(t, y, "an operand in its product's epilogue"));
    trial_destroy(&t);
}

/* Of each product of a batch: a number for each column, each row, each column of one of the batch, and one of the batch. */
static void a_products_rows_and_columns_follow_it(void **state)
{
    int batch = trial_int(2, 3), rows = trial_int(2, 11), columns = trial_int(2, 40), depth = trial_int(1, 9);
    trial *t = trial_create();
    fcl_tensor *a = trial_input(t, FCL_SHAPE(batch, rows, depth), SMOOTH, 0);
    fcl_tensor *b = trial_input(t, FCL_SHAPE(batch, depth, columns), SMOOTH, 0);
    fcl_tensor *of_column = trial_input(t, FCL_SHAPE(columns), SMOOTH, 0);
    fcl_tensor *of_row = trial_input(t, FCL_SHAPE(batch, rows, 1), SMOOTH, 0);
    fcl_tensor *of_both = trial_input(t, FCL_SHAPE(batch, 1, columns), SMOOTH, 0);
    fcl_tensor *of_item = trial_input(t, FCL_SHAPE(batch, 1, 1), SMOOTH, 0);
    fcl_tensor *y = fcl_mul(fcl_add(fcl_matmul(a, b, false, false), of_column), of_row);
    y = fcl_output(fcl_mul(fcl_add(y, of_both), of_item));
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, *state, NULL));
    assert_ok(trial_run(t));
    assert_true(trial_agrees(t, y, "rows and columns behind a product"));
    trial_destroy(&t);
}

/* More products of one value, and gradients in their weights, than a row block's kernel has copies of. */
static void a_block_of_many_products_is_right(void **state)
{
    enum { PRODUCTS = 18 };
    if (!fcl_device_traits(*state).wide || trial_tiny()) /* llvmpipe's compiler, which has no functions, takes many minutes */
        skip();
    trial *t = trial_create();
    int rows = trial_int(33, 70), width = trial_int(8, 20);
    fcl_tensor *x = trial_input(t, FCL_SHAPE(rows, width), SMOOTH, 0), *weight[PRODUCTS + 1], *gradient[PRODUCTS + 1];
    fcl_tensor *h = fcl_silu(x), *loss = fcl_constant(t->graph, 0);
    for (int i = 0; i < PRODUCTS; i++) {
        weight[i] = trial_input(t, FCL_SHAPE(width, trial_int(8, 20)), SMOOTH, 0);
        loss = fcl_add(loss, fcl_mean(fcl_square(fcl_matmul(h, weight[i], false, false))));
    }
    weight[PRODUCTS] = x;
    fcl_vjp(loss, NULL, PRODUCTS + 1, weight, gradient);
    for (int i = 0; i <= PRODUCTS; i++)
        fcl_output(gradient[i]);
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, *state, NULL));
    assert_ok(trial_run(t));
    for (int i = 0; i <= PRODUCTS; i++)
        assert_true(trial_agrees(t, gradient[i], "one of many products in a block"));
    trial_destroy(&t);
}

/* --- assignments --- */

static void all_operations_see_the_old_value(void **state)
{
    float x0[3] = {1, 2, 3}, y0[3] = {10, 20, 30}, x1[3], y1[3], seen[3];
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = input(graph, "x", FCL_SHAPE(3)), *y = input(graph, "y", FCL_SHAPE(3));
    fcl_tensor *sum = fcl_add(x, y);
    fcl_assign(x, y);
    fcl_assign(y, x);
    fcl_tensor *late = fcl_output(fcl_mul(sum, x));
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    assert_ok(fcl_tensor_write(x, x0));
    assert_ok(fcl_tensor_write(y, y0));
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(x, x1));
    assert_ok(fcl_tensor_read(y, y1));
    assert_ok(fcl_tensor_read(late, seen));
    for (int i = 0; i < 3; i++) {
        assert_true(x1[i] == y0[i] && y1[i] == x0[i]);
        assert_true(seen[i] == (x0[i] + y0[i]) * x0[i]);
    }
    fcl_graph_destroy(&graph);
}

/* An in-place update of a window of the caller's buffer, and what lies beside it stays. */
static void a_leaf_is_updated_in_place(void **state)
{
    enum { SIZE = 100, OFFSET = FCL_BUFFER_ALIGN };
    fcl_buffer *buffer;
    float content[OFFSET / 4 + 2 * SIZE];
    for (int i = 0; i < OFFSET / 4 + 2 * SIZE; i++)
        content[i] = (float)i;
    assert_ok(fcl_buffer_create(*state, sizeof content, &buffer));
    assert_ok(fcl_buffer_write(buffer, 0, sizeof content, content));
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_leaf(graph, "x", FCL_F32, FCL_SHAPE(SIZE), buffer, OFFSET);
    fcl_tensor *rate = fcl_scalar(graph, "rate");
    fcl_assign(x, fcl_sub(x, fcl_mul(rate, x)));
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    assert_int_equal(fcl_graph_describe(graph).launches, 1);
    for (int i = 0; i < 3; i++) {
        fcl_scalar_set(rate, i == 1 ? 0.5f : 0.25f);
        assert_ok(fcl_graph_run(graph));
    }
    float seen[OFFSET / 4 + 2 * SIZE];
    assert_ok(fcl_buffer_read(buffer, 0, sizeof seen, seen));
    for (int i = 0; i < OFFSET / 4 + 2 * SIZE; i++) {
        bool inside = i >= OFFSET / 4 && i < OFFSET / 4 + SIZE;
        assert_near(seen[i], inside ? content[i] * 0.75f * 0.5f * 0.75f : content[i], 1e-4);
    }
    fcl_graph_destroy(&graph);
    fcl_buffer_destroy(&buffer);
}

/* x w' + b, wide enough for products of their own. */
static int launches_of_layer(fcl_device *device, fcl_shape shape)
{
    enum { IN = 300, OUT = 200 };
    fcl_graph *graph = fcl_graph_create();
    shape.dim[shape.rank - 1] = IN;
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, shape), *w = fcl_input(graph, "w", FCL_F32, FCL_SHAPE(OUT, IN));
    fcl_output(fcl_linear(x, w, fcl_input(graph, "b", FCL_F32, FCL_SHAPE(OUT))));
    assert_ok(fcl_graph_compile(graph, device, NULL));
    int launches = fcl_graph_describe(graph).launches;
    fcl_graph_destroy(&graph);
    return launches;
}

/* Rows with several dimensions before them are launched as if they had one. */
static void a_bias_joins_its_product(void **state)
{
    int one = launches_of_layer(*state, FCL_SHAPE(30, 0));
    assert_int_equal(launches_of_layer(*state, FCL_SHAPE(3, 2, 5, 0)), one);
    assert_in_range(one, 1, 2); /* a provider may take no epilogue */
}

/* y = 2 x where y begins in the middle of x: written in place, it would read what it has written. */
static void windows_that_overlap_are_not_updated_in_place(void **state)
{
    enum { HALF = FCL_BUFFER_ALIGN / 4 };
    fcl_buffer *buffer;
    float content[3 * HALF], seen[3 * HALF];
    for (int i = 0; i < 3 * HALF; i++)
        content[i] = (float)i;
    assert_ok(fcl_buffer_create(*state, sizeof content, &buffer));
    assert_ok(fcl_buffer_write(buffer, 0, sizeof content, content));
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_leaf(graph, "x", FCL_F32, FCL_SHAPE(2 * HALF), buffer, 0);
    fcl_tensor *y = fcl_leaf(graph, "y", FCL_F32, FCL_SHAPE(2 * HALF), buffer, FCL_BUFFER_ALIGN);
    fcl_assign(y, fcl_scale(x, 2));
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    assert_int_equal(fcl_graph_describe(graph).launches, 2);
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_buffer_read(buffer, 0, sizeof seen, seen));
    for (int i = 0; i < 3 * HALF; i++)
        assert_true(seen[i] == (i < HALF ? content[i] : 2 * content[i - HALF]));
    fcl_graph_destroy(&graph);
    fcl_buffer_destroy(&buffer);
}

/* Of the results of one launch, only those that somebody reads take memory; the others are not written. */
static void results_that_nobody_reads_are_not_stored(void **state)
{
    for (int part = 0; part < 2; part++) {
        trial *t = trial_create();
        fcl_shape rows = FCL_SHAPE(200, 3);
        fcl_tensor *x = trial_input(t, rows, SMOOTH, 0), *k = trial_input(t, rows, SMOOTH, 0);
        fcl_tensor *done = trial_input(t, FCL_SHAPE(200, FCL_ODE_STATE), PREPARED, 0); /* no sample moves */
        fcl_ode_next next = fcl_ode_advance(&(fcl_ode_control){1e-3f, 1e-3f, 4}, x, k, k, k, k, done);
        fcl_tensor *kept = fcl_output(part ? next.k_first : next.x);
        trial_fill(t);
        trial_evaluate(t, 0, 0, NULL, NULL);
        assert_ok(fcl_graph_compile(t->graph, *state, NULL));
        if (!part)
            assert_true(fcl_graph_describe(t->graph).arena_bytes < 2 * 200 * 3 * sizeof(float));
        assert_ok(trial_run(t));
        assert_true(trial_agrees(t, kept, "a part of a launch"));
        trial_destroy(&t);
    }
}

/* --- mistakes --- */

typedef void (*blunder)(fcl_graph *graph, fcl_tensor *x);

static void wrong_add(fcl_graph *graph, fcl_tensor *x)
{
    fcl_add(x, input(graph, "small", FCL_SHAPE(4)));
}

static void wrong_product(fcl_graph *graph, fcl_tensor *x)
{
    fcl_matmul(x, input(graph, "weight", FCL_SHAPE(3, 9)), false, false);
}

static void wrong_slice(fcl_graph *graph, fcl_tensor *x)
{
    (void)graph;
    fcl_slice(x, 1, 5, 12);
}

static void wrong_axis(fcl_graph *graph, fcl_tensor *x)
{
    (void)graph;
    fcl_pad(x, 2, 1, 1);
}

static void wrong_concat(fcl_graph *graph, fcl_tensor *x)
{
    fcl_concat(2, (fcl_tensor *[]){x, input(graph, "other", FCL_SHAPE(5, 9))}, 1);
}

static void wrong_reshape(fcl_graph *graph, fcl_tensor *x)
{
    (void)graph;
    fcl_reshape(x, FCL_SHAPE(5, 7));
}

static void wrong_permute(fcl_graph *graph, fcl_tensor *x)
{
    (void)graph;
    fcl_permute(x, (int[]){1, 1});
}

static void wrong_sum(fcl_graph *graph, fcl_tensor *x)
{
    (void)graph;
    fcl_sum_axes(x, 4);
}

static void wrong_index(fcl_graph *graph, fcl_tensor *x)
{
    fcl_gather_rows(x, input(graph, "label", FCL_SHAPE(3)), 1, 0);
}

static void wrong_gather(fcl_graph *graph, fcl_tensor *x)
{
    fcl_gather(x, fcl_input(graph, "label", FCL_I32, FCL_SHAPE(6, 3)));
}

static void wrong_scatter(fcl_graph *graph, fcl_tensor *x)
{
    fcl_scatter(x, fcl_input(graph, "label", FCL_I32, FCL_SHAPE(7, 3)), 12);
}

static void wrong_target(fcl_graph *graph, fcl_tensor *x)
{
    (void)graph;
    fcl_assign(fcl_name(fcl_tanh(x), "hidden"), x);
}

static void wrong_samples(fcl_graph *graph, fcl_tensor *x)
{
    fcl_cfm_loss(x, input(graph, "u", FCL_SHAPE(7, 8)));
}

static void no_derivative(fcl_graph *graph, fcl_tensor *x)
{
    fcl_tensor *dx, *t = input(graph, "t", FCL_SHAPE(7, 1));
    fcl_vjp(fcl_interpolate(x, t), NULL, 1, &x, &dx);
}

static void mistakes_are_told_in_words(void **state)
{
    static const struct {
        blunder make;
        const char *words[3];
    } mistakes[] = {
        {wrong_add, {"add", "(7, 9)", "(4)"}},
        {wrong_product, {"matmul", "weight", "(3, 9)"}},
        {wrong_slice, {"slice", "points", "12"}},
        {wrong_axis, {"pad", "axis 2", "(7, 9)"}},
        {wrong_concat, {"concat", "other", "(5, 9)"}},
        {wrong_reshape, {"reshape", "points", "(5, 7)"}},
        {wrong_permute, {"permute", "axis 1", ""}},
        {wrong_sum, {"sum", "points", "0x4"}},
        {wrong_index, {"gather_rows", "label", "int32"}},
        {wrong_gather, {"(7, 9)", "(6, 3)", "(..., N) and (K) or (..., K)"}},
        {wrong_scatter, {"scatter_rows", "(7, 9)", "(7, 3)"}},
        {wrong_target, {"assign", "hidden", ""}},
        {wrong_samples, {"cfm_loss", "(7, 8)", "points"}},
        {no_derivative, {"derivative", "interpolate", ""}},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        fcl_graph *graph = fcl_graph_create();
        fcl_tensor *x = input(graph, "points", FCL_SHAPE(7, 9));
        mistakes[i].make(graph, x);
        fcl_output(fcl_mean(fcl_add(x, x)));
        assert_status(FCL_ERR_SHAPE, fcl_graph_compile(graph, *state, NULL));
        for (int k = 0; k < 3; k++)
            assert_told(mistakes[i].words[k]);
        fcl_graph_destroy(&graph);
    }
}

static void a_failed_builder_can_be_built_upon(void **state)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = input(graph, "x", FCL_SHAPE(7, 9)), *dx, *dy;
    fcl_tensor *y = fcl_matmul(x, x, false, false);
    y = fcl_permute(fcl_slice(fcl_sum_axes(fcl_concat(2, (fcl_tensor *[]){y, x}, 1), 2), 0, 1, 3),
                    (int[]){1, 0});
    y = fcl_mean(fcl_cfm_loss(fcl_gather_rows(fcl_linear(y, x, x), x, 1, 0), fcl_expand(y, FCL_SHAPE(3, 3))));
    fcl_vjp(y, NULL, 1, &x, &dx);
    fcl_jvp(1, &y, &dy, 1, &x, &x);
    fcl_output(dx);
    assert_status(FCL_ERR_SHAPE, fcl_graph_compile(graph, *state, NULL));
    assert_told("matmul");
    fcl_graph_destroy(&graph);
}

static void the_check_names_the_first_nan(void **state)
{
    float content[4] = {1, 2, -3, 4};
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = input(graph, "x", FCL_SHAPE(4));
    fcl_tensor *bad = fcl_name(fcl_log(fcl_name(fcl_scale(x, 2), "doubled")), "block.3");
    fcl_output(fcl_name(fcl_sum(fcl_square(bad)), "total"));
    assert_ok(fcl_graph_compile(graph, *state, &(fcl_graph_options){.check = true}));
    assert_ok(fcl_tensor_write(x, content));
    assert_status(FCL_ERR_NUMERIC, fcl_graph_run(graph));
    assert_told("log 'block.3'");
    assert_told("element 2");
    content[2] = 3;
    assert_ok(fcl_tensor_write(x, content));
    assert_ok(fcl_graph_run(graph));
    fcl_graph_destroy(&graph);
}

/* --- derivatives of a model --- */

typedef struct model {
    trial *t;
    fcl_tensor *x, *w[4], *y, *loss;
} model;

/* Two hidden layers with a residual: (B, 3) -> (B, 2) -> the mean square. */
static model make_model(int batch)
{
    model m = {.t = trial_create()};
    m.x = trial_input(m.t, FCL_SHAPE(batch, 3), SMOOTH, 0);
    m.w[0] = trial_input(m.t, FCL_SHAPE(17, 3), SMOOTH, 0);
    m.w[1] = trial_input(m.t, FCL_SHAPE(17), SMOOTH, 0);
    m.w[2] = trial_input(m.t, FCL_SHAPE(17, 17), SMOOTH, 0);
    m.w[3] = trial_input(m.t, FCL_SHAPE(2, 17), SMOOTH, 0);
    fcl_tensor *hidden = fcl_silu(fcl_linear(m.x, m.w[0], m.w[1]));
    hidden = fcl_add(hidden, fcl_tanh(fcl_scale(fcl_linear(hidden, m.w[2], NULL), 0.25f)));
    m.y = fcl_linear(hidden, fcl_scale(m.w[3], 0.25f), NULL);
    m.loss = fcl_mean(fcl_square(m.y));
    return m;
}

/* The derivative in double is the quotient of differences of 2^-15, and the device's is it. */
static void check_derivative(trial *t, fcl_tensor *derivative, const double *quotient, const char *what)
{
    trial_evaluate(t, 0, 0, NULL, NULL);
    for (int64_t i = 0; i < fcl_shape_size(derivative->shape); i++)
        assert_near(reference_value(t->r, derivative)[i], quotient[i], 1e-6 * (1 + fabs(quotient[i])));
    assert_true(trial_agrees(t, derivative, what));
}

static void forward_mode_is_the_difference_quotient(void **state)
{
    model m = make_model(7);
    fcl_tensor *v = trial_input(m.t, m.x->shape, SMOOTH, 0), *dy;
    fcl_jvp(1, &m.y, &dy, 1, &m.x, &v);
    fcl_output(dy);
    trial_fill(m.t);
    double quotient[14] = {0};
    for (int sign = 1; sign >= -1; sign -= 2) {
        trial_evaluate(m.t, sign * 0x1p-16, 1, &m.x, &v);
        for (int i = 0; i < 14; i++)
            quotient[i] += sign * reference_value(m.t->r, m.y)[i] * 0x1p15;
    }
    assert_ok(fcl_graph_compile(m.t->graph, *state, NULL));
    assert_ok(trial_run(m.t));
    check_derivative(m.t, dy, quotient, "J v of a model");
    trial_destroy(&m.t);
}

/* The Hessian of the loss in the weights times a direction: by vjp of vjp, by jvp of vjp, and by a quotient.
 */
static void second_derivatives_agree(void **state)
{
    model m = make_model(5);
    fcl_tensor *w = m.w[2], *v = trial_input(m.t, w->shape, SMOOTH, 0), *gradient, *reverse, *forward;
    fcl_vjp(m.loss, NULL, 1, &w, &gradient);
    fcl_vjp(fcl_sum(fcl_mul(gradient, v)), NULL, 1, &w, &reverse);
    fcl_jvp(1, &gradient, &forward, 1, &w, &v);
    fcl_output(reverse);
    fcl_output(forward);
    trial_fill(m.t);
    double quotient[17 * 17] = {0};
    for (int sign = 1; sign >= -1; sign -= 2) {
        trial_evaluate(m.t, sign * 0x1p-16, 1, &w, &v);
        for (int i = 0; i < 17 * 17; i++)
            quotient[i] += sign * reference_value(m.t->r, gradient)[i] * 0x1p15;
    }
    assert_ok(fcl_graph_compile(m.t->graph, *state, NULL));
    assert_ok(trial_run(m.t));
    check_derivative(m.t, reverse, quotient, "vjp of vjp");
    check_derivative(m.t, forward, quotient, "jvp of vjp");
    trial_destroy(&m.t);
}

static void a_derivative_that_does_not_exist_is_zero(void **state)
{
    float seen[6] = {1, 1, 1, 1, 1, 1};
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = input(graph, "x", FCL_SHAPE(2, 3)), *other = input(graph, "other", FCL_SHAPE(2, 3)),
               *dx[2];
    fcl_vjp(fcl_sum(fcl_mul(x, fcl_detach(other))), NULL, 2, (fcl_tensor *[]){x, other}, dx);
    fcl_output(dx[1]);
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(dx[1], seen));
    for (int i = 0; i < 6; i++)
        assert_true(seen[i] == 0);
    fcl_graph_destroy(&graph);
}

/* --- random numbers --- */

typedef fcl_tensor *(*draw)(fcl_graph *graph, fcl_shape shape, uint32_t stream);

static void draw_rows(fcl_device *device, draw how, int rows, int width, uint64_t first, uint32_t step,
                      float *out)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_output(how(graph, FCL_SHAPE(rows, width), 7));
    fcl_graph_random(graph, 0xFEDCBA9876543210u, step, first);
    assert_ok(fcl_graph_compile(graph, device, NULL));
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(x, out));
    fcl_graph_destroy(&graph);
}

static void philox_gives_its_known_words(void **state)
{
    static const uint32_t words[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    float seen[4];
    philox_block block = philox(0, 0, 0, 0, 0, 0);
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_output(fcl_uniform(graph, FCL_SHAPE(4), 0));
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(x, seen));
    for (int i = 0; i < 4; i++) {
        assert_true(block.word[i] == words[i]);
        assert_true(seen[i] == ((float)(words[i] >> 9) + 0.5f) / 8388608);
    }
    fcl_graph_destroy(&graph);
}

static void a_split_batch_draws_the_same_numbers(void **state)
{
    static const draw hows[] = {fcl_normal, fcl_uniform};
    for (int i = 0; i < 2; i++) {
        float whole[14 * 5], part[14 * 5], other[14 * 5];
        draw_rows(*state, hows[i], 14, 5, 3, 2, whole);
        draw_rows(*state, hows[i], 7, 5, 3, 2, part);
        draw_rows(*state, hows[i], 7, 5, 10, 2, part + 7 * 5);
        assert_memory_equal(whole, part, sizeof whole);
        draw_rows(*state, hows[i], 14, 5, 3, 3, other);
        assert_memory_not_equal(whole, other, sizeof whole);
    }
}

static void normals_have_their_moments(void **state)
{
    int count = trial_tiny() ? 400 : 200000;
    float *x = fcl_zalloc((size_t)count * sizeof *x);
    double moment[5] = {0};
    draw_rows(*state, fcl_normal, count / 4, 4, 0, (uint32_t)trial_int(0, 1000000), x);
    for (int i = 0; i < count; i++)
        for (int k = 1; k <= 4; k++)
            moment[k] += pow((double)x[i], k) / count;
    /* five standard errors each: the variances of x, x^2, x^3, x^4 are 1, 2, 15, 96 */
    assert_near(moment[1], 0, 5 * sqrt(1.0 / count));
    assert_near(moment[2], 1, 5 * sqrt(2.0 / count));
    assert_near(moment[3], 0, 5 * sqrt(15.0 / count));
    assert_near(moment[4], 3, 5 * sqrt(96.0 / count));
    free(x);
}

/* As many labels are dropped as the share says, and the same ones where the batch is cut; the others stay. */
static void labels_are_dropped_by_share(void **state)
{
    enum { ROWS = 20000 };
    const float share = 0.1f;
    static int32_t label[ROWS], whole[ROWS], part[ROWS];
    uint32_t step = (uint32_t)trial_int(0, 1000000);
    for (int i = 0; i < ROWS; i++)
        label[i] = i % 7;
    for (int parts = 1; parts <= 4; parts += 3) {
        const int rows = ROWS / parts;
        for (int k = 0; k < parts; k++) {
            fcl_graph *graph = fcl_graph_create();
            fcl_tensor *given = fcl_input(graph, "label", FCL_I32, FCL_SHAPE(rows));
            fcl_tensor *dropped = fcl_output(fcl_drop_labels(given, 7, share, 18));
            assert_ok(fcl_graph_compile(graph, *state, NULL));
            assert_ok(fcl_tensor_write(given, label + k * rows));
            fcl_graph_random(graph, 5, step, (uint64_t)(k * rows));
            assert_ok(fcl_graph_run(graph));
            assert_ok(fcl_tensor_read(dropped, (parts == 1 ? whole : part) + k * rows));
            fcl_graph_destroy(&graph);
        }
    }
    int count = 0;
    for (int i = 0; i < ROWS; i++) {
        count += whole[i] == 7;
        assert_true(whole[i] == 7 || whole[i] == label[i]);
    }
    assert_near(count, share * ROWS, 5 * sqrt(0.1 * 0.9 * ROWS));
    assert_memory_equal(whole, part, sizeof whole);
}

/* Batches of 10 from 103 rows: each epoch sees each row once, and no two epochs in the same order. */
static void every_epoch_is_a_permutation(void **state)
{
    enum { COUNT = 103, BATCH = 10, STEPS = 31 };
    int32_t order[STEPS * BATCH];
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *index = fcl_output(fcl_batch_index(graph, COUNT, BATCH, BATCH, 5));
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    for (int step = 0; step < STEPS; step++) {
        fcl_graph_random(graph, 99, (uint32_t)step, 0);
        assert_ok(fcl_graph_run(graph));
        assert_ok(fcl_tensor_read(index, order + step * BATCH));
    }
    for (int epoch = 0; epoch < 3; epoch++) {
        int seen[COUNT] = {0};
        for (int i = 0; i < COUNT; i++) {
            int row = order[epoch * COUNT + i];
            assert_true(row >= 0 && row < COUNT);
            assert_int_equal(seen[row]++, 0);
        }
        assert_memory_not_equal(order, order + (epoch ? epoch : 1) * COUNT, COUNT * sizeof *order);
    }
    fcl_graph_destroy(&graph);
}

/* Each of 7 rows comes first in about a seventh of 7000 epochs; the ends of the range work. */
static void permutations_are_fair(void **state)
{
    (void)state;
    int first[7] = {0};
    for (uint64_t epoch = 0; epoch < 7000; epoch++)
        first[permute_index(0, 7, 12345, 1, epoch)]++;
    for (int i = 0; i < 7; i++)
        assert_near(first[i], 1000, 150);
    for (uint32_t i = 0; i < 100; i++)
        assert_true(permute_index(INT32_MAX - 1 - i, INT32_MAX, 1, 2, 3) < INT32_MAX);
    assert_int_equal(permute_index(0, 1, 1, 2, 3), 0);
}

/* --- row blocks that make their own rows --- */

/* Noise and gathered rows in one kernel with the product that reads them; the table has as many rows as the batch, and
 * is still read by the index. */
static void check_block_of_leaves(fcl_device *device, int rows, int columns, bool stores_index)
{
    trial *t = trial_create();
    fcl_tensor *table = trial_input(t, FCL_SHAPE(rows, columns), SMOOTH, 0);
    fcl_tensor *index = trial_input(t, FCL_SHAPE(rows), INDEX, rows);
    fcl_tensor *weight = trial_input(t, FCL_SHAPE(4, columns), SMOOTH, 0);
    fcl_tensor *noise = fcl_normal(t->graph, FCL_SHAPE(rows, columns), 3);
    fcl_tensor *time = fcl_uniform(t->graph, FCL_SHAPE(rows, 1), 4);
    fcl_tensor *batch = fcl_batch_index(t->graph, rows, rows, 2 * rows + 1, 6); /* in two epochs */
    fcl_tensor *gathered = fcl_gather_rows(table, index, 0.5f, 0.25f);
    fcl_tensor *drawn = fcl_add(fcl_gather_rows(table, batch, 1, 0), noise);
    fcl_tensor *point = fcl_add(fcl_mul(time, gathered), drawn);
    fcl_tensor *loss = fcl_sum_axes(fcl_square(fcl_tanh(fcl_matmul(point, weight, false, true))), 1u << 1);
    fcl_tensor *outputs[] = {fcl_output(loss), fcl_output(point), fcl_output(noise), fcl_output(time)};
    fcl_tensor *stored = stores_index ? fcl_output(batch) : NULL;
    trial_fill(t);
    fcl_graph_random(t->graph, 0x123456789ABCDEFu, 3, 0x100000001u * 5);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, device, NULL));
    if (fcl_device_traits(device).wide)
        assert_int_equal(fcl_graph_describe(t->graph).launches, 1);
    assert_ok(trial_run(t));
    for (int i = 0; i < 4; i++)
        assert_true(trial_agrees(t, outputs[i], "a block of leaves"));
    assert_true(!stored || trial_agrees(t, stored, "a block's index"));
    trial_destroy(&t);
}

static void a_block_draws_and_gathers_its_rows(void **state)
{
    check_block_of_leaves(*state, trial_tiny() ? 9 : 77, 3, false);
    check_block_of_leaves(*state, trial_tiny() ? 5 : 64, 8, true);
    if (!trial_tiny())
        check_block_of_leaves(*state, 300, 4, true); /* whole vectors of one epoch */
}

/* The third operand of an expression comes from the block's own rows. */
static void a_block_chooses_between_its_rows(void **state)
{
    enum { SIZE = 6 };
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(trial_tiny() ? 5 : 77, SIZE), SMOOTH, 0);
    fcl_tensor *weight = trial_input(t, FCL_SHAPE(SIZE, SIZE), SMOOTH, 0);
    fcl_tensor *first = fcl_tanh(fcl_matmul(x, weight, false, true));
    fcl_tensor *second = fcl_matmul(first, weight, false, true);
    fcl_tensor *positive = fcl_greater(second, fcl_constant(t->graph, 0));
    fcl_tensor *chosen = fcl_output(fcl_where(positive, second, first));
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, *state, NULL));
    if (fcl_device_traits(*state).wide)
        assert_int_equal(fcl_graph_describe(t->graph).launches, 1);
    assert_ok(trial_run(t));
    assert_true(trial_agrees(t, chosen, "a block that chooses"));
    trial_destroy(&t);
}

/* A gradient's sums over all rows in the kernel that makes the rows, and one that adds the work-items' parts. */
static void check_block_of_sums(fcl_device *device, int rows, int in, int out)
{
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(rows, in), SMOOTH, 0);
    fcl_tensor *weight = trial_input(t, FCL_SHAPE(out, in), SMOOTH, 0);
    fcl_tensor *y = fcl_tanh(fcl_matmul(x, weight, false, true));
    fcl_tensor *loss = fcl_sum_axes(fcl_square(y), 1u << 1);
    fcl_tensor *outputs[] = {fcl_output(fcl_matmul(y, x, true, false)), fcl_output(fcl_sum_axes(y, 1u << 0)),
                             fcl_output(fcl_mean(loss))};
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, device, NULL));
    if (fcl_device_traits(device).wide)
        assert_int_equal(fcl_graph_describe(t->graph).launches, 2);
    assert_ok(trial_run(t));
    for (int i = 0; i < 3; i++)
        assert_true(trial_agrees(t, outputs[i], "a block of sums"));
    assert_ok(trial_run(t)); /* its parts begin anew */
    assert_true(trial_agrees(t, outputs[0], "a block of sums, again"));
    trial_destroy(&t);
}

static void a_block_sums_over_its_rows(void **state)
{
    check_block_of_sums(*state, trial_tiny() ? 35 : 77, 18, 17);
    if (trial_tiny())
        return;
    int many = 32 * 8 * fcl_device_describe(*state)->compute_units; /* more than one tile a work-item */
    check_block_of_sums(*state, many + trial_int(1, 31), 3, 64);
    check_block_of_sums(*state, many, 64, 2);
    check_block_of_sums(*state, 64, 64, 64); /* as many sums as rows */
    check_block_of_sums(*state, trial_int(1, 100), trial_int(1, 128), trial_int(1, 128));
}

/* A step of training, whose shapes coincide where sizes are one. */
static void check_small_step(fcl_device *device, int rows, int in, int width, int out)
{
    char what[64];
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(rows, in), SMOOTH, 0);
    fcl_tensor *w[] = {
        trial_input(t, FCL_SHAPE(width, in), SMOOTH, 0), trial_input(t, FCL_SHAPE(width), SMOOTH, 0),
        trial_input(t, FCL_SHAPE(out, width), SMOOTH, 0), trial_input(t, FCL_SHAPE(out), SMOOTH, 0)}, *dw[4];
    fcl_tensor *v = fcl_linear(fcl_tanh(fcl_linear(x, w[0], w[1])), w[2], w[3]);
    fcl_tensor *loss = fcl_mean(fcl_cfm_loss(v, trial_input(t, FCL_SHAPE(rows, out), SMOOTH, 0)));
    fcl_vjp(loss, NULL, 4, w, dw);
    for (int i = 0; i < 4; i++)
        fcl_output(dw[i]);
    fcl_output(loss);
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, device, NULL));
    assert_ok(trial_run(t));
    snprintf(what, sizeof what, "a step of %d rows, %d x %d x %d", rows, in, width, out);
    assert_true(trial_agrees(t, loss, what));
    for (int i = 0; i < 4; i++)
        assert_true(trial_agrees(t, dw[i], what));
    trial_destroy(&t);
}

static void steps_of_size_one(void **state)
{
    check_small_step(*state, 1, 1, 1, 1);
    check_small_step(*state, 1, trial_int(1, 3), trial_int(2, 8), trial_int(1, 3));
    check_small_step(*state, 2, 1, trial_int(1, 3), 1);
}

/* A block's only row may be a number that stands in no memory of its own, or another view of what the block makes. */
static void a_blocks_row_may_be_a_literal(void **state)
{
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(1, 1), SMOOTH, 0), *weight = trial_input(t, FCL_SHAPE(1, 1), SMOOTH, 0);
    fcl_tensor *constant = fcl_reshape(fcl_constant(t->graph, 0.75f), FCL_SHAPE(1, 1)), *scalar, *dh;
    scalar = fcl_reshape(fcl_scalar(t->graph, "s"), FCL_SHAPE(1, 1));
    fcl_scalar_set(fcl_node_root(scalar), -1.5f);
    fcl_tensor *product = fcl_matmul(x, weight, false, true), *h = fcl_tanh(product);
    fcl_vjp(fcl_cfm_loss(h, constant), scalar, 1, &h, &dh);
    fcl_tensor *outputs[] = {dh,
                             fcl_cfm_loss(scalar, h),
                             fcl_concat(3, (fcl_tensor *[]){scalar, h, constant}, 1),
                             fcl_matmul(constant, weight, false, false),
                             fcl_matmul(h, scalar, false, false),
                             fcl_matmul(scalar, h, true, false),
                             fcl_add(product, fcl_reshape(product, FCL_SHAPE(1))),
                             fcl_sub(h, fcl_reshape(product, FCL_SCALAR))};
    enum { OUTPUTS = sizeof outputs / sizeof *outputs };
    for (int i = 0; i < OUTPUTS; i++)
        fcl_output(outputs[i]);
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, *state, NULL));
    assert_ok(trial_run(t));
    for (int i = 0; i < OUTPUTS; i++)
        assert_true(trial_agrees(t, outputs[i], "a block of one number"));
    trial_destroy(&t);
}

/* Beyond a block's widths the sum joins the product that reads the same rows; not where the product needs the sum. */
static void a_product_sums_the_rows_it_reads(void **state)
{
    int rows = trial_tiny() ? 9 : 300, out = trial_tiny() ? 12 : 150, in = trial_tiny() ? 130 : 600;
    trial *t = trial_create();
    fcl_tensor *y = trial_input(t, FCL_SHAPE(rows, out), SMOOTH, 0);
    fcl_tensor *x = trial_input(t, FCL_SHAPE(rows, in), SMOOTH, 0);
    fcl_tensor *sum = fcl_sum_axes(y, 1u << 0);
    fcl_tensor *needed = fcl_sum_axes(x, 1u << 0);
    fcl_tensor *outputs[] = {fcl_output(sum), fcl_output(fcl_matmul(y, x, true, false)),
                             fcl_output(fcl_matmul(x, fcl_mul(x, needed), true, false))};
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, *state, NULL));
    fcl_gemm_problem p = fcl_matmul_problem(outputs[1]);
    fcl_gemm_choice choice = fcl_gemm_choose(*state, &p);
    bool copied = choice.provider == FCL_GEMM_TILE && choice.panels >= 5; /* y's rows, as cl/gemm.cl tells: it can add them */
    if (fcl_device_traits(*state).wide)
        assert_int_equal(fcl_graph_describe(t->graph).launches, copied ? 4 : 5);
    assert_ok(trial_run(t));
    for (int i = 0; i < 3; i++)
        assert_true(trial_agrees(t, outputs[i], "a product that sums"));
    trial_destroy(&t);
}

/* A second factor that is made of the sum is there before the product. */
static void a_product_of_a_sum_does_not_take_it(void **state)
{
    int rows = trial_tiny() ? 2 : 4, in = trial_tiny() ? 130 : 400;
    trial *t = trial_create();
    fcl_tensor *y = trial_input(t, FCL_SHAPE(rows, rows * in), SMOOTH, 0);
    fcl_tensor *sum = fcl_sum_axes(y, 1u << 0);
    fcl_tensor *product = fcl_matmul(y, fcl_reshape(sum, FCL_SHAPE(rows, in)), true, false);
    fcl_tensor *outputs[] = {fcl_output(sum), fcl_output(product)};
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, *state, NULL));
    assert_ok(trial_run(t));
    for (int i = 0; i < 2; i++)
        assert_true(trial_agrees(t, outputs[i], "a product of a sum"));
    trial_destroy(&t);
}

/* More layers than a kernel may have arguments. */
static void many_layers_are_no_block(void **state)
{
    enum { LAYERS = 130, WIDE = 2 };
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(trial_tiny() ? 3 : 35, WIDE), SMOOTH, 0), *y = x, *sum[LAYERS];
    for (int i = 0; i < LAYERS; i++) {
        fcl_tensor *weight = trial_input(t, FCL_SHAPE(WIDE, WIDE), SMOOTH, 0);
        y = fcl_tanh(fcl_add(x, fcl_scale(fcl_matmul(y, weight, false, true), 0.125f))); /* no error grows */
        sum[i] = fcl_output(fcl_sum_axes(y, 1u << 0));
    }
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, *state, NULL));
    assert_ok(trial_run(t));
    for (int i = 0; i < LAYERS; i++)
        assert_true(trial_agrees(t, sum[i], "one of many layers"));
    trial_destroy(&t);
}

/* --- adaptive steps: x' = rate x, each sample with a rate of its own --- */

enum { SAMPLES = 5, WIDTH = 3 };

typedef struct solve {
    trial *t;
    fcl_tensor *x, *k, *state, *rate, *unit, *sum;
    fcl_ode_next next;
} solve;

/* Bogacki-Shampine 3(2): three new slopes a step, the last one is the next first. */
static solve make_solve(void)
{
    solve s = {.t = trial_create()};
    s.x = trial_input(s.t, FCL_SHAPE(SAMPLES, WIDTH), PREPARED, 0);
    s.k = trial_input(s.t, FCL_SHAPE(SAMPLES, WIDTH), PREPARED, 0);
    s.state = trial_input(s.t, FCL_SHAPE(SAMPLES, FCL_ODE_STATE), PREPARED, 0);
    s.rate = trial_input(s.t, FCL_SHAPE(SAMPLES, 1), PREPARED, 0);
    fcl_tensor *h = fcl_slice(s.state, 1, FCL_ODE_H, FCL_ODE_H + 1), *k[4] = {s.k};
    k[1] = fcl_mul(s.rate, fcl_ode_stage(s.x, h, 1, k, (const double[]){0.5}));
    k[2] = fcl_mul(s.rate, fcl_ode_stage(s.x, h, 2, k, (const double[]){0, 0.75}));
    fcl_tensor *x_new = fcl_ode_stage(s.x, h, 3, k, (const double[]){2 / 9.0, 1 / 3.0, 4 / 9.0});
    k[3] = fcl_mul(s.rate, x_new);
    fcl_tensor *zero = fcl_scale(s.x, 0);
    fcl_tensor *error =
        fcl_ode_stage(zero, h, 4, k, (const double[]){-5 / 72.0, 1 / 12.0, 1 / 9.0, -1 / 8.0});
    fcl_ode_control control = {.rtol = 1e-4f, .atol = 1e-4f, .order = 3};
    s.next = fcl_ode_advance(&control, s.x, x_new, error, s.k, k[3], s.state);
    s.unit = trial_input(s.t, FCL_SHAPE(WIDTH, WIDTH), PREPARED, 0);
    s.sum = fcl_output(fcl_sum_axes(fcl_matmul(s.next.x, s.unit, false, true), 1u << 0)); /* in no block */
    fcl_assign(s.x, s.next.x);
    fcl_assign(s.k, s.next.k_first);
    fcl_assign(s.state, s.next.state);
    return s;
}

static const double rates[SAMPLES] = {-1, -8, 2, 0.125, -2};

/* Sample 4 runs backward from 1 to 0. */
static void start(solve *s)
{
    for (int k = 0; k < WIDTH; k++)
        trial_leaf_of(s->t, s->unit)->value[k * WIDTH + k] = 1;
    for (int i = 0; i < SAMPLES; i++) {
        double *state = trial_leaf_of(s->t, s->state)->value + i * FCL_ODE_STATE;
        bool back = i == 4;
        state[FCL_ODE_T] = back;
        state[FCL_ODE_T_END] = !back;
        state[FCL_ODE_H] = back ? -0.5 : 0.5;
        state[FCL_ODE_ERROR] = state[FCL_ODE_ACTIVE] = 1;
        trial_leaf_of(s->t, s->rate)->value[i] = rates[i];
        for (int k = 0; k < WIDTH; k++) {
            trial_leaf_of(s->t, s->x)->value[i * WIDTH + k] = k + 1;
            trial_leaf_of(s->t, s->k)->value[i * WIDTH + k] = rates[i] * (k + 1);
        }
    }
}

/* The same loop in double precision. */
static void reference_steps(solve *s, int steps)
{
    for (int i = 0; i < steps; i++) {
        trial_evaluate(s->t, 0, 0, NULL, NULL);
        memcpy(trial_leaf_of(s->t, s->x)->value, reference_value(s->t->r, s->next.x),
               SAMPLES * WIDTH * sizeof(double));
        memcpy(trial_leaf_of(s->t, s->k)->value, reference_value(s->t->r, s->next.k_first),
               SAMPLES * WIDTH * sizeof(double));
        memcpy(trial_leaf_of(s->t, s->state)->value, reference_value(s->t->r, s->next.state),
               SAMPLES * FCL_ODE_STATE * sizeof(double));
    }
}

static void every_sample_has_its_own_step(void **state)
{
    enum { STEPS = 80 };
    float x[SAMPLES * WIDTH], end[SAMPLES * FCL_ODE_STATE], sum[WIDTH];
    solve s = make_solve();
    start(&s);
    assert_ok(fcl_graph_compile(s.t->graph, *state, NULL));
    assert_ok(trial_run(s.t));
    for (int i = 1; i < STEPS; i++)
        assert_ok(fcl_graph_run(s.t->graph));
    assert_ok(fcl_tensor_read(s.x, x));
    assert_ok(fcl_tensor_read(s.state, end));
    reference_steps(&s, STEPS);
    for (int i = 0; i < SAMPLES; i++) {
        const float *found = end + i * FCL_ODE_STATE;
        const double *expected = trial_leaf_of(s.t, s.state)->value + i * FCL_ODE_STATE;
        double exact = exp(rates[i] * (i == 4 ? -1 : 1));
        assert_true(found[FCL_ODE_ACTIVE] == 0 && found[FCL_ODE_H] == 0);
        assert_true(found[FCL_ODE_T] == found[FCL_ODE_T_END]);
        assert_near(found[FCL_ODE_ACCEPTED], expected[FCL_ODE_ACCEPTED], 1);
        assert_near(found[FCL_ODE_REJECTED], expected[FCL_ODE_REJECTED], 1);
        for (int k = 0; k < WIDTH; k++) {
            assert_near(x[i * WIDTH + k], (k + 1) * exact, 2e-3 * (k + 1) * fmax(exact, 1));
            assert_near(x[i * WIDTH + k], trial_leaf_of(s.t, s.x)->value[i * WIDTH + k],
                        1e-3 * (k + 1) * fmax(exact, 1));
        }
    }
    assert_ok(fcl_tensor_read(s.sum, sum));
    for (int k = 0; k < WIDTH; k++) {
        double of = 0;
        for (int i = 0; i < SAMPLES; i++)
            of += (double)x[i * WIDTH + k];
        assert_near(sum[k], of, 1e-5 * of);
    }
    assert_true(end[1 * FCL_ODE_STATE + FCL_ODE_ACCEPTED] > 2 * end[3 * FCL_ODE_STATE + FCL_ODE_ACCEPTED]);
    trial_destroy(&s.t);
}

static int count_nodes(const trial *t)
{
    return fcl_graph_describe(t->graph).nodes;
}

/* The product of `count` activations of x and as many of y, and its gradient in x. */
static trial *build_activations(fcl_device *device, int count, fcl_shape shape, fcl_tensor *result[2])
{
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, shape, SMOOTH, 0), *y = trial_input(t, shape, SMOOTH, 0), *all = fcl_constant(t->graph, 1);
    for (int i = 0; i < count; i++) {
        fcl_tensor *noise = fcl_uniform(t->graph, shape, 3);
        all = fcl_mul(all, fcl_add(fcl_silu(x), fcl_scale(fcl_mul(fcl_silu(y), noise), 0.5f)));
    }
    fcl_vjp(all, NULL, 1, &x, &result[1]);
    result[0] = fcl_output(all);
    fcl_output(result[1]);
    trial_fill(t);
    fcl_graph_random(t->graph, 5, 6, 7);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, device, NULL));
    assert_ok(trial_run(t));
    return t;
}

/* An activation of what many layers read is computed once, and so is its derivative. */
static void what_computes_the_same_is_computed_once(void **state)
{
    fcl_shape shape = FCL_SHAPE(trial_int(2, 20), trial_int(2, 20));
    fcl_tensor *result[2];
    int nodes[2];
    for (int i = 0; i < 2; i++) {
        trial *t = build_activations(*state, 2 + i, shape, result);
        assert_true(trial_agrees(t, result[0], "a product of what is the same"));
        assert_true(trial_agrees(t, result[1], "its gradient"));
        nodes[i] = count_nodes(t);
        trial_destroy(&t);
    }
    assert_in_range(nodes[1] - nodes[0], 1, 6); /* products and sums, no SiLU, no noise, no derivative of these */
}

/* Equal values are two variables to a derivative. */
static void equal_values_are_two_variables(void **state)
{
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(trial_int(2, 20), 3), SMOOTH, 0);
    fcl_tensor *of[] = {fcl_square(x), fcl_square(x)}, *product = fcl_mul(of[0], of[1]), *gradient[2], *tangent;
    fcl_vjp(product, NULL, 2, of, gradient);
    fcl_jvp(1, &product, &tangent, 1, of, &x);
    for (int i = 0; i < 2; i++)
        fcl_output(gradient[i]);
    fcl_output(tangent);
    trial_fill(t);
    assert_ok(fcl_graph_compile(t->graph, *state, NULL));
    assert_ok(trial_run(t));
    int64_t size = fcl_shape_size(fcl_tensor_shape(x));
    const double *value = trial_leaf_of(t, x)->value;
    float *found = malloc((size_t)size * sizeof *found);
    for (int i = 0; i < 3; i++) {
        assert_ok(fcl_tensor_read(i < 2 ? gradient[i] : tangent, found));
        for (int64_t k = 0; k < size; k++) {
            double square = value[k] * value[k], right = i < 2 ? square : square * value[k];
            assert_true(fabs((double)found[k] - right) <= 1e-5 * fabs(right));
        }
    }
    free(found);
    trial_destroy(&t);
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_agree_with_the_reference),
        cmocka_unit_test(random_graphs_of_few_rows_agree),
        cmocka_unit_test(a_chain_is_one_launch),
        cmocka_unit_test(what_nobody_reads_launches_nothing),
        cmocka_unit_test(a_long_chain_needs_little_memory),
        cmocka_unit_test(operations_are_those_of_definitions),
        cmocka_unit_test(a_products_operand_is_made_before_it),
        cmocka_unit_test(a_products_rows_and_columns_follow_it),
        cmocka_unit_test(a_block_of_many_products_is_right),
        cmocka_unit_test(all_operations_see_the_old_value),
        cmocka_unit_test(a_leaf_is_updated_in_place),
        cmocka_unit_test(a_bias_joins_its_product),
        cmocka_unit_test(windows_that_overlap_are_not_updated_in_place),
        cmocka_unit_test(results_that_nobody_reads_are_not_stored),
        cmocka_unit_test(mistakes_are_told_in_words),
        cmocka_unit_test(a_failed_builder_can_be_built_upon),
        cmocka_unit_test(the_check_names_the_first_nan),
        cmocka_unit_test(forward_mode_is_the_difference_quotient),
        cmocka_unit_test(second_derivatives_agree),
        cmocka_unit_test(a_derivative_that_does_not_exist_is_zero),
        cmocka_unit_test(philox_gives_its_known_words),
        cmocka_unit_test(a_split_batch_draws_the_same_numbers),
        cmocka_unit_test(normals_have_their_moments),
        cmocka_unit_test(labels_are_dropped_by_share),
        cmocka_unit_test(every_epoch_is_a_permutation),
        cmocka_unit_test(permutations_are_fair),
        cmocka_unit_test(a_block_draws_and_gathers_its_rows),
        cmocka_unit_test(a_block_chooses_between_its_rows),
        cmocka_unit_test(a_block_sums_over_its_rows),
        cmocka_unit_test(steps_of_size_one),
        cmocka_unit_test(a_blocks_row_may_be_a_literal),
        cmocka_unit_test(a_product_sums_the_rows_it_reads),
        cmocka_unit_test(a_product_of_a_sum_does_not_take_it),
        cmocka_unit_test(many_layers_are_no_block),
        cmocka_unit_test(every_sample_has_its_own_step),
        cmocka_unit_test(what_computes_the_same_is_computed_once),
        cmocka_unit_test(equal_values_are_two_variables),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
