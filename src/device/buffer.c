/* Memory on the device. A slice is a sub-buffer of the root, since OpenCL has no windows of windows. */
#include "device/opencl.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

static int zero(fcl_device *device, cl_mem memory, size_t bytes)
{
    if (device->rehearsal)
        return FCL_OK;
    /* The widest pattern that divides the size: some drivers fill byte by byte otherwise. */
    static const cl_uint nothing[4];
    size_t pattern = bytes % 16 == 0 ? 16 : bytes % 4 == 0 ? 4 : 1;
    FCL_TRY(fcl_opencl_check(
        device, clEnqueueFillBuffer(device->queue, memory, nothing, pattern, 0, bytes, 0, NULL, NULL),
        "zeroing a buffer"));
    return fcl_device_enqueued(device);
}

static int fail_allocation(const fcl_device *device, size_t bytes, cl_int code)
{
    const double mib = 1024.0 * 1024.0;
    return fcl_fail(
        FCL_ERR_MEMORY,
        "cannot make a buffer of %.3g MiB on %s (%s): it allows %.0f MiB a buffer and has %.0f MiB, of "
        "which %.1f MiB are in use here",
        (double)bytes / mib, device->info.name, fcl_opencl_name(code),
        (double)device->info.max_allocation / mib, (double)device->info.memory / mib,
        (double)device->memory / mib);
}

/* Some drivers give more than a device has, and are slow or fail at the first use. */
static int allocate(fcl_device *device, size_t bytes, void *host, cl_mem *memory)
{
    cl_int code;
    cl_mem_flags flags = CL_MEM_READ_WRITE | (host ? CL_MEM_USE_HOST_PTR : 0);
    *memory = NULL;
    if (device->rehearsal)
        return FCL_OK;
    if (bytes > device->info.max_allocation)
        return fail_allocation(device, bytes, CL_INVALID_BUFFER_SIZE);
    if (bytes > device->info.memory || device->memory > device->info.memory - bytes)
        return fail_allocation(device, bytes, CL_MEM_OBJECT_ALLOCATION_FAILURE);
    *memory = clCreateBuffer(device->context, flags, bytes, host, &code);
    if (code == CL_SUCCESS)
        return FCL_OK;
    device->refused = device->memory;
    return fail_allocation(device, bytes, code);
}

/* Memory for a large buffer of a CPU, in large pages where the system gives them: a step goes over hundreds of
 * megabytes, whose small pages a processor would look up all the time. Only whole ones are asked for. NULL: the
 * driver's own memory. */
static void *take_pages(fcl_device *device, size_t bytes)
{
    void *pages = NULL;
#ifdef MADV_HUGEPAGE
    enum { PAGE = 2 << 20 };
    if (device->info.type != FCL_DEVICE_CPU || !fcl_device_traits(device).wide || bytes < 2 * PAGE || device->rehearsal)
        return NULL;
    pages = aligned_alloc(PAGE, (bytes + PAGE - 1) / PAGE * PAGE);
    if (pages)
        madvise(pages, bytes / PAGE * PAGE, MADV_HUGEPAGE);
#endif
    return pages;
}

/* `host` NULL: memory of the device, with anything in it. */
static int create(fcl_device *device, size_t bytes, void *host, fcl_buffer **buffer)
{
    *buffer = NULL;
    if (bytes == 0)
        return fcl_fail(FCL_ERR_ARGUMENT, "a buffer of 0 bytes cannot be made");
    void *pages = host ? NULL : take_pages(device, bytes);
    cl_mem memory;
    int status = allocate(device, bytes, host ? host : pages, &memory);
    if (status != FCL_OK) {
        free(pages);
        return status;
    }
    fcl_buffer *made = fcl_zalloc(sizeof *made);
    *made = (fcl_buffer){.device = device, .root = made, .memory = memory, .bytes = bytes, .references = 1,
                         .over = host || pages, .pages = pages};
    device->memory += bytes;
    if (device->memory > device->memory_peak)
        device->memory_peak = device->memory;
    if (bytes > device->largest)
        device->largest = bytes;
    *buffer = made;
    return FCL_OK;
}

int fcl_buffer_create(fcl_device *device, size_t bytes, fcl_buffer **buffer)
{
    FCL_TRY(create(device, bytes, NULL, buffer));
    int status = fcl_buffer_zero(*buffer);
    if (status != FCL_OK)
        fcl_buffer_destroy(buffer);
    return status;
}

int fcl_buffer_create_over(fcl_device *device, size_t bytes, const void *content, fcl_buffer **buffer)
{
    if (device->info.type == FCL_DEVICE_CPU)
        return create(device, bytes, (void *)content, buffer);
    FCL_TRY(create(device, bytes, NULL, buffer));
    int status = fcl_buffer_write(*buffer, 0, bytes, content);
    if (status != FCL_OK)
        fcl_buffer_destroy(buffer);
    return status;
}

int fcl_buffer_check(const fcl_buffer *buffer, size_t offset, size_t bytes, const char *what)
{
    if (offset <= buffer->bytes && bytes <= buffer->bytes - offset)
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT, "cannot %s %zu bytes at %zu of a buffer of %zu bytes", what, bytes,
                    offset, buffer->bytes);
}

static int make_region(fcl_buffer *root, size_t offset, size_t bytes, cl_mem *memory)
{
    cl_buffer_region region = {offset, bytes};
    cl_int code;
    *memory = clCreateSubBuffer(root->memory, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
    FCL_TRY(fcl_opencl_check(root->device, code, "slicing a buffer"));
    if (root->region_count == root->region_room) {
        root->region_room = root->region_room ? 2 * root->region_room : 8;
        root->regions = fcl_grow(root->regions, (size_t)root->region_room * sizeof *root->regions);
    }
    root->regions[root->region_count++] = (fcl_region){offset, bytes, *memory};
    return FCL_OK;
}

/* Made once, and kept as long as the root: NVIDIA's driver (580.159.04) crashes where sub-buffers that overlap, and
 * that kernels have had, are released in another order than the last one made first. */
static int take_region(fcl_buffer *root, size_t offset, size_t bytes, cl_mem *memory)
{
    *memory = NULL;
    if (root->device->rehearsal)
        return FCL_OK;
    for (int i = 0; i < root->region_count; i++)
        if (root->regions[i].offset == offset && root->regions[i].bytes == bytes) {
            *memory = root->regions[i].memory;
            return FCL_OK;
        }
    return make_region(root, offset, bytes, memory);
}

int fcl_buffer_slice(fcl_buffer *parent, size_t offset, size_t bytes, fcl_buffer **slice)
{
    *slice = NULL;
    if (bytes == 0 || offset % FCL_BUFFER_ALIGN != 0)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "cannot slice %zu bytes at %zu: a slice has at least 1 byte and starts "
                        "at a multiple of %d",
                        bytes, offset, FCL_BUFFER_ALIGN);
    FCL_TRY(fcl_buffer_check(parent, offset, bytes, "slice"));
    fcl_buffer *root = parent->root;
    cl_mem memory;
    FCL_TRY(take_region(root, parent->offset + offset, bytes, &memory));
    fcl_buffer *made = fcl_zalloc(sizeof *made);
    *made = (fcl_buffer){
        .device = root->device, .root = root, .memory = memory, .offset = parent->offset + offset, .bytes = bytes};
    root->references++;
    *slice = made;
    return FCL_OK;
}

static void release_root(fcl_buffer *root)
{
    if (--root->references > 0)
        return;
    if (root->over)
        clFinish(root->device->queue);
    while (root->region_count > 0)
        clReleaseMemObject(root->regions[--root->region_count].memory);
    free(root->regions);
    if (root->memory)
        clReleaseMemObject(root->memory);
    free(root->pages);
    root->device->memory -= root->bytes;
    free(root);
}

void fcl_buffer_destroy(fcl_buffer **buffer)
{
    fcl_buffer *going = *buffer;
    if (!going)
        return;
    fcl_buffer *root = going->root;
    if (going != root)
        free(going);
    release_root(root);
    *buffer = NULL;
}

bool fcl_buffer_is_aligned(const fcl_buffer *buffer)
{
    void *host = NULL;
    if (!buffer->root->over || buffer->root->device->rehearsal)
        return true;
    cl_int code = clGetMemObjectInfo(buffer->root->memory, CL_MEM_HOST_PTR, sizeof host, &host, NULL);
    return code == CL_SUCCESS && (uintptr_t)host % sizeof(cl_float4) == 0;
}

size_t fcl_buffer_size(const fcl_buffer *buffer)
{
    return buffer->bytes;
}

int fcl_buffer_write(fcl_buffer *buffer, size_t offset, size_t bytes, const void *source)
{
    FCL_TRY(fcl_buffer_check(buffer, offset, bytes, "write"));
    if (bytes == 0 || buffer->device->rehearsal)
        return FCL_OK;
    cl_int code = clEnqueueWriteBuffer(buffer->device->queue, buffer->memory, CL_TRUE, offset, bytes, source,
                                       0, NULL, NULL);
    return fcl_opencl_check(buffer->device, code, "writing a buffer");
}

int fcl_buffer_read(fcl_buffer *buffer, size_t offset, size_t bytes, void *destination)
{
    FCL_TRY(fcl_buffer_check(buffer, offset, bytes, "read"));
    if (bytes == 0 || buffer->device->rehearsal)
        return FCL_OK;
    cl_int code = clEnqueueReadBuffer(buffer->device->queue, buffer->memory, CL_TRUE, offset, bytes,
                                      destination, 0, NULL, NULL);
    return fcl_opencl_check(buffer->device, code, "reading a buffer");
}

int fcl_buffer_zero(fcl_buffer *buffer)
{
    return zero(buffer->device, buffer->memory, buffer->bytes);
}

int fcl_buffer_copy(fcl_buffer *destination, size_t destination_offset, fcl_buffer *source,
                    size_t source_offset, size_t bytes)
{
    fcl_device *device = destination->device;
    FCL_TRY(fcl_buffer_check(destination, destination_offset, bytes, "copy to"));
    FCL_TRY(fcl_buffer_check(source, source_offset, bytes, "copy from"));
    if (device != source->device)
        return fcl_fail(FCL_ERR_ARGUMENT, "cannot copy between buffers of two devices");
    if (bytes == 0 || device->rehearsal)
        return FCL_OK;
    cl_int code = clEnqueueCopyBuffer(device->queue, source->memory, destination->memory, source_offset,
                                      destination_offset, bytes, 0, NULL, NULL);
    FCL_TRY(fcl_opencl_check(device, code, "copying a buffer"));
    return fcl_device_enqueued(device);
}
