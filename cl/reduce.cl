/* Sums over one axis of a tensor seen as (outer, reduced, inner).
 *
 * The reduced axis is cut into `chunks` pieces of `chunk` (the last one shorter); a part is (outer, chunk), and
 * the result is (outer, chunks, inner). With more than one chunk the same kernel sums these again: two stages,
 * each in a fixed order. */

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

/* For CPUs, inner >= 16: work-item (v, part) takes the columns from 16 v on. The last one reads a whole
 * vector that ends with the row, and stores the columns that are its own. */
kernel void sum_columns16(const global float *restrict a, global float *restrict out, int reduced, int inner,
                          int chunk, int chunks)
{
    int column = 16 * get_global_id(0);
    int part = get_global_id(1);
    int row = part % chunks * chunk;
    int end = min(row + chunk, reduced);
    int start = min(column, inner - 16);
    const global float *p = a + part / chunks * reduced * inner + start;
    float16 even = 0, odd = 0;
    for (; row + 2 <= end; row += 2) {
        even += vload16(0, p + row * inner);
        odd += vload16(0, p + (row + 1) * inner);
    }
    if (row < end)
        even += vload16(0, p + row * inner);
    even += odd;
    out += part * inner;
    if (start == column) {
        vstore16(even, 0, out + column);
    } else {
        float lane[16];
        vstore16(even, 0, lane);
        for (int i = column; i < inner; i++)
            out[i] = lane[i - start];
    }
}
