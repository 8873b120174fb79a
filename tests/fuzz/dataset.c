/* Throws bytes at the readers of data files: .npy, .npz, IDX and tables of text, plain and gzipped; tables also
 * with a column as their label. tools/sanitize.sh builds it, and runs it for a moment; for longer:
 *
 *     build-sanitize/tests/fuzz_dataset -max_total_time=60 -max_len=4096 CORPUS
 *
 * CORPUS is a folder, at best with a small file of each format in it. */
#include <flowcl/data.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/dev/shm/flowcl-fuzz-XXXXXX", path[64], table[64]; /* in memory */

static void remove_files(void)
{
    unlink(path);
    unlink(table);
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
    snprintf(table, sizeof table, "%s/input.csv", folder);
    atexit(remove_files);
    return 0;
}

static void check(const fcl_dataset *dataset)
{
    int64_t size = dataset->count * fcl_shape_size(dataset->shape);
    double sum = 0;
    for (int64_t i = 0; i < size; i++)
        sum += dataset->values ? (double)dataset->values[i] : dataset->bytes[i];
    for (int64_t i = 0; dataset->label && i < dataset->count; i++) {
        if (dataset->label[i] < 0 || dataset->label[i] >= dataset->classes)
            abort();
    }
    for (int k = 0; dataset->class_name && k < dataset->classes; k++) {
        if (!*dataset->class_name[k])
            abort();
    }
    if (size < 1 || sum != sum)
        abort();
}

static void open_as(const char *name, const char *label)
{
    fcl_dataset *dataset;
    if (fcl_dataset_open(name, &(fcl_dataset_options){.label_column = label}, &dataset) == FCL_OK)
        check(dataset);
    else if (dataset || !*fcl_error())
        abort();
    fcl_dataset_destroy(&dataset);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    bool text = size > 0 && memchr("\x93P\x1f\0", bytes[0], 4) == NULL;
    const char *name = text ? table : path;
    FILE *file = fopen(name, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
    open_as(name, NULL);
    if (text)
        open_as(name, "2");
    return 0;
}
