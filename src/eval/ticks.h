/* Where an axis gets its numbers. */
#ifndef EVAL_TICKS_H
#define EVAL_TICKS_H

enum { FCL_TICKS_MOST = 32 };

/* Round numbers (1, 2 or 5 times a power of ten apart) in [low, high], about `aim` of them. Returns how many.
 */
int fcl_ticks_linear(double low, double high, int aim, double ticks[FCL_TICKS_MOST]);

/* The same for a logarithmic axis, 0 < low < high, at most about three times `aim`: powers of ten, or 1, 2 and 5 times
 * them, or on less than a factor of six the linear ones. */
int fcl_ticks_log(double low, double high, int aim, double ticks[FCL_TICKS_MOST]);

#endif
