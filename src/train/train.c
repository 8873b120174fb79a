/* A whole run: device, data, folder, trainer, from the options alone. */
#include "train/trainer.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/watch.h"
#include "device/launch.h"
#include "learn/options.h"
#include "train/folder.h"
#include "train/mirror.h"
#include "train/options.h"
#include "train/source.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a run holds of its folder. */
typedef struct run_start {
    fcl_train_options *options; /* with what follows from the data as soon as these are open */
    fcl_arena *strings;         /* of its texts */
    const fcl_train_hooks *hooks;
    fcl_run_lock *lock;           /* NULL: not taken yet, or there is no folder */
    char *resumed;                /* the checkpoint to go on from; NULL: it begins */
} run_start;

/* A run does not mix with another's checkpoints: the newest by name would be the wrong one's. */
static int find_beginning(run_start *start)
{
    const fcl_train_options *options = start->options;
    bool any = fcl_checkpoint_newest(options->out, &start->resumed) == FCL_OK;
    if (!any || options->resume)
        return FCL_OK;
    return fcl_fail(
        FCL_ERR_ARGUMENT,
        "%s holds a run already (%s): go on with --resume (the option resume), or choose another folder",
        options->out, strrchr(start->resumed, '/') + 1);
}

/* The folder as it is once nobody else writes into it. Of several ranks the first one writes, and tells the others of the
 * checkpoint, share_beginning. */
static int enter(run_start *start)
{
    if (fcl_ranks_number(start->options->ranks) > 0)
        return FCL_OK;
    FCL_TRY(fcl_run_lock_take(start->options->out, &start->lock));
    return find_beginning(start);
}

/* The checkpoint is read by each rank, where all machines have the folder. */
static int share_beginning(run_start *start)
{
    return fcl_train_tell(start->options->ranks, &start->resumed);
}

static fcl_train_memory memory_of(const fcl_trainer *trainer)
{
    const fcl_learner *learner = trainer->learner;
    uint64_t bytes = fcl_params_bytes(learner->params), total = fcl_device_memory(trainer->device) - trainer->others;
    fcl_train_memory memory = {
        .weights = bytes,
        .gradients = fcl_buffer_size(learner->gradients),
        .moments = 2 * bytes,
        .average = (uint64_t)learner->averages.count * bytes,
        .activations = fcl_graph_describe(trainer->graph).arena_bytes + fcl_held_out_activations(trainer->held_out),
        .total = total,
        .pinned = fcl_device_pinned(trainer->device),
        .read_ahead = fcl_feed_read_ahead(&trainer->feed),
    };
    memory.data = total - memory.weights - memory.gradients - memory.moments - memory.average - memory.activations;
    return memory;
}

/* The sampler is made now, where there are steps to do: its memory is part of what is told, and its kernels are needed in
 * any case, at the end if not before. Where that fails, the training goes on, and the first samples say why there are
 * none. */
static int prepare_samples(fcl_trainer *trainer, int64_t n, fcl_train_memory *memory)
{
    uint64_t before = fcl_device_memory(trainer->device);
    bool wanted = n > 0 && fcl_trainer_steps(trainer) < trainer->options.steps;
    int status = wanted ? fcl_trainer_prepare_samples(trainer, n) : FCL_OK;
    if (status == FCL_OK && wanted)
        memory->samples = fcl_device_memory(trainer->device) - before +
                          fcl_source_draw_bytes(trainer->source_data, n * fcl_shape_size(trainer->data->shape));
    memory->total += memory->samples;
    return status == FCL_ERR_STOPPED ? status : FCL_OK;
}

static fcl_train_rank this_rank(const fcl_trainer *trainer)
{
    fcl_train_rank rank = {.rows = trainer->feed.share.rows};
    const fcl_device_info *device = fcl_device_describe(trainer->device);
    gethostname(rank.host, sizeof rank.host - 1);
    snprintf(rank.device, sizeof rank.device, "%s %s", device->id, device->name);
    return rank;
}

/* A launcher that binds each rank to a core may leave others idle: of the first rank's machine that is told. */
static int note_binding(fcl_trainer *trainer, const fcl_train_rank *all)
{
    fcl_ranks *ranks = trainer->options.ranks;
    int count = fcl_ranks_count(ranks), cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t mine, *bound = fcl_zalloc((size_t)count * sizeof *bound), any;
    CPU_ZERO(&mine);
    CPU_ZERO(&any);
    sched_getaffinity(0, sizeof mine, &mine);
    int status = fcl_ranks_gather(ranks, sizeof mine, &mine, bound);
    for (int i = 0; i < count; i++)
        if (strcmp(all[i].host, all[0].host) == 0)
            CPU_OR(&any, &any, &bound[i]);
    free(bound);
    bool idle = fcl_device_describe(trainer->device)->type == FCL_DEVICE_CPU && CPU_COUNT(&any) < cores;
    if (status != FCL_OK || !idle || fcl_ranks_number(ranks) > 0)
        return status;
    char *note = fcl_format("the ranks on %s are bound to %d of its %d cores: mpirun --bind-to none leaves them all", all[0].host,
                            CPU_COUNT(&any), cores);
    fcl_trainer_note(trainer, note);
    free(note);
    return FCL_OK;
}

/* NULL of a process alone. To be freed. */
static int gather_ranks(fcl_trainer *trainer, fcl_train_rank **all)
{
    fcl_ranks *ranks = trainer->options.ranks;
    const fcl_train_rank mine = this_rank(trainer);
    *all = NULL;
    if (!ranks)
        return FCL_OK;
    *all = fcl_zalloc((size_t)fcl_ranks_count(ranks) * sizeof **all);
    int status = fcl_ranks_gather(ranks, sizeof mine, &mine, *all);
    if (status == FCL_OK)
        status = note_binding(trainer, *all);
    if (status != FCL_OK)
        fcl_free(*all);
    return status;
}

static int tell_start(fcl_trainer *trainer, const fcl_train_rank *ranks, const run_start *start)
{
    const fcl_train_hooks *hooks = start->hooks;
    if (!hooks->start)
        return FCL_OK;
    int64_t samples = fcl_trainer_samples(trainer, hooks);
    fcl_train_memory memory = memory_of(trainer);
    FCL_TRY(prepare_samples(trainer, samples, &memory));
    const fcl_device_info *device = fcl_device_describe(trainer->device);
    const char *resumed = start->resumed;
    fcl_train_start told = {
        .device = device,
        .ranks = ranks,
        .rank_count = ranks ? fcl_ranks_count(trainer->options.ranks) : 0,
        .data = trainer->data,
        .held_out = trainer->split.held_count,
        .class_counts = trainer->class_counts,
        .normalisation = trainer->normalisation,
        .parameters = fcl_params_numbers(fcl_model_params(trainer->model)),
        .memory = memory,
        .first_step = fcl_trainer_steps(trainer),
        .steps = trainer->options.steps,
        .samples = samples,
        .data_on_device = !trainer->feed.data.reader,
        .resumed = resumed,
        .begun_with = trainer->begun_with,
        .measured = trainer->measured,
        .came_from = resumed && strcmp(trainer->came_from, device->name) != 0 ? trainer->came_from : NULL,
        .options = &trainer->options,
    };
    return hooks->start(hooks->data, &told);
}

static int run(fcl_trainer *trainer, const run_start *start)
{
    const fcl_train_hooks *hooks = start->hooks;
    trainer->locked = start->lock != NULL;
    if (start->lock)
        fcl_trainer_note(trainer, fcl_run_lock_fault(start->lock));
    if (start->resumed)
        FCL_TRY(fcl_trainer_resume(trainer, start->resumed));
    else if (start->options->init)
        FCL_TRY(fcl_trainer_init(trainer, start->options->init, start->options->names));
    fcl_train_rank *ranks;
    FCL_TRY(gather_ranks(trainer, &ranks));
    int status = tell_start(trainer, ranks, start);
    fcl_free(ranks);
    FCL_TRY(status);
    status = fcl_trainer_run(trainer, hooks);
    if (status == FCL_OK && hooks->finish)
        status = hooks->finish(hooks->data, trainer->device);
    return status;
}

/* Whether there can be such a model of these samples. */
static int check_model(const fcl_dataset *data, const fcl_train_options *options)
{
    fcl_model *model = NULL;
    FCL_TRY(fcl_model_create(&options->model, data->shape, options->labels ? data->classes : 0, &model));
    fcl_model_destroy(&model);
    return FCL_OK;
}

static int run_on(fcl_device *device, const fcl_dataset *data, run_start *start)
{
    fcl_trainer *trainer = NULL;
    const fcl_train_options given = *start->options;
    FCL_TRY(fcl_train_options_fill(&given, &data->shape, start->strings, start->options));
    /* An unwritable folder is found now, not at the first checkpoint; a mistake in data or model leaves none. */
    FCL_TRY(start->options->hflip ? fcl_mirror_check(data) : FCL_OK);
    FCL_TRY(fcl_split_check(data, start->options));
    FCL_TRY(check_model(data, start->options));
    FCL_TRY(fcl_train_options_agree(start->options));
    FCL_TRY(start->options->out && !start->lock ? enter(start) : FCL_OK);
    FCL_TRY(share_beginning(start));
    int status = fcl_trainer_create(device, data, start->options, &trainer);
    if (status == FCL_OK)
        status = run(trainer, start);
    fcl_trainer_destroy(&trainer);
    return status;
}

/* --- the data set is read by a thread of its own while the device is opened --- */

typedef struct opening {
    const fcl_train_options *options;
    const fcl_watch *watch; /* the caller's */
    fcl_dataset *data;
    int status;
    char *failure; /* the thread's message */
} opening;

static void *open_data(void *argument)
{
    opening *work = argument;
    const fcl_train_options *options = work->options;
    fcl_dataset_options which = {.count = options->data_count,
                                 .seed = options->seed,
                                 .unlabeled = !options->labels,
                                 .label_column = options->label_column,
                                 .image = options->image,
                                 .stream = options->stream_data,
                                 .from_disk = options->from_disk};
    fcl_watch_set(work->watch);
    work->status = fcl_dataset_open(options->data, &which, &work->data);
    if (work->status != FCL_OK)
        work->failure = fcl_strdup(fcl_error());
    return NULL;
}

/* Where the library's kernels are one program it is built now as well: the first step needs it in any case. */
static int open_device(const fcl_train_options *options, fcl_device **device)
{
    fcl_program *program;
    const fcl_device_options how = {.profile = options->profile,
                                    .local_rank = fcl_ranks_local_number(options->ranks),
                                    .local_ranks = options->ranks ? fcl_ranks_local_count(options->ranks) : 0};
    FCL_TRY(fcl_device_open(options->device, &how, device));
    return fcl_device_traits(*device).whole ? fcl_device_program(*device, &program) : FCL_OK;
}

static int run_from(run_start *start)
{
    fcl_device *device = NULL;
    opening work = {.options = start->options, .watch = fcl_watch_current()};
    pthread_t thread;
    bool beside = pthread_create(&thread, NULL, open_data, &work) == 0;
    int status = open_device(start->options, &device);
    if (beside)
        pthread_join(thread, NULL);
    else
        open_data(&work);
    if (status == FCL_OK && work.status != FCL_OK)
        status = fcl_fail(work.status, "%s", work.failure);
    if (status == FCL_OK)
        status = run_on(device, work.data, start);
    fcl_device_close(&device);
    fcl_dataset_destroy(&work.data);
    free(work.failure);
    return status;
}

static int check_buckets(const fcl_train_options *options)
{
    const fcl_learner_options learner = fcl_train_learner_options(options);
    return fcl_buckets_check(&learner);
}

int fcl_train(const fcl_train_options *options, const fcl_train_hooks *hooks)
{
    fcl_arena strings = {0};
    fcl_train_options filled;
    const fcl_train_hooks of_rank = fcl_train_hooks_of(hooks, options->ranks);
    run_start start = {.options = &filled, .strings = &strings, .hooks = &of_rank};
    int status = options->data ? fcl_train_options_fill(options, NULL, &strings, &filled)
                               : fcl_fail(FCL_ERR_ARGUMENT, "training needs the name of its data");
    if (status == FCL_OK && filled.data_changed && !filled.resume)
        status = fcl_fail(FCL_ERR_ARGUMENT, "data-changed has no use without resume");
    if (status == FCL_OK && filled.share && !filled.ranks)
        status = fcl_fail(FCL_ERR_ARGUMENT, "share %s has no use for a process alone: name several devices, or start several by "
                                            "mpirun", filled.share);
    if (status == FCL_OK)
        status = check_buckets(&filled);
    if (status == FCL_OK && filled.names && !filled.init)
        status = fcl_fail(FCL_ERR_ARGUMENT, "names has no use without init, whose tensors they are of");
    if (status == FCL_OK && filled.out && access(filled.out, F_OK) == 0)
        status = enter(&start);
    if (status == FCL_OK)
        status = run_from(&start);
    fcl_run_lock_release(&start.lock);
    fcl_free(start.resumed);
    fcl_arena_free(&strings);
    return status;
}
