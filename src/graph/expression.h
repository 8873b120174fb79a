/* A formula as nodes of a graph: it fuses, and has derivatives, as if written with the builders. */
#ifndef GRAPH_EXPRESSION_H
#define GRAPH_EXPRESSION_H

#include "base/expression.h"

#include <flowcl/graph.h>

/* `variables` has one tensor a variable of the expression, of shapes that fit (fcl_add); the result has the
 * larger of those that it uses, shape () where it uses none. In single precision: exp, log, probit and their
 * like to a few ulp. Variables that the formula does not use may be NULL. */
fcl_tensor *fcl_expression_build(const fcl_expression *expression, fcl_graph *graph,
                                 fcl_tensor *const *variables);

#endif
