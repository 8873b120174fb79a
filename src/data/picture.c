#include "data/picture.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <string.h>

bool fcl_picture_is_png(const uint8_t *head, size_t size)
{
    return size >= 4 && memcmp(head, "\x89PNG", 4) == 0;
}

bool fcl_picture_is_jpeg(const uint8_t *head, size_t size)
{
    return size >= 3 && memcmp(head, "\xff\xd8\xff", 3) == 0;
}

int fcl_picture_check_size(const char *path, double width, double height)
{
    return width * height <= FCL_PICTURE_PIXELS
               ? FCL_OK
               : fcl_fail(FCL_ERR_FORMAT, "%s claims %.0f x %.0f pixels; at most %d are read", path, width,
                          height, FCL_PICTURE_PIXELS);
}

/* Who calls a file a picture wants to know that it is none. */
static int check_name(const char *path)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (fcl_file_ends_with(path, endings[i]))
            return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: its content is neither PNG nor JPEG", path);
    return FCL_OK;
}

int fcl_picture_read(const char *path, const uint8_t *background, fcl_picture *picture)
{
    uint8_t head[8];
    *picture = (fcl_picture){0};
    FILE *file = fopen(path, "rb");
    if (!file)
        return fcl_fail(FCL_ERR_FILE, "cannot open %s: %s", path, strerror(errno));
    size_t got = fread(head, 1, sizeof head, file);
    int status = FCL_OK;
    if (ferror(file))
        status = fcl_fail(FCL_ERR_FILE, "cannot read %s: %s", path, strerror(errno));
    rewind(file);
    if (status == FCL_OK && fcl_picture_is_png(head, got))
        status = fcl_picture_read_png(file, path, background, picture);
    else if (status == FCL_OK && fcl_picture_is_jpeg(head, got))
        status = fcl_picture_read_jpeg(file, path, background != NULL, picture);
    else if (status == FCL_OK)
        status = check_name(path);
    fclose(file);
    return status;
}
