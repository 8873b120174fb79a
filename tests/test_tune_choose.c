/* Which candidate tuning takes, on a machine that is made up: its speed changes up to threefold from round to
 * round. */
#include "device.h"
#include "draws.h"

#include "tools/stop.h"
#include "tools/tune.h"

#include <math.h>
#include <stdlib.h>

enum { CANDIDATES_MOST = 64 };

/* The machine: what each candidate truly takes, and after how many rounds it fails (-1: never). */
static struct {
    double cost[CANDIDATES_MOST], speed;
    int fails_after[CANDIDATES_MOST], measured[CANDIDATES_MOST];
    int open, most_open;
    double clock;
} machine;

/* Its CLBlast, where it has one: what a set of either kernel costs a number of operations, whether each was measured,
 * and how many times longer the direct kernel takes. */
static struct {
    bool there;
    double cost[2][TUNE_SETS_MOST], direct;
    int measured[2][TUNE_SETS_MOST];
} clblast;

static int set_number(const char *name)
{
    int number = 0;
    while (strcmp(fcl_tune_set_name(number), name) != 0)
        number++;
    return number;
}

/* CLBlast's own choice of a kernel: m n k and a size's cube. */
static double clblast_seconds(const fcl_device *device, const fcl_product *p)
{
    double from = fcl_tune_indirect_kept(device), volume = (double)p->m * p->n * p->k;
    assert_true(from > 0);
    int direct = volume < from * from * from;
    int set = set_number(direct ? fcl_tune_set_direct_used(device) : fcl_tune_set_used(device));
    clblast.measured[direct][set]++;
    return 1e-9 * volume * clblast.cost[direct][set] * (direct ? clblast.direct : 1);
}

/* In place of tools/tune_trial.c. The rule's opens a round. */
void tune_trial_measure(fcl_device *device, const fcl_product *product, double seconds, tune_trial *trial)
{
    static char anything;
    int i = trial->candidate;
    (void)seconds;
    if (trial->failure[0])
        return;
    if (i == 0 && !clblast.there)
        machine.speed = uniform(1, 3);
    machine.open += !trial->measure;
    machine.most_open = machine.open > machine.most_open ? machine.open : machine.most_open;
    trial->measure = (fcl_measure *)&anything;
    if (machine.fails_after[i] >= 0 && machine.measured[i] >= machine.fails_after[i])
        strcpy(trial->failure, "made up");
    else if (clblast.there)
        trial->seconds[trial->rounds++] = clblast_seconds(device, product) / machine.speed;
    else
        trial->seconds[trial->rounds++] = machine.cost[i] / machine.speed;
    machine.measured[i]++;
}

void tune_trial_close(tune_trial *trial)
{
    machine.open -= trial->measure != NULL;
    trial->measure = NULL;
}

bool stop_asked(void)
{
    return false;
}

/* A hundredth of a second passes with each look: the time is up after some rounds. */
double tool_now(void)
{
    return machine.clock += 0.01;
}

static void look(void *data, const tune_trial *trial)
{
    (void)data, (void)trial;
}

static const fcl_product product = {.m = 200, .n = 300, .k = 100, .batch = 1};

static int set_up(void **state)
{
    seed_draws(state);
    return open_device(state);
}

static int draw_machine(fcl_device *device)
{
    int count = fcl_tune_count(device, &product);
    if (fcl_device_describe(device)->type != FCL_DEVICE_CPU) /* which has one candidate */
        skip();
    assert_in_range(count, 3, CANDIDATES_MOST);
    memset(&machine, 0, sizeof machine);
    for (int i = 0; i < count; i++) {
        machine.cost[i] = uniform(0.9, 1.4);
        machine.fails_after[i] = -1;
    }
    return count;
}

static int cheapest(int first, int count)
{
    int best = -1;
    for (int i = first; i < count; i++)
        if (machine.fails_after[i] < 0 && (best < 0 || machine.cost[i] < machine.cost[best]))
            best = i;
    return best;
}

static void choose(fcl_device *device, double seconds, tuned *result)
{
    *result = (tuned){.product = product};
    tune_choose(device, seconds, look, NULL, result);
    assert_int_equal(machine.open, 0);
    assert_in_range(machine.most_open, 1, 5); /* the rule's, and processes of the four fastest */
}

static void the_best_is_found_whatever_the_speed(void **state)
{
    tuned result;
    for (int i = 0; i < 200; i++) {
        int count = draw_machine(*state), best = cheapest(1, count);
        if (fabs(machine.cost[0] / machine.cost[best] - TUNE_LEAST_GAIN) < 1e-6)
            continue;
        best = machine.cost[0] / machine.cost[best] > TUNE_LEAST_GAIN ? best : 0;
        double gain = machine.cost[0] / machine.cost[best];
        choose(*state, uniform(1, 3), &result);
        if (result.best.candidate != best || !(fabs(result.gain / gain - 1) < 1e-12))
            fail_msg("candidate %d by %.17g, not %d by %g", result.best.candidate, result.gain, best, gain);
        assert_int_equal(result.candidates, count);
        assert_in_range(result.best.rounds, TUNE_LEAST_ROUNDS, TUNE_ROUNDS_MOST);
        assert_int_equal(result.failures, 0);
    }
}

/* Sooner or later: it is told, and the best of the others is taken. */
static void what_fails_is_not_taken(void **state)
{
    tuned result;
    for (int i = 0; i < 200; i++) {
        int count = draw_machine(*state), failing = i % 2 ? 0 : cheapest(1, count);
        machine.cost[failing] = 0.5;
        machine.fails_after[failing] = i / 2 % 3;
        choose(*state, 3, &result);
        assert_false(result.best.failure[0]);
        assert_int_equal(result.failures, 1);
        assert_int_equal(result.failed[0].candidate, failing);
        if (failing == 0) {
            assert_true(isnan(result.gain) && tune_trial_seconds(&result.rule) == 0);
            assert_int_equal(result.best.candidate,
                             machine.fails_after[0] ? result.best.candidate : cheapest(1, count));
        } else {
            assert_true(machine.cost[result.best.candidate] <= machine.cost[cheapest(0, count)] / 0.97);
        }
    }
}

/* Where the rule's choice and nothing else can be measured in the time, it stays. */
static void without_time_the_rule_stays(void **state)
{
    tuned result;
    draw_machine(*state);
    choose(*state, 0, &result);
    assert_int_equal(result.candidates, 1);
    assert_int_equal(result.best.candidate, 0);
    assert_true(result.gain == 1 && result.best.rounds == TUNE_LEAST_ROUNDS);
}

static int draw_clblast(fcl_device *device, double direct)
{
    int count = 0;
    memset(&machine, 0, sizeof machine);
    memset(&clblast, 0, sizeof clblast);
    memset(machine.fails_after, -1, sizeof machine.fails_after);
    machine.speed = uniform(1, 3);
    clblast.there = true;
    clblast.direct = direct;
    for (; fcl_tune_set_name(count); count++)
        for (int kernel = 0; kernel < 2; kernel++)
            clblast.cost[kernel][count] = uniform(0.5, 0.9);
    int best[2] = {(int)uniform(1, count), (int)uniform(1, count)};
    for (int kernel = 0; kernel < 2; kernel++)
        clblast.cost[kernel][best[kernel]] = 0.25;
    assert_ok(fcl_tune_set(device, "default"));
    return count;
}

/* A kernel's sets on products that it multiplies: 300 x 300 x 300 and 700 x 700 x 700 lie between 256, 512 and 1024. */
static void each_set_is_timed_by_its_kernel(void **state)
{
    static const fcl_product list[] = {{.m = 64, .n = 3, .k = 256, .batch = 1},
                                       {.m = 300, .n = 300, .k = 300, .batch = 1},
                                       {.m = 700, .n = 700, .k = 700, .batch = 1},
                                       {.m = 2000, .n = 2000, .k = 2000, .batch = 1}};
    static const struct {
        double direct;
        int products, from; /* of the list, and what parts the kernels then */
    } cases[] = {{2, 4, 256}, {0.5, 4, 1024}, {2, 2, 256}, {0.5, 2, 512}, {2, 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int count = draw_clblast(*state, cases[i].direct);
        tune_clblast_results *results = calloc(1, sizeof *results);
        tune_clblast_choose(*state, list, cases[i].products, 1e6, look, NULL, results);
        assert_int_equal(machine.open, 0);
        for (int kernel = cases[i].products > 1 ? 0 : 1; kernel < 2; kernel++) {
            const char *used = kernel ? fcl_tune_set_direct_used(*state) : fcl_tune_set_used(*state);
            assert_true(clblast.cost[kernel][set_number(used)] == 0.25);
            for (int set = 0; set < count; set++)
                assert_true(clblast.measured[kernel][set] >= TUNE_LEAST_ROUNDS);
        }
        assert_int_equal(fcl_tune_indirect_kept(*state), cases[i].from);
        free(results);
    }
    clblast.there = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_is_found_whatever_the_speed),
        cmocka_unit_test(what_fails_is_not_taken),
        cmocka_unit_test(without_time_the_rule_stays),
        cmocka_unit_test(each_set_is_timed_by_its_kernel),
    };
    return cmocka_run_group_tests(tests, set_up, close_device);
}
