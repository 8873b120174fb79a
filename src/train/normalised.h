/* What data were normalised by, in a checkpoint: the metadata's "normalisation", an object of the lists
 * "centre" and "scale" and of "low" and "high". */
#ifndef TRAIN_NORMALISED_H
#define TRAIN_NORMALISED_H

#include "learn/safetensors.h"

#include <flowcl/normalise.h>

void fcl_normalised_write(const fcl_normalisation *by, json_t *metadata);
/* Of samples of `size` numbers. Where the file does not tell, numbers stay as they are. False: it is not
 * usable. */
bool fcl_normalised_read(const fcl_safetensors *file, int64_t size, fcl_normalisation **by);

/* Whether numbers become the same by both. */
bool fcl_normalised_alike(const fcl_normalisation *a, const fcl_normalisation *b);
fcl_normalisation *fcl_normalised_copy(const fcl_normalisation *by);

#endif
