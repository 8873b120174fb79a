/* What a text says of devices, before any is looked for: a list, the entry of a rank, a part of a device. */
#include "device/choose.h"

#include "base/error.h"
#include "base/memory.h"
#include "device/environment.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* --- lists --- */

static char *trim(char *text)
{
    text += strspn(text, " ");
    for (size_t end = strlen(text); end > 0 && text[end - 1] == ' '; end--)
        text[end - 1] = 0;
    return text;
}

static int fail_empty(const char *text)
{
    return fcl_fail(
        FCL_ERR_DEVICE,
        "the list of devices \"%s\" has an empty entry: devices are named one after the other, as in "
        "0:0,1:0",
        text);
}

/* The pointers and the text that they point into are one block. */
int fcl_device_split(const char *text, char ***entries, int *count)
{
    const char *list = text && *text ? text : fcl_environment("FLOWCL_DEVICE");
    *entries = NULL;
    *count = 0;
    if (!list)
        return FCL_OK;
    size_t most = 1;
    for (const char *c = list; *c; c++)
        most += *c == ',';
    char **made = fcl_zalloc(most * sizeof *made + strlen(list) + 1);
    char *rest = strcpy((char *)(made + most), list);
    for (size_t i = 0; i < most; i++) {
        made[i] = trim(strsep(&rest, ","));
        if (!*made[i]) {
            free(made);
            return fail_empty(list);
        }
    }
    *entries = made;
    *count = (int)most;
    return FCL_OK;
}

static int pick(char *const *entries, int count, fcl_local_ranks ranks, fcl_selector *selector)
{
    if (count > 1 && !ranks.count)
        return fcl_fail(FCL_ERR_DEVICE, "%d devices are named, %s to %s, and this opens one: name that one",
                        count, entries[0], entries[count - 1]);
    if (count > 1 && ranks.count > count)
        return fcl_fail(
            FCL_ERR_DEVICE,
            "%d ranks on this machine share a list of %d devices: start %d, or name a device for each",
            ranks.count, count, count);
    const char *entry = count > 1 ? entries[ranks.rank] : entries[0];
    selector->name = fcl_strdup(entry);
    selector->ranks = count > 1 ? (fcl_local_ranks){0} : ranks;
    for (int i = 0; count > 1 && i < count; i++) {
        bool same = strcmp(entries[i], entry) == 0;
        selector->ranks.rank += same && i < ranks.rank;
        selector->ranks.count += same && i < ranks.count;
    }
    return FCL_OK;
}

/* --- parts --- */

static bool read_number(const char **text, int *number)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    long value = strtol(*text, &end, 10);
    *number = value > INT_MAX ? INT_MAX : (int)value;
    *text = end;
    return true;
}

/* "/N" or "/N.K" at the end of a name; what ends otherwise is a name alone, for names have slashes. */
static char *find_part(char *name, int *parts, int *part)
{
    char *slash = strrchr(name, '/');
    const char *at = slash ? slash + 1 : "";
    *part = -1;
    bool found = read_number(&at, parts);
    if (found && *at == '.') {
        at++;
        found = read_number(&at, part);
    }
    return found && !*at ? slash : NULL;
}

static int read_part(fcl_selector *selector)
{
    int parts, part;
    char *slash = find_part(selector->name, &parts, &part);
    const fcl_local_ranks *ranks = &selector->ranks;
    if (!slash)
        return FCL_OK;
    if (parts < 2)
        return fcl_fail(FCL_ERR_DEVICE, "\"%s\" names no part: a device has 2 or more, as in \"%.*s/2.0\"",
                        selector->name, (int)(slash - selector->name), selector->name);
    if (part >= parts)
        return fcl_fail(FCL_ERR_DEVICE,
                        "\"%s\" names no part: they count from 0, and the last is \"%.*s/%d.%d\"",
                        selector->name, (int)(slash - selector->name), selector->name, parts, parts - 1);
    if (part < 0 && ranks->count > parts)
        return fcl_fail(
            FCL_ERR_DEVICE,
            "%d ranks on this machine share the %d parts that \"%s\" names: start %d, or divide it into more",
            ranks->count, parts, selector->name, parts);
    *slash = 0;
    selector->parts = parts;
    selector->part = part < 0 ? ranks->rank : part;
    return FCL_OK;
}

int fcl_selector_read(const char *text, fcl_local_ranks ranks, fcl_selector *selector)
{
    char **entries;
    int count;
    *selector = (fcl_selector){.ranks = ranks};
    if (!*text) {
        selector->name = fcl_strdup("");
        return FCL_OK;
    }
    FCL_TRY(fcl_device_split(text, &entries, &count));
    int status = pick(entries, count, ranks, selector);
    free(entries);
    return status == FCL_OK ? read_part(selector) : status;
}

void fcl_selector_free(fcl_selector *selector)
{
    free(selector->name);
    selector->name = NULL;
}
