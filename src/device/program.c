/* Compiles kernels, and says all that is needed to mend one that does not compile. */
#include "device/opencl.h"

#include "base/error.h"
#include "base/memory.h"
#include "device/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *fcl_kernel_text(const char *name)
{
    for (const fcl_kernel_source *source = fcl_kernel_sources; source->name; source++)
        if (strcmp(source->name, name) == 0)
            return source->text;
    return NULL;
}

char *fcl_program_log(const fcl_program *program)
{
    cl_device_id id = program->device->id;
    size_t length = 0;
    clGetProgramBuildInfo(program->program, id, CL_PROGRAM_BUILD_LOG, 0, NULL, &length);
    char *log = fcl_zalloc(length + 1);
    clGetProgramBuildInfo(program->program, id, CL_PROGRAM_BUILD_LOG, length, log, NULL);
    return log;
}

static int fail_build(const fcl_program *program, const char *options, cl_int code)
{
    const fcl_device *device = program->device;
    char *log = fcl_program_log(program);
    fcl_fail(FCL_ERR_BUILD, "the program %s does not compile on %s (driver %s, options \"%s\"): %s\n%s",
             program->name, device->info.name, device->info.driver, options, fcl_opencl_name(code), log);
    free(log);
    return FCL_ERR_BUILD;
}

/* Source and options are dumped before the build, which may crash; its own failure is told before the dump's.
 */
static int build(fcl_program *program, const char *text, const char *options)
{
    fcl_dump *dump;
    int begun = fcl_dump_begin(program, text, options, &dump);
    cl_int code = clBuildProgram(program->program, 1, &program->device->id, options, NULL, NULL);
    int ended = fcl_dump_end(&dump, code);
    if (code != CL_SUCCESS)
        return fail_build(program, options, code);
    return begun == FCL_OK ? ended : begun;
}

static int compile(fcl_program *program, const char *text, const char *options)
{
    fcl_device *device = program->device;
    cl_int code;
    program->program = clCreateProgramWithSource(device->context, 1, &text, NULL, &code);
    FCL_TRY(fcl_opencl_check(device, code, "creating a program"));
    return build(program, text, options);
}

int fcl_program_build(fcl_device *device, const char *name, const char *text, const char *options,
                      fcl_program **program)
{
    fcl_program *built = fcl_zalloc(sizeof *built);
    fcl_text whole = {0};
    built->device = device;
    snprintf(built->name, sizeof built->name, "%s", name);
    fcl_text_format(&whole, "#line 1 \"cl/prelude.h\"\n%s#line 1 \"%s\"\n", fcl_kernel_text("prelude.h"),
                    name);
    fcl_text_add(&whole, text);
    int status = compile(built, whole.data, options ? options : "-w");
    fcl_text_free(&whole);
    if (status != FCL_OK)
        fcl_program_destroy(&built);
    *program = built;
    return status;
}

void fcl_program_destroy(fcl_program **program)
{
    if (!*program)
        return;
    if ((*program)->program)
        clReleaseProgram((*program)->program);
    free(*program);
    *program = NULL;
}

int fcl_device_program(fcl_device *device, fcl_program **program)
{
    if (!device->program) {
        fcl_text text = {0};
        for (const fcl_kernel_source *source = fcl_kernel_sources; source->name; source++)
            if (source->role != FCL_KERNEL_TEMPLATE && strcmp(source->name, "prelude.h") != 0)
                fcl_text_format(&text, "#line 1 \"cl/%s\"\n%s", source->name, source->text);
        int status = fcl_program_build(device, "flowcl kernels", text.data, NULL, &device->program);
        fcl_text_free(&text);
        FCL_TRY(status);
    }
    *program = device->program;
    return FCL_OK;
}
