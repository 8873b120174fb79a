/* JPEG by libjpeg-turbo. */
#include "data/picture.h"

#include "base/error.h"

#include <jpeglib.h>
#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef struct decoding {
    struct jpeg_error_mgr manager; /* first: libjpeg knows no other place for ours */
    struct jpeg_decompress_struct jpeg;
    jmp_buf escape;
    const char *path;
    fcl_picture *picture;
    bool pixels;
    int orientation;
    int status; /* of ours, while libjpeg had no complaint */
    bool failed;
    char message[JMSG_LENGTH_MAX]; /* libjpeg's complaint */
} decoding;

static void give_up(j_common_ptr jpeg)
{
    decoding *d = (decoding *)(void *)jpeg->err;
    jpeg->err->format_message(jpeg, d->message);
    d->failed = true;
    longjmp(d->escape, 1);
}

/* Whole, but of a kind that libjpeg does not decode: of 12 bits, lossless. */
static bool is_foreign(int code)
{
    return code == JERR_BAD_PRECISION || code == JERR_SOF_UNSUPPORTED || code == JERR_NOTIMPL ||
           code == JERR_CONVERSION_NOTIMPL || code == JERR_ARITH_NOTIMPL;
}

/* libjpeg goes on with grey where data are damaged, and warns. What costs no pixel is none of our business.
 */
static bool is_damage(int code)
{
    return code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_JPEG_EOF ||
           code == JWRN_MUST_RESYNC || code == JWRN_ARITH_BAD_CODE || code == JWRN_BOGUS_PROGRESSION;
}

static void on_message(j_common_ptr jpeg, int level)
{
    if (level < 0 && is_damage(jpeg->err->msg_code))
        give_up(jpeg);
}

/* --- EXIF: a TIFF header and a list of tags, in either order of bytes --- */

typedef struct exif {
    const uint8_t *bytes;
    size_t size;
    bool little;
} exif;

static uint32_t number_at(const exif *e, size_t at, int bytes)
{
    uint32_t number = 0;
    for (int i = 0; i < bytes; i++)
        number = number << 8 | e->bytes[at + (size_t)(e->little ? bytes - 1 - i : i)];
    return number;
}

/* The orientation of the first list; 1 where there is none, or none that is one. */
static int orientation_in(const exif *e)
{
    enum { ENTRY = 12, TAG = 0x0112, SHORT = 3 };
    size_t at = number_at(e, 4, 4);
    if (at > e->size || e->size - at < 2)
        return 1;
    size_t entries = number_at(e, at, 2), room = (e->size - at - 2) / ENTRY;
    for (size_t i = 0; i < entries && i < room; i++) {
        size_t entry = at + 2 + i * ENTRY;
        if (number_at(e, entry, 2) != TAG || number_at(e, entry + 2, 2) != SHORT)
            continue;
        int value = (int)number_at(e, entry + 8, 2);
        return value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}

static int find_orientation(const struct jpeg_decompress_struct *jpeg)
{
    for (jpeg_saved_marker_ptr marker = jpeg->marker_list; marker; marker = marker->next) {
        if (marker->data_length < 6 + 8 || memcmp(marker->data, "Exif\0\0", 6) != 0)
            continue;
        exif e = {marker->data + 6, marker->data_length - 6, marker->data[6] == 'I'};
        if (memcmp(e.bytes, "II*\0", 4) == 0 || memcmp(e.bytes, "MM\0*", 4) == 0)
            return orientation_in(&e);
    }
    return 1;
}

/* --- decoding --- */

static int check_kind(const decoding *d)
{
    const struct jpeg_decompress_struct *jpeg = &d->jpeg;
    FCL_TRY(fcl_picture_check_size(d->path, jpeg->image_width, jpeg->image_height));
    if (jpeg->num_components == 4)
        return fcl_fail(FCL_ERR_FORMAT,
                        "%s is a %s JPEG, of colours for printing, which are not read: save it as RGB",
                        d->path, jpeg->jpeg_color_space == JCS_YCCK ? "YCCK" : "CMYK");
    if (jpeg->num_components != 1 && jpeg->num_components != 3)
        return fcl_fail(FCL_ERR_FORMAT, "%s is a JPEG of %d components; 1, grey, and 3, colours, are read",
                        d->path, jpeg->num_components);
    return FCL_OK;
}

static void read_header(decoding *d)
{
    fcl_picture *picture = d->picture;
    jpeg_save_markers(&d->jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&d->jpeg, TRUE);
    d->status = check_kind(d);
    d->orientation = find_orientation(&d->jpeg);
    picture->width = (int)d->jpeg.image_width;
    picture->height = (int)d->jpeg.image_height;
    picture->channels = d->jpeg.num_components;
    if (!d->pixels && d->orientation > 4) {
        picture->width = (int)d->jpeg.image_height;
        picture->height = (int)d->jpeg.image_width;
    }
}

static void read_pixels(decoding *d)
{
    fcl_picture *picture = d->picture;
    size_t row = (size_t)picture->width * (size_t)picture->channels;
    picture->pixels = malloc(row * (size_t)picture->height);
    if (!picture->pixels) {
        d->status = fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its %d x %d pixels", d->path, picture->width,
                             picture->height);
        return;
    }
    d->jpeg.out_color_space = picture->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    d->jpeg.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&d->jpeg);
    while (d->jpeg.output_scanline < d->jpeg.output_height) {
        JSAMPROW to = picture->pixels + d->jpeg.output_scanline * row;
        jpeg_read_scanlines(&d->jpeg, &to, 1);
    }
    jpeg_finish_decompress(&d->jpeg);
}

/* Everything that libjpeg may leave by longjmp: what changes after setjmp lies in *d, so none is lost. */
static void decode(decoding *d, FILE *file)
{
    if (setjmp(d->escape))
        return;
    jpeg_create_decompress(&d->jpeg);
    jpeg_stdio_src(&d->jpeg, file);
    read_header(d);
    if (d->status == FCL_OK && d->pixels)
        read_pixels(d);
}

int fcl_picture_read_jpeg(FILE *file, const char *path, bool pixels, fcl_picture *picture)
{
    decoding d = {.path = path, .picture = picture, .pixels = pixels};
    d.jpeg.err = jpeg_std_error(&d.manager);
    d.manager.error_exit = give_up;
    d.manager.emit_message = on_message;
    decode(&d, file);
    jpeg_destroy_decompress(&d.jpeg);
    if (d.failed)
        d.status = fcl_fail(FCL_ERR_FORMAT, "%s is %s: libjpeg says: %s", path,
                            is_foreign(d.manager.msg_code) ? "of a kind that is not read" : "damaged", d.message);
    if (d.status == FCL_OK && pixels)
        d.status = fcl_picture_turn(picture, d.orientation);
    if (d.status != FCL_OK) {
        free(picture->pixels);
        picture->pixels = NULL;
    }
    return d.status;
}
