#include "base/csv_dialect.h"

#include "base/error.h"

#include <string.h>

/* In the order in which they are believed where two do as well. */
static const char separators[] = {';', '\t', ',', ' '};
enum { SEPARATORS = sizeof separators };

/* How the records look with one separator. */
typedef struct count {
    int64_t records, first,
        columns; /* cells of the first record, and of the second, or of the first where it is alone */
    int64_t odd, odd_line; /* cells of the first record behind the first that has others than `columns` */
    int64_t as_second;     /* records that have as many cells as the first */
    bool row_names;        /* behind the first each begins with a cell that is quoted or no number */
    bool indented;         /* the first begins with a space: an empty cell, where spaces part them */
    const char *fault;
    int64_t fault_line;
} count;

static count count_cells(const char *text, char separator)
{
    count c = {.row_names = true};
    fcl_csv_cursor cursor = fcl_csv_begin(text, separator);
    while (fcl_csv_next_record(&cursor)) {
        fcl_csv_cell cell = {0};
        const char *begin = cursor.at;
        bool any = fcl_csv_next_cell(&cursor, &cell);
        int64_t cells = any + fcl_csv_skip_cells(&cursor);
        if (c.records == 0) {
            c.first = cells;
            c.indented = separator == ' ' && begin[0] == ' ';
        }
        if (c.records <= 1)
            c.columns = cells;
        if (c.records >= 1 && c.row_names)
            c.row_names = cell.quoted || !fcl_csv_cell_kind(&cell);
        if (c.records > 1 && cells != c.columns && !c.odd) {
            c.odd = cells;
            c.odd_line = cursor.line;
        }
        c.as_second += cells == c.first;
        c.records++;
    }
    c.fault = cursor.fault;
    c.fault_line = cursor.line;
    return c;
}

/* Whether the first record has one cell less because the rows' names have no heading, as R writes it, or
 * pandas with spaces. */
static bool lacks_one(const count *c)
{
    return c->records > 1 && c->first == c->columns - 1 && (c->row_names || c->indented);
}

static bool is_even(const count *c)
{
    return !c->fault && !c->odd && (c->first == c->columns || lacks_one(c));
}

/* Cells below the first record, by what they are. */
typedef struct body {
    int64_t no_number[2]; /* with a decimal point, with a decimal comma */
    int64_t text;         /* no numbers, however they are read */
    int64_t commas,
        commas_in_threes; /* numbers with a decimal comma; of them, those that may be thousands instead */
    bool heading;         /* the first record has text and no number */
    bool in_threes;       /* in some column all rows may continue the number before it */
    char example[48];     /* of a number that may be thousands */
} body;

enum { MOST_WATCHED = 64 }; /* columns that are looked at for thousands parted by spaces */

/* Three digits, one space behind one to three others: 1 234,5. */
static bool continues(const fcl_csv_cell *before, const fcl_csv_cell *cell)
{
    fcl_csv_cell both = {before->text, (size_t)(cell->text - before->text) + cell->length, false};
    return !before->quoted && !cell->quoted && cell->text == before->text + before->length + 1 &&
           (fcl_csv_cell_kind(&both) & FCL_CSV_THOUSANDS);
}

static void keep_example(body *b, const char *text, size_t length)
{
    if (b->example[0] || length >= sizeof b->example)
        return;
    memcpy(b->example, text, length);
    b->example[length] = 0;
}

static void look_at(body *b, const fcl_csv_cell *cell)
{
    unsigned kind = fcl_csv_cell_kind(cell);
    bool missing = kind & FCL_CSV_MISSING,
         comma = (kind & FCL_CSV_COMMA) && memchr(cell->text, ',', cell->length);
    b->no_number[0] += !missing && !(kind & FCL_CSV_POINT);
    b->no_number[1] += !missing && !(kind & FCL_CSV_COMMA);
    b->text += !(kind & (FCL_CSV_MISSING | FCL_CSV_POINT | FCL_CSV_COMMA | FCL_CSV_THOUSANDS));
    b->commas += comma;
    b->commas_in_threes += comma && (kind & FCL_CSV_THOUSANDS);
    if (comma && (kind & FCL_CSV_THOUSANDS))
        keep_example(b, cell->text, cell->length);
}

/* One record; `threes` keeps of each column whether all rows so far may continue the number before. */
static void look_at_record(body *b, fcl_csv_cursor *cursor, bool threes[MOST_WATCHED])
{
    fcl_csv_cell cell, before = {0};
    for (int64_t c = 0; fcl_csv_next_cell(cursor, &cell); c++, before = cell) {
        look_at(b, &cell);
        if (c >= MOST_WATCHED)
            continue;
        threes[c] = threes[c] && c > 0 && cursor->separator == ' ' && continues(&before, &cell);
        if (threes[c])
            keep_example(b, before.text, (size_t)(cell.text - before.text) + cell.length);
    }
}

static bool is_heading(fcl_csv_cursor *cursor)
{
    fcl_csv_cell cell;
    bool text = false, number = false;
    while (fcl_csv_next_cell(cursor, &cell)) {
        unsigned kind = fcl_csv_cell_kind(&cell);
        number |= kind & (FCL_CSV_POINT | FCL_CSV_COMMA);
        text |= !(kind & (FCL_CSV_POINT | FCL_CSV_COMMA | FCL_CSV_MISSING));
    }
    return text && !number;
}

static body look_below(const char *text, char separator, const count *c)
{
    body b = {0};
    bool threes[MOST_WATCHED];
    fcl_csv_cursor cursor = fcl_csv_begin(text, separator), ahead;
    memset(threes, true, sizeof threes);
    fcl_csv_next_record(&cursor);
    ahead = cursor;
    b.heading = is_heading(&ahead);
    if (c->records > 1 && b.heading)
        cursor = ahead;
    else
        look_at_record(&b, &cursor, threes);
    while (fcl_csv_next_record(&cursor))
        look_at_record(&b, &cursor, threes);
    for (int i = 1; i < MOST_WATCHED && i < c->columns; i++)
        b.in_threes |= threes[i];
    return b;
}

/* Numbers that nobody but their writer can read. */
static int check_numbers(const body *b, const fcl_csv_dialect *dialect, const char *path)
{
    if (dialect->separator == ' ' && b->in_threes && !b->heading)
        return fcl_fail(
            FCL_ERR_FORMAT,
            "%s: '%s' may be one number with its thousands parted, or two columns: write numbers without "
            "spaces in them, and columns with a comma, a semicolon or a tab between, or below their names",
            path, b->example);
    if (dialect->decimal == ',' && b->commas == b->commas_in_threes && b->commas > 0)
        return fcl_fail(
            FCL_ERR_FORMAT,
            "%s: '%s' may be a decimal number or one in thousands: write numbers with a decimal point, and "
            "thousands without a mark",
            path, b->example);
    return FCL_OK;
}

static int refuse_uneven(const char *path, const count *c)
{
    if (c->fault)
        return fcl_fail(FCL_ERR_FORMAT, "%s, line %lld: %s", path, (long long)c->fault_line, c->fault);
    int64_t line = c->odd_line, cells = c->odd, others = c->columns;
    if (c->first != c->columns && c->records == 2)
        return fcl_fail(FCL_ERR_FORMAT, "%s: its last line has %lld columns, the first %lld", path,
                        (long long)c->columns, (long long)c->first);
    if (c->first != c->columns && !c->odd)
        return fcl_fail(FCL_ERR_FORMAT, "%s: its first line has %lld columns, the others have %lld", path,
                        (long long)c->first, (long long)c->columns);
    return fcl_fail(FCL_ERR_FORMAT, "%s, line %lld has %lld columns, the lines before it have %lld", path,
                    (long long)line, (long long)cells, (long long)others);
}

/* No separator makes all records alike: tells it of the one by which most are. */
static int refuse_all(const char *path, const count counts[SEPARATORS])
{
    int best = -1;
    for (int i = 0; i < SEPARATORS; i++)
        if (counts[i].columns > 1 && (best < 0 || counts[i].as_second > counts[best].as_second))
            best = i;
    return refuse_uneven(path, &counts[best < 0 ? 2 : best]);
}

/* By what cannot be a number however it is read, then by what is none. */
static bool is_better(const body *a, const body *b)
{
    int64_t of_a = a->no_number[0] < a->no_number[1] ? a->no_number[0] : a->no_number[1];
    int64_t of_b = b->no_number[0] < b->no_number[1] ? b->no_number[0] : b->no_number[1];
    return a->text < b->text || (a->text == b->text && of_a < of_b);
}

/* The separator that makes several columns, -1: none does. */
static int choose_columns(const char *text, const count counts[SEPARATORS], body *best)
{
    int chosen = -1;
    for (int i = 0; i < SEPARATORS; i++) {
        if (counts[i].columns < 2 || !is_even(&counts[i]))
            continue;
        body b = look_below(text, separators[i], &counts[i]);
        if (lacks_one(&counts[i]) && !b.heading)
            continue;
        if (chosen >= 0 && !is_better(&b, best))
            continue;
        chosen = i;
        *best = b;
    }
    return chosen;
}

/* A separator that does not occur, where each line is a number; with decimal commas only below one name, for
 * without it they are two columns, and a row that has no comma lacks a number. */
static int choose_one_column(const char *text, const count counts[SEPARATORS], body *best)
{
    bool parted = false, one_name = true;
    int chosen = -1;
    for (int i = SEPARATORS - 1; i >= 0; i--) {
        parted |= counts[i].columns > 1 || counts[i].first > 1 || counts[i].odd;
        one_name &= counts[i].first == 1 || separators[i] == ' ';
        if (counts[i].columns == 1 && is_even(&counts[i]) && separators[i] != ' ')
            chosen = i;
    }
    if (chosen < 0)
        return -1;
    *best = look_below(text, separators[chosen], &counts[chosen]);
    return !parted || (best->text == 0 && ((best->heading && one_name) || !best->commas)) ? chosen : -1;
}

/* Of the separators that do not occur one tells of all. */
static void count_all(const char *text, count counts[SEPARATORS])
{
    const count *absent = NULL;
    for (int i = 0; i < SEPARATORS; i++) {
        bool occurs = strpbrk(text, separators[i] == ' ' ? " \t" : (char[]){separators[i], 0});
        counts[i] = absent && !occurs ? *absent : count_cells(text, separators[i]);
        absent = occurs ? absent : &counts[i];
    }
}

int fcl_csv_find_dialect(const char *text, const char *path, fcl_csv_dialect *dialect)
{
    count counts[SEPARATORS];
    body b = {0};
    count_all(text, counts);
    if (!counts[0].records)
        return fcl_fail(FCL_ERR_FORMAT, "%s holds no row of numbers", path);
    int chosen = choose_columns(text, counts, &b);
    if (chosen < 0)
        chosen = choose_one_column(text, counts, &b);
    if (chosen < 0)
        return refuse_all(path, counts);
    *dialect = (fcl_csv_dialect){
        .separator = separators[chosen],
        .decimal = b.no_number[1] < b.no_number[0] ? ',' : '.',
        .columns = counts[chosen].columns,
        .unnamed = lacks_one(&counts[chosen]),
    };
    return check_numbers(&b, dialect, path);
}
