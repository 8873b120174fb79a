/* In place of jpeg.c, where libjpeg-turbo is not there. */
#include "data/picture.h"

#include "base/error.h"

int fcl_picture_read_jpeg(FILE *file, const char *path, bool pixels, fcl_picture *picture)
{
    (void)file, (void)pixels, (void)picture;
    return fcl_fail(
        FCL_ERR_UNSUPPORTED,
        "%s is a JPEG, and this build reads none: build with libjpeg-turbo (-Djpeg=enabled), or save it "
        "as PNG",
        path);
}
