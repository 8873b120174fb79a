/* Kinds of kernels: what becomes of a step. A row says what it offers, and writes and launches it. */
#ifndef COMPILE_KIND_H
#define COMPILE_KIND_H

#include "compile/lowering.h"

typedef struct fcl_kind {
    const char *name;                 /* begins its steps' labels in profiles; "": they need none */
    bool (*is)(const fcl_step *step); /* the first row that says so is the step's kind */
    bool takes_members; /* elementwise nodes that follow: more of a chain, a product's epilogue */
    bool wide;          /* its text has the wide vectors of CPUs on any device */
    void (*prelude)(fcl_text *text, const fcl_plan *plan); /* what its headers are told by macros; NULL: nothing */
    const char *const *headers; /* of cl/, beside math.h; NULL: none, else ends with NULL */
    size_t (*scratch)(const fcl_plan *plan, const fcl_step *step); /* bytes; NULL: none */
    /* What its kernel reads, stores and does, and the kernel's text; NULL: its kernels are the library's or a provider's */
    void (*generate)(const fcl_plan *plan, const fcl_step *step, fcl_generated *generated);
    void (*text)(fcl_text *text, const fcl_plan *plan, const fcl_step *step, const fcl_generated *generated,
                 const char *name);
    /* Sets the arguments and the range of `launch`, the kernel's; without a text there is none. Appends what else it takes. */
    int (*lower)(fcl_lowering *lowering, const fcl_step *step, const fcl_generated *generated, fcl_launch *launch,
                 const char *kernel);
} fcl_kind;

/* Is the node, a convolution or not, one that the kernels of device/conv.h compute? Then `choice` says whose. */
bool fcl_choose_conv(const fcl_plan *plan, const fcl_tensor *node, fcl_gemm_choice *choice);

const fcl_kind *fcl_kind_of(const fcl_step *step);

#endif
