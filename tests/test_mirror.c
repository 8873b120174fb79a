/* Training on pictures: those that are mirrored, as the headers say they are drawn, and those that are
 * decoded when a step needs them. */
#include "class_pictures.h"
#include "rig.h"

#include "base/assign.h"
#include "base/random.h"
#include "flow/coupling.h"

#include "../cl/philox.h"
#include "../cl/permute.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

enum { BATCH = 12, HEIGHT = 3, WIDTH = 5, SIZE = 2 * HEIGHT * WIDTH, COUNT = 31, MOST = 2 * BATCH };

static fcl_train_options small(const char *data)
{
    return (fcl_train_options){.data = data,
                               .steps = 6,
                               .batch = BATCH,
                               .seed = 5,
                               .normalise = "off",
                               .lr = 0.01f,
                               .schedule = "constant",
                               .model = {.width = 8, .depth = 1}};
}

/* --- which are mirrored --- */

/* Two pictures (HEIGHT, WIDTH) one above the other. */
static fcl_dataset *drawn(double scale)
{
    static float values[COUNT * SIZE];
    fcl_dataset *data, given = {.count = COUNT, .shape = FCL_SHAPE(2 * HEIGHT, WIDTH), .values = values};
    for (int i = 0; i < COUNT * SIZE; i++)
        values[i] = (float)(scale * trial_normal());
    assert_ok(fcl_dataset_from(&given, &data));
    return data;
}

/* x0 and x1 of `rows` rows from step `first` on, as the headers say they are drawn; how many are mirrored. */
static int draw_pool(const fcl_dataset *data, uint64_t seed, int64_t first, int rows, float *x0, float *x1)
{
    fcl_random noise = {.seed = seed, .stream = FCL_STREAM_SOURCE, .step = (uint32_t)first};
    fcl_random mirror = {.seed = seed, .stream = FCL_STREAM_MIRROR, .step = (uint32_t)first};
    int mirrored = 0;
    for (int i = 0; i < rows; i++) {
        int64_t sample = first * BATCH + i;
        uint32_t row = permute_index((uint32_t)(sample % COUNT), COUNT, seed, FCL_STREAM_BATCH,
                                     (uint64_t)(sample / COUNT));
        bool turned = fcl_random_uniform(mirror, (uint64_t)i) > 0.5;
        mirrored += turned;
        for (int k = 0; k < SIZE; k++) {
            int x = k % WIDTH, from = turned ? k - x + WIDTH - 1 - x : k;
            x0[i * SIZE + k] = (float)fcl_random_normal(noise, (uint64_t)(i * SIZE + k));
            x1[i * SIZE + k] = data->values[(int)row * SIZE + from];
        }
    }
    return mirrored;
}

/* Who is paired with whom. */
static void pair(const char *coupling, uint64_t seed, int64_t first, int rows, const float *cost,
                 int32_t *partner)
{
    fcl_random chance = {.seed = seed, .stream = FCL_STREAM_COUPLING, .step = (uint32_t)first};
    bool best = coupling && strcmp(coupling, "ot") == 0;
    if (best)
        assert_ok(fcl_assignment_solve(rows, cost, partner));
    for (int i = 0; i < rows && !best; i++)
        partner[i] = coupling ? (int)(fcl_random_uniform(chance, (uint64_t)(2 * i + 1)) * rows) : i;
}

/* The mean over the numbers of |x1 - x0|^2 of the pairs. */
static double expected(const fcl_dataset *data, uint64_t seed, int64_t first, int rows, const char *coupling)
{
    static float x0[MOST * SIZE], x1[MOST * SIZE], cost[MOST * MOST];
    int32_t partner[MOST];
    int mirrored = draw_pool(data, seed, first, rows, x0, x1);
    assert_true(mirrored > 0 && mirrored < rows); /* the seed is fixed */
    double sum = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++) {
            double distance = 0;
            for (int k = 0; k < SIZE; k++)
                distance += pow((double)x0[i * SIZE + k] - (double)x1[j * SIZE + k], 2);
            cost[i * rows + j] = (float)distance;
        }
    pair(coupling, seed, first, rows, cost, partner);
    for (int i = 0; i < rows; i++)
        sum += (double)cost[i * rows + partner[i]];
    return sum / (rows * SIZE);
}

/* A model whose weights are zero has the velocity zero, so the loss of a step is the mean of |x1 - x0|^2 over
 * the pairs that it took. */
static void check_rows(const fcl_dataset *data, fcl_train_options options, int pool_steps)
{
    fcl_trainer *trainer;
    options.hflip = true;
    options.lr = 1e-30f;
    options.ema = "off";
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    assert_ok(fcl_buffer_zero(fcl_trainer_weights(trainer)));
    for (int64_t first = 0; first < options.steps; first += pool_steps) {
        double loss,
            wanted = expected(data, options.seed, first, pool_steps * BATCH, options.objective.coupling);
        for (int i = 0; i < pool_steps; i++)
            assert_ok(fcl_trainer_step(trainer));
        assert_ok(fcl_trainer_loss(trainer, &loss)); /* the mean of the pool's steps */
        assert_float_equal(loss, wanted, 1e-5 * (1 + wanted));
    }
    fcl_trainer_destroy(&trainer);
}

static void test_rows_are_mirrored_as_they_are_drawn(void **state)
{
    (void)state;
    fcl_dataset *data = drawn(1);
    fcl_train_options options = small(NULL);
    check_rows(data, options, 1);
    options.accumulate = 3;
    check_rows(data, options, 1);
    options.stream_data = true;
    check_rows(data, options, 1);
    options.objective.coupling = "ot";
    check_rows(data, options, 1);
    options.coupling_batch = 2 * BATCH;
    check_rows(data, options, 2);
    options.stream_data = false;
    check_rows(data, options, 2);
    fcl_dataset_destroy(&data);
}

/* With entropy alone a plan pairs by chance: row i with the column that its second uniform number falls into.
 */
static void test_a_plan_is_of_mirrored_rows(void **state)
{
    (void)state;
    fcl_dataset *data = drawn(1);
    fcl_train_options options = small(NULL);
    options.objective.coupling = "sinkhorn";
    options.objective.reg = 1e9f;
    options.accumulate = 2;
    check_rows(data, options, 1);
    options.coupling_batch = 2 * BATCH;
    options.stream_data = true;
    check_rows(data, options, 2);
    fcl_dataset_destroy(&data);
}

static void test_what_is_no_picture_is_refused(void **state)
{
    fcl_dataset *data;
    fcl_trainer *trainer;
    fcl_train_options options = small("moons");
    (void)state;
    options.hflip = true;
    options.normalise = NULL;
    assert_ok(fcl_dataset_open("moons", NULL, &data));
    assert_status(FCL_ERR_ARGUMENT, fcl_trainer_create(device, data, &options, &trainer));
    assert_told("hflip mirrors pictures, and the samples of moons, (2,), are none");
    fcl_dataset_destroy(&data);
}

/* --- pictures of a folder --- */

static void write_folder(void)
{
    for (int i = 0; i < 40; i++) {
        int width = trial_int(4, 12), height = trial_int(4, 12);
        write_class_picture(i, width, height);
    }
}

static bool stop_at_three(void *data)
{
    return ++*(int *)data == 3;
}

/* The weights after a training, and the losses on the way. */
static float *trained(fcl_train_options options, bool streamed, size_t *bytes, double losses[])
{
    fcl_dataset *data;
    fcl_trainer *trainer;
    options.stream_data = streamed;
    fcl_dataset_options which = {.image = options.image, .stream = streamed};
    assert_ok(fcl_dataset_open(options.data, &which, &data));
    assert_true(streamed == (data->pictures != NULL));
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    for (int i = 0; i < options.steps; i++) {
        assert_ok(fcl_trainer_step(trainer));
        assert_ok(fcl_trainer_loss(trainer, &losses[i]));
    }
    *bytes = fcl_params_bytes(fcl_model_params(fcl_trainer_model(trainer)));
    float *weights = malloc(*bytes);
    assert_ok(fcl_buffer_read(fcl_trainer_weights(trainer), 0, *bytes, weights));
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
    return weights;
}

static void test_streaming_gives_the_same_bits(void **state)
{
    char folder[700];
    (void)state;
    write_folder();
    snprintf(folder, sizeof folder, "%s", scratch_path("set"));
    fcl_train_options options = small(folder);
    options.image.size = "6";
    options.labels = options.hflip = true;
    for (int paired = 0; paired < 2; paired++) {
        double there[6], here[6];
        size_t bytes;
        options.accumulate = paired ? 1 : 2;
        options.objective.coupling = paired ? "ot" : NULL;
        float *memory = trained(options, false, &bytes, there),
              *streamed = trained(options, true, &bytes, here);
        assert_memory_equal(there, here, sizeof there);
        assert_memory_equal(memory, streamed, bytes);
        options.hflip = false;
        float *other = trained(options, false, &bytes, here);
        assert_memory_not_equal(memory, other, bytes);
        options.hflip = true;
        free(memory);
        free(streamed);
        free(other);
    }
}

/* The last checkpoint of a run, whole: its parameters, averages and moments. */
static void assert_same_end(const char *left, const char *right)
{
    enum { ROWS = 20 };
    fcl_array *samples[2];
    const char *const folders[] = {left, right};
    for (int i = 0; i < 2; i++) {
        fcl_checkpoint *checkpoint;
        fcl_sample_options how = {.n = ROWS, .steps = 2};
        assert_ok(fcl_checkpoint_open(folders[i], &checkpoint));
        assert_int_equal(fcl_checkpoint_describe(checkpoint)->step, 6);
        assert_ok(fcl_sample(device, checkpoint, &how, &samples[i], NULL));
        fcl_checkpoint_close(&checkpoint);
    }
    assert_memory_equal(samples[0]->data, samples[1]->data, ROWS * 108 * sizeof(float));
    fcl_array_destroy(&samples[0]);
    fcl_array_destroy(&samples[1]);
}

/* Stopped, gone on from there streamed: nobody notices. */
static void test_resume_is_not_stopping(void **state)
{
    char folder[700], once_path[700], twice_path[700];
    int steps = 0;
    (void)state;
    snprintf(folder, sizeof folder, "%s", scratch_path("set"));
    snprintf(once_path, sizeof once_path, "%s", scratch_path("once"));
    snprintf(twice_path, sizeof twice_path, "%s", scratch_path("twice"));
    fcl_train_options once = small(folder), twice;
    once.image.size = "6";
    once.hflip = true;
    twice = once;
    once.out = once_path;
    twice.out = twice_path;
    assert_ok(fcl_train(&once, NULL));
    assert_status(FCL_ERR_STOPPED,
                  fcl_train(&twice, &(fcl_train_hooks){.data = &steps, .stop = stop_at_three}));
    twice.resume = true;
    twice.stream_data = true;
    twice.hflip = false;
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&twice, NULL));
    assert_told("trained with hflip yes, not no");
    twice.hflip = true;
    assert_ok(fcl_train(&twice, NULL));
    assert_same_end(once_path, twice_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_mirrored_as_they_are_drawn),
        cmocka_unit_test(test_a_plan_is_of_mirrored_rows),
        cmocka_unit_test(test_what_is_no_picture_is_refused),
        cmocka_unit_test(test_streaming_gives_the_same_bits),
        cmocka_unit_test(test_resume_is_not_stopping),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
