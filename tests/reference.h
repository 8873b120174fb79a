/* Every operation in plain C and double precision, from its definition: what the devices are held against. */
#ifndef TESTS_REFERENCE_H
#define TESTS_REFERENCE_H

#include "op/op.h"

typedef struct reference reference;

/* A value for each node that the graph has now. */
reference *reference_create(const fcl_graph *graph);
void reference_destroy(reference **r);

/* A node's value, fcl_shape_size numbers; those of leaves are for the caller to fill. */
double *reference_value(const reference *r, const fcl_tensor *node);

/* Computes all other nodes. Assignments are left alone. The second: only those from `first` up to before `end`, by their
 * number, where no others have changed. */
void reference_run(reference *r);
void reference_run_part(reference *r, int first, int end);

/* How far from a node's value a device may be, as bound.h tells; computed, beside the values, by the second. Those of leaves
 * are zeros, or the caller's. */
double *reference_error(const reference *r, const fcl_tensor *node);
void reference_run_with_errors(reference *r);

/* Is there a definition for the operation? */
bool reference_knows(const char *op);

#endif
