/* The table of tuned products: what it says of a shape, when it is read, that a run multiplies by it. */
#include "compile/plan.h"
#include "device/opencl.h"
#include "scratch.h"
#include "status.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <string.h>

static const fcl_product product = {.m = 40, .n = 24, .k = 20, .transpose_a = true};
static const fcl_gemm_problem problem = {.m = 40, .n = 24, .k = 20, .batch = 1, .transpose_a = true};

static bool same(fcl_gemm_choice a, fcl_gemm_choice b)
{
    return a.provider == b.provider && a.rows == b.rows && a.vectors == b.vectors && a.block == b.block &&
           a.panels == b.panels && a.set == b.set && a.parts == b.parts;
}

static fcl_device *open_device(void)
{
    fcl_device *device;
    assert_ok(fcl_device_open(NULL, NULL, &device));
    return device;
}

/* Leaves a table that says candidate 1 of `product`, and tells its path. */
static char *leave_table(fcl_gemm_choice *choice)
{
    char *path;
    fcl_device *device = open_device();
    if (fcl_device_describe(device)->type != FCL_DEVICE_CPU) { /* which has one candidate */
        fcl_device_close(&device);
        skip();
    }
    fcl_tune_keep(device, &product, 1, 1e-6, 2e-6);
    *choice = fcl_gemm_choose(device, &problem);
    assert_false(same(*choice, fcl_gemm_rule(device, &problem)));
    assert_ok(fcl_tune_save(device, &path));
    fcl_device_close(&device);
    return path;
}

static char *read_text(const char *path)
{
    char *text = calloc(1, 1 << 16);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
    fclose(file);
    return text;
}

static void write_text(const char *path, const char *text, size_t length)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
}

static fcl_gemm_choice find_block(const fcl_tuned_table *table, int m, int n, int k, bool transpose_a)
{
    fcl_gemm_problem p = {.m = m, .n = n, .k = k, .batch = 1, .transpose_a = transpose_a};
    const fcl_gemm_choice *choice = fcl_tuned_find(table, &p);
    return choice ? *choice : (fcl_gemm_choice){0};
}

static void nearest_row_counts(void **state)
{
    (void)state;
    fcl_tuned_table table = {0};
    for (int i = 1; i <= 3; i++)
        fcl_tuned_put(&table, &(fcl_tuned){.problem = {.m = 100 << i, .n = 64, .k = 64, .batch = 1},
                                           .choice = {.block = i}});
    assert_int_equal(find_block(&table, 400, 64, 64, false).block, 2);
    assert_int_equal(find_block(&table, 390, 60, 70, false).block, 2);
    assert_int_equal(find_block(&table, 300, 64, 64, false).block, 2); /* 200 is further by ratio */
    assert_int_equal(find_block(&table, 1600, 64, 64, false).block, 3);
    assert_int_equal(find_block(&table, 1601, 64, 64, false).block, 0);
    assert_int_equal(find_block(&table, 400, 64, 129, false).block, 0);
    assert_int_equal(find_block(&table, 400, 64, 64, true).block, 0);
    fcl_tuned_put(&table,
                  &(fcl_tuned){.problem = {.m = 400, .n = 64, .k = 64, .batch = 1}, .choice = {.block = 9}});
    assert_int_equal(table.count, 3);
    assert_int_equal(find_block(&table, 400, 64, 64, false).block, 9);
    fcl_tuned_free(&table);
    assert_int_equal(find_block(&table, 400, 64, 64, false).block, 0);
}

static void a_run_multiplies_by_the_table(void **state)
{
    (void)state;
    fcl_gemm_choice kept;
    free(leave_table(&kept));
    fcl_device *device = open_device();
    fcl_measure *measure, *candidate;
    double seconds, error;
    assert_string_equal(fcl_device_describe(device)->tuning, "");
    assert_true(same(fcl_gemm_choose(device, &problem), kept));
    assert_ok(fcl_measure_product(device, &product, &measure));
    assert_ok(fcl_tune_candidate(device, &product, 1, 7, &candidate));
    assert_string_equal(fcl_measure_describe(measure)->how, fcl_measure_describe(candidate)->how);
    assert_ok(fcl_measure_run(measure, 1, &seconds));
    assert_ok(fcl_measure_error(measure, &error));
    assert_true(error <= FCL_TUNE_ERROR);
    fcl_measure_destroy(&measure);
    fcl_measure_destroy(&candidate);
    fcl_device_close(&device);
}

/* Opens a device that must not use its table; what it says of that contains `part`. */
static void expect_rule(const char *part)
{
    fcl_device *device = open_device();
    assert_true(same(fcl_gemm_choose(device, &problem), fcl_gemm_rule(device, &problem)));
    if (!strstr(fcl_device_describe(device)->tuning, part))
        fail_msg("\"%s\" lacks \"%s\"", fcl_device_describe(device)->tuning, part);
    if (!part[0])
        assert_string_equal(fcl_device_describe(device)->tuning, "");
    fcl_device_close(&device);
}

static void the_table_can_be_switched_off(void **state)
{
    (void)state;
    fcl_gemm_choice kept;
    free(leave_table(&kept));
    setenv("FLOWCL_TUNE", "off", 1);
    expect_rule("");
    unsetenv("FLOWCL_TUNE");
    setenv("FLOWCL_GEMM", "tile", 1);
    expect_rule("");
    unsetenv("FLOWCL_GEMM");
}

/* Each row twice, the second with another choice: found again, and one row each. */
static void large_tables_keep_one_row_a_problem(void **state)
{
    enum { ROWS = 100000 };
    (void)state;
    fcl_tuned_table table = {0};
    for (int i = 0; i < 2 * ROWS; i++) {
        int row = i % ROWS;
        fcl_tuned_put(&table, &(fcl_tuned){.problem = {.m = 1 + row % 100, .n = 1 + row / 100 % 100,
                                                       .k = 1 + row / 10000, .batch = 1 + row % 2,
                                                       .transpose_a = row % 3 == 0},
                                           .choice = {.block = i / ROWS, .panels = row}});
    }
    assert_int_equal(table.count, ROWS);
    for (int row = 0; row < ROWS; row++)
        assert_true(table.rows[row].choice.panels == row && table.rows[row].choice.block == 1);
    fcl_tuned_free(&table);
}

/* Where somebody else may have written it, or put another folder or link in its place. */
static void a_table_of_others_is_not_trusted(void **state)
{
    char folder[400], other[sizeof folder + 8];
    (void)state;
    fcl_gemm_choice kept;
    char *path = leave_table(&kept);
    assert_int_equal(chmod(path, 0666), 0);
    expect_rule("everybody may write to");
    assert_int_equal(chmod(path, 0600), 0);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(chmod(folder, 0777), 0);
    expect_rule("everybody may write to");
    snprintf(other, sizeof other, "%s.moved", folder);
    assert_int_equal(rename(folder, other), 0);
    assert_int_equal(symlink(other, folder), 0);
    expect_rule("everybody may write to");
    assert_int_equal(chmod(other, 0700), 0);
    fcl_device *device = open_device(); /* a link of one's own to a folder of one's own */
    assert_string_equal(fcl_device_describe(device)->tuning, "");
    fcl_device_close(&device);
    if (lchown(folder, 12345, (gid_t)-1) == 0) { /* as root only */
        expect_rule("belongs to another user (number 12345)");
        assert_int_equal(lchown(folder, geteuid(), (gid_t)-1), 0);
        assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
        expect_rule("belongs to another user (number 12345)");
    }
    assert_int_equal(unlink(folder), 0);
    assert_int_equal(rename(other, folder), 0);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void a_damaged_table_is_ignored(void **state)
{
    (void)state;
    fcl_gemm_choice kept;
    char *path = leave_table(&kept), *text = read_text(path);
    for (size_t length = 0; length < strlen(text) - 4; length += 211) {
        write_text(path, text, length);
        expect_rule("is not used");
    }
    char *block = strstr(text, "\"block\": ") + strlen("\"block\": ");
    *block = '0';
    write_text(path, text, strlen(text));
    expect_rule("product 1 of");
    write_text(path, "[]", 2);
    expect_rule("format");
    free(text);
    free(path);
}

static void another_drivers_table_is_ignored(void **state)
{
    static const char *const facts[] = {"platform", "device", "driver", "library", "kernels"};
    (void)state;
    fcl_gemm_choice kept;
    char *path = leave_table(&kept), *text = read_text(path);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        char *other = strdup(text), key[32];
        snprintf(key, sizeof key, "\"%s\": \"", facts[i]);
        *(strstr(other, key) + strlen(key)) = '#';
        write_text(path, other, strlen(other));
        expect_rule(facts[i]);
        free(other);
    }
    free(text);
    free(path);
}

/* How many there are. */
static int check_candidates(fcl_device *device, const fcl_product *tuned)
{
    int count = fcl_tune_count(device, tuned);
    assert_true(count >= (fcl_gemm_has_tiles(fcl_device_describe(device)->type) ? 3 : 1));
    for (int i = 0; i < count; i++) {
        fcl_measure *measure;
        double seconds, error;
        assert_ok(fcl_tune_candidate(device, tuned, i, 3, &measure));
        if (strcmp(fcl_measure_describe(measure)->how, "clblast") != 0) { /* which compiles for seconds */
            assert_ok(fcl_measure_run(measure, 2, &seconds));
            assert_ok(fcl_measure_error(measure, &error));
            if (!(error <= FCL_TUNE_ERROR))
                fail_msg("%s: error %g", fcl_measure_describe(measure)->how, error);
        }
        fcl_measure_destroy(&measure);
    }
    return count;
}

static void every_candidate_is_right(void **state)
{
    (void)state;
    fcl_device *device = open_device();
    fcl_product batched = {.m = 37, .n = 50, .k = 19, .batch = 2, .share_b = true};
    fcl_product long_narrow = {.m = 40, .n = 3, .k = 600, .batch = 1, .transpose_a = true}; /* one panel, k in parts */
    fcl_product followed = {.m = 37, .n = 50, .k = 19, .batch = 2, .reads = 1, .stores = 2, .cold = true};
    int count = check_candidates(device, &batched);
    check_candidates(device, &followed);
    check_candidates(device, &long_narrow);
    fcl_measure *none;
    assert_status(FCL_ERR_ARGUMENT, fcl_tune_candidate(device, &batched, count, 3, &none));
    fcl_device_close(&device);
}

/* A device that is said to be of another type. */
static fcl_device disguised(const fcl_device *device, fcl_device_type type)
{
    fcl_device other = *device;
    other.info.type = type;
    other.tuned = (fcl_tuned_table){0};
    return other;
}

/* Those by a provider; each is what a table that keeps it makes the device multiply by. */
static int count_candidates(fcl_device *device, const fcl_product *p, fcl_gemm_provider provider)
{
    fcl_gemm_problem of = {p->m, p->n, p->k, p->batch, p->transpose_a, p->transpose_b, p->share_a, p->share_b};
    int found = 0;
    for (int i = 0; i < fcl_tune_count(device, p); i++) {
        fcl_tune_keep(device, p, i, 1, 1);
        found += fcl_gemm_choose(device, &of).provider == provider;
    }
    fcl_tuned_free(&device->tuned);
    return found;
}

static void expect_clblast(fcl_device *device, const fcl_product *p)
{
    fcl_gemm_problem of = {p->m, p->n, p->k, p->batch, p->transpose_a, p->transpose_b, p->share_a, p->share_b};
    fcl_tuned row = {.problem = of, .choice = {FCL_GEMM_TILE, .rows = 4, .vectors = 1, .block = 1, .panels = 1}};
    assert_int_equal(fcl_gemm_rule(device, &of).provider, FCL_GEMM_CLBLAST);
    assert_int_equal(fcl_gemm_choose(device, &of).provider, FCL_GEMM_CLBLAST);
    assert_int_equal(count_candidates(device, p, FCL_GEMM_TILE), 0);
    assert_int_equal(count_candidates(device, p, FCL_GEMM_CLBLAST), 1);
    assert_true(count_candidates(device, p, FCL_GEMM_GPU) > 24);
    fcl_tuned_put(&device->tuned, &row);
    assert_int_equal(fcl_gemm_choose(device, &of).provider, FCL_GEMM_CLBLAST);
    fcl_buffer *buffer;
    fcl_gemm *gemm;
    assert_ok(fcl_buffer_create(device, sizeof(float) * 4000000, &buffer));
    assert_status(FCL_ERR_UNSUPPORTED, fcl_gemm_create(device, &of, &row.choice, 0, buffer, buffer, buffer, NULL, &gemm));
    assert_non_null(strstr(fcl_error(), "only CPUs multiply by tiles"));
    fcl_buffer_destroy(&buffer);
    fcl_tuned_free(&device->tuned);
}

/* Neither by the rule, nor by a table, nor by the environment, nor as a candidate. */
static void off_cpus_nothing_is_a_tile(void **state)
{
    static const fcl_device_type types[] = {FCL_DEVICE_GPU, FCL_DEVICE_ACCELERATOR, FCL_DEVICE_OTHER};
    static const fcl_product products[] = {
        {.m = 1, .n = 1, .k = 1, .batch = 1},
        {.m = 256, .n = 64, .k = 3, .batch = 1, .transpose_b = true},
        {.m = 64, .n = 3, .k = 256, .batch = 1, .transpose_a = true},
        {.m = 1024, .n = 784, .k = 256, .batch = 1},
        {.m = 30, .n = 20, .k = 10, .batch = 7, .share_a = true},
    };
    (void)state;
    fcl_device *device = open_device();
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        fcl_device other = disguised(device, types[i]);
        for (size_t k = 0; k < sizeof products / sizeof *products; k++)
            expect_clblast(&other, &products[k]);
        setenv("FLOWCL_GEMM", "tile", 1);
        assert_status(FCL_ERR_ARGUMENT, fcl_gemm_check_environment(&other.info));
        assert_non_null(strstr(fcl_error(), "FLOWCL_GEMM=tile"));
        assert_non_null(strstr(fcl_error(), other.info.name));
        setenv("FLOWCL_GEMM", "clblast", 1);
        assert_ok(fcl_gemm_check_environment(&other.info));
        unsetenv("FLOWCL_GEMM");
    }
    fcl_device cpu = disguised(device, FCL_DEVICE_CPU);
    setenv("FLOWCL_GEMM", "tile", 1);
    assert_ok(fcl_gemm_check_environment(&cpu.info));
    unsetenv("FLOWCL_GEMM");
    assert_int_equal(fcl_gemm_rule(&cpu, &problem).provider, FCL_GEMM_TILE);
    fcl_device_close(&device);
}

/* --- what follows a product --- */

enum { M = 30, N = 150, K = 200 /* more than a row block takes */ };

/* x w', and behind it the square of its sum with a second matrix; with `more`, the sum is kept as well. */
static fcl_graph *followed(fcl_device *device, bool follows, bool more)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(M, K)), *w = fcl_input(graph, "w", FCL_F32, FCL_SHAPE(N, K));
    fcl_tensor *y = fcl_linear(x, w, NULL);
    if (follows) {
        fcl_tensor *sum = fcl_add(y, fcl_input(graph, "z", FCL_F32, FCL_SHAPE(M, N)));
        y = fcl_square(sum);
        if (more)
            fcl_output(sum);
    }
    fcl_output(y);
    assert_ok(fcl_graph_compile(graph, device, NULL));
    return graph;
}

/* Who multiplies, and in how many steps all is done. */
static void expect_steps(fcl_device *device, bool follows, bool more, fcl_gemm_provider provider, int steps)
{
    fcl_graph *graph = followed(device, follows, more);
    const fcl_step *step = NULL;
    for (int i = 0; i < graph->plan->count; i++)
        step = graph->plan->steps[i].product ? &graph->plan->steps[i] : step;
    assert_non_null(step);
    assert_int_equal(step->choice.provider, provider);
    assert_int_equal(graph->plan->count, steps);
    fcl_graph_destroy(&graph);
}

/* In the form of GPUs: a table that holds a product of ours is read again and followed, with what follows the product in
 * the same step; in the form of CPUs it says nothing; and a table from before there were such is read. */
static void a_table_names_the_product_for_gpus(void **state)
{
    (void)state;
    static const int rows[][2] = {{5, 1}, {0, 3}};
    setenv("FLOWCL_ROW_GROUP", "64", 1);
    for (size_t i = 0; i < 2; i++) {
        fcl_device *device = open_device();
        fcl_tuned row = {.problem = {.m = M, .n = N, .k = K, .batch = 1, .transpose_b = true, .reads = 1},
                         .choice = {FCL_GEMM_GPU, .set = rows[i][0], .parts = rows[i][1]}};
        char *path;
        fcl_tuned_put(&device->tuned, &row);
        assert_ok(fcl_tune_save(device, &path));
        fcl_device_close(&device);

        device = open_device();
        assert_string_equal(fcl_device_describe(device)->tuning, "");
        fcl_gemm_choice choice = fcl_gemm_choose(device, &row.problem);
        assert_true(same(choice, row.choice));
        expect_steps(device, true, false, FCL_GEMM_GPU, 1);
        setenv("FLOWCL_ROW_GROUP", "1", 1);
        assert_int_not_equal(fcl_gemm_choose(device, &row.problem).provider, FCL_GEMM_GPU);
        setenv("FLOWCL_ROW_GROUP", "64", 1);
        fcl_device_close(&device);

        char *text = read_text(path), *fact = strstr(text, "  \"gpu_kernels\"");
        assert_non_null(fact);
        memmove(fact, strchr(fact, '\n') + 1, strlen(strchr(fact, '\n') + 1) + 1);
        write_text(path, text, strlen(text));
        device = open_device();
        assert_string_equal(fcl_device_describe(device)->tuning, "");
        fcl_device_close(&device);
        *(strstr(text, "\"set\": \"") + 8) = '#';
        write_text(path, text, strlen(text));
        device = open_device();
        assert_non_null(strstr(fcl_device_describe(device)->tuning, "product 1 of"));
        fcl_device_close(&device);
        assert_int_equal(unlink(path), 0);
        free(text);
        free(path);
    }
    unsetenv("FLOWCL_ROW_GROUP");
}

/* Each is held against double precision as tuning does it, with what follows, some with k in parts. */
static void candidates_for_gpus_are_right(void **state)
{
    (void)state;
    enum { STEP = 13 };
    const fcl_product p = {.m = 24, .n = 20, .k = 1000, .batch = 1, .transpose_a = true, .reads = 1, .stores = 1};
    setenv("FLOWCL_ROW_GROUP", "64", 1);
    fcl_device *device = open_device();
    int found = 0;
    for (int i = 1; i < fcl_tune_count(device, &p); i += STEP) {
        fcl_measure *measure;
        double seconds, error;
        assert_ok(fcl_tune_candidate(device, &p, i, 3, &measure));
        if (strncmp(fcl_measure_describe(measure)->how, "gpu ", 4) == 0) {
            found++;
            assert_true(fcl_tune_is_risky(device, &p, i));
            assert_ok(fcl_measure_run(measure, 2, &seconds));
            assert_ok(fcl_measure_error(measure, &error));
            if (!(error <= FCL_TUNE_ERROR))
                fail_msg("%s: error %g", fcl_measure_describe(measure)->how, error);
        }
        fcl_measure_destroy(&measure);
    }
    assert_true(found >= 3);
    fcl_device_close(&device);
    unsetenv("FLOWCL_ROW_GROUP");
}

/* Any but the rule's, which a run would multiply by, and CLBlast's kernels. */
static void what_may_hang_is_measured_elsewhere(void **state)
{
    (void)state;
    fcl_device *device = open_device();
    fcl_device cpu = disguised(device, FCL_DEVICE_CPU), gpu = disguised(device, FCL_DEVICE_GPU);
    assert_false(fcl_tune_is_risky(&cpu, &product, 0));
    for (int i = 1; i < fcl_tune_count(&cpu, &product); i++)
        assert_true(fcl_tune_is_risky(&cpu, &product, i));
    assert_true(fcl_tune_is_risky(&gpu, &product, 0));
    fcl_device_close(&device);
}

/* Another set of CLBlast's parameters is kept, read again, used, and right; "default" is the first. */
static void a_set_of_parameters_is_kept(void **state)
{
    (void)state;
    char *path;
    fcl_measure *measure;
    double seconds, error;
    fcl_device *device = open_device();
    assert_string_equal(fcl_tune_set_name(0), "default");
    assert_string_equal(fcl_tune_set_used(device), "default");
    assert_status(FCL_ERR_ARGUMENT, fcl_tune_set(device, "no such set"));
    assert_ok(fcl_tune_set(device, fcl_tune_set_name(1)));
    assert_ok(fcl_tune_save(device, &path));
    fcl_device_close(&device);

    device = open_device();
    assert_string_equal(fcl_tune_set_used(device), fcl_tune_set_name(1));
    setenv("FLOWCL_GEMM", "clblast", 1);
    assert_ok(fcl_measure_product(device, &product, &measure));
    unsetenv("FLOWCL_GEMM");
    assert_true(device->clblast_applied);
    assert_ok(fcl_measure_run(measure, 1, &seconds));
    assert_ok(fcl_measure_error(measure, &error));
    assert_true(error <= FCL_TUNE_ERROR);
    fcl_measure_destroy(&measure);
    fcl_device_close(&device);

    char *text = read_text(path);
    *(strstr(text, "\"clblast_parameters\": \"") + strlen("\"clblast_parameters\": \"")) = '#';
    write_text(path, text, strlen(text));
    expect_rule("no set of CLBlast's parameters");
    remove(path);
    free(text);
    free(path);
}

/* Whether CLBlast's kernel for large products takes n x n x n: it alone has a temporary for odd sizes. */
static bool is_indirect(int n)
{
    fcl_device *device = open_device();
    fcl_gemm_problem p = {.m = n, .n = n, .k = n, .batch = 1};
    fcl_gemm_choice choice = {.provider = FCL_GEMM_CLBLAST};
    fcl_buffer *buffer;
    fcl_gemm *gemm;
    assert_string_equal(fcl_device_describe(device)->tuning, "");
    assert_ok(fcl_buffer_create(device, sizeof(float) * (size_t)n * (size_t)n, &buffer));
    assert_ok(fcl_gemm_create(device, &p, &choice, 0, buffer, buffer, buffer, NULL, &gemm));
    bool indirect = device->temporary != NULL;
    fcl_gemm_destroy(&gemm);
    fcl_buffer_destroy(&buffer);
    fcl_device_close(&device);
    return indirect;
}

/* The switch-over is kept, read again and in force; a table of before it is read, a damaged one told. */
static void the_switch_over_is_kept(void **state)
{
    static const int sizes[] = {256, 512, 1024};
    char *path = NULL;
    int used;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fcl_device *device = open_device();
        assert_ok(fcl_tune_indirect_from(device, sizes[i]));
        free(path);
        assert_ok(fcl_tune_save(device, &path));
        fcl_device_close(&device);
        device = open_device();
        assert_int_equal(fcl_tune_indirect_kept(device), sizes[i]);
        assert_ok(fcl_clblast_switch_used(device, &used));
        assert_int_equal(used, sizes[i]);
        assert_status(FCL_ERR_ARGUMENT, fcl_tune_indirect_from(device, -1));
        fcl_device_close(&device);
        assert_false(is_indirect(sizes[i] - 1));
        assert_true(is_indirect(sizes[i] + 1));
    }
    char *text = read_text(path), *at = strstr(text, "  \"clblast_indirect_from\": 1024,\n");
    assert_non_null(at);
    at[strlen("  \"clblast_indirect_from\": ")] = '9';
    write_text(path, text, strlen(text));
    expect_rule("clblast_indirect_from");
    size_t line = strcspn(at, "\n") + 1;
    memmove(at, at + line, strlen(at + line) + 1);
    write_text(path, text, strlen(text));
    fcl_device *device = open_device();
    assert_string_equal(fcl_device_describe(device)->tuning, "");
    assert_int_equal(fcl_tune_indirect_kept(device), 0);
    fcl_device_close(&device);
    remove(path);
    free(text);
    free(path);
}

/* At most 512 where CLBlast has guessed. */
static void the_rules_switch_over(void **state)
{
    (void)state;
    assert_int_equal(fcl_clblast_switch_rule(FCL_DEVICE_GPU, 90, 1472), 512);
    assert_int_equal(fcl_clblast_switch_rule(FCL_DEVICE_GPU, 86, 1472), 512);
    assert_int_equal(fcl_clblast_switch_rule(FCL_DEVICE_GPU, 0, 896), 512);
    assert_int_equal(fcl_clblast_switch_rule(FCL_DEVICE_GPU, 120, 128), 128);
    assert_int_equal(fcl_clblast_switch_rule(FCL_DEVICE_GPU, 61, 1792), 1792);
    assert_int_equal(fcl_clblast_switch_rule(FCL_DEVICE_GPU, 80, 1472), 1472);
    assert_int_equal(fcl_clblast_switch_rule(FCL_DEVICE_CPU, 0, 896), 896);
}

static void a_graph_tells_its_products(void **state)
{
    (void)state;
    fcl_device *device = open_device();
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(30, 200));
    fcl_tensor *w = fcl_input(graph, "w", FCL_F32, FCL_SHAPE(150, 200)), *dw;
    fcl_tensor *loss = fcl_mean(fcl_square(fcl_linear(x, w, NULL)));
    fcl_product *products;
    int count;
    fcl_vjp(loss, NULL, 1, &w, &dw);
    fcl_output(dw);
    assert_status(FCL_ERR_ARGUMENT, fcl_graph_products(graph, &products, &count));
    assert_ok(fcl_graph_compile(graph, device, NULL));
    assert_ok(fcl_graph_products(graph, &products, &count));
    assert_int_equal(count, 2);
    assert_true(products[0].m == 30 && products[0].n == 150 && products[0].k == 200);
    assert_true(!products[0].transpose_a && products[0].transpose_b && products[0].batch == 1);
    assert_true(products[1].m == 150 && products[1].n == 200 && products[1].k == 30 &&
                products[1].transpose_a);
    for (int i = 0; i < count; i++)
        assert_true(products[i].reads == 0 && products[i].stores == 0 && !products[i].cold);
    fcl_free(products);
    fcl_graph_destroy(&graph);
    fcl_device_close(&device);
}

/* --- a provider for each of what follows --- */

static void put(fcl_device *device, int reads, int stores, fcl_gemm_provider provider)
{
    fcl_tuned row = {.problem = {.m = M, .n = N, .k = K, .batch = 1, .transpose_b = true, .reads = reads, .stores = stores},
                     .choice = {provider, .rows = 4, .vectors = 1, .block = 2, .panels = 1}};
    fcl_tuned_put(&device->tuned, &row);
}

/* It is tuned with what follows it, whoever does that. */
static void expect_product(fcl_device *device, int reads, int stores)
{
    fcl_graph *graph = followed(device, true, true);
    fcl_product *list;
    int count;
    assert_ok(fcl_graph_products(graph, &list, &count));
    assert_true(count == 1 && list[0].reads == reads && list[0].stores == stores);
    fcl_free(list);
    fcl_graph_destroy(&graph);
}

/* The table may say of the same matrices another provider where something follows them: it is chosen by the
 * epilogue, and what one without epilogues leaves is a step of its own. */
static void a_provider_is_chosen_by_what_follows(void **state)
{
    (void)state;
    fcl_device *device = open_device();
    if (!fcl_gemm_has_tiles(fcl_device_describe(device)->type)) {
        fcl_device_close(&device);
        skip();
    }
    fcl_tuned_free(&device->tuned);
    expect_steps(device, true, false, FCL_GEMM_TILE, 1);
    put(device, 0, 0, FCL_GEMM_CLBLAST);
    put(device, 1, 0, FCL_GEMM_TILE);
    expect_steps(device, false, false, FCL_GEMM_CLBLAST, 1);
    expect_steps(device, true, false, FCL_GEMM_TILE, 1);
    put(device, 1, 1, FCL_GEMM_CLBLAST);
    expect_steps(device, true, false, FCL_GEMM_TILE, 1);
    expect_steps(device, true, true, FCL_GEMM_CLBLAST, 2);
    put(device, 0, 0, FCL_GEMM_TILE); /* a bare one is not chosen again */
    expect_steps(device, true, true, FCL_GEMM_CLBLAST, 2);
    expect_product(device, 1, 1);
    fcl_device_close(&device);
}

/* A table of the test's own. */
static int setup(void **state)
{
    int status = scratch_setup(state);
    setenv("XDG_CACHE_HOME", scratch_path("cache"), 1);
    return status;
}

int main(void)
{
    setenv("FLOWCL_DEVICE", "cpu", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_row_counts),
        cmocka_unit_test(a_provider_is_chosen_by_what_follows),
        cmocka_unit_test(a_run_multiplies_by_the_table),
        cmocka_unit_test(the_table_can_be_switched_off),
        cmocka_unit_test(large_tables_keep_one_row_a_problem),
        cmocka_unit_test(a_table_of_others_is_not_trusted),
        cmocka_unit_test(a_damaged_table_is_ignored),
        cmocka_unit_test(another_drivers_table_is_ignored),
        cmocka_unit_test(every_candidate_is_right),
        cmocka_unit_test(off_cpus_nothing_is_a_tile),
        cmocka_unit_test(a_table_names_the_product_for_gpus),
        cmocka_unit_test(candidates_for_gpus_are_right),
        cmocka_unit_test(what_may_hang_is_measured_elsewhere),
        cmocka_unit_test(a_set_of_parameters_is_kept),
        cmocka_unit_test(the_switch_over_is_kept),
        cmocka_unit_test(the_rules_switch_over),
        cmocka_unit_test(a_graph_tells_its_products),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
