/* Random tensors. Attributes: shape, stream; batch_index also count and total. */
#include "graph/rules.h"

fcl_tensor *fcl_normal(fcl_graph *graph, fcl_shape shape, uint32_t stream)
{
    return fcl_node(graph, "normal", 0, NULL, &(fcl_attributes){.shape = shape, .stream = stream});
}

fcl_tensor *fcl_uniform(fcl_graph *graph, fcl_shape shape, uint32_t stream)
{
    return fcl_node(graph, "uniform", 0, NULL, &(fcl_attributes){.shape = shape, .stream = stream});
}

fcl_tensor *fcl_batch_index(fcl_graph *graph, int64_t count, int64_t batch, int64_t batch_total,
                            uint32_t stream)
{
    if (count < 1 || count > INT32_MAX)
        fcl_mistake(graph, "batch_index: a data set of %lld rows; it takes 1 to 2^31 - 1", (long long)count);
    if (batch_total < batch)
        fcl_mistake(graph, "batch_index: %lld rows of a batch of %lld in all", (long long)batch,
                    (long long)batch_total);
    fcl_attributes attributes = {
        .shape = FCL_SHAPE(batch), .count = count, .total = batch_total, .stream = stream};
    fcl_tensor *node = fcl_node(graph, "batch_index", 0, NULL, &attributes);
    node->type = FCL_I32;
    return node;
}

fcl_tensor *fcl_row_number(fcl_graph *graph, int64_t batch, int64_t total)
{
    if (total < batch)
        fcl_mistake(graph, "row_number: %lld rows of a batch of %lld in all", (long long)batch, (long long)total);
    fcl_attributes attributes = {.shape = FCL_SHAPE(batch, 1), .total = total < 1 ? 1 : total};
    return fcl_node(graph, "row_number", 0, NULL, &attributes);
}

/* On CPUs the form of a kernel that draws sixteen blocks at once. */
static int lower_noise(fcl_lowering *lowering, fcl_tensor *node, const char *kernel, const char *wide_kernel)
{
    bool wide = fcl_row_group(fcl_lower_device(lowering)) == 1;
    int64_t size = fcl_shape_size(node->shape);
    int64_t row_size = node->shape.rank ? size / node->shape.dim[0] : 1;
    size_t blocks = (size_t)(size + 6) / 4;
    fcl_launch *launch = fcl_lower_kernel(lowering, node, wide ? wide_kernel : kernel);
    fcl_launch_buffer(launch, 0, node->buffer);
    fcl_launch_int(launch, 1, (int)size);
    fcl_launch_int(launch, 2, (int)row_size);
    fcl_launch_uint(launch, 3, node->attributes.stream);
    fcl_lower_random(lowering, launch, 4);
    /* The first row is told at each run: blocks enough for any place of the first element in its block. */
    if (wide)
        fcl_launch_range_1d(launch, (blocks + 15) / 16, 1);
    else
        fcl_launch_range_1d(launch, blocks, 64);
    return FCL_OK;
}

int fcl_normal_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    return lower_noise(lowering, node, "noise_normal", "noise_normal_wide");
}

int fcl_uniform_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    return lower_noise(lowering, node, "noise_uniform", "noise_uniform_wide");
}

int fcl_batch_index_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    bool wide = fcl_row_group(fcl_lower_device(lowering)) == 1;
    size_t rows = (size_t)node->shape.dim[0];
    fcl_launch *launch =
        fcl_lower_kernel(lowering, node, wide ? "noise_batch_index_wide" : "noise_batch_index");
    fcl_launch_buffer(launch, 0, node->buffer);
    fcl_launch_int(launch, 1, (int)rows);
    fcl_launch_int(launch, 2, (int)node->attributes.count);
    fcl_launch_ulong(launch, 3, (uint64_t)node->attributes.total);
    fcl_launch_uint(launch, 4, node->attributes.stream);
    fcl_lower_random(lowering, launch, 5);
    if (wide)
        fcl_launch_range_1d(launch, (rows + 15) / 16, 1);
    else
        fcl_launch_range_1d(launch, rows, 64);
    return FCL_OK;
}

int fcl_row_number_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "noise_row_number");
    fcl_launch_buffer(launch, 0, node->buffer);
    fcl_launch_int(launch, 1, (int)node->shape.dim[0]);
    fcl_launch_ulong(launch, 2, (uint64_t)node->attributes.total);
    fcl_lower_random(lowering, launch, 3);
    fcl_launch_range_1d(launch, (size_t)node->shape.dim[0], 64);
    return FCL_OK;
}
