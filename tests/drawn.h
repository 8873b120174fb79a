/* Pictures that were drawn, as tests look at them. */
#ifndef TESTS_DRAWN_H
#define TESTS_DRAWN_H

#include "status.h"

#include <png.h>
#include <stdlib.h>

typedef struct picture {
    int width, height;
    uint8_t *rgb;
} picture;

/* rgb is released by free. */
static inline picture read_picture(const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_file(&image, path));
    image.format = PNG_FORMAT_RGB;
    picture p = {(int)image.width, (int)image.height, malloc(PNG_IMAGE_SIZE(image))};
    assert_true(png_image_finish_read(&image, NULL, p.rgb, 0, NULL));
    return p;
}

#endif
