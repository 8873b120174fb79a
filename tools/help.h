/* What is told of subcommands: on the terminal, as man pages, and to shells that complete words. */
#ifndef HELP_H
#define HELP_H

#include "tool.h"

/* What is about the program itself, and has no options: ends with {0}. */
typedef struct help_word {
    const char *name, *usage, *summary;
} help_word;
extern const help_word help_words[];

/* Of a subcommand, with its options as they are bound: its help. */
void help_print(const subcommand *command, const fcl_options *options);
/* The same as a man page, in the macros of man(7); and the page of the program. */
void help_print_man(const subcommand *command, const fcl_options *options);
void help_print_man_overview(const subcommand *const *commands, int count);

/* What a word that is typed in part may become, for a shell's completion: a subcommand's name; or what stands behind the word
 * `previous` of a subcommand. */
void help_complete_name(const subcommand *const *commands, int count, const char *word);
void help_complete(const subcommand *command, const fcl_options *options, const char *previous, const char *word);

#endif
