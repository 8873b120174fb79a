#include "base/csv_columns.h"

#include "base/error.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER = FCL_CSV_POINT | FCL_CSV_COMMA };

/* Nothing that stands for a value: a name, or something that went wrong. */
static bool is_word(unsigned kind)
{
    return !(kind & (NUMBER | FCL_CSV_MISSING | FCL_CSV_THOUSANDS));
}

static void note(fcl_csv_place *place, int64_t line, int64_t row, const fcl_csv_cell *cell)
{
    if (place->line)
        return;
    *place = (fcl_csv_place){line, row, fcl_csv_cell_text(cell)};
}

static void add_cell(fcl_csv_column *column, const fcl_csv_cell *cell, char decimal, int64_t line,
                     int64_t row)
{
    unsigned kind = fcl_csv_cell_kind(cell);
    bool missing = kind & FCL_CSV_MISSING, number = kind & (decimal == ',' ? FCL_CSV_COMMA : FCL_CSV_POINT);
    column->numbers += number;
    column->whole += (kind & FCL_CSV_WHOLE) != 0;
    column->missing += missing;
    column->empty += missing && !cell->length;
    column->booleans += (kind & FCL_CSV_BOOLEAN) != 0;
    column->dates += (kind & FCL_CSV_DATE) != 0;
    column->text += !number && !missing;
    column->words += is_word(kind);
    if (missing)
        note(&column->gone, line, row, cell);
    else if (!number)
        note(&column->odd, line, row, cell);
}

static void add_records(fcl_csv_columns *columns, fcl_csv_cursor *cursor, int64_t most)
{
    fcl_csv_cell cell;
    for (; most > 0 && fcl_csv_next_record(cursor); most--) {
        columns->rows++;
        for (int64_t c = 0; fcl_csv_next_cell(cursor, &cell); c++)
            add_cell(&columns->column[c], &cell, columns->dialect.decimal, cursor->line, columns->rows);
    }
}

static void clear_counts(fcl_csv_columns *columns)
{
    columns->rows = 0;
    for (int64_t c = 0; c < columns->dialect.columns; c++) {
        fcl_csv_column *column = &columns->column[c];
        free(column->odd.text);
        free(column->gone.text);
        *column = (fcl_csv_column){.name = column->name, .first = column->first};
    }
}

/* --- the heading --- */

/* A name rather than a damaged number. */
static bool is_name(const char *text)
{
    return isalpha((unsigned char)text[0]) && isalpha((unsigned char)text[1]);
}

/* The first record is a heading where it has words and nothing else; also an empty cell or NA beside one that
 * stands above numbers. With numbers in it, it is one where these are whole, like years, and beside them are
 * names above numbers: else it is a row whose label is a word, or a damaged one. */
static bool is_heading(const fcl_csv_columns *columns)
{
    int64_t words = 0, numbers = 0, whole = 0, odd = 0, above = 0, names = 0;
    for (int64_t c = columns->dialect.unnamed; c < columns->dialect.columns; c++) {
        const fcl_csv_column *column = &columns->column[c];
        bool word = is_word(column->first), infinite = column->first & FCL_CSV_INFINITE;
        bool empty = (column->first & FCL_CSV_MISSING) && !*column->name;
        words += word;
        numbers += !word && !infinite && !(column->first & FCL_CSV_MISSING);
        whole += (column->first & FCL_CSV_WHOLE) != 0;
        odd += !word && (infinite || (column->first & FCL_CSV_MISSING)) && !(empty && c == 0);
        above += word && column->numbers > column->text;
        names += word && is_name(column->name);
    }
    if (columns->dialect.unnamed)
        return true;
    if (!words)
        return false;
    if (!numbers)
        return !odd || above;
    return above && whole == numbers && names == words;
}

static void read_first(fcl_csv_columns *columns, fcl_csv_cursor *cursor)
{
    fcl_csv_cell cell;
    fcl_csv_next_record(cursor);
    for (int64_t c = columns->dialect.unnamed; fcl_csv_next_cell(cursor, &cell); c++) {
        columns->column[c].name = fcl_csv_cell_text(&cell);
        columns->column[c].first = fcl_csv_cell_kind(&cell);
    }
    if (columns->dialect.unnamed)
        columns->column[0].name = fcl_strdup("");
}

void fcl_csv_columns_read(const char *path, const char *text, const fcl_csv_dialect *dialect,
                          fcl_csv_columns *columns)
{
    *columns = (fcl_csv_columns){
        .path = path, .text = text, .dialect = *dialect, .index = -1, .label = -1, .last = -1};
    columns->column = fcl_zalloc((size_t)dialect->columns * sizeof *columns->column);
    fcl_csv_cursor cursor = fcl_csv_begin(text, dialect->separator);
    read_first(columns, &cursor);
    add_records(columns, &cursor, INT64_MAX);
    columns->headed = is_heading(columns);
    if (columns->headed)
        return;
    clear_counts(columns);
    for (int64_t c = 0; c < dialect->columns; c++) {
        free(columns->column[c].name);
        columns->column[c].name = NULL;
    }
    cursor = fcl_csv_begin(text, dialect->separator);
    add_records(columns, &cursor, INT64_MAX);
}

void fcl_csv_columns_free(fcl_csv_columns *columns)
{
    if (columns->column)
        clear_counts(columns);
    for (int64_t c = 0; columns->column && c < columns->dialect.columns; c++)
        free(columns->column[c].name);
    free(columns->column);
    columns->column = NULL;
}

fcl_csv_cursor fcl_csv_columns_begin(const fcl_csv_columns *columns)
{
    fcl_csv_cursor cursor = fcl_csv_begin(columns->text, columns->dialect.separator);
    if (columns->headed && fcl_csv_next_record(&cursor))
        fcl_csv_skip_cells(&cursor);
    return cursor;
}

char *fcl_csv_columns_name(const fcl_csv_columns *columns, int64_t column)
{
    const char *name = columns->column[column].name;
    return name && *name ? fcl_format("column '%s'", name) : fcl_format("column %lld", (long long)column + 1);
}
