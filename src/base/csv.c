#include "base/csv.h"

#include "base/error.h"
#include "base/file.h"

#include <flowcl/text.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    const char *path;
    float *values;
    size_t count, capacity;
    int64_t rows, columns;
    int64_t line;
    bool headed; /* the one heading has been met */
} reader;

static bool is_separator(char c)
{
    return c && strchr(",; \t\r", c);
}

static int keep(reader *r, float value)
{
    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 4096;
        float *grown = realloc(r->values, capacity * sizeof *grown);
        if (!grown)
            return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for more than %zu numbers", r->path, r->count);
        r->values = grown;
        r->capacity = capacity;
    }
    r->values[r->count++] = value;
    return FCL_OK;
}

/* Spaces around one comma or semicolon part two numbers, as do spaces alone. A second comma is an empty cell.
 */
static const char *skip_separator(const char *at)
{
    bool parted = false;
    while (is_separator(*at) && !(parted && (*at == ',' || *at == ';')))
        parted |= *at == ',' || *at == ';', at++;
    return at;
}

static int bad_cell(const reader *r, const char *at)
{
    size_t length = strcspn(at, ",;\t");
    return fcl_fail(FCL_ERR_FORMAT, "%s, line %lld: '%.*s' is not a number", r->path, (long long)r->line,
                    (int)(length < 40 ? length : 40), at);
}

/* A heading has no cell that is, or begins as, a number: else it is a damaged row. */
static bool any_number(const char *at)
{
    while (*at) {
        char *end;
        fcl_strtof(at, &end);
        if (end != at)
            return true;
        at += strcspn(at, ",;\t");
        at += strspn(at, ",;\t \r");
    }
    return false;
}

static int read_line(reader *r, const char *at)
{
    size_t before = r->count;
    at += strspn(at, " \t\r");
    if (!*at || *at == '#')
        return FCL_OK;
    if (strchr(at, ',') && strchr(at, ';'))
        return fcl_fail(FCL_ERR_FORMAT,
                        "%s, line %lld has both commas and semicolons: write numbers with a point, "
                        "and one kind between them",
                        r->path, (long long)r->line);
    while (*at) {
        char *end;
        float value = fcl_strtof(at, &end);
        if (end == at || (*end && !is_separator(*end))) {
            bool heading = !r->headed && r->count == 0 && !any_number(at);
            r->headed = true;
            return heading ? FCL_OK : bad_cell(r, at);
        }
        FCL_TRY(keep(r, value));
        at = skip_separator(end);
    }
    int64_t columns = (int64_t)(r->count - before);
    if (r->rows++ == 0)
        r->columns = columns;
    if (columns != r->columns)
        return fcl_fail(FCL_ERR_FORMAT, "%s, line %lld has %lld numbers, the lines before it have %lld",
                        r->path, (long long)r->line, (long long)columns, (long long)r->columns);
    return FCL_OK;
}

static int read_text(reader *r, char *text, size_t size)
{
    if (memchr(text, 0, size))
        return fcl_fail(FCL_ERR_FORMAT, "%s is not a table of numbers: it holds zero bytes", r->path);
    text[size] = 0;
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3; /* the mark of UTF-8 that spreadsheets write */
    int status = FCL_OK;
    for (char *next = text; next && status == FCL_OK;) {
        char *line = strsep(&next, "\n");
        r->line++;
        status = read_line(r, line);
    }
    return status;
}

int fcl_csv_read(const char *path, fcl_array **array)
{
    *array = NULL;
    uint8_t *bytes;
    size_t size;
    FCL_TRY(fcl_file_read(path, &bytes, &size));
    reader r = {.path = path};
    int status = read_text(&r, (char *)bytes, size); /* the buffer has room for a final zero */
    free(bytes);
    if (status == FCL_OK && r.rows == 0)
        status = fcl_fail(FCL_ERR_FORMAT, "%s holds no row of numbers", path);
    if (status == FCL_OK)
        status = fcl_array_create(FCL_SHAPE(r.rows, r.columns), array);
    if (status == FCL_OK)
        memcpy((*array)->data, r.values, r.count * sizeof *r.values);
    free(r.values);
    return status;
}

int fcl_csv_write(const char *path, const fcl_array *array)
{
    return fcl_csv_write_headed(path, NULL, array);
}

int fcl_csv_write_headed(const char *path, const char *heading, const fcl_array *array)
{
    fcl_file file;
    FCL_TRY(fcl_file_create(path, &file));
    if (heading)
        fcl_file_format(&file, "%s\n", heading);
    int64_t size = fcl_shape_size(array->shape);
    int64_t rows = array->shape.rank > 0 ? array->shape.dim[0] : 1;
    int64_t columns = rows > 0 ? size / rows : 0;
    for (int64_t i = 0; i < size; i++)
        fcl_file_format(&file, "%.9g%c", array->data[i], (i + 1) % columns ? ',' : '\n');
    return fcl_file_commit(&file);
}
