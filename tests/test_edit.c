/* Samples that begin with data and that keep a part of it, by a network that is linear in x, v = M x: held against the same
 * steps in double, and, where M mixes no numbers, against samples that keep nothing. */
#include "rig.h"

#include "base/random.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

static int declare_linear(const fcl_model *model, fcl_params *params, void **layers)
{
    int64_t size = fcl_shape_size(fcl_model_sample(model));
    (void)layers;
    fcl_params_declare(params, FCL_SHAPE(size, size), FCL_INIT_ZEROS, 0, "weight");
    return FCL_OK;
}

static fcl_tensor *linear_velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    (void)model;
    return fcl_matmul(in->x, weights[0], false, true);
}

static const fcl_model_row linear = {.name = "linear", .declare = declare_linear, .velocity = linear_velocity};

enum { N = 7, SIZE = 3, SEED = 5 };
static const double centre = 10, scale = 2; /* of the data */

typedef struct setting {
    fcl_checkpoint *checkpoint;
    float matrix[SIZE][SIZE];
    fcl_array *data;          /* (N, SIZE), in its units */
    double x1[N][SIZE], x0[N][SIZE]; /* normalised; the noise */
} setting;

static void make(const fcl_cfm_options *objective, bool mixes, setting *s)
{
    float values[2 * SIZE] = {8, 9, 10, 11, 12, 13};
    fcl_dataset *set;
    fcl_trainer *trainer;
    const fcl_train_options options = {.steps = 1, .batch = 1, .normalise = "10,2", .ema = "off", .model = {.own = &linear},
                                       .objective = *objective};
    assert_ok(fcl_dataset_from(&(fcl_dataset){.count = 2, .shape = FCL_SHAPE(SIZE), .values = values}, &set));
    assert_ok(fcl_trainer_create(device, set, &options, &trainer));
    for (int i = 0; i < SIZE * SIZE; i++)
        s->matrix[i / SIZE][i % SIZE] = mixes || i % (SIZE + 1) == 0 ? (float)(trial_uniform() - 0.5) : 0;
    assert_ok(fcl_buffer_write(fcl_trainer_weights(trainer), 0, sizeof s->matrix, s->matrix));
    assert_ok(fcl_trainer_save(trainer, scratch_path("linear.safetensors")));
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&set);
    assert_ok(fcl_checkpoint_open_with(scratch_path("linear.safetensors"), &(fcl_foreign_options){.own = &linear},
                                       &s->checkpoint));
    assert_ok(fcl_array_create(FCL_SHAPE(N, SIZE), &s->data));
    for (int i = 0; i < N * SIZE; i++) {
        s->data->data[i] = (float)(centre + scale * trial_normal());
        s->x1[i / SIZE][i % SIZE] = ((double)s->data->data[i] - centre) / scale;
        s->x0[i / SIZE][i % SIZE] =
            fcl_random_normal((fcl_random){.seed = SEED, .stream = FCL_STREAM_SAMPLE}, (uint64_t)i);
    }
}

static void destroy(setting *s)
{
    fcl_checkpoint_close(&s->checkpoint);
    fcl_array_destroy(&s->data);
}

static fcl_array *transport(const setting *s, fcl_sample_options options)
{
    fcl_array *result;
    options.seed = SEED;
    assert_ok(fcl_transport(device, s->checkpoint, &options, s->data, NULL, false, &result, NULL));
    return result;
}

/* Euler's steps from `begin`, with the kept numbers at their place wherever the network is asked. */
static void euler(const setting *s, int row, double begin, int steps, const float *mask, double to[SIZE])
{
    double x[SIZE], seen[SIZE];
    for (int d = 0; d < SIZE; d++)
        x[d] = begin * s->x1[row][d] + (1 - begin) * s->x0[row][d];
    for (int i = 0; i < steps; i++) {
        double t = begin + (1 - begin) * i / steps;
        for (int d = 0; d < SIZE; d++)
            seen[d] = mask && mask[d] == 0 ? t * s->x1[row][d] + (1 - t) * s->x0[row][d] : x[d];
        for (int d = 0; d < SIZE; d++)
            for (int k = 0; k < SIZE; k++)
                x[d] += (1 - begin) / steps * (double)s->matrix[d][k] * seen[k];
    }
    for (int d = 0; d < SIZE; d++)
        to[d] = centre + scale * x[d];
}

static void assert_near_to(double got, double wanted, double tolerance)
{
    if (fabs(got - wanted) > tolerance * (1 + fabs(wanted)))
        fail_msg("%.9g is not %.9g", got, wanted);
}

/* --- a later beginning --- */

static void test_begins_with_data(void **state)
{
    (void)state;
    setting s;
    make(&(fcl_cfm_options){0}, true, &s);
    for (int parts = 0; parts < 2; parts++) {
        fcl_array *result = transport(&s, (fcl_sample_options){.steps = 9, .from_time = 0.4, .batch = parts ? 3 : 0});
        for (int i = 0; i < N; i++) {
            double wanted[SIZE];
            euler(&s, i, 0.4, 9, NULL, wanted);
            for (int d = 0; d < SIZE; d++)
                assert_near_to((double)result->data[i * SIZE + d], wanted[d], 1e-5);
        }
        fcl_array_destroy(&result);
    }
    destroy(&s);
}

/* --- a part that is kept --- */

/* Kept numbers are the data's bits, the others are painted beside them. */
static void check_mask(const setting *s, const fcl_array *mask, double begin, int batch)
{
    const int steps = 11;
    fcl_array *result = transport(s, (fcl_sample_options){.steps = steps, .from_time = begin, .mask = mask, .batch = batch});
    int64_t own = fcl_shape_size(mask->shape) == SIZE ? 0 : SIZE;
    for (int i = 0; i < N; i++) {
        double wanted[SIZE];
        const float *row = mask->data + i * own;
        euler(s, i, begin, steps, row, wanted);
        for (int d = 0; d < SIZE; d++) {
            float got = result->data[i * SIZE + d], data = s->data->data[i * SIZE + d];
            if (row[d] == 0)
                assert_memory_equal(&got, &data, sizeof got);
            else
                assert_near_to((double)got, wanted[d], 1e-5);
        }
    }
    fcl_array_destroy(&result);
}

static void test_paints_beside_what_is_kept(void **state)
{
    (void)state;
    setting s;
    float all[SIZE] = {0, 1, -2}, each[N * SIZE];
    const fcl_array one = {.shape = FCL_SHAPE(SIZE), .data = all}, rows = {.shape = FCL_SHAPE(N, SIZE), .data = each};
    for (int i = 0; i < N * SIZE; i++)
        each[i] = (float)trial_int(0, 1);
    make(&(fcl_cfm_options){0}, true, &s);
    check_mask(&s, &one, 0, 0);
    check_mask(&s, &rows, 0, 3);
    check_mask(&s, &rows, 0.3, 0);
    destroy(&s);
}

/* At the times that are kept of the samples, too. */
static void test_keeps_on_the_way(void **state)
{
    (void)state;
    setting s;
    float all[SIZE] = {1, 0, 1};
    const fcl_array mask = {.shape = FCL_SHAPE(SIZE), .data = all};
    make(&(fcl_cfm_options){0}, true, &s);
    fcl_array *way = transport(&s, (fcl_sample_options){.steps = 10, .mask = &mask, .times = "0.25,0.5,1"});
    assert_int_equal(way->shape.dim[0], 3);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < N; i++) {
            double t = 0.25 * (k + 1), wanted = centre + scale * (t * s.x1[i][1] + (1 - t) * s.x0[i][1]);
            assert_near_to((double)way->data[(k * N + i) * SIZE + 1], wanted, 1e-5);
        }
    for (int i = 0; i < N; i++)
        assert_memory_equal(&way->data[(2 * N + i) * SIZE + 1], &s.data->data[i * SIZE + 1], sizeof(float));
    fcl_array_destroy(&way);
    destroy(&s);
}

/* Where the network mixes no numbers, what is painted is what it would be without anything kept. */
static void check_apart(const fcl_cfm_options *objective, fcl_sample_options options, double tolerance)
{
    setting s;
    float all[SIZE] = {1, 0, 1};
    const fcl_array mask = {.shape = FCL_SHAPE(SIZE), .data = all};
    fcl_array *plain;
    make(objective, false, &s);
    options.seed = SEED;
    options.n = N;
    options.rtol = options.atol = fcl_solver_is_adaptive(options.solver) ? 1e-6 : 0;
    assert_ok(fcl_sample(device, s.checkpoint, &options, &plain, NULL));
    options.mask = &mask;
    fcl_array *kept = transport(&s, options);
    for (int i = 0; i < N * SIZE; i++)
        if (i % SIZE == 1)
            assert_memory_equal(&kept->data[i], &s.data->data[i], sizeof(float));
        else
            assert_near_to((double)kept->data[i], (double)plain->data[i], tolerance);
    fcl_array_destroy(&plain);
    fcl_array_destroy(&kept);
    destroy(&s);
}

static void test_solvers_and_predictions(void **state)
{
    (void)state;
    static const char *const solvers[] = {"heun2", "ab2", "euler-maruyama", "dopri5"};
    static const char *const predictions[] = {"x1", "eps", "score"};
    for (int i = 0; i < 4; i++)
        check_apart(&(fcl_cfm_options){0}, (fcl_sample_options){.solver = solvers[i]}, 1e-4);
    for (int i = 0; i < 3; i++)
        check_apart(&(fcl_cfm_options){.prediction = predictions[i]}, (fcl_sample_options){.steps = 20}, 1e-4);
    check_apart(&(fcl_cfm_options){.path = "cosine"}, (fcl_sample_options){.path = "linear", .steps = 20}, 1e-4);
}

/* --- refusals --- */

static void assert_refused(const setting *s, fcl_sample_options options, bool backward, int status, const char *sentence)
{
    fcl_array *result;
    assert_status(status, fcl_transport(device, s->checkpoint, &options, s->data, NULL, backward, &result, NULL));
    assert_told(sentence);
    assert_null(result);
}

static void test_refusals(void **state)
{
    (void)state;
    setting s;
    float two[2] = {0, 1};
    const fcl_array mask = {.shape = FCL_SHAPE(2), .data = two};
    fcl_array *samples, *more;
    make(&(fcl_cfm_options){0}, true, &s);
    assert_refused(&s, (fcl_sample_options){.mask = &mask}, false, FCL_ERR_SHAPE, "neither of one sample, 3, nor of all 7 samples");
    assert_refused(&s, (fcl_sample_options){.from_time = 1}, false, FCL_ERR_ARGUMENT, "from-time 1 is not from 0");
    assert_refused(&s, (fcl_sample_options){.from_time = NAN}, false, FCL_ERR_ARGUMENT, "is not from 0");
    assert_refused(&s, (fcl_sample_options){.from_time = 0.5}, true, FCL_ERR_ARGUMENT, "carried forward");
    assert_refused(&s, (fcl_sample_options){.from_time = 0.5, .times = "0.2,1"}, false, FCL_ERR_ARGUMENT, "0.2");
    const fcl_sample_options asked = {.n = 2, .from_time = 0.5};
    assert_status(FCL_ERR_ARGUMENT, fcl_sample(device, s.checkpoint, &asked, &samples, NULL));
    assert_told("from_time is for data that is carried forward");
    assert_status(FCL_ERR_ARGUMENT, fcl_sample_density(device, s.checkpoint, &asked, &samples, &more, NULL));
    assert_status(FCL_ERR_ARGUMENT, fcl_sample_energy(device, s.checkpoint, &asked, &samples, &more));
    destroy(&s);
    make(&(fcl_cfm_options){.sigma = 0.1f}, true, &s);
    assert_refused(&s, (fcl_sample_options){.from_time = 0.5}, false, FCL_ERR_ARGUMENT, "one with a tube");
    destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_with_data),       cmocka_unit_test(test_paints_beside_what_is_kept),
        cmocka_unit_test(test_keeps_on_the_way),       cmocka_unit_test(test_solvers_and_predictions),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
