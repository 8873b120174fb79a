/* $FLOWCL_DUMP: what each program is compiled from and to, for a look at it or for a report. */
#include "device/opencl.h"

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "device/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The files of a program: FOLDER/KERNEL-HASH.ENDING by the name of its first kernel, and links to them by the
 * names of the others. The hash tells apart what has the same kernels for other shapes, options or devices. */
struct fcl_dump {
    const char *folder;
    const fcl_program *program;
    const char *text;
    unsigned hash;
    char first[64];
};

/* A name is a macro where one kernel's text serves many: what it stands for was defined before. */
static void expand(const char *text, const char *end, char name[64])
{
    char mark[80];
    const char *value = NULL;
    snprintf(mark, sizeof mark, "#define %s ", name);
    for (const char *at = strstr(text, mark); at && at < end; at = strstr(at + 1, mark))
        value = at + strlen(mark);
    if (value)
        snprintf(name, 64, "%.*s", (int)strcspn(value, " \n"), value);
}

/* The name of the next kernel behind *at, which moves on. It is read from the text, since a program that does
 * not compile has no other, and a compiler that crashes leaves none. */
static bool next_kernel(const char *text, const char **at, char name[64])
{
    static const char mark[] = "\nkernel void ";
    const char *found = strstr(*at, mark);
    if (!found)
        return false;
    *at = found + strlen(mark);
    snprintf(name, 64, "%.*s", (int)strcspn(*at, " (\n"), *at);
    expand(text, found, name);
    return true;
}

static char *path_of(const fcl_dump *dump, const char *kernel, const char *ending)
{
    return fcl_format("%s/%s-%08x.%s", dump->folder, kernel, dump->hash, ending);
}

/* Where there is a link already, it is to the same: its hash is. */
static int link_kernel(const fcl_dump *dump, const char *kernel, const char *ending)
{
    char *path = path_of(dump, kernel, ending), *target = path_of(dump, dump->first, ending);
    int status = FCL_OK;
    if (symlink(target + strlen(dump->folder) + 1, path) != 0 && errno != EEXIST)
        status = fcl_fail(FCL_ERR_FILE, "cannot make the link %s: %s", path, strerror(errno));
    free(path);
    free(target);
    return status;
}

static int write_file(const fcl_dump *dump, const char *ending, const void *bytes, size_t size)
{
    char *path = path_of(dump, dump->first, ending), name[64];
    fcl_file file;
    int status = fcl_file_create(path, &file);
    if (status == FCL_OK) {
        fcl_file_write(&file, bytes, size);
        status = fcl_file_commit(&file);
    }
    for (const char *at = dump->text; status == FCL_OK && next_kernel(dump->text, &at, name);)
        if (strcmp(name, dump->first) != 0)
            status = link_kernel(dump, name, ending);
    free(path);
    return status;
}

static int write_text(const fcl_dump *dump, const char *ending, char *text)
{
    int status = write_file(dump, ending, text, strlen(text));
    free(text);
    return status;
}

int fcl_dump_begin(const fcl_program *program, const char *text, const char *options, fcl_dump **dump)
{
    const char *folder = fcl_environment("FLOWCL_DUMP"), *at = text;
    const fcl_device_info *info = &program->device->info;
    *dump = NULL;
    if (!folder)
        return FCL_OK;
    fcl_dump *begun = *dump = fcl_zalloc(sizeof *begun);
    char *identity =
        fcl_format("%s\n%s\n%s\n%s\n%s", info->platform_name, info->name, info->driver, options, text);
    *begun = (fcl_dump){folder, program, text, (unsigned)fcl_hash(identity), "no-kernel"};
    free(identity);
    next_kernel(text, &at, begun->first);
    FCL_TRY(write_file(begun, "cl", text, strlen(text)));
    return write_text(begun, "options", fcl_format("%s\n", options));
}

/* What NVIDIA's driver calls a binary is the text of its assembler. */
static bool is_ptx(const char *binary)
{
    return strstr(binary, ".version") && strstr(binary, ".target");
}

/* A driver that keeps its binary to itself leaves no file. */
static int write_binary(const fcl_dump *dump)
{
    cl_program program = dump->program->program;
    size_t size = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) != CL_SUCCESS ||
        size == 0)
        return FCL_OK;
    char *binary = fcl_zalloc(size + 1);
    int status = FCL_OK;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) == CL_SUCCESS)
        status = is_ptx(binary) ? write_file(dump, "ptx", binary, strlen(binary))
                                : write_file(dump, "bin", binary, size);
    free(binary);
    return status;
}

int fcl_dump_end(fcl_dump **dump, int code)
{
    fcl_dump *ended = *dump;
    if (!ended)
        return FCL_OK;
    const fcl_device_info *info = &ended->program->device->info;
    char *log = fcl_program_log(ended->program);
    int status = write_text(ended, "log",
                            fcl_format("%s, %s, %s, driver %s: %s\n%s", info->name, info->platform_name,
                                       info->device_version, info->driver, fcl_opencl_name(code), log));
    if (status == FCL_OK && code == CL_SUCCESS)
        status = write_binary(ended);
    free(log);
    free(ended);
    *dump = NULL;
    return status;
}
