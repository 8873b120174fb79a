/* The options of sampling in a subcommand that gives some of them another default or meaning. */
#ifndef SAMPLE_ROWS_H
#define SAMPLE_ROWS_H

#include "tool.h"

typedef struct sample_change {
    const char *key;
    const char *fallback, *help; /* NULL: as it is */
    bool left_out;
    const char *(*choice)(int index), *(*choice_help)(int index); /* NULL: as they are */
} sample_change;

enum { SAMPLE_ROWS = 32 };

/* The rows of fcl_sample_table, changed; `changes` ends with a NULL key. */
void sample_rows_fill(fcl_option rows[SAMPLE_ROWS], const sample_change *changes);

#endif
