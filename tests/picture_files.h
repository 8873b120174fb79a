/* Picture files for tests, written by libpng and libjpeg; a failure ends the program. */
#ifndef PICTURE_FILES_H
#define PICTURE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A PNG of any colour type, depth and interlacing. */
typedef struct png_file {
    int width, height, type, depth; /* type: PNG_COLOR_TYPE_... */
    bool interlaced;
    const uint16_t
        *samples; /* (height, width, samples of a pixel), each below 1 << depth; of palettes indices */
    int colours;  /* of the palette, 0: none */
    uint8_t palette[256][3];
    int clear_count; /* of the palette's first colours that have an alpha; of other types: 1, a key */
    uint8_t clear[256];
    uint16_t key[3]; /* of grey or RGB: the samples that are seen through */
} png_file;
void png_file_write(const char *path, const png_file *png);

/* 8 bits a channel, 1 or 3 channels. */
void png_write_plain(const char *path, int width, int height, int channels, const uint8_t *pixels);

/* pixels (height, width, channels), 1: grey, 3: RGB, 4: CMYK. `orientation` 0: no EXIF. `little`: its order
 * of bytes. */
void jpeg_write(const char *path, int width, int height, int channels, const uint8_t *pixels, int orientation,
                bool little);

#endif
