/* Throws bytes at the readers of picture files, PNG and JPEG, and at their EXIF. tools/sanitize.sh builds it,
 * and runs it for a moment; for longer:
 *
 *     build-sanitize/tests/fuzz_picture -max_total_time=60 -max_len=4096 CORPUS
 *
 * CORPUS is a folder, at best with a small file of each kind in it. The first byte tells which kind the
 * others are. */
#include <flowcl/data.h>
#include "data/picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/dev/shm/flowcl-fuzz-XXXXXX", path[64]; /* in memory */

static void remove_files(void)
{
    unlink(path);
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    if (!mkdtemp(folder))
        abort();
    snprintf(path, sizeof path, "%s/input", folder);
    atexit(remove_files);
    return 0;
}

/* What the header says is what is there. */
static void check(const fcl_picture *head, fcl_picture *picture)
{
    uint8_t small[3 * 4 * 4];
    int64_t size = (int64_t)picture->width * picture->height * picture->channels;
    unsigned sum = 0;
    if (!picture->pixels || head->width != picture->width || head->height != picture->height)
        abort();
    for (int64_t i = 0; i < size; i++)
        sum += picture->pixels[i];
    if (sum > 255u * (uint64_t)size || fcl_picture_fit(picture, 3, 4, 4, small) != FCL_OK ||
        fcl_picture_fit(picture, 1, 4, 4, small) != FCL_OK)
        abort();
}

static void write_input(const uint8_t *bytes, size_t size)
{
    static const char *const begins[] = {"", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "\xff\xd8\xff\xe1"};
    static const size_t lengths[] = {0, 16, 4};
    size_t kind = size ? bytes[0] % 3 : 0;
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(begins[kind], 1, lengths[kind], file) != lengths[kind] ||
        fwrite(bytes + (size > 0), 1, size - (size > 0), file) != size - (size > 0) || fclose(file) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const uint8_t white[3] = {255, 255, 255};
    fcl_picture head, picture = {0};
    write_input(bytes, size);
    int looked = fcl_picture_read(path, NULL, &head);
    int status =
        looked == FCL_OK && (int64_t)head.width * head.height <= 1 << 20 /* larger ones take their time */
            ? fcl_picture_read(path, white, &picture)
            : looked;
    if (status == FCL_OK && picture.width)
        check(&head, &picture);
    else if (status != FCL_OK && (picture.pixels || !*fcl_error()))
        abort();
    free(picture.pixels);
    return 0;
}
