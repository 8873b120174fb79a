/* The environment's variables that force a variant, and what each may hold. */
#include "device/environment.h"

#include "base/error.h"
#include "base/file.h"
#include "device/gemm.h"

#include <stdlib.h>
#include <string.h>

static bool is_provider(const char *text)
{
    return fcl_gemm_provider_find(text) >= 0;
}

static bool is_off(const char *text)
{
    return strcmp(text, "off") == 0;
}

static bool is_group(const char *text)
{
    char *end;
    long size = strtol(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && size >= 1 && size <= 256 && (size & (size - 1)) == 0;
}

static bool is_vector(const char *text)
{
    return strcmp(text, "1") == 0 || strcmp(text, "4") == 0;
}

static bool is_mebibytes(const char *text)
{
    char *end;
    long size = strtol(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && size >= 1 && size <= 1 << 30;
}

/* It is made where it is missing. */
static bool is_folder(const char *text)
{
    return fcl_folder_make(text) == FCL_OK;
}

/* FLOWCL_DEVICE is not among them: what it may hold, the devices say. */
static const struct {
    const char *name, *what, *allowed;
    bool (*is_usable)(const char *text);
} rows[] = {
    {"FLOWCL_GEMM", "names no provider of matrix products", "there are tile, clblast and gpu", is_provider},
    {"FLOWCL_TUNE", "says nothing about the table of tuned products", "there is off", is_off},
    {"FLOWCL_ROW_GROUP", "is no number of work-items for a row", "there are 1, 2, 4, and so on up to 256",
     is_group},
    {"FLOWCL_VECTOR", "is no number of elements that a work-item takes", "there are 1 and 4", is_vector},
    {"FLOWCL_MEMORY", "is no number of MiB", "a whole number from 1 on says how much of a device's memory is used at most",
     is_mebibytes},
    {"FLOWCL_DUMP", "is no folder that can be written into", "name one that can, or that can be made",
     is_folder},
};

const char *fcl_environment(const char *name)
{
    const char *text = getenv(name);
    return text && *text ? text : NULL;
}

int fcl_environment_check(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = fcl_environment(rows[i].name);
        if (text && !rows[i].is_usable(text))
            return fcl_fail(FCL_ERR_ARGUMENT, "%s=%s %s; %s", rows[i].name, text, rows[i].what,
                            rows[i].allowed);
    }
    return FCL_OK;
}
