/* What is done with picture files: options, and their texts. */
#include "data/pictures.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ROW(member) FCL_OPTION(fcl_image_options, member)

const fcl_option fcl_image_table[] = {
    {"image-size", ROW(size), .placeholder = "N", .group = "Picture files",
     .help = "bring pictures of a folder to N x N, or HxW, height by width: cropped at the centre, averaged "
             "or enlarged"},
    {"background", ROW(background), .placeholder = "COLOUR",
     .help =
         "what lies below pixels that can be seen through: white, black, grey, or #rrggbb; without it white"},
    {"label-file", ROW(label_file), .placeholder = "FILE",
     .help = "a table of text with the columns \"file\" and \"label\": the classes of a folder's pictures; "
             "without it its "
             "subfolders are; of .npy data a .npy or .npz with a label of each sample"},
    {"skip-damaged", ROW(skip_damaged), .help = "leave pictures of a folder away that cannot be read"},
    {0},
};

/* A side of a picture, whole. */
static int read_side(const char *text, const char **end)
{
    enum { MOST = 16384 };
    char *after;
    long side = *text >= '0' && *text <= '9' ? strtol(text, &after, 10) : 0;
    *end = side >= 1 && side <= MOST ? after : text;
    return (int)side;
}

int fcl_image_size(const char *text, int *height, int *width)
{
    const char *end;
    *height = *width = 0;
    if (!text)
        return FCL_OK;
    *height = *width = read_side(text, &end);
    if (end != text && *end == 'x') {
        const char *second = end + 1;
        *width = read_side(second, &end);
        end = end == second ? text : end;
    }
    return end != text && !*end
               ? FCL_OK
               : fcl_fail(FCL_ERR_ARGUMENT,
                          "image-size: \"%s\" is not usable: expected N, or height and width as "
                          "24x32, each from 1 to 16384",
                          text);
}

const char *fcl_image_way(const fcl_dataset_options *options)
{
    return options->mask ? "by the nearest pixel, or where smaller by all that a pixel covers" : "averaged or enlarged";
}

int fcl_image_channels(const fcl_dataset_options *options, int own)
{
    bool known = options->like.rank == 3 && (options->like.dim[0] == 1 || options->like.dim[0] == 3);
    return known ? (int)options->like.dim[0] : own;
}

const char *fcl_image_below(const fcl_dataset_options *options)
{
    const char *given = options->image.background ? options->image.background : options->background_guess;
    return given ? given : "white";
}

int fcl_image_background(const char *text, uint8_t colour[3])
{
    static const struct {
        const char *name;
        uint8_t value;
    } names[] = {{"white", 255}, {"black", 0}, {"grey", 128}, {"gray", 128}};
    char *end = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        memset(colour, names[i].value, 3);
        if (strcasecmp(text, names[i].name) == 0)
            return FCL_OK;
    }
    bool hexadecimal = text[0] == '#' && strlen(text) == 7 && strspn(text + 1, "0123456789abcdefABCDEF") == 6;
    unsigned long value = hexadecimal ? strtoul(text + 1, &end, 16) : 0;
    for (int c = 0; c < 3; c++)
        colour[c] = (uint8_t)(value >> (8 * (2 - c)));
    return hexadecimal
               ? FCL_OK
               : fcl_fail(FCL_ERR_ARGUMENT,
                          "background: \"%s\" is not usable: expected white, black, grey, or #rrggbb", text);
}
