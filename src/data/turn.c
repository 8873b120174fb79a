/* EXIF's orientations (CIPA DC-008, Orientation): where the stored picture's first row and column are seen.
 */
#include "data/picture.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* The stored pixel that is seen in column x of row y: columns and rows are mirrored, then swapped. */
static const struct {
    bool mirror_x, mirror_y, swap;
} orientations[] = {
    {false, false, false}, /* 1: as it is */
    {true, false, false},  /* 2: mirrored */
    {true, true, false},   /* 3: by 180 degrees */
    {false, true, false},  /* 4: upside down */
    {false, false, true},  /* 5: rows are columns */
    {false, true, true},   /* 6: to be turned right */
    {true, true, true},    /* 7: both */
    {true, false, true},   /* 8: to be turned left */
};

int fcl_picture_turn(fcl_picture *picture, int orientation)
{
    if (orientation == 1)
        return FCL_OK;
    int from_width = picture->width, from_height = picture->height, channels = picture->channels;
    bool swap = orientations[orientation - 1].swap;
    int width = swap ? from_height : from_width, height = swap ? from_width : from_height;
    uint8_t *turned = malloc((size_t)width * (size_t)height * (size_t)channels);
    if (!turned)
        return fcl_fail(FCL_ERR_MEMORY, "no memory to turn a picture of %d x %d pixels", width, height);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            int column = swap ? y : x, row = swap ? x : y;
            if (orientations[orientation - 1].mirror_x)
                column = from_width - 1 - column;
            if (orientations[orientation - 1].mirror_y)
                row = from_height - 1 - row;
            memcpy(turned + ((size_t)y * (size_t)width + (size_t)x) * (size_t)channels,
                   picture->pixels + ((size_t)row * (size_t)from_width + (size_t)column) * (size_t)channels,
                   (size_t)channels);
        }
    }
    free(picture->pixels);
    picture->pixels = turned;
    picture->width = width;
    picture->height = height;
    return FCL_OK;
}
