/* The linear assignment problem: which row takes which column so that the sum of the costs is least. */
#ifndef BASE_ASSIGN_H
#define BASE_ASSIGN_H

#include <flowcl/base.h>

/* Solves it exactly for costs (n, n) in C order; `column[i]` becomes row i's. Takes some 40 bytes a row beside
 * the costs. FCL_ERR_MEMORY, FCL_ERR_NUMERIC: a cost is not finite, or beyond 1e30. */
int fcl_assignment_solve(int n, const float *cost, int *column);

#endif
