/* The best candidate of a product. All are compared with the rule's, in turn: what else the machine does
 * meets both. */
#include "tune.h"

#include "rounds.h"
#include "stop.h"

double tune_trial_seconds(const tune_trial *trial)
{
    return trial->failure[0] || !trial->rounds ? 0 : rounds_of(trial->seconds, trial->rounds).median;
}

double tune_trial_gain(const tune_trial *trial, const tune_trial *over)
{
    bool failed = trial->failure[0] || over->failure[0];
    int rounds = trial->rounds < over->rounds ? trial->rounds : over->rounds;
    return rounds_ratio(over->seconds, trial->seconds, failed ? 0 : rounds).median;
}

enum { FINALISTS = 4 };

typedef struct contest {
    fcl_device *device;
    tuned *result;
    tune_trial fastest[FINALISTS]; /* beside the rule's; the fastest first */
    double gain[FINALISTS];
    int count;
} contest;

/* The rule's stays open as long as there is a candidate to compare it with. */
static void measure_pair(contest *c, double seconds, tune_trial *trial)
{
    tuned *result = c->result;
    result->rule.rounds = 0;
    tune_trial_measure(c->device, &result->product, seconds, &result->rule);
    tune_trial_measure(c->device, &result->product, seconds, trial);
    tune_trial_close(trial);
}

/* Without the rule's to compare them with, plain times have to do. */
static bool is_faster(const contest *c, const tune_trial *trial, double gain, int than)
{
    if (c->result->rule.failure[0])
        return tune_trial_seconds(trial) < tune_trial_seconds(&c->fastest[than]);
    return gain > c->gain[than];
}

static void insert(contest *c, const tune_trial *trial)
{
    double gain = tune_trial_gain(trial, &c->result->rule);
    int at = c->count < FINALISTS ? c->count++ : FINALISTS;
    for (; at > 0 && is_faster(c, trial, gain, at - 1); at--)
        if (at < FINALISTS) {
            c->fastest[at] = c->fastest[at - 1];
            c->gain[at] = c->gain[at - 1];
        }
    if (at == FINALISTS)
        return;
    c->fastest[at] = *trial;
    c->gain[at] = gain;
}

static void keep_failure(tuned *result, const tune_trial *trial)
{
    if (trial->failure[0] && result->failures < TUNE_FAILURES_MOST)
        result->failed[result->failures++] = *trial;
}

/* Each candidate once, as far as the time allows. */
static void measure_each(contest *c, double end, tune_show *show, void *data)
{
    const double share = 0.02;
    tuned *result = c->result;
    int candidates = fcl_tune_count(c->device, &result->product);
    tune_trial_measure(c->device, &result->product, share, &result->rule);
    show(data, &result->rule);
    for (result->candidates = 1; result->candidates < candidates && !stop_asked(); result->candidates++) {
        tune_trial trial = {.candidate = result->candidates, .limit = result->limit};
        if (tool_now() > end)
            break;
        measure_pair(c, share, &trial);
        show(data, &trial);
        keep_failure(result, &trial);
        if (!trial.failure[0])
            insert(c, &trial);
    }
}

/* Each keeps its process. */
static void take_turns(contest *c)
{
    const fcl_product *product = &c->result->product;
    tune_trial_measure(c->device, product, 0, &c->result->rule);
    for (int i = 0; i < c->count; i++)
        tune_trial_measure(c->device, product, 0, &c->fastest[i]);
}

static void measure_again(contest *c, double end)
{
    c->result->rule.rounds = 0;
    for (int i = 0; i < c->count; i++)
        c->fastest[i].rounds = 0;
    for (int round = 0; round < TUNE_ROUNDS_MOST; round++) {
        if (round > 0 && (stop_asked() || (round >= TUNE_LEAST_ROUNDS && tool_now() > end)))
            break;
        take_turns(c);
    }
    tune_trial_close(&c->result->rule);
    keep_failure(c->result, &c->result->rule);
    for (int i = 0; i < c->count; i++) {
        tune_trial_close(&c->fastest[i]);
        keep_failure(c->result, &c->fastest[i]);
    }
}

/* Over the rule's, or, where that has failed, over the first that has not. */
static void take_best(contest *c)
{
    tuned *result = c->result;
    const tune_trial *reference = &result->rule;
    for (int i = 0; i < c->count && reference->failure[0]; i++)
        reference = &c->fastest[i];
    double most = reference == &result->rule ? TUNE_LEAST_GAIN : 1;
    result->best = *reference;
    for (int i = 0; i < c->count; i++) {
        double gain = tune_trial_gain(&c->fastest[i], reference);
        if (!(gain > most))
            continue;
        most = gain;
        result->best = c->fastest[i];
    }
    result->gain = tune_trial_gain(&result->best, &result->rule);
}

void tune_choose(fcl_device *device, double seconds, tune_show *show, void *data, tuned *result)
{
    const double share_of_first = 0.8;
    contest c = {.device = device, .result = result};
    result->rule.limit = result->limit;
    double begin = tool_now();
    measure_each(&c, begin + share_of_first * seconds, show, data);
    measure_again(&c, begin + seconds);
    take_best(&c);
}
