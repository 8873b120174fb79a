#include "base/pool.h"

#include "base/memory.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { MOST_THREADS = 16 };

struct fcl_pool {
    pthread_t thread[MOST_THREADS];
    int started;           /* threads beside the caller's */
    pthread_mutex_t turn;  /* of the thread whose loop it is */
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    void (*work)(void *data, int64_t i);
    void *data;
    int64_t next, count; /* of the pieces, none of which is at work from `next` on */
    int busy;            /* pieces at work */
    bool ending;
};

/* Takes pieces for as long as there are any; with the mutex held. */
static void take_pieces(fcl_pool *pool)
{
    while (pool->next < pool->count) {
        int64_t piece = pool->next++;
        pool->busy++;
        pthread_mutex_unlock(&pool->mutex);
        pool->work(pool->data, piece);
        pthread_mutex_lock(&pool->mutex);
        pool->busy--;
    }
    if (!pool->busy)
        pthread_cond_broadcast(&pool->changed);
}

static void *serve(void *argument)
{
    fcl_pool *pool = argument;
    pthread_mutex_lock(&pool->mutex);
    while (!pool->ending) {
        if (pool->next < pool->count)
            take_pieces(pool);
        else
            pthread_cond_wait(&pool->changed, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

int fcl_processors(void)
{
    cpu_set_t allowed;
    return sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
}

fcl_pool *fcl_pool_create(int threads)
{
    fcl_pool *pool = fcl_zalloc(sizeof *pool);
    pthread_mutex_init(&pool->turn, NULL);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->changed, NULL);
    int usable = fcl_processors(), wanted = threads ? threads : usable < MOST_THREADS ? usable : MOST_THREADS;
    while (pool->started + 1 < wanted && pool->started < MOST_THREADS &&
           pthread_create(&pool->thread[pool->started], NULL, serve, pool) == 0)
        pool->started++;
    return pool;
}

void fcl_pool_destroy(fcl_pool **pool)
{
    fcl_pool *dying = *pool;
    if (!dying)
        return;
    pthread_mutex_lock(&dying->mutex);
    dying->ending = true;
    pthread_cond_broadcast(&dying->changed);
    pthread_mutex_unlock(&dying->mutex);
    for (int i = 0; i < dying->started; i++)
        pthread_join(dying->thread[i], NULL);
    pthread_cond_destroy(&dying->changed);
    pthread_mutex_destroy(&dying->mutex);
    pthread_mutex_destroy(&dying->turn);
    free(dying);
    *pool = NULL;
}

void fcl_pool_run(fcl_pool *pool, int64_t count, void (*work)(void *data, int64_t i), void *data)
{
    pthread_mutex_lock(&pool->turn);
    pthread_mutex_lock(&pool->mutex);
    pool->work = work;
    pool->data = data;
    pool->next = 0;
    pool->count = count;
    pthread_cond_broadcast(&pool->changed);
    take_pieces(pool);
    while (pool->busy)
        pthread_cond_wait(&pool->changed, &pool->mutex);
    pool->count = pool->next = 0;
    pthread_mutex_unlock(&pool->mutex);
    pthread_mutex_unlock(&pool->turn);
}
