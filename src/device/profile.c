/* The time of each kernel on the device's clock, kept only where it was asked for. */
#include "device/profile.h"

#include "device/opencl.h"

#include "base/clock.h"
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

/* 0 where the driver has none: none of a device's clock is. */
static uint64_t read_time(cl_event event, cl_profiling_info key)
{
    cl_ulong nanoseconds = 0;
    cl_int code = clGetEventProfilingInfo(event, key, sizeof nanoseconds, &nanoseconds, NULL);
    return code == CL_SUCCESS ? nanoseconds : 0;
}

/* Whether such a time can be: the queue runs one command after the other, and none takes longer on the device than
 * the host saw go by. Clocks are read a little early or late. */
static bool is_plausible(uint64_t start, uint64_t end, uint64_t last_end, double elapsed)
{
    const uint64_t late = 10000; /* nanoseconds */
    return start > 0 && end >= start && start + late >= last_end &&
           1e-9 * (double)(end - start) <= 1.05 * elapsed + 1e-9 * (double)late;
}

static void read_event(fcl_profile *profile, const fcl_profile_event *event, double now)
{
    uint64_t start = event->first ? read_time(event->first, CL_PROFILING_COMMAND_END)
                                  : read_time(event->last, CL_PROFILING_COMMAND_START);
    uint64_t end = read_time(event->last, CL_PROFILING_COMMAND_END);
    fcl_profile_line *line = &profile->lines[event->line];
    line->launches++;
    if (!is_plausible(start, end, profile->last_end, now - event->began))
        line->untimed++;
    else
        line->seconds += (double)(end - start) * 1e-9;
    profile->last_end = end;
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
    double now = fcl_clock_seconds();
    for (int i = 0; status == FCL_OK && i < profile->pending_count; i++)
        read_event(profile, &profile->pending[i], now);
    release(profile);
    return status;
}

int fcl_profile_add(fcl_device *device, fcl_profile_event event)
{
    fcl_profile *profile = device->profile;
    profile->pending[profile->pending_count++] = event;
    return profile->pending_count < FCL_PROFILE_PENDING ? FCL_OK : drain(device);
}

int fcl_profile_mark(fcl_device *device, cl_event *event)
{
    fcl_profile *profile = device->profile;
    if (!profile->mark) {
        FCL_TRY(fcl_device_launch(device, "profile_mark", NULL, &profile->mark));
        fcl_launch_range_1d(profile->mark, 1, 1);
    }
    return fcl_launch_enqueue_event(profile->mark, event);
}

void fcl_profile_host(fcl_device *device, const char *what, int64_t times, double seconds)
{
    int at = fcl_profile_line_find(device, what);
    if (at < 0)
        return;
    fcl_profile_line *line = &device->profile->lines[at];
    line->host = true;
    line->launches += times;
    line->seconds += seconds;
}

fcl_profile *fcl_profile_lay_aside(fcl_device *device)
{
    fcl_profile *profile = device->profile;
    device->profile = NULL;
    return profile;
}

void fcl_profile_take_up(fcl_device *device, fcl_profile *profile)
{
    device->profile = profile;
}

void fcl_profile_destroy(fcl_profile **profile)
{
    if (!*profile)
        return;
    release(*profile);
    fcl_launch_destroy(&(*profile)->mark);
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
        profile->lines[i].launches = profile->lines[i].untimed = 0;
        profile->lines[i].seconds = 0;
    }
}
