#include "base/png.h"

#include "base/error.h"
#include "base/file.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>

typedef struct picture {
    const uint8_t *pixels;
    int width, height, channels;
    fcl_file file;
    char message[128]; /* libpng's complaint */
} picture;

static void on_error(png_structp png, png_const_charp message)
{
    picture *p = png_get_error_ptr(png);
    snprintf(p->message, sizeof p->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static void on_write(png_structp png, png_bytep bytes, png_size_t size)
{
    picture *p = png_get_io_ptr(png);
    fcl_file_write(&p->file, bytes, size); /* a failure is kept there and told by commit */
}

static void on_flush(png_structp png)
{
    (void)png;
}

/* Everything that libpng may leave by longjmp. No local variable changes after setjmp, so none is lost. */
static bool encode(picture *p, png_structp png, png_infop info)
{
    static const int colors[] = {0, PNG_COLOR_TYPE_GRAY, 0, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
    if (setjmp(png_jmpbuf(png)))
        return false;
    png_set_write_fn(png, p, on_write, on_flush);
    png_set_IHDR(png, info, (png_uint_32)p->width, (png_uint_32)p->height, 8, colors[p->channels],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < p->height; y++)
        png_write_row(png, p->pixels + (size_t)y * (size_t)p->width * (size_t)p->channels);
    png_write_end(png, info);
    return true;
}

int fcl_png_write(const char *path, const uint8_t *pixels, int width, int height, int channels)
{
    picture p = {.pixels = pixels, .width = width, .height = height, .channels = channels};
    FCL_TRY(fcl_file_create(path, &p.file));
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &p, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    bool encoded = info && encode(&p, png, info);
    png_destroy_write_struct(&png, &info);
    if (encoded)
        return fcl_file_commit(&p.file);
    fcl_file_abandon(&p.file);
    return fcl_fail(FCL_ERR_FILE, "cannot write %s: libpng says: %s", path,
                    p.message[0] ? p.message : "no memory");
}
