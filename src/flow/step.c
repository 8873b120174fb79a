/* One Runge-Kutta step as nodes of a graph. */
#include "flow/solver.h"

fcl_tensor *fcl_solver_leaf(const fcl_solver *solver, fcl_graph *graph)
{
    return fcl_leaf(graph, "x", FCL_F32, FCL_SHAPE(solver->batch, solver->size), solver->x, 0);
}

fcl_tensor *fcl_stages_build(const fcl_tableau *tableau, fcl_velocity velocity, void *data, fcl_tensor *x,
                             fcl_tensor *h, fcl_tensor *const *times, fcl_tensor **k)
{
    fcl_tensor *at = x;
    for (int i = 1; i < tableau->stages; i++) {
        at = fcl_ode_stage(x, h, i, k, tableau->a + i * (i - 1) / 2);
        k[i] = fcl_velocity_build(velocity, data, &(fcl_velocity_inputs){.x = at, .t = times[i]});
    }
    return tableau->fsal ? at : fcl_ode_stage(x, h, tableau->stages, k, tableau->b);
}
