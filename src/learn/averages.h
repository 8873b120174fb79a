/* The averages of a learner's weights: what an option says of them, and which of a file's go on as which. */
#ifndef LEARN_AVERAGES_H
#define LEARN_AVERAGES_H

#include "base/option_value.h"

#include <flowcl/learn.h>

/* Their decays, in the order in which they were asked for. 0: not known, of the only average of a file that tells none. */
typedef struct fcl_averages {
    int count;
    float decay[FCL_AVERAGES];
} fcl_averages;

typedef struct fcl_decay_text {
    char text[FCL_NUMBER_TEXT];
} fcl_decay_text;

/* "0.999,0.9999", or "off". FCL_ERR_ARGUMENT says what is wrong with it. */
int fcl_averages_read(const char *text, fcl_averages *averages);
/* The shortest decimal: of one decay it is one text, whatever the user wrote. */
fcl_decay_text fcl_average_text(float decay);
/* "0.999,0.9999", "" of none; released by free. */
char *fcl_averages_text(const fcl_averages *averages);

/* Which of a file's averages goes on as the index-th of `now`: the one of its decay; where both have but one, that, under
 * the decay of now; and one whose decay is not known goes on as the first. -1: none does, and it begins with the weights. */
int fcl_averages_origin(const fcl_averages *file, const fcl_averages *now, int index);

#endif
