/* What the tile kernels for CPUs have in common in their text: macros before a template of cl/. */
#ifndef DEVICE_TILE_H
#define DEVICE_TILE_H

#include "base/memory.h"

typedef struct fcl_tile_number {
    const char *name;
    int value;
} fcl_tile_number;

/* The list ends with a NULL name. */
void fcl_tile_define(fcl_text *text, const fcl_tile_number *numbers);
void fcl_tile_undefine(fcl_text *text, const fcl_tile_number *numbers);
/* A macro's value is one logical line; NULL is "". */
void fcl_tile_macro(fcl_text *text, const char *name, const char *value);
/* The text of cl/`file`, with its #line. */
void fcl_tile_paste(fcl_text *text, const char *file);

#endif
