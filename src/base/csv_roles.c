/* Which columns of a table are data, which one is the label, and what stands in the way. */
#include "base/csv_columns.h"

#include "base/error.h"

#include <flowcl/options.h>
#include <stdlib.h>
#include <string.h>

/* --- the rows' numbers or names --- */

static int by_content(const void *left, const void *right)
{
    const fcl_csv_cell *a = left, *b = right;
    int order = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* Whether no cell of the first column is there twice. */
static int all_differ(const fcl_csv_columns *columns, bool *differ)
{
    size_t rows = (size_t)columns->rows, count = 0;
    fcl_csv_cell *cells = calloc(rows + 1, sizeof *cells);
    if (!cells)
        return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its %zu rows", columns->path, rows);
    fcl_csv_cursor cursor = fcl_csv_columns_begin(columns);
    for (; count < rows && fcl_csv_next_record(&cursor); fcl_csv_skip_cells(&cursor))
        fcl_csv_next_cell(&cursor, &cells[count++]);
    qsort(cells, count, sizeof *cells, by_content);
    *differ = true;
    for (size_t i = 1; i < count; i++)
        *differ &= by_content(&cells[i - 1], &cells[i]) != 0;
    free(cells);
    return FCL_OK;
}

/* As pandas writes it: without a name; or, read in and written once more, by the name of such a one. */
static bool is_nameless(const fcl_csv_columns *columns)
{
    const char *name = columns->column[0].name;
    return columns->headed && (!*name || strcmp(name, "Unnamed: 0") == 0);
}

static int find_index(fcl_csv_columns *columns)
{
    const fcl_csv_column *first = &columns->column[0];
    bool names = first->text == columns->rows, numbers = first->whole == columns->rows, differ = true;
    if (columns->dialect.columns < 2 || !is_nameless(columns) || !(names || numbers))
        return FCL_OK;
    FCL_TRY(all_differ(columns, &differ));
    if (!differ && !columns->dialect.unnamed)
        return fcl_fail(
            FCL_ERR_FORMAT,
            "%s: its first column has no name and may number the rows, but some of its values are there "
            "twice: give it a name, or leave it out",
            columns->path);
    columns->index = 0;
    return FCL_OK;
}

int fcl_csv_columns_find_index(fcl_csv_columns *columns)
{
    FCL_TRY(find_index(columns));
    int64_t last = columns->dialect.columns - 1;
    const fcl_csv_column *column = &columns->column[last];
    if (last > 0 && last != columns->index && column->empty == columns->rows &&
        !(column->name && *column->name))
        columns->last = last;
    return FCL_OK;
}

/* --- the label --- */

static int no_such_column(const fcl_csv_columns *columns, const char *name)
{
    int64_t count = columns->dialect.columns;
    if (!columns->headed)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s has no names of columns, and '%s' is no number from 1 to %lld",
                        columns->path, name, (long long)count);
    const char **names = fcl_zalloc((size_t)count * sizeof *names);
    fcl_text list = {0};
    for (int64_t c = 0; c < count; c++) {
        names[c] = columns->column[c].name;
        if (c < 20)
            fcl_text_format(&list, "%s%s", c ? ", " : "", names[c]);
    }
    const char *nearest = fcl_nearest(name, names, (int)count);
    int status = nearest ? fcl_fail(FCL_ERR_ARGUMENT, "%s has no column '%s'; did you mean '%s'?",
                                    columns->path, name, nearest)
                         : fcl_fail(FCL_ERR_ARGUMENT, "%s has no column '%s'; its columns are %s%s",
                                    columns->path, name, list.data, count > 20 ? ", ..." : "");
    fcl_text_free(&list);
    free(names);
    return status;
}

int fcl_csv_columns_find_label(fcl_csv_columns *columns, const char *name)
{
    int64_t count = columns->dialect.columns;
    for (int64_t c = 0; columns->headed && c < count; c++) {
        if (strcmp(columns->column[c].name, name) != 0)
            continue;
        if (columns->label >= 0)
            return fcl_fail(FCL_ERR_ARGUMENT, "%s has two columns '%s'", columns->path, name);
        columns->label = c;
    }
    if (columns->label < 0) {
        char *end;
        long long number = strtoll(name, &end, 10);
        if (!*name || *end || number < 1 || number > count)
            return no_such_column(columns, name);
        columns->label = number - 1;
    }
    if (columns->label == columns->index)
        columns->index = -1;
    if (columns->label == columns->last)
        columns->last = -1;
    return FCL_OK;
}

bool fcl_csv_columns_is_data(const fcl_csv_columns *columns, int64_t column)
{
    return column != columns->index && column != columns->label && column != columns->last;
}

/* --- what is not usable --- */

/* A column most of whose cells are no numbers, and not a few that are damaged. */
static int check_column(const fcl_csv_columns *columns, int64_t c)
{
    const fcl_csv_column *column = &columns->column[c];
    if (2 * column->words <= columns->rows || columns->rows == 1)
        return FCL_OK;
    char *name = fcl_csv_columns_name(columns, c);
    const char *held = column->booleans == column->words ? "yes or no"
                       : column->dates == column->words  ? "dates"
                                                         : "text";
    const char *advice = column->booleans == column->words ? "write 1 and 0, or name it as the label column"
                         : column->dates == column->words  ? "write them as numbers, or leave it out"
                                                           : "name it as the label column, or leave it out";
    int status = fcl_fail(FCL_ERR_FORMAT, "%s: %s holds %s ('%.40s' in line %lld), and no numbers: %s",
                          columns->path, name, held, column->odd.text, (long long)column->odd.line, advice);
    free(name);
    return status;
}

static int refuse_cell(const fcl_csv_columns *columns, int64_t c, const fcl_csv_place *place, bool missing)
{
    char *name = fcl_csv_columns_name(columns, c);
    fcl_csv_cell cell = {place->text, strlen(place->text), false};
    bool threes = fcl_csv_cell_kind(&cell) & FCL_CSV_THOUSANDS;
    const char *mark = columns->dialect.decimal == ',' ? "comma" : "point";
    int status =
        missing ? fcl_fail(FCL_ERR_NUMERIC,
                           "%s, line %lld: the value of %s is missing in row %lld ('%.40s'): fill it "
                           "in, or leave the row out",
                           columns->path, (long long)place->line, name, (long long)place->row, place->text)
        : threes
            ? fcl_fail(FCL_ERR_FORMAT,
                       "%s, line %lld: '%.40s' is not a number (%s, row %lld): write thousands without "
                       "a mark, and decimals as all of the file, with a %s",
                       columns->path, (long long)place->line, place->text, name, (long long)place->row, mark)
            : fcl_fail(FCL_ERR_FORMAT,
                       "%s, line %lld: '%.40s' is not a number (%s, row %lld; decimals are written "
                       "with a %s)",
                       columns->path, (long long)place->line, place->text, name, (long long)place->row, mark);
    free(name);
    return status;
}

int fcl_csv_columns_check(const fcl_csv_columns *columns)
{
    const fcl_csv_place *worst = NULL;
    int64_t of = 0, data = 0;
    for (int64_t c = 0; c < columns->dialect.columns; c++) {
        const fcl_csv_column *column = &columns->column[c];
        bool is_data = fcl_csv_columns_is_data(columns, c);
        data += is_data;
        if (is_data)
            FCL_TRY(check_column(columns, c));
        if (is_data && column->odd.line && (!worst || column->odd.line < worst->line))
            worst = &column->odd, of = c;
        if ((is_data || c == columns->label) && column->gone.line &&
            (!worst || column->gone.line < worst->line))
            worst = &column->gone, of = c;
    }
    if (!columns->rows || !data)
        return fcl_fail(FCL_ERR_FORMAT, "%s holds no %s of numbers", columns->path, data ? "row" : "column");
    return worst ? refuse_cell(columns, of, worst, worst == &columns->column[of].gone) : FCL_OK;
}
