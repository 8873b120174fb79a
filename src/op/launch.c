#include "op/lower.h"

void fcl_lower_grid(fcl_launch *launch, int64_t width, int64_t rows)
{
    const size_t global[2] = {(size_t)width, (size_t)rows};
    const size_t local[2] = {width >= 1024 ? 256 : width >= 16 ? 64 : 1, width >= 16 ? 1 : 64};
    fcl_launch_range(launch, 2, global, local);
}

int fcl_lower_vector(const fcl_lowering *lowering, const fcl_tensor *node, int64_t width)
{
    fcl_traits traits = fcl_device_traits(fcl_lower_device(lowering));
    bool aligned = width % 4 == 0 && !traits.wide;
    for (int i = 0; i < node->inputs; i++)
        aligned = aligned && fcl_buffer_is_aligned(node->input[i]->buffer);
    return aligned ? traits.vector : 1;
}
