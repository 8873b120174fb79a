/* Random tensors. */
#include "op/op.h"

static const fcl_noise_attributes *noise_of(const fcl_tensor *node)
{
    return node->attributes;
}

static fcl_shape noise_shape(fcl_tensor *node)
{
    return noise_of(node)->shape;
}

fcl_tensor *fcl_normal(fcl_graph *graph, fcl_shape shape, uint32_t stream)
{
    return fcl_node(graph, &fcl_op_normal, 0, NULL,
                    &(fcl_noise_attributes){.shape = shape, .stream = stream});
}

fcl_tensor *fcl_uniform(fcl_graph *graph, fcl_shape shape, uint32_t stream)
{
    return fcl_node(graph, &fcl_op_uniform, 0, NULL,
                    &(fcl_noise_attributes){.shape = shape, .stream = stream});
}

fcl_tensor *fcl_batch_index(fcl_graph *graph, int64_t count, int64_t batch, int64_t batch_total,
                            uint32_t stream)
{
    if (count < 1 || count > INT32_MAX)
        fcl_mistake(graph, "batch_index: a data set of %lld rows; it takes 1 to 2^31 - 1", (long long)count);
    if (batch_total < batch)
        fcl_mistake(graph, "batch_index: %lld rows of a batch of %lld in all", (long long)batch,
                    (long long)batch_total);
    fcl_noise_attributes attributes = {
        .shape = FCL_SHAPE(batch), .count = count, .total = batch_total, .stream = stream};
    fcl_tensor *node = fcl_node(graph, &fcl_op_batch_index, 0, NULL, &attributes);
    node->type = FCL_I32;
    return node;
}

fcl_tensor *fcl_row_number(fcl_graph *graph, int64_t batch, int64_t total)
{
    if (total < batch)
        fcl_mistake(graph, "row_number: %lld rows of a batch of %lld in all", (long long)batch,
                    (long long)total);
    fcl_noise_attributes attributes = {.shape = FCL_SHAPE(batch, 1), .total = total < 1 ? 1 : total};
    return fcl_node(graph, &fcl_op_row_number, 0, NULL, &attributes);
}

static const fcl_drop_attributes *drop_of(const fcl_tensor *node)
{
    return node->attributes;
}

static fcl_shape drop_shape(fcl_tensor *node)
{
    fcl_shape label = node->input[0]->shape;
    fcl_require_type(node, 0, FCL_I32);
    if (label.rank != 1)
        fcl_mistake(node->graph, "%s: labels of shape %s; it takes (B)", fcl_node_text(node),
                    fcl_shape_text(node->graph, label));
    return label;
}

fcl_tensor *fcl_drop_labels(fcl_tensor *label, int instead, float share, uint32_t stream)
{
    fcl_drop_attributes how = {.stream = stream, .instead = instead, .share = share};
    fcl_tensor *node = fcl_node(label->graph, &fcl_op_drop_labels, 1, &label, &how);
    node->type = FCL_I32;
    return node;
}

/* --- kernels of their own --- */

/* On CPUs the form of a kernel that draws sixteen blocks at once. */
static int lower_noise(fcl_lowering *lowering, fcl_tensor *node, const char *kernel, const char *wide_kernel)
{
    bool wide = fcl_device_traits(fcl_lower_device(lowering)).wide;
    int64_t size = fcl_shape_size(node->shape);
    size_t blocks = (size_t)(size + 6) / 4;
    fcl_launch *launch = fcl_lower_kernel(lowering, node, wide ? wide_kernel : kernel);
    fcl_launch_buffer(launch, 0, node->buffer);
    fcl_launch_int(launch, 1, (int)size);
    fcl_launch_int(launch, 2, (int)fcl_row_size(node));
    fcl_launch_uint(launch, 3, noise_of(node)->stream);
    fcl_lower_random(lowering, launch, 4);
    /* The first row is told at each run: blocks enough for any place of the first element in its block. */
    if (wide)
        fcl_launch_range_1d(launch, (blocks + 15) / 16, 1);
    else
        fcl_launch_range_1d(launch, blocks, 64);
    return FCL_OK;
}

static int normal_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    return lower_noise(lowering, node, "noise_normal", "noise_normal_wide");
}

static int uniform_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    return lower_noise(lowering, node, "noise_uniform", "noise_uniform_wide");
}

static int batch_index_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    bool wide = fcl_device_traits(fcl_lower_device(lowering)).wide;
    size_t rows = (size_t)node->shape.dim[0];
    fcl_launch *launch =
        fcl_lower_kernel(lowering, node, wide ? "noise_batch_index_wide" : "noise_batch_index");
    fcl_launch_buffer(launch, 0, node->buffer);
    fcl_launch_int(launch, 1, (int)rows);
    fcl_launch_int(launch, 2, (int)noise_of(node)->count);
    fcl_launch_ulong(launch, 3, (uint64_t)noise_of(node)->total);
    fcl_launch_uint(launch, 4, noise_of(node)->stream);
    fcl_lower_random(lowering, launch, 5);
    if (wide)
        fcl_launch_range_1d(launch, (rows + 15) / 16, 1);
    else
        fcl_launch_range_1d(launch, rows, 64);
    return FCL_OK;
}

static int row_number_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "noise_row_number");
    fcl_launch_buffer(launch, 0, node->buffer);
    fcl_launch_int(launch, 1, (int)node->shape.dim[0]);
    fcl_launch_ulong(launch, 2, (uint64_t)noise_of(node)->total);
    fcl_lower_random(lowering, launch, 3);
    fcl_launch_range_1d(launch, (size_t)node->shape.dim[0], 64);
    return FCL_OK;
}

static int drop_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "noise_drop_labels");
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->buffer);
    fcl_launch_int(launch, 2, (int)node->shape.dim[0]);
    fcl_launch_int(launch, 3, drop_of(node)->instead);
    fcl_launch_float(launch, 4, drop_of(node)->share);
    fcl_launch_uint(launch, 5, drop_of(node)->stream);
    fcl_lower_random(lowering, launch, 6);
    fcl_launch_range_1d(launch, (size_t)node->shape.dim[0], 64);
    return FCL_OK;
}

/* --- as elements of fused kernels --- */

/* normal, uniform */
static void write_noise(fcl_element_writer *w, fcl_tensor *node)
{
    fcl_element_random(w);
    fcl_text_format(fcl_element_text(w), "element_%s(first_row * %lld + i, %uu, seed, step)", node->op->name,
                    (long long)fcl_row_size(node), noise_of(node)->stream);
}

static void write_batch_index(fcl_element_writer *w, fcl_tensor *node)
{
    fcl_element_random(w);
    fcl_text_format(fcl_element_text(w), "element_batch_index(first_row + i, %lldu, %lldul, %uu, seed, step)",
                    (long long)noise_of(node)->count, (long long)noise_of(node)->total,
                    noise_of(node)->stream);
}

static void write_row_number(fcl_element_writer *w, fcl_tensor *node)
{
    fcl_element_random(w);
    fcl_text_format(fcl_element_text(w), "(float)((first_row + i) %% %lldul)",
                    (long long)noise_of(node)->total);
}

static void write_drop(fcl_element_writer *w, fcl_tensor *node)
{
    fcl_element_random(w);
    fcl_text_format(fcl_element_text(w), "element_uniform(first_row + i, %uu, seed, step) < %.9ef ? %d : x%d[i]",
                    drop_of(node)->stream, (double)drop_of(node)->share, drop_of(node)->instead,
                    fcl_element_memory(w, node->input[0]));
}

/* --- as rows of a block --- */

/* Beyond that a kernel of its own is faster, which uses all four numbers of a Philox block. */
static bool has_few_columns(const fcl_tensor *node)
{
    return node->shape.rank == 2 && node->shape.dim[1] <= 8;
}

static void write_noise_rows(fcl_row_writer *w, fcl_tensor *node)
{
    fcl_row_random(w);
    fcl_text_format(fcl_row_text_of(w),
                    "    block_%s(&tile[%d * BLOCK_VECTORS], %d, %uu, seed, step, first_row, at);\n",
                    node->op->name, fcl_row_place(w, node), (int)node->shape.dim[1], noise_of(node)->stream);
}

static void write_batch_index_rows(fcl_row_writer *w, fcl_tensor *node)
{
    char index[16];
    fcl_row_random(w);
    fcl_row_index_make(w, node, index);
    fcl_text_format(
        fcl_row_text_of(w), "    block_batch_index(%s, %d, %lluu, %uu, seed, step, first_row, at);\n", index,
        (int)noise_of(node)->count, (unsigned long long)noise_of(node)->total, noise_of(node)->stream);
    fcl_row_index_store(w, node);
}

#define NOISE(name) name, sizeof(fcl_noise_attributes), noise_shape
const fcl_op fcl_op_normal = {NOISE("normal"), .lower = normal_lower,
                              .element = {write_noise, .single = true},
                              .rows = {write_noise_rows, has_few_columns, .random = true}};
const fcl_op fcl_op_uniform = {NOISE("uniform"), .lower = uniform_lower,
                               .element = {write_noise, .single = true},
                               .rows = {write_noise_rows, has_few_columns, .random = true}};
const fcl_op fcl_op_batch_index = {NOISE("batch_index"), .lower = batch_index_lower,
                                   .element = {write_batch_index, .single = true},
                                   .rows = {write_batch_index_rows, .random = true}};
const fcl_op fcl_op_row_number = {NOISE("row_number"), .lower = row_number_lower,
                                  .element = {write_row_number, .single = true}};
const fcl_op fcl_op_drop_labels = {"drop_labels", sizeof(fcl_drop_attributes), drop_shape, .lower = drop_lower,
                                   .element = {write_drop, .single = true, .anywhere = true}};
