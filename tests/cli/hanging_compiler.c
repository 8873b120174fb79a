/* Preloaded into the program: a driver whose compiler, a process of its own, hangs wherever tune has started a process
 * for a candidate. Its number is added to the file $HANGING. */
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void notify_function(cl_program program, void *data);
typedef cl_int build_function(cl_program program, cl_uint count, const cl_device_id *devices, const char *options,
                              notify_function *notify, void *data);

static int is_candidate(void)
{
    char text[256] = {0};
    FILE *file = fopen("/proc/self/cmdline", "r");
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    for (size_t i = 0; i < length; i++)
        if (strcmp(text + i, "tune-candidate") == 0)
            return 1;
    return 0;
}

static void hang(void)
{
    pid_t compiler = fork();
    FILE *file = compiler > 0 ? fopen(getenv("HANGING"), "a") : NULL;
    if (file) {
        fprintf(file, "%d\n", (int)compiler);
        fclose(file);
    }
    for (;;)
        pause();
}

cl_int clBuildProgram(cl_program program, cl_uint count, const cl_device_id *devices, const char *options,
                      notify_function *notify, void *data)
{
    build_function *build;
    void *symbol = dlsym(RTLD_NEXT, "clBuildProgram");
    memcpy(&build, &symbol, sizeof build);
    if (is_candidate())
        hang();
    return build(program, count, devices, options, notify, data);
}
