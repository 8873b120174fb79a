/* The ladder of models, and the list of all that is measured. */
#include "bench.h"

#include <string.h>

/* clang-format off */
const bench_model bench_models[] = {
    {"mlp-2-64", .data = "moons", .sample = FCL_SHAPE(2), .batch = 256, .options = {.width = 64, .depth = 3},
     .solver = "rk4", .steps = 100, .quick_steps = 10, .samples = 10000},
    {"mlp-2-512", .data = "moons", .sample = FCL_SHAPE(2), .batch = 4096, .options = {.width = 512, .depth = 4},
     .solver = "rk4", .steps = 5, .quick_steps = 1, .samples = 4096},
    {"mlp-784-1024", .sample = FCL_SHAPE(784), .batch = 256, .options = {.width = 1024, .depth = 3},
     .solver = "rk4", .steps = 10, .quick_steps = 1, .samples = 256},
    {"unet-28-32", .sample = FCL_SHAPE(1, 28, 28), .batch = 64, .options = {.model = "unet"},
     .solver = "euler", .steps = 4, .quick_steps = 1, .samples = 64},
    {"dit-28-192", .sample = FCL_SHAPE(1, 28, 28), .batch = 128, .options = {.model = "dit"},
     .solver = "euler", .steps = 4, .quick_steps = 1, .samples = 128},
    {"conv-28-32", .batch = 64, .image = {64, 28, 32, 32}},
    {"conv-32-128", .batch = 16, .image = {16, 32, 128, 128}},
    {"attention-49", .batch = 128, .heads = {128, 49, 6, 32}},
    {"attention-256", .batch = 16, .heads = {16, 256, 4, 64}},
    {0},
};

static const struct {
    const char *what, *unit;
    double scale;
    bool less_is_better;
} machine[] = {
    [FCL_MEASURE_LAUNCH] = {"launch", "us", 1e6, true},
    [FCL_MEASURE_WAITED] = {"launch, waited for", "us", 1e6, true},
    [FCL_MEASURE_COPY] = {"copy", "GB/s", 1e-9, false},
    [FCL_MEASURE_TRIAD] = {"triad", "GB/s", 1e-9, false},
    [FCL_MEASURE_PEAK] = {"fp32 peak", "GFLOP/s", 1e-9, false},
};
/* clang-format on */

const char *bench_model_name(int index)
{
    return bench_models[index].name;
}

/* --- a perceptron's products; those of others are of many sizes, most of them with what follows --- */

/* Whether the slice is the weight (out, in) of a linear layer: its bias (out) follows. */
static bool is_linear(const fcl_params *params, int index, int *out, int *in)
{
    const fcl_param *weight = fcl_params_at(params, index);
    if (index + 1 >= fcl_params_trained(params) || weight->shape.rank != 2)
        return false;
    const fcl_param *bias = fcl_params_at(params, index + 1);
    *out = (int)weight->shape.dim[0];
    *in = (int)weight->shape.dim[1];
    return bias->shape.rank == 1 && bias->shape.dim[0] == *out;
}

static int open_model(const bench_model *row, fcl_model **model)
{
    return fcl_model_create(&row->options, row->sample, 0, model);
}

static bool is_listed(const bench_item *items, int count, const bench_item *item)
{
    for (int i = 0; i < count; i++)
        if (items[i].model == item->model && !strcmp(items[i].what, item->what))
            return true;
    return false;
}

static void add_product(bench_item *items, int *count, const bench_model *row, const char *name,
                        fcl_product p)
{
    bench_item item = {BENCH_PRODUCT, .product = p, .model = row, .unit = "GFLOP/s", .scale = 1e-9};
    snprintf(item.what, sizeof item.what, "%s %dx%dx%d", name, p.m, p.n, p.k);
    if (*count < BENCH_ITEMS_MOST && !is_listed(items, *count, &item))
        items[(*count)++] = item;
}

/* y = x w': x (B, in), w (out, in); dx = dy w; dw = dy' x. */
static int add_products(bench_item *items, int *count, const bench_model *row)
{
    fcl_model *model;
    int out, in, b = row->batch;
    bool first = true;
    int status = open_model(row, &model);
    if (status != FCL_OK)
        return status;
    const fcl_params *params = fcl_model_params(model);
    for (int i = 0; i < fcl_params_trained(params); i++) {
        if (!is_linear(params, i, &out, &in))
            continue;
        add_product(items, count, row, "forward", (fcl_product){b, out, in, .transpose_b = true});
        if (!first)
            add_product(items, count, row, "dX", (fcl_product){b, in, out});
        add_product(items, count, row, "dW", (fcl_product){out, in, b, .transpose_a = true});
        first = false;
    }
    fcl_model_destroy(&model);
    return FCL_OK;
}

static void add_convolutions(bench_item *items, int *count, const bench_model *row)
{
    for (int form = 0; bench_conv_names[form] && *count < BENCH_ITEMS_MOST; form++) {
        bench_item item = {BENCH_CONVOLUTION, .model = row, .form = form, .unit = "GFLOP/s", .scale = 1e-9};
        snprintf(item.what, sizeof item.what, "%s %dx%dx%dx%d to %d", bench_conv_names[form], row->image.images,
                 row->image.size, row->image.size, row->image.channels, row->image.outputs);
        items[(*count)++] = item;
    }
}

static void add_attention(bench_item *items, int *count, const bench_model *row)
{
    for (int form = 0; bench_attention_names[form] && *count < BENCH_ITEMS_MOST; form++) {
        bench_item item = {BENCH_ATTENTION, .model = row, .form = form, .unit = "GFLOP/s", .scale = 1e-9};
        snprintf(item.what, sizeof item.what, "%s %dx%d, %d x %d", bench_attention_names[form], row->heads.batch,
                 row->heads.tokens, row->heads.heads, row->heads.width);
        items[(*count)++] = item;
    }
}

/* --- all of it --- */

static void add(bench_item *items, int *count, bench_item item, const char *what)
{
    snprintf(item.what, sizeof item.what, "%s", what);
    if (*count < BENCH_ITEMS_MOST)
        items[(*count)++] = item;
}

int bench_items(bench_item items[BENCH_ITEMS_MOST])
{
    int count = 0;
    for (int kind = 0; kind < FCL_MEASURE_KINDS; kind++)
        add(items, &count,
            (bench_item){BENCH_MACHINE, .measure = (fcl_measure_kind)kind, .unit = machine[kind].unit,
                         .scale = machine[kind].scale, .less_is_better = machine[kind].less_is_better},
            machine[kind].what);
    for (const bench_model *row = bench_models; row->name; row++) {
        if (row->image.size) {
            add_convolutions(items, &count, row);
            continue;
        }
        if (row->heads.tokens) {
            add_attention(items, &count, row);
            continue;
        }
        if (!row->options.model && add_products(items, &count, row) != FCL_OK)
            return -1;
        add(items, &count, (bench_item){BENCH_TRAINING, .model = row, .unit = "samples/s", .scale = 1},
            "training");
        add(items, &count, (bench_item){BENCH_SAMPLING, .model = row, .unit = "samples/s", .scale = 1},
            "sampling");
    }
    return count;
}
