/* A process of this program that another one has started, and asks: a driver that crashes ends its own
 * process only. A command is a line to the child's standard input, a reply one JSON object in a line from its
 * standard output. */
#ifndef CHILD_H
#define CHILD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

typedef struct child {
    pid_t process; /* 0: there is none */
    FILE *commands, *replies;
    int status;    /* where it has ended: as waitpid tells, */
    char end[256]; /* and in words */
} child_process;

/* Of a subcommand, the arguments ending with NULL. `sheltered`: its standard error is shut, and Ctrl-C, which
 * the terminal sends to both, is the parent's affair. Returns an exit status, after a message. */
int child_start(char *const *arguments, bool sheltered, child_process *child);
/* Sends a command and returns the reply; NULL where the child has ended, and child->end says how. */
json_t *child_ask(child_process *child, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The end of its standard input ends it. */
void child_stop(child_process *child);

#endif
