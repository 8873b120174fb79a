/* Sums over one axis of a tensor seen as (outer, reduced, inner).
 *
 * The reduced axis is cut into `chunks` pieces of `chunk` (the last one shorter); a part is (outer, chunk), and
 * the result is (outer, chunks, inner). With more than one chunk the same kernel sums these again: two stages,
 * each in a fixed order. */
#include "group.h"

/* inner == 1: a work-group a part. `vector` is 4 on GPUs where each part is of aligned float4, as is asked for. */
kernel void sum_rows(const global float *restrict a, global float *restrict out, int reduced, int chunk,
                     int chunks, int vector)
{
    local float partial[GROUP_MAX];
    int part = get_group_id(0);
    int begin = part % chunks * chunk;
    int end = min(begin + chunk, reduced);
    const global float *row = a + part / chunks * reduced;
    float sum = 0;
    if (get_local_size(0) == 1) {
        float16 wide = 0;
        for (; begin + 16 <= end; begin += 16)
            wide += vload16(0, row + begin);
        sum = sum_of_16(wide);
    }
    if (vector == 4) {
        float4 four = 0;
        for (begin += 4 * get_local_id(0); begin < end; begin += 4 * get_local_size(0))
            four += *(const global float4 *)(row + begin);
        sum = sum_of_4(four);
    }
    for (int i = begin + get_local_id(0); i < end; i += get_local_size(0))
        sum += row[i];
    sum = group_sum(sum, partial);
    if (get_local_id(0) == 0)
        out[part] = sum;
}

/* For GPUs: a work-group takes as many neighbouring columns, so that neighbours read neighbours; its work-items share
 * their rows. Any local size from there on is right. src/op/reduce.c counts the groups in the same way. */
#define SUM_TILE 8

static inline int sum_tile(int inner)
{
    return inner > 4 ? SUM_TILE : inner > 2 ? 4 : inner;
}

static inline int sum_tiles(int inner)
{
    return (inner + sum_tile(inner) - 1) / sum_tile(inner);
}

/* What `group` of the groups of one sum does. */
static inline void sum_group(const global float *a, global float *out, int reduced, int inner, int chunk, int chunks,
                             int group, local float *partial)
{
    const int tile = sum_tile(inner), tiles = sum_tiles(inner), part = group / tiles;
    const int id = get_local_id(0), lane = id / tile, lanes = get_local_size(0) / tile;
    const int column = group % tiles * tile + id % tile;
    const int begin = part % chunks * chunk, end = min(begin + chunk, reduced);
    a += part / chunks * reduced * inner + column;
    float4 sums = 0;
    int row = begin + lane;
    const bool has_rows = column < inner && lane < lanes;
    for (; has_rows && row + 3 * lanes < end; row += 4 * lanes)
        sums += (float4)(a[row * inner], a[(row + lanes) * inner], a[(row + 2 * lanes) * inner],
                         a[(row + 3 * lanes) * inner]);
    float sum = (sums.x + sums.y) + (sums.z + sums.w);
    for (; has_rows && row < end; row += lanes)
        sum += a[row * inner];
    partial[id] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int count = lanes; count > 1; count = (count + 1) / 2) {
        if (lane < count / 2)
            partial[id] += partial[id + (count + 1) / 2 * tile];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (lane == 0 && column < inner)
        out[part * inner + column] = partial[id];
}

kernel void sum_columns_group(const global float *restrict a, global float *restrict out, int reduced, int inner,
                              int chunk, int chunks)
{
    local float partial[GROUP_MAX];
    sum_group(a, out, reduced, inner, chunk, chunks, get_group_id(0), partial);
}

/* Up to eight matrices in one launch, such as the gradients of biases. `first`: the first group of each, in rising
 * order; of those that are not there a number that no group has. */
kernel void sum_columns_many(const global float *a0, global float *out0, int reduced0, int inner0, int first0,
                             const global float *a1, global float *out1, int reduced1, int inner1, int first1,
                             const global float *a2, global float *out2, int reduced2, int inner2, int first2,
                             const global float *a3, global float *out3, int reduced3, int inner3, int first3,
                             const global float *a4, global float *out4, int reduced4, int inner4, int first4,
                             const global float *a5, global float *out5, int reduced5, int inner5, int first5,
                             const global float *a6, global float *out6, int reduced6, int inner6, int first6,
                             const global float *a7, global float *out7, int reduced7, int inner7, int first7)
{
    local float partial[GROUP_MAX];
    const global float *a = a0;
    global float *out = out0;
    int reduced = reduced0, inner = inner0, first = first0;
#define SUM_FROM(n)                                                                                                  \
    if ((int)get_group_id(0) >= first##n) {                                                                          \
        a = a##n;                                                                                                    \
        out = out##n;                                                                                                \
        reduced = reduced##n;                                                                                        \
        inner = inner##n;                                                                                            \
        first = first##n;                                                                                            \
    }
    SUM_FROM(1)
    SUM_FROM(2)
    SUM_FROM(3)
    SUM_FROM(4)
    SUM_FROM(5)
    SUM_FROM(6)
    SUM_FROM(7)
#undef SUM_FROM
    sum_group(a, out, reduced, inner, reduced, 1, (int)get_group_id(0) - first, partial);
}

/* A work-item an element of the result. */
kernel void sum_columns(const global float *restrict a, global float *restrict out, int reduced, int inner,
                        int chunk, int chunks, int count)
{
    int i = get_global_id(0);
    if (i >= count)
        return;
    int part = i / inner;
    int row = part % chunks * chunk;
    int end = min(row + chunk, reduced);
    const global float *column = a + part / chunks * reduced * inner + i % inner;
    float4 sums = 0;
    for (; row + 4 <= end; row += 4)
        sums += (float4)(column[row * inner], column[(row + 1) * inner], column[(row + 2) * inner],
                         column[(row + 3) * inner]);
    float sum = (sums.x + sums.y) + (sums.z + sums.w);
    for (; row < end; row++)
        sum += column[row * inner];
    out[i] = sum;
}

/* --- the largest --- */

/* A NaN is larger than any number. */
static inline bool is_larger(float a, float b)
{
    return a > b || (isnan(a) && !isnan(b));
}

/* The largest of `reduced` elements, `inner` apart, by the work-item's share of them; *at is the first that is. */
static inline float largest_of(const global float *a, int reduced, int inner, int *at)
{
    float largest = -INFINITY;
    *at = reduced;
    for (int i = get_local_id(0); i < reduced; i += get_local_size(0))
        if (*at == reduced || is_larger(a[(long)i * inner], largest)) {
            largest = a[(long)i * inner];
            *at = i;
        }
    return largest;
}

/* The largest of the work-group's, and the first place where it is, in work-item 0. */
static inline float group_largest_at(float value, int *at, local float *values, local int *places)
{
    int id = get_local_id(0);
    values[id] = value;
    places[id] = *at;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int count = get_local_size(0); count > 1; count = (count + 1) / 2) {
        int other = id + (count + 1) / 2;
        if (id < count / 2 && (is_larger(values[other], values[id]) ||
                               (!is_larger(values[id], values[other]) && places[other] < places[id]))) {
            values[id] = values[other];
            places[id] = places[other];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    *at = places[0];
    return values[0];
}

/* (outer, reduced, inner) -> (outer, inner): a work-group a result. */
kernel void max_axes(const global float *restrict a, global float *restrict out, int reduced, int inner)
{
    local float values[GROUP_MAX];
    local int places[GROUP_MAX];
    int part = get_group_id(0), at;
    float mine = largest_of(a + (long)(part / inner) * reduced * inner + part % inner, reduced, inner, &at);
    float largest = group_largest_at(mine, &at, values, places);
    if (get_local_id(0) == 0)
        out[part] = largest;
}

kernel void arg_max(const global float *restrict a, global int *restrict out, int reduced, int inner)
{
    local float values[GROUP_MAX];
    local int places[GROUP_MAX];
    int part = get_group_id(0), at;
    float mine = largest_of(a + (long)(part / inner) * reduced * inner + part % inner, reduced, inner, &at);
    group_largest_at(mine, &at, values, places);
    if (get_local_id(0) == 0)
        out[part] = at;
}
