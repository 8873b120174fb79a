/* Host memory. Small structures come from functions that never return NULL: a program that cannot get a
 * few kilobytes stops with one sentence. Large arrays use malloc and report FCL_ERR_MEMORY. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

void *fcl_zalloc(size_t size);               /* zeroed */
void *fcl_grow(void *memory, size_t size);   /* realloc */
char *fcl_strdup(const char *text);
char *fcl_format(const char *format, ...) __attribute__((format(printf, 1, 2)));   /* malloc'ed printf */

/* An arena hands out memory that is freed all at once. */
typedef struct fcl_arena {
    struct fcl_arena_block *blocks;
} fcl_arena;

void *fcl_arena_alloc(fcl_arena *arena, size_t size); /* zeroed, aligned for any type */
char *fcl_arena_format(fcl_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fcl_arena_free(fcl_arena *arena);

/* Text that grows: kernel sources, tables. `text.data` is always a C string once something was added. */
typedef struct fcl_text {
    char *data;
    size_t length, capacity;
} fcl_text;

void fcl_text_add(fcl_text *text, const char *string);
void fcl_text_format(fcl_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fcl_text_free(fcl_text *text);

#endif
