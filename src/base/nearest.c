#include "base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { LONGEST = 63, FAR = 1000 };

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: insertions, deletions, replacements and swaps of neighbours, each at cost 1. */
static int edit_distance(const char *a, const char *b)
{
    int n = (int)strlen(a), m = (int)strlen(b);
    int cost[LONGEST + 1][LONGEST + 1]; /* cost[i][j]: from the first i letters of a to the first j of b */
    for (int i = 0; i <= n; i++)
        cost[i][0] = i;
    for (int j = 0; j <= m; j++)
        cost[0][j] = j;
    for (int i = 1; i <= n; i++) {
        for (int j = 1; j <= m; j++) {
            int best = least(cost[i - 1][j], cost[i][j - 1]) + 1;
            best = least(best, cost[i - 1][j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                best = least(best, cost[i - 2][j - 2] + 1);
            cost[i][j] = best;
        }
    }
    return cost[n][m];
}

static int distance(const char *word, const char *candidate)
{
    size_t length = strlen(word);
    if (length > LONGEST || strlen(candidate) > LONGEST)
        return FAR;
    if (length >= 3 && strncasecmp(word, candidate, length) == 0)
        return 1;
    return edit_distance(word, candidate);
}

const char *fcl_nearest(const char *word, const char *const *words, int count)
{
    const char *nearest = NULL;
    int smallest = 2 + (int)(strlen(word) / 4); /* what is farther than this was not meant */
    for (int i = 0; i < count; i++) {
        int d = distance(word, words[i]);
        if (d < smallest) {
            smallest = d;
            nearest = words[i];
        }
    }
    return nearest;
}
