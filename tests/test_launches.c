/* How many launches a graph is, above all in the form of GPUs, and that what is joined in them is right. */
#include "device.h"
#include "opencl_calls.h"
#include "trial.h"

#include <flowcl/flowcl.h>

#include <stdlib.h>

static bool is_gpu_form(const fcl_device *device)
{
    return !fcl_device_traits(device).wide;
}

static int launches(const trial *t)
{
    return fcl_graph_describe(t->graph).launches;
}

/* Compiles, runs twice, and holds the outputs against the reference. */
static void check(trial *t, fcl_device *device, int count, fcl_tensor *const *output, const char *what)
{
    for (int i = 0; i < count; i++)
        fcl_output(output[i]);
    trial_fill(t);
    fcl_graph_random(t->graph, 0x0123456789ABCDEFu, 5, 0x100000003u);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, device, NULL));
    for (int run = 0; run < 2; run++) {
        assert_ok(trial_run(t));
        for (int i = 0; i < count; i++)
            assert_true(trial_agrees(t, output[i], what));
    }
}

/* --- concatenation --- */

static void check_concat(fcl_device *device, int count, int axis, domain content)
{
    enum { RANK = 3 };
    trial *t = trial_create();
    fcl_tensor *part[80];
    int sizes[RANK];
    for (int d = 0; d < RANK; d++)
        sizes[d] = trial_int(1, 7);
    for (int k = 0; k < count; k++) {
        fcl_shape shape = FCL_SHAPE(sizes[0], sizes[1], sizes[2]);
        shape.dim[axis] = trial_int(1, 5);
        part[k] = trial_input(t, shape, content, 9);
    }
    part[count - 1] = count > 2 && axis == 1 ? part[0] : part[count - 1]; /* one twice */
    fcl_tensor *joined = fcl_concat(count, part, axis);
    check(t, device, 1, &joined, "a concatenation");
    assert_int_equal(launches(t), (count + 13) / 15);
    trial_destroy(&t);
}

static void a_concatenation_is_one_launch(void **state)
{
    static const domain domains[] = {SMOOTH, INDEX};
    for (int axis = 0; axis < 3; axis++) {
        check_concat(*state, 2, axis, domains[axis % 2]);
        check_concat(*state, trial_int(3, 6), axis, domains[(axis + 1) % 2]);
    }
    check_concat(*state, trial_int(9, 16), 2, SMOOTH);
    check_concat(*state, trial_int(17, 80), 1, SMOOTH); /* more than a kernel takes */
}

/* What is joined is read by the same kernel's expressions, and made by another's. */
static void a_concatenation_goes_on(void **state)
{
    trial *t = trial_create();
    int rows = trial_int(2, 40);
    fcl_tensor *x = trial_input(t, FCL_SHAPE(rows, 3), SMOOTH, 0);
    fcl_tensor *y = fcl_tanh(x), *both[] = {fcl_square(x), y};
    fcl_tensor *joined = fcl_concat(2, both, 1);
    fcl_tensor *outputs[] = {fcl_sin(joined), y, joined};
    check(t, *state, 3, outputs, "a chain behind a concatenation");
    assert_int_equal(launches(t), is_gpu_form(*state) ? 2 : 4);
    trial_destroy(&t);
}

/* --- a batch: its rows, noise, times, the path, the loss, and the loss's gradient --- */

typedef struct batch {
    fcl_tensor *index, *noise, *x1, *t, *x, *wanted, *loss, *slope;
} batch;

static batch build_batch(trial *t, int rows, int size, bool bytes)
{
    fcl_graph *graph = t->graph;
    batch b;
    fcl_tensor *table = trial_input(t, FCL_SHAPE(rows + 3, size), bytes ? BYTES : SMOOTH, 0);
    fcl_tensor *v = trial_input(t, FCL_SHAPE(rows, size), SMOOTH, 0);
    b.index = fcl_batch_index(graph, rows + 3, rows, 2 * rows, 7);
    b.x1 = fcl_gather_rows(table, b.index, bytes ? 2 / 255.0f : 1, bytes ? -1 : 0);
    b.noise = fcl_normal(graph, FCL_SHAPE(rows, size), 8);
    b.t = fcl_min(fcl_scale(fcl_add(fcl_row_number(graph, rows, 2 * rows), fcl_uniform(graph, FCL_SHAPE(rows, 1), 9)),
                            0.5f / (float)rows),
                  fcl_constant(graph, 0.999f));
    fcl_tensor *rest = fcl_sub(fcl_constant(graph, 1), b.t);
    b.x = fcl_add(fcl_mul(b.t, b.x1), fcl_mul(rest, b.noise));
    b.wanted = fcl_sub(b.x1, b.noise);
    fcl_tensor *bias = trial_input(t, FCL_SHAPE(size), SMOOTH, 0), *found = fcl_add(v, bias);
    b.loss = fcl_mean(fcl_mul(fcl_cfm_loss(found, b.wanted), b.t));
    fcl_vjp(b.loss, NULL, 1, &bias, &b.slope);
    return b;
}

static void check_batch(fcl_device *device, int rows, int size, bool bytes)
{
    trial *t = trial_create();
    batch b = build_batch(t, rows, size, bytes);
    fcl_tensor *all[] = {b.index, b.noise, b.x1, b.t, b.x, b.wanted, b.loss, b.slope};
    check(t, device, (int)(sizeof all / sizeof *all), all, "a batch");
    /* index and times; rows, noise and path; the loss of the samples; its slope; the sums, the loss's beside the slope's */
    if (is_gpu_form(device) && size <= 32)
        assert_in_range(launches(t), 1, 6);
    trial_destroy(&t);
}

/* Labels that are gathered, dropped by chance, and read as an index. */
static void labels_are_dropped_on_their_way(void **state)
{
    trial *t = trial_create();
    int rows = trial_int(2, trial_tiny() ? 6 : 100), classes = 5;
    fcl_tensor *labels = trial_input(t, FCL_SHAPE(rows + 3), INDEX, classes);
    fcl_tensor *table = trial_input(t, FCL_SHAPE(classes + 1, 4), SMOOTH, 0);
    fcl_tensor *index = fcl_batch_index(t->graph, rows + 3, rows, 2 * rows, 7);
    fcl_tensor *dropped = fcl_drop_labels(fcl_gather_rows(labels, index, 1, 0), classes, 0.5f, 18);
    fcl_tensor *known = fcl_silu(fcl_gather_rows(table, dropped, 1, 0));
    fcl_tensor *all[] = {fcl_sum(known), known};
    check(t, *state, 2, all, "labels on their way");
    trial_destroy(&t);
}

static void a_batch_is_a_few_launches(void **state)
{
    int most = trial_tiny() ? 6 : 100;
    check_batch(*state, trial_int(2, most), 1, false);
    check_batch(*state, trial_int(2, most), trial_int(2, 8), false);
    check_batch(*state, trial_int(2, 9), trial_int(33, 40), false); /* rows that a group reads */
    check_batch(*state, trial_int(2, most), trial_int(2, 5), true);
}

/* What others read of a chain is read from memory: a gather of rows that the chain itself makes. */
static void what_is_gathered_comes_from_another_kernel(void **state)
{
    trial *t = trial_create();
    int rows = trial_int(3, 30), size = trial_int(1, 5);
    fcl_tensor *x = trial_input(t, FCL_SHAPE(rows, size), SMOOTH, 0);
    fcl_tensor *index = trial_input(t, FCL_SHAPE(rows), INDEX, rows);
    fcl_tensor *y = fcl_tanh(x), *gathered = fcl_gather_rows(y, index, 1, 0);
    fcl_tensor *z = fcl_mul(fcl_add(gathered, y), fcl_normal(t->graph, FCL_SHAPE(rows, size), 3));
    check(t, *state, 1, &z, "a gather of the chain's own rows");
    assert_in_range(launches(t), is_gpu_form(*state) ? 2 : 3, 4);
    trial_destroy(&t);
}

/* --- sums --- */

static void check_sums(fcl_device *device, int count, int most)
{
    trial *t = trial_create();
    fcl_tensor *sum[20];
    for (int k = 0; k < count; k++) {
        int rows = trial_int(33, most), columns = trial_int(1, 40);
        fcl_tensor *x = trial_input(t, FCL_SHAPE(rows, columns), SMOOTH, 0);
        sum[k] = fcl_sum_axes(x, columns == 5 && rows < 400 ? 3u : 1u);
    }
    check(t, device, count, sum, "sums");
    if (is_gpu_form(device) && most <= 1024)
        assert_int_equal(launches(t), (count + 7) / 8);
    trial_destroy(&t);
}

static void sums_of_few_rows_are_one_stage_and_one_launch(void **state)
{
    int most = trial_tiny() ? 40 : 1024;
    check_sums(*state, 1, most);
    check_sums(*state, 2, most);
    check_sums(*state, 8, trial_tiny() ? 40 : 200);
    check_sums(*state, trial_int(9, 20), trial_tiny() ? 40 : 100);
    if (!trial_tiny())
        check_sums(*state, 3, 9000); /* in two stages */
}

/* A sum that the graph goes on with does not wait for the others. */
static void a_sum_that_is_read_is_there(void **state)
{
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(trial_int(40, 60), 3), SMOOTH, 0);
    fcl_tensor *y = trial_input(t, FCL_SHAPE(50, 3), SMOOTH, 0);
    fcl_tensor *mean = fcl_scale(fcl_sum_axes(x, 1u), 0.02f);
    fcl_tensor *outputs[] = {fcl_sum_axes(fcl_sub(y, mean), 1u), fcl_sum_axes(y, 1u), fcl_sum_axes(x, 3u)};
    check(t, *state, 3, outputs, "sums, one after the other");
    trial_destroy(&t);
}

/* --- vectors of four, as $FLOWCL_VECTOR asks for --- */

/* Over memory of the host, `shift` floats behind a multiple of a float4. */
static fcl_buffer *lay_over_host(trial *t, fcl_device *device, fcl_shape shape, float *host, int shift, fcl_tensor **x)
{
    fcl_buffer *buffer;
    trial_leaf *leaf = &t->leaf[t->leaves++];
    size_t size = (size_t)fcl_shape_size(shape);
    assert_ok(fcl_buffer_create_over(device, size * sizeof *host, host + shift, &buffer));
    *x = fcl_leaf(t->graph, "over", FCL_F32, shape, buffer, 0);
    *leaf = (trial_leaf){*x, SMOOTH, 0, calloc(size, sizeof *leaf->value)};
    return buffer;
}

static void check_vectors(fcl_device *device, int rows, int size, int shift)
{
    trial *t = trial_create();
    fcl_tensor *x, *column = trial_input(t, FCL_SHAPE(size), SMOOTH, 0), *row = trial_input(t, FCL_SHAPE(rows, 1), SMOOTH, 0);
    float *host = aligned_alloc(64, ((size_t)(rows * size + 4) * sizeof *host + 63) / 64 * 64);
    fcl_buffer *buffer = lay_over_host(t, device, FCL_SHAPE(rows, size), host, shift, &x);
    fcl_tensor *y = fcl_add(fcl_mul(fcl_tanh(x), column), row), *z = trial_input(t, FCL_SHAPE(rows, size), SMOOTH, 0);
    fcl_tensor *outputs[] = {y, fcl_sum_axes(y, 2u), fcl_sum_axes(x, 2u), fcl_sum_axes(x, 3u), fcl_cfm_loss(x, z),
                             fcl_square(z)};
    check(t, device, 6, outputs, "vectors");
    trial_destroy(&t);
    fcl_buffer_destroy(&buffer);
    free(host);
}

static void either_width_is_right(void **state)
{
    static const char *const widths[] = {"1", "4"};
    const char *before = getenv("FLOWCL_VECTOR");
    for (int i = 0; i < 2; i++) {
        setenv("FLOWCL_VECTOR", widths[i], 1);
        check_vectors(*state, trial_int(1, 9), 4 * trial_int(9, trial_tiny() ? 12 : 200), 0);
        check_vectors(*state, trial_int(1, 9), 4 * trial_int(9, 30), trial_int(1, 3)); /* memory begins in between */
        check_vectors(*state, trial_int(2, 9), 4 * trial_int(9, 30) + trial_int(1, 3), 0); /* rows end in between */
        check_vectors(*state, trial_int(1, 9), trial_int(1, 9), 0);
    }
    before ? setenv("FLOWCL_VECTOR", before, 1) : unsetenv("FLOWCL_VECTOR");
}

/* --- a step of training --- */

/* Of the smallest model that `flowcl bench` has. Kernels are counted where the loader gets them, CLBlast's among them. */
static void a_step_is_few_launches(void **state)
{
    enum { STEPS = 3 };
    fcl_device *device = *state;
    fcl_dataset *data = NULL;
    fcl_trainer *trainer = NULL;
    fcl_train_options options = {.data = "moons", .batch = 256, .steps = 100, .model = {.width = 64, .depth = 3}};
    const char *provider = getenv("FLOWCL_GEMM");
    bool clblast = provider && strcmp(provider, "clblast") == 0;
    if (trial_tiny())
        return;
    assert_ok(fcl_dataset_open("moons", &(fcl_dataset_options){.count = 1000}, &data));
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    assert_ok(fcl_trainer_step(trainer));
    fcl_device_counts before = fcl_device_count(device);
    calls.launches = 0;
    for (int i = 0; i < STEPS; i++)
        assert_ok(fcl_trainer_step(trainer));
    fcl_device_counts after = fcl_device_count(device);
    int64_t kernels = after.kernels - before.kernels, products = after.clblast - before.clblast;
    assert_int_equal(products, clblast ? 11 * STEPS : 0); /* of four layers; the first one's input has no slope */
    assert_in_range(kernels + products, 1, (is_gpu_form(device) ? 28 : 6) * STEPS);
    assert_in_range(calls.launches, kernels + products, 28 * STEPS);
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_concatenation_is_one_launch),
        cmocka_unit_test(a_concatenation_goes_on),
        cmocka_unit_test(a_batch_is_a_few_launches),
        cmocka_unit_test(labels_are_dropped_on_their_way),
        cmocka_unit_test(what_is_gathered_comes_from_another_kernel),
        cmocka_unit_test(sums_of_few_rows_are_one_stage_and_one_launch),
        cmocka_unit_test(a_sum_that_is_read_is_there),
        cmocka_unit_test(either_width_is_right),
        cmocka_unit_test(a_step_is_few_launches),
    };
    return cmocka_run_group_tests_name("launches", tests, open_device, close_device);
}
