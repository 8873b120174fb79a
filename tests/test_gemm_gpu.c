/* The product for GPUs against a plain product in double precision: all sets of parameters, on fresh ragged sizes. */
#include "bound.h"
#include "compile/plan.h"
#include "device.h"
#include "device/gemm.h"
#include "device/opencl.h"
#include "trial.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What follows a product: kept = 2 max(A B, 0) + bias[col] - 0.5 row - 3 item, C = kept + old. */
static const char *const params = ", const global float *restrict bias,\nconst global float *restrict old, global float *kept, "
                                  "const float factor";
static const char *const epilogue = "{ const real t = fmax(v, 0.0f);\n"
                                    "v = t * factor + LOAD(bias, col) - 0.5f * row - 3.0f * item; }\n"
                                    "STORE(kept, at, v); v += LOAD(old, at);";

enum { A, B, C, BIAS, OLD, KEPT, BUFFERS };

typedef struct product {
    fcl_gemm_problem problem;
    fcl_gemm_choice choice;
    bool aligned;
    size_t count[BUFFERS];
    float *data[BUFFERS];
    fcl_buffer *buffer[BUFFERS], *parts;
    fcl_launch *launch, *sums;
} product;

static void make_data(fcl_device *device, product *x)
{
    const fcl_gemm_problem *p = &x->problem;
    const size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k, batch = (size_t)p->batch;
    const size_t count[BUFFERS] = {m * k * (p->share_a ? 1 : batch), k * n * (p->share_b ? 1 : batch), m * n * batch, n,
                                   m * n * batch, m * n * batch};
    for (int i = 0; i < BUFFERS; i++) {
        x->count[i] = count[i];
        x->data[i] = malloc(count[i] * sizeof(float));
        for (size_t j = 0; j < count[i]; j++)
            x->data[i][j] = (float)(2 * trial_uniform() - 1);
        assert_ok(fcl_buffer_create(device, count[i] * sizeof(float), &x->buffer[i]));
        assert_ok(fcl_buffer_write(x->buffer[i], 0, count[i] * sizeof(float), x->data[i]));
    }
}

static void free_data(product *x)
{
    fcl_launch_destroy(&x->launch);
    fcl_launch_destroy(&x->sums);
    fcl_buffer_destroy(&x->parts);
    for (int i = 0; i < BUFFERS; i++) {
        free(x->data[i]);
        fcl_buffer_destroy(&x->buffer[i]);
    }
}

static void prepare(fcl_device *device, fcl_program *program, const char *name, product *x)
{
    char sums[40];
    size_t scratch = fcl_gemm_gpu_scratch(&x->problem, &x->choice);
    make_data(device, x);
    assert_ok(fcl_launch_create(program, name, NULL, &x->launch));
    if (scratch) {
        snprintf(sums, sizeof sums, "%s_sums", name);
        assert_ok(fcl_buffer_create(device, scratch, &x->parts));
        assert_ok(fcl_launch_create(program, sums, NULL, &x->sums));
        fcl_gemm_gpu_launch_sums(x->sums, &x->problem, &x->choice, x->parts, x->buffer[C]);
    }
    fcl_gemm_gpu_launch(x->launch, &x->problem, &x->choice, x->buffer[A], x->buffer[B], scratch ? x->parts : x->buffer[C]);
    fcl_launch *last = scratch ? x->sums : x->launch;
    int index = scratch ? FCL_GEMM_GPU_SUMS_ARGUMENTS : FCL_GEMM_GPU_ARGUMENTS;
    for (int i = BIAS; i < BUFFERS; i++)
        fcl_launch_buffer(last, index++, x->buffer[i]);
    fcl_launch_float(last, index, 2);
}

/* An element of op(A) op(B), and how far from it a sum in single precision may be. */
static double element(const product *x, size_t item, size_t row, size_t col, double *error)
{
    const fcl_gemm_problem *p = &x->problem;
    const size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;
    const float *a = x->data[A] + (p->share_a ? 0 : item * m * k), *b = x->data[B] + (p->share_b ? 0 : item * k * n);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < k; i++) {
        double term = (double)a[p->transpose_a ? i * m + row : row * k + i] *
                      (double)b[p->transpose_b ? col * k + i : i * n + col];
        sum += term;
        squares += term * term;
    }
    *error = bound_of_sum((double)k, sum, squares);
    return sum;
}

static void describe(const product *x)
{
    const fcl_gemm_problem *p = &x->problem;
    char name[FCL_GEMM_GPU_NAME];
    fcl_gemm_gpu_name(x->choice.set, name);
    print_error("%s, %d parts: m %d n %d k %d batch %d%s%s%s%s%s: ", name, x->choice.parts, p->m, p->n, p->k, p->batch,
                p->transpose_a ? " A'" : "", p->transpose_b ? " B'" : "", p->share_a ? " one A" : "",
                p->share_b ? " one B" : "", x->aligned ? "" : ", unaligned");
}

static void expect_near(const product *x, const char *what, size_t at, float found, double wanted, double error)
{
    if (fabs((double)found - wanted) <= error)
        return;
    describe(x);
    print_error("%s[%zu] is %.9g, not %.9g +- %.2g\n", what, at, (double)found, wanted, error);
    fail();
}

static void compare(product *x)
{
    const size_t m = (size_t)x->problem.m, n = (size_t)x->problem.n;
    float *c = malloc(x->count[C] * sizeof *c), *kept = malloc(x->count[C] * sizeof *kept);
    assert_ok(fcl_buffer_read(x->buffer[C], 0, x->count[C] * sizeof *c, c));
    assert_ok(fcl_buffer_read(x->buffer[KEPT], 0, x->count[C] * sizeof *kept, kept));
    for (size_t at = 0; at < x->count[C]; at++) {
        double error, sum = element(x, at / n / m, at / n % m, at % n, &error);
        double row = 0.5 * (double)(at / n % m), item = 3 * (double)(at / n / m), bias = x->data[BIAS][at % n];
        double wanted = 2 * fmax(sum, 0) + bias - row - item;
        error = 2 * error + 4 * BOUND_UNIT * (2 * fabs(sum) + fabs(bias) + row + item + fabs(wanted) + 1);
        expect_near(x, "kept", at, kept[at], wanted, error);
        expect_near(x, "C", at, c[at], wanted + (double)x->data[OLD][at], error);
    }
    free(c);
    free(kept);
}

static void run(const product *x)
{
    assert_ok(fcl_launch_enqueue(x->launch));
    if (x->sums)
        assert_ok(fcl_launch_enqueue(x->sums));
}

/* Twice, to see that a run repeats bit for bit. */
static void check(product *x)
{
    size_t bytes = x->count[C] * sizeof(float);
    float *first = malloc(bytes), *second = malloc(bytes);
    run(x);
    compare(x);
    assert_ok(fcl_buffer_read(x->buffer[C], 0, bytes, first));
    run(x);
    assert_ok(fcl_buffer_read(x->buffer[C], 0, bytes, second));
    assert_memory_equal(first, second, bytes);
    free(first);
    free(second);
}

/* All in one program. A compiler for CPUs takes a second to make a kernel fast, and a twentieth to make it. */
static void check_all(fcl_device *device, product *list, int count, bool optimised)
{
    fcl_text text = {0};
    fcl_program *program;
    char name[32];
    fcl_text_add(&text, fcl_kernel_text("math.h"));
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "product_%d", i);
        fcl_gemm_gpu_source(&text, name, &list[i].problem, &list[i].choice, list[i].aligned, params, epilogue);
    }
    assert_ok(fcl_program_build(device, "products", text.data, optimised ? NULL : "-w -cl-opt-disable", &program));
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "product_%d", i);
        prepare(device, program, name, &list[i]);
        check(&list[i]);
        free_data(&list[i]);
    }
    fcl_program_destroy(&program);
    fcl_text_free(&text);
}

/* --- what is multiplied --- */

static bool is_simulator(const fcl_device *device)
{
    return strstr(fcl_device_describe(device)->name, "Oclgrind");
}

/* Sides of the set's tile. */
static void sides_of(int set, int *rows, int *cols, int *deep)
{
    char name[FCL_GEMM_GPU_NAME];
    fcl_gemm_gpu_name(set, name);
    assert_int_equal(sscanf(name, "%dx%dx%d", rows, cols, deep), 3);
}

/* One tile and a little, or less than one: whole float4, or ragged. */
static int size_near(int side, bool whole)
{
    int size = trial_int(side - 3 > 1 ? side - 3 : 1, side + 5);
    size = trial_int(0, 2) ? size : trial_int(1, side);
    return whole ? (size + 3) / 4 * 4 : size;
}

static product draw(int set, bool whole, bool transpose_a, bool transpose_b)
{
    int rows, cols, deep;
    sides_of(set, &rows, &cols, &deep);
    product x = {.problem = {.batch = trial_int(1, 2), .transpose_a = transpose_a, .transpose_b = transpose_b},
                 .choice = {FCL_GEMM_GPU, .set = set, .parts = trial_int(1, 3)},
                 .aligned = whole || trial_int(0, 1)};
    x.problem.m = size_near(rows, whole);
    x.problem.n = size_near(cols, whole);
    x.problem.k = size_near(2 * deep, whole);
    x.problem.share_a = x.problem.batch > 1 && trial_int(0, 3) == 0;
    x.problem.share_b = x.problem.batch > 1 && trial_int(0, 3) == 0;
    return x;
}

/* One that the device has memory for. */
static int draw_set(const fcl_device *device)
{
    int set = trial_int(0, FCL_GEMM_GPU_SETS - 1);
    while (!fcl_gemm_gpu_fits(device, set))
        set = trial_int(0, FCL_GEMM_GPU_SETS - 1);
    return set;
}

static product draw_any(int set, bool whole)
{
    bool transpose_a = trial_int(0, 1);
    return draw(set, whole, transpose_a, trial_int(0, 1));
}

/* Of a driver that takes a second for each, three. */
static void every_set(void **state)
{
    product list[2 * FCL_GEMM_GPU_SETS];
    int count = 0, step = trial_tiny() ? FCL_GEMM_GPU_SETS / 3 : 1;
    for (int set = trial_int(0, step - 1); set < FCL_GEMM_GPU_SETS; set += step)
        for (int whole = 0; whole < 2; whole++)
            if (fcl_gemm_gpu_fits(*state, set))
                list[count++] = draw_any(set, whole);
    assert_true(count > 0);
    check_all(*state, list, count, false);
}

/* A small set and a flat one: all transposes, of whole float4 and ragged. */
static void every_transpose(void **state)
{
    static const char *const names[] = {"16x16x32 2x2+", "64x4x32 1x4"};
    product list[16];
    int count = 0;
    for (int i = 0; i < (trial_tiny() ? 8 : 16); i++)
        list[count++] = draw(fcl_gemm_gpu_find(names[trial_tiny() ? trial_int(0, 1) : i / 8]), i & 1, i & 2, i & 4);
    check_all(*state, list, count, false);
}

/* As they are compiled for a run. */
static void optimised_kernels(void **state)
{
    product list[4];
    int count = trial_tiny() ? 1 : 4;
    if (is_simulator(*state)) /* which does not optimise */
        skip();
    for (int i = 0; i < count; i++)
        list[i] = draw_any(draw_set(*state), i & 1);
    check_all(*state, list, count, true);
}

/* --- prepared products, and what is chosen --- */

/* C = A B + beta C. */
static void check_prepared(fcl_device *device, const fcl_gemm_problem *p, const fcl_gemm_choice *choice, float beta)
{
    product x = {.problem = *p, .choice = *choice};
    fcl_gemm *gemm;
    make_data(device, &x);
    float *c = malloc(x.count[C] * sizeof *c);
    assert_ok(fcl_gemm_create(device, p, choice, beta, x.buffer[A], x.buffer[B], x.buffer[C], NULL, &gemm));
    assert_ok(fcl_gemm_enqueue(gemm));
    assert_ok(fcl_buffer_read(x.buffer[C], 0, x.count[C] * sizeof *c, c));
    for (size_t at = 0; at < x.count[C]; at++) {
        const size_t m = (size_t)p->m, n = (size_t)p->n;
        double error, wanted = element(&x, at / n / m, at / n % m, at % n, &error) + (double)beta * (double)x.data[C][at];
        expect_near(&x, "C", at, c[at], wanted, error + BOUND_UNIT * fabs(wanted));
    }
    fcl_gemm_destroy(&gemm);
    free(c);
    free_data(&x);
}

/* The products of a small network's layers: a small result of many terms is the sum of parts. */
static void the_rule_for_gpus(void **state)
{
    fcl_device *device = *state;
    setenv("FLOWCL_GEMM", "gpu", 1);
    const fcl_gemm_problem list[] = {
        {.m = trial_int(60, 70), .n = 3, .k = 64, .batch = 1, .transpose_b = true},
        {.m = 64, .n = 8, .k = 1000 + trial_int(0, 30), .batch = 1, .transpose_a = true},
        {.m = 9, .n = 17, .k = 30, .batch = 3, .share_b = true},
    };
    for (int i = 0; i < (is_simulator(device) ? 1 : 3); i++) {
        fcl_gemm_choice choice = fcl_gemm_choose(device, &list[i]);
        assert_int_equal(choice.provider, FCL_GEMM_GPU);
        check_prepared(device, &list[i], &choice, (float)(i % 2));
    }
    fcl_gemm_choice choice = fcl_gemm_choose(device, &(fcl_gemm_problem){.m = 64, .n = 64, .k = 1 << 20, .batch = 1});
    assert_true(choice.parts > 1);
    choice = fcl_gemm_choose(device, &(fcl_gemm_problem){.m = 1 << 14, .n = 1 << 14, .k = 64, .batch = 1});
    assert_int_equal(choice.parts, 1);
    unsetenv("FLOWCL_GEMM");
}

/* --- in a graph --- */

/* (x' y + z)^2 + bias, of which the sum is kept as well: a step, and a kernel more where k is cut into parts. */
static void check_graph(fcl_device *device, int terms, int kernels)
{
    enum { ROWS = 13, COLUMNS = 20 };
    trial *t = trial_create();
    fcl_tensor *x = trial_input(t, FCL_SHAPE(terms, ROWS), SMOOTH, 0);
    fcl_tensor *y = trial_input(t, FCL_SHAPE(terms, COLUMNS), SMOOTH, 0);
    fcl_tensor *z = trial_input(t, FCL_SHAPE(ROWS, COLUMNS), SMOOTH, 0);
    fcl_tensor *bias = trial_input(t, FCL_SHAPE(COLUMNS), SMOOTH, 0);
    fcl_tensor *sum = fcl_add(fcl_matmul(x, y, true, false), z), *out = fcl_add(fcl_square(sum), bias);
    fcl_output(sum);
    fcl_output(out);
    trial_fill(t);
    trial_evaluate(t, 0, 0, NULL, NULL);
    assert_ok(fcl_graph_compile(t->graph, device, NULL));
    assert_int_equal(t->graph->plan->count, 1);
    assert_int_equal(t->graph->plan->kernels, kernels);
    assert_ok(trial_run(t));
    assert_true(trial_agrees(t, sum, "a product's sum with a matrix"));
    assert_true(trial_agrees(t, out, "what follows a product"));
    trial_destroy(&t);
}

static void epilogues_in_graphs(void **state)
{
    setenv("FLOWCL_GEMM", "gpu", 1);
    setenv("FLOWCL_ROW_GROUP", "64", 1);
    check_graph(*state, 40, 1);
    check_graph(*state, 1500, 2);
    unsetenv("FLOWCL_ROW_GROUP");
    unsetenv("FLOWCL_GEMM");
}

/* A set's name is its numbers; each has its own, and no device gets one that its local memory cannot hold. */
static void sets_fit_and_have_names(void **state)
{
    fcl_device small = *(fcl_device *)*state;
    fcl_gemm_choice list[FCL_GEMM_GPU_SETS];
    const fcl_gemm_problem p = {.m = 512, .n = 512, .k = 512, .batch = 1};
    for (int set = 0; set < FCL_GEMM_GPU_SETS; set++) {
        char name[FCL_GEMM_GPU_NAME];
        fcl_gemm_gpu_name(set, name);
        assert_int_equal(fcl_gemm_gpu_find(name), set);
    }
    assert_int_equal(fcl_gemm_gpu_find("64x64"), -1);
    small.info.local_memory = 64 * 1024;
    assert_int_equal(fcl_gemm_gpu_rank(&small, &p, list), FCL_GEMM_GPU_SETS);
    small.info.local_memory = 16 * 1024;
    int fitting = fcl_gemm_gpu_rank(&small, &p, list);
    assert_in_range(fitting, 1, FCL_GEMM_GPU_SETS - 1);
    for (int i = 0; i < fitting; i++) {
        int rows, cols, deep, own_rows, own_cols;
        char name[FCL_GEMM_GPU_NAME];
        fcl_gemm_gpu_name(list[i].set, name);
        assert_int_equal(sscanf(name, "%dx%dx%d %dx%d", &rows, &cols, &deep, &own_rows, &own_cols), 5);
        assert_true(4 * deep * (rows + cols) * (strchr(name, '+') ? 2 : 1) <= 8 * 1024);
        assert_in_range(rows / own_rows * (cols / own_cols), 16, 256);
    }
    fcl_gemm *gemm;
    fcl_gemm_choice large = {FCL_GEMM_GPU, .set = fcl_gemm_gpu_find("128x128x16 8x8"), .parts = 1};
    fcl_buffer *buffer;
    assert_ok(fcl_buffer_create(*state, sizeof(float) * 512 * 512, &buffer));
    assert_status(FCL_ERR_UNSUPPORTED, fcl_gemm_create(&small, &p, &large, 0, buffer, buffer, buffer, NULL, &gemm));
    assert_told("128x128x16 8x8");
    fcl_buffer_destroy(&buffer);
}

/* What tuning found on an NVIDIA H200, where it was clear: large tiles where there are rows enough, small ones and k as a whole
 * where a second launch would take longer than the product, and k in parts where a result is narrow and its sums are long. */
static void the_rule_is_what_tuning_found(void **state)
{
    static const struct {
        int m, n, k;
        bool transpose_a, transpose_b;
        const char *set;
        int parts;
    } found[] = {
        {4096, 512, 512, false, true, "128x64x16 8x4", 1}, {4096, 512, 512, false, false, "128x64x16 8x4", 1},
        {4096, 2, 512, false, true, "64x4x32 1x4", 16},    {2, 512, 4096, true, false, "4x64x32 4x1", 64},
        {512, 3, 4096, true, false, "64x4x32 1x4", 64},    {128, 192, 192, false, true, "16x16", 1},
        {128, 192, 256, false, true, "16x16", 1},          {128, 384, 192, false, true, "16x16", 1},
        {128, 1152, 192, false, true, "16x16", 1},         {6272, 16, 192, false, true, "16x16", 1},
        /* not found: in parts they would take 512 MiB and more */
        {4096, 4096, 16384, false, true, "", 1},           {8192, 8192, 8192, false, true, "", 1},
        {8192, 2048, 32768, false, false, "", 1},
    };
    fcl_device card = *(fcl_device *)*state;
    card.info.compute_units = 132;
    card.info.local_memory = 48 * 1024;
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        const fcl_gemm_problem p = {.m = found[i].m, .n = found[i].n, .k = found[i].k, .batch = 1,
                                    .transpose_a = found[i].transpose_a, .transpose_b = found[i].transpose_b};
        fcl_gemm_choice list[FCL_GEMM_GPU_SETS];
        char name[FCL_GEMM_GPU_NAME];
        assert_true(fcl_gemm_gpu_rank(&card, &p, list) > 0);
        fcl_gemm_gpu_name(list[0].set, name);
        if (strncmp(name, found[i].set, strlen(found[i].set)) != 0 || list[0].parts != found[i].parts)
            fail_msg("%d x %d x %d: %s in %d parts, where tuning found %s in %d", p.m, p.n, p.k, name, list[0].parts,
                     found[i].set, found[i].parts);
    }
}

int main(void)
{
    setenv("FLOWCL_DEVICE", "cpu", 0);
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_set),       cmocka_unit_test(every_transpose),
        cmocka_unit_test(optimised_kernels), cmocka_unit_test(the_rule_for_gpus),
        cmocka_unit_test(epilogues_in_graphs), cmocka_unit_test(sets_fit_and_have_names),
        cmocka_unit_test(the_rule_is_what_tuning_found),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
