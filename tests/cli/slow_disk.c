/* Preloaded into the program: files whose paths hold $SLOW are read, by pread, with a pause before each read.
 */
#undef _FILE_OFFSET_BITS /* of which pread would be another name of pread64 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE = 20 }; /* thousandths of a second */

static bool is_slow(int file)
{
    char link[64], path[4096];
    const char *slow = getenv("SLOW");
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    return slow && strstr(path, slow);
}

static ssize_t read_slowly(int file, void *to, size_t size, off_t offset)
{
    if (is_slow(file))
        nanosleep(&(struct timespec){.tv_nsec = PAUSE * 1000000L}, NULL);
    return syscall(SYS_pread64, file, to, size, offset);
}

ssize_t pread(int file, void *to, size_t size, off_t offset)
{
    return read_slowly(file, to, size, offset);
}

ssize_t pread64(int file, void *to, size_t size, off_t offset)
{
    return read_slowly(file, to, size, offset);
}
