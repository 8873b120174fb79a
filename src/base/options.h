/* The inside of fcl_options, shared by the files that read and write it. */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include "base/memory.h"
#include <flowcl/options.h>

typedef struct fcl_option_binding {
    const fcl_option *table, *row;
    void *values;      /* the struct that row->offset counts into */
    const char *group; /* the row's own or inherited heading; never NULL */
    fcl_option_source source;
} fcl_option_binding;

struct fcl_options {
    fcl_arena strings;
    fcl_option_binding *bindings;
    int count;
};

/* The binding of a key given as `length` characters, '-' and '_' being the same; NULL if there is none. */
fcl_option_binding *fcl_options_find(const fcl_options *options, const char *key, size_t length);

/* FCL_ERR_ARGUMENT: there is no such key. The message names the nearest one; `dashes` ("--" or "") stands
 * before keys in it. */
int fcl_options_unknown(const fcl_options *options, const char *key, const char *dashes);

/* Sets a value unless a later source has set it; the text is checked all the same. The message of a failure
 * opens with the value, not with the key. */
int fcl_options_assign(fcl_options *options, fcl_option_binding *binding, const char *text,
                       fcl_option_source source);

/* An option that is there, as it is there. */
typedef struct fcl_option_shown {
    fcl_option row;
    const void *values;
    const char *group;
    bool open; /* fcl_option_is_open */
} fcl_option_shown;

/* Fills `ordered`, which has room for options->count, by group: groups in the order of their first row,
 * rows as bound; those that a choice does not read are left out. Returns how many. */
int fcl_options_order(const fcl_options *options, fcl_option_shown *ordered);

#endif
