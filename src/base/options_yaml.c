#include "base/options.h"

#include "base/error.h"
#include "base/file.h"
#include "base/option_value.h"
#include "base/yaml.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

/* --- reading --- */

typedef struct reader {
    fcl_options *options;
    const char *path;
    fcl_option_source source;
    size_t *lines;               /* of each binding: where its key stood, 0 where it has not been met */
    fcl_option_binding *binding; /* of the last key */
} reader;

static int take_key(void *data, const fcl_yaml_scalar *key)
{
    reader *file = data;
    fcl_option_binding *binding = fcl_options_find(file->options, key->text, strlen(key->text));
    file->binding = binding;
    if (!binding)
        return fcl_fail_within(fcl_options_unknown(file->options, key->text, ""), "%s:%zu:%zu", file->path,
                               key->line, key->column);
    if (binding->row->flags & FCL_OPTION_COMMAND_LINE)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s:%zu:%zu: \"%s\" belongs on the command line (--%s), not here",
                        file->path, key->line, key->column, key->text, binding->row->key);
    size_t *line = &file->lines[binding - file->options->bindings];
    if (*line)
        return fcl_fail(FCL_ERR_FORMAT, "%s:%zu:%zu: \"%s\" stands already in line %zu", file->path,
                        key->line, key->column, key->text, *line);
    *line = key->line;
    return FCL_OK;
}

static int take_value(void *data, const fcl_yaml_scalar *value)
{
    reader *file = data;
    int status = fcl_options_assign(file->options, file->binding, value->text, file->source);
    return status ? fcl_fail_within(status, "%s:%zu:%zu: %s", file->path, value->line, value->column,
                                    file->binding->row->key)
                  : FCL_OK;
}

static int read_yaml(fcl_options *options, const char *path, fcl_option_source source)
{
    reader file = {.options = options, .path = path, .source = source};
    file.lines = fcl_zalloc((size_t)options->count * sizeof *file.lines);
    int status = fcl_yaml_read(path, &(fcl_yaml_taker){take_key, take_value, &file});
    free(file.lines);
    return status;
}

int fcl_options_read_yaml(fcl_options *options, const char *path)
{
    return read_yaml(options, path, FCL_FROM_FILE);
}

int fcl_options_read_preset(fcl_options *options, const char *path)
{
    return read_yaml(options, path, FCL_FROM_PRESET);
}

/* --- writing --- */

static int append(void *text, unsigned char *bytes, size_t size)
{
    fcl_text_format(text, "%.*s", (int)size, (const char *)bytes);
    return 1;
}

/* Our reader takes every scalar as text; other programs take some words as truth values. */
static yaml_scalar_style_t style_of(const fcl_option *row, const char *text)
{
    static const char *const words[] = {"yes", "no", "true", "false", "on", "off", "null", "y", "n"};
    bool name = row->choice && !(row->flags & (FCL_OPTION_FORMULA | FCL_OPTION_PARAMETERS));
    if (row->type != FCL_OPTION_STRING || name)
        return YAML_PLAIN_SCALAR_STYLE;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ')
            return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(text, words[i]))
            return YAML_SINGLE_QUOTED_SCALAR_STYLE;
    bool word = strchr("/_", *text) || (*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z');
    return word && *text ? YAML_ANY_SCALAR_STYLE : YAML_SINGLE_QUOTED_SCALAR_STYLE;
}

static void emit(yaml_emitter_t *emitter, yaml_event_t *event, int initialized)
{
    /* Only a lack of memory can fail here, and small memory is never refused (base/memory.h). */
    if (!initialized || !yaml_emitter_emit(emitter, event))
        abort();
}

static void emit_scalar(yaml_emitter_t *emitter, const char *text, yaml_scalar_style_t style)
{
    yaml_event_t event;
    int initialized = yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
                                                   (int)strlen(text), 1, 1, style);
    emit(emitter, &event, initialized);
}

/* "key: value" as libyaml quotes it, without the line's end. */
static void add_pair(fcl_text *line, const fcl_option *row, const char *value)
{
    yaml_emitter_t emitter;
    yaml_event_t event;
    if (!yaml_emitter_initialize(&emitter))
        abort();
    yaml_emitter_set_output(&emitter, append, line);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1); /* never fold a line: a comment follows */
    emit(&emitter, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    emit(&emitter, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
    emit(&emitter, &event,
         yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
    emit_scalar(&emitter, row->key, YAML_PLAIN_SCALAR_STYLE);
    emit_scalar(&emitter, value, style_of(row, value));
    emit(&emitter, &event, yaml_mapping_end_event_initialize(&event));
    emit(&emitter, &event, yaml_document_end_event_initialize(&event, 1));
    emit(&emitter, &event, yaml_stream_end_event_initialize(&event));
    yaml_emitter_delete(&emitter);
    line->length = strcspn(line->data, "\n");
    line->data[line->length] = '\0';
}

static void add_line(fcl_text *text, const fcl_option_shown *shown)
{
    fcl_text line = {0}, words = {0};
    char *value = fcl_option_text(&shown->row, shown->values);
    add_pair(&line, &shown->row, value);
    fcl_option_describe(&shown->row, false, &words);
    fcl_text_format(text, "%-28s # %s\n", line.data, words.data);
    fcl_text_free(&line);
    fcl_text_free(&words);
    free(value);
}

char *fcl_options_to_yaml(const fcl_options *options)
{
    fcl_option_shown *ordered = fcl_zalloc((size_t)options->count * sizeof *ordered);
    int count = fcl_options_order(options, ordered);
    fcl_text text = {0};
    const char *group = NULL;
    fcl_text_add(&text, "");
    for (int i = 0; i < count; i++) {
        if (ordered[i].open || ordered[i].row.flags & FCL_OPTION_COMMAND_LINE)
            continue;
        if (!group || strcmp(group, ordered[i].group))
            fcl_text_format(&text, "%s# %s\n", group ? "\n" : "", ordered[i].group);
        group = ordered[i].group;
        add_line(&text, &ordered[i]);
    }
    free(ordered);
    return text.data;
}

int fcl_options_write_yaml(const fcl_options *options, const char *path)
{
    char *text = fcl_options_to_yaml(options);
    int status = fcl_file_replace(path, text, strlen(text));
    free(text);
    return status;
}
