/* Ranks that share a device: who they are, what they need together, and what there is, on random machines. */
#include "status.h"
#include "trial.h"

#include "train/neighbours.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 9, MEMORY = 1 << 20 };

/* Numbers of a machine and of a device there; each device has its own memory, and parts have equal shares of it. */
typedef struct place {
    int machine, device;
} place;

static uint64_t memory_of(place at)
{
    return (uint64_t)MEMORY * (uint64_t)(1 + at.machine + 2 * at.device);
}

static void settle(place at, int parts, fcl_neighbour *rank)
{
    memset(rank, 0, sizeof *rank);
    snprintf(rank->machine, sizeof rank->machine, "machine %d", at.machine);
    snprintf(rank->device, sizeof rank->device, "0:%d", at.device);
    rank->parts = parts;
    rank->room = (fcl_room){memory_of(at) / (uint64_t)parts, memory_of(at) / (uint64_t)parts};
}

/* More of a device than there is, in 24ths of it, is shared; what all on it need is counted, and all of its memory. */
static void test_random_machines(void **state)
{
    (void)state;
    static const int ways[] = {1, 1, 2, 3, 4};
    for (int time = 0; time < 2000; time++) {
        int count = trial_int(1, MOST), parts[MOST];
        fcl_neighbour all[MOST];
        fcl_room needs[MOST];
        place at[MOST];
        bool any = false;
        for (int i = 0; i < count; i++) {
            at[i] = (place){trial_int(0, 1), trial_int(0, 1)};
            parts[i] = ways[trial_int(0, 4)];
            settle(at[i], parts[i], &all[i]);
            needs[i] = (fcl_room){(uint64_t)trial_int(0, MEMORY), 0};
        }
        for (int i = 0; i < count; i++) {
            int there = 0, taken = 0;
            uint64_t need = 0;
            for (int j = 0; j < count; j++) {
                bool same = at[i].machine == at[j].machine && at[i].device == at[j].device;
                there += same;
                taken += same ? 24 / parts[j] : 0;
                need += same ? needs[j].bytes : 0;
            }
            any |= taken > 24;
            assert_int_equal(fcl_neighbours_sharing(all, count, i), taken > 24 ? there : 1);
            assert_int_equal(fcl_neighbours_need(all, needs, count, i), need);
            uint64_t memory = fcl_neighbours_memory(all, count, i);
            assert_true(memory <= memory_of(at[i]) && memory + 4 > memory_of(at[i])); /* a part's share is whole bytes */
        }
        assert_true(fcl_neighbours_share(all, count) == any);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_machines)};
    trial_seed();
    return cmocka_run_group_tests_name("neighbours", tests, NULL, NULL);
}
