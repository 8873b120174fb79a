#include "preset.h"
#include "terminal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As the program finds its library: from where it lies itself, so that both may be moved. */
static const char *const places[] = {"presets", INSTALLED_PRESETS};
enum { PLACES = sizeof places / sizeof *places };

static const char ending[] = ".yaml";

typedef struct presets {
    char *folder, **name; /* names without the ending, in their order */
    int count;
} presets;

/* NULL only without memory, which is the end. */
static char *format(const char *pattern, const char *a, const char *b, const char *c)
{
    char *text = NULL;
    if (asprintf(&text, pattern, a, b, c) < 0)
        abort();
    return text;
}

static int is_preset(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name), tail = strlen(ending);
    return entry->d_name[0] != '.' && length > tail && !strcmp(entry->d_name + length - tail, ending);
}

/* Takes what the folder holds; false: none. */
static bool read_folder(presets *found, const char *folder)
{
    struct dirent **file = NULL;
    int count = scandir(folder, &file, is_preset, alphasort);
    found->name = count > 0 ? calloc((size_t)count, sizeof *found->name) : NULL;
    if (count > 0 && !found->name)
        abort();
    for (int i = 0; i < count; i++) {
        file[i]->d_name[strlen(file[i]->d_name) - strlen(ending)] = '\0';
        found->name[found->count++] = format("%s", file[i]->d_name, NULL, NULL);
        free(file[i]);
    }
    free(file);
    return found->count > 0;
}

/* Returns an exit status. */
static int find(presets *found)
{
    char program[PATH_MAX] = "", *tried[PLACES];
    if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
        return tool_fail("the presets are not found, as /proc/self/exe does not tell where the program lies");
    *strrchr(program, '/') = '\0';
    for (int i = 0; i < PLACES; i++)
        tried[i] = *places[i] == '/' ? format("%s", places[i], NULL, NULL) : format("%s/%s", program, places[i], NULL);
    for (int i = 0; i < PLACES && !found->folder; i++)
        found->folder = read_folder(found, tried[i]) ? realpath(tried[i], NULL) : NULL;
    int status = found->folder ? EXIT_DONE
                               : tool_fail("the program has no presets beside it, neither in %s nor in %s", tried[0], tried[1]);
    for (int i = 0; i < PLACES; i++)
        free(tried[i]);
    return status;
}

static void release(presets *found)
{
    for (int i = 0; i < found->count; i++)
        free(found->name[i]);
    free(found->name);
    free(found->folder);
}

/* What its first line says behind the "#"; good as long as tool_plain's. */
static const char *head_of(const presets *found, int index)
{
    char line[256] = "", *path = format("%s/%s%s", found->folder, found->name[index], ending);
    FILE *file = fopen(path, "re");
    bool read = file && fgets(line, sizeof line, file);
    line[strcspn(line, "\n")] = '\0';
    const char *head = tool_plain(read ? line + strspn(line, "# ") : strerror(errno));
    if (file)
        fclose(file);
    free(path);
    return head;
}

void preset_offer(const char *before, const char *word)
{
    presets found = {0};
    find(&found);
    for (int i = 0; i < found.count; i++)
        if (strncmp(found.name[i], word, strlen(word)) == 0)
            printf("%s%s\t%s\n", before, tool_plain(found.name[i]), head_of(&found, i));
    release(&found);
}

int preset_list(void)
{
    presets found = {0};
    int status = find(&found);
    for (int i = 0; i < found.count; i++) {
        int column = printf("  %-20s ", tool_plain(found.name[i]));
        terminal_print_wrapped(column, column, head_of(&found, i));
    }
    if (status == EXIT_DONE)
        printf("\nThe files tell more, and the command of each:\n%s\n", tool_plain(found.folder));
    release(&found);
    return status;
}

static int fail_unknown(const presets *found, const char *name)
{
    char *list = format("%s", found->name[0], NULL, NULL);
    for (int i = 1; i < found->count; i++) {
        char *longer = format("%s, %s", list, found->name[i], NULL);
        free(list);
        list = longer;
    }
    const char *nearest = fcl_nearest(name, (const char *const *)found->name, found->count);
    if (strchr(name, '/') || strstr(name, ending))
        tool_fail_usage(&train_command, "--preset takes a name, one of %s; a file of your own, as %s, is read by --config",
                        list, name);
    else if (nearest)
        tool_fail_usage(&train_command, "there is no preset \"%s\"; did you mean %s?", name, nearest);
    else
        tool_fail_usage(&train_command, "there is no preset \"%s\", but %s; a file of your own is read by --config",
                        name, list);
    free(list);
    return EXIT_USAGE;
}

/* The path of a preset's file, released by free. Returns an exit status. */
static int find_one(const char *name, char **path)
{
    presets found = {0};
    int status = find(&found), i = 0;
    *path = NULL;
    while (i < found.count && strcmp(name, found.name[i]))
        i++;
    if (status == EXIT_DONE && i == found.count)
        status = fail_unknown(&found, name);
    else if (status == EXIT_DONE)
        *path = format("%s/%s%s", found.folder, name, ending);
    release(&found);
    return status;
}

/* Whether a preset, which can be read, names another model. */
static bool has_other_model(const char *path, const char *model)
{
    fcl_train_options own = {0};
    fcl_options *bound = fcl_options_create();
    bool other = model && !fcl_train_options_bind(bound, &own) && !fcl_options_read_preset(bound, path) && own.model.model &&
                 strcmp(own.model.model, model);
    fcl_options_destroy(&bound);
    return other;
}

static void forget(fcl_options *options, const char *key)
{
    if (fcl_options_source(options, key) == FCL_FROM_PRESET)
        fcl_options_clear(options, key);
}

/* A width is another thing to each model, and a rate that one learns well by is too high for the next. */
static void forget_network(fcl_options *options)
{
    static const char *const learning[] = {"batch", "lr",    "schedule", "warmup", "weight-decay",
                                           "beta1", "beta2", "epsilon",  "clip",   "ema"};
    for (const fcl_option *row = fcl_model_table; row->key; row++)
        forget(options, row->key);
    for (size_t i = 0; i < sizeof learning / sizeof *learning; i++)
        forget(options, learning[i]);
}

int preset_read(fcl_options *options, const char *name, const char *model, bool *replaced)
{
    char *path;
    int status = find_one(name, &path);
    if (status != EXIT_DONE)
        return status;
    *replaced = has_other_model(path, model);
    status = fcl_options_read_preset(options, path) ? tool_fail_library() : EXIT_DONE;
    if (*replaced)
        forget_network(options);
    free(path);
    return status;
}

/* The first command that its file shows, where that is another program's; "" else. */
static void first_command(const char *path, char command[256])
{
    static const char before[] = "#     ";
    FILE *file = fopen(path, "re");
    *command = '\0';
    while (file && strncmp(command, before, strlen(before)) && fgets(command, 256, file))
        ;
    if (file)
        fclose(file);
    bool shown = !strncmp(command, before, strlen(before)) && strncmp(command + strlen(before), "flowcl ", 7);
    memmove(command, command + strlen(before), shown ? strlen(command) - strlen(before) + 1 : 0);
    command[shown ? strcspn(command, "\n") : 0] = '\0';
}

int preset_fail_data(const char *name, const char *data)
{
    char *path, command[256];
    int status = find_one(name, &path);
    if (status != EXIT_DONE)
        return status;
    first_command(path, command);
    if (*command)
        status = tool_fail("the data of the preset %s, %s, are not here: \"%s\" in flowcl's sources makes them, as %s tells; or "
                           "name other DATA", name, data, command, path);
    else
        status = tool_fail("the data of the preset %s, %s, are not here: see %s, or name other DATA", name, data, path);
    free(path);
    return status;
}
