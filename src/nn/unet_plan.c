/* What the options of a U-Net say for pictures of one shape, and what of it cannot be. */
#include "nn/unet.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* --- options --- */

static const struct {
    const char *name, *help;
} resamples[] = {
    [FCL_UNET_BY_CONV] = {"conv", "a convolution each: of stride 2 down, of each pixel doubled up"},
    [FCL_UNET_BY_POOL] = {"pool", "the mean of 2 x 2 pixels down, each pixel doubled up"},
    [FCL_UNET_BY_BLOCK] = {"block", "a residual block each"},
};

enum { RESAMPLES = sizeof resamples / sizeof *resamples };

const char *fcl_unet_resample_name(int index)
{
    return index >= 0 && index < RESAMPLES ? resamples[index].name : NULL;
}

const char *fcl_unet_resample_help(int index)
{
    return index >= 0 && index < RESAMPLES ? resamples[index].help : NULL;
}

fcl_unet_resample fcl_unet_resample_of(const fcl_model_options *options)
{
    int index = 0;
    while (index + 1 < RESAMPLES && strcmp(resamples[index].name, options->resample) != 0)
        index++;
    return (fcl_unet_resample)index;
}

typedef struct list {
    int count;
    int64_t at[FCL_UNET_LEVELS];
} list;

/* Whole numbers above 0 between commas. */
static bool read_list(const char *text, list *of)
{
    enum { MOST = 65536 };
    for (of->count = 0; of->count < FCL_UNET_LEVELS; text++) {
        char *end;
        if (!isdigit((unsigned char)*text))
            return false;
        unsigned long number = strtoul(text, &end, 10);
        if (number < 1 || number > MOST)
            return false;
        of->at[of->count++] = (int64_t)number;
        text = end;
        if (*text != ',')
            return !*text;
    }
    return false;
}

static int read_multipliers(const fcl_model_options *options, fcl_unet_plan *of)
{
    list multipliers;
    if (!read_list(options->multipliers, &multipliers))
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "multipliers \"%s\" are no list such as 1,2,2: a whole number for each size of the picture, at most %d "
                        "of them",
                        options->multipliers, FCL_UNET_LEVELS);
    of->levels = multipliers.count;
    for (int l = 0; l < of->levels; l++)
        of->channels[l] = multipliers.at[l] * options->channels;
    return FCL_OK;
}

static bool is_word(const fcl_model_options *options, const char *word)
{
    return strcmp(options->attention, word) == 0;
}

int fcl_unet_check(const fcl_model_options *options)
{
    fcl_unet_plan of;
    list sizes;
    FCL_TRY(read_multipliers(options, &of));
    if (options->channels % FCL_UNET_GROUPS)
        return fcl_fail(FCL_ERR_ARGUMENT, "channels %d are not divisible by %d, the groups of the U-Net's norms; %d would be",
                        options->channels, FCL_UNET_GROUPS, (options->channels / FCL_UNET_GROUPS + 1) * FCL_UNET_GROUPS);
    if (!is_word(options, "half") && !is_word(options, "none") && !read_list(options->attention, &sizes))
        return fcl_fail(FCL_ERR_ARGUMENT, "attention \"%s\" is no list of sizes such as 14,7, nor \"half\" or \"none\"",
                        options->attention);
    if (options->heads && options->head_channels)
        return fcl_fail(FCL_ERR_ARGUMENT, "heads %d and head-channels %d both say how many heads there are: give one of them",
                        options->heads, options->head_channels);
    return FCL_OK;
}

/* --- the plan --- */

fcl_shape fcl_unet_picture(fcl_shape sample)
{
    return sample.rank == 2 ? FCL_SHAPE(1, sample.dim[0], sample.dim[1]) : sample;
}

static int check_picture(fcl_shape picture, const fcl_model_options *options, const fcl_unet_plan *of)
{
    char text[FCL_SHAPE_TEXT];
    int64_t divisor = 1LL << (of->levels - 1);
    if (picture.rank != 3)
        return fcl_fail(FCL_ERR_ARGUMENT, "the model unet takes pictures, (channels, height, width), and a sample is %s",
                        fcl_shape_format(picture, text));
    if (picture.dim[1] % divisor || picture.dim[2] % divisor)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "multipliers %s halve a picture %d times, and one of %lld x %lld has sides that %lld does not divide: "
                        "take fewer of them, or pictures of another size",
                        options->multipliers, of->levels - 1, (long long)picture.dim[1], (long long)picture.dim[2],
                        (long long)divisor);
    return FCL_OK;
}

/* "28, 14, 7" */
static char *heights_text(const fcl_unet_plan *of)
{
    fcl_text text = {0};
    for (int l = 0; l < of->levels; l++)
        fcl_text_format(&text, "%s%lld", l ? ", " : "", (long long)of->height[l]);
    return text.data;
}

static int place_attention(const fcl_model_options *options, fcl_unet_plan *of)
{
    list sizes = {0};
    if (is_word(options, "half"))
        of->attends[1] = of->levels > 1;
    else if (!is_word(options, "none"))
        read_list(options->attention, &sizes);
    for (int i = 0; i < sizes.count; i++) {
        int l = 0;
        while (l < of->levels && of->height[l] != sizes.at[i])
            l++;
        if (l == of->levels) {
            char *heights = heights_text(of);
            fcl_fail(FCL_ERR_ARGUMENT, "attention %lld never occurs: the heights of the picture on its way are %s",
                     (long long)sizes.at[i], heights);
            free(heights);
            return FCL_ERR_ARGUMENT;
        }
        of->attends[l] = true;
    }
    return FCL_OK;
}

int fcl_unet_heads(const fcl_model_options *options, int64_t channels)
{
    if (options->head_channels)
        return (int)(channels / options->head_channels);
    return options->heads ? options->heads : 1;
}

/* The middle block, at the last size, attends in any case. */
static int check_heads(const fcl_model_options *options, const fcl_unet_plan *of)
{
    const char *key = options->head_channels ? "head-channels" : "heads";
    int number = options->head_channels ? options->head_channels : fcl_unet_heads(options, 0);
    for (int l = 0; l < of->levels; l++)
        if ((of->attends[l] || l == of->levels - 1) && of->channels[l] % number)
            return fcl_fail(FCL_ERR_ARGUMENT,
                            "%s %d does not divide the %lld channels that attend where pictures are %lld high: take one "
                            "that does",
                            key, number, (long long)of->channels[l], (long long)of->height[l]);
    return FCL_OK;
}

int fcl_unet_plan_make(const fcl_model_options *options, fcl_shape picture, fcl_unet_plan *of)
{
    *of = (fcl_unet_plan){0};
    FCL_TRY(read_multipliers(options, of));
    FCL_TRY(check_picture(picture, options, of));
    for (int l = 0; l < of->levels; l++)
        of->height[l] = picture.dim[1] >> l;
    FCL_TRY(place_attention(options, of));
    return check_heads(options, of);
}
