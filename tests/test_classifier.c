/* The classifier of pictures: its network and its moves against plain C, that it learns, its file, stopping
 * and going on. */
#include "rig.h"

#include "base/random.h"
#include "train/classifier.h"

#include <math.h>
#include <unistd.h>

enum { SHAPES = 4, SIDE = 8, SIZE = SIDE * SIDE };

static int below(int limit)
{
    return trial_int(0, limit - 1);
}

/* --- drawn pictures: a line across, a line down, a frame, a block; anywhere, with noise --- */

static bool is_ink(int shape, int x, int y, int left, int top)
{
    int dx = x - left, dy = y - top;
    bool inside = dx >= 0 && dx < 4 && dy >= 0 && dy < 4, border = dx == 0 || dx == 3 || dy == 0 || dy == 3;
    switch (shape) {
    case 0:
        return dy == 0 && dx >= 0 && dx < 4;
    case 1:
        return dx == 0 && dy >= 0 && dy < 4;
    case 2:
        return inside && border;
    default:
        return inside;
    }
}

static fcl_dataset *draw(int count)
{
    float *values = calloc((size_t)count * SIZE, sizeof *values);
    int32_t *label = calloc((size_t)count, sizeof *label);
    char *names[] = {"across", "down", "frame", "block"};
    fcl_dataset *set, given = {.name = "shapes",
                               .count = count,
                               .shape = FCL_SHAPE(SIDE, SIDE),
                               .values = values,
                               .label = label,
                               .classes = SHAPES,
                               .class_name = names};
    assert_true(values && label);
    for (int i = 0; i < count; i++) {
        int left = below(5), top = below(5);
        label[i] = i % SHAPES;
        for (int p = 0; p < SIZE; p++)
            values[i * SIZE + p] =
                (float)(is_ink(label[i], p % SIDE, p / SIDE, left, top) + 0.2 * (trial_uniform() - 0.5));
    }
    assert_ok(fcl_dataset_from(&given, &set));
    free(values);
    free(label);
    return set;
}

static const fcl_classify_options small = {
    .steps = 80, .batch = 32, .lr = 0.005f, .shift = 1, .look_every = 10, .patience = 100, .seed = 3};

static fcl_array *all_of(const fcl_dataset *set)
{
    fcl_array *pictures;
    assert_ok(fcl_dataset_take(set, 0, set->count, &pictures));
    return pictures;
}

static void assert_same(const fcl_array *a, const fcl_array *b)
{
    assert_int_equal(fcl_shape_size(a->shape), fcl_shape_size(b->shape));
    assert_memory_equal(a->data, b->data, (size_t)fcl_shape_size(a->shape) * sizeof(float));
}

/* --- the network --- */

/* A slice of a classifier, as graphs have it; released by free. */
static float *slice_of(const fcl_classifier *judge, const char *name)
{
    int index = fcl_params_find(judge->params, name);
    assert_true(index >= 0);
    const fcl_param *slice = fcl_params_at(judge->params, index);
    size_t count = (size_t)fcl_shape_size(slice->shape);
    float *values = malloc(count * sizeof *values);
    assert_non_null(values);
    assert_ok(fcl_buffer_read(judge->weights, slice->offset, count * sizeof *values, values));
    return values;
}

typedef struct map {
    int height, width, channels;
    double *at; /* (height, width, channels) */
} map;

static map new_map(int height, int width, int channels)
{
    map made = {height, width, channels, calloc((size_t)(height * width * channels), sizeof(double))};
    assert_non_null(made.at);
    return made;
}

/* 3 x 3 with zeros around; the weight is (3, 3, in, out) in graphs. */
static map convolve(const map *x, const float *weight, const float *bias, int out)
{
    map y = new_map(x->height, x->width, out);
    for (int i = 0; i < x->height; i++)
        for (int j = 0; j < x->width; j++)
            for (int o = 0; o < out; o++) {
                double sum = bias[o];
                for (int tap = 0; tap < 9; tap++) {
                    int r = i + tap / 3 - 1, c = j + tap % 3 - 1;
                    for (int k = 0; k < x->channels && r >= 0 && r < x->height && c >= 0 && c < x->width; k++)
                        sum += x->at[(r * x->width + c) * x->channels + k] *
                               weight[(tap * x->channels + k) * out + o];
                }
                y.at[(i * x->width + j) * out + o] = sum;
            }
    return y;
}

/* Groups of channels / 8 neighbours, then relu. */
static void normalise(map *x, const float *weight, const float *bias)
{
    int each = x->channels / 8, pixels = x->height * x->width;
    for (int g = 0; g < 8; g++) {
        double mean = 0, variance = 0, n = pixels * each;
        for (int p = 0; p < pixels; p++)
            for (int c = g * each; c < (g + 1) * each; c++)
                mean += x->at[p * x->channels + c] / n;
        for (int p = 0; p < pixels; p++)
            for (int c = g * each; c < (g + 1) * each; c++)
                variance += pow(x->at[p * x->channels + c] - mean, 2) / n;
        for (int p = 0; p < pixels; p++)
            for (int c = g * each; c < (g + 1) * each; c++) {
                double *at = &x->at[p * x->channels + c];
                *at = fmax(0, (*at - mean) / sqrt(variance + 1e-5) * weight[c] + bias[c]);
            }
    }
}

/* Means of 2 x 2; what lies behind an odd side counts as zeros. */
static map halve(const map *x)
{
    map y = new_map((x->height + 1) / 2, (x->width + 1) / 2, x->channels);
    for (int i = 0; i < x->height; i++)
        for (int j = 0; j < x->width; j++)
            for (int c = 0; c < x->channels; c++)
                y.at[(i / 2 * y.width + j / 2) * x->channels + c] +=
                    x->at[(i * x->width + j) * x->channels + c] / 4;
    return y;
}

static void replace(map *x, map by)
{
    free(x->at);
    *x = by;
}

static void run_stage(const fcl_classifier *judge, int index, int out, bool halved, map *x)
{
    char name[64];
    static const char *const parts[] = {"conv.weight", "conv.bias", "norm.weight", "norm.bias"};
    float *slice[4];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "stages.%d.%s", index, parts[i]);
        slice[i] = slice_of(judge, name);
    }
    replace(x, convolve(x, slice[0], slice[1], out));
    normalise(x, slice[2], slice[3]);
    if (halved)
        replace(x, halve(x));
    for (int i = 0; i < 4; i++)
        free(slice[i]);
}

static void apply_linear(const fcl_classifier *judge, const char *name, const double *x, int in, int out,
                         double *y)
{
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    float *w = slice_of(judge, weight), *b = slice_of(judge, bias);
    for (int o = 0; o < out; o++) {
        y[o] = b[o];
        for (int i = 0; i < in; i++)
            y[o] += (double)w[o * in + i] * x[i];
    }
    free(w);
    free(b);
}

/* Pictures of three colours whose sides are odd: 9 x 11 becomes 5 x 6, and stays. */
static void the_network_is_what_the_header_says(void **state)
{
    enum { COLOURS = 3, HEIGHT = 9, WIDTH = 11, CLASSES = 5, COUNT = 3, NUMBERS = COLOURS * HEIGHT * WIDTH };
    fcl_normalisation none = {0};
    fcl_classifier_info info = {
        .picture = FCL_SHAPE(COLOURS, HEIGHT, WIDTH), .classes = CLASSES, .normalisation = &none};
    fcl_classifier *judge;
    static float x[COUNT * NUMBERS], features[COUNT * FCL_FEATURES], logits[COUNT * CLASSES];
    (void)state;
    assert_ok(fcl_classifier_make(device, &info, NULL, &judge));
    assert_ok(fcl_params_initialise(judge->params, (uint64_t)below(1000000), 7, judge->weights));
    for (int i = 0; i < COUNT * NUMBERS; i++)
        x[i] = (float)(2 * trial_uniform() - 1);
    assert_ok(fcl_classifier_run(judge, x, COUNT, features, logits));
    for (int n = 0; n < COUNT; n++) {
        map m = new_map(HEIGHT, WIDTH, COLOURS);
        double feature[FCL_FEATURES], logit[CLASSES];
        for (int c = 0; c < COLOURS; c++)
            for (int p = 0; p < HEIGHT * WIDTH; p++)
                m.at[p * COLOURS + c] = x[n * NUMBERS + c * HEIGHT * WIDTH + p];
        run_stage(judge, 0, 32, true, &m);
        run_stage(judge, 1, 64, false, &m);
        run_stage(judge, 2, 128, false, &m);
        assert_true(m.height == 5 && m.width == 6);
        apply_linear(judge, "features", m.at, 5 * 6 * 128, FCL_FEATURES, feature);
        for (int i = 0; i < FCL_FEATURES; i++)
            assert_true(fabs((feature[i] = fmax(0, feature[i])) - features[n * FCL_FEATURES + i]) < 2e-5);
        apply_linear(judge, "last", feature, FCL_FEATURES, CLASSES, logit);
        for (int i = 0; i < CLASSES; i++)
            assert_true(fabs(logit[i] - logits[n * CLASSES + i]) < 2e-5);
        free(m.at);
    }
    fcl_classifier_close(&judge);
}

/* --- moves --- */

static int held_within(int at, int limit)
{
    return at < 0 ? 0 : at >= limit ? limit - 1 : at;
}

/* By the same random bits; the matrices hold zeros and ones, so the pictures are the same to the bit. */
static void pictures_are_moved_and_mirrored(void **state)
{
    enum { ROWS = 24, COLOURS = 3, HEIGHT = 6, WIDTH = 7, SHIFT = 2, NUMBERS = COLOURS * HEIGHT * WIDTH };
    static float x[ROWS * NUMBERS], moved[ROWS * NUMBERS];
    const fcl_classifier_net net = {.channels = COLOURS, .height = HEIGHT, .width = WIDTH};
    const uint64_t seed = (uint64_t)below(1000000);
    const uint32_t step = (uint32_t)below(1000);
    int sides = 0, mirrored = 0;
    (void)state;
    for (int i = 0; i < ROWS * NUMBERS; i++)
        x[i] = (float)trial_uniform();
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *in = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(ROWS, NUMBERS));
    fcl_tensor *out = fcl_output(fcl_classifier_move(&net, in, SHIFT, true));
    assert_ok(fcl_graph_compile(graph, device, NULL));
    assert_ok(fcl_tensor_write(in, x));
    fcl_graph_random(graph, seed, step, 0);
    assert_ok(fcl_graph_run(graph));
    assert_ok(fcl_tensor_read(out, moved));
    for (int n = 0; n < ROWS; n++) {
        double u[3];
        for (int k = 0; k < 3; k++)
            u[k] = fcl_random_uniform((fcl_random){seed, FCL_STREAM_AUGMENT, step}, (uint64_t)(3 * n + k));
        int down = (int)floor(u[0] * 5) - SHIFT, across = (int)floor(u[1] * 5) - SHIFT;
        bool mirror = u[2] > 0.5;
        sides |= 1 << (down + SHIFT) | 256 << (across + SHIFT);
        mirrored += mirror;
        for (int i = 0; i < NUMBERS; i++) {
            int c = i % COLOURS, column = i / COLOURS % WIDTH, row = i / COLOURS / WIDTH;
            int from_row = held_within(row + down, HEIGHT), from = held_within(column + across, WIDTH);
            from = mirror ? WIDTH - 1 - from : from;
            float expected = x[n * NUMBERS + (c * HEIGHT + from_row) * WIDTH + from];
            assert_true(moved[n * NUMBERS + i] == expected);
        }
    }
    assert_true(mirrored > 0 && mirrored < ROWS && sides != 0);
    fcl_graph_destroy(&graph);
}

/* --- learning --- */

static void it_learns_shapes_and_is_the_same_from_its_file(void **state)
{
    fcl_dataset *data = draw(400), *fresh = draw(300);
    fcl_array *pictures = all_of(fresh), *features, *again, *few;
    fcl_classifier *judge, *opened;
    int32_t *label;
    int right = 0;
    (void)state;
    assert_ok(fcl_classifier_train(device, data, &small, NULL, scratch_path("judge"), &judge));
    assert_ok(fcl_classifier_apply(judge, pictures, &features, &label));
    for (int i = 0; i < 300; i++)
        right += label[i] == fresh->label[i];
    print_message("%d of 300 are right\n", right);
    assert_true(right > 225); /* chance: 75 */
    assert_ok(fcl_classifier_open(device, scratch_path("judge/classifier.safetensors"), &opened));
    assert_ok(fcl_classifier_apply(opened, pictures, &again, NULL));
    assert_same(features, again);
    const fcl_classifier_info *info = fcl_classifier_describe(opened);
    assert_true(info->classes == SHAPES && info->held_out == 20 && info->accuracy > 0.8 &&
                info->step % 10 == 0);
    assert_string_equal(info->class_names[2], "frame");
    assert_string_equal(info->data, "shapes");
    /* A picture's features do not depend on its company. */
    pictures->shape.dim[0] = 7;
    memmove(pictures->data, pictures->data + 13 * SIZE, 7 * SIZE * sizeof(float));
    assert_ok(fcl_classifier_apply(opened, pictures, &few, NULL));
    assert_memory_equal(few->data, features->data + 13 * FCL_FEATURES, 7 * FCL_FEATURES * sizeof(float));
    assert_int_equal(scratch_count("judge"), 1);
    assert_true(access(scratch_path("judge/training.safetensors"), F_OK) != 0);
    fcl_array_destroy(&pictures);
    fcl_array_destroy(&features);
    fcl_array_destroy(&again);
    fcl_array_destroy(&few);
    fcl_classifier_close(&judge);
    fcl_classifier_close(&opened);
    fcl_free(label);
    fcl_dataset_destroy(&data);
    fcl_dataset_destroy(&fresh);
}

static bool stop_at(void *data)
{
    return --*(int *)data == 0;
}

/* A training that was stopped and goes on ends as one that was not. */
static void it_goes_on_where_it_was_stopped(void **state)
{
    fcl_dataset *data = draw(200);
    fcl_array *pictures = all_of(data), *whole, *resumed;
    fcl_classify_options options = small;
    fcl_classifier *judge;
    int left = 14;
    fcl_classify_hooks hooks = {.data = &left, .stop = stop_at};
    (void)state;
    options.steps = 25;
    assert_ok(fcl_classifier_train(device, data, &options, NULL, scratch_path("whole"), &judge));
    assert_ok(fcl_classifier_apply(judge, pictures, &whole, NULL));
    fcl_classifier_close(&judge);
    assert_status(FCL_ERR_STOPPED,
                  fcl_classifier_train(device, data, &options, &hooks, scratch_path("part"), &judge));
    assert_told("stopped after step 14 of 25");
    assert_null(judge);
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_classifier_train(device, data, &options, NULL, scratch_path("part"), NULL));
    assert_told("go on with --resume");
    options.resume = true;
    options.batch = 16;
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_classifier_train(device, data, &options, NULL, scratch_path("part"), NULL));
    assert_told("had other options");
    options.batch = 32;
    data->values[5] += 1;
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_classifier_train(device, data, &options, NULL, scratch_path("part"), NULL));
    assert_told("had other data");
    data->values[5] = pictures->data[5];
    assert_ok(fcl_classifier_train(device, data, &options, NULL, scratch_path("part"), &judge));
    assert_ok(fcl_classifier_apply(judge, pictures, &resumed, NULL));
    assert_same(whole, resumed);
    fcl_classifier_close(&judge);
    assert_ok(fcl_classifier_train(device, data, &options, NULL, scratch_path("part"),
                                   NULL)); /* it is done already */
    fcl_array_destroy(&pictures);
    fcl_array_destroy(&whole);
    fcl_array_destroy(&resumed);
    fcl_dataset_destroy(&data);
}

/* --- what is refused --- */

static void other_data_is_refused(void **state)
{
    fcl_dataset *points, *plain, *data = draw(40);
    (void)state;
    assert_ok(fcl_dataset_open("moons", &(fcl_dataset_options){.count = 100}, &points));
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_classifier_train(device, points, &small, NULL, scratch_path("no"), NULL));
    assert_told("a classifier is of pictures");
    plain = data;
    int32_t *label = plain->label;
    plain->label = NULL;
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_classifier_train(device, plain, &small, NULL, scratch_path("no"), NULL));
    assert_told("shapes has no labels");
    plain->label = label;
    for (int i = 0; i < 40; i++)
        label[i] = 2;
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_classifier_train(device, plain, &small, NULL, scratch_path("no"), NULL));
    assert_told("pictures of one class");
    label[0] = 1;
    data->count = 1;
    label[0] = 2;
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_classifier_train(device, plain, &small, NULL, scratch_path("no"), NULL));
    data->count = 40;
    fcl_classify_options bad = {.steps = -1};
    assert_status(FCL_ERR_ARGUMENT, fcl_classify_check(&bad));
    fcl_dataset_destroy(&points);
    fcl_dataset_destroy(&data);
}

/* Of the file that a test before has left. */
static void other_files_and_pictures_are_refused(void **state)
{
    fcl_classifier *judge;
    fcl_array *pictures;
    static uint8_t bytes[1 << 23];
    FILE *file = fopen(scratch_path("judge/classifier.safetensors"), "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    (void)state;
    assert_true(size > 1000 && size < sizeof bytes);
    bytes[size - 5] ^= 1;
    assert_status(FCL_ERR_FORMAT,
                  fcl_classifier_open(device, scratch_write("bit.safetensors", bytes, size), &judge));
    assert_told("does not have the checksum");
    assert_null(judge);
    bytes[size - 5] ^= 1;
    assert_status(FCL_ERR_FORMAT,
                  fcl_classifier_open(device, scratch_write("cut.safetensors", bytes, size / 2), &judge));
    static const char plain[] = "\x36\0\0\0\0\0\0\0"
                                "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}\0\0\0";
    assert_status(
        FCL_ERR_FORMAT,
        fcl_classifier_open(device, scratch_write("w.safetensors", plain, sizeof plain), &judge));
    assert_told("not of a classifier");
    assert_status(FCL_ERR_FILE, fcl_classifier_open(device, scratch_path("nothing"), &judge));
    assert_ok(fcl_classifier_open(device, scratch_path("judge"), &judge));
    assert_ok(fcl_array_create(FCL_SHAPE(2, 5, 5), &pictures));
    assert_status(FCL_ERR_SHAPE, fcl_classifier_apply(judge, pictures, NULL, NULL));
    assert_told("(8, 8)");
    fcl_array_destroy(&pictures);
    assert_ok(fcl_array_create(FCL_SHAPE(2, 8, 8), &pictures));
    pictures->data[70] = INFINITY;
    assert_status(FCL_ERR_NUMERIC, fcl_classifier_apply(judge, pictures, NULL, NULL));
    assert_told("number 6 of picture 1");
    fcl_array_destroy(&pictures);
    fcl_classifier_close(&judge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_network_is_what_the_header_says),
        cmocka_unit_test(pictures_are_moved_and_mirrored),
        cmocka_unit_test(it_learns_shapes_and_is_the_same_from_its_file),
        cmocka_unit_test(it_goes_on_where_it_was_stopped),
        cmocka_unit_test(other_data_is_refused),
        cmocka_unit_test(other_files_and_pictures_are_refused),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
