/* CLBlast's sets of parameters: each in a process of its own, in turn with the first that can be used. Then from which
 * size on its kernel for large products is the faster one. */
#include "tune.h"

#include "stop.h"

#include <math.h>

/* The product is one of the kernel that the sets are of. A process that starts is told. */
static void use(fcl_device *device, const tune_sets *sets, int index)
{
    if (sets->direct)
        fcl_tune_set_direct(device, fcl_tune_set_name(index));
    else
        fcl_tune_set(device, fcl_tune_set_name(index));
    fcl_tune_indirect_from(device, sets->direct ? TUNE_SWITCH_MOST : TUNE_SWITCH_LEAST);
}

static void measure(fcl_device *device, int index, tune_sets *sets)
{
    const double share = 0.1;
    sets->trial[index].limit = sets->limit;
    use(device, sets, index);
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
static void choose_set(fcl_device *device, double seconds, tune_show *show, void *data, tune_sets *sets)
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
    use(device, sets, best);
    fcl_tune_indirect_from(device, 0);
}

static void measure_kernel(fcl_device *device, int from, const fcl_product *product, tune_trial *trial)
{
    const double share = 0.1;
    fcl_tune_indirect_from(device, from);
    tune_trial_measure(device, product, share, trial);
}

static void compare_kernels(fcl_device *device, double limit, tune_switch *at)
{
    at->direct.limit = at->large.limit = limit;
    for (int round = 0; round < TUNE_LEAST_ROUNDS && !stop_asked(); round++) {
        measure_kernel(device, 2 * at->from, &at->product, &at->direct);
        measure_kernel(device, at->from, &at->product, &at->large);
    }
    tune_trial_close(&at->direct);
    tune_trial_close(&at->large);
    at->gain = tune_trial_gain(&at->large, &at->direct);
}

/* A kernel that fails is no choice; one that was not measured, as when the user asks to stop, decides nothing. */
static bool is_better(double gain, const tune_trial *trial, const tune_trial *other)
{
    return gain > 1 || (other->failure[0] && !trial->failure[0] && trial->rounds);
}

/* Smaller sizes first. Where no product lies between two, the rule's stays. */
static void choose_switch(fcl_device *device, tune_clblast_results *results)
{
    int from = 0;
    for (int i = 0; i < results->switch_count && !stop_asked(); i++) {
        tune_switch *at = &results->switches[i];
        compare_kernels(device, results->limit, at);
        if (is_better(at->gain, &at->large, &at->direct) && !from)
            from = at->from;
        else if (is_better(1 / at->gain, &at->direct, &at->large))
            from = 2 * at->from;
    }
    fcl_tune_indirect_from(device, from);
}

/* --- the products that they are measured on --- */

double tune_operations(const fcl_product *p)
{
    return 2.0 * p->m * p->n * p->k * (p->batch ? p->batch : 1);
}

static double cube(double size)
{
    return size * size * size;
}

/* Of those with an m n k of at least one size's cube and below another's; NULL: there is none. */
static const fcl_product *largest(const fcl_product *list, int count, double least, double below)
{
    const fcl_product *found = NULL;
    for (int i = 0; i < count; i++) {
        double volume = (double)list[i].m * list[i].n * list[i].k;
        if (volume >= cube(least) && volume < cube(below) &&
            (!found || tune_operations(&list[i]) > tune_operations(found)))
            found = &list[i];
    }
    return found;
}

void tune_clblast_choose(fcl_device *device, const fcl_product *list, int count, double seconds, tune_show *show,
                         void *data, tune_clblast_results *results)
{
    for (int direct = 0; direct < 2 && !stop_asked(); direct++) {
        tune_sets *sets = &results->sets[direct];
        const fcl_product *product = direct ? largest(list, count, 0, TUNE_SWITCH_MOST)
                                            : largest(list, count, TUNE_SWITCH_LEAST, INFINITY);
        if (!product)
            continue;
        sets->product = *product;
        sets->direct = direct;
        sets->limit = results->limit;
        choose_set(device, seconds, show, data, sets);
    }
    for (int from = TUNE_SWITCH_LEAST; from < TUNE_SWITCH_MOST; from *= 2) {
        const fcl_product *product = largest(list, count, from, 2 * from);
        if (product)
            results->switches[results->switch_count++] = (tune_switch){.from = from, .product = *product};
    }
    choose_switch(device, results);
}
