/* The tile kernels of cl/conv_tile.cl: which tiles, their text and their launch. */
#include "device/conv.h"

#include "device/gemm.h"
#include "device/tile.h"

#include <limits.h>

/* What a kernel reads, computes, and from which lines: y from x, or x from y. The result's pixels lie `step` apart in classes,
 * of which each has its own taps; pixel i of one reads pixel `read` i + d for the offset d of each tap. */
typedef struct reading {
    int height, width, channels, up;
    int out_height, out_width, outputs;
    int read, step, taps; /* most taps of a class */
} reading;

/* The offset of the result's line `first` at row `row` of the weights. The gradient adds up what has read the first or the
 * second (`half`) of a pixel's lines. False: that row reads between two lines. */
static bool offset_of(const fcl_conv_problem *p, int first, int half, int row, int *offset)
{
    int backward = p->upsample * first + half + p->padding - row;
    *offset = p->result == FCL_CONV_Y ? row - p->padding : backward / p->stride;
    return p->result == FCL_CONV_Y ? half == 0 : backward % p->stride == 0;
}

/* The offsets of a class are neighbours: returns how many, from *least on. */
static int offsets_of(const fcl_conv_problem *p, int first, int *least)
{
    int most = INT_MIN, offset;
    *least = INT_MAX;
    for (int half = 0; half < p->upsample; half++)
        for (int row = 0; row < p->side; row++) {
            if (!offset_of(p, first, half, row, &offset))
                continue;
            *least = offset < *least ? offset : *least;
            most = offset > most ? offset : most;
        }
    if (most < *least)
        *least = most = 0; /* the strided pixels between those that a kernel of one row reads */
    else
        return most - *least + 1;
    return 0;
}

static reading reading_of(const fcl_conv_problem *p)
{
    int least;
    reading r = {p->height, p->width, p->channels, p->upsample, p->out_height, p->out_width, p->outputs, p->stride, 1, 0};
    if (p->result == FCL_CONV_X)
        r = (reading){p->out_height, p->out_width, p->outputs, 1, p->height, p->width, p->channels, 1, 1, 0};
    if (p->result == FCL_CONV_X && p->upsample > p->stride)
        r.read = 2;
    if (p->result == FCL_CONV_X && p->upsample < p->stride)
        r.step = 2;
    for (int first = 0; first < r.step; first++) {
        int taps = offsets_of(p, first, &least);
        r.taps = taps > r.taps ? taps : r.taps;
    }
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

/* As many lines as the second cache keeps beside a panel; fewer where cores would idle, and then fewer panels. */
static void choose_block(const reading *r, int64_t images, int units, fcl_conv_tile *tile)
{
    enum { STRIP = 80 << 10 /* floats */, ITEMS = 4 /* of a core */ };
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

bool fcl_conv_tile_choose(const fcl_device *device, const fcl_conv_problem *p, fcl_conv_tile *tile)
{
    enum { PANEL = 2048, MOST = 24576 /* vectors of private memory: 1.5 MiB, for wide images */ };
    fcl_traits traits = fcl_device_traits(device);
    const fcl_device_info *info = fcl_device_describe(device);
    reading r = reading_of(p);
    *tile = (fcl_conv_tile){.part = r.taps};
    fcl_tile_registers(info, r.outputs, &tile->rows, &tile->vectors);
    while (tile->part > 1 && panel_vectors(&r, tile) > PANEL)
        tile->part--;
    choose_block(&r, (int64_t)p->batch * p->images, traits.units, tile);
    int64_t sums = tile->part < r.taps ? ((int64_t)tile->lines * r.out_width + tile->rows) * tile->vectors : 0;
    return p->result != FCL_CONV_W && traits.wide && fcl_gemm_has_tiles(info->type) &&
           strip_floats(&r, tile->lines) / 16 + panel_vectors(&r, tile) + sums <= MOST;
}

/* --- the text --- */

/* {taps, lines before, row, row, row, row, ...} for each class. */
static void add_classes(fcl_text *text, const fcl_conv_problem *p, const reading *r)
{
    fcl_text_add(text, "#define CONV_TABLE ");
    for (int first = 0; first < r->step; first++) {
        int least, offset, taps = offsets_of(p, first, &least);
        fcl_text_format(text, "{%d, %d", taps, -least);
        for (int tap = 0; tap < taps; tap++) {
            int rows = 0;
            for (int half = 0; half < p->upsample; half++)
                for (int row = 0; row < p->side; row++)
                    if (offset_of(p, first, half, row, &offset) && offset == least + tap)
                        fcl_text_format(text, ", %d", row), rows++;
            fcl_text_add(text, rows < 2 ? ", -1" : "");
        }
        fcl_text_add(text, "}, ");
    }
    fcl_text_add(text, "\n");
}

void fcl_conv_tile_source(fcl_text *text, const char *name, const fcl_conv_problem *p, const fcl_conv_tile *tile,
                          const char *params, const char *epilogue)
{
    const reading r = reading_of(p);
    const double bytes = sizeof(float) * (double)p->batch * p->images * r.out_height * r.out_width * r.outputs;
    const fcl_tile_number numbers[] = {
        {"CONV_ROWS", tile->rows},
        {"CONV_VECTORS", tile->vectors},
        {"CONV_PANELS", tile->panels},
        {"CONV_LINES", tile->lines},
        {"CONV_BLOCKS", fcl_tile_count(fcl_tile_count(r.out_height, r.step), tile->lines)},
        {"CONV_PART", tile->part},
        {"CONV_TAPS", r.taps},
        {"CONV_IN_HEIGHT", r.height},
        {"CONV_IN_WIDTH", r.width},
        {"CONV_IN_CHANNELS", r.channels},
        {"CONV_UP", r.up},
        {"CONV_OUT_HEIGHT", r.out_height},
        {"CONV_OUT_WIDTH", r.out_width},
        {"CONV_OUT_CHANNELS", r.outputs},
        {"CONV_READ", r.read},
        {"CONV_STEP", r.step},
        {"CONV_TURN", p->result == FCL_CONV_X},
        {"CONV_SHARE_IN", p->share[p->result == FCL_CONV_X ? FCL_CONV_Y : FCL_CONV_X]},
        {"CONV_SHARE_W", p->share[FCL_CONV_W]},
        {"CONV_SIDE", p->side},
        {"CONV_PAST", bytes >= FCL_PAST_CACHES},
        {0},
    };
    fcl_tile_define(text, numbers);
    fcl_tile_macro(text, "CONV_NAME", name);
    fcl_tile_macro(text, "CONV_PARAMS", params);
    fcl_tile_macro(text, "CONV_EPILOGUE", epilogue);
    fcl_text_format(text, "#define CONV_CLASSES %s_classes\n", name);
    add_classes(text, p, &r);
    fcl_tile_paste(text, "tile.h");
    fcl_tile_paste(text, "conv_tile.cl");
    fcl_tile_undefine(text, numbers);
}

void fcl_conv_tile_launch(fcl_launch *launch, const fcl_conv_problem *p, const fcl_conv_tile *tile, fcl_buffer *in,
                          fcl_buffer *w, fcl_buffer *out)
{
    const reading r = reading_of(p);
    int blocks = fcl_tile_count(fcl_tile_count(r.out_height, r.step), tile->lines);
    const size_t global[3] = {(size_t)fcl_tile_count(panels_of(&r, tile), tile->panels), (size_t)p->images * (size_t)blocks,
                              (size_t)p->batch * (size_t)(r.step * r.step)};
    fcl_launch_buffer(launch, 0, in);
    fcl_launch_buffer(launch, 1, w);
    fcl_launch_buffer(launch, 2, out);
    fcl_launch_int(launch, 3, p->images);
    fcl_launch_range(launch, 3, global, (size_t[3]){1, 1, 1});
}
