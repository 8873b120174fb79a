/* The time of each kernel on the device's clock, kept only where it was asked for. */
#include "device/opencl.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fcl_profile_line_find(fcl_device *device, const char *label)
{
    fcl_profile *profile = device->profile;
    if (!profile)
        return -1;
    for (int i = 0; i < profile->line_count; i++)
        if (strncmp(profile->lines[i].name, label, sizeof profile->lines[i].name - 1) == 0)
            return i;
    profile->lines = fcl_grow(profile->lines, (size_t)(profile->line_count + 1) * sizeof *profile->lines);
    fcl_profile_line *line = &profile->lines[profile->line_count];
    *line = (fcl_profile_line){0};
    snprintf(line->name, sizeof line->name, "%s", label);
    return profile->line_count++;
}

static int read_time(fcl_device *device, cl_event event, cl_profiling_info key, cl_ulong *nanoseconds)
{
    return fcl_opencl_check(device,
                            clGetEventProfilingInfo(event, key, sizeof *nanoseconds, nanoseconds, NULL),
                            "reading a kernel's time");
}

static int read_event(fcl_device *device, const fcl_profile_event *event)
{
    cl_ulong start = 0, end = 0;
    FCL_TRY(read_time(device, event->first ? event->first : event->last,
                      event->first ? CL_PROFILING_COMMAND_END : CL_PROFILING_COMMAND_START, &start));
    FCL_TRY(read_time(device, event->last, CL_PROFILING_COMMAND_END, &end));
    fcl_profile_line *line = &device->profile->lines[event->line];
    line->launches++;
    line->seconds += end > start ? (double)(end - start) * 1e-9 : 0;
    return FCL_OK;
}

static void release(fcl_profile *profile)
{
    for (int i = 0; i < profile->pending_count; i++) {
        if (profile->pending[i].first)
            clReleaseEvent(profile->pending[i].first);
        clReleaseEvent(profile->pending[i].last);
    }
    profile->pending_count = 0;
}

static int drain(fcl_device *device)
{
    fcl_profile *profile = device->profile;
    int status = fcl_device_finish(device);
    for (int i = 0; status == FCL_OK && i < profile->pending_count; i++)
        status = read_event(device, &profile->pending[i]);
    release(profile);
    return status;
}

int fcl_profile_add(fcl_device *device, int line, cl_event first, cl_event last)
{
    fcl_profile *profile = device->profile;
    profile->pending[profile->pending_count++] = (fcl_profile_event){line, first, last};
    return profile->pending_count < FCL_PROFILE_PENDING ? FCL_OK : drain(device);
}

void fcl_profile_destroy(fcl_profile **profile)
{
    if (!*profile)
        return;
    release(*profile);
    free((*profile)->lines);
    free(*profile);
    *profile = NULL;
}

static int by_time(const void *left, const void *right)
{
    double a = ((const fcl_profile_line *)left)->seconds, b = ((const fcl_profile_line *)right)->seconds;
    return (a < b) - (a > b);
}

int fcl_device_profile(fcl_device *device, fcl_profile_line **lines, int *count)
{
    fcl_profile *profile = device->profile;
    *lines = fcl_zalloc((profile ? (size_t)profile->line_count : 0) * sizeof **lines);
    *count = 0;
    if (!profile)
        return FCL_OK;
    FCL_TRY(drain(device));
    for (int i = 0; i < profile->line_count; i++)
        if (profile->lines[i].launches > 0)
            (*lines)[(*count)++] = profile->lines[i];
    qsort(*lines, (size_t)*count, sizeof **lines, by_time);
    return FCL_OK;
}

/* The lines stay: launches know theirs by number. */
void fcl_device_profile_reset(fcl_device *device)
{
    fcl_profile *profile = device->profile;
    if (!profile)
        return;
    release(profile);
    for (int i = 0; i < profile->line_count; i++) {
        profile->lines[i].launches = 0;
        profile->lines[i].seconds = 0;
    }
}
