/* Which provider multiplies, and one handle for any. */
#include "device/opencl.h"

#include "base/error.h"
#include "device/environment.h"
#include "device/tile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const providers[FCL_GEMM_PROVIDERS] = {
    [FCL_GEMM_TILE] = "tile", [FCL_GEMM_CLBLAST] = "clblast", [FCL_GEMM_GPU] = "gpu"};

const char *fcl_gemm_provider_name(fcl_gemm_provider provider)
{
    return providers[provider];
}

int fcl_gemm_provider_find(const char *name)
{
    int provider = FCL_GEMM_PROVIDERS - 1;
    while (provider >= 0 && strcmp(name, providers[provider]) != 0)
        provider--;
    return provider;
}

/* The number of the provider that $FLOWCL_GEMM names; -1 where it is not set. */
static int provider_of_environment(void)
{
    const char *name = fcl_environment("FLOWCL_GEMM");
    return name ? fcl_gemm_provider_find(name) : -1;
}

bool fcl_gemm_has_tiles(fcl_device_type type)
{
    return type == FCL_DEVICE_CPU;
}

int fcl_gemm_check_environment(const fcl_device_info *info)
{
    if (provider_of_environment() != FCL_GEMM_TILE || fcl_gemm_has_tiles(info->type))
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT,
                    "FLOWCL_GEMM=tile: device %s %s is no CPU, and only CPUs multiply by tiles; unset it, or name "
                    "clblast or gpu",
                    info->id, info->name);
}

/* The register tile that a processor's vector registers hold: 32 of sixteen floats hold 8 x 2, 16 of eight
 * hold 6 x 1. Where the driver vectorises over work-items instead, or not at all, a small one keeps its
 * compiler short. Few rows: a lower tile, and a wider one, since a core's multiplier needs some eight sums in
 * flight. */
static void choose_tile(fcl_gemm_choice *choice, const fcl_gemm_problem *problem, int vector_width)
{
    choice->rows = vector_width >= 16 ? 8 : vector_width >= 4 ? 6 : 4;
    choice->vectors = vector_width >= 16 ? 2 : 1;
    if (problem->m < choice->rows)
        choice->rows = problem->m == 3 ? 4 : problem->m;
    if (choice->rows <= 2 && vector_width >= 16)
        choice->vectors = 4;
    while (choice->vectors > 1 && 8 * choice->vectors >= problem->n)
        choice->vectors /= 2;
}

/* The time that the work-items of one core take, in register tiles: a panel's copy is shared by the tiles of a
 * block, what the second cache holds of A by its panels; rows of an A stored k x m are copied as well. Where a core
 * has one work-item, nobody helps it when it wakes late, by some 5 us, or when others use it. The weights are
 * measured (PERFORMANCE.md). */
static double block_cost(const fcl_gemm_choice *choice, const fcl_gemm_problem *problem, int tiles, int columns,
                         int cores)
{
    double rows = problem->transpose_a ? 0.8 : 0.15, late = 1100.0 / problem->k;
    double items =
        (double)fcl_tile_count(tiles, choice->block) * fcl_tile_count(columns, choice->panels) * problem->batch;
    double tile = 1 + 1.0 / choice->block + rows / choice->panels;
    double cost = ceil(items / cores) * choice->block * choice->panels * tile;
    return items < 2.0 * cores ? 1.02 * cost + late : cost;
}

/* The largest of the blocks, or panels, that cut `count` into as many equal parts. */
static bool cuts_equally(int size, int count)
{
    return size == fcl_tile_count(count, fcl_tile_count(count, size));
}

static void choose_block(fcl_gemm_choice *choice, const fcl_gemm_problem *problem, int cores)
{
    int columns = fcl_tile_count(problem->n, 16 * choice->vectors);
    int tiles = fcl_tile_count(problem->m, choice->rows);
    fcl_gemm_choice best = *choice;
    double least = INFINITY;
    for (choice->panels = 1; choice->panels <= FCL_GEMM_MOST_PANELS && choice->panels <= columns;
         choice->panels++) {
        choice->block = FCL_GEMM_MOST_BLOCK;
        fcl_gemm_tile_bound(problem, choice);
        for (; choice->block >= 1; choice->block--) {
            if (!cuts_equally(choice->panels, columns) || !cuts_equally(choice->block, tiles))
                continue;
            double cost = block_cost(choice, problem, tiles, columns, cores);
            if (cost < least) {
                least = cost;
                best = *choice;
            }
        }
    }
    *choice = best;
}

fcl_gemm_choice fcl_gemm_tile_rule(const fcl_device *device, const fcl_gemm_problem *problem)
{
    fcl_gemm_choice choice = {.provider = FCL_GEMM_TILE};
    choose_tile(&choice, problem, device->info.vector_width);
    choose_block(&choice, problem, device->info.compute_units);
    return choice;
}

static fcl_gemm_choice best_on_gpus(const fcl_device *device, const fcl_gemm_problem *problem)
{
    fcl_gemm_choice list[FCL_GEMM_GPU_SETS];
    fcl_gemm_gpu_rank(device, problem, list);
    return list[0];
}

/* Our own product is the faster one on NVIDIA's GPUs, as measured (PERFORMANCE.md); on others nobody has measured it.
 * Drivers of CPUs that vectorise over work-items, as llvmpipe, are told what GPUs are: they would compile a tile for half a
 * minute, and llvmpipe leaves loops after 65535 passes, all of a work-item together, which a block of tiles needs. */
static fcl_gemm_provider provider_of_kind(const fcl_device_info *info)
{
    if (!fcl_gemm_has_tiles(info->type))
        return strstr(info->platform_name, "NVIDIA") ? FCL_GEMM_GPU : FCL_GEMM_CLBLAST;
    return info->vector_width >= 4 ? FCL_GEMM_TILE : FCL_GEMM_GPU;
}

fcl_gemm_choice fcl_gemm_rule(const fcl_device *device, const fcl_gemm_problem *problem)
{
    int named = provider_of_environment();
    if (named < 0)
        named = provider_of_kind(&device->info);
    if (named == FCL_GEMM_GPU)
        return best_on_gpus(device, problem);
    if (named == FCL_GEMM_CLBLAST)
        return (fcl_gemm_choice){.provider = FCL_GEMM_CLBLAST};
    return fcl_gemm_tile_rule(device, problem);
}

/* Can the device multiply so? */
static bool is_possible(const fcl_device *device, const fcl_gemm_choice *choice)
{
    switch (choice->provider) {
    case FCL_GEMM_TILE:
        return fcl_gemm_has_tiles(device->info.type);
    case FCL_GEMM_GPU:
        return fcl_gemm_gpu_fits(device, choice->set);
    default:
        return true;
    }
}

/* A table that was measured in the form of GPUs says nothing of a CPU's own. */
static bool is_of_form(const fcl_device *device, const fcl_gemm_choice *choice)
{
    return choice->provider != FCL_GEMM_GPU || !fcl_device_traits(device).wide;
}

fcl_gemm_choice fcl_gemm_choose(const fcl_device *device, const fcl_gemm_problem *problem)
{
    const fcl_gemm_choice *tuned =
        provider_of_environment() < 0 ? fcl_tuned_find(&device->tuned, problem) : NULL;
    if (!tuned || !is_possible(device, tuned) || !is_of_form(device, tuned))
        return fcl_gemm_rule(device, problem);
    fcl_gemm_choice choice = *tuned; /* maybe of a problem with a shorter k */
    if (choice.provider == FCL_GEMM_TILE)
        fcl_gemm_tile_bound(problem, &choice);
    return choice;
}

struct fcl_gemm {
    fcl_clblast *clblast; /* either this, */
    fcl_program *program; /* or a program of our kernel and its launch, and maybe those of parts of k that are added */
    fcl_launch *launch, *sums;
    fcl_buffer *parts;
};

static int check_operand(const fcl_buffer *buffer, const char *name, double rows, double columns,
                         double count)
{
    double bytes = sizeof(float) * rows * columns * count;
    if ((double)buffer->bytes >= bytes)
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT,
                    "a matrix product's %s has %zu bytes, where %.0f matrices of %.0f x %.0f need %.0f", name,
                    buffer->bytes, count, rows, columns, bytes);
}

static int check(const fcl_gemm_problem *problem, float beta, const fcl_buffer *a, const fcl_buffer *b,
                 const fcl_buffer *c)
{
    const fcl_gemm_problem *p = problem;
    if (p->m < 1 || p->n < 1 || p->k < 1 || p->batch < 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "a matrix product of m %d, n %d, k %d, batch %d has no elements",
                        p->m, p->n, p->k, p->batch);
    if (beta != 0 && beta != 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "a matrix product's beta is 0 or 1, not %g", (double)beta);
    FCL_TRY(check_operand(a, "A", p->m, p->k, p->share_a ? 1 : p->batch));
    FCL_TRY(check_operand(b, "B", p->k, p->n, p->share_b ? 1 : p->batch));
    return check_operand(c, "C", p->m, p->n, p->batch);
}

static int create_tile(fcl_device *device, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice,
                       float beta, fcl_buffer *a, fcl_buffer *b, fcl_buffer *c, const char *label,
                       fcl_gemm *gemm)
{
    fcl_text text = {0};
    fcl_gemm_tile_source(&text, "gemm", problem, choice, "", beta == 1 ? "v += LOAD(c, at);" : "", NULL);
    int status = fcl_program_build(device, "matrix product", text.data, NULL, &gemm->program);
    fcl_text_free(&text);
    FCL_TRY(status);
    FCL_TRY(fcl_launch_create(gemm->program, "gemm", label, &gemm->launch));
    fcl_gemm_tile_launch(gemm->launch, problem, choice, a, b, c);
    return FCL_OK;
}

static int launch_parts(fcl_device *device, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice,
                        fcl_buffer *c, const char *label, fcl_gemm *gemm)
{
    FCL_TRY(fcl_buffer_create(device, fcl_gemm_gpu_scratch(problem, choice), &gemm->parts));
    FCL_TRY(fcl_launch_create(gemm->program, "gemm_sums", label, &gemm->sums));
    fcl_gemm_gpu_launch_sums(gemm->sums, problem, choice, gemm->parts, c);
    return FCL_OK;
}

static int create_gpu(fcl_device *device, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice,
                      float beta, fcl_buffer *a, fcl_buffer *b, fcl_buffer *c, const char *label,
                      fcl_gemm *gemm)
{
    fcl_text text = {0};
    bool aligned = fcl_buffer_is_aligned(a) && fcl_buffer_is_aligned(b) && fcl_buffer_is_aligned(c);
    fcl_gemm_gpu_source(&text, "gemm", problem, choice, aligned, "", beta == 1 ? "v += LOAD(c, at);" : "");
    int status = fcl_program_build(device, "matrix product", text.data, NULL, &gemm->program);
    fcl_text_free(&text);
    FCL_TRY(status);
    FCL_TRY(fcl_launch_create(gemm->program, "gemm", label, &gemm->launch));
    if (fcl_gemm_gpu_scratch(problem, choice))
        FCL_TRY(launch_parts(device, problem, choice, c, label, gemm));
    fcl_gemm_gpu_launch(gemm->launch, problem, choice, a, b, gemm->parts ? gemm->parts : c);
    return FCL_OK;
}

static int fail_impossible(const fcl_device *device, const fcl_gemm_choice *choice)
{
    const fcl_device_info *info = &device->info;
    char name[FCL_GEMM_GPU_NAME];
    if (choice->provider == FCL_GEMM_TILE)
        return fcl_fail(FCL_ERR_UNSUPPORTED, "device %s %s is no CPU, and only CPUs multiply by tiles",
                        info->id, info->name);
    fcl_gemm_gpu_name(choice->set, name);
    return fcl_fail(FCL_ERR_UNSUPPORTED,
                    "device %s %s has %llu bytes of local memory, too few for the products' parameters %s",
                    info->id, info->name, (unsigned long long)info->local_memory, name);
}

int fcl_gemm_create(fcl_device *device, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice,
                    float beta, fcl_buffer *a, fcl_buffer *b, fcl_buffer *c, const char *label,
                    fcl_gemm **gemm)
{
    *gemm = NULL;
    FCL_TRY(check(problem, beta, a, b, c));
    if (!is_possible(device, choice))
        return fail_impossible(device, choice);
    fcl_gemm *made = fcl_zalloc(sizeof *made);
    int status = choice->provider == FCL_GEMM_CLBLAST
                     ? fcl_clblast_create(device, problem, beta, a, b, c, label, &made->clblast)
                 : choice->provider == FCL_GEMM_GPU
                     ? create_gpu(device, problem, choice, beta, a, b, c, label, made)
                     : create_tile(device, problem, choice, beta, a, b, c, label, made);
    if (status != FCL_OK)
        fcl_gemm_destroy(&made);
    *gemm = made;
    return status;
}

void fcl_gemm_destroy(fcl_gemm **gemm)
{
    if (!*gemm)
        return;
    fcl_clblast_destroy(&(*gemm)->clblast);
    fcl_launch_destroy(&(*gemm)->launch);
    fcl_launch_destroy(&(*gemm)->sums);
    fcl_buffer_destroy(&(*gemm)->parts);
    fcl_program_destroy(&(*gemm)->program);
    free(*gemm);
    *gemm = NULL;
}

int fcl_gemm_enqueue(fcl_gemm *gemm)
{
    if (gemm->clblast)
        return fcl_clblast_enqueue(gemm->clblast);
    FCL_TRY(fcl_launch_enqueue(gemm->launch));
    return gemm->sums ? fcl_launch_enqueue(gemm->sums) : FCL_OK;
}
