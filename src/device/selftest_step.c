/* The self-test of what a step of training runs beside products: our functions, sums of rows, noise and
 * AdamW, each in the form that the device gets (traits.h). */
#include "device/opencl.h"
#include "device/selftest.h"

#include "base/error.h"
#include "cl/philox.h"

#include <math.h>

static double log_abs(double x)
{
    return log(fabs(x));
}

static double expm1_negative(double x)
{
    return expm1(-fabs(x));
}

static const struct {
    const char *name;
    double (*function)(double x);
} functions[] = {{"exp", exp}, {"log", log_abs}, {"tanh", tanh}, {"erf", erf}, {"expm1", expm1_negative}};
enum { FUNCTIONS = sizeof functions / sizeof *functions, ARGUMENTS = 1024 };

/* `lanes` numbers a work-item. */
static int test_functions(fcl_device *device, const char *kernel, size_t lanes, fcl_selftest_line *line)
{
    float in[ARGUMENTS], out[FUNCTIONS][ARGUMENTS];
    uint32_t state = 5;
    for (int i = 0; i < ARGUMENTS; i++)
        in[i] = (i % 2 ? 8.0f : 0.5f) * fcl_selftest_random(&state);
    fcl_selftest_trial t = {.kernel = kernel,
                            .inputs = {{in, sizeof in}},
                            .input_count = 1,
                            .out_bytes = sizeof out,
                            .numbers = {ARGUMENTS},
                            .number_count = 1,
                            .dimensions = 1,
                            .global = {ARGUMENTS / lanes},
                            .local = {64}};
    FCL_TRY(fcl_selftest_run(device, &t, out));
    for (int f = 0; f < FUNCTIONS; f++)
        for (int i = 0; i < ARGUMENTS; i++) {
            double wanted = functions[f].function(in[i]);
            fcl_selftest_judge(line, out[f][i], wanted, fabs(wanted), functions[f].name, i);
        }
    return FCL_OK;
}

int fcl_selftest_math(fcl_device *device, fcl_selftest_line *line)
{
    bool wide = fcl_device_traits(device).wide;
    FCL_TRY(test_functions(device, "selftest_math", 1, line));
    return test_functions(device, wide ? "selftest_math16" : "selftest_math4", wide ? 16 : 4, line);
}

/* Rows of a length that no group and no vector divides. */
int fcl_selftest_sums(fcl_device *device, fcl_selftest_line *line)
{
    enum { ROWS = 5, LENGTH = 1013 };
    float in[ROWS * LENGTH], out[ROWS];
    uint32_t state = 6;
    size_t group = fcl_device_traits(device).group;
    for (int i = 0; i < ROWS * LENGTH; i++)
        in[i] = fcl_selftest_random(&state);
    fcl_selftest_trial t = {.kernel = "sum_rows",
                            .inputs = {{in, sizeof in}},
                            .input_count = 1,
                            .out_bytes = sizeof out,
                            .numbers = {LENGTH, LENGTH, 1, 1},
                            .number_count = 4,
                            .groups = ROWS,
                            .local = {group}};
    FCL_TRY(fcl_selftest_run(device, &t, out));
    for (int row = 0; row < ROWS; row++) {
        double wanted = 0, magnitude = 0;
        for (int i = 0; i < LENGTH; i++) {
            wanted += in[row * LENGTH + i];
            magnitude += fabsf(in[row * LENGTH + i]);
        }
        fcl_selftest_judge(line, out[row], wanted, magnitude, "sum of a row", row);
    }
    return FCL_OK;
}

/* --- noise --- */

enum { NOISE = 1001, NOISE_ROW = 7, NOISE_FIRST_ROW = 3, NOISE_STREAM = 5, NOISE_STEP = 11 };
static const uint64_t NOISE_SEED = 0x123456789abcdef0u;

static int draw_noise(fcl_device *device, fcl_buffer *buffer, fcl_launch **launch)
{
    bool wide = fcl_device_traits(device).wide;
    size_t blocks = (NOISE + 6) / 4;
    FCL_TRY(fcl_device_launch(device, wide ? "noise_normal_wide" : "noise_normal", NULL, launch));
    fcl_launch_buffer(*launch, 0, buffer);
    fcl_launch_int(*launch, 1, NOISE);
    fcl_launch_int(*launch, 2, NOISE_ROW);
    fcl_launch_uint(*launch, 3, NOISE_STREAM);
    fcl_launch_ulong(*launch, 4, NOISE_SEED);
    fcl_launch_uint(*launch, 5, NOISE_STEP);
    fcl_launch_ulong(*launch, 6, NOISE_FIRST_ROW);
    fcl_launch_range_1d(*launch, wide ? (blocks + 15) / 16 : blocks, wide ? 1 : 64);
    return fcl_launch_enqueue(*launch);
}

/* Element `place` of the stream, by Box-Muller in double precision. */
static double normal_at(uint64_t place, double *radius)
{
    philox_block bits = philox((uint32_t)(place / 4), (uint32_t)(place / 4 >> 32), NOISE_STEP, NOISE_STREAM,
                               (uint32_t)NOISE_SEED, (uint32_t)(NOISE_SEED >> 32));
    int pair = place % 4 / 2 * 2;
    double u = philox_uniform(bits.word[pair]), v = philox_uniform(bits.word[pair + 1]);
    double angle = 2 * acos(-1) * v;
    *radius = sqrt(-2 * log(u));
    return *radius * (place % 2 ? sin(angle) : cos(angle));
}

int fcl_selftest_noise(fcl_device *device, fcl_selftest_line *line)
{
    float out[NOISE];
    fcl_buffer *buffer = NULL;
    fcl_launch *launch = NULL;
    int status = fcl_selftest_upload(device, NULL, sizeof out, &buffer);
    if (status == FCL_OK)
        status = draw_noise(device, buffer, &launch);
    if (status == FCL_OK)
        status = fcl_buffer_read(buffer, 0, sizeof out, out);
    fcl_launch_destroy(&launch);
    fcl_buffer_destroy(&buffer);
    for (int i = 0; status == FCL_OK && i < NOISE; i++) {
        double radius, wanted = normal_at((uint64_t)NOISE_FIRST_ROW * NOISE_ROW + (uint64_t)i, &radius);
        fcl_selftest_judge(line, out[i], wanted, radius, "normal", i);
    }
    return status;
}

/* --- AdamW: the second step of a few numbers, with a gradient that is clipped --- */

enum { PARTS = 16, CHUNK = 64, WEIGHTS = 13 * CHUNK - 8, DECAYED = 5 * CHUNK };
/* Buffers of WEIGHTS numbers, then the partial sums, the loss and the ring's row. */
enum { G, W, M, V, EMA, PARTIAL, LOSS, RING, BUFFERS };
enum { KEEP, BETA1, REST1, BETA2, REST2, STEP1, ROOT2, EPSILON, EMA_REST, SETTINGS };

static const float settings[SETTINGS] = {
    [KEEP] = 0.999f, [BETA1] = 0.9f, [REST1] = 0.1f,    [BETA2] = 0.99f,   [REST2] = 0.01f,
    [STEP1] = 0.05f, [ROOT2] = 7.0f, [EPSILON] = 1e-3f, [EMA_REST] = 0.25f};
static const float CLIP = 3.0f;

typedef struct adamw_trial {
    float host[EMA + 1][WEIGHTS], loss;
    fcl_buffer *buffer[BUFFERS];
    fcl_launch *squares, *update;
} adamw_trial;

/* Weights and averages of either sign; second moments are none below 0. */
static void fill(adamw_trial *a)
{
    uint32_t state = 7;
    a->loss = 0.5f;
    for (int k = 0; k <= EMA; k++)
        for (int i = 0; i < WEIGHTS; i++) {
            float x = fcl_selftest_random(&state);
            a->host[k][i] = k == V ? 0.1f + x * x : x;
        }
}

static int upload_all(fcl_device *device, adamw_trial *a)
{
    for (int k = 0; k <= EMA; k++)
        FCL_TRY(fcl_selftest_upload(device, a->host[k], sizeof a->host[k], &a->buffer[k]));
    FCL_TRY(fcl_selftest_upload(device, NULL, PARTS * sizeof(float), &a->buffer[PARTIAL]));
    FCL_TRY(fcl_selftest_upload(device, &a->loss, sizeof a->loss, &a->buffer[LOSS]));
    return fcl_selftest_upload(device, NULL, 2 * sizeof(float), &a->buffer[RING]);
}

static int sum_squares(fcl_device *device, adamw_trial *a)
{
    size_t group = fcl_device_traits(device).group, parts = (WEIGHTS + CHUNK - 1) / CHUNK;
    FCL_TRY(fcl_device_launch(device, "adamw_squares", NULL, &a->squares));
    fcl_launch_buffer(a->squares, 0, a->buffer[G]);
    fcl_launch_buffer(a->squares, 1, a->buffer[PARTIAL]);
    fcl_launch_ulong(a->squares, 2, WEIGHTS);
    fcl_launch_ulong(a->squares, 3, CHUNK);
    fcl_launch_local(a->squares, 4, group * sizeof(float));
    fcl_launch_groups(a->squares, parts, group);
    return fcl_launch_enqueue(a->squares);
}

static int update(fcl_device *device, adamw_trial *a)
{
    bool wide = fcl_device_traits(device).wide;
    FCL_TRY(fcl_device_launch(device, wide ? "adamw_update_wide" : "adamw_update", NULL, &a->update));
    fcl_launch_buffer(a->update, 0, a->buffer[PARTIAL]);
    fcl_launch_int(a->update, 1, PARTS);
    fcl_launch_buffer(a->update, 2, a->buffer[LOSS]);
    fcl_launch_float(a->update, 3, CLIP);
    fcl_launch_buffer(a->update, 4, a->buffer[RING]);
    fcl_launch_int(a->update, 5, 0);
    fcl_launch_ulong(a->update, 6, WEIGHTS);
    for (int k = 0; k <= EMA; k++)
        fcl_launch_buffer(a->update, 7 + k, a->buffer[k]);
    for (int k = 0; k < SETTINGS; k++)
        fcl_launch_float(a->update, 12 + k, settings[k]);
    fcl_launch_ulong(a->update, 12 + SETTINGS, DECAYED);
    fcl_launch_int(a->update, 13 + SETTINGS, -1);
    fcl_launch_range_1d(a->update, wide ? WEIGHTS / 8 : WEIGHTS, wide ? 64 : fcl_device_traits(device).group);
    return fcl_launch_enqueue(a->update);
}

static int step(fcl_device *device, adamw_trial *a)
{
    FCL_TRY(upload_all(device, a));
    FCL_TRY(sum_squares(device, a));
    return update(device, a);
}

/* cl/adamw.cl has the formulas. */
static void step_in_double(const adamw_trial *a, int i, double factor, double wanted[EMA + 1])
{
    const float *s = settings;
    double g = a->host[G][i] * factor;
    wanted[M] = (double)s[BETA1] * a->host[M][i] + s[REST1] * g;
    wanted[V] = (double)s[BETA2] * a->host[V][i] + s[REST2] * g * g;
    wanted[W] =
        (i < DECAYED ? (double)s[KEEP] : 1) * a->host[W][i] - s[STEP1] * wanted[M] / (sqrt(wanted[V]) * s[ROOT2] + s[EPSILON]);
    wanted[EMA] = a->host[EMA][i] + s[EMA_REST] * (wanted[W] - a->host[EMA][i]);
}

static int judge_step(const adamw_trial *a, fcl_selftest_line *line)
{
    static const char *const names[] = {
        [W] = "weight", [M] = "first moment", [V] = "second moment", [EMA] = "average"};
    float found[EMA + 1][WEIGHTS], ring[2];
    double squares = 0;
    for (int i = 0; i < WEIGHTS; i++)
        squares += (double)a->host[G][i] * a->host[G][i];
    for (int k = W; k <= EMA; k++)
        FCL_TRY(fcl_buffer_read(a->buffer[k], 0, sizeof found[k], found[k]));
    FCL_TRY(fcl_buffer_read(a->buffer[RING], 0, sizeof ring, ring));
    fcl_selftest_judge(line, ring[1], sqrt(squares), sqrt(squares), "norm", 0);
    for (int i = 0; i < WEIGHTS; i++) {
        double wanted[EMA + 1];
        step_in_double(a, i, CLIP / (sqrt(squares) + 1e-6), wanted);
        for (int k = W; k <= EMA; k++)
            fcl_selftest_judge(line, found[k][i], wanted[k], 1, names[k], i);
    }
    return FCL_OK;
}

int fcl_selftest_adamw(fcl_device *device, fcl_selftest_line *line)
{
    adamw_trial a = {0};
    fill(&a);
    int status = step(device, &a);
    if (status == FCL_OK)
        status = judge_step(&a, line);
    fcl_launch_destroy(&a.squares);
    fcl_launch_destroy(&a.update);
    for (int k = 0; k < BUFFERS; k++)
        fcl_buffer_destroy(&a.buffer[k]);
    return status;
}
