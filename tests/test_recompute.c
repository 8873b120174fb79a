/* Blocks whose values derivatives compute again: gradients stay, memory becomes less. */
#include "device.h"
#include "trial.h"

#include <flowcl/flowcl.h>

#include <math.h>

enum { MOST_BLOCKS = 12, WEIGHTS = 2 * MOST_BLOCKS, MOST_LEAVES = WEIGHTS + 1 };

typedef struct network {
    int rows, width, inner, blocks;
    float *x, *weight[WEIGHTS];
    bool nested, twice; /* blocks inside of blocks; the gradient of a gradient */
    bool attends;       /* each row to all others: launches of several results */
} network;

typedef struct result {
    int count;
    size_t size[MOST_LEAVES];
    float *of[MOST_LEAVES];
    fcl_graph_stats stats;
} result;

static float *draw(size_t count, double scale)
{
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(scale * trial_normal());
    return values;
}

static network network_draw(int rows, int width, int inner, int blocks)
{
    network net = {.rows = rows, .width = width, .inner = inner, .blocks = blocks};
    net.x = draw((size_t)rows * (size_t)width, 1);
    for (int i = 0; i < 2 * blocks; i++)
        net.weight[i] = draw((size_t)width * (size_t)inner, 1 / sqrt(i % 2 ? inner : width));
    return net;
}

static void network_free(network *net)
{
    free(net->x);
    for (int i = 0; i < 2 * net->blocks; i++)
        free(net->weight[i]);
}

static fcl_tensor *attend(const network *net, fcl_tensor *h)
{
    fcl_tensor *rows = fcl_reshape(h, FCL_SHAPE(1, net->rows, net->width));
    return fcl_reshape(fcl_attention(rows, rows, fcl_scale(rows, 2), 1, NULL, NULL),
                       FCL_SHAPE(net->rows, net->width));
}

/* h + W2 drop(silu(W1 norm(h))): a reduction, products, an activation, and what is drawn. */
static fcl_tensor *build_block(const network *net, fcl_graph *graph, fcl_tensor *h, fcl_tensor *const *w,
                               uint32_t stream)
{
    fcl_shape shape = FCL_SHAPE(net->rows, net->inner);
    fcl_block_begin(graph);
    if (net->nested)
        fcl_block_begin(graph);
    fcl_tensor *norm = fcl_layer_norm(h, NULL, NULL, 1e-5f);
    if (net->nested)
        fcl_block_end(graph);
    if (net->attends)
        norm = attend(net, norm);
    fcl_tensor *up = fcl_silu(fcl_linear(norm, w[0], NULL));
    fcl_tensor *kept = fcl_greater(fcl_uniform(graph, shape, stream), fcl_constant(graph, 0.25f));
    h = fcl_add(h, fcl_linear(fcl_scale(fcl_mul(up, kept), 1 / 0.75f), w[1], NULL));
    fcl_block_end(graph);
    return h;
}

static void bind(const network *net, fcl_graph *graph, fcl_tensor **leaf)
{
    leaf[0] = fcl_input_filled(graph, "x", FCL_SHAPE(net->rows, net->width), net->x);
    for (int i = 0; i < 2 * net->blocks; i++)
        leaf[1 + i] = fcl_input_filled(
            graph, "w", i % 2 ? FCL_SHAPE(net->width, net->inner) : FCL_SHAPE(net->inner, net->width),
            net->weight[i]);
}

/* The gradients in x and all weights of sum(y^2), or of the sum of the squares of its gradient in x. */
static result derive(fcl_device *device, const network *net, bool recompute)
{
    result r = {.count = 1 + 2 * net->blocks};
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *leaf[MOST_LEAVES], *gradient[MOST_LEAVES];
    bind(net, graph, leaf);
    fcl_graph_recompute(graph, recompute);
    fcl_tensor *h = leaf[0];
    for (int i = 0; i < net->blocks; i++)
        h = build_block(net, graph, h, leaf + 1 + 2 * i, (uint32_t)i);
    fcl_tensor *loss = fcl_sum(fcl_square(h));
    if (net->twice) {
        fcl_vjp(loss, NULL, 1, leaf, gradient);
        loss = fcl_sum(fcl_square(gradient[0]));
    }
    fcl_vjp(loss, NULL, r.count, leaf, gradient);
    for (int i = 0; i < r.count; i++)
        fcl_output(gradient[i]);
    fcl_graph_random(graph, 77, 3, 0);
    assert_ok(fcl_graph_compile(graph, device, NULL));
    assert_ok(fcl_graph_run(graph));
    r.stats = fcl_graph_describe(graph);
    for (int i = 0; i < r.count; i++) {
        r.size[i] = (size_t)fcl_shape_size(fcl_tensor_shape(leaf[i]));
        r.of[i] = malloc(r.size[i] * sizeof(float));
        assert_ok(fcl_tensor_read(gradient[i], r.of[i]));
    }
    fcl_graph_destroy(&graph);
    return r;
}

static void result_free(result *r)
{
    for (int i = 0; i < r->count; i++)
        free(r->of[i]);
}

/* Of all gradients together: the distance's norm over the norm. */
static double distance(const result *a, const result *b)
{
    double square = 0, apart = 0;
    for (int i = 0; i < a->count; i++)
        for (size_t k = 0; k < a->size[i]; k++) {
            double x = (double)a->of[i][k], y = (double)b->of[i][k];
            assert_true(isfinite(x) && isfinite(y));
            square += x * x;
            apart += (x - y) * (x - y);
        }
    assert_true(square > 0);
    return sqrt(apart / square);
}

static void assert_same_bits(const result *a, const result *b)
{
    for (int i = 0; i < a->count; i++)
        assert_memory_equal(a->of[i], b->of[i], a->size[i] * sizeof(float));
}

static void check_gradients(fcl_device *device, const network *net, double bound)
{
    result kept = derive(device, net, false), again = derive(device, net, true),
           repeated = derive(device, net, true);
    double apart = distance(&kept, &again);
    if (!(apart <= bound))
        print_error("%d rows of %d, inner %d, %d blocks: gradients are %g of their norm apart\n", net->rows,
                    net->width, net->inner, net->blocks, apart);
    assert_true(apart <= bound);
    assert_same_bits(&again, &repeated);
    assert_true(again.stats.nodes > kept.stats.nodes); /* it did compute again */
    result_free(&kept);
    result_free(&again);
    result_free(&repeated);
}

static void gradients_are_the_same(void **state)
{
    int most = trial_tiny() ? 6 : 40;
    network net =
        network_draw(trial_int(2, most), trial_int(3, most), trial_int(3, 3 * most), trial_int(2, 3));
    net.nested = trial_int(0, 1);
    net.attends = true;
    check_gradients(*state, &net, 1e-6);
    network_free(&net);
}

/* The first gradient's copies stand in the second one's way, too. */
static void gradients_of_gradients_are_the_same(void **state)
{
    network net = network_draw(trial_int(2, 4), trial_int(3, 5), trial_int(3, 5), 2);
    net.twice = true;
    net.attends = fcl_device_traits(*state).wide; /* in the form of GPUs its second derivatives compile for minutes */
    check_gradients(*state, &net, 1e-5);
    network_free(&net);
}

/* A block keeps up and its derivative, of `inner` numbers a row each, and what it reads. Computed again, of
 * all blocks only the last is kept, beside the gradients. Too wide for a row block, which keeps nothing;
 * Oclgrind's is none. */
static void memory_is_that_of_the_inputs(void **state)
{
    int width = trial_tiny() ? 8 : 32, hidden = trial_tiny() ? 40 : 160,
        rows = trial_int(30, trial_tiny() ? 30 : 70);
    network net = network_draw(rows, width, hidden, MOST_BLOCKS);
    result kept = derive(*state, &net, false), again = derive(*state, &net, true);
    double number = sizeof(float) * rows, inputs = number * width * net.blocks, inner = number * hidden,
           gradients = 0;
    for (int i = 0; i < again.count; i++)
        gradients += sizeof(float) * (double)again.size[i];
    double before = (double)kept.stats.arena_bytes, now = (double)again.stats.arena_bytes;
    if (!(before >= 2 * inner * net.blocks && now <= inputs + 5 * inner + gradients))
        print_error("%d rows of %d, inner %d: %g bytes before, %g now\n", rows, width, hidden, before, now);
    assert_true(before >= 2 * inner * net.blocks);
    assert_true(now <= inputs + 5 * inner + gradients);
    result_free(&kept);
    result_free(&again);
    network_free(&net);
}

static void check_mistake(fcl_device *device, bool begin, bool end, const char *told)
{
    fcl_graph *graph = fcl_graph_create();
    if (begin)
        fcl_block_begin(graph);
    fcl_output(fcl_square(fcl_input(graph, "x", FCL_F32, FCL_SHAPE(3))));
    if (end)
        fcl_block_end(graph);
    assert_status(FCL_ERR_SHAPE, fcl_graph_compile(graph, device, NULL));
    assert_told(told);
    fcl_graph_destroy(&graph);
}

static void a_block_has_a_begin_and_an_end(void **state)
{
    check_mistake(*state, true, false, "no end");
    check_mistake(*state, false, true, "did not begin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_same),
        cmocka_unit_test(gradients_of_gradients_are_the_same),
        cmocka_unit_test(memory_is_that_of_the_inputs),
        cmocka_unit_test(a_block_has_a_begin_and_an_end),
    };
    trial_seed();
    return cmocka_run_group_tests(tests, open_device, close_device);
}
