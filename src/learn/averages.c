#include "learn/averages.h"

#include "base/error.h"
#include "base/memory.h"

#include <flowcl/text.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const float most_decay = 0.9999999f;

static int refuse(const char *text, const char *fault)
{
    return fcl_fail(FCL_ERR_ARGUMENT,
                    "ema: \"%.80s\" %s: expected a decay above 0 and up to 0.9999999, up to four as 0.999,0.9999, or off",
                    text, fault);
}

/* The number up to a comma or the end; *text goes behind the comma, or is NULL. */
static bool take_decay(const char **text, float *decay)
{
    size_t length = strspn(*text, "0123456789+-.eE");
    char after = (*text)[length], *end;
    *decay = length ? fcl_strtof(*text, &end) : 0;
    if (!length || end != *text + length || (after && after != ','))
        return false;
    *text = after ? *text + length + 1 : NULL;
    return true;
}

static bool is_off(const char *text)
{
    float decay;
    return strcasecmp(text, "off") == 0 || (take_decay(&text, &decay) && !text && decay == 0);
}

int fcl_averages_read(const char *text, fcl_averages *averages)
{
    *averages = (fcl_averages){0};
    if (!text || is_off(text))
        return FCL_OK;
    for (const char *rest = text; rest;) {
        float decay;
        if (!take_decay(&rest, &decay) || !(decay > 0 && decay <= most_decay))
            return refuse(text, "is not usable");
        for (int i = 0; i < averages->count; i++)
            if (averages->decay[i] == decay)
                return refuse(text, "has a decay twice");
        if (averages->count == FCL_AVERAGES)
            return refuse(text, "has more than four");
        averages->decay[averages->count++] = decay;
    }
    return FCL_OK;
}

fcl_decay_text fcl_average_text(float decay)
{
    fcl_decay_text text;
    fcl_number_text((double)decay, true, text.text);
    return text;
}

char *fcl_averages_text(const fcl_averages *averages)
{
    fcl_text text = {0};
    for (int i = 0; i < averages->count; i++)
        fcl_text_format(&text, "%s%s", i ? "," : "", fcl_average_text(averages->decay[i]).text);
    return text.data ? text.data : fcl_strdup("");
}

int fcl_averages_origin(const fcl_averages *file, const fcl_averages *now, int index)
{
    for (int i = 0; i < file->count; i++)
        if (file->decay[i] == now->decay[index])
            return i;
    bool alone = file->count == 1 && (now->count == 1 || (index == 0 && file->decay[0] == 0));
    return alone ? 0 : -1;
}
