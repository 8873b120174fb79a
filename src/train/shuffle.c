#include "train/shuffle.h"

#include "base/random.h"

#include "cl/philox.h"
#include "cl/permute.h"

/* Counted beside the streams of fcl_stream: of the blocks' order, and of the short one's place. */
#define OF_BLOCKS 0x40000000u
#define OF_SHORT  0x20000000u

enum {
    BLOCK_BYTES = 1 << 20, /* of a block, or one sample */
    WINDOW_BYTES = 1 << 25,
    LEAST_WINDOW = 2, /* blocks of large samples */
};

static const struct {
    const char *name, *help;
} names[] = {
    {FCL_SHUFFLE_AUTO, "blocks where .npy data stay on the disk, else whole"},
    {FCL_SHUFFLE_WHOLE, "each epoch is a permutation of all samples"},
    {FCL_SHUFFLE_BLOCKS, "a permutation of blocks of 1 MiB, and of the samples of each 32 of them"},
};

enum { NAMES = sizeof names / sizeof *names };

const char *fcl_shuffle_name(int index)
{
    return index >= 0 && index < NAMES ? names[index].name : NULL;
}

const char *fcl_shuffle_help(int index)
{
    return index >= 0 && index < NAMES ? names[index].help : NULL;
}

int64_t fcl_shuffle_block(size_t row_bytes)
{
    return row_bytes < BLOCK_BYTES ? BLOCK_BYTES / (int64_t)row_bytes : 1;
}

int64_t fcl_shuffle_window(size_t row_bytes)
{
    size_t bytes = (size_t)fcl_shuffle_block(row_bytes) * row_bytes;
    int64_t blocks = (int64_t)(WINDOW_BYTES / bytes), most = WINDOW_BYTES / BLOCK_BYTES;
    return blocks < LEAST_WINDOW ? LEAST_WINDOW : blocks > most ? most : blocks;
}

/* --- blocks of an epoch: slots in their order --- */

static int64_t block_count(const fcl_shuffle *of)
{
    return (of->count + of->block - 1) / of->block;
}

/* Of the last block. */
static int64_t short_samples(const fcl_shuffle *of)
{
    return of->count - (block_count(of) - 1) * of->block;
}

static int64_t short_slot(const fcl_shuffle *of, int64_t epoch)
{
    fcl_random key = {.seed = of->seed, .stream = of->stream | OF_SHORT};
    return (int64_t)(fcl_random_uniform(key, (uint64_t)epoch) * (double)block_count(of));
}

static int64_t block_of(const fcl_shuffle *of, int64_t epoch, int64_t slot)
{
    int64_t last = block_count(of) - 1, at = short_slot(of, epoch);
    if (slot == at)
        return last;
    uint32_t full = (uint32_t)(slot - (slot > at));
    return permute_index(full, (uint32_t)last, of->seed, of->stream | OF_BLOCKS, (uint64_t)epoch);
}

/* Which slot the q-th sample of the epoch lies in, and where in it, in the order of the blocks. */
static int64_t slot_of(const fcl_shuffle *of, int64_t epoch, int64_t q, int64_t *within)
{
    int64_t at = short_slot(of, epoch), before = at * of->block, few = short_samples(of);
    if (q >= before && q < before + few) {
        *within = q - before;
        return at;
    }
    int64_t moved = q < before ? q : q - few;
    *within = moved % of->block;
    return moved / of->block + (q >= before);
}

/* --- windows --- */

typedef struct stretch {
    int64_t epoch, number, first, count; /* of the epoch's windows; its samples, from the epoch's first */
} stretch;

static stretch window_at(const fcl_shuffle *of, int64_t position)
{
    int64_t most = of->block * of->window, p = position % of->count;
    stretch found = {.epoch = position / of->count, .number = p / most, .first = p / most * most};
    found.count = of->count - found.first < most ? of->count - found.first : most;
    return found;
}

int64_t fcl_shuffle_window_end(const fcl_shuffle *shuffle, int64_t position)
{
    stretch window = window_at(shuffle, position);
    return window.epoch * shuffle->count + window.first + window.count;
}

int64_t fcl_shuffle_slots(const fcl_shuffle *shuffle, int64_t position)
{
    int64_t within;
    stretch window = window_at(shuffle, position);
    return slot_of(shuffle, window.epoch, window.first + window.count - 1, &within) -
           slot_of(shuffle, window.epoch, window.first, &within) + 1;
}

int64_t fcl_shuffle_block_at(const fcl_shuffle *shuffle, int64_t position, int64_t slot)
{
    int64_t within;
    stretch window = window_at(shuffle, position);
    return block_of(shuffle, window.epoch, slot_of(shuffle, window.epoch, window.first, &within) + slot);
}

static int64_t at_blocks(const fcl_shuffle *of, int64_t position)
{
    int64_t within;
    stretch window = window_at(of, position);
    int64_t windows = (of->count + of->block * of->window - 1) / (of->block * of->window);
    uint32_t mixed = permute_index((uint32_t)(position % of->count - window.first), (uint32_t)window.count,
                                   of->seed, of->stream, (uint64_t)(window.epoch * windows + window.number));
    int64_t slot = slot_of(of, window.epoch, window.first + mixed, &within);
    return block_of(of, window.epoch, slot) * of->block + within;
}

int64_t fcl_shuffle_at(const fcl_shuffle *shuffle, int64_t position)
{
    if (shuffle->block)
        return at_blocks(shuffle, position);
    return permute_index((uint32_t)(position % shuffle->count), (uint32_t)shuffle->count, shuffle->seed,
                         shuffle->stream, (uint64_t)(position / shuffle->count));
}
