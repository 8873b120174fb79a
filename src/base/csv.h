/* Tables of numbers as text: a row a line, also gzipped.
 *
 * How a table is written is told from the whole of it: columns parted by commas, semicolons, tabs or spaces;
 * decimals with a point or a comma; lines that end in LF, CR LF or CR; cells in quotes (RFC 4180). What can
 * be read in two ways is refused. The first line is a heading where it has words and no numbers, or names
 * beside whole numbers such as years; blank lines and lines that begin with '#' are passed over. A first
 * column without a name whose whole numbers or words differ in each row numbers or names the rows: it is left
 * out, and so is an empty last column. */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include "base/words.h"

typedef struct fcl_csv_options {
    const char *label;    /* the label's column by its name, or by its number from 1; NULL: see `guesses` */
    const char *no_label; /* what `label` says, where no column has that name, for none; or NULL */
    /* Names, NULL-terminated, or NULL: the first that a column has is the label's; without a heading the first
     * of them, if it is a number. */
    const char *const *guesses;
} fcl_csv_options;

typedef struct fcl_csv {
    fcl_array *numbers; /* (rows, columns of data) */
    bool labeled;
    fcl_words labels; /* (rows), where it is labeled */
    char *note;       /* what is not plain about it, in a few words; NULL: nothing */
} fcl_csv;

/* FCL_ERR_FORMAT, FCL_ERR_NUMERIC (a value is missing or too large), FCL_ERR_ARGUMENT (no such column);
 * messages name line, row and column. */
int fcl_csv_read_table(const char *path, const fcl_csv_options *options, fcl_csv *table);
void fcl_csv_free(fcl_csv *table);

/* Reads (rows, columns): all of them data. */
int fcl_csv_read(const char *path, fcl_array **array);

/* Writes a row for each index of the first dimension, the others side by side; 9 digits give each float back.
 */
int fcl_csv_write(const char *path, const fcl_array *array);
/* The same below a line of column names; `last`, or NULL, is a word for each row that becomes its last
 * column. */
int fcl_csv_write_headed(const char *path, const char *heading, const fcl_array *array,
                         const char *const *last);

#endif
