#include "child.h"

#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void close_pair(int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

/* The child keeps none of our ends and, unless it is sheltered, none of our blocked signals. A sheltered one leads a
 * group, so that what a driver starts (a compiler, a linker) ends with it. */
static int spawn(char *const *arguments, bool sheltered, int commands[2], int replies[2], pid_t *process)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t blocked, defaults;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (!sheltered)
        sigemptyset(&blocked);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, commands[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, replies[1], STDOUT_FILENO);
    if (sheltered)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &blocked);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, sheltered ? (short)(flags | POSIX_SPAWN_SETPGROUP) : flags);
    int code = posix_spawn(process, "/proc/self/exe", &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

int child_start(char *const *arguments, bool sheltered, child_process *child)
{
    int commands[2], replies[2];
    memset(child, 0, sizeof *child);
    if (pipe2(commands, O_CLOEXEC))
        return tool_fail("cannot make a pipe: %s", strerror(errno));
    if (pipe2(replies, O_CLOEXEC)) {
        int code = errno;
        close_pair(commands);
        return tool_fail("cannot make a pipe: %s", strerror(code));
    }
    int code = spawn(arguments, sheltered, commands, replies, &child->process);
    if (code) {
        close_pair(commands);
        close_pair(replies);
        child->process = 0;
        return tool_fail("cannot start the process %s of device %s: %s", arguments[1], arguments[2], strerror(code));
    }
    close(commands[0]);
    close(replies[1]);
    child->commands = fdopen(commands[1], "w");
    child->replies = replies[0];
    return EXIT_DONE;
}

/* --- time --- */

static double deadline_of(const child_process *child)
{
    return child->limit > 0 ? tool_now() + child->limit : INFINITY;
}

/* Milliseconds for poll; -1: for ever. */
static int time_left(double deadline)
{
    double left = 1e3 * (deadline - tool_now());
    return isinf(left) ? -1 : left <= 0 ? 0 : left < INT_MAX ? (int)ceil(left) : INT_MAX;
}

/* A stopped process dies of it, too, and one inside a compiler. */
static void kill_group(child_process *child)
{
    child->hung = true;
    kill(-child->process, SIGKILL);
    kill(child->process, SIGKILL); /* one that is not sheltered leads no group */
}

static void wait_for_end(child_process *child, double deadline)
{
    pid_t ended;
    while ((ended = waitpid(child->process, &child->status, isinf(deadline) ? 0 : WNOHANG)) <= 0) {
        if (ended < 0 && errno != EINTR)
            break;
        if (!child->hung && tool_now() > deadline)
            kill_group(child);
        poll(NULL, 0, 1);
    }
}

static void reap(child_process *child, double deadline)
{
    fclose(child->commands);
    close(child->replies);
    free(child->line);
    child->line = NULL;
    wait_for_end(child, deadline);
    if (child->hung)
        fcl_snprintf(child->end, sizeof child->end, "its process did not end within %g seconds", child->limit);
    else if (WIFSIGNALED(child->status))
        snprintf(child->end, sizeof child->end, "its process crashed: %s (signal %d)",
                 strsignal(WTERMSIG(child->status)), WTERMSIG(child->status));
    else
        snprintf(child->end, sizeof child->end, "its process ended with status %d", WEXITSTATUS(child->status));
    child->process = 0;
}

/* --- replies --- */

/* False at the end of what the child says, or of its time. */
static bool read_more(child_process *child, double deadline)
{
    enum { PART = 4096 };
    struct pollfd ready = {.fd = child->replies, .events = POLLIN};
    int found = poll(&ready, 1, time_left(deadline));
    if (found == 0)
        kill_group(child);
    if (found <= 0)
        return found < 0 && errno == EINTR;
    char *longer = realloc(child->line, child->length + PART + 1);
    if (!longer)
        return false;
    child->line = longer;
    ssize_t got = read(child->replies, longer + child->length, PART);
    if (got > 0)
        child->length += (size_t)got;
    return got > 0 || (got < 0 && errno == EINTR);
}

/* The next line, to be released by free; NULL past the last whole one. */
static char *read_line(child_process *child, double deadline)
{
    char *end;
    while (!(end = child->length ? memchr(child->line, '\n', child->length) : NULL))
        if (!read_more(child, deadline))
            return NULL;
    size_t length = (size_t)(end - child->line) + 1;
    char *line = strndup(child->line, length);
    child->length -= length;
    memmove(child->line, child->line + length, child->length);
    return line;
}

/* A driver may print to standard output, too: only lines that are objects are replies. */
static json_t *read_reply(child_process *child, double deadline)
{
    json_t *reply = NULL;
    char *line;
    while (!reply && (line = read_line(child, deadline))) {
        reply = line[0] == '{' ? json_loads(line, 0, NULL) : NULL;
        if (!reply)
            fputs(line, stderr);
        free(line);
    }
    return reply;
}

json_t *child_ask(child_process *child, const char *format, ...)
{
    if (!child->process)
        return NULL;
    double deadline = deadline_of(child);
    va_list args;
    va_start(args, format);
    fcl_vfprintf(child->commands, format, args);
    va_end(args);
    fputc('\n', child->commands);
    json_t *reply = fflush(child->commands) == 0 ? read_reply(child, deadline) : NULL;
    if (!reply)
        reap(child, deadline);
    return reply;
}

void child_stop(child_process *child)
{
    if (child->process)
        reap(child, deadline_of(child));
}
