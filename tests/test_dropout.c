/* Dropout: what is kept, how it is scaled, when it is on, and that it follows from seed, step and row alone. */
#include "rig.h"

#include "base/random.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

enum { ROWS = 64, WIDTH = 257, SIZE = ROWS * WIDTH };

static const float rate = 0.3f;

/* A graph that drops of x (rows, WIDTH) by each of two layers. */
typedef struct drop {
    fcl_params *params;
    fcl_graph *graph;
    fcl_layer_dropout layer[2];
    fcl_tensor *x, *u, *y[2], *dx;
    int rows;
} drop;

static drop make_drop(int rows)
{
    drop d = {.params = fcl_params_create(), .graph = fcl_graph_create(), .rows = rows};
    d.x = fcl_input(d.graph, "x", FCL_F32, FCL_SHAPE(rows, WIDTH));
    d.u = fcl_input(d.graph, "u", FCL_F32, FCL_SHAPE(rows, WIDTH));
    for (int i = 0; i < 2; i++) {
        d.layer[i] = fcl_dropout_declare(d.params, rate, "drop");
        d.y[i] = fcl_output(fcl_dropout_build(d.layer[i], d.x, true));
    }
    fcl_vjp(d.y[0], d.u, 1, &d.x, &d.dx);
    fcl_output(d.dx);
    assert_ok(fcl_graph_compile(d.graph, device, NULL));
    return d;
}

static void free_drop(drop *d)
{
    fcl_graph_destroy(&d->graph);
    fcl_params_destroy(&d->params);
}

static void run_drop(drop *d, uint64_t seed, uint32_t step, uint64_t first_row, const float *x, float *y)
{
    fcl_graph_random(d->graph, seed, step, first_row);
    assert_ok(fcl_tensor_write(d->x, x));
    assert_ok(fcl_tensor_write(d->u, x));
    assert_ok(fcl_graph_run(d->graph));
    assert_ok(fcl_tensor_read(d->y[0], y));
}

static float *normals(void)
{
    float *x = fcl_zalloc(SIZE * sizeof *x);
    for (int i = 0; i < SIZE; i++)
        x[i] = (float)trial_normal() + 8; /* none is 0 */
    return x;
}

/* The share of a's elements that are kept where b's is, too. */
static double kept_in_both(const float *a, const float *b, int count)
{
    int both = 0;
    for (int i = 0; i < count; i++)
        both += a[i] != 0 && b[i] != 0;
    return (double)both / count;
}

/* As often as the law says, to six standard deviations. */
static void assert_share(double found, double share, int count)
{
    double bound = 6 * sqrt(share * (1 - share) / count);
    if (!(fabs(found - share) <= bound))
        fail_msg("a share of %.6f, not %.6f to %.2g", found, share, bound);
}

static void what_is_kept_has_its_law(void **state)
{
    (void)state;
    drop d = make_drop(ROWS);
    float *x = normals(), *y = fcl_zalloc(SIZE * sizeof *y), *next = fcl_zalloc(SIZE * sizeof *next),
          *other = fcl_zalloc(SIZE * sizeof *other), *dx = fcl_zalloc(SIZE * sizeof *dx);
    uint64_t seed = (uint64_t)trial_int(1, 1 << 30);
    double keep = 1 - (double)rate, sum = 0, of_x = 0;
    run_drop(&d, seed, 8, 0, x, next);
    run_drop(&d, seed, 7, 0, x, y);
    assert_ok(fcl_tensor_read(d.y[1], other));
    assert_ok(fcl_tensor_read(d.dx, dx));
    fcl_random key = {.seed = seed, .stream = FCL_STREAM_DROPOUT, .step = 7};
    for (int i = 0; i < SIZE; i++) {
        bool kept = fcl_random_uniform(key, (uint64_t)i) > (double)rate;
        assert_true(kept ? fabs((double)y[i] - (double)x[i] / keep) <= 4e-7 * (double)fabsf(x[i]) : y[i] == 0);
        assert_true(dx[i] == y[i]); /* u is x */
        sum += (double)y[i];
        of_x += (double)x[i];
    }
    assert_share(kept_in_both(y, y, SIZE), keep, SIZE);
    assert_true(fabs(sum / of_x - 1) < 6 * sqrt((double)rate / keep * (65.0 / 64) / SIZE)); /* E x^2 / (E x)^2 is 65/64 */
    assert_share(kept_in_both(y, y + 1, SIZE - 1), keep * keep, SIZE / 2);         /* of neighbours, */
    assert_share(kept_in_both(y, y + WIDTH, SIZE - WIDTH), keep * keep, SIZE / 2); /* of samples, */
    assert_share(kept_in_both(y, next, SIZE), keep * keep, SIZE);                  /* of steps, */
    assert_share(kept_in_both(y, other, SIZE), keep * keep, SIZE);                 /* of layers */
    float *all[] = {x, y, next, other, dx};
    for (int i = 0; i < 5; i++)
        free(all[i]);
    free_drop(&d);
}

/* The same seed and step drop the same, and a batch in two parts as the whole one. */
static void drops_repeat(void **state)
{
    (void)state;
    drop whole = make_drop(ROWS), half = make_drop(ROWS / 2);
    float *x = normals(), *y = fcl_zalloc(SIZE * sizeof *y), *again = fcl_zalloc(SIZE * sizeof *again);
    run_drop(&whole, 5, 3, 0, x, y);
    run_drop(&whole, 6, 4, 0, x, again);
    assert_memory_not_equal(y, again, SIZE * sizeof *y);
    run_drop(&whole, 5, 3, 0, x, again);
    assert_memory_equal(y, again, SIZE * sizeof *y);
    run_drop(&half, 5, 3, ROWS / 2, x + SIZE / 2, again);
    assert_memory_equal(y + SIZE / 2, again, SIZE / 2 * sizeof *y);
    free(x);
    free(y);
    free(again);
    free_drop(&half);
    free_drop(&whole);
}

static void nothing_is_dropped_beside_training(void **state)
{
    (void)state;
    fcl_params *params = fcl_params_create();
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(2, 3));
    assert_ptr_equal(fcl_dropout_build(fcl_dropout_declare(params, rate, "a"), x, false), x);
    assert_ptr_equal(fcl_dropout_build(fcl_dropout_declare(params, 0, "b"), x, true), x);
    assert_int_equal(fcl_params_count(params), 0);
    fcl_graph_destroy(&graph);
    fcl_params_destroy(&params);
}

/* --- a model that drops --- */

typedef struct layers {
    fcl_layer_linear in, out;
    fcl_layer_dropout drop;
} layers;

static int declare(const fcl_model *model, fcl_params *params, void **made)
{
    const float *share = fcl_model_data(model);
    int64_t size = fcl_shape_size(fcl_model_sample(model));
    layers *l = *made = fcl_zalloc(sizeof *l);
    l->in = fcl_linear_declare(params, size + 1, 16, "in");
    l->drop = fcl_dropout_declare(params, *share, "drop");
    l->out = fcl_linear_declare(params, 16, size, "out");
    return FCL_OK;
}

static fcl_tensor *velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    const layers *l = fcl_model_layers(model);
    fcl_tensor *h = fcl_silu(fcl_linear_build(l->in, weights, fcl_concat(2, (fcl_tensor *[]){in->x, in->t}, 1)));
    return fcl_linear_build(l->out, weights, fcl_dropout_build(l->drop, h, in->training));
}

static float half = 0.5f, none = 0;
static const fcl_model_row dropping = {.name = "net", .declare = declare, .velocity = velocity, .data = &half};
static const fcl_model_row keeping = {.name = "net", .declare = declare, .velocity = velocity, .data = &none};

/* With `stop` it is ended there, and taken up again. */
static void train(const char *folder, int64_t stop, const fcl_model_row *own)
{
    fcl_train_options options = {.data = "moons", .data_count = 100, .out = scratch_path(folder), .steps = stop ? stop : 12,
                                 .batch = 16, .seed = 3, .lr = 0.01f, .schedule = "constant", .model = {.own = own}};
    assert_ok(fcl_train(&options, NULL));
    options.steps = 12;
    options.resume = true;
    if (stop)
        assert_ok(fcl_train(&options, NULL));
}

enum { DRAWN = 16 };

static void sample(const char *folder, const fcl_model_row *own, float drawn[DRAWN])
{
    fcl_checkpoint *checkpoint;
    fcl_array *samples;
    assert_ok(fcl_checkpoint_open_with(scratch_path(folder), &(fcl_foreign_options){.own = own}, &checkpoint));
    assert_ok(fcl_sample(device, checkpoint, &(fcl_sample_options){.n = DRAWN / 2, .seed = 5, .steps = 4}, &samples, NULL));
    memcpy(drawn, samples->data, DRAWN * sizeof *drawn);
    fcl_array_destroy(&samples);
    fcl_checkpoint_close(&checkpoint);
}

static void training_goes_on_with_its_drops(void **state)
{
    (void)state;
    float whole[DRAWN], stopped[DRAWN], undropped[DRAWN], other[DRAWN];
    if (trial_tiny())
        skip();
    train("whole", 0, &dropping);
    train("stopped", 5, &dropping);
    train("other", 0, &keeping);
    sample("whole", &dropping, whole);
    sample("stopped", &dropping, stopped);
    sample("whole", &keeping, undropped);
    sample("other", &keeping, other);
    assert_memory_equal(whole, stopped, sizeof whole);
    assert_memory_equal(whole, undropped, sizeof whole); /* nothing is dropped when it samples */
    assert_memory_not_equal(whole, other, sizeof whole); /* but it was when it trained */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_has_its_law),
        cmocka_unit_test(drops_repeat),
        cmocka_unit_test(nothing_is_dropped_beside_training),
        cmocka_unit_test(training_goes_on_with_its_drops),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
