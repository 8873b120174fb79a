/* flowcl devices: every OpenCL device, why the default is taken, and the reason where one cannot be used. */
#include "terminal.h"
#include "tool.h"

#include <stdlib.h>
#include <string.h>

typedef struct devices_settings {
    bool json;
} devices_settings;

static const fcl_option table[] = {
    {"json", FCL_OPTION(devices_settings, json), .help = "print one JSON object instead of a table"},
    {0},
};

static const char *const type_names[] = {
    [FCL_DEVICE_CPU] = "cpu",
    [FCL_DEVICE_GPU] = "gpu",
    [FCL_DEVICE_ACCELERATOR] = "accelerator",
    [FCL_DEVICE_OTHER] = "other",
};

static int bind(fcl_options *options, void *settings)
{
    return fcl_options_add(options, table, settings);
}

/* --- for programs --- */

/* A driver may answer with bytes that are not UTF-8; the name is lost then, not the object. */
static json_t *text_or_null(const char *text)
{
    json_t *string = *text ? json_string(text) : NULL;
    return string ? string : json_null();
}

static json_t *device_json(const fcl_device_info *info)
{
    json_t *object = json_object();
    json_object_set_new(object, "id", json_string(info->id));
    json_object_set_new(object, "name", text_or_null(info->name));
    json_object_set_new(object, "platform", text_or_null(info->platform_name));
    json_object_set_new(object, "vendor", text_or_null(info->vendor));
    json_object_set_new(object, "type", json_string(type_names[info->type]));
    json_object_set_new(object, "version", text_or_null(info->device_version));
    json_object_set_new(object, "driver", text_or_null(info->driver));
    json_object_set_new(object, "memory_bytes", json_integer((json_int_t)info->memory));
    json_object_set_new(object, "max_allocation_bytes", json_integer((json_int_t)info->max_allocation));
    json_object_set_new(object, "local_memory_bytes", json_integer((json_int_t)info->local_memory));
    json_object_set_new(object, "cache_bytes", json_integer((json_int_t)info->cache));
    json_object_set_new(object, "compute_units", json_integer(info->compute_units));
    json_object_set_new(object, "most_parts", json_integer(info->most_parts));
    json_object_set_new(object, "vector_width", json_integer(info->vector_width));
    json_object_set_new(object, "clock_mhz", json_integer(info->clock_mhz));
    json_object_set_new(object, "unified_memory", json_boolean(info->unified_memory));
    json_object_set_new(object, "card", text_or_null(info->card));
    json_object_set_new(object, "usable", json_boolean(info->usable));
    json_object_set_new(object, "default", json_boolean(info->preferred));
    json_object_set_new(object, "why", text_or_null(info->why));
    json_object_set_new(object, "refused", text_or_null(info->refused));
    json_object_set_new(object, "warning", text_or_null(info->warning));
    json_object_set_new(object, "emulated", json_boolean(info->emulated));
    return object;
}

static int print_json(const fcl_device_info *list, int count)
{
    json_t *devices = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(devices, device_json(&list[i]));
    json_t *object = json_object();
    json_object_set_new(object, "devices", devices);
    return tool_print_json(object);
}

/* --- for people --- */

static void memory_text(uint64_t bytes, char *text, size_t size)
{
    double gibibytes = (double)bytes / (1 << 30);
    if (gibibytes >= 1)
        fcl_snprintf(text, size, "%.1f GiB", gibibytes);
    else
        fcl_snprintf(text, size, "%.0f MiB", gibibytes * 1024);
}

enum { INDENT = 8 };

static void print_device(const fcl_device_info *info)
{
    char memory[32], lanes[16] = "-";
    if (info->index < 0) {
        printf("  %-5s %s, %s\n%*s", info->id, info->platform_name, info->device_version, INDENT, "");
        terminal_printf_wrapped(INDENT, INDENT, "no device: %s", info->refused);
        return;
    }
    memory_text(info->memory, memory, sizeof memory);
    if (info->vector_width > 0)
        snprintf(lanes, sizeof lanes, "%d", info->vector_width);
    printf("%c %-5s %-11s  %10s  %5d  %6s  %s\n%*s", info->preferred ? '*' : ' ', info->id, type_names[info->type],
           memory, info->compute_units, lanes, info->usable ? "usable" : "refused", INDENT, "");
    terminal_printf_wrapped(INDENT, INDENT, "%s, %s, %s, driver %s", info->name, info->platform_name,
                            info->device_version, info->driver);
    if (info->preferred)
        terminal_printf_wrapped(0, INDENT, "%*sdefault: %s", INDENT, "", info->why);
    if (info->usable && info->most_parts)
        terminal_printf_wrapped(0, INDENT, "%*sdivides into up to %d equal parts: %s/2.0 is the first of 2", INDENT, "",
                                info->most_parts, info->id);
    if (!info->usable)
        terminal_printf_wrapped(0, INDENT, "%*srefused: %s", INDENT, "", info->refused);
    if (*info->warning)
        terminal_printf_wrapped(0, INDENT, "%*swarning: %s", INDENT, "", info->warning);
}

static void print_table(const fcl_device_info *list, int count)
{
    bool marked = false;
    printf("  %-5s %-11s  %10s  %5s  %6s\n", "P:D", "Type", "Memory", "Units", "Vector");
    for (int i = 0; i < count; i++) {
        print_device(&list[i]);
        marked |= list[i].preferred;
    }
    putchar('\n');
    terminal_print_wrapped(0, 0,
                           marked ? "* is taken where no device is named; choose another one with --device or "
                                    "$FLOWCL_DEVICE: P:D, cpu, gpu or a piece of a name, with /N.K for part K of N of it. "
                                    "Units: compute units. "
                                    "Vector: floats a lane group holds."
                                  : "No device is taken without being named: none is usable (install your card's "
                                    "driver, or pocl-opencl-icd to use the processor), or $FLOWCL_DEVICE names none "
                                    "of them.");
}

static int run(const tool_call *call)
{
    const devices_settings *settings = call->settings;
    fcl_device_info *list;
    int count;
    if (fcl_device_list(&list, &count) != FCL_OK)
        return tool_fail_library();
    int status = EXIT_DONE;
    if (settings->json)
        status = print_json(list, count);
    else if (count > 0)
        print_table(list, count);
    else
        puts("There is no OpenCL device. Install your graphics card's OpenCL driver, or\n"
             "pocl-opencl-icd to use the processor:\n    apt install pocl-opencl-icd");
    fcl_free(list);
    return status;
}

const subcommand devices_command = {
    .name = "devices",
    .usage = "[--json]",
    .summary = "list the OpenCL devices, which is taken, and why one cannot be used",
    .size = sizeof(devices_settings),
    .bind = bind,
    .run = run,
};
