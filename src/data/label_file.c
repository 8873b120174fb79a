/* Classes of a folder's pictures, from a table of text. */
#include "data/pictures.h"

#include "base/csv_dialect.h"
#include "base/error.h"
#include "base/gzip.h"
#include "base/memory.h"
#include "base/words.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct row {
    char *file, *label;
    int64_t line;
    bool used;
} row;

typedef struct table {
    const char *path;
    row *rows;
    size_t count;
} table;

static void release(table *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->rows[i].file);
        free(t->rows[i].label);
    }
    free(t->rows);
}

static int by_file(const void *left, const void *right)
{
    const row *a = left, *b = right;
    return strcmp(a->file, b->file);
}

/* The number of the heading's cell of that name, from 0; -1: there is none. */
static int64_t find_column(const char *text, char separator, const char *name)
{
    fcl_csv_cell cell;
    fcl_csv_cursor cursor = fcl_csv_begin(text, separator);
    int64_t found = -1;
    if (!fcl_csv_next_record(&cursor))
        return -1;
    for (int64_t c = 0; fcl_csv_next_cell(&cursor, &cell); c++) {
        char *here = fcl_csv_cell_text(&cell);
        if (found < 0 && strcasecmp(here, name) == 0)
            found = c;
        free(here);
    }
    return found;
}

static void add_row(table *t, fcl_csv_cursor *cursor, int64_t file, int64_t label)
{
    fcl_csv_cell cell;
    if ((t->count & (t->count - 1)) == 0) /* a power of two is full */
        t->rows = fcl_grow(t->rows, (t->count ? 2 * t->count : 1) * sizeof *t->rows);
    row *added = &t->rows[t->count++];
    *added = (row){.line = cursor->line};
    for (int64_t c = 0; fcl_csv_next_cell(cursor, &cell); c++) {
        if (c == file)
            added->file = fcl_csv_cell_text(&cell);
        else if (c == label)
            added->label = fcl_csv_cell_text(&cell);
    }
    if (strncmp(added->file, "./", 2) == 0)
        memmove(added->file, added->file + 2, strlen(added->file) - 1);
}

/* By file, each once. */
static int sort_rows(table *t)
{
    size_t kept = 0;
    if (t->count)
        qsort(t->rows, t->count, sizeof *t->rows, by_file);
    for (size_t i = 0; i < t->count; i++) {
        row *last = kept ? &t->rows[kept - 1] : NULL, here = t->rows[i];
        bool again = last && strcmp(last->file, here.file) == 0;
        if (again && strcmp(last->label, here.label) != 0)
            return fcl_fail(FCL_ERR_FORMAT, "%s gives %s two labels: '%s' in line %lld and '%s' in line %lld",
                            t->path, here.file, last->label, (long long)last->line, here.label,
                            (long long)here.line);
        t->rows[i] = again ? here : t->rows[kept];
        if (!again)
            t->rows[kept++] = here;
    }
    for (size_t i = kept; i < t->count; i++) {
        free(t->rows[i].file);
        free(t->rows[i].label);
    }
    t->count = kept;
    return FCL_OK;
}

static int read_rows(table *t, const char *text, const char *label_column)
{
    fcl_csv_dialect dialect;
    FCL_TRY(fcl_csv_find_dialect(text, t->path, &dialect));
    const char *label_name = label_column ? label_column : "label";
    int64_t file = find_column(text, dialect.separator, "file");
    int64_t label = find_column(text, dialect.separator, label_name);
    if (file < 0 || label < 0 || file == label)
        return fcl_fail(FCL_ERR_FORMAT,
                        "%s has no column '%s' in its first line: it needs 'file', a path below the folder, "
                        "and the label's",
                        t->path, file < 0 ? "file" : label_name);
    fcl_csv_cursor cursor = fcl_csv_begin(text, dialect.separator);
    if (fcl_csv_next_record(&cursor)) /* the heading */
        fcl_csv_skip_cells(&cursor);
    while (fcl_csv_next_record(&cursor)) /* pandas and R leave the heading of a row's number away */
        add_row(t, &cursor, file + dialect.unnamed, label + dialect.unnamed);
    return sort_rows(t);
}

static row *find_row(const table *t, char *picture)
{
    row wanted = {.file = picture};
    return t->count ? bsearch(&wanted, t->rows, t->count, sizeof *t->rows, by_file) : NULL;
}

/* Picture `first` has no row. */
static int refuse_missing(const table *t, const fcl_pictures *pictures, int64_t first)
{
    int64_t others = 0;
    for (int64_t i = first + 1; i < pictures->count; i++)
        others += !find_row(t, pictures->name[i]);
    char *more = others ? fcl_format(", nor for %lld others", (long long)others) : fcl_strdup("");
    int status = fcl_fail(FCL_ERR_FORMAT, "%s has no row for the picture %s of %s%s: each needs one, file and label",
                          t->path, pictures->name[first], pictures->folder, more);
    free(more);
    return status;
}

static int match(const table *t, const fcl_pictures *pictures, fcl_words *words)
{
    for (int64_t i = 0; i < pictures->count; i++) {
        row *found = find_row(t, pictures->name[i]);
        if (!found)
            return refuse_missing(t, pictures, i);
        if (!*found->label)
            return fcl_fail(FCL_ERR_FORMAT, "%s, line %lld: the label of %s is missing: fill it in", t->path,
                            (long long)found->line, found->file);
        found->used = true;
        int status = fcl_words_add(words, found->label, strlen(found->label), FCL_LABEL_LIMIT);
        if (status != FCL_OK)
            return fcl_fail_within(status, "%s", t->path);
    }
    return FCL_OK;
}

static int set_labels(table *t, const fcl_pictures *pictures, fcl_dataset *dataset, int64_t *spare)
{
    fcl_words words = {0};
    int status = match(t, pictures, &words);
    if (status == FCL_OK)
        status = fcl_dataset_set_words(dataset, &words, t->path);
    for (size_t i = 0; i < t->count; i++)
        *spare += !t->rows[i].used;
    fcl_words_free(&words);
    return status;
}

int fcl_pictures_read_labels(const fcl_pictures *pictures, const fcl_dataset_options *options,
                             fcl_dataset *dataset, int64_t *spare)
{
    uint8_t *bytes;
    size_t size;
    table t = {.path = options->image.label_file};
    *spare = 0;
    FCL_TRY(fcl_gzip_read_all(t.path, &bytes, &size));
    bytes[size] = 0; /* the spare one */
    int status = memchr(bytes, 0, size)
                     ? fcl_fail(FCL_ERR_FORMAT, "%s is no table of text: it holds zero bytes", t.path)
                     : read_rows(&t, (const char *)bytes, options->label_column);
    if (status == FCL_OK)
        status = set_labels(&t, pictures, dataset, spare);
    release(&t);
    free(bytes);
    return status;
}
