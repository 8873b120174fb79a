/* Data of any scale through training and sampling: what comes out is in the data's units. */
#include "rig.h"

#include "train/checkpoint.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

enum { COUNT = 500, N = 60 };

static float plain[2 * COUNT]; /* two blobs of unit scale */

static int setup(void **state)
{
    int status = rig_up(state);
    for (int i = 0; i < 2 * COUNT; i++)
        plain[i] = (float)((i / 2 % 2 ? 1 : -1) + 0.4 * trial_normal());
    return status;
}

/* factor x + offset of each column */
typedef struct units {
    double factor[2], offset[2];
} units;

static float in_units(const units *u, int i)
{
    return (float)(u->factor[i % 2] * (double)plain[i] + u->offset[i % 2]);
}

static fcl_dataset *make_data(const units *u)
{
    float values[2 * COUNT];
    for (int i = 0; i < 2 * COUNT; i++)
        values[i] = in_units(u, i);
    fcl_dataset *data, given = {.name = "own", .count = COUNT, .shape = FCL_SHAPE(2), .values = values};
    assert_ok(fcl_dataset_from(&given, &data));
    return data;
}

static const fcl_train_options small = {
    .steps = 300, .batch = 64, .seed = 5, .lr = 0.005f, .model = {.width = 24, .depth = 2}};

static fcl_checkpoint *train(const units *u, const fcl_train_options *options)
{
    fcl_dataset *data = make_data(u);
    fcl_trainer *trainer;
    fcl_checkpoint *checkpoint;
    assert_ok(fcl_trainer_create(device, data, options, &trainer));
    assert_ok(fcl_trainer_run(trainer, NULL));
    assert_ok(fcl_trainer_save(trainer, scratch_path("own.safetensors")));
    assert_ok(fcl_checkpoint_open(scratch_path("own.safetensors"), &checkpoint));
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
    return checkpoint;
}

static void column(const float *x, int64_t n, int k, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[2 * i + k] / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += pow((double)x[2 * i + k] - sum, 2) / (double)n;
    *mean = sum;
    *deviation = sqrt(squares);
}

/* --- samples --- */

static const units scales[] = {
    {{1, 1}, {1000, 1000}},         {{100, 100}, {0, 0}},          {{1e-6, 1e-6}, {0, 0}},
    {{800, 0.004}, {101325, 0.02}}, {{1e25, 3e25}, {1e30, -1e29}},
};

static void test_samples(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
        const units *u = &scales[s];
        fcl_checkpoint *checkpoint = train(u, &small);
        fcl_array *samples;
        float data[2 * COUNT];
        for (int i = 0; i < 2 * COUNT; i++)
            data[i] = in_units(u, i);
        assert_ok(
            fcl_sample(device, checkpoint, &(fcl_sample_options){.n = 2000, .steps = 20}, &samples, NULL));
        for (int k = 0; k < 2; k++) {
            double mean, deviation, found, spread;
            column(data, COUNT, k, &mean, &deviation);
            column(samples->data, 2000, k, &found, &spread);
            print_message("%zu: %g +- %g, the data's are %g +- %g\n", s, found, spread, mean, deviation);
            assert_true(fabs(found - mean) < 0.25 * deviation);
            assert_true(spread > 0.75 * deviation && spread < 1.25 * deviation);
        }
        fcl_array_destroy(&samples);
        fcl_checkpoint_close(&checkpoint);
    }
}

/* --- the same model in other units ---
 * Moved and scaled data, normalised column by column, are the same numbers to the model, and so the same
 * flow: what is carried to noise is carried to the same noise, and densities differ by the factors. */

static const units ones = {{1, 1}, {0, 0}}, others = {{512, 0.0078125}, {65536, 0.03125}};

static fcl_checkpoint *train_columns(const units *u)
{
    fcl_train_options options = small;
    options.steps = 100;
    options.normalise = "columns";
    return train(u, &options);
}

static fcl_array *points(const units *u)
{
    fcl_array *x;
    assert_ok(fcl_array_create(FCL_SHAPE(N, 2), &x));
    for (int i = 0; i < 2 * N; i++)
        x->data[i] = in_units(u, i);
    return x;
}

static void test_other_units(void **state)
{
    (void)state;
    const units *u[2] = {&ones, &others};
    fcl_sample_options options = {.solver = "rk4", .steps = 10};
    fcl_array *noise[2], *density[2], *back[2], *x[2];
    for (int i = 0; i < 2; i++) {
        fcl_checkpoint *checkpoint = train_columns(u[i]);
        x[i] = points(u[i]);
        assert_ok(fcl_transport(device, checkpoint, &options, x[i], NULL, true, &noise[i], NULL));
        assert_ok(fcl_transport(device, checkpoint, &options, noise[i], NULL, false, &back[i], NULL));
        assert_ok(fcl_log_density(device, checkpoint, &options, x[i], NULL, &density[i], NULL));
        fcl_checkpoint_close(&checkpoint);
    }
    for (int i = 0; i < 2 * N; i++) {
        assert_true(fabsf(noise[0]->data[i] - noise[1]->data[i]) < 2e-3f && fabsf(noise[1]->data[i]) < 6);
        for (int k = 0; k < 2; k++)
            assert_true(fabs(back[k]->data[i] - x[k]->data[i]) < 2e-3 * u[k]->factor[i % 2]);
    }
    double jacobian = log(others.factor[0]) + log(others.factor[1]);
    for (int i = 0; i < N; i++)
        assert_true(fabs(density[1]->data[2 * i] - (density[0]->data[2 * i] - jacobian)) < 5e-3);
    for (int i = 0; i < 2; i++) {
        fcl_array **arrays[] = {&noise[i], &density[i], &back[i], &x[i]};
        for (int k = 0; k < 4; k++)
            fcl_array_destroy(arrays[k]);
    }
}

/* A sample brings the density that is found of it, in its own units. */
static void test_density_of_samples(void **state)
{
    (void)state;
    fcl_checkpoint *checkpoint = train_columns(&others);
    fcl_sample_options options = {.n = N, .solver = "rk4", .steps = 10};
    fcl_array *samples, *carried, *found;
    assert_ok(fcl_sample_density(device, checkpoint, &options, &samples, &carried, NULL));
    assert_ok(fcl_log_density(device, checkpoint, &options, samples, NULL, &found, NULL));
    for (int i = 0; i < N; i++)
        assert_true(fabsf(carried->data[2 * i] - found->data[2 * i]) < 0.02f);
    fcl_array_destroy(&samples);
    fcl_array_destroy(&carried);
    fcl_array_destroy(&found);
    fcl_checkpoint_close(&checkpoint);
}

/* --- paths --- */

/* Euler's energy is the sum of squared steps over h; the straight way's is that from end to end. */
static void test_paths(void **state)
{
    (void)state;
    enum { STEPS = 16 };
    fcl_checkpoint *checkpoint = train_columns(&others);
    fcl_sample_options options = {.n = N, .steps = STEPS, .times = "steps"};
    fcl_array *way, *start, *energy, *samples;
    assert_ok(fcl_sample(device, checkpoint, &options, &way, NULL));
    options.times = NULL;
    assert_ok(fcl_sample(device, checkpoint, &options, &samples, NULL));
    assert_ok(fcl_sample_energy(device, checkpoint, &options, &start, &energy));
    for (int i = 0; i < N; i++) {
        double sum = 0, straight = 0;
        for (int k = 0; k < 2; k++) {
            const float *at = way->data + 2 * i + k;
            for (int s = 0; s < STEPS; s++)
                sum += pow((double)at[(s + 1) * 2 * N] - (double)at[s * 2 * N], 2) * STEPS;
            straight += pow((double)at[STEPS * 2 * N] - (double)at[0], 2);
            assert_true(fabs(samples->data[2 * i + k] - at[STEPS * 2 * N]) <= 1e-4 * others.factor[k]);
            assert_true(fabs(start->data[2 * i + k] - at[0]) <= 1e-4 * others.factor[k]);
        }
        assert_true(fabs(energy->data[2 * i] - sum) < 2e-3 * sum);
        assert_true(fabs(energy->data[2 * i + 1] - (sum - straight)) < 2e-3 * sum);
    }
    fcl_array **arrays[] = {&way, &start, &energy, &samples};
    for (int k = 0; k < 4; k++)
        fcl_array_destroy(arrays[k]);
    fcl_checkpoint_close(&checkpoint);
}

/* --- sources: a file's numbers are in the data's units, noise and built-in sets are not --- */

static fcl_array *begin_from(fcl_checkpoint *checkpoint, const char *source, const char *times)
{
    fcl_array *samples;
    fcl_sample_options options = {.n = N, .steps = 2, .source = source, .times = times};
    assert_ok(fcl_sample(device, checkpoint, &options, &samples, NULL));
    return samples;
}

static void test_sources(void **state)
{
    (void)state;
    fcl_array *file = points(&others), *noise, *moons, *own;
    char path[600];
    snprintf(path, sizeof path, "%s", scratch_path("source.npy"));
    assert_ok(fcl_samples_write(path, file, NULL));
    fcl_train_options options = small;
    options.steps = 2;
    options.source = path;
    fcl_checkpoint *checkpoint = train(&others, &options);
    const fcl_normalisation *by = fcl_checkpoint_describe(checkpoint)->normalisation;
    own = begin_from(checkpoint, NULL, "0");
    noise = begin_from(checkpoint, "normal", "0");
    moons = begin_from(checkpoint, "moons", "0");
    for (int k = 0; k < 2; k++) {
        double mean, deviation, centre, spread;
        column(file->data, N, k, &mean, &deviation);
        column(own->data, N, k, &centre, &spread); /* the file's rows, each once */
        assert_true(fabs(centre - mean) < 1e-3 * deviation && fabs(spread - deviation) < 1e-3 * deviation);
        column(noise->data, N, k, &centre, &spread);
        assert_true(fabs(centre - by->centre[k]) < by->scale[k] && spread > 0.5 * by->scale[k] &&
                    spread < 2 * by->scale[k]);
        column(moons->data, N, k, &centre, &spread);
        assert_true(fabs(centre - by->centre[k]) < by->scale[k] && spread < 3 * by->scale[k]);
    }
    fcl_array *sent, *back;
    fcl_sample_options how = {.solver = "rk4", .steps = 10};
    assert_ok(fcl_transport(device, checkpoint, &how, file, NULL, false, &sent, NULL));
    assert_ok(fcl_transport(device, checkpoint, &how, sent, NULL, true, &back, NULL));
    for (int i = 0; i < 2 * N; i++)
        assert_true(fabs(back->data[i] - file->data[i]) < 2e-3 * others.factor[i % 2]);
    fcl_array **arrays[] = {&file, &noise, &moons, &own, &sent, &back};
    for (int k = 0; k < 6; k++)
        fcl_array_destroy(arrays[k]);
    fcl_checkpoint_close(&checkpoint);
}

/* --- where the data lie, and going on --- */

static float *weights_of(fcl_trainer *trainer, size_t *bytes)
{
    *bytes = fcl_params_bytes(fcl_model_params(fcl_trainer_model(trainer)));
    float *weights = malloc(*bytes);
    assert_ok(fcl_buffer_read(fcl_trainer_weights(trainer), 0, *bytes, weights));
    return weights;
}

/* Trains on, from `path` where that is given, and returns the weights. */
static float *run(const fcl_dataset *data, const fcl_train_options *options, const char *path, size_t *bytes)
{
    fcl_trainer *trainer;
    assert_ok(fcl_trainer_create(device, data, options, &trainer));
    if (path)
        assert_ok(fcl_trainer_resume(trainer, path));
    assert_ok(fcl_trainer_run(trainer, NULL));
    float *weights = weights_of(trainer, bytes);
    fcl_trainer_destroy(&trainer);
    return weights;
}

static void test_streamed(void **state)
{
    (void)state;
    for (int paired = 0; paired < 2; paired++) {
        fcl_dataset *data = make_data(&others);
        fcl_train_options there = small, here;
        there.steps = 20;
        there.objective.coupling = paired ? "ot" : NULL;
        here = there;
        here.stream_data = true;
        size_t bytes;
        float *a = run(data, &there, NULL, &bytes), *b = run(data, &here, NULL, &bytes);
        assert_memory_equal(a, b, bytes);
        free(a);
        free(b);
        fcl_dataset_destroy(&data);
    }
}

static void write_at(const char *path, const fcl_checkpoint_info *info, const fcl_checkpoint *from,
                     const fcl_normalisation *by)
{
    fcl_snapshot snapshot = {.options = info->options,
                             .model = info->model,
                             .device = info->device,
                             .step = info->step,
                             .normalisation = by};
    for (fcl_state kind = 0; kind < FCL_STATES; kind++) {
        assert_ok(fcl_buffer_create(device, fcl_params_bytes(fcl_model_params(info->model)),
                                    &snapshot.state[kind]));
        assert_ok(fcl_checkpoint_load(from, kind, snapshot.state[kind]));
    }
    assert_ok(fcl_checkpoint_save(path, &snapshot));
    for (int i = 0; i < FCL_STATES; i++)
        fcl_buffer_destroy(&snapshot.state[i]);
}

static void test_damaged(void **state)
{
    (void)state;
    double centre[2] = {0, 1}, zero[2] = {1, 0}, one[2] = {1, 1};
    const fcl_normalisation bad[] = {{2, centre, zero, 0, 0},
                                     {1, centre, one, 1, 0},
                                     {1, centre, one, 1, 1},
                                     {1, centre, (double[]){-1}, 0, 1}};
    fcl_train_options once = small;
    once.steps = 1;
    fcl_checkpoint *checkpoint = train(&ones, &once), *opened;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = scratch_path("bad.safetensors");
        write_at(path, fcl_checkpoint_describe(checkpoint), checkpoint, &bad[i]);
        assert_status(FCL_ERR_FORMAT, fcl_checkpoint_open(path, &opened));
        assert_told("no usable \"normalisation\"");
    }
    fcl_checkpoint_close(&checkpoint);
}

/* What a run is normalised by once it goes on from `path` with these data. */
static fcl_checkpoint *resume(const fcl_dataset *data, const fcl_train_options *options, const char *path)
{
    fcl_trainer *trainer;
    fcl_checkpoint *again;
    assert_ok(fcl_trainer_create(device, data, options, &trainer));
    assert_ok(fcl_trainer_resume(trainer, path));
    assert_ok(fcl_trainer_step(trainer));
    assert_ok(fcl_trainer_save(trainer, scratch_path("again.safetensors")));
    fcl_trainer_destroy(&trainer);
    assert_ok(fcl_checkpoint_open(scratch_path("again.safetensors"), &again));
    return again;
}

/* A run goes on with its own numbers: with those of its checkpoint where other data would not be moved, and
 * with none where its checkpoint knows none and the data would be moved now. */
static void test_resumed(void **state)
{
    (void)state;
    const units near = {{2, 0.3}, {5, 0}};
    fcl_train_options first = small, on = small;
    first.schedule = on.schedule = "constant";
    first.steps = 10;
    on.steps = 20;
    on.data_changed = true;
    char path[600], old[600];
    snprintf(path, sizeof path, "%s", scratch_path("own.safetensors"));
    snprintf(old, sizeof old, "%s", scratch_path("older.safetensors"));
    fcl_checkpoint *checkpoint = train(&others, &first);
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    write_at(old, info, checkpoint, NULL);
    fcl_dataset *data = make_data(&others), *close = make_data(&near);

    fcl_checkpoint *again = resume(close, &on, path);
    const fcl_normalisation *kept = fcl_checkpoint_describe(again)->normalisation;
    assert_int_equal(kept->count, 2);
    assert_memory_equal(kept->centre, info->normalisation->centre, 2 * sizeof(double));
    assert_memory_equal(kept->scale, info->normalisation->scale, 2 * sizeof(double));
    fcl_checkpoint_close(&again);
    again = resume(data, &on, old);
    assert_int_equal(fcl_checkpoint_describe(again)->normalisation->count, 0);
    fcl_checkpoint_close(&again);

    size_t bytes;
    float *once = run(data, &on, NULL, &bytes), *twice = run(data, &on, path, &bytes);
    assert_memory_equal(once, twice, bytes);
    free(once);
    free(twice);
    fcl_checkpoint_close(&checkpoint);
    fcl_dataset_destroy(&data);
    fcl_dataset_destroy(&close);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_other_units),
        cmocka_unit_test(test_density_of_samples),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_streamed),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_resumed),
    };
    return cmocka_run_group_tests(tests, setup, rig_down);
}
