/* Runs that a person leaves alone: who may write into a folder, what a training survives, what it knows
 * again. */
#include "rig.h"

#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/folder.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A path that stays for the test. */
static const char *kept_path(const char *name)
{
    static char paths[32][600];
    static int next;
    char *path = paths[next++ % 32];
    snprintf(path, sizeof paths[0], "%s", scratch_path(name));
    return path;
}

static fcl_train_options small(const char *folder)
{
    return (fcl_train_options){.data = "moons",
                               .data_count = 100,
                               .out = folder ? kept_path(folder) : NULL,
                               .steps = 6,
                               .batch = 8,
                               .model = {.width = 4, .depth = 1}};
}

static bool exists(const char *name)
{
    return access(scratch_path(name), F_OK) == 0;
}

/* What a training says. */
typedef struct told {
    int warnings;
    char last[4096];
    int sampled; /* times */
    int64_t sampled_step, saved_step;
    bool finite;
} told;

static void note_warning(void *data, const char *sentence)
{
    told *seen = data;
    seen->warnings++;
    snprintf(seen->last, sizeof seen->last, "%s", sentence);
}

static int note_samples(void *data, int64_t step, const fcl_array *samples)
{
    told *seen = data;
    seen->sampled++;
    seen->sampled_step = step;
    seen->finite = isfinite(samples->data[0]);
    return FCL_OK;
}

static int note_checkpoint(void *data, int64_t step, const char *path)
{
    (void)path;
    ((told *)data)->saved_step = step;
    return FCL_OK;
}

static fcl_train_hooks listening(told *seen)
{
    return (fcl_train_hooks){.data = seen,
                             .warning = note_warning,
                             .samples = 10,
                             .sampled = note_samples,
                             .checkpoint = note_checkpoint};
}

#define assert_has(text, part)                                                                               \
    assert_true(strstr(text, part) || (print_error("\"%s\" in: %s\n", part, text), false))

/* --- the lock --- */

/* Runs `body` in another process; returns its exit status. It has no device: a driver does not survive a
 * fork. */
static int in_child(int (*body)(const char *folder), const char *folder)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(body(folder));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int is_kept_out(const char *folder)
{
    fcl_run_lock *lock;
    char process[32];
    snprintf(process, sizeof process, "process %ld ", (long)getppid());
    return fcl_run_lock_take(folder, &lock) == FCL_ERR_FILE && !lock && strstr(fcl_error(), process) &&
           strstr(fcl_error(), folder);
}

static int is_let_in(const char *folder)
{
    fcl_run_lock *lock;
    bool taken = fcl_run_lock_take(folder, &lock) == FCL_OK && !fcl_run_lock_fault(lock);
    fcl_run_lock_release(&lock);
    return taken && !lock;
}

static int try_second_run(void *data, const fcl_train_start *start)
{
    *(bool *)data = true;
    char process[32];
    fcl_train_options second = *start->options;
    snprintf(process, sizeof process, "process %ld ", (long)getpid());
    assert_true(in_child(is_kept_out, second.out));
    for (int resume = 0; resume < 2; resume++) {
        second.resume = resume;
        assert_status(FCL_ERR_FILE, fcl_train(&second, NULL));
        assert_told(process);
    }
    fcl_trainer *trainer;
    assert_ok(fcl_trainer_create(device, start->data, &second, &trainer));
    assert_status(FCL_ERR_FILE, fcl_trainer_run(trainer, NULL));
    assert_told(process);
    fcl_trainer_destroy(&trainer);
    return FCL_OK;
}

static void test_second_run_is_kept_out(void **state)
{
    (void)state;
    bool tried = false;
    fcl_train_options options = small("once");
    assert_ok(fcl_train(&options, &(fcl_train_hooks){.data = &tried, .start = try_second_run}));
    assert_true(tried);
    assert_false(exists("once/.lock")); /* it went with the run */
    assert_true(in_child(is_let_in, options.out));
}

static int hold(const char *folder, int ready)
{
    fcl_run_lock *lock;
    bool taken = fcl_run_lock_take(folder, &lock) == FCL_OK;
    if (write(ready, taken ? "y" : "n", 1) == 1)
        pause();
    return 1;
}

static void test_kill_releases(void **state)
{
    (void)state;
    int ready[2];
    char answer, folder[600];
    snprintf(folder, sizeof folder, "%s", scratch_path("killed"));
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(hold(folder, ready[1]));
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    fcl_run_lock *lock;
    char process[32];
    snprintf(process, sizeof process, "process %ld ", (long)child);
    assert_status(FCL_ERR_FILE, fcl_run_lock_take(folder, &lock));
    assert_told(process);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(exists("killed/.lock")); /* what is left of it locks nothing */
    assert_ok(fcl_run_lock_take(folder, &lock));
    fcl_run_lock_release(&lock);
    close(ready[0]);
    close(ready[1]);
}

/* --- the files that are the run's --- */

static const char *const foreign[] = {
    "checkpoint-best.safetensors",
    "checkpoint-1.safetensors",
    "checkpoint-00000000001.safetensors",
    "checkpoint-0000000001-old.safetensors",
    "checkpoint-0000000001.SAFETENSORS",
    "model.safetensors",
    "notes.part",
    "checkpoint-0000000001.safetensors.part",
    "mine.png.12-0.part",
    "samples-1.png.12-0.part",
};
static const char *const left_over[] = {
    "checkpoint-0000000001.safetensors.12-0.part",
    "samples-0000000001.png.999999-31.part",
    "samples-0000000001.npy.1-0.part",
    "loss.png.5-0.part",
    "history.png.5-0.part",
    "config.yaml.5-0.part",
    "metrics.jsonl.5-0.part",
    "metrics.part",
};
enum { FOREIGN = sizeof foreign / sizeof *foreign, LEFT_OVER = sizeof left_over / sizeof *left_over };

static const char *in_folder(const char *folder, const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void test_only_own_files_are_removed(void **state)
{
    (void)state;
    fcl_train_options options = small("owner");
    options.checkpoint_every = 1;
    options.keep = 1;
    options.steps = 2;
    assert_ok(fcl_train(&options, NULL));
    for (int i = 0; i < FOREIGN; i++)
        scratch_write(in_folder("owner", foreign[i]), "x", 1);
    for (int i = 0; i < LEFT_OVER; i++)
        scratch_write(in_folder("owner", left_over[i]), "x", 1);
    assert_int_equal(mkdir(scratch_path("owner/checkpoint-0000000000.safetensors"), 0777), 0);
    options.resume = true;
    options.steps = 5;
    told seen = {0};
    fcl_train_hooks hooks = listening(&seen);
    hooks.sampled = NULL;
    options.schedule = "constant";
    assert_ok(fcl_train(&options, &hooks)); /* from its own newest one, not from model.safetensors */
    assert_int_equal(seen.saved_step, 5);
    for (int i = 0; i < FOREIGN; i++)
        assert_true(exists(in_folder("owner", foreign[i])));
    for (int i = 0; i < LEFT_OVER; i++)
        assert_false(exists(in_folder("owner", left_over[i])));
    assert_true(exists("owner/checkpoint-0000000000.safetensors"));
    assert_false(exists("owner/checkpoint-0000000004.safetensors"));
    assert_true(exists("owner/checkpoint-0000000005.safetensors"));
}

/* --- what a training survives --- */

/* Averaged weights so large that their samples overflow; the training itself does not look at them. */
static void test_samples_that_are_not_finite(void **state)
{
    (void)state;
    fcl_dataset *data;
    fcl_trainer *trainer;
    told seen = {0};
    fcl_train_hooks hooks = listening(&seen);
    fcl_train_options options = small("overflow");
    options.samples_every = 2;
    assert_ok(fcl_dataset_open("moons", &(fcl_dataset_options){.count = 100}, &data));
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    size_t bytes = fcl_params_bytes(fcl_model_params(fcl_trainer_model(trainer)));
    float *huge = malloc(bytes);
    for (size_t i = 0; i < bytes / sizeof *huge; i++)
        huge[i] = 1e30f;
    assert_ok(fcl_buffer_write(fcl_trainer_ema(trainer), 0, bytes, huge));
    assert_ok(fcl_trainer_run(trainer, &hooks));
    assert_int_equal(fcl_trainer_steps(trainer), 6);
    assert_int_equal(seen.sampled, 3);
    assert_int_equal(seen.sampled_step, 6);
    assert_false(seen.finite);
    assert_int_equal(seen.warnings, 1); /* of three pictures */
    assert_has(seen.last, "samples at step 2");
    assert_true(exists("overflow/checkpoint-0000000006.safetensors"));
    free(huge);
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
}

static int fail_metrics(void *data, const fcl_train_metrics *metrics)
{
    (void)data;
    return metrics->step < 4 ? FCL_OK : FCL_ERR_UNSUPPORTED;
}

static int fail_samples(void *data, int64_t step, const fcl_array *samples)
{
    (void)data, (void)samples;
    return step < 4 ? FCL_OK : FCL_ERR_UNSUPPORTED;
}

/* The caller ends it: what was trained is there to go on from. */
static void test_hook_that_ends_it_is_saved_before(void **state)
{
    (void)state;
    const fcl_train_hooks hooks[] = {{.metrics = fail_metrics}, {.samples = 1, .sampled = fail_samples}};
    for (int i = 0; i < 2; i++) {
        fcl_train_options options = small(i ? "ended-by-samples" : "ended-by-metrics");
        options.metrics_every = options.samples_every = 2;
        assert_status(FCL_ERR_UNSUPPORTED, fcl_train(&options, &hooks[i]));
        fcl_checkpoint *checkpoint;
        assert_ok(fcl_checkpoint_open(options.out, &checkpoint));
        assert_int_equal(fcl_checkpoint_describe(checkpoint)->step, 4);
        fcl_checkpoint_close(&checkpoint);
    }
}

/* A disk that is full from the checkpoint of step 2 to that of step 4, played by a limit on the size of a
 * file. */
static struct rlimit before;

static int fill_disk(void *data, int64_t step, const char *path)
{
    if (step == 2)
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, RLIM_INFINITY});
    return note_checkpoint(data, step, path);
}

static int empty_disk(void *data, const fcl_train_metrics *metrics)
{
    (void)data;
    if (metrics->step == 5)
        setrlimit(RLIMIT_FSIZE, &before);
    return FCL_OK;
}

static void test_disk_that_is_full_for_a_while(void **state)
{
    (void)state;
    told seen = {0};
    fcl_train_hooks hooks = listening(&seen);
    fcl_train_options options = small("full");
    options.metrics_every = 1;
    options.checkpoint_every = 1;
    options.keep = 10;
    hooks.checkpoint = fill_disk;
    hooks.metrics = empty_disk;
    hooks.sampled = NULL;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    int status = fcl_train(&options, &hooks);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_ok(status);
    assert_int_equal(seen.warnings, 1); /* of two checkpoints */
    assert_has(seen.last, "checkpoint-0000000003");
    assert_has(seen.last, "File too large");
    assert_has(seen.last, "step 2");
    for (int step = 1; step <= 6; step++) {
        char name[64];
        snprintf(name, sizeof name, "full/checkpoint-%010d.safetensors", step);
        assert_int_equal(exists(name), step != 3 && step != 4);
    }
}

/* --- resuming --- */

static bool nothing_there(void *data, int64_t step)
{
    (void)data, (void)step;
    return false;
}

static bool all_there(void *data, int64_t step)
{
    (void)data, (void)step;
    return true;
}

static void test_finished_run_is_no_failure(void **state)
{
    (void)state;
    told seen = {0};
    fcl_train_hooks hooks = listening(&seen);
    fcl_train_options options = small("finished");
    assert_ok(fcl_train(&options, &hooks));
    assert_int_equal(seen.sampled, 1);
    options.resume = true;
    hooks.has_samples = all_there;
    assert_ok(fcl_train(&options, &hooks));
    assert_int_equal(seen.sampled, 1);
    hooks.has_samples = nothing_there; /* the picture that the run went down before */
    assert_ok(fcl_train(&options, &hooks));
    assert_int_equal(seen.sampled, 2);
    assert_int_equal(seen.sampled_step, 6);
    options.steps = 4;
    hooks.sampled = NULL;
    assert_ok(fcl_train(&options, &hooks));
    assert_int_equal(seen.warnings, 0);
}

/* Half of the cosine lies behind where the run is made twice as long: (1 + cos(pi / 2)) / 2. */
static void test_longer_schedule_tells_the_rate(void **state)
{
    (void)state;
    told seen = {0};
    fcl_train_hooks hooks = listening(&seen);
    fcl_train_options options = small("longer");
    char now[64], then[64];
    options.lr = 0.01f;
    assert_ok(fcl_train(&options, &hooks));
    options.resume = true;
    options.steps = 12;
    assert_ok(fcl_train(&options, &hooks));
    snprintf(now, sizeof now, "%.3g", 0.01 / 2);
    snprintf(then, sizeof then, "%.3g", 0.01 * (1 + cos(acos(-1) * 5 / 6)) / 2);
    assert_int_equal(seen.warnings, 1);
    assert_has(seen.last, now);
    assert_has(seen.last, then);
    assert_has(seen.last, "12 steps");
    options.steps = 13; /* a rate that does not change is not worth a word */
    options.schedule = "constant";
    options.lr =
        (float)fcl_schedule_rate(&(fcl_train_options){.lr = 0.01f, .schedule = "cosine", .steps = 12}, 11);
    assert_ok(fcl_train(&options, &hooks));
    assert_int_equal(seen.warnings, 1);
}

/* --- the data by their content --- */

enum { ROWS = 40 };

/* In the format of the name's ending. */
static const char *write_set(const char *name, const float *values)
{
    fcl_array x = {FCL_SHAPE(ROWS, 2), (float *)values};
    const char *path = kept_path(name);
    assert_ok(fcl_samples_write(path, &x, NULL));
    return path;
}

static void fill(float *values, unsigned seed)
{
    srandom(seed);
    for (int i = 0; i < 2 * ROWS; i++)
        values[i] = (float)(random() % 2001 - 1000) / 256; /* exact in a table of text, too */
}

static fcl_train_options resumed_with(const fcl_train_options *first, const char *data)
{
    fcl_train_options options = *first;
    options.resume = true;
    options.data = data;
    options.steps++;
    options.schedule = "constant";
    return options;
}

static void test_data_are_known_by_content(void **state)
{
    (void)state;
    const char *given = getenv("FCL_TEST_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    float values[2 * ROWS], other[2 * ROWS];
    told seen = {0};
    fcl_train_hooks hooks = listening(&seen);
    fill(values, seed);
    print_message("FCL_TEST_SEED=%u\n", seed);
    fcl_train_options first = small("content");
    const char *path = write_set("first.npy", values);
    first.data = path;
    first.data_count = 0;
    first.schedule = "constant";
    hooks.sampled = NULL;
    assert_ok(fcl_train(&first, &hooks));

    static const char *const elsewhere[] = {"elsewhere.npy", "elsewhere.csv", "elsewhere.npz"};
    for (int i = 0; i < 3; i++) {
        fcl_train_options again = resumed_with(&first, write_set(elsewhere[i], values));
        again.data_count = i ? ROWS : 0; /* all of them */
        again.steps = first.steps += 1;
        assert_ok(fcl_train(&again, &hooks));
        fcl_checkpoint *checkpoint;
        assert_ok(fcl_checkpoint_open(first.out, &checkpoint));
        assert_string_equal(fcl_checkpoint_describe(checkpoint)->options->data, scratch_path(elsewhere[i]));
        fcl_checkpoint_close(&checkpoint);
    }
    assert_int_equal(seen.warnings, 0);

    memcpy(other, values, sizeof other);
    other[random() % (2 * ROWS)] += 0.25f;
    fcl_train_options changed = resumed_with(&first, write_set("elsewhere.npz", other));
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&changed, &hooks));
    assert_told("data-changed");
    assert_told("checksum");
    fcl_train_options fewer = resumed_with(&first, path);
    fewer.data_count = ROWS - 1;
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&fewer, &hooks));
    assert_told("40 samples of (2,)");
    assert_told("39 samples of (2,)");
    changed.data_changed = true;
    assert_ok(fcl_train(&changed, &hooks));
    assert_int_equal(seen.warnings, 1);
    assert_has(seen.last, "the data changed");
    changed.resume = false;
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&changed, &hooks));
    assert_told("without resume");
}

/* The same of what is handed over in memory, of labels that count and of labels that do not. */
static int resume_in_memory(const fcl_dataset *data, const fcl_train_options *options, const char *path)
{
    fcl_trainer *trainer;
    assert_ok(fcl_trainer_create(device, data, options, &trainer));
    int status = fcl_trainer_resume(trainer, path);
    fcl_trainer_destroy(&trainer);
    return status;
}

static void test_data_in_memory_and_labels(void **state)
{
    (void)state;
    fcl_dataset *data;
    fcl_trainer *trainer;
    const char *path = scratch_path("memory.safetensors");
    for (int labels = 0; labels < 2; labels++) {
        fcl_train_options options = small(NULL);
        options.labels = labels;
        assert_ok(fcl_dataset_open("moons", &(fcl_dataset_options){.count = 50}, &data));
        assert_ok(fcl_trainer_create(device, data, &options, &trainer));
        assert_ok(fcl_trainer_save(trainer, path));
        fcl_trainer_destroy(&trainer);
        assert_ok(resume_in_memory(data, &options, path));
        data->label[7] = !data->label[7];
        assert_status(labels ? FCL_ERR_ARGUMENT : FCL_OK, resume_in_memory(data, &options, path));
        data->label[7] = !data->label[7];
        data->values[3] += 1;
        assert_status(FCL_ERR_ARGUMENT, resume_in_memory(data, &options, path));
        fcl_dataset_destroy(&data);
    }
}

static void test_source_and_condition_are_known_by_content(void **state)
{
    (void)state;
    float values[2 * ROWS];
    fill(values, 1);
    fcl_train_options first = small("sets");
    first.data = write_set("x.npy", values);
    first.data_count = 0;
    fill(values, 2);
    first.source = write_set("source.npy", values);
    fill(values, 3);
    first.condition = write_set("condition.npy", values);
    first.objective.coupling = "ot";
    assert_ok(fcl_train(&first, NULL));

    fcl_train_options again = resumed_with(&first, first.data);
    fill(values, 4);
    write_set("condition.npy", values);
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&again, NULL));
    assert_told("condition.npy");
    fill(values, 3);
    again.condition = write_set("moved.npy", values);
    assert_ok(fcl_train(&again, NULL));
    again.steps++;
    fill(values, 5);
    again.source = write_set("other.npy", values);
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&again, NULL));
    assert_told("other.npy");
    again.source = NULL; /* noise is another source, and no other file */
    again.data_changed = true;
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&again, NULL));
    assert_told("not normal");
}

/* A checkpoint that does not tell what its data were is one that was written before. */
static void test_checkpoint_that_does_not_tell(void **state)
{
    (void)state;
    fcl_dataset *data;
    fcl_trainer *trainer;
    const char *path = scratch_path("old.safetensors");
    fcl_train_options options = small(NULL);
    assert_ok(fcl_dataset_open("moons", &(fcl_dataset_options){.count = 100}, &data));
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    fcl_buffer *weights = fcl_trainer_weights(trainer);
    fcl_train_options filled = options;
    fcl_options *bound = fcl_options_create();
    filled.model.model = "mlp";
    assert_ok(fcl_train_options_bind(bound, &filled));
    assert_ok(fcl_options_finish(bound));
    fcl_snapshot snapshot = {.options = &filled,
                             .model = fcl_trainer_model(trainer),
                             .device = fcl_device_describe(device)->name,
                             .state = {weights, weights, weights, weights}};
    assert_ok(fcl_checkpoint_save(path, &snapshot));
    fcl_options_destroy(&bound);
    fcl_trainer_destroy(&trainer);
    data->values[3] += 1;
    assert_ok(resume_in_memory(data, &options, path)); /* nobody can know */
    options.data = "rings";
    assert_status(FCL_ERR_ARGUMENT, resume_in_memory(data, &options, path));
    assert_told("data moons, not rings");
    assert_null(strstr(fcl_error(), "checksum"));
    options.data_changed = true;
    assert_ok(resume_in_memory(data, &options, path));
    fcl_dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_run_is_kept_out),
        cmocka_unit_test(test_kill_releases),
        cmocka_unit_test(test_only_own_files_are_removed),
        cmocka_unit_test(test_samples_that_are_not_finite),
        cmocka_unit_test(test_hook_that_ends_it_is_saved_before),
        cmocka_unit_test(test_disk_that_is_full_for_a_while),
        cmocka_unit_test(test_finished_run_is_no_failure),
        cmocka_unit_test(test_longer_schedule_tells_the_rate),
        cmocka_unit_test(test_data_are_known_by_content),
        cmocka_unit_test(test_data_in_memory_and_labels),
        cmocka_unit_test(test_source_and_condition_are_known_by_content),
        cmocka_unit_test(test_checkpoint_that_does_not_tell),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
