/* Faults of drivers and of CLBlast, as data. A row that refuses is overridden by fcl_device_options.force. */
#include "device/choose.h"

#include <clblast_c.h>
#include <stdio.h>
#include <string.h>

typedef enum effect {
    REFUSE,
    WARN,
    EMULATED /* a warning, and it comes after all that is not emulated */
} effect;

typedef struct quirk {
    const char *platform; /* part of the platform's name; NULL: any */
    const char *device;   /* part of the device's name; NULL: any */
    const char *driver;   /* the fault ends with this driver version; NULL: all have it */
    int clblast;          /* the fault ends with this CLBlast (10603 is 1.6.3); 0: not CLBlast's */
    effect effect;
    const char *text;
} quirk;

/* clang-format off */
static const quirk quirks[] = {
    {"Clover", NULL, NULL, 0, REFUSE,
     "Mesa's Clover is abandoned and computes wrongly on many cards; use rusticl (RUSTICL_ENABLE) or the "
     "vendor's driver"},
    {"Apple", "CPU", NULL, 0, REFUSE,
     "Apple's CPU driver runs kernels with barriers one work-item at a time only; use PoCL"},
    {"rusticl", "no device", NULL, 0, REFUSE,
     "rusticl offers no device; name its drivers in RUSTICL_ENABLE, say radeonsi, iris or llvmpipe"},
    {NULL, "Oclgrind", NULL, 0, EMULATED, "a simulator for debugging kernels, thousands of times slower"},
    {NULL, "FPGA Emulation", NULL, 0, EMULATED,
     "a processor that plays an FPGA; PoCL or Intel's driver for CPUs is faster on it"},
    {"FPGA", "Emulated Device", NULL, 0, EMULATED,
     "a processor that plays an FPGA; PoCL or Intel's driver for CPUs is faster on it"},
    {NULL, "llvmpipe", NULL, 0, EMULATED,
     "a software renderer that leaves a kernel's loops after 65535 passes, so that very large sums come out wrong; PoCL is right, "
     "and many times faster, on the same processor"},
    {"Intel", "Arc", NULL, 10603, WARN,
     "CLBlast before 1.6.3 multiplies matrices wrongly on Intel Arc; install a newer libclblast1"},
};
/* clang-format on */

static bool contains(const char *text, const char *part)
{
    return !part || strcasestr(text, part) != NULL;
}

static bool has_fault(const quirk *row, const fcl_device_info *info)
{
    int clblast = CLBLAST_VERSION_MAJOR * 10000 + CLBLAST_VERSION_MINOR * 100 + CLBLAST_VERSION_PATCH;
    return contains(info->platform_name, row->platform) && contains(info->name, row->device) &&
           (!row->driver || strverscmp(info->driver, row->driver) < 0) &&
           (!row->clblast || clblast < row->clblast);
}

void fcl_quirks_apply(fcl_device_info *info)
{
    for (size_t i = 0; i < sizeof quirks / sizeof *quirks; i++) {
        if (!has_fault(&quirks[i], info))
            continue;
        if (quirks[i].effect == REFUSE)
            snprintf(info->refused, sizeof info->refused, "%s", quirks[i].text);
        else
            snprintf(info->warning, sizeof info->warning, "%s", quirks[i].text);
        info->emulated |= quirks[i].effect == EMULATED;
    }
}
