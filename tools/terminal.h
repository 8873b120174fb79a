/* The person's side of standard error: its width, and a progress bar. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <flowcl/train.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* In the environment where standard error leads to a terminal through a pipe. */
#define TERMINAL_VARIABLE "FLOWCL_TERMINAL"

/* Columns of the terminal that `stream` is; $COLUMNS or 80 where it is none. */
int terminal_width(FILE *stream);

/* The same, but no wider than lines are read with ease. */
int terminal_text_width(FILE *stream);
/* Prints a paragraph on standard output and ends its line. The cursor stands in column `column`; where the terminal
 * ends, a line is broken at a blank, one behind a comma or semicolon if there is such, and goes on in column `indent`. */
void terminal_print_wrapped(int column, int indent, const char *text);
/* The same behind a heading, the text's lines all in column `indent`. */
void terminal_print_entry(const char *heading, int indent, const char *text);
/* A text of at most 1023 bytes, written as by printf. */
void terminal_printf_wrapped(int column, int indent, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A bar on standard error, redrawn at most ten times a second. Where standard error is no terminal there is a plain
 * line after each tenth of the way, and after each minute without one. */
typedef struct progress {
    int64_t first, total; /* the step it began at, and the last one */
    bool terminal;
    bool drawn;   /* the bar stands in the current line */
    int tenths;   /* of the way, told by lines so far */
    double shown; /* when the last one was, on the clock of progress_state.seconds */
} progress;

typedef struct progress_state {
    int64_t step;
    double loss; /* NAN: there is none */
    double held_out_loss; /* 0 or NAN: there is none */
    double samples_per_second; /* 0: not known yet */
    double seconds, seconds_left;
} progress_state;

/* Before the first step: what is being waited for, on a terminal only. `bar` is all zero. */
void progress_announce(progress *bar, const char *text);
/* The same with how much of it is done, a share from 0 to 1. */
void progress_share(progress *bar, const char *text, double share);
/* Takes away what stands in the current line. */
void progress_erase(progress *bar);

void progress_start(progress *bar, int64_t first, int64_t total);
void progress_update(progress *bar, const progress_state *state);
/* The same of a training's hook; *state keeps it for progress_finish. */
void progress_train(progress *bar, progress_state *state, const fcl_train_progress *now);
/* Whether a signal asks for a stop (stop.h), which is told once: *told. */
bool progress_stop(progress *bar, bool *told);
/* Draws the last state and leaves it standing. */
void progress_finish(progress *bar, const progress_state *state);
/* A line of its own, above the bar. */
void progress_say(progress *bar, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
