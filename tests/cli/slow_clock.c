/* Preloaded into the program: while the file $SLOW exists, the machine is a hundred times slower, by its clock. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TIMES = 100 };

static double monotonic(double real)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static double last, shown;
    const char *slow = getenv("SLOW");
    pthread_mutex_lock(&lock);
    shown += last > 0 ? (real - last) * (slow && access(slow, F_OK) == 0 ? TIMES : 1) : real;
    last = real;
    double now = shown;
    pthread_mutex_unlock(&lock);
    return now;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    long status = syscall(SYS_clock_gettime, clock, time);
    if (status == 0 && clock == CLOCK_MONOTONIC) {
        double now = monotonic((double)time->tv_sec + 1e-9 * (double)time->tv_nsec);
        time->tv_sec = (time_t)now;
        time->tv_nsec = (long)(1e9 * (now - (double)time->tv_sec));
    }
    return (int)status;
}
