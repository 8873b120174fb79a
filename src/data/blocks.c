#include "data/blocks.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "data/stored.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4 }; /* that wait for a disk, most of the time */

typedef enum place_state { PLACE_FREE, PLACE_ASKED, PLACE_READING, PLACE_THERE } place_state;

/* Room for a block. */
typedef struct place {
    place_state state;
    int64_t block, until;
    uint64_t turn; /* the least is read first */
    uint8_t *rows;
    int status; /* of the reading, and its sentence */
    char fault[512];
} place;

struct fcl_blocks {
    fcl_blocks_options options;
    place *places;
    pthread_t thread[THREADS];
    int started;
    pthread_mutex_t mutex; /* of what follows, and the places' states */
    pthread_cond_t asked, there;
    uint64_t turns;
    int64_t now; /* the position that blocks were last expected at */
    double seconds;
    int64_t read;
    bool ending;
};

/* --- the threads --- */

static int64_t samples_of(const fcl_blocks *blocks, int64_t block)
{
    int64_t left = blocks->options.count - block * blocks->options.block;
    return left < blocks->options.block ? left : blocks->options.block;
}

static int read_block(const fcl_blocks *blocks, int64_t block, uint8_t *rows)
{
    const fcl_blocks_options *of = &blocks->options;
    int64_t first = block * of->block, n = samples_of(blocks, block);
    if (!of->only)
        return fcl_stored_run(of->data->stored, first, n, rows);
    int64_t *which = fcl_zalloc((size_t)n * sizeof *which);
    for (int64_t i = 0; i < n; i++)
        which[i] = of->only[first + i];
    int status = fcl_stored_gather(of->data->stored, n, which, rows);
    free(which);
    return status;
}

static place *next_asked(const fcl_blocks *blocks)
{
    place *found = NULL;
    for (int64_t i = 0; i < blocks->options.most; i++) {
        place *at = &blocks->places[i];
        if (at->state == PLACE_ASKED && (!found || at->turn < found->turn))
            found = at;
    }
    return found;
}

/* With the mutex held, which it lets go meanwhile. */
static void read_place(fcl_blocks *blocks, place *at)
{
    at->state = PLACE_READING;
    pthread_mutex_unlock(&blocks->mutex);
    double began = fcl_clock_seconds();
    at->status = read_block(blocks, at->block, at->rows);
    if (at->status != FCL_OK)
        snprintf(at->fault, sizeof at->fault, "%s", fcl_error());
    pthread_mutex_lock(&blocks->mutex);
    blocks->seconds += fcl_clock_seconds() - began;
    blocks->read++;
    at->state = PLACE_THERE;
    pthread_cond_broadcast(&blocks->there);
}

static void *serve(void *argument)
{
    fcl_blocks *blocks = argument;
    pthread_mutex_lock(&blocks->mutex);
    while (!blocks->ending) {
        place *at = next_asked(blocks);
        if (at)
            read_place(blocks, at);
        else
            pthread_cond_wait(&blocks->asked, &blocks->mutex);
    }
    pthread_mutex_unlock(&blocks->mutex);
    return NULL;
}

/* --- making --- */

static int create(fcl_blocks *blocks)
{
    const fcl_blocks_options *of = &blocks->options;
    size_t bytes = (size_t)of->block * of->data->stored->row_bytes;
    for (int64_t i = 0; i < of->most; i++)
        if (!(blocks->places[i].rows = malloc(bytes)))
            return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for %lld blocks of %zu bytes", of->data->name,
                            (long long)of->most, bytes);
    while (blocks->started < THREADS &&
           pthread_create(&blocks->thread[blocks->started], NULL, serve, blocks) == 0)
        blocks->started++;
    return blocks->started ? FCL_OK : fcl_fail(FCL_ERR_MEMORY, "cannot start a thread");
}

int fcl_blocks_create(const fcl_blocks_options *options, fcl_blocks **blocks)
{
    fcl_blocks *made = *blocks = fcl_zalloc(sizeof *made);
    made->options = *options;
    made->places = fcl_zalloc((size_t)options->most * sizeof *made->places);
    pthread_mutex_init(&made->mutex, NULL);
    pthread_cond_init(&made->asked, NULL);
    pthread_cond_init(&made->there, NULL);
    int status = create(made);
    if (status != FCL_OK)
        fcl_blocks_destroy(blocks);
    return status;
}

void fcl_blocks_destroy(fcl_blocks **blocks)
{
    fcl_blocks *dying = *blocks;
    if (!dying)
        return;
    pthread_mutex_lock(&dying->mutex);
    dying->ending = true;
    pthread_cond_broadcast(&dying->asked);
    pthread_mutex_unlock(&dying->mutex);
    for (int i = 0; i < dying->started; i++)
        pthread_join(dying->thread[i], NULL);
    for (int64_t i = 0; i < dying->options.most; i++)
        free(dying->places[i].rows);
    free(dying->places);
    pthread_cond_destroy(&dying->there);
    pthread_cond_destroy(&dying->asked);
    pthread_mutex_destroy(&dying->mutex);
    free(dying);
    *blocks = NULL;
}

/* --- asking and taking, with the mutex held --- */

static place *find(const fcl_blocks *blocks, int64_t block)
{
    for (int64_t i = 0; i < blocks->options.most; i++)
        if (blocks->places[i].state != PLACE_FREE && blocks->places[i].block == block)
            return &blocks->places[i];
    return NULL;
}

/* A place that is free, or else the one whose block is of use for the shortest time; NULL: all wait to be
 * read. */
static place *find_room(const fcl_blocks *blocks)
{
    place *found = NULL;
    for (int64_t i = 0; i < blocks->options.most; i++) {
        place *at = &blocks->places[i];
        if (at->state == PLACE_FREE)
            return at;
        if (at->state == PLACE_THERE && (!found || at->until < found->until))
            found = at;
    }
    return found;
}

static void ask(fcl_blocks *blocks, place *at, int64_t block, int64_t until)
{
    at->state = PLACE_ASKED;
    at->block = block;
    at->until = until;
    at->turn = ++blocks->turns;
    pthread_cond_signal(&blocks->asked);
}

/* Positions go back, as where a step is explained or a training resumed: blocks of later ones make room. */
static void go_back(fcl_blocks *blocks)
{
    for (int64_t i = 0; i < blocks->options.most; i++) {
        place *at = &blocks->places[i];
        at->until = -1;
        if (at->state == PLACE_ASKED)
            at->state = PLACE_FREE;
    }
}

void fcl_blocks_expect(fcl_blocks *blocks, int64_t block, int64_t now, int64_t until)
{
    pthread_mutex_lock(&blocks->mutex);
    if (now < blocks->now)
        go_back(blocks);
    blocks->now = now;
    place *at = find(blocks, block), *room = at ? NULL : find_room(blocks);
    if (at)
        at->until = at->until < until ? until : at->until;
    else if (room && (room->state == PLACE_FREE || room->until <= now))
        ask(blocks, room, block, until);
    pthread_mutex_unlock(&blocks->mutex);
}

/* Until the block is there, which nobody else takes away: samples are taken by one thread. */
static place *wait_for(fcl_blocks *blocks, int64_t block, int64_t until)
{
    place *at;
    while (!(at = find(blocks, block)) || at->state != PLACE_THERE) {
        place *room = at ? NULL : find_room(blocks);
        if (room)
            ask(blocks, room, block, until);
        if (at)
            at->turn = 0; /* the next that is read */
        pthread_cond_wait(&blocks->there, &blocks->mutex);
    }
    at->until = at->until < until ? until : at->until;
    return at;
}

int fcl_blocks_take(fcl_blocks *blocks, int64_t drawn, int64_t until, void *row)
{
    size_t bytes = blocks->options.data->stored->row_bytes;
    int64_t block = drawn / blocks->options.block;
    pthread_mutex_lock(&blocks->mutex);
    place *at = wait_for(blocks, block, until);
    pthread_mutex_unlock(&blocks->mutex);
    if (at->status != FCL_OK)
        return fcl_fail(at->status, "%s", at->fault);
    memcpy(row, at->rows + (size_t)(drawn - block * blocks->options.block) * bytes, bytes);
    return FCL_OK;
}

double fcl_blocks_seconds(fcl_blocks *blocks, int64_t *read)
{
    pthread_mutex_lock(&blocks->mutex);
    double seconds = blocks->seconds;
    *read = blocks->read;
    blocks->seconds = 0;
    blocks->read = 0;
    pthread_mutex_unlock(&blocks->mutex);
    return seconds;
}
