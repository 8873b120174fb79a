/* Attention and the rows of its derivatives by their formulas (device/attention.h), for reference.c. */
#ifndef TESTS_REFERENCE_ATTENTION_H
#define TESTS_REFERENCE_ATTENTION_H

#include "bound.h"

/* The values and errors of a node's parts, by their numbers; NULL where it lacks one. */
typedef struct attention_parts {
    double *value[2], *error[2];
} attention_parts;

void reference_attention(const evaluation *e, const attention_parts *parts);
void reference_attention_grad(const evaluation *e, const attention_parts *parts);
void reference_attention_grad_bias(const evaluation *e);
void reference_attention_tangent(const evaluation *e);

#endif
