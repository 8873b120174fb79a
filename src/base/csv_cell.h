/* A table of text cut into records and cells (RFC 4180), and what a cell is. */
#ifndef BASE_CSV_CELL_H
#define BASE_CSV_CELL_H

#include <flowcl/base.h>

/* A record is a line, or more of them where a quoted cell has line ends in it. Lines end in LF, CR LF or CR
 * alone. Blank lines and lines that begin with '#' are passed over. */
typedef struct fcl_csv_cursor {
    const char *at;
    char separator; /* ',', ';', tab, or ' ', which is any number of spaces and tabs */
    int64_t line, next_line;
    bool more;         /* the record has a further cell */
    const char *fault; /* what is wrong with the quotes, in words; NULL: nothing. The record ends there */
} fcl_csv_cursor;

/* Spaces around a cell are no part of it. */
typedef struct fcl_csv_cell {
    const char *text; /* into the table; in a quoted one two quotes stand for one */
    size_t length;
    bool quoted;
} fcl_csv_cell;

fcl_csv_cursor fcl_csv_begin(const char *text, char separator);
bool fcl_csv_next_record(fcl_csv_cursor *cursor);
bool fcl_csv_next_cell(fcl_csv_cursor *cursor, fcl_csv_cell *cell);
/* Passes over the cells that are left; how many. */
int64_t fcl_csv_skip_cells(fcl_csv_cursor *cursor);

/* The cell as it is meant; released by free. */
char *fcl_csv_cell_text(const fcl_csv_cell *cell);

/* What a cell may be, more than one of these at once: 12 is a number with either decimal mark, 1,234 one with
 * a decimal comma or in thousands. None: text. */
enum {
    FCL_CSV_POINT = 1,     /* a number with a decimal point, the whole of it; also inf */
    FCL_CSV_COMMA = 2,     /* with a decimal comma */
    FCL_CSV_WHOLE = 4,     /* digits alone */
    FCL_CSV_THOUSANDS = 8, /* digits in threes: 1 234,5 or 1'234 or 1,234.5 */
    FCL_CSV_INFINITE = 16,
    FCL_CSV_MISSING = 32, /* empty, or NA, NaN, null and their like */
    FCL_CSV_BOOLEAN = 64,
    FCL_CSV_DATE = 128 /* or a time of day */
};

unsigned fcl_csv_cell_kind(const fcl_csv_cell *cell);

/* The number of a cell that is one with the decimal mark. */
float fcl_csv_cell_number(const fcl_csv_cell *cell, char decimal);

#endif
