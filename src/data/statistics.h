/* Means, deviations and extent of a data set's numbers, in double precision. */
#ifndef DATA_STATISTICS_H
#define DATA_STATISTICS_H

#include <flowcl/data.h>

/* Of `columns` columns, to which the numbers belong by turns: mean (columns) and standard deviation
 * (columns), which is 0 where all numbers of the column are the same, and only there. */
void fcl_dataset_measure(const fcl_dataset *dataset, int64_t columns, double *mean, double *deviation);

/* Of numbers as they are stored: bytes as bytes. */
typedef struct fcl_extent {
    double least, most;
    bool whole; /* all numbers are whole ones */
} fcl_extent;

fcl_extent fcl_dataset_extent(const fcl_dataset *dataset);

#endif
