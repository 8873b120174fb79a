#include "train/share.h"

#include "base/error.h"

#include <flowcl/text.h>

/* The shares of the ranks before this one, with its own and all. */
typedef struct sums {
    double before, own, all;
} sums;

static int fail_share(const char *text, int ranks)
{
    return fcl_fail(FCL_ERR_ARGUMENT, "share \"%s\": expected %d positive numbers, one a rank, with colons between", text, ranks);
}

static int read_shares(const char *text, int ranks, int number, sums *of)
{
    const char *next = text;
    *of = (sums){0};
    for (int rank = 0; rank < ranks; rank++) {
        char *end;
        double share = fcl_strtod(next, &end);
        if (end == next || !(share > 0) || share > 1e6 || *end != (rank < ranks - 1 ? ':' : '\0'))
            return fail_share(text, ranks);
        of->before += rank < number ? share : 0;
        of->own = rank == number ? share : of->own;
        of->all += share;
        next = end + 1;
    }
    return FCL_OK;
}

int fcl_share_of(const fcl_train_options *options, fcl_share *share)
{
    int ranks = fcl_ranks_count(options->ranks), number = fcl_ranks_number(options->ranks);
    sums of = {.before = number, .own = 1, .all = ranks};
    if (options->share && options->ranks)
        FCL_TRY(read_shares(options->share, ranks, number, &of));
    int parts = options->batch / options->accumulate; /* of so many rows a rank has some, in each part of a step */
    int first = (int)(parts * of.before / of.all + 0.5), end = (int)(parts * (of.before + of.own) / of.all + 0.5);
    *share = (fcl_share){first * options->accumulate, (end - first) * options->accumulate};
    if (share->rows > 0)
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT,
                    "of a batch of %d (accumulate %d) there is no sample for rank %d of %d in each part: a larger batch has "
                    "some for all",
                    options->batch, options->accumulate, number, ranks);
}
