/* What may stand where a shell's user has typed a part of a word. */
#include "base/options.h"

#include "base/option_value.h"

#include <stdlib.h>
#include <string.h>

/* A line of a candidate that begins with `word`, and what it is. */
static void add(fcl_text *lines, const char *before, const char *name, const char *what, const char *word)
{
    size_t head = strlen(before);
    if (strncmp(word, before, head) == 0 && strncmp(name, word + head, strlen(word + head)) == 0)
        fcl_text_format(lines, "%s%s\t%s\n", before, name, what);
}

/* The values of an option, each behind `before`. Of a formula, or a number, the shell's user knows more. */
static void add_values(fcl_text *lines, const fcl_option *row, const char *before, const char *word)
{
    const char *takes = fcl_option_placeholder(row);
    for (int i = 0; row->choice && row->choice(i); i++)
        add(lines, before, row->choice(i), row->choice_help ? row->choice_help(i) : "", word);
    if (fcl_option_is_yes_no(row)) {
        add(lines, before, "yes", "", word);
        add(lines, before, "no", "", word);
    }
    if (strcmp(takes, "DIR") == 0)
        fcl_text_add(lines, FCL_COMPLETE_FOLDERS "\n");
    else if (strncmp(takes, "FILE", 4) == 0 || strcmp(takes, "DATA") == 0 || strcmp(takes, "SOURCE") == 0)
        fcl_text_add(lines, FCL_COMPLETE_FILES "\n");
}

/* A row as it is shown, NULL: there is no such option. */
static const fcl_option *find(const fcl_option_shown *shown, int count, const char *key, size_t length)
{
    for (int i = 0; i < count; i++)
        if (strlen(shown[i].row.key) == length && strncmp(shown[i].row.key, key, length) == 0)
            return &shown[i].row;
    return NULL;
}

/* "--key=wo" */
static void add_behind_equals(fcl_text *lines, const fcl_option_shown *shown, int count, const char *word)
{
    const char *equals = strchr(word, '=');
    const fcl_option *row = find(shown, count, word + 2, (size_t)(equals - word - 2));
    char *before = fcl_format("%.*s", (int)(equals + 1 - word), word);
    if (row)
        add_values(lines, row, before, word);
    free(before);
}

static void add_no(fcl_text *lines, const fcl_option *row, const char *word)
{
    char *what = fcl_format("do not: %s", row->help ? row->help : "");
    add(lines, "--no-", row->key, what, word);
    free(what);
}

static void add_keys(fcl_text *lines, const fcl_option_shown *shown, int count, const char *word)
{
    for (int i = 0; i < count; i++) {
        const fcl_option *row = &shown[i].row;
        add(lines, "--", row->key, row->help ? row->help : "", word);
        if (fcl_option_is_yes_no(row) && strncmp(word, "--no-", 5) == 0)
            add_no(lines, row, word);
    }
}

/* Behind an option that has its value there, or that may do without and is not followed by another one. */
static bool takes_value(const fcl_option *row, const char *word)
{
    return !fcl_option_is_yes_no(row) && !(row->flags & FCL_OPTION_CAN_BE_BARE && *word == '-');
}

char *fcl_options_complete(const fcl_options *options, const char *previous, const char *word)
{
    fcl_option_shown *shown = fcl_zalloc((size_t)options->count * sizeof *shown);
    int count = fcl_options_order(options, shown);
    bool key = strncmp(previous, "--", 2) == 0 && !strchr(previous, '=');
    const fcl_option *row = key ? find(shown, count, previous + 2, strlen(previous + 2)) : NULL;
    fcl_text lines = {0};
    fcl_text_add(&lines, "");
    if (row && takes_value(row, word))
        add_values(&lines, row, "", word);
    else if (strncmp(word, "--", 2) == 0 && strchr(word, '='))
        add_behind_equals(&lines, shown, count, word);
    else if (*word == '-')
        add_keys(&lines, shown, count, strcmp(word, "-") == 0 ? "--" : word);
    else
        fcl_text_add(&lines, FCL_COMPLETE_ARGUMENT "\n");
    free(shown);
    return lines.data;
}
