/* Which of several devices is taken, and why: functions of what drivers tell of them, without OpenCL. */
#ifndef DEVICE_CHOOSE_H
#define DEVICE_CHOOSE_H

#include <flowcl/device.h>

/* --- quirks.c --- */

/* Fills refused, warning and emulated with the known faults of the device's driver. */
void fcl_quirks_apply(fcl_device_info *info);

/* --- cache.c --- */

/* Sets the cache of a GPU that is known, to what it has at least. */
void fcl_cache_apply(fcl_device_info *info);
/* What the last cache of the device has at most. */
uint64_t fcl_cache_most(const fcl_device_info *info);

/* --- rank.c: an order as a person would have it --- */

/* The vendor whose text stands in the device's vendor or name; FCL_BRAND_OTHER for one without a row. */
typedef enum fcl_brand {
    FCL_BRAND_OTHER,
    FCL_BRAND_NVIDIA,
    FCL_BRAND_AMD,
    FCL_BRAND_INTEL,
    FCL_BRAND_APPLE
} fcl_brand;
fcl_brand fcl_device_brand(const fcl_device_info *info);

/* Above 0: a is to be taken before b; 0: they are alike. */
int fcl_device_rank(const fcl_device_info *a, const fcl_device_info *b);
/* What makes `taken` come before `next`, the best of the others: "the only discrete GPU". */
void fcl_device_rank_reason(const fcl_device_info *taken, const fcl_device_info *next, char *text,
                            size_t size);

/* --- twins.c: one card through two drivers --- */

/* Marks all but the best entry of each card as a twin, with a warning that names the best. */
void fcl_device_find_twins(fcl_device_info *list, int count);

/* --- selector.c: what a text says, before any device is looked for --- */

/* The processes of a machine that share its devices out, and the number of this one; {0, 0}: there is one process. */
typedef struct fcl_local_ranks {
    int rank, count;
} fcl_local_ranks;

typedef struct fcl_selector {
    char *name;      /* what the device is chosen by; "": the best one */
    int parts, part; /* parts 0: the whole device */
    fcl_local_ranks ranks; /* those that the name is for */
} fcl_selector;

/* `text` is a list or one entry, and not NULL; the selector is released by fcl_selector_free, whatever the status. */
int fcl_selector_read(const char *text, fcl_local_ranks ranks, fcl_selector *selector);
void fcl_selector_free(fcl_selector *selector);

/* --- choose.c --- */

/* The index of the device that the selector names, the best where it names several; force admits refused
 * ones. */
int fcl_device_choose(const fcl_device_info *list, int count, const char *selector, bool force, int *chosen);
/* The same for one of several ranks, each of which takes another device. */
int fcl_device_choose_ranked(const fcl_device_info *list, int count, const char *selector, bool force, fcl_local_ranks ranks,
                             int *chosen);
/* Fills why of the chosen device. `source` says who named it: "FLOWCL_DEVICE=gpu"; "" where nobody did. */
void fcl_device_explain(fcl_device_info *list, int count, const char *selector, bool force, int chosen,
                        const char *source);
void fcl_device_explain_rank(fcl_device_info *info, fcl_local_ranks ranks, const char *source);

#endif
