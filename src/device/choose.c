/* Which device a selector names: "P:D", "cpu", "gpu", or a part of a name. */
#include "device/opencl.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool matches(const fcl_device_info *info, const char *selector)
{
    int platform, index, end = 0;
    if (!selector[0])
        return true;
    if (sscanf(selector, "%d:%d%n", &platform, &index, &end) == 2 && selector[end] == 0)
        return info->platform == platform && info->index == index;
    if (strcasecmp(selector, "cpu") == 0)
        return info->type == FCL_DEVICE_CPU;
    if (strcasecmp(selector, "gpu") == 0)
        return info->type == FCL_DEVICE_GPU;
    return strcasestr(info->name, selector) || strcasestr(info->platform_name, selector);
}

/* A device that has a known fault or is the twin of another comes after all of its type that are free of it.
 */
static double rank(const fcl_device_info *info)
{
    static const double by_type[] = {
        [FCL_DEVICE_GPU] = 3, [FCL_DEVICE_ACCELERATOR] = 2, [FCL_DEVICE_CPU] = 1, [FCL_DEVICE_OTHER] = 0};
    double speed = (double)info->compute_units * info->clock_mhz;
    return by_type[info->type] * 1e12 + (info->warning[0] ? 0 : 1e11) + (speed < 1e10 ? speed : 1e10);
}

static int best(const fcl_listed *list, int count, const char *selector, bool refused_too)
{
    int chosen = -1;
    for (int i = 0; i < count; i++) {
        const fcl_device_info *info = &list[i].info;
        if (list[i].id && matches(info, selector) && (info->usable || refused_too) &&
            (chosen < 0 || rank(info) > rank(&list[chosen].info)))
            chosen = i;
    }
    return chosen;
}

static int fail_no_match(const fcl_listed *list, int count, const char *selector)
{
    for (int i = 0; i < count; i++)
        if (!list[i].id && matches(&list[i].info, selector))
            return fcl_fail(FCL_ERR_DEVICE, "platform %d, %s, has no device: %s", list[i].info.platform,
                            list[i].info.platform_name, list[i].info.refused);
    fcl_text names = {0};
    fcl_text_add(&names, "");
    for (int i = 0; i < count; i++)
        if (list[i].id)
            fcl_text_format(&names, "%s%d:%d %s (%s)", names.length ? ", " : "", list[i].info.platform,
                            list[i].info.index, list[i].info.name, list[i].info.platform_name);
    fcl_fail(FCL_ERR_DEVICE,
             "no device matches \"%s\"; there are: %s; choose by P:D, cpu, gpu or a part of a name", selector,
             names.data);
    fcl_text_free(&names);
    return FCL_ERR_DEVICE;
}

int fcl_listed_choose(const fcl_listed *list, int count, const char *selector, bool force, int *chosen)
{
    bool any = false;
    for (int i = 0; i < count; i++)
        any = any || list[i].id;
    if (!any && count)
        return fcl_fail(FCL_ERR_DEVICE, "no OpenCL platform offers a device; the first, %s: %s",
                        list[0].info.platform_name, list[0].info.refused);
    if (!any)
        return fcl_fail(FCL_ERR_DEVICE, "there is no OpenCL device: install your card's driver, or "
                                        "pocl-opencl-icd to use the processor");
    *chosen = best(list, count, selector, force);
    if (*chosen >= 0)
        return FCL_OK;
    int refused = best(list, count, selector, true);
    if (refused < 0)
        return fail_no_match(list, count, selector);
    const fcl_device_info *info = &list[refused].info;
    return fcl_fail(FCL_ERR_DEVICE, "device %d:%d %s is refused: %s", info->platform, info->index, info->name,
                    info->refused);
}
