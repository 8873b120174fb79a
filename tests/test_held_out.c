/* The held-out part: which samples it is, that no step draws them, and the loss there, which is computed again in double from
 * the numbers that the headers say are drawn. */
#include "affine.h"
#include "rig.h"

#include "base/random.h"
#include "train/trainer.h"

#include "cl/philox.h"
#include "cl/permute.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

enum { HEIGHT = 2, WIDTH = 3, SIZE = HEIGHT * WIDTH, COUNT = 50, HELD = 13, KEPT = COUNT - HELD, BATCH = 16, DRAWS = 1024 };

/* Far off where what is random in training alone is on. */
static fcl_tensor *velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    fcl_tensor *v = affine_velocity(model, weights, in);
    return in->training ? fcl_shift(v, 1000) : v;
}

static const fcl_model_row affine = {.name = "affine", .declare = declare_affine, .velocity = velocity};

static const fcl_train_options affine_options = {.steps = 4,
                                                 .batch = BATCH,
                                                 .accumulate = 2,
                                                 .seed = 7,
                                                 .held_out = 0.26,
                                                 .normalise = "off",
                                                 .labels = true,
                                                 .label_drop = 0.5f,
                                                 .hflip = true,
                                                 .model = {.own = &affine}};

/* A network whose weights are set to zero. */
static const fcl_train_options zero_options = {.steps = 12,
                                               .batch = BATCH,
                                               .seed = 9,
                                               .held_out = HELD,
                                               .normalise = "off",
                                               .lr = 1e-30f,
                                               .ema = "off",
                                               .model = {.model = "mlp", .width = 4, .depth = 1}};

static float values[COUNT][SIZE];
static int32_t label[COUNT];

static fcl_dataset *make_data(void)
{
    fcl_dataset *data, given = {.count = COUNT, .shape = FCL_SHAPE(HEIGHT, WIDTH), .values = values[0], .label = label};
    assert_ok(fcl_dataset_from(&given, &data));
    return data;
}

static void draw_data(void)
{
    for (int i = 0; i < COUNT; i++) {
        label[i] = i % 2;
        for (int k = 0; k < SIZE; k++)
            values[i][k] = (float)trial_normal();
    }
}

static fcl_split split_of(const fcl_dataset *data, const fcl_train_options *options)
{
    fcl_split split;
    assert_ok(fcl_split_create(data, options, &split));
    return split;
}

/* --- which --- */

static void test_parts(void **state)
{
    (void)state;
    draw_data();
    fcl_dataset *data = make_data();
    fcl_train_options other = zero_options;
    other.seed++;
    fcl_split split = split_of(data, &zero_options), moved = split_of(data, &other);
    int seen[COUNT] = {0}, different = 0;
    assert_true(split.held_count == HELD && split.kept_count == KEPT);
    for (int i = 0; i < HELD; i++) {
        seen[split.held[i]]++;
        different += split.held[i] != moved.held[i];
        assert_int_equal(split.held[i], permute_index((uint32_t)i, COUNT, zero_options.seed, FCL_STREAM_SPLIT, 0));
    }
    assert_true(different > 0);
    for (int i = 0; i < KEPT; i++) {
        seen[split.kept[i]]++;
        assert_true(i == 0 || split.kept[i] > split.kept[i - 1]);
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(seen[i], 1);
    fcl_split_destroy(&split);
    fcl_split_destroy(&moved);
    static const struct {
        double asked;
        int64_t held;
    } shares[] = {{0, 0}, {0.001, 1}, {0.02, 1}, {0.5, 25}, {0.97, 49}, {1, 1}, {49, 49}};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        other.held_out = shares[i].asked;
        split = split_of(data, &other);
        assert_int_equal(split.held_count, shares[i].held);
        assert_true(!split.held == !shares[i].held);
        fcl_split_destroy(&split);
    }
    other.held_out = 50;
    assert_status(FCL_ERR_ARGUMENT, fcl_split_create(data, &other, &split));
    assert_told("held-out 50 of the 50 samples");
    other.held_out = 1.5;
    other.data = "moons";
    assert_status(FCL_ERR_ARGUMENT, fcl_train_options_check(&other));
    assert_told("held-out 1.5");
    fcl_dataset_destroy(&data);
}

/* Samples of one part lie far off: a loss tells whether any of them was drawn. */
static void set_far(const int32_t *which, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        for (int k = 0; k < SIZE; k++)
            values[which[i]][k] = 1000;
}

static fcl_trainer *zero_trainer(const fcl_dataset *data, const fcl_train_options *options)
{
    fcl_trainer *trainer;
    assert_ok(fcl_trainer_create(device, data, options, &trainer));
    assert_ok(fcl_buffer_zero(fcl_trainer_weights(trainer)));
    return trainer;
}

static double loss_of_steps(fcl_trainer *trainer, int64_t steps)
{
    double loss;
    for (int64_t i = 0; i < steps; i++)
        assert_ok(fcl_trainer_step(trainer));
    assert_ok(fcl_trainer_loss(trainer, &loss));
    return loss;
}

static void check_never_drawn(fcl_train_options options)
{
    double held_out;
    draw_data();
    fcl_dataset *data = make_data();
    fcl_split split = split_of(data, &options);
    fcl_dataset_destroy(&data);
    set_far(split.held, HELD);
    data = make_data();
    fcl_trainer *trainer = zero_trainer(data, &options);
    assert_true(loss_of_steps(trainer, options.steps) < 100); /* a single one makes it 5000 */
    assert_ok(fcl_trainer_held_out_loss(trainer, &held_out));
    assert_true(held_out > 9e5);
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
    /* Each of the others is drawn in the first pass over them; of a plan pairs are drawn with replacement. */
    draw_data();
    set_far(split.kept + trial_int(0, KEPT - 1), 1);
    data = make_data();
    options.batch = KEPT;
    options.coupling_batch = options.accumulate = 0;
    trainer = zero_trainer(data, &options);
    bool planned = options.objective.coupling && strcmp(options.objective.coupling, "sinkhorn") == 0;
    assert_true(planned || loss_of_steps(trainer, 1) > 5000);
    assert_ok(fcl_trainer_held_out_loss(trainer, &held_out));
    assert_true(held_out < 100);
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
    fcl_split_destroy(&split);
}

static void test_never_drawn(void **state)
{
    (void)state;
    static const struct {
        const char *coupling;
        bool stream_data, labels, hflip;
        int accumulate, coupling_batch;
    } cases[] = {
        {NULL, false, true, true, 0, 0},      {NULL, true, true, false, 2, 0},     {"ot", false, true, true, 2, 0},
        {"ot", true, false, false, 0, 2 * BATCH}, {"sinkhorn", false, true, false, 0, 2 * BATCH}, {"sinkhorn", true, false, true, 0, 0},
    };
    for (size_t i = 0; i < (trial_tiny() ? 3 : sizeof cases / sizeof *cases); i++) {
        fcl_train_options options = zero_options;
        options.objective.coupling = cases[i].coupling;
        options.stream_data = cases[i].stream_data;
        options.labels = cases[i].labels;
        options.hflip = cases[i].hflip;
        options.accumulate = cases[i].accumulate;
        options.coupling_batch = cases[i].coupling_batch;
        check_never_drawn(options);
    }
}

/* The losses of some steps and of the held-out part, where the samples of one part have conditions so far apart that rows are not
 * paired anew; `which` NULL: none have. */
static void losses_with(fcl_train_options options, const fcl_dataset *data, const int32_t *which, int64_t count, double *trained,
                        double *held_out)
{
    int condition[COUNT] = {0};
    char text[16 * COUNT] = "";
    for (int64_t i = 0; which && i < count; i++)
        condition[which[i]] = 1000 * (int)(i + 1);
    for (int i = 0; i < COUNT; i++)
        snprintf(text + strlen(text), 16, "%d\n", condition[i]);
    options.condition = scratch_write("condition.csv", text, strlen(text));
    fcl_trainer *trainer = zero_trainer(data, &options);
    *trained = loss_of_steps(trainer, options.steps);
    assert_ok(fcl_trainer_held_out_loss(trainer, held_out));
    fcl_trainer_destroy(&trainer);
}

/* Conditions stay with their samples: those of one part change no pair of the other. */
static void test_conditions(void **state)
{
    (void)state;
    fcl_train_options options = zero_options;
    options.objective.coupling = "ot";
    draw_data();
    fcl_dataset *data = make_data();
    fcl_split split = split_of(data, &options);
    for (int streamed = 0; streamed < 2; streamed++) {
        double trained[3], held_out[3];
        options.stream_data = streamed;
        losses_with(options, data, NULL, 0, &trained[0], &held_out[0]);
        losses_with(options, data, split.held, HELD, &trained[1], &held_out[1]);
        losses_with(options, data, split.kept, KEPT, &trained[2], &held_out[2]);
        assert_true(trained[1] == trained[0] && held_out[1] != held_out[0]);
        assert_true(trained[2] != trained[0] && held_out[2] == held_out[0]);
    }
    fcl_dataset_destroy(&data);
    fcl_split_destroy(&split);
}

/* --- the loss --- */

/* Linear path, squared loss; steps, their rows and times as the headers say. */
static double expected(const fcl_split *split, const float table[2][2], uint64_t seed)
{
    double sum = 0;
    for (int64_t row = 0; row < DRAWS; row++) {
        uint32_t step = (uint32_t)(row / BATCH), in_step = (uint32_t)(row % BATCH);
        fcl_random noise = {.seed = seed, .stream = FCL_STREAM_SOURCE, .step = step};
        fcl_random times = {.seed = seed, .stream = FCL_STREAM_TIME, .step = step};
        int sample = split->held[permute_index((uint32_t)(row % HELD), HELD, seed, FCL_STREAM_BATCH, (uint64_t)(row / HELD))];
        double t = (in_step + fcl_random_uniform(times, in_step)) / BATCH;
        for (int k = 0; k < SIZE; k++) {
            double x0 = fcl_random_normal(noise, (uint64_t)in_step * SIZE + (uint64_t)k), x1 = (double)values[sample][k];
            double v = (double)table[label[sample]][0] * ((1 - t) * x0 + t * x1) + (double)table[label[sample]][1] * t;
            sum += pow(v - (x1 - x0), 2) / SIZE;
        }
    }
    return sum / DRAWS;
}

/* Of the first average; classes are told, nothing is mirrored, and nothing is of training alone. */
static void test_loss(void **state)
{
    (void)state;
    const uint64_t seed = affine_options.seed + UINT64_C(0x9e3779b97f4a7c15);
    const float far[3][2] = {{99, 99}, {99, 99}, {99, 99}};
    for (int i = 0; i < 4; i++) {
        fcl_train_options options = affine_options;
        fcl_trainer *trainer;
        double loss, again;
        float table[3][2] = {{0}, {0}, {99, 99}}; /* the last is of no class */
        for (int k = 0; k < 4; k++)
            table[k / 2][k % 2] = (float)trial_normal();
        draw_data();
        fcl_dataset *data = make_data();
        fcl_split split = split_of(data, &options);
        options.ema = i < 2 ? "0.5,0.9" : "off";
        options.stream_data = i % 2;
        assert_ok(fcl_trainer_create(device, data, &options, &trainer));
        fcl_buffer *looked_at = i < 2 ? fcl_trainer_ema(trainer) : fcl_trainer_weights(trainer);
        assert_ok(fcl_buffer_write(fcl_trainer_weights(trainer), 0, sizeof far, far));
        assert_ok(fcl_buffer_write(looked_at, 0, sizeof table, table));
        assert_ok(fcl_trainer_held_out_loss(trainer, &loss));
        double wanted = expected(&split, table, seed);
        assert_float_equal(loss, wanted, 2e-5 * wanted);
        assert_ok(fcl_trainer_held_out_loss(trainer, &again));
        assert_true(loss == again);
        fcl_trainer_destroy(&trainer);
        fcl_split_destroy(&split);
        fcl_dataset_destroy(&data);
    }
}

/* Who looks changes nothing of the training. */
static void test_looking_changes_nothing(void **state)
{
    (void)state;
    static const char *const couplings[] = {NULL, "ot"};
    for (int i = 0; i < 4; i++) {
        fcl_train_options options = affine_options;
        fcl_trainer *looked, *left;
        float a[3][2], b[3][2];
        double loss;
        options.stream_data = i % 2;
        options.objective.coupling = couplings[i / 2];
        draw_data();
        fcl_dataset *data = make_data();
        assert_ok(fcl_trainer_create(device, data, &options, &looked));
        assert_ok(fcl_trainer_create(device, data, &options, &left));
        for (int step = 0; step < 3; step++) {
            assert_ok(fcl_trainer_held_out_loss(looked, &loss));
            assert_ok(fcl_trainer_step(looked));
            assert_ok(fcl_trainer_step(left));
        }
        assert_ok(fcl_buffer_read(fcl_trainer_weights(looked), 0, sizeof a, a));
        assert_ok(fcl_buffer_read(fcl_trainer_weights(left), 0, sizeof b, b));
        assert_memory_equal(a, b, sizeof a);
        fcl_trainer_destroy(&looked);
        fcl_trainer_destroy(&left);
        fcl_dataset_destroy(&data);
    }
}

/* --- what is told --- */

typedef struct told {
    int rows;
    int64_t step[16];
    double loss[16], shown;
} told;

static int on_metrics(void *data, const fcl_train_metrics *metrics)
{
    told *to = data;
    to->step[to->rows] = metrics->step;
    to->loss[to->rows++] = metrics->held_out_loss;
    return FCL_OK;
}

static void on_progress(void *data, const fcl_train_progress *progress)
{
    ((told *)data)->shown = progress->held_out_loss;
}

static void test_metrics(void **state)
{
    (void)state;
    static const int64_t steps[] = {3, 4, 6, 8, 9, 10};
    told to = {0};
    double loss;
    fcl_train_options options = affine_options;
    fcl_trainer *trainer;
    options.steps = 10;
    options.metrics_every = 4;
    options.held_out_every = 3;
    draw_data();
    fcl_dataset *data = make_data();
    const fcl_train_hooks hooks = {.data = &to, .metrics = on_metrics, .progress = on_progress};
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    assert_int_equal(trainer->class_counts[0] + trainer->class_counts[1], KEPT);
    assert_ok(fcl_trainer_run(trainer, &hooks));
    assert_int_equal(to.rows, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(to.step[i], steps[i]);
        assert_true(isfinite(to.loss[i]) == (i != 1 && i != 3));
    }
    assert_ok(fcl_trainer_held_out_loss(trainer, &loss));
    assert_true(loss == to.loss[5] && loss == to.shown);
    fcl_trainer_destroy(&trainer);
    options.held_out = 0;
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    assert_status(FCL_ERR_ARGUMENT, fcl_trainer_held_out_loss(trainer, &loss));
    assert_told("nothing of memory is held out");
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),      cmocka_unit_test(test_never_drawn),
        cmocka_unit_test(test_conditions), cmocka_unit_test(test_loss),
        cmocka_unit_test(test_looking_changes_nothing), cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
