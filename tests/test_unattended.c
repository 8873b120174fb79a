/* A training that is left alone: stopped and gone on with, whatever it draws on the way, it ends with the same bits; its
 * pictures are of the same noise; and it takes the memory that it has told of. */
#include "class_pictures.h"
#include "rig.h"

#include <flowcl/flowcl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { COUNT = 31, BATCH = 12, STEPS = 6, STOP = 3 }; /* the set ends in the third step, and in the last */

/* --- a model that drops --- */

typedef struct layers {
    fcl_layer_linear in, out;
    fcl_layer_dropout drop;
    int label;
} layers;

static int declare(const fcl_model *model, fcl_params *params, void **made)
{
    const float *share = fcl_model_data(model);
    int64_t size = fcl_shape_size(fcl_model_sample(model));
    layers *l = *made = fcl_zalloc(sizeof *l);
    l->in = fcl_linear_declare(params, size + 1, 16, "in");
    l->label = fcl_embedding_declare(params, fcl_model_labels(model), 16, "label");
    l->drop = fcl_dropout_declare(params, *share, "drop");
    l->out = fcl_linear_declare(params, 16, size, "out");
    return FCL_OK;
}

static fcl_tensor *velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    const layers *l = fcl_model_layers(model);
    fcl_tensor *h = fcl_linear_build(l->in, weights, fcl_concat(2, (fcl_tensor *[]){in->x, in->t}, 1));
    h = fcl_silu(fcl_add(h, fcl_embedding_build(l->label, weights, in->label)));
    return fcl_linear_build(l->out, weights, fcl_dropout_build(l->drop, h, in->training));
}

static float half = 0.5f, none = 0;
static const fcl_model_row dropping = {.name = "net", .declare = declare, .velocity = velocity, .data = &half};
static const fcl_model_row keeping = {.name = "net", .declare = declare, .velocity = velocity, .data = &none};

/* --- stopping and going on --- */

/* What a training draws, or reads, on its way. */
enum { MIRRORED = 1, DROPPED = 2, LABELS_DROPPED = 4, STREAMED = 8, IN_PARTS = 16, PAIRED = 32, HELD_OUT = 64 };
enum { ALL = 127 };

/* Pictures in a folder, of three classes. */
static void write_pictures(void)
{
    for (int i = 0; i < COUNT; i++)
        write_class_picture(i, 5, 4);
}

static fcl_train_options options_of(unsigned with)
{
    return (fcl_train_options){.data = "set",
                               .steps = STEPS,
                               .batch = BATCH,
                               .seed = 7,
                               .lr = 0.01f,
                               .model = {.own = with & DROPPED ? &dropping : &keeping},
                               .labels = true,
                               .hflip = with & MIRRORED,
                               .label_drop = with & LABELS_DROPPED ? 0.5f : 0,
                               .stream_data = with & STREAMED,
                               .accumulate = with & IN_PARTS ? 3 : 1,
                               .objective = {.coupling = with & PAIRED ? "ot" : NULL},
                               .coupling_batch = with & PAIRED ? 2 * BATCH : 0,
                               .held_out = with & HELD_OUT ? 4 : 0};
}

/* Steps up to `until`, after those of the checkpoint `from` where that is not NULL; saved as `name`. */
static void train(const fcl_dataset *data, unsigned with, const char *from, int until, const char *name)
{
    fcl_trainer *trainer;
    fcl_train_options options = options_of(with);
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    if (from)
        assert_ok(fcl_trainer_resume(trainer, scratch_path(from)));
    while (fcl_trainer_steps(trainer) < until) {
        double loss;
        assert_ok(fcl_trainer_step(trainer));
        if (with & HELD_OUT && until == STEPS) /* whether it is looked at changes nothing */
            assert_ok(fcl_trainer_held_out_loss(trainer, &loss));
    }
    assert_ok(fcl_trainer_save(trainer, scratch_path(name)));
    fcl_trainer_destroy(&trainer);
}

/* The whole of a checkpoint: parameters, averages and moments, and what it tells of itself. */
static char *content(const char *name, size_t *size)
{
    struct stat info;
    const char *path = scratch_path(name);
    FILE *file = fopen(path, "rb");
    assert_true(file && stat(path, &info) == 0);
    *size = (size_t)info.st_size;
    char *bytes = malloc(*size);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static bool are_same(const char *left, const char *right)
{
    size_t size, other;
    char *a = content(left, &size), *b = content(right, &other);
    bool same = size == other && memcmp(a, b, size) == 0;
    free(a);
    free(b);
    return same;
}

static void check_resumed(unsigned with)
{
    fcl_dataset *data;
    fcl_dataset_options which = {.stream = with & STREAMED};
    assert_ok(fcl_dataset_open(scratch_path("set"), &which, &data));
    assert_true((data->pictures != NULL) == ((with & STREAMED) != 0));
    train(data, with, NULL, STEPS, "whole.safetensors");
    train(data, with, NULL, STOP, "half.safetensors");
    train(data, with, "half.safetensors", STEPS, "resumed.safetensors");
    fcl_dataset_destroy(&data);
    if (!are_same("whole.safetensors", "resumed.safetensors"))
        fail_msg("a training of %u that was resumed is another", with);
    assert_false(are_same("whole.safetensors", "half.safetensors"));
}

/* In pairs, all together, and that with a part held out, and rows paired over two steps, between which it stops. */
static void a_resumed_run_ends_with_the_same_bits(void **state)
{
    (void)state;
    write_pictures();
    for (unsigned one = 1; one < PAIRED; one *= 2)
        for (unsigned other = 2 * one; other < PAIRED; other *= 2)
            check_resumed(one | other);
    check_resumed(PAIRED - 1);
    check_resumed(ALL);
}

/* --- pictures on the way --- */

enum { DRAWN = 5, MOST_DRAWN = 8 };

typedef struct gallery {
    float *samples[MOST_DRAWN];
    size_t bytes;
    int count;
} gallery;

static int keep_samples(void *data, int64_t step, const fcl_array *samples)
{
    gallery *all = data;
    (void)step;
    assert_true(all->count < MOST_DRAWN);
    all->bytes = (size_t)fcl_shape_size(samples->shape) * sizeof(float);
    all->samples[all->count] = malloc(all->bytes);
    memcpy(all->samples[all->count++], samples->data, all->bytes);
    return FCL_OK;
}

/* At a rate that moves no weight, all pictures of a run, and of what goes on with it, are the same. */
static void check_noise(const char *source, bool labels)
{
    gallery all = {0};
    fcl_train_hooks hooks = {.data = &all, .samples = DRAWN, .sampled = keep_samples};
    char out[4096];
    snprintf(out, sizeof out, "%s-%d", scratch_path(source ? "set-source" : "normal"), labels);
    fcl_train_options options = {.data = "moons",
                                 .data_count = 100,
                                 .out = out,
                                 .source = source,
                                 .steps = 4,
                                 .batch = 16,
                                 .seed = 5,
                                 .lr = 1e-30f,
                                 .ema = "off",
                                 .schedule = "constant",
                                 .labels = labels,
                                 .samples_every = 2,
                                 .model = {.width = 8, .depth = 1}};
    assert_ok(fcl_train(&options, &hooks));
    options.steps = 6;
    options.resume = true;
    assert_ok(fcl_train(&options, &hooks));
    assert_int_equal(all.count, 3);
    assert_memory_not_equal(all.samples[0], all.samples[0] + 2, 2 * sizeof(float)); /* a row is not the next */
    for (int i = 1; i < all.count; i++)
        assert_memory_equal(all.samples[i], all.samples[0], all.bytes);
    for (int i = 0; i < all.count; i++)
        free(all.samples[i]);
}

static void pictures_are_of_the_same_noise(void **state)
{
    (void)state;
    check_noise(NULL, false);
    check_noise(NULL, true);
    check_noise("rings", true);
}

/* --- memory --- */

static int keep_plan(void *data, const fcl_train_start *start)
{
    *(fcl_train_memory *)data = start->memory;
    return FCL_OK;
}

static int ignore_samples(void *data, int64_t step, const fcl_array *samples)
{
    (void)data, (void)step, (void)samples;
    return FCL_OK;
}

/* What the steps hold, and the most that was ever there, are what was told, but for a few counters. */
static int check_plan(void *data, fcl_device *used)
{
    enum { SPARE = 4096 };
    const fcl_train_memory *plan = data;
    uint64_t now = fcl_device_memory(used), peak = fcl_device_memory_peak(used);
    uint64_t parts = plan->weights + plan->gradients + plan->moments + plan->average + plan->activations + plan->data;
    assert_true(plan->total == parts + plan->samples);
    assert_true(now <= parts && parts <= now + SPARE);
    assert_true(peak <= plan->total + SPARE && plan->total <= peak + SPARE);
    return FCL_OK;
}

static void check_memory(fcl_train_options options, bool drawn)
{
    fcl_train_memory plan;
    fcl_train_hooks hooks = {.data = &plan, .start = keep_plan, .finish = check_plan};
    if (drawn)
        hooks.sampled = ignore_samples;
    hooks.samples = FCL_SAMPLES_OF_A_PICTURE;
    options.data = "moons";
    options.data_count = 3000;
    options.steps = 4;
    options.batch = 1024;
    options.samples_every = 2;
    options.model = (fcl_model_options){.model = "mlp", .width = 256, .depth = 3}; /* more than the self-test takes */
    assert_ok(fcl_train(&options, &hooks));
    assert_true((plan.samples > 0) == drawn);
}

static void the_memory_is_as_told(void **state)
{
    (void)state;
    if (trial_tiny())
        skip();
    check_memory((fcl_train_options){0}, false);
    check_memory((fcl_train_options){0}, true);
    check_memory((fcl_train_options){.stream_data = true, .accumulate = 4, .labels = true}, true);
    check_memory((fcl_train_options){.recompute = true, .source = "rings"}, true);
    check_memory((fcl_train_options){.held_out = 0.1, .held_out_every = 2}, true);
    check_memory((fcl_train_options){.stream_data = true, .objective = {.coupling = "ot"}, .coupling_batch = 2048}, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resumed_run_ends_with_the_same_bits),
        cmocka_unit_test(pictures_are_of_the_same_noise),
        cmocka_unit_test(the_memory_is_as_told),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
