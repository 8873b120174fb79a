#include "train/folder.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "train/classifier.h"

#include <flowcl/train.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENDING    ".safetensors"
#define BEGINNING "checkpoint-"

/* --- the files that a run writes --- */

/* BEGINNING, the ten digits of a step, ENDING. */
static bool is_of_step(const char *name, const char *beginning, const char *ending)
{
    enum { DIGITS = 10 };
    size_t length = strlen(beginning);
    return strncmp(name, beginning, length) == 0 && strspn(name + length, "0123456789") == DIGITS &&
           strcmp(name + length + DIGITS, ending) == 0;
}

/* Its own files, of the library and of the program. */
static bool is_of_run(const char *name)
{
    static const char *const plain[] = {"config.yaml", "metrics.jsonl", "loss.png", "history.png",
                                        FCL_CLASSIFIER_FILE, FCL_CLASSIFIER_TRAINING};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (strcmp(name, plain[i]) == 0)
            return true;
    return is_of_step(name, BEGINNING, ENDING) || is_of_step(name, "samples-", ".png") ||
           is_of_step(name, "samples-", ".npy");
}

/* The lock is held: nobody is at work on these. What others write here, such as samples, is theirs. */
static int half_written(const struct dirent *entry)
{
    size_t length = fcl_file_aside_of(entry->d_name);
    char *name = fcl_format("%.*s", (int)length, entry->d_name);
    bool own = length && is_of_run(name);
    free(name);
    return own || strcmp(entry->d_name, "metrics.part") == 0; /* earlier versions' name */
}

static int any_checkpoint(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && fcl_file_ends_with(entry->d_name, ENDING);
}

static int own_checkpoint(const struct dirent *entry)
{
    return entry->d_type != DT_DIR && is_of_step(entry->d_name, BEGINNING, ENDING);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The folder's files of a kind by name; *entries and each of them are released by free. */
static int list(const char *folder, int (*wanted)(const struct dirent *), struct dirent ***entries,
                int *count)
{
    *count = scandir(folder, entries, wanted, by_name);
    if (*count < 0)
        return fcl_fail(FCL_ERR_FILE, "cannot read the folder %s: %s", folder, strerror(errno));
    return FCL_OK;
}

static void free_list(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

/* Removes all of a kind but the last `keep`. */
static int remove_files(const char *folder, int (*wanted)(const struct dirent *), int keep)
{
    struct dirent **entries;
    int count, status = FCL_OK;
    FCL_TRY(list(folder, wanted, &entries, &count));
    for (int i = 0; i < count - keep && status == FCL_OK; i++) {
        char *path = fcl_format("%s/%s", folder, entries[i]->d_name);
        if (unlink(path) != 0 && errno != ENOENT)
            status = fcl_fail(FCL_ERR_FILE, "cannot remove %s: %s", path, strerror(errno));
        free(path);
    }
    free_list(entries, count);
    return status;
}

/* --- its checkpoints --- */

char *fcl_checkpoint_path(const char *folder, int64_t step)
{
    return fcl_format("%s/" BEGINNING "%010lld" ENDING, folder, (long long)step);
}

static int find_newest(const char *folder, int (*wanted)(const struct dirent *), char **path)
{
    struct dirent **entries;
    int count;
    *path = NULL;
    FCL_TRY(list(folder, wanted, &entries, &count));
    if (count)
        *path = fcl_format("%s/%s", folder, entries[count - 1]->d_name);
    free_list(entries, count);
    return FCL_OK;
}

int fcl_checkpoint_newest(const char *folder, char **path)
{
    FCL_TRY(find_newest(folder, own_checkpoint, path));
    if (!*path)
        FCL_TRY(find_newest(folder, any_checkpoint, path));
    return *path ? FCL_OK : fcl_fail(FCL_ERR_FILE, "the folder %s holds no checkpoint (*" ENDING ")", folder);
}

int fcl_checkpoint_prune(const char *folder, int keep)
{
    return remove_files(folder, own_checkpoint, keep);
}

/* --- its lock --- */

#define LOCK "%s/.lock"

enum { HOST_SIZE = 256 };

struct fcl_run_lock {
    char *folder, *path;
    size_t made; /* of the folder's path, the length of the topmost part that was not there; 0: all was */
    int descriptor; /* -1 where there are no locks */
    char *fault;
};

/* The name of the machine: folders are shared between some, and each has processes of that number. */
static void host_name(char name[HOST_SIZE])
{
    if (gethostname(name, HOST_SIZE - 1) != 0)
        *name = 0;
    name[HOST_SIZE - 1] = 0;
    name[strcspn(name, " \n")] = 0;
}

static int fail_held(const char *folder, int descriptor)
{
    char text[HOST_SIZE + 32] = "", host[HOST_SIZE], there[HOST_SIZE] = "";
    long process = 0;
    ssize_t length = pread(descriptor, text, sizeof text - 1, 0);
    host_name(host);
    if (length <= 0 || sscanf(text, "%ld %255s", &process, there) < 1)
        return fcl_fail(FCL_ERR_FILE, "another process trains into %s: wait for it, or choose another folder",
                        folder);
    if (strcmp(host, there) != 0)
        return fcl_fail(
            FCL_ERR_FILE,
            "process %ld of the machine %s trains into %s: wait for it, stop it, or choose another folder",
            process, there, folder);
    return fcl_fail(FCL_ERR_FILE,
                    "process %ld trains into %s: wait for it, stop it (kill %ld), or choose another folder",
                    process, folder, process);
}

/* Whether the path still leads to the file: a run that ends removes its lock, perhaps after it was opened
 * here. */
static bool is_current(const char *path, int descriptor)
{
    struct stat opened, there;
    return fstat(descriptor, &opened) == 0 && stat(path, &there) == 0 && opened.st_dev == there.st_dev &&
           opened.st_ino == there.st_ino;
}

/* Opens and locks the file that stands under the path. *descriptor is -1 where there are no locks, with
 * errno. */
static int open_locked(const char *folder, const char *path, int *descriptor)
{
    for (;;) {
        *descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (*descriptor < 0)
            return fcl_fail(FCL_ERR_FILE, "cannot lock the folder %s: cannot write %s: %s", folder, path,
                            strerror(errno));
        int error = flock(*descriptor, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
        if (!error && is_current(path, *descriptor))
            return FCL_OK;
        int status = error == EWOULDBLOCK ? fail_held(folder, *descriptor) : FCL_OK;
        close(*descriptor);
        *descriptor = -1;
        errno = error;
        if (error)
            return status;
    }
}

/* Who is told of the process reads it here. On a full disk it is not told, but kept out all the same. */
static void sign(int descriptor)
{
    char host[HOST_SIZE];
    host_name(host);
    if (ftruncate(descriptor, 0) == 0)
        dprintf(descriptor, "%ld %s\n", (long)getpid(), host);
}

static size_t length_of_missing(const char *folder)
{
    char *part = fcl_strdup(folder);
    size_t length = 0;
    for (char *slash = part; slash && !length;) {
        slash = *slash ? strchr(slash + 1, '/') : NULL;
        if (slash)
            *slash = 0;
        if (access(part, F_OK) != 0)
            length = strlen(part);
        if (slash)
            *slash = '/';
    }
    free(part);
    return length;
}

/* Removes the folders that were made for a run which then left nothing in them. */
static void unmake(const fcl_run_lock *lock)
{
    char *part = lock->folder, *end = part + strlen(part);
    for (; lock->made && end && (size_t)(end - part) >= lock->made; end = strrchr(part, '/')) {
        *end = 0;
        if (rmdir(part) != 0 && errno != ENOENT) /* which a slash at its end leads to */
            return;
    }
}

static int take(const char *folder, fcl_run_lock *lock)
{
    lock->folder = fcl_strdup(folder);
    lock->made = length_of_missing(folder);
    FCL_TRY(fcl_folder_make(folder));
    lock->path = fcl_format(LOCK, folder);
    FCL_TRY(open_locked(folder, lock->path, &lock->descriptor));
    if (lock->descriptor < 0) {
        lock->fault = fcl_format(
            "the file system of %s has no locks (%s): see to it yourself that no second run writes "
            "into it",
            folder, strerror(errno));
        unlink(lock->path);
        return FCL_OK;
    }
    sign(lock->descriptor);
    remove_files(folder, half_written, 0); /* one that cannot be removed does no harm */
    return FCL_OK;
}

int fcl_run_lock_take(const char *folder, fcl_run_lock **lock)
{
    *lock = fcl_zalloc(sizeof **lock);
    (*lock)->descriptor = -1;
    int status = take(folder, *lock);
    if (status != FCL_OK)
        fcl_run_lock_release(lock);
    return status;
}

void fcl_run_lock_release(fcl_run_lock **lock)
{
    if (!*lock)
        return;
    if ((*lock)->descriptor >= 0 && is_current((*lock)->path, (*lock)->descriptor))
        unlink((*lock)->path); /* held, so that it is nobody else's */
    unmake(*lock);
    if ((*lock)->descriptor >= 0)
        close((*lock)->descriptor);
    free((*lock)->folder);
    free((*lock)->path);
    free((*lock)->fault);
    free(*lock);
    *lock = NULL;
}

const char *fcl_run_lock_fault(const fcl_run_lock *lock)
{
    return lock->fault;
}
