/* The linear assignment problem: which row takes which column so that the sum of the costs is least. */
#ifndef BASE_ASSIGN_H
#define BASE_ASSIGN_H

#include <flowcl/base.h>

/* Solves it exactly for finite costs (n, n) in C order; `column[i]` becomes row i's. FCL_ERR_MEMORY. */
int fcl_assignment_solve(int n, const double *cost, int *column);

#endif
