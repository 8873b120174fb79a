/* Learners' files. The metadata has for each its steps, the decays of its averages and a checksum, "critic.step",
 * "critic.ema" and "critic.crc32"; of a learner without a name "step", "ema" and "crc32". */
#include "learn/learner.h"

#include "base/array.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "nn/params.h"

#include <errno.h>
#include <flowcl/flowcl.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT  "flowcl_learners"
#define VERSION "1"
#define STEP    "step"
#define SUM     "crc32"
#define EMA     "ema" /* not there: no average, or, of earlier versions, one of an unknown decay */

static fcl_states states_of(const fcl_learner *learner, const char *name)
{
    fcl_states states = {.name = name, .params = learner->params, .averages = learner->averages, .step = learner->step};
    memcpy(states.buffer, learner->state, sizeof states.buffer);
    return states;
}

/* Released by free. */
static char *key_of(const char *name, const char *what)
{
    return fcl_format("%s%s%s", name, *name ? "." : "", what);
}

static fcl_sum_text sum_of(const char *name, uint32_t data_sum, const json_t *metadata)
{
    char *step = key_of(name, STEP), *ema = key_of(name, EMA);
    fcl_sum_text sum = fcl_metadata_sum(data_sum, metadata, 5, (const char *[]){FORMAT, "library", "device", step, ema});
    free(ema);
    free(step);
    return sum;
}

/* A name is a prefix: it must not make two tensors one. */
static int check_names(int count, const char *const *names)
{
    if (count < 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "a file needs at least one learner");
    for (int i = 0; i < count; i++) {
        if (count > 1 && !*names[i])
            return fcl_fail(FCL_ERR_ARGUMENT, "of several learners in a file each needs a name");
        if (strchr(names[i], '.'))
            return fcl_fail(FCL_ERR_ARGUMENT, "a learner cannot be called %s: a point ends its name", names[i]);
        for (int k = 0; k < i; k++)
            if (strcmp(names[i], names[k]) == 0)
                return fcl_fail(FCL_ERR_ARGUMENT, "two learners of a file are called %s", names[i]);
    }
    return FCL_OK;
}

/* --- saving --- */

static int sum_states(const fcl_states *states, uint32_t *sum)
{
    fcl_state_tensors *tensors;
    FCL_TRY(fcl_state_tensors_create(1, states, &tensors));
    int status = fcl_state_tensors_sum(tensors, sum);
    fcl_state_tensors_destroy(&tensors);
    return status;
}

static int describe(fcl_learner *learner, const fcl_states *states, json_t *metadata)
{
    uint32_t data_sum;
    FCL_TRY(fcl_learner_drain(learner, NULL));
    FCL_TRY(sum_states(states, &data_sum));
    char *step = key_of(states->name, STEP), *ema = key_of(states->name, EMA), *sum = key_of(states->name, SUM);
    char *decays = fcl_averages_text(&states->averages);
    json_object_set_new(metadata, step, json_sprintf("%lld", (long long)states->step));
    if (*decays)
        json_object_set_new(metadata, ema, json_string(decays));
    json_object_set_new(metadata, sum, json_string(sum_of(states->name, data_sum, metadata).text));
    free(decays);
    free(ema);
    free(step);
    free(sum);
    return FCL_OK;
}

static int save(const char *path, int count, fcl_learner *const *learners, const fcl_states *states, json_t *metadata)
{
    fcl_state_tensors *tensors;
    json_object_set_new(metadata, FORMAT, json_string(VERSION));
    json_object_set_new(metadata, "library", json_string(fcl_version()));
    json_object_set_new(metadata, "device", json_string(fcl_device_describe(learners[0]->device)->name));
    for (int i = 0; i < count; i++)
        FCL_TRY(describe(learners[i], &states[i], metadata));
    FCL_TRY(fcl_state_tensors_create(count, states, &tensors));
    int status = fcl_state_tensors_write(tensors, path, metadata);
    fcl_state_tensors_destroy(&tensors);
    return status;
}

int fcl_learners_save(const char *path, int count, fcl_learner *const *learners, const char *const *names)
{
    FCL_TRY(check_names(count, names));
    fcl_states *states = fcl_zalloc((size_t)count * sizeof *states);
    for (int i = 0; i < count; i++)
        states[i] = states_of(learners[i], names[i]);
    json_t *metadata = json_object();
    int status = save(path, count, learners, states, metadata);
    json_decref(metadata);
    free(states);
    return status;
}

int fcl_learner_save(fcl_learner *learner, const char *path)
{
    return fcl_learners_save(path, 1, &learner, (const char *[]){""});
}

/* --- loading --- */

/* A file as it was read. */
typedef struct opened {
    const char *path;
    uint8_t *bytes;
    size_t size;
    fcl_safetensors tensors;
} opened;

static int open_file(const char *path, opened *file)
{
    *file = (opened){.path = path};
    FCL_TRY(fcl_file_read(path, &file->bytes, &file->size));
    int status = fcl_safetensors_parse(file->bytes, file->size, path, &file->tensors);
    if (status != FCL_OK)
        free(file->bytes);
    return status;
}

static void close_file(opened *file)
{
    fcl_safetensors_free(&file->tensors);
    free(file->bytes);
}

static int check_format(const opened *file)
{
    const char *version = fcl_safetensors_metadata(&file->tensors, FORMAT);
    if (!version)
        return fcl_fail(FCL_ERR_FORMAT,
                        "%s is a safetensors file, but not of learners: fcl_learner_begin_with takes its "
                        "weights alone",
                        file->path);
    if (strcmp(version, VERSION) != 0)
        return fcl_fail(FCL_ERR_FORMAT, "%s has version %.20s of the learners' format; this flowcl reads %s",
                        file->path, version, VERSION);
    for (int i = 0; i < file->tensors.count; i++)
        if (file->tensors.tensors[i].type != &fcl_safetensor_f32)
            return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: tensor \"%s\" has dtype %s, where it has F32", file->path,
                            file->tensors.tensors[i].name, file->tensors.tensors[i].type->name);
    return FCL_OK;
}

static bool has_state(const fcl_safetensors *file, const fcl_states *states, fcl_state state)
{
    return fcl_states_find(file, states, state, fcl_params_at(states->params, 0)) != NULL;
}

static int fail_metadata(const opened *file, const char *key)
{
    return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: its metadata has no usable \"%s\"", file->path, key);
}

static int read_averages(const opened *file, fcl_states *states)
{
    char *key = key_of(states->name, EMA);
    const char *text = fcl_safetensors_metadata(&file->tensors, key);
    free(key);
    states->averages = (fcl_averages){.count = has_state(&file->tensors, states, FCL_STATE_EMA)};
    return !text || fcl_averages_read(text, &states->averages) == FCL_OK ? FCL_OK : fail_metadata(file, EMA);
}

static int read_step(const opened *file, const fcl_states *states, int64_t *step)
{
    char *key = key_of(states->name, STEP), *end = NULL;
    const char *text = fcl_safetensors_metadata(&file->tensors, key);
    free(key);
    if (!text)
        return fcl_fail(FCL_ERR_FORMAT, "%s has no learner %s%s", file->path,
                        *states->name ? "called " : "without a name", states->name);
    errno = 0;
    *step = strtoll(text, &end, 10);
    return !errno && end != text && !*end && *step >= 0
               ? FCL_OK
               : fail_metadata(file, STEP);
}

static int check_sum(const opened *file, const fcl_states *states)
{
    char *key = key_of(states->name, SUM);
    const char *text = fcl_safetensors_metadata(&file->tensors, key);
    free(key);
    const json_t *metadata = json_object_get(file->tensors.header, "__metadata__");
    fcl_sum_text sum = sum_of(states->name, fcl_states_sum(&file->tensors, 1, states), metadata);
    return text && strcmp(text, sum.text) == 0
               ? FCL_OK
               : fcl_fail(FCL_ERR_FORMAT, "%s is damaged: its content does not have the checksum %.8s", file->path,
                          text ? text : "");
}

static int check_learner(const opened *file, fcl_states *states, int *found)
{
    FCL_TRY(read_step(file, states, &states->step));
    FCL_TRY(read_averages(file, states));
    FCL_TRY(fcl_states_check_all(&file->tensors, file->path, "does not fit the parameters", states, found));
    return check_sum(file, states);
}

static int count_learners(const fcl_safetensors *file)
{
    int count = 0;
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(file->header, "__metadata__"), key, value)
    {
        const char *end = strrchr(key, '.');
        count += strcmp(end ? end + 1 : key, SUM) == 0;
    }
    return count;
}

static int check(const opened *file, int count, fcl_states *states)
{
    int found = 0;
    FCL_TRY(check_format(file));
    for (int i = 0; i < count; i++)
        FCL_TRY(check_learner(file, &states[i], &found));
    if (count == count_learners(&file->tensors) && found != file->tensors.count)
        return fcl_fail(FCL_ERR_FORMAT, "%s does not fit the parameters: it holds %d tensors where they make %d",
                        file->path, file->tensors.count, found);
    return FCL_OK;
}

static int take(const opened *file, const fcl_states *states, fcl_learner *learner)
{
    for (fcl_state state = 0; state < FCL_ALL_STATES; state++)
        if (learner->state[state])
            FCL_TRY(fcl_states_load(&file->tensors, states, fcl_states_origin(&states->averages, &learner->averages, state),
                                    learner->state[state]));
    return fcl_learner_go_on(learner, states->step);
}

int fcl_learners_load(const char *path, int count, fcl_learner *const *learners, const char *const *names)
{
    opened file;
    FCL_TRY(check_names(count, names));
    FCL_TRY(open_file(path, &file));
    fcl_states *states = fcl_zalloc((size_t)count * sizeof *states);
    for (int i = 0; i < count; i++)
        states[i] = states_of(learners[i], names[i]);
    int status = check(&file, count, states);
    for (int i = 0; i < count && status == FCL_OK; i++)
        status = take(&file, &states[i], learners[i]);
    free(states);
    close_file(&file);
    return status;
}

int fcl_learner_load(fcl_learner *learner, const char *path)
{
    return fcl_learners_load(path, 1, &learner, (const char *[]){""});
}

/* --- weights alone --- */

/* The tensor of a slice as floats, placed in the flat buffer's copy. */
static int take_slice(const opened *file, const fcl_states *states, fcl_state state, const fcl_param *slice, char *flat)
{
    fcl_array *numbers;
    FCL_TRY(fcl_safetensor_floats(fcl_states_find(&file->tensors, states, state, slice), file->path, &numbers));
    fcl_param_from_file(slice, numbers->data, (float *)(void *)(flat + slice->offset));
    fcl_array_destroy(&numbers);
    return FCL_OK;
}

static int take_flat(const opened *file, const fcl_states *states, fcl_state state, char *flat)
{
    for (int i = 0; i < fcl_params_count(states->params); i++) {
        const fcl_param *slice = fcl_params_at(states->params, i);
        FCL_TRY(take_slice(file, states, slice->frozen ? FCL_STATE_WEIGHTS : state, slice, flat));
    }
    return FCL_OK;
}

/* The weights, and behind them the learner's averages: of one that the file has not, the weights. */
static int take_all(const opened *file, const fcl_learner *learner, char *flat)
{
    fcl_states states = states_of(learner, "");
    size_t bytes = fcl_params_bytes(learner->params);
    int found = 0;
    for (int i = -1; i < learner->averages.count; i++) {
        fcl_state state = i < 0 ? FCL_STATE_WEIGHTS : fcl_state_average(i);
        if (i >= 0 && !has_state(&file->tensors, &states, state))
            state = FCL_STATE_WEIGHTS;
        FCL_TRY(fcl_states_check(&file->tensors, file->path, "does not fit the parameters", &states, state, &found));
        FCL_TRY(take_flat(file, &states, state, flat + (size_t)(i + 1) * bytes));
    }
    return FCL_OK;
}

static int begin(const opened *file, fcl_learner *learner, char *flat)
{
    size_t bytes = fcl_params_bytes(learner->params);
    FCL_TRY(take_all(file, learner, flat));
    FCL_TRY(fcl_buffer_write(learner->state[FCL_STATE_WEIGHTS], 0, bytes, flat));
    for (int i = 0; i < learner->averages.count; i++)
        FCL_TRY(fcl_buffer_write(fcl_learner_average(learner, i), 0, bytes, flat + (size_t)(i + 1) * bytes));
    return FCL_OK;
}

int fcl_learner_begin_with(fcl_learner *learner, const char *path)
{
    opened file;
    size_t bytes = fcl_params_bytes(learner->params), copies = 1 + (size_t)learner->averages.count;
    char *flat = calloc(copies, bytes);
    int status = flat ? open_file(path, &file)
                      : fcl_fail(FCL_ERR_MEMORY, "no memory for the %zu bytes of a model", copies * bytes);
    if (status == FCL_OK) {
        status = begin(&file, learner, flat);
        close_file(&file);
    }
    free(flat);
    return status;
}
