/* Prepared launches. Arguments and range are set once; the first mistake is kept until the launch is
 * enqueued. */
#include "device/opencl.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "device/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The most groups in a dimension above the first: CUDA's limit, which NVIDIA's driver has too. */
enum { GROUPS_MOST = 65535 };
/* The most private memory of a work-item on any GPU: NVIDIA's, and more than AMD's. */
enum { PRIVATE_MOST = 512 << 10 };

struct fcl_launch {
    fcl_device *device;
    cl_kernel kernel;
    char label[96];
    int profile_line;
    int dimensions;
    size_t global[3], local[3]; /* local 0: the driver chooses */
    size_t groups;              /* of a range that counts groups; else 0 */
    bool fitted;                /* the range is one that the device can run */
    int status; /* of the setters; where it is not FCL_OK, mistake says what was wrong */
    char mistake[256];
};

int fcl_launch_create(fcl_program *program, const char *kernel, const char *label, fcl_launch **launch)
{
    *launch = NULL;
    fcl_device *device = program->device;
    cl_int code = CL_SUCCESS;
    cl_kernel object = device->rehearsal ? NULL : clCreateKernel(program->program, kernel, &code);
    if (code != CL_SUCCESS)
        return fcl_opencl_fail(device, code, "making kernel %s of %s", kernel, program->name);
    fcl_launch *made = fcl_zalloc(sizeof *made);
    made->device = device;
    made->kernel = object;
    snprintf(made->label, sizeof made->label, "%s", label ? label : kernel);
    made->profile_line = fcl_profile_line_find(device, made->label);
    *launch = made;
    return FCL_OK;
}

void fcl_launch_destroy(fcl_launch **launch)
{
    if (!*launch)
        return;
    if ((*launch)->kernel)
        clReleaseKernel((*launch)->kernel);
    free(*launch);
    *launch = NULL;
}

static void set_argument(fcl_launch *launch, int index, size_t size, const void *value)
{
    if (!launch || launch->device->rehearsal)
        return;
    cl_int code = clSetKernelArg(launch->kernel, (cl_uint)index, size, value);
    if (code == CL_SUCCESS || launch->status != FCL_OK)
        return;
    launch->status = FCL_ERR_OPENCL;
    snprintf(launch->mistake, sizeof launch->mistake, "argument %d of %zu bytes: %s", index, size,
             fcl_opencl_name(code));
}

void fcl_launch_buffer(fcl_launch *launch, int index, fcl_buffer *buffer)
{
    set_argument(launch, index, sizeof(cl_mem), buffer ? &buffer->memory : NULL);
}

void fcl_launch_int(fcl_launch *launch, int index, int32_t value)
{
    set_argument(launch, index, sizeof value, &value);
}

void fcl_launch_uint(fcl_launch *launch, int index, uint32_t value)
{
    set_argument(launch, index, sizeof value, &value);
}

void fcl_launch_ulong(fcl_launch *launch, int index, uint64_t value)
{
    set_argument(launch, index, sizeof value, &value);
}

void fcl_launch_float(fcl_launch *launch, int index, float value)
{
    set_argument(launch, index, sizeof value, &value);
}

void fcl_launch_local(fcl_launch *launch, int index, size_t bytes)
{
    set_argument(launch, index, bytes, NULL);
}

void fcl_launch_range(fcl_launch *launch, int dimensions, const size_t *global, const size_t *local)
{
    if (!launch)
        return;
    launch->dimensions = dimensions;
    launch->groups = 0;
    launch->fitted = false;
    for (int i = 0; i < dimensions; i++) {
        launch->local[i] = local ? local[i] : 0;
        launch->global[i] = global[i];
    }
}

void fcl_launch_range_1d(fcl_launch *launch, size_t count, size_t group)
{
    fcl_launch_range(launch, 1, &count, group ? &group : NULL);
}

void fcl_launch_groups(fcl_launch *launch, size_t groups, size_t group)
{
    fcl_launch_range_1d(launch, groups * group, group);
    if (launch)
        launch->groups = groups;
}

/* --- what the device can run of the kernel --- */

/* 0 where the driver does not say. */
static uint64_t kernel_number(const fcl_launch *launch, cl_kernel_work_group_info key)
{
    uint64_t value = 0;
    cl_int code = clGetKernelWorkGroupInfo(launch->kernel, launch->device->id, key, sizeof value, &value, NULL);
    return code == CL_SUCCESS ? value : 0;
}

static size_t group_size(const fcl_launch *launch)
{
    size_t size = 1;
    for (int i = 0; i < launch->dimensions; i++)
        size *= launch->local[i];
    return size;
}

/* No driver tells how much private memory it has: a CPU's is its threads' stack. */
static int check_memory(const fcl_launch *launch)
{
    const fcl_device_info *info = &launch->device->info;
    uint64_t local = kernel_number(launch, CL_KERNEL_LOCAL_MEM_SIZE);
    uint64_t private = kernel_number(launch, CL_KERNEL_PRIVATE_MEM_SIZE);
    if (local > info->local_memory)
        return fcl_fail(FCL_ERR_UNSUPPORTED,
                        "kernel %s needs %llu bytes of local memory, and %s has %llu; choose another device",
                        launch->label, (unsigned long long)local, info->name,
                        (unsigned long long)info->local_memory);
    if (info->type == FCL_DEVICE_GPU && private > PRIVATE_MOST)
        return fcl_fail(FCL_ERR_UNSUPPORTED,
                        "kernel %s needs %llu bytes of private memory a work-item on %s, and a GPU has at most %d; "
                        "choose another device",
                        launch->label, (unsigned long long)private, info->name, PRIVATE_MOST);
    return FCL_OK;
}

/* Does the kernel's text say how large its groups are? Its compiler has kept to that. */
static bool has_own_size(const fcl_launch *launch)
{
    size_t size[3] = {0};
    cl_int code = clGetKernelWorkGroupInfo(launch->kernel, launch->device->id, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof size,
                                           size, NULL);
    return code == CL_SUCCESS && size[0] > 0;
}

/* What the compiler made of a kernel may take so many registers that a group holds fewer work-items than the device
 * allows: the longest side is halved until it fits. A group that the device itself does not allow is left to fail. */
static void shrink(fcl_launch *launch)
{
    size_t device_most = 0, most = (size_t)kernel_number(launch, CL_KERNEL_WORK_GROUP_SIZE);
    clGetDeviceInfo(launch->device->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof device_most, &device_most, NULL);
    while (most > 0 && group_size(launch) > most && group_size(launch) <= device_most) {
        size_t *longest = launch->local;
        for (int i = 1; i < launch->dimensions; i++)
            longest = launch->local[i] > *longest ? &launch->local[i] : longest;
        *longest = (*longest + 1) / 2;
    }
}

static int fit(fcl_launch *launch)
{
    FCL_TRY(check_memory(launch));
    if (!has_own_size(launch))
        shrink(launch);
    for (int i = 0; i < launch->dimensions; i++) {
        size_t size = launch->local[i] ? launch->local[i] : 1;
        launch->global[i] = (launch->global[i] + size - 1) / size * size;
    }
    if (launch->groups)
        launch->global[0] = launch->groups * launch->local[0];
    launch->fitted = true;
    return FCL_OK;
}

/* --- running --- */

static int fail_enqueue(const fcl_launch *launch, cl_int code)
{
    if (code == CL_INVALID_WORK_GROUP_SIZE || code == CL_INVALID_WORK_ITEM_SIZE)
        return fcl_opencl_fail(launch->device, code,
                               "launching kernel %s in groups of %zu work-items (limit %llu)", launch->label,
                               group_size(launch),
                               (unsigned long long)kernel_number(launch, CL_KERNEL_WORK_GROUP_SIZE));
    return fcl_opencl_fail(launch->device, code, "launching kernel %s", launch->label);
}

static bool is_empty(const fcl_launch *launch)
{
    for (int i = 0; i < launch->dimensions; i++)
        if (launch->global[i] == 0)
            return true;
    return false;
}

static int enqueue(fcl_launch *launch, const size_t *offset, const size_t *global, cl_event *event)
{
    cl_int code = clEnqueueNDRangeKernel(launch->device->queue, launch->kernel, (cl_uint)launch->dimensions, offset,
                                         global, launch->local[0] ? launch->local : NULL, 0, NULL, event);
    return code == CL_SUCCESS ? FCL_OK : fail_enqueue(launch, code);
}

static int enqueue_piece(fcl_launch *launch, const size_t *offset, const size_t *global)
{
    fcl_device *device = launch->device;
    fcl_profile_event event = {.line = launch->profile_line};
    if (!device->profile) {
        FCL_TRY(enqueue(launch, offset, global, NULL));
    } else {
        event.began = fcl_clock_seconds();
        FCL_TRY(enqueue(launch, offset, global, &event.last));
        FCL_TRY(fcl_profile_add(device, event));
    }
    device->counts.kernels++;
    return fcl_device_enqueued(device);
}

/* Cuts the dimensions above the first into what a device takes at a time. Kernels know their place in these by
 * get_global_id, which counts from the offset, and never by the group's number. */
static int enqueue_pieces(fcl_launch *launch)
{
    size_t most[3], offset[3] = {0};
    for (int i = 0; i < 3; i++) {
        size_t local = i < launch->dimensions && launch->local[i] ? launch->local[i] : 1;
        most[i] = i == 0 ? SIZE_MAX : GROUPS_MOST * local;
    }
    const size_t rows = launch->dimensions > 1 ? launch->global[1] : 1;
    const size_t items = launch->dimensions > 2 ? launch->global[2] : 1;
    for (; offset[2] < items; offset[2] += most[2])
        for (offset[1] = 0; offset[1] < rows; offset[1] += most[1]) {
            const size_t left[3] = {launch->global[0], rows - offset[1], items - offset[2]};
            size_t global[3];
            for (int i = 0; i < 3; i++)
                global[i] = left[i] < most[i] ? left[i] : most[i];
            FCL_TRY(enqueue_piece(launch, offset[1] || offset[2] ? offset : NULL, global));
        }
    return FCL_OK;
}

int fcl_launch_enqueue(fcl_launch *launch)
{
    if (launch->status != FCL_OK)
        return fcl_fail(launch->status, "kernel %s cannot be launched on %s: %s", launch->label,
                        launch->device->info.name, launch->mistake);
    if (is_empty(launch) || launch->device->rehearsal)
        return FCL_OK;
    if (!launch->fitted)
        FCL_TRY(fit(launch));
    return enqueue_pieces(launch);
}

int fcl_launch_enqueue_event(fcl_launch *launch, cl_event *event)
{
    if (!launch->fitted)
        FCL_TRY(fit(launch));
    FCL_TRY(enqueue(launch, NULL, launch->global, event));
    return fcl_device_enqueued(launch->device);
}
