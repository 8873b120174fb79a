/* A device that has passed the self-test is not tested again: a small file says so. Its name is a hash of all
 * that the verdict depends on. A failure is not kept, for the driver may be mended meanwhile. */
#include "device/opencl.h"

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "device/kernels.h"
#include "device/environment.h"

#include <flowcl/flowcl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t hash_kernels(void)
{
    uint64_t value = FCL_HASH_START;
    for (const fcl_kernel_source *source = fcl_kernel_sources; source->name; source++)
        value = fcl_hash_on(value, source->text);
    return value;
}

/* What the verdict depends on, in lines that a person may read. */
static char *describe(const fcl_device *device)
{
    const fcl_device_info *info = &device->info;
    const char *provider = fcl_environment("FLOWCL_GEMM");
    return fcl_format("flowcl %s, CLBlast %s, kernels %016llx, products by %s, rows by %d\n%s, %s\n%s, driver %s\n",
                      fcl_version(), fcl_clblast_version(), (unsigned long long)hash_kernels(),
                      provider ? provider : "rule", (int)fcl_device_traits(device).group, info->platform_name, info->name,
                      info->device_version, info->driver);
}

char *fcl_cache_folder(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *parent = cache && cache[0] == '/' ? fcl_strdup(cache)
                   : home && home[0]        ? fcl_format("%s/.cache", home)
                                            : NULL;
    if (!parent)
        return NULL;
    mkdir(parent, 0700);
    char *folder = fcl_format("%s/flowcl", parent);
    mkdir(folder, 0700);
    free(parent);
    return folder;
}

static char *verdict_path(const char *description)
{
    char *folder = fcl_cache_folder();
    if (!folder)
        return NULL;
    char *path = fcl_format("%s/selftest-%016llx", folder, (unsigned long long)fcl_hash(description));
    free(folder);
    return path;
}

/* The text is compared too: two descriptions with one hash are not one device. */
static bool is_kept(const char *path, const char *description)
{
    uint8_t *bytes;
    size_t size;
    if (access(path, R_OK) != 0 || fcl_file_read(path, &bytes, &size) != FCL_OK)
        return false;
    bool same = size == strlen(description) && memcmp(bytes, description, size) == 0;
    free(bytes);
    return same;
}

/* A verdict that somebody else may have put there says nothing. */
static bool is_trusted(fcl_device *device, const char *path)
{
    if (access(path, F_OK) != 0 || fcl_file_check_owner(path) == FCL_OK)
        return true;
    fcl_snprintf(device->info.tuning, sizeof device->info.tuning,
                 "the verdict that is kept of the self-test is not used: %s", fcl_error());
    return false;
}

/* That it cannot be written is no error: the next open tests again. */
static void keep(const char *path, const char *description)
{
    fcl_file file;
    if (fcl_file_create(path, &file) != FCL_OK)
        return;
    fcl_file_write(&file, description, strlen(description));
    fcl_file_commit(&file);
}

int fcl_selftest_require(fcl_device *device)
{
    char *description = describe(device), *path = verdict_path(description);
    int status = FCL_OK;
    if (!path || !is_trusted(device, path) || !is_kept(path, description)) {
        fcl_selftest_line *lines;
        int count;
        status = fcl_device_selftest(device, &lines, &count);
        free(lines);
        if (status == FCL_OK && path)
            keep(path, description);
    }
    free(description);
    free(path);
    return status;
}
