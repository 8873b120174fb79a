/* Tables of numbers as text: one row a line, columns parted by commas, semicolons, tabs or spaces. */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include <flowcl/base.h>

/* Reads (rows, columns). A first line that does not begin with a number is a heading and is skipped, as are
 * blank lines and lines that begin with '#'. Every row has as many columns as the first. */
int fcl_csv_read(const char *path, fcl_array **array);

/* Writes a row for each index of the first dimension, the others side by side; 9 digits give each float back.
 */
int fcl_csv_write(const char *path, const fcl_array *array);
/* The same below a line of column names. */
int fcl_csv_write_headed(const char *path, const char *heading, const fcl_array *array);

#endif
