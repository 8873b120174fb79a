#include "train/fit.h"

#include "base/error.h"
#include "base/memory.h"
#include "train/options.h"
#include "train/share.h"
#include "train/trainer.h"

#include <stdlib.h>

static int rehearse(fcl_device *device, const fcl_trainer *lender, const fcl_dataset *data,
                    const fcl_train_options *options, fcl_room *needs)
{
    fcl_device *rehearsal = fcl_rehearsal_begin(device);
    fcl_trainer *trainer = NULL;
    int status = fcl_trainer_create_beside(rehearsal, lender, data, options, &trainer);
    *needs = fcl_rehearsal_room(rehearsal);
    fcl_trainer_destroy(&trainer);
    fcl_rehearsal_end(&rehearsal);
    return status;
}

int fcl_fit_needs(fcl_device *device, const fcl_dataset *data, const fcl_train_options *options,
                  fcl_room *needs)
{
    return rehearse(device, NULL, data, options, needs);
}

typedef struct fit {
    const fcl_trainer *failed;
    fcl_train_options options; /* with their defaults */
    fcl_room has;
    const fcl_neighbour *ranks; /* (count) whose memory is looked at, by all of them at once; NULL: this one's alone */
    int count;
} fit;

static int measure(const fit *f, const fcl_train_options *options, fcl_room *needs)
{
    return rehearse(f->failed->device, f->failed, f->failed->data, options, needs);
}

static bool has_room(const fcl_room *has, const fcl_room *needs)
{
    return needs->bytes <= has->bytes && needs->largest <= has->largest;
}

/* Whether what each rank needs is there on all devices. */
static bool fits_all(const fit *f, const fcl_room *needs)
{
    for (int i = 0; i < f->count; i++)
        if (!has_room(&f->ranks[i].room, &needs[i]) ||
            fcl_neighbours_need(f->ranks, needs, f->count, i) > fcl_neighbours_memory(f->ranks, f->count, i))
            return false;
    return true;
}

static bool fits(const fit *f, const fcl_train_options *options)
{
    fcl_room needs;
    if (measure(f, options, &needs) != FCL_OK)
        needs.bytes = UINT64_MAX;
    if (!f->ranks)
        return has_room(&f->has, &needs);
    fcl_room *all = fcl_zalloc((size_t)f->count * sizeof *all);
    bool enough = fcl_ranks_gather(f->options.ranks, sizeof needs, &needs, all) == FCL_OK && fits_all(f, all);
    free(all);
    return enough;
}

static bool fits_batch(const fit *f, int batch)
{
    fcl_train_options other = f->options;
    other.batch = batch;
    return fits(f, &other);
}

static bool fits_parts(const fit *f, int parts)
{
    fcl_train_options other = f->options;
    other.accumulate = parts;
    return fits(f, &other);
}

static bool fits_streamed(const fit *f)
{
    fcl_train_options other = f->options;
    other.stream_data = true;
    return !f->options.stream_data && fits(f, &other);
}

static bool fits_recomputed(const fit *f)
{
    fcl_train_options other = f->options;
    other.recompute = true;
    return !f->options.recompute && fits(f, &other);
}

/* May the batch be that with the other options? */
static bool is_batch(const fcl_train_options *options, int batch)
{
    return batch % options->accumulate == 0 && (!options->coupling_batch || options->coupling_batch % batch == 0) &&
           fcl_share_suits(options->share, fcl_ranks_count(options->ranks), batch / options->accumulate);
}

static bool is_parts(const fcl_train_options *options, int parts)
{
    return options->batch % parts == 0 &&
           fcl_share_suits(options->share, fcl_ranks_count(options->ranks), options->batch / parts);
}

/* The numbers from `first` to `last`, in the order of what they need, least first: of the first of them that
 * fit, the last; 0 where none does. */
static int search(const fit *f, int count, const int *number, bool (*fit_with)(const fit *, int))
{
    int low = 0, high = count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (fit_with(f, number[middle]))
            low = middle + 1;
        else
            high = middle;
    }
    return low ? number[low - 1] : 0;
}

/* The largest batch that fits; 0: none does. */
static int largest_batch(const fit *f)
{
    int *number = fcl_zalloc((size_t)f->options.batch * sizeof *number), count = 0;
    for (int batch = 1; batch < f->options.batch; batch++)
        if (is_batch(&f->options, batch))
            number[count++] = batch;
    int found = search(f, count, number, fits_batch);
    free(number);
    return found;
}

/* The fewest parts that fit; 0: none do. */
static int fewest_parts(const fit *f)
{
    int *number = fcl_zalloc((size_t)f->options.batch * sizeof *number), count = 0;
    for (int parts = f->options.batch; parts > f->options.accumulate; parts--)
        if (is_parts(&f->options, parts))
            number[count++] = parts;
    int found = search(f, count, number, fits_parts);
    free(number);
    return found;
}

static void tell_needs(fcl_text *text, const fit *f, const fcl_room *needs)
{
    const double mib = 1 << 20;
    const char *name = fcl_device_describe(f->failed->device)->name;
    if (needs->bytes > f->has.bytes)
        fcl_text_format(text, "the training needs %.1f MiB of memory, and %s has %.1f MiB",
                        (double)needs->bytes / mib, name, (double)f->has.bytes / mib);
    else
        fcl_text_format(text, "the training needs a buffer of %.1f MiB, and %s allows %.1f MiB",
                        (double)needs->largest / mib, name, (double)f->has.largest / mib);
}

static void tell_ways(fcl_text *text, const fit *f)
{
    int batch = largest_batch(f), parts = fewest_parts(f);
    bool stream = fits_streamed(f), recompute = fits_recomputed(f);
    if (stream)
        fcl_text_add(text, ": it fits with the data on the host, --stream-data");
    if (batch)
        fcl_text_format(text, "%s the largest batch that fits is --batch %d", stream ? "; or" : ":", batch);
    else if (!stream)
        fcl_text_add(text, ": no smaller batch fits");
    if (parts)
        fcl_text_format(text, "; the batch of %d fits in parts, with --accumulate %d", f->options.batch,
                        parts);
    if (recompute)
        fcl_text_format(text, "%s with --recompute", parts ? ", or" : "; what it is fits");
    fcl_text_add(text, stream                         ? " (the options stream-data, batch, accumulate, recompute)"
                       : batch || parts || recompute ? " (the options batch, accumulate, recompute)"
                                                     : ": choose a smaller model, or another device");
}

int fcl_fit_explain(fcl_trainer *failed, const fcl_train_options *options)
{
    fcl_arena strings = {0};
    fcl_text text = {0};
    fcl_room needs;
    char *before = fcl_strdup(fcl_error());
    fit f = {.failed = failed, .has = fcl_device_room(failed->device)};
    fcl_trainer_leave_device(failed);
    int status = failed->looked ? fcl_train_options_fill(options, &failed->data->shape, &strings, &f.options)
                                : FCL_ERR_MEMORY; /* the host's, on the way to the device */
    f.options.share = failed->options.share; /* as it was measured */
    if (status == FCL_OK)
        status = measure(&f, &f.options, &needs);
    if (status == FCL_OK && (needs.bytes > f.has.bytes || needs.largest > f.has.largest)) {
        if (f.has.bytes < fcl_device_describe(failed->device)->memory) /* its driver gives less than it says */
            fcl_text_format(&text, "%s; ", before);
        tell_needs(&text, &f, &needs);
        tell_ways(&text, &f);
        fcl_fail(FCL_ERR_MEMORY, "%s", text.data);
    } else {
        fcl_fail(FCL_ERR_MEMORY, "%s", before);
    }
    fcl_text_free(&text);
    free(before);
    fcl_arena_free(&strings);
    return FCL_ERR_MEMORY;
}

/* --- of ranks that share a device --- */

static int tell_together(const fit *f, const fcl_room *needs, int rank, int sharing)
{
    const double mib = 1 << 20;
    fcl_text text = {0};
    fcl_text_format(&text, "%d ranks share this device: together they need %.1f MiB of memory, and %s has %.1f MiB", sharing,
                    (double)fcl_neighbours_need(f->ranks, needs, f->count, rank) / mib, f->ranks[rank].name,
                    (double)fcl_neighbours_memory(f->ranks, f->count, rank) / mib);
    tell_ways(&text, f);
    fcl_fail(FCL_ERR_MEMORY, "%s", text.data);
    fcl_text_free(&text);
    return FCL_ERR_MEMORY;
}

/* A rank whose device has room helps to find what fits; then it hears of the others. */
static int check_together(fcl_trainer *trainer, const fit *f, const fcl_room *needs)
{
    int mine = fcl_ranks_number(f->options.ranks), lacking = -1;
    bool nothing = false;
    for (int i = 0; i < f->count; i++) {
        bool lacks = fcl_neighbours_sharing(f->ranks, f->count, i) > 1 &&
                     fcl_neighbours_need(f->ranks, needs, f->count, i) > fcl_neighbours_memory(f->ranks, f->count, i);
        lacking = lacks && (lacking < 0 || i == mine) ? i : lacking;
    }
    if (lacking < 0)
        return FCL_OK;
    int status = tell_together(f, needs, lacking, fcl_neighbours_sharing(f->ranks, f->count, lacking));
    trainer->room_told = lacking == mine;
    return lacking == mine ? status : fcl_ranks_any(f->options.ranks, &nothing);
}

int fcl_fit_together(fcl_trainer *trainer)
{
    const fit f = {.failed = trainer,
                   .options = trainer->options,
                   .ranks = trainer->neighbours,
                   .count = fcl_ranks_count(trainer->options.ranks)};
    fcl_room needs;
    if (!f.ranks || !fcl_neighbours_share(f.ranks, f.count))
        return FCL_OK;
    FCL_TRY(measure(&f, &f.options, &needs));
    fcl_room *all = fcl_zalloc((size_t)f.count * sizeof *all);
    int status = fcl_ranks_gather(f.options.ranks, sizeof needs, &needs, all);
    if (status == FCL_OK)
        status = check_together(trainer, &f, all);
    free(all);
    return status;
}
