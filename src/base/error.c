#include "base/error.h"

#include <flowcl/flowcl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_SIZE = 16384 }; /* of lists of tensors, and logs of compilers */
static _Thread_local char message[MESSAGE_SIZE];

const char *fcl_version(void)
{
    return FCL_VERSION;
}

const char *fcl_error(void)
{
    return message;
}

/* Names and texts from files are in it: they reach a terminal as plain text only. A compiler's log keeps its lines. */
static void set_message(char *text, bool lines)
{
    size_t used = 0;
    message[0] = '\0';
    for (char *end; text; text = end) {
        end = lines ? strchr(text, '\n') : NULL;
        if (end)
            *end++ = '\0';
        char *plain = fcl_plain(text);
        if (used < sizeof message)
            used += (size_t)snprintf(message + used, sizeof message - used, "%s%s", plain, end ? "\n" : "");
        free(plain);
    }
}

int fcl_fail(int status, const char *format, ...)
{
    /* An argument may be the old message itself, so the new one is written aside first. */
    char fresh[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    fcl_vsnprintf(fresh, sizeof fresh, format, args);
    va_end(args);
    set_message(fresh, status == FCL_ERR_BUILD);
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
