/* What copies beside the device's queue: queues of their own, and page-locked memory of the host. */
#include "device/opencl.h"

#include "base/error.h"

int fcl_copies_queue(fcl_device *device, cl_command_queue *queue)
{
    cl_int code;
    *queue = clCreateCommandQueue(device->context, device->id, 0, &code);
    return fcl_opencl_check(device, code, "making a queue of copies");
}

void fcl_event_release(cl_event *event)
{
    if (*event)
        clReleaseEvent(*event);
    *event = NULL;
}

int fcl_pinned_create(fcl_device *device, cl_command_queue queue, size_t bytes, fcl_pinned *pinned)
{
    cl_int code;
    pinned->memory = clCreateBuffer(device->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, bytes, NULL, &code);
    FCL_TRY(fcl_opencl_check(device, code, "making page-locked memory"));
    pinned->bytes = bytes;
    device->pinned += bytes;
    pinned->content = clEnqueueMapBuffer(queue, pinned->memory, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, bytes, 0, NULL, NULL,
                                         &code);
    return fcl_opencl_check(device, code, "mapping page-locked memory");
}

void fcl_pinned_destroy(fcl_device *device, cl_command_queue queue, fcl_pinned *pinned)
{
    if (pinned->content)
        clEnqueueUnmapMemObject(queue, pinned->memory, pinned->content, 0, NULL, NULL);
    if (pinned->memory)
        clReleaseMemObject(pinned->memory);
    device->pinned -= pinned->bytes;
    *pinned = (fcl_pinned){0};
}
