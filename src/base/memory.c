#include "base/memory.h"

#include <flowcl/text.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory, size_t size)
{
    if (!memory) {
        fprintf(stderr, "flowcl: out of memory (%zu bytes)\n", size);
        abort();
    }
    return memory;
}

void *fcl_zalloc(size_t size)
{
    return checked(calloc(1, size ? size : 1), size);
}

void *fcl_grow(void *memory, size_t size)
{
    return checked(realloc(memory, size ? size : 1), size);
}

char *fcl_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(fcl_zalloc(size), text, size);
}

char *fcl_format(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t size = (size_t)fcl_vsnprintf(NULL, 0, format, args) + 1;
    char *text = fcl_zalloc(size);
    fcl_vsnprintf(text, size, format, again);
    va_end(again);
    va_end(args);
    return text;
}

struct fcl_arena_block {
    struct fcl_arena_block *next;
    size_t used, size;
    max_align_t data[];
};

void *fcl_arena_alloc(fcl_arena *arena, size_t size)
{
    enum { ALIGN = sizeof(max_align_t), BLOCK = 16384 };
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    struct fcl_arena_block *block = arena->blocks;
    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK ? size : BLOCK;
        block = fcl_zalloc(sizeof *block + room);
        block->size = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *memory = (char *)block->data + block->used;
    block->used += size;
    return memory;
}

char *fcl_arena_format(fcl_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = fcl_vsnprintf(NULL, 0, format, args);
    char *text = fcl_arena_alloc(arena, (size_t)length + 1);
    fcl_vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void fcl_arena_free(fcl_arena *arena)
{
    while (arena->blocks) {
        struct fcl_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}

static char *text_room(fcl_text *text, size_t extra)
{
    if (text->length + extra + 1 > text->capacity) {
        text->capacity = 2 * (text->length + extra + 1);
        text->data = fcl_grow(text->data, text->capacity);
    }
    return text->data + text->length;
}

void fcl_text_add(fcl_text *text, const char *string)
{
    size_t length = strlen(string);
    memcpy(text_room(text, length), string, length + 1);
    text->length += length;
}

void fcl_text_format(fcl_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = fcl_vsnprintf(NULL, 0, format, args);
    fcl_vsnprintf(text_room(text, (size_t)length), (size_t)length + 1, format, again);
    text->length += (size_t)length;
    va_end(again);
    va_end(args);
}

void fcl_text_free(fcl_text *text)
{
    free(text->data);
    *text = (fcl_text){0};
}
