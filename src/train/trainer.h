/* A training run on a device: the step (trainer.c), its graph and buffers (setup.c), going on from a checkpoint
 * (resume.c), and the loop around it (loop.c). */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "base/memory.h"
#include "learn/learner.h"
#include "train/checkpoint.h"
#include "train/held_out.h"
#include "train/neighbours.h"

struct fcl_trainer {
    fcl_device *device;
    const fcl_dataset *data;
    fcl_arena strings;
    fcl_train_options options; /* filled in; texts in `strings` */
    fcl_model *model;
    int64_t *class_counts; /* samples of each class; NULL: without labels */
    fcl_normalisation *normalisation; /* of the data */
    const char *came_from; /* the device of the checkpoint that it was resumed from; NULL: of none */
    const char *begun_with; /* what its first weights are, in words; NULL: random ones */
    const char *measured;  /* options.share, where it is not the caller's; else NULL */
    bool order_chosen;     /* options.shuffle follows from the data, and not from the caller */
    fcl_neighbour *neighbours; /* (ranks) NULL: it is alone, or a rehearsal */
    bool alike;            /* with the other ranks: their devices compute the same bits; also where it is alone */
    bool locked;           /* the caller holds the lock of options.out */
    const char *notes[8];  /* sentences of what is to be told before the first step */
    int note_count;
    bool room_told;  /* its failure's message says already what would fit */
    bool looked;     /* all of the data's normalisation and of the sets beside them is there */
    uint64_t others; /* bytes on the device that were there before it */
    const struct fcl_trainer *lender; /* whose normalisation and sets it borrows; NULL: they are its own */

    fcl_learner *learner; /* of the model's parameters */
    fcl_split split;             /* of the data into what is trained on and what is held out */
    fcl_dataset *source_data;    /* what x0 is drawn from; NULL: N(0, I) */
    fcl_dataset *condition_data; /* of each sample; NULL: none */
    fcl_feed feed;               /* the pairs of a step */
    fcl_held_out *held_out;      /* NULL: nothing is */
    const char *data_content, *source_content, *condition_content; /* see fcl_fingerprint; NULL: none */
    fcl_graph *graph;   /* one part of a step: leaves gradients and loss to the learner */
    char *broken;       /* what was found of a step that is not finite; NULL: none was */
    struct fcl_sampler *sampler; /* of what hooks are shown; NULL: not made yet */
};

/* Makes model, learner and graph of trainer->options. */
int fcl_trainer_setup(fcl_trainer *trainer);
/* Of these, what depends on how data are normalised: where rows come from, who pairs them, the graph. */
int fcl_trainer_build(fcl_trainer *trainer);
int fcl_trainer_build_graph(fcl_trainer *trainer, bool check);
void fcl_trainer_dismantle(fcl_trainer *trainer);

/* Of a trainer that has found too little memory, what it holds of the device: what it knows of the data stays. */
void fcl_trainer_leave_device(fcl_trainer *trainer);
/* fcl_trainer_create for a rehearsal or a trial beside the lender, which has looked at the data already; NULL: nobody has. It
 * does not say what makes it fit. */
int fcl_trainer_create_beside(fcl_device *device, const fcl_trainer *lender, const fcl_dataset *data,
                              const fcl_train_options *options, fcl_trainer **trainer);

/* Part of a step, which leaves its gradient. */
int fcl_trainer_run_part(fcl_trainer *trainer, int64_t step, int part);

/* What of the hooks a rank calls: all but rank 0 ask whether to stop, and nothing else. */
fcl_train_hooks fcl_train_hooks_of(const fcl_train_hooks *hooks, const fcl_ranks *ranks);

/* --- agree.c: with the other ranks; nothing is done for one alone --- */

int fcl_train_options_agree(const fcl_train_options *options);
/* What rank 0 has, which may be NULL, to all, released by free. */
int fcl_train_tell(fcl_ranks *ranks, char **text);
/* Whether all devices are of one kind: trainer->alike. */
int fcl_trainer_compare_devices(fcl_trainer *trainer);
/* Before the first step: data and weights. */
int fcl_trainer_meet(fcl_trainer *trainer);
/* FCL_ERR_DEVICE: on a device of the same kind weights are others. Where devices are unlike, all take the first one's, with
 * moments and averages. */
int fcl_trainer_agree(fcl_trainer *trainer);

/* --- broken.c --- */

/* Behind a run of trainer->graph that looks at its values and has failed: adds to the message which of the part's samples
 * broke, where a value has a row for each. */
void fcl_trainer_name_rows(fcl_trainer *trainer, int64_t step, int part);
/* Of a step that was not finite, with the buffers as it found them: adds to the message what broke first, among weights,
 * averages and moments, then as the step is computed once more, kernel by kernel. Its graph takes the place of
 * trainer->graph, whose memory it may need. Ranks do it together, and all tell what the first of them found whose rows
 * break. Returns FCL_ERR_NUMERIC. */
int fcl_trainer_explain(fcl_trainer *trainer, int64_t step);
/* The step's own graph again, where that was done: before it goes on from a checkpoint, and drops the gradient. */
int fcl_trainer_recover(fcl_trainer *trainer);
/* Has a sentence told before the first step; NULL: none. It is copied. */
void fcl_trainer_note(fcl_trainer *trainer, const char *sentence);

/* How many samples hooks->sampled is handed; 0: it is not called. */
int64_t fcl_trainer_samples(const fcl_trainer *trainer, const fcl_train_hooks *hooks);
/* Makes the sampler of so many samples, where there is none yet: before the first step, so that its memory is known;
 * else when they are first drawn. fcl_trainer_run destroys it. */
int fcl_trainer_prepare_samples(fcl_trainer *trainer, int64_t n);

/* fcl_learner_drain. FCL_ERR_NUMERIC names the first step that was not finite, and what broke: ranks, which all find it, drain
 * together. */
int fcl_trainer_drain(fcl_trainer *trainer);

#endif
