/* Models of the caller's: trained, resumed, sampled as those of the table are, and known by their names in checkpoints.
 */
#include "rig.h"

#include "learn/learner.h"
#include "train/checkpoint.h"
#include "train/options.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

/* --- the table's mlp, of two hidden layers and without features of time, once more by public functions alone --- */

typedef struct layers {
    fcl_layer_linear layer[3];
    int label;
} layers;

static int declare_again(const fcl_model *model, fcl_params *params, void **made)
{
    int64_t size = fcl_shape_size(fcl_model_sample(model)), width = fcl_model_options_of(model)->width;
    layers *l = *made = malloc(sizeof *l);
    assert_non_null(l);
    int64_t in = size + 1 + (fcl_model_classes(model) ? 32 : 0);
    l->layer[0] = fcl_linear_declare(params, in, width, "layers.0");
    l->layer[1] = fcl_linear_declare(params, width, width, "layers.1");
    l->layer[2] = fcl_linear_declare(params, width, size, "layers.2");
    if (fcl_model_classes(model))
        l->label = fcl_embedding_declare(params, fcl_model_classes(model), 32, "label");
    ++*(int *)fcl_model_data(model);
    return FCL_OK;
}

static fcl_tensor *velocity_again(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    const layers *l = fcl_model_layers(model);
    fcl_tensor *parts[] = {in->x, in->t, in->label ? fcl_embedding_build(l->label, weights, in->label) : NULL};
    fcl_tensor *h = fcl_concat(in->label ? 3 : 2, parts, 1);
    for (int i = 0; i < 2; i++)
        h = fcl_silu(fcl_linear_build(l->layer[i], weights, h));
    return fcl_linear_build(l->layer[2], weights, h);
}

static int declared;
static const fcl_option_use reads_width[] = {{"width", "16"}, {0}};
static const fcl_model_row again = {
    .name = "again", .uses = reads_width, .declare = declare_again, .velocity = velocity_again, .data = &declared};

/* --- the same with each weight kept as (in, out), the other way round than in PyTorch --- */

static void declare_turned(fcl_params *params, int64_t in, int64_t out, const char *name)
{
    const fcl_param weight = {
        .shape = FCL_SHAPE(in, out), .order = {1, 0}, .init = FCL_INIT_UNIFORM, .scale = (float)(1 / sqrt((double)in))};
    const fcl_param bias = {
        .shape = FCL_SHAPE(out), .init = FCL_INIT_UNIFORM, .scale = weight.scale, .undecayed = true};
    fcl_params_add(params, &weight, "%s.weight", name);
    fcl_params_add(params, &bias, "%s.bias", name);
}

static int declare_turned_net(const fcl_model *model, fcl_params *params, void **made)
{
    int64_t size = fcl_shape_size(fcl_model_sample(model)), width = fcl_model_options_of(model)->width;
    (void)made;
    declare_turned(params, size + 1, width, "layers.0");
    declare_turned(params, width, width, "layers.1");
    declare_turned(params, width, size, "layers.2");
    return FCL_OK;
}

static fcl_tensor *velocity_turned(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    (void)model;
    fcl_tensor *h = fcl_concat(2, (fcl_tensor *[]){in->x, in->t}, 1);
    for (int i = 0; i < 3; i++) {
        h = fcl_add(fcl_matmul(h, weights[2 * i], false, false), weights[2 * i + 1]);
        h = i < 2 ? fcl_silu(h) : h;
    }
    return h;
}

static const fcl_model_row turned = {
    .name = "turned", .uses = reads_width, .declare = declare_turned_net, .velocity = velocity_turned};

/* --- training --- */

static fcl_train_options small(const fcl_model_row *own, const char *folder)
{
    fcl_train_options options = {.data = "moons",
                                 .data_count = 200,
                                 .out = folder ? scratch_path(folder) : NULL,
                                 .steps = 12,
                                 .batch = 16,
                                 .seed = (uint64_t)trial_int(1, 1000),
                                 .lr = 0.01f,
                                 .model = {.own = own, .width = 8}};
    if (!own)
        options.model.depth = 2;
    return options;
}

static void read_file(const char *path, uint8_t **bytes, size_t *size)
{
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    fseek(stream, 0, SEEK_END);
    *size = (size_t)ftell(stream);
    rewind(stream);
    *bytes = malloc(*size);
    assert_int_equal(fread(*bytes, 1, *size, stream), *size);
    fclose(stream);
}

static fcl_checkpoint *open_with(const char *folder, const fcl_model_row *own)
{
    fcl_checkpoint *checkpoint;
    assert_ok(fcl_checkpoint_open_with(scratch_path(folder), &(fcl_foreign_options){.own = own}, &checkpoint));
    return checkpoint;
}

/* Both files' tensors are the same by names and shapes, and differ in no number by more than the bound. */
static void compare_tensors(const fcl_checkpoint *a, const fcl_checkpoint *b, double bound)
{
    assert_int_equal(a->file.count, b->file.count);
    for (int i = 0; i < a->file.count; i++) {
        const fcl_safetensor *one = &a->file.tensors[i], *two = fcl_safetensors_find(&b->file, one->name);
        assert_non_null(two);
        assert_int_equal(one->shape.rank, two->shape.rank);
        for (int d = 0; d < one->shape.rank; d++)
            assert_int_equal(one->shape.dim[d], two->shape.dim[d]);
        for (size_t e = 0; e < one->bytes / sizeof(float); e++) {
            float left, right;
            memcpy(&left, (const char *)one->data + e * sizeof left, sizeof left);
            memcpy(&right, (const char *)two->data + e * sizeof right, sizeof right);
            if (!(fabs((double)left - right) <= bound))
                fail_msg("%s: number %zu is %.9g, and %.9g", one->name, e, (double)left, (double)right);
        }
    }
}

static fcl_array *sample(const fcl_checkpoint *checkpoint)
{
    fcl_array *samples;
    assert_ok(fcl_sample(device, checkpoint, &(fcl_sample_options){.n = 20, .seed = 5, .steps = 10}, &samples, NULL));
    return samples;
}

/* The table's model and the caller's same one learn and draw the same, to the last bit, with labels and without. */
static void test_is_as_the_table_s(void **state)
{
    (void)state;
    for (int labels = 0; labels < 2; labels++) {
        fcl_train_options own = small(&again, labels ? "own1" : "own0"), row = small(NULL, labels ? "row1" : "row0");
        own.seed = row.seed;
        own.labels = row.labels = labels;
        declared = 0;
        assert_ok(fcl_train(&own, NULL));
        assert_true(declared > 0);
        assert_ok(fcl_train(&row, NULL));
        fcl_checkpoint *mine = open_with(labels ? "own1" : "own0", &again),
                       *theirs = open_with(labels ? "row1" : "row0", NULL);
        assert_ptr_equal(fcl_checkpoint_describe(mine)->options->model.own, &again);
        assert_int_equal(fcl_checkpoint_describe(mine)->options->model.width, 8);
        compare_tensors(mine, theirs, 0);
        fcl_array *drawn = sample(mine), *expected = sample(theirs);
        assert_memory_equal(drawn->data, expected->data, 40 * sizeof(float));
        fcl_array *density, *of_row;
        assert_ok(fcl_log_density(device, mine, &(fcl_sample_options){.steps = 4}, drawn, NULL, &density, NULL));
        assert_ok(fcl_log_density(device, theirs, &(fcl_sample_options){.steps = 4}, drawn, NULL, &of_row, NULL));
        assert_memory_equal(density->data, of_row->data, 40 * sizeof(float));
        fcl_array_destroy(&density);
        fcl_array_destroy(&of_row);
        fcl_array_destroy(&drawn);
        fcl_array_destroy(&expected);
        fcl_checkpoint_close(&mine);
        fcl_checkpoint_close(&theirs);
    }
}

/* Stopping in between makes no difference, to the last bit; the trainer takes it from data in memory, too. */
static void test_goes_on(void **state)
{
    (void)state;
    fcl_train_options whole = small(&turned, "whole"), half = small(&turned, "half");
    half.seed = whole.seed;
    whole.schedule = half.schedule = "constant";
    whole.weight_decay = half.weight_decay = 0.1f;
    half.steps = 5;
    assert_ok(fcl_train(&whole, NULL));
    assert_ok(fcl_train(&half, NULL));
    half.steps = whole.steps;
    half.resume = true;
    assert_ok(fcl_train(&half, NULL));
    uint8_t *one, *two;
    size_t size, size_two;
    char *path;
    assert_ok(fcl_checkpoint_newest(whole.out, &path));
    read_file(path, &one, &size);
    fcl_free(path);
    assert_ok(fcl_checkpoint_newest(half.out, &path));
    read_file(path, &two, &size_two);
    fcl_free(path);
    assert_int_equal(size, size_two);
    assert_memory_equal(one, two, size);
    free(one);
    free(two);
}

/* What is kept in another order stands in the checkpoint as PyTorch has it: the weights, averages and moments there are
 * those of the table's model, which learns the same but for rounding and the biases, that decay. */
static void test_order_of_the_file(void **state)
{
    (void)state;
    fcl_train_options own = small(&turned, "turned"), row = small(NULL, "plain");
    own.seed = row.seed;
    own.lr = row.lr = 1e-3f;
    assert_ok(fcl_train(&own, NULL));
    assert_ok(fcl_train(&row, NULL));
    fcl_checkpoint *mine = open_with("turned", &turned), *theirs = open_with("plain", NULL);
    compare_tensors(mine, theirs, 1e-4);
    fcl_checkpoint_close(&theirs);
    fcl_checkpoint_close(&mine);

    /* And it begins with the weights of a file whose names are its own, or another program's. */
    fcl_train_options further = small(&turned, "further");
    further.init = scratch_path("turned");
    assert_ok(fcl_train(&further, NULL));
    fcl_dataset *data;
    fcl_trainer *trainer;
    fcl_train_options alone = small(&turned, NULL);
    assert_ok(fcl_dataset_open("moons", &(fcl_dataset_options){.count = 50}, &data));
    assert_ok(fcl_trainer_create(device, data, &alone, &trainer));
    for (int step = 0; step < 3; step++)
        assert_ok(fcl_trainer_step(trainer));
    double loss;
    assert_ok(fcl_trainer_loss(trainer, &loss));
    assert_true(loss > 0 && isfinite(loss));
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
}

/* Its decay leaves biases alone: with a loss that has no gradient in them they stay; the weights shrink by what the
 * formula says. */
static fcl_tensor *constant_velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    return fcl_scale(velocity_turned(model, weights, in), 0);
}

static void test_decay(void **state)
{
    (void)state;
    static const fcl_model_row still = {
        .name = "still", .uses = reads_width, .declare = declare_turned_net, .velocity = constant_velocity};
    enum { STEPS = 4 };
    fcl_train_options options = small(&still, NULL);
    options.schedule = "constant";
    options.weight_decay = 2;
    options.lr = 0.05f;
    fcl_dataset *data;
    fcl_trainer *trainer;
    assert_ok(fcl_dataset_open("moons", &(fcl_dataset_options){.count = 50}, &data));
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    const fcl_params *params = fcl_model_params(fcl_trainer_model(trainer));
    size_t bytes = fcl_params_bytes(params);
    float *before = malloc(bytes), *after = malloc(bytes);
    assert_ok(fcl_buffer_read(fcl_trainer_weights(trainer), 0, bytes, before));
    for (int step = 0; step < STEPS; step++)
        assert_ok(fcl_trainer_step(trainer));
    assert_ok(fcl_buffer_read(fcl_trainer_weights(trainer), 0, bytes, after));
    for (int i = 0; i < fcl_params_count(params); i++) {
        const fcl_param *slice = fcl_params_at(params, i);
        double shrinks = slice->undecayed ? 1 : pow(1 - 0.05 * 2, STEPS);
        for (int64_t e = 0; e < fcl_shape_size(slice->shape); e++) {
            double was = before[slice->offset / sizeof(float) + (size_t)e];
            assert_float_equal(after[slice->offset / sizeof(float) + (size_t)e], was * shrinks, 1e-6);
        }
    }
    free(before);
    free(after);
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
}

/* --- what is refused --- */

static int refuse_declare(const fcl_model *model, fcl_params *params, void **made)
{
    (void)params, (void)made;
    return fcl_model_refuse("samples of %lld numbers are no pictures",
                            (long long)fcl_shape_size(fcl_model_sample(model)));
}

static int declare_twice(const fcl_model *model, fcl_params *params, void **made)
{
    declare_turned_net(model, params, made);
    return declare_turned_net(model, params, made);
}

static void check_refused(fcl_model_row row, fcl_model_options options, const char *told)
{
    fcl_model *model;
    options.own = &row;
    assert_status(FCL_ERR_ARGUMENT, fcl_model_create(&options, FCL_SHAPE(2), 0, &model));
    assert_told(told);
    assert_null(model);
}

static void test_refused(void **state)
{
    (void)state;
    fcl_model_row row = turned;
    check_refused(row, (fcl_model_options){.depth = 3}, "depth has no use with the model turned, which reads width");
    check_refused(row, (fcl_model_options){.model = "mlp"}, "model has no use with the model turned");
    check_refused(row, (fcl_model_options){.width = -1}, "width");
    row.uses = NULL;
    check_refused(row, (fcl_model_options){.width = 8}, "which reads no option of this kind");
    row = turned;
    row.name = "mlp";
    check_refused(row, (fcl_model_options){0}, "cannot be called mlp");
    row.name = "";
    check_refused(row, (fcl_model_options){0}, "needs a name");
    row = turned;
    row.velocity = NULL;
    check_refused(row, (fcl_model_options){0}, "needs a name, declare and velocity");
    row = turned;
    row.declare = refuse_declare;
    check_refused(row, (fcl_model_options){0}, "samples of 2 numbers are no pictures");
    row.declare = declare_twice;
    check_refused(row, (fcl_model_options){0}, "two slices of the name layers.0.weight");

    fcl_train_options options = small(&again, "refused");
    options.model.residual = true;
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&options, NULL));
    assert_told("residual has no use with the model again");
    assert_status(FCL_ERR_ARGUMENT, fcl_model_check(&options.model));
    assert_true(fcl_model_reads(NULL, "depth") && fcl_model_reads("mlp", "model"));
    assert_false(fcl_model_reads("mlp", "heads") || fcl_model_reads("none", "width"));
}

/* A checkpoint of a caller's model opens with that model alone. */
static void test_opens_with_its_model(void **state)
{
    (void)state;
    fcl_train_options own = small(&again, "again"), row = small(NULL, "table");
    fcl_checkpoint *checkpoint;
    assert_ok(fcl_train(&own, NULL));
    assert_ok(fcl_train(&row, NULL));
    assert_status(FCL_ERR_ARGUMENT, fcl_checkpoint_open(own.out, &checkpoint));
    assert_told("is of the model again of the program that trained it");
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_checkpoint_open_with(own.out, &(fcl_foreign_options){.own = &turned}, &checkpoint));
    assert_told("is of the model again, not of the caller's turned");
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_checkpoint_open_with(row.out, &(fcl_foreign_options){.own = &turned}, &checkpoint));
    assert_told("not of the caller's turned");
    fcl_train_options other = small(&turned, "again");
    other.resume = true;
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&other, NULL));
    assert_told("is of the model again");
}

/* --- weights of another program --- */

static int declare_line(const fcl_model *model, fcl_params *params, void **made)
{
    int64_t size = fcl_shape_size(fcl_model_sample(model));
    (void)made;
    fcl_linear_declare(params, size + 1, size, "only");
    return FCL_OK;
}

static fcl_tensor *velocity_line(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    (void)model;
    return fcl_linear(fcl_concat(2, (fcl_tensor *[]){in->x, in->t}, 1), weights[0], weights[1]);
}

/* By the caller's model alone, without a configuration; two steps of Euler by hand: v = W (x, t) + b. */
static void test_foreign_weights(void **state)
{
    (void)state;
    static const fcl_model_row line = {.name = "line", .declare = declare_line, .velocity = velocity_line};
    static const char header[] = "{\"only.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                                 "\"only.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]}}";
    enum { LENGTH = sizeof header - 1, ROWS = 5 };
    uint8_t content[8 + LENGTH + 8 * sizeof(float)] = {LENGTH};
    float w[8];
    for (int i = 0; i < 8; i++)
        w[i] = (float)trial_normal();
    memcpy(content + 8, header, LENGTH);
    memcpy(content + 8 + LENGTH, w, sizeof w);
    const char *path = scratch_write("theirs.safetensors", content, sizeof content);
    fcl_checkpoint *checkpoint;
    fcl_array *x, *moved;
    assert_status(FCL_ERR_FORMAT, fcl_checkpoint_open(path, &checkpoint));
    checkpoint = open_with("theirs.safetensors", &line);
    assert_int_equal(fcl_shape_size(fcl_checkpoint_describe(checkpoint)->sample), 2);
    assert_ok(fcl_array_create(FCL_SHAPE(ROWS, 2), &x));
    for (int i = 0; i < 2 * ROWS; i++)
        x->data[i] = (float)trial_normal();
    assert_ok(fcl_transport(device, checkpoint, &(fcl_sample_options){.steps = 2}, x, NULL, false, &moved, NULL));
    for (int row = 0; row < ROWS; row++) {
        double at[2] = {x->data[2 * row], x->data[2 * row + 1]};
        for (int step = 0; step < 2; step++) {
            double v0 = w[0] * at[0] + w[1] * at[1] + w[2] * step / 2 + w[6];
            double v1 = w[3] * at[0] + w[4] * at[1] + w[5] * step / 2 + w[7];
            at[0] += v0 / 2;
            at[1] += v1 / 2;
        }
        for (int k = 0; k < 2; k++)
            assert_float_equal(moved->data[2 * row + k], at[k], 1e-5 * (1 + fabs(at[k])));
    }
    fcl_array_destroy(&x);
    fcl_array_destroy(&moved);
    fcl_checkpoint_close(&checkpoint);
}

/* What a caller's model says of its training stands in the place of the table's, or is refused. */
static void a_model_says_how_it_is_trained(void **state)
{
    static const fcl_option_use good[] = {{"lr", "0.125"}, {"clip", "off"}, {0}}, unknown[] = {{"steps", "3"}, {0}},
                                bad[] = {{"lr", "fast"}, {0}};
    (void)state;
    fcl_model_row row = again;
    fcl_train_options train = {.data = "moons", .model.own = &row}, filled;
    fcl_arena strings = {0};
    row.training = good;
    assert_ok(fcl_train_options_fill(&train, NULL, &strings, &filled));
    assert_true(filled.lr == 0.125f && filled.clip == FCL_OFF && strcmp(filled.ema, "0.999") == 0);
    train.lr = 0.5f;
    assert_ok(fcl_train_options_fill(&train, NULL, &strings, &filled));
    assert_true(filled.lr == 0.5f);
    row.training = unknown;
    assert_status(FCL_ERR_ARGUMENT, fcl_train_options_check(&train));
    assert_told("the model again gives no default of training by \"steps\"");
    row.training = bad;
    assert_status(FCL_ERR_ARGUMENT, fcl_train_options_check(&train));
    assert_told("the default lr of the model again: \"fast\" is not usable");
    fcl_arena_free(&strings);
}

/* Pictures whose sides the U-Net can halve twice have it where nobody chose, and what trains it; all else the mlp. */
static void test_chosen_by_the_data(void **state)
{
    static const struct {
        fcl_shape sample;
        const char *model;
    } rows[] = {{FCL_SHAPE(1, 28, 28), "unet"}, {FCL_SHAPE(3, 32, 8), "unet"},   {FCL_SHAPE(1, 27, 28), "mlp"},
                {FCL_SHAPE(1, 28, 30), "mlp"},  {FCL_SHAPE(2, 28, 28), "mlp"},   {FCL_SHAPE(1, 4, 4), "mlp"},
                {FCL_SHAPE(28, 28), "mlp"},     {FCL_SHAPE(784), "mlp"},         {FCL_SHAPE(20, 3), "mlp"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fcl_train_options filled;
        fcl_arena strings = {0};
        fcl_model *model;
        bool unet = strcmp(rows[i].model, "unet") == 0;
        assert_string_equal(fcl_model_for(rows[i].sample), rows[i].model);
        assert_ok(fcl_train_options_fill(&(fcl_train_options){.data = "x"}, &rows[i].sample, &strings, &filled));
        assert_string_equal(filled.model.model, rows[i].model);
        assert_true(filled.batch == (unet ? 64 : 256) && filled.lr == (unet ? 0.001f : 0.005f));
        assert_true(filled.model.channels == (unet ? 32 : 0) && filled.model.width == (unet ? 0 : 128));
        assert_ok(fcl_model_create(&(fcl_model_options){0}, rows[i].sample, 0, &model));
        assert_string_equal(fcl_model_options_of(model)->model, rows[i].model);
        fcl_model_destroy(&model);
        fcl_arena_free(&strings);
    }
}

/* Before the data are known an option of training stays open, and what no model could do is refused. */
static void test_chosen_later(void **state)
{
    fcl_train_options filled;
    fcl_arena strings = {0};
    (void)state;
    assert_ok(fcl_train_options_fill(&(fcl_train_options){.data = "x", .accumulate = 128}, NULL, &strings, &filled));
    assert_true(!filled.model.model && !filled.batch && filled.lr == 0 && !filled.schedule);
    assert_true(filled.steps == 5000 && filled.objective.path);
    fcl_options *bound = fcl_options_create();
    assert_ok(fcl_train_options_bind(bound, &filled));
    char *yaml = fcl_options_to_yaml(bound), *json = fcl_options_to_json(bound), *help = fcl_options_help(bound, 1000);
    assert_true(strstr(yaml, "\nsteps: 5000") && !strstr(yaml, "\nlr:") && !strstr(yaml, "\nmodel:") && !strstr(yaml, "\nwidth:"));
    assert_true(strstr(json, "\"accumulate\": 128") && !strstr(json, "\"batch\"") && !strstr(json, "\"channels\""));
    assert_true(strstr(help, "learning rate (default differs;") && strstr(help, "--patch N"));
    fcl_free(yaml);
    fcl_free(json);
    fcl_free(help);
    fcl_options_destroy(&bound);
    fcl_arena_free(&strings);
    assert_status(FCL_ERR_ARGUMENT, fcl_train_options_check(&(fcl_train_options){.data = "x", .accumulate = 3}));
    assert_told("a batch of 256 cannot be computed in 3 equal parts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_as_the_table_s), cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_order_of_the_file), cmocka_unit_test(test_decay),
        cmocka_unit_test(test_refused),           cmocka_unit_test(test_opens_with_its_model),
        cmocka_unit_test(test_foreign_weights),   cmocka_unit_test(a_model_says_how_it_is_trained),
        cmocka_unit_test(test_chosen_by_the_data), cmocka_unit_test(test_chosen_later),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
