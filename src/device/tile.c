#include "device/tile.h"

#include "device/launch.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int fcl_tile_count(int whole, int size)
{
    return (whole + size - 1) / size;
}

void fcl_tile_registers(const fcl_device_info *info, int columns, int *rows, int *vectors)
{
    *rows = info->vector_width >= 16 ? 8 : 6;
    *vectors = info->vector_width >= 16 && columns > 16 ? 2 : 1;
}

void fcl_tile_define(fcl_text *text, const fcl_tile_number *numbers)
{
    for (; numbers->name; numbers++)
        fcl_text_format(text, "#define %s %d\n", numbers->name, numbers->value);
}

void fcl_tile_undefine(fcl_text *text, const fcl_tile_number *numbers)
{
    for (; numbers->name; numbers++)
        fcl_text_format(text, "#undef %s\n", numbers->name);
}

void fcl_tile_macro(fcl_text *text, const char *name, const char *value)
{
    fcl_text_format(text, "#define %s ", name);
    for (const char *line = value ? value : ""; *line;) {
        int length = (int)strcspn(line, "\n");
        fcl_text_format(text, "%.*s%s", length, line, line[length] ? " \\\n" : "");
        line += length + (line[length] == '\n');
    }
    fcl_text_add(text, "\n");
}

static bool is_of_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The names in a list of parameters; a comma that begins the list stays. */
static void add_names(fcl_text *text, const char *name, const char *params)
{
    fcl_text_format(text, "#define %s ", name);
    for (const char *at = params ? params : ""; *at;) {
        const char *end = at + strcspn(at, ","), *begin = end;
        while (begin > at && is_of_name(begin[-1]))
            begin--;
        fcl_text_format(text, "%.*s%s", (int)(end - begin), begin, *end ? ", " : "");
        at = end + (*end == ',');
    }
    fcl_text_add(text, "\n");
}

void fcl_tile_kernel(fcl_text *text, const char *prefix, const char *name, const char *params)
{
    char *takes = fcl_format("%s_PARAMS", prefix), *arguments = fcl_format("%s_ARGUMENTS", prefix);
    fcl_text_format(text, "#define %s_NAME %s\n#define %s_APART %s_apart\n", prefix, name, prefix, name);
    fcl_tile_macro(text, takes, params);
    add_names(text, arguments, params);
    free(takes);
    free(arguments);
}

void fcl_tile_paste(fcl_text *text, const char *file)
{
    fcl_text_format(text, "#line 1 \"cl/%s\"\n%s", file, fcl_kernel_text(file));
}
