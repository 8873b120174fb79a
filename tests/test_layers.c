/* Layers against plain C in double precision, what they declare and begin with, and what they refuse. */
#include "rig.h"

#include <flowcl/nn.h>

#include <math.h>
#include <stdlib.h>

/* --- first values --- */

/* Draws them, on the host. */
static float *draw(const fcl_params *params)
{
    fcl_buffer *buffer = NULL;
    size_t bytes = fcl_params_bytes(params);
    float *flat = fcl_zalloc(bytes);
    assert_ok(fcl_buffer_create(device, bytes, &buffer));
    assert_ok(fcl_params_initialise(params, (uint64_t)trial_int(1, 1 << 30), 256, buffer));
    assert_ok(fcl_buffer_read(buffer, 0, bytes, flat));
    fcl_buffer_destroy(&buffer);
    return flat;
}

static const fcl_param *slice_of(const fcl_params *params, const char *name)
{
    int index = fcl_params_find(params, name);
    if (index < 0)
        fail_msg("there is no slice %s", name);
    return fcl_params_at(params, index);
}

/* Within +-bound, all of it is used, and mean and variance are the law's to six standard deviations. */
static void check_uniform(const fcl_params *params, const float *flat, const char *name, double bound)
{
    const fcl_param *slice = slice_of(params, name);
    const float *values = flat + slice->offset / sizeof(float);
    double n = (double)fcl_shape_size(slice->shape), sum = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < (int64_t)n; i++) {
        sum += (double)values[i] / n;
        squares += (double)values[i] * (double)values[i] / n;
        largest = fmax(largest, fabs((double)values[i]));
    }
    assert_true(largest <= bound * (1 + 1e-6) && largest > bound * (1 - 20 / n));
    assert_true(fabs(sum) < 6 * bound / sqrt(3 * n));
    assert_true(fabs(squares / (bound * bound / 3) - 1) < 6 * sqrt(0.8 / n));
}

static void check_all(const fcl_params *params, const float *flat, const char *name, float value)
{
    const fcl_param *slice = slice_of(params, name);
    for (int64_t i = 0; i < fcl_shape_size(slice->shape); i++)
        assert_true(flat[slice->offset / sizeof(float) + (size_t)i] == value);
}

static void first_values_have_their_laws(void **state)
{
    (void)state;
    fcl_params *params = fcl_params_create();
    fcl_linear_declare_with(params, 200, 100, NULL, "plain");
    fcl_linear_declare_with(params, 200, 100, &(fcl_layer_options){.xavier = 2}, "xavier");
    fcl_linear_declare_with(params, 20, 10, &(fcl_layer_options){.zeros = true}, "zeros");
    fcl_linear_declare_with(params, 20, 10, &(fcl_layer_options){.no_bias = true}, "alone");
    fcl_params_add(params, &(fcl_param){.shape = FCL_SHAPE(3, 3, 32, 64), .order = {2, 3, 1, 0}, .init = FCL_INIT_XAVIER, .scale = 1},
                   "turned"); /* (64, 32, 3, 3) in its file */
    assert_ok(fcl_params_check(params));
    float *flat = draw(params);
    check_uniform(params, flat, "plain.weight", 1 / sqrt(200));
    check_uniform(params, flat, "plain.bias", 1 / sqrt(200));
    check_uniform(params, flat, "xavier.weight", 2 * sqrt(6.0 / 300));
    check_all(params, flat, "xavier.bias", 0);
    check_all(params, flat, "zeros.weight", 0);
    check_all(params, flat, "zeros.bias", 0);
    check_uniform(params, flat, "turned", sqrt(6.0 / (9 * (32 + 64))));
    assert_int_equal(fcl_params_find(params, "alone.bias"), -1);
    assert_true(slice_of(params, "plain.bias")->undecayed && !slice_of(params, "plain.weight")->undecayed);
    free(flat);
    fcl_params_destroy(&params);
}

static void xavier_needs_two_dimensions(void **state)
{
    (void)state;
    fcl_params *params = fcl_params_create();
    fcl_params_declare(params, FCL_SHAPE(7), FCL_INIT_XAVIER, 1, "row");
    assert_status(FCL_ERR_ARGUMENT, fcl_params_check(params));
    assert_told("row of shape (7,) has no fan in");
    fcl_params_destroy(&params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_values_have_their_laws),
        cmocka_unit_test(xavier_needs_two_dimensions),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
