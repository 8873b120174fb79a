/* The options of a run: their two tables, taken as one. */
#ifndef TRAIN_OPTIONS_H
#define TRAIN_OPTIONS_H

#include "base/memory.h"

#include <flowcl/train.h>

/* A copy with every default filled in and every text kept in `strings`. FCL_ERR_ARGUMENT: not usable. `sample`: the shape of
 * one, which chooses the model where nobody has; NULL: it is not known yet, and what follows from that choice stays 0. */
int fcl_train_options_fill(const fcl_train_options *given, const fcl_shape *sample, fcl_arena *strings,
                           fcl_train_options *filled);

/* Sets what follows from other options and is in no table: that the model knows a label of no class. */
void fcl_train_options_settle(fcl_train_options *filled);

/* The configuration as JSON, for a checkpoint; released by fcl_free. */
char *fcl_train_options_json(const fcl_train_options *options);

/* FCL_ERR_ARGUMENT names the first option that a resumed run may not change but did: what would make it another model.
 * `where` is the checkpoint's path. Of the data, which are known by their content, nothing is compared. */
int fcl_train_options_compare(const fcl_train_options *saved, const fcl_train_options *given,
                              const char *where);
/* The same of one option alone. */
int fcl_train_options_compare_one(const fcl_train_options *saved, const fcl_train_options *given, const char *key,
                                  const char *where);

/* FCL_ERR_ARGUMENT names the first option of the model that differs. */
int fcl_train_options_compare_model(const fcl_train_options *saved, const fcl_train_options *given, const char *where);

/* What of the options is the learner's. */
fcl_learner_options fcl_train_learner_options(const fcl_train_options *options);

#endif
