/* Means, deviations and extent of a data set's numbers, in double precision, in one pass over the samples:
 * those that lie in files are read once, in their order. */
#ifndef DATA_STATISTICS_H
#define DATA_STATISTICS_H

#include <flowcl/data.h>

/* Of numbers as they are stored: bytes as bytes. */
typedef struct fcl_extent {
    double least, most;
    bool whole; /* all numbers are whole ones */
} fcl_extent;

/* The range of pictures, black and white, that such numbers lie in; who uses less than a quarter of it has another one. false:
 * none is known, and these are the numbers' own. */
bool fcl_extent_range(fcl_extent extent, double *low, double *high);

/* Of each number of a sample, over all samples. */
typedef struct fcl_survey {
    int64_t columns;
    double *mean, *squares; /* (columns); squares: the sum of those of the distances from the mean, 0 where
                               all numbers of the column are the same, and only there */
    int64_t count;          /* samples */
    fcl_extent extent;
} fcl_survey;

/* Pieces of samples are added one after the other (Chan, Golub, LeVeque 1979), the same ones wherever the set
 * lies. FCL_ERR_STOPPED, and what reading a set that lies in files can give. */
int fcl_survey_make(const fcl_dataset *dataset, fcl_survey *survey);
void fcl_survey_free(fcl_survey *survey);

/* Of `columns` columns, to which the numbers belong by turns, each number of a sample or, where it is 1, all
 * of them: mean (columns) and standard deviation (columns). */
void fcl_survey_columns(const fcl_survey *survey, int64_t columns, double *mean, double *deviation);

#endif
