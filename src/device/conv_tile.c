/* The tile kernels of cl/conv_tile.cl: which tiles, their text and their launch. */
#include "device/conv.h"

#include "device/gemm.h"
#include "device/tile.h"

/* What a kernel reads, computes, and from which lines: y from x, or x from y. The result's pixels lie `step` apart in
 * classes, of which each has its own taps; pixel i of one reads pixel `read` i + d for the offset d of each tap. */
typedef struct reading {
    int height, width, channels, up;
    int out_height, out_width, outputs;
    int read, step, taps; /* most taps of a class */
} reading;

static reading reading_of(const fcl_conv_problem *p)
{
    reading r = {p->height, p->width, p->channels, p->upsample, p->out_height, p->out_width, p->outputs, p->stride, 1, p->side};
    if (p->result == FCL_CONV_Y)
        return r;
    r = (reading){p->out_height, p->out_width, p->outputs, 1, p->height, p->width, p->channels, 1, 1, 0};
    if (p->upsample > p->stride)
        r.read = 2;
    if (p->upsample < p->stride)
        r.step = 2;
    r.taps = (p->side + p->upsample - 2) / p->stride + 1;
    return r;
}

/* --- the choice --- */

static int64_t strip_floats(const reading *r, int lines)
{
    int64_t columns = (int64_t)(fcl_tile_count(r->out_width, r->step) - 1) * r->read + r->taps;
    return ((int64_t)(lines - 1) * r->read + r->taps) * columns * r->channels;
}

static int64_t panel_vectors(const reading *r, const fcl_conv_tile *tile)
{
    return (int64_t)tile->part * r->taps * r->channels * tile->vectors;
}

static int panels_of(const reading *r, const fcl_conv_tile *tile)
{
    return fcl_tile_count(r->outputs, 16 * tile->vectors);
}

enum { STRIP = 80 << 10 /* floats that the second cache keeps beside a panel */, ITEMS = 4 /* of a core */ };

/* As many lines as there is room for; fewer where cores would idle, and then fewer panels. */
static void choose_block(const reading *r, int64_t images, int units, fcl_conv_tile *tile)
{
    int height = fcl_tile_count(r->out_height, r->step), all = panels_of(r, tile);
    tile->lines = 1;
    while (tile->lines < height && strip_floats(r, tile->lines + 1) <= STRIP)
        tile->lines++;
    images *= r->step * r->step;
    while (tile->lines > 4 && images * fcl_tile_count(height, tile->lines) < (int64_t)ITEMS * units)
        tile->lines--;
    tile->lines = fcl_tile_count(height, fcl_tile_count(height, tile->lines));
    tile->panels = all;
    while (tile->panels > 1 && images * fcl_tile_count(height, tile->lines) * fcl_tile_count(all, tile->panels) < (int64_t)ITEMS * units)
        tile->panels--;
}

/* Floats of the lines, and of sums that wait for the next rows of the kernel. */
static int64_t kept_floats(const reading *r, const fcl_conv_tile *tile)
{
    int64_t pixels = (int64_t)tile->images * tile->lines * r->out_width;
    int64_t sums = tile->part < r->taps ? (pixels + tile->rows) * tile->vectors : 0;
    return tile->images * strip_floats(r, tile->lines) + 16 * sums;
}

static int room_of(const reading *r, const fcl_conv_tile *tile)
{
    return fcl_conv_room(kept_floats(r, tile), panel_vectors(r, tile));
}

/* Several images, where one has so few pixels that the last tile's missing rows count, and the copies of panels; but
 * not for a kernel with more memory. */
static void choose_images(const reading *r, const fcl_conv_problem *p, int units, fcl_conv_tile *tile)
{
    enum { PIXELS = 384 };
    int height = fcl_tile_count(r->out_height, r->step), width = fcl_tile_count(r->out_width, r->step);
    int64_t others = (int64_t)p->batch * r->step * r->step * fcl_tile_count(panels_of(r, tile), tile->panels);
    for (fcl_conv_tile more = *tile; tile->lines == height && tile->images * height * width < PIXELS; *tile = more) {
        more.images *= 2;
        if (kept_floats(r, &more) > STRIP || room_of(r, &more) != room_of(r, tile) ||
            fcl_tile_count(p->images, more.images) * others < (int64_t)ITEMS * units)
            break;
    }
}

int fcl_conv_room(int64_t floats, int64_t vectors)
{
    static const int rooms[] = {7680 /* 480 KiB, as much as blocks take where images are not wide */, 24576};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
        if ((floats + 15) / 16 + vectors <= rooms[i])
            return rooms[i];
    return 0;
}

bool fcl_conv_tile_choose(const fcl_device *device, const fcl_conv_problem *p, fcl_conv_tile *tile)
{
    enum { PANEL = 2048 /* vectors */ };
    fcl_traits traits = fcl_device_traits(device);
    const fcl_device_info *info = fcl_device_describe(device);
    reading r = reading_of(p);
    *tile = (fcl_conv_tile){.images = 1, .part = r.taps};
    fcl_tile_registers(info, r.outputs, &tile->rows, &tile->vectors);
    while (tile->part > 1 && panel_vectors(&r, tile) > PANEL)
        tile->part--;
    choose_block(&r, (int64_t)p->batch * p->images, traits.units, tile);
    choose_images(&r, p, traits.units, tile);
    tile->room = room_of(&r, tile);
    return p->result != FCL_CONV_W && traits.wide && fcl_gemm_has_tiles(info->type) && tile->room > 0;
}

/* --- the text --- */

void fcl_conv_tile_source(fcl_text *text, const char *name, const fcl_conv_problem *p, const fcl_conv_tile *tile,
                          const char *params, const char *epilogue)
{
    const fcl_tile_number numbers[] = {
        {"CONV_ROWS", tile->rows},
        {"CONV_VECTORS", tile->vectors},
        {"CONV_ROOM", tile->room},
        {"CONV_TURN", p->result == FCL_CONV_X},
        {"CONV_FOURS", reading_of(p).channels % 4 == 0},
        {0},
    };
    fcl_tile_define(text, numbers);
    fcl_tile_kernel(text, "CONV", name, params);
    fcl_tile_macro(text, "CONV_EPILOGUE", epilogue);
    fcl_tile_paste(text, "tile.h");
    fcl_tile_paste(text, "conv_tile.cl");
    fcl_tile_undefine(text, numbers);
}

static void set_sizes(fcl_launch *launch, const fcl_conv_problem *p, const fcl_conv_tile *tile, const reading *r, int blocks)
{
    const bool shares_in = p->share[p->result == FCL_CONV_X ? FCL_CONV_Y : FCL_CONV_X];
    const double bytes = sizeof(float) * (double)p->batch * p->images * r->out_height * r->out_width * r->outputs;
    const int sizes[] = {p->images,
                         tile->lines,
                         tile->panels,
                         blocks,
                         tile->images,
                         tile->part,
                         r->height,
                         r->width,
                         r->channels,
                         r->up,
                         r->out_height,
                         r->out_width,
                         r->outputs,
                         r->read,
                         r->step,
                         p->side,
                         p->stride,
                         p->padding,
                         p->upsample,
                         shares_in ? 0 : p->images * r->height * r->width * r->channels,
                         p->share[FCL_CONV_W] ? 0 : p->side * p->side * p->channels * p->outputs,
                         bytes >= FCL_PAST_CACHES};
    enum { SIZES = sizeof sizes / sizeof *sizes, BEFORE = FCL_CONV_TILE_ARGUMENTS - SIZES };
    for (int i = 0; i < SIZES; i++)
        fcl_launch_int(launch, BEFORE + i, sizes[i]);
}

void fcl_conv_tile_launch(fcl_launch *launch, const fcl_conv_problem *p, const fcl_conv_tile *tile, fcl_buffer *in,
                          fcl_buffer *w, fcl_buffer *out)
{
    const reading r = reading_of(p);
    int blocks = fcl_tile_count(fcl_tile_count(r.out_height, r.step), tile->lines);
    int groups = fcl_tile_count(p->images, tile->images);
    const size_t global[3] = {(size_t)fcl_tile_count(panels_of(&r, tile), tile->panels), (size_t)groups * (size_t)blocks,
                              (size_t)p->batch * (size_t)(r.step * r.step)};
    fcl_launch_buffer(launch, 0, in);
    fcl_launch_buffer(launch, 1, w);
    fcl_launch_buffer(launch, 2, out);
    set_sizes(launch, p, tile, &r, blocks);
    fcl_launch_range(launch, 3, global, (size_t[3]){1, 1, 1});
}
