/* Compiles kernels, and says all that is needed to mend one that does not compile. */
#include "device/opencl.h"

#include "base/clock.h"
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
    fcl_fail(FCL_ERR_BUILD, "the program %s does not compile on %s (driver %s, options \"%s\"): %s%s%s", program->name,
             device->info.name, device->info.driver, options, fcl_opencl_name(code), *log ? "\n" : "", log);
    free(log);
    return FCL_ERR_BUILD;
}

/* Source and options are dumped before the build, which may crash; its own failure is told before the dump's.
 */
static int build(fcl_program *program, const char *text, const char *options)
{
    fcl_dump *dump;
    int begun = fcl_dump_begin(program, text, options, &dump);
    double began = fcl_clock_seconds();
    cl_int code = clBuildProgram(program->program, 1, &program->device->id, options, NULL, NULL);
    program->device->counts.build_seconds += fcl_clock_seconds() - began;
    int ended = fcl_dump_end(&dump, code);
    if (code != CL_SUCCESS)
        return fail_build(program, options, code);
    return begun == FCL_OK ? ended : begun;
}

static int compile(fcl_program *program, const char *text, const char *options)
{
    fcl_device *device = program->device;
    cl_int code;
    if (device->rehearsal)
        return FCL_OK;
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

int fcl_program_build_generated(fcl_device *device, const char *name, const char *text, int kernels, fcl_program **program)
{
    FCL_TRY(fcl_program_build(device, name, text, NULL, program));
    device->counts.generated += kernels;
    return FCL_OK;
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

/* --- the library's own programs --- */

/* "adamw.cl" and "adamw_wide.cl" */
static bool is_same_family(const fcl_kernel_source *a, const fcl_kernel_source *b)
{
    size_t length = strcspn(a->name, "."), other = strcspn(b->name, ".");
    length -= a->wide ? strlen("_wide") : 0;
    other -= b->wide ? strlen("_wide") : 0;
    return length == other && strncmp(a->name, b->name, length) == 0;
}

/* Whether the program of one file, or that of all (`only` NULL), has the text. What is for wide vectors does not
 * say what it takes: its program has all headers and both files of a family. fcl_program_build puts the prelude before it. */
static bool has_source(const fcl_kernel_source *only, const fcl_kernel_source *source, bool wide)
{
    if (strcmp(source->name, "prelude.h") == 0 || source->role == FCL_KERNEL_TEMPLATE || (source->wide && !wide))
        return false;
    if (!only || source == only)
        return true;
    if (wide)
        return source->role == FCL_KERNEL_HEADER || is_same_family(only, source);
    char *word = fcl_format(" %s ", source->name);
    bool needed = strstr(only->needs, word) != NULL;
    free(word);
    return needed;
}

/* In the form that the device gets. */
static int build_own(fcl_device *device, const fcl_kernel_source *only, fcl_program **program)
{
    const bool wide = fcl_device_traits(device).wide;
    fcl_text text = {0};
    char *name = fcl_format("flowcl %s", only ? only->name : "kernels");
    for (const fcl_kernel_source *source = fcl_kernel_sources; source->name; source++)
        if (has_source(only, source, wide))
            fcl_text_format(&text, "#line 1 \"cl/%s\"\n%s", source->name, source->text);
    int status = fcl_program_build(device, name, text.data, NULL, program);
    fcl_text_free(&text);
    free(name);
    return status;
}

int fcl_device_program(fcl_device *device, fcl_program **program)
{
    if (!device->program)
        FCL_TRY(build_own(device, NULL, &device->program));
    *program = device->program;
    return FCL_OK;
}

/* The file that has the kernel, or with wide vectors the first of its family; NULL where none has. */
static const fcl_kernel_source *source_of(const char *kernel, bool wide)
{
    char *mark = fcl_format("kernel void %s(", kernel);
    const fcl_kernel_source *source = fcl_kernel_sources, *first = fcl_kernel_sources;
    while (source->name && (source->role != FCL_KERNEL_PROGRAM || !strstr(source->text, mark)))
        source++;
    free(mark);
    if (!source->name || !wide)
        return source->name ? source : NULL;
    while (first->role != FCL_KERNEL_PROGRAM || !is_same_family(first, source))
        first++;
    return first;
}

static size_t count_sources(void)
{
    size_t count = 0;
    while (fcl_kernel_sources[count].name)
        count++;
    return count;
}

static int source_program(fcl_device *device, const char *kernel, fcl_program **program)
{
    const fcl_kernel_source *source = source_of(kernel, fcl_device_traits(device).wide);
    if (!source)
        return fcl_fail(FCL_ERR_ARGUMENT, "the library has no kernel %s", kernel);
    if (!device->programs)
        device->programs = fcl_zalloc(count_sources() * sizeof *device->programs);
    fcl_program **kept = &device->programs[source - fcl_kernel_sources];
    if (!*kept)
        FCL_TRY(build_own(device, source, kept));
    *program = *kept;
    return FCL_OK;
}

int fcl_device_launch(fcl_device *device, const char *kernel, const char *label, fcl_launch **launch)
{
    fcl_program *program = NULL;
    *launch = NULL;
    if (fcl_device_traits(device).whole)
        FCL_TRY(fcl_device_program(device, &program));
    else
        FCL_TRY(source_program(device, kernel, &program));
    return fcl_launch_create(program, kernel, label, launch);
}

void fcl_device_programs_destroy(fcl_device *device)
{
    fcl_program_destroy(&device->program);
    for (size_t i = 0; device->programs && i < count_sources(); i++)
        fcl_program_destroy(&device->programs[i]);
    free(device->programs);
}
