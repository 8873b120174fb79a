/* CLBlast's sets of parameters: each in a process of its own, in turn with the first that can be used. */
#include "tune.h"

#include "stop.h"

static void measure(fcl_device *device, int index, tune_sets *sets)
{
    const double share = 0.1;
    sets->trial[index].limit = sets->limit;
    fcl_tune_set(device, fcl_tune_set_name(index)); /* a process that starts is told of it */
    tune_trial_measure(device, &sets->product, share, &sets->trial[index]);
}

/* What others are compared with stays open. */
static void compare(fcl_device *device, int index, int reference, tune_sets *sets)
{
    tune_trial *trial = &sets->trial[index], *other = &sets->trial[reference];
    other->rounds = 0;
    for (int round = 0; round < TUNE_LEAST_ROUNDS; round++) {
        measure(device, reference, sets);
        if (index != reference)
            measure(device, index, sets);
    }
    if (index != reference)
        tune_trial_close(trial);
    sets->gain[index] = tune_trial_gain(trial, other);
}

/* Compiling a set takes seconds. Where the one that others are compared with fails, the best so far takes its
 * place. */
void tune_sets_choose(fcl_device *device, double seconds, tune_show *show, void *data, tune_sets *sets)
{
    double begin = tool_now(), most = TUNE_LEAST_GAIN;
    int best = 0, reference = 0;
    for (int i = 0; i < TUNE_SETS_MOST && fcl_tune_set_name(i) && !stop_asked(); i++) {
        if (i > 1 && tool_now() - begin > seconds)
            break;
        sets->count++;
        compare(device, i, reference, sets);
        show(data, &sets->trial[i]);
        if (sets->gain[i] > most) {
            most = sets->gain[i];
            best = i;
        }
        if (sets->trial[reference].failure[0]) {
            best = reference = sets->trial[best].failure[0] ? i : best;
            sets->gain[best] = most = 1;
        }
    }
    tune_trial_close(&sets->trial[reference]);
    fcl_tune_set(device, fcl_tune_set_name(best));
}
