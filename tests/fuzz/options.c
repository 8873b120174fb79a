/* Throws bytes at the readers of options: as a YAML file, as JSON, and as the text of every option. Whatever
 * was taken must come back the same from what is written. Built as fuzz/dataset.c is:
 *
 *     build-sanitize/tests/fuzz_options -max_total_time=60 -max_len=200 CORPUS */
#include <flowcl/options.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct fuzz_options {
    int width;
    int64_t steps;
    uint64_t seed;
    float clip;
    double tolerance;
    bool resume;
    fcl_toggle ema;
    const char *solver, *name;
} fuzz_options;

static const char *solver_name(int index)
{
    static const char *const names[] = {"euler", "rk4", NULL};
    return names[index];
}

static const fcl_option table[] = {
    {"width", FCL_OPTION(fuzz_options, width), .minimum = 1, .maximum = 100, .fallback = "5"},
    {"steps", FCL_OPTION(fuzz_options, steps)},
    {"seed", FCL_OPTION(fuzz_options, seed)},
    {"clip", FCL_OPTION(fuzz_options, clip), .flags = FCL_OPTION_CAN_BE_OFF, .fallback = "1"},
    {"tolerance", FCL_OPTION(fuzz_options, tolerance)},
    {"resume", FCL_OPTION(fuzz_options, resume)},
    {"ema", FCL_OPTION(fuzz_options, ema), .fallback = "yes"},
    {"solver", FCL_OPTION(fuzz_options, solver), .choice = solver_name},
    {"name", FCL_OPTION(fuzz_options, name)},
    {0},
};

static char path[] = "/dev/shm/flowcl-fuzz-XXXXXX"; /* in memory */

static void remove_file(void)
{
    unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    int descriptor = mkstemp(path);
    if (descriptor < 0)
        abort();
    close(descriptor);
    atexit(remove_file);
    return 0;
}

static void write_file(const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static fcl_options *bind(fuzz_options *values)
{
    *values = (fuzz_options){0};
    fcl_options *options = fcl_options_create();
    if (fcl_options_add(options, table, values) != FCL_OK)
        abort();
    return options;
}

/* `json` is what `options` has; the YAML and the JSON written from it must give it again. */
static void check_written(const fcl_options *options, const char *json)
{
    fuzz_options values;
    char *yaml = fcl_options_to_yaml(options);
    write_file(yaml, strlen(yaml));
    for (int way = 0; way < 2; way++) {
        fcl_options *again = bind(&values);
        int status = way ? fcl_options_read_json(again, json) : fcl_options_read_yaml(again, path);
        char *same = fcl_options_to_json(again);
        if (status != FCL_OK || strcmp(same, json) != 0)
            abort();
        fcl_free(same);
        fcl_options_destroy(&again);
    }
    fcl_free(yaml);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_options values;
    fcl_options *options = bind(&values);
    char *text = calloc(size + 1, 1);
    if (size)
        memcpy(text, bytes, size);
    write_file(bytes, size);
    fcl_options_read_yaml(options, path);
    fcl_options_read_json(options, text);
    for (const fcl_option *row = table; row->key; row++)
        fcl_options_set(options, row->key, text, FCL_FROM_FILE);
    if (fcl_options_check(table, &values) != FCL_OK)
        abort();
    char *json = fcl_options_to_json(options);
    check_written(options, json);
    fcl_free(json);
    free(text);
    fcl_options_destroy(&options);
    return 0;
}
