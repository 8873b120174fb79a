#include "base/yaml.h"

#include "base/error.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

typedef struct reader {
    const char *path;
    const fcl_yaml_taker *taker;
    yaml_parser_t parser;
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
        mistake = "is nested; the file is a flat list of \"key: value\"";
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

static fcl_yaml_scalar make_scalar(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    bool null = plain && (!strcmp(text, "~") || !strcasecmp(text, "null"));
    return (fcl_yaml_scalar){null ? "" : text, null, event->start_mark.line + 1,
                             event->start_mark.column + 1};
}

static int read_value(reader *file)
{
    yaml_event_t event;
    int status = next_event(file, &event);
    if (!status)
        status = check_scalar(file, &event, "value");
    if (!status) {
        fcl_yaml_scalar value = make_scalar(&event);
        status = file->taker->value(file->taker->data, &value);
    }
    yaml_event_delete(&event);
    return status;
}

static int take_key(const reader *file, const yaml_event_t *event)
{
    fcl_yaml_scalar key = make_scalar(event);
    key.text = (const char *)event->data.scalar.value; /* nothing stands for a key */
    return file->taker->key(file->taker->data, &key);
}

static int read_pairs(reader *file)
{
    for (;;) {
        yaml_event_t event;
        int status = next_event(file, &event);
        bool end = !status && event.type == YAML_MAPPING_END_EVENT;
        if (!status && !end)
            status = check_scalar(file, &event, "key");
        if (!status && !end)
            status = take_key(file, &event);
        yaml_event_delete(&event);
        if (!status && !end)
            status = read_value(file);
        if (status || end)
            return status;
    }
}

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
            return fail_at(file, mark, "a second document begins; one file is one list");
        if (type == YAML_DOCUMENT_START_EVENT) {
            seen = true;
            continue;
        }
        if (type != YAML_MAPPING_START_EVENT || anchored)
            return fail_at(file, mark, "expected a flat list of \"key: value\" lines");
        FCL_TRY(read_pairs(file));
    }
}

int fcl_yaml_read(const char *path, const fcl_yaml_taker *taker)
{
    uint8_t *bytes;
    size_t size;
    FCL_TRY(fcl_file_read(path, &bytes, &size));
    reader file = {.path = path, .taker = taker};
    int status;
    if (!yaml_parser_initialize(&file.parser)) {
        status = fcl_fail(FCL_ERR_MEMORY, "%s: no memory to read it", path);
    } else {
        yaml_parser_set_input_string(&file.parser, bytes, size);
        status = read_stream(&file);
        yaml_parser_delete(&file.parser);
    }
    free(bytes);
    return status;
}
