#include "ranks/mpi.h"

#include "base/error.h"
#include "base/memory.h"

#include <mpi.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each begins its exchanges in the same order on all ranks, as MPI asks: how the two follow one another is a rank's own. */
static MPI_Comm shares_world, sums_world;

static int check(int code, const char *what)
{
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (code == MPI_SUCCESS)
        return FCL_OK;
    MPI_Error_string(code, text, &length);
    return fcl_fail(FCL_ERR_RANK, "%s failed: %.*s", what, length, text);
}

static int local_world(fcl_world *world)
{
    MPI_Comm local;
    FCL_TRY(check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, world->number, MPI_INFO_NULL, &local),
                  "finding the ranks of this machine"));
    MPI_Comm_rank(local, &world->local_number);
    MPI_Comm_size(local, &world->local_count);
    return check(MPI_Comm_free(&local), "finding the ranks of this machine");
}

/* MPI has threads of its own, which are to leave signals to the program's. */
static int start(void)
{
    int threads;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &threads);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return check(code, "starting MPI");
}

int fcl_mpi_open(fcl_world *world)
{
    FCL_TRY(start());
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &world->number);
    MPI_Comm_size(MPI_COMM_WORLD, &world->count);
    FCL_TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &shares_world), "joining the ranks"));
    FCL_TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &sums_world), "joining the ranks"));
    return local_world(world);
}

const char *fcl_mpi_name(void)
{
#if defined OPEN_MPI
    return "Open MPI";
#elif defined MPICH_VERSION
    return "MPICH";
#else
    return "another";
#endif
}

bool fcl_ranks_supported(void)
{
    return true;
}

void fcl_mpi_close(void)
{
    MPI_Finalize();
}

/* Behind so many looks in vain, *looks. What comes may be long in coming, and may be computed on the same cores: at first one
 * looks all the time, then now and then. */
static void ease(int *looks)
{
    enum { LOOKS = 2000, NAP = 50 /* microseconds */ };
    if (++*looks > LOOKS)
        usleep(NAP);
}

static int wait_at_ease(MPI_Request *request)
{
    int code = MPI_SUCCESS, done = 0, looks = 0;
    while (code == MPI_SUCCESS && !done) {
        code = MPI_Test(request, &done, MPI_STATUS_IGNORE);
        if (!done)
            ease(&looks);
    }
    return code;
}

int fcl_mpi_minimum(int count, int *numbers)
{
    MPI_Request request;
    int code = MPI_Iallreduce(MPI_IN_PLACE, numbers, count, MPI_INT, MPI_MIN, MPI_COMM_WORLD, &request);
    return check(code == MPI_SUCCESS ? wait_at_ease(&request) : code, "meeting the other ranks");
}

/* --- bytes, a piece at a time --- */

enum { PIECE = 1 << 28 };

static size_t piece_at(size_t bytes, size_t at)
{
    return bytes - at < PIECE ? bytes - at : PIECE;
}

int fcl_mpi_broadcast(int rank, size_t bytes, void *content)
{
    for (size_t at = 0; at < bytes; at += PIECE)
        FCL_TRY(check(MPI_Bcast((char *)content + at, (int)piece_at(bytes, at), MPI_BYTE, rank, MPI_COMM_WORLD),
                      "telling the other ranks"));
    return FCL_OK;
}

/* A broadcast of each in turn: nothing needs more room than what is asked for. */
int fcl_mpi_gather(size_t bytes, const void *mine, void *all)
{
    int number, count;
    MPI_Comm_rank(MPI_COMM_WORLD, &number);
    MPI_Comm_size(MPI_COMM_WORLD, &count);
    memmove((char *)all + (size_t)number * bytes, mine, bytes);
    for (int rank = 0; rank < count; rank++)
        FCL_TRY(fcl_mpi_broadcast(rank, bytes, (char *)all + (size_t)rank * bytes));
    return FCL_OK;
}

/* --- sums --- */

/* A piece on its way. Slice r of it is added by rank r: all send it there, and it sends the sums to all. */
typedef struct piece {
    int64_t first;
    int count;
    float *numbers;
    float *shares;         /* (ranks x slice) of this rank's slice: what each rank has of it */
    int *counts, *offsets; /* (ranks) of the slices */
    int *shares_at;        /* (ranks) where each rank's share lies, all as large as this rank's slice */
    int *own;              /* (ranks) this rank's slice, for each */
    MPI_Request request;
} piece;

static int slice_size(int ranks, int64_t count)
{
    return (int)((count + ranks - 1) / ranks);
}

int64_t fcl_mpi_sum_room(const fcl_world *world, int64_t count)
{
    return (int64_t)slice_size(world->count, count) * world->count;
}

static void cut(piece *p, const fcl_world *world)
{
    int size = slice_size(world->count, p->count);
    for (int rank = 0; rank < world->count; rank++) {
        int at = rank * size < p->count ? rank * size : p->count;
        p->offsets[rank] = at;
        p->counts[rank] = p->count - at < size ? p->count - at : size;
    }
    for (int rank = 0; rank < world->count; rank++) {
        p->own[rank] = p->counts[world->number];
        p->shares_at[rank] = rank * p->own[0];
    }
}

static int send_shares(piece *p)
{
    return check(MPI_Ialltoallv(p->numbers, p->counts, p->offsets, MPI_FLOAT, p->shares, p->own, p->shares_at, MPI_FLOAT,
                                shares_world, &p->request),
                 "sending shares of a sum");
}

/* In the order of ranks: of this, and of nothing else, the bits are. */
static void add(const piece *p, const fcl_world *world)
{
    int n = p->own[0];
    float *restrict sum = p->shares;
    for (int rank = 1; rank < world->count; rank++) {
        const float *restrict share = p->shares + (int64_t)rank * n;
        for (int i = 0; i < n; i++)
            sum[i] += share[i];
    }
    memcpy(p->numbers + p->offsets[world->number], sum, (size_t)n * sizeof *sum);
}

static int send_sums(piece *p, const fcl_world *world)
{
    FCL_TRY(check(MPI_Wait(&p->request, MPI_STATUS_IGNORE), "receiving shares of a sum"));
    add(p, world);
    return check(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, p->numbers, p->counts, p->offsets, MPI_FLOAT,
                                 sums_world, &p->request),
                 "sending sums");
}

static int take_sums(piece *p)
{
    return check(MPI_Wait(&p->request, MPI_STATUS_IGNORE), "receiving sums");
}

typedef struct sum {
    const fcl_world *world;
    const fcl_sum_pieces *pieces;
    piece *p; /* (count) in the order in which they go */
    int64_t count;
    int64_t sent, added, done; /* the first so many have sent shares, and sums, and are done */
    float *any; /* as many numbers as a piece has */
    int lost;   /* why this rank's numbers do not come; FCL_OK: they do */
} sum;

static int add_next(sum *s)
{
    return send_sums(&s->p[s->added++], s->world);
}

static int take_next(sum *s)
{
    const piece *p = &s->p[s->done];
    FCL_TRY(take_sums(&s->p[s->done++]));
    if (s->lost == FCL_OK && s->pieces->summed)
        s->lost = s->pieces->summed(s->pieces->data, p->first, p->count);
    return FCL_OK;
}

/* Does what can be done without waiting for another rank; MPI brings on what is on its way in its calls alone. */
static int go_on(sum *s, bool *moved)
{
    int come = 0;
    if (s->added < s->sent)
        FCL_TRY(check(MPI_Test(&s->p[s->added].request, &come, MPI_STATUS_IGNORE), "receiving shares of a sum"));
    *moved = come;
    FCL_TRY(come ? add_next(s) : FCL_OK);
    come = 0;
    if (s->done < s->added)
        FCL_TRY(check(MPI_Test(&s->p[s->done].request, &come, MPI_STATUS_IGNORE), "receiving sums"));
    *moved |= come;
    return come ? take_next(s) : FCL_OK;
}

/* Until the next piece's numbers are there. Others are brought on meanwhile; where there are none, nothing is to be done. */
static int wait_for_next(sum *s)
{
    const fcl_sum_pieces *pieces = s->pieces;
    const piece *p = &s->p[s->sent];
    bool there = false;
    for (int looks = 0; s->lost == FCL_OK && pieces->look && s->done < s->sent && !there;) {
        bool moved;
        FCL_TRY(go_on(s, &moved));
        if (s->lost == FCL_OK)
            s->lost = pieces->look(pieces->data, p->first, p->count, &there);
        if (moved)
            looks = 0;
        else if (!there)
            ease(&looks);
    }
    if (s->lost == FCL_OK && pieces->wait)
        s->lost = pieces->wait(pieces->data, p->first, p->count);
    return FCL_OK;
}

/* Shares of all pieces go out as these come, sums as their shares come. A rank whose numbers do not come goes on with any
 * others, for all wait for it: at the next meeting they hear that it has failed. */
static int run(sum *s)
{
    while (s->sent < s->count) {
        FCL_TRY(wait_for_next(s));
        if (s->lost != FCL_OK)
            s->p[s->sent].numbers = s->any;
        FCL_TRY(send_shares(&s->p[s->sent++]));
    }
    while (s->added < s->count)
        FCL_TRY(add_next(s));
    while (s->done < s->count)
        FCL_TRY(take_next(s));
    return FCL_OK;
}

int fcl_mpi_sum(const fcl_world *world, int64_t count, float *numbers, const fcl_sum_pieces *pieces, float *shares)
{
    int64_t size = pieces->size, number = (count + size - 1) / size;
    piece *p = fcl_zalloc((size_t)number * sizeof *p);
    int *words = fcl_zalloc((size_t)(4 * number * world->count) * sizeof *words), *next = words;
    float *any = shares + number * fcl_mpi_sum_room(world, size);
    for (int64_t i = 0; i < number; i++, next += 4 * world->count) {
        int64_t first = size * (pieces->order ? pieces->order[i] : i);
        p[i] = (piece){.first = first,
                       .count = (int)(count - first < size ? count - first : size),
                       .numbers = numbers + first,
                       .shares = shares + i * fcl_mpi_sum_room(world, size),
                       .counts = next,
                       .offsets = next + world->count,
                       .shares_at = next + 2 * world->count,
                       .own = next + 3 * world->count,
                       .request = MPI_REQUEST_NULL};
        cut(&p[i], world);
    }
    sum s = {.world = world, .pieces = pieces, .p = p, .count = number, .any = any, .lost = FCL_OK};
    int status = run(&s);
    free(words);
    free(p);
    return status == FCL_OK ? s.lost : status;
}
