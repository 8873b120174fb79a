/* One candidate's rounds: here, or, where it may crash, in a process of its own, which stays for the next
 * round. */
#include "tune.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

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

static double measure_here(fcl_device *device, const fcl_product *product, double seconds, tune_trial *trial)
{
    struct timespec now;
    double error = 0, least = 0;
    clock_gettime(CLOCK_REALTIME, &now);
    int status = trial->measure ? FCL_OK
                                : fcl_tune_candidate(device, product, trial->candidate, (uint32_t)now.tv_nsec,
                                                     &trial->measure);
    if (status == FCL_OK) {
        snprintf(trial->how, sizeof trial->how, "%s", fcl_measure_describe(trial->measure)->how);
        status = repeat(trial->measure, seconds, &least);
    }
    if (status == FCL_OK)
        status = fcl_measure_error(trial->measure, &error);
    if (status != FCL_OK)
        snprintf(trial->failure, sizeof trial->failure, "%s", fcl_error());
    else if (!(error <= FCL_TUNE_ERROR))
        fcl_snprintf(trial->failure, sizeof trial->failure, "it computes wrongly: error %g", error);
    return least;
}

/* --- elsewhere --- */

static void take_reply(const json_t *reply, tune_trial *trial)
{
    const char *how = json_string_value(json_object_get(reply, "how"));
    const char *failure = json_string_value(json_object_get(reply, "failed"));
    snprintf(trial->how, sizeof trial->how, "%s", how ? how : "clblast");
    if (failure)
        snprintf(trial->failure, sizeof trial->failure, "%s", failure);
    else if (!reply)
        snprintf(trial->failure, sizeof trial->failure, "%s", trial->process.end);
}

static bool start(fcl_device *device, const fcl_product *p, tune_trial *trial)
{
    const fcl_device_info *info = fcl_device_describe(device);
    char product[160], from[16];
    snprintf(product, sizeof product, "%d %d %d %d %d %d %d %d %d %d %d %d", p->m, p->n, p->k, p->transpose_a,
             p->transpose_b, p->batch, p->share_a, p->share_b, p->reads, p->stores, p->cold, trial->candidate);
    snprintf(from, sizeof from, "%d", fcl_tune_indirect_kept(device));
    char *arguments[] = {"flowcl", "tune-candidate", (char *)info->id, product, (char *)fcl_tune_set_used(device),
                         (char *)fcl_tune_set_direct_used(device), from, NULL};
    if (child_start(arguments, true, &trial->process) != EXIT_DONE)
        snprintf(trial->failure, sizeof trial->failure, "its process cannot be started");
    trial->process.limit = trial->limit;
    return !trial->failure[0];
}

static double measure_elsewhere(fcl_device *device, const fcl_product *product, double seconds,
                                tune_trial *trial)
{
    if (!trial->process.process && !start(device, product, trial))
        return 0;
    json_t *reply = child_ask(&trial->process, "%g", seconds);
    double took = json_number_value(json_object_get(reply, "seconds"));
    take_reply(reply, trial);
    json_decref(reply);
    return took;
}

/* --- either --- */

void tune_trial_measure(fcl_device *device, const fcl_product *product, double seconds, tune_trial *trial)
{
    if (trial->failure[0] || trial->rounds == TUNE_ROUNDS_MOST)
        return;
    double took = fcl_tune_is_risky(device, product, trial->candidate)
                      ? measure_elsewhere(device, product, seconds, trial)
                      : measure_here(device, product, seconds, trial);
    if (!trial->failure[0])
        trial->seconds[trial->rounds++] = took;
}

void tune_trial_close(tune_trial *trial)
{
    fcl_measure_destroy(&trial->measure);
    if (!trial->process.process)
        return;
    child_stop(&trial->process);
    if (!trial->failure[0] && (trial->process.hung || trial->process.status))
        snprintf(trial->failure, sizeof trial->failure, "%s", trial->process.end);
}

/* --- the process that may crash: flowcl tune-candidate P:D "m n k ..." SET DIRECT FROM, then a line of seconds
 * for each round --- */

static int bind(fcl_options *options, void *settings)
{
    (void)options, (void)settings;
    return FCL_OK;
}

static bool reply_round(fcl_device *device, const fcl_product *product, double seconds, tune_trial *trial)
{
    double took = measure_here(device, product, seconds, trial);
    json_t *reply = trial->failure[0] ? json_pack("{s:s, s:s}", "how", trial->how, "failed", trial->failure)
                                      : json_pack("{s:s, s:f}", "how", trial->how, "seconds", took);
    bool sent = json_dumpf(reply, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF && fflush(stdout) == 0;
    json_decref(reply);
    return sent;
}

static void serve(fcl_device *device, const fcl_product *product, tune_trial *trial)
{
    char *line = NULL;
    size_t room = 0;
    bool sent = true;
    while (sent && getline(&line, &room, stdin) > 0)
        sent = reply_round(device, product, fcl_strtod(line, NULL), trial);
    free(line);
}

static int use_parameters(fcl_device *device, const tool_call *call)
{
    int status = fcl_tune_set(device, call->positional[2]);
    if (status == FCL_OK)
        status = fcl_tune_set_direct(device, call->positional[3]);
    return status == FCL_OK ? fcl_tune_indirect_from(device, atoi(call->positional[4])) : status;
}

static int run(const tool_call *call)
{
    fcl_product p = {0};
    tune_trial trial = {0};
    int ta, tb, sa, sb, cold;
    if (sscanf(call->positional[1], "%d %d %d %d %d %d %d %d %d %d %d %d", &p.m, &p.n, &p.k, &ta, &tb, &p.batch, &sa,
               &sb, &p.reads, &p.stores, &cold, &trial.candidate) != 12)
        return tool_fail("\"%s\" is no product and candidate", call->positional[1]);
    p.transpose_a = ta;
    p.transpose_b = tb;
    p.share_a = sa;
    p.share_b = sb;
    p.cold = cold;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody else would end it if it hung */
    fcl_device *device;
    fcl_device_options options = {.skip_selftest = true};
    if (fcl_device_open(call->positional[0], &options, &device) != FCL_OK)
        return tool_fail_library();
    int status = use_parameters(device, call) == FCL_OK ? EXIT_DONE : tool_fail_library();
    if (status == EXIT_DONE)
        serve(device, &p, &trial);
    tune_trial_close(&trial);
    fcl_device_close(&device);
    return status;
}

const subcommand tune_candidate_command = {
    .name = "tune-candidate",
    .usage = "P:D PRODUCT SET DIRECT FROM",
    .summary = "measure one candidate of a product",
    .internal = true,
    .least = 5,
    .most = 5,
    .size = 1,
    .bind = bind,
    .run = run,
};
