/* Inner products and squared distances between all points of two sets, in double precision, a tile at a time:
 * nothing of the size of all pairs is stored. */
#ifndef EVAL_TILES_H
#define EVAL_TILES_H

#include <flowcl/base.h>

enum { FCL_TILE = 4 };
typedef double fcl_tile_row __attribute__((vector_size(FCL_TILE * sizeof(double))));

/* Points in blocks of FCL_TILE, in each of them (size) rows of one number of each. Those past the count are
 * zeros. */
typedef struct fcl_points {
    int64_t count, size;
    fcl_tile_row *block;
    double *square; /* (count, rounded up) |x|^2, once fcl_points_measure was called */
} fcl_points;

/* Zeros. FCL_ERR_MEMORY. */
int fcl_points_create(int64_t count, int64_t size, fcl_points *points);
/* Of floats (count, size), measured. */
int fcl_points_pack(const float *from, int64_t count, int64_t size, fcl_points *points);
void fcl_points_destroy(fcl_points *points);
void fcl_points_measure(fcl_points *points);

static inline void fcl_points_set(fcl_points *points, int64_t point, int64_t i, double value)
{
    points->block[point / FCL_TILE * points->size + i][point % FCL_TILE] = value;
}

/* Points row .. row + rows - 1 of one set, column .. column + columns - 1 of another. */
typedef struct fcl_tile {
    int64_t row, column;
    int rows, columns;
    fcl_tile_row value[FCL_TILE];
} fcl_tile;

typedef void fcl_tile_visit(void *data, const fcl_tile *tile);

/* Visits every tile of the inner products of a's points, the rows, and b's. */
void fcl_tiles_of_products(const fcl_points *a, const fcl_points *b, fcl_tile_visit *visit, void *data);
/* The same of squared distances, of measured points; equal points are 0 apart. By several threads: all tiles
 * of a row are visited by the same one, columns ascending. FCL_ERR_STOPPED, see fcl_crew_run. */
int fcl_tiles_of_distances(const char *what, const fcl_points *a, const fcl_points *b, fcl_tile_visit *visit,
                           void *data);
/* Inner products in the same way. */
int fcl_tiles_scan_products(const char *what, const fcl_points *a, const fcl_points *b, fcl_tile_visit *visit,
                            void *data);

#endif
