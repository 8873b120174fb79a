/* What is drawn of a training. Pictures are read back by libpng's simplified interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"

#include <flowcl/data.h>
#include <flowcl/eval.h>
#include "scratch.h"

#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct picture {
    int width, height;
    uint8_t *rgb;
} picture;

static picture read_picture(const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_file(&image, path));
    image.format = PNG_FORMAT_RGB;
    picture p = {(int)image.width, (int)image.height, malloc(PNG_IMAGE_SIZE(image))};
    assert_true(png_image_finish_read(&image, NULL, p.rgb, 0, NULL));
    return p;
}

static bool is_blue(const uint8_t *rgb)
{
    return rgb[2] > rgb[0] + 60;
}

static bool is_orange(const uint8_t *rgb)
{
    return rgb[0] > 200 && rgb[1] > 120 && rgb[1] < 190 && rgb[2] < 80;
}

/* --- the chart --- */

/* A falling loss: its strong line begins at the upper left and ends at the lower right. */
static void loss_chart_falls(void **state)
{
    (void)state;
    double step[400], loss[400];
    for (int i = 0; i < 400; i++) {
        step[i] = 10 * i;
        loss[i] = pow(10, -i / 100.0);
    }
    loss[7] = NAN;
    loss[8] = 0;
    const char *path = scratch_path("loss.png");
    int status = fcl_loss_chart_write(path, &(fcl_loss_chart){step, loss, 400, "a loss"});
    if (status == FCL_ERR_UNSUPPORTED) {
        assert_non_null(strstr(fcl_error(), "built without charts"));
        skip();
    }
    assert_int_equal(status, FCL_OK);
    picture p = read_picture(path);
    double mean[2] = {0}, count[2] = {0}; /* the height of the blue pixels, left half and right half */
    for (int i = 0; i < p.width * p.height; i++) {
        if (is_blue(p.rgb + 3 * i)) {
            mean[i % p.width > p.width / 2] += i / p.width;
            count[i % p.width > p.width / 2]++;
        }
    }
    assert_true(count[0] > 300 && count[1] > 300);
    assert_true(mean[0] / count[0] + p.height / 4 < mean[1] / count[1]);
    free(p.rgb);
    assert_int_equal(fcl_loss_chart_write(path, &(fcl_loss_chart){step, loss, 1, NULL}), FCL_OK);
    assert_int_equal(fcl_loss_chart_write(path, &(fcl_loss_chart){step, loss + 7, 2, NULL}), FCL_ERR_NUMERIC);
    assert_int_equal(fcl_loss_chart_write(path, &(fcl_loss_chart){step, loss, 0, NULL}), FCL_ERR_NUMERIC);
}

static picture draw_loss(const fcl_loss_chart *chart)
{
    const char *path = scratch_path("chart.png");
    assert_int_equal(fcl_loss_chart_write(path, chart), FCL_OK);
    return read_picture(path);
}

static int64_t count_pixels(const picture *p, bool (*is)(const uint8_t *pixel))
{
    int64_t count = 0;
    for (int i = 0; i < p->width * p->height; i++)
        count += is(p->rgb + 3 * i);
    return count;
}

/* What a chart shows beside the loss: each has a place of its own, or none where it is not there. */
static void loss_chart_shows_what_there_is(void **state)
{
    (void)state;
    enum { ROWS = 300 };
    double step[ROWS], loss[ROWS], held_out[ROWS], norm[ROWS], nothing[ROWS];
    for (int i = 0; i < ROWS; i++) {
        step[i] = i + 1;
        loss[i] = 1 + 1.0 / (i + 1);
        norm[i] = 2 + sin(i);
        held_out[i] = i % 30 == 29 ? 1.2 * loss[i] : NAN;
        nothing[i] = NAN;
    }
    fcl_loss_chart chart = {.step = step, .loss = loss, .count = ROWS};
    if (fcl_loss_chart_write(scratch_path("chart.png"), &chart) == FCL_ERR_UNSUPPORTED)
        skip();
    picture alone = draw_loss(&chart);
    chart.held_out_loss = nothing;
    chart.gradient_norm = nothing;
    chart.lr = nothing;
    picture empty = draw_loss(&chart);
    chart.held_out_loss = held_out;
    picture with = draw_loss(&chart);
    chart.gradient_norm = norm;
    picture norms = draw_loss(&chart);
    chart.clip = 2;
    picture clipped = draw_loss(&chart);
    chart.clip = 200; /* far from every norm */
    picture far = draw_loss(&chart);
    chart.lr = loss;
    picture all = draw_loss(&chart);
    assert_int_equal(empty.height, alone.height);
    assert_memory_equal(empty.rgb, alone.rgb, 3 * alone.width * alone.height);
    assert_int_equal(count_pixels(&alone, is_orange), 0);
    assert_true(count_pixels(&with, is_orange) > 500);
    assert_true(alone.height < norms.height && norms.height < all.height);
    assert_int_equal(clipped.height, norms.height);
    assert_memory_not_equal(clipped.rgb, norms.rgb, 3 * norms.width * norms.height);
    assert_memory_equal(far.rgb, norms.rgb, 3 * norms.width * norms.height);
    picture *drawn[] = {&alone, &empty, &with, &norms, &clipped, &far, &all};
    for (int i = 0; i < 7; i++)
        free(drawn[i]->rgb);
}

/* Of a hundred thousand rows a single one shows. */
static void loss_chart_of_many_rows_hides_none(void **state)
{
    (void)state;
    enum { ROWS = 100000 };
    int at = ROWS / 2;
    double *step = malloc(2 * ROWS * sizeof *step), *loss = step + ROWS;
    for (int i = 0; i < ROWS; i++) {
        step[i] = i;
        loss[i] = 1 + 0.5 * sin(i);
    }
    fcl_loss_chart chart = {.step = step, .loss = loss, .count = ROWS};
    if (fcl_loss_chart_write(scratch_path("chart.png"), &chart) == FCL_ERR_UNSUPPORTED) {
        free(step);
        skip();
    }
    picture without = draw_loss(&chart);
    while (loss[at] < 1.49999) /* of the largest hundredth, which the frame does not follow */
        at++;
    loss[at] = 1.58; /* in the frame's air */
    picture with = draw_loss(&chart);
    int changed = 0, mean = 64 + 100; /* above where the mean lies, which it moves a little */
    for (int i = 0; i < with.width * mean; i++) {
        bool differs = memcmp(with.rgb + 3 * i, without.rgb + 3 * i, 3) != 0;
        changed += differs;
        int x = i % with.width, wanted = 76 + (int)((with.width - 76 - 32) * (double)at / ROWS);
        assert_true(!differs || abs(x - wanted) <= 2);
    }
    assert_true(changed >= 2);
    free(without.rgb);
    free(with.rgb);
    free(step);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_chart_falls),
        cmocka_unit_test(loss_chart_shows_what_there_is),
        cmocka_unit_test(loss_chart_of_many_rows_hides_none),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
