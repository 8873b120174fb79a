/* Parts of a device, and what local ranks open of it. Where the driver divides nothing, that is said. */
#include "status.h"
#include "trial.h"
#include "device/traits.h"

#include <flowcl/flowcl.h>

#include <CL/cl.h>
#include <dlfcn.h>
#include <math.h>

/* --- how many parts of devices there are: the loader's calls pass through here --- */

static int parts_alive;

#define REAL(name)                                                                                           \
    __typeof__(name) *real;                                                                                  \
    void *symbol = dlsym(RTLD_NEXT, #name);                                                                  \
    memcpy(&real, &symbol, sizeof real)

cl_int clCreateSubDevices(cl_device_id device, const cl_device_partition_property *how, cl_uint most,
                          cl_device_id *made, cl_uint *count)
{
    REAL(clCreateSubDevices);
    cl_uint there = 0;
    cl_int code = real(device, how, most, made, &there);
    if (count)
        *count = there;
    parts_alive += made && code == CL_SUCCESS ? (int)most : 0;
    return code;
}

cl_int clReleaseDevice(cl_device_id device)
{
    REAL(clReleaseDevice);
    parts_alive--;
    return real(device);
}

/* --- --- */

typedef struct whole {
    fcl_device_info info;
    char half[64]; /* its name with "/2" */
} whole;

static whole device;

static int find_whole(void **state)
{
    (void)state;
    fcl_device *opened;
    trial_seed();
    if (fcl_device_open(NULL, NULL, &opened) != FCL_OK) {
        print_error("%s\n", fcl_error());
        return 1;
    }
    device.info = *fcl_device_describe(opened);
    snprintf(device.half, sizeof device.half, "%s/2", device.info.id);
    fcl_device_close(&opened);
    return 0;
}

/* A driver that divides nothing says so in one sentence, and the test has nothing more to see. */
static bool divides(void)
{
    fcl_device *half;
    if (device.info.most_parts >= 2)
        return true;
    assert_status(FCL_ERR_DEVICE, fcl_device_open(device.half, NULL, &half));
    assert_null(half);
    assert_told("has no parts: its driver divides it");
    assert_told(device.info.id);
    return false;
}

static int open_ranked(const char *selector, int rank, int ranks, fcl_device **opened)
{
    fcl_device_options options = {.local_rank = rank, .local_ranks = ranks};
    return fcl_device_open(selector, &options, opened);
}

static void check_part(fcl_device *half, int part)
{
    const fcl_device_info *info = fcl_device_describe(half);
    char id[80], units[64];
    snprintf(id, sizeof id, "%s.%d", device.half, part);
    snprintf(units, sizeof units, ", %d of %d units", device.info.compute_units / 2,
             device.info.compute_units);
    assert_string_equal(info->id, id);
    assert_true(info->parts == 2 && info->part == part && info->most_parts == 0);
    assert_int_equal(info->compute_units, device.info.compute_units / 2);
    assert_int_equal(fcl_device_traits(half).units, device.info.compute_units / 2);
    assert_true(info->memory == device.info.memory / 2 && info->cache == device.info.cache / 2);
    assert_true(info->max_allocation <= info->memory && info->max_allocation <= device.info.max_allocation);
    assert_true(strncmp(info->name, device.info.name, strlen(device.info.name)) == 0);
    assert_string_equal(info->name + strlen(device.info.name), units);
}

static void opens_part(const char *selector, int rank, int ranks, int part)
{
    fcl_device *half;
    assert_ok(open_ranked(selector, rank, ranks, &half));
    check_part(half, part);
    fcl_device_close(&half);
}

static void a_half_has_half_of_the_units(void **state)
{
    (void)state;
    if (!divides())
        return;
    char text[160];
    for (int part = 0; part < 2; part++) {
        snprintf(text, sizeof text, "%s.%d", device.half, part);
        opens_part(text, 0, 0, part);
        snprintf(text, sizeof text, "%s/2.%d", device.info.platform_name, part);
        opens_part(text, 0, 0, part);
    }
    opens_part(device.half, 0, 0, 0);
}

static void ranks_take_parts_and_entries(void **state)
{
    (void)state;
    fcl_device *opened;
    char list[200];
    assert_status(FCL_ERR_ARGUMENT, open_ranked(NULL, 2, 2, &opened));
    assert_status(FCL_ERR_ARGUMENT, open_ranked(NULL, -1, 2, &opened));
    assert_status(FCL_ERR_ARGUMENT, open_ranked(NULL, 1, 0, &opened));
    snprintf(list, sizeof list, "no such thing,%s", device.info.id);
    assert_ok(open_ranked(list, 1, 2, &opened));
    assert_string_equal(fcl_device_describe(opened)->id, device.info.id);
    fcl_device_close(&opened);
    assert_status(FCL_ERR_DEVICE, open_ranked(list, 0, 2, &opened));
    assert_told("\"no such thing\"");
    assert_status(FCL_ERR_DEVICE, fcl_device_open(list, NULL, &opened));
    assert_told("2 devices are named");
    for (int rank = 0; rank < 3; rank++) { /* one name is shared */
        assert_ok(open_ranked(device.info.id, rank, 3, &opened));
        assert_string_equal(fcl_device_describe(opened)->id, device.info.id);
        fcl_device_close(&opened);
    }
    if (!divides())
        return;
    opens_part(device.half, 0, 1, 0);
    opens_part(device.half, 0, 2, 0);
    opens_part(device.half, 1, 2, 1);
    assert_status(FCL_ERR_DEVICE, open_ranked(device.half, 1, 3, &opened));
    assert_told("3 ranks on this machine share the 2 parts");
    snprintf(list, sizeof list, "%s.1,%s.0", device.half, device.half);
    opens_part(list, 0, 2, 1);
    opens_part(list, 1, 2, 0);
}

static void what_is_no_part_is_refused(void **state)
{
    (void)state;
    fcl_device *opened;
    static const char *const wrong[] = {"0", "2.2", "x", "1000000", "2.", "2.x", "-2"};
    char text[80];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(text, sizeof text, "%s/%s", device.info.id, wrong[i]);
        assert_status(FCL_ERR_DEVICE, fcl_device_open(text, NULL, &opened));
        assert_null(opened);
        assert_told(device.info.id);
    }
    if (!divides())
        return;
    snprintf(text, sizeof text, "%s/%d", device.info.id, device.info.most_parts + 1);
    assert_status(FCL_ERR_DEVICE, fcl_device_open(text, NULL, &opened));
    assert_told("compute units, and divides into");
}

/* silu(x w + b) and the gradient of its weighted sum in w and b: products, fused kernels, and sums over rows,
 * which units share. */
enum { OUTPUTS = 3 };

typedef struct layer {
    trial *t;
    fcl_tensor *output[OUTPUTS];
} layer;

static layer make_layer(int rows, int inner, int columns)
{
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(rows, inner), SMOOTH, 0);
    fcl_tensor *leaf[] = {trial_input(t, FCL_SHAPE(columns, inner), SMOOTH, 0),
                          trial_input(t, FCL_SHAPE(columns), SMOOTH, 0)};
    layer made = {.t = t};
    made.output[0] = fcl_output(fcl_silu(fcl_linear(x, leaf[0], leaf[1])));
    fcl_vjp(made.output[0], trial_input(t, FCL_SHAPE(rows, columns), SMOOTH, 0), 2, leaf, &made.output[1]);
    fcl_output(made.output[1]);
    fcl_output(made.output[2]);
    trial_fill(t);
    return made;
}

/* The outputs one after the other; released by free. */
static float *compute(const char *selector, layer *made, size_t *bytes)
{
    fcl_device *opened;
    int64_t size = 0, at = 0;
    assert_ok(fcl_device_open(selector, NULL, &opened));
    assert_ok(fcl_graph_compile(made->t->graph, opened, NULL));
    assert_ok(trial_run(made->t));
    trial_evaluate(made->t, 0, 0, NULL, NULL);
    for (int i = 0; i < OUTPUTS; i++)
        size += fcl_shape_size(fcl_tensor_shape(made->output[i]));
    *bytes = (size_t)size * sizeof(float);
    float *values = malloc(*bytes);
    for (int i = 0; i < OUTPUTS; i++) {
        assert_true(trial_agrees(made->t, made->output[i], selector));
        assert_ok(fcl_tensor_read(made->output[i], values + at));
        at += fcl_shape_size(fcl_tensor_shape(made->output[i]));
    }
    trial_destroy(&made->t);
    fcl_device_close(&opened);
    return values;
}

/* Each is right, and both are equal to the last bit. */
static void halves_compute_alike(void **state)
{
    (void)state;
    if (!divides())
        return;
    int rows = trial_int(200, 400), inner = trial_int(20, 90), columns = trial_int(20, 90);
    uint64_t mark = trial_mark();
    float *value[2];
    size_t bytes[2];
    for (int part = 0; part < 2; part++) {
        char text[80];
        snprintf(text, sizeof text, "%s.%d", device.half, part);
        trial_return(mark);
        layer made = make_layer(rows, inner, columns);
        value[part] = compute(text, &made, &bytes[part]);
    }
    assert_true(bytes[0] == bytes[1]);
    assert_memory_equal(value[0], value[1], bytes[0]);
    free(value[0]);
    free(value[1]);
}

static void parts_are_released(void **state)
{
    (void)state;
    assert_int_equal(parts_alive, 0);
    if (!divides())
        return;
    fcl_device *first, *second;
    char text[80];
    snprintf(text, sizeof text, "%s.1", device.half);
    assert_ok(fcl_device_open(device.half, NULL, &first));
    assert_int_equal(parts_alive, 1);
    assert_ok(fcl_device_open(text, NULL, &second));
    assert_int_equal(parts_alive, 2);
    fcl_device_close(&first);
    fcl_device_close(&second);
    assert_int_equal(parts_alive, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_half_has_half_of_the_units), cmocka_unit_test(ranks_take_parts_and_entries),
        cmocka_unit_test(what_is_no_part_is_refused),   cmocka_unit_test(halves_compute_alike),
        cmocka_unit_test(parts_are_released),
    };
    return cmocka_run_group_tests(tests, find_whole, NULL);
}
