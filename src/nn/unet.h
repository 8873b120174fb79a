/* What the files of the U-Net share. */
#ifndef NN_UNET_H
#define NN_UNET_H

#include "nn/model.h"

enum { FCL_UNET_LEVELS = 8, FCL_UNET_GROUPS = 32 /* of its norms */ };

/* How it goes from one size of the picture to the next. */
typedef enum fcl_unet_resample { FCL_UNET_BY_CONV, FCL_UNET_BY_POOL, FCL_UNET_BY_BLOCK } fcl_unet_resample;

fcl_unet_resample fcl_unet_resample_of(const fcl_model_options *options);

/* Level 0 has the picture's own size, each other one half of that before. */
typedef struct fcl_unet_plan {
    int levels;
    int64_t channels[FCL_UNET_LEVELS], height[FCL_UNET_LEVELS];
    bool attends[FCL_UNET_LEVELS];
} fcl_unet_plan;

/* A sample as (channels, height, width): one of (height, width) has one channel. */
fcl_shape fcl_unet_picture(fcl_shape sample);

/* What options alone can have wrong; and the plan for pictures of such a shape. FCL_ERR_ARGUMENT. */
int fcl_unet_check(const fcl_model_options *options);
int fcl_unet_plan_make(const fcl_model_options *options, fcl_shape picture, fcl_unet_plan *plan);
/* Of attention to so many channels. */
int fcl_unet_heads(const fcl_model_options *options, int64_t channels);

#endif
