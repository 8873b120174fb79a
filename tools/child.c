#include "child.h"

#include "tool.h"

#include <errno.h>
#include <fcntl.h>
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

/* The child keeps none of our ends and, unless it is sheltered, none of our blocked signals. */
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
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
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
    child->replies = fdopen(replies[0], "r");
    return EXIT_DONE;
}

static void reap(child_process *child)
{
    fclose(child->commands);
    fclose(child->replies);
    while (waitpid(child->process, &child->status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(child->status))
        snprintf(child->end, sizeof child->end, "its process crashed: %s (signal %d)",
                 strsignal(WTERMSIG(child->status)), WTERMSIG(child->status));
    else
        snprintf(child->end, sizeof child->end, "its process ended with status %d", WEXITSTATUS(child->status));
    child->process = 0;
}

/* A driver may print to standard output, too: only lines that are objects are replies. */
static json_t *read_reply(child_process *child)
{
    char *line = NULL;
    size_t room = 0;
    json_t *reply = NULL;
    while (!reply && getline(&line, &room, child->replies) > 0) {
        reply = line[0] == '{' ? json_loads(line, 0, NULL) : NULL;
        if (!reply)
            fputs(line, stderr);
    }
    free(line);
    return reply;
}

json_t *child_ask(child_process *child, const char *format, ...)
{
    if (!child->process)
        return NULL;
    va_list args;
    va_start(args, format);
    fcl_vfprintf(child->commands, format, args);
    va_end(args);
    fputc('\n', child->commands);
    json_t *reply = fflush(child->commands) == 0 ? read_reply(child) : NULL;
    if (!reply)
        reap(child);
    return reply;
}

void child_stop(child_process *child)
{
    if (child->process)
        reap(child);
}
