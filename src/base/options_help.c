#include "base/options.h"

#include "base/option_value.h"
#include <stdlib.h>
#include <string.h>

enum { INDENT = 2, GAP = 2, WIDEST_LABEL = 28, NARROWEST = 40 };

const char *fcl_option_placeholder(const fcl_option *row)
{
    if (row->placeholder)
        return row->placeholder;
    if (row->type == FCL_OPTION_STRING)
        return row->choice ? "NAME" : "TEXT";
    return row->type == FCL_OPTION_FLOAT || row->type == FCL_OPTION_DOUBLE ? "X" : "N";
}

/* "--steps N", "--resume", "--ema yes|no" */
static char *label(const fcl_option *row)
{
    if (row->type == FCL_OPTION_BOOL)
        return fcl_format("--%s", row->key);
    if (row->type == FCL_OPTION_TOGGLE)
        return fcl_format("--%s yes|no", row->key);
    return fcl_format("--%s %s", row->key, fcl_option_placeholder(row));
}

/* Adds words from column `left` on, breaking lines before `width`. The cursor stands at `left` already. */
static void add_wrapped(fcl_text *text, const char *words, int left, int width)
{
    int column = left;
    while (*words) {
        int length = (int)strcspn(words, " ");
        bool first = column == left;
        if (!first && column + 1 + length > width) {
            fcl_text_format(text, "\n%*s", left, "");
            column = left;
            first = true;
        }
        fcl_text_format(text, "%s%.*s", first ? "" : " ", length, words);
        column += length + !first;
        words += length + (words[length] == ' ');
    }
    fcl_text_add(text, "\n");
}

/* "linear: straight lines ...", its further lines indented once more. */
static void add_choice(fcl_text *text, const char *name, const char *help, int left, int width)
{
    char *words = fcl_format("%s: %s", name, help);
    fcl_text_format(text, "%*s", left, "");
    add_wrapped(text, words, left + INDENT, width);
    free(words);
}

static void add_option(fcl_text *text, const fcl_option *row, int left, int width)
{
    char *name = label(row);
    fcl_text words = {0};
    fcl_option_describe(row, true, &words);
    int used = INDENT + (int)strlen(name);
    fcl_text_format(text, "%*s%s", INDENT, "", name);
    if (used + GAP > left)
        fcl_text_format(text, "\n%*s", left, "");
    else
        fcl_text_format(text, "%*s", left - used, "");
    add_wrapped(text, words.data, left, width);
    for (int i = 0; row->choice_help && row->choice(i); i++)
        add_choice(text, row->choice(i), row->choice_help(i), left + INDENT, width);
    free(name);
    fcl_text_free(&words);
}

static int label_width(const fcl_options *options)
{
    int widest = 0;
    for (int i = 0; i < options->count; i++) {
        char *name = label(options->bindings[i].row);
        int length = (int)strlen(name);
        widest = length > widest && length <= WIDEST_LABEL ? length : widest;
        free(name);
    }
    return widest;
}

char *fcl_options_help(const fcl_options *options, int width)
{
    fcl_option_shown *ordered = fcl_zalloc((size_t)options->count * sizeof *ordered);
    int count = fcl_options_order(options, ordered);
    int left = INDENT + label_width(options) + GAP;
    fcl_text text = {0};
    fcl_text_add(&text, "");
    for (int i = 0; i < count; i++) {
        if (!i || strcmp(ordered[i - 1].group, ordered[i].group))
            fcl_text_format(&text, "%s%s:\n", i ? "\n" : "", ordered[i].group);
        add_option(&text, &ordered[i].row, left, width < left + NARROWEST ? left + NARROWEST : width);
    }
    free(ordered);
    return text.data;
}
