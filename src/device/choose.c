/* Which device a selector names: "P:D", "cpu", "gpu", or a piece of a name; and which of several a rank takes. */
#include "device/choose.h"

#include "base/error.h"
#include "base/memory.h"

#include <flowcl/text.h>
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

static bool is_device(const fcl_device_info *info)
{
    return info->index >= 0;
}

static bool is_candidate(const fcl_device_info *info, const char *selector, bool refused_too)
{
    return is_device(info) && matches(info, selector) && (info->usable || refused_too);
}

static int best(const fcl_device_info *list, int count, const char *selector, bool refused_too)
{
    int chosen = -1;
    for (int i = 0; i < count; i++)
        if (is_candidate(&list[i], selector, refused_too) &&
            (chosen < 0 || fcl_device_rank(&list[i], &list[chosen]) > 0))
            chosen = i;
    return chosen;
}

static int fail_no_match(const fcl_device_info *list, int count, const char *selector)
{
    for (int i = 0; i < count; i++)
        if (!is_device(&list[i]) && matches(&list[i], selector))
            return fcl_fail(FCL_ERR_DEVICE, "platform %d, %s, has no device: %s", list[i].platform,
                            list[i].platform_name, list[i].refused);
    fcl_text names = {0};
    fcl_text_add(&names, "");
    for (int i = 0; i < count; i++)
        if (is_device(&list[i]))
            fcl_text_format(&names, "%s%d:%d %s (%s)", names.length ? ", " : "", list[i].platform,
                            list[i].index, list[i].name, list[i].platform_name);
    fcl_fail(FCL_ERR_DEVICE,
             "no device matches \"%s\"; there are: %s; choose by P:D, cpu, gpu or a piece of a name, with /N.K for "
             "part K of N of it",
             selector, names.data);
    fcl_text_free(&names);
    return FCL_ERR_DEVICE;
}

int fcl_device_choose(const fcl_device_info *list, int count, const char *selector, bool force, int *chosen)
{
    bool any = false;
    for (int i = 0; i < count; i++)
        any = any || is_device(&list[i]);
    if (!any && count)
        return fcl_fail(FCL_ERR_DEVICE, "no OpenCL platform offers a device; the first, %s: %s",
                        list[0].platform_name, list[0].refused);
    if (!any)
        return fcl_fail(FCL_ERR_DEVICE, "there is no OpenCL device: install your card's driver, or "
                                        "pocl-opencl-icd to use the processor");
    *chosen = best(list, count, selector, force);
    if (*chosen >= 0)
        return FCL_OK;
    int refused = best(list, count, selector, true);
    if (refused < 0)
        return fail_no_match(list, count, selector);
    const fcl_device_info *info = &list[refused];
    return fcl_fail(FCL_ERR_DEVICE, "device %d:%d %s is refused: %s", info->platform, info->index, info->name,
                    info->refused);
}

/* --- ranks --- */

/* Whether ranks share it out with the best: one processor has a CPU on each platform. */
static bool is_like(const fcl_device_info *info, const fcl_device_info *first)
{
    return !info->twin && info->type == first->type && info->emulated == first->emulated &&
           (info->type != FCL_DEVICE_CPU || info->platform == first->platform);
}

/* Those that ranks take one after the other, the best first, then as listed; released by free. */
static int *list_range(const fcl_device_info *list, int count, const char *selector, bool force, int first,
                       int *members)
{
    int *range = fcl_zalloc((size_t)count * sizeof *range), size = 0;
    for (int i = 0; i < count; i++) {
        if (!is_candidate(&list[i], selector, force) || (i != first && !is_like(&list[i], &list[first])))
            continue;
        int place = size++;
        for (; place > 0 && fcl_device_rank(&list[i], &list[range[place - 1]]) > 0; place--)
            range[place] = range[place - 1];
        range[place] = i;
    }
    *members = size;
    return range;
}

static int fail_one_device(const fcl_device_info *only, int ranks)
{
    char part[64] = "";
    if (only->most_parts >= ranks)
        snprintf(part, sizeof part, ", or give each a part of it, --device %d:%d/%d", only->platform, only->index,
                 ranks);
    return fcl_fail(FCL_ERR_DEVICE,
                    "%d ranks on this machine share 1 device: name it (--device %d:%d) where that is meant%s", ranks,
                    only->platform, only->index, part);
}

static int fail_few_devices(const fcl_device_info *a, const fcl_device_info *b, int devices, int ranks)
{
    return fcl_fail(FCL_ERR_DEVICE,
                    "%d ranks on this machine share %d devices: start %d, or name a device for each "
                    "(--device %d:%d,%d:%d,...) where it is meant that they share",
                    ranks, devices, devices, a->platform, a->index, b->platform, b->index);
}

int fcl_device_choose_ranked(const fcl_device_info *list, int count, const char *selector, bool force, fcl_local_ranks ranks,
                             int *chosen)
{
    FCL_TRY(fcl_device_choose(list, count, selector, force, chosen));
    if (ranks.count <= 1)
        return FCL_OK;
    int members, status = FCL_OK;
    int *range = list_range(list, count, selector, force, *chosen, &members);
    if (ranks.count <= members)
        *chosen = range[ranks.rank];
    else if (members > 1)
        status = fail_few_devices(&list[range[0]], &list[range[1]], members, ranks.count);
    else if (!*selector)
        status = fail_one_device(&list[*chosen], ranks.count);
    free(range);
    return status;
}

/* --- why --- */

typedef struct field {
    int candidates;
    int next; /* the best of the others that is no other entry of a card; -1: there is none */
} field;

static field survey(const fcl_device_info *list, int count, const char *selector, bool force, int chosen)
{
    field seen = {.next = -1};
    for (int i = 0; i < count; i++) {
        if (!is_candidate(&list[i], selector, force))
            continue;
        seen.candidates++;
        if (i != chosen && !list[i].twin &&
            (seen.next < 0 || fcl_device_rank(&list[i], &list[seen.next]) > 0))
            seen.next = i;
    }
    return seen;
}

void fcl_device_explain(fcl_device_info *list, int count, const char *selector, bool force, int chosen,
                        const char *source)
{
    fcl_device_info *info = &list[chosen];
    field seen = survey(list, count, selector, force, chosen);
    char reason[192];
    if (seen.next >= 0)
        fcl_device_rank_reason(info, &list[seen.next], reason, sizeof reason);
    else
        fcl_snprintf(reason, sizeof reason,
                     seen.candidates > 1 ? "the better driver of the only usable card"
                                         : "the only usable device");
    if (!*source)
        fcl_snprintf(info->why, sizeof info->why, "%s", reason);
    else if (seen.candidates == 1)
        fcl_snprintf(info->why, sizeof info->why, "named by %s", source);
    else
        fcl_snprintf(info->why, sizeof info->why, "named by %s; of the %d that it names, %s", source,
                     seen.candidates, reason);
}

void fcl_device_explain_rank(fcl_device_info *info, fcl_local_ranks ranks, const char *source)
{
    fcl_snprintf(info->why, sizeof info->why, "local rank %d of %d takes it%s%s", ranks.rank, ranks.count,
                 *source ? ", of what is named by " : "", source);
}
