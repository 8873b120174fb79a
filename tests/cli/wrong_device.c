/* Preloaded into the program: a driver whose answers are wrong since its self-test. Every float that is read
 * from the device is a quarter too large. */
#include <CL/cl.h>
#include <dlfcn.h>
#include <string.h>

typedef cl_int read_function(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset,
                             size_t size, void *content, cl_uint count, const cl_event *before,
                             cl_event *done);

cl_int clEnqueueReadBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset,
                           size_t size, void *content, cl_uint count, const cl_event *before, cl_event *done)
{
    read_function *read;
    void *symbol = dlsym(RTLD_NEXT, "clEnqueueReadBuffer");
    memcpy(&read, &symbol, sizeof read);
    (void)blocking;
    cl_int status = read(queue, buffer, CL_TRUE, offset, size, content, count, before, done);
    for (size_t i = 0; status == CL_SUCCESS && i + sizeof(float) <= size; i += sizeof(float)) {
        float number;
        memcpy(&number, (char *)content + i, sizeof number);
        number *= 1.25f;
        memcpy((char *)content + i, &number, sizeof number);
    }
    return status;
}
