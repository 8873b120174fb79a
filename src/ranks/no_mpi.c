/* In place of mpi.c, where MPI is not there: a process that a launcher started as one of several is told, all others go on. */
#include "ranks/mpi.h"

#include "base/error.h"

int fcl_mpi_open(fcl_world *world)
{
    *world = (fcl_world){.count = 1, .local_count = 1};
    return fcl_fail(FCL_ERR_UNSUPPORTED,
                    "%s says that this process is one of several, and this build knows no MPI: build with Open MPI or MPICH "
                    "(-Dmpi=enabled), or start it alone",
                    fcl_ranks_launcher());
}

const char *fcl_mpi_name(void)
{
    return "none";
}

bool fcl_ranks_supported(void)
{
    return false;
}

void fcl_mpi_close(void)
{
}

int fcl_mpi_minimum(int count, int *numbers)
{
    (void)count, (void)numbers;
    return FCL_OK;
}

int fcl_mpi_broadcast(int rank, size_t bytes, void *content)
{
    (void)rank, (void)bytes, (void)content;
    return FCL_OK;
}

int fcl_mpi_gather(size_t bytes, const void *mine, void *all)
{
    (void)bytes, (void)mine, (void)all;
    return FCL_OK;
}

int64_t fcl_mpi_sum_room(const fcl_world *world, int64_t count)
{
    (void)world, (void)count;
    return 0;
}

int fcl_mpi_sum(const fcl_world *world, int64_t count, float *numbers, const fcl_sum_pieces *pieces, float *shares)
{
    (void)world, (void)count, (void)numbers, (void)pieces, (void)shares;
    return FCL_OK;
}
