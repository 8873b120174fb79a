/* A child process for each device: started, asked, and its end told. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
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

/* The child's standard error stays ours. It keeps none of our ends, and none of our blocked signals. */
static int spawn(char *const *arguments, int commands[2], int replies[2], pid_t *process)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, commands[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, replies[1], STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int code = posix_spawn(process, "/proc/self/exe", &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

int bench_child_start(const char *selector, const char *cache, bench_child *child)
{
    int commands[2], replies[2];
    char *arguments[] = {"flowcl", "bench-device", (char *)selector, (char *)cache, NULL};
    *child = (bench_child){0};
    if (pipe2(commands, O_CLOEXEC))
        return tool_fail("cannot make a pipe: %s", strerror(errno));
    if (pipe2(replies, O_CLOEXEC)) {
        int code = errno;
        close_pair(commands);
        return tool_fail("cannot make a pipe: %s", strerror(code));
    }
    int code = spawn(arguments, commands, replies, &child->process);
    if (code) {
        close_pair(commands);
        close_pair(replies);
        child->process = 0;
        return tool_fail("cannot start a process for device %s: %s", selector, strerror(code));
    }
    close(commands[0]);
    close(replies[1]);
    child->commands = fdopen(commands[1], "w");
    child->replies = fdopen(replies[0], "r");
    return EXIT_DONE;
}

static void reap(bench_child *child)
{
    int status = 0;
    fclose(child->commands);
    fclose(child->replies);
    while (waitpid(child->process, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status))
        snprintf(child->end, sizeof child->end, "its process crashed: %s (signal %d)",
                 strsignal(WTERMSIG(status)), WTERMSIG(status));
    else
        snprintf(child->end, sizeof child->end, "its process ended with status %d", WEXITSTATUS(status));
    child->process = 0;
}

/* A driver may print to standard output, too: only lines that are objects are replies. */
static json_t *read_reply(bench_child *child)
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

json_t *bench_child_ask(bench_child *child, const char *format, ...)
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

/* The end of its standard input ends it. */
void bench_child_stop(bench_child *child)
{
    if (child->process)
        reap(child);
}
