/* Inside formulas: making terms. Each function simplifies what numbers let it: 0 + a is a, 2 * 3 is 6. */
#ifndef BASE_EXPRESSION_TERM_H
#define BASE_EXPRESSION_TERM_H

#include "base/expression.h"
#include "base/memory.h"

struct fcl_expression {
    fcl_arena arena;
    const fcl_term **term; /* parts before what they are part of; the last one is the root */
    int terms;
    char **variables; /* their names, ends with NULL */
    int count;        /* of variables */
};

/* The name by which a function is called, NULL for what is written otherwise; how many parts a term has. */
const char *fcl_term_function(fcl_expression_op op);
int fcl_term_parts(fcl_expression_op op);
/* About what an operation with `b` as its second part adds to the time that a kernel takes to compile, in sums. */
int fcl_term_weight(fcl_expression_op op, const fcl_term *b);

/* An expression without terms, and what makes it one: the root, of terms from its arena. */
fcl_expression *fcl_expression_create(const char *const *variables);
void fcl_expression_finish(fcl_expression *expression, const fcl_term *root);

const fcl_term *fcl_term_number(fcl_arena *arena, double number);
const fcl_term *fcl_term_variable(fcl_arena *arena, int variable);
/* The same term of other parts. */
const fcl_term *fcl_term_copy(fcl_arena *arena, const fcl_term *term, const fcl_term *const part[3]);
/* Unused parts are NULL. */
const fcl_term *fcl_term_make(fcl_arena *arena, fcl_expression_op op, const fcl_term *a, const fcl_term *b,
                              const fcl_term *c);

#endif
