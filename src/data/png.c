/* PNG: every colour type, depth and interlacing, by libpng. */
#include "data/picture.h"

#include "base/error.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef struct decoding {
    FILE *file;
    const char *path;
    const uint8_t *background; /* NULL: the header alone */
    fcl_picture *picture;
    png_structp png;
    png_infop info;
    uint8_t *raw; /* (height, width, `samples`), where pixels have an alpha */
    png_bytep *rows;
    int samples;       /* of a pixel, as libpng hands it out: grey or RGB, and an alpha */
    int status;        /* of ours, while libpng had no complaint */
    char message[128]; /* libpng's complaint */
} decoding;

static void on_error(png_structp png, png_const_charp message)
{
    decoding *d = png_get_error_ptr(png);
    snprintf(d->message, sizeof d->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static void on_read(png_structp png, png_bytep to, png_size_t size)
{
    const decoding *d = png_get_io_ptr(png);
    if (fread(to, 1, size, d->file) != size)
        png_error(png, ferror(d->file) ? "the file cannot be read" : "the file is cut off");
}

static bool is_grey_palette(const decoding *d)
{
    png_colorp colour = NULL;
    int count = 0;
    png_get_PLTE(d->png, d->info, &colour, &count);
    for (int i = 0; i < count; i++)
        if (colour[i].red != colour[i].green || colour[i].red != colour[i].blue)
            return false;
    return true;
}

static void read_header(decoding *d)
{
    fcl_picture *picture = d->picture;
    png_read_info(d->png, d->info);
    int type = png_get_color_type(d->png, d->info);
    picture->width = (int)png_get_image_width(d->png, d->info);
    picture->height = (int)png_get_image_height(d->png, d->info);
    picture->clear = type & PNG_COLOR_MASK_ALPHA || png_get_valid(d->png, d->info, PNG_INFO_tRNS);
    bool grey = type == PNG_COLOR_TYPE_PALETTE ? is_grey_palette(d) : !(type & PNG_COLOR_MASK_COLOR);
    picture->channels = grey ? 1 : 3;
    d->status = fcl_picture_check_size(d->path, picture->width, picture->height);
}

/* Everything becomes 8 bits, of grey or RGB, with alpha where there is any. */
static void set_up(decoding *d)
{
    png_set_expand(d->png); /* palettes to RGB, 1, 2 and 4 bits to 8, tRNS to alpha */
    if (png_get_bit_depth(d->png, d->info) == 16)
        png_set_scale_16(d->png);
    png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
    d->samples = png_get_channels(d->png, d->info);
}

static int no_memory(const decoding *d)
{
    return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its %d x %d pixels", d->path, d->picture->width,
                    d->picture->height);
}

static bool allocate(decoding *d)
{
    size_t width = (size_t)d->picture->width, height = (size_t)d->picture->height;
    d->raw = malloc(width * height * (size_t)d->samples);
    d->rows = malloc(height * sizeof *d->rows);
    for (size_t y = 0; d->raw && d->rows && y < height; y++)
        d->rows[y] = d->raw + y * width * (size_t)d->samples;
    return d->raw && d->rows;
}

/* Everything that libpng may leave by longjmp: what changes after setjmp lies in *d, so none is lost. */
static bool decode(decoding *d)
{
    if (setjmp(png_jmpbuf(d->png)))
        return false;
    png_set_read_fn(d->png, d, on_read);
    png_set_user_limits(d->png, FCL_PICTURE_PIXELS, FCL_PICTURE_PIXELS);
    read_header(d);
    if (d->status != FCL_OK || !d->background)
        return true;
    set_up(d);
    if (!allocate(d)) {
        d->status = no_memory(d);
        return true;
    }
    png_read_image(d->png, d->rows);
    png_read_end(d->png, NULL); /* the last checksum */
    return true;
}

static uint8_t over(unsigned value, unsigned alpha, unsigned below)
{
    return (uint8_t)((value * alpha + below * (255 - alpha) + 127) / 255);
}

/* From what libpng hands out to the picture's channels, what can be seen through laid over the background. */
static void lay(const decoding *d, uint8_t *to)
{
    bool alpha = d->samples == 2 || d->samples == 4;
    int colours = d->samples - alpha, channels = d->picture->channels;
    int64_t pixels = (int64_t)d->picture->width * d->picture->height;
    for (int64_t p = 0; p < pixels; p++) {
        const uint8_t *pixel = d->raw + p * d->samples;
        for (int c = 0; c < channels; c++)
            *to++ = over(pixel[c < colours ? c : 0], alpha ? pixel[colours] : 255, d->background[c]);
    }
}

/* The pixels are the picture's from here on. */
static int finish(decoding *d)
{
    const uint8_t *below = d->background;
    fcl_picture *picture = d->picture;
    if (!below)
        return FCL_OK;
    if (picture->clear && (below[0] != below[1] || below[0] != below[2]))
        picture->channels = 3;
    if (d->samples == picture->channels) {
        picture->pixels = d->raw;
        d->raw = NULL;
        return FCL_OK;
    }
    picture->pixels = malloc((size_t)picture->width * (size_t)picture->height * (size_t)picture->channels);
    if (!picture->pixels)
        return no_memory(d);
    lay(d, picture->pixels);
    return FCL_OK;
}

int fcl_picture_read_png(FILE *file, const char *path, const uint8_t *background, fcl_picture *picture)
{
    decoding d = {.file = file, .path = path, .background = background, .picture = picture};
    d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, on_error, on_warning);
    d.info = d.png ? png_create_info_struct(d.png) : NULL;
    bool decoded = d.info && decode(&d);
    if (!decoded)
        d.status = d.message[0] ? fcl_fail(FCL_ERR_FORMAT, "%s is damaged: libpng says: %s", path, d.message)
                                : fcl_fail(FCL_ERR_MEMORY, "%s: no memory to read it", path);
    if (d.status == FCL_OK)
        d.status = finish(&d);
    png_destroy_read_struct(&d.png, &d.info, NULL);
    free(d.rows);
    free(d.raw);
    return d.status;
}
