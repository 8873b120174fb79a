/* What a derivative makes again of what is kept (compile/again.c): gradients stay those of the reference, memory and launches
 * become fewer. */
#include "device.h"
#include "trial.h"

#include <flowcl/flowcl.h>

#include <stdlib.h>

enum { MOST_LAYERS = 6, MOST_LEAVES = 4 * MOST_LAYERS + 1 };

typedef enum normed { BY_ROWS, BY_GROUPS, MODULATED } normed;

/* Of images (N, side, side, width). */
typedef struct network {
    int images, side, width, layers;
    normed norm;
    bool twice; /* the gradient of a gradient */
} network;

typedef struct made {
    trial *t;
    int leaves;
    fcl_tensor *leaf[MOST_LEAVES], *gradient[MOST_LEAVES];
} made;

static fcl_tensor *add_leaf(made *m, fcl_shape shape)
{
    return m->leaf[m->leaves++] = trial_input(m->t, shape, SMOOTH, 0);
}

/* The norm of a product, and an activation: what networks have between two products. Modulated, the product's factor is itself
 * made of the norm by what is cheap, and is kept. */
static fcl_tensor *add_layer(made *m, const network *net, fcl_tensor *h)
{
    const int64_t width = net->width;
    fcl_tensor *weight = add_leaf(m, FCL_SHAPE(width, width)), *bias = add_leaf(m, FCL_SHAPE(width));
    fcl_tensor *x = fcl_linear(h, fcl_scale(weight, 0.25f), bias);
    fcl_tensor *scale = add_leaf(m, FCL_SHAPE(width)), *shift = add_leaf(m, FCL_SHAPE(width));
    if (net->norm == MODULATED)
        return fcl_add(fcl_mul(fcl_layer_norm(x, NULL, NULL, 1e-3f), fcl_add(scale, fcl_constant(m->t->graph, 1))), shift);
    x = net->norm == BY_GROUPS ? fcl_group_norm(x, 3, net->width / 4, scale, shift, 1e-3f)
                               : fcl_layer_norm(x, scale, shift, 1e-3f);
    return fcl_silu(x);
}

static made make(const network *net)
{
    made m = {.t = trial_create()};
    const fcl_shape shape = FCL_SHAPE(net->images, net->side, net->side, net->width);
    fcl_tensor *h = add_leaf(&m, shape), *wanted = trial_input(m.t, shape, SMOOTH, 0);
    for (int i = 0; i < net->layers; i++)
        h = add_layer(&m, net, h);
    fcl_vjp(fcl_mean_squared_error(h, wanted), NULL, m.leaves, m.leaf, m.gradient);
    if (net->twice) {
        fcl_tensor *along = fcl_mean(fcl_mul(m.gradient[0], wanted));
        fcl_vjp(along, NULL, m.leaves, m.leaf, m.gradient);
    }
    for (int i = 0; i < m.leaves; i++)
        fcl_output(m.gradient[i]);
    return m;
}

static void destroy(made *m)
{
    trial_destroy(&m->t);
}

static void gradients_are_the_references(void **state)
{
    const bool tiny = trial_tiny();
    for (int i = 0; i < (tiny ? 3 : 8); i++) {
        network net = {.images = trial_int(2, 3), .width = 4 * trial_int(5, 9), .layers = 2, .norm = (normed)(i % 3), .twice = i >= 6};
        net.side = tiny ? 6 : trial_int(6, 11); /* from 4096 numbers on what is cheap comes again */
        made m = make(&net);
        trial_fill(m.t);
        assert_ok(fcl_graph_compile(m.t->graph, *state, NULL));
        trial_evaluate(m.t, 0, 0, NULL, NULL);
        assert_ok(trial_run(m.t));
        for (int k = 0; k < m.leaves; k++)
            if (!trial_agrees(m.t, m.gradient[k], "a gradient"))
                fail_msg("leaf %d of %d images of side %d, width %d, norm %d", k, net.images, net.side, net.width, net.norm);
        destroy(&m);
    }
}

/* Between its product and the next a layer keeps what the norm reads and what the next product reads, two tensors; with the norm's
 * parts they would be six. Two inputs, a gradient that is left behind, and what is on its way take others. */
static void a_norm_keeps_what_it_reads(void **state)
{
    enum { KEPT = 2, OTHERS = 9 };
    for (normed norm = BY_ROWS; norm <= MODULATED; norm++) {
        const network net = {.images = 4, .side = 16, .width = 32, .layers = MOST_LAYERS, .norm = norm};
        made m = make(&net);
        assert_ok(fcl_graph_compile(m.t->graph, *state, NULL));
        const double tensor = 4.0 * net.images * net.side * net.side * net.width;
        const double tensors = (double)fcl_graph_describe(m.t->graph).arena_bytes / tensor;
        if (tensors > KEPT * MOST_LAYERS + OTHERS)
            fail_msg("norm %d keeps %.1f tensors, of %d layers", norm, tensors, MOST_LAYERS);
        destroy(&m);
    }
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_references),
        cmocka_unit_test(a_norm_keeps_what_it_reads),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
