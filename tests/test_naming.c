/* Weights of another program: which tensor is which by the names that it gave them, the types of numbers, and
 * files that are made to harm. */
#include "scratch.h"
#include "status.h"
#include "trial.h"

#include "base/memory.h"
#include "train/naming.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 128 };

static int setup(void **state)
{
    trial_seed();
    return scratch_setup(state);
}

/* --- names --- */

static int compare(const char *a, const char *b)
{
    return fcl_natural_compare(a, strlen(a), b, strlen(b));
}

static void test_natural_order(void **state)
{
    (void)state;
    static const char *const sorted[] = {"",
                                         "0",
                                         "2",
                                         "10",
                                         "a",
                                         "a1",
                                         "a1b",
                                         "a2",
                                         "a10",
                                         "b.2.c.10",
                                         "b.10.c.2",
                                         "b.10.c.11",
                                         "net",
                                         "net.0",
                                         "net.2",
                                         "net.0010",
                                         "net.12",
                                         "net.99999999999999999999",
                                         "net.100000000000000000000",
                                         "net.w"};
    int count = sizeof sorted / sizeof *sorted;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < count; k++) {
            int order = compare(sorted[i], sorted[k]);
            if ((order > 0) - (order < 0) != (i > k) - (i < k))
                fail_msg("\"%s\" and \"%s\": %d", sorted[i], sorted[k], order);
        }
    assert_int_equal(compare("net.01", "net.1"), 0);
}

/* --- pairs --- */

/* A file of tensors without numbers. */
typedef struct heap {
    fcl_safetensors file;
    fcl_safetensor tensor[MOST];
    int slice[MOST]; /* that the tensor is; -1: none */
    fcl_arena names;
} heap;

static heap *heap_create(void)
{
    heap *made = fcl_zalloc(sizeof *made);
    made->file.tensors = made->tensor;
    return made;
}

static void heap_destroy(heap *dying)
{
    fcl_arena_free(&dying->names);
    free(dying);
}

static void add(heap *to, fcl_shape shape, int slice, const char *name)
{
    to->slice[to->file.count] = slice;
    to->tensor[to->file.count++] = (fcl_safetensor){
        .name = fcl_arena_format(&to->names, "%s", name), .type = &fcl_safetensor_f32, .shape = shape};
}

static void shuffle(heap *of)
{
    for (int i = of->file.count - 1; i > 0; i--) {
        int k = trial_int(0, i), slice = of->slice[i];
        fcl_safetensor tensor = of->tensor[i];
        of->tensor[i] = of->tensor[k];
        of->slice[i] = of->slice[k];
        of->tensor[k] = tensor;
        of->slice[k] = slice;
    }
}

/* Stems with the number of the layer, times `step`, at %d. */
static void add_layers(heap *to, const fcl_params *params, const char *stem, int step, bool known)
{
    for (int i = 0; i < fcl_params_count(params); i++) {
        const fcl_param *slice = fcl_params_at(params, i);
        char name[128], *end = NULL;
        long layer = strncmp(slice->name, "layers.", 7) ? -1 : strtol(slice->name + 7, &end, 10);
        if (layer < 0) {
            add(to, slice->shape, known ? i : -1, slice->name + 1); /* "abel.weight": by its shape alone */
            continue;
        }
        const char *place = strchr(stem, '#');
        snprintf(name, sizeof name, "%.*s%ld%s%s", (int)(place - stem), stem, layer * step, place + 1, end);
        add(to, slice->shape, known ? i : -1, name);
    }
}

static fcl_model *create_model(int depth)
{
    fcl_model *model;
    fcl_model_options options = {
        .width = trial_int(1, 9), .depth = depth, .time_features = trial_int(0, 1) * 11};
    assert_ok(fcl_model_create(&options, FCL_SHAPE(trial_int(1, 5)), trial_int(0, 1) * 13, &model));
    return model;
}

static void pair(const heap *of, const fcl_params *params, fcl_naming *naming, fcl_pairing *pairing)
{
    assert_ok(fcl_naming_create(&of->file, NULL, "heap", params, naming));
    fcl_pairing_make(naming, params, pairing);
}

static void assert_pairs(const heap *of, const fcl_pairing *pairing)
{
    for (int i = 0; i < fcl_params_count(pairing->params); i++) {
        int tensor = pairing->tensor[FCL_STATE_WEIGHTS][i];
        if (tensor < 0 || of->slice[tensor] != i)
            fail_msg("%s from %s", fcl_params_at(pairing->params, i)->name,
                     tensor < 0 ? "nothing" : of->tensor[tensor].name);
    }
}

static void test_any_stem(void **state)
{
    (void)state;
    static const char *const stems[] = {"layers.#", "net.#",       "#", "module.net.#",
                                        "a.2.b#.c", "block_#.lin", "h#"};
    for (int round = 0; round < 200; round++) {
        fcl_model *model = create_model(trial_int(1, 14));
        const fcl_params *params = fcl_model_params(model);
        int kind = trial_int(0, sizeof stems / sizeof *stems - 1), step = trial_int(1, 7);
        heap *file = heap_create();
        fcl_naming naming;
        fcl_pairing pairing;
        add_layers(file, params, stems[kind], step, true);
        shuffle(file);
        pair(file, params, &naming, &pairing);
        assert_true(fcl_pairing_is_whole(&pairing));
        assert_int_equal(pairing.left, 0);
        assert_pairs(file, &pairing);
        fcl_pairing_free(&pairing);
        fcl_naming_free(&naming);
        heap_destroy(file);
        fcl_model_destroy(&model);
    }
}

/* Whatever is taken away or added is told, by its name, and nothing is taken. */
static void test_one_too_few_or_many(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        fcl_model *model = create_model(trial_int(1, 6));
        const fcl_params *params = fcl_model_params(model);
        heap *file = heap_create();
        fcl_naming naming;
        fcl_pairing pairing;
        bool fewer = round % 2;
        add_layers(file, params, trial_int(0, 1) ? "net.#" : "layers.#", 1, true);
        shuffle(file);
        const fcl_param *gone = fcl_params_at(params, file->slice[file->file.count - 1]);
        if (fewer)
            file->file.count--;
        else
            add(file, FCL_SHAPE(trial_int(1, 9)), -1, "net.77.scale");
        pair(file, params, &naming, &pairing);
        assert_false(fcl_pairing_is_whole(&pairing));
        assert_true(fewer ? pairing.missing > 0 : pairing.left > 0);
        char *faults = fcl_pairing_faults(&pairing);
        if (!strstr(faults, fewer ? gone->name : "net.77.scale ("))
            fail_msg("\"%s\" does not say %s", faults, fewer ? gone->name : "net.77.scale");
        free(faults);
        fcl_pairing_free(&pairing);
        fcl_naming_free(&naming);
        heap_destroy(file);
        fcl_model_destroy(&model);
    }
}

/* Two networks in a file are not mixed: which of them is meant is asked. */
static void test_two_of_them(void **state)
{
    (void)state;
    fcl_model *model;
    fcl_naming naming;
    fcl_pairing pairing;
    assert_ok(fcl_model_create(&(fcl_model_options){.width = 4, .depth = 3}, FCL_SHAPE(2), 0, &model));
    const fcl_params *params = fcl_model_params(model);
    heap *file = heap_create();
    add_layers(file, params, "net.#", 2, true);
    add_layers(file, params, "target.#", 2, false);
    pair(file, params, &naming, &pairing);
    assert_false(fcl_pairing_is_whole(&pairing));
    assert_int_equal(pairing.missing, fcl_params_count(params));
    assert_int_equal(pairing.left, 2 * fcl_params_count(params));
    fcl_pairing_free(&pairing);
    fcl_naming_free(&naming);
    heap_destroy(file);
    fcl_model_destroy(&model);
}

/* --- numbers --- */

static double half(unsigned bits, int exponents, int fractions)
{
    int exponent = (int)(bits >> fractions) & ((1 << exponents) - 1), bias = (1 << (exponents - 1)) - 1;
    double fraction = ldexp(bits & ((1u << fractions) - 1), -fractions);
    double size = exponent ? ldexp(1 + fraction, exponent - bias) : ldexp(fraction, 1 - bias);
    return bits >> (exponents + fractions) ? -size : size;
}

/* A file of one tensor, whose bytes are `data`. */
static void parse_one(const char *type, int64_t count, const void *data, size_t bytes, uint8_t **whole,
                      fcl_safetensors *file)
{
    char *header = fcl_format("{\"w\":{\"dtype\":\"%s\",\"shape\":[%lld],\"data_offsets\":[0,%zu]}}", type,
                              (long long)count, bytes);
    size_t length = strlen(header);
    *whole = fcl_zalloc(8 + length + bytes);
    (*whole)[0] = (uint8_t)length;
    memcpy(*whole + 8, header, length);
    memcpy(*whole + 8 + length, data, bytes);
    assert_ok(fcl_safetensors_parse(*whole, 8 + length + bytes, "bytes", file));
    free(header);
}

static void check_halves(const char *type, int exponents, int fractions)
{
    static uint16_t bits[65536];
    int64_t count = 0;
    uint8_t *whole;
    fcl_safetensors file;
    fcl_array *values;
    for (unsigned i = 0; i < 65536; i++)
        if ((i >> fractions & ((1u << exponents) - 1)) != (1u << exponents) - 1) /* is finite */
            bits[count++] = (uint16_t)i;
    parse_one(type, count, bits, (size_t)count * 2, &whole, &file);
    assert_ok(fcl_safetensor_floats(&file.tensors[0], "bytes", &values));
    for (int64_t i = 0; i < count; i++)
        if ((double)values->data[i] != half(bits[i], exponents, fractions))
            fail_msg("%s %04x is %g", type, bits[i], (double)values->data[i]);
    fcl_array_destroy(&values);
    fcl_safetensors_free(&file);
    free(whole);
}

static void test_every_half(void **state)
{
    (void)state;
    check_halves("F16", 5, 10);
    check_halves("BF16", 8, 7);
}

static void test_doubles(void **state)
{
    (void)state;
    double given[4] = {1 + 1e-9, -trial_normal(), 0.1, 3e38}, far[1] = {-1e300};
    uint8_t *whole;
    fcl_safetensors file;
    fcl_array *values;
    parse_one("F64", 4, given, sizeof given, &whole, &file);
    assert_ok(fcl_safetensor_floats(&file.tensors[0], "bytes", &values));
    for (int i = 0; i < 4; i++)
        assert_true(values->data[i] == (float)given[i]);
    fcl_array_destroy(&values);
    fcl_safetensors_free(&file);
    free(whole);
    parse_one("F64", 1, far, sizeof far, &whole, &file);
    assert_status(FCL_ERR_FORMAT, fcl_safetensor_floats(&file.tensors[0], "bytes", &values));
    assert_told("number 1 of tensor \"w\" is infinite in single precision");
    assert_null(values);
    fcl_safetensors_free(&file);
    free(whole);
}

/* --- whole files --- */

/* layers.0 (2, 2), layers.1 (1, 2) as "n.0" and "n.2", with all numbers 1/2. */
static uint8_t *write_net(size_t *size)
{
    static const char header[] =
        "{\"n.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
        "\"n.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]},"
        "\"n.2.weight\":{\"dtype\":\"F16\",\"shape\":[1,2],\"data_offsets\":[24,28]},"
        "\"n.2.bias\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[28,36]}}";
    static const float f32[6] = {0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f};
    static const uint16_t f16[2] = {0x3800, 0x3800};
    static const double f64 = 0.5;
    size_t length = sizeof header - 1;
    *size = 8 + length + 36;
    uint8_t *bytes = fcl_zalloc(*size);
    bytes[0] = (uint8_t)length;
    bytes[1] = (uint8_t)(length >> 8);
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + length, f32, 24);
    memcpy(bytes + 8 + length + 24, f16, 4);
    memcpy(bytes + 8 + length + 28, &f64, 8);
    return bytes;
}

static const char *write_text(const char *name, const char *text)
{
    return scratch_write(name, text, strlen(text));
}

static void test_is_a_checkpoint(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = write_net(&size);
    fcl_checkpoint *checkpoint;
    const char *path = scratch_write("net.safetensors", bytes, size);
    const char *config = write_text("net.yaml", "width: 2\ndepth: 1\npath: cosine\nseed: 7\n");
    fcl_foreign_options foreign = {.config = config};
    assert_status(FCL_ERR_FORMAT, fcl_checkpoint_open(path, &checkpoint));
    assert_told("--config FILE");
    assert_null(checkpoint);
    assert_ok(fcl_checkpoint_open_with(path, &foreign, &checkpoint));
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    assert_int_equal(info->sample.rank, 1);
    assert_int_equal(info->sample.dim[0], 1);
    assert_int_equal(info->step, 0);
    assert_int_equal(info->seed, 7);
    assert_int_equal(info->parameters, 9);
    assert_int_equal(info->tensor_count, 4);
    assert_int_equal(info->classes, 0);
    assert_int_equal(info->normalisation->count, 0);
    assert_false(info->has_ema);
    assert_null(info->library);
    assert_string_equal(info->tensors[0].name, "layers.0.weight");
    assert_string_equal(info->options->objective.path, "cosine");
    assert_non_null(strstr(info->config, "cosine"));
    assert_non_null(strstr(info->foreign, "layers.1.bias from n.2.bias; "));
    assert_non_null(strstr(info->foreign, "F16"));
    assert_non_null(strstr(info->foreign, "F64"));
    fcl_checkpoint_close(&checkpoint);
    free(bytes);
}

/* Any byte of the file may be another, and its end may be missing: there is a sentence, or a checkpoint. */
static void test_hostile(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = write_net(&size), *bad = fcl_zalloc(size);
    const char *config = write_text("labels.yaml", "width: 2\ndepth: 1\nlabels: yes\n");
    const char *plain = write_text("plain.yaml", "width: 2\ndepth: 1\n");
    for (int round = 0; round < 4000; round++) {
        fcl_checkpoint *checkpoint;
        size_t length = round % 4 ? size : (size_t)trial_int(0, (int)size);
        memcpy(bad, bytes, size);
        for (int k = trial_int(0, 3); k > 0; k--)
            bad[trial_int(0, (int)size - 1)] = (uint8_t)(k % 2 ? '0' + trial_int(0, 9) : trial_int(0, 255));
        fcl_foreign_options foreign = {.config = round % 2 ? config : plain};
        int status = fcl_checkpoint_parse(bad, length, &foreign, &checkpoint);
        assert_true(status == FCL_OK || status == FCL_ERR_FORMAT);
        assert_true(!checkpoint == (status != FCL_OK) && (checkpoint || *fcl_error()));
        fcl_checkpoint_close(&checkpoint);
    }
    free(bytes);
    free(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_natural_order),       cmocka_unit_test(test_any_stem),
        cmocka_unit_test(test_one_too_few_or_many), cmocka_unit_test(test_two_of_them),
        cmocka_unit_test(test_every_half),          cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_is_a_checkpoint),     cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
