/* What a device can run: groups above the first dimension, work-items of a group, memory of a kernel. This process's
 * own functions of the loader's names see each launch, CLBlast's among them, and answer for the driver. */
#include "device.h"
#include "device/opencl.h"
#include "trial.h"

#include <flowcl/flowcl.h>

#include <ctype.h>
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS_MOST = 65535 };

/* What was launched, and what the driver says of each kernel; 0: the truth. */
static struct {
    size_t groups, items, launches; /* the most above the first dimension, and the most in a group of ours */
    size_t group;
    uint64_t local, private;
    bool drops_batches; /* what runs a kernel for batches does nothing */
    bool refuses_products; /* CLBlast's kernels have groups that are too large */
} seen;

/* The loader's function of that name, in the caller's variable of its type. */
#define REAL(name)                                                                                                \
    __typeof__(name) *real;                                                                                       \
    void *symbol = dlsym(RTLD_NEXT, #name);                                                                       \
    memcpy(&real, &symbol, sizeof real)

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                              const size_t *global, const size_t *local, cl_uint count, const cl_event *events,
                              cl_event *event)
{
    REAL(clEnqueueNDRangeKernel);
    size_t items = 1;
    for (cl_uint i = 0; i < dimensions; i++) {
        size_t size = local ? local[i] : 1, groups = global[i] / size;
        items *= size;
        seen.groups = i > 0 && groups > seen.groups ? groups : seen.groups;
    }
    seen.launches++;
    char name[128] = "";
    clGetKernelInfo(kernel, CL_KERNEL_FUNCTION_NAME, sizeof name - 1, name, NULL);
    if (!isupper(name[0])) /* as CLBlast's are */
        seen.items = items > seen.items ? items : seen.items;
    if (seen.refuses_products && strncmp(name, "Xgemm", 5) == 0)
        return CL_INVALID_WORK_GROUP_SIZE;
    if (seen.drops_batches && strstr(name, "Batched"))
        return clEnqueueMarkerWithWaitList(queue, count, events, event);
    return real(queue, kernel, dimensions, offset, global, local, count, events, event);
}

cl_int clGetKernelWorkGroupInfo(cl_kernel kernel, cl_device_id device, cl_kernel_work_group_info key, size_t room,
                                void *value, size_t *size)
{
    REAL(clGetKernelWorkGroupInfo);
    cl_int code = real(kernel, device, key, room, value, size);
    if (value && key == CL_KERNEL_WORK_GROUP_SIZE && seen.group)
        memcpy(value, &seen.group, sizeof seen.group);
    if (value && key == CL_KERNEL_LOCAL_MEM_SIZE && seen.local)
        memcpy(value, &seen.local, sizeof seen.local);
    if (value && key == CL_KERNEL_PRIVATE_MEM_SIZE && seen.private)
        memcpy(value, &seen.private, sizeof seen.private);
    return code;
}

static int setup(void **state)
{
    trial_seed();
    return open_device(state);
}

static void forget(void)
{
    memset(&seen, 0, sizeof seen);
}

/* --- groups above the first dimension --- */

static const char visit_text[] = "kernel void visit(global int *x, int width, int rows, int items)\n"
                                 "{\n"
                                 "    int i = get_global_id(0), row = get_global_id(1), item = get_global_id(2);\n"
                                 "    if (i < width && row < rows && item < items)\n"
                                 "        x[(item * rows + row) * width + i] += (item * 7 + row) * width + i;\n"
                                 "}\n";

/* Each place of the range once. */
static void visit(fcl_device *device, fcl_program *program, int dimensions, const size_t size[3], const size_t *local)
{
    size_t count = size[0] * size[1] * size[2];
    int32_t *found = malloc(count * sizeof *found);
    fcl_buffer *x;
    fcl_launch *launch;
    assert_ok(fcl_buffer_create(device, count * sizeof *found, &x));
    assert_ok(fcl_launch_create(program, "visit", NULL, &launch));
    fcl_launch_buffer(launch, 0, x);
    for (int i = 0; i < 3; i++)
        fcl_launch_int(launch, 1 + i, (int)size[i]);
    fcl_launch_range(launch, dimensions, size, local);
    forget();
    assert_ok(fcl_launch_enqueue(launch));
    assert_ok(fcl_buffer_read(x, 0, count * sizeof *found, found));
    assert_true(seen.launches > 0 && seen.groups <= GROUPS_MOST);
    for (size_t i = 0; i < count; i++) {
        size_t row = i / size[0] % size[1], item = i / size[0] / size[1];
        assert_int_equal(found[i], (int)((item * 7 + row) * size[0] + i % size[0]));
    }
    fcl_launch_destroy(&launch);
    fcl_buffer_destroy(&x);
    free(found);
}

static void ranges_are_cut(void **state)
{
    fcl_program *program;
    const size_t some = (size_t)trial_int(1, 5000);
    assert_ok(fcl_program_build(*state, "visit", visit_text, NULL, &program));
    visit(*state, program, 2, (size_t[3]){3, GROUPS_MOST, 1}, (const size_t[2]){1, 1});
    assert_int_equal(seen.launches, 1);
    visit(*state, program, 2, (size_t[3]){3, GROUPS_MOST + 1, 1}, (const size_t[2]){1, 1});
    assert_int_equal(seen.launches, 2);
    visit(*state, program, 2, (size_t[3]){17, 2 * GROUPS_MOST + some, 1}, (const size_t[2]){16, 1});
    assert_int_equal(seen.launches, 3);
    visit(*state, program, 2, (size_t[3]){2, 4 * GROUPS_MOST + some, 1}, (const size_t[2]){2, 4});
    assert_int_equal(seen.launches, 2);
    visit(*state, program, 3, (size_t[3]){1, 2, GROUPS_MOST + some}, (const size_t[3]){1, 1, 1});
    assert_int_equal(seen.launches, 2);
    visit(*state, program, 2, (size_t[3]){1, GROUPS_MOST + some, 1}, NULL);
    fcl_program_destroy(&program);
}

/* Rows wider than a group's narrowest form, and more of them than a dimension takes. */
static void graphs_of_many_rows(void **state)
{
    enum { WIDTH = 17, TABLE = 5 };
    const int rows = GROUPS_MOST + trial_int(1, 3000);
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(rows, WIDTH), SMOOTH, 0);
    fcl_tensor *table = trial_input(t, FCL_SHAPE(TABLE, WIDTH), SMOOTH, 0);
    fcl_tensor *index = trial_input(t, FCL_SHAPE(rows), INDEX, TABLE);
    fcl_tensor *three = trial_input(t, FCL_SHAPE(rows, 1, 3), SMOOTH, 0);
    fcl_tensor *y[] = {
        fcl_gather_rows(table, index, 2, 1),
        fcl_concat(2, (fcl_tensor *const[]){x, fcl_neg(x)}, 1),
        fcl_slice(fcl_neg(x), 1, 1, WIDTH),
        fcl_pad(fcl_neg(x), 1, 2, 1),
        fcl_permute(fcl_neg(fcl_mul(fcl_reshape(x, FCL_SHAPE(rows, WIDTH, 1)), three)), (const int[]){0, 2, 1}),
        fcl_sum_axes(fcl_mul(fcl_reshape(x, FCL_SHAPE(rows, WIDTH, 1)), three), 1u << 2),
        fcl_sum_axes(fcl_mul(fcl_reshape(x, FCL_SHAPE(rows, 1, WIDTH)), fcl_permute(three, (const int[]){0, 2, 1})), 1u << 1),
    };
    for (size_t i = 0; i < sizeof y / sizeof *y; i++)
        fcl_output(y[i]);
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, *state, NULL));
    forget();
    assert_ok(trial_run(t));
    assert_true(seen.launches > 0 && seen.groups <= GROUPS_MOST);
    for (size_t i = 0; i < sizeof y / sizeof *y; i++)
        assert_true(trial_agrees(t, y[i], "an operation on many rows"));
    trial_destroy(&t);
}

/* --- products --- */

/* Random numbers in [-1, 1], whole sixteenths: sums of a few products of them are exact in any order. */
static float *random_numbers(size_t count)
{
    float *x = malloc(count * sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(trial_int(-16, 16)) / 16;
    return x;
}

static fcl_buffer *buffer_of(fcl_device *device, const float *x, size_t count)
{
    fcl_buffer *buffer;
    assert_ok(fcl_buffer_create(device, count * sizeof *x, &buffer));
    assert_ok(fcl_buffer_write(buffer, 0, count * sizeof *x, x));
    return buffer;
}

static double element(const fcl_gemm_problem *p, const float *a, const float *b, size_t item, size_t row, size_t col)
{
    const size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;
    double sum = 0;
    a += p->share_a ? 0 : item * m * k;
    b += p->share_b ? 0 : item * k * n;
    for (size_t i = 0; i < k; i++)
        sum += (double)a[p->transpose_a ? i * m + row : row * k + i] * (double)b[p->transpose_b ? col * k + i : i * n + col];
    return sum;
}

static void multiply(fcl_device *device, const fcl_gemm_problem *p, const fcl_gemm_choice *choice, float beta)
{
    const size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k, batch = (size_t)p->batch, count = batch * m * n;
    const size_t a_count = m * k * (p->share_a ? 1 : batch), b_count = k * n * (p->share_b ? 1 : batch);
    float *a = random_numbers(a_count), *b = random_numbers(b_count), *c = random_numbers(count),
          *found = malloc(count * sizeof *found);
    fcl_buffer *buffers[3] = {buffer_of(device, a, a_count), buffer_of(device, b, b_count), buffer_of(device, c, count)};
    fcl_gemm *gemm;
    assert_ok(fcl_gemm_create(device, p, choice, beta, buffers[0], buffers[1], buffers[2], NULL, &gemm));
    forget();
    assert_ok(fcl_gemm_enqueue(gemm));
    assert_ok(fcl_buffer_read(buffers[2], 0, count * sizeof *found, found));
    if (seen.groups > GROUPS_MOST)
        print_error("%d x %d x %d, %d of them: %zu groups\n", p->m, p->n, p->k, p->batch, seen.groups);
    assert_true(seen.launches > 0 && seen.groups <= GROUPS_MOST);
    for (size_t i = 0; i < count; i++) {
        double wanted = element(p, a, b, i / n / m, i / n % m, i % n) + (double)beta * c[i];
        if (fabs((double)found[i] - wanted) > 1e-6 * (double)(k + 1))
            print_error("element %zu is %g, not %g\n", i, (double)found[i], wanted);
        assert_true(fabs((double)found[i] - wanted) <= 1e-6 * (double)(k + 1));
    }
    fcl_gemm_destroy(&gemm);
    for (int i = 0; i < 3; i++)
        fcl_buffer_destroy(&buffers[i]);
    free(a), free(b), free(c), free(found);
}

/* Longer than what CLBlast is given at a time, each way; and more rows than its kernels have groups. */
static void long_products(void **state)
{
    enum { LONG = 1 << 17, GROUP = 32 };
    const fcl_gemm_choice clblast = {.provider = FCL_GEMM_CLBLAST};
    const int some = trial_int(1, 100);
    const fcl_gemm_problem problems[] = {
        {.m = GROUP * GROUPS_MOST + some, .n = 1, .k = 1, .batch = 1},
        {.m = 2 * LONG + some, .n = 3, .k = 2, .batch = 1, .transpose_b = true},
        {.m = LONG + some, .n = 2, .k = 3, .batch = 1, .transpose_a = true},
        {.m = 3, .n = LONG + some, .k = 2, .batch = 1},
        {.m = 2, .n = LONG + some, .k = 3, .batch = 1, .transpose_b = true},
        {.m = 2, .n = 3, .k = 2 * LONG + some, .batch = 1, .transpose_a = true},
        {.m = 2, .n = 3, .k = LONG + some, .batch = 1, .transpose_b = true},
        {.m = LONG + some, .n = 2, .k = 2, .batch = 2, .transpose_a = true, .share_a = true},
        {.m = 2, .n = 2, .k = 2, .batch = GROUPS_MOST + some},
        {.m = 2, .n = 3, .k = 1, .batch = GROUPS_MOST + some, .share_a = true},
        {.m = 3, .n = 2, .k = 2, .batch = GROUPS_MOST + some, .transpose_a = true, .share_b = true},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        multiply(*state, &problems[i], &clblast, i % 2);
}

static void tiles_of_many_products(void **state)
{
    fcl_gemm_problem p = {.m = 2, .n = 3, .k = 2, .batch = GROUPS_MOST + trial_int(1, 100)};
    fcl_gemm_choice tile = {.provider = FCL_GEMM_TILE, .rows = 2, .vectors = 1, .block = 1, .panels = 1};
    multiply(*state, &p, &tile, 0);
    p = (fcl_gemm_problem){.m = 2 * GROUPS_MOST + trial_int(1, 100), .n = 3, .k = 2, .batch = 1};
    multiply(*state, &p, &tile, 0);
}

/* CLBlast's kernels for batches are not those that the self-test of a first open has run. */
static void batches_are_tested(void **state)
{
    (void)state;
    const fcl_gemm_problem p = {.m = 5, .n = 4, .k = 3, .batch = 2};
    const fcl_gemm_choice clblast = {.provider = FCL_GEMM_CLBLAST};
    for (int skips = 0; skips < 2; skips++) {
        fcl_device *device;
        fcl_buffer *x;
        fcl_gemm *gemm;
        fcl_device_options options = {.skip_selftest = skips};
        assert_ok(fcl_device_open(NULL, &options, &device));
        assert_ok(fcl_buffer_create(device, 40 * sizeof(float), &x));
        forget();
        seen.drops_batches = true;
        int status = fcl_gemm_create(device, &p, &clblast, 0, x, x, x, NULL, &gemm);
        if (!skips) {
            assert_int_equal(status, FCL_ERR_DEVICE);
            assert_told("computes wrongly in the self-test's batch of products");
            assert_null(gemm);
        } else {
            assert_ok(status);
        }
        forget();
        fcl_gemm_destroy(&gemm);
        fcl_buffer_destroy(&x);
        fcl_device_close(&device);
    }
}

/* --- groups and memory --- */

static void selftest(fcl_device *device, size_t group)
{
    fcl_selftest_line *lines;
    int count;
    forget();
    seen.group = group;
    assert_ok(fcl_device_selftest(device, &lines, &count));
    assert_true(seen.items > 0 && seen.items <= group);
    fcl_free(lines);
}

/* Sums by groups, and numbers that a work-item each computes. */
static void kernels_that_fill_the_registers(void **state)
{
    selftest(*state, 16);
    selftest(*state, 5);
    selftest(*state, 1);
    forget();
}

static void large_groups_are_cut(void **state)
{
    fcl_program *program;
    assert_ok(fcl_program_build(*state, "visit", visit_text, NULL, &program));
    fcl_launch *launch;
    fcl_buffer *x;
    int32_t found[2][40];
    assert_ok(fcl_buffer_create(*state, sizeof found, &x));
    assert_ok(fcl_launch_create(program, "visit", NULL, &launch));
    fcl_launch_buffer(launch, 0, x);
    for (int i = 0; i < 3; i++)
        fcl_launch_int(launch, 1 + i, (const int[3]){40, 2, 1}[i]);
    fcl_launch_range(launch, 2, (const size_t[2]){40, 2}, (const size_t[2]){64, 2});
    forget();
    seen.group = 24;
    assert_ok(fcl_launch_enqueue(launch));
    assert_int_equal(seen.items, 16);
    assert_ok(fcl_buffer_read(x, 0, sizeof found, found));
    for (int i = 0; i < 80; i++)
        assert_int_equal(found[i / 40][i % 40], i);
    fcl_launch_destroy(&launch);
    fcl_program_destroy(&program);
    fcl_buffer_destroy(&x);
    forget();
}

static void memory_that_is_not_there(void **state)
{
    fcl_device *device = *state;
    fcl_program *program;
    fcl_launch *launch;
    fcl_device_type type = device->info.type;
    assert_ok(fcl_program_build(device, "visit", visit_text, NULL, &program));
    assert_ok(fcl_launch_create(program, "visit", "many visits", &launch));
    fcl_launch_range_1d(launch, 1, 1);
    forget();
    seen.local = device->info.local_memory + 1;
    assert_status(FCL_ERR_UNSUPPORTED, fcl_launch_enqueue(launch));
    char text[32];
    snprintf(text, sizeof text, "%llu bytes of local", (unsigned long long)seen.local);
    assert_told(text);
    snprintf(text, sizeof text, " has %llu", (unsigned long long)device->info.local_memory);
    assert_told(text);
    assert_told("many visits");
    assert_told(device->info.name);
    forget();
    seen.private = 600000;
    device->info.type = FCL_DEVICE_GPU;
    assert_status(FCL_ERR_UNSUPPORTED, fcl_launch_enqueue(launch));
    device->info.type = type;
    assert_told("600000 bytes of private");
    assert_told("524288");
    assert_int_equal(seen.launches, 0);
    fcl_launch_destroy(&launch);
    fcl_program_destroy(&program);
    forget();
}

/* CLBlast's parameters are its own, or a table's: which would fit, tune finds out. */
static void products_that_do_not_fit(void **state)
{
    const fcl_gemm_problem p = {.m = 5, .n = 4, .k = 3, .batch = 1};
    const fcl_gemm_choice clblast = {.provider = FCL_GEMM_CLBLAST};
    fcl_buffer *x[3];
    fcl_gemm *gemm;
    for (int i = 0; i < 3; i++)
        assert_ok(fcl_buffer_create(*state, 20 * sizeof(float), &x[i]));
    assert_ok(fcl_gemm_create(*state, &p, &clblast, 0, x[0], x[1], x[2], "matmul", &gemm));
    forget();
    seen.refuses_products = true;
    assert_status(FCL_ERR_UNSUPPORTED, fcl_gemm_enqueue(gemm));
    assert_told("matmul (m 5, n 4, k 3, batch 1) needs larger groups");
    assert_told("CL_INVALID_WORK_GROUP_SIZE");
    assert_told("flowcl tune");
    forget();
    assert_ok(fcl_gemm_enqueue(gemm));
    fcl_gemm_destroy(&gemm);
    for (int i = 0; i < 3; i++)
        fcl_buffer_destroy(&x[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_cut),
        cmocka_unit_test(graphs_of_many_rows),
        cmocka_unit_test(long_products),
        cmocka_unit_test(tiles_of_many_products),
        cmocka_unit_test(batches_are_tested),
        cmocka_unit_test(kernels_that_fill_the_registers),
        cmocka_unit_test(large_groups_are_cut),
        cmocka_unit_test(memory_that_is_not_there),
        cmocka_unit_test(products_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, setup, close_device);
}
