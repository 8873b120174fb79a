/* A table's row as a user names it, with its parameters: "logit-normal", "logit-normal(0.5, 1)". Where a
 * table takes formulas too, any other text that is no plain word is one. */
#ifndef FLOW_CHOICE_H
#define FLOW_CHOICE_H

#include "base/expression.h"

enum { FCL_CHOICE_PARAMETERS = 2, FCL_CHOICE_FORMULA = -1 };

typedef struct fcl_choice_parameter {
    const char *name; /* as the row's formula calls it */
    double fallback;  /* NAN: it must be given */
    double minimum, maximum;
} fcl_choice_parameter;

typedef struct fcl_choice_table {
    const char *what; /* "time law" */
    const char *(*name)(int index);
    const fcl_choice_parameter *(*parameters)(int index); /* up to FCL_CHOICE_PARAMETERS, then a NULL name */
    bool formulas;
} fcl_choice_table;

typedef struct fcl_choice {
    int index;                                          /* of the row, or FCL_CHOICE_FORMULA */
    fcl_parameter parameter[FCL_CHOICE_PARAMETERS + 1]; /* ends with a NULL name */
} fcl_choice;

/* NULL is the first row. `beside` (or NULL) is a parameter that was given elsewhere than in the text; with a
 * value of 0 it was not. FCL_ERR_ARGUMENT: no such row, or a parameter is missing, out of range or one too
 * many. */
int fcl_choice_read(const fcl_choice_table *table, const char *text, const fcl_parameter *beside,
                    fcl_choice *choice);
/* The row as it stands with its parameters, "logit-normal(m = 0, s = 1)"; released by free. */
char *fcl_choice_text(const fcl_choice_table *table, const fcl_choice *choice);

#endif
