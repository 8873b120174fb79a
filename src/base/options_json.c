#include "base/options.h"

#include "base/error.h"
#include "base/json.h"
#include "base/option_value.h"
#include <stdlib.h>
#include <string.h>

/* --- writing --- */

/* A string in quotes, escaped. */
static void add_string(fcl_text *json, const char *text)
{
    json_t *string = json_string(text);
    char *quoted = fcl_json_text(string, JSON_ENCODE_ANY);
    if (!quoted)
        abort(); /* text that is not UTF-8 never came in */
    fcl_text_add(json, quoted);
    free(quoted);
    json_decref(string);
}

/* Numbers as their own text, the shortest that is exact; but most readers of JSON have integers of 64 bits
 * with a sign, so a larger one is a string. */
static void add_value(fcl_text *json, const fcl_option *row, const char *text)
{
    if (fcl_option_is_yes_no(row))
        fcl_text_add(json, strcmp(text, "yes") ? "false" : "true");
    else if (row->type == FCL_OPTION_STRING && !*text)
        fcl_text_add(json, "null");
    else if (row->type == FCL_OPTION_STRING || (row->type == FCL_OPTION_UINT64 && strlen(text) > 18))
        add_string(json, text);
    else
        fcl_text_add(json, strcmp(text, "off") ? text : "0");
}

char *fcl_options_to_json(const fcl_options *options)
{
    fcl_text json = {0};
    const char *separator = "{";
    for (int i = 0; i < options->count; i++) {
        const fcl_option_binding *binding = &options->bindings[i];
        fcl_option row;
        bool used = fcl_option_in_use(binding->table, binding->row, binding->values, &row);
        bool open = fcl_option_is_open(binding->table, binding->row, binding->values);
        if (!used || open || row.flags & FCL_OPTION_COMMAND_LINE)
            continue;
        char *text = fcl_option_text(&row, binding->values);
        fcl_text_format(&json, "%s\n  \"%s\": ", separator, row.key);
        add_value(&json, &row, text);
        separator = ",";
        free(text);
    }
    fcl_text_add(&json, json.length ? "\n}" : "{}");
    return json.data;
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
    json_t *object = fcl_json_read(text, strlen(text), &error);
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
