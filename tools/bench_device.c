/* flowcl bench-device: the process of one device. Obeys the commands that bench.h lists. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct bench_device_settings {
    fcl_device *device;
    bench_item items[BENCH_ITEMS_MOST];
    int count;
    bench_task *tasks[BENCH_ITEMS_MOST]; /* by their items; what is compared is open side by side */
    const char *selector;
} work;

/* Where drivers keep compiled kernels. */
static const char *const cache_variables[] = {"POCL_CACHE_DIR",        "CUDA_CACHE_PATH",
                                              "MESA_SHADER_CACHE_DIR", "NEO_CACHE_DIR",
                                              "AMD_COMGR_CACHE_DIR",   "cl_cache_dir"};

static json_t *failure(void)
{
    return json_pack("{s:s}", "failed", fcl_error());
}

/* --- the device --- */

static int open_device(work *w)
{
    fcl_device_options options = {.skip_selftest = true};
    return w->device ? FCL_OK : fcl_device_open(w->selector, &options, &w->device);
}

static json_t *describe_selftest(fcl_device *device)
{
    fcl_selftest_line *lines = NULL;
    int count = 0, worst = 0;
    bool passed = fcl_device_selftest(device, &lines, &count) == FCL_OK;
    const char *family = "";
    char detail[256] = "";
    double error = 0;
    for (int i = 0; i < count; i++) {
        if (!lines[i].passed && !detail[0])
            snprintf(detail, sizeof detail, "%s: %s", lines[i].family, lines[i].detail);
        worst = lines[i].error > lines[worst].error ? i : worst;
    }
    if (count) {
        family = lines[worst].family;
        error = lines[worst].error;
    }
    json_t *object = json_pack("{s:b, s:s, s:s}", "passed", passed, "worst_family", family, "detail", detail);
    json_object_set_new(object, "error", error < 1e300 ? json_real(error) : json_null());
    fcl_free(lines);
    return object;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_t *string = *text ? json_string(text) : NULL; /* what is not UTF-8 is left out */
    json_object_set_new(object, key, string ? string : json_null());
}

static json_t *describe(work *w)
{
    if (open_device(w) != FCL_OK)
        return failure();
    const fcl_device_info *info = fcl_device_describe(w->device);
    json_t *object = json_pack("{s:s, s:s, s:I, s:i}", "record", "device", "device", info->id, "memory_bytes",
                               (json_int_t)info->memory, "compute_units", info->compute_units);
    set_text(object, "name", info->name);
    set_text(object, "platform", info->platform_name);
    set_text(object, "vendor", info->vendor);
    set_text(object, "version", info->device_version);
    set_text(object, "driver", info->driver);
    set_text(object, "warning", info->warning);
    set_text(object, "flowcl", fcl_version());
    set_text(object, "clblast", fcl_clblast_version());
    json_object_set_new(object, "selftest", describe_selftest(w->device));
    return object;
}

static json_t *startup(work *w)
{
    double began = tool_now(), compile, step;
    if (open_device(w) != FCL_OK)
        return failure();
    double open = tool_now() - began;
    if (bench_first_step(w->device, &compile, &step) != FCL_OK)
        return failure();
    return json_pack("{s:f, s:f, s:f}", "open", open, "compile", compile, "step", step);
}

/* --- an item --- */

/* Where the task of the item is kept that the command's number names; NULL: there is no such item. */
static bench_task **task_of(work *w, const char *number)
{
    int index = atoi(number);
    return index >= 0 && index < w->count ? &w->tasks[index] : NULL;
}

static json_t *prepare(work *w, const char *argument)
{
    bench_task **task = task_of(w, argument);
    if (!task || *task)
        return json_pack("{s:s}", "failed", task ? "it is prepared already" : "no such item");
    const bench_item *item = &w->items[task - w->tasks];
    if (bench_task_create(w->device, item, strstr(argument, "quick") != NULL, task) != FCL_OK)
        return failure();
    return bench_task_plan(*task);
}

static json_t *repeat(work *w, const char *argument)
{
    bench_task **task = task_of(w, argument);
    if (!task || !*task)
        return json_pack("{s:s}", "failed", "it is not prepared");
    json_t *figures = json_object();
    if (bench_task_repeat(*task, figures) == FCL_OK)
        return figures;
    json_decref(figures);
    return failure();
}

/* The most memory that this process has had. */
static json_int_t process_memory(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (json_int_t)usage.ru_maxrss * 1024;
}

static json_t *finish(work *w, const char *argument)
{
    bench_task **task = task_of(w, argument);
    json_t *facts = json_pack("{s:I}", "process_bytes", process_memory());
    if (task && *task && bench_task_finish(*task, facts) != FCL_OK)
        json_object_set_new(facts, "failed", json_string(fcl_error()));
    return facts;
}

static json_t *close_all(work *w)
{
    for (int i = 0; i < w->count; i++)
        bench_task_destroy(&w->tasks[i]);
    return json_object();
}

static json_t *obey(work *w, const char *command)
{
    if (!strcmp(command, "startup"))
        return startup(w);
    if (!strcmp(command, "describe"))
        return describe(w);
    if (!strncmp(command, "prepare ", 8) && w->device)
        return prepare(w, command + 8);
    if (!strncmp(command, "repeat ", 7))
        return repeat(w, command + 7);
    if (!strncmp(command, "finish ", 7))
        return finish(w, command + 7);
    if (!strcmp(command, "close"))
        return close_all(w);
    return json_pack("{s:s}", "failed", "no such command");
}

static int serve(work *w)
{
    char *line = NULL;
    size_t room = 0;
    int status = EXIT_DONE;
    while (status == EXIT_DONE && getline(&line, &room, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        json_t *reply = obey(w, line);
        if (json_dumpf(reply, stdout, JSON_COMPACT) || putchar('\n') == EOF || fflush(stdout))
            status = EXIT_FAILED;
        json_decref(reply);
    }
    free(line);
    return status;
}

static int run(const tool_call *call)
{
    work *w = call->settings;
    w->selector = call->positional[0];
    for (size_t i = 0; call->count > 1 && i < sizeof cache_variables / sizeof *cache_variables; i++)
        setenv(cache_variables[i], call->positional[1], 1);
    w->count = bench_items(w->items);
    if (w->count < 0)
        return tool_fail_library();
    int status = serve(w);
    json_decref(close_all(w));
    fcl_device_close(&w->device);
    return status;
}

int bench_device_start(const char *selector, const char *cache, child_process *child)
{
    char *arguments[] = {"flowcl", "bench-device", (char *)selector, (char *)cache, NULL};
    return child_start(arguments, false, child);
}

static int bind(fcl_options *options, void *settings)
{
    (void)options, (void)settings;
    return FCL_OK;
}

const subcommand bench_device_command = {
    .name = "bench-device",
    .usage = "DEVICE [CACHE]",
    .summary = "the process of one device: started by bench, which speaks to it",
    .internal = true,
    .least = 1,
    .most = 2,
    .size = sizeof(work),
    .bind = bind,
    .run = run,
};
