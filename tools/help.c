/* What is told of subcommands: on the terminal, as man pages, and to shells that complete words. */
#include "help.h"

#include "terminal.h"

#include <string.h>

/* --- lists behind the options of several subcommands --- */

static bool data_set_at(int index, help_entry *entry)
{
    const fcl_dataset_builtin *set = fcl_dataset_builtin_at(index);
    if (set)
        *entry = (help_entry){set->name, set->what};
    return set;
}

static bool grid_at(int index, help_entry *entry)
{
    *entry = (help_entry){fcl_grid_name(index), fcl_grid_help(index)};
    return entry->name;
}

static bool formula_at(int index, help_entry *entry)
{
    static char text[640];
    int length = snprintf(text, sizeof text, "numbers, variables, + - * / ^, parentheses, pi, e, and the functions");
    for (int i = 0; fcl_formula_function(i); i++)
        length += snprintf(text + length, sizeof text - (size_t)length, " %s", fcl_formula_function(i));
    *entry = (help_entry){.text = text};
    return index == 0;
}

const help_list help_data_sets = {"Built-in data", data_set_at}, help_grids = {"Grids of fixed steps", grid_at},
                help_formulas = {"Formulas", formula_at};

const help_word help_words[] = {{"help", " [SUBCOMMAND]", "explain a subcommand: flowcl help SUBCOMMAND"},
                                {"version", "", "print the version"},
                                {0}};

/* --- on the terminal --- */

static int widest_name(const help_list *list)
{
    help_entry entry;
    int widest = 0;
    for (int i = 0; list->at(i, &entry); i++)
        if (entry.name && (int)strlen(entry.name) > widest)
            widest = (int)strlen(entry.name);
    return widest;
}

static void print_list(const help_list *list)
{
    enum { INDENT = 2, GAP = 2 };
    help_entry entry;
    int left = INDENT + widest_name(list) + GAP;
    printf("\n%s:\n", list->heading);
    for (int i = 0; list->at(i, &entry); i++) {
        int column = entry.name ? left : INDENT;
        printf("%*s%-*s", INDENT, "", column - INDENT, entry.name ? entry.name : "");
        terminal_print_wrapped(column, column, entry.text);
    }
}

void help_print(const subcommand *command, const fcl_options *options)
{
    char *help = fcl_options_help(options, terminal_text_width(stdout));
    printf("usage: flowcl %s %s\n\n%c%s.\n", command->name, command->usage, command->summary[0] - 'a' + 'A',
           command->summary + 1);
    if (command->about)
        printf("\n%s\n", command->about);
    printf("\n%s", help);
    fcl_free(help);
    for (const help_list *const *list = command->lists; list && *list; list++)
        print_list(*list);
}

/* --- as man pages --- */

#define EXIT_STATUS \
    ".SH \"EXIT STATUS\"\n0 where it succeeds, 1 where it fails, 2 where the command line is wrong."

static void print_plain(const char *before, const char *words, const char *behind)
{
    char *text = fcl_man_text(words);
    printf("%s%s%s", before, text, behind);
    fcl_free(text);
}

/* The paragraph of a help: its lines flow, but those that are indented stay as they are. */
static void print_about(const char *about)
{
    bool literal = false;
    while (*about) {
        int length = (int)strcspn(about, "\n");
        char line[256];
        snprintf(line, sizeof line, "%.*s", length, about);
        if (literal != (*line == ' '))
            puts(literal ? ".EE" : ".EX");
        literal = *line == ' ';
        print_plain("", line, "\n");
        about += length + (about[length] == '\n');
    }
    if (literal)
        puts(".EE");
}

static void print_man_list(const help_list *list)
{
    help_entry entry;
    print_plain(".SH \"", list->heading, "\"\n");
    for (int i = 0; list->at(i, &entry); i++) {
        if (entry.name)
            print_plain(".TP\n\\fB", entry.name, "\\fR\n");
        print_plain("", entry.text, "\n");
    }
}

static void print_title(const char *name, const char *dash, const char *section, const char *summary)
{
    printf(".TH \"flowcl%s%s\" 1 \"\" \"flowcl %s\" \"flowcl manual\"\n.SH NAME\nflowcl%s%s \\- ", dash, name, FCL_VERSION,
           *dash ? "\\-" : "", name);
    print_plain("", summary, "\n");
    puts(section);
}

void help_print_man(const subcommand *command, const fcl_options *options)
{
    char *man = fcl_options_man(options);
    print_title(command->name, "-", ".SH SYNOPSIS", command->summary);
    print_plain(".B flowcl ", command->name, "\n");
    print_plain("", command->usage, "\n");
    if (command->about) {
        puts(".SH DESCRIPTION");
        print_about(command->about);
    }
    printf(".SH OPTIONS\n%s", man);
    fcl_free(man);
    for (const help_list *const *list = command->lists; list && *list; list++)
        print_man_list(*list);
    puts(EXIT_STATUS "\n"
         ".SH \"SEE ALSO\"\n.BR flowcl (1)");
}

void help_print_man_overview(const subcommand *const *commands, int count)
{
    print_title("", "", ".SH SYNOPSIS", "train and sample flow-matching models on any OpenCL device");
    puts(".B flowcl\n.I SUBCOMMAND\n.RI [ options ]\n.SH SUBCOMMANDS");
    for (int i = 0; i < count; i++) {
        if (commands[i]->internal)
            continue;
        print_plain(".TP\n.BR flowcl\\-", commands[i]->name, " (1)\n");
        print_plain("", commands[i]->summary, "\n");
    }
    for (const help_word *word = help_words; word->name; word++) {
        print_plain(".TP\n\\fBflowcl ", word->name, "\\fR");
        print_plain("", word->usage, "\n");
        print_plain("", word->summary, "\n");
    }
    puts(".SH ENVIRONMENT\n"
         ".TP\n.B FLOWCL_DEVICE\nthe default of \\-\\-device: P:D, cpu, gpu or a piece of a device's name, /N.K after it for part "
         "K of N\n"
         ".TP\n.B FLOWCL_TUNE\n\"off\": no table of tuned products is read\n"
         ".TP\n.B COLUMNS\nthe width of what is printed, where standard output is no terminal\n"
         ".TP\n.B XDG_CACHE_HOME\nwhere verdicts of self\\-tests and tables of tuned products are kept, in the folder flowcl; ~/.cache "
         "without it\n"
         EXIT_STATUS);
}
