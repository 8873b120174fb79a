/* Graphs of thousands of nodes: what the passes look at grows with the nodes, no recursion is as deep as the graph, plans
 * are right, and long chains, many parts and equal layers compile to what they are. */
#include "compile/plan.h"
#include "device.h"
#include "trial.h"

#include <flowcl/flowcl.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 8, SMALL_STACK = 64 << 10 };

/* --- a deep U-Net, its backward pass, the gradients' norm and an update --- */

/* Columns of its layers: for row blocks, for products alone, of both. */
static const int narrow[2] = {16, 16}, wide[2] = {160, 160}, mixed[2] = {16, 160};

typedef struct net {
    fcl_graph *graph;
    const int *columns;
    fcl_tensor **weight;
    int weights;
} net;

static fcl_tensor *weight(net *n, fcl_shape shape)
{
    n->weight = realloc(n->weight, (size_t)(n->weights + 1) * sizeof *n->weight);
    return n->weight[n->weights++] = fcl_input(n->graph, "w", FCL_F32, shape);
}

static fcl_tensor *linear(net *n, fcl_tensor *x, int columns)
{
    fcl_tensor *w = weight(n, FCL_SHAPE(columns, fcl_tensor_shape(x).dim[1]));
    return fcl_linear(x, w, weight(n, FCL_SHAPE(columns)));
}

static fcl_tensor *row_mean(fcl_tensor *x)
{
    return fcl_scale(fcl_sum_axes(x, 1u << 1), 1 / (float)fcl_tensor_shape(x).dim[1]);
}

static fcl_tensor *norm(net *n, fcl_tensor *x)
{
    const int64_t columns = fcl_tensor_shape(x).dim[1];
    fcl_tensor *centred = fcl_sub(x, row_mean(x));
    fcl_tensor *scale = fcl_reciprocal(fcl_sqrt(fcl_shift(row_mean(fcl_square(centred)), 1e-5f)));
    fcl_tensor *normed = fcl_mul(centred, scale);
    return fcl_add(fcl_mul(normed, weight(n, FCL_SHAPE(columns))), weight(n, FCL_SHAPE(columns)));
}

static fcl_tensor *residual(net *n, fcl_tensor *x, fcl_tensor *time, int columns)
{
    fcl_tensor *h = linear(n, fcl_silu(norm(n, x)), columns);
    h = linear(n, fcl_silu(norm(n, fcl_add(h, linear(n, time, columns)))), columns);
    return fcl_add(fcl_tensor_shape(x).dim[1] == columns ? x : linear(n, x, columns), h);
}

/* Skips lead from each layer on the way down to its like on the way up, joined or added. */
static fcl_tensor *unet(net *n, fcl_tensor *x, fcl_tensor *time, int depth)
{
    fcl_tensor **skip = malloc((size_t)depth * sizeof *skip);
    for (int i = 0; i < depth; i++)
        skip[i] = x = residual(n, x, time, n->columns[i % 2]);
    for (int i = depth; i-- > 0;) {
        bool same = fcl_shape_size(fcl_tensor_shape(x)) == fcl_shape_size(fcl_tensor_shape(skip[i]));
        x = i % 3 == 0 && same ? fcl_add(skip[i], x) : fcl_concat(2, (fcl_tensor *[]){x, skip[i]}, 1);
        x = residual(n, x, time, n->columns[i % 2]);
    }
    free(skip);
    return x;
}

static void add_step(net *n, fcl_tensor *loss)
{
    fcl_tensor **gradient = malloc((size_t)n->weights * sizeof *gradient), *sum = NULL;
    fcl_vjp(loss, NULL, n->weights, n->weight, gradient);
    for (int i = 0; i < n->weights; i++) {
        fcl_tensor *square = fcl_sum(fcl_square(gradient[i]));
        sum = sum ? fcl_add(sum, square) : square;
    }
    fcl_tensor *rate = fcl_scale(fcl_reciprocal(fcl_max(fcl_sqrt(sum), fcl_constant(n->graph, 1))), 1e-3f);
    for (int i = 0; i < n->weights; i++)
        fcl_assign(n->weight[i], fcl_sub(n->weight[i], fcl_mul(gradient[i], rate)));
    fcl_output(loss);
    fcl_output(sum);
    free(gradient);
}

static fcl_graph *unet_graph(const int *columns, int depth)
{
    net n = {.graph = fcl_graph_create(), .columns = columns};
    fcl_tensor *x = fcl_input(n.graph, "x", FCL_F32, FCL_SHAPE(ROWS, columns[0]));
    fcl_tensor *time = fcl_silu(linear(&n, fcl_input(n.graph, "t", FCL_F32, FCL_SHAPE(ROWS, 1)), 16));
    fcl_tensor *y = linear(&n, unet(&n, x, time, depth), columns[0]);
    add_step(&n, fcl_mean(fcl_square(fcl_sub(y, x))));
    free(n.weight);
    return n.graph;
}

/* --- in a thread that has little stack --- */

typedef struct job {
    fcl_device *device;
    fcl_graph *(*build)(const void *data);
    const void *data;
    fcl_graph *graph; /* with its plan */
} job;

static void *build_and_plan(void *data)
{
    job *j = data;
    j->graph = j->build(j->data);
    if (!j->graph->mistake)
        fcl_plan_create(j->graph, j->device, NULL);
    return NULL;
}

static fcl_graph *plan(fcl_device *device, fcl_graph *(*build)(const void *data), const void *data)
{
    job j = {.device = device, .build = build, .data = data};
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, SMALL_STACK), 0);
    assert_int_equal(pthread_create(&thread, &attributes, build_and_plan, &j), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    if (j.graph->mistake)
        fail_msg("%s", j.graph->mistake);
    return j.graph;
}

typedef struct size {
    const int *columns;
    int depth;
} size;

static fcl_graph *build_unet(const void *data)
{
    const size *of = data;
    return unet_graph(of->columns, of->depth);
}

/* --- growth --- */

/* Twice the nodes are twice the visits, but for a logarithm and what memory's gaps cost. */
static void visits_grow_with_the_nodes(void **state)
{
    static const int *const columns[] = {narrow, wide, mixed};
    for (int i = 0; i < 3; i++) {
        double before = 0;
        int nodes = 0;
        for (int depth = 6; nodes < 10000; depth *= 2) {
            fcl_graph *graph = plan(*state, build_unet, &(size){columns[i], depth});
            double visits = (double)graph->plan->visits / graph->count;
            nodes = graph->count;
            if (!(before == 0 || visits < 1.5 * before))
                fail_msg("%d nodes of layers %d and %d: %g visits a node, half of them %g", nodes, columns[i][0],
                         columns[i][1], visits, before);
            before = visits;
            fcl_graph_destroy(&graph);
        }
        assert_true(before > 0 && before < 60);
    }
}

/* --- plans are right --- */

static int step_of(const fcl_tensor *input)
{
    return fcl_node_root((fcl_tensor *)input)->step;
}

/* Each step stands behind what it reads, and reads what is kept for it. */
static void check_order(const fcl_graph *graph)
{
    for (int i = 0; i < graph->count; i++) {
        const fcl_tensor *node = graph->nodes[i];
        for (int k = 0; k < node->inputs && node->step >= 0; k++) {
            const fcl_tensor *root = fcl_node_root(node->input[k]);
            assert_true(step_of(root) <= node->step);
            if (root->step >= 0 && root->step < node->step)
                assert_true(root->storage && root->storage->last >= node->step);
        }
        if (node->kept)
            assert_true(fcl_node_root((fcl_tensor *)node)->storage->last >= graph->plan->count);
    }
}

static void check_places(const fcl_plan *p)
{
    for (int i = 0; i < p->storage_count; i++)
        for (int k = 0; k < i; k++) {
            const fcl_storage *a = p->storages[i], *b = p->storages[k];
            bool together = a->first <= b->last && b->first <= a->last && !a->instead && !b->instead;
            if (together)
                assert_true(a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset);
        }
}

static bool is_free(const fcl_plan *p, int count, const fcl_storage *own, size_t place)
{
    for (int i = 0; i < count; i++) {
        const fcl_storage *other = p->storages[i];
        bool together = own->first <= other->last && other->first <= own->last && !other->instead;
        if (together && place < other->offset + other->bytes && other->offset < place + own->bytes)
            return false;
    }
    return true;
}

/* Beside those that are not smaller, each is at the lowest place that is free: at the start or behind another one. */
static void check_lowest(const fcl_plan *p)
{
    for (int i = 0; i < p->storage_count; i++) {
        const fcl_storage *own = p->storages[i];
        for (int k = -1; k < i && !own->instead; k++) {
            size_t end = k < 0 ? 0 : p->storages[k]->offset + p->storages[k]->bytes;
            size_t place = (end + FCL_BUFFER_ALIGN - 1) / FCL_BUFFER_ALIGN * FCL_BUFFER_ALIGN;
            assert_false(place < own->offset && is_free(p, i, own, place));
        }
    }
}

static void plans_are_right(void **state)
{
    static const int *const columns[] = {narrow, wide, mixed};
    for (int i = 0; i < 3; i++) {
        fcl_graph *graph = plan(*state, build_unet, &(size){columns[i], trial_int(3, 7)});
        check_order(graph);
        check_places(graph->plan);
        check_lowest(graph->plan);
        fcl_graph_destroy(&graph);
    }
}

/* --- long chains --- */

enum { LINKS = 20000 };

static fcl_graph *build_chain(const void *data)
{
    (void)data;
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(3));
    for (int i = 0; i < LINKS; i++)
        x = fcl_sin(x);
    fcl_output(x);
    return graph;
}

/* Each view is a view of the one before. */
static fcl_graph *build_views(const void *data)
{
    (void)data;
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(6)), *sum = x;
    for (int i = 0; i < LINKS; i++) {
        x = fcl_reshape(x, i % 2 ? FCL_SHAPE(6) : FCL_SHAPE(2, 3));
        sum = fcl_add(sum, i % 2 ? x : sum);
    }
    fcl_output(sum);
    return graph;
}

/* Each sum reads the one before and a product that reads the one before: a ladder of many meetings. */
static fcl_graph *build_ladder(const void *data)
{
    (void)data;
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(ROWS, 160)), *y = x;
    fcl_tensor *w = fcl_input(graph, "w", FCL_F32, FCL_SHAPE(160, 160));
    for (int i = 0; i < LINKS / 10; i++) {
        x = fcl_matmul(x, w, false, false);
        y = fcl_add(x, fcl_tanh(fcl_matmul(y, w, false, true)));
    }
    fcl_output(y);
    return graph;
}

static void long_graphs_need_little_stack(void **state)
{
    fcl_graph *(*const builds[])(const void *) = {build_chain, build_views, build_ladder};
    for (int i = 0; i < 3; i++) {
        fcl_graph *graph = plan(*state, builds[i], NULL);
        if (i < 2)
            assert_int_equal(graph->plan->count, (LINKS + FCL_MAX_MEMBERS - 1) / FCL_MAX_MEMBERS);
        check_order(graph);
        fcl_graph_destroy(&graph);
    }
}

/* x + 1 + 1 + ...: many kernels' members, of which all but the first and last kernels are alike. */
static void long_chains_are_right(void **state)
{
    enum { COUNT = 1000, SIZE = 7 };
    float x[SIZE], y[SIZE];
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *input = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(SIZE)), *sum = input;
    for (int i = 0; i < COUNT; i++)
        sum = fcl_shift(sum, 1);
    fcl_output(sum);
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    for (int i = 0; i < SIZE; i++)
        x[i] = (float)trial_int(-1000, 1000);
    assert_ok(fcl_tensor_write(input, x));
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(sum, y));
    for (int i = 0; i < SIZE; i++)
        assert_true(y[i] == x[i] + COUNT);
    fcl_graph_destroy(&graph);
}

/* --- many parts and many arguments --- */

/* The parts of x in the opposite order, and the gradient of a weighted sum of them. */
static void many_parts_are_joined(void **state)
{
    enum { PARTS = 700 };
    float x[PARTS], w[PARTS], y[PARTS], g[PARTS];
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *input = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(PARTS)), *part[PARTS], *dx;
    fcl_tensor *weights = fcl_input(graph, "w", FCL_F32, FCL_SHAPE(PARTS));
    for (int i = 0; i < PARTS; i++)
        part[i] = fcl_slice(input, 0, PARTS - 1 - i, PARTS - i);
    fcl_tensor *joined = fcl_output(fcl_concat(PARTS, part, 0));
    fcl_vjp(fcl_sum(fcl_mul(joined, weights)), NULL, 1, &input, &dx);
    fcl_output(dx);
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    for (int i = 0; i < PARTS; i++) {
        x[i] = (float)trial_normal();
        w[i] = (float)trial_normal();
    }
    assert_ok(fcl_tensor_write(input, x));
    assert_ok(fcl_tensor_write(weights, w));
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(joined, y));
    assert_ok(fcl_tensor_read(dx, g));
    for (int i = 0; i < PARTS; i++)
        assert_true(y[i] == x[PARTS - 1 - i] && g[i] == w[PARTS - 1 - i]);
    fcl_graph_destroy(&graph);
}

/* Small chains that read many leaves: in the form of GPUs all of them could be members of one kernel, whose arguments would
 * be too many. */
static void many_leaves_are_read(void **state)
{
    enum { CHAINS = 40, PARTS = 8 };
    trial *t = trial_create();
    fcl_tensor *sum[CHAINS];
    for (int i = 0; i < CHAINS; i++) {
        fcl_tensor *part[PARTS];
        for (int k = 0; k < PARTS; k++)
            part[k] = trial_input(t, FCL_SHAPE(2, 1), SMOOTH, 0);
        fcl_tensor *joined = fcl_concat(PARTS, part, 1);
        sum[i] = fcl_output(i % 8 ? joined : fcl_tanh(joined));
    }
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, *state, NULL));
    assert_ok(trial_run(t));
    for (int i = 0; i < CHAINS; i++)
        assert_true(trial_agrees(t, sum[i], "joined leaves"));
    trial_destroy(&t);
}

/* --- equal kernels --- */

static int kernels_of(fcl_device *device, int layers)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(ROWS, 160));
    for (int i = 0; i < layers; i++) {
        fcl_tensor *w = fcl_input(graph, "w", FCL_F32, FCL_SHAPE(160, 160));
        x = fcl_tanh(fcl_linear(x, w, fcl_input(graph, "b", FCL_F32, FCL_SHAPE(160))));
    }
    fcl_output(x);
    fcl_device_counts before = fcl_device_count(device);
    assert_ok(fcl_graph_compile(graph, device, NULL));
    fcl_device_counts after = fcl_device_count(device);
    fcl_graph_stats stats = fcl_graph_describe(graph);
    assert_int_equal(after.generated - before.generated, stats.kernels);
    double built = after.build_seconds - before.build_seconds;
    assert_true(built > 0 && stats.build_seconds > 0.99 * built && stats.build_seconds < 1.01 * built);
    assert_in_range(stats.launches, layers, 2 * layers);
    fcl_graph_destroy(&graph);
    return stats.kernels;
}

static void equal_kernels_are_built_once(void **state)
{
    assert_int_equal(kernels_of(*state, 3), 1);
    assert_int_equal(kernels_of(*state, 60), 1);
}

static int open_trials(void **state)
{
    trial_seed();
    return open_device(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(visits_grow_with_the_nodes), cmocka_unit_test(plans_are_right),
        cmocka_unit_test(long_graphs_need_little_stack), cmocka_unit_test(long_chains_are_right),
        cmocka_unit_test(many_parts_are_joined), cmocka_unit_test(many_leaves_are_read),
        cmocka_unit_test(equal_kernels_are_built_once),
    };
    return cmocka_run_group_tests(tests, open_trials, close_device);
}
