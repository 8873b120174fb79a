/* CIFAR-10's binary version (Krizhevsky 2009): records of a label and 3072 bytes, the planes of 32 x 32 red,
 * green and blue values. data_batch_1.bin to data_batch_5.bin of a folder are one set, or a file is;
 * batches.meta.txt beside them names the classes. */
#include "data/reader.h"

#include "base/error.h"
#include "base/gzip.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE, RECORD = 1 + PIXELS, CLASSES = 10 };

static char *batch_path(const char *folder, int number)
{
    return fcl_format("%s/data_batch_%d.bin", folder, number);
}

static bool exists(char *path)
{
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

bool fcl_dataset_is_cifar(const char *folder)
{
    return exists(batch_path(folder, 1));
}

static int check(const char *path, const uint8_t *bytes, size_t size)
{
    if (size == 0 || size % RECORD != 0)
        return fcl_fail(FCL_ERR_FORMAT,
                        "%s is no batch of CIFAR-10: its %zu bytes are no whole number of records of %d",
                        path, size, RECORD);
    for (size_t at = 0; at < size; at += RECORD)
        if (bytes[at] >= CLASSES)
            return fcl_fail(FCL_ERR_FORMAT,
                            "%s is no batch of CIFAR-10: the label of its record %zu is %d, not 0 to 9", path,
                            at / RECORD, bytes[at]);
    return FCL_OK;
}

static int append(fcl_dataset *dataset, const uint8_t *records, size_t count)
{
    size_t before = (size_t)dataset->count, after = before + count;
    uint8_t *bytes = realloc(dataset->bytes, after * PIXELS);
    dataset->bytes = bytes ? bytes : dataset->bytes;
    int32_t *label = realloc(dataset->label, after * sizeof *label);
    dataset->label = label ? label : dataset->label;
    if (!bytes || !label)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for %zu pictures of CIFAR-10", after);
    for (size_t i = 0; i < count; i++) {
        label[before + i] = records[i * RECORD];
        memcpy(bytes + (before + i) * PIXELS, records + i * RECORD + 1, PIXELS);
    }
    dataset->count = (int64_t)after;
    return FCL_OK;
}

static int read_batch(const char *path, fcl_dataset *dataset)
{
    uint8_t *bytes;
    size_t size;
    FCL_TRY(fcl_gzip_read_all(path, &bytes, &size));
    int status = check(path, bytes, size);
    if (status == FCL_OK)
        status = append(dataset, bytes, size / RECORD);
    free(bytes);
    return status;
}

/* Ten lines, a name each; else classes are numbers. */
static void read_names(const char *folder, fcl_dataset *dataset)
{
    char *path = fcl_format("%s/batches.meta.txt", folder), line[64], *names[CLASSES] = {0};
    FILE *file = fopen(path, "r");
    int count = 0;
    while (file && count < CLASSES && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line)
            names[count++] = fcl_strdup(line);
    }
    if (count == CLASSES) {
        dataset->class_name = fcl_zalloc(sizeof names);
        memcpy(dataset->class_name, names, sizeof names);
    }
    for (int i = 0; i < count && count < CLASSES; i++)
        free(names[i]);
    if (file)
        fclose(file);
    free(path);
}

static void finish(const fcl_reading *reading, const char *folder, fcl_dataset *dataset)
{
    const char *column = reading->options->label_column;
    dataset->shape = FCL_SHAPE(3, SIDE, SIDE);
    dataset->scale = FCL_PICTURE_SCALE;
    dataset->shift = FCL_PICTURE_SHIFT;
    dataset->full_range = true;
    if (reading->options->unlabeled || (column && strcmp(column, FCL_NO_LABEL) == 0)) {
        free(dataset->label);
        dataset->label = NULL;
        return;
    }
    dataset->classes = CLASSES;
    read_names(folder, dataset);
}

int fcl_dataset_read_cifar(const fcl_reading *reading, fcl_dataset *dataset)
{
    FCL_TRY(read_batch(reading->path, dataset));
    const char *slash = strrchr(reading->path, '/');
    char *folder = slash ? fcl_format("%.*s", (int)(slash - reading->path), reading->path) : fcl_strdup(".");
    finish(reading, folder, dataset);
    dataset->note = fcl_strdup("a batch of CIFAR-10");
    free(folder);
    return FCL_OK;
}

int fcl_dataset_read_cifar_folder(const fcl_reading *reading, fcl_dataset *dataset)
{
    int batch = 1, status = FCL_OK;
    for (; status == FCL_OK && exists(batch_path(reading->path, batch)); batch++) {
        char *path = batch_path(reading->path, batch);
        status = read_batch(path, dataset);
        free(path);
    }
    FCL_TRY(status);
    finish(reading, reading->path, dataset);
    dataset->note = fcl_format("CIFAR-10's data_batch_1.bin to data_batch_%d.bin", batch - 1);
    return FCL_OK;
}
