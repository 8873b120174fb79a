/* flowcl/ranks.h: several processes that train, sample or judge together: the ranks of MPI, of one machine or of many.
 *
 *     // mpirun -n 4 ./program
 *     fcl_ranks *ranks;
 *     if (fcl_ranks_join(&ranks) != FCL_OK)
 *         return 1;
 *     fcl_train_options options = {.data = "moons", .out = "runs/moons", .ranks = ranks};
 *     int status = fcl_train(&options, NULL);
 *     if (fcl_ranks_leave(&ranks, status))
 *         fprintf(stderr, "%s\n", fcl_error());
 *
 * A function with ranks is called by all of them, in the same order. One that fails on one rank before it comes to the next
 * such call ends the work of all: that rank leaves with its status, and the others find FCL_ERR_RANK in whatever call they
 * come to next. A process that dies is the launcher's to end with the others: mpirun does.
 *
 * Sums add in the order of ranks, so that the same ranks give the same bits, and N of them what one process adds in N
 * parts. Ranks are of one thread, the one that joined. NULL is a process alone, number 0 of 1: every function takes it. */
#ifndef FLOWCL_RANKS_H
#define FLOWCL_RANKS_H

#include <flowcl/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fcl_ranks fcl_ranks;

/* Joins the others that the launcher (mpirun, srun) has started; NULL where there is none: MPI is not touched then. Once in
 * the life of a process. FCL_ERR_UNSUPPORTED: started by a launcher, and this build knows no MPI, or another rank is of
 * another version: FCL_ERR_RANK on all but rank 0, which tells. */
FCL_API int fcl_ranks_join(fcl_ranks **ranks);
/* Waits for the others, and tells them what `status` is of this one. True: it is this one's to tell fcl_error(); of several
 * that failed, and of those that failed because another did, it is one alone. */
FCL_API bool fcl_ranks_leave(fcl_ranks **ranks, int status);

/* A variable of the environment by which a launcher says that it started this process; NULL: none did. */
FCL_API const char *fcl_ranks_launcher(void);
/* Whether this build knows MPI. */
FCL_API bool fcl_ranks_supported(void);

/* Of all; and of those on this machine. */
FCL_API int fcl_ranks_count(const fcl_ranks *ranks);
FCL_API int fcl_ranks_number(const fcl_ranks *ranks);
FCL_API int fcl_ranks_local_count(const fcl_ranks *ranks);
FCL_API int fcl_ranks_local_number(const fcl_ranks *ranks);

/* --- all together --- */

/* Whether it is true on any rank: afterwards on all. */
FCL_API int fcl_ranks_any(fcl_ranks *ranks, bool *value);
/* FCL_ERR_ARGUMENT where `bytes` of content are not the same on all; `what` says what they are. */
FCL_API int fcl_ranks_same(fcl_ranks *ranks, const char *what, size_t bytes, const void *content);
/* What rank 0 has, into all. */
FCL_API int fcl_ranks_broadcast(fcl_ranks *ranks, size_t bytes, void *content);
/* `bytes` of each, one after the other into `all` (count x bytes) on every rank. */
FCL_API int fcl_ranks_gather(fcl_ranks *ranks, size_t bytes, const void *mine, void *all);
/* Sums the numbers of all, in the order of ranks, into each: ((x0 + x1) + x2) + ... in single precision. A slice of the
 * numbers is each rank's to add, so that 2 (N - 1)/N of them go out and come in (Rabenseifner 2004). */
FCL_API int fcl_ranks_sum(fcl_ranks *ranks, int64_t count, float *numbers);

#ifdef __cplusplus
}
#endif

#endif
