#include "base/words.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* The index of the first word that is not below the text. */
static int find(const fcl_words *words, const char *text, size_t length)
{
    int low = 0, high = words->count;
    while (low < high) {
        int middle = (low + high) / 2;
        int order = strncmp(words->word[middle], text, length);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_word(const fcl_words *words, int at, const char *text, size_t length)
{
    return at < words->count && strlen(words->word[at]) == length &&
           memcmp(words->word[at], text, length) == 0;
}

static void insert(fcl_words *words, int at, const char *text, size_t length)
{
    size_t count = (size_t)words->count, behind = count - (size_t)at;
    if ((count & (count - 1)) == 0) { /* a power of two is full */
        size_t capacity = count ? 2 * count : 1;
        words->word = fcl_grow(words->word, capacity * sizeof *words->word);
        words->first = fcl_grow(words->first, capacity * sizeof *words->first);
    }
    memmove(words->word + at + 1, words->word + at, behind * sizeof *words->word);
    memmove(words->first + at + 1, words->first + at, behind * sizeof *words->first);
    words->word[at] = fcl_format("%.*s", (int)length, text);
    words->first[at] = words->count++;
}

static int make_room(fcl_words *words)
{
    if (words->size < words->capacity)
        return FCL_OK;
    int64_t capacity = words->capacity ? 2 * words->capacity : 1024;
    int32_t *grown = realloc(words->number, (size_t)capacity * sizeof *grown);
    if (!grown)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for more than %lld labels", (long long)words->size);
    words->number = grown;
    words->capacity = capacity;
    return FCL_OK;
}

int fcl_words_add(fcl_words *words, const char *text, size_t length, int most)
{
    int at = find(words, text, length);
    if (!is_word(words, at, text, length)) {
        if (words->count == most)
            return fcl_fail(FCL_ERR_ARGUMENT, "there are more than %d different labels", most);
        insert(words, at, text, length);
    }
    FCL_TRY(make_room(words));
    words->number[words->size++] = words->first[at];
    return FCL_OK;
}

void fcl_words_free(fcl_words *words)
{
    for (int i = 0; i < words->count; i++)
        free(words->word[i]);
    free(words->word);
    free(words->first);
    free(words->number);
    *words = (fcl_words){0};
}
