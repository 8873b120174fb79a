/* Couplings: the pairs themselves, and that training takes them. */
#include "rig.h"

#include "flow/coupling.h"

#include "base/assign.h"
#include "base/random.h"

#include "../cl/philox.h"
#include "../cl/permute.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

enum { BATCH = 37, SIZE = 2 };

/* --- the exact coupling --- */

/* The least sum over the permutations that stay inside the classes. */
static double best_inside_classes(int n, const double *cost, const int32_t *label, int row, unsigned taken)
{
    double best = row == n ? 0 : INFINITY;
    for (int j = 0; row < n && j < n; j++)
        if (!(taken >> j & 1) && label[j] == label[row])
            best = fmin(best, cost[row * n + j] +
                                  best_inside_classes(n, cost, label, row + 1, taken | 1u << j));
    return best;
}

static void test_classes_are_paired_each_for_itself(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        enum { MOST = 8 };
        int n = 1 + round % MOST;
        float cost[MOST * MOST];
        double exact[MOST * MOST];
        int32_t label[MOST], partner[MOST];
        for (int i = 0; i < n * n; i++)
            exact[i] = (double)(cost[i] = (float)trial_uniform());
        for (int i = 0; i < n; i++)
            label[i] = trial_int(0, 3) * 1000;
        assert_ok(fcl_coupling_assign(n, cost, label, partner));
        double sum = 0;
        unsigned taken = 0;
        for (int i = 0; i < n; i++) {
            sum += (double)cost[i * n + partner[i]];
            taken |= 1u << partner[i];
            assert_int_equal(label[i], label[partner[i]]);
        }
        assert_int_equal(taken, (1u << n) - 1);
        assert_float_equal(sum, best_inside_classes(n, exact, label, 0, 0), 1e-6);
    }
}

static void test_couple_of_arrays(void **state)
{
    (void)state;
    static const float x0[] = {0, 0, 5, 5, 9, 0}, x1[] = {8, 1, 1, 0, 4, 4};
    static const int32_t label[] = {0, 1, 0};
    int32_t partner[3];
    assert_ok(fcl_couple(3, 2, x0, x1, NULL, partner));
    assert_true(partner[0] == 1 && partner[1] == 2 && partner[2] == 0);
    assert_ok(fcl_couple(3, 2, x0, x1, label, partner));
    assert_true(partner[0] == 2 && partner[1] == 1 && partner[2] == 0);
    static const float broken[] = {0, NAN, 1, 1, 2, 2};
    assert_status(FCL_ERR_NUMERIC, fcl_couple(3, 2, broken, x1, NULL, partner));
    assert_told("the cost of row 0 with column 0 is nan");
    assert_status(FCL_ERR_ARGUMENT, fcl_couple(0, 2, x0, x1, NULL, partner));
}

/* Where the sets are, each by itself and each class of them, and how large they are, changes no pair: the sum of
 * the found pairs is the least of all permutations, in double, of what the places leave of it. */
static void test_couple_anywhere(void **state)
{
    (void)state;
    static const double scales[] = {1, 1e-5, 1e5, 1e-15, 1e15}, places[] = {0, 1e4, -3e3};
    enum { MOST = 7 };
    for (int round = 0; round < 150; round++) {
        int n = 1 + round % MOST, classes = 1 + round / 75;
        double scale = scales[round % 5], cost[MOST * MOST], sum = 0;
        float x[2][MOST * SIZE];
        int32_t label[MOST], partner[MOST];
        for (int i = 0; i < n; i++)
            label[i] = trial_int(1, classes);
        for (int side = 0; side < 2; side++) {
            double place[2] = {places[trial_int(0, 2)], places[trial_int(0, 2)]};
            for (int i = 0; i < n * SIZE; i++)
                x[side][i] = (float)(scale * (place[label[i / SIZE] - 1] + trial_int(0, 3) + 0.1 * trial_normal()));
        }
        for (int i = 0; i < n * n; i++)
            cost[i] = -((double)x[0][i / n * SIZE] - x[0][0]) * ((double)x[1][i % n * SIZE] - x[1][0]) -
                      ((double)x[0][i / n * SIZE + 1] - x[0][1]) * ((double)x[1][i % n * SIZE + 1] - x[1][1]);
        assert_ok(fcl_couple(n, SIZE, x[0], x[1], classes > 1 ? label : NULL, partner));
        for (int i = 0; i < n; i++)
            sum += cost[i * n + partner[i]];
        double best = best_inside_classes(n, cost, label, 0, 0);
        assert_true(sum <= best + 1e-4 * scale * scale && sum >= best - 1e-4 * scale * scale);
    }
}

/* --- draws from a plan --- */

enum { POINTS = 16 };

/* A graph that draws pairs of fresh points by the options; rows of different colour are never paired. */
typedef struct drawing {
    fcl_graph *graph;
    fcl_tensor *x0, *x1, *colour;
    fcl_coupling_pairs pairs;
    float point[2][POINTS * SIZE], costs[POINTS * POINTS];
} drawing;

static void compute_costs(drawing *d)
{
    for (int i = 0; i < POINTS; i++)
        for (int j = 0; j < POINTS; j++) {
            double sum = 0;
            for (int k = 0; k < SIZE; k++)
                sum += pow((double)d->point[0][i * SIZE + k] - d->point[1][j * SIZE + k], 2);
            d->costs[i * POINTS + j] = (float)sum;
        }
}

static void open_drawing(drawing *d, const fcl_cfm_options *options, bool colours)
{
    fcl_graph *graph = d->graph = fcl_graph_create();
    float colour[POINTS];
    d->x0 = fcl_input(graph, "x0", FCL_F32, FCL_SHAPE(POINTS, SIZE));
    d->x1 = fcl_input(graph, "x1", FCL_F32, FCL_SHAPE(POINTS, SIZE));
    d->colour = fcl_input(graph, "colour", FCL_F32, FCL_SHAPE(POINTS, 1));
    fcl_tensor *turned = fcl_reshape(d->colour, FCL_SHAPE(1, POINTS));
    fcl_tensor *forbidden = fcl_abs(fcl_sub(d->colour, turned));
    d->pairs = fcl_coupling_draw(options, d->x0, d->x1, colours ? forbidden : NULL);
    fcl_output(d->pairs.x0_row);
    fcl_output(d->pairs.x1_row);
    fcl_output(d->pairs.report);
    assert_ok(fcl_graph_compile(graph, device, NULL));
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < POINTS * SIZE; i++)
            d->point[side][i] =
                (float)fcl_random_normal((fcl_random){.seed = 8, .stream = (uint32_t)side}, (uint64_t)i);
        assert_ok(fcl_tensor_write(side ? d->x1 : d->x0, d->point[side]));
    }
    compute_costs(d);
    for (int i = 0; i < POINTS; i++)
        colour[i] = (float)(i % 3);
    assert_ok(fcl_tensor_write(d->colour, colour));
}

static void draw(drawing *d, uint32_t step, int32_t *x0_row, int32_t *x1_row, float *report)
{
    fcl_graph_random(d->graph, 4, step, 0);
    assert_ok(fcl_graph_run(d->graph));
    assert_ok(fcl_tensor_read(d->pairs.x0_row, x0_row));
    assert_ok(fcl_tensor_read(d->pairs.x1_row, x1_row));
    assert_ok(fcl_tensor_read(d->pairs.report, report));
}

/* exp(f_i + g_j + lambda - K_ij) / M^2 by plain iterations in double. */
static void reference_plan(const float *costs, double reg, double relax, double mass, double *plan)
{
    double f[POINTS] = {0}, g[POINTS] = {0}, lambda = 0;
    for (int k = 0; k < 4000; k++) {
        double *potential = k % 2 ? g : f, total = 0, most[POINTS];
        for (int i = 0; i < POINTS; i++) {
            double sum = 0;
            for (int j = 0; j < POINTS; j++)
                sum +=
                    exp((k % 2 ? f[j] : g[j]) - (double)costs[k % 2 ? j * POINTS + i : i * POINTS + j] / reg);
            most[i] = log(sum / POINTS);
            potential[i] = mass > 0 ? fmin(0, -most[i] - lambda) : -relax * most[i];
            total += exp(potential[i] + most[i]) / POINTS;
        }
        lambda = mass > 0 ? log(mass / total) : 0;
    }
    for (int i = 0; i < POINTS * POINTS; i++)
        plan[i] = exp(f[i / POINTS] + g[i % POINTS] + lambda - (double)costs[i] / reg) / (POINTS * POINTS);
}

/* Each pair comes as often as the plan says. */
static void check_draws(const fcl_cfm_options *options, double relax)
{
    const int runs = trial_tiny() ? 2 : 300;
    static int seen[POINTS * POINTS];
    drawing d;
    double plan[POINTS * POINTS], total = 0;
    int32_t row[POINTS], column[POINTS];
    float report[FCL_TRANSPORT_REPORT];
    memset(seen, 0, sizeof seen);
    open_drawing(&d, options, false);
    for (int run = 0; run < runs; run++) {
        draw(&d, (uint32_t)run, row, column, report);
        for (int i = 0; i < POINTS; i++)
            seen[row[i] * POINTS + column[i]]++;
    }
    reference_plan(d.costs, (double)options->reg, relax, (double)options->mass, plan);
    for (int i = 0; i < POINTS * POINTS; i++)
        total += plan[i];
    assert_float_equal(report[FCL_TRANSPORT_MASS], total, 2e-3);
    assert_true(report[FCL_TRANSPORT_OPEN] == 0);
    for (int i = 0; i < POINTS * POINTS; i++) {
        double expected = runs * POINTS * plan[i] / total;
        assert_true(fabs(seen[i] - expected) < 6 * sqrt(expected) + 2);
    }
    fcl_graph_destroy(&d.graph);
}

static void test_draws_follow_the_plan(void **state)
{
    (void)state;
    check_draws(&(fcl_cfm_options){.coupling = "sinkhorn", .reg = 0.5f, .coupling_tolerance = 1e-4f}, 1);
    check_draws(
        &(fcl_cfm_options){
            .coupling = "unbalanced", .reg = 0.5f, .relaxation = 1.5f, .coupling_tolerance = 1e-4f},
        0.75);
    check_draws(
        &(fcl_cfm_options){.coupling = "partial", .reg = 0.5f, .mass = 0.4f, .coupling_tolerance = 1e-4f}, 1);
}

/* A bridge of rate s has the plan of reg = 2 s^2, however its rate is said. */
static void test_bridge_sets_the_entropy(void **state)
{
    (void)state;
    fcl_cfm_options options[] = {{.coupling = "sinkhorn", .reg = 0.5f},
                                 {.coupling = "bridge", .path = "bridge", .sigma = 0.5f},
                                 {.coupling = "bridge", .path = "bridge(1/2)"}};
    int32_t row[POINTS], column[3][POINTS];
    float report[FCL_TRANSPORT_REPORT];
    for (int i = 0; i < 3; i++) {
        drawing d;
        assert_ok(fcl_cfm_check(&options[i]));
        open_drawing(&d, &options[i], false);
        draw(&d, 1, row, column[i], report);
        assert_memory_equal(column[i], column[0], sizeof column[0]);
        fcl_graph_destroy(&d.graph);
    }
}

/* With little entropy the plan is the exact one; with colours it is so inside each of them. */
static void test_little_entropy_is_exact(void **state)
{
    (void)state;
    for (int colours = 0; colours < 2; colours++) {
        fcl_cfm_options options = {.coupling = "sinkhorn", .reg = 0.01f, .coupling_iterations = 600};
        drawing d;
        int32_t row[POINTS], column[POINTS], colour[POINTS], partner[POINTS];
        float report[FCL_TRANSPORT_REPORT];
        open_drawing(&d, &options, colours);
        draw(&d, 1, row, column, report);
        double sum = 0, best = 0;
        for (int i = 0; i < POINTS; i++)
            colour[i] = i % 3;
        assert_ok(fcl_coupling_assign(POINTS, d.costs, colours ? colour : NULL, partner));
        for (int i = 0; i < POINTS; i++) {
            assert_int_equal(row[i], i);
            assert_true(!colours || column[i] % 3 == i % 3);
            sum += (double)d.costs[i * POINTS + column[i]];
            best += (double)d.costs[i * POINTS + partner[i]];
        }
        assert_float_equal(sum, best, 0.1 * best);
        fcl_graph_destroy(&d.graph);
    }
}

/* However small the entropy is, and so large the costs over it, no pair crosses the colours. */
static void test_no_entropy_keeps_the_colours(void **state)
{
    (void)state;
    fcl_cfm_options options = {.coupling = "sinkhorn", .reg = 1e-12f, .coupling_iterations = 20};
    drawing d;
    int32_t row[POINTS], column[POINTS];
    float report[FCL_TRANSPORT_REPORT];
    open_drawing(&d, &options, true);
    draw(&d, 1, row, column, report);
    for (int i = 0; i < POINTS; i++)
        assert_int_equal(column[i] % 3, row[i] % 3);
    fcl_graph_destroy(&d.graph);
}

/* Three iterations are not enough for so little entropy, and that is told. */
/* Rows longer than one work-group is wide. Where marginals are not kept at all, each row's share is nearly all in one
 * column; where a part of the mass is wanted, it is had. */
static void test_plans_of_long_rows(void **state)
{
    (void)state;
    enum { ROWS = 2, COLUMNS = 300 };
    static const int own[ROWS] = {7, 290};
    static float k[ROWS * COLUMNS];
    int32_t row[ROWS], column[ROWS];
    float report[FCL_TRANSPORT_REPORT];
    for (int partial = 0; partial < 2; partial++) {
        fcl_graph *graph = fcl_graph_create();
        fcl_tensor *cost = fcl_input(graph, "k", FCL_F32, FCL_SHAPE(ROWS, COLUMNS));
        fcl_sinkhorn_control control = {.iterations = 2, .tolerance = 1e-4f, .mass = partial ? 0.5f : 0};
        fcl_sinkhorn_plan plan = fcl_sinkhorn(cost, fcl_constant(graph, 0), &control);
        fcl_tensor *u = fcl_uniform(graph, FCL_SHAPE(ROWS, 2), FCL_STREAM_COUPLING);
        fcl_transport_pairs pairs = fcl_transport_draw(&plan, u, !partial);
        fcl_output(pairs.row);
        fcl_output(pairs.column);
        assert_ok(fcl_graph_compile(graph, device, NULL));
        for (int i = 0; i < ROWS * COLUMNS; i++)
            k[i] = i % COLUMNS == own[i / COLUMNS] ? 0 : 60;
        assert_ok(fcl_tensor_write(cost, k));
        assert_ok(fcl_graph_run(graph));
        assert_ok(fcl_tensor_read(pairs.row, row));
        assert_ok(fcl_tensor_read(pairs.column, column));
        assert_ok(fcl_tensor_read(plan.report, report));
        assert_float_equal(report[FCL_TRANSPORT_MASS], partial ? 0.5 : 1.0 / COLUMNS, 1e-3);
        for (int i = 0; i < ROWS && !partial; i++)
            assert_int_equal(column[i], own[row[i]]);
        fcl_graph_destroy(&graph);
    }
}

static void test_what_has_not_converged_is_told(void **state)
{
    (void)state;
    fcl_cfm_options options = {.coupling = "sinkhorn", .reg = 0.01f, .coupling_iterations = 3};
    drawing d;
    int32_t row[POINTS], column[POINTS];
    float report[FCL_TRANSPORT_REPORT];
    open_drawing(&d, &options, false);
    draw(&d, 1, row, column, report);
    assert_true(report[FCL_TRANSPORT_OPEN] == 1 && report[FCL_TRANSPORT_ITERATIONS] == 3);
    assert_true(report[FCL_TRANSPORT_CHANGE] > 0.01f);
    fcl_graph_destroy(&d.graph);
}

/* --- training with it --- */

static fcl_train_options small(void)
{
    return (fcl_train_options){.data = "moons",
                               .data_count = 211,
                               .steps = 12,
                               .batch = BATCH,
                               .seed = 3,
                               .lr = 0.01f,
                               .objective = {.coupling = "ot"},
                               .model = {.width = 8, .depth = 1}};
}

/* x0 and x1 of the steps first .. first + steps - 1, as the headers say they are drawn. */
static void draw_pool(const fcl_dataset *data, uint64_t seed, int64_t first, int rows, float *x0, float *x1,
                      int32_t *label)
{
    fcl_random key = {.seed = seed, .stream = FCL_STREAM_SOURCE, .step = (uint32_t)first};
    for (int i = 0; i < rows; i++) {
        int64_t sample = first * BATCH + i;
        uint32_t row = permute_index((uint32_t)(sample % data->count), (uint32_t)data->count, seed,
                                     FCL_STREAM_BATCH, (uint64_t)(sample / data->count));
        label[i] = data->label ? data->label[row] : 0;
        for (int k = 0; k < SIZE; k++) {
            x0[i * SIZE + k] = (float)fcl_random_normal(key, (uint64_t)(i * SIZE + k));
            x1[i * SIZE + k] = data->values[row * SIZE + k];
        }
    }
}

/* The mean over the numbers of |x1 - x0|^2 of the best pairs, inside classes where `classes`. */
static double best_mean(const fcl_dataset *data, uint64_t seed, int64_t first, int rows, bool classes)
{
    enum { MOST = 3 * BATCH };
    static float x0[MOST * SIZE], x1[MOST * SIZE], cost[MOST * MOST];
    int32_t label[MOST], partner[MOST];
    draw_pool(data, seed, first, rows, x0, x1, label);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++)
            cost[i * rows + j] = (float)(pow((double)x0[2 * i] - x1[2 * j], 2) +
                                         pow((double)x0[2 * i + 1] - x1[2 * j + 1], 2)) +
                                 (classes && label[i] != label[j] ? 1e4f : 0);
    assert_ok(fcl_assignment_solve(rows, cost, partner));
    double sum = 0;
    for (int i = 0; i < rows; i++)
        sum += (double)cost[i * rows + partner[i]];
    return sum / (rows * SIZE);
}

/* A model whose weights are zero has the velocity zero, so the loss of a step is the mean of |x1 - x0|^2 over
 * the pairs that it took. */
static void check_pairs(fcl_train_options options, int pool_steps)
{
    fcl_dataset *data;
    fcl_trainer *trainer;
    fcl_dataset_options which = {.count = options.data_count, .unlabeled = !options.labels};
    options.lr = 1e-30f;
    options.ema = "off";
    assert_ok(fcl_dataset_open(options.data, &which, &data));
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    assert_ok(fcl_buffer_zero(fcl_trainer_weights(trainer)));
    for (int64_t first = 0; first < options.steps; first += pool_steps) {
        double loss;
        for (int i = 0; i < pool_steps; i++)
            assert_ok(fcl_trainer_step(trainer));
        assert_ok(fcl_trainer_loss(trainer, &loss)); /* the mean of the pool's steps */
        double expected = best_mean(data, options.seed, first, pool_steps * BATCH, options.labels);
        assert_float_equal(loss, expected, 1e-5 * (1 + expected));
    }
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
}

static void test_steps_take_the_best_pairs(void **state)
{
    (void)state;
    check_pairs(small(), 1);
    fcl_train_options options = small();
    options.labels = true;
    check_pairs(options, 1);
    options.coupling_batch = 3 * BATCH;
    check_pairs(options, 3);
    options.stream_data = true;
    check_pairs(options, 3);
}

/* Conditions that are the classes, at a high price, are as good as the classes. */
static void test_conditions_keep_unlike_rows_apart(void **state)
{
    (void)state;
    fcl_train_options options = small();
    fcl_dataset *data;
    char text[2 * 211 + 1];
    assert_ok(fcl_dataset_open("moons", &(fcl_dataset_options){.count = 211}, &data));
    for (int i = 0; i < 211; i++)
        sprintf(text + 2 * i, "%d\n", (int)data->label[i]);
    fcl_dataset_destroy(&data);
    options.labels = true; /* for check_pairs to look at */
    options.condition = scratch_write("class.csv", text, 2 * 211);
    options.condition_weight = 30;
    check_pairs(options, 1);
    options.stream_data = true;
    options.coupling_batch = 2 * BATCH;
    check_pairs(options, 2);
}

static float *trained_weights(fcl_train_options options, size_t *bytes)
{
    fcl_dataset *data;
    fcl_trainer *trainer;
    fcl_dataset_options which = {.count = options.data_count, .unlabeled = !options.labels};
    assert_ok(fcl_dataset_open(options.data, &which, &data));
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    assert_ok(fcl_trainer_run(trainer, NULL));
    *bytes = fcl_params_bytes(fcl_model_params(fcl_trainer_model(trainer)));
    float *weights = malloc(*bytes);
    assert_ok(fcl_buffer_read(fcl_trainer_weights(trainer), 0, *bytes, weights));
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
    return weights;
}

/* The plan's pairs, from the device or streamed. */
static void test_plans_are_the_same_wherever_the_data_is(void **state)
{
    (void)state;
    static const char *const couplings[] = {"sinkhorn", "unbalanced", "partial"};
    for (int i = 0; i < 3; i++) {
        fcl_train_options options = small();
        options.objective.coupling = couplings[i];
        options.coupling_batch = 2 * BATCH;
        options.labels = i > 0;
        options.source = i == 2 ? "rings" : NULL;
        size_t bytes;
        float *there = trained_weights(options, &bytes);
        options.stream_data = true;
        float *here = trained_weights(options, &bytes);
        options.objective.coupling = "independent";
        options.coupling_batch = 0;
        float *other = trained_weights(options, &bytes);
        assert_memory_equal(there, here, bytes);
        assert_memory_not_equal(there, other, bytes);
        free(there);
        free(here);
        free(other);
    }
}

static bool stop_at_seven(void *data)
{
    return ++*(int *)data == 7;
}

static float *final_weights(const char *folder, size_t *bytes)
{
    fcl_checkpoint *checkpoint;
    assert_ok(fcl_checkpoint_open(scratch_path(folder), &checkpoint));
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    fcl_sample_options how = {.n = 50, .steps = 3};
    fcl_array *samples;
    assert_ok(fcl_sample(device, checkpoint, &how, &samples, NULL));
    assert_int_equal(info->step, 12);
    *bytes = 100 * sizeof(float);
    float *kept = malloc(*bytes);
    memcpy(kept, samples->data, *bytes);
    fcl_array_destroy(&samples);
    fcl_checkpoint_close(&checkpoint);
    return kept;
}

/* Stopped in the middle of a pool, gone on from there with the data elsewhere and the step in parts: the
 * pairs are the same. */
static void test_resume_is_not_stopping(void **state)
{
    (void)state;
    fcl_train_options once = small(), twice = small();
    once.coupling_batch = twice.coupling_batch = 2 * BATCH;
    once.out = scratch_path("once");
    twice.out = scratch_path("twice");
    assert_ok(fcl_train(&once, NULL));
    int steps = 0;
    assert_status(FCL_ERR_STOPPED,
                  fcl_train(&twice, &(fcl_train_hooks){.data = &steps, .stop = stop_at_seven}));
    twice.resume = true;
    twice.stream_data = true;
    assert_ok(fcl_train(&twice, NULL));
    size_t bytes;
    float *left = final_weights("once", &bytes), *right = final_weights("twice", &bytes);
    assert_memory_equal(left, right, bytes);
    free(left);
    free(right);
}

/* --- another source than noise --- */

/* As check_pairs, with x0 from a file that is its own: every loss tells which rows were taken. */
static void test_steps_take_the_sources_rows(void **state)
{
    (void)state;
    static const char table[] = "1,10\n2,20\n3,30\n4,40\n5,50\n";
    fcl_train_options options = small();
    options.source = scratch_write("source.csv", table, sizeof table - 1);
    options.objective.coupling = "independent";
    options.lr = 1e-30f;
    options.steps = 3;
    for (int streamed = 0; streamed < 2; streamed++) {
        fcl_dataset *data;
        fcl_trainer *trainer;
        options.stream_data = streamed;
        assert_ok(fcl_dataset_open("moons", &(fcl_dataset_options){.count = 211, .unlabeled = true}, &data));
        assert_ok(fcl_trainer_create(device, data, &options, &trainer));
        assert_ok(fcl_buffer_zero(fcl_trainer_weights(trainer)));
        for (int step = 0; step < 3; step++) {
            static float unused[BATCH * SIZE], x1[BATCH * SIZE];
            int32_t label[BATCH];
            double loss, expected = 0;
            draw_pool(data, options.seed, step, BATCH, unused, x1, label);
            for (int i = 0; i < BATCH; i++) {
                int64_t sample = step * BATCH + i;
                double x0 = 1 + permute_index((uint32_t)(sample % 5), 5, options.seed,
                                              FCL_STREAM_SOURCE_BATCH, (uint64_t)(sample / 5));
                expected += pow(x1[2 * i] - x0, 2) + pow(x1[2 * i + 1] - 10 * x0, 2);
            }
            assert_ok(fcl_trainer_step(trainer));
            assert_ok(fcl_trainer_loss(trainer, &loss));
            assert_float_equal(loss, expected / (BATCH * SIZE), 1e-5 * expected);
        }
        fcl_trainer_destroy(&trainer);
        fcl_dataset_destroy(&data);
    }
}

static bool is_a_sample(const fcl_dataset *data, const float *x)
{
    for (int64_t i = 0; i < data->count; i++)
        if (data->values[2 * i] == x[0] && data->values[2 * i + 1] == x[1])
            return true;
    return false;
}

/* Samples begin with the source that the checkpoint remembers, or with another that is asked for. */
static void check_start(const fcl_checkpoint *checkpoint, const char *source, const fcl_dataset *moons)
{
    fcl_sample_options how = {.n = 7, .steps = 1, .seed = 1, .source = source};
    fcl_array *start, *energy;
    assert_ok(fcl_sample_energy(device, checkpoint, &how, &start, &energy));
    for (int i = 0; i < 7; i++)
        assert_int_equal(is_a_sample(moons, start->data + 2 * i), source == NULL);
    fcl_array_destroy(&start);
    fcl_array_destroy(&energy);
}

static void test_moons_to_8gaussians(void **state)
{
    (void)state;
    fcl_train_options options = {.data = "8gaussians",
                                 .source = "moons",
                                 .out = scratch_path("moons"),
                                 .batch = 128,
                                 .steps = 800,
                                 .lr = 0.005f,
                                 .samples_every = FCL_OFF,
                                 .objective = {.coupling = "ot"}};
    assert_ok(fcl_train(&options, NULL));
    fcl_checkpoint *checkpoint;
    fcl_dataset *moons, *data;
    fcl_array *samples, *target;
    double square;
    assert_ok(fcl_checkpoint_open(options.out, &checkpoint));
    assert_ok(fcl_dataset_open("moons", &(fcl_dataset_options){.seed = 1}, &moons));
    assert_ok(fcl_dataset_open("8gaussians", &(fcl_dataset_options){.count = 500, .seed = 9}, &data));
    check_start(checkpoint, NULL, moons);
    check_start(checkpoint, "normal", moons);
    assert_ok(fcl_sample(device, checkpoint, &(fcl_sample_options){.n = 500, .steps = 20}, &samples, NULL));
    assert_ok(fcl_dataset_take(data, 0, 500, &target));
    assert_ok(fcl_w2_squared(samples, target, &square));
    assert_true(square < 2.5); /* two draws of the data are 0.6 apart, moons and the data 12 */
    fcl_array_destroy(&samples);
    fcl_array_destroy(&target);
    fcl_dataset_destroy(&moons);
    fcl_dataset_destroy(&data);
    fcl_checkpoint_close(&checkpoint);
}

/* --- misuse --- */

static void refuse(fcl_train_options options, const char *part)
{
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&options, NULL));
    assert_told(part);
}

static void test_misuse_is_refused(void **state)
{
    (void)state;
    fcl_train_options options = small();
    options.coupling_batch = BATCH + 1;
    refuse(options, "not a multiple of the batch of 37");
    options.coupling_batch = 2 * BATCH;
    options.objective.coupling = "independent";
    refuse(options, "no use with the coupling independent");
    options = small();
    options.objective.coupling = "top";
    refuse(options, "expected one of independent, ot");
    options = small();
    options.batch = 40000;
    refuse(options, "pairs at most 32768");
    options.batch = BATCH;
    options.objective.reg = 0.1f;
    refuse(options, "reg 0.1 has no use with the coupling ot");
    options.objective = (fcl_cfm_options){.coupling = "sinkhorn", .mass = 0.5f};
    refuse(options, "mass 0.5 has no use with the coupling sinkhorn");
    options.objective = (fcl_cfm_options){.coupling = "partial", .mass = 1.5f};
    refuse(options, "mass");
    options.objective = (fcl_cfm_options){.coupling = "partial", .relaxation = 1};
    refuse(options, "relaxation 1 has no use with the coupling partial");
    options.objective = (fcl_cfm_options){.coupling = "bridge", .path = "bridge", .sigma = 1, .reg = 1};
    refuse(options, "whose reg is 2 sigma^2");
    options.objective = (fcl_cfm_options){.coupling = "bridge"};
    refuse(options, "belongs to the path bridge");
    options = small();
    options.condition_weight = 2;
    refuse(options, "condition-weight 2 has no use without conditions");
    options.condition_weight = FCL_OFF;
    refuse(options, "needs labels");
    options.condition_weight = 0;
    options.objective.coupling = "independent";
    options.condition = "c.csv";
    refuse(options, "conditions have no use");
    options = small();
    options.source = "moon";
    refuse(options, "the source: there is no data set and no file 'moon'; did you mean 'moons'?");
}

/* A graph of the caller's own has to pair the rows first. */
static void test_objective_refuses_to_pair(void **state)
{
    (void)state;
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x1 = fcl_input(graph, "x1", FCL_F32, FCL_SHAPE(4, 2));
    fcl_cfm_objective(graph, &(fcl_cfm_options){.coupling = "ot"}, x1, NULL, NULL);
    assert_status(FCL_ERR_SHAPE, fcl_graph_compile(graph, device, NULL));
    assert_told("pairs the rows before");
    fcl_graph_destroy(&graph);
}

/* What a simulator can bear: every kernel, and a step that takes its pairs. */
static void test_a_step_takes_a_plan(void **state)
{
    (void)state;
    fcl_train_options options = small();
    options.objective.coupling = "partial";
    options.steps = 1;
    size_t bytes;
    float *weights = trained_weights(options, &bytes);
    for (size_t i = 0; i < bytes / sizeof *weights; i++)
        assert_true(isfinite(weights[i]));
    free(weights);
}

int main(void)
{
    const struct CMUnitTest few[] = {
        cmocka_unit_test(test_draws_follow_the_plan),
        cmocka_unit_test(test_no_entropy_keeps_the_colours),
        cmocka_unit_test(test_plans_of_long_rows),
        cmocka_unit_test(test_what_has_not_converged_is_told),
        cmocka_unit_test(test_a_step_takes_a_plan),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_are_paired_each_for_itself),
        cmocka_unit_test(test_steps_take_the_best_pairs),
        cmocka_unit_test(test_couple_of_arrays),
        cmocka_unit_test(test_couple_anywhere),
        cmocka_unit_test(test_draws_follow_the_plan),
        cmocka_unit_test(test_bridge_sets_the_entropy),
        cmocka_unit_test(test_little_entropy_is_exact),
        cmocka_unit_test(test_no_entropy_keeps_the_colours),
        cmocka_unit_test(test_plans_of_long_rows),
        cmocka_unit_test(test_what_has_not_converged_is_told),
        cmocka_unit_test(test_conditions_keep_unlike_rows_apart),
        cmocka_unit_test(test_plans_are_the_same_wherever_the_data_is),
        cmocka_unit_test(test_resume_is_not_stopping),
        cmocka_unit_test(test_steps_take_the_sources_rows),
        cmocka_unit_test(test_moons_to_8gaussians),
        cmocka_unit_test(test_misuse_is_refused),
        cmocka_unit_test(test_objective_refuses_to_pair),
    };
    return trial_tiny() ? cmocka_run_group_tests(few, rig_up, rig_down)
                        : cmocka_run_group_tests(tests, rig_up, rig_down);
}
