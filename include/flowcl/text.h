/* flowcl/text.h: numbers as text, the same whatever the process's locale is.
 *
 * After setlocale(LC_ALL, "") C's printf may write a half as "0,5" and strtod end at the point of "0.5". These
 * are C's functions of the same names, with a decimal point always: all text that the library makes or reads
 * goes through them, and what reads it or writes it for the library does well to use them, too. A setlocale in
 * another thread does not disturb them. */
#ifndef FLOWCL_TEXT_H
#define FLOWCL_TEXT_H

#include <flowcl/base.h>
#include <stdarg.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FCL_PRINTF(at, from) __attribute__((format(printf, at, from)))

FCL_API int fcl_printf(const char *format, ...) FCL_PRINTF(1, 2);
FCL_API int fcl_fprintf(FILE *stream, const char *format, ...) FCL_PRINTF(2, 3);
FCL_API int fcl_vfprintf(FILE *stream, const char *format, va_list arguments) FCL_PRINTF(2, 0);
FCL_API int fcl_snprintf(char *text, size_t size, const char *format, ...) FCL_PRINTF(3, 4);
FCL_API int fcl_vsnprintf(char *text, size_t size, const char *format, va_list arguments) FCL_PRINTF(3, 0);

FCL_API double fcl_strtod(const char *text, char **end);
FCL_API float fcl_strtof(const char *text, char **end);

/* Text that came from a file or an argument, as it may go to a terminal: control characters, bytes that are no UTF-8,
 * and what separates lines or turns the direction of writing are written out, as \n, \x1b or \u009b. What needs none
 * of it, and its own result, stay as they are. fcl_error() is such text already. Released by fcl_free. */
FCL_API char *fcl_plain(const char *text);

#ifdef __cplusplus
}
#endif

#endif
