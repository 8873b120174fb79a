#include "learn/states.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/graph.h"
#include "nn/params.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

const char *const fcl_state_prefix[FCL_STATES] = {
    [FCL_STATE_WEIGHTS] = "",
    [FCL_STATE_EMA] = "ema.",
    [FCL_STATE_M] = "adam.m.",
    [FCL_STATE_V] = "adam.v.",
};

int fcl_state_slices(const fcl_params *params, fcl_state state)
{
    return state == FCL_STATE_WEIGHTS ? fcl_params_count(params) : fcl_params_trained(params);
}

static int check_average_name(const char *name, const fcl_averages *averages)
{
    for (int i = 1; i < averages->count; i++) {
        fcl_decay_text decay = fcl_average_text(averages->decay[i]);
        size_t length = strlen(decay.text);
        if (strncmp(name, decay.text, length) == 0 && name[length] == '.')
            return fcl_fail(FCL_ERR_ARGUMENT,
                            "parameters: the name %s cannot begin with \"%s.\" beside an average of that decay, whose "
                            "names in a file begin with \"ema.%s.\"",
                            name, decay.text, decay.text);
    }
    return FCL_OK;
}

int fcl_states_check_names(const fcl_params *params, const fcl_averages *averages)
{
    for (int i = 0; i < fcl_params_count(params); i++) {
        const char *name = fcl_params_at(params, i)->name;
        for (fcl_state state = FCL_STATE_WEIGHTS + 1; state < FCL_STATES; state++)
            if (strncmp(name, fcl_state_prefix[state], strlen(fcl_state_prefix[state])) == 0)
                return fcl_fail(FCL_ERR_ARGUMENT,
                                "parameters: the name %s cannot begin with \"%s\", as that of an average or "
                                "a moment does in a file",
                                name, fcl_state_prefix[state]);
        FCL_TRY(check_average_name(name, averages));
    }
    return FCL_OK;
}

static char *name_of(const fcl_states *states, fcl_state state, const fcl_param *slice)
{
    const char *point = *states->name ? "." : "";
    if (state < FCL_STATE_FURTHER)
        return fcl_format("%s%s%s%s", fcl_state_prefix[state], states->name, point, slice->name);
    fcl_decay_text decay = fcl_average_text(states->averages.decay[1 + state - FCL_STATE_FURTHER]);
    return fcl_format("%s%s.%s%s%s", fcl_state_prefix[FCL_STATE_EMA], decay.text, states->name, point, slice->name);
}

/* Whether the learner may have it: averages are as many as there are decays; the first may be one of none. */
static bool may_have(const fcl_states *states, fcl_state state)
{
    return state < FCL_STATE_FURTHER || 1 + (int)(state - FCL_STATE_FURTHER) < states->averages.count;
}

/* --- writing --- */

/* Where a tensor's values are on the device. */
typedef struct place {
    fcl_buffer *buffer;
    const fcl_param *slice;
    int64_t step;
} place;

struct fcl_state_tensors {
    fcl_safetensor *tensors; /* own their names */
    place *places;           /* one each */
    int count;
    float *values, *placed; /* of one tensor, in the file's order and ours: a whole state need not fit into the host */
};

static void add_state(fcl_state_tensors *held, const fcl_states *states, fcl_state state)
{
    for (int i = 0; states->buffer[state] && may_have(states, state) && i < fcl_state_slices(states->params, state); i++) {
        const fcl_param *slice = fcl_params_at(states->params, i);
        held->places[held->count] = (place){states->buffer[state], slice, states->step};
        held->tensors[held->count++] = (fcl_safetensor){
            .name = name_of(states, state, slice),
            .shape = fcl_param_file_shape(slice),
            .bytes = (size_t)fcl_shape_size(slice->shape) * sizeof(float),
        };
    }
}

int fcl_state_tensors_create(int count, const fcl_states *states, fcl_state_tensors **tensors)
{
    fcl_state_tensors *held = *tensors = fcl_zalloc(sizeof *held);
    size_t most = 0, largest = 1;
    for (int i = 0; i < count; i++)
        most += FCL_ALL_STATES * (size_t)fcl_params_count(states[i].params);
    held->tensors = fcl_zalloc(most * sizeof *held->tensors);
    held->places = fcl_zalloc(most * sizeof *held->places);
    for (int i = 0; i < count; i++)
        for (fcl_state state = 0; state < FCL_ALL_STATES; state++)
            add_state(held, &states[i], state);
    for (int i = 0; i < held->count; i++)
        largest = held->tensors[i].bytes > largest ? held->tensors[i].bytes : largest;
    held->values = malloc(largest);
    held->placed = malloc(largest);
    if (held->values && held->placed)
        return FCL_OK;
    fcl_state_tensors_destroy(tensors);
    return fcl_fail(FCL_ERR_MEMORY, "no memory for the %zu bytes of a model's largest tensor", 2 * largest);
}

void fcl_state_tensors_destroy(fcl_state_tensors **tensors)
{
    fcl_state_tensors *dying = *tensors;
    if (!dying)
        return;
    for (int i = 0; i < dying->count; i++)
        free((char *)dying->tensors[i].name);
    free(dying->values);
    free(dying->placed);
    free(dying->places);
    free(dying->tensors);
    free(dying);
    *tensors = NULL;
}

static int read_tensor(void *from, int index, const void **values)
{
    fcl_state_tensors *held = from;
    const place *at = &held->places[index];
    FCL_TRY(fcl_buffer_read(at->buffer, at->slice->offset, held->tensors[index].bytes, held->placed));
    fcl_param_to_file(at->slice, held->placed, held->values);
    *values = held->values;
    return FCL_OK;
}

/* Into tensors->values. */
static int read_finite(fcl_state_tensors *tensors, int index, const void **bytes)
{
    const fcl_safetensor *tensor = &tensors->tensors[index];
    FCL_TRY(read_tensor(tensors, index, bytes));
    for (size_t e = 0; e < tensor->bytes / sizeof(float); e++)
        if (!isfinite(tensors->values[e]))
            return fcl_fail(FCL_ERR_NUMERIC, "%s became %g by step %lld", tensor->name, (double)tensors->values[e],
                            (long long)tensors->places[index].step);
    return FCL_OK;
}

int fcl_state_tensors_check(fcl_state_tensors *tensors)
{
    const void *bytes;
    for (int i = 0; i < tensors->count; i++)
        FCL_TRY(read_finite(tensors, i, &bytes));
    return FCL_OK;
}

int fcl_state_tensors_sum(fcl_state_tensors *tensors, uint32_t *sum)
{
    uLong running = crc32(0, NULL, 0);
    for (int i = 0; i < tensors->count; i++) {
        const fcl_safetensor *tensor = &tensors->tensors[i];
        const void *bytes;
        int status = read_finite(tensors, i, &bytes);
        if (status != FCL_OK)
            return status == FCL_ERR_NUMERIC ? fcl_fail(status, "%s; nothing was saved", fcl_error()) : status;
        running = crc32_z(running, bytes, tensor->bytes);
    }
    *sum = (uint32_t)running;
    return FCL_OK;
}

int fcl_state_tensors_write(fcl_state_tensors *tensors, const char *path, json_t *metadata)
{
    return fcl_safetensors_write(path, metadata, tensors->count, tensors->tensors, read_tensor, tensors);
}

/* --- reading --- */

const fcl_safetensor *fcl_states_find(const fcl_safetensors *file, const fcl_states *states, fcl_state state,
                                      const fcl_param *slice)
{
    char *name = name_of(states, state, slice);
    const fcl_safetensor *tensor = fcl_safetensors_find(file, name);
    free(name);
    return tensor;
}

int fcl_states_check(const fcl_safetensors *file, const char *where, const char *fault, const fcl_states *states,
                     fcl_state state, int *found)
{
    for (int i = 0; i < fcl_state_slices(states->params, state); i++) {
        const fcl_param *slice = fcl_params_at(states->params, i);
        const fcl_safetensor *tensor = fcl_states_find(file, states, state, slice);
        if (!tensor || !fcl_shape_equal(tensor->shape, fcl_param_file_shape(slice))) {
            char *name = name_of(states, state, slice);
            int status = fcl_fail(FCL_ERR_FORMAT, "%s %s: it %s tensor \"%s\"", where, fault,
                                  tensor ? "has another shape of" : "lacks", name);
            free(name);
            return status;
        }
        (*found)++;
    }
    return FCL_OK;
}

int fcl_states_check_all(const fcl_safetensors *file, const char *where, const char *fault, const fcl_states *states,
                         int *found)
{
    for (fcl_state state = 0; state < FCL_ALL_STATES; state++)
        if (state == FCL_STATE_EMA ? states->averages.count > 0 : may_have(states, state))
            FCL_TRY(fcl_states_check(file, where, fault, states, state, found));
    return FCL_OK;
}

fcl_state fcl_states_origin(const fcl_averages *file, const fcl_averages *now, fcl_state state)
{
    if (state != FCL_STATE_EMA && state < FCL_STATE_FURTHER)
        return state;
    int origin = fcl_averages_origin(file, now, state == FCL_STATE_EMA ? 0 : 1 + (int)(state - FCL_STATE_FURTHER));
    return origin < 0 ? FCL_STATE_WEIGHTS : fcl_state_average(origin);
}

uint32_t fcl_states_sum(const fcl_safetensors *file, int count, const fcl_states *states)
{
    uLong sum = crc32(0, NULL, 0);
    for (int k = 0; k < count; k++) {
        for (fcl_state state = 0; state < FCL_ALL_STATES; state++) {
            for (int i = 0; may_have(&states[k], state) && i < fcl_state_slices(states[k].params, state); i++) {
                const fcl_safetensor *tensor =
                    fcl_states_find(file, &states[k], state, fcl_params_at(states[k].params, i));
                if (tensor) /* there may be no averages */
                    sum = crc32_z(sum, tensor->data, tensor->bytes);
            }
        }
    }
    return (uint32_t)sum;
}

int fcl_states_load(const fcl_safetensors *file, const fcl_states *states, fcl_state state, fcl_buffer *flat)
{
    const fcl_params *params = states->params;
    size_t bytes = fcl_params_bytes(params);
    char *values = calloc(1, bytes);
    if (!values)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the %zu bytes of a model", bytes);
    for (int i = 0; i < fcl_params_count(params); i++) {
        const fcl_param *slice = fcl_params_at(params, i);
        bool average = state == FCL_STATE_EMA || state >= FCL_STATE_FURTHER;
        bool frozen_average = average && slice->frozen; /* stands once, with the weights */
        if (i < fcl_state_slices(params, state) || frozen_average) {
            fcl_state of = frozen_average ? FCL_STATE_WEIGHTS : state;
            const fcl_safetensor *tensor = fcl_states_find(file, states, of, slice);
            fcl_param_from_file(slice, tensor->data, (float *)(void *)(values + slice->offset));
        }
    }
    int status = fcl_buffer_write(flat, 0, bytes, values);
    free(values);
    return status;
}

/* --- the checksum --- */

fcl_sum_text fcl_metadata_sum(uint32_t data_sum, const json_t *metadata, int count, const char *const *keys)
{
    uLong sum = data_sum;
    for (int i = 0; i < count; i++) {
        const char *text = json_string_value(json_object_get(metadata, keys[i]));
        if (text) {
            sum = crc32_z(sum, (const Bytef *)keys[i], strlen(keys[i]) + 1);
            sum = crc32_z(sum, (const Bytef *)text, strlen(text) + 1);
        }
    }
    fcl_sum_text result;
    snprintf(result.text, sizeof result.text, "%08" PRIx32, (uint32_t)sum);
    return result;
}
