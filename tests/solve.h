/* What the tests of solvers share: a solver that is made and run. */
#ifndef SOLVE_H
#define SOLVE_H

#include "device.h"

#include <flowcl/flowcl.h>

#include <math.h>

#define assert_near(a, b, bound) check_near(a, b, bound, __FILE__, __LINE__)

static inline void check_near(double value, double expected, double bound, const char *file, int line)
{
    if (!(fabs(value - expected) <= bound)) {
        print_error("%.9g is further than %g from %.9g\n", value, bound, expected);
        _fail(file, line);
    }
}

/* A simulator checks accesses: it gets a few rows. */
static inline int64_t rows(const fcl_device *device, int64_t count)
{
    return strstr(fcl_device_describe(device)->name, "Oclgrind") && count > 3 ? 3 : count;
}

static inline fcl_solver *make(fcl_device *device, fcl_velocity velocity, void *data,
                               fcl_solver_options options, int64_t batch, int64_t size)
{
    fcl_solver *solver;
    assert_ok(fcl_solver_create(device, velocity, data, &options, batch, size, &solver));
    return solver;
}

/* Solves once; x is replaced by the result. */
static inline fcl_solver_stats solve(fcl_device *device, fcl_velocity velocity, void *data,
                                     fcl_solver_options options, int64_t batch, int64_t size, float *x)
{
    fcl_solver_stats stats;
    fcl_solver *solver = make(device, velocity, data, options, batch, size);
    assert_ok(fcl_solver_run(solver, x, x, &stats));
    fcl_solver_destroy(&solver);
    assert_null(solver);
    return stats;
}

#endif
