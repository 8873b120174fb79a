/* A flat YAML mapping, "key: value" a line, told pair by pair. */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fcl_yaml_scalar {
    const char *text;    /* good during the call */
    bool null;           /* written as ~ or null; the text is "" */
    size_t line, column; /* from 1 */
} fcl_yaml_scalar;

/* Who takes the pairs: first the key alone, so that a key that is wrong is told before its value. */
typedef struct fcl_yaml_taker {
    int (*key)(void *data, const fcl_yaml_scalar *key);
    int (*value)(void *data, const fcl_yaml_scalar *value);
    void *data;
} fcl_yaml_taker;

/* One document with one mapping; a file without a document (comments only) tells nothing. Messages begin with
 * file:line:column. FCL_ERR_FILE, FCL_ERR_FORMAT (not YAML, or not flat), or what the taker returned. */
int fcl_yaml_read(const char *path, const fcl_yaml_taker *taker);

#endif
