/* What a training needs of a device's memory, told before any of it is taken, and what makes it fit. */
#ifndef TRAIN_FIT_H
#define TRAIN_FIT_H

#include "device/rehearsal.h"

#include <flowcl/train.h>

/* What fcl_trainer_create would take, at its peak, beside what is in use. */
int fcl_fit_needs(fcl_device *device, const fcl_dataset *data, const fcl_train_options *options,
                  fcl_room *needs);

/* Of a trainer that has found too little memory, with the options that it was made from: says how much it needs and how much
 * there is, whether data on the host make it fit, the largest batch that fits, and which of the options accumulate and
 * recompute make it fit; all of these were rehearsed. Where the training would have fitted, or the device had not been asked
 * yet, the message stays as it is. The trainer leaves the device, and is to be destroyed. Returns FCL_ERR_MEMORY. */
int fcl_fit_explain(fcl_trainer *failed, const fcl_train_options *options);

/* Of a trainer that knows its data, and has nothing on its device yet: where ranks share a device, all of them rehearse what
 * they need of it together. FCL_ERR_MEMORY on each of those that have too little, with a message as that of fcl_fit_explain,
 * and trainer->room_told. */
int fcl_fit_together(fcl_trainer *trainer);

#endif
