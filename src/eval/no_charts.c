/* What pen.c, chart.c and bars.c do, in a build without cairo. */
#include <flowcl/eval.h>

#include "base/error.h"
#include "eval/canvas.h"

enum { BORDER = 0x9aa3af };

int fcl_canvas_legend(fcl_canvas *canvas, const fcl_frame *frame, int count, const fcl_legend_row *rows)
{
    (void)canvas, (void)frame, (void)count, (void)rows;
    return FCL_OK;
}

int fcl_canvas_axes(fcl_canvas *canvas, const fcl_frame *frame, const fcl_axes *axes)
{
    (void)axes;
    int left = frame->left - 1, right = frame->left + frame->width;
    int top = frame->top - 1, bottom = frame->top + frame->height;
    for (int x = left; x <= right; x++)
        canvas->pixel[top * canvas->width + x] = canvas->pixel[bottom * canvas->width + x] = BORDER;
    for (int y = top; y <= bottom; y++)
        canvas->pixel[y * canvas->width + left] = canvas->pixel[y * canvas->width + right] = BORDER;
    return FCL_OK;
}

int fcl_canvas_text(fcl_canvas *canvas, double x, double y, fcl_side anchor, double size, const char *text)
{
    (void)canvas, (void)x, (void)y, (void)anchor, (void)size, (void)text;
    return FCL_OK;
}

static int refuse(const char *path)
{
    return fcl_fail(FCL_ERR_UNSUPPORTED,
                    "cannot draw %s: flowcl was built without charts (meson's -Dcharts=enabled, "
                    "with cairo and pango)",
                    path);
}

int fcl_loss_chart_write(const char *path, const fcl_loss_chart *chart)
{
    (void)chart;
    return refuse(path);
}

int fcl_bar_chart_write(const char *path, const fcl_bar_chart *chart)
{
    (void)chart;
    return refuse(path);
}
