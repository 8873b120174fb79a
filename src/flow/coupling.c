/* Couplings: which noise x0 belongs to which data x1 of a batch. */
#include "flow/coupling.h"

#include "base/error.h"

static const fcl_coupling couplings[] = {
    {"independent", FCL_COUPLING_NONE, 0, "noise and data are paired by chance"},
    {"ot", FCL_COUPLING_EXACT, 0, "the pairing with the least sum of squared distances, exact"},
    {"sinkhorn", FCL_COUPLING_PLAN, FCL_USES_REG | FCL_USES_ITERATIONS, "pairs drawn from the entropic plan"},
    {"unbalanced", FCL_COUPLING_PLAN, FCL_USES_REG | FCL_USES_ITERATIONS | FCL_USES_RELAXATION,
     "the same, where far samples may be left out at a price"},
    {"partial", FCL_COUPLING_PLAN, FCL_USES_REG | FCL_USES_ITERATIONS | FCL_USES_MASS,
     "the same, of the share of samples that is cheapest to pair"},
    {"bridge", FCL_COUPLING_PLAN, FCL_USES_ITERATIONS | FCL_USES_SIGMA,
     "the entropic plan of a Schroedinger bridge: reg is 2 sigma^2"},
};
enum { COUNT = sizeof couplings / sizeof *couplings };

const char *fcl_coupling_name(int index)
{
    return index >= 0 && index < COUNT ? couplings[index].name : NULL;
}

const char *fcl_coupling_help(int index)
{
    return index >= 0 && index < COUNT ? couplings[index].help : NULL;
}

const fcl_coupling *fcl_coupling_find(const char *name)
{
    int index = fcl_row_index(fcl_coupling_name, name);
    return index < 0 ? NULL : &couplings[index];
}

/* --- what may be said --- */

/* A number that was given although the coupling does not look at it. */
static int check_use(const fcl_coupling *coupling, unsigned use, double value, const char *key)
{
    if (value == 0 || coupling->uses & use)
        return FCL_OK;
    if (use == FCL_USES_REG && coupling->uses & FCL_USES_SIGMA)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "reg %g has no use with the coupling bridge, whose reg is 2 sigma^2", value);
    return fcl_fail(FCL_ERR_ARGUMENT, "%s %g has no use with the coupling %s", key, value, coupling->name);
}

static int check_bridge(const fcl_cfm_options *options)
{
    return fcl_coupling_bridge_width(options) > 0
               ? FCL_OK
               : fcl_fail(FCL_ERR_ARGUMENT,
                          "the coupling bridge belongs to the path bridge, not to the path %s",
                          options->path ? options->path : fcl_path_name(0));
}

int fcl_coupling_check(const fcl_cfm_options *options)
{
    const fcl_coupling *coupling = fcl_coupling_find(options->coupling);
    FCL_TRY(check_use(coupling, FCL_USES_REG, (double)options->reg, "reg"));
    FCL_TRY(check_use(coupling, FCL_USES_RELAXATION, (double)options->relaxation, "relaxation"));
    FCL_TRY(check_use(coupling, FCL_USES_MASS, (double)options->mass, "mass"));
    FCL_TRY(check_use(coupling, FCL_USES_ITERATIONS, options->coupling_iterations, "coupling-iterations"));
    FCL_TRY(
        check_use(coupling, FCL_USES_ITERATIONS, (double)options->coupling_tolerance, "coupling-tolerance"));
    return coupling->uses & FCL_USES_SIGMA ? check_bridge(options) : FCL_OK;
}
