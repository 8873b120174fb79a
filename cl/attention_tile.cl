/* Attention and its gradients in q, k and v by tiles, for any device. Names and formulas: src/device/attention.h. Of rows
 * number n belongs to item n % batch of q, k, v, mask and bias.
 *
 *            keys, by tiles          A work-group of ATTENTION_ITEMS has up to ATTENTION_SIDE queries of a head (for the gradients
 *          +-----+-----+-----+       in k and v: keys) and goes over its keys (queries) by tiles. Each work-item has 4 x 4 of a
 *          |     |  k' |     |       tile's scores in registers: columns of q and k stand side by side in local memory, where it
 *   +---+  +-----+-----+-----+       reads float4 of either and multiplies each by each. The weights that follow go to local
 *   | q |  |     |  s  |     |       memory, turned, where they multiply rows of v in the same way. Sums over tiles stand in the
 *   +---+  +-----+-----+-----+       result, which a work-item reads and writes alone. Columns go by panels of ATTENTION_SIDE.
 *
 * Zeros stand for what is beyond an edge. A key whose mask is 0 is not read, nor is its value: zeros stand for it, too.
 * Local memory is an argument, from `left` on: Oclgrind adds up what all kernels of a program declare. */
#include "group.h"
#include "math.h"

#define ATTENTION_EACH 4
#define ATTENTION_SIDE 32
#define ATTENTION_ACROSS (ATTENTION_SIDE / ATTENTION_EACH)
#define ATTENTION_ITEMS (ATTENTION_ACROSS * ATTENTION_ACROSS)
#define ATTENTION_LINE (ATTENTION_ACROSS + 1) /* float4 of a tile's line: lines begin in different banks */
#define ATTENTION_UNROLL _Pragma("unroll")
#define ATTENTION_GROUP __attribute__((reqd_work_group_size(ATTENTION_ITEMS, 1, 1)))
#define ATTENTION_TILE_SIZES                                                                                           \
    int batch, int heads, int queries, int keys, int width, int bias_size, float scale, local float4 *left
#define ATTENTION_TILE (ATTENTION_SIDE * ATTENTION_LINE)
#define ATTENTION_PARTS (ATTENTION_SIDE * ATTENTION_ACROSS / 4)

/* The work-item's rows of a tile, and its columns, begin at 4 times these. */
#define ATTENTION_DOWN ((int)get_local_id(0) / ATTENTION_ACROSS)
#define ATTENTION_ALONG ((int)get_local_id(0) % ATTENTION_ACROSS)

/* A tile from rows of x and a panel of its columns: a line a row, or where turned a line a column. Then 32 neighbours have
 * 8 columns of 4 rows, which are in 32 banks. */
static inline void attention_tile_copy(local float4 *tile, bool turned, const global float *x, const global float *mask, int rows,
                                       int columns, int pitch)
{
    local float *to = (local float *)tile;
    ATTENTION_UNROLL for (int i = 0; i < ATTENTION_SIDE * ATTENTION_SIDE / ATTENTION_ITEMS; i++) {
        const int at = (int)get_local_id(0) + i * ATTENTION_ITEMS;
        const int part = at / ATTENTION_SIDE; /* of 8 columns and 4 rows, or a row */
        const int row = turned ? at / ATTENTION_ACROSS % ATTENTION_EACH + part / ATTENTION_EACH * ATTENTION_EACH : part;
        const int column = turned ? at % ATTENTION_ACROSS + part % ATTENTION_EACH * ATTENTION_ACROSS : at % ATTENTION_SIDE;
        const bool there = row < rows && column < columns && (!mask || mask[row] != 0);
        to[turned ? 4 * ATTENTION_LINE * column + row : 4 * ATTENTION_LINE * row + column] = there ? x[row * pitch + column] : 0;
    }
}

/* sum[r] += row r times the columns, of `count` lines of two tiles. */
static inline void attention_tile_multiply(float4 *sum, const local float4 *rows, const local float4 *columns, int count)
{
    rows += ATTENTION_DOWN;
    columns += ATTENTION_ALONG;
    for (int i = 0; i < count; i++, rows += ATTENTION_LINE, columns += ATTENTION_LINE) {
        const float4 x = *rows, y = *columns;
        sum[0] += x.x * y;
        sum[1] += x.y * y;
        sum[2] += x.z * y;
        sum[3] += x.w * y;
    }
}

/* sum = a b', of rows of a head's columns; the masks may be NULL. `keep`: a's columns, of one panel, stand in left. */
static inline void attention_tile_products(float4 *sum, local float4 *left, local float4 *right, bool keep,
                                           const global float *a, const global float *a_mask, int a_rows,
                                           const global float *b, const global float *b_mask, int b_rows, int width, int pitch)
{
    ATTENTION_UNROLL for (int r = 0; r < ATTENTION_EACH; r++)
        sum[r] = 0;
    for (int c = 0; c < width; c += ATTENTION_SIDE) {
        const int columns = min(ATTENTION_SIDE, width - c);
        if (!keep || width > ATTENTION_SIDE)
            attention_tile_copy(left, true, a + c, a_mask, a_rows, columns, pitch);
        attention_tile_copy(right, true, b + c, b_mask, b_rows, columns, pitch);
        barrier(CLK_LOCAL_MEM_FENCE);
        attention_tile_multiply(sum, left, right, columns);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

/* A tile of which line i is column i of the work-items' rows. */
static inline void attention_tile_put(local float4 *tile, const float4 *x)
{
    tile += ATTENTION_EACH * ATTENTION_ALONG * ATTENTION_LINE + ATTENTION_DOWN;
    tile[0] = (float4)(x[0].x, x[1].x, x[2].x, x[3].x);
    tile[ATTENTION_LINE] = (float4)(x[0].y, x[1].y, x[2].y, x[3].y);
    tile[2 * ATTENTION_LINE] = (float4)(x[0].z, x[1].z, x[2].z, x[3].z);
    tile[3 * ATTENTION_LINE] = (float4)(x[0].w, x[1].w, x[2].w, x[3].w);
}

/* Four numbers `step` apart, 0 from number `count` on. */
static inline float4 attention_tile_load(const global float *x, int step, int count)
{
    return (float4)(count > 0 ? x[0] : 0, count > 1 ? x[step] : 0, count > 2 ? x[2 * step] : 0, count > 3 ? x[3 * step] : 0);
}

static inline void attention_tile_store(global float *x, float4 v, int count)
{
    if (count > 0)
        x[0] = v.x;
    if (count > 1)
        x[1] = v.y;
    if (count > 2)
        x[2] = v.z;
    if (count > 3)
        x[3] = v.w;
}

/* to = (to * before + the sum of `count` rows of x by their weights) * by, of `rows` rows; without `add` to is not read.
 * Weights may be on their way: a barrier is before their use, and one behind it. */
static inline void attention_tile_add(global float *to, bool add, const float *before, const float *by, int rows,
                                      const local float4 *weight, local float4 *right, const global float *x,
                                      const global float *mask, int count, int width, int pitch)
{
    for (int c = 0; c < width; c += ATTENTION_SIDE) {
        const int columns = min(ATTENTION_SIDE, width - c), own = columns - ATTENTION_EACH * ATTENTION_ALONG;
        float4 sum[ATTENTION_EACH];
        ATTENTION_UNROLL for (int r = 0; r < ATTENTION_EACH; r++)
            sum[r] = 0;
        attention_tile_copy(right, false, x + c, mask, count, columns, pitch);
        barrier(CLK_LOCAL_MEM_FENCE);
        attention_tile_multiply(sum, weight, right, count);
        ATTENTION_UNROLL for (int r = 0; r < ATTENTION_EACH; r++) {
            const int row = ATTENTION_EACH * ATTENTION_DOWN + r;
            global float *at = to + row * pitch + c + ATTENTION_EACH * ATTENTION_ALONG;
            if (row >= rows)
                continue;
            if (add)
                sum[r] += attention_tile_load(at, 1, own) * before[r];
            attention_tile_store(at, sum[r] * by[r], own);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

/* Which of four keys from number j on are there, and not left out: -1 or 0. */
static inline int4 attention_tile_there(const global float *mask, int j, int keys)
{
    const int4 there = (int4)(j, j + 1, j + 2, j + 3) < keys;
    return mask ? there & (attention_tile_load(mask + j, 1, keys - j) != 0.0f) : there;
}

/* What the work-items of rows have of them, two float4 a row. */
static inline void attention_tile_part(local float4 *part, int r, float x)
{
    ((local float *)part)[(ATTENTION_EACH * ATTENTION_DOWN + r) * ATTENTION_ACROSS + ATTENTION_ALONG] = x;
}

static inline float attention_tile_total(const local float4 *part, int r)
{
    part += (ATTENTION_EACH * ATTENTION_DOWN + r) * ATTENTION_ACROSS / 4;
    return sum_of_4(part[0]) + sum_of_4(part[1]);
}

static inline float attention_tile_largest(const local float4 *part, int r)
{
    part += (ATTENTION_EACH * ATTENTION_DOWN + r) * ATTENTION_ACROSS / 4;
    return larger(largest_of_4(part[0]), largest_of_4(part[1]));
}

/* `left` has three tiles and two parts. */
ATTENTION_GROUP
kernel void attention(const global float *restrict q, const global float *restrict k, const global float *restrict v,
                      const global float *mask, const global float *bias, global float *o, global float *lse,
                      ATTENTION_TILE_SIZES)
{
    local float4 *right = left + ATTENTION_TILE, *weight = right + ATTENTION_TILE, *part = weight + ATTENTION_TILE;
    local float4 *largest = part + ATTENTION_PARTS;
    const int tiles = (queries + ATTENTION_SIDE - 1) / ATTENTION_SIDE, group = get_group_id(0), along = ATTENTION_ALONG;
    const int top = group % tiles * ATTENTION_SIDE, head = group / tiles % heads, item = group / tiles / heads;
    const int rows = min(ATTENTION_SIDE, queries - top), pitch = heads * width;
    q += (item * queries + top) * pitch + head * width;
    o += (item * queries + top) * pitch + head * width;
    k += item * keys * pitch + head * width;
    v += item * keys * pitch + head * width;
    mask = mask ? mask + item * keys : mask;
    bias = bias ? bias + item * bias_size + (head * queries + top) * keys : bias;
    float most[ATTENTION_EACH], sum[ATTENTION_EACH], shrink[ATTENTION_EACH], by[ATTENTION_EACH];
    ATTENTION_UNROLL for (int r = 0; r < ATTENTION_EACH; r++) {
        most[r] = -INFINITY;
        sum[r] = 0;
    }
    for (int first = 0; first < keys; first += ATTENTION_SIDE) {
        const int count = min(ATTENTION_SIDE, keys - first), own = first + ATTENTION_EACH * along;
        const bool last = first + count == keys;
        const global float *own_mask = mask ? mask + first : mask;
        const int4 there = attention_tile_there(mask, own, keys);
        float4 s[ATTENTION_EACH];
        attention_tile_products(s, left, right, first > 0, q, 0, rows, k + first * pitch, own_mask, count, width, pitch);
        ATTENTION_UNROLL for (int r = 0; r < ATTENTION_EACH; r++) {
            const int row = ATTENTION_EACH * ATTENTION_DOWN + r;
            s[r] *= scale;
            if (bias && row < rows)
                s[r] += attention_tile_load(bias + row * keys + own, 1, keys - own);
            s[r] = select((float4)(-INFINITY), s[r], there);
            attention_tile_part(largest, r, largest_of_4(s[r]));
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        ATTENTION_UNROLL for (int r = 0; r < ATTENTION_EACH; r++) {
            const float next = larger(most[r], attention_tile_largest(largest, r));
            const float base = next == -INFINITY ? 0 : next;
            shrink[r] = math_exp_float(most[r] - base);
            s[r] = math_exp_float4(s[r] - base);
            sum[r] = sum[r] * shrink[r] + sum_of_4(s[r]);
            most[r] = next;
            if (last)
                attention_tile_part(part, r, sum[r]);
        }
        attention_tile_put(weight, s);
        barrier(CLK_LOCAL_MEM_FENCE);
        ATTENTION_UNROLL for (int r = 0; r < ATTENTION_EACH; r++) {
            const int row = ATTENTION_EACH * ATTENTION_DOWN + r;
            const float all = last ? attention_tile_total(part, r) : 1;
            by[r] = all == 0 ? 0 : 1 / all;
            if (last && lse && along == 0 && row < rows)
                lse[(item * heads + head) * queries + top + row] = all == 0 ? 0 : most[r] + math_log_float(all);
        }
        attention_tile_add(o, first > 0, shrink, by, rows, weight, right, v + first * pitch, own_mask, count, width, pitch);
    }
}

/* In q. `centre` becomes the mean of each row's slopes. `left` has two tiles and a part. */
ATTENTION_GROUP
kernel void attention_grad(const global float *restrict q, const global float *restrict k, const global float *restrict v,
                           const global float *mask, const global float *bias, const global float *restrict o,
                           const global float *restrict lse, const global float *restrict u, global float *dq,
                           global float *restrict centre, ATTENTION_TILE_SIZES)
{
    local float4 *right = left + ATTENTION_TILE, *weight = left, *part = right + ATTENTION_TILE;
    const int tiles = (queries + ATTENTION_SIDE - 1) / ATTENTION_SIDE, group = get_group_id(0), along = ATTENTION_ALONG;
    const int top = group % tiles * ATTENTION_SIDE, head = group / tiles % heads, n = group / tiles / heads, item = n % batch;
    const int rows = min(ATTENTION_SIDE, queries - top), pitch = heads * width;
    q += (item * queries + top) * pitch + head * width;
    o += (item * queries + top) * pitch + head * width;
    u += (n * queries + top) * pitch + head * width;
    dq += (n * queries + top) * pitch + head * width;
    k += item * keys * pitch + head * width;
    v += item * keys * pitch + head * width;
    lse += (item * heads + head) * queries + top;
    centre += (n * heads + head) * queries + top;
    mask = mask ? mask + item * keys : mask;
    bias = bias ? bias + item * bias_size + (head * queries + top) * keys : bias;
    ATTENTION_UNROLL for (int r = 0; r < ATTENTION_EACH; r++) {
        const int row = ATTENTION_EACH * ATTENTION_DOWN + r;
        float sum = 0;
        for (int c = along; c < width && row < rows; c += ATTENTION_ACROSS)
            sum += u[row * pitch + c] * o[row * pitch + c];
        attention_tile_part(part, r, sum);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    float mean[ATTENTION_EACH], own_lse[ATTENTION_EACH], by[ATTENTION_EACH];
    const float one[ATTENTION_EACH] = {1, 1, 1, 1};
    ATTENTION_UNROLL for (int r = 0; r < ATTENTION_EACH; r++) {
        const int row = ATTENTION_EACH * ATTENTION_DOWN + r;
        mean[r] = attention_tile_total(part, r);
        own_lse[r] = row < rows ? lse[row] : 0;
        if (along == 0 && row < rows)
            centre[row] = mean[r];
    }
    for (int first = 0; first < keys; first += ATTENTION_SIDE) {
        const int count = min(ATTENTION_SIDE, keys - first), own = first + ATTENTION_EACH * along;
        const global float *own_mask = mask ? mask + first : mask;
        const int4 there = attention_tile_there(mask, own, keys);
        float4 s[ATTENTION_EACH], slope[ATTENTION_EACH];
        attention_tile_products(s, left, right, false, q, 0, rows, k + first * pitch, own_mask, count, width, pitch);
        attention_tile_products(slope, left, right, false, u, 0, rows, v + first * pitch, own_mask, count, width, pitch);
        ATTENTION_UNROLL for (int r = 0; r < ATTENTION_EACH; r++) {
            const int row = ATTENTION_EACH * ATTENTION_DOWN + r;
            s[r] *= scale;
            if (bias && row < rows)
                s[r] += attention_tile_load(bias + row * keys + own, 1, keys - own);
            const float4 p = math_exp_float4(s[r] - own_lse[r]);
            slope[r] = select((float4)(0), p * (slope[r] - mean[r]), there & (p != 0.0f));
            by[r] = first + count == keys ? scale : 1;
        }
        attention_tile_put(weight, slope);
        attention_tile_add(dq, first > 0, one, by, rows, weight, right, k + first * pitch, own_mask, count, width, pitch);
    }
}

/* In k and v, each of which may be NULL, for all groups alike: a group has keys, and goes over the queries. `left` has two
 * tiles. */
ATTENTION_GROUP
kernel void attention_grad_kv(const global float *restrict q, const global float *restrict k, const global float *restrict v,
                              const global float *mask, const global float *bias, const global float *restrict centre,
                              const global float *restrict lse, const global float *restrict u, global float *dk,
                              global float *dv, ATTENTION_TILE_SIZES)
{
    local float4 *right = left + ATTENTION_TILE, *weight = left;
    const int tiles = (keys + ATTENTION_SIDE - 1) / ATTENTION_SIDE, group = get_group_id(0);
    const int top = group % tiles * ATTENTION_SIDE, head = group / tiles % heads, n = group / tiles / heads, item = n % batch;
    const int rows = min(ATTENTION_SIDE, keys - top), pitch = heads * width, to = (n * keys + top) * pitch + head * width;
    q += item * queries * pitch + head * width;
    u += n * queries * pitch + head * width;
    k += (item * keys + top) * pitch + head * width;
    v += (item * keys + top) * pitch + head * width;
    lse += (item * heads + head) * queries;
    centre += (n * heads + head) * queries;
    mask = mask ? mask + item * keys + top : mask;
    bias = bias ? bias + item * bias_size + head * queries * keys + top : bias;
    float by[ATTENTION_EACH];
    const float one[ATTENTION_EACH] = {1, 1, 1, 1};
    for (int first = 0; first < queries; first += ATTENTION_SIDE) {
        const int count = min(ATTENTION_SIDE, queries - first), own = ATTENTION_EACH * ATTENTION_ALONG;
        const float4 own_lse = attention_tile_load(lse + first + own, 1, count - own);
        const float4 mean = attention_tile_load(centre + first + own, 1, count - own);
        float4 p[ATTENTION_EACH], slope[ATTENTION_EACH];
        attention_tile_products(p, left, right, false, k, mask, rows, q + first * pitch, 0, count, width, pitch);
        attention_tile_products(slope, left, right, false, v, mask, rows, u + first * pitch, 0, count, width, pitch);
        ATTENTION_UNROLL for (int r = 0; r < ATTENTION_EACH; r++) {
            const int row = ATTENTION_EACH * ATTENTION_DOWN + r;
            p[r] *= scale;
            if (bias && row < rows)
                p[r] += attention_tile_load(bias + (first + own) * keys + row, keys, count - own);
            p[r] = row < rows && (!mask || mask[row] != 0) ? math_exp_float4(p[r] - own_lse) : (float4)(0);
            slope[r] = select((float4)(0), p[r] * (slope[r] - mean), p[r] != 0.0f);
            by[r] = first + count == queries ? scale : 1;
        }
        if (dv) {
            attention_tile_put(weight, p);
            attention_tile_add(dv + to, first > 0, one, one, rows, weight, right, u + first * pitch, 0, count, width, pitch);
        }
        if (dk) {
            attention_tile_put(weight, slope);
            attention_tile_add(dk + to, first > 0, one, by, rows, weight, right, q + first * pitch, 0, count, width, pitch);
        }
    }
}
#undef ATTENTION_EACH
#undef ATTENTION_SIDE
#undef ATTENTION_ACROSS
#undef ATTENTION_ITEMS
#undef ATTENTION_LINE
#undef ATTENTION_UNROLL
#undef ATTENTION_GROUP
#undef ATTENTION_TILE_SIZES
#undef ATTENTION_TILE
#undef ATTENTION_PARTS
#undef ATTENTION_DOWN
#undef ATTENTION_ALONG
