#include "compile/kind.h"

#include "compile/block.h"
#include "compile/rows.h"

#include <stdio.h>

/* --- row programs --- */

static bool is_program(const fcl_step *step)
{
    return step->extent.width > 0;
}

static size_t program_scratch(const fcl_plan *plan, const fcl_step *step)
{
    return fcl_rows_scratch(step, plan->device);
}

static void program_generate(const fcl_plan *plan, const fcl_step *step, fcl_generated *g)
{
    fcl_rows_generate(step, plan->device, g);
}

static void program_text(fcl_text *text, const fcl_plan *plan, const fcl_step *step, const fcl_generated *g,
                         const char *name)
{
    fcl_rows_kernel(text, name, step, plan->device, g);
}

static int program_sums(fcl_lowering *l, const fcl_step *step, const char *kernel)
{
    fcl_launch *launch;
    int64_t results = 0;
    fcl_tensor *node;
    fcl_extents e;
    FCL_TRY(fcl_lowering_sums(l, kernel, "sums of rows", &launch));
    fcl_launch_buffer(launch, 0, step->scratch->buffer);
    int index = 1;
    for (int i = 0; fcl_rows_parts(step, l->plan->device, i, &node, &e); i++) {
        fcl_launch_buffer(launch, index++, node->buffer);
        results += e.outer * e.inner;
    }
    if (step->extent.columns > 1) {
        fcl_launch_int(launch, index++, (int32_t)fcl_rows_groups(step, l->plan->device));
        fcl_launch_int(launch, index++, (int32_t)step->extent.columns);
    }
    fcl_launch_range_1d(launch, (size_t)results, 64);
    return FCL_OK;
}

static int program_lower(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, fcl_launch *launch,
                         const char *kernel)
{
    const fcl_device *device = l->plan->device;
    const fcl_row_extent *e = &step->extent;
    int index = fcl_lowering_arguments(l, launch, 0, g);
    fcl_launch_int(launch, index++, (int32_t)(e->rows * fcl_rows_pieces(e, device)));
    if (e->columns > 1) {
        fcl_launch_int(launch, index++, (int32_t)(e->width / e->columns));
        fcl_launch_int(launch, index++, (int32_t)e->columns);
    }
    if (g->random)
        fcl_lowering_bind(l, launch, index, NULL);
    if (g->scratch)
        fcl_launch_buffer(launch, index + (g->random ? 3 : 0), step->scratch->buffer);
    fcl_launch_groups(launch, (size_t)fcl_rows_groups(step, device), fcl_device_traits(device).group);
    return g->parts ? program_sums(l, step, kernel) : FCL_OK;
}

/* --- row blocks --- */

static bool is_block(const fcl_step *step)
{
    return step->block;
}

static size_t block_scratch(const fcl_plan *plan, const fcl_step *step)
{
    return fcl_block_items(step, plan->device) * (size_t)fcl_block_sums_size(step) * sizeof(float);
}

static void block_prelude(fcl_text *text, const fcl_plan *plan)
{
    bool long_vectors = fcl_device_describe(plan->device)->vector_width >= 16;
    fcl_text_format(text, "#define BLOCK_SUMS %d\n#define BLOCK_ABREAST %d\n", long_vectors ? 16 : 4,
                    long_vectors ? 2 : 1);
}

static void block_generate(const fcl_plan *plan, const fcl_step *step, fcl_generated *g)
{
    (void)plan;
    fcl_block_generate(step, g);
}

static void block_text(fcl_text *text, const fcl_plan *plan, const fcl_step *step, const fcl_generated *g,
                       const char *name)
{
    (void)step;
    fcl_block_kernel(text, name, g, plan->table_index >= 0);
}

static int block_sums(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, const char *kernel)
{
    fcl_launch *launch;
    FCL_TRY(fcl_lowering_sums(l, kernel, "sums of block", &launch));
    fcl_launch_buffer(launch, 0, step->scratch->buffer);
    fcl_launch_int(launch, 1, (int32_t)fcl_block_items(step, l->plan->device));
    for (int i = 0; i < g->sums; i++)
        fcl_launch_buffer(launch, 2 + i, g->sum[i]->buffer);
    fcl_launch_range_1d(launch, (size_t)g->partial / 16, 64);
    return FCL_OK;
}

static int block_lower(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, fcl_launch *launch,
                       const char *kernel)
{
    int index = fcl_lowering_arguments(l, launch, 0, g);
    if (l->plan->table_index >= 0)
        fcl_launch_buffer(launch, index++, l->plan->table);
    fcl_launch_int(launch, index++, (int32_t)step->rows);
    if (g->random)
        fcl_lowering_bind(l, launch, index, NULL);
    if (g->sums)
        fcl_launch_buffer(launch, index + (g->random ? 3 : 0), step->scratch->buffer);
    fcl_launch_range_1d(launch, fcl_block_items(step, l->plan->device), 1);
    return g->sums ? block_sums(l, step, g, kernel) : FCL_OK;
}

/* --- products by tiles --- */

static bool is_tile(const fcl_step *step)
{
    return step->product && step->choice.provider == FCL_GEMM_TILE;
}

static bool is_product(const fcl_step *step)
{
    return step->product;
}

static void plain_generate(const fcl_plan *plan, const fcl_step *step, fcl_generated *g)
{
    fcl_generate(step, plan->device, g);
}

static void tile_text(fcl_text *text, const fcl_plan *plan, const fcl_step *step, const fcl_generated *g,
                      const char *name)
{
    (void)plan;
    fcl_gemm_problem problem = fcl_matmul_problem(step->product);
    char row_sums[16] = "";
    if (g->row_sum >= 0)
        snprintf(row_sums, sizeof row_sums, "y%d", g->row_sum);
    fcl_gemm_tile_source(text, name, &problem, &step->choice, g->params.data,
                         step->members ? g->body.data : "", row_sums);
}

static int tile_lower(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, fcl_launch *launch,
                      const char *kernel)
{
    (void)kernel;
    fcl_gemm_problem problem = fcl_matmul_problem(step->product);
    fcl_gemm_tile_launch(launch, &problem, &step->choice, step->product->input[0]->buffer,
                         step->product->input[1]->buffer, g->result->buffer);
    fcl_lowering_arguments(l, launch, FCL_GEMM_TILE_ARGUMENTS, g);
    return FCL_OK;
}

/* --- products for GPUs --- */

static bool is_gpu_product(const fcl_step *step)
{
    return step->product && step->choice.provider == FCL_GEMM_GPU;
}

static bool is_gpu_weight(const fcl_step *step)
{
    return is_gpu_product(step) && step->product->op->convolution && fcl_conv_problem_of(step->product).result == FCL_CONV_W;
}

static size_t gpu_scratch(const fcl_plan *plan, const fcl_step *step)
{
    (void)plan;
    if (step->product->op->convolution) {
        fcl_conv_problem conv = fcl_conv_problem_of(step->product);
        return fcl_conv_gpu_scratch(&conv, &step->choice);
    }
    fcl_gemm_problem problem = fcl_matmul_problem(step->product);
    return fcl_gemm_gpu_scratch(&problem, &step->choice);
}

static void gpu_generate(const fcl_plan *plan, const fcl_step *step, fcl_generated *g)
{
    fcl_generate(step, plan->device, g);
    g->parts = step->scratch;
}

static void gpu_text(fcl_text *text, const fcl_plan *plan, const fcl_step *step, const fcl_generated *g,
                     const char *name)
{
    (void)plan;
    const char *epilogue = step->members ? g->body.data : "";
    bool aligned = fcl_generate_is_aligned(g) && fcl_buffer_is_aligned(step->product->input[0]->buffer) &&
                   fcl_buffer_is_aligned(step->product->input[1]->buffer) && fcl_buffer_is_aligned(g->result->buffer);
    if (step->product->op->convolution) {
        fcl_conv_problem conv = fcl_conv_problem_of(step->product);
        fcl_conv_gpu_source(text, name, &conv, &step->choice, aligned, g->params.data, epilogue);
    } else {
        fcl_gemm_problem problem = fcl_matmul_problem(step->product);
        fcl_gemm_gpu_source(text, name, &problem, &step->choice, aligned, g->params.data, epilogue);
    }
}

/* Each returns the number of the launch's next argument. */
static int launch_on_gpu(const fcl_step *step, fcl_launch *launch, fcl_buffer *result)
{
    fcl_tensor *const *input = step->product->input;
    if (step->product->op->convolution) {
        fcl_conv_problem conv = fcl_conv_problem_of(step->product);
        fcl_conv_gpu_launch(launch, &conv, &step->choice, input[0]->buffer, input[1]->buffer, result);
        return FCL_CONV_GPU_ARGUMENTS;
    }
    fcl_gemm_problem problem = fcl_matmul_problem(step->product);
    fcl_gemm_gpu_launch(launch, &problem, &step->choice, input[0]->buffer, input[1]->buffer, result);
    return FCL_GEMM_GPU_ARGUMENTS;
}

static int launch_gpu_sums(const fcl_step *step, fcl_launch *launch, fcl_buffer *result)
{
    fcl_buffer *parts = step->scratch->buffer;
    if (step->product->op->convolution) {
        fcl_conv_problem conv = fcl_conv_problem_of(step->product);
        fcl_conv_gpu_launch_sums(launch, &conv, &step->choice, parts, result);
        return FCL_CONV_GPU_SUMS_ARGUMENTS;
    }
    fcl_gemm_problem problem = fcl_matmul_problem(step->product);
    fcl_gemm_gpu_launch_sums(launch, &problem, &step->choice, parts, result);
    return FCL_GEMM_GPU_SUMS_ARGUMENTS;
}

/* What follows the product is done where C is finished: behind parts, by the kernel that adds them. */
static int gpu_lower(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, fcl_launch *launch,
                     const char *kernel)
{
    int index = launch_on_gpu(step, launch, g->parts ? step->scratch->buffer : g->result->buffer);
    if (g->parts) {
        FCL_TRY(fcl_lowering_sums(l, kernel, "sums of parts", &launch));
        index = launch_gpu_sums(step, launch, g->result->buffer);
    }
    fcl_lowering_arguments(l, launch, index, g);
    return FCL_OK;
}

/* --- products of a provider --- */

static int product_lower(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, fcl_launch *launch,
                         const char *kernel)
{
    (void)g, (void)launch, (void)kernel;
    const fcl_tensor *product = step->product;
    fcl_gemm_problem problem = fcl_matmul_problem(product);
    return fcl_gemm_create(l->plan->device, &problem, &step->choice, 0, product->input[0]->buffer,
                           product->input[1]->buffer, product->buffer, "matmul",
                           &fcl_lowering_action(l)->gemm);
}

/* --- convolutions by tiles of our own --- */

bool fcl_choose_conv(const fcl_plan *plan, const fcl_tensor *node, fcl_gemm_choice *choice)
{
    fcl_conv_tile tile;
    fcl_conv_weight_tile weight_tile;
    if (!node->op->convolution)
        return false;
    fcl_conv_problem problem = fcl_conv_problem_of(node);
    if (fcl_conv_gpu_choose(plan->device, &problem, choice))
        return true;
    choice->provider = FCL_GEMM_TILE;
    return problem.result == FCL_CONV_W ? fcl_conv_weight_choose(plan->device, &problem, &weight_tile)
                                        : fcl_conv_tile_choose(plan->device, &problem, &tile);
}

static bool is_conv_weight(const fcl_step *step)
{
    return step->product && step->product->op->convolution && fcl_conv_problem_of(step->product).result == FCL_CONV_W;
}

static size_t weight_scratch(const fcl_plan *plan, const fcl_step *step)
{
    fcl_conv_problem problem = fcl_conv_problem_of(step->product);
    fcl_conv_weight_tile tile;
    fcl_conv_weight_choose(plan->device, &problem, &tile);
    return tile.parts > 1 ? fcl_tensor_bytes(step->product) * (size_t)tile.parts : 0;
}

static void weight_text(fcl_text *text, const fcl_plan *plan, const fcl_step *step, const fcl_generated *g, const char *name)
{
    fcl_conv_problem problem = fcl_conv_problem_of(step->product);
    fcl_conv_weight_tile tile;
    (void)g;
    fcl_conv_weight_choose(plan->device, &problem, &tile);
    fcl_conv_weight_source(text, name, &tile);
}

static int weight_lower(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, fcl_launch *launch, const char *kernel)
{
    fcl_tensor *node = step->product;
    fcl_conv_problem problem = fcl_conv_problem_of(node);
    fcl_conv_weight_tile tile;
    (void)g, (void)kernel;
    fcl_conv_weight_choose(l->plan->device, &problem, &tile);
    fcl_buffer *result = tile.parts > 1 ? step->scratch->buffer : node->buffer;
    fcl_conv_weight_launch(launch, &problem, &tile, node->input[0]->buffer, node->input[1]->buffer, result);
    if (tile.parts > 1)
        fcl_sum_parts(l, node, problem.batch, tile.parts, result);
    return FCL_OK;
}

static bool is_conv(const fcl_step *step)
{
    return step->product && step->product->op->convolution;
}

static void conv_text(fcl_text *text, const fcl_plan *plan, const fcl_step *step, const fcl_generated *g, const char *name)
{
    fcl_conv_problem problem = fcl_conv_problem_of(step->product);
    fcl_conv_tile tile;
    fcl_conv_tile_choose(plan->device, &problem, &tile);
    fcl_conv_tile_source(text, name, &problem, &tile, g->params.data, step->members ? g->body.data : "");
}

static int conv_lower(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, fcl_launch *launch, const char *kernel)
{
    fcl_conv_problem problem = fcl_conv_problem_of(step->product);
    fcl_conv_tile tile;
    (void)kernel;
    fcl_conv_tile_choose(l->plan->device, &problem, &tile);
    fcl_conv_tile_launch(launch, &problem, &tile, step->product->input[0]->buffer, step->product->input[1]->buffer,
                         g->result->buffer);
    fcl_lowering_arguments(l, launch, FCL_CONV_TILE_ARGUMENTS, g);
    return FCL_OK;
}

/* --- what lowers itself --- */

static bool is_own(const fcl_step *step)
{
    return step->own;
}

static size_t own_scratch(const fcl_plan *plan, const fcl_step *step)
{
    return step->own->op->scratch ? step->own->op->scratch(step->own, plan->device) : 0;
}

static int own_lower(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, fcl_launch *launch,
                     const char *kernel)
{
    (void)g, (void)launch, (void)kernel;
    int before = l->plan->action_count;
    FCL_TRY(step->own->op->lower(l, step->own));
    for (int i = before; i < l->plan->action_count; i++)
        if (!l->plan->actions[i].launch && !l->plan->actions[i].look)
            return FCL_ERR_OPENCL; /* fcl_lower_kernel left the message */
    return FCL_OK;
}

/* --- chains --- */

static bool is_chain(const fcl_step *step)
{
    (void)step;
    return true;
}

static void chain_text(fcl_text *text, const fcl_plan *plan, const fcl_step *step, const fcl_generated *g,
                       const char *name)
{
    (void)plan;
    fcl_generate_kernel(text, name, g, fcl_shape_size(step->shape));
}

static int chain_lower(fcl_lowering *l, const fcl_step *step, const fcl_generated *g, fcl_launch *launch,
                       const char *kernel)
{
    enum { GROUP = 64 };
    (void)kernel;
    int64_t size = fcl_shape_size(step->shape);
    int index = fcl_lowering_arguments(l, launch, 0, g);
    fcl_launch_int(launch, index, (int32_t)size);
    if (g->random)
        fcl_lowering_bind(l, launch, index + 1, NULL);
    fcl_launch_range_1d(launch, fcl_generate_items(g, size), GROUP);
    return FCL_OK;
}

/* --- the table --- */

static const char *const of_programs[] = {"group.h", NULL};
static const char *const of_blocks[] = {"ode.h",          "ode_wide.h", "philox.h", "noise.h", "permute.h",
                                        "permute_wide.h", "group.h",    "block.h",  NULL};

static const fcl_kind kinds[] = {
    {"rows:", is_program, .headers = of_programs, .scratch = program_scratch, .generate = program_generate,
     .text = program_text, .lower = program_lower},
    {"block:", is_block, .prelude = block_prelude, .headers = of_blocks, .scratch = block_scratch,
     .generate = block_generate, .text = block_text, .lower = block_lower},
    {"", is_gpu_weight, .scratch = gpu_scratch, .generate = gpu_generate, .text = gpu_text, .lower = gpu_lower},
    {"", is_gpu_product, .takes_members = true, .scratch = gpu_scratch, .generate = gpu_generate, .text = gpu_text,
     .lower = gpu_lower},
    {"", is_conv_weight, .wide = true, .scratch = weight_scratch, .generate = plain_generate, .text = weight_text,
     .lower = weight_lower},
    {"", is_conv, .takes_members = true, .wide = true, .generate = plain_generate, .text = conv_text,
     .lower = conv_lower},
    {"", is_tile, .takes_members = true, .wide = true, .generate = plain_generate, .text = tile_text,
     .lower = tile_lower},
    {"", is_product, .lower = product_lower},
    {"", is_own, .scratch = own_scratch, .lower = own_lower},
    {"", is_chain, .takes_members = true, .generate = plain_generate, .text = chain_text,
     .lower = chain_lower},
};

const fcl_kind *fcl_kind_of(const fcl_step *step)
{
    const fcl_kind *kind = kinds;
    while (!kind->is(step))
        kind++;
    return kind;
}
