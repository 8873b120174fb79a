/* Which set holds the pictures that are kept for tests. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* CIFAR-10's folder. */
static char *inside(const char *data)
{
    char *path = NULL, *first = NULL;
    if (asprintf(&path, "%s/test_batch.bin", data) < 0 || asprintf(&first, "%s/data_batch_1.bin", data) < 0)
        abort();
    bool both = access(path, R_OK) == 0 && access(first, R_OK) == 0;
    free(first);
    if (both)
        return path;
    free(path);
    return NULL;
}

/* MNIST's files: "train-images-idx3-ubyte" beside "t10k-images-idx3-ubyte". */
static char *beside(const char *data)
{
    const char *slash = strrchr(data, '/'), *name = slash ? slash + 1 : data;
    char *path = NULL;
    if (strncmp(name, "train-", strlen("train-")) != 0)
        return NULL;
    if (asprintf(&path, "%.*st10k-%s", (int)(name - data), data, name + strlen("train-")) < 0)
        abort();
    if (access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

char *tool_test_part(const char *data)
{
    char *name = NULL;
    if (!fcl_dataset_is_builtin(data) && (name = inside(data)))
        return name;
    if (!fcl_dataset_is_builtin(data))
        return beside(data);
    if (asprintf(&name, "%s-test", data) < 0)
        abort();
    if (fcl_dataset_is_builtin(name))
        return name;
    free(name);
    return NULL;
}
