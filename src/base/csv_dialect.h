/* How a table of text is written, told from the whole of it. */
#ifndef BASE_CSV_DIALECT_H
#define BASE_CSV_DIALECT_H

#include "base/csv_cell.h"

typedef struct fcl_csv_dialect {
    char separator; /* see fcl_csv_cursor */
    char decimal;   /* '.' or ',' */
    int64_t columns;
    bool unnamed; /* the first record has one cell less than the others, whose first is a row's name */
} fcl_csv_dialect;

/* The separator by which all records have equally many cells, and the fewest that are no numbers.
 * FCL_ERR_FORMAT where there is none (the message names the first record that has more or fewer), or where
 * numbers can be read in two ways: 1 234,5 as two columns or one number, 1,234 as a decimal or as thousands.
 */
int fcl_csv_find_dialect(const char *text, const char *path, fcl_csv_dialect *dialect);

#endif
