#include "stop.h"

#include "tool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* Not a signal handler: LLVM, which is inside of OpenCL drivers, puts its own in the place of ours while it
 * compiles, and it removes the files that the compiler is writing. Blocked in all threads, the signals reach
 * nobody but the thread that waits for them. */
static atomic_bool asked;
static sigset_t watched;

static void *wait_for_signals(void *unused)
{
    int number;
    sigset_t second = watched;
    sigdelset(&second, SIGHUP); /* a terminal that closes sends one, and its shell another */
    if (sigwait(&watched, &number) == 0) {
        atomic_store(&asked, true);
        sigwait(&second, &number);
        signal(number, SIG_DFL);
        pthread_sigmask(SIG_UNBLOCK, &watched, NULL);
        raise(number);
    }
    return unused;
}

/* A signal that whoever started the program ignores (nohup, a script's background) stays ignored: it is blocked as well,
 * else LLVM's handler would take it. */
static void watch(int number, sigset_t *blocked)
{
    struct sigaction action;
    sigaddset(blocked, number);
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
        sigaddset(&watched, number);
}

void stop_watch(void)
{
    pthread_t thread;
    sigset_t blocked;
    sigemptyset(&watched);
    sigemptyset(&blocked);
    watch(SIGINT, &blocked);
    watch(SIGTERM, &blocked);
    watch(SIGHUP, &blocked);
    if (tool_ranks())
        watch(STOP_OF_RANKS, &blocked);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    if (pthread_create(&thread, NULL, wait_for_signals, NULL))
        pthread_sigmask(SIG_UNBLOCK, &watched, NULL);
    else
        pthread_detach(thread);
}

bool stop_asked(void)
{
    return atomic_load(&asked);
}
