#include "sample_rows.h"

#include <string.h>

static const sample_change *find(const sample_change *changes, const char *key)
{
    while (changes->key && strcmp(changes->key, key))
        changes++;
    return changes;
}

void sample_rows_fill(fcl_option rows[SAMPLE_ROWS], const sample_change *changes)
{
    int count = 0;
    for (const fcl_option *row = fcl_sample_table; count < SAMPLE_ROWS - 1 && row->key; row++) {
        const sample_change *change = find(changes, row->key);
        if (change->left_out)
            continue;
        rows[count] = *row;
        rows[count].fallback = change->fallback ? change->fallback : row->fallback;
        rows[count].help = change->help ? change->help : row->help;
        rows[count].choice = change->choice ? change->choice : row->choice;
        rows[count].choice_help = change->choice_help ? change->choice_help : row->choice_help;
        count++;
    }
}
