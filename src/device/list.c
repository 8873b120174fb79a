/* The list of all devices of all platforms, each with the reason where it cannot be used. */
#include "device/opencl.h"

#include "base/error.h"
#include "base/memory.h"
#include "device/environment.h"

#include <flowcl/text.h>

#include <CL/cl_ext.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What our kernels take for granted. */
enum { GROUP_SIZE = 256, LOCAL_BYTES = 16 * 1024 };

/* Drivers pad names with blanks, and a text longer than our field is cut rather than lost. It is made plain here: it goes
 * to terminals, logs and files. */
static void keep(char *whole, char *text, size_t size)
{
    for (size_t end = strlen(whole); end > 0 && whole[end - 1] == ' '; end--)
        whole[end - 1] = 0;
    char *plain = fcl_plain(whole + strspn(whole, " "));
    snprintf(text, size, "%s", plain);
    free(plain);
}

static void platform_text(cl_platform_id platform, cl_platform_info key, char *text, size_t size)
{
    size_t length = 0;
    text[0] = 0;
    if (clGetPlatformInfo(platform, key, 0, NULL, &length) != CL_SUCCESS || length == 0)
        return;
    char *whole = fcl_zalloc(length + 1);
    clGetPlatformInfo(platform, key, length, whole, NULL);
    keep(whole, text, size);
    free(whole);
}

static void device_text(cl_device_id id, cl_device_info key, char *text, size_t size)
{
    size_t length = 0;
    text[0] = 0;
    if (clGetDeviceInfo(id, key, 0, NULL, &length) != CL_SUCCESS || length == 0)
        return;
    char *whole = fcl_zalloc(length + 1);
    clGetDeviceInfo(id, key, length, whole, NULL);
    keep(whole, text, size);
    free(whole);
}

/* A number of whatever width the driver answers with; 0 where it does not. */
static uint64_t device_number(cl_device_id id, cl_device_info key)
{
    union {
        cl_uint narrow;
        cl_ulong wide;
    } value = {.wide = 0};
    size_t size = 0;
    if (clGetDeviceInfo(id, key, sizeof value, &value, &size) != CL_SUCCESS)
        return 0;
    return size == sizeof value.narrow ? value.narrow : value.wide;
}

/* A device may claim several types at once (a simulator does): the humblest counts. */
static fcl_device_type device_type(cl_device_id id)
{
    uint64_t type = device_number(id, CL_DEVICE_TYPE);
    return type & CL_DEVICE_TYPE_CPU           ? FCL_DEVICE_CPU
           : type & CL_DEVICE_TYPE_GPU         ? FCL_DEVICE_GPU
           : type & CL_DEVICE_TYPE_ACCELERATOR ? FCL_DEVICE_ACCELERATOR
                                               : FCL_DEVICE_OTHER;
}

static void describe(fcl_device_info *info, cl_device_id id)
{
    info->type = device_type(id);
    device_text(id, CL_DEVICE_NAME, info->name, sizeof info->name);
    device_text(id, CL_DEVICE_VENDOR, info->vendor, sizeof info->vendor);
    device_text(id, CL_DEVICE_VERSION, info->device_version, sizeof info->device_version);
    device_text(id, CL_DRIVER_VERSION, info->driver, sizeof info->driver);
    info->memory = device_number(id, CL_DEVICE_GLOBAL_MEM_SIZE);
    info->max_allocation = device_number(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    info->local_memory = device_number(id, CL_DEVICE_LOCAL_MEM_SIZE);
    info->cache = device_number(id, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE);
    int units = (int)device_number(id, CL_DEVICE_MAX_COMPUTE_UNITS);
    info->compute_units = units > 0 ? units : 1; /* where it does not say */
    info->most_parts = fcl_part_most(id, info->compute_units);
    info->vector_width = (int)device_number(id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT);
    info->clock_mhz = (int)device_number(id, CL_DEVICE_MAX_CLOCK_FREQUENCY);
    info->unified_memory = device_number(id, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
    fcl_card_find(id, info->card, sizeof info->card);
}

/* The first requirement that the device does not meet is the reason it is refused. */
static void require(fcl_device_info *info, cl_device_id id)
{
    int major = 0, minor = 0;
    sscanf(info->device_version, "OpenCL %d.%d", &major, &minor);
    uint64_t group = device_number(id, CL_DEVICE_MAX_WORK_GROUP_SIZE);
    uint64_t align = device_number(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
    char *why = info->refused;
    size_t size = sizeof info->refused;
    if (!device_number(id, CL_DEVICE_AVAILABLE))
        snprintf(why, size, "the driver says that the device is not available");
    else if (!device_number(id, CL_DEVICE_COMPILER_AVAILABLE))
        snprintf(why, size, "its driver has no compiler for kernels");
    else if (!device_number(id, CL_DEVICE_ENDIAN_LITTLE))
        snprintf(why, size, "it is big-endian");
    else if (major * 10 + minor < 12)
        snprintf(why, size, "it has \"%s\", and OpenCL 1.2 is needed", info->device_version);
    else if (group < GROUP_SIZE)
        snprintf(why, size, "its work-groups hold %d work-items, and %d are needed", (int)group, GROUP_SIZE);
    else if (info->local_memory < LOCAL_BYTES)
        snprintf(why, size, "it has %d bytes of local memory, and %d are needed", (int)info->local_memory,
                 LOCAL_BYTES);
    else if (align > FCL_BUFFER_ALIGN)
        snprintf(why, size, "it aligns buffers to %d bytes, and at most %d can be served", (int)align,
                 FCL_BUFFER_ALIGN);
}

static fcl_device_info *append(fcl_listed *list, cl_platform_id platform, cl_device_id id)
{
    size_t count = (size_t)++list->count;
    list->info = fcl_grow(list->info, count * sizeof *list->info);
    list->handle = fcl_grow(list->handle, count * sizeof *list->handle);
    list->handle[count - 1] = (fcl_handle){platform, id};
    list->info[count - 1] = (fcl_device_info){0};
    return &list->info[count - 1];
}

/* A platform without devices is told, too: a missing card is looked for in the list. */
static void add_empty_platform(fcl_listed *list, cl_platform_id platform, int number)
{
    fcl_device_info *info = append(list, platform, NULL);
    info->type = FCL_DEVICE_OTHER;
    info->platform = number;
    info->index = -1;
    snprintf(info->id, sizeof info->id, "%d:-", number);
    platform_text(platform, CL_PLATFORM_NAME, info->platform_name, sizeof info->platform_name);
    platform_text(platform, CL_PLATFORM_VERSION, info->device_version, sizeof info->device_version);
    platform_text(platform, CL_PLATFORM_VENDOR, info->vendor, sizeof info->vendor);
    snprintf(info->name, sizeof info->name, "no device");
    snprintf(info->refused, sizeof info->refused,
             "it offers no device here; PoCL wants a folder that it may write to, by HOME or POCL_CACHE_DIR");
    fcl_quirks_apply(info);
}

static void add_device(fcl_listed *list, cl_platform_id platform, int number, cl_device_id id, int index)
{
    fcl_device_info *info = append(list, platform, id);
    info->platform = number;
    info->index = index;
    snprintf(info->id, sizeof info->id, "%d:%d", number, index);
    platform_text(platform, CL_PLATFORM_NAME, info->platform_name, sizeof info->platform_name);
    describe(info, id);
    fcl_cache_apply(info);
    fcl_quirks_apply(info);
    if (!info->refused[0])
        require(info, id);
    info->usable = info->refused[0] == 0;
}

static void add_platform(fcl_listed *list, cl_platform_id platform, int number)
{
    cl_uint found = 0;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &found) != CL_SUCCESS || found == 0) {
        add_empty_platform(list, platform, number);
        return;
    }
    cl_device_id *ids = fcl_zalloc(found * sizeof *ids);
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, found, ids, NULL) != CL_SUCCESS)
        found = 0;
    for (cl_uint i = 0; i < found; i++)
        add_device(list, platform, number, ids[i], (int)i);
    free(ids);
}

int fcl_listed_find(fcl_listed *list)
{
    *list = (fcl_listed){0};
    cl_uint found = 0;
    cl_int code = clGetPlatformIDs(0, NULL, &found);
    if (code == CL_PLATFORM_NOT_FOUND_KHR || (code == CL_SUCCESS && found == 0))
        return FCL_OK;
    cl_platform_id *platforms = fcl_zalloc(found * sizeof *platforms);
    if (code == CL_SUCCESS)
        code = clGetPlatformIDs(found, platforms, NULL);
    for (cl_uint i = 0; code == CL_SUCCESS && i < found; i++)
        add_platform(list, platforms[i], (int)i);
    free(platforms);
    if (code != CL_SUCCESS)
        return fcl_fail(FCL_ERR_OPENCL, "cannot list the OpenCL platforms: %s", fcl_opencl_name(code));
    fcl_device_find_twins(list->info, list->count);
    return FCL_OK;
}

/* Marks what fcl_device_open takes without a selector, where it takes any. */
static void mark_preferred(fcl_device_info *list, int count)
{
    const char *variable = fcl_environment("FLOWCL_DEVICE");
    fcl_selector selector;
    int preferred;
    int status = fcl_selector_read(variable ? variable : "", (fcl_local_ranks){0}, &selector);
    if (status == FCL_OK)
        status = fcl_device_choose(list, count, selector.name, false, &preferred);
    if (status == FCL_OK) {
        list[preferred].preferred = true;
        char *source = variable ? fcl_format("FLOWCL_DEVICE=%s", variable) : fcl_strdup("");
        fcl_device_explain(list, count, selector.name, false, preferred, source);
        free(source);
    }
    fcl_selector_free(&selector);
}

int fcl_device_list(fcl_device_info **list, int *count)
{
    fcl_listed listed;
    *list = NULL;
    *count = 0;
    FCL_TRY(fcl_listed_find(&listed));
    mark_preferred(listed.info, listed.count);
    free(listed.handle);
    *list = listed.info;
    *count = listed.count;
    return FCL_OK;
}
