/* Sizes of one, and hardly more: batches, widths, depths, samples, sets and classes of 1 to 3, whose shapes coincide, so
 * that a shape alone does not tell what a tensor is. What is trained and drawn in row blocks, the form for CPUs, is held
 * against the form for GPUs, where each operation has a kernel of its own. */
#include "scratch.h"
#include "status.h"
#include "trial.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

enum { MOST = 3, STEPS = 3 };

typedef struct sizes {
    int size, classes; /* of a sample; 0: no labels */
    float values[MOST * MOST];
    int32_t labels[MOST];
    fcl_dataset data;
    fcl_train_options train;
    fcl_sample_options sample;
} sizes;

static int few(void)
{
    return trial_int(0, 1) ? 1 : trial_int(1, MOST);
}

typedef const char *row_name(int index);

static const char *any_row(row_name *name)
{
    int count = 0;
    while (name(count))
        count++;
    return name(trial_int(0, count - 1));
}

static void draw_data(sizes *s)
{
    int count = few();
    for (int i = 0; i < count * s->size; i++)
        s->values[i] = (float)trial_normal();
    for (int i = 0; i < count; i++)
        s->labels[i] = i % (s->classes ? s->classes : 1);
    s->data = (fcl_dataset){.name = "few numbers",
                            .count = count,
                            .shape = FCL_SHAPE(s->size),
                            .values = s->values,
                            .label = s->classes ? s->labels : NULL,
                            .classes = s->classes};
}

/* epsilon = 1: so a rounding of a gradient near 0 stays small in AdamW's quotient. */
static void draw_sizes(sizes *s)
{
    *s = (sizes){.size = few(), .classes = trial_int(0, 1) ? 0 : few()};
    draw_data(s);
    s->train = (fcl_train_options){.data = "few numbers",
                                   .seed = (uint64_t)trial_int(1, 1000),
                                   .steps = STEPS,
                                   .batch = few(),
                                   .labels = s->classes > 0,
                                   .lr = 0.05f,
                                   .epsilon = 1,
                                   .model = {.width = trial_int(0, 3) ? few() : 8,
                                             .depth = few(),
                                             .time_features = trial_int(0, 2)}};
    s->train.model.residual = s->train.model.depth > 1 && trial_int(0, 1);
    s->sample = (fcl_sample_options){.n = few(), .steps = 2, .seed = 5};
}

/* Rows of the tables that go together. */
static void draw_rows(sizes *s)
{
    do {
        s->train.objective = (fcl_cfm_options){.path = any_row(fcl_path_name),
                                               .coupling = any_row(fcl_coupling_name),
                                               .prediction = any_row(fcl_prediction_name),
                                               .time = any_row(fcl_time_name),
                                               .time_draw = any_row(fcl_time_draw_name),
                                               .weight = any_row(fcl_weight_name),
                                               .loss = any_row(fcl_loss_name),
                                               .sigma = (float)trial_int(0, 1) / 2};
        s->sample.solver = any_row(fcl_solver_name);
    } while (fcl_train_options_check(&s->train) != FCL_OK);
}

static void tell(const sizes *s)
{
    const fcl_cfm_options *o = &s->train.objective;
    print_error("%lld samples of %d, %d classes, batch %d, width %d, depth %d%s, %d time features, %s, %s, %s, %s, %s, "
                "%s, %s, sigma %g; %lld by %s\n",
                (long long)s->data.count, s->size, s->classes, s->train.batch, s->train.model.width,
                s->train.model.depth, s->train.model.residual ? ", residual" : "", s->train.model.time_features, o->path,
                o->coupling, o->prediction, o->time, o->time_draw, o->weight, o->loss, (double)o->sigma,
                (long long)s->sample.n, s->sample.solver);
}

/* --- one form --- */

typedef struct outcome {
    float *weights;
    size_t count;
    int status; /* of sampling: some predictions have no velocity at an end, some paths no noise for a solver */
    fcl_array *samples;
} outcome;

static void train(fcl_device *device, const sizes *s, outcome *o)
{
    fcl_trainer *trainer;
    assert_ok(fcl_trainer_create(device, &s->data, &s->train, &trainer));
    assert_ok(fcl_trainer_run(trainer, NULL));
    size_t bytes = fcl_params_bytes(fcl_model_params(fcl_trainer_model(trainer)));
    o->weights = malloc(bytes);
    o->count = bytes / sizeof *o->weights;
    assert_ok(fcl_buffer_read(fcl_trainer_weights(trainer), 0, bytes, o->weights));
    assert_ok(fcl_trainer_save(trainer, scratch_path("few.safetensors")));
    fcl_trainer_destroy(&trainer);
}

static outcome run_form(const sizes *s, const char *row_group)
{
    outcome o = {0};
    fcl_device *device;
    fcl_checkpoint *checkpoint;
    setenv("FLOWCL_ROW_GROUP", row_group, 1);
    assert_ok(fcl_device_open(NULL, NULL, &device));
    train(device, s, &o);
    assert_ok(fcl_checkpoint_open(scratch_path("few.safetensors"), &checkpoint));
    o.status = fcl_sample(device, checkpoint, &s->sample, &o.samples, NULL);
    fcl_checkpoint_close(&checkpoint);
    fcl_device_close(&device);
    unsetenv("FLOWCL_ROW_GROUP");
    return o;
}

static void free_outcome(outcome *o)
{
    fcl_array_destroy(&o->samples);
    free(o->weights);
}

/* --- both --- */

static bool agree(const char *what, const float *a, const float *b, size_t count, double bound)
{
    for (size_t i = 0; i < count; i++)
        if (a[i] != b[i] && !(isnan(a[i]) && isnan(b[i])) &&
            !(fabs((double)a[i] - (double)b[i]) <= bound * fmax(1, fabs((double)a[i])))) {
            print_error("%s %zu: %.9g in a block, %.9g alone\n", what, i, (double)a[i], (double)b[i]);
            return false;
        }
    return true;
}

static void check_sizes(const sizes *s)
{
    outcome block = run_form(s, "1"), alone = run_form(s, "64");
    bool right = block.status == alone.status && agree("weight", block.weights, alone.weights, alone.count, 1e-4);
    if (right && alone.samples)
        right = agree("sample", block.samples->data, alone.samples->data,
                      (size_t)fcl_shape_size(alone.samples->shape), 2e-3);
    if (!right)
        tell(s);
    assert_true(right);
    free_outcome(&block);
    free_outcome(&alone);
}

/* All of it is one, with every loss. */
static void everything_is_one(void **state)
{
    (void)state;
    for (int loss = 0; fcl_loss_name(loss); loss++) {
        sizes s = {.size = 1};
        s.values[0] = (float)trial_normal();
        s.data = (fcl_dataset){.name = "one number", .count = 1, .shape = FCL_SHAPE(1), .values = s.values};
        s.train = (fcl_train_options){.data = "one number", .steps = STEPS, .batch = 1, .lr = 0.05f, .epsilon = 1,
                                      .model = {.width = 1, .depth = 1}, .objective = {.loss = fcl_loss_name(loss)}};
        s.sample = (fcl_sample_options){.n = 1, .steps = 2, .solver = loss ? "euler" : "bosh3"};
        check_sizes(&s);
    }
}

static void few_of_everything(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        sizes s;
        draw_sizes(&s);
        draw_rows(&s);
        check_sizes(&s);
    }
}

int main(void)
{
    trial_seed();
    setenv("POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable", 0); /* kernels are compiled longer than they run here */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_one),
        cmocka_unit_test(few_of_everything),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
