/* What is drawn of a training. Pictures are read back by libpng's simplified interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"

#include <flowcl/data.h>
#include <flowcl/eval.h>
#include "drawn.h"
#include "scratch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* --- the contact sheet --- */

static uint8_t byte_of(float value)
{
    return (uint8_t)lround(127.5 * (1 + (double)value));
}

/* Numbers that a byte stands for each. */
static fcl_array *drawn_at(fcl_shape shape, int step)
{
    fcl_array *samples;
    assert_int_equal(fcl_array_create(shape, &samples), FCL_OK);
    for (int64_t i = 0; i < fcl_shape_size(shape); i++)
        samples->data[i] = (float)(round(127.5 * (1 + sin((double)(i * (step + 3)) + step))) / 127.5 - 1);
    return samples;
}

/* Draws the samples and puts what is read back onto the sheet. */
static int add(fcl_history *history, int step, const fcl_array *samples, const int32_t *label)
{
    fcl_dataset *drawing;
    const char *path = scratch_path("samples.png");
    assert_int_equal(fcl_samples_write(path, samples, &(fcl_picture_options){.label = label}), FCL_OK);
    assert_int_equal(fcl_dataset_open(path, NULL, &drawing), FCL_OK);
    int status = fcl_history_add(history, step, drawing->shape, drawing->bytes);
    fcl_dataset_destroy(&drawing);
    return status;
}

static picture draw_sheet(const fcl_history *history)
{
    const char *path = scratch_path("history.png");
    assert_int_equal(fcl_history_write(path, history), FCL_OK);
    return read_picture(path);
}

enum { NUMBERS = 84, HEADING = 30, GAP = 2 }; /* around the pictures of a sheet */

/* Each column is of one picture, `order` says which, and each row of one step, enlarged. */
static void check_pictures(fcl_shape shape, const int32_t *label, int columns, const int *order, int scale)
{
    enum { STEPS = 3 };
    int64_t n = shape.dim[0], channels = shape.dim[1], height = shape.dim[2], width = shape.dim[3];
    fcl_history *history;
    fcl_array *samples[STEPS];
    assert_int_equal(fcl_history_create(FCL_SHAPE(channels, height, width), n, label, &history), FCL_OK);
    for (int k = 0; k < STEPS; k++) {
        samples[k] = drawn_at(shape, k);
        assert_int_equal(add(history, k, samples[k], label), FCL_OK);
    }
    assert_int_equal(fcl_history_count(history), STEPS);
    picture p = draw_sheet(history);
    int across = (int)width * scale + GAP, down = (int)height * scale + GAP;
    assert_int_equal(p.height, HEADING + STEPS * down + 16);
    for (int64_t i = 0; i < STEPS * columns * channels * height * width * scale * scale; i++) {
        int x = (int)(i % (width * scale)), y = (int)(i / (width * scale) % (height * scale));
        int64_t rest = i / (width * height * scale * scale), c = rest % channels, column = rest / channels % columns;
        int64_t row = rest / channels / columns, which = order ? order[column] : column;
        float value = samples[row]->data[((which * channels + c) * height + y / scale) * width + x / scale];
        const uint8_t *at = p.rgb + 3 * ((HEADING + row * down + y) * p.width + NUMBERS + column * across + x);
        assert_int_equal(at[c], byte_of(value));
        assert_true(channels == 3 || at[1] == at[0]);
    }
    for (int k = 0; k < STEPS; k++)
        fcl_array_destroy(&samples[k]);
    free(p.rgb);
    fcl_history_destroy(&history);
}

static void a_sheet_has_the_pictures_of_each_step(void **state)
{
    (void)state;
    static const int32_t label[] = {2, 0, 1, 2, 0, 1, 2, 0, 1, 1}; /* a row of the grid is a class */
    static const int order[] = {1, 4, 7, 2, 5, 8, 9, 0, 3, 6};
    check_pictures(FCL_SHAPE(5, 1, 3, 4), NULL, 5, NULL, 8);
    check_pictures(FCL_SHAPE(20, 3, 20, 17), NULL, 14, NULL, 3);
    check_pictures(FCL_SHAPE(10, 1, 28, 28), label, 10, order, 2);
    check_pictures(FCL_SHAPE(3, 3, 65, 40), NULL, 3, NULL, 1);
}

/* Each pixel is the mean of a square; at the edges of what is left of it. */
static void a_sheet_makes_large_pictures_smaller(void **state)
{
    (void)state;
    enum { SIDE = 130, SMALLER = SIDE / 2 };
    fcl_history *history;
    fcl_array *samples = drawn_at(FCL_SHAPE(9, SIDE - 1, SIDE), 1);
    assert_int_equal(fcl_history_create(FCL_SHAPE(SIDE - 1, SIDE), 9, NULL, &history), FCL_OK);
    assert_int_equal(add(history, 1, samples, NULL), FCL_OK);
    picture p = draw_sheet(history);
    assert_int_equal(p.height, HEADING + SMALLER + GAP + 16);
    for (int i = 0; i < 9 * SMALLER * SMALLER; i++) {
        int x = i % SMALLER, y = i / SMALLER % SMALLER, column = i / (SMALLER * SMALLER), sum = 0, area = 0;
        for (int k = 0; k < 4; k++) {
            int from = (2 * y + k / 2) * SIDE + 2 * x + k % 2;
            if (2 * y + k / 2 == SIDE - 1)
                continue;
            sum += byte_of(samples->data[column * SIDE * (SIDE - 1) + from]);
            area++;
        }
        const uint8_t *at = p.rgb + 3 * ((HEADING + y) * p.width + NUMBERS + column * (SMALLER + GAP) + x);
        assert_true(fabs(*at - (double)sum / area) <= 0.5);
    }
    free(p.rgb);
    fcl_array_destroy(&samples);
    fcl_history_destroy(&history);
}

/* Scatter pictures stand beside each other: seven of them in two lines, the blue of each inside its frame. */
static void a_sheet_of_points_has_their_drawings(void **state)
{
    (void)state;
    enum { FRAME = 240, ACROSS = FRAME + 16, DOWN = 30 + FRAME + 8 };
    fcl_history *history;
    assert_int_equal(fcl_history_create(FCL_SHAPE(3), 300, NULL, &history), FCL_OK);
    for (int step = 0; step < 7; step++) {
        fcl_array *samples = drawn_at(FCL_SHAPE(300, 3), step);
        assert_int_equal(add(history, 1000 * step, samples, NULL), FCL_OK);
        fcl_array_destroy(&samples);
    }
    picture p = draw_sheet(history);
    assert_int_equal(p.width, 2 * 16 + 6 * ACROSS - 16);
    assert_int_equal(p.height, 2 * DOWN + 8);
    int blue[12] = {0}, inside = 0;
    for (int i = 0; i < p.width * p.height; i++) {
        int x = i % p.width - 16, y = i / p.width - 30;
        if (!is_blue(p.rgb + 3 * i))
            continue;
        assert_true(x >= 0 && y >= 0 && x % ACROSS < FRAME && y % DOWN < FRAME);
        blue[y / DOWN * 6 + x / ACROSS]++;
        inside++;
    }
    assert_true(inside > 0);
    for (int i = 0; i < 12; i++)
        assert_int_equal(blue[i] > 50, i < 7);
    free(p.rgb);
    fcl_history_destroy(&history);
}

static void a_sheet_refuses_what_is_not_of_it(void **state)
{
    (void)state;
    fcl_history *history, *none;
    fcl_array *samples = drawn_at(FCL_SHAPE(4, 1, 5, 5), 1), *wider = drawn_at(FCL_SHAPE(4, 1, 5, 6), 1);
    fcl_array *color = drawn_at(FCL_SHAPE(4, 3, 5, 5), 1);
    assert_int_equal(fcl_history_create(FCL_SHAPE(1), 4, NULL, &none), FCL_ERR_SHAPE);
    assert_int_equal(fcl_history_create(FCL_SHAPE(2, 5, 5), 4, NULL, &none), FCL_ERR_SHAPE);
    assert_null(none);
    assert_int_equal(fcl_history_create(FCL_SHAPE(1, 5, 5), 4, NULL, &history), FCL_OK);
    assert_int_equal(fcl_history_write(scratch_path("none.png"), history), FCL_ERR_ARGUMENT);
    assert_int_equal(add(history, 1, wider, NULL), FCL_ERR_SHAPE);
    assert_int_equal(add(history, 1, color, NULL), FCL_ERR_SHAPE);
    for (int k = 0; k < FCL_HISTORY_MOST; k++)
        assert_int_equal(add(history, k, samples, NULL), FCL_OK);
    assert_int_equal(add(history, 99, samples, NULL), FCL_ERR_ARGUMENT);
    fcl_history_destroy(&history);
    fcl_array_destroy(&samples);
    fcl_array_destroy(&wider);
    fcl_array_destroy(&color);
}

static void drawings_are_chosen_over_the_whole_run(void **state)
{
    (void)state;
    int which[FCL_HISTORY_MOST];
    assert_int_equal(fcl_history_choose(0, which), 0);
    for (int count = 1; count < 3000; count++) {
        int chosen = fcl_history_choose(count, which);
        assert_int_equal(chosen, count < FCL_HISTORY_MOST ? count : FCL_HISTORY_MOST);
        assert_int_equal(which[0], 0);
        assert_int_equal(which[chosen - 1], count - 1);
        for (int k = 1; k < chosen; k++)
            assert_true(which[k] > which[k - 1]);
    }
    for (int k = 6; k < FCL_HISTORY_MOST; k++) /* of 2999, where whole numbers do not matter any more */
        assert_float_equal((which[k] + 1.0) / (which[k - 1] + 1), pow(2999, 1.0 / 11), 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_chart_falls),
        cmocka_unit_test(loss_chart_shows_what_there_is),
        cmocka_unit_test(loss_chart_of_many_rows_hides_none),
        cmocka_unit_test(a_sheet_has_the_pictures_of_each_step),
        cmocka_unit_test(a_sheet_makes_large_pictures_smaller),
        cmocka_unit_test(a_sheet_of_points_has_their_drawings),
        cmocka_unit_test(a_sheet_refuses_what_is_not_of_it),
        cmocka_unit_test(drawings_are_chosen_over_the_whole_run),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
