/* The columns of a table of text: their names, what they hold, and which of them are data. */
#ifndef BASE_CSV_COLUMNS_H
#define BASE_CSV_COLUMNS_H

#include "base/csv_dialect.h"
#include "base/memory.h"

/* A cell that somebody has to be told of. */
typedef struct fcl_csv_place {
    int64_t line, row; /* of the file, and of the data, both from 1; line 0: there is none */
    char *text;
} fcl_csv_place;

typedef struct fcl_csv_column {
    char *name;            /* NULL: without a heading */
    unsigned first;        /* what its cell of the first record is */
    int64_t numbers, text; /* cells of the data: numbers, and no numbers that are not missing either */
    int64_t words, booleans,
        dates; /* of the latter, what is none with another mark either, and what this is */
    int64_t whole, missing, empty; /* cells of digits alone; missing ones, and of these empty ones */
    fcl_csv_place odd, gone;       /* the first that is no number, and the first that is missing */
} fcl_csv_column;

typedef struct fcl_csv_columns {
    const char *path, *text;
    fcl_csv_dialect dialect;
    fcl_csv_column *column; /* (dialect.columns) */
    int64_t rows;
    bool headed;
    int64_t index, label,
        last; /* columns that number or name the rows, hold the label, are empty; -1: none */
} fcl_csv_columns;

/* Looks at all cells. `path` and `text` are kept. */
void fcl_csv_columns_read(const char *path, const char *text, const fcl_csv_dialect *dialect,
                          fcl_csv_columns *columns);
void fcl_csv_columns_free(fcl_csv_columns *columns);

/* Before the first record of the data. */
fcl_csv_cursor fcl_csv_columns_begin(const fcl_csv_columns *columns);

/* Finds the column that numbers the rows, and one that is empty because each line ends in a separator. */
int fcl_csv_columns_find_index(fcl_csv_columns *columns);

/* FCL_ERR_ARGUMENT where no column, or more than one, has that name; a number counts columns from 1. */
int fcl_csv_columns_find_label(fcl_csv_columns *columns, const char *name);

bool fcl_csv_columns_is_data(const fcl_csv_columns *columns, int64_t column);

/* Whether all data are numbers, and the label is there in each row; else tells the column or the cell. */
int fcl_csv_columns_check(const fcl_csv_columns *columns);

/* "column 'age'", or "column 3"; released by free. */
char *fcl_csv_columns_name(const fcl_csv_columns *columns, int64_t column);

#endif
