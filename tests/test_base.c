/* Host arrays, files, random numbers, assignment, the nearest word. */
#include "base/error.h"

#include <flowcl/text.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"

#include "../cl/philox.h"
#include "base/assign.h"
#include "base/file.h"
#include "base/nearest.h"
#include "base/random.h"
#include "scratch.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define assert_says(part) assert_non_null(strstr(fcl_error(), part))

/* Arrays. */

static void array_is_zero_and_sizes_cannot_overflow(void **state)
{
    (void)state;
    fcl_array *array;
    assert_int_equal(fcl_array_create(FCL_SHAPE(2, 3), &array), FCL_OK);
    for (int i = 0; i < 6; i++)
        assert_true(array->data[i] == 0);
    fcl_array_destroy(&array);
    assert_null(array);
    fcl_array_destroy(&array);
    assert_int_equal(fcl_array_create(FCL_SHAPE(INT64_MAX / 2, 3), &array), FCL_ERR_SHAPE);
    assert_int_equal(fcl_array_create(FCL_SHAPE(0, INT64_MAX / 2, 3), &array), FCL_ERR_SHAPE);
    assert_int_equal(fcl_array_create(FCL_SHAPE(1 << 30, 0, 1 << 30, 8), &array), FCL_ERR_SHAPE); /* 2^63 */
    assert_int_equal(fcl_array_create(FCL_SHAPE(2, -1), &array), FCL_ERR_SHAPE);
    assert_says("(2, -1)");
    assert_null(array);
}

/* Files */

static void file_appears_only_when_committed(void **state)
{
    (void)state;
    const char *path = scratch_write("kept", "old", 3);
    fcl_file file;
    uint8_t *content;
    size_t size;
    assert_int_equal(fcl_file_create(path, &file), FCL_OK);
    fcl_file_write(&file, "newer", 5);
    fcl_file_abandon(&file);
    fcl_file_abandon(&file);
    assert_int_equal(fcl_file_create(path, &file), FCL_OK);
    fcl_file_write(&file, "new", 3);
    fcl_file_format(&file, "er %d", 1);
    assert_int_equal(fcl_file_read(path, &content, &size), FCL_OK);
    assert_memory_equal(content, "old", size);
    free(content);
    assert_int_equal(fcl_file_commit(&file), FCL_OK);
    assert_int_equal(fcl_file_read(path, &content, &size), FCL_OK);
    assert_int_equal(size, 7);
    assert_memory_equal(content, "newer 1", 7);
    free(content);
    assert_int_equal(scratch_count("kept"), 1); /* nothing is left beside it */
}

static void file_keeps_links_and_special_files(void **state)
{
    (void)state;
    const char *path = scratch_write("target", "old", 3), *link = scratch_path("link");
    assert_int_equal(symlink(path, link), 0);
    fcl_file file;
    assert_int_equal(fcl_file_create(link, &file), FCL_OK);
    fcl_file_write(&file, "fresh", 5);
    assert_int_equal(fcl_file_commit(&file), FCL_OK);
    struct stat info;
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, 5);
    assert_int_equal(fcl_file_create("/dev/null", &file), FCL_OK);
    fcl_file_write(&file, "gone", 4);
    assert_int_equal(fcl_file_commit(&file), FCL_OK);
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
}

static void replaced_file_keeps_its_mode_and_owner(void **state)
{
    (void)state;
    const char *path = scratch_write("modes", "old", 3);
    static const mode_t modes[] = {0600, 0640, 0664, 0444, 0755};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct stat before, after;
        assert_int_equal(chmod(path, modes[i]), 0);
        if (geteuid() == 0)
            assert_int_equal(chown(path, 4000 + (uid_t)i, 5000), 0);
        assert_int_equal(stat(path, &before), 0);
        assert_int_equal(fcl_file_replace(path, "newer", 5), FCL_OK);
        assert_int_equal(stat(path, &after), 0);
        assert_int_equal(after.st_size, 5);
        assert_int_equal(after.st_mode & 07777, modes[i]);
        assert_int_equal(after.st_uid, before.st_uid);
        assert_int_equal(after.st_gid, before.st_gid);
    }
    mode_t mask = umask(027); /* a new one has what the process gives */
    assert_int_equal(fcl_file_replace(scratch_path("masked"), "x", 1), FCL_OK);
    umask(mask);
    struct stat info;
    assert_int_equal(stat(scratch_path("masked"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
}

/* A chain of links to what is not there yet, relative ones from where they stand. */
static void links_to_nothing_stay(void **state)
{
    (void)state;
    struct stat info;
    char *chain = strdup(scratch_path("chain")), *below = strdup(scratch_path("below"));
    assert_int_equal(mkdir(below, 0777), 0);
    assert_int_equal(symlink("below/second", chain), 0);
    assert_int_equal(symlink("../reached", scratch_path("below/second")), 0);
    assert_int_equal(fcl_file_replace(chain, "new", 3), FCL_OK);
    assert_int_equal(lstat(chain, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(lstat(scratch_path("below/second"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(lstat(scratch_path("reached"), &info), 0);
    assert_true(S_ISREG(info.st_mode));
    assert_int_equal(symlink("round", scratch_path("round")), 0);
    assert_int_equal(fcl_file_replace(scratch_path("round"), "new", 3), FCL_ERR_FILE);
    assert_says("symbolic links");
    free(chain);
    free(below);
}

/* As /dev/stdout after `>> file`: what is there stays, what is written stands behind it. */
static void open_descriptor_is_written_to(void **state)
{
    (void)state;
    char name[64], link[600];
    uint8_t *content;
    size_t size;
    int descriptor = open(scratch_write("log", "first ", 6), O_WRONLY | O_APPEND);
    assert_true(descriptor >= 0);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, i ? "/dev/fd/%d" : "/proc/self/fd/%d", descriptor);
        snprintf(link, sizeof link, "%s%d", scratch_path("to-log"), i);
        assert_int_equal(symlink(name, link), 0);
        assert_int_equal(fcl_file_check_place(link), FCL_OK);
        assert_int_equal(fcl_file_replace(link, i ? "third " : "second ", i ? 6 : 7), FCL_OK);
    }
    assert_int_equal(fcl_file_read(scratch_path("log"), &content, &size), FCL_OK);
    assert_int_equal(size, 19);
    assert_memory_equal(content, "first second third ", 19);
    free(content);
    close(descriptor);
}

static void names_of_files_aside_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t length;
    } rows[] = {{"a.npy.12-0.part", 5}, {"x.1-2.3-4.part", 5}, {"a.12-0.par", 0}, {"a.12-.part", 0}, {"a.-0.part", 0},
                {".12-0.part", 0},      {"12-0.part", 0},      {"a12-0.part", 0}, {".part", 0},      {"", 0},
                {"a.1-0part", 0},       {"notes.part", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(fcl_file_aside_of(rows[i].name), rows[i].length);
    fcl_file file;
    assert_int_equal(fcl_file_create(scratch_path("whole"), &file), FCL_OK);
    assert_int_equal(fcl_file_aside_of(file.aside), strlen(scratch_path("whole")));
    fcl_file_abandon(&file);
}

static void file_says_why_it_cannot(void **state)
{
    (void)state;
    fcl_file file;
    uint8_t *content;
    size_t size;
    assert_int_equal(fcl_file_create(scratch_path("no/such/file"), &file), FCL_ERR_FILE);
    assert_says("/no/such does not exist");
    assert_int_equal(fcl_file_create(scratch_path(""), &file), FCL_ERR_FILE);
    assert_says("is a folder");
    assert_int_equal(fcl_file_create("", &file), FCL_ERR_ARGUMENT);
    assert_int_equal(fcl_file_create("/dev/full", &file), FCL_OK);
    fcl_file_format(&file, "%d", 1);
    assert_int_equal(fcl_file_commit(&file), FCL_ERR_FILE);
    assert_says("cannot write /dev/full: No space left on device");
    assert_int_equal(fcl_file_read(scratch_path("missing"), &content, &size), FCL_ERR_FILE);
    assert_says("No such file");
    assert_int_equal(fcl_file_read(scratch_path(""), &content, &size), FCL_ERR_FILE);
    assert_says("folder");
    assert_int_equal(mkfifo(scratch_path("pipe"), 0600), 0);
    assert_int_equal(fcl_file_check(scratch_path("pipe")), FCL_ERR_FILE); /* and does not wait for a writer */
}

/* Random numbers */

static void philox_gives_the_published_words(void **state)
{
    (void)state;
    /* Random123's known answers: counter 4, key 2, result 4 words */
    static const uint32_t known[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb,
         0x5001e420, 0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        const uint32_t *k = known[i];
        philox_block block = philox(k[0], k[1], k[2], k[3], k[4], k[5]);
        assert_memory_equal(block.word, k + 6, sizeof block.word);
    }
}

static void random_numbers_are_counted(void **state)
{
    (void)state;
    fcl_random key = {0x123456789abcdef0, 7, 3};
    uint64_t element = ((uint64_t)5 << 34) + 6; /* block 5 * 2^32 + 1, word 2 */
    philox_block block = philox(1, 5, 3, 7, 0x9abcdef0, 0x12345678);
    assert_true(fcl_random_uniform(key, element) == (double)philox_uniform(block.word[2]));
    double u = philox_uniform(block.word[2]), v = philox_uniform(block.word[3]);
    double radius = sqrt(-2 * log(u)), angle = 2 * acos(-1) * v;
    assert_true(fabs(fcl_random_normal(key, element) - radius * cos(angle)) < 1e-12);
    assert_true(fabs(fcl_random_normal(key, element + 1) - radius * sin(angle)) < 1e-12);
    double uniform[4], normal[4];
    fcl_random_uniform4(key, element - 2, uniform);
    fcl_random_normal4(key, element - 2, normal);
    for (int i = 0; i < 4; i++) {
        assert_true(uniform[i] == fcl_random_uniform(key, element - 2 + (uint64_t)i));
        assert_true(normal[i] == fcl_random_normal(key, element - 2 + (uint64_t)i));
    }
}

static void normals_have_the_moments_of_normals(void **state)
{
    (void)state;
    enum { N = 200000 };
    double sum[5] = {0}, neighbours = 0, before = 0;
    for (uint64_t i = 0; i < N; i++) {
        double z = fcl_random_normal((fcl_random){42, 0, 0}, i), power = 1;
        for (int k = 1; k <= 4; k++)
            sum[k] += power *= z;
        neighbours += z * before;
        before = z;
    }
    double sigma = 1 / sqrt(N);
    assert_true(fabs(sum[1] / N) < 5 * sigma);
    assert_true(fabs(sum[2] / N - 1) < 5 * sqrt(2) * sigma);
    assert_true(fabs(sum[3] / N) < 5 * sqrt(15) * sigma);
    assert_true(fabs(sum[4] / N - 3) < 5 * sqrt(96) * sigma);
    assert_true(fabs(neighbours / N) < 5 * sigma);
}

/* Assignment against all permutations */

static double best_by_trial(int n, const float *cost, int row, unsigned taken)
{
    double best = row == n ? 0 : INFINITY;
    for (int j = 0; row < n && j < n; j++) {
        if (!(taken >> j & 1))
            best = fmin(best, cost[row * n + j] + best_by_trial(n, cost, row + 1, taken | 1u << j));
    }
    return best;
}

static void assignment_is_the_best_of_all_permutations(void **state)
{
    (void)state;
    fcl_random key = {9, 9, 0};
    for (int trial = 0; trial < 400; trial++) {
        int n = 1 + trial % 7, column[7];
        float cost[49];
        double total = 0;
        for (int k = 0; k < n * n; k++) {
            double u = fcl_random_uniform(key, (uint64_t)(trial * 49 + k));
            cost[k] = (float)(trial % 3 == 0   ? floor(4 * u)
                              : trial % 3 == 1 ? u - 0.5
                                               : 1e6 * u); /* ties, signs, sizes */
        }
        assert_int_equal(fcl_assignment_solve(n, cost, column), FCL_OK);
        unsigned taken = 0;
        for (int i = 0; i < n; i++) {
            total += cost[i * n + column[i]];
            taken |= 1u << column[i];
        }
        assert_int_equal(taken, (1u << n) - 1);
        double best = best_by_trial(n, cost, 0, 0);
        assert_true(fabs(total - best) <= 1e-9 * (1 + fabs(best)));
    }
}

/* Whether no cyclic change of columns would lower the sum: Bellman and Ford's distances settle then, and
 * certify the assignment as a dual solution does. */
static bool no_cycle_is_cheaper(int n, const float *cost, const int *column, double tolerance)
{
    double *distance = calloc((size_t)n, sizeof *distance); /* of a column, from any */
    bool changed = true;
    for (int round = 0; round <= n && changed; round++) {
        changed = false;
        for (int i = 0; i < n; i++) {
            double base = distance[column[i]] - cost[i * n + column[i]];
            for (int j = 0; j < n; j++)
                if (base + cost[i * n + j] < distance[j] - tolerance) {
                    distance[j] = base + cost[i * n + j];
                    changed = true;
                }
        }
    }
    free(distance);
    return !changed;
}

enum { POINTS = 203 };

/* Points on a plane: a normal cloud, tight clusters, or few distinct places. */
static void draw_points(int kind, uint64_t seed, double point[POINTS][2])
{
    fcl_random key = {seed, (uint32_t)kind, 0};
    for (int i = 0; i < POINTS; i++)
        for (int k = 0; k < 2; k++) {
            double x = fcl_random_normal(key, (uint64_t)(2 * i + k));
            point[i][k] = kind == 0 ? x : kind == 1 ? 5 * (k ? i % 3 : i % 2) + 0.01 * x : floor(x);
        }
}

static void assignment_of_many_points_is_certified(void **state)
{
    (void)state;
    static double x[POINTS][2], y[POINTS][2];
    static float cost[POINTS * POINTS];
    int column[POINTS], taken[POINTS];
    for (int kinds = 0; kinds < 9; kinds++) {
        draw_points(kinds / 3, 1, x);
        draw_points(kinds % 3, 2, y);
        for (int i = 0; i < POINTS; i++)
            for (int j = 0; j < POINTS; j++)
                cost[i * POINTS + j] = (float)(pow(x[i][0] - y[j][0], 2) + pow(x[i][1] - y[j][1], 2));
        assert_int_equal(fcl_assignment_solve(POINTS, cost, column), FCL_OK);
        memset(taken, 0, sizeof taken);
        for (int i = 0; i < POINTS; i++)
            assert_int_equal(taken[column[i]]++, 0);
        assert_true(no_cycle_is_cheaper(POINTS, cost, column, 1e-10));
    }
}

static void assignment_refuses_costs_that_are_no_numbers(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    for (int k = 0; k < 4; k++) {
        float cost[9] = {0};
        int column[3];
        cost[5] = bad[k];
        assert_int_equal(fcl_assignment_solve(3, cost, column), FCL_ERR_NUMERIC);
        assert_non_null(strstr(fcl_error(), "row 1 with column 2"));
    }
}

static void nearest_word_is_what_was_meant(void **state)
{
    (void)state;
    static const char *const words[] = {"moons",         "8gaussians", "checkerboard",
                                        "fashion-mnist", "lr",         "steps"};
    static const char *const pairs[][2] = {{"mons", "moons"},
                                           {"Moons", "moons"},
                                           {"omons", "moons"},
                                           {"8gaussian", "8gaussians"},
                                           {"fashion", "fashion-mnist"},
                                           {"rl", "lr"},
                                           {"stpes", "steps"},
                                           {"checkrebord", "checkerboard"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_string_equal(fcl_nearest(pairs[i][0], words, 6), pairs[i][1]);
    assert_null(fcl_nearest("zebra", words, 6));
    assert_null(fcl_nearest("moons", words, 0));
    char endless[500];
    memset(endless, 'm', sizeof endless);
    endless[499] = 0;
    assert_null(fcl_nearest(endless, words, 6));
}

static void text_is_made_plain(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"moons.csv, 5 %", "moons.csv, 5 %"},
        {"\xc3\xa9t\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9t\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"a\nb\tc\r\033[2J\177", "a\\nb\\tc\\r\\x1b[2J\\x7f"},
        {"\xc2\x9b" "1m", "\\u009b1m"},                     /* C1 */
        {"x\xe2\x80\xaey\xe2\x80\xa8", "x\\u202ey\\u2028"}, /* writes backwards; a separator of lines */
        {"\xff\xfe", "\\xff\\xfe"},
        {"\xc0\xaf\xe0\x80\x80", "\\xc0\\xaf\\xe0\\x80\\x80"}, /* too long for what they say */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                  /* half of a pair */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},          /* past the last */
        {"\xe2\x82", "\\xe2\\x82"},                            /* cut off */
        {"\x9b", "\\x9b"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *plain = fcl_plain(cases[i][0]), *again = fcl_plain(plain);
        assert_string_equal(plain, cases[i][1]);
        assert_string_equal(again, plain);
        fcl_free(plain);
        fcl_free(again);
    }
    assert_int_equal(fcl_fail(FCL_ERR_FILE, "cannot read %s", "\033\n"), FCL_ERR_FILE);
    assert_string_equal(fcl_error(), "cannot read \\x1b\\n");
    fcl_fail(FCL_ERR_BUILD, "log:\n%s", "\033[1m1 error\n");
    assert_string_equal(fcl_error(), "log:\n\\x1b[1m1 error\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_made_plain),
        cmocka_unit_test(array_is_zero_and_sizes_cannot_overflow),
        cmocka_unit_test(file_appears_only_when_committed),
        cmocka_unit_test(file_keeps_links_and_special_files),
        cmocka_unit_test(replaced_file_keeps_its_mode_and_owner),
        cmocka_unit_test(links_to_nothing_stay),
        cmocka_unit_test(open_descriptor_is_written_to),
        cmocka_unit_test(names_of_files_aside_are_known),
        cmocka_unit_test(file_says_why_it_cannot),
        cmocka_unit_test(philox_gives_the_published_words),
        cmocka_unit_test(random_numbers_are_counted),
        cmocka_unit_test(normals_have_the_moments_of_normals),
        cmocka_unit_test(assignment_is_the_best_of_all_permutations),
        cmocka_unit_test(assignment_of_many_points_is_certified),
        cmocka_unit_test(assignment_refuses_costs_that_are_no_numbers),
        cmocka_unit_test(nearest_word_is_what_was_meant),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
