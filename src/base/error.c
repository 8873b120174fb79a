#include "base/error.h"

#include <flowcl/flowcl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_SIZE = 4096 };
static _Thread_local char message[MESSAGE_SIZE];

const char *fcl_version(void)
{
    return FCL_VERSION;
}

const char *fcl_error(void)
{
    return message;
}

int fcl_fail(int status, const char *format, ...)
{
    /* An argument may be the old message itself, so the new one is written aside first. */
    char fresh[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    fcl_vsnprintf(fresh, sizeof fresh, format, args);
    va_end(args);
    memcpy(message, fresh, sizeof message);
    return status;
}

int fcl_fail_within(int status, const char *format, ...)
{
    char prefix[512];
    va_list args;
    va_start(args, format);
    fcl_vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    return fcl_fail(status, "%s: %s", prefix, message);
}

static const struct {
    const char *name;
    const char *text;
} statuses[] = {
#define X(code, text) {#code, text},
    FCL_ERRORS(X)
#undef X
};

static bool status_known(int status)
{
    return status >= 0 && (size_t)status < sizeof statuses / sizeof *statuses;
}

const char *fcl_status_name(int status)
{
    return status_known(status) ? statuses[status].name : "unknown";
}

const char *fcl_status_text(int status)
{
    return status_known(status) ? statuses[status].text : "unknown";
}

void fcl_free(void *memory)
{
    free(memory);
}
