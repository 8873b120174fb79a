#include <flowcl/text.h>

#include "base/locale.h"

#include <stdlib.h>

int fcl_vfprintf(FILE *stream, const char *format, va_list arguments)
{
    fcl_locale locale = fcl_locale_enter();
    int length = vfprintf(stream, format, arguments);
    fcl_locale_leave(locale);
    return length;
}

int fcl_vsnprintf(char *text, size_t size, const char *format, va_list arguments)
{
    fcl_locale locale = fcl_locale_enter();
    int length = vsnprintf(text, size, format, arguments);
    fcl_locale_leave(locale);
    return length;
}

int fcl_printf(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = fcl_vfprintf(stdout, format, arguments);
    va_end(arguments);
    return length;
}

int fcl_fprintf(FILE *stream, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = fcl_vfprintf(stream, format, arguments);
    va_end(arguments);
    return length;
}

int fcl_snprintf(char *text, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = fcl_vsnprintf(text, size, format, arguments);
    va_end(arguments);
    return length;
}

double fcl_strtod(const char *text, char **end)
{
    fcl_locale locale = fcl_locale_enter();
    double number = strtod(text, end);
    fcl_locale_leave(locale);
    return number;
}

float fcl_strtof(const char *text, char **end)
{
    fcl_locale locale = fcl_locale_enter();
    float number = strtof(text, end);
    fcl_locale_leave(locale);
    return number;
}
