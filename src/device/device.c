/* An open device: its context, its queue, and the bound on what is in flight. */
#include "device/opencl.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "device/environment.h"

#include <clblast_c.h>
#include <stdlib.h>
#include <time.h>

/* At most twice as many commands are in flight. Drivers keep every command of a queue in host memory. */
enum { FENCE_DISTANCE = 256 };

static int start(fcl_device *device, bool profile)
{
    cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)device->platform, 0};
    cl_int code;
    device->context = clCreateContext(properties, 1, &device->id, NULL, NULL, &code);
    FCL_TRY(fcl_opencl_check(device, code, "making a context"));
    device->queue =
        clCreateCommandQueue(device->context, device->id, profile ? CL_QUEUE_PROFILING_ENABLE : 0, &code);
    FCL_TRY(fcl_opencl_check(device, code, "making a command queue"));
    if (profile)
        device->profile = fcl_zalloc(sizeof *device->profile);
    return FCL_OK;
}

static int find_whole(const fcl_selector *selector, const char *source, bool force, fcl_device *device)
{
    fcl_listed list;
    int chosen;
    fcl_local_ranks ranks = selector->parts ? (fcl_local_ranks){0} : selector->ranks; /* who share parts have one device */
    FCL_TRY(fcl_listed_find(&list));
    int status = fcl_device_choose_ranked(list.info, list.count, selector->name, force, ranks, &chosen);
    if (status == FCL_OK) {
        fcl_device_explain(list.info, list.count, selector->name, force, chosen, source);
        device->info = list.info[chosen];
        device->platform = list.handle[chosen].platform;
        device->id = list.handle[chosen].id;
    }
    free(list.info);
    free(list.handle);
    return status;
}

/* `source` says who named the device; "" where nobody did. */
static int find(const char *text, const char *source, const fcl_device_options *options, fcl_device *device)
{
    const fcl_local_ranks ranks = {options->local_rank, options->local_ranks};
    fcl_selector selector;
    int status = fcl_selector_read(text, ranks, &selector);
    if (status == FCL_OK)
        status = find_whole(&selector, source, options->force, device);
    if (status == FCL_OK && ranks.count > 1)
        fcl_device_explain_rank(&device->info, ranks, source);
    if (status == FCL_OK && selector.parts)
        status = fcl_part_take(device, selector.parts, selector.part);
    else if (status == FCL_OK && ranks.count > 0 && device->info.type == FCL_DEVICE_CPU)
        status = fcl_part_take_bound(device, fcl_processors());
    fcl_selector_free(&selector);
    return status;
}

/* Of a device that others use as well. */
static void limit_memory(fcl_device_info *info)
{
    const char *variable = fcl_environment("FLOWCL_MEMORY");
    uint64_t most = variable ? (uint64_t)strtoull(variable, NULL, 10) << 20 : UINT64_MAX;
    info->memory = most < info->memory ? most : info->memory;
    info->max_allocation = most < info->max_allocation ? most : info->max_allocation;
}

static int find_default(const char *selector, const fcl_device_options *options, fcl_device *device)
{
    const char *variable = fcl_environment("FLOWCL_DEVICE");
    bool named = selector && selector[0];
    if (!named && !variable)
        return find("", "", options, device);
    char *source = named ? fcl_format("\"%s\"", selector) : fcl_format("FLOWCL_DEVICE=%s", variable);
    int status = find(named ? selector : variable, source, options, device);
    if (status != FCL_OK && !named)
        status = fcl_fail_within(status, "%s", source);
    free(source);
    return status;
}

static int check_ranks(const fcl_device_options *options)
{
    int rank = options->local_rank, ranks = options->local_ranks;
    if ((rank == 0 && ranks == 0) || (rank >= 0 && rank < ranks))
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT, "local rank %d of %d: they count from 0 to one less than there are", rank, ranks);
}

int fcl_device_open(const char *selector, const fcl_device_options *options, fcl_device **device)
{
    fcl_device_options defaults = {0};
    const fcl_device_options *chosen = options ? options : &defaults;
    fcl_device *opened = fcl_zalloc(sizeof *opened);
    *device = NULL;
    opened->batch_tested = chosen->skip_selftest || chosen->force;
    int status = fcl_environment_check();
    if (status == FCL_OK)
        status = check_ranks(chosen);
    if (status == FCL_OK)
        status = find_default(selector, chosen, opened);
    limit_memory(&opened->info);
    if (status == FCL_OK)
        status = fcl_gemm_check_environment(&opened->info);
    if (status == FCL_OK)
        status = start(opened, chosen->profile);
    if (status == FCL_OK && !chosen->skip_selftest && !chosen->force)
        status = fcl_selftest_require(opened);
    if (status == FCL_OK)
        fcl_tuned_read(opened); /* after the self-test, whose verdict holds for the rule */
    if (status != FCL_OK)
        fcl_device_close(&opened);
    *device = opened;
    return status;
}

/* PoCL's threads let go of an event after who waited for it has gone on, and ask its queue's device for that: a part must not
 * be gone by then. Such an event holds its queue. No driver has to count so, so there is an end to it. */
static void wait_for_events(cl_command_queue queue)
{
    enum { TIMES = 2000 };
    const struct timespec nap = {.tv_nsec = 50000};
    cl_uint holders = 0;
    for (int i = 0; i < TIMES; i++) {
        cl_int code = clGetCommandQueueInfo(queue, CL_QUEUE_REFERENCE_COUNT, sizeof holders, &holders, NULL);
        if (code != CL_SUCCESS || holders <= 1)
            return;
        nanosleep(&nap, NULL);
    }
}

void fcl_queue_release(const fcl_device *device, cl_command_queue queue)
{
    if (!queue)
        return;
    clFinish(queue);
    if (device->part)
        wait_for_events(queue);
    clReleaseCommandQueue(queue);
}

/* The order matters: CLBlast holds programs of the context until its cache is cleared. */
void fcl_device_close(fcl_device **device)
{
    fcl_device *closing = *device;
    if (!closing)
        return;
    if (closing->queue)
        clFinish(closing->queue);
    if (closing->fence)
        clReleaseEvent(closing->fence);
    if (closing->context)
        CLBlastClearCache();
    fcl_tuned_free(&closing->tuned);
    fcl_buffer_destroy(&closing->temporary);
    fcl_profile_destroy(&closing->profile);
    fcl_device_programs_destroy(closing);
    fcl_queue_release(closing, closing->queue);
    if (closing->context)
        clReleaseContext(closing->context);
    if (closing->part)
        clReleaseDevice(closing->part);
    free(closing);
    *device = NULL;
}

const fcl_device_info *fcl_device_describe(const fcl_device *device)
{
    return &device->info;
}

fcl_device_counts fcl_device_count(const fcl_device *device)
{
    return device->counts;
}

uint64_t fcl_device_memory(const fcl_device *device)
{
    return device->memory;
}

uint64_t fcl_device_memory_peak(const fcl_device *device)
{
    return device->memory_peak;
}

uint64_t fcl_device_pinned(const fcl_device *device)
{
    return device->pinned;
}

int fcl_device_finish(fcl_device *device)
{
    return fcl_opencl_check(device, clFinish(device->queue), "waiting for the kernels");
}

void fcl_device_settle(fcl_device *device)
{
    clFinish(device->queue);
}

static int wait_for_fence(fcl_device *device)
{
    if (!device->fence)
        return FCL_OK;
    cl_int code = clWaitForEvents(1, &device->fence);
    clReleaseEvent(device->fence);
    device->fence = NULL;
    return fcl_opencl_check(device, code, "waiting for the kernels");
}

/* Every FENCE_DISTANCE commands a marker is enqueued, and the one before it is waited for: the host runs
 * ahead of the device by a bounded number of commands, and the device never runs dry. */
int fcl_device_enqueued(fcl_device *device)
{
    if (++device->enqueued < FENCE_DISTANCE)
        return FCL_OK;
    device->enqueued = 0;
    cl_event marker;
    FCL_TRY(fcl_opencl_check(device, clEnqueueMarkerWithWaitList(device->queue, 0, NULL, &marker),
                             "enqueueing a marker"));
    cl_int code = clFlush(device->queue);
    int status = wait_for_fence(device);
    device->fence = marker;
    FCL_TRY(status);
    return fcl_opencl_check(device, code, "flushing the queue");
}
