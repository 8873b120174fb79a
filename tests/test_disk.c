/* Samples that stay in their files: every element type against the numbers that were written, the order of
 * blocks, the blocks that are read ahead, and statistics in one pass. */
#include "scratch.h"
#include "status.h"
#include "trial.h"

#include "data/blocks.h"
#include "data/rows.h"
#include "data/statistics.h"
#include "data/stored.h"
#include "train/shuffle.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- files --- */

static const char *const types[] = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"};

enum { TYPES = sizeof types / sizeof *types, HEADER = 128 };

/* A whole number that every type holds. */
static int number_at(int64_t i, uint64_t salt)
{
    return (int)((uint64_t)(i + 1) * (salt | 1) >> 11 & 127);
}

static uint64_t bits_of(const char *type, int number)
{
    union {
        double value;
        uint64_t bits;
    } wide = {.value = number};
    union {
        float value;
        uint32_t bits;
    } single = {.value = (float)number};
    if (*type != 'f')
        return (uint64_t)number;
    if (type[1] == '8')
        return wide.bits;
    if (type[1] == '4')
        return single.bits;
    return single.bits ? (single.bits >> 13 & 0x3ff) | ((single.bits >> 23) - 112) << 10
                       : 0; /* below 2048: exact */
}

static const char *write_npy(const char *name, const char *order, const char *type, const char *shape,
                             int64_t first, int64_t count, uint64_t salt)
{
    int size = type[1] - '0';
    uint8_t *file = calloc(1, HEADER + (size_t)(count * size));
    memcpy(file, "\x93NUMPY\x01\x00\x76\x00", 10);
    memset(file + 10, ' ', HEADER - 11);
    int used = snprintf((char *)file + 10, HEADER - 10,
                        "{'descr': '%s%s', 'fortran_order': False, 'shape': %s, }", order, type, shape);
    file[10 + used] = ' ';
    file[HEADER - 1] = '\n';
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits = bits_of(type, number_at(first + i, salt));
        for (int b = 0; b < size; b++)
            file[HEADER + i * size + (*order == '>' ? size - 1 - b : b)] = (uint8_t)(bits >> 8 * b);
    }
    const char *path = scratch_write(name, file, HEADER + (size_t)(count * size));
    free(file);
    return path;
}

static const fcl_dataset_options from_disk = {.from_disk = true};

/* Any stretch, and any samples in any order. */
static void hold_against(const fcl_dataset *data, int64_t size, uint64_t salt)
{
    fcl_array *some;
    int64_t first = trial_int(0, (int)data->count - 1), n = trial_int(1, (int)(data->count - first));
    assert_ok(fcl_dataset_take(data, first, n, &some));
    for (int64_t i = 0; i < n * size; i++)
        assert_true(some->data[i] == (float)number_at(first * size + i, salt));
    fcl_array_destroy(&some);
    enum { N = 40 };
    int64_t which[N];
    float *values = malloc((size_t)(N * size) * sizeof *values);
    for (int i = 0; i < N; i++)
        which[i] = trial_int(0, (int)data->count - 1);
    assert_ok(fcl_dataset_values(data, N, which, values));
    for (int64_t i = 0; i < N * size; i++)
        assert_true(values[i] == (float)number_at(which[i / size] * size + i % size, salt));
    free(values);
}

static void test_types(void **state)
{
    (void)state;
    for (int t = 0; t < 2 * TYPES; t++) {
        char shape[64];
        int64_t count = trial_int(1, 90), size = 3 * trial_int(1, 900);
        uint64_t salt = (uint64_t)trial_int(1, 1 << 30) << 20;
        snprintf(shape, sizeof shape, "(%lld, 3, %lld)", (long long)count, (long long)size / 3);
        fcl_dataset *disk, *memory;
        bool bytes = strcmp(types[t / 2], "u1") == 0; /* of rank 3 these are pictures */
        if (bytes)
            snprintf(shape, sizeof shape, "(%lld, %lld)", (long long)count, (long long)size);
        const char *path =
            write_npy("any.npy", t % 2 ? ">" : "<", types[t / 2], shape, 0, count * size, salt);
        assert_ok(fcl_dataset_open(path, &from_disk, &disk));
        assert_ok(fcl_dataset_open(path, NULL, &memory));
        assert_true(disk->stored && !disk->values && !memory->stored && memory->values);
        assert_int_equal(disk->count, count);
        hold_against(disk, size, salt);
        hold_against(memory, size, salt);
        fcl_dataset_destroy(&disk);
        fcl_dataset_destroy(&memory);
    }
}

/* Bytes are pictures there, too, and channels come first. */
static void test_pictures(void **state)
{
    (void)state;
    enum { COUNT = 7, H = 4, W = 5 };
    fcl_dataset *disk, *memory;
    const char *path = write_npy("last.npy", "|", "u1", "(7, 4, 5, 3)", 0, COUNT * H * W * 3, 12345678901);
    assert_ok(fcl_dataset_open(path, &from_disk, &disk));
    assert_ok(fcl_dataset_open(path, NULL, &memory));
    assert_true(fcl_dataset_has_bytes(disk) && fcl_dataset_has_bytes(memory) && disk->stored);
    assert_string_equal(disk->note, memory->note);
    int64_t which[] = {5, 0, 6};
    uint8_t a[3][3][H][W], b[3][3][H][W];
    assert_ok(fcl_dataset_rows(disk, 3, which, a));
    assert_ok(fcl_dataset_rows(memory, 3, which, b));
    assert_memory_equal(a, b, sizeof a);
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 3; c++)
            for (int p = 0; p < H * W; p++)
                assert_int_equal(a[i][c][p / W][p % W],
                                 number_at((which[i] * H * W + p) * 3 + c, 12345678901));
    fcl_dataset_destroy(&disk);
    fcl_dataset_destroy(&memory);
}

/* More files than stay open; ragged, in the order of their names. */
static void test_folder(void **state)
{
    (void)state;
    enum { FILES = 80, SIZE = 5 };
    char name[64], shape[64];
    int64_t first = 0;
    fcl_dataset *data;
    assert_int_equal(mkdir(scratch_path("many"), 0700), 0);
    for (int i = 0; i < FILES; i++) {
        int64_t count = trial_int(1, 9);
        snprintf(name, sizeof name, "many/%03d.npy", i);
        snprintf(shape, sizeof shape, "(%lld, %d)", (long long)count, SIZE);
        write_npy(name, i % 3 ? "<" : ">", "i4", shape, first * SIZE, count * SIZE, 987654321987);
        first += count;
    }
    for (int i = 0; i < 2; i++) {
        assert_ok(fcl_dataset_open(scratch_path("many"), i ? &from_disk : NULL, &data));
        assert_int_equal(data->count, first);
        hold_against(data, SIZE, 987654321987);
        fcl_dataset_destroy(&data);
    }
}

static void test_shrinks(void **state)
{
    (void)state;
    fcl_dataset *data;
    fcl_array *some;
    const char *path = write_npy("shrinks.npy", "<", "f4", "(100, 10)", 0, 1000, 77);
    assert_ok(fcl_dataset_open(path, &from_disk, &data));
    assert_int_equal(truncate(path, HEADER + 50 * 40 + 4), 0);
    assert_ok(fcl_dataset_take(data, 0, 50, &some));
    fcl_array_destroy(&some);
    assert_status(FCL_ERR_FILE, fcl_dataset_take(data, 40, 20, &some));
    assert_told(
        "shrinks.npy has become shorter since it was opened: it ends at byte 2132; leave the data as they are");
    fcl_dataset_destroy(&data);
}

/* --- the order --- */

static fcl_shuffle draw_shuffle(int64_t count)
{
    return (fcl_shuffle){.seed = (uint64_t)trial_int(0, 1 << 30),
                         .stream = FCL_STREAM_BATCH,
                         .count = count,
                         .block = trial_int(1, 40),
                         .window = trial_int(1, 8)};
}

/* Each epoch has each sample once, and a window's are of its blocks alone; whoever asks in another order gets
 * the same. */
static void test_order(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        const fcl_shuffle of = draw_shuffle(trial_int(1, 3000));
        int64_t from = of.count * trial_int(0, 5), *seen = calloc((size_t)of.count, sizeof *seen);
        for (int64_t i = of.count - 1; i >= 0; i--) {
            int64_t sample = fcl_shuffle_at(&of, from + i), end = fcl_shuffle_window_end(&of, from + i);
            assert_true(sample >= 0 && sample < of.count && !seen[sample]++);
            assert_true(end > from + i && end <= from + of.count && end - from - i <= of.block * of.window);
            bool among = false;
            int64_t slots = fcl_shuffle_slots(&of, from + i);
            assert_true(slots <= of.window + 2);
            for (int64_t slot = 0; slot < slots && !among; slot++)
                among = fcl_shuffle_block_at(&of, from + i, slot) == sample / of.block;
            assert_true(among);
        }
        free(seen);
    }
}

/* What the manual says is lost: of sorted data, the share of a class in a window of 32 blocks is off by
 * sqrt(p (1 - p)/32) in the mean square, where there are many blocks. Of 4000 windows the variance is known
 * to 2.2 %: six times that. */
static void test_loss(void **state)
{
    (void)state;
    enum { BLOCK = 4, WINDOW = 32, WINDOWS = 4000, BLOCKS = 100000 };
    const fcl_shuffle of = {.seed = (uint64_t)trial_int(0, 1 << 30),
                            .stream = 1,
                            .count = BLOCKS * BLOCK,
                            .block = BLOCK,
                            .window = WINDOW};
    double squares = 0, p = 0.1;
    int64_t epoch_windows = BLOCKS / WINDOW;
    for (int64_t w = 0; w < WINDOWS; w++) {
        int64_t first = w / epoch_windows * of.count + w % epoch_windows * BLOCK * WINDOW, hits = 0;
        for (int64_t i = 0; i < BLOCK * WINDOW; i++)
            hits += (double)fcl_shuffle_at(&of, first + i) < p * (double)of.count;
        squares += pow((double)hits / (BLOCK * WINDOW) - p, 2) / WINDOWS;
    }
    assert_true(fabs(squares / (p * (1 - p) / WINDOW) - 1) < 6 * 0.0224);
}

/* --- blocks ahead --- */

/* Samples by a random walk through windows, of all of a set or of some, with as few blocks in memory as can
 * be: those of the file. */
static void test_blocks(void **state)
{
    (void)state;
    enum { SIZE = 6 };
    for (int round = 0; round < 12; round++) {
        char shape[64];
        int64_t count = trial_int(50, 900), drawn = 0;
        int32_t *only = calloc((size_t)count, sizeof *only);
        for (int32_t i = 0; i < count; i++)
            if (round % 2 || trial_uniform() < 0.7)
                only[drawn++] = i;
        snprintf(shape, sizeof shape, "(%lld, %d)", (long long)count, SIZE);
        fcl_dataset *data;
        assert_ok(fcl_dataset_open(
            write_npy("ahead.npy", ">", "i2", shape, 0, count * SIZE, 31337 + (uint64_t)round), &from_disk,
            &data));
        const fcl_shuffle of = draw_shuffle(drawn);
        fcl_blocks *blocks;
        fcl_blocks_options options = {data, round % 2 ? NULL : only, drawn, of.block,
                                      round % 3 ? of.window + 2 : 1};
        assert_ok(fcl_blocks_create(&options, &blocks));
        for (int64_t position = 0; position < 2 * drawn; position += trial_int(1, 3)) {
            int64_t end = fcl_shuffle_window_end(&of, position), sample = fcl_shuffle_at(&of, position);
            for (int64_t slot = 0; slot < fcl_shuffle_slots(&of, end); slot++)
                fcl_blocks_expect(blocks, fcl_shuffle_block_at(&of, end, slot), position,
                                  fcl_shuffle_window_end(&of, end));
            float row[SIZE];
            assert_ok(fcl_blocks_take(blocks, sample, end, row));
            for (int k = 0; k < SIZE; k++)
                assert_true(row[k] == (float)number_at(only[sample] * SIZE + k, 31337 + (uint64_t)round));
        }
        fcl_blocks_destroy(&blocks);
        fcl_dataset_destroy(&data);
        free(only);
    }
}

/* As the rows of steps are taken, with the blocks of the next window ahead. */
static void walk(fcl_blocks *blocks, const fcl_shuffle *of, int64_t first, int64_t end)
{
    float row[1];
    for (int64_t position = first, window = first; position < end; position++) {
        int64_t until = fcl_shuffle_window_end(of, position);
        for (int ahead = 0; position == window && ahead < 2; ahead++) {
            int64_t at = ahead ? until : position;
            for (int64_t slot = 0; slot < fcl_shuffle_slots(of, at); slot++)
                fcl_blocks_expect(blocks, fcl_shuffle_block_at(of, at, slot), position, fcl_shuffle_window_end(of, at));
        }
        window = position == window ? until : window;
        assert_ok(fcl_blocks_take(blocks, fcl_shuffle_at(of, position), until, row));
        assert_true(row[0] == (float)number_at(fcl_shuffle_at(of, position), 4711));
    }
}

/* Where positions go back a window's blocks are read once, as ever: four may be on their way. */
static void test_back(void **state)
{
    (void)state;
    enum { BLOCK = 25, WINDOW = 4, ALL = 100, WINDOWS = 3, STRETCH = BLOCK * WINDOW };
    const fcl_shuffle of = {
        .seed = (uint64_t)trial_int(0, 1 << 30), .stream = 1, .count = ALL * BLOCK, .block = BLOCK, .window = WINDOW};
    fcl_dataset *data;
    fcl_blocks *blocks;
    int64_t read, far = trial_int(8, 20) * STRETCH, back = trial_int(0, 3) * STRETCH;
    assert_ok(fcl_dataset_open(write_npy("back.npy", "<", "i4", "(2500, 1)", 0, ALL * BLOCK, 4711), &from_disk, &data));
    const fcl_blocks_options options = {data, NULL, ALL * BLOCK, BLOCK, 2 * (WINDOW + 2)};
    assert_ok(fcl_blocks_create(&options, &blocks));
    walk(blocks, &of, far, far + STRETCH + trial_int(1, STRETCH));
    fcl_blocks_seconds(blocks, &read);
    walk(blocks, &of, back, back + WINDOWS * STRETCH);
    fcl_blocks_seconds(blocks, &read);
    assert_true(read <= (WINDOWS + 1) * (WINDOW + 2) + 4);
    fcl_blocks_destroy(&blocks);
    fcl_dataset_destroy(&data);
}

/* --- headers --- */

/* A header longer than what is read at first, and files that end within it. */
static void test_long_header(void **state)
{
    (void)state;
    enum { LONG = 20000, NUMBERS = 6 };
    static uint8_t file[LONG + NUMBERS * 4];
    float values[NUMBERS];
    memset(file, ' ', LONG);
    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = (LONG - 10) & 255;
    file[9] = (LONG - 10) >> 8;
    static const char shape[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
    memcpy(file + LONG - sizeof shape, shape, sizeof shape - 1); /* behind blanks, further than the first read */
    file[LONG - 1] = '\n';
    for (int i = 0; i < NUMBERS; i++)
        values[i] = (float)trial_normal();
    memcpy(file + LONG, values, sizeof values);
    fcl_dataset *data;
    fcl_array *all;
    assert_ok(fcl_dataset_open(scratch_write("long.npy", file, sizeof file), &from_disk, &data));
    assert_ok(fcl_dataset_take(data, 0, 3, &all));
    assert_memory_equal(all->data, values, sizeof values);
    fcl_array_destroy(&all);
    fcl_dataset_destroy(&data);
    size_t size = (size_t)trial_int(12, LONG - 1);
    assert_status(FCL_ERR_FORMAT, fcl_dataset_open(scratch_write("long.npy", file, size), &from_disk, &data));
    assert_told("long.npy is cut off after");
    assert_told("inside its header");
}

static bool ask_to_stop(void *data)
{
    (void)data;
    return true;
}

/* Who waits for many files to be opened can stop. */
static void test_opening_stops(void **state)
{
    (void)state;
    char *path[] = {(char *)scratch_path("any.npy")};
    fcl_dataset data = {0};
    fcl_stored *stored;
    const fcl_watch watch = {.stop = ask_to_stop};
    fcl_watch_set(&watch);
    int status = fcl_stored_open(1, path, &(fcl_dataset_options){0}, &data, &stored);
    fcl_watch_set(NULL);
    assert_status(FCL_ERR_STOPPED, status);
    assert_told("stopped while opening the data");
}

/* --- statistics --- */

static long double square(long double x)
{
    return x * x;
}

/* In long double; far off 0, where a sum of squares would lose all. Rounding of n additions, each of eps:
 * means to n eps of the largest number, deviations to n eps of the number by the deviation. */
static void test_statistics(void **state)
{
    (void)state;
    for (int round = 0; round < 6; round++) {
        int64_t count = trial_int(2, 4000), size = trial_int(1, 600);
        float *values = malloc((size_t)(count * size) * sizeof *values);
        for (int64_t i = 0; i < count * size; i++)
            values[i] = i % size == 0 ? 7.25f : (float)(1e5 + trial_normal());
        fcl_array array = {.data = values, .shape = FCL_SHAPE(count, size)};
        assert_ok(fcl_npy_write(scratch_path("any.npy"), &array));
        fcl_dataset *disk, *memory;
        assert_ok(fcl_dataset_open(scratch_path("any.npy"), &from_disk, &disk));
        assert_ok(fcl_dataset_open(scratch_path("any.npy"), NULL, &memory));
        fcl_survey a, b;
        assert_ok(fcl_survey_make(disk, &a));
        assert_ok(fcl_survey_make(memory, &b));
        assert_memory_equal(a.mean, b.mean, (size_t)size * sizeof *a.mean); /* wherever the set lies */
        assert_memory_equal(a.squares, b.squares, (size_t)size * sizeof *a.squares);
        assert_true(a.squares[0] == 0 && a.mean[0] == 7.25 && a.extent.least == b.extent.least &&
                    a.extent.most == b.extent.most);
        double *mean = malloc((size_t)size * sizeof *mean),
               *deviation = malloc((size_t)size * sizeof *deviation);
        fcl_survey_columns(&a, size, mean, deviation);
        double least = INFINITY, most = -INFINITY;
        long double all = 0, all_squares = 0;
        for (int64_t k = 0; k < size; k++) {
            long double sum = 0, squares = 0;
            for (int64_t i = 0; i < count; i++) {
                sum += (long double)values[i * size + k];
                least = fmin(least, (double)values[i * size + k]);
                most = fmax(most, (double)values[i * size + k]);
            }
            for (int64_t i = 0; i < count; i++)
                squares += square((long double)values[i * size + k] - sum / count);
            all += sum / ((long double)count * size);
            double bound = (double)count * 0x1p-52;
            assert_true(fabs(mean[k] - (double)(sum / count)) <= bound * 1e5);
            assert_true(fabs(deviation[k] - sqrt((double)(squares / count))) <= bound * 1e5 * 10);
        }
        for (int64_t i = 0; i < count * size; i++)
            all_squares += square((long double)values[i] - all);
        assert_true(a.extent.least == least && a.extent.most == most);
        fcl_survey_columns(&a, 1, mean, deviation);
        double together = (double)sqrtl(all_squares / ((long double)count * size)),
               bound = (double)(count + size) * 0x1p-52;
        assert_true(fabs(*mean - (double)all) <= bound * 1e5);
        assert_true(fabs(*deviation - together) <= bound * 1e5 * 10);
        free(mean);
        free(deviation);
        fcl_survey_free(&a);
        fcl_survey_free(&b);
        fcl_dataset_destroy(&disk);
        fcl_dataset_destroy(&memory);
        free(values);
    }
}

static int up(void **state)
{
    trial_seed();
    return scratch_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),   cmocka_unit_test(test_pictures),   cmocka_unit_test(test_folder),
        cmocka_unit_test(test_shrinks), cmocka_unit_test(test_order),      cmocka_unit_test(test_loss),
        cmocka_unit_test(test_blocks),  cmocka_unit_test(test_statistics), cmocka_unit_test(test_back),
        cmocka_unit_test(test_long_header), cmocka_unit_test(test_opening_stops),
    };
    return cmocka_run_group_tests(tests, up, scratch_teardown);
}
