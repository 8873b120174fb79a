/* JSON in and out. The library behind it looks at the locale for its real numbers; these do not. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>

/* The value, or NULL and why: json_loadb. A key that stands twice is an error. */
json_t *fcl_json_read(const void *text, size_t size, json_error_t *error);

/* Text for free(), or NULL: json_dumps. */
char *fcl_json_text(const json_t *json, size_t flags);

#endif
