/* Measurements: that each computes what it is timed for, and that its time grows with its work. How fast a
 * device is, no test may ask. */
#include "device/measure.h"
#include "device.h"

#include <math.h>
#include <stdlib.h>

static bool is_simulator(const fcl_device *device)
{
    return strstr(fcl_device_describe(device)->name, "Oclgrind") != NULL;
}

static const fcl_measure_options small = {.bytes = 70000, .steps = 203};

static fcl_measure *make(fcl_device *device, fcl_measure_kind kind)
{
    fcl_measure *measure;
    assert_ok(fcl_measure_create(device, kind, &small, &measure));
    return measure;
}

static double error_of(fcl_measure *measure)
{
    double error;
    assert_ok(fcl_measure_error(measure, &error));
    return error;
}

static void every_kind_computes_what_it_says(void **state)
{
    static const char *const units[] = {"launch", "launch", "B", "B", "FLOP"};
    for (int kind = 0; kind < FCL_MEASURE_KINDS; kind++) {
        fcl_measure *measure = make(*state, (fcl_measure_kind)kind);
        const fcl_measure_info *info = fcl_measure_describe(measure);
        double seconds = 0;
        assert_string_equal(info->unit, units[kind]);
        assert_true(info->work > 0);
        assert_ok(fcl_measure_run(measure, 1, &seconds));
        assert_ok(fcl_measure_run(measure, 2, &seconds));
        assert_true(seconds > 0);
        assert_true(error_of(measure) < 2e-6);
        fcl_measure_destroy(&measure);
        assert_null(measure);
        fcl_measure_destroy(&measure);
    }
}

/* The work of a round, from what the header says a round is. */
static void work_is_counted(void **state)
{
    fcl_measure *copy = make(*state, FCL_MEASURE_COPY), *triad = make(*state, FCL_MEASURE_TRIAD);
    fcl_measure *peak = make(*state, FCL_MEASURE_PEAK);
    assert_true(fcl_measure_describe(copy)->work == 2.0 * (double)fcl_buffer_size(copy->buffer[0]));
    assert_true(fcl_measure_describe(triad)->work == 3.0 * (double)fcl_buffer_size(triad->buffer[0]));
    assert_true(fcl_buffer_size(triad->buffer[0]) > 65000 && fcl_buffer_size(triad->buffer[0]) <= 70000);
    double chain = 2.0 * 204 * (double)(fcl_buffer_size(peak->buffer[0]) / sizeof(float));
    assert_true(fmod(fcl_measure_describe(peak)->work, chain) == 0);
    fcl_measure_destroy(&copy);
    fcl_measure_destroy(&triad);
    fcl_measure_destroy(&peak);
}

static void wrong_results_are_seen(void **state)
{
    const int buffer[FCL_MEASURE_KINDS] = {0, 0, 1, 2, 0};
    for (int kind = 0; kind < FCL_MEASURE_KINDS; kind++) {
        fcl_measure *measure = make(*state, (fcl_measure_kind)kind);
        fcl_buffer *result = measure->buffer[buffer[kind]];
        float wrong = 12345.5f;
        double seconds;
        assert_ok(fcl_measure_run(measure, 1, &seconds));
        assert_ok(fcl_buffer_write(result, fcl_buffer_size(result) - sizeof wrong, sizeof wrong, &wrong));
        assert_true(error_of(measure) > 1e-2);
        fcl_measure_destroy(&measure);
    }
}

static double least_time(fcl_measure *measure, int64_t rounds)
{
    double least = INFINITY, seconds;
    for (int i = 0; i < 5; i++) {
        assert_ok(fcl_measure_run(measure, rounds, &seconds));
        least = fmin(least, seconds);
    }
    return least;
}

/* Sixteen times the work takes longer, by far less than a compiler that skipped it would show. */
/* What else the machine does may lengthen the short run, never shorten it: so it may try again. */
static void time_grows_with_work(void **state)
{
    enum { TRIES = 20 };
    if (is_simulator(*state))
        skip();
    for (int kind = 0; kind < FCL_MEASURE_KINDS; kind++) {
        const fcl_measure_options enough = {.bytes = 2 << 20, .steps = 1 << 13};
        fcl_measure *measure;
        assert_ok(fcl_measure_create(*state, (fcl_measure_kind)kind, &enough, &measure));
        int rounds = kind == FCL_MEASURE_LAUNCH ? 100 : 4; /* a wait costs as much as many launches */
        double first = INFINITY, more = INFINITY;
        for (int i = 0; i < TRIES && !(more < INFINITY && more > 2 * first); i++) {
            first = fmin(first, least_time(measure, rounds));
            more = fmin(more, least_time(measure, 16 * rounds));
        }
        if (!(more > 2 * first))
            print_error("kind %d: %g s, sixteen times as much %g s\n", kind, first, more);
        assert_true(more > 2 * first);
        fcl_measure_destroy(&measure);
    }
}

static void products_equal_the_reference(void **state)
{
    static const fcl_product list[] = {{.m = 19, .n = 33, .k = 21},
                                       {.m = 8, .n = 2, .k = 64, .transpose_b = true},
                                       {.m = 2, .n = 17, .k = 30, .transpose_a = true}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        const fcl_product *p = &list[i];
        fcl_measure *measure;
        double seconds, wrong = 0;
        assert_ok(fcl_measure_product(*state, p, &measure));
        assert_true(fcl_measure_describe(measure)->work == 2.0 * p->m * p->n * p->k);
        assert_true(strlen(fcl_measure_describe(measure)->how) > 3);
        assert_ok(fcl_measure_run(measure, 2, &seconds));
        assert_true(error_of(measure) < 1e-6);
        float c[19 * 33];
        assert_ok(fcl_buffer_read(measure->copy[0].c, 0, sizeof *c * (size_t)(p->m * p->n), c));
        for (int at = 0; at < p->m * p->n; at++) {
            double sum = 0;
            for (int j = 0; j < p->k; j++) {
                int row = at / p->n, col = at % p->n;
                sum += (double)measure->a[p->transpose_a ? j * p->m + row : row * p->k + j] *
                       (double)measure->b[p->transpose_b ? col * p->k + j : j * p->n + col];
            }
            wrong = fmax(wrong, fabs(sum - (double)c[at]));
        }
        assert_true(wrong < 1e-4);
        c[p->m * p->n - 1] += 5;
        assert_ok(fcl_buffer_write(measure->copy[0].c, 0, sizeof *c * (size_t)(p->m * p->n), c));
        assert_true(p->m * p->n > 509 || error_of(measure) > 1e-2);
        fcl_measure_destroy(&measure);
    }
}

/* c = a b + 2 r in every copy, and stored beside it: by a tile, and by a provider that needs a pass behind it. */
static void check_followed(fcl_device *device, const fcl_gemm_choice *choice)
{
    enum { ROWS = 19, COLUMNS = 33, DEPTH = 21 };
    const fcl_product p = {.m = ROWS, .n = COLUMNS, .k = DEPTH, .reads = 2, .stores = 1, .cold = true};
    fcl_measure *measure;
    double seconds;
    float c[ROWS * COLUMNS], stored[ROWS * COLUMNS];
    assert_ok(fcl_measure_choice(device, &p, choice, 5, &measure));
    assert_true(measure->copies > 1 || fcl_device_describe(device)->cache == 0);
    assert_true(fcl_measure_describe(measure)->work == 2.0 * ROWS * COLUMNS * DEPTH);
    assert_ok(fcl_measure_run(measure, measure->copies, &seconds));
    assert_true(error_of(measure) < 1e-6);
    for (int copy = 0; copy < measure->copies; copy++) {
        assert_ok(fcl_buffer_read(measure->copy[copy].c, 0, sizeof c, c));
        assert_ok(fcl_buffer_read(measure->copy[copy].store[0], 0, sizeof stored, stored));
        assert_memory_equal(c, stored, sizeof c);
        for (int at = 0; at < ROWS * COLUMNS; at++) {
            double sum = 2 * (double)measure->read[at];
            for (int i = 0; i < DEPTH; i++)
                sum += (double)measure->a[at / COLUMNS * DEPTH + i] * (double)measure->b[i * COLUMNS + at % COLUMNS];
            assert_true(fabs(sum - (double)c[at]) < 1e-4);
        }
    }
    for (int at = 0; at < ROWS * COLUMNS; at++)
        stored[at] += 5;
    assert_ok(fcl_buffer_write(measure->copy[0].store[0], 0, sizeof stored, stored));
    assert_true(error_of(measure) > 1e-2);
    fcl_measure_destroy(&measure);
}

static void what_follows_is_measured_too(void **state)
{
    fcl_device *device = *state;
    const fcl_gemm_choice tile = {FCL_GEMM_TILE, .rows = 4, .vectors = 1, .block = 2, .panels = 2},
                          clblast = {.provider = FCL_GEMM_CLBLAST};
    const fcl_gemm_choice gpu = {FCL_GEMM_GPU, .set = fcl_gemm_gpu_find("16x16x16 2x2"), .parts = 1},
                          in_parts = {FCL_GEMM_GPU, .set = gpu.set, .parts = 2};
    if (fcl_gemm_has_tiles(fcl_device_describe(device)->type))
        check_followed(device, &tile);
    check_followed(device, &gpu);
    check_followed(device, &in_parts);
    check_followed(device, &clblast);
}

static void mistakes_are_told(void **state)
{
    fcl_measure *measure;
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_measure_product(*state, &(fcl_product){.m = 3, .n = 2, .k = 1, .stores = 5}, &measure));
    assert_non_null(strstr(fcl_error(), "0 to 4 matrices"));
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_measure_product(*state, &(fcl_product){.m = 3, .n = 0, .k = 1}, &measure));
    assert_null(measure);
    assert_told("n 0");
    assert_status(FCL_ERR_ARGUMENT, fcl_measure_create(*state, FCL_MEASURE_KINDS, NULL, &measure));
    assert_null(measure);
}

/* A peak is that of a CPU's vectors, or of groups of work-items elsewhere, whatever width the driver reports there. */
static void the_peak_is_of_the_devices_type(void **state)
{
    fcl_device *device = *state;
    const fcl_device_info info = device->info;
    for (int width = 2; width <= 16; width *= 2) {
        device->info.type = FCL_DEVICE_GPU;
        device->info.vector_width = width;
        fcl_measure *peak = make(device, FCL_MEASURE_PEAK);
        double seconds;
        assert_string_equal(fcl_measure_describe(peak)->how, "12 chains");
        size_t items = fcl_buffer_size(peak->buffer[0]) / sizeof(float);
        assert_true(items % 256 == 0);
        assert_true(fcl_measure_describe(peak)->work == 2.0 * 12 * 204 * (double)items);
        assert_ok(fcl_measure_run(peak, 1, &seconds));
        assert_true(error_of(peak) < 2e-6);
        fcl_measure_destroy(&peak);
        device->info = info;
    }
    device->info.vector_width = 8;
    device->info.type = FCL_DEVICE_CPU;
    fcl_measure *peak = make(device, FCL_MEASURE_PEAK);
    assert_string_equal(fcl_measure_describe(peak)->how, "12 chains of float8");
    fcl_measure_destroy(&peak);
    device->info = info;
}

/* Four times a known GPU's last cache, not what its driver calls a cache. */
static void bandwidth_is_not_the_caches(void **state)
{
    fcl_device *device = *state;
    const fcl_device_info info = device->info;
    fcl_measure *copy;
    if (is_simulator(device))
        skip();
    device->info.type = FCL_DEVICE_GPU;
    device->info.cache = 4 << 20;
    device->info.memory = device->info.max_allocation = (uint64_t)4 << 30;
    strcpy(device->info.vendor, "NVIDIA Corporation");
    strcpy(device->info.name, "NVIDIA H100 PCIe");
    assert_ok(fcl_measure_create(device, FCL_MEASURE_COPY, NULL, &copy));
    assert_true(fcl_buffer_size(copy->buffer[0]) == (size_t)200 << 20);
    fcl_measure_destroy(&copy);
    device->info = info;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_computes_what_it_says), cmocka_unit_test(work_is_counted),
        cmocka_unit_test(wrong_results_are_seen),           cmocka_unit_test(time_grows_with_work),
        cmocka_unit_test(products_equal_the_reference),     cmocka_unit_test(what_follows_is_measured_too),
            cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(the_peak_is_of_the_devices_type), cmocka_unit_test(bandwidth_is_not_the_caches),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
