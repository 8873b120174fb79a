#include "picture_files.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef FCL_HAS_JPEG
#include <jpeglib.h>
#endif

static int samples_of(int type)
{
    return type == PNG_COLOR_TYPE_PALETTE
               ? 1
               : (type & PNG_COLOR_MASK_COLOR ? 3 : 1) + (type & PNG_COLOR_MASK_ALPHA ? 1 : 0);
}

/* Samples of `depth` bits, the first in the highest; each row begins with a byte. */
static void pack_row(const png_file *png, int y, uint8_t *row)
{
    int count = png->width * samples_of(png->type);
    for (int i = 0; i < count; i++) {
        uint16_t value = png->samples[y * count + i];
        if (png->depth == 16) {
            row[2 * i] = (uint8_t)(value >> 8);
            row[2 * i + 1] = (uint8_t)value;
        } else {
            int bit = i * png->depth;
            row[bit / 8] |= (uint8_t)(value << (8 - png->depth - bit % 8));
        }
    }
}

static void set_colours(const png_file *png, png_structp writer, png_infop info)
{
    png_color palette[256];
    for (int i = 0; i < png->colours; i++)
        palette[i] = (png_color){png->palette[i][0], png->palette[i][1], png->palette[i][2]};
    if (png->colours)
        png_set_PLTE(writer, info, palette, png->colours);
    png_color_16 key = {.gray = png->key[0], .red = png->key[0], .green = png->key[1], .blue = png->key[2]};
    if (png->clear_count)
        png_set_tRNS(writer, info, png->colours ? png->clear : NULL, png->clear_count,
                     png->colours ? NULL : &key);
}

void png_file_write(const char *path, const png_file *png)
{
    FILE *file = fopen(path, "wb");
    png_structp writer = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(writer);
    size_t width = ((size_t)png->width * (size_t)samples_of(png->type) * (size_t)png->depth + 7) / 8;
    png_bytep *rows = calloc((size_t)png->height, sizeof *rows);
    for (int y = 0; y < png->height; y++) {
        rows[y] = calloc(1, width);
        pack_row(png, y, rows[y]);
    }
    if (!file || setjmp(png_jmpbuf(writer)))
        abort();
    png_init_io(writer, file);
    png_set_IHDR(writer, info, (unsigned)png->width, (unsigned)png->height, png->depth, png->type,
                 png->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    set_colours(png, writer, info);
    png_set_gAMA(writer, info, 0.7); /* nobody shall look at it */
    png_write_info(writer, info);
    png_write_image(writer, rows);
    png_write_end(writer, info);
    png_destroy_write_struct(&writer, &info);
    for (int y = 0; y < png->height; y++)
        free(rows[y]);
    free(rows);
    fclose(file);
}

void png_write_plain(const char *path, int width, int height, int channels, const uint8_t *pixels)
{
    size_t count = (size_t)width * (size_t)height * (size_t)channels;
    uint16_t *samples = calloc(count, sizeof *samples);
    for (size_t i = 0; i < count; i++)
        samples[i] = pixels[i];
    png_file_write(path, &(png_file){.width = width,
                                     .height = height,
                                     .type = channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
                                     .depth = 8,
                                     .samples = samples});
    free(samples);
}

#ifdef FCL_HAS_JPEG
static void write_exif(struct jpeg_compress_struct *jpeg, int orientation, bool little)
{
    static const uint8_t of_little[] = {
        'E',  'x', 'i',  'f',  0, 0, 'I', 'I', 42, 0, 8,   0, 0, 0, /* a list of 2 tags */
        2,    0,   0x0f, 0x01, 2, 0, 1,   0,   0,  0, 'x', 0, 0, 0, 0x12,
        0x01, 3,   0,    1,    0, 0, 0,   0,   0,  0, 0,   0, 0, 0, 0};
    static const uint8_t of_big[] = {'E', 'x',  'i',  'f', 0, 0, 'M', 'M', 0, 42,  0, 0, 0, 8,    0,
                                     2,   0x01, 0x0f, 0,   2, 0, 0,   0,   1, 'x', 0, 0, 0, 0x01, 0x12,
                                     0,   3,    0,    0,   0, 1, 0,   0,   0, 0,   0, 0, 0, 0};
    uint8_t exif[sizeof of_little];
    memcpy(exif, little ? of_little : of_big, sizeof exif);
    exif[little ? 36 : 37] = (uint8_t)orientation;
    jpeg_write_marker(jpeg, JPEG_APP0 + 1, exif, sizeof exif);
}

void jpeg_write(const char *path, int width, int height, int channels, const uint8_t *pixels, int orientation,
                bool little)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr manager;
    FILE *file = fopen(path, "wb");
    if (!file)
        abort();
    jpeg.err = jpeg_std_error(&manager);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = (unsigned)width;
    jpeg.image_height = (unsigned)height;
    jpeg.input_components = channels;
    jpeg.in_color_space = channels == 4 ? JCS_CMYK : channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    if (orientation)
        write_exif(&jpeg, orientation, little);
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row = (JSAMPROW)(pixels + (size_t)jpeg.next_scanline * (size_t)width * (size_t)channels);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    fclose(file);
}
#endif
