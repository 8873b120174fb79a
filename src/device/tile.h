/* What the tile kernels for CPUs have in common: counts, registers, and in their text the macros before a template of cl/. */
#ifndef DEVICE_TILE_H
#define DEVICE_TILE_H

#include "base/memory.h"

#include <flowcl/device.h>

/* Tiles of that size which cover `whole`. */
int fcl_tile_count(int whole, int size);
/* Rows and float16 vectors of a convolution's register tile that the device's registers hold, for so many columns. */
void fcl_tile_registers(const fcl_device_info *info, int columns, int *rows, int *vectors);

typedef struct fcl_tile_number {
    const char *name;
    int value;
} fcl_tile_number;

/* The list ends with a NULL name. */
void fcl_tile_define(fcl_text *text, const fcl_tile_number *numbers);
void fcl_tile_undefine(fcl_text *text, const fcl_tile_number *numbers);
/* A macro's value is one logical line; NULL is "". */
void fcl_tile_macro(fcl_text *text, const char *name, const char *value);
/* The macros PREFIX_NAME of a kernel, PREFIX_APART of the function that it calls, PREFIX_PARAMS of what both take beside their
 * own, and PREFIX_ARGUMENTS, the names of these. */
void fcl_tile_kernel(fcl_text *text, const char *prefix, const char *name, const char *params);
/* The text of cl/`file`, with its #line. */
void fcl_tile_paste(fcl_text *text, const char *file);

#endif
