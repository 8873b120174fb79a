/* Prepared launches. Arguments and range are set once; the first mistake is kept until the launch is
 * enqueued. */
#include "device/opencl.h"

#include "base/error.h"
#include "base/memory.h"
#include "device/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fcl_launch {
    fcl_device *device;
    cl_kernel kernel;
    char label[96];
    int profile_line;
    int dimensions;
    size_t global[3], local[3];
    bool has_local;
    int status; /* of the setters; where it is not FCL_OK, mistake says what was wrong */
    char mistake[256];
};

int fcl_launch_create(fcl_program *program, const char *kernel, const char *label, fcl_launch **launch)
{
    *launch = NULL;
    fcl_device *device = program->device;
    cl_int code;
    cl_kernel object = clCreateKernel(program->program, kernel, &code);
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
    clReleaseKernel((*launch)->kernel);
    free(*launch);
    *launch = NULL;
}

static void set_argument(fcl_launch *launch, int index, size_t size, const void *value)
{
    if (!launch)
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
    launch->has_local = local != NULL;
    for (int i = 0; i < dimensions; i++) {
        size_t size = local ? local[i] : 1;
        launch->local[i] = size;
        launch->global[i] = (global[i] + size - 1) / size * size;
    }
}

void fcl_launch_range_1d(fcl_launch *launch, size_t count, size_t group)
{
    fcl_launch_range(launch, 1, &count, group ? &group : NULL);
}

/* The driver's own limit is not asked before the launch: rusticl's answer is lower than what it runs. */
static int fail_enqueue(const fcl_launch *launch, cl_int code)
{
    size_t group = 1, limit = 0;
    for (int i = 0; i < launch->dimensions; i++)
        group *= launch->local[i];
    clGetKernelWorkGroupInfo(launch->kernel, launch->device->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof limit,
                             &limit, NULL);
    if (code == CL_INVALID_WORK_GROUP_SIZE || code == CL_INVALID_WORK_ITEM_SIZE)
        return fcl_opencl_fail(launch->device, code,
                               "launching kernel %s in groups of %zu work-items (limit %zu)", launch->label,
                               group, limit);
    return fcl_opencl_fail(launch->device, code, "launching kernel %s", launch->label);
}

static bool is_empty(const fcl_launch *launch)
{
    for (int i = 0; i < launch->dimensions; i++)
        if (launch->global[i] == 0)
            return true;
    return false;
}

int fcl_launch_enqueue(fcl_launch *launch)
{
    fcl_device *device = launch->device;
    if (launch->status != FCL_OK)
        return fcl_fail(launch->status, "kernel %s cannot be launched on %s: %s", launch->label,
                        device->info.name, launch->mistake);
    if (is_empty(launch))
        return FCL_OK;
    cl_event event = NULL;
    cl_int code = clEnqueueNDRangeKernel(device->queue, launch->kernel, (cl_uint)launch->dimensions, NULL,
                                         launch->global, launch->has_local ? launch->local : NULL, 0, NULL,
                                         device->profile ? &event : NULL);
    if (code != CL_SUCCESS)
        return fail_enqueue(launch, code);
    if (device->profile)
        FCL_TRY(fcl_profile_add(device, launch->profile_line, NULL, event));
    return fcl_device_enqueued(device);
}

size_t fcl_row_group(const fcl_device *device)
{
    const fcl_device_info *info = fcl_device_describe(device);
    const char *forced = fcl_environment("FLOWCL_ROW_GROUP");
    if (forced)
        return (size_t)strtol(forced, NULL, 10);
    return info->type == FCL_DEVICE_CPU && info->vector_width > 1 ? 1 : 64;
}
