#include "learn/adamw.h"

#include "base/error.h"
#include "base/memory.h"
#include "device/launch.h"
#include "graph/graph.h"

#include <math.h>
#include <stdlib.h>

enum {
    MOST_PARTIALS = 256,    /* every group of adamw_update adds them up, */
    MOST_CPU_PARTIALS = 64, /* on CPUs for as little as 512 numbers */
    LEAST_CHUNK = 1024,     /* numbers a group sums at least */
    UPDATE_GROUP = 64,      /* on CPUs, each work-item with eight numbers */
    MOST_UPDATES = 1 << 18  /* work-items on others, each with a number, or with as many as there are of these */
};

struct fcl_adamw {
    fcl_buffer *partial, *ring;
    fcl_launch *squares, *update, *average[FCL_FURTHER];
};

static int create_squares(fcl_device *device, const fcl_adamw_buffers *buffers, uint64_t count, uint64_t chunk,
                          int partials, fcl_adamw *adamw)
{
    size_t lanes = fcl_device_traits(device).group;
    FCL_TRY(fcl_device_launch(device, "adamw_squares", NULL, &adamw->squares));
    fcl_launch_buffer(adamw->squares, 0, buffers->gradients);
    fcl_launch_buffer(adamw->squares, 1, adamw->partial);
    fcl_launch_ulong(adamw->squares, 2, count);
    fcl_launch_ulong(adamw->squares, 3, chunk);
    fcl_launch_local(adamw->squares, 4, lanes * sizeof(float));
    fcl_launch_groups(adamw->squares, (size_t)partials, lanes);
    return FCL_OK;
}

/* Of what goes over all numbers once. */
static void set_range(fcl_device *device, uint64_t count, fcl_launch *update)
{
    if (fcl_device_traits(device).wide)
        fcl_launch_range_1d(update, count / 8, UPDATE_GROUP);
    else
        fcl_launch_range_1d(update, count < MOST_UPDATES ? count : MOST_UPDATES, fcl_device_traits(device).group);
}

static int create_update(fcl_device *device, const fcl_adamw_buffers *buffers, uint64_t count, int partials,
                         fcl_adamw *adamw)
{
    const char *kernel = fcl_device_traits(device).wide ? "adamw_update_wide" : "adamw_update";
    FCL_TRY(fcl_device_launch(device, kernel, "adamw_update", &adamw->update));
    fcl_launch_buffer(adamw->update, 0, adamw->partial);
    fcl_launch_int(adamw->update, 1, partials);
    fcl_launch_buffer(adamw->update, 2, buffers->loss);
    fcl_launch_buffer(adamw->update, 4, adamw->ring);
    fcl_launch_ulong(adamw->update, 6, count);
    fcl_launch_buffer(adamw->update, 7, buffers->gradients);
    fcl_launch_buffer(adamw->update, 8, buffers->weights);
    fcl_launch_buffer(adamw->update, 9, buffers->m);
    fcl_launch_buffer(adamw->update, 10, buffers->v);
    fcl_launch_buffer(adamw->update, 11, buffers->ema);
    fcl_launch_ulong(adamw->update, 21, count - buffers->undecayed / sizeof(float));
    set_range(device, count, adamw->update);
    return FCL_OK;
}

static int create_average(fcl_device *device, const fcl_adamw_buffers *buffers, uint64_t count, int index, fcl_adamw *adamw)
{
    const char *kernel = fcl_device_traits(device).wide ? "adamw_average_wide" : "adamw_average";
    FCL_TRY(fcl_device_launch(device, kernel, "adamw_average", &adamw->average[index]));
    fcl_launch_buffer(adamw->average[index], 0, adamw->ring);
    fcl_launch_ulong(adamw->average[index], 2, count);
    fcl_launch_buffer(adamw->average[index], 3, buffers->weights);
    fcl_launch_buffer(adamw->average[index], 4, buffers->further[index]);
    set_range(device, count, adamw->average[index]);
    return FCL_OK;
}

static int create(fcl_device *device, const fcl_adamw_buffers *buffers, size_t bytes, fcl_adamw *adamw)
{
    uint64_t count = bytes / sizeof(float);
    uint64_t chunk = count / (fcl_device_traits(device).wide ? MOST_CPU_PARTIALS : MOST_PARTIALS) / 8 * 8 + 8;
    chunk = chunk < LEAST_CHUNK ? LEAST_CHUNK : chunk;
    int partials = (int)((count + chunk - 1) / chunk), room = (partials + 15) / 16 * 16;
    FCL_TRY(fcl_buffer_create(device, (size_t)room * sizeof(float), &adamw->partial)); /* zeros */
    FCL_TRY(fcl_buffer_create(device, FCL_RING * sizeof(fcl_adamw_row), &adamw->ring));
    FCL_TRY(create_squares(device, buffers, count, chunk, partials, adamw));
    FCL_TRY(create_update(device, buffers, count, room, adamw));
    for (int i = 0; i < FCL_FURTHER && buffers->further[i]; i++)
        FCL_TRY(create_average(device, buffers, count, i, adamw));
    return FCL_OK;
}

int fcl_adamw_create(fcl_device *device, const fcl_adamw_buffers *buffers, size_t bytes, fcl_adamw **adamw)
{
    *adamw = fcl_zalloc(sizeof **adamw);
    int status = create(device, buffers, bytes, *adamw);
    if (status != FCL_OK)
        fcl_adamw_destroy(adamw);
    return status;
}

void fcl_adamw_destroy(fcl_adamw **adamw)
{
    fcl_adamw *dying = *adamw;
    if (!dying)
        return;
    fcl_launch_destroy(&dying->squares);
    fcl_launch_destroy(&dying->update);
    for (int i = 0; i < FCL_FURTHER; i++)
        fcl_launch_destroy(&dying->average[i]);
    fcl_buffer_destroy(&dying->partial);
    fcl_buffer_destroy(&dying->ring);
    free(dying);
    *adamw = NULL;
}

/* What an average takes of the weights of a step. */
static double rest_of(double decay, int64_t step)
{
    double n = (double)step + 1;
    return 1 - fmin(decay, n / (n + 9));
}

static void set_update(fcl_launch *update, const fcl_adamw_step *step)
{
    double n = (double)step->step + 1;
    const double values[] = {
        1 - step->rate * step->weight_decay,
        step->beta1,
        1 - step->beta1,
        step->beta2,
        1 - step->beta2,
        step->rate / (1 - pow(step->beta1, n)),
        1 / sqrt(1 - pow(step->beta2, n)),
        step->epsilon,
        rest_of(step->ema_decay, step->step),
    };
    for (int i = 0; i < (int)(sizeof values / sizeof *values); i++)
        fcl_launch_float(update, 12 + i, (float)values[i]);
}

int fcl_adamw_enqueue(fcl_adamw *adamw, const fcl_adamw_step *step)
{
    fcl_launch_float(adamw->update, 3, (float)step->clip);
    fcl_launch_int(adamw->update, 5, (int32_t)(step->step % FCL_RING));
    fcl_launch_int(adamw->update, 22, step->skip ? -1 : (int32_t)((step->step + FCL_RING - 1) % FCL_RING));
    set_update(adamw->update, step);
    FCL_TRY(fcl_launch_enqueue(adamw->squares));
    FCL_TRY(fcl_launch_enqueue(adamw->update));
    for (int i = 0; i < FCL_FURTHER && adamw->average[i]; i++) {
        fcl_launch_int(adamw->average[i], 1, (int32_t)(step->step % FCL_RING));
        fcl_launch_float(adamw->average[i], 5, (float)rest_of(step->further_decay[i], step->step));
        FCL_TRY(fcl_launch_enqueue(adamw->average[i]));
    }
    return FCL_OK;
}

int fcl_adamw_restart(fcl_adamw *adamw)
{
    return fcl_buffer_zero(adamw->ring);
}

int fcl_adamw_read(fcl_adamw *adamw, int64_t first, int count, fcl_adamw_row *rows)
{
    while (count > 0) {
        int64_t row = first % FCL_RING;
        int part = (int)(row + count > FCL_RING ? FCL_RING - row : count);
        FCL_TRY(fcl_buffer_read(adamw->ring, (size_t)row * sizeof *rows, (size_t)part * sizeof *rows, rows));
        rows += part;
        first += part;
        count -= part;
    }
    return FCL_OK;
}
