/* PNG pictures of 8 bits a channel. */
#ifndef BASE_PNG_H
#define BASE_PNG_H

#include <flowcl/base.h>

/* Writes `pixels` (height, width, channels): 1 channel grey, 3 RGB, 4 RGBA. */
int fcl_png_write(const char *path, const uint8_t *pixels, int width, int height, int channels);

#endif
