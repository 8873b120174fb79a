#include "base/csv.h"

#include "base/csv_columns.h"
#include "base/error.h"
#include "base/gzip.h"
#include "base/watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_LABELS = 65536 };

static int check_text(const char *path, const uint8_t *bytes, size_t size)
{
    if (size >= 2 && ((bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] == 0xfe && bytes[1] == 0xff)))
        return fcl_fail(FCL_ERR_FORMAT, "%s is written in UTF-16: save it as UTF-8", path);
    return memchr(bytes, 0, size)
               ? fcl_fail(FCL_ERR_FORMAT, "%s is not a table of numbers: it holds zero bytes", path)
               : FCL_OK;
}

/* --- what is said --- */

static void say(fcl_text *note, const char *words)
{
    fcl_text_format(note, "%s%s", note->length ? "; " : "", words);
}

static char *describe(const fcl_csv_columns *columns)
{
    fcl_text note = {0};
    char separator = columns->dialect.separator;
    if (columns->dialect.columns > 1 && separator != ',')
        say(&note, separator == ';'    ? "semicolons between columns"
                   : separator == '\t' ? "tabs between columns"
                                       : "spaces between columns");
    if (columns->dialect.decimal == ',')
        say(&note, "decimal commas");
    if (columns->index >= 0)
        say(&note, "the first column, which numbers or names the rows, is left out");
    if (columns->last >= 0)
        say(&note, "the last column, which is empty, is left out");
    if (columns->label >= 0) {
        char *name = fcl_csv_columns_name(columns, columns->label);
        say(&note, "the label is ");
        fcl_text_add(&note, name);
        free(name);
    }
    return note.data;
}

/* --- from cells to numbers --- */

static int refuse_size(const fcl_csv_columns *columns, int64_t c, int64_t row, int64_t line,
                       const fcl_csv_cell *cell)
{
    char *name = fcl_csv_columns_name(columns, c);
    int status =
        fcl_fail(FCL_ERR_NUMERIC, "%s, line %lld: '%.*s' is infinite or too large a number (%s, row %lld)",
                 columns->path, (long long)line, (int)(cell->length < 40 ? cell->length : 40), cell->text,
                 name, (long long)row + 1);
    free(name);
    return status;
}

static int add_label(const fcl_csv_columns *columns, const fcl_csv_cell *cell, fcl_words *labels)
{
    char *text = fcl_csv_cell_text(cell);
    int status = fcl_words_add(labels, text, strlen(text), MOST_LABELS);
    if (status != FCL_OK) {
        char *name = fcl_csv_columns_name(columns, columns->label);
        fcl_fail_within(status, "%s, %s", columns->path, name);
        free(name);
    }
    free(text);
    return status;
}

static int convert_row(const fcl_csv_columns *columns, fcl_csv_cursor *cursor, int64_t row, float **to,
                       fcl_csv *table)
{
    fcl_csv_cell cell;
    for (int64_t c = 0; fcl_csv_next_cell(cursor, &cell); c++) {
        if (c == columns->label)
            FCL_TRY(add_label(columns, &cell, &table->labels));
        if (!fcl_csv_columns_is_data(columns, c))
            continue;
        float value = fcl_csv_cell_number(&cell, columns->dialect.decimal);
        if (!isfinite(value))
            return refuse_size(columns, c, row, cursor->line, &cell);
        *(*to)++ = value;
    }
    return FCL_OK;
}

static int convert(const fcl_csv_columns *columns, fcl_csv *table)
{
    int64_t data = 0;
    for (int64_t c = 0; c < columns->dialect.columns; c++)
        data += fcl_csv_columns_is_data(columns, c);
    FCL_TRY(fcl_array_create(FCL_SHAPE(columns->rows, data), &table->numbers));
    float *to = table->numbers->data;
    fcl_csv_cursor cursor = fcl_csv_columns_begin(columns);
    for (int64_t row = 0; fcl_csv_next_record(&cursor); row++) {
        FCL_TRY(row % 256 ? FCL_OK : fcl_watch_at("reading the table", row, columns->rows));
        FCL_TRY(convert_row(columns, &cursor, row, &to, table));
    }
    table->labeled = columns->label >= 0;
    table->note = describe(columns);
    return FCL_OK;
}

/* --- reading --- */

/* By a name; by a number where there are no names. */
static int guess_label(fcl_csv_columns *columns, const char *const *guesses)
{
    char *end;
    long number = guesses && *guesses ? strtol(*guesses, &end, 10) : 0;
    if (!columns->headed && number >= 1 && number <= columns->dialect.columns && !*end)
        return fcl_csv_columns_find_label(columns, *guesses);
    for (; columns->headed && guesses && *guesses; guesses++)
        for (int64_t c = 0; c < columns->dialect.columns; c++)
            if (strcasecmp(columns->column[c].name, *guesses) == 0)
                return fcl_csv_columns_find_label(columns, columns->column[c].name);
    return FCL_OK;
}

static int find_label(fcl_csv_columns *columns, const fcl_csv_options *options)
{
    if (!options->label)
        return guess_label(columns, options->guesses);
    bool none = options->no_label && strcmp(options->label, options->no_label) == 0;
    for (int64_t c = 0; none && columns->headed && c < columns->dialect.columns; c++)
        none = strcmp(columns->column[c].name, options->label) != 0;
    return none ? FCL_OK : fcl_csv_columns_find_label(columns, options->label);
}

static int read_columns(fcl_csv_columns *columns, const fcl_csv_options *options, fcl_csv *table)
{
    FCL_TRY(fcl_csv_columns_find_index(columns));
    FCL_TRY(find_label(columns, options));
    FCL_TRY(fcl_csv_columns_check(columns));
    return convert(columns, table);
}

static int read_text(const char *path, const char *text, const fcl_csv_options *options, fcl_csv *table)
{
    fcl_csv_dialect dialect;
    fcl_csv_columns columns;
    FCL_TRY(fcl_csv_find_dialect(text, path, &dialect));
    fcl_csv_columns_read(path, text, &dialect, &columns);
    int status = read_columns(&columns, options, table);
    fcl_csv_columns_free(&columns);
    return status;
}

int fcl_csv_read_table(const char *path, const fcl_csv_options *options, fcl_csv *table)
{
    uint8_t *bytes;
    size_t size;
    *table = (fcl_csv){0};
    FCL_TRY(fcl_gzip_read_all(path, &bytes, &size));
    int status = check_text(path, bytes, size);
    bytes[size] = 0; /* the spare one */
    if (status == FCL_OK)
        status = read_text(path, (const char *)bytes, options, table);
    free(bytes);
    if (status != FCL_OK)
        fcl_csv_free(table);
    return status;
}

void fcl_csv_free(fcl_csv *table)
{
    fcl_array_destroy(&table->numbers);
    fcl_words_free(&table->labels);
    free(table->note);
    *table = (fcl_csv){0};
}

int fcl_csv_read(const char *path, fcl_array **array)
{
    fcl_csv table;
    *array = NULL;
    FCL_TRY(fcl_csv_read_table(path, &(fcl_csv_options){0}, &table));
    *array = table.numbers;
    table.numbers = NULL;
    fcl_csv_free(&table);
    return FCL_OK;
}
