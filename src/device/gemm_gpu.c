/* The product for GPUs of cl/gemm_gpu.cl: its sets of parameters, their text and their launches. */
#include "device/gemm_gpu.h"

#include "device/opencl.h"
#include "device/tile.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A group's results and how deep its tiles are, its work-items along either side, and tiles of each operand in local memory
 * (see cl/gemm_gpu.cl). All devices have groups of 256; which sets their local memory is enough for, is asked. What is
 * published of fast products on GPUs lies among these: 4 x 4 to 8 x 8 results a work-item where the matrix has many, 2 x 2
 * where it has few, and flat tiles for the narrow matrices of first and last layers. */
/* clang-format off */
static const struct {
    int a_side, b_side, deep, a_items, b_items, buffers;
} sets[] = {
    {16, 16, 16, 8, 8, 1},    {16, 16, 32, 8, 8, 1},    {16, 16, 32, 8, 8, 2},   {32, 32, 8, 8, 8, 2},
    {32, 32, 16, 8, 8, 1},    {32, 32, 16, 8, 8, 2},    {32, 32, 32, 8, 8, 1},   {32, 32, 16, 16, 16, 1},
    {32, 64, 16, 8, 16, 1},   {64, 32, 16, 16, 8, 1},   {32, 64, 16, 8, 8, 2},   {64, 32, 16, 8, 8, 2},
    {64, 64, 8, 8, 8, 2},     {64, 64, 16, 8, 8, 1},    {64, 64, 8, 16, 16, 2},  {64, 64, 16, 16, 16, 1},
    {64, 64, 16, 16, 16, 2},  {64, 64, 32, 16, 16, 1},  {64, 64, 16, 8, 16, 1},  {64, 64, 16, 16, 8, 1},
    {128, 64, 8, 16, 8, 2},   {64, 128, 8, 8, 16, 2},   {128, 64, 16, 16, 16, 1}, {64, 128, 16, 16, 16, 1},
    {128, 128, 8, 16, 16, 1}, {128, 128, 8, 16, 16, 2}, {128, 128, 16, 16, 16, 1}, {128, 32, 16, 32, 8, 1},
    {32, 128, 16, 8, 32, 1},  {128, 16, 16, 32, 4, 1},  {64, 16, 32, 16, 4, 1},  {256, 16, 8, 64, 4, 2},
    {16, 128, 16, 4, 32, 1},  {16, 64, 32, 4, 16, 1},   {64, 4, 32, 64, 1, 1},   {128, 4, 16, 64, 1, 2},
    {4, 64, 32, 1, 64, 1},    {4, 128, 16, 1, 64, 2},   {256, 4, 8, 128, 1, 2},
};
/* clang-format on */
enum { SETS = FCL_GEMM_GPU_SETS };
_Static_assert(sizeof sets / sizeof *sets == SETS, "as many as gemm.h says");

void fcl_gemm_gpu_name(int set, char name[FCL_GEMM_GPU_NAME])
{
    const int a = sets[set].a_side, b = sets[set].b_side;
    snprintf(name, FCL_GEMM_GPU_NAME, "%dx%dx%d %dx%d%s", a, b, sets[set].deep, a / sets[set].a_items,
             b / sets[set].b_items, sets[set].buffers == 2 ? "+" : "");
}

int fcl_gemm_gpu_find(const char *name)
{
    char known[FCL_GEMM_GPU_NAME];
    for (int set = 0; set < SETS; set++) {
        fcl_gemm_gpu_name(set, known);
        if (strcmp(known, name) == 0)
            return set;
    }
    return -1;
}

/* Neighbours that write across the lines of a tile write to other banks of local memory then. */
enum { PAD = 4 };

/* Half of the local memory, so that a unit has two groups, one of which may wait; Mesa counts a kernel's twice. */
bool fcl_gemm_gpu_fits(const fcl_device *device, int set)
{
    size_t line = (size_t)(sets[set].a_side + sets[set].b_side + 2 * PAD);
    return sizeof(float) * (size_t)sets[set].buffers * (size_t)sets[set].deep * line <= device->info.local_memory / 2;
}

/* Of k, a whole number of tiles: so each part begins where a float4 may. */
static int part_depth(const fcl_gemm_problem *problem, const fcl_gemm_choice *choice)
{
    int deep = sets[choice->set].deep;
    return fcl_tile_count(fcl_tile_count(problem->k, choice->parts), deep) * deep;
}

int fcl_gemm_gpu_parts(const fcl_gemm_problem *problem, const fcl_gemm_choice *choice)
{
    return fcl_tile_count(problem->k, part_depth(problem, choice));
}

/* --- which set --- */

/* The time of a product, in cycles of a unit that multiplies for 128 work-items at once. The weights are fitted to what tuning
 * found on an NVIDIA H200 for 22 products, from 6 to 85 us: they give its winners' times within a factor of 1.5. In turn: what
 * a number costs on its way from a cache to local memory, from there to a register, and its share of a tile's barriers, for
 * each step along k; steps that beginning and storing take; how many work-items hide half of a wait, and from how many on it
 * helps no more; a launch, which the host may be slower with than the device; adding a part's number. Tuning measures. */
static double cost(const fcl_gemm_problem *p, const fcl_gemm_choice *choice, int units)
{
    const double at_once = 128, fetch = 20, read = 0.5, tile = 20, begin = 4, hide = 180, enough = 512, launch = 8000, add = 0.4;
    const int a = sets[choice->set].a_side, b = sets[choice->set].b_side;
    const int items = sets[choice->set].a_items * sets[choice->set].b_items;
    const double parts = fcl_gemm_gpu_parts(p, choice), rows = (double)a / sets[choice->set].a_items,
                 cols = (double)b / sets[choice->set].b_items;
    double groups = (double)fcl_tile_count(p->m, a) * fcl_tile_count(p->n, b) * p->batch * parts;
    double line = rows * cols + read * (rows + cols) + fetch * (a + b) / items + tile / sets[choice->set].deep;
    double busy = items * ceil(groups / units);
    double time = busy / at_once * (part_depth(p, choice) + begin) * line * (1 + hide / fmin(busy, enough)) + launch;
    return parts > 1 ? time + launch + add * p->m * p->n * p->batch * parts / units : time;
}

typedef struct ranked {
    fcl_gemm_choice choice;
    double cost;
} ranked;

/* A small result has work for few groups unless its sums are cut into parts, which take memory: for less than a tenth of the
 * time they are not worth it. */
static ranked best_parts(const fcl_gemm_problem *problem, int set, int units)
{
    const double worth = 0.9;
    ranked best = {.cost = INFINITY};
    for (int parts = 1; parts <= FCL_GEMM_GPU_PARTS; parts *= 2) {
        ranked one = {.choice = {.provider = FCL_GEMM_GPU, .set = set, .parts = parts}};
        if (fcl_gemm_gpu_parts(problem, &one.choice) != parts)
            continue;
        one.cost = cost(problem, &one.choice, units) / (parts > 1 ? worth : 1);
        best = one.cost < best.cost ? one : best;
    }
    return best;
}

static int by_cost(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->cost != y->cost ? (x->cost > y->cost) - (x->cost < y->cost) : x->choice.set - y->choice.set;
}

int fcl_gemm_gpu_rank(const fcl_device *device, const fcl_gemm_problem *problem,
                      fcl_gemm_choice list[FCL_GEMM_GPU_SETS])
{
    ranked all[SETS];
    int count = 0, units = fcl_device_traits(device).units;
    for (int set = 0; set < SETS; set++)
        if (fcl_gemm_gpu_fits(device, set))
            all[count++] = best_parts(problem, set, units);
    qsort(all, (size_t)count, sizeof *all, by_cost);
    for (int i = 0; i < count; i++)
        list[i] = all[i].choice;
    return count;
}

/* --- text and launches --- */

size_t fcl_gemm_gpu_scratch(const fcl_gemm_problem *problem, const fcl_gemm_choice *choice)
{
    size_t parts = (size_t)fcl_gemm_gpu_parts(problem, choice);
    size_t results = (size_t)problem->m * (size_t)problem->n * (size_t)problem->batch;
    return parts > 1 ? sizeof(float) * results * parts : 0;
}

/* Results that a work-item has side by side. */
static int run_of(int side, int items)
{
    int results = side / items;
    return results % 4 == 0 ? 4 : results % 2 == 0 ? 2 : 1;
}

/* Are results finished by float4? */
static bool is_whole(const fcl_gemm_problem *problem, const fcl_gemm_choice *choice)
{
    return problem->n % 4 == 0 && run_of(sets[choice->set].b_side, sets[choice->set].b_items) == 4;
}

void fcl_gemm_gpu_source(fcl_text *text, const char *name, const fcl_gemm_problem *problem,
                         const fcl_gemm_choice *choice, bool aligned, const char *params, const char *epilogue)
{
    const fcl_gemm_problem *p = problem;
    const fcl_gemm_gpu_form form = {0, !p->transpose_a, p->transpose_b, p->transpose_a ? p->m : p->k,
                                    p->transpose_b ? p->k : p->n};
    fcl_gemm_gpu_text(text, name, problem, choice, &form, aligned, params, epilogue);
}

void fcl_gemm_gpu_text(fcl_text *text, const char *name, const fcl_gemm_problem *p, const fcl_gemm_choice *choice,
                       const fcl_gemm_gpu_form *form, bool aligned, const char *params, const char *epilogue)
{
    assert(choice->provider == FCL_GEMM_GPU && choice->set >= 0 && choice->set < SETS && choice->parts > 0);
    const int a = sets[choice->set].a_side, b = sets[choice->set].b_side;
    const int a_items = sets[choice->set].a_items, b_items = sets[choice->set].b_items;
    const fcl_tile_number numbers[] = {
        {"GEMM_DEEP", sets[choice->set].deep},
        {"GEMM_BUFFERS", sets[choice->set].buffers},
        {"GEMM_A_SIDE", a},
        {"GEMM_B_SIDE", b},
        {"GEMM_A_ITEMS", a_items},
        {"GEMM_B_ITEMS", b_items},
        {"GEMM_A_RUN", run_of(a, a_items)},
        {"GEMM_B_RUN", run_of(b, b_items)},
        {"GEMM_A_ALONG", form->a_along},
        {"GEMM_B_ALONG", form->b_along},
        {"GEMM_A_WIDE", aligned && form->a_run % 4 == 0 ? 4 : 1},
        {"GEMM_B_WIDE", aligned && form->b_run % 4 == 0 ? 4 : 1},
        {"GEMM_A_PITCH", a + (form->a_along ? PAD : 0)},
        {"GEMM_B_PITCH", b + (form->b_along ? PAD : 0)},
        {"GEMM_A_SHARE", p->share_a},
        {"GEMM_B_SHARE", p->share_b},
        {"GEMM_WHOLE", is_whole(p, choice)},
        {"GEMM_ALIGNED", aligned},
        {"GEMM_CONV", form->conv},
        {"GEMM_PARTED", fcl_gemm_gpu_parts(p, choice) > 1},
        {0},
    };
    char *sums = fcl_format("%s_sums", name);
    fcl_tile_define(text, numbers);
    fcl_tile_macro(text, "GEMM_NAME", name);
    fcl_tile_macro(text, "GEMM_SUMS_NAME", sums);
    fcl_tile_macro(text, "GEMM_PARAMS", params);
    fcl_tile_macro(text, "GEMM_EPILOGUE", epilogue);
    if (form->conv)
        fcl_tile_paste(text, "conv_gpu.h");
    fcl_tile_paste(text, "gemm_gpu.cl");
    fcl_tile_undefine(text, numbers);
    free(sums);
}

void fcl_gemm_gpu_launch(fcl_launch *launch, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice,
                         fcl_buffer *a, fcl_buffer *b, fcl_buffer *result)
{
    fcl_gemm_gpu_launch_times(launch, problem, choice, 1, a, b, result);
}

void fcl_gemm_gpu_launch_times(fcl_launch *launch, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice, int times,
                               fcl_buffer *a, fcl_buffer *b, fcl_buffer *result)
{
    size_t columns = (size_t)fcl_tile_count(problem->n, sets[choice->set].b_side),
           rows = (size_t)fcl_tile_count(problem->m, sets[choice->set].a_side);
    const size_t local[3] = {(size_t)sets[choice->set].b_items, (size_t)sets[choice->set].a_items, 1};
    const size_t global[3] = {columns * local[0], rows * local[1],
                              (size_t)problem->batch * (size_t)fcl_gemm_gpu_parts(problem, choice) * (size_t)times};
    fcl_launch_buffer(launch, 0, a);
    fcl_launch_buffer(launch, 1, b);
    fcl_launch_buffer(launch, 2, result);
    fcl_launch_int(launch, FCL_GEMM_GPU_ROWS, problem->m);
    fcl_launch_int(launch, 4, problem->n);
    fcl_launch_int(launch, 5, problem->k);
    fcl_launch_int(launch, 6, part_depth(problem, choice));
    fcl_launch_range(launch, 3, global, local);
}

void fcl_gemm_gpu_launch_sums(fcl_launch *launch, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice,
                              fcl_buffer *parts, fcl_buffer *c)
{
    const int at_once = is_whole(problem, choice) ? 4 : 1;
    const size_t global[3] = {(size_t)fcl_tile_count(problem->n, at_once), (size_t)problem->m, (size_t)problem->batch};
    fcl_launch_buffer(launch, 0, parts);
    fcl_launch_buffer(launch, 1, c);
    fcl_launch_int(launch, 2, problem->m);
    fcl_launch_int(launch, 3, problem->n);
    fcl_launch_int(launch, 4, problem->batch);
    fcl_launch_int(launch, 5, fcl_gemm_gpu_parts(problem, choice));
    fcl_launch_range(launch, 3, global, (size_t[3]){16, 4, 1});
}
