/* Preloaded into the program: a driver that tells no command's time. */
#include <CL/cl.h>
#include <string.h>

cl_int clGetEventProfilingInfo(cl_event event, cl_profiling_info key, size_t room, void *value, size_t *size)
{
    (void)event, (void)key, (void)room;
    if (value)
        memset(value, 0, sizeof(cl_ulong));
    if (size)
        *size = sizeof(cl_ulong);
    return CL_SUCCESS;
}
