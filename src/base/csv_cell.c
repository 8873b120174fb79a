#include "base/csv_cell.h"

#include "base/memory.h"

#include <string.h>

static bool ends_line(char c)
{
    return !c || c == '\n' || c == '\r';
}

static bool ends_cell(const fcl_csv_cursor *cursor, char c)
{
    return ends_line(c) || c == cursor->separator || (c == '\t' && cursor->separator == ' ');
}

static const char *skip_blanks(const fcl_csv_cursor *cursor, const char *at)
{
    while (*at == ' ' || (*at == '\t' && cursor->separator != '\t'))
        at++;
    return at;
}

/* Past one end of a line. */
static const char *skip_end(fcl_csv_cursor *cursor, const char *at)
{
    cursor->next_line += *at != 0;
    if (*at == '\r' && at[1] == '\n')
        return at + 2;
    return at + (*at != 0);
}

fcl_csv_cursor fcl_csv_begin(const char *text, char separator)
{
    bool marked = strncmp(text, "\xef\xbb\xbf", 3) == 0; /* the mark of UTF-8 that spreadsheets write */
    return (fcl_csv_cursor){.at = text + (marked ? 3 : 0), .separator = separator, .next_line = 1};
}

bool fcl_csv_next_record(fcl_csv_cursor *cursor)
{
    for (;;) {
        const char *first = cursor->at + strspn(cursor->at, " \t");
        if (!*first || cursor->fault)
            return false;
        if (*first != '#' && !ends_line(*first))
            break;
        cursor->at = skip_end(cursor, first + strcspn(first, "\r\n"));
    }
    cursor->line = cursor->next_line;
    cursor->more = true;
    return true;
}

/* Past the quote that closes the cell whose text begins at `at`. */
static const char *take_quoted(fcl_csv_cursor *cursor, const char *at, fcl_csv_cell *cell)
{
    *cell = (fcl_csv_cell){.text = at, .quoted = true};
    for (; *at && (*at != '"' || at[1] == '"'); at++) {
        at += *at == '"';
        cursor->next_line += *at == '\n' || (*at == '\r' && at[1] != '\n');
    }
    cell->length = (size_t)(at - cell->text);
    if (!*at)
        cursor->fault = "a quote is opened and not closed";
    return at + (*at == '"');
}

static const char *take_plain(fcl_csv_cursor *cursor, const char *at, fcl_csv_cell *cell)
{
    *cell = (fcl_csv_cell){.text = at};
    while (!ends_cell(cursor, *at))
        at++;
    while (at > cell->text && (at[-1] == ' ' || at[-1] == '\t'))
        at--;
    cell->length = (size_t)(at - cell->text);
    return at;
}

bool fcl_csv_next_cell(fcl_csv_cursor *cursor, fcl_csv_cell *cell)
{
    if (!cursor->more || cursor->fault)
        return false;
    const char *at = skip_blanks(cursor, cursor->at);
    at = *at == '"' ? take_quoted(cursor, at + 1, cell) : take_plain(cursor, at, cell);
    const char *next = skip_blanks(cursor, at);
    bool blanks = cursor->separator == ' ';
    cursor->more = blanks ? next > at && !ends_line(*next) : *next == cursor->separator;
    if (!cursor->more && !ends_line(*next) && !cursor->fault)
        cursor->fault = "text follows a closing quote";
    cursor->at = ends_line(*next) ? skip_end(cursor, next) : next + (cursor->more && !blanks);
    return !cursor->fault;
}

int64_t fcl_csv_skip_cells(fcl_csv_cursor *cursor)
{
    fcl_csv_cell cell;
    int64_t count = 0;
    while (fcl_csv_next_cell(cursor, &cell))
        count++;
    return count;
}

char *fcl_csv_cell_text(const fcl_csv_cell *cell)
{
    char *text = fcl_format("%.*s", (int)cell->length, cell->text), *to = text;
    for (const char *from = text; cell->quoted && *from; *to++ = *from++)
        from += *from == '"';
    if (cell->quoted)
        *to = 0;
    return text;
}
