/* Preloaded into the program: the name of each kernel that is made, CLBlast's among them, is added to the file $KERNELS. */
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cl_kernel clCreateKernel(cl_program program, const char *name, cl_int *code)
{
    __typeof__(clCreateKernel) *create;
    void *symbol = dlsym(RTLD_NEXT, "clCreateKernel");
    memcpy(&create, &symbol, sizeof create);
    const char *path = getenv("KERNELS");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%s\n", name);
        fclose(file);
    }
    return create(program, name, code);
}
