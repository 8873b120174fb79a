/* The tile kernels of cl/conv_weight_tile.cl: which tiles, their text and their launch. */
#include "device/conv.h"

#include "device/gemm.h"
#include "device/tile.h"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Where y's channels would leave most of a vector empty, each stands for the other: the sums are the same, the taps
 * come the other way round, and y's channels before x's. */
static bool turns(const fcl_conv_problem *p)
{
    return p->outputs <= 8 && p->outputs < p->channels && p->stride == 1 && p->upsample == 1;
}

static fcl_conv_problem turned(const fcl_conv_problem *p)
{
    fcl_conv_problem other = *p;
    other.height = p->out_height, other.width = p->out_width, other.channels = p->outputs;
    other.out_height = p->height, other.out_width = p->width, other.outputs = p->channels;
    other.padding = p->side - 1 - p->padding;
    other.share[FCL_CONV_X] = p->share[FCL_CONV_Y];
    other.share[FCL_CONV_Y] = p->share[FCL_CONV_X];
    return other;
}

/* Floats of x that `lines` lines of pixels read, for one row of the kernel. */
static int64_t line_floats(const fcl_conv_problem *p, const fcl_conv_weight_tile *tile, int lines)
{
    return (int64_t)lines * ((p->out_width - 1) * p->stride + p->side) * tile->channels;
}

static int64_t sum_vectors(const fcl_conv_problem *p, const fcl_conv_weight_tile *tile)
{
    int tiles = fcl_tile_count(p->side * tile->channels, tile->rows);
    return (int64_t)p->side * tile->panels * tiles * tile->rows * tile->vectors;
}

static int room_of(const fcl_conv_problem *p, const fcl_conv_weight_tile *tile)
{
    int lines = (tile->lines - 1) * p->stride + p->side;
    int64_t panels = (int64_t)tile->panels * tile->lines * p->out_width * tile->vectors;
    return fcl_conv_room(line_floats(p, tile, lines) + tile->rows, panels + sum_vectors(p, tile));
}

/* Channels in equal blocks of at most `most`, and so many panels that the sums do not crowd the second cache. */
static void choose_block(const fcl_conv_problem *p, int most, fcl_conv_weight_tile *tile)
{
    enum { SUMS = 4096 /* vectors: 256 KiB */ };
    int all = fcl_tile_count(p->outputs, 16 * tile->vectors);
    tile->channels = fcl_tile_count(p->channels, fcl_tile_count(p->channels, most));
    tile->panels = all;
    while (tile->panels > 1 && sum_vectors(p, tile) > SUMS)
        tile->panels--;
    tile->panels = fcl_tile_count(all, fcl_tile_count(all, tile->panels));
}

/* Pixels that the first cache holds, of x and of one panel. */
static void choose_lines(const fcl_conv_problem *p, fcl_conv_weight_tile *tile)
{
    enum { FIRST = 6656 /* floats: 26 KiB */ };
    tile->lines = 1;
    while (tile->lines < p->out_height &&
           line_floats(p, tile, tile->lines + 1) + (int64_t)(tile->lines + 1) * p->out_width * 16 * tile->vectors <= FIRST)
        tile->lines++;
    tile->lines = fcl_tile_count(p->out_height, fcl_tile_count(p->out_height, tile->lines));
}

static int items_of(const fcl_conv_problem *p, const fcl_conv_weight_tile *tile)
{
    return fcl_tile_count(p->channels, tile->channels) * fcl_tile_count(fcl_tile_count(p->outputs, 16 * tile->vectors), tile->panels);
}

/* The share of the time in which the units have work, all of it alike. */
static double busy(int64_t count, int units)
{
    int64_t rounds = (count + units - 1) / units;
    return (double)count / (double)(rounds * units);
}

/* Some work for each unit, in equal shares: one more part would keep the others waiting for a round. */
static int choose_parts(int64_t items, int units)
{
    enum { ITEMS = 4 /* of a unit */, PARTS = 64 };
    const double gain = 1.03; /* what more parts are worth, which are memory, and are to be added */
    int least = (int)smaller((ITEMS * units + items - 1) / items, PARTS), parts = least;
    for (int more = least + 1; more <= 2 * least && more <= PARTS; more++)
        if (busy(items * more, units) > gain * busy(items * parts, units))
            parts = more;
    return parts;
}

static fcl_conv_weight_tile tile_of(const fcl_device_info *info, const fcl_conv_problem *p, int most_channels,
                                    bool turned)
{
    fcl_conv_weight_tile tile = {.turned = turned};
    fcl_tile_registers(info, p->outputs, &tile.rows, &tile.vectors);
    choose_block(p, most_channels, &tile);
    choose_lines(p, &tile);
    tile.room = room_of(p, &tile);
    return tile;
}

/* Where its kernel takes no more private memory. */
static void prefer(fcl_conv_weight_tile *tile, fcl_conv_weight_tile other)
{
    if (other.room > 0 && (tile->room == 0 || other.room <= tile->room))
        *tile = other;
}

/* A kernel of 1 x 1 does little with what a block copies: it takes more channels at once. */
bool fcl_conv_weight_choose(const fcl_device *device, const fcl_conv_problem *problem, fcl_conv_weight_tile *tile)
{
    enum { CHANNELS = 32, CHANNELS_OF_ONE = 128 };
    fcl_traits traits = fcl_device_traits(device);
    const fcl_device_info *info = fcl_device_describe(device);
    const fcl_conv_problem other = turned(problem);
    *tile = tile_of(info, problem, CHANNELS, false);
    if (problem->side == 1)
        prefer(tile, tile_of(info, problem, CHANNELS_OF_ONE, false));
    if (turns(problem))
        prefer(tile, tile_of(info, &other, CHANNELS, true));
    const fcl_conv_problem *p = tile->turned ? &other : problem;
    int64_t units = (int64_t)p->images * fcl_tile_count(p->out_height, tile->lines);
    tile->parts = (int)smaller(choose_parts((int64_t)items_of(p, tile) * p->batch, traits.units), units);
    return p->result == FCL_CONV_W && traits.wide && fcl_gemm_has_tiles(info->type) && tile->room > 0;
}

void fcl_conv_weight_source(fcl_text *text, const char *name, const fcl_conv_weight_tile *tile)
{
    const fcl_tile_number numbers[] = {
        {"CONV_ROWS", tile->rows},
        {"CONV_VECTORS", tile->vectors},
        {"CONV_ROOM", tile->room},
        {0},
    };
    fcl_tile_define(text, numbers);
    fcl_tile_kernel(text, "CONV", name, "");
    fcl_tile_paste(text, "tile.h");
    fcl_tile_paste(text, "conv_weight_tile.cl");
    fcl_tile_undefine(text, numbers);
}

static void set_sizes(fcl_launch *launch, const fcl_conv_problem *p, const fcl_conv_weight_tile *tile)
{
    const int x_size = p->images * p->height * p->width * p->channels;
    const int y_size = p->images * p->out_height * p->out_width * p->outputs;
    const int sizes[] = {p->images,
                         tile->parts,
                         tile->panels,
                         tile->channels,
                         tile->lines,
                         fcl_tile_count(p->out_height, tile->lines),
                         p->height,
                         p->width,
                         p->channels,
                         p->upsample,
                         p->out_height,
                         p->out_width,
                         p->outputs,
                         p->side,
                         p->stride,
                         p->padding,
                         p->share[FCL_CONV_X] ? 0 : x_size,
                         p->share[FCL_CONV_Y] ? 0 : y_size,
                         tile->turned};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        fcl_launch_int(launch, 3 + (int)i, sizes[i]);
}

void fcl_conv_weight_launch(fcl_launch *launch, const fcl_conv_problem *problem, const fcl_conv_weight_tile *tile,
                            fcl_buffer *x, fcl_buffer *y, fcl_buffer *w)
{
    const fcl_conv_problem other = turned(problem), *p = tile->turned ? &other : problem;
    const size_t global[3] = {(size_t)items_of(p, tile), (size_t)tile->parts, (size_t)p->batch};
    fcl_launch_buffer(launch, 0, tile->turned ? y : x);
    fcl_launch_buffer(launch, 1, tile->turned ? x : y);
    fcl_launch_buffer(launch, 2, w);
    set_sizes(launch, p, tile);
    fcl_launch_range(launch, 3, global, (size_t[3]){1, 1, 1});
}
