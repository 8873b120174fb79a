/* Matrix products of both providers against a plain product in double precision. */
#include "device.h"
#include "device/gemm.h"
#include "device/opencl.h"
#include "opencl_calls.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The inputs differ in every run; the seed is printed, and $FCL_TEST_SEED repeats a run. */
static unsigned seed;

typedef struct matrices {
    size_t a_count, b_count, c_count;
    float *a, *b, *c; /* c before the product */
    float *result;
    fcl_buffer *a_buffer, *b_buffer, *c_buffer;
} matrices;

static float *random_floats(size_t count)
{
    float *x = malloc(count * sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)rand_r(&seed) / (float)RAND_MAX * 2 - 1;
    return x;
}

static fcl_buffer *upload(fcl_device *device, const float *x, size_t count)
{
    fcl_buffer *buffer;
    assert_ok(fcl_buffer_create(device, count * sizeof *x, &buffer));
    assert_ok(fcl_buffer_write(buffer, 0, count * sizeof *x, x));
    return buffer;
}

static matrices make(fcl_device *device, const fcl_gemm_problem *p)
{
    matrices x = {.a_count = (size_t)p->m * (size_t)p->k * (size_t)(p->share_a ? 1 : p->batch),
                  .b_count = (size_t)p->k * (size_t)p->n * (size_t)(p->share_b ? 1 : p->batch),
                  .c_count = (size_t)p->m * (size_t)p->n * (size_t)p->batch};
    x.a = random_floats(x.a_count);
    x.b = random_floats(x.b_count);
    x.c = random_floats(x.c_count);
    x.result = malloc(x.c_count * sizeof *x.result);
    x.a_buffer = upload(device, x.a, x.a_count);
    x.b_buffer = upload(device, x.b, x.b_count);
    x.c_buffer = upload(device, x.c, x.c_count);
    return x;
}

static void unmake(matrices *x)
{
    free(x->a);
    free(x->b);
    free(x->c);
    free(x->result);
    fcl_buffer_destroy(&x->a_buffer);
    fcl_buffer_destroy(&x->b_buffer);
    fcl_buffer_destroy(&x->c_buffer);
}

/* One element of op(A) op(B), and the sum of its terms' magnitudes, on which a rounding bound is built. */
static double reference(const fcl_gemm_problem *p, const matrices *x, int item, int row, int col,
                        double *magnitude)
{
    const float *a = x->a + (p->share_a ? 0 : (size_t)item * (size_t)p->m * (size_t)p->k);
    const float *b = x->b + (p->share_b ? 0 : (size_t)item * (size_t)p->k * (size_t)p->n);
    double sum = 0;
    *magnitude = 1;
    for (int i = 0; i < p->k; i++) {
        double term = (double)(p->transpose_a ? a[i * p->m + row] : a[row * p->k + i]) *
                      (double)(p->transpose_b ? b[col * p->k + i] : b[i * p->n + col]);
        sum += term;
        *magnitude += fabs(term);
    }
    return sum;
}

static void compare(const fcl_gemm_problem *p, const fcl_gemm_choice *choice, matrices *x,
                    double (*expected)(double product, double old, int row, int col))
{
    assert_ok(fcl_buffer_read(x->c_buffer, 0, x->c_count * sizeof *x->result, x->result));
    size_t at = 0;
    for (int item = 0; item < p->batch; item++)
        for (int row = 0; row < p->m; row++)
            for (int col = 0; col < p->n; col++, at++) {
                double magnitude, product = reference(p, x, item, row, col, &magnitude);
                double wanted = expected(product, x->c[at], row, col);
                if (fabs(wanted - x->result[at]) <= 1e-6 * magnitude)
                    continue;
                print_error("m %d n %d k %d batch %d%s%s%s%s, provider %d, tile %d x %d x %d x %d: C[%d][%d][%d] "
                            "is %g, not %g\n",
                            p->m, p->n, p->k, p->batch, p->transpose_a ? " A'" : "",
                            p->transpose_b ? " B'" : "", p->share_a ? " one A" : "",
                            p->share_b ? " one B" : "", choice->provider, choice->rows, choice->vectors,
                            choice->block, choice->panels, item, row, col, (double)x->result[at], wanted);
                fail();
            }
}

static double plain(double product, double old, int row, int col)
{
    (void)old, (void)row, (void)col;
    return product;
}

static double added(double product, double old, int row, int col)
{
    (void)row, (void)col;
    return product + old;
}

/* Runs twice, to see that a run repeats bit for bit, then once more with the old C added. */
static void check_product(fcl_device *device, const fcl_gemm_problem *p, const fcl_gemm_choice *choice)
{
    matrices x = make(device, p);
    fcl_gemm *gemm;
    size_t bytes = x.c_count * sizeof *x.c;
    float *first = malloc(bytes);
    assert_ok(fcl_gemm_create(device, p, choice, 0, x.a_buffer, x.b_buffer, x.c_buffer, NULL, &gemm));
    assert_ok(fcl_gemm_enqueue(gemm));
    compare(p, choice, &x, plain);
    memcpy(first, x.result, bytes);
    assert_ok(fcl_gemm_enqueue(gemm));
    assert_ok(fcl_buffer_read(x.c_buffer, 0, bytes, x.result));
    assert_memory_equal(first, x.result, bytes);
    fcl_gemm_destroy(&gemm);

    assert_ok(fcl_buffer_write(x.c_buffer, 0, bytes, x.c));
    assert_ok(fcl_gemm_create(device, p, choice, 1, x.a_buffer, x.b_buffer, x.c_buffer, NULL, &gemm));
    assert_ok(fcl_gemm_enqueue(gemm));
    compare(p, choice, &x, added);
    fcl_gemm_destroy(&gemm);
    free(first);
    unmake(&x);
}

static bool is_simulator(const fcl_device *device)
{
    return strstr(fcl_device_describe(device)->name, "Oclgrind") != NULL;
}

static bool is_llvmpipe(const fcl_device *device)
{
    return strstr(fcl_device_describe(device)->name, "llvmpipe") != NULL;
}

static bool is_slow(const fcl_device *device)
{
    return is_simulator(device) || is_llvmpipe(device);
}

/* llvmpipe would compile each for seconds, and the rule has none for it. */
static bool takes_tiles(const fcl_device *device)
{
    return fcl_gemm_has_tiles(fcl_device_describe(device)->type) && !is_llvmpipe(device);
}

static void need_tiles(const fcl_device *device)
{
    if (!takes_tiles(device))
        skip();
}

/* Shapes that cross the edges of vectors (16), tiles (8) and panels (256, 512). */
static const int tiny_shapes[][4] = {{1, 1, 1, 1}, {9, 18, 5, 1}, {3, 2, 17, 2}};
static const int shapes[][4] = {{64, 64, 64, 1}, {65, 33, 530, 1}, {7, 50, 300, 3}, {128, 10, 3, 1}};
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* All four transposes. */
static void check_shapes(fcl_device *device, const fcl_gemm_choice *choice, const int (*list)[4],
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (int transposes = 0; transposes < 4; transposes++) {
            fcl_gemm_problem p = {.m = list[i][0], .n = list[i][1], .k = list[i][2], .batch = list[i][3]};
            p.transpose_a = transposes & 1;
            p.transpose_b = transposes & 2;
            check_product(device, &p, choice);
        }
}

static void tile_products(void **state)
{
    fcl_gemm_choice choice = {FCL_GEMM_TILE, .rows = 8, .vectors = 2, .block = 2, .panels = 2};
    need_tiles(*state);
    if (is_slow(*state))
        choice = (fcl_gemm_choice){FCL_GEMM_TILE, .rows = 4, .vectors = 1, .block = 2, .panels = 2};
    check_shapes(*state, &choice, tiny_shapes, COUNT(tiny_shapes));
    if (!is_simulator(*state))
        check_shapes(*state, &choice, shapes, COUNT(shapes));
}

/* CLBlast compiles for seconds where nothing caches its kernels, and the simulator would take minutes. */
static void clblast_products(void **state)
{
    fcl_gemm_choice choice = {FCL_GEMM_CLBLAST};
    if (is_simulator(*state))
        skip();
    check_shapes(*state, &choice, tiny_shapes + 1, is_slow(*state) ? 1 : COUNT(tiny_shapes) - 1);
    if (!is_slow(*state))
        check_shapes(*state, &choice, shapes, COUNT(shapes));
}

/* What the rule gives for the shapes of small networks' layers. */
static void chosen_products(void **state)
{
    static const int list[][5] = {
        {256, 2, 64, false, true}, {2, 64, 256, true, false}, {64, 64, 20, true, false}};
    for (size_t i = 0; i < (is_slow(*state) ? 1 : COUNT(list)); i++) {
        fcl_gemm_problem p = {.m = list[i][0], .n = list[i][1], .k = list[i][2], .batch = 1};
        p.transpose_a = list[i][3];
        p.transpose_b = list[i][4];
        fcl_gemm_choice tile = fcl_gemm_tile_rule(*state, &p), choice = fcl_gemm_choose(*state, &p);
        assert_in_range(tile.rows, 1, 8);
        assert_in_range(tile.block, 1, FCL_GEMM_MOST_BLOCK);
        assert_in_range(tile.panels, 1, FCL_GEMM_MOST_PANELS);
        check_product(*state, &p, &choice);
    }
}

/* llvmpipe leaves loops after 65535 passes, of which a block of tiles takes more: the rule is another one there. */
static void a_long_product_is_right(void **state)
{
    const fcl_device_info *info = fcl_device_describe(*state);
    fcl_gemm_problem p = {.m = 256, .n = 512, .k = 785, .batch = 1, .transpose_b = true};
    if (is_simulator(*state))
        skip();
    fcl_gemm_choice choice = fcl_gemm_choose(*state, &p);
    if (!getenv("FLOWCL_GEMM") && info->type == FCL_DEVICE_CPU)
        assert_int_equal(choice.provider, info->vector_width < 4 ? FCL_GEMM_GPU : FCL_GEMM_TILE);
    check_product(*state, &p, &choice);
}

static int parts(int count, int size)
{
    return (count + size - 1) / size;
}

/* No work-item is larger than it must be: a core that waits for the last one idles. */
static void work_items_are_alike(void **state)
{
    static const int widths[] = {3, 64, 512, 784, 785, 1000, 1024};
    for (size_t i = 0; i < COUNT(widths) * COUNT(widths) * COUNT(widths) * 4; i++) {
        size_t shape = i / 4;
        fcl_gemm_problem p = {.batch = 1, .transpose_a = i & 1, .transpose_b = i & 2};
        p.m = widths[shape % COUNT(widths)];
        p.n = widths[shape / COUNT(widths) % COUNT(widths)];
        p.k = widths[shape / COUNT(widths) / COUNT(widths)];
        fcl_gemm_choice choice = fcl_gemm_tile_rule(*state, &p);
        int tiles = parts(p.m, choice.rows), columns = parts(p.n, 16 * choice.vectors);
        assert_int_equal(choice.block, parts(tiles, parts(tiles, choice.block)));
        assert_int_equal(choice.panels, parts(columns, parts(columns, choice.panels)));
    }
}

/* Results that are written past the caches, with rows on cache lines and beside them; k in several parts; a block
 * that private memory bounds. */
static void large_products(void **state)
{
    static const int list[][3] = {{1040, 1024, 5}, {1045, 1030, 3}, {20, 35, 2500}, {2100, 40, 600}};
    need_tiles(*state);
    if (is_slow(*state))
        skip();
    for (size_t i = 0; i < COUNT(list) * 4; i++) {
        fcl_gemm_problem p = {.m = list[i / 4][0], .n = list[i / 4][1], .k = list[i / 4][2], .batch = 1};
        p.transpose_a = i & 1;
        p.transpose_b = i & 2;
        fcl_gemm_choice choice = {FCL_GEMM_TILE, .rows = 8, .vectors = 2, .block = 256, .panels = 13};
        fcl_gemm_tile_bound(&p, &choice);
        check_product(*state, &p, &choice);
    }
}

/* From five panels on, the rows of an A stored k x m are copied into strips. */
static void every_tile(void **state)
{
    static const int tiles[][4] = {{8, 1, 3, 8},  {1, 1, 1, 1}, {2, 4, 3, 1}, {4, 2, 16, 16},
                                   {5, 1, 2, 4}, {8, 4, 1, 2}, {6, 1, 2, 8}};
    need_tiles(*state);
    for (size_t i = 0; i < (is_slow(*state) ? 1 : COUNT(tiles)); i++) {
        fcl_gemm_choice choice = {FCL_GEMM_TILE, tiles[i][0], tiles[i][1], tiles[i][2], tiles[i][3]};
        fcl_gemm_problem p = {.m = 37, .n = 83, .k = is_slow(*state) ? 21 : 300, .batch = 1};
        p.transpose_a = true;
        check_product(*state, &p, &choice);
        p.transpose_a = false;
        p.transpose_b = i % 2 == 0;
        check_product(*state, &p, &choice);
    }
}

static void shared_operands(void **state)
{
    static const bool cases[][4] = {
        /* share A, share B, transpose A, transpose B */
        {true, false, false, false},
        {false, true, false, false},
        {false, true, true, false},
        {true, true, false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        fcl_gemm_problem p = {.m = 6, .n = 19, .k = 5, .batch = 3};
        p.share_a = cases[i][0];
        p.share_b = cases[i][1];
        p.transpose_a = cases[i][2];
        p.transpose_b = cases[i][3];
        fcl_gemm_choice choice = fcl_gemm_tile_rule(*state, &p);
        if (takes_tiles(*state))
            check_product(*state, &p, &choice);
        choice.provider = FCL_GEMM_CLBLAST;
        if (!is_slow(*state))
            check_product(*state, &p, &choice);
    }
}

/* The fewest waits of two runs: the fence of every 256 commands is not in both. */
static int waits_of(fcl_gemm *gemm)
{
    int fewest = 0;
    for (int i = 0; i < 2; i++) {
        calls = (opencl_calls){0};
        assert_ok(fcl_gemm_enqueue(gemm));
        assert_true(calls.launches > 0);
        fewest = i && fewest < calls.waits ? fewest : calls.waits;
    }
    return fewest;
}

/* Batches of shapes for either of CLBlast's kernels are only enqueued, whatever they share; once the kernels are
 * compiled. */
static void clblast_waits_for_nothing(void **state)
{
    static const int list[][4] = {{6, 19, 5, 3}, {33, 65, 17, 70}, {200, 300, 700, 2}, {64, 64, 64, 1}};
    fcl_gemm_choice choice = {FCL_GEMM_CLBLAST};
    if (is_slow(*state))
        skip();
    for (size_t i = 0; i < 16 * COUNT(list); i++) {
        const int *size = list[i / 16];
        fcl_gemm_problem p = {size[0], size[1], size[2], size[3], i & 1, i & 2, i & 4, i & 8};
        if (p.batch == 1 && (p.share_a || p.share_b))
            continue;
        matrices x = make(*state, &p);
        fcl_gemm *gemm;
        assert_ok(fcl_gemm_create(*state, &p, &choice, 0, x.a_buffer, x.b_buffer, x.c_buffer, NULL, &gemm));
        assert_ok(fcl_gemm_enqueue(gemm));
        assert_ok(fcl_device_finish(*state));
        assert_int_equal(waits_of(gemm), 0);
        compare(&p, &choice, &x, plain);
        fcl_gemm_destroy(&gemm);
        unmake(&x);
    }
}

/* 3 max(x, 0) + bias[col] + c0[at], with a bias of col / 4 and a c0 that is the old C. */
static double finished(double product, double old, int row, int col)
{
    (void)row;
    return 3 * fmax(product, 0) + col / 4.0 + old;
}

static void epilogue_sees_every_element(void **state)
{
    fcl_device *device = *state;
    need_tiles(device);
    fcl_gemm_problem p = {.m = 11, .n = 21, .k = 4, .batch = 2, .transpose_b = true};
    fcl_gemm_choice choice = fcl_gemm_tile_rule(device, &p);
    choice.provider = FCL_GEMM_TILE;
    matrices x = make(device, &p);
    float bias[21];
    for (int i = 0; i < p.n; i++)
        bias[i] = (float)i / 4;
    fcl_buffer *bias_buffer = upload(device, bias, 21), *old = upload(device, x.c, x.c_count);
    fcl_text text = {0};
    fcl_program *program;
    fcl_launch *launch;
    fcl_gemm_tile_source(&text, "first", &p, &choice, NULL, NULL, NULL);
    fcl_gemm_tile_source(
        &text, "second", &p, &choice,
        ", const global float *restrict bias,\nconst global float *restrict old, float factor",
        "{ real t = fmax(v, 0.0f);\nv = t * factor + LOAD(bias, col); }\nv += LOAD(old, at);", NULL);
    assert_ok(fcl_program_build(device, "epilogue", text.data, NULL, &program));
    assert_ok(fcl_launch_create(program, "second", NULL, &launch));
    fcl_gemm_tile_launch(launch, &p, &choice, x.a_buffer, x.b_buffer, x.c_buffer);
    fcl_launch_buffer(launch, FCL_GEMM_TILE_ARGUMENTS, bias_buffer);
    fcl_launch_buffer(launch, FCL_GEMM_TILE_ARGUMENTS + 1, old);
    fcl_launch_float(launch, FCL_GEMM_TILE_ARGUMENTS + 2, 3);
    assert_ok(fcl_launch_enqueue(launch));
    compare(&p, &choice, &x, finished);
    fcl_launch_destroy(&launch);
    fcl_program_destroy(&program);
    fcl_text_free(&text);
    fcl_buffer_destroy(&bias_buffer);
    fcl_buffer_destroy(&old);
    unmake(&x);
}

/* What a bias's gradient is beside a weight's: k in two parts, rows that end inside a tile. */
static void rows_are_summed(void **state)
{
    fcl_device *device = *state;
    need_tiles(device);
    fcl_gemm_problem p = {.m = 37, .n = 83, .k = is_slow(device) ? 21 : 600, .batch = 1, .transpose_a = true};
    fcl_gemm_choice choice = {FCL_GEMM_TILE, .rows = 8, .vectors = 1, .block = 3, .panels = 5};
    for (choice.rows = 5; choice.rows <= 8; choice.rows += 3) {
        assert_true(fcl_gemm_tile_sums_rows(&p, &choice));
        matrices x = make(device, &p);
        fcl_buffer *sums = upload(device, x.c, (size_t)p.m);
        float found[37];
        fcl_text text = {0};
        fcl_program *program;
        fcl_launch *launch;
        fcl_gemm_tile_source(&text, "summing", &p, &choice, ", global float *y0", NULL, "y0");
        assert_ok(fcl_program_build(device, "row sums", text.data, NULL, &program));
        assert_ok(fcl_launch_create(program, "summing", NULL, &launch));
        fcl_gemm_tile_launch(launch, &p, &choice, x.a_buffer, x.b_buffer, x.c_buffer);
        fcl_launch_buffer(launch, FCL_GEMM_TILE_ARGUMENTS, sums);
        assert_ok(fcl_launch_enqueue(launch));
        compare(&p, &choice, &x, plain);
        assert_ok(fcl_buffer_read(sums, 0, sizeof found, found));
        for (int row = 0; row < p.m; row++) {
            double sum = 0;
            for (int i = 0; i < p.k; i++)
                sum += (double)x.a[i * p.m + row];
            assert_true(fabs((double)found[row] - sum) <= 1e-6 * p.k);
        }
        fcl_launch_destroy(&launch);
        fcl_program_destroy(&program);
        fcl_text_free(&text);
        fcl_buffer_destroy(&sums);
        unmake(&x);
    }
}

static void mistakes_are_told(void **state)
{
    fcl_device *device = *state;
    fcl_gemm_problem p = {.m = 4, .n = 4, .k = 4, .batch = 1}, larger = p, empty = p;
    fcl_gemm_choice choice = fcl_gemm_choose(device, &p);
    matrices x = make(device, &p);
    fcl_gemm *gemm;
    larger.k = 5;
    empty.n = 0;
    assert_status(FCL_ERR_ARGUMENT, fcl_gemm_create(device, &larger, &choice, 0, x.a_buffer, x.b_buffer,
                                                    x.c_buffer, NULL, &gemm));
    assert_non_null(strstr(fcl_error(), "4 x 5"));
    assert_status(FCL_ERR_ARGUMENT, fcl_gemm_create(device, &empty, &choice, 0, x.a_buffer, x.b_buffer,
                                                    x.c_buffer, NULL, &gemm));
    assert_status(FCL_ERR_ARGUMENT, fcl_gemm_create(device, &p, &choice, 0.5f, x.a_buffer, x.b_buffer,
                                                    x.c_buffer, NULL, &gemm));
    assert_null(gemm);
    unmake(&x);
}

static void environment_names_the_provider(void **state)
{
    fcl_device *device = *state, *other;
    fcl_gemm_problem p = {.m = 4, .n = 4, .k = 4, .batch = 1};
    setenv("FLOWCL_GEMM", "clblast", 1);
    assert_int_equal(fcl_gemm_choose(device, &p).provider, FCL_GEMM_CLBLAST);
    setenv("FLOWCL_GEMM", "tile", 1);
    if (fcl_gemm_has_tiles(fcl_device_describe(device)->type))
        assert_int_equal(fcl_gemm_choose(device, &p).provider, FCL_GEMM_TILE);
    setenv("FLOWCL_GEMM", "blas", 1);
    assert_status(FCL_ERR_ARGUMENT, fcl_device_open(NULL, NULL, &other));
    assert_non_null(strstr(fcl_error(), "FLOWCL_GEMM=blas"));
    unsetenv("FLOWCL_GEMM");
}

/* Where nothing says otherwise: what was measured to be the faster one. */
static void the_rule_knows_the_platform(void **state)
{
    static const struct {
        const char *platform;
        fcl_gemm_provider provider;
    } gpus[] = {{"NVIDIA CUDA", FCL_GEMM_GPU}, {"AMD Accelerated Parallel Processing", FCL_GEMM_CLBLAST}};
    fcl_device *device = *state;
    const fcl_device_info real = device->info;
    const fcl_gemm_problem p = {.m = 256, .n = 1024, .k = 1024, .batch = 1};
    char *named = getenv("FLOWCL_GEMM") ? strdup(getenv("FLOWCL_GEMM")) : NULL;
    unsetenv("FLOWCL_GEMM");
    for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++) {
        device->info.type = FCL_DEVICE_GPU;
        snprintf(device->info.platform_name, sizeof device->info.platform_name, "%s", gpus[i].platform);
        assert_int_equal(fcl_gemm_rule(device, &p).provider, gpus[i].provider);
    }
    device->info = real;
    if (named)
        setenv("FLOWCL_GEMM", named, 1);
    free(named);
}

static void clblast_is_profiled(void **state)
{
    (void)state;
    fcl_device *device;
    fcl_device_options options = {.profile = true};
    fcl_gemm_problem p = {.m = 64, .n = 64, .k = 64, .batch = 1};
    fcl_gemm_choice choice = {.provider = FCL_GEMM_CLBLAST};
    fcl_profile_line *lines;
    int count;
    assert_ok(fcl_device_open(NULL, &options, &device));
    if (is_simulator(device)) {
        fcl_device_close(&device);
        skip();
    }
    matrices x = make(device, &p);
    fcl_gemm *gemm;
    assert_ok(fcl_gemm_create(device, &p, &choice, 0, x.a_buffer, x.b_buffer, x.c_buffer, "weights", &gemm));
    fcl_device_profile_reset(device);
    assert_ok(fcl_gemm_enqueue(gemm));
    assert_ok(fcl_gemm_enqueue(gemm));
    assert_ok(fcl_device_profile(device, &lines, &count));
    assert_int_equal(count, 1);
    assert_string_equal(lines[0].name, "weights");
    assert_int_equal(lines[0].launches, 2);
    /* Mesa 22.3's rusticl tells no times. */
    assert_true(lines[0].seconds > 0 || is_slow(device));
    fcl_free(lines);
    fcl_gemm_destroy(&gemm);
    unmake(&x);
    fcl_device_close(&device);
}

int main(void)
{
    setenv("FLOWCL_DEVICE", "cpu", 0);
    const char *given = getenv("FCL_TEST_SEED");
    seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    printf("FCL_TEST_SEED=%u\n", seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tile_products),
        cmocka_unit_test(clblast_products),
        cmocka_unit_test(chosen_products),
        cmocka_unit_test(a_long_product_is_right),
        cmocka_unit_test(every_tile),
        cmocka_unit_test(work_items_are_alike),
        cmocka_unit_test(large_products),
        cmocka_unit_test(rows_are_summed),
        cmocka_unit_test(shared_operands),
        cmocka_unit_test(epilogue_sees_every_element),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(environment_names_the_provider),
        cmocka_unit_test(the_rule_knows_the_platform),
        cmocka_unit_test(clblast_is_profiled),
        cmocka_unit_test(clblast_waits_for_nothing),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
