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
    double limit;  /* seconds for a reply, or to end: then it is killed, with all that it has started; 0: none */
    FILE *commands;
    int replies;
    char *line; /* what has been read of it, and after it */
    size_t length;
    bool hung;     /* past its limit */
    int status;    /* where it has ended: as waitpid tells, */
    char end[256]; /* and in words */
} child_process;

/* Of a subcommand, the arguments ending with NULL. `sheltered`: its standard error is shut, and it leads a process group
 * of its own, which Ctrl-C of the terminal does not reach. Returns an exit status, after a message. */
int child_start(char *const *arguments, bool sheltered, child_process *child);
/* Sends a command and returns the reply; NULL where the child has ended, and child->end says how. */
json_t *child_ask(child_process *child, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The end of its standard input ends it. */
void child_stop(child_process *child);

#endif
