/* The tile kernels of cl/gemm.cl: their text and their launch. */
#include "device/gemm.h"

#include "device/tile.h"

#include <assert.h>

/* Rows of a panel at most: it streams well from the second cache, where strips of an A stored k x m must fit
 * as well, beside sums. */
static int panel_depth(const fcl_gemm_problem *problem, const fcl_gemm_choice *choice)
{
    const int panel_vectors = problem->transpose_a ? 512 : 2048;
    return panel_vectors / choice->vectors;
}

/* With few panels a copy of A is not worth its time. */
static bool copies_strips(const fcl_gemm_problem *problem, const fcl_gemm_choice *choice)
{
    enum { STRIPS_FROM = 5 };
    return problem->transpose_a && choice->panels >= STRIPS_FROM;
}

bool fcl_gemm_tile_sums_rows(const fcl_gemm_problem *problem, const fcl_gemm_choice *choice)
{
    return choice->provider == FCL_GEMM_TILE && problem->batch == 1 && copies_strips(problem, choice);
}

/* Private memory lies on a driver's threads' stacks. */
void fcl_gemm_tile_bound(const fcl_gemm_problem *problem, fcl_gemm_choice *choice)
{
    enum { STRIPS = 64, SUMS = 16384 /* vectors: 1 MiB */ };
    int most = problem->transpose_a ? STRIPS : FCL_GEMM_MOST_BLOCK;
    if (problem->k > panel_depth(problem, choice)) {
        int sums = SUMS / (choice->panels * choice->rows * choice->vectors);
        most = sums < most ? sums : most;
    }
    choice->block = choice->block < most ? choice->block : most;
}

void fcl_gemm_tile_source(fcl_text *text, const char *name, const fcl_gemm_problem *problem,
                          const fcl_gemm_choice *choice, const char *params, const char *epilogue,
                          const char *row_sums)
{
    const int depth = panel_depth(problem, choice);
    const double bytes = sizeof(float) * (double)problem->m * problem->n * problem->batch;
    const fcl_tile_number numbers[] = {
        {"GEMM_ROWS", choice->rows},
        {"GEMM_VECTORS", choice->vectors},
        {"GEMM_BLOCK", choice->block},
        {"GEMM_PANELS", choice->panels},
        {"GEMM_DEPTH", depth},
        {"GEMM_PARTS", problem->k > depth},
        {"GEMM_LONG", problem->k > 512},
        {"GEMM_PAST", bytes >= FCL_PAST_CACHES},
        {"GEMM_TRANSPOSE_A", problem->transpose_a},
        {"GEMM_TRANSPOSE_B", problem->transpose_b},
        {"GEMM_SHARE_A", problem->share_a},
        {"GEMM_SHARE_B", problem->share_b},
        {"GEMM_STRIPS", copies_strips(problem, choice)},
        {"GEMM_ROW_SUMS", row_sums && row_sums[0]},
        {0},
    };
    assert(choice->provider == FCL_GEMM_TILE && choice->rows > 0 && choice->vectors > 0 && choice->block > 0);
    fcl_tile_define(text, numbers);
    fcl_tile_kernel(text, "GEMM", name, params);
    fcl_tile_macro(text, "GEMM_EPILOGUE", epilogue);
    fcl_tile_macro(text, "GEMM_TO_ROW_SUMS", row_sums);
    fcl_tile_paste(text, "tile.h");
    fcl_tile_paste(text, "gemm.cl");
}

void fcl_gemm_tile_launch(fcl_launch *launch, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice,
                          fcl_buffer *a, fcl_buffer *b, fcl_buffer *c)
{
    size_t width = 16 * (size_t)choice->vectors * (size_t)choice->panels,
           height = (size_t)choice->rows * (size_t)choice->block;
    size_t global[3] = {((size_t)problem->n + width - 1) / width, ((size_t)problem->m + height - 1) / height,
                        (size_t)problem->batch};
    fcl_launch_buffer(launch, 0, a);
    fcl_launch_buffer(launch, 1, b);
    fcl_launch_buffer(launch, 2, c);
    fcl_launch_int(launch, 3, problem->m);
    fcl_launch_int(launch, 4, problem->n);
    fcl_launch_int(launch, 5, problem->k);
    fcl_launch_range(launch, 3, global, (size_t[3]){1, 1, 1});
}
