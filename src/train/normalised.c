#include "train/normalised.h"

#include "base/json.h"
#include "base/memory.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

static json_t *list(int64_t count, const double *numbers)
{
    json_t *made = json_array();
    for (int64_t k = 0; k < count; k++)
        json_array_append_new(made, json_real(numbers[k]));
    return made;
}

void fcl_normalised_write(const fcl_normalisation *by, json_t *metadata)
{
    json_t *object = json_object();
    json_object_set_new(object, "centre", list(by->count, by->centre));
    json_object_set_new(object, "scale", list(by->count, by->scale));
    json_object_set_new(object, "low", json_real(by->low));
    json_object_set_new(object, "high", json_real(by->high));
    char *text = fcl_json_text(object, JSON_COMPACT);
    json_object_set_new(metadata, "normalisation", json_string(text));
    free(text);
    json_decref(object);
}

static bool read_list(const json_t *given, int64_t count, double least, double **numbers)
{
    if (!json_is_array(given) || json_array_size(given) != (size_t)count)
        return false;
    *numbers = fcl_zalloc(((size_t)count + 1) * sizeof **numbers);
    for (size_t k = 0; k < (size_t)count; k++) {
        const json_t *number = json_array_get(given, k);
        (*numbers)[k] = json_number_value(number);
        if (!json_is_number(number) || (*numbers)[k] < least)
            return false;
    }
    return true;
}

static bool read(const json_t *object, int64_t size, fcl_normalisation *by)
{
    const json_t *low = json_object_get(object, "low"), *high = json_object_get(object, "high");
    const json_t *centre = json_object_get(object, "centre");
    by->count = (int64_t)json_array_size(centre);
    by->low = json_number_value(low);
    by->high = json_number_value(high);
    return (by->count <= 1 || by->count == size) && json_is_number(low) && json_is_number(high) &&
           (by->low < by->high || (by->low == 0 && by->high == 0)) &&
           read_list(centre, by->count, -DBL_MAX, &by->centre) &&
           read_list(json_object_get(object, "scale"), by->count, DBL_MIN, &by->scale);
}

bool fcl_normalised_read(const fcl_safetensors *file, int64_t size, fcl_normalisation **by)
{
    const char *text = fcl_safetensors_metadata(file, "normalisation");
    *by = fcl_zalloc(sizeof **by);
    if (!text)
        return true;
    json_t *object = fcl_json_read(text, strlen(text), NULL);
    bool usable = read(object, size, *by);
    json_decref(object);
    return usable;
}

bool fcl_normalised_alike(const fcl_normalisation *a, const fcl_normalisation *b)
{
    bool alike = a->count == b->count;
    for (int64_t k = 0; alike && k < a->count; k++)
        alike = a->centre[k] == b->centre[k] && a->scale[k] == b->scale[k];
    return alike;
}

static double *copy(int64_t count, const double *numbers)
{
    double *copied = fcl_zalloc(((size_t)count + 1) * sizeof *copied);
    if (count)
        memcpy(copied, numbers, (size_t)count * sizeof *copied);
    return copied;
}

fcl_normalisation *fcl_normalised_copy(const fcl_normalisation *by)
{
    fcl_normalisation *copied = fcl_zalloc(sizeof *copied);
    *copied = *by;
    copied->centre = copy(by->count, by->centre);
    copied->scale = copy(by->count, by->scale);
    return copied;
}
