/* Sample files, pictures and W2. Pictures are read back by libpng's simplified interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"

#include <flowcl/data.h>
#include <flowcl/eval.h>
#include "base/file.h"
#include "base/random.h"
#include "drawn.h"
#include "scratch.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define assert_says(part) assert_non_null(strstr(fcl_error(), part))

static fcl_array *normal_array(fcl_shape shape, uint64_t seed)
{
    fcl_array *array;
    assert_int_equal(fcl_array_create(shape, &array), FCL_OK);
    for (int64_t i = 0; i < fcl_shape_size(shape); i++)
        array->data[i] = (float)fcl_random_normal((fcl_random){seed, 1, 0}, (uint64_t)i);
    return array;
}

static const uint8_t *pixel(const picture *p, int x, int y)
{
    return p->rgb + 3 * (y * p->width + x);
}

/* Sample files are read back by the data layer. */
static void samples_go_to_the_format_of_the_ending(void **state)
{
    (void)state;
    static const char *const names[] = {"s.npy", "s.NPZ", "s.csv"};
    fcl_array *samples = normal_array(FCL_SHAPE(17, 3), 1);
    for (int i = 0; i < 3; i++) {
        const char *path = scratch_path(names[i]);
        fcl_dataset *again;
        assert_int_equal(fcl_samples_check_path(path), FCL_OK);
        assert_int_equal(fcl_samples_write(path, samples, NULL), FCL_OK);
        assert_int_equal(fcl_dataset_open(path, NULL, &again), FCL_OK);
        assert_int_equal(again->count, 17);
        assert_memory_equal(again->values, samples->data, 51 * sizeof(float));
        fcl_dataset_destroy(&again);
    }
    assert_int_equal(fcl_samples_write(scratch_path("s.jpeg"), samples, NULL), FCL_ERR_ARGUMENT);
    assert_says(".npy, .npz, .csv or .png");
    assert_int_equal(fcl_samples_check_path(".png"), FCL_ERR_ARGUMENT);
    assert_int_equal(fcl_samples_write(scratch_path("no/s.png"), samples, NULL), FCL_ERR_FILE);
    assert_says("does not exist");
    fcl_array_destroy(&samples);
    samples = normal_array(FCL_SHAPE(0, 2), 1);
    assert_int_equal(fcl_samples_write(scratch_path("s.npy"), samples, NULL), FCL_ERR_SHAPE);
    fcl_array_destroy(&samples);
}

static void assert_holds(const char *path, int64_t count, int width, const float *values)
{
    fcl_dataset *again;
    assert_int_equal(fcl_dataset_open(path, NULL, &again), FCL_OK);
    assert_int_equal(again->count, count);
    assert_int_equal(fcl_shape_size(again->shape), width);
    assert_memory_equal(again->values, values, (size_t)(count * width) * sizeof(float));
    fcl_dataset_destroy(&again);
}

static void columns_go_beside_samples_or_alone(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4, 5, 6}, p[] = {-1, -2, -3}, w[] = {7, 8, 9};
    const float joined[] = {1, 2, -1, 7, 3, 4, -2, 8, 5, 6, -3, 9}, both[] = {-1, 7, -2, 8, -3, 9};
    const fcl_column columns[] = {{"logp", p}, {"logw", w}};
    fcl_array samples = {.shape = FCL_SHAPE(3, 2), .data = (float *)x};
    assert_int_equal(fcl_columns_write(scratch_path("c.csv"), 3, &samples, 2, columns), FCL_OK);
    assert_holds(scratch_path("c.csv"), 3, 4, joined);
    assert_int_equal(fcl_columns_write(scratch_path("c.npz"), 3, &samples, 2, columns), FCL_OK);
    assert_holds(scratch_path("c.npz"), 3, 2, x);
    assert_int_equal(fcl_columns_write(scratch_path("c.npy"), 3, &samples, 2, columns), FCL_OK);
    assert_holds(scratch_path("c.npy"), 3, 2, x);
    assert_holds(scratch_path("c.logp.npy"), 3, 1, p);
    assert_holds(scratch_path("c.logw.npy"), 3, 1, w);
    char *beside = fcl_columns_path("a.b/c.png", "logp");
    assert_string_equal(beside, "a.b/c.logp.npy");
    fcl_free(beside);

    assert_int_equal(fcl_columns_write(scratch_path("d.npy"), 3, NULL, 2, columns), FCL_OK);
    assert_holds(scratch_path("d.npy"), 3, 2, both);
    assert_int_equal(fcl_columns_write(scratch_path("d.csv"), 3, NULL, 1, columns), FCL_OK);
    assert_holds(scratch_path("d.csv"), 3, 1, p);
    assert_int_equal(fcl_columns_write(scratch_path("d.png"), 3, NULL, 1, columns), FCL_ERR_ARGUMENT);
    assert_int_equal(fcl_columns_write(scratch_path("d.csv"), 4, &samples, 1, columns), FCL_ERR_SHAPE);
}

/* Five pictures of 3 by 2 pixels: 3 columns, 2 rows, enlarged 8 times, 2 pixels of white between them. */
static void grids_enlarge_pictures_between_white_lines(void **state)
{
    (void)state;
    static const float values[] = {-1, 1, 0, -0.5f, 0.5f, 7};
    static const uint8_t bytes[] = {0, 255, 128, 64, 191, 255};
    fcl_array *samples = normal_array(FCL_SHAPE(5, 1, 2, 3), 1);
    for (int i = 0; i < 30; i++)
        samples->data[i] = values[(i + i / 6) % 6];
    const char *path = scratch_path("grid.png");
    assert_int_equal(fcl_samples_write(path, samples, NULL), FCL_OK);
    picture p = read_picture(path);
    assert_int_equal(p.width, 3 * (3 * 8 + 2) + 2);
    assert_int_equal(p.height, 2 * (2 * 8 + 2) + 2);
    for (int i = 0; i < 30; i++) {
        int left = 2 + i / 6 % 3 * 26 + i % 3 * 8, top = 2 + i / 18 * 18 + i % 6 / 3 * 8;
        uint8_t expected = bytes[(i + i / 6) % 6];
        assert_true(abs(*pixel(&p, left, top) - expected) <= 1);
        assert_int_equal(*pixel(&p, left, top), *pixel(&p, left + 7, top + 7));
    }
    for (int x = 0; x < p.width; x++)
        assert_int_equal(*pixel(&p, x, 19), 255);                 /* between the rows */
    assert_int_equal(*pixel(&p, p.width - 5, p.height - 5), 255); /* the place of a sixth picture */
    free(p.rgb);
    fcl_array_destroy(&samples);
}

static void grids_have_colors(void **state)
{
    (void)state;
    fcl_array *samples = normal_array(FCL_SHAPE(1, 3, 1, 1), 1);
    samples->data[0] = 1;
    samples->data[1] = -1;
    samples->data[2] = NAN;
    assert_int_equal(fcl_samples_write(scratch_path("color.png"), samples, NULL), FCL_OK);
    picture p = read_picture(scratch_path("color.png"));
    assert_memory_equal(pixel(&p, p.width / 2, p.height / 2), "\xff\0\0", 3);
    free(p.rgb);
    fcl_array_destroy(&samples);
}

static bool is_blue(const uint8_t *rgb)
{
    return rgb[2] > rgb[0] + 60;
}

/* The corners of a square are drawn in blue at equal distances both ways, and nothing lies between them. */
static void scatter_has_equal_axes_and_the_points_in_place(void **state)
{
    (void)state;
    fcl_array *samples = normal_array(FCL_SHAPE(4, 2), 1);
    memcpy(samples->data, (float[]){-1, -1, 1, -1, -1, 1, 1, 1}, 8 * sizeof(float));
    assert_int_equal(
        fcl_samples_write(scratch_path("s.png"), samples, &(fcl_picture_options){.title = "four"}), FCL_OK);
    picture p = read_picture(scratch_path("s.png"));
    int low_x = p.width, high_x = 0, low_y = p.height, high_y = 0, blue = 0;
    for (int y = 0; y < p.height; y++) {
        for (int x = 0; x < p.width; x++) {
            if (!is_blue(pixel(&p, x, y)))
                continue;
            blue++;
            low_x = x < low_x ? x : low_x;
            high_x = x > high_x ? x : high_x;
            low_y = y < low_y ? y : low_y;
            high_y = y > high_y ? y : high_y;
        }
    }
    assert_in_range(blue, 4 * 20, 4 * 80);
    assert_true(abs((high_x - low_x) - (high_y - low_y)) <= 2);
    assert_true(high_x - low_x > p.width / 2);
    free(p.rgb);
    fcl_array_destroy(&samples);
}

static void scatter_survives_bad_points(void **state)
{
    (void)state;
    fcl_array *samples = normal_array(FCL_SHAPE(2000, 3), 1), *one = normal_array(FCL_SHAPE(1, 2), 1);
    samples->data[0] = NAN;
    samples->data[4] = INFINITY;
    samples->data[6] = 3e38f; /* one of two thousand does not set the frame */
    samples->data[9] = -3e38f;
    assert_int_equal(fcl_samples_write(scratch_path("bad.png"), samples, NULL), FCL_OK);
    picture p = read_picture(scratch_path("bad.png"));
    int blue = 0;
    for (int i = 0; i < p.width * p.height; i++)
        blue += is_blue(p.rgb + 3 * i);
    assert_true(blue > 5000);
    free(p.rgb);
    assert_int_equal(
        fcl_samples_write(scratch_path("one.png"), one, &(fcl_picture_options){.reference = samples}),
        FCL_OK);
    one->data[0] = NAN;
    assert_int_equal(fcl_samples_write(scratch_path("none.png"), one, NULL), FCL_ERR_NUMERIC);
    assert_int_equal(scratch_count("none.png"), 0);
    fcl_array_destroy(&samples);
    fcl_array_destroy(&one);
}

static void what_can_be_drawn_is_known_from_the_shape(void **state)
{
    (void)state;
    static const struct {
        fcl_shape sample;
        int status;
    } cases[] = {{FCL_SHAPE(2), FCL_OK},        {FCL_SHAPE(7), FCL_OK},
                 {FCL_SHAPE(4, 5), FCL_OK},     {FCL_SHAPE(1, 4, 5), FCL_OK},
                 {FCL_SHAPE(3, 4, 5), FCL_OK},  {FCL_SHAPE(1), FCL_ERR_SHAPE},
                 {FCL_SHAPE(2, 4, 5), FCL_ERR_SHAPE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(fcl_samples_check_shape(scratch_path("s.png"), cases[i].sample), cases[i].status);
        assert_int_equal(fcl_samples_check_shape(scratch_path("s.csv"), cases[i].sample), FCL_OK);
    }
    assert_int_equal(fcl_samples_check_shape(scratch_path("s.jpeg"), FCL_SHAPE(2)), FCL_ERR_ARGUMENT);
    assert_true(fcl_samples_are_pictures(FCL_SHAPE(4, 5)) && fcl_samples_are_pictures(FCL_SHAPE(3, 4, 5)));
    assert_false(fcl_samples_are_pictures(FCL_SHAPE(7)) || fcl_samples_are_pictures(FCL_SHAPE(2, 4, 5)));
}

static void what_cannot_be_drawn_is_said(void **state)
{
    (void)state;
    static const struct {
        fcl_shape shape;
        int status;
    } cases[] = {{FCL_SHAPE(3, 1), FCL_ERR_SHAPE},
                 {FCL_SHAPE(3), FCL_ERR_SHAPE},
                 {FCL_SHAPE(3, 2, 4, 4), FCL_ERR_SHAPE},
                 {FCL_SHAPE(1, 1, 1, 100000), FCL_ERR_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fcl_array *samples = normal_array(cases[i].shape, 1);
        assert_int_equal(fcl_samples_write(scratch_path("odd.png"), samples, NULL), cases[i].status);
        assert_says("cannot draw");
        fcl_array_destroy(&samples);
    }
    assert_int_equal(scratch_count("odd.png"), 0);
}

/* A disk of 64 kB, in a mount namespace of this process alone; false where that is not permitted. */
static bool mount_small_disk(const char *folder)
{
    int flags = CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
    return mkdir(folder, 0777) == 0 && unshare(flags) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", folder, "tmpfs", 0, "size=64k") == 0;
}

static void assert_full_disk_keeps_the_old_file(const char *path, const fcl_array *small,
                                                const fcl_array *large)
{
    uint8_t *before, *after;
    size_t size, size_after;
    assert_int_equal(fcl_samples_write(path, small, NULL), FCL_OK);
    assert_int_equal(fcl_file_read(path, &before, &size), FCL_OK);
    assert_int_equal(fcl_samples_write(path, large, NULL), FCL_ERR_FILE);
    assert_says("cannot write");
    assert_says(path);
    assert_says("No space left on device");
    assert_int_equal(fcl_file_read(path, &after, &size_after), FCL_OK);
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
    assert_int_equal(unlink(path), 0);
}

static void a_full_disk_loses_nothing(void **state)
{
    (void)state;
    const char *folder = scratch_path("disk");
    if (!mount_small_disk(folder)) {
        rmdir(folder);
        skip();
    }
    fcl_array *small = normal_array(FCL_SHAPE(2, 1, 5, 5), 1),
              *large = normal_array(FCL_SHAPE(900, 1, 10, 10), 1);
    for (int i = 0; i < 4; i++) {
        static const char *const endings[] = {".npy", ".npz", ".csv", ".png"};
        char path[600];
        snprintf(path, sizeof path, "%s/samples%s", folder, endings[i]);
        assert_full_disk_keeps_the_old_file(path, small, large);
    }
    fcl_array_destroy(&small);
    fcl_array_destroy(&large);
    assert_int_equal(umount(folder), 0);
    assert_int_equal(rmdir(folder),
                     0); /* nothing else was left there either, or the disk would have been full */
}

/* W2 */

static int compare(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

static void w2_on_a_line_is_between_sorted_points(void **state)
{
    (void)state;
    enum { N = 500 };
    fcl_array *a = normal_array(FCL_SHAPE(N), 1), *b = normal_array(FCL_SHAPE(N), 2);
    for (int i = 0; i < N; i++)
        b->data[i] = 3 * b->data[i] + 1;
    double distance, expected = 0;
    assert_int_equal(fcl_w2_squared(a, b, &distance), FCL_OK);
    qsort(a->data, N, sizeof(float), compare);
    qsort(b->data, N, sizeof(float), compare);
    for (int i = 0; i < N; i++)
        expected += ((double)a->data[i] - b->data[i]) * ((double)a->data[i] - b->data[i]) / N;
    assert_true(fabs(distance - expected) < 1e-9 * expected);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
}

/* Points moved by one vector, in another order: the distance is the vector's, whatever the points are. */
static void w2_of_a_translation_is_its_length(void **state)
{
    (void)state;
    enum { N = 300 };
    fcl_array *a = normal_array(FCL_SHAPE(N, 2), 1), *b = normal_array(FCL_SHAPE(N, 2), 1);
    for (int i = 0; i < N; i++) {
        int from = (i * 7 + 5) % N;
        b->data[2 * i] = a->data[2 * from] + 3;
        b->data[2 * i + 1] = a->data[2 * from + 1] - 4;
    }
    double distance;
    assert_int_equal(fcl_w2_squared(a, b, &distance), FCL_OK);
    assert_true(fabs(distance - 25) < 1e-4);
    assert_int_equal(fcl_w2_squared(a, a, &distance), FCL_OK);
    assert_true(distance == 0);
    b->data[5] = NAN;
    assert_int_equal(fcl_w2_squared(a, b, &distance), FCL_ERR_NUMERIC);
    fcl_array_destroy(&b);
    b = normal_array(FCL_SHAPE(N, 3), 1);
    assert_int_equal(fcl_w2_squared(a, b, &distance), FCL_ERR_SHAPE);
    assert_says("(300, 2) and (300, 3)");
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
}

/* Two draws of 2000 moons are 0.003 apart (squared). */
static void w2_of_two_moons_is_small(void **state)
{
    (void)state;
    fcl_array *draws[2];
    for (int i = 0; i < 2; i++) {
        fcl_dataset *moons;
        fcl_dataset_options options = {.count = 2000, .seed = (uint64_t)i + 1};
        assert_int_equal(fcl_dataset_open("moons", &options, &moons), FCL_OK);
        assert_int_equal(fcl_dataset_take(moons, 0, 2000, &draws[i]), FCL_OK);
        fcl_dataset_destroy(&moons);
    }
    double distance;
    assert_int_equal(fcl_w2_squared(draws[0], draws[1], &distance), FCL_OK);
    assert_true(distance > 0.002 && distance < 0.005);
    fcl_array_destroy(&draws[0]);
    fcl_array_destroy(&draws[1]);
}

typedef bool color_test(const uint8_t *rgb);

static bool is_deep_grey(const uint8_t *rgb)
{
    return rgb[0] > 80 && rgb[0] < 190 && abs(rgb[0] - rgb[1]) < 20 && rgb[2] - rgb[0] < 40;
}

static bool is_yellow(const uint8_t *rgb)
{
    return rgb[0] > 200 && rgb[1] > 130 && rgb[2] < 150;
}

static int count_color(const picture *p, int left, int right, color_test *is_color)
{
    int count = 0;
    for (int y = 60; y < p->height - 50; y++)
        for (int x = left; x < right; x++)
            count += is_color(pixel(p, x, y));
    return count;
}

/* Three panels: data, samples, ways from orange begins to blue ends. Of any number of coordinates. */
static void flow_pictures_show_data_samples_and_paths(void **state)
{
    (void)state;
    for (int size = 1; size <= 7; size += size < 2 ? 1 : 5) {
        fcl_array *data = normal_array(FCL_SHAPE(200, size), 1), *samples = normal_array(FCL_SHAPE(90, size), 2);
        fcl_array *paths = normal_array(FCL_SHAPE(5, 30, size), 3);
        fcl_flow_picture flow = {data, samples, NULL};
        const char *path = scratch_path("flow.png");
        assert_int_equal(fcl_flow_picture_write(path, &flow), FCL_OK);
        picture two = read_picture(path);
        flow.paths = paths;
        assert_int_equal(fcl_flow_picture_write(path, &flow), FCL_OK);
        picture three = read_picture(path);
        int panel = two.width / 2;
        assert_int_equal(three.width, 3 * panel);
        assert_true(count_color(&three, 60, panel - 20, is_deep_grey) > 500);
        assert_int_equal(count_color(&three, 60, panel - 20, is_blue), 0);
        assert_true(count_color(&three, panel + 60, 2 * panel - 20, is_blue) > 500);
        assert_true(count_color(&three, 2 * panel + 60, 3 * panel - 20, is_blue) > 100);
        assert_true(count_color(&three, 2 * panel + 60, 3 * panel - 20, is_yellow) > 100);
        free(two.rgb);
        free(three.rgb);
        paths->shape = FCL_SHAPE(10, 15 * size);
        assert_int_equal(fcl_flow_picture_write(path, &flow), size == 1 ? FCL_OK : FCL_ERR_SHAPE);
        samples->shape = FCL_SHAPE(90 * size, 1, 1, 1);
        assert_int_equal(fcl_flow_picture_write(path, &flow), FCL_ERR_SHAPE);
        assert_says("not of one shape");
        fcl_array_destroy(&data);
        fcl_array_destroy(&samples);
        fcl_array_destroy(&paths);
    }
}

/* A sample that is data with a little noise has that data beside it, two pictures and a gap further right. */
static void flow_pictures_of_pictures_show_the_nearest(void **state)
{
    (void)state;
    fcl_array *data = normal_array(FCL_SHAPE(20, 1, 4, 4), 1), *samples = normal_array(FCL_SHAPE(3, 1, 4, 4), 2);
    for (int i = 0; i < 48; i++) /* samples 0, 1, 2 are data 19, 7, 4 */
        samples->data[i] = data->data[16 * (int[]){19, 7, 4}[i / 16] + i % 16] + 0.01f * samples->data[i];
    const char *path = scratch_path("nearest.png");
    assert_int_equal(fcl_flow_picture_write(path, &(fcl_flow_picture){data, samples, NULL}), FCL_OK);
    picture p = read_picture(path);
    int scale = 8, step = 4 * scale + 2; /* 5 columns: 2 samples, a gap, 2 of the data */
    assert_int_equal(p.width, 5 * step + 2);
    assert_int_equal(p.height, 2 * step + 2);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 16; k++) {
            int x = 2 + i % 2 * step + k % 4 * scale, y = 2 + i / 2 * step + k / 4 * scale;
            float value = fmaxf(-1, fminf(1, data->data[16 * (int[]){19, 7, 4}[i] + k]));
            assert_true(abs(*pixel(&p, x + 3 * step, y) - (int)lrintf((value + 1) * 127.5f)) <= 1);
            assert_true(abs(*pixel(&p, x, y) - *pixel(&p, x + 3 * step, y)) <= 8);
        }
    }
    assert_int_equal(*pixel(&p, 2 + 2 * step + 5, 10), 255);
    free(p.rgb);
    fcl_array_destroy(&data);
    fcl_array_destroy(&samples);
}

/* Columns of a color in the row of pixels `y`, from `left` on. */
static int color_run(const picture *p, int left, int y, bool (*is_color)(const uint8_t *rgb))
{
    int count = 0;
    for (int x = left; x < p->width; x++)
        count += is_color(pixel(p, x, y));
    return count;
}

static bool is_orange(const uint8_t *rgb)
{
    return rgb[0] > 200 && rgb[1] > 120 && rgb[1] < 190 && rgb[2] < 60;
}

/* Two bars of one panel: their widths are as their values, and a missing one has no width. */
static void bar_charts_have_bars_as_long_as_their_values(void **state)
{
    (void)state;
    static const char *const names[] = {"one", "other"};
    const fcl_bar both[] = {{4, NAN, NAN}, {1, 1, 1}}, alone[] = {{NAN, NAN, NAN}, {3, 3, 3}};
    const fcl_bar_panel panels[] = {{"both", both}, {"alone", alone}};
    fcl_bar_chart chart = {.title = "bars", .bar_count = 2, .panel_count = 2, .bar = names, .panel = panels};
    const char *path = scratch_path("bars.png");
    int status = fcl_bar_chart_write(path, &chart);
    if (status == FCL_ERR_UNSUPPORTED) {
        assert_says("built without charts");
        skip();
    }
    assert_int_equal(status, FCL_OK);
    picture p = read_picture(path);
    int blue = 0, orange[2] = {0};
    for (int y = 0; y < p.height; y++) {
        int half = p.width / 2, width = color_run(&p, half, y, is_orange);
        blue = fmax(blue, color_run(&p, 0, y, is_blue));
        orange[1] = width > orange[1] ? width : orange[1];
        width = color_run(&p, 0, y, is_orange) - width;
        orange[0] = width > orange[0] ? width : orange[0];
    }
    assert_true(blue > 300 && abs(blue - 4 * orange[0]) < 12);
    assert_true(abs(orange[1] - blue) < 6); /* the largest of its panel */
    free(p.rgb);
    chart.panel_count = 0;
    assert_int_equal(fcl_bar_chart_write(path, &chart), FCL_ERR_ARGUMENT);
    assert_says("no bars");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_go_to_the_format_of_the_ending),
        cmocka_unit_test(columns_go_beside_samples_or_alone),
        cmocka_unit_test(grids_enlarge_pictures_between_white_lines),
        cmocka_unit_test(grids_have_colors),
        cmocka_unit_test(scatter_has_equal_axes_and_the_points_in_place),
        cmocka_unit_test(scatter_survives_bad_points),
        cmocka_unit_test(what_can_be_drawn_is_known_from_the_shape),
        cmocka_unit_test(what_cannot_be_drawn_is_said),
        cmocka_unit_test(bar_charts_have_bars_as_long_as_their_values),
        cmocka_unit_test(flow_pictures_show_data_samples_and_paths),
        cmocka_unit_test(flow_pictures_of_pictures_show_the_nearest),
        cmocka_unit_test(a_full_disk_loses_nothing),
        cmocka_unit_test(w2_on_a_line_is_between_sorted_points),
        cmocka_unit_test(w2_of_a_translation_is_its_length),
        cmocka_unit_test(w2_of_two_moons_is_small),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
