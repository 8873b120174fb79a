/* Data, samples and what lies between, side by side. */
#include "eval/plot.h"

#include "base/array.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 560, MARGIN_LEFT = 64, MARGIN_BOTTOM = 44, MARGIN_TOP = 52, MARGIN_RIGHT = 20 };
enum { PANEL = MARGIN_LEFT + SIDE + MARGIN_RIGHT, HEIGHT = MARGIN_TOP + SIDE + MARGIN_BOTTOM };
enum { WHITE = 0xffffff, GREY = 0x5f6875, BLUE = 0x1f5fbf, ORANGE = 0xe69f00, LINE = 0x7d8794 };

/* --- points --- */

/* Everything that is drawn, in the plane. */
typedef struct scene {
    fcl_array *data, *samples;     /* (N, 2), (M, 2) */
    fcl_array *paths;              /* (T, K, 2), or NULL */
    fcl_array *begin, *end, *both; /* (K, 2), (K, 2), (2 K, 2) of the paths */
} scene;

static void scene_destroy(scene *s)
{
    fcl_array_destroy(&s->data);
    fcl_array_destroy(&s->samples);
    fcl_array_destroy(&s->paths);
    fcl_array_destroy(&s->begin);
    fcl_array_destroy(&s->end);
    fcl_array_destroy(&s->both);
}

/* Numbers alone are drawn at even heights: their density shows in how close they stand. */
static void spread_out(const float *numbers, int64_t count, float *points)
{
    for (int64_t i = 0; i < count; i++) {
        points[2 * i] = numbers[i];
        points[2 * i + 1] = (float)fmod(0.6180339887498949 * (double)i, 1);
    }
}

static void flatten(const fcl_plane *plane, const float *from, int64_t count, float *to)
{
    if (plane->size == 1)
        spread_out(from, count, to);
    else if (plane->size == 2)
        memcpy(to, from, (size_t)count * 2 * sizeof *to);
    else
        fcl_plane_project(plane, from, count, to);
}

/* The paths of single numbers rise with the time. */
static void flatten_paths(const fcl_plane *plane, const fcl_array *paths, float *to)
{
    int64_t times = paths->shape.dim[0], count = paths->shape.dim[1];
    flatten(plane, paths->data, times * count, to);
    for (int64_t i = 0; plane->size == 1 && i < times * count; i++)
        to[2 * i + 1] = (float)(i / count) / (float)(times > 1 ? times - 1 : 1);
}

static int take_ends(scene *s)
{
    int64_t times = s->paths->shape.dim[0], count = s->paths->shape.dim[1];
    size_t bytes = (size_t)count * 2 * sizeof(float);
    const float *last = s->paths->data + (times - 1) * count * 2;
    FCL_TRY(fcl_array_create(FCL_SHAPE(count, 2), &s->begin));
    FCL_TRY(fcl_array_create(FCL_SHAPE(count, 2), &s->end));
    FCL_TRY(fcl_array_create(FCL_SHAPE(2 * count, 2), &s->both));
    memcpy(s->begin->data, s->paths->data, bytes);
    memcpy(s->end->data, last, bytes);
    memcpy(s->both->data, s->paths->data, bytes);
    memcpy(s->both->data + 2 * count, last, bytes);
    return FCL_OK;
}

static int fill_scene(const fcl_flow_picture *picture, const fcl_plane *plane, scene *s)
{
    int64_t n = picture->data->shape.dim[0], m = picture->samples->shape.dim[0];
    FCL_TRY(fcl_array_create(FCL_SHAPE(n, 2), &s->data));
    FCL_TRY(fcl_array_create(FCL_SHAPE(m, 2), &s->samples));
    flatten(plane, picture->data->data, n, s->data->data);
    flatten(plane, picture->samples->data, m, s->samples->data);
    if (!picture->paths)
        return FCL_OK;
    const int64_t *dim = picture->paths->shape.dim;
    FCL_TRY(fcl_array_create(FCL_SHAPE(dim[0], dim[1], 2), &s->paths));
    flatten_paths(plane, picture->paths, s->paths->data);
    return take_ends(s);
}

static const char *title_of(const char *what, int64_t size, char text[96])
{
    if (size > 2)
        snprintf(text, 96, "%s: the data's 2 principal components", what);
    else
        snprintf(text, 96, "%s", what);
    return text;
}

static const char *const *names_of(int64_t size)
{
    static const char *const names[][2] = {{"x1", NULL}, {"x1", "x2"}, {"component 1", "component 2"}};
    return names[size < 3 ? size - 1 : 2];
}

static int draw_points(fcl_canvas *canvas, int panel, const char *title, const fcl_array *points, int64_t size,
                       uint32_t color, fcl_frame frame)
{
    frame.left += panel * PANEL;
    FCL_TRY(fcl_canvas_axes(canvas, &frame, &(fcl_axes){title, names_of(size)[0], names_of(size)[1]}));
    return fcl_scatter_draw(canvas, &frame, points, color);
}

/* Of single numbers the height is a share or a time, not on their scale. */
static int fit(const fcl_array *first, const fcl_array *second, int64_t size, fcl_frame *frame)
{
    FCL_TRY(fcl_scatter_fit(2, (const fcl_array *const[]){first, second}, frame));
    if (size == 1) {
        frame->y_low = -0.05;
        frame->y_high = 1.05;
    }
    return FCL_OK;
}

/* From where they begin, orange, to where they end, blue. */
static int draw_paths(fcl_canvas *canvas, const scene *s, int64_t size, fcl_frame frame)
{
    double crowd = fmax(1, (double)s->paths->shape.dim[1] / 50);
    FCL_TRY(fit(s->both, s->samples, size, &frame));
    frame.left += 2 * PANEL;
    FCL_TRY(fcl_canvas_axes(canvas, &frame,
                            &(fcl_axes){"trajectories", names_of(size)[0], size == 1 ? "t" : names_of(size)[1]}));
    FCL_TRY(fcl_canvas_paths(canvas, &frame, s->paths, LINE, fmax(0.12, 0.6 / sqrt(crowd))));
    FCL_TRY(fcl_scatter_draw(canvas, &frame, s->begin, ORANGE));
    FCL_TRY(fcl_scatter_draw(canvas, &frame, s->end, BLUE));
    return fcl_canvas_legend(canvas, &frame, 2, (const fcl_legend_row[]){{ORANGE, "begin"}, {BLUE, "end"}});
}

static int draw_scene(fcl_canvas *canvas, const scene *s, int64_t size)
{
    char text[96];
    fcl_frame frame = {MARGIN_LEFT, MARGIN_TOP, SIDE, SIDE};
    FCL_TRY(fit(s->data, s->samples, size, &frame));
    FCL_TRY(draw_points(canvas, 0, title_of("data", size, text), s->data, size, GREY, frame));
    FCL_TRY(draw_points(canvas, 1, "samples", s->samples, size, BLUE, frame));
    return s->paths ? draw_paths(canvas, s, size, frame) : FCL_OK;
}

static int write_points(const char *path, const fcl_flow_picture *picture)
{
    fcl_plane plane;
    fcl_canvas canvas = {0};
    scene s = {0};
    FCL_TRY(fcl_plane_create(picture->data, &plane));
    int status = fill_scene(picture, &plane, &s);
    if (status == FCL_OK)
        status = fcl_canvas_create((s.paths ? 3 : 2) * PANEL, HEIGHT, WHITE, &canvas);
    if (status == FCL_OK)
        status = draw_scene(&canvas, &s, plane.size);
    if (status == FCL_OK)
        status = fcl_canvas_write(&canvas, path);
    fcl_canvas_destroy(&canvas);
    scene_destroy(&s);
    fcl_plane_destroy(&plane);
    return status;
}

/* --- pictures --- */

static const float *nearest(const fcl_array *data, const float *sample, int64_t size)
{
    const float *best = data->data;
    double least = INFINITY;
    for (int64_t i = 0; i < data->shape.dim[0]; i++) {
        const float *other = data->data + i * size;
        double sum = 0;
        for (int64_t d = 0; d < size && sum < least; d++)
            sum += ((double)sample[d] - other[d]) * ((double)sample[d] - other[d]);
        if (sum < least) {
            least = sum;
            best = other;
        }
    }
    return best;
}

/* Rows of `side` samples, a white gap, and the nearest of the data in the same places. */
static void arrange(const fcl_flow_picture *picture, int64_t shown, int64_t side, fcl_array *grid)
{
    int64_t columns = 2 * side + 1, size = fcl_shape_size(grid->shape) / grid->shape.dim[0];
    for (int64_t i = 0; i < fcl_shape_size(grid->shape); i++)
        grid->data[i] = picture->low < picture->high ? (float)picture->high : 1;
    for (int64_t i = 0; i < shown; i++) {
        const float *sample = picture->samples->data + i * size;
        float *to = grid->data + (i / side * columns + i % side) * size;
        memcpy(to, sample, (size_t)size * sizeof *to);
        memcpy(to + (side + 1) * size, nearest(picture->data, sample, size), (size_t)size * sizeof *to);
    }
}

static int write_pictures(const char *path, const fcl_flow_picture *picture)
{
    enum { MOST = 64 };
    int64_t n = picture->samples->shape.dim[0], shown = n < MOST ? n : MOST;
    int64_t side = (int64_t)ceil(sqrt((double)shown)), rows = (shown + side - 1) / side;
    fcl_array *grid;
    fcl_shape shape = picture->samples->shape;
    shape.dim[0] = rows * (2 * side + 1);
    FCL_TRY(fcl_array_create(shape, &grid));
    arrange(picture, shown, side, grid);
    int status = fcl_grid_write(path, grid, 2 * side + 1, picture->low, picture->high, NULL);
    fcl_array_destroy(&grid);
    return status;
}

int fcl_flow_picture_write(const char *path, const fcl_flow_picture *picture)
{
    char left[FCL_SHAPE_TEXT], right[FCL_SHAPE_TEXT];
    const fcl_shape *data = &picture->data->shape, *samples = &picture->samples->shape;
    bool fit = data->rank > 0 && data->rank == samples->rank && fcl_shape_size(*data) > 0 &&
               fcl_shape_size(*samples) > 0;
    for (int i = 1; fit && i < data->rank; i++)
        fit = data->dim[i] == samples->dim[i];
    if (!fit)
        return fcl_fail(FCL_ERR_SHAPE, "cannot draw %s: data %s and samples %s are not of one shape", path,
                        fcl_shape_format(*data, left), fcl_shape_format(*samples, right));
    if (fcl_samples_are_pictures(fcl_sample_shape(*samples)))
        return write_pictures(path, picture);
    int64_t size = fcl_shape_size(*data) / data->dim[0];
    const fcl_array *paths = picture->paths;
    if (paths && (paths->shape.rank < 2 || fcl_shape_size(paths->shape) == 0 ||
                  fcl_shape_size(paths->shape) / paths->shape.dim[0] / paths->shape.dim[1] != size))
        return fcl_fail(FCL_ERR_SHAPE, "cannot draw %s: paths %s are not of samples of %lld numbers", path,
                        fcl_shape_format(paths->shape, left), (long long)size);
    return write_points(path, picture);
}
