#include "launch.h"

#include "stop.h"
#include "terminal.h"
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* In the environment of those that were started here: they start nobody. */
#define LAUNCHED "FLOWCL_LAUNCHED"

/* Both launchers know -n; what else is to be told Open MPI's is told by its environment, which others do not read: to run
 * as root as well, to leave all cores to each rank, to take as many ranks as are asked for, and to leave sentences to us. */
static void set_environment(void)
{
    static const char *const settings[][2] = {
        {"OMPI_ALLOW_RUN_AS_ROOT", "1"},        {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
        {"OMPI_MCA_rmaps_base_oversubscribe", "1"}, {"OMPI_MCA_hwloc_base_binding_policy", "none"},
        {"OMPI_MCA_orte_execute_quiet", "1"},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        setenv(settings[i][0], settings[i][1], 0);
    setenv(LAUNCHED, "1", 1);
    if (!isatty(STDERR_FILENO))
        return;
    char columns[16]; /* of the terminal that a pipe of the launcher's leads to */
    snprintf(columns, sizeof columns, "%d", terminal_width(stderr));
    setenv("COLUMNS", columns, 1);
    setenv(TERMINAL_VARIABLE, "1", 1);
}

/* In a process group of its own, which Ctrl-C of the terminal does not reach. */
static int start(int count, pid_t *process)
{
    char number[16], program[4096];
    char *const *given = tool_arguments();
    int words = 0;
    while (given[words])
        words++;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0)
        return errno;
    program[length] = '\0';
    snprintf(number, sizeof number, "%d", count);
    char **arguments = calloc((size_t)words + 5, sizeof *arguments);
    if (!arguments)
        return ENOMEM;
    memcpy(arguments, (char *[]){"mpiexec", "-n", number, program}, 4 * sizeof *arguments);
    memcpy(arguments + 4, given + 1, (size_t)(words - 1) * sizeof *arguments);
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    int code = posix_spawnp(process, arguments[0], NULL, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    free(arguments);
    return code;
}

/* Told to end, Open MPI's leaves its ranks a second or less, which may be too short for a checkpoint; a signal of the user's
 * it hands to them, and waits. MPICH's does so when it is told to end, and dies of what it does not catch. */
static int signal_to_stop(pid_t process)
{
    char path[64], line[256];
    unsigned long long caught = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)process);
    FILE *status = fopen(path, "r");
    while (status && fgets(line, sizeof line, status))
        sscanf(line, "SigCgt: %llx", &caught);
    if (status)
        fclose(status);
    return caught >> (STOP_OF_RANKS - 1) & 1 ? STOP_OF_RANKS : SIGTERM;
}

/* Of ranks that signals ended Open MPI's says 128 more than the number of the first one's, and MPICH's the bits of all their
 * numbers: no status of ours, and not which signal. */
static int status_of(int status)
{
    enum { BY_SIGNAL = 128 };
    int number = status - BY_SIGNAL;
    if (status <= EXIT_USAGE)
        return status;
    if (number > 0 && number < NSIG)
        return tool_fail("a rank was ended by signal %d (%s), and the others with it; checkpoints stay", number,
                         strsignal(number));
    return tool_fail("a rank was ended by a signal, and the others with it (mpiexec's status is %d); checkpoints stay", status);
}

/* The second time it is told to end. */
static int wait_for(pid_t process, const sigset_t *signals)
{
    int status, number, asked = 0;
    while (waitpid(process, &status, WNOHANG) == 0)
        if (sigwait(signals, &number) == 0 && number != SIGCHLD && !(asked && number == SIGHUP))
            kill(process, asked++ == 0 ? signal_to_stop(process) : SIGTERM);
    if (WIFSIGNALED(status))
        return tool_fail("mpiexec was ended by signal %d: %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return status_of(WEXITSTATUS(status));
}

/* Before it starts: none is lost. No device is open, whose driver would have threads that take them. */
static sigset_t block_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t signals;
    struct sigaction action;
    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (sigaction(ends[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) /* nohup's stays ignored */
            sigaddset(&signals, ends[i]);
    signal(SIGCHLD, SIG_DFL);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signals;
}

int launch_ranks(int count)
{
    pid_t process;
    if (fcl_ranks_launcher() || getenv(LAUNCHED))
        return tool_fail("%d processes are to be started, and this one was started by a launcher, alone: start so many by it, as "
                         "mpirun -n %d, or name one device; or the launcher is of another MPI than this build",
                         count, count);
    if (!fcl_ranks_supported())
        return tool_fail("%d devices are named, and this build knows no MPI, by whose ranks they would be used together: build "
                         "with Open MPI or MPICH (-Dmpi=enabled), or name one device",
                         count);
    const sigset_t signals = block_signals();
    set_environment();
    int code = start(count, &process);
    if (code == ENOENT)
        return tool_fail("%d devices are named, and mpiexec, which starts a process for each, is not there: install openmpi-bin "
                         "or mpich, or name one device",
                         count);
    return code ? tool_fail("cannot start mpiexec: %s", strerror(code)) : wait_for(process, &signals);
}

bool launch_listed(const char *device, int *status)
{
    char **entries;
    int count = 0;
    if (tool_ranks())
        return false;
    if (fcl_device_split(device, &entries, &count) != FCL_OK)
        return *status = tool_fail_library(), true;
    fcl_free(entries);
    if (count > 1)
        *status = launch_ranks(count);
    return count > 1;
}
