/* Equal parts of a device: what clCreateSubDevices makes of it. */
#include "device/opencl.h"

#include "base/error.h"
#include "base/memory.h"

#include <flowcl/text.h>

#include <stdlib.h>
#include <string.h>

/* How a driver divides; some have the call only in name, and it is not made before the driver has told that
 * it can. */
typedef struct ways {
    bool equally, by_counts, otherwise;
    cl_uint most;
} ways;

enum { WAYS_MOST = 16 };

static ways find_ways(cl_device_id id)
{
    cl_device_partition_property kinds[WAYS_MOST] = {0};
    size_t bytes = 0;
    ways found = {0};
    if (clGetDeviceInfo(id, CL_DEVICE_PARTITION_PROPERTIES, sizeof kinds, kinds, &bytes) != CL_SUCCESS ||
        clGetDeviceInfo(id, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, sizeof found.most, &found.most, NULL) !=
            CL_SUCCESS)
        return (ways){0};
    for (size_t i = 0; i < bytes / sizeof *kinds; i++) {
        found.equally |= kinds[i] == CL_DEVICE_PARTITION_EQUALLY;
        found.by_counts |= kinds[i] == CL_DEVICE_PARTITION_BY_COUNTS;
        found.otherwise |= kinds[i] == CL_DEVICE_PARTITION_BY_AFFINITY_DOMAIN;
    }
    return found;
}

int fcl_part_most(cl_device_id id, int units)
{
    ways found = find_ways(id);
    int most = found.most > (cl_uint)units ? units : (int)found.most;
    return most > 1 && (found.equally || found.by_counts) ? most : 0;
}

static int fail_parts(const fcl_device *device, int parts)
{
    const fcl_device_info *info = &device->info;
    ways found = find_ways(device->id);
    if (info->most_parts)
        return fcl_fail(FCL_ERR_DEVICE,
                        "device %s %s has no %d parts: it has %d compute units, and divides into %d at most",
                        info->id, info->name, parts, info->compute_units, info->most_parts);
    return fcl_fail(FCL_ERR_DEVICE, "device %s %s has no parts: its driver divides it %s; name it whole (%s)",
                    info->id, info->name, found.otherwise ? "by its caches and memories only" : "in no way",
                    info->id);
}

/* Every part that the device has becomes *made, of which there are *count; FCL_OK or what the driver says. */
static cl_int divide(cl_device_id id, const cl_device_partition_property *how, cl_device_id **made,
                     cl_uint *count)
{
    *made = NULL;
    cl_int code = clCreateSubDevices(id, how, 0, NULL, count);
    if (code != CL_SUCCESS)
        return code;
    *made = fcl_zalloc((*count + 1) * sizeof **made);
    code = clCreateSubDevices(id, how, *count, *made, NULL);
    if (code != CL_SUCCESS)
        *count = 0;
    return code;
}

static cl_int divide_equally(cl_device_id id, int units, cl_device_id **made, cl_uint *count)
{
    const cl_device_partition_property how[] = {CL_DEVICE_PARTITION_EQUALLY, units, 0};
    return divide(id, how, made, count);
}

static cl_int divide_by_counts(cl_device_id id, int parts, int units, cl_device_id **made, cl_uint *count)
{
    cl_device_partition_property *how = fcl_zalloc(((size_t)parts + 3) * sizeof *how);
    how[0] = CL_DEVICE_PARTITION_BY_COUNTS;
    for (int i = 0; i < parts; i++)
        how[1 + i] = units;
    how[1 + parts] = CL_DEVICE_PARTITION_BY_COUNTS_LIST_END;
    cl_int code = divide(id, how, made, count);
    free(how);
    return code;
}

/* Keeps one of them. */
static cl_device_id keep_one(cl_device_id *made, cl_uint count, int part)
{
    for (cl_uint i = 0; i < count; i++)
        if (i != (cl_uint)part)
            clReleaseDevice(made[i]);
    return (cl_uint)part < count ? made[part] : NULL;
}

/* The driver tells of every part that it has all of the memory and of the last cache. They have them
 * together. */
static void describe(fcl_device_info *info, int parts, int part, int units)
{
    char of[48], name[sizeof info->name];
    snprintf(of, sizeof of, ", %d of %d units", units, info->compute_units);
    snprintf(name, sizeof name, "%s", info->name);
    snprintf(info->name, sizeof info->name, "%.*s%s", (int)(sizeof info->name - strlen(of) - 1), name, of);
    snprintf(info->id, sizeof info->id, "%d:%d/%d.%d", info->platform, info->index, parts, part);
    info->compute_units = units;
    info->memory /= (uint64_t)parts;
    info->cache /= (uint64_t)parts;
    info->max_allocation = info->max_allocation < info->memory ? info->max_allocation : info->memory;
    info->parts = parts;
    info->part = part;
    info->most_parts = 0;
}

/* Threads of a driver run where its process may: a launcher that binds a rank to some cores leaves it these. */
int fcl_part_take_bound(fcl_device *device, int cores)
{
    fcl_device_info *info = &device->info;
    cl_device_id *made = NULL;
    cl_uint count = 0;
    char of[48];
    if (cores >= info->compute_units || !find_ways(device->id).by_counts)
        return FCL_OK;
    cl_int code = divide_by_counts(device->id, 1, cores, &made, &count);
    device->part = made ? keep_one(made, count, 0) : NULL;
    free(made);
    FCL_TRY(fcl_opencl_check(device, code, "dividing the device"));
    snprintf(of, sizeof of, ", %d of %d units", cores, info->compute_units);
    snprintf(info->name + strlen(info->name), sizeof info->name - strlen(info->name), "%s", of);
    info->compute_units = cores;
    info->most_parts = 0;
    device->id = device->part;
    return FCL_OK;
}

int fcl_part_take(fcl_device *device, int parts, int part)
{
    if (parts > device->info.most_parts)
        return fail_parts(device, parts);
    cl_device_id *made = NULL;
    cl_uint count = 0, units = 0;
    int each = device->info.compute_units / parts;
    ways found = find_ways(device->id);
    cl_int code = found.equally ? divide_equally(device->id, each, &made, &count) : CL_INVALID_VALUE;
    if (code != CL_SUCCESS && found.by_counts) {
        free(made);
        code = divide_by_counts(device->id, parts, each, &made, &count);
    }
    device->part = made ? keep_one(made, count, part) : NULL;
    free(made);
    FCL_TRY(fcl_opencl_check(device, code, "dividing the device"));
    if (!device->part ||
        clGetDeviceInfo(device->part, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL) != CL_SUCCESS)
        return fcl_fail(FCL_ERR_DEVICE, "device %s %s has no part %d: its driver made %u of %d compute units",
                        device->info.id, device->info.name, part, count, each);
    describe(&device->info, parts, part, (int)units);
    device->id = device->part;
    return FCL_OK;
}
