/* A device that fails: each call of OpenCL in turn, once, and as of a device that is gone from there on. What
 * was asked for fails with one sentence, or is done all the same where the call's failure does not matter;
 * nothing hangs, nothing is left on the device, and checkpoints of before are whole. */
#include "opencl_faults.h"
#include "scratch.h"
#include "status.h"
#include "trial.h"

#include "device/opencl.h"

#include <flowcl/flowcl.h>

#include <CL/cl.h>
#include <glob.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a scenario's calls, at most so many are tried, spread evenly with a random beginning;
 * FCL_TEST_FAULTS=all: each. */
enum { TRIED = 5, HANGS = 300 };

typedef struct scenario {
    const char *name;
    int (*run)(void); /* opens a device, and closes it */
    bool again;       /* something of it is tried again where it fails: the sampler */
} scenario;

/* Of all that a run has given (FNV-1a): a run that survives a fault gives the same. */
static uint64_t given;

static void take(const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        given = (given ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3;
}

static void take_array(const fcl_array *array)
{
    if (array)
        take(array->data, (size_t)fcl_shape_size(array->shape) * sizeof *array->data);
}

static fcl_train_options tiny(void)
{
    return (fcl_train_options){.data = "moons",
                               .data_count = 64,
                               .out = scratch_path("run"),
                               .steps = 2,
                               .batch = 8,
                               .checkpoint_every = 1,
                               .metrics_every = 1,
                               .keep = 10,
                               .model = {.width = 8, .depth = 1}};
}

static int take_metrics(void *data, const fcl_train_metrics *metrics)
{
    (void)data;
    const double numbers[] = {metrics->loss, metrics->gradient_norm, metrics->held_out_loss};
    take(numbers, sizeof numbers);
    return FCL_OK;
}

static int take_samples(void *data, int64_t step, const fcl_array *samples)
{
    (void)data;
    (void)step;
    take_array(samples);
    return FCL_OK;
}

/* The sentence of samples that cannot be drawn, which a training survives. */
static char warned[512];

static void take_warning(void *data, const char *sentence)
{
    (void)data;
    snprintf(warned, sizeof warned, "%s", sentence);
}

static int take_start(void *data, const fcl_train_start *start)
{
    (void)data;
    return start->memory.total > 0 ? FCL_OK : FCL_ERR_ARGUMENT;
}

static int take_finish(void *data, fcl_device *device)
{
    fcl_profile_line *lines;
    int count;
    (void)data;
    FCL_TRY(fcl_device_profile(device, &lines, &count));
    fcl_free(lines);
    return FCL_OK;
}

static int train(const fcl_train_options *options, int samples)
{
    const fcl_train_hooks hooks = {.start = take_start,
                                   .metrics = take_metrics,
                                   .samples = samples,
                                   .sampled = take_samples,
                                   .warning = take_warning,
                                   .finish = take_finish};
    return fcl_train(options, &hooks);
}

static int run_train(void)
{
    fcl_train_options options = tiny();
    return train(&options, 0);
}

static int run_held_out(void)
{
    fcl_train_options options = tiny();
    options.held_out = 0.25;
    options.held_out_every = 2;
    return train(&options, 0);
}

static int run_stream(void)
{
    fcl_train_options options = tiny();
    options.stream_data = options.labels = true;
    options.accumulate = 2;
    options.source = "rings";
    options.objective.coupling = "ot";
    return train(&options, 3);
}

static int run_plan(void)
{
    fcl_train_options options = tiny();
    options.objective.coupling = "sinkhorn";
    options.objective.coupling_iterations = 4;
    options.profile = true;
    return train(&options, 0);
}

static int run_open(void)
{
    fcl_device *device;
    FCL_TRY(fcl_device_open(NULL, NULL, &device));
    fcl_device_close(&device);
    return FCL_OK;
}

static int on_checkpoint(int (*use)(fcl_device *device, const fcl_checkpoint *checkpoint))
{
    fcl_device *device;
    fcl_checkpoint *checkpoint;
    assert_ok(fcl_checkpoint_open(scratch_path("trained"), &checkpoint));
    int status = fcl_device_open(NULL, NULL, &device);
    if (status == FCL_OK)
        status = use(device, checkpoint);
    fcl_device_close(&device);
    fcl_checkpoint_close(&checkpoint);
    return status;
}

static int draw(fcl_device *device, const fcl_checkpoint *checkpoint)
{
    const fcl_sample_options adaptive = {.n = 5, .solver = "dopri5", .rtol = 0.1, .atol = 0.1},
                             fixed = {.n = 5, .steps = 3};
    fcl_array *samples = NULL;
    fcl_sample_stats stats;
    int status = fcl_sample(device, checkpoint, &adaptive, &samples, &stats);
    take_array(samples);
    fcl_array_destroy(&samples);
    if (status == FCL_OK)
        status = fcl_sample(device, checkpoint, &fixed, &samples, NULL);
    take_array(samples);
    fcl_array_destroy(&samples);
    return status;
}

static int measure(fcl_device *device, const fcl_checkpoint *checkpoint)
{
    float x[] = {0.5f, 0.25f, -1, 0};
    fcl_array *density = NULL;
    const fcl_array points = {.shape = FCL_SHAPE(2, 2), .data = x};
    int status = fcl_log_density(device, checkpoint, &(fcl_sample_options){.steps = 2, .solver = "euler"},
                                 &points, NULL, &density, NULL);
    take_array(density);
    fcl_array_destroy(&density);
    return status;
}

static int run_sample(void)
{
    return on_checkpoint(draw);
}

static int run_density(void)
{
    return on_checkpoint(measure);
}

/* --- a fault --- */

static const int codes[] = {CL_OUT_OF_RESOURCES, CL_DEVICE_NOT_AVAILABLE, CL_MEM_OBJECT_ALLOCATION_FAILURE,
                            CL_OUT_OF_HOST_MEMORY, CL_INVALID_COMMAND_QUEUE};

/* Another one may choose other kernels. */
static bool is_fact(const char *call)
{
    return strncmp(call, "clGet", 5) == 0;
}

/* What a run survives: facts that have another source or a default, and what is done with what nobody needs
 * any more. */
static bool may_fail(const char *call)
{
    static const char *const calls[] = {"clEnqueueUnmapMemObject", "clFinish", "clWaitForEvents"};
    bool may = is_fact(call) || strncmp(call, "clRelease", 9) == 0;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        may |= strcmp(call, calls[i]) == 0;
    return may;
}

static void check_sentence(const char *sentence)
{
    size_t length = strlen(sentence);
    assert_true(length > 10 && length < 600);
    assert_null(strchr(sentence, '\n'));
}

static void check_checkpoints(void)
{
    char *newest;
    fcl_checkpoint *checkpoint;
    if (fcl_checkpoint_newest(scratch_path("run"), &newest) != FCL_OK)
        return;
    assert_ok(fcl_checkpoint_open(newest, &checkpoint));
    fcl_checkpoint_close(&checkpoint);
    glob_t parts;
    assert_int_equal(glob(scratch_path("run/*.part"), 0, NULL, &parts), GLOB_NOMATCH);
    fcl_free(newest);
}

static bool check_left(void)
{
    bool clean = true;
    for (int i = 0; i < OPENCL_OBJECTS; i++)
        if (faults.alive[i]) {
            print_error("%d of the kind %s are left\n", faults.alive[i], opencl_object_names[i]);
            clean = false;
        }
    return clean;
}

static void begin(void)
{
    scratch_remove("run");
    warned[0] = 0;
    given = 0xcbf29ce484222325;
    faults = (opencl_faults){0};
}

/* Whether the message is of the first fault, and not of what failed behind it. An argument's waits for its
 * launch. */
static bool tells(const scenario *s, const char *failed, int code)
{
    return s->again || may_fail(failed) || strcmp(failed, "clSetKernelArg") == 0 ||
           strstr(fcl_error(), fcl_opencl_name(code));
}

/* Which fault is tried, should it hang. */
static char tried[160];

static void tell_hang(int signal)
{
    (void)signal;
    ssize_t told = write(STDERR_FILENO, tried, strlen(tried));
    _exit(told > 0 ? 1 : 2);
}

typedef struct tally {
    int tried, failed; /* faults; those that ended the run */
    int wrong;         /* those whose run did not end as it should */
} tally;

static void try_fault(const scenario *s, int at, bool gone, uint64_t wanted, tally *t)
{
    begin();
    faults = (opencl_faults){.at = at, .gone = gone, .code = codes[at % (int)(sizeof codes / sizeof *codes)]};
    const int code = faults.code;
    snprintf(tried, sizeof tried, "%s: call %d%s fails, and the run hangs\n", s->name, at,
             gone ? " and all behind it" : "");
    alarm(HANGS);
    int status = s->run();
    alarm(0);
    bool clean = check_left();
    faults.at = 0;
    const char *failed = faults.failed ? faults.failed : "nothing";
    bool survived = status == FCL_OK && !warned[0] && faults.failed;
    if (!clean || (survived && !s->again && !may_fail(failed)) ||
        (survived && !is_fact(failed) && given != wanted)) {
        print_error("%s: call %d, %s%s: %s\n", s->name, at, failed, gone ? " and those behind it" : "",
                    status != FCL_OK  ? fcl_error()
                    : given == wanted ? "nothing was told"
                                      : "other results");
        t->wrong++;
    }
    if (status != FCL_OK)
        check_sentence(fcl_error());
    if (status != FCL_OK && !tells(s, failed, code)) {
        print_error("%s: call %d, %s, does not tell %d: %s\n", s->name, at, failed, code, fcl_error());
        t->wrong++;
    }
    check_checkpoints();
    t->tried++;
    t->failed += status != FCL_OK;
}

static void check_scenario(const scenario *s)
{
    begin();
    assert_ok(s->run()); /* compiles */
    begin();
    assert_ok(s->run());
    assert_true(check_left());
    const uint64_t wanted = given;
    const int calls = faults.calls, all = getenv("FCL_TEST_FAULTS") != NULL;
    const int every = all || calls < TRIED ? 1 : calls / TRIED;
    tally t = {0};
    for (int at = 1 + trial_int(0, every - 1); at <= calls; at += every)
        for (int gone = 0; gone < 2; gone++)
            try_fault(s, at, gone, wanted, &t);
    print_message("%s: %d calls, %d faults injected, %d ended it with a sentence\n", s->name, calls, t.tried,
                  t.failed);
    assert_int_equal(t.wrong, 0);
    begin();
    assert_ok(s->run());
    assert_true(given == wanted);
}

static void test_open(void **state)
{
    (void)state;
    check_scenario(&(scenario){"open", run_open});
}

static void test_train(void **state)
{
    (void)state;
    check_scenario(&(scenario){"train", run_train});
}

static void test_held_out(void **state)
{
    (void)state;
    check_scenario(&(scenario){"held-out", run_held_out});
}

static void test_stream(void **state)
{
    (void)state;
    check_scenario(&(scenario){"stream", run_stream, true});
}

static void test_plan(void **state)
{
    (void)state;
    check_scenario(&(scenario){"plan", run_plan});
}

static void test_sample(void **state)
{
    (void)state;
    check_scenario(&(scenario){"sample", run_sample, true});
}

static void test_density(void **state)
{
    (void)state;
    check_scenario(&(scenario){"density", run_density, true});
}

static int setup(void **state)
{
    trial_seed();
    signal(SIGALRM, tell_hang);
    if (scratch_setup(state) != 0)
        return -1;
    fcl_train_options options = tiny();
    options.out = scratch_path("trained");
    return fcl_train(&options, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),    cmocka_unit_test(test_train), cmocka_unit_test(test_held_out),
        cmocka_unit_test(test_stream),  cmocka_unit_test(test_plan),  cmocka_unit_test(test_sample),
        cmocka_unit_test(test_density),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
