/* Candidates for tuning: the rule's choice, and variations of it. */
#include "device/measure.h"

#include "base/error.h"

#include <flowcl/tune.h>

#include <string.h>

/* What a tile kernel may differ in from the rule's. 0: the rule's own; block and panels by powers of two. */
static const struct {
    int rows, vectors, block, panels;
} variations[] = {
    {0, 0, -1, 0},  {0, 0, +1, 0}, {0, 0, 0, -1}, {0, 0, 0, +1},  {0, 0, -1, +1},
    {0, 0, +1, -1}, {0, 0, -2, 0}, {0, 0, 0, +2}, {0, 0, -2, +2}, {4, 2, +1, 0},
    {6, 2, 0, 0},   {8, 1, 0, +1}, {4, 4, 0, 0},  {6, 1, 0, 0},
};
enum { VARIATIONS = sizeof variations / sizeof *variations, MOST = VARIATIONS + 3 + 2 * FCL_GEMM_GPU_SETS };

static int shifted(int value, int shift)
{
    return shift < 0 ? value >> -shift : value << shift;
}

/* Is it a kernel at all, and none that leaves most of a tile outside the matrix? */
static bool fits(const fcl_gemm_choice *choice, const fcl_gemm_problem *problem)
{
    return choice->block >= 1 && choice->block <= FCL_GEMM_MOST_BLOCK && choice->panels >= 1 &&
           choice->panels <= FCL_GEMM_MOST_PANELS && (choice->rows - 1) * (choice->block / 2) < problem->m &&
           16 * choice->vectors * (choice->panels / 2) < problem->n;
}

static bool equal(const fcl_gemm_choice *a, const fcl_gemm_choice *b)
{
    if (a->provider != b->provider || a->provider == FCL_GEMM_CLBLAST)
        return a->provider == b->provider;
    if (a->provider == FCL_GEMM_GPU)
        return a->set == b->set && a->parts == b->parts;
    return a->rows == b->rows && a->vectors == b->vectors && a->block == b->block && a->panels == b->panels;
}

static void add(fcl_gemm_choice *list, int *count, const fcl_gemm_choice *choice)
{
    for (int i = 0; i < *count; i++)
        if (equal(&list[i], choice))
            return;
    list[(*count)++] = *choice;
}

static void add_tiles(const fcl_device *device, const fcl_gemm_problem *problem, fcl_gemm_choice list[MOST], int *count)
{
    const fcl_gemm_choice tile = fcl_gemm_tile_rule(device, problem);
    add(list, count, &tile);
    for (int i = 0; i < VARIATIONS; i++) {
        fcl_gemm_choice choice = tile;
        choice.rows = variations[i].rows ? variations[i].rows : tile.rows;
        choice.vectors = variations[i].vectors ? variations[i].vectors : tile.vectors;
        choice.block = shifted(tile.block, variations[i].block);
        choice.panels = shifted(tile.panels, variations[i].panels);
        if (!fits(&choice, problem))
            continue;
        fcl_gemm_tile_bound(problem, &choice);
        add(list, count, &choice);
    }
}

/* Those that seem best first, since the time may not be enough for all; of each also k as a whole. */
static void add_gpu(const fcl_device *device, const fcl_gemm_problem *problem, fcl_gemm_choice list[MOST], int *count)
{
    fcl_gemm_choice ranked[FCL_GEMM_GPU_SETS];
    int sets = fcl_gemm_gpu_rank(device, problem, ranked);
    for (int i = 0; i < 2 * sets; i++) {
        fcl_gemm_choice choice = ranked[i / 2];
        choice.parts = i % 2 ? 1 : choice.parts;
        add(list, count, &choice);
    }
}

static int list_choices(const fcl_device *device, const fcl_gemm_problem *problem, fcl_gemm_choice list[MOST])
{
    int count = 0;
    const fcl_gemm_choice rule = fcl_gemm_rule(device, problem);
    const fcl_gemm_choice clblast = {.provider = FCL_GEMM_CLBLAST};
    add(list, &count, &rule);
    if (rule.provider == FCL_GEMM_GPU)
        add(list, &count, &clblast);
    if (!fcl_device_traits(device).wide)
        add_gpu(device, problem, list, &count);
    if (fcl_gemm_has_tiles(device->info.type))
        add_tiles(device, problem, list, &count);
    add(list, &count, &clblast);
    return count;
}

/* False where there is no such candidate. */
static bool choose(const fcl_device *device, const fcl_product *product, int candidate,
                   fcl_gemm_choice *choice)
{
    fcl_gemm_choice list[MOST];
    fcl_gemm_problem problem = fcl_product_problem(product);
    int count = list_choices(device, &problem, list);
    if (candidate < 0 || candidate >= count)
        return false;
    *choice = list[candidate];
    return true;
}

int fcl_tune_count(const fcl_device *device, const fcl_product *product)
{
    fcl_gemm_choice list[MOST];
    fcl_gemm_problem problem = fcl_product_problem(product);
    return list_choices(device, &problem, list);
}

bool fcl_tune_is_risky(const fcl_device *device, const fcl_product *product, int candidate)
{
    fcl_gemm_choice choice;
    return choose(device, product, candidate, &choice) && (candidate > 0 || choice.provider == FCL_GEMM_CLBLAST);
}

int fcl_tune_candidate(fcl_device *device, const fcl_product *product, int candidate, uint32_t seed,
                       fcl_measure **measure)
{
    fcl_gemm_choice choice;
    *measure = NULL;
    if (!choose(device, product, candidate, &choice))
        return fcl_fail(FCL_ERR_ARGUMENT, "a product has no candidate %d", candidate);
    return fcl_measure_choice(device, product, &choice, seed, measure);
}

const char *fcl_tune_set_name(int index)
{
    return fcl_clblast_set_name(index);
}

static int find_set(const char *name, int *set)
{
    *set = 0;
    while (fcl_clblast_set_name(*set) && strcmp(fcl_clblast_set_name(*set), name) != 0)
        ++*set;
    if (!fcl_clblast_set_name(*set))
        return fcl_fail(FCL_ERR_ARGUMENT, "there is no set of CLBlast's parameters named '%s'", name);
    return FCL_OK;
}

int fcl_tune_set(fcl_device *device, const char *name)
{
    int set;
    FCL_TRY(find_set(name, &set));
    device->tuned.clblast_set = device->tuned.clblast_direct = set;
    return FCL_OK;
}

int fcl_tune_set_direct(fcl_device *device, const char *name)
{
    int set;
    FCL_TRY(find_set(name, &set));
    device->tuned.clblast_direct = set;
    return FCL_OK;
}

const char *fcl_tune_set_direct_used(const fcl_device *device)
{
    return fcl_clblast_set_name(device->tuned.clblast_direct);
}

const char *fcl_tune_set_used(const fcl_device *device)
{
    return fcl_clblast_set_name(device->tuned.clblast_set);
}

int fcl_tune_indirect_from(fcl_device *device, int size)
{
    if (size < 0 || size > FCL_CLBLAST_SWITCH_MOST)
        return fcl_fail(FCL_ERR_ARGUMENT, "CLBlast's kernel for large products begins at a size of 0 to %d, not %d",
                        FCL_CLBLAST_SWITCH_MOST, size);
    device->tuned.clblast_switch = size;
    return FCL_OK;
}

int fcl_tune_indirect_kept(const fcl_device *device)
{
    return device->tuned.clblast_switch;
}

void fcl_tune_keep(fcl_device *device, const fcl_product *product, int candidate, double seconds,
                   double rule_seconds)
{
    fcl_tuned row = {
        .problem = fcl_product_problem(product), .seconds = seconds, .rule_seconds = rule_seconds};
    if (choose(device, product, candidate, &row.choice))
        fcl_tuned_put(&device->tuned, &row);
}

int fcl_tune_save(const fcl_device *device, char **path)
{
    return fcl_tuned_write(device, &device->tuned, path);
}
