/* Sums over the columns of reduce.cl in the form for CPUs. */

/* inner >= 16: work-item (v, part) takes the columns from 16 v on. The last one reads a whole
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
