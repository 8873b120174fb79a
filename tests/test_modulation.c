/* Row programs with sums over the rows of a sample: tokens that are normalised and then modulated by what their
 * sample's condition says, in random orders, against the reference; and in how few launches that is. */
#include "device.h"
#include "trial.h"

#include <flowcl/layers.h>

enum { CONDITIONS = 3, MOST_OUTPUTS = 2 + CONDITIONS + 2 };

/* Tokens (samples, tokens, width), and numbers (samples, 1, width) for each sample's. */
typedef struct tokens {
    trial *t;
    fcl_shape shape;
    fcl_tensor *condition[CONDITIONS], *weight, *beside;
} tokens;

/* So many samples that each core has some, or a few less: these are summed by launches of their own. */
static fcl_shape random_shape(const fcl_device *device)
{
    const int units = fcl_device_traits(device).units;
    if (trial_tiny())
        return FCL_SHAPE(units <= 4 ? 8 * units : 3, trial_int(1, 2), trial_int(3, 18));
    return FCL_SHAPE(8 * units + trial_int(-2, 5), trial_int(1, 7),
                     trial_int(0, 3) ? trial_int(2, 70) : trial_int(128, 150));
}

static void make_operands(tokens *m)
{
    const int64_t n = m->shape.dim[0], width = m->shape.dim[2];
    for (int i = 0; i < CONDITIONS; i++)
        m->condition[i] = trial_input(m->t, FCL_SHAPE(n, 1, width), SMOOTH, 0);
    m->weight = trial_input(m->t, FCL_SHAPE(width), SMOOTH, 0);
    m->beside = trial_input(m->t, m->shape, SMOOTH, 0);
}

static fcl_tensor *any_condition(const tokens *m)
{
    return m->condition[trial_int(0, CONDITIONS - 1)];
}

static fcl_tensor *random_step(const tokens *m, fcl_tensor *x)
{
    switch (trial_int(0, 6)) {
    case 0:
        return fcl_add(fcl_mul(x, fcl_shift(any_condition(m), 1)), any_condition(m));
    case 1:
        return fcl_add(m->beside, fcl_mul(x, any_condition(m)));
    case 2:
        return fcl_sin(x);
    case 3:
        return fcl_rms_norm(x, trial_int(0, 1) ? m->weight : NULL, 0.5f);
    case 4:
        return fcl_sub(x, fcl_scale(fcl_sum_axes(x, 1u << 1), 1 / (float)m->shape.dim[1])); /* of a sample */
    default:
        return fcl_layer_norm(x, trial_int(0, 1) ? m->weight : NULL, NULL, 0.5f);
    }
}

/* A value, its gradients in the tokens, the conditions and the weights, and a sum over tokens of it. */
static int random_outputs(tokens *m, fcl_tensor **output)
{
    fcl_tensor *x = trial_input(m->t, m->shape, SMOOTH, 0), *y = x;
    for (int i = trial_int(1, trial_tiny() ? 2 : 5); i > 0; i--)
        y = random_step(m, y);
    fcl_tensor *of[] = {x, m->condition[0], m->condition[1], m->condition[2], m->weight};
    output[0] = y;
    output[1] = fcl_sum_axes(fcl_sin(y), 1u << 1);
    fcl_vjp(y, trial_input(m->t, m->shape, SMOOTH, 0), MOST_OUTPUTS - 2, of, output + 2);
    for (int i = 0; i < MOST_OUTPUTS; i++)
        fcl_output(output[i]);
    return MOST_OUTPUTS;
}

static void tokens_agree_with_the_reference(void **state)
{
    for (int round = 0; round < (trial_tiny() ? 2 : 8); round++) {
        tokens m = {.t = trial_create(), .shape = random_shape(*state)};
        fcl_tensor *output[MOST_OUTPUTS];
        make_operands(&m);
        const int outputs = random_outputs(&m, output);
        trial_fill(m.t);
        if (fcl_graph_compile(m.t->graph, *state, NULL) != FCL_OK || trial_run(m.t) != FCL_OK)
            fail_msg("%s", fcl_error());
        trial_evaluate(m.t, 0, 0, NULL, NULL);
        for (int i = 0; i < outputs; i++)
            if (!trial_agrees(m.t, output[i], "output"))
                fail_msg("round %d: output %d of tokens %s", round, i, fcl_shape_text(m.t->graph, m.shape));
        trial_destroy(&m.t);
    }
}

/* A transformer's way from one residual sum to the next, with its gradients in the tokens and all conditions: one,
 * beside that of 1 + scale. */
static void modulation_is_a_launch(void **state)
{
    const int units = fcl_device_traits(*state).units;
    if (!fcl_device_traits(*state).wide)
        skip();
    fcl_graph *graph = fcl_graph_create();
    const fcl_shape shape = FCL_SHAPE(8 * units, 7, 48), one = FCL_SHAPE(8 * units, 48);
    fcl_tensor *of[] = {fcl_input(graph, "x", FCL_F32, shape), fcl_input(graph, "shift", FCL_F32, one),
                        fcl_input(graph, "scale", FCL_F32, one), fcl_input(graph, "gate", FCL_F32, one)};
    fcl_tensor *h = fcl_modulate(fcl_layer_norm(of[0], NULL, NULL, 1e-6f), of[1], of[2]), *gradient[4];
    fcl_tensor *y = fcl_output(fcl_add(of[0], fcl_gate(fcl_sin(h), of[3])));
    fcl_vjp(y, fcl_input(graph, "u", FCL_F32, shape), 4, of, gradient);
    for (int i = 0; i < 4; i++)
        fcl_output(gradient[i]);
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    assert_int_equal(fcl_graph_describe(graph).launches, 2);
    fcl_graph_destroy(&graph);
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_agree_with_the_reference),
        cmocka_unit_test(modulation_is_a_launch),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
