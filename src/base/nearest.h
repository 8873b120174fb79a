/* The word somebody meant: for messages such as "no dataset 'mons'; did you mean 'moons'?". */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

/* The one of `words` that is nearest to `word` by edit distance (a swap of neighbours counts once, case does
 * not count, a beginning of a word is near it), or NULL where none is near enough to be meant. */
const char *fcl_nearest(const char *word, const char *const *words, int count);

#endif
