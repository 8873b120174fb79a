/* A picture of a file: PNG or JPEG, told apart by content. */
#ifndef DATA_PICTURE_H
#define DATA_PICTURE_H

#include <flowcl/base.h>
#include <stdio.h>

typedef struct fcl_picture {
    int width, height; /* as it is looked at: what a JPEG's EXIF orientation turns is turned */
    int channels;      /* 1: grey; 3: RGB */
    bool clear;        /* it has pixels that can be seen through; they lie over the background */
    uint8_t *pixels;   /* (height, width, channels), released by free; NULL where only the header was read */
} fcl_picture;

/* Whether a file that begins with these `size` bytes is one. */
bool fcl_picture_is_png(const uint8_t *head, size_t size);
bool fcl_picture_is_jpeg(const uint8_t *head, size_t size);

/* Reads the file. Samples of 16 bits are rounded to 8, fewer bits are spread to 0 to 255, palettes are looked
 * up; colours are not corrected (gAMA, iCCP). `background` (3) is what lies below; NULL: the header alone is
 * read. *picture is nothing where the file is neither PNG nor JPEG: FCL_OK, with a width of 0. FCL_ERR_FILE;
 * FCL_ERR_FORMAT: it is damaged, or of a kind that is not read, or its name says that it is what it is not.
 */
int fcl_picture_read(const char *path, const uint8_t *background, fcl_picture *picture);

/* Nobody's picture has more: a header that lies claims no memory. */
enum { FCL_PICTURE_PIXELS = 1 << 28 };
/* FCL_ERR_FORMAT where it claims more. */
int fcl_picture_check_size(const char *path, double width, double height);

/* --- png.c, jpeg.c: a file from its beginning --- */

int fcl_picture_read_png(FILE *file, const char *path, const uint8_t *background, fcl_picture *picture);
int fcl_picture_read_jpeg(FILE *file, const char *path, bool pixels, fcl_picture *picture);

/* --- turn.c: EXIF's orientations --- */

/* From `orientation`, 1 to 8, to upright. FCL_ERR_MEMORY. */
int fcl_picture_turn(fcl_picture *picture, int orientation);

/* --- fit.c: other sizes --- */

/* The part of a picture that is shown at another aspect ratio: as much as there is, around the centre. */
typedef struct fcl_crop {
    int x, y, width, height;
} fcl_crop;
fcl_crop fcl_picture_crop(int width, int height, int to_width, int to_height);

/* Brings it to (channels, height, width), planes one after the other: cropped; where it becomes smaller each
 * pixel is the mean of the area that it covers, where larger by Lanczos' kernel of three lobes, along each
 * side by itself, in the values as they are stored. Where `channels` is 3 grey becomes colour; where it is 1
 * colour becomes grey, in place: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). FCL_ERR_MEMORY. */
int fcl_picture_fit(fcl_picture *picture, int channels, int height, int width, uint8_t *planes);

/* The same of a mask, in which 0 is unlike all else: where it becomes larger by the nearest pixel, where smaller by the
 * largest number of those that a pixel covers. */
void fcl_picture_fit_mask(fcl_picture *picture, int channels, int height, int width, uint8_t *planes);

#endif
