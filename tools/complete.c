/* Words for shells: share/flowcl's completions ask "flowcl complete WORD...", the last of them typed in part, and get a line for
 * each candidate, "candidate<tab>what it is"; see fcl_options_complete. */
#include "help.h"
#include "preset.h"

#include <string.h>

static void offer(const char *name, const char *what, const char *word)
{
    if (strncmp(name, word, strlen(word)) == 0)
        printf("%s\t%s\n", name, what);
}

void help_complete_name(const subcommand *const *commands, int count, const char *word)
{
    for (int i = 0; i < count; i++)
        if (!commands[i]->internal)
            offer(commands[i]->name, commands[i]->summary, word);
    for (const help_word *other = help_words; other->name; other++)
        offer(other->name, other->summary, word);
}

/* What stands where no option does: a file, or the name of a set, of those that take one. */
static void complete_argument(const subcommand *command, const char *word)
{
    help_entry set;
    bool takes_sets = false;
    for (const help_list *const *list = command->lists; list && *list; list++)
        takes_sets |= *list == &help_data_sets;
    for (int i = 0; takes_sets && help_data_sets.at(i, &set); i++)
        offer(set.name, set.text, word);
    if (command->most > 0)
        puts(FCL_COMPLETE_FILES);
}

/* What stands behind --preset, or --preset=, of train, which alone has them; false: another word is asked for. */
static bool complete_preset(const subcommand *command, const char *previous, const char *word)
{
    static const char joined[] = "--preset=";
    size_t head = strlen(joined);
    if (command != &train_command)
        return false;
    if (strncmp(word, joined, head) == 0)
        return preset_offer(joined, word + head), true;
    if (strcmp(previous, "--preset") == 0 && *word != '-')
        return preset_offer("", word), true;
    return false;
}

void help_complete(const subcommand *command, const fcl_options *options, const char *previous, const char *word)
{
    if (complete_preset(command, previous, word))
        return;
    char *lines = fcl_options_complete(options, previous, word);
    if (strcmp(lines, FCL_COMPLETE_ARGUMENT "\n") == 0)
        complete_argument(command, word);
    else
        fputs(lines, stdout);
    fcl_free(lines);
}
