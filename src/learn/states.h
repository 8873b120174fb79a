/* The flat buffers of learners in a safetensors file: a tensor for each slice and state, in the file's order of
 * dimensions (nn/params.h). What else a file says is its writer's. */
#ifndef LEARN_STATES_H
#define LEARN_STATES_H

#include "learn/averages.h"
#include "learn/safetensors.h"

#include <flowcl/nn.h>

/* The flat buffers, in the order of the file. Behind those that most learners have come the averages beside the first. */
typedef enum fcl_state {
    FCL_STATE_WEIGHTS,
    FCL_STATE_EMA,
    FCL_STATE_M,
    FCL_STATE_V,
    FCL_STATES,
    FCL_STATE_FURTHER = FCL_STATES,
    FCL_ALL_STATES = FCL_STATE_FURTHER + FCL_AVERAGES - 1
} fcl_state;

/* That of the index-th average. */
static inline fcl_state fcl_state_average(int index)
{
    return index == 0 ? FCL_STATE_EMA : (fcl_state)(FCL_STATE_FURTHER + index - 1);
}

extern const char *const fcl_state_prefix[FCL_STATES]; /* of a slice's name: "", "ema.", ...; "ema.0.9999." of the others */
/* How many of the slices it has under its prefix: frozen ones stand once, with the weights. */
int fcl_state_slices(const fcl_params *params, fcl_state state);

/* FCL_ERR_ARGUMENT: a slice's name begins with the prefix of a state, or with that of an average behind "ema.". */
int fcl_states_check_names(const fcl_params *params, const fcl_averages *averages);

/* One learner's. */
typedef struct fcl_states {
    const char *name; /* stands with a point between prefix and slice, "ema.critic.w"; "": nothing does */
    const fcl_params *params;
    fcl_averages averages; /* the others have their decay in their names */
    int64_t step;
    fcl_buffer *buffer[FCL_ALL_STATES]; /* NULL: it has none; not looked at where a file is read */
} fcl_states;

/* --- writing --- */

/* A file's tensors, before it is written. */
typedef struct fcl_state_tensors fcl_state_tensors;

/* In the order of learners, states and slices. */
int fcl_state_tensors_create(int count, const fcl_states *states, fcl_state_tensors **tensors);
void fcl_state_tensors_destroy(fcl_state_tensors **tensors);
/* FCL_ERR_NUMERIC names the first that has a number that is not finite. */
int fcl_state_tensors_check(fcl_state_tensors *tensors);
/* Their checksum, once each number was looked at. FCL_ERR_NUMERIC names one that is not finite. */
int fcl_state_tensors_sum(fcl_state_tensors *tensors, uint32_t *sum);
/* FCL_ERR_ARGUMENT: two would have one name. */
int fcl_state_tensors_write(fcl_state_tensors *tensors, const char *path, json_t *metadata);

/* --- reading --- */

/* NULL: there is none. */
const fcl_safetensor *fcl_states_find(const fcl_safetensors *file, const fcl_states *states, fcl_state state,
                                      const fcl_param *slice);
/* Whether all of a state is there, in the shapes of the slices; adds their number to *found. FCL_ERR_FORMAT: "WHERE
 * FAULT: it lacks tensor ...". */
int fcl_states_check(const fcl_safetensors *file, const char *where, const char *fault, const fcl_states *states,
                     fcl_state state, int *found);
/* The same of every state that a file of such averages has. */
int fcl_states_check_all(const fcl_safetensors *file, const char *where, const char *fault, const fcl_states *states,
                         int *found);
/* What of a file of such averages goes on as the state of a learner that has those of `now`: the weights, where an average
 * begins. */
fcl_state fcl_states_origin(const fcl_averages *file, const fcl_averages *now, fcl_state state);
/* The checksum of the tensors, wherever they lie in the file; those that are not there are left out. */
uint32_t fcl_states_sum(const fcl_safetensors *file, int count, const fcl_states *states);
/* Writes a state, all of which is there, to a flat buffer. */
int fcl_states_load(const fcl_safetensors *file, const fcl_states *states, fcl_state state, fcl_buffer *flat);

/* --- the checksum --- */

/* As it stands in the metadata under "crc32": of the tensors' bytes, in the order in which they are written, continued
 * over what the metadata says under `keys`. It does not depend on where tensors lie in the file, nor on what others add
 * to the metadata: what another program loads and saves again keeps it. `data_sum` is crc32 of the former. */
typedef struct fcl_sum_text {
    char text[9];
} fcl_sum_text;
fcl_sum_text fcl_metadata_sum(uint32_t data_sum, const json_t *metadata, int count, const char *const *keys);

#endif
