#include "flow/flow.h"

fcl_tensor *fcl_energy_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    const fcl_energy_flow *flow = data;
    int64_t size = fcl_tensor_shape(in->x).dim[1] - 1;
    fcl_velocity_inputs of = *in;
    of.x = fcl_slice(in->x, 1, 0, size);
    fcl_tensor *v = fcl_velocity_build(flow->velocity, flow->data, &of); /* (B, D) */
    fcl_tensor *weighed = v;
    if (flow->weight)
        weighed = fcl_mul(v, fcl_leaf(graph, "weight", FCL_F32, FCL_SHAPE(size), flow->weight, 0));
    fcl_tensor *power = fcl_sum_axes(fcl_square(weighed), 1u << 1); /* (B, 1) */
    return fcl_concat(2, (fcl_tensor *[]){v, power}, 1);
}
