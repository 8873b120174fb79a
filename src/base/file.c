#include "base/file.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/watch.h"

#include <flowcl/text.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* How the name of a file ends that is not whole yet. */
#define ASIDE ".part"

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return fcl_strdup(".");
    return fcl_format("%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static int cannot_write(const char *path, int error)
{
    if (error != ENOENT)
        return fcl_fail(FCL_ERR_FILE, "cannot write %s: %s", path, strerror(error));
    char *folder = folder_of(path);
    int status = fcl_fail(FCL_ERR_FILE, "cannot write %s: the folder %s does not exist", path, folder);
    free(folder);
    return status;
}

static void release(fcl_file *file)
{
    free(file->path);
    free(file->aside);
    *file = (fcl_file){0};
}

/* The descriptor that a path like /proc/self/fd/1 names; -1 for any other. Opened anew, it would begin at the start of
 * the file that the shell appends to. */
static int named_descriptor(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (!*name || name[strspn(name, "0123456789")])
        return -1;
    char *folder = folder_of(path), *real = realpath(folder, NULL), *own = realpath("/proc/self/fd", NULL);
    bool named = real && own && strcmp(real, own) == 0;
    free(folder);
    free(real);
    free(own);
    return named ? atoi(name) : -1;
}

/* Where a chain of links ends, be there a file or not yet; released by free. */
static char *follow_links(const char *path, int *descriptor)
{
    enum { MOST_LINKS = 40 };
    char *at = fcl_strdup(path), target[PATH_MAX];
    for (int links = 0; links < MOST_LINKS && (*descriptor = named_descriptor(at)) < 0; links++) {
        ssize_t length = readlink(at, target, sizeof target);
        if (length < 0 || length == sizeof target)
            break;
        char *folder = folder_of(at);
        free(at);
        at = *target == '/' ? fcl_format("%.*s", (int)length, target)
                            : fcl_format("%s/%.*s", folder, (int)length, target);
        free(folder);
    }
    return at;
}

/* What a path leads to. */
typedef struct place {
    bool exists, in_place;
    struct stat info; /* where it exists */
    int descriptor;   /* that is open already; -1: none */
} place;

static int find_place(const char *path, place *at, fcl_file *file)
{
    if (!*path)
        return fcl_fail(FCL_ERR_ARGUMENT, "the name of the file to write is empty");
    at->exists = stat(path, &at->info) == 0;
    if (!at->exists && errno != ENOENT)
        return cannot_write(path, errno);
    if (at->exists && S_ISDIR(at->info.st_mode))
        return fcl_fail(FCL_ERR_FILE, "cannot write %s: it is a folder", path);
    file->path = follow_links(path, &at->descriptor);
    at->in_place = at->descriptor >= 0 || (at->exists && !S_ISREG(at->info.st_mode));
    return FCL_OK;
}

/* Opens a file that did not exist: a leftover of a killed process, or another thread's, is stepped over. */
static int open_aside(fcl_file *file, mode_t mode)
{
    for (int attempt = 0; attempt < 1000; attempt++) {
        file->aside = fcl_format("%s.%ld-%d" ASIDE, file->path, (long)getpid(), attempt);
        int descriptor = open(file->aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (descriptor >= 0)
            return descriptor;
        free(file->aside);
        file->aside = NULL;
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

/* A file that takes another's place takes its mode, and its owner as far as that is allowed; a group that is not the old
 * one may do no more than everybody. */
static void keep_mode(int descriptor, const struct stat *old)
{
    mode_t mode = old->st_mode & 0777;
    if (fchown(descriptor, old->st_uid, old->st_gid) != 0 && fchown(descriptor, (uid_t)-1, old->st_gid) != 0)
        mode &= ~(mode_t)070 | (mode & 07) << 3;
    fchmod(descriptor, mode);
}

static int open_place(const char *path, const place *at, fcl_file *file)
{
    if (at->descriptor >= 0)
        return fcntl(at->descriptor, F_DUPFD_CLOEXEC, 0);
    if (at->in_place)
        return open(path, O_WRONLY | O_CLOEXEC);
    int descriptor = open_aside(file, at->exists ? at->info.st_mode & 0777 : 0666);
    if (descriptor >= 0 && at->exists)
        keep_mode(descriptor, &at->info);
    return descriptor;
}

int fcl_file_create(const char *path, fcl_file *file)
{
    *file = (fcl_file){0};
    place at = {.descriptor = -1};
    FCL_TRY(find_place(path, &at, file));
    int descriptor = open_place(path, &at, file);
    if (descriptor < 0 || !(file->stream = fdopen(descriptor, "wb"))) {
        int error = errno;
        if (descriptor >= 0)
            close(descriptor);
        if (file->aside)
            unlink(file->aside);
        release(file);
        return cannot_write(path, error);
    }
    return FCL_OK;
}

static void note_failure(fcl_file *file, bool succeeded)
{
    if (!succeeded && !file->failure)
        file->failure = errno ? errno : EIO;
}

void fcl_file_write(fcl_file *file, const void *bytes, size_t size)
{
    if (size && !file->failure)
        note_failure(file, fwrite(bytes, 1, size, file->stream) == size);
}

void fcl_file_format(fcl_file *file, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!file->failure)
        note_failure(file, fcl_vfprintf(file->stream, format, args) >= 0);
    va_end(args);
}

/* A rename is on disk only when its folder is. Some file systems cannot sync a folder and say EINVAL. */
static int sync_folder(const char *path)
{
    char *folder = folder_of(path);
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (descriptor < 0)
        return 0; /* a folder that may be written but not read cannot be synced */
    int error = fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno;
    close(descriptor);
    return error;
}

int fcl_file_commit(fcl_file *file)
{
    note_failure(file, fflush(file->stream) == 0);
    if (file->aside && !file->failure)
        note_failure(file, fsync(fileno(file->stream)) == 0);
    note_failure(file, fclose(file->stream) == 0);
    file->stream = NULL;
    if (file->aside && !file->failure)
        note_failure(file, rename(file->aside, file->path) == 0);
    if (file->failure) {
        int status = cannot_write(file->path, file->failure);
        fcl_file_abandon(file);
        return status;
    }
    int error = file->aside ? sync_folder(file->path) : 0;
    int status = error ? cannot_write(file->path, error) : FCL_OK;
    release(file);
    return status;
}

void fcl_file_abandon(fcl_file *file)
{
    if (file->stream)
        fclose(file->stream);
    if (file->aside)
        unlink(file->aside);
    release(file);
}

int fcl_file_replace(const char *path, const void *bytes, size_t size)
{
    fcl_file file;
    FCL_TRY(fcl_file_create(path, &file));
    fcl_file_write(&file, bytes, size);
    return fcl_file_commit(&file);
}

/* The length of the name without the number at its end and the mark before that; 0 where they are not there. */
static size_t before_number(const char *name, size_t length, char mark)
{
    size_t start = length;
    while (start && name[start - 1] >= '0' && name[start - 1] <= '9')
        start--;
    return start && start < length && name[start - 1] == mark ? start - 1 : 0;
}

size_t fcl_file_aside_of(const char *name)
{
    size_t length = strlen(name), tail = strlen(ASIDE);
    bool ends = length > tail && strcmp(name + length - tail, ASIDE) == 0;
    size_t process = ends ? before_number(name, length - tail, '-') : 0;
    return before_number(name, process, '.');
}

int fcl_folder_make(const char *path)
{
    char *part = fcl_strdup(path);
    int error = 0;
    for (char *slash = part; slash && !error;) {
        slash = *slash ? strchr(slash + 1, '/') : NULL;
        if (slash)
            *slash = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            error = errno;
        if (slash)
            *slash = '/';
    }
    free(part);
    struct stat info;
    if (!error && stat(path, &info) != 0)
        error = errno;
    if (!error && !S_ISDIR(info.st_mode))
        error = ENOTDIR;
    if (!error && access(path, W_OK | X_OK) != 0)
        error = errno;
    return error ? fcl_fail(FCL_ERR_FILE, "cannot write into the folder %s: %s", path, strerror(error))
                 : FCL_OK;
}

/* Opens without blocking, so that a pipe is refused and not waited for. Returns -1 with the sentence told. */
static int open_regular(const char *path, struct stat *info)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0 || fstat(descriptor, info) != 0) {
        fcl_fail(FCL_ERR_FILE, "cannot read %s: %s", path, strerror(errno));
    } else if (S_ISDIR(info->st_mode)) {
        fcl_fail(FCL_ERR_FILE, "cannot read %s: it is a folder, not a file", path);
    } else if (!S_ISREG(info->st_mode)) {
        fcl_fail(FCL_ERR_FILE, "cannot read %s: it is not a regular file", path);
    } else {
        return descriptor;
    }
    if (descriptor >= 0)
        close(descriptor);
    return -1;
}

int fcl_file_check(const char *path)
{
    struct stat info;
    int descriptor = open_regular(path, &info);
    if (descriptor < 0)
        return FCL_ERR_FILE;
    close(descriptor);
    return FCL_OK;
}

static int check_owner(const char *path, bool follow)
{
    struct stat info;
    if ((follow ? stat(path, &info) : lstat(path, &info)) != 0)
        return fcl_fail(FCL_ERR_FILE, "cannot read %s: %s", path, strerror(errno));
    if (info.st_uid != geteuid())
        return fcl_fail(FCL_ERR_FILE, "%s belongs to another user (number %ld)", path, (long)info.st_uid);
    if (!S_ISLNK(info.st_mode) && info.st_mode & S_IWOTH)
        return fcl_fail(FCL_ERR_FILE, "everybody may write to %s", path);
    return FCL_OK;
}

int fcl_file_check_owner(const char *path)
{
    char *folder = folder_of(path);
    int status = FCL_OK;
    for (int i = 0; i < 4 && status == FCL_OK; i++)
        status = check_owner(i < 2 ? folder : path, i % 2);
    free(folder);
    return status;
}

static int read_all(int descriptor, const char *path, uint8_t *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const size_t most = 1 << 24;
        FCL_TRY(fcl_watch_at("reading a file", (int64_t)done, (int64_t)size));
        ssize_t got = read(descriptor, bytes + done, size - done < most ? size - done : most);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fcl_fail(FCL_ERR_FILE, "cannot read %s: %s", path, strerror(errno));
        if (got == 0)
            return fcl_fail(FCL_ERR_FILE, "cannot read %s: it shrank to %zu of %zu bytes", path, done, size);
        done += (size_t)got;
    }
    return FCL_OK;
}

int fcl_file_read(const char *path, uint8_t **bytes, size_t *size)
{
    struct stat info;
    int descriptor = open_regular(path, &info);
    if (descriptor < 0)
        return FCL_ERR_FILE;
    *size = (size_t)info.st_size;
    *bytes = malloc(*size + 1); /* never of no bytes, so that NULL means failure */
    int status = *bytes
                     ? read_all(descriptor, path, *bytes, *size)
                     : fcl_fail(FCL_ERR_MEMORY, "cannot read %s: no memory for its %zu bytes", path, *size);
    close(descriptor);
    if (status != FCL_OK) {
        free(*bytes);
        *bytes = NULL;
    }
    return status;
}

bool fcl_file_ends_with(const char *path, const char *ending)
{
    size_t length = strlen(path), tail = strlen(ending);
    return length > tail && strcasecmp(path + length - tail, ending) == 0;
}

int fcl_file_check_place(const char *path)
{
    fcl_file file = {0};
    place at = {.descriptor = -1};
    int status = find_place(path, &at, &file);
    fcl_file_abandon(&file);
    if (status != FCL_OK || at.in_place)
        return status;
    FCL_TRY(fcl_file_create(path, &file));
    fcl_file_abandon(&file);
    return FCL_OK;
}
