/* flowcl info: what a checkpoint holds. */
#include "terminal.h"
#include "tool.h"

#include <inttypes.h>
#include <string.h>

typedef struct info_settings {
    fcl_foreign_options foreign;
    bool json;
} info_settings;

static const fcl_option table[] = {
    {"json", FCL_OPTION(info_settings, json), .help = "print one JSON object instead of a text"},
    {0},
};

static int bind(fcl_options *options, void *values)
{
    info_settings *settings = values;
    int status = fcl_options_add(options, table, settings);
    return status ? status : fcl_options_add(options, fcl_foreign_table, &settings->foreign);
}

static bool is_weight(const fcl_checkpoint_tensor *tensor)
{
    return strncmp(tensor->name, "ema.", 4) && strncmp(tensor->name, "adam.", 5);
}

static json_t *numbers_json(int64_t count, const double *numbers)
{
    json_t *list = json_array();
    for (int64_t k = 0; k < count; k++)
        json_array_append_new(list, json_real(numbers[k]));
    return list;
}

static json_t *normalisation_json(const fcl_normalisation *by)
{
    json_t *object = json_object();
    json_object_set_new(object, "centre", numbers_json(by->count, by->centre));
    json_object_set_new(object, "scale", numbers_json(by->count, by->scale));
    if (by->low < by->high)
        json_object_set_new(object, "range", json_pack("[ff]", by->low, by->high));
    return object;
}

static json_t *counts_json(const fcl_checkpoint_info *info)
{
    json_t *counts = json_array();
    for (int k = 0; k < info->classes; k++)
        json_array_append_new(counts, json_integer(info->class_counts[k]));
    return counts;
}

static void add_text(json_t *object, const char *key, const char *text)
{
    if (text)
        json_object_set_new(object, key, tool_text_json(text));
}

static json_t *names_json(const fcl_checkpoint_info *info)
{
    json_t *names = json_array();
    for (int k = 0; k < info->classes; k++)
        json_array_append_new(names, json_string(info->class_names[k]));
    return names;
}

static json_t *averages_json(const fcl_checkpoint_info *info)
{
    json_t *averages = json_array();
    for (int i = 0; i < info->average_count; i++)
        json_array_append_new(averages, json_string(info->averages[i]));
    return averages;
}

static int print_json(const fcl_checkpoint_info *info)
{
    json_t *tensors = json_array();
    for (int i = 0; i < info->tensor_count; i++) {
        json_t *tensor = json_object();
        json_object_set_new(tensor, "name", tool_text_json(info->tensors[i].name));
        json_object_set_new(tensor, "shape", tool_shape_json(info->tensors[i].shape));
        json_array_append_new(tensors, tensor);
    }
    json_t *config = json_loads(info->config, 0, NULL); /* it has the seed, too */
    json_t *object = json_object();
    json_object_set_new(object, "checkpoint", tool_text_json(info->path));
    json_object_set_new(object, "step", json_integer(info->step));
    json_object_set_new(object, "parameters", json_integer(info->parameters));
    json_object_set_new(object, "sample_shape", tool_shape_json(info->sample));
    json_object_set_new(object, "classes", json_integer(info->classes));
    if (info->class_counts)
        json_object_set_new(object, "class_counts", counts_json(info));
    if (info->class_names)
        json_object_set_new(object, "class_names", names_json(info));
    add_text(object, "data_content", info->data_content);
    add_text(object, "source_content", info->source_content);
    add_text(object, "condition_content", info->condition_content);
    json_object_set_new(object, "normalisation", normalisation_json(info->normalisation));
    json_object_set_new(object, "ema", json_boolean(info->has_ema));
    json_object_set_new(object, "averages", averages_json(info));
    json_object_set_new(object, "pictures", json_boolean(info->pictures));
    json_object_set_new(object, "library", tool_text_json(info->library));
    json_object_set_new(object, "device", tool_text_json(info->device));
    add_text(object, "foreign", info->foreign);
    json_object_set_new(object, "config", config ? config : json_null());
    json_object_set_new(object, "tensors", tensors);
    return tool_print_json(object);
}

/* --- for people --- */

static void print_config(const char *config)
{
    json_t *object = json_loads(config, 0, NULL), *value;
    const char *key;
    json_object_foreach(object, key, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
        if (text && !json_is_null(value))
            printf("  %-20s %s\n", tool_plain(key), text);
        fcl_free(text);
    }
    json_decref(object);
}

/* Of the weights' names, at least 32. */
static int widest_name(const fcl_checkpoint_info *info)
{
    int widest = 32;
    for (int i = 0; i < info->tensor_count; i++) {
        int length = (int)strlen(info->tensors[i].name);
        widest = is_weight(&info->tensors[i]) && length > widest ? length : widest;
    }
    return widest;
}

enum { INDENT = 12 };

static void print_line(const char *what, const char *text)
{
    if (text)
        terminal_print_entry(what, INDENT, tool_plain(text));
}

static void print_averages(const fcl_checkpoint_info *info)
{
    for (int i = 0; i < info->average_count; i++)
        printf("%s%s%s", i ? ", " : info->average_count > 1 ? "averages    EMA of decay " : "average     EMA of decay ",
               info->averages[i], i == info->average_count - 1 ? "\n" : "");
}

static void print_text(const fcl_checkpoint_info *info)
{
    char shape[TOOL_SHAPE_TEXT];
    printf("checkpoint  %s\n", tool_plain(info->path));
    printf("step        %" PRId64 "\n", info->step);
    printf("parameters  %" PRId64 "\n", info->parameters);
    print_averages(info);
    tool_shape_text(info->sample, shape);
    printf("samples     %s%s\n", shape, info->pictures ? ", pictures" : "");
    tool_print_entry("scale", INDENT, tool_normalisation_text(info->normalisation));
    if (info->classes)
        tool_print_entry("labels", INDENT,
                         tool_classes_text(info->classes, info->class_names, info->class_counts,
                                           (double)info->options->label_drop));
    print_line("data", info->data_content);
    print_line("source", info->source_content);
    print_line("condition", info->condition_content);
    if (info->foreign)
        printf("written by  another program: %s\n", tool_plain(info->foreign));
    else
        printf("written by  flowcl %s on %s\n", tool_plain(info->library), tool_plain(info->device));
    puts("\nOptions:");
    print_config(info->config);
    puts("\nWeights:");
    int widest = widest_name(info);
    for (int i = 0; i < info->tensor_count; i++) {
        if (!is_weight(&info->tensors[i]))
            continue;
        tool_shape_text(info->tensors[i].shape, shape);
        printf("  %-*s %s\n", widest, tool_plain(info->tensors[i].name), shape);
    }
}

static int run(const tool_call *call)
{
    const info_settings *settings = call->settings;
    fcl_checkpoint *checkpoint = NULL;
    int status = EXIT_DONE;
    char fault[TOOL_FAULT] = "";
    if (tool_open_checkpoint(call->positional[0], &settings->foreign, &checkpoint, fault) != FCL_OK)
        return fault[0] ? tool_fail("%s", fault) : tool_fail_library();
    if (settings->json)
        status = print_json(fcl_checkpoint_describe(checkpoint));
    else
        print_text(fcl_checkpoint_describe(checkpoint));
    fcl_checkpoint_close(&checkpoint);
    return status;
}

const subcommand info_command = {
    .name = "info",
    .usage = "CHECKPOINT|DIR [options]",
    .summary = "tell what a checkpoint holds: its model, its training, its tensors",
    .least = 1,
    .most = 1,
    .size = sizeof(info_settings),
    .bind = bind,
    .run = run,
};
