#include "eval/tiles.h"

#include "base/error.h"
#include "eval/crew.h"

#include <stdlib.h>
#include <string.h>

/* Blocks of rows that a thread takes at once, and of columns that they meet while these are in a near cache.
 */
enum { GROUP = 16, CACHE = 1 << 18 };

static int64_t blocks_of(const fcl_points *points)
{
    return (points->count + FCL_TILE - 1) / FCL_TILE;
}

int fcl_points_create(int64_t count, int64_t size, fcl_points *points)
{
    *points = (fcl_points){.count = count, .size = size};
    size_t bytes = (size_t)(blocks_of(points) * size) * sizeof *points->block;
    points->block = aligned_alloc(sizeof *points->block, bytes);
    points->square = calloc((size_t)(blocks_of(points) * FCL_TILE), sizeof *points->square);
    if (!points->block || !points->square) {
        fcl_points_destroy(points);
        return fcl_fail(FCL_ERR_MEMORY, "no memory for %lld points of %lld numbers in double precision",
                        (long long)count, (long long)size);
    }
    memset(points->block, 0, bytes);
    return FCL_OK;
}

void fcl_points_destroy(fcl_points *points)
{
    free(points->block);
    free(points->square);
    *points = (fcl_points){0};
}

int fcl_points_pack(const float *from, int64_t count, int64_t size, fcl_points *points)
{
    FCL_TRY(fcl_points_create(count, size, points));
    for (int64_t p = 0; p < count; p++)
        for (int64_t i = 0; i < size; i++)
            fcl_points_set(points, p, i, (double)from[p * size + i]);
    fcl_points_measure(points);
    return FCL_OK;
}

static inline __attribute__((always_inline)) void sum_products(const fcl_tile_row *a, const fcl_tile_row *b,
                                                               int64_t size, fcl_tile_row product[FCL_TILE])
{
    fcl_tile_row sum[FCL_TILE] = {{0}};
    for (int64_t i = 0; i < size; i++)
        for (int r = 0; r < FCL_TILE; r++)
            sum[r] += a[i][r] * b[i];
    memcpy(product, sum, sizeof sum);
}

static void multiply_plain(const fcl_tile_row *a, const fcl_tile_row *b, int64_t size,
                           fcl_tile_row product[FCL_TILE])
{
    sum_products(a, b, size, product);
}

typedef void multiplication(const fcl_tile_row *a, const fcl_tile_row *b, int64_t size,
                            fcl_tile_row product[FCL_TILE]);

#if defined __x86_64__
__attribute__((target("avx2,fma"))) static void multiply_wide(const fcl_tile_row *a, const fcl_tile_row *b,
                                                              int64_t size, fcl_tile_row product[FCL_TILE])
{
    sum_products(a, b, size, product);
}

static multiplication *choose(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? multiply_wide : multiply_plain;
}
#else
static multiplication *choose(void)
{
    return multiply_plain;
}
#endif

/* By the function that all products are made by, the same sums in the same order: what is equal is 0 apart.
 */
void fcl_points_measure(fcl_points *points)
{
    multiplication *multiply = choose();
    for (int64_t k = 0; k < blocks_of(points); k++) {
        const fcl_tile_row *block = points->block + k * points->size;
        fcl_tile_row product[FCL_TILE];
        multiply(block, block, points->size, product);
        for (int r = 0; r < FCL_TILE; r++)
            points->square[k * FCL_TILE + r] = product[r][r];
    }
}

/* --- all tiles --- */

typedef struct scan {
    const fcl_points *a, *b;
    bool distances;
    multiplication *multiply;
    fcl_tile_visit *visit;
    void *data;
} scan;

static int in_block(const fcl_points *points, int64_t block)
{
    int64_t left = points->count - block * FCL_TILE;
    return left < FCL_TILE ? (int)left : FCL_TILE;
}

/* |x - y|^2 = |x|^2 + |y|^2 - 2 xy, not below 0 */
static void measure(const scan *s, fcl_tile *tile)
{
    fcl_tile_row columns;
    memcpy(&columns, s->b->square + tile->column, sizeof columns);
    for (int r = 0; r < FCL_TILE; r++) {
        fcl_tile_row square = (s->a->square[tile->row + r] + columns) - 2 * tile->value[r];
        for (int c = 0; c < FCL_TILE; c++)
            tile->value[r][c] = square[c] > 0 ? square[c] : 0;
    }
}

static void visit_tile(const scan *s, int64_t i, int64_t k)
{
    fcl_tile tile = {
        .row = i * FCL_TILE, .column = k * FCL_TILE, .rows = in_block(s->a, i), .columns = in_block(s->b, k)};
    s->multiply(s->a->block + i * s->a->size, s->b->block + k * s->b->size, s->a->size, tile.value);
    if (s->distances)
        measure(s, &tile);
    s->visit(s->data, &tile);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void visit_group(void *data, int64_t index)
{
    const scan *s = data;
    int64_t columns = blocks_of(s->b), first = index * GROUP, last = least(first + GROUP, blocks_of(s->a));
    int64_t panel = CACHE / (s->b->size * (int64_t)sizeof *s->b->block) + 1;
    for (int64_t begin = 0; begin < columns; begin += panel)
        for (int64_t i = first; i < last; i++)
            for (int64_t k = begin; k < least(begin + panel, columns); k++)
                visit_tile(s, i, k);
}

void fcl_tiles_of_products(const fcl_points *a, const fcl_points *b, fcl_tile_visit *visit, void *data)
{
    scan s = {.a = a, .b = b, .multiply = choose(), .visit = visit, .data = data};
    for (int64_t index = 0; index * GROUP < blocks_of(a); index++)
        visit_group(&s, index);
}

static int scan_all(const char *what, scan *s)
{
    s->multiply = choose();
    return fcl_crew_run(what, (blocks_of(s->a) + GROUP - 1) / GROUP, visit_group, s);
}

int fcl_tiles_scan_products(const char *what, const fcl_points *a, const fcl_points *b, fcl_tile_visit *visit,
                            void *data)
{
    return scan_all(what, &(scan){.a = a, .b = b, .visit = visit, .data = data});
}

int fcl_tiles_of_distances(const char *what, const fcl_points *a, const fcl_points *b, fcl_tile_visit *visit,
                           void *data)
{
    return scan_all(what, &(scan){.a = a, .b = b, .distances = true, .visit = visit, .data = data});
}
