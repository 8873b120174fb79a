#include "base/worker.h"

#include "base/error.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>

struct fcl_worker {
    void (*work)(void *data);
    void *data;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool running, busy, ending;
};

static void *serve(void *argument)
{
    fcl_worker *worker = argument;
    pthread_mutex_lock(&worker->mutex);
    for (;;) {
        while (!worker->busy && !worker->ending)
            pthread_cond_wait(&worker->changed, &worker->mutex);
        if (!worker->busy)
            break;
        pthread_mutex_unlock(&worker->mutex);
        worker->work(worker->data);
        pthread_mutex_lock(&worker->mutex);
        worker->busy = false;
        pthread_cond_broadcast(&worker->changed);
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

int fcl_worker_create(void (*work)(void *data), void *data, fcl_worker **worker)
{
    fcl_worker *created = fcl_zalloc(sizeof *created);
    created->work = work;
    created->data = data;
    pthread_mutex_init(&created->mutex, NULL);
    pthread_cond_init(&created->changed, NULL);
    created->running = pthread_create(&created->thread, NULL, serve, created) == 0;
    *worker = created;
    if (created->running)
        return FCL_OK;
    fcl_worker_destroy(worker);
    return fcl_fail(FCL_ERR_MEMORY, "cannot start a thread");
}

void fcl_worker_destroy(fcl_worker **worker)
{
    fcl_worker *dying = *worker;
    if (!dying)
        return;
    if (dying->running) {
        pthread_mutex_lock(&dying->mutex);
        dying->ending = true;
        pthread_cond_broadcast(&dying->changed);
        pthread_mutex_unlock(&dying->mutex);
        pthread_join(dying->thread, NULL);
    }
    pthread_cond_destroy(&dying->changed);
    pthread_mutex_destroy(&dying->mutex);
    free(dying);
    *worker = NULL;
}

static void wait_idle(fcl_worker *worker)
{
    while (worker->busy)
        pthread_cond_wait(&worker->changed, &worker->mutex);
}

void fcl_worker_start(fcl_worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    wait_idle(worker);
    worker->busy = true;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->mutex);
}

void fcl_worker_wait(fcl_worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    wait_idle(worker);
    pthread_mutex_unlock(&worker->mutex);
}
