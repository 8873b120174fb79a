/* Throws bytes at the readers of data files: .npy, .npz, IDX plain and gzipped, and, where the first byte
 * says so, .csv. tools/sanitize.sh builds it, and runs it for a moment; for longer:
 *
 *     build-sanitize/tests/fuzz_dataset -max_total_time=60 -max_len=4096 CORPUS
 *
 * CORPUS is a folder, at best with a small file of each format in it. */
#include <flowcl/data.h>
#include <stdio.h>
#include <stdlib.h>
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
    if (size < 1 || sum != sum)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *name = size > 0 && bytes[0] >= ' ' && bytes[0] < 'P' ? table : path;
    FILE *file = fopen(name, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
    fcl_dataset *dataset;
    if (fcl_dataset_open(name, NULL, &dataset) == FCL_OK)
        check(dataset);
    else if (dataset || !*fcl_error())
        abort();
    fcl_dataset_destroy(&dataset);
    return 0;
}
