/* flowcl/normalise.h: data of any scale: what a model sees of their numbers.
 *
 * A network learns numbers about as large as the noise it begins with. So before training a number x of a sample may
 * become (x - centre)/scale, by one pair for all numbers of a sample or by one for each. Everything of a training acts
 * on that: couplings and their costs, sigma, tolerances, losses. It stands in the checkpoint, and whatever comes out of
 * one is in the data's own units again: samples, also those at other times; log densities, less the sum of log scale;
 * energies of paths. Data handed in, to be encoded or weighed, are in the data's units, too. Noise stays noise: what
 * data are encoded to, and what is decoded, is in units of the source, N(0, I). A source from a file is in the data's
 * units and moved by their numbers; a built-in one is not moved.
 *
 * How, fcl_train_options.normalise says:
 *     auto       data sets of files and of memory. Pictures whose range is known (see below) go to [-1, 1]; else as
 *                "off" where each column's |mean| is at most 10 and its standard deviation from 0.1 to 10, as "all" where
 *                the deviations are within a factor of 10 of each other, else as "columns"
 *     off        numbers stay as they are
 *     columns    each number of a sample by its own mean and standard deviation over the data
 *     all        each by its own mean, all by the root mean square of these deviations; of pictures (C, H, W) all
 *                numbers by the same mean, too
 *     C,S        numbers: a centre and a scale for all; or C,S,C,S,... for each number of a sample
 * A column that is constant is only centred. Built-in sets are never touched.
 *
 * Pictures, samples (H, W) or (C, H, W) with C 1 or 3: black and white are low and high, for whoever draws them, and for
 * "auto". fcl_train_options.range gives them, "0,16"; without it data from 0 to 1, from -1 to 1 or from 0 to 255, and
 * whole numbers from 0 to the largest or to 65535, are recognised, if they fill a quarter of that at least. The range of
 * other pictures is what they have. Sets of bytes keep their own values, in [-1, 1]; --range is told in bytes. */
#ifndef FLOWCL_NORMALISE_H
#define FLOWCL_NORMALISE_H

#include <flowcl/data.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fcl_normalisation {
    int64_t count;          /* of the pairs: 0, numbers stay as they are; 1, for all; or the numbers of a sample */
    double *centre, *scale; /* (count) exact in single precision; scale above 0 */
    double low, high;       /* of pictures, in the data's units: black and white; both 0 of other data */
} fcl_normalisation;

/* The names of `normalise`, and what they are; NULL past the last. */
FCL_API const char *fcl_normalise_name(int index);
FCL_API const char *fcl_normalise_help(int index);

/* FCL_ERR_ARGUMENT where text is not usable whatever the data are; NULL: "auto", and no range. */
FCL_API int fcl_normalise_check(const char *normalise, const char *range);

/* What the texts make of the data. FCL_ERR_ARGUMENT: see above; they are not for built-in sets; as many pairs as a
 * sample has no numbers; a range is not for what is no picture. FCL_ERR_MEMORY. */
FCL_API int fcl_normalisation_create(const fcl_dataset *data, const char *normalise, const char *range,
                                     fcl_normalisation **normalisation);
FCL_API void fcl_normalisation_destroy(fcl_normalisation **normalisation);

/* n samples x of `size` numbers each, from the data's units to the model's, in place, and back. */
FCL_API void fcl_normalisation_apply(const fcl_normalisation *by, int64_t n, int64_t size, float *x);
FCL_API void fcl_normalisation_undo(const fcl_normalisation *by, int64_t n, int64_t size, float *x);
/* The sum of log scale over a sample's numbers: log p in the data's units is less than in the model's by that. */
FCL_API double fcl_normalisation_log_scale(const fcl_normalisation *by, int64_t size);

/* In words: "(x1 - 101325)/800, (x2 - 0.02)/0.004", "" where numbers stay as they are. Released by fcl_free. */
FCL_API char *fcl_normalisation_text(const fcl_normalisation *by);

#ifdef __cplusplus
}
#endif

#endif
