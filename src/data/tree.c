#include "data/tree.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Paths below the folder, in a row that grows. */
typedef struct names {
    char **name;
    size_t count;
} names;

typedef struct identity {
    dev_t device;
    ino_t number;
} identity;

typedef struct walk {
    const char *folder;
    fcl_tree *tree;
    names files, folders, links; /* folders and links that wait for their turn */
    void *seen;                  /* identities of folders, and of files that links led to or may lead to */
} walk;

static void add(names *to, char *name)
{
    if ((to->count & (to->count - 1)) == 0) /* a power of two is full */
        to->name = fcl_grow(to->name, (to->count ? 2 * to->count : 1) * sizeof *to->name);
    to->name[to->count++] = name;
}

static void release(names *of)
{
    for (size_t i = 0; i < of->count; i++)
        free(of->name[i]);
    free(of->name);
    *of = (names){0};
}

static int by_bytes(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void sort(names *of)
{
    if (of->count)
        qsort(of->name, of->count, sizeof *of->name, by_bytes);
}

static int by_identity(const void *left, const void *right)
{
    const identity *a = left, *b = right;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

/* Whether it is seen for the first time. */
static bool is_new(walk *w, const struct stat *about)
{
    identity *id = fcl_zalloc(sizeof *id);
    *id = (identity){about->st_dev, about->st_ino};
    identity *const *known = tsearch(id, &w->seen, by_identity);
    bool fresh = known && *known == id;
    if (!fresh)
        free(id);
    return fresh;
}

static char *join(const char *folder, const char *name)
{
    return *folder ? fcl_format("%s/%s", folder, name) : fcl_strdup(name);
}

/* What an entry is, links aside. */
static void add_found(walk *w, const struct stat *about, bool linked, char *name)
{
    bool file = S_ISREG(about->st_mode), folder = S_ISDIR(about->st_mode);
    bool fresh = (file || folder) && is_new(w, about);
    if (folder && fresh)
        add(&w->folders, name);
    else if (file && (fresh || !linked)) /* a file of two names of its own is two files */
        add(&w->files, name);
    else {
        w->tree->again += (file || folder) && linked;
        w->tree->broken += !file && !folder;
        free(name);
    }
}

static int read_folder(walk *w, DIR *entries, const char *below)
{
    for (struct dirent *entry; (entry = readdir(entries));) {
        struct stat about;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        w->tree->hidden += name[0] == '.';
        if (name[0] == '.' || fstatat(dirfd(entries), name, &about, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISLNK(about.st_mode))
            add(&w->links, join(below, name));
        else
            add_found(w, &about, false, join(below, name));
        FCL_TRY(fcl_watch_at("looking for pictures", (int64_t)w->files.count, 0));
    }
    return FCL_OK;
}

static int enter(walk *w, const char *below)
{
    char *path = *below ? join(w->folder, below) : fcl_strdup(w->folder);
    DIR *entries = opendir(path);
    int status = entries ? read_folder(w, entries, below)
                         : fcl_fail(FCL_ERR_FILE, "cannot open the folder %s: %s", path, strerror(errno));
    if (entries)
        closedir(entries);
    free(path);
    return status;
}

static int enter_all(walk *w)
{
    int status = FCL_OK;
    while (w->folders.count && status == FCL_OK) {
        char *below = w->folders.name[--w->folders.count];
        status = enter(w, below);
        free(below);
    }
    return status;
}

static int follow(walk *w, const char *link)
{
    struct stat about;
    char *path = join(w->folder, link);
    bool leads = stat(path, &about) == 0;
    free(path);
    w->tree->broken += !leads;
    if (leads)
        add_found(w, &about, true, fcl_strdup(link));
    return enter_all(w);
}

/* Links wait until all that is there without them is known, in the order of their bytes; those found on the
 * way wait again. */
static int follow_all(walk *w)
{
    int status = FCL_OK;
    while (w->links.count && status == FCL_OK) {
        names links = w->links;
        w->links = (names){0};
        sort(&links);
        for (size_t i = 0; i < links.count && status == FCL_OK; i++)
            status = follow(w, links.name[i]);
        release(&links);
    }
    return status;
}

int fcl_tree_list(const char *folder, fcl_tree *tree)
{
    struct stat about;
    *tree = (fcl_tree){0};
    walk w = {.folder = folder, .tree = tree};
    if (stat(folder, &about) != 0)
        return fcl_fail(FCL_ERR_FILE, "cannot open the folder %s: %s", folder, strerror(errno));
    add_found(&w, &about, false, fcl_strdup(""));
    int status = enter_all(&w);
    if (status == FCL_OK)
        status = follow_all(&w);
    sort(&w.files);
    tree->name = w.files.name;
    tree->count = (int64_t)w.files.count;
    release(&w.folders);
    release(&w.links);
    tdestroy(w.seen, free);
    if (status != FCL_OK)
        fcl_tree_free(tree);
    return status;
}

void fcl_tree_free(fcl_tree *tree)
{
    for (int64_t i = 0; i < tree->count; i++)
        free(tree->name[i]);
    free(tree->name);
    *tree = (fcl_tree){0};
}
