/* Matrix products: C = op(A) op(B), row-major, single precision; `batch` of them at packed strides.
 *
 * A is m x k (stored k x m where transpose_a), B is k x n (stored n x k where transpose_b), C is m x n.
 * Three providers: CLBlast, the rule for GPUs but NVIDIA's; the tile kernels of cl/gemm.cl (CPUs whose driver has vectors);
 * and the kernels of cl/gemm_gpu.cl (other CPUs; NVIDIA's GPUs; others where a table or the environment says so). A caller
 * pastes the kernels of the latter two into its own program, so that what follows the product can be its epilogue. */
#ifndef DEVICE_GEMM_H
#define DEVICE_GEMM_H

#include "base/memory.h"
#include "device/launch.h"

typedef struct fcl_gemm_problem {
    int m, n, k, batch;
    bool transpose_a, transpose_b;
    bool share_a, share_b; /* one A (or B) for the whole batch, not one each */
    int reads, stores; /* of what follows it on C's elements: matrices as large as C that it reads, and stores beside C */
} fcl_gemm_problem;

enum { FCL_GEMM_MOST_BLOCK = 256, FCL_GEMM_MOST_PANELS = 16 };

typedef enum fcl_gemm_provider { FCL_GEMM_TILE, FCL_GEMM_CLBLAST, FCL_GEMM_GPU, FCL_GEMM_PROVIDERS } fcl_gemm_provider;

typedef struct fcl_gemm_choice {
    fcl_gemm_provider provider;
    int rows;    /* tile: rows of C in a register tile, 1 to 8 */
    int vectors; /* tile: float16 vectors in each of its rows: 1, 2 or 4 */
    int block;   /* tile: register tiles that a work-item computes, one below the other, 1 to 256 */
    int panels;  /* tile: side by side, 1 to 16 */
    int set;     /* gpu: of its sets of parameters, 0 to FCL_GEMM_GPU_SETS - 1 */
    int parts;   /* gpu: into which k is cut, as far as it can be, 1 to FCL_GEMM_GPU_PARTS */
} fcl_gemm_choice;

/* "tile", "clblast", "gpu", as tables and $FLOWCL_GEMM name it. */
const char *fcl_gemm_provider_name(fcl_gemm_provider provider);
/* -1: there is no such provider. */
int fcl_gemm_provider_find(const char *name);

/* Whether a device of this type multiplies by tiles. They are made for a core, its caches and a thread's stack: a
 * work-item takes 128 to 550 KiB of private memory, which other devices refuse, or reserve for each of thousands. */
bool fcl_gemm_has_tiles(fcl_device_type type);
/* FCL_ERR_ARGUMENT where $FLOWCL_GEMM names a provider that the device does not have. */
int fcl_gemm_check_environment(const fcl_device_info *info);

/* The provider and its parameters for a problem on a device: those of the device's table (see
 * flowcl/tune.h), where it has a row near enough whose provider the device has, else by a rule of the device's type.
 * $FLOWCL_GEMM ("tile", "clblast" or "gpu") names the provider instead, with the rule's parameters. */
fcl_gemm_choice fcl_gemm_choose(const fcl_device *device, const fcl_gemm_problem *problem);

/* --- tile kernels --- */

/* Whether its kernel can sum op(A)'s rows: where it copies them. */
bool fcl_gemm_tile_sums_rows(const fcl_gemm_problem *problem, const fcl_gemm_choice *choice);
/* Lowers the block to what private memory allows for this problem. */
void fcl_gemm_tile_bound(const fcl_gemm_problem *problem, fcl_gemm_choice *choice);

/* clang-format off */
/* Appends a kernel `name`(A, B, C, extra...) for this problem and choice to `text`; though m, n and k are arguments,
 * it is launched for no other problem. `params` is text appended to the parameter list: "", or
 * ", const global float *restrict bias". `epilogue` is statements run once on each element of C, in vectors,
 * before it is stored. They see
 *     real v            the vector, to be changed: float16, or float at the ragged edge; `real` names it
 *     int row, col      where its first element stands in C
 *     int rows, cols    the size of C
 *     size_t item, at   which of the batch it is, and where the element is in the whole of C
 *     LOAD(p, i)        reads a `real` at p + i
 *     STORE(p, i, x)    writes one
 * No preprocessor lines, and no comment to the end of a line. Nothing but v, LOAD and STORE may have an effect:
 * the statements also run ahead of the sums, where these only ask for memory. Extra buffers must not overlap C.
 * `row_sums` names a parameter, a buffer of m floats that takes the sums of op(A)'s rows.
 * NULL or "": none. */
/* clang-format on */
void fcl_gemm_tile_source(fcl_text *text, const char *name, const fcl_gemm_problem *problem,
                          const fcl_gemm_choice *choice, const char *params, const char *epilogue,
                          const char *row_sums);

/* Sets the arguments 0 .. FCL_GEMM_TILE_ARGUMENTS-1 and the range of a launch of such a kernel; extra
 * arguments follow from that index on. */
#define FCL_GEMM_TILE_ARGUMENTS 6
void fcl_gemm_tile_launch(fcl_launch *launch, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice,
                          fcl_buffer *a, fcl_buffer *b, fcl_buffer *c);

/* --- kernels for GPUs --- */

enum { FCL_GEMM_GPU_SETS = 39, FCL_GEMM_GPU_PARTS = 64 /* of k, at most */, FCL_GEMM_GPU_NAME = 32 };

/* A set's name, its numbers: "64x64x16 4x4" has tiles of 64 results x 64, 16 deep, of which a work-item has 4 x 4; + behind
 * it: two tiles in turn. */
void fcl_gemm_gpu_name(int set, char name[FCL_GEMM_GPU_NAME]);
/* -1: there is no such set. */
int fcl_gemm_gpu_find(const char *name);
/* Has the device enough local memory for it? */
bool fcl_gemm_gpu_fits(const fcl_device *device, int set);
/* The sets that fit, each with the parts of k that seem best for it; the best first. */
int fcl_gemm_gpu_rank(const fcl_device *device, const fcl_gemm_problem *problem,
                      fcl_gemm_choice list[FCL_GEMM_GPU_SETS]);

/* The parts that k is cut into: those of the choice, or as many as there are tiles along it. */
int fcl_gemm_gpu_parts(const fcl_gemm_problem *problem, const fcl_gemm_choice *choice);
/* Bytes for the sums of parts of k; 0: k is not cut. */
size_t fcl_gemm_gpu_scratch(const fcl_gemm_problem *problem, const fcl_gemm_choice *choice);

/* As fcl_gemm_tile_source, but that `real` is float4 or float. Where there is scratch memory it takes the results of the kernel
 * `name`, and a second one, name_sums, adds them, with the epilogue. `aligned`: A, B, C and all buffers of `params` begin at
 * multiples of 16 bytes. */
void fcl_gemm_gpu_source(fcl_text *text, const char *name, const fcl_gemm_problem *problem,
                         const fcl_gemm_choice *choice, bool aligned, const char *params, const char *epilogue);
/* The launch of `name`, into C or into the scratch memory, and that of name_sums: arguments, on which the extra ones of
 * whichever finishes C follow, and range. */
#define FCL_GEMM_GPU_ARGUMENTS 7
void fcl_gemm_gpu_launch(fcl_launch *launch, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice,
                         fcl_buffer *a, fcl_buffer *b, fcl_buffer *result);
#define FCL_GEMM_GPU_SUMS_ARGUMENTS 6
void fcl_gemm_gpu_launch_sums(fcl_launch *launch, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice,
                              fcl_buffer *parts, fcl_buffer *c);

/* --- any provider, prepared for fixed buffers --- */

typedef struct fcl_gemm fcl_gemm;

/* For CLBlast, and for a product of ours without an epilogue (compiled on its own): tests, tuning, bench.
 * `beta` 0 or 1: C = op(A) op(B) + beta C. */
int fcl_gemm_create(fcl_device *device, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice,
                    float beta, fcl_buffer *a, fcl_buffer *b, fcl_buffer *c, const char *label,
                    fcl_gemm **gemm);
void fcl_gemm_destroy(fcl_gemm **gemm);
int fcl_gemm_enqueue(fcl_gemm *gemm);

#endif
