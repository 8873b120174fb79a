/* Sums over one axis of a tensor seen as (outer, reduced, inner).
 *
 * The reduced axis is cut into `chunks` pieces of `chunk` (the last one shorter); a part is (outer, chunk), and
 * the result is (outer, chunks, inner). With more than one chunk the same kernel sums these again: two stages,
 * each in a fixed order. */
#include "group.h"

/* inner == 1: a work-group a part. */
kernel void sum_rows(const global float *restrict a, global float *restrict out, int reduced, int chunk,
                     int chunks)
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
    for (int i = begin + get_local_id(0); i < end; i += get_local_size(0))
        sum += row[i];
    sum = group_sum(sum, partial);
    if (get_local_id(0) == 0)
        out[part] = sum;
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
