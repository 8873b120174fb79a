#include "train/share.h"

#include "base/error.h"
#include "base/memory.h"

#include <flowcl/text.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The shares of the ranks before one, with its own and all. */
typedef struct sums {
    double before, own, all;
} sums;

static int fail_share(const char *text, int ranks)
{
    return fcl_fail(FCL_ERR_ARGUMENT,
                    "share \"%s\": expected %d positive numbers, one a rank, with colons between, or " FCL_SHARE_EQUAL
                    ", or " FCL_SHARE_MEASURED, text, ranks);
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

static bool is_numbers(const char *share)
{
    return share && strcmp(share, FCL_SHARE_EQUAL) != 0 && strcmp(share, FCL_SHARE_MEASURED) != 0;
}

/* Of some rows those of one of some ranks. */
static int divide(const char *text, int ranks, int number, int rows, fcl_share *share)
{
    sums of = {.before = number, .own = 1, .all = ranks};
    if (is_numbers(text))
        FCL_TRY(read_shares(text, ranks, number, &of));
    int first = (int)(rows * of.before / of.all + 0.5), end = (int)(rows * (of.before + of.own) / of.all + 0.5);
    *share = (fcl_share){first, end - first};
    return FCL_OK;
}

int fcl_share_of(const fcl_train_options *options, fcl_share *share)
{
    int ranks = fcl_ranks_count(options->ranks), number = fcl_ranks_number(options->ranks);
    int parts = options->batch / options->accumulate; /* of so many rows a rank has some, in each part of a step */
    FCL_TRY(divide(options->ranks ? options->share : NULL, ranks, number, parts, share));
    share->first *= options->accumulate;
    share->rows *= options->accumulate;
    if (share->rows > 0)
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT,
                    "of a batch of %d (accumulate %d) there is no sample for rank %d of %d in each part: a larger batch has "
                    "some for all",
                    options->batch, options->accumulate, number, ranks);
}

bool fcl_share_suits(const char *text, int ranks, int rows)
{
    fcl_share share;
    for (int rank = 0; rank < ranks; rank++)
        if (divide(text, ranks, rank, rows, &share) != FCL_OK || share.rows == 0)
            return false;
    return true;
}

/* --- by what was measured --- */

/* To the slowest. */
static char *write_ratios(const double *speed, int count)
{
    fcl_text text = {0};
    double least = speed[0];
    for (int i = 1; i < count; i++)
        least = fmin(least, speed[i]);
    for (int i = 0; i < count; i++) {
        double ratio = speed[i] / least;
        fcl_text_format(&text, ratio < 100 ? "%s%.3g" : "%s%.0f", i ? ":" : "", ratio);
    }
    return text.data;
}

/* Each has one, and of the others what its speed says; what is left then is the fastest one's. */
static char *write_rows(const double *speed, int count, int rows)
{
    fcl_text text = {0};
    int fastest = 0, more = rows - count, left = more, *own = fcl_zalloc((size_t)count * sizeof *own);
    double all = 0;
    for (int i = 0; i < count; i++) {
        all += speed[i];
        fastest = speed[i] > speed[fastest] ? i : fastest;
    }
    for (int i = 0; i < count; i++) {
        own[i] = (int)(more * (speed[i] / all));
        left -= own[i];
    }
    own[fastest] += left;
    for (int i = 0; i < count; i++)
        fcl_text_format(&text, "%s%d", i ? ":" : "", 1 + own[i]);
    free(own);
    return text.data;
}

char *fcl_share_text(const double *speed, int ranks, int rows)
{
    char *ratios = write_ratios(speed, ranks);
    if (fcl_share_suits(ratios, ranks, rows))
        return ratios;
    free(ratios);
    return write_rows(speed, ranks, rows);
}
