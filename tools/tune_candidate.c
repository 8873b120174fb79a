/* One candidate's time: here, or, where it may crash, in a process of its own. */
#include "tune.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* --- here --- */

/* The least time of a product, over repeats of some milliseconds each. */
static int repeat(fcl_measure *measure, double seconds, double *least)
{
    enum { REPEATS = 3 };
    const double slice = 0.005;
    double begin = tool_now(), took;
    int status = fcl_measure_run(measure, 1, &took);
    if (status == FCL_OK)
        status = fcl_measure_run(measure, 1, &took);
    int64_t rounds = took < slice ? 1 + (int64_t)(slice / (took + 1e-7)) : 1;
    *least = took;
    for (int i = 0; status == FCL_OK && (i < REPEATS || tool_now() - begin < seconds); i++) {
        status = fcl_measure_run(measure, rounds, &took);
        *least = took / (double)rounds < *least ? took / (double)rounds : *least;
    }
    return status;
}

static void measure_here(fcl_device *device, const fcl_product *product, double seconds, tune_trial *trial)
{
    struct timespec now;
    fcl_measure *measure;
    double error = 0;
    clock_gettime(CLOCK_REALTIME, &now);
    int status = fcl_tune_candidate(device, product, trial->candidate, (uint32_t)now.tv_nsec, &measure);
    if (status == FCL_OK) {
        snprintf(trial->how, sizeof trial->how, "%s", fcl_measure_describe(measure)->how);
        status = repeat(measure, seconds, &trial->seconds);
    }
    if (status == FCL_OK)
        status = fcl_measure_error(measure, &error);
    if (status != FCL_OK)
        snprintf(trial->failure, sizeof trial->failure, "%s", fcl_error());
    else if (!(error <= FCL_TUNE_ERROR))
        fcl_snprintf(trial->failure, sizeof trial->failure, "it computes wrongly: error %g", error);
    fcl_measure_destroy(&measure);
}

/* --- elsewhere --- */

static int spawn(char *const *arguments, int output, pid_t *process)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int code = posix_spawn(process, "/proc/self/exe", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* A driver may print to standard output, too: only a line that is an object is the reply. */
static json_t *read_reply(int input)
{
    char *line = NULL;
    size_t room = 0;
    json_t *reply = NULL;
    FILE *stream = fdopen(input, "r");
    if (!stream)
        return NULL;
    while (!reply && getline(&line, &room, stream) > 0)
        reply = line[0] == '{' ? json_loads(line, 0, NULL) : NULL;
    free(line);
    fclose(stream);
    return reply;
}

static void take_reply(const json_t *reply, int end, tune_trial *trial)
{
    const char *how = json_string_value(json_object_get(reply, "how"));
    const char *failure = json_string_value(json_object_get(reply, "failed"));
    snprintf(trial->how, sizeof trial->how, "%s", how ? how : "clblast");
    trial->seconds = json_number_value(json_object_get(reply, "seconds"));
    if (reply && failure)
        snprintf(trial->failure, sizeof trial->failure, "%s", failure);
    else if (WIFSIGNALED(end))
        snprintf(trial->failure, sizeof trial->failure, "its process %s (signal %d)",
                 WTERMSIG(end) == SIGALRM ? "hung" : "crashed", WTERMSIG(end));
    else if (!(trial->seconds > 0))
        snprintf(trial->failure, sizeof trial->failure, "its process ended with status %d", WEXITSTATUS(end));
}

static void measure_elsewhere(fcl_device *device, const fcl_product *p, double seconds, tune_trial *trial)
{
    const fcl_device_info *info = fcl_device_describe(device);
    char selector[32], product[160], text[32];
    snprintf(selector, sizeof selector, "%d:%d", info->platform, info->index);
    snprintf(product, sizeof product, "%d %d %d %d %d %d %d %d %d", p->m, p->n, p->k, p->transpose_a,
             p->transpose_b, p->batch, p->share_a, p->share_b, trial->candidate);
    fcl_snprintf(text, sizeof text, "%g", seconds);
    char *arguments[] = {"flowcl", "tune-candidate",                     selector, product,
                         text,     (char *)fcl_tune_set_used(device), NULL};
    int ends[2], end = 0;
    pid_t process;
    if (pipe2(ends, O_CLOEXEC)) {
        snprintf(trial->failure, sizeof trial->failure, "cannot make a pipe: %s", strerror(errno));
        return;
    }
    int code = spawn(arguments, ends[1], &process);
    close(ends[1]);
    if (code) {
        close(ends[0]);
        snprintf(trial->failure, sizeof trial->failure, "cannot start a process: %s", strerror(code));
        return;
    }
    json_t *reply = read_reply(ends[0]);
    while (waitpid(process, &end, 0) < 0 && errno == EINTR)
        continue;
    take_reply(reply, end, trial);
    json_decref(reply);
}

void tune_candidate_measure(fcl_device *device, const fcl_product *product, int candidate, double seconds,
                            tune_trial *trial)
{
    *trial = (tune_trial){.candidate = candidate};
    if (fcl_tune_is_risky(device, product, candidate))
        measure_elsewhere(device, product, seconds, trial);
    else
        measure_here(device, product, seconds, trial);
}

/* --- the process that may crash: flowcl tune-candidate P:D "m n k ..." SECONDS SET --- */

static int bind(fcl_options *options, void *settings)
{
    (void)options, (void)settings;
    return FCL_OK;
}

static int run(const tool_call *call)
{
    enum { LONGEST = 120 }; /* seconds; a cold CLBlast compiles for ten */
    fcl_product p = {0};
    tune_trial trial = {0};
    int ta, tb, sa, sb;
    if (sscanf(call->positional[1], "%d %d %d %d %d %d %d %d %d", &p.m, &p.n, &p.k, &ta, &tb, &p.batch, &sa,
               &sb, &trial.candidate) != 9)
        return tool_fail("\"%s\" is no product and candidate", call->positional[1]);
    p.transpose_a = ta;
    p.transpose_b = tb;
    p.share_a = sa;
    p.share_b = sb;
    alarm(LONGEST);
    fcl_device *device;
    fcl_device_options options = {.skip_selftest = true};
    if (fcl_device_open(call->positional[0], &options, &device) != FCL_OK)
        return tool_fail_library();
    if (fcl_tune_set(device, call->positional[3]) == FCL_OK)
        measure_here(device, &p, fcl_strtod(call->positional[2], NULL), &trial);
    else
        snprintf(trial.failure, sizeof trial.failure, "%s", fcl_error());
    json_t *reply = trial.failure[0] ? json_pack("{s:s, s:s}", "how", trial.how, "failed", trial.failure)
                                     : json_pack("{s:s, s:f}", "how", trial.how, "seconds", trial.seconds);
    json_dumpf(reply, stdout, 0);
    putchar('\n');
    json_decref(reply);
    fcl_device_close(&device);
    return EXIT_DONE;
}

const subcommand tune_candidate_command = {
    .name = "tune-candidate",
    .usage = "P:D PRODUCT SECONDS SET",
    .summary = "measure one candidate of a product",
    .internal = true,
    .least = 4,
    .most = 4,
    .size = 1,
    .bind = bind,
    .run = run,
};
