/* What ranks do together begins with a meeting: each says what it has come for, and whether it goes on at all. */
#include "ranks/mpi.h"
#include "ranks/rows.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"

#include <flowcl/flowcl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fcl_ranks {
    fcl_world world;
    bool over;  /* a rank has failed: nobody meets any more */
    int failed; /* which, the first of them: that one tells */
    float *shares; /* of sums */
    int64_t room;
};

typedef enum errand { ERRAND_LEAVE, ERRAND_ANY, ERRAND_BROADCAST, ERRAND_GATHER, ERRAND_SUM, ERRANDS } errand;

/* With how much: MPI does not say what becomes of pieces that are not of one size. */
static int errand_with(errand what, size_t amount)
{
    return (int)what + (int)ERRANDS * (int)(amount % (1 << 27));
}

/* Whether anybody's `value` is true stands in *value; `fails`: this rank's work is at its end. */
static int meet(fcl_ranks *ranks, int what, bool fails, bool *value)
{
    int count = ranks->world.count, number = ranks->world.number;
    int said[] = {fails ? number : count, what, -what, !*value, what == ERRAND_LEAVE ? count : number};
    if (ranks->over)
        return fcl_fail(FCL_ERR_RANK, "the ranks have parted");
    int status = fcl_mpi_minimum(sizeof said / sizeof *said, said);
    ranks->over = status != FCL_OK || said[0] < count || said[1] != -said[2];
    ranks->failed = status != FCL_OK ? number : said[0] < count ? said[0] : said[4];
    FCL_TRY(status);
    if (said[0] < count)
        return fcl_fail(FCL_ERR_RANK, "rank %d has ended; it tells why", said[0]);
    if (ranks->over)
        return fcl_fail(FCL_ERR_RANK, "the ranks do not the same: rank %d has come for something else, or with another amount of "
                                      "it, than another; all need the same options and data", ranks->world.number);
    *value = !said[3];
    return FCL_OK;
}

static int meet_for(fcl_ranks *ranks, errand what, size_t amount)
{
    bool value = false;
    return meet(ranks, errand_with(what, amount), false, &value);
}

/* --- joining, leaving --- */

const char *fcl_ranks_launcher(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i]))
            return names[i];
    return NULL;
}

/* Before anything whose form a version may change. */
static int compare_versions(const fcl_world *world)
{
    char mine[64], *all = fcl_zalloc(sizeof mine * (size_t)world->count);
    memset(mine, 0, sizeof mine);
    snprintf(mine, sizeof mine, "%s", fcl_version());
    int status = fcl_mpi_gather(sizeof mine, mine, all);
    for (int rank = 1; rank < world->count && status == FCL_OK; rank++)
        if (memcmp(all, all + sizeof mine * (size_t)rank, sizeof mine) != 0)
            status = fcl_fail(FCL_ERR_UNSUPPORTED, "rank %d is flowcl %.63s, and rank 0 is %.63s: all ranks have to be of one version",
                              rank, all + sizeof mine * (size_t)rank, all);
    free(all);
    return status;
}

/* MPI of another kind than the launcher's makes each process one alone. */
static int check_alone(void)
{
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (getenv(sizes[i]) && strtol(getenv(sizes[i]), NULL, 10) > 1)
            return fcl_fail(FCL_ERR_UNSUPPORTED, "%s says that this process is one of %s, and %s, the MPI of this build, finds it "
                                                 "alone: start it by that one's mpirun", sizes[i], getenv(sizes[i]),
                            fcl_mpi_name());
    return FCL_OK;
}

int fcl_ranks_join(fcl_ranks **ranks)
{
    fcl_world world;
    *ranks = NULL;
    if (!fcl_ranks_launcher())
        return FCL_OK;
    FCL_TRY(fcl_mpi_open(&world));
    int status = world.count > 1 ? compare_versions(&world) : check_alone();
    if (world.count == 1 || status != FCL_OK) {
        fcl_mpi_close();
        return status != FCL_OK && world.number > 0 ? fcl_fail(FCL_ERR_RANK, "%s", fcl_error()) : status;
    }
    *ranks = fcl_zalloc(sizeof **ranks);
    (*ranks)->world = world;
    return FCL_OK;
}

bool fcl_ranks_leave(fcl_ranks **ranks, int status)
{
    fcl_ranks *leaving = *ranks;
    bool fails = status != FCL_OK, value = false;
    if (!leaving)
        return fails;
    char *sentence = fcl_strdup(fcl_error());
    if (!leaving->over)
        meet(leaving, ERRAND_LEAVE, fails, &value);
    bool tells = fails && leaving->over && leaving->failed == leaving->world.number;
    if (fails)
        fcl_fail(status, "%s", sentence);
    free(sentence);
    fcl_mpi_close();
    free(leaving->shares);
    free(leaving);
    *ranks = NULL;
    return tells;
}

int fcl_ranks_count(const fcl_ranks *ranks)
{
    return ranks ? ranks->world.count : 1;
}

int fcl_ranks_number(const fcl_ranks *ranks)
{
    return ranks ? ranks->world.number : 0;
}

int fcl_ranks_local_count(const fcl_ranks *ranks)
{
    return ranks ? ranks->world.local_count : 1;
}

int fcl_ranks_local_number(const fcl_ranks *ranks)
{
    return ranks ? ranks->world.local_number : 0;
}

/* --- all together --- */

int fcl_ranks_any(fcl_ranks *ranks, bool *value)
{
    return ranks ? meet(ranks, ERRAND_ANY, false, value) : FCL_OK;
}

int fcl_ranks_broadcast(fcl_ranks *ranks, size_t bytes, void *content)
{
    if (!ranks)
        return FCL_OK;
    FCL_TRY(meet_for(ranks, ERRAND_BROADCAST, bytes));
    return fcl_mpi_broadcast(0, bytes, content);
}

int fcl_ranks_gather(fcl_ranks *ranks, size_t bytes, const void *mine, void *all)
{
    if (!ranks) {
        memmove(all, mine, bytes);
        return FCL_OK;
    }
    FCL_TRY(meet_for(ranks, ERRAND_GATHER, bytes));
    return fcl_mpi_gather(bytes, mine, all);
}

fcl_rank_rows fcl_ranks_rows(const fcl_ranks *ranks, int64_t n, int rank)
{
    int64_t count = fcl_ranks_count(ranks), all = n / count, more = n % count; /* the first ones have one more */
    return (fcl_rank_rows){rank * all + (rank < more ? rank : more), all + (rank < more)};
}

int fcl_ranks_gather_rows(fcl_ranks *ranks, int64_t n, size_t bytes, void *rows)
{
    if (!ranks)
        return FCL_OK;
    FCL_TRY(meet_for(ranks, ERRAND_GATHER, (size_t)n * bytes));
    for (int rank = 0; rank < ranks->world.count; rank++) {
        fcl_rank_rows own = fcl_ranks_rows(ranks, n, rank);
        FCL_TRY(fcl_mpi_broadcast(rank, (size_t)own.count * bytes, (char *)rows + (size_t)own.first * bytes));
    }
    return FCL_OK;
}

int fcl_ranks_same(fcl_ranks *ranks, const char *what, size_t bytes, const void *content)
{
    if (!ranks)
        return FCL_OK;
    uint64_t mine[] = {bytes, fcl_hash_bytes(FCL_HASH_START, content, bytes)};
    uint64_t(*all)[2] = fcl_zalloc((size_t)ranks->world.count * sizeof *all);
    int status = fcl_ranks_gather(ranks, sizeof mine, mine, all);
    for (int rank = 1; rank < ranks->world.count && status == FCL_OK; rank++)
        if (memcmp(all[rank], all[0], sizeof mine) != 0)
            status = fcl_fail(FCL_ERR_ARGUMENT, "rank %d has other %s than rank 0", rank, what);
    free(all);
    return status;
}

static int grow_room(fcl_ranks *ranks, int64_t numbers)
{
    if (ranks->room >= numbers)
        return FCL_OK;
    free(ranks->shares);
    ranks->room = 0;
    ranks->shares = malloc((size_t)numbers * sizeof *ranks->shares);
    if (!ranks->shares)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the shares of %lld numbers that are summed", (long long)numbers);
    ranks->room = numbers;
    return FCL_OK;
}

int fcl_ranks_sum_pieces(fcl_ranks *ranks, int64_t count, float *numbers, const fcl_sum_pieces *pieces)
{
    if (!ranks || count == 0)
        return FCL_OK;
    int64_t of_piece = fcl_mpi_sum_room(&ranks->world, pieces->size);
    FCL_TRY(grow_room(ranks, ((count + pieces->size - 1) / pieces->size + 1) * of_piece));
    FCL_TRY(meet_for(ranks, ERRAND_SUM, (size_t)count));
    return fcl_mpi_sum(&ranks->world, count, numbers, pieces, ranks->shares);
}

int fcl_ranks_sum(fcl_ranks *ranks, int64_t count, float *numbers)
{
    enum { PIECE = 1 << 20 };
    return fcl_ranks_sum_pieces(ranks, count, numbers, &(fcl_sum_pieces){.size = PIECE});
}
