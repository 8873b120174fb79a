/* Figures that are measured in turn, a round each, on a machine whose speed changes meanwhile.
 *
 * Two of them are compared round by round: what the machine did in a round, it did to both. The median of
 * these ratios holds where a ratio of medians, or of the least times, compares a fast moment of one with a
 * slow one of the other. */
#ifndef ROUNDS_H
#define ROUNDS_H

typedef struct rounds_spread {
    double median, p10, p90; /* between the two nearest; NAN where there is no round */
} rounds_spread;

rounds_spread rounds_of(const double *values, int count);
/* Of values[i] / to[i]. */
rounds_spread rounds_ratio(const double *values, const double *to, int count);

#endif
