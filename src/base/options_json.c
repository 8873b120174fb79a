#include "base/options.h"

#include "base/error.h"
#include "base/option_value.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* --- writing --- */

/* A number stays a number where JSON's reader keeps it exactly: jansson's integers are int64_t. */
static json_t *value_json(const fcl_option *row, const char *text)
{
    switch (row->type) {
    case FCL_OPTION_BOOL:
    case FCL_OPTION_TOGGLE:
        return json_boolean(!strcmp(text, "yes"));
    case FCL_OPTION_STRING:
        return *text ? json_string(text) : json_null();
    case FCL_OPTION_FLOAT:
    case FCL_OPTION_DOUBLE:
    case FCL_OPTION_INT:
    case FCL_OPTION_INT64:
    case FCL_OPTION_UINT64:
        break;
    }
    if (!strcmp(text, "off"))
        return json_integer(0);
    json_t *number = json_loads(text, JSON_DECODE_ANY, NULL);
    return number ? number : json_string(text);
}

char *fcl_options_to_json(const fcl_options *options)
{
    json_t *object = json_object();
    for (int i = 0; i < options->count; i++) {
        const fcl_option_binding *binding = &options->bindings[i];
        if (binding->row->flags & FCL_OPTION_COMMAND_LINE)
            continue;
        char *text = fcl_option_text(binding->row, binding->values);
        json_object_set_new(object, binding->row->key, value_json(binding->row, text));
        free(text);
    }
    char *json = json_dumps(object, JSON_INDENT(2));
    json_decref(object);
    if (!json)
        abort();
    return json;
}

/* --- reading --- */

static char *value_text(const fcl_option *row, const json_t *value)
{
    char number[FCL_NUMBER_TEXT];
    switch (json_typeof(value)) {
    case JSON_STRING:
        return fcl_strdup(json_string_value(value));
    case JSON_INTEGER:
        return fcl_format("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_REAL:
        fcl_number_text(json_real_value(value), row->type == FCL_OPTION_FLOAT, number);
        return fcl_strdup(number);
    case JSON_TRUE:
        return fcl_strdup("yes");
    case JSON_FALSE:
        return fcl_strdup("no");
    case JSON_NULL:
        return fcl_strdup("");
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
    return NULL;
}

static int read_member(fcl_options *options, const char *key, const json_t *value)
{
    fcl_option_binding *binding = fcl_options_find(options, key, strlen(key));
    if (!binding || binding->row->flags & FCL_OPTION_COMMAND_LINE)
        return fcl_options_unknown(options, key, "");
    char *text = value_text(binding->row, value);
    if (!text)
        return fcl_fail(FCL_ERR_FORMAT, "%s: a nested value, where a single one belongs", key);
    int status = fcl_options_assign(options, binding, text, FCL_FROM_CHECKPOINT);
    free(text);
    return status ? fcl_fail_within(status, "%s", key) : FCL_OK;
}

int fcl_options_read_json(fcl_options *options, const char *text)
{
    json_error_t error;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        return fcl_fail(FCL_ERR_FORMAT, "the options are not JSON: line %d, column %d: %s", error.line,
                        error.column, error.text);
    int status = FCL_OK;
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        status = fcl_fail(FCL_ERR_FORMAT, "the options are not a JSON object of keys and values");
    json_object_foreach(object, key, value)
    {
        if (!status)
            status = read_member(options, key, value);
    }
    json_decref(object);
    return status;
}
