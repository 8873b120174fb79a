#include "base/options.h"

#include "base/error.h"
#include "base/nearest.h"
#include "base/option_value.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

fcl_options *fcl_options_create(void)
{
    return fcl_zalloc(sizeof(fcl_options));
}

void fcl_options_destroy(fcl_options **options)
{
    if (!*options)
        return;
    fcl_arena_free(&(*options)->strings);
    free((*options)->bindings);
    free(*options);
    *options = NULL;
}

int fcl_options_add(fcl_options *options, const fcl_option *table, void *values)
{
    const char *group = "Options";
    for (const fcl_option *row = table; row->key; row++) {
        if (fcl_options_find(options, row->key, strlen(row->key)))
            return fcl_fail(FCL_ERR_ARGUMENT, "two option tables have the key \"%s\"", row->key);
        group = row->group ? row->group : group;
        options->bindings =
            fcl_grow(options->bindings, (size_t)(options->count + 1) * sizeof *options->bindings);
        options->bindings[options->count++] =
            (fcl_option_binding){.table = table, .row = row, .values = values, .group = group};
    }
    return FCL_OK;
}

static bool same_key(const char *key, const char *text, size_t length)
{
    if (strlen(key) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (key[i] != text[i] && !(key[i] == '-' && text[i] == '_'))
            return false;
    return true;
}

fcl_option_binding *fcl_options_find(const fcl_options *options, const char *key, size_t length)
{
    for (int i = 0; i < options->count; i++)
        if (same_key(options->bindings[i].row->key, key, length))
            return &options->bindings[i];
    return NULL;
}

int fcl_options_unknown(const fcl_options *options, const char *key, const char *dashes)
{
    const char **keys = fcl_zalloc((size_t)options->count * sizeof *keys);
    for (int i = 0; i < options->count; i++)
        keys[i] = options->bindings[i].row->key;
    const char *nearest = fcl_nearest(key, keys, options->count);
    free(keys);
    if (nearest)
        return fcl_fail(FCL_ERR_ARGUMENT, "unknown option %s%.100s; did you mean %s%s?", dashes, key, dashes,
                        nearest);
    return fcl_fail(FCL_ERR_ARGUMENT, "unknown option %s%.100s", dashes, key);
}

/* YAML and JSON hold text only. What cannot be written there must not come in from the command line. */
static bool is_utf8(const char *text)
{
    json_t *string = json_string(text);
    bool valid = string != NULL;
    json_decref(string);
    return valid;
}

int fcl_options_assign(fcl_options *options, fcl_option_binding *binding, const char *text,
                       fcl_option_source source)
{
    if (!(binding->row->flags & FCL_OPTION_COMMAND_LINE) && !is_utf8(text))
        return fcl_fail(FCL_ERR_ARGUMENT, "the value is not UTF-8 text");
    if (source < binding->source) {
        /* Overridden, but a mistake in it is still told: read into a copy that is thrown away. */
        union {
            max_align_t align;
            char bytes[16];
        } unused = {0};
        fcl_option row = *binding->row;
        row.offset = 0;
        return fcl_option_read(&row, &unused, text, NULL);
    }
    FCL_TRY(fcl_option_read(binding->row, binding->values, text, &options->strings));
    binding->source = source;
    return FCL_OK;
}

int fcl_options_set(fcl_options *options, const char *key, const char *text, fcl_option_source source)
{
    const char *dashes = source == FCL_FROM_COMMAND_LINE ? "--" : "";
    fcl_option_binding *binding = fcl_options_find(options, key, strlen(key));
    if (!binding)
        return fcl_options_unknown(options, key, dashes);
    int status = fcl_options_assign(options, binding, text, source);
    return status ? fcl_fail_within(status, "%s%s", dashes, binding->row->key) : FCL_OK;
}

fcl_option_source fcl_options_source(const fcl_options *options, const char *key)
{
    const fcl_option_binding *binding = fcl_options_find(options, key, strlen(key));
    return binding ? binding->source : FCL_FROM_DEFAULT;
}

int fcl_options_clear(fcl_options *options, const char *key)
{
    fcl_option_binding *binding = fcl_options_find(options, key, strlen(key));
    if (!binding)
        return fcl_options_unknown(options, key, "");
    fcl_option_clear(binding->row, binding->values);
    binding->source = FCL_FROM_DEFAULT;
    return FCL_OK;
}

/* --- the command line --- */

typedef struct arguments {
    int count, next;
    char *const *list;
} arguments;

/* --key=value, --key value, and for a yes/no, or what can be bare, also --key alone. */
static int option_value(const fcl_option *row, arguments *rest, const char *equals, const char **value)
{
    const char *following = rest->next < rest->count ? rest->list[rest->next] : NULL;
    bool yes;
    if (equals)
        *value = equals + 1;
    else if (fcl_option_is_yes_no(row) && !(following && fcl_option_read_yes_no(following, &yes)))
        *value = "yes";
    else if ((!following || !strncmp(following, "--", 2)) && row->flags & FCL_OPTION_CAN_BE_BARE)
        *value = "";
    else if (!following || !strncmp(following, "--", 2))
        return fcl_fail(FCL_ERR_ARGUMENT, "--%s needs a value (write --%s=VALUE if it begins with --)",
                        row->key, row->key);
    else
        *value = rest->list[rest->next++];
    return FCL_OK;
}

static int parse_option(fcl_options *options, arguments *rest, const char *argument)
{
    if (strncmp(argument, "--", 2))
        return fcl_fail(FCL_ERR_ARGUMENT, "unknown option %.100s; options begin with --", argument);
    const char *name = argument + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const fcl_option_binding *binding = fcl_options_find(options, name, length);
    if (binding) {
        const char *value;
        FCL_TRY(option_value(binding->row, rest, equals, &value));
        return fcl_options_set(options, binding->row->key, value, FCL_FROM_COMMAND_LINE);
    }
    if (!strncmp(name, "no-", 3) && !equals) {
        binding = fcl_options_find(options, name + 3, length - 3);
        if (binding && fcl_option_is_yes_no(binding->row))
            return fcl_options_set(options, binding->row->key, "no", FCL_FROM_COMMAND_LINE);
    }
    char *key = fcl_format("%.*s", (int)length, name);
    int status = fcl_options_unknown(options, key, "--");
    free(key);
    return status;
}

int fcl_options_parse(fcl_options *options, int argc, char *const *argv, const char **positional, int *count)
{
    arguments rest = {.count = argc, .list = argv};
    bool ended = false;
    *count = 0;
    while (rest.next < rest.count) {
        const char *argument = rest.list[rest.next++];
        if (ended || argument[0] != '-' || !argument[1]) /* "-" alone is a name, too */
            positional[(*count)++] = argument;
        else if (!strcmp(argument, "--"))
            ended = true;
        else
            FCL_TRY(parse_option(options, &rest, argument));
    }
    return FCL_OK;
}

/* --- the end of reading --- */

static int finish_unused(const fcl_option_binding *binding)
{
    if (binding->source >= FCL_FROM_FILE)
        return fcl_option_refuse_unused(binding->table, binding->row, binding->values);
    fcl_option_clear(binding->row, binding->values);
    return FCL_OK;
}

/* `row` is what the binding's is beside the values as they are. */
static int finish_used(const fcl_option_binding *binding, const fcl_option *row)
{
    fcl_option table[] = {*row, {0}};
    bool zero = fcl_option_is_zero(row, binding->values);
    if (zero && binding->source != FCL_FROM_DEFAULT && fcl_option_refuses_zero(row))
        return fcl_fail_within(fcl_option_refuse(row, "0"), "%s", row->key);
    fcl_options_defaults(table, binding->values);
    FCL_TRY(fcl_options_check(table, binding->values));
    if (row->flags & FCL_OPTION_REQUIRED && fcl_option_is_zero(row, binding->values))
        return fcl_fail(FCL_ERR_ARGUMENT, "--%s is required: %s", row->key, row->help);
    return FCL_OK;
}

int fcl_options_finish(fcl_options *options)
{
    for (int i = 0; i < options->count; i++) {
        const fcl_option_binding *binding = &options->bindings[i];
        fcl_option row;
        bool used = fcl_option_in_use(binding->table, binding->row, binding->values, &row);
        FCL_TRY(used ? finish_used(binding, &row) : finish_unused(binding));
    }
    return FCL_OK;
}

int fcl_options_order(const fcl_options *options, fcl_option_shown *ordered)
{
    int filled = 0;
    for (int i = 0; i < options->count; i++) {
        const char *group = options->bindings[i].group;
        bool seen = false;
        for (int j = 0; j < i; j++)
            seen |= !strcmp(options->bindings[j].group, group);
        for (int j = i; !seen && j < options->count; j++) {
            const fcl_option_binding *binding = &options->bindings[j];
            fcl_option_shown next = {.values = binding->values, .group = group};
            next.open = fcl_option_is_open(binding->table, binding->row, binding->values);
            if (strcmp(binding->group, group) ||
                !fcl_option_in_use(binding->table, binding->row, binding->values, &next.row))
                continue;
            if (fcl_option_is_later(&next.row, binding->values))
                next.row.fallback = "differs"; /* by what is chosen, in the help */
            ordered[filled++] = next;
        }
    }
    return filled;
}
