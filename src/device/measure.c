/* Launch cost, bandwidth and arithmetic peak: kernels of cl/measure.cl under one handle. Products are in
 * measure_product.c. */
#include "device/measure.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include <flowcl/text.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHAINS = 12, STEPS_A_PASS = 4, GROUP = 256 };
static const float triad_scale = 0.75f;
/* The chains go to addend / (1 - factor) = 2. */
static const float peak_start = 1, peak_factor = 0.9375f, peak_addend = 0.125f;

/* --- preparing --- */

/* The floats that a work-item has in a register: those of a CPU's. On all else work-items stand side by side in one,
 * whatever width the driver reports; a driver for CPUs that does so as well reports 1. */
static int lanes(const fcl_device *device)
{
    int width = device->info.type == FCL_DEVICE_CPU ? device->info.vector_width : 1;
    return width >= 16 ? 16 : width >= 8 ? 8 : width >= 4 ? 4 : 1;
}

static int build(fcl_measure *measure, const char *kernel)
{
    fcl_text text = {0};
    int width = lanes(measure->device);
    fcl_text_format(&text, "#define LANES %d\n", width);
    fcl_text_add(&text, width == 1 ? "#define LANE float\n" : "");
    if (width > 1)
        fcl_text_format(&text, "#define LANE float%d\n", width);
    fcl_text_format(&text, "#line 1 \"cl/measure.cl\"\n%s", fcl_kernel_text("measure.cl"));
    int status = fcl_program_build(measure->device, "measurements", text.data, NULL, &measure->program);
    fcl_text_free(&text);
    FCL_TRY(status);
    return fcl_launch_create(measure->program, kernel, NULL, &measure->launch);
}

static int prepare_launch(fcl_measure *measure, const fcl_measure_options *options)
{
    (void)options;
    FCL_TRY(build(measure, "measure_launch"));
    FCL_TRY(fcl_buffer_create(measure->device, sizeof(uint32_t), &measure->buffer[0]));
    fcl_launch_buffer(measure->launch, 0, measure->buffer[0]);
    fcl_launch_range_1d(measure->launch, 1, 1);
    measure->info.work = 1;
    return FCL_OK;
}

/* Bytes of one of `count` buffers: whole groups of float4, and four times what any cache before memory holds. */
static uint64_t stream_bytes(const fcl_device *device, uint64_t asked, int count)
{
    enum { QUANTUM = GROUP * 4 * sizeof(float) };
    uint64_t beyond = 4 * fcl_cache_most(&device->info), bytes = beyond > (128u << 20) ? beyond : 128u << 20;
    uint64_t share = device->info.memory / (2 * (uint64_t)count);
    bytes = asked ? asked : bytes;
    bytes = bytes < device->info.max_allocation ? bytes : device->info.max_allocation;
    bytes = bytes < share ? bytes : share;
    return bytes > QUANTUM ? bytes / QUANTUM * QUANTUM : QUANTUM;
}

/* The i-th number of the n-th source: small whole numbers, exact in what follows. */
static float stream_value(uint64_t i, int n)
{
    return (float)((i * 7 + (uint64_t)n * 3) % 1021);
}

static int fill(fcl_buffer *buffer, uint64_t bytes, int n)
{
    uint64_t count = bytes / sizeof(float);
    float *values = malloc(bytes);
    if (!values)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the %llu bytes that are to be copied",
                        (unsigned long long)bytes);
    for (uint64_t i = 0; i < count; i++)
        values[i] = stream_value(i, n);
    int status = fcl_buffer_write(buffer, 0, bytes, values);
    free(values);
    return status;
}

static int prepare_stream(fcl_measure *measure, const fcl_measure_options *options)
{
    bool triad = measure->kind == FCL_MEASURE_TRIAD;
    int sources = triad ? 2 : 1, buffers = sources + 1;
    measure->bytes = stream_bytes(measure->device, options->bytes, buffers);
    FCL_TRY(build(measure, triad ? "measure_triad" : "measure_copy"));
    for (int i = 0; i < buffers; i++) {
        FCL_TRY(fcl_buffer_create(measure->device, measure->bytes, &measure->buffer[i]));
        if (i < sources)
            FCL_TRY(fill(measure->buffer[i], measure->bytes, i));
        fcl_launch_buffer(measure->launch, i, measure->buffer[i]);
    }
    if (triad)
        fcl_launch_float(measure->launch, 3, triad_scale);
    fcl_launch_range_1d(measure->launch, measure->bytes / (4 * sizeof(float)), GROUP);
    measure->info.work = (double)measure->bytes * buffers;
    fcl_snprintf(measure->info.how, sizeof measure->info.how, "%d buffers of %.0f MiB", buffers,
                 (double)measure->bytes / (1 << 20));
    return FCL_OK;
}

/* With registers of many lanes a work-item is a thread's whole work, and many of them a core even out the
 * threads: PoCL hands one more than its share to the first. With one lane, work-items fill the lanes, many
 * groups of them each unit. */
static int prepare_peak(fcl_measure *measure, const fcl_measure_options *options)
{
    enum { ITEMS_A_CORE = 128, ITEMS_A_UNIT = 32 * GROUP, PASSES = 1 << 11, GROUP_PASSES = 1 << 10 };
    const fcl_device_info *info = &measure->device->info;
    int width = lanes(measure->device), units = info->compute_units > 0 ? info->compute_units : 1;
    int passes = options->steps ? (options->steps + STEPS_A_PASS - 1) / STEPS_A_PASS
                 : width > 1    ? PASSES
                                : GROUP_PASSES;
    measure->items = (size_t)units * (width > 1 ? ITEMS_A_CORE : options->steps ? GROUP : ITEMS_A_UNIT);
    measure->steps = (int64_t)passes * STEPS_A_PASS;
    FCL_TRY(build(measure, "measure_peak"));
    FCL_TRY(fcl_buffer_create(measure->device, measure->items * sizeof(float), &measure->buffer[0]));
    fcl_launch_buffer(measure->launch, 0, measure->buffer[0]);
    fcl_launch_float(measure->launch, 1, peak_start);
    fcl_launch_float(measure->launch, 2, peak_factor);
    fcl_launch_float(measure->launch, 3, peak_addend);
    fcl_launch_int(measure->launch, 4, passes);
    fcl_launch_range_1d(measure->launch, measure->items, width > 1 ? 1 : GROUP);
    measure->info.work = 2.0 * CHAINS * width * (double)measure->steps * (double)measure->items;
    snprintf(measure->info.how, sizeof measure->info.how, width > 1 ? "%d chains of float%d" : "%d chains",
             CHAINS, width);
    return FCL_OK;
}

/* --- judging --- */

static int launch_error(fcl_measure *measure, double *error)
{
    uint32_t count;
    FCL_TRY(fcl_buffer_read(measure->buffer[0], 0, sizeof count, &count));
    *error = count == (uint32_t)measure->rounds ? 0 : INFINITY;
    return FCL_OK;
}

static int stream_error(fcl_measure *measure, double *error)
{
    enum { PART = 1 << 16 };
    int triad = measure->kind == FCL_MEASURE_TRIAD;
    uint64_t count = measure->bytes / sizeof(float);
    float *part = malloc(PART * sizeof *part);
    int status = part ? FCL_OK : fcl_fail(FCL_ERR_MEMORY, "no memory to look at what was copied");
    for (uint64_t first = 0; status == FCL_OK && measure->rounds && first < count; first += PART) {
        uint64_t many = count - first < PART ? count - first : PART;
        status = fcl_buffer_read(measure->buffer[1 + triad], first * sizeof *part, many * sizeof *part, part);
        for (uint64_t i = 0; status == FCL_OK && i < many; i++) {
            double b = stream_value(first + i, 0), c = triad ? stream_value(first + i, 1) : 0;
            double wrong = fabs((double)part[i] - (b + (double)triad_scale * c)) / (1 + b + c);
            *error = wrong <= *error ? *error : isnan(wrong) ? INFINITY : wrong;
        }
    }
    free(part);
    return status;
}

static int peak_error(fcl_measure *measure, double *error)
{
    double power = pow((double)peak_factor, (double)measure->steps), sum = 0;
    double limit = (double)peak_addend / (1 - (double)peak_factor);
    for (int i = 0; i < CHAINS; i++)
        sum += lanes(measure->device) * (limit + power * ((double)peak_start + i - limit));
    float *result = fcl_zalloc(measure->items * sizeof *result);
    int status = fcl_buffer_read(measure->buffer[0], 0, measure->items * sizeof *result, result);
    for (size_t i = 0; status == FCL_OK && measure->rounds && i < measure->items; i++) {
        double wrong = fabs((double)result[i] - sum) / sum;
        *error = wrong <= *error ? *error : isnan(wrong) ? INFINITY : wrong;
    }
    free(result);
    return status;
}

static const struct {
    const char *unit;
    int (*prepare)(fcl_measure *measure, const fcl_measure_options *options);
    int (*error)(fcl_measure *measure, double *error);
} kinds[] = {
    [FCL_MEASURE_LAUNCH] = {"launch", prepare_launch, launch_error},
    [FCL_MEASURE_WAITED] = {"launch", prepare_launch, launch_error},
    [FCL_MEASURE_COPY] = {"B", prepare_stream, stream_error},
    [FCL_MEASURE_TRIAD] = {"B", prepare_stream, stream_error},
    [FCL_MEASURE_PEAK] = {"FLOP", prepare_peak, peak_error},
    [FCL_MEASURE_KINDS] = {"FLOP", NULL, fcl_measure_product_error},
};

/* --- the handle --- */

int fcl_measure_create(fcl_device *device, fcl_measure_kind kind, const fcl_measure_options *options,
                       fcl_measure **measure)
{
    static const fcl_measure_options defaults = {0};
    *measure = NULL;
    if ((int)kind < 0 || kind >= FCL_MEASURE_KINDS)
        return fcl_fail(FCL_ERR_ARGUMENT, "%d is no kind of measurement", (int)kind);
    fcl_measure *made = fcl_zalloc(sizeof *made);
    made->device = device;
    made->kind = kind;
    made->info.unit = kinds[kind].unit;
    int status = kinds[kind].prepare(made, options ? options : &defaults);
    if (status == FCL_OK)
        status = fcl_device_finish(device);
    if (status != FCL_OK)
        fcl_measure_destroy(&made);
    *measure = made;
    return status;
}

void fcl_measure_destroy(fcl_measure **measure)
{
    fcl_measure *dying = *measure;
    if (!dying)
        return;
    fcl_measure_product_free(dying);
    fcl_launch_destroy(&dying->launch);
    fcl_program_destroy(&dying->program);
    for (int i = 0; i < FCL_MEASURE_BUFFERS; i++)
        fcl_buffer_destroy(&dying->buffer[i]);
    free(dying);
    *measure = NULL;
}

const fcl_measure_info *fcl_measure_describe(const fcl_measure *measure)
{
    return &measure->info;
}

int fcl_measure_run(fcl_measure *measure, int64_t rounds, double *seconds)
{
    double began = fcl_clock_seconds();
    for (int64_t i = 0; i < rounds; i++) {
        FCL_TRY(measure->copies ? fcl_measure_product_run(measure, measure->rounds + i) : fcl_launch_enqueue(measure->launch));
        if (measure->kind == FCL_MEASURE_WAITED)
            FCL_TRY(fcl_device_finish(measure->device));
    }
    FCL_TRY(fcl_device_finish(measure->device));
    *seconds = fcl_clock_seconds() - began;
    measure->rounds += rounds;
    return FCL_OK;
}

int fcl_measure_error(fcl_measure *measure, double *error)
{
    *error = 0;
    return kinds[measure->kind].error(measure, error);
}
