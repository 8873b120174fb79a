/* The self-test: each family of kernels on small inputs against double precision. Compilers of drivers still
 * miscompile; a device that computes wrongly is refused before it spoils a run. */
#include "device/opencl.h"
#include "device/selftest.h"

#include "base/error.h"
#include "base/memory.h"

#include <flowcl/text.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- a kernel's run, from host arrays to a host array --- */

int fcl_selftest_upload(fcl_device *device, const void *data, size_t bytes, fcl_buffer **buffer)
{
    FCL_TRY(fcl_buffer_create(device, bytes, buffer));
    return data ? fcl_buffer_write(*buffer, 0, bytes, data) : FCL_OK;
}

static int launch_trial(fcl_device *device, const fcl_selftest_trial *t, fcl_buffer **buffers,
                        fcl_launch **launch)
{
    int index = 0;
    FCL_TRY(fcl_device_launch(device, t->kernel, NULL, launch));
    for (; index < t->input_count; index++) {
        FCL_TRY(fcl_selftest_upload(device, t->inputs[index].data, t->inputs[index].bytes, &buffers[index]));
        fcl_launch_buffer(*launch, index, buffers[index]);
    }
    FCL_TRY(fcl_selftest_upload(device, NULL, t->out_bytes, &buffers[index]));
    fcl_launch_buffer(*launch, index, buffers[index]);
    for (int i = 0; i < t->number_count; i++)
        fcl_launch_int(*launch, index + 1 + i, t->numbers[i]);
    if (t->groups)
        fcl_launch_groups(*launch, t->groups, t->local[0]);
    else
        fcl_launch_range(*launch, t->dimensions, t->global, t->local);
    return fcl_launch_enqueue(*launch);
}

int fcl_selftest_run(fcl_device *device, const fcl_selftest_trial *t, void *out)
{
    fcl_buffer *buffers[FCL_SELFTEST_INPUTS + 1] = {0};
    fcl_launch *launch = NULL;
    int status = launch_trial(device, t, buffers, &launch);
    if (status == FCL_OK)
        status = fcl_buffer_read(buffers[t->input_count], 0, t->out_bytes, out);
    fcl_launch_destroy(&launch);
    for (int i = 0; i <= FCL_SELFTEST_INPUTS; i++)
        fcl_buffer_destroy(&buffers[i]);
    return status;
}

/* --- judging --- */

void fcl_selftest_judge(fcl_selftest_line *line, double got, double wanted, double scale, const char *what,
                        int index)
{
    double error = fabs(got - wanted) / scale;
    if (!(error <= DBL_MAX))
        error = INFINITY;
    if (error > line->bound && !line->detail[0])
        fcl_snprintf(line->detail, sizeof line->detail, "%s, element %d: %.9g, where %.9g is right", what,
                     index, got, wanted);
    if (error > line->error)
        line->error = error;
}

float fcl_selftest_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

/* --- the families --- */

/* The known answers of Salmon et al.'s Random123. */
static int test_philox(fcl_device *device, fcl_selftest_line *line)
{
    static const uint32_t in[3][6] = {
        {0, 0, 0, 0, 0, 0},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0},
    };
    static const uint32_t wanted[12] = {
        0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8, 0x408f276d, 0x41c83b0e,
        0xa20bc7c6, 0x6d5451fd, 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1,
    };
    uint32_t out[12];
    fcl_selftest_trial t = {.kernel = "selftest_philox",
                            .inputs = {{in, sizeof in}},
                            .input_count = 1,
                            .out_bytes = sizeof out,
                            .dimensions = 1,
                            .global = {3},
                            .local = {1}};
    FCL_TRY(fcl_selftest_run(device, &t, out));
    for (int i = 0; i < 12; i++)
        fcl_selftest_judge(line, out[i], wanted[i], 1, "philox", i);
    return FCL_OK;
}

static double log_shifted(double x)
{
    return log(fabs(x) + 0.125);
}

static double sqrt_abs(double x)
{
    return sqrt(fabs(x));
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

static double elu(double x)
{
    return x > 0 ? x : 1.5 * expm1(x);
}

static const struct {
    const char *name;
    double (*function)(double);
} functions[] = {
    {"exp", exp}, {"log", log_shifted}, {"tanh", tanh}, {"sqrt", sqrt_abs}, {"sin", sin},
    {"cos", cos}, {"erf", erf},         {"silu", silu}, {"elu", elu},
};
enum { FUNCTION_COUNT = sizeof functions / sizeof *functions };

static int test_elementwise(fcl_device *device, fcl_selftest_line *line)
{
    enum { N = 777 };
    float in[N], out[FUNCTION_COUNT][N];
    uint32_t state = 1;
    for (int i = 0; i < N; i++)
        in[i] = 8 * fcl_selftest_random(&state);
    in[0] = 0;
    fcl_selftest_trial t = {.kernel = "selftest_functions",
                            .inputs = {{in, sizeof in}},
                            .input_count = 1,
                            .out_bytes = sizeof out,
                            .numbers = {N},
                            .number_count = 1,
                            .dimensions = 1,
                            .global = {N},
                            .local = {64}};
    FCL_TRY(fcl_selftest_run(device, &t, out));
    for (int f = 0; f < FUNCTION_COUNT; f++)
        for (int i = 0; i < N; i++) {
            double wanted = functions[f].function(in[i]);
            fcl_selftest_judge(line, out[f][i], wanted, fabs(wanted) + 0.1, functions[f].name, i);
        }
    return FCL_OK;
}

static int test_gather(fcl_device *device, fcl_selftest_line *line)
{
    enum { TABLE = 29, ROWS = 50, COLUMNS = 7 };
    float table[TABLE * COLUMNS], out[ROWS * COLUMNS];
    int32_t index[ROWS];
    uint32_t state = 3;
    for (int i = 0; i < TABLE * COLUMNS; i++)
        table[i] = fcl_selftest_random(&state);
    for (int i = 0; i < ROWS; i++)
        index[i] = i * 11 % TABLE;
    fcl_selftest_trial t = {.kernel = "selftest_gather",
                            .inputs = {{table, sizeof table}, {index, sizeof index}},
                            .input_count = 2,
                            .out_bytes = sizeof out,
                            .numbers = {COLUMNS, ROWS},
                            .number_count = 2,
                            .dimensions = 2,
                            .global = {COLUMNS, ROWS},
                            .local = {8, 8}};
    FCL_TRY(fcl_selftest_run(device, &t, out));
    for (int i = 0; i < ROWS * COLUMNS; i++)
        fcl_selftest_judge(line, out[i], table[index[i / COLUMNS] * COLUMNS + i % COLUMNS], 1, "gather", i);
    return FCL_OK;
}

/* op(A) op(B) of one item at one place, the magnitude of its terms in *scale. */
static double product_at(const fcl_gemm_problem *p, const float *a, const float *b, int row, int col,
                         double *scale)
{
    double sum = 0;
    *scale = 0;
    for (int i = 0; i < p->k; i++) {
        double term = (double)(p->transpose_a ? a[i * p->m + row] : a[row * p->k + i]) *
                      (double)(p->transpose_b ? b[col * p->k + i] : b[i * p->n + col]);
        sum += term;
        *scale += fabs(term);
    }
    return sum;
}

static int run_product(fcl_device *device, const fcl_gemm_problem *p, const fcl_gemm_choice *choice, const float *a,
                       const float *b, float *c, size_t floats)
{
    fcl_buffer *buffers[3] = {0};
    fcl_gemm *gemm = NULL;
    int status = fcl_selftest_upload(device, a, floats * sizeof *a, &buffers[0]);
    if (status == FCL_OK)
        status = fcl_selftest_upload(device, b, floats * sizeof *b, &buffers[1]);
    if (status == FCL_OK)
        status = fcl_selftest_upload(device, NULL, floats * sizeof *c, &buffers[2]);
    if (status == FCL_OK)
        status =
            fcl_gemm_create(device, p, choice, 0, buffers[0], buffers[1], buffers[2], "selftest", &gemm);
    if (status == FCL_OK)
        status = fcl_gemm_enqueue(gemm);
    if (status == FCL_OK)
        status = fcl_buffer_read(buffers[2], 0, floats * sizeof *c, c);
    fcl_gemm_destroy(&gemm);
    for (int i = 0; i < 3; i++)
        fcl_buffer_destroy(&buffers[i]);
    return status;
}

static int test_product(fcl_device *device, const fcl_gemm_problem *p, const fcl_gemm_choice *choice,
                        fcl_selftest_line *line)
{
    enum { FLOATS = 2 * 35 * 35 };
    float a[FLOATS], b[FLOATS], c[FLOATS];
    uint32_t state = 4;
    for (int i = 0; i < FLOATS; i++) {
        a[i] = fcl_selftest_random(&state);
        b[i] = fcl_selftest_random(&state);
    }
    FCL_TRY(run_product(device, p, choice, a, b, c, FLOATS));
    for (int at = 0; at < p->m * p->n * p->batch; at++) {
        int item = at / (p->m * p->n), row = at / p->n % p->m, col = at % p->n;
        double scale, wanted = product_at(p, a + item * p->m * p->k, b + item * p->k * p->n, row, col, &scale);
        fcl_selftest_judge(line, c[at], wanted, scale, "product", at);
    }
    return FCL_OK;
}

static const fcl_gemm_problem batched = {.m = 19, .n = 35, .k = 21, .batch = 2};

/* The three products of a linear layer, with ragged edges, and a batch; CLBlast's kernels for batches are others, and
 * few graphs have one. */
static int test_gemm(fcl_device *device, fcl_selftest_line *line)
{
    const fcl_gemm_problem problems[] = {
        batched,
        {.m = 35, .n = 18, .k = 33, .batch = 1, .transpose_b = true},
        {.m = 33, .n = 20, .k = 35, .batch = 1, .transpose_a = true},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        fcl_gemm_problem p = problems[i];
        fcl_gemm_choice choice = fcl_gemm_choose(device, &p);
        p.batch = choice.provider == FCL_GEMM_CLBLAST ? 1 : p.batch;
        FCL_TRY(test_product(device, &p, &choice, line));
    }
    return FCL_OK;
}

static const double gemm_bound = 1e-6;

/* The bounds are those of a device that OpenCL 1.2 allows, where no option asks it for more: quotients may
 * err by 2.5 units of the last place, 1.2e-7 of the number, roots by 3, its own erf by 16. */
static const struct {
    const char *name;
    double bound; /* of the largest error, relative to what fcl_selftest_judge is told */
    int (*run)(fcl_device *device, fcl_selftest_line *line);
} families[] = {
    {"philox", 0, test_philox},
    {"elementwise", 4e-6, test_elementwise},
    {"math", 6e-7, fcl_selftest_math}, /* five units: three of cl/math.h, and two of the quotient in tanh */
    {"sums", 1e-6, fcl_selftest_sums},
    {"gather", 0, test_gather},
    {"gemm", gemm_bound, test_gemm},
    {"noise", 2e-6,
     fcl_selftest_noise}, /* the angle, up to 2 pi, is rounded; its cosine errs by 4 units more */
    {"adamw", 2e-6, fcl_selftest_adamw},
};
enum { FAMILY_COUNT = sizeof families / sizeof *families };

/* What the run of a family has come to: FCL_OK, or the sentence that refuses the device. */
static int conclude(const fcl_device *device, fcl_selftest_line *line, int ran)
{
    if (ran != FCL_OK) {
        line->error = INFINITY;
        snprintf(line->detail, sizeof line->detail, "%s", fcl_error());
    }
    line->passed = line->error <= line->bound;
    if (line->passed)
        return FCL_OK;
    return fcl_fail(FCL_ERR_DEVICE,
                    "device %s %s (driver %s) computes wrongly in the self-test's %s; update its driver or choose "
                    "another device: %s",
                    device->info.id, device->info.name, device->info.driver, line->family,
                    ran == FCL_OK ? line->detail : fcl_error());
}

int fcl_device_selftest(fcl_device *device, fcl_selftest_line **lines, int *count)
{
    int status = FCL_OK;
    char *first = NULL;
    *lines = fcl_zalloc(FAMILY_COUNT * sizeof **lines);
    *count = FAMILY_COUNT;
    for (int i = 0; i < FAMILY_COUNT; i++) {
        fcl_selftest_line *line = &(*lines)[i];
        line->family = families[i].name;
        line->bound = families[i].bound;
        int concluded = conclude(device, line, families[i].run(device, line));
        if (concluded == FCL_OK || first)
            continue;
        status = concluded;
        first = fcl_strdup(fcl_error());
    }
    if (first)
        fcl_fail(status, "%s", first);
    free(first);
    return status;
}

int fcl_selftest_batch(fcl_device *device)
{
    const fcl_gemm_choice clblast = {.provider = FCL_GEMM_CLBLAST};
    fcl_selftest_line line = {.family = "batch of products", .bound = gemm_bound};
    if (device->batch_tested)
        return FCL_OK;
    device->batch_tested = true; /* the test is one of its own users */
    return conclude(device, &line, test_product(device, &batched, &clblast, &line));
}
