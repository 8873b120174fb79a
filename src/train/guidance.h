/* Classifier-free guidance: a class's velocity, moved away from that of no class. */
#ifndef TRAIN_GUIDANCE_H
#define TRAIN_GUIDANCE_H

#include <flowcl/train.h>

typedef struct fcl_guidance {
    float weight;    /* W; 1: the class's own velocity */
    float low, high; /* times at which it acts, ends included */
} fcl_guidance;

/* Of options that need not have their defaults. FCL_ERR_ARGUMENT: not usable, whatever the model is. */
int fcl_guidance_read(const fcl_sample_options *options, fcl_guidance *by);
/* Whether the model can be asked so. */
int fcl_guidance_check(const fcl_checkpoint_info *info, const fcl_sample_options *options);
/* Whether each evaluation is of a doubled batch. */
bool fcl_guidance_doubles(const fcl_guidance *by);

/* What the network is asked, (2 B, ...): in->x and in->t of a batch of B, twice; and what is made of its answer (2 B, D), that
 * of the rows with their class first. `label` (2 B) is the caller's. */
fcl_velocity_inputs fcl_guidance_ask(const fcl_velocity_inputs *in, fcl_tensor *label);
fcl_tensor *fcl_guidance_answer(const fcl_guidance *by, fcl_tensor *both, fcl_tensor *t);

#endif
