/* Words in a row, as the labels of a table: each is kept once, and stands as its number. */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include <flowcl/base.h>

typedef struct fcl_words {
    char **word; /* the different ones, sorted by their bytes */
    int count;
    int32_t *number; /* (size) of each word in the row: how many others had come before it came first */
    int64_t size, capacity;
    int32_t *first; /* (count) that number of word[i] */
} fcl_words;

/* FCL_ERR_ARGUMENT where there are more than `most` different ones, FCL_ERR_MEMORY. */
int fcl_words_add(fcl_words *words, const char *text, size_t length, int most);

void fcl_words_free(fcl_words *words);

#endif
