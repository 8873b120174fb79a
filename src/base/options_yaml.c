#include "base/options.h"

#include "base/error.h"
#include "base/file.h"
#include "base/option_value.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

/* --- reading --- */

typedef struct reader {
    fcl_options *options;
    const char *path;
    yaml_parser_t parser;
    size_t *lines; /* of each binding: where its key stood, 0 where it has not been met */
} reader;

static int fail_at(const reader *file, yaml_mark_t mark, const char *sentence)
{
    return fcl_fail(FCL_ERR_FORMAT, "%s:%zu:%zu: %s", file->path, mark.line + 1, mark.column + 1, sentence);
}

/* The event is released by yaml_event_delete whatever is returned. */
static int next_event(reader *file, yaml_event_t *event)
{
    if (yaml_parser_parse(&file->parser, event))
        return FCL_OK;
    const yaml_parser_t *parser = &file->parser;
    memset(event, 0, sizeof *event);
    if (parser->error == YAML_MEMORY_ERROR)
        return fcl_fail(FCL_ERR_MEMORY, "%s: no memory to read it", file->path);
    if (parser->error == YAML_READER_ERROR)
        return fcl_fail(FCL_ERR_FORMAT, "%s: byte %zu: %s", file->path, parser->problem_offset,
                        parser->problem);
    return fail_at(file, parser->problem_mark, parser->problem);
}

/* What a key or a value must be: a plain word, nothing that refers to or consists of something else. */
static int check_scalar(const reader *file, const yaml_event_t *event, const char *role)
{
    char sentence[160];
    const char *mistake = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        mistake = "is an alias; write the value out";
    else if (event->type != YAML_SCALAR_EVENT)
        mistake = "is nested; a configuration is a flat list of \"key: value\"";
    else if (event->data.scalar.anchor)
        mistake = "has an anchor; anchors are not used here";
    else if (event->data.scalar.tag)
        mistake = "has a tag; tags are not used here";
    else if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
        mistake = "contains a NUL character";
    if (!mistake)
        return FCL_OK;
    snprintf(sentence, sizeof sentence, "this %s %s", role, mistake);
    return fail_at(file, event->start_mark, sentence);
}

static int find_key(reader *file, const yaml_event_t *event, fcl_option_binding **binding)
{
    const char *key = (const char *)event->data.scalar.value;
    yaml_mark_t mark = event->start_mark;
    *binding = fcl_options_find(file->options, key, strlen(key));
    if (!*binding)
        return fcl_fail_within(fcl_options_unknown(file->options, key, ""), "%s:%zu:%zu", file->path,
                               mark.line + 1, mark.column + 1);
    if ((*binding)->row->flags & FCL_OPTION_COMMAND_LINE)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s:%zu:%zu: \"%s\" belongs on the command line (--%s), not here",
                        file->path, mark.line + 1, mark.column + 1, key, (*binding)->row->key);
    size_t *line = &file->lines[*binding - file->options->bindings];
    if (*line)
        return fcl_fail(FCL_ERR_FORMAT, "%s:%zu:%zu: \"%s\" stands already in line %zu", file->path,
                        mark.line + 1, mark.column + 1, key, *line);
    *line = mark.line + 1;
    return FCL_OK;
}

static int read_value(reader *file, fcl_option_binding *binding)
{
    yaml_event_t event;
    int status = next_event(file, &event);
    if (!status)
        status = check_scalar(file, &event, "value");
    if (!status) {
        const char *text = (const char *)event.data.scalar.value;
        bool plain = event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        if (plain && (!strcmp(text, "~") || !strcasecmp(text, "null")))
            text = "";
        status = fcl_options_assign(file->options, binding, text, FCL_FROM_FILE);
        if (status)
            fcl_fail_within(status, "%s:%zu:%zu: %s", file->path, event.start_mark.line + 1,
                            event.start_mark.column + 1, binding->row->key);
    }
    yaml_event_delete(&event);
    return status;
}

static int read_pairs(reader *file)
{
    for (;;) {
        yaml_event_t event;
        fcl_option_binding *binding = NULL;
        int status = next_event(file, &event);
        bool end = !status && event.type == YAML_MAPPING_END_EVENT;
        if (!status && !end)
            status = check_scalar(file, &event, "key");
        if (!status && !end)
            status = find_key(file, &event, &binding);
        yaml_event_delete(&event);
        if (!status && !end)
            status = read_value(file, binding);
        if (status || end)
            return status;
    }
}

/* One document with one mapping; a file without a document (comments only) sets nothing. */
static int read_stream(reader *file)
{
    bool seen = false;
    for (;;) {
        yaml_event_t event;
        FCL_TRY(next_event(file, &event));
        yaml_event_type_t type = event.type;
        yaml_mark_t mark = event.start_mark;
        bool anchored = type == YAML_MAPPING_START_EVENT && event.data.mapping_start.anchor;
        yaml_event_delete(&event);
        if (type == YAML_STREAM_END_EVENT)
            return FCL_OK;
        if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_END_EVENT)
            continue;
        if (type == YAML_DOCUMENT_START_EVENT && seen)
            return fail_at(file, mark, "a second document begins; one file is one configuration");
        if (type == YAML_DOCUMENT_START_EVENT) {
            seen = true;
            continue;
        }
        if (type != YAML_MAPPING_START_EVENT || anchored)
            return fail_at(file, mark, "expected a flat list of \"key: value\" lines");
        FCL_TRY(read_pairs(file));
    }
}

int fcl_options_read_yaml(fcl_options *options, const char *path)
{
    uint8_t *bytes;
    size_t size;
    FCL_TRY(fcl_file_read(path, &bytes, &size));
    reader file = {.options = options, .path = path};
    int status;
    if (!yaml_parser_initialize(&file.parser)) {
        status = fcl_fail(FCL_ERR_MEMORY, "%s: no memory to read it", path);
    } else {
        file.lines = fcl_zalloc((size_t)options->count * sizeof *file.lines);
        yaml_parser_set_input_string(&file.parser, bytes, size);
        status = read_stream(&file);
        yaml_parser_delete(&file.parser);
        free(file.lines);
    }
    free(bytes);
    return status;
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

static void add_line(fcl_text *text, const fcl_option_binding *binding)
{
    fcl_text line = {0}, words = {0};
    char *value = fcl_option_text(binding->row, binding->values);
    add_pair(&line, binding->row, value);
    fcl_option_describe(binding->row, false, &words);
    fcl_text_format(text, "%-28s # %s\n", line.data, words.data);
    fcl_text_free(&line);
    fcl_text_free(&words);
    free(value);
}

char *fcl_options_to_yaml(const fcl_options *options)
{
    const fcl_option_binding **ordered = fcl_zalloc((size_t)options->count * sizeof *ordered);
    int count = fcl_options_order(options, ordered);
    fcl_text text = {0};
    const char *group = NULL;
    fcl_text_add(&text, "");
    for (int i = 0; i < count; i++) {
        if (ordered[i]->row->flags & FCL_OPTION_COMMAND_LINE)
            continue;
        if (!group || strcmp(group, ordered[i]->group))
            fcl_text_format(&text, "%s# %s\n", group ? "\n" : "", ordered[i]->group);
        group = ordered[i]->group;
        add_line(&text, ordered[i]);
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
