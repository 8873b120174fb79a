/* The table of measured choices for matrix products: one file a device, read once when it is opened. */
#ifndef DEVICE_TUNED_H
#define DEVICE_TUNED_H

#include "device/gemm.h"

typedef struct fcl_tuned {
    fcl_gemm_problem problem;
    fcl_gemm_choice choice;
    double seconds, rule_seconds; /* of one product: measured, for people who read the file */
} fcl_tuned;

typedef struct fcl_tuned_table {
    fcl_tuned *rows; /* at most one a problem */
    int count;
    int *place, places; /* a row's number + 1 at the hash of its problem, or at the next free place; a power of two */
    int clblast_set, clblast_direct; /* of Xgemm's and of XgemmDirect's parameters, by fcl_clblast_set_name; 0: CLBlast's
                                        own */
    int clblast_switch; /* see fcl_tune_indirect_from; 0: by the rule */
} fcl_tuned_table;

/* The choice for a problem: the row nearest to it of those with the same transposes, sharing and batch. The
 * distance is the sum over m, n and k of |log2| of the ratios, none of which may pass two, and a quarter for each
 * matrix that what follows it reads or stores more or less; of equal ones the first row counts. NULL: no row is near. */
const fcl_gemm_choice *fcl_tuned_find(const fcl_tuned_table *table, const fcl_gemm_problem *problem);

/* Adds a row, or puts it in the place of the one with the same problem. */
void fcl_tuned_put(fcl_tuned_table *table, const fcl_tuned *row);
void fcl_tuned_free(fcl_tuned_table *table);

/* Reads the device's table into device->tuned, unless $FLOWCL_TUNE is "off". A table that is damaged, or of
 * another device, driver or library, stays aside, with a sentence in device->info.tuning. */
void fcl_tuned_read(fcl_device *device);
/* Writes a device's table. *path, where it stands, is released by free. */
int fcl_tuned_write(const fcl_device *device, const fcl_tuned_table *table, char **path);

#endif
