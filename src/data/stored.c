#include "data/stored.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/watch.h"
#include "data/reader.h"
#include "data/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MOST_OPEN = 64,       /* files that stay open */
    FIRST_READ = 1 << 12, /* bytes of a file that are looked at for its header */
    AT_ONCE = 1 << 20,    /* bytes of a read, or one sample */
    LEAST_GAP = 1 << 14,  /* bytes between two samples that are rather read than passed over */
};

/* --- reading --- */

static int read_bytes(const char *path, int open, void *to, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(open, (uint8_t *)to + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fcl_fail(FCL_ERR_FILE, "cannot read %s: %s", path, strerror(errno));
        if (got == 0)
            return fcl_fail(FCL_ERR_FILE,
                            "%s has become shorter since it was opened: it ends at byte %llu; leave the data as they are "
                            "while they are read",
                            path, (unsigned long long)(offset + done));
        done += (size_t)got;
    }
    return FCL_OK;
}

/* --- opening --- */

/* A header is mostly of 128 bytes; of a long one the rest is read, too. */
static int read_head_bytes(const char *path, int file, uint64_t whole, size_t *size, uint8_t **bytes)
{
    *size = whole < FIRST_READ ? (size_t)whole : FIRST_READ;
    *bytes = fcl_zalloc(FIRST_READ);
    FCL_TRY(read_bytes(path, file, *bytes, *size, 0));
    size_t first = *size, wanted = fcl_npy_head_size(*bytes, first);
    wanted = wanted < whole ? wanted : (size_t)whole;
    if (wanted <= first)
        return FCL_OK;
    uint8_t *all = fcl_zalloc(wanted);
    memcpy(all, *bytes, first);
    free(*bytes);
    *bytes = all;
    *size = wanted;
    return read_bytes(path, file, all + first, wanted - first, first);
}

/* Of the file that is open. */
static int read_head(const char *path, int file, fcl_npy *head, uint64_t *offset)
{
    struct stat about;
    uint8_t *bytes = NULL;
    size_t size;
    if (fstat(file, &about) != 0)
        return fcl_fail(FCL_ERR_FILE, "cannot read %s: %s", path, strerror(errno));
    uint64_t whole = (uint64_t)about.st_size;
    int status = read_head_bytes(path, file, whole, &size, &bytes);
    if (status == FCL_OK)
        status = fcl_npy_parse_head(bytes, size, whole, path, head);
    *offset = status == FCL_OK ? (uint64_t)(head->data - bytes) : 0;
    head->data = NULL;
    free(bytes);
    return status;
}

int fcl_stored_look(const char *path, fcl_npy *head)
{
    uint64_t offset;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return fcl_fail(FCL_ERR_FILE, "cannot read %s: %s", path, strerror(errno));
    int status = read_head(path, file, head, &offset);
    close(file);
    return status;
}

static int check_head(const fcl_npy *head, const char *path)
{
    if (head->kind == 'U' || head->kind == 'S')
        return fcl_fail(FCL_ERR_FORMAT, "%s holds text, and numbers are wanted", path);
    if (head->fortran && head->shape.rank > 1)
        return fcl_fail(
            FCL_ERR_FORMAT,
            "%s is in Fortran order, so that no sample lies in one piece, and cannot be read in pieces: save "
            "numpy.ascontiguousarray of it",
            path);
    return FCL_OK;
}

static bool same_samples(const fcl_npy *a, const fcl_npy *b)
{
    bool same = a->shape.rank == b->shape.rank;
    for (int i = 1; same && i < a->shape.rank; i++)
        same = a->shape.dim[i] == b->shape.dim[i];
    return same;
}

static int check_alike(const fcl_stored_file *first, const fcl_stored_file *other)
{
    const fcl_npy *a = &first->head, *b = &other->head;
    char shape[FCL_SHAPE_TEXT], wanted[FCL_SHAPE_TEXT];
    if (!same_samples(a, b))
        return fcl_fail(
            FCL_ERR_SHAPE, "%s has the shape %s, and %s %s: all but the first number have to be the same",
            other->path, fcl_shape_format(b->shape, shape), first->path, fcl_shape_format(a->shape, wanted));
    if (a->kind != b->kind || a->item_size != b->item_size)
        return fcl_fail(FCL_ERR_SHAPE,
                        "%s has elements of type %c%d, and %s of %c%d: all have to be of one type",
                        other->path, b->kind, b->item_size, first->path, a->kind, a->item_size);
    return FCL_OK;
}

static int open_file(fcl_stored *stored, int64_t i, const fcl_dataset_options *options, fcl_dataset *dataset)
{
    fcl_stored_file *file = &stored->file[i];
    fcl_dataset other = {0};
    fcl_layout own;
    file->open = open(file->path, O_RDONLY | O_CLOEXEC);
    if (file->open < 0)
        return fcl_fail(FCL_ERR_FILE, "cannot read %s: %s", file->path, strerror(errno));
    FCL_TRY(read_head(file->path, file->open, &file->head, &file->offset));
    FCL_TRY(check_head(&file->head, file->path));
    int status = fcl_samples_describe(&file->head, options, file->path, i ? &own : &stored->layout, i ? &other : dataset);
    free(other.note);
    FCL_TRY(status);
    FCL_TRY(i ? check_alike(stored->file, file) : FCL_OK);
    file->first = stored->count;
    stored->count += file->head.shape.dim[0];
    if (stored->file_count > MOST_OPEN) {
        close(file->open);
        file->open = -1;
    }
    return FCL_OK;
}

static int open_files(fcl_stored *stored, const fcl_dataset_options *options, fcl_dataset *dataset)
{
    for (int64_t i = 0; i < stored->file_count; i++) {
        FCL_TRY(fcl_watch_at("opening the data", i, stored->file_count));
        FCL_TRY(open_file(stored, i, options, dataset));
    }
    return FCL_OK;
}

static size_t row_bytes(const fcl_layout *layout)
{
    return (size_t)fcl_shape_size(layout->sample) * fcl_layout_number(layout);
}

/* What the dimensions are, where some samples have to be looked at for that: as they lie, at first. */
static int decide(fcl_stored *stored, const fcl_dataset_options *options, fcl_dataset *dataset)
{
    const fcl_npy *head = &stored->file->head;
    if (!fcl_layout_asks(head))
        return FCL_OK;
    int64_t size = fcl_shape_size(stored->layout.sample), n = fcl_layout_asked(stored->layout.sample, stored->count);
    float *asked = malloc((size_t)(n * size) * sizeof *asked);
    int status = asked ? FCL_OK : fcl_fail(FCL_ERR_MEMORY, "%s: no memory for a sample", stored->file->path);
    for (int64_t i = 0; i < n && status == FCL_OK; i++)
        status = fcl_stored_run(stored, fcl_samples_asked(dataset, i, n), 1, asked + i * size);
    if (status == FCL_OK)
        status = fcl_layout_decide(head, n, asked, options, stored->file->path, &stored->layout, &dataset->note);
    free(asked);
    dataset->shape = stored->layout.sample;
    stored->row_bytes = row_bytes(&stored->layout);
    return status;
}

int fcl_stored_open(int64_t count, char *const *path, const fcl_dataset_options *options, fcl_dataset *dataset,
                    fcl_stored **stored)
{
    fcl_stored *made = *stored = fcl_zalloc(sizeof *made);
    made->file_count = count;
    made->file = fcl_zalloc((size_t)count * sizeof *made->file);
    for (int64_t i = 0; i < count; i++) {
        made->file[i].path = fcl_strdup(path[i]);
        made->file[i].open = -1;
    }
    int status = open_files(made, options, dataset);
    if (status == FCL_OK) {
        const fcl_npy *head = &made->file->head;
        made->file_bytes = (size_t)(fcl_shape_size(head->shape) / head->shape.dim[0]) * (size_t)head->item_size;
        made->row_bytes = row_bytes(&made->layout);
        made->pool = fcl_pool_create(0);
        dataset->count = made->count;
        status = decide(made, options, dataset);
    }
    if (status != FCL_OK)
        fcl_stored_close(stored);
    return status;
}

void fcl_stored_close(fcl_stored **stored)
{
    fcl_stored *dying = *stored;
    if (!dying)
        return;
    fcl_pool_destroy(&dying->pool);
    for (int64_t i = 0; i < dying->file_count; i++) {
        if (dying->file[i].open >= 0)
            close(dying->file[i].open);
        free(dying->file[i].path);
    }
    free(dying->file);
    free(dying);
    *stored = NULL;
}

/* --- a run of samples --- */

/* The file that a sample lies in. */
static const fcl_stored_file *find_file(const fcl_stored *stored, int64_t sample)
{
    int64_t low = 0, high = stored->file_count;
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        if (stored->file[middle].first <= sample)
            low = middle;
        else
            high = middle;
    }
    return &stored->file[low];
}

static int check_finite(const fcl_stored_file *file, int64_t first, int64_t size, int64_t count,
                        const float *values)
{
    bool finite = true;
    for (int64_t i = 0; i < count; i++)
        finite &= fabsf(values[i]) < INFINITY;
    for (int64_t i = 0; !finite && i < count; i++)
        if (!isfinite(values[i]))
            return fcl_fail(FCL_ERR_NUMERIC, "%s: sample %lld holds %s (its number %lld, both from 0)",
                            file->path, (long long)(first - file->first + i / size),
                            isnan(values[i]) ? "NaN" : "an infinite or too large number",
                            (long long)(i % size));
    return FCL_OK;
}

/* Of one file, at most AT_ONCE bytes or one sample; `raw` has room for as many as are converted. */
static int read_piece(const fcl_stored *stored, const fcl_stored_file *file, int open, int64_t first,
                      int64_t n, uint8_t *raw, void *rows)
{
    size_t size = (size_t)n * stored->file_bytes;
    uint64_t at = file->offset + (uint64_t)(first - file->first) * stored->file_bytes;
    FCL_TRY(read_bytes(file->path, open, raw ? raw : rows, size, at));
    fcl_npy array = file->head;
    array.shape.dim[0] = n;
    array.data = raw;
    FCL_TRY(raw ? fcl_samples_convert(&array, &stored->layout, rows) : FCL_OK);
    int64_t numbers = (int64_t)(stored->row_bytes / sizeof(float));
    bool floats = file->head.kind == 'f' || (stored->layout.clear && !stored->layout.bytes);
    return floats ? check_finite(file, first, numbers, n * numbers, rows) : FCL_OK;
}

/* Of one file, piece by piece. */
static int read_pieces(const fcl_stored *stored, const fcl_stored_file *file, int open, int64_t first,
                       int64_t n, void *rows)
{
    int64_t most = AT_ONCE / (int64_t)stored->file_bytes;
    most = most < 1 ? 1 : most > n ? n : most;
    bool as_is = fcl_samples_lie_so(&file->head, &stored->layout);
    uint8_t *raw = as_is ? NULL : malloc((size_t)most * stored->file_bytes);
    if (!as_is && !raw)
        return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for %lld samples", file->path, (long long)most);
    int status = FCL_OK;
    for (int64_t done = 0; done < n && status == FCL_OK; done += most) {
        int64_t some = n - done < most ? n - done : most;
        status = read_piece(stored, file, open, first + done, some, raw,
                            (uint8_t *)rows + (size_t)done * stored->row_bytes);
    }
    free(raw);
    return status;
}

int fcl_stored_run(const fcl_stored *stored, int64_t first, int64_t n, void *rows)
{
    for (int64_t done = 0; done < n;) {
        const fcl_stored_file *file = find_file(stored, first + done);
        int64_t end = file->first + file->head.shape.dim[0],
                some = end - first - done < n - done ? end - first - done : n - done;
        int descriptor = file->open >= 0 ? file->open : open(file->path, O_RDONLY | O_CLOEXEC);
        if (descriptor < 0)
            return fcl_fail(FCL_ERR_FILE, "cannot read %s: %s", file->path, strerror(errno));
        int status = read_pieces(stored, file, descriptor, first + done, some,
                                 (uint8_t *)rows + (size_t)done * stored->row_bytes);
        if (file->open < 0)
            close(descriptor);
        FCL_TRY(status);
        done += some;
    }
    return FCL_OK;
}

/* --- samples by their numbers --- */

/* How many of them, from the first on, are one read: those that go up by small steps. */
static int64_t count_near(const fcl_stored *stored, int64_t n, const int64_t *which)
{
    int64_t row = (int64_t)stored->file_bytes, count = 1;
    while (count < n && which[count] > which[count - 1] &&
           (which[count] - which[count - 1] - 1) * row <= LEAST_GAP &&
           (which[count] + 1 - which[0]) * row <= AT_ONCE)
        count++;
    return count;
}

/* Those of one read. */
static int read_near(const fcl_stored *stored, int64_t n, const int64_t *which, uint8_t *rows)
{
    int64_t span = which[n - 1] + 1 - which[0];
    if (span == n)
        return fcl_stored_run(stored, which[0], n, rows);
    uint8_t *all = malloc((size_t)span * stored->row_bytes);
    if (!all)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for %lld samples", (long long)span);
    int status = fcl_stored_run(stored, which[0], span, all);
    for (int64_t i = 0; i < n && status == FCL_OK; i++)
        memcpy(rows + (size_t)i * stored->row_bytes, all + (size_t)(which[i] - which[0]) * stored->row_bytes,
               stored->row_bytes);
    free(all);
    return status;
}

int fcl_stored_gather(const fcl_stored *stored, int64_t n, const int64_t *which, void *rows)
{
    for (int64_t done = 0, some; done < n; done += some) {
        some = count_near(stored, n - done, which + done);
        FCL_TRY(read_near(stored, some, which + done, (uint8_t *)rows + (size_t)done * stored->row_bytes));
    }
    return FCL_OK;
}

typedef struct gathering {
    const fcl_stored *stored;
    const int64_t *which;
    int64_t *first; /* of each read, and the end */
    uint8_t *rows;
    int *status;
    char **fault;
} gathering;

static void gather_one(void *data, int64_t i)
{
    const gathering *g = data;
    int64_t first = g->first[i];
    g->status[i] = read_near(g->stored, g->first[i + 1] - first, g->which + first,
                             g->rows + (size_t)first * g->stored->row_bytes);
    if (g->status[i] != FCL_OK)
        g->fault[i] = fcl_strdup(fcl_error());
}

int fcl_stored_rows(const fcl_stored *stored, int64_t n, const int64_t *which, void *rows)
{
    gathering g = {.stored = stored, .which = which, .rows = rows};
    int64_t reads = 0;
    int status = FCL_OK;
    g.first = fcl_zalloc(((size_t)n + 1) * sizeof *g.first);
    for (int64_t done = 0; done < n; g.first[++reads] = done)
        done += count_near(stored, n - done, which + done);
    g.status = fcl_zalloc((size_t)reads * sizeof *g.status);
    g.fault = fcl_zalloc((size_t)reads * sizeof *g.fault);
    fcl_pool_run(stored->pool, reads, gather_one, &g);
    for (int64_t i = 0; i < reads; i++) {
        if (g.status[i] != FCL_OK && status == FCL_OK)
            status = fcl_fail(g.status[i], "%s", g.fault[i]);
        free(g.fault[i]);
    }
    free(g.first);
    free(g.status);
    free(g.fault);
    return status;
}
