/* The table of models: a row is an object in a file of its own. */
#ifndef NN_MODEL_H
#define NN_MODEL_H

#include <flowcl/nn.h>

/* The first one is the default of samples that suit none. */
#define FCL_MODELS(ROW) ROW(mlp) ROW(dit) ROW(unet)

#define FCL_MODEL_OBJECT(name) extern const fcl_model_row fcl_model_##name;
FCL_MODELS(FCL_MODEL_OBJECT)

/* Whether they say which model it is. */
bool fcl_model_is_chosen(const fcl_model_options *options);

/* Whether the row of these options, which have their defaults, has a guess; and the guess. */
bool fcl_model_guesses(const fcl_model_options *options);
int fcl_model_guess(const fcl_model_options *options, fcl_shape (*find)(const void *file, const char *slice),
                    const void *file, fcl_shape *sample, int *classes);

/* The time as a network with a time_scale is told it, before it is multiplied: 1 - t where that is below 0. */
fcl_tensor *fcl_model_counted(const fcl_model *model, fcl_tensor *t);

/* Names of variants: the index-th, NULL past the last (dit.c). */
const char *fcl_dit_norm_name(int index);
const char *fcl_dit_mlp_name(int index);
/* How a U-Net goes from one size to the next: the index-th name, NULL past the last, and what it is. */
const char *fcl_unet_resample_name(int index);
const char *fcl_unet_resample_help(int index);

#endif
