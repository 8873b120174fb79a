/* Which candidate tuning takes, on a machine that is made up: its speed changes up to threefold from round to
 * round. */
#include "device.h"

#include "tools/stop.h"
#include "tools/tune.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

enum { CANDIDATES_MOST = 64 };
static unsigned short state48[3];

/* The machine: what each candidate truly takes, and after how many rounds it fails (-1: never). */
static struct {
    double cost[CANDIDATES_MOST], speed;
    int fails_after[CANDIDATES_MOST], measured[CANDIDATES_MOST];
    int open, most_open;
    double clock;
} machine;

static double between(double low, double high)
{
    return low + (high - low) * erand48(state48);
}

/* In place of tools/tune_trial.c. The rule's opens a round. */
void tune_trial_measure(fcl_device *device, const fcl_product *product, double seconds, tune_trial *trial)
{
    static char anything;
    int i = trial->candidate;
    (void)device, (void)product, (void)seconds;
    if (trial->failure[0])
        return;
    if (i == 0)
        machine.speed = between(1, 3);
    machine.open += !trial->measure;
    machine.most_open = machine.open > machine.most_open ? machine.open : machine.most_open;
    trial->measure = (fcl_measure *)&anything;
    if (machine.fails_after[i] >= 0 && machine.measured[i] >= machine.fails_after[i])
        strcpy(trial->failure, "made up");
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
    const char *given = getenv("FCL_TEST_SEED");
    unsigned long seed = given ? strtoul(given, NULL, 10) : (unsigned long)time(NULL);
    print_message("FCL_TEST_SEED=%lu\n", seed);
    for (int i = 0; i < 3; i++)
        state48[i] = (unsigned short)(seed >> (16 * i));
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
        machine.cost[i] = between(0.9, 1.4);
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
        choose(*state, between(1, 3), &result);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_is_found_whatever_the_speed),
        cmocka_unit_test(what_fails_is_not_taken),
        cmocka_unit_test(without_time_the_rule_stays),
    };
    return cmocka_run_group_tests(tests, set_up, close_device);
}
