#include "train/naming.h"

#include "base/array.h"
#include "base/error.h"
#include "base/yaml.h"
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

/* --- names --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The digits from *at on, without zeros in front; *at moves behind them. */
static size_t take_number(const char **at, const char *end, const char **digits)
{
    while (*at < end && **at == '0')
        (*at)++;
    *digits = *at;
    while (*at < end && is_digit(**at))
        (*at)++;
    return (size_t)(*at - *digits);
}

static int compare_numbers(const char **a, const char *a_end, const char **b, const char *b_end)
{
    const char *left, *right;
    size_t left_length = take_number(a, a_end, &left), right_length = take_number(b, b_end, &right);
    if (left_length != right_length)
        return left_length < right_length ? -1 : 1;
    return memcmp(left, right, left_length);
}

int fcl_natural_compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    const char *a_end = a + a_length, *b_end = b + b_length;
    while (a < a_end && b < b_end) {
        int order = 0;
        if (is_digit(*a) && is_digit(*b))
            order = compare_numbers(&a, a_end, &b, b_end);
        else
            order = (unsigned char)*a++ - (unsigned char)*b++;
        if (order)
            return order;
    }
    return (a < a_end) - (b < b_end);
}

bool fcl_named_same_row(const fcl_named *one, const fcl_named *two)
{
    const char *a = one->name, *a_end = a + one->stem, *b = two->name, *b_end = b + two->stem;
    while (a < a_end && b < b_end) {
        const char *digits;
        if (is_digit(*a) && is_digit(*b)) {
            take_number(&a, a_end, &digits);
            take_number(&b, b_end, &digits);
        } else if (*a++ != *b++) {
            return false;
        }
    }
    return a == a_end && b == b_end;
}

int fcl_named_compare(const void *a, const void *b)
{
    const fcl_named *left = a, *right = b;
    int order = fcl_natural_compare(left->name, left->stem, right->name, right->stem);
    return order ? order : strcmp(left->name, right->name);
}

fcl_named fcl_named_make(const char *name, fcl_shape shape, int index)
{
    const char *point = strrchr(name, '.');
    return (fcl_named){name, point ? (size_t)(point - name) : strlen(name), shape, index};
}

const fcl_named *fcl_naming_find(const fcl_naming *naming, const char *name)
{
    fcl_named wanted = fcl_named_make(name, FCL_SCALAR, 0);
    return naming->file->count ? bsearch(&wanted, naming->tensor, (size_t)naming->file->count, sizeof wanted,
                                         fcl_named_compare)
                               : NULL;
}

/* --- the user's list --- */

typedef struct list_reader {
    fcl_naming *naming;
    const char *where;
    const fcl_params *params;
    const char *ours; /* the last key */
    bool *listed;     /* (file->count) */
} list_reader;

/* Our name of a tensor without the state's prefix: averages may be named, too. */
static bool is_ours(const fcl_params *params, const char *name)
{
    for (fcl_state state = 0; state < FCL_STATES; state++) {
        size_t length = strlen(fcl_state_prefix[state]);
        if (strncmp(name, fcl_state_prefix[state], length) == 0 &&
            fcl_params_find(params, name + length) >= 0)
            return true;
    }
    return false;
}

static int take_ours(void *data, const fcl_yaml_scalar *key)
{
    list_reader *list = data;
    if (!is_ours(list->params, key->text))
        return fcl_fail(
            FCL_ERR_ARGUMENT,
            "%s:%zu:%zu: \"%s\" is none of the model's tensors, %s to %s; a line is \"ours: theirs\"",
            list->naming->list, key->line, key->column, key->text, fcl_params_at(list->params, 0)->name,
            fcl_params_at(list->params, fcl_params_count(list->params) - 1)->name);
    for (int i = 0; i < list->naming->file->count; i++)
        if (list->listed[i] && strcmp(list->naming->tensor[i].name, key->text) == 0)
            return fcl_fail(FCL_ERR_ARGUMENT, "%s:%zu:%zu: \"%s\" stands there twice", list->naming->list,
                            key->line, key->column, key->text);
    list->ours = fcl_arena_format(&list->naming->strings, "%s", key->text);
    return FCL_OK;
}

static int take_theirs(void *data, const fcl_yaml_scalar *value)
{
    list_reader *list = data;
    fcl_naming *naming = list->naming;
    const fcl_safetensor *tensor = fcl_safetensors_find(naming->file, value->text);
    long at = tensor ? tensor - naming->file->tensors : -1;
    if (!tensor || list->listed[at])
        return fcl_fail(FCL_ERR_ARGUMENT, "%s:%zu:%zu: %s %s \"%s\"", naming->list, value->line,
                        value->column, list->where, tensor ? "has only one tensor" : "has no tensor",
                        value->text);
    list->listed[at] = true;
    naming->tensor[at] = fcl_named_make(list->ours, tensor->shape, (int)at);
    return FCL_OK;
}

/* What a line has taken our name for goes by no name of ours itself. */
static void hide_taken(list_reader *list)
{
    fcl_naming *naming = list->naming;
    for (int i = 0; i < naming->file->count; i++)
        for (int k = 0; k < naming->file->count && list->listed[i]; k++)
            if (!list->listed[k] && strcmp(naming->tensor[k].name, naming->tensor[i].name) == 0)
                naming->tensor[k] = fcl_named_make("", naming->tensor[k].shape, k);
}

static int read_list(fcl_naming *naming, const char *where, const fcl_params *params)
{
    list_reader list = {naming, where, params, NULL, fcl_zalloc((size_t)naming->file->count + 1)};
    int status = fcl_yaml_read(naming->list, &(fcl_yaml_taker){take_ours, take_theirs, &list});
    if (status == FCL_OK)
        hide_taken(&list);
    free(list.listed);
    return status;
}

int fcl_naming_create(const fcl_safetensors *file, const char *list, const char *where,
                      const fcl_params *params, fcl_naming *naming)
{
    *naming = (fcl_naming){.file = file, .list = list};
    naming->tensor = fcl_zalloc(((size_t)file->count + 1) * sizeof *naming->tensor);
    for (int i = 0; i < file->count; i++)
        naming->tensor[i] = fcl_named_make(file->tensors[i].name, file->tensors[i].shape, i);
    int status = list ? read_list(naming, where, params) : FCL_OK;
    qsort(naming->tensor, (size_t)file->count, sizeof *naming->tensor, fcl_named_compare);
    if (status != FCL_OK)
        fcl_naming_free(naming);
    return status;
}

void fcl_naming_free(fcl_naming *naming)
{
    free(naming->tensor);
    fcl_arena_free(&naming->strings);
    *naming = (fcl_naming){0};
}
