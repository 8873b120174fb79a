/* The options as a man page has them, in the macros of man(7). */
#include "base/options.h"

#include "base/option_value.h"

#include <stdlib.h>
#include <string.h>

/* Text as it is: no request at a line's beginning, no escape, and dashes that can be copied. */
static void add_plain(fcl_text *man, const char *words)
{
    if (*words == '.' || *words == '\'')
        fcl_text_add(man, "\\&");
    for (; *words; words++) {
        const char letter[] = {*words, 0};
        fcl_text_add(man, *words == '\\' ? "\\e" : *words == '-' ? "\\-" : *words == '^' ? "\\(ha" : *words == '~' ? "\\(ti" : letter);
    }
}

char *fcl_man_text(const char *words)
{
    fcl_text man = {0};
    fcl_text_add(&man, "");
    add_plain(&man, words);
    return man.data;
}

/* A term and what it means. */
static void add_item(fcl_text *man, const char *term, const char *words)
{
    fcl_text_add(man, ".TP\n");
    add_plain(man, term);
    fcl_text_add(man, "\n");
    add_plain(man, words);
    fcl_text_add(man, "\n");
}

/* "--steps N" with the name in bold and the value in italics. */
static void add_head(fcl_text *man, const fcl_option *row)
{
    fcl_text_add(man, ".TP\n\\fB");
    add_plain(man, "--");
    add_plain(man, row->key);
    fcl_text_add(man, "\\fR");
    const char *value = row->type == FCL_OPTION_BOOL ? NULL : row->type == FCL_OPTION_TOGGLE ? "yes|no" : fcl_option_placeholder(row);
    if (value) {
        fcl_text_add(man, " \\fI");
        add_plain(man, value);
        fcl_text_add(man, "\\fR");
    }
    fcl_text_add(man, "\n");
}

static void add_choices(fcl_text *man, const fcl_option *row)
{
    fcl_text_add(man, ".RS\n");
    for (int i = 0; row->choice(i); i++)
        add_item(man, row->choice(i), row->choice_help(i));
    fcl_text_add(man, ".RE\n");
}

static void add_option(fcl_text *man, const fcl_option *row)
{
    fcl_text words = {0};
    fcl_option_describe(row, true, &words);
    add_head(man, row);
    add_plain(man, words.data);
    fcl_text_add(man, "\n");
    if (row->choice_help)
        add_choices(man, row);
    fcl_text_free(&words);
}

char *fcl_options_man(const fcl_options *options)
{
    fcl_option_shown *ordered = fcl_zalloc((size_t)options->count * sizeof *ordered);
    int count = fcl_options_order(options, ordered);
    fcl_text man = {0};
    fcl_text_add(&man, "");
    for (int i = 0; i < count; i++) {
        if (!i || strcmp(ordered[i - 1].group, ordered[i].group) != 0)
            fcl_text_format(&man, ".SS %s\n", ordered[i].group);
        add_option(&man, &ordered[i].row);
    }
    free(ordered);
    return man.data;
}
