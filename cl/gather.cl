/* Rows of a table by their number, and the adjoint: rows added into a table.
 *
 * A number outside 0 .. count - 1 is clamped into it: nothing outside the table is ever touched. */

/* Dimension 0 runs along a row, dimension 1 over the batch. */
kernel void gather_rows(const global float *restrict table, const global int *restrict index,
                        global float *restrict out, int width, int rows, int count, float scale, float shift)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x < width && row < rows)
        out[row * width + x] = table[clamp(index[row], 0, count - 1) * width + x] * scale + shift;
}

kernel void gather_rows_int(const global int *restrict table, const global int *restrict index,
                            global int *restrict out, int width, int rows, int count)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x < width && row < rows)
        out[row * width + x] = table[clamp(index[row], 0, count - 1) * width + x];
}

/* Images stored as bytes. */
kernel void gather_rows_byte(const global uchar *restrict table, const global int *restrict index,
                             global float *restrict out, int width, int rows, int count, float scale,
                             float shift)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x < width && row < rows)
        out[row * width + x] = table[clamp(index[row], 0, count - 1) * width + x] * scale + shift;
}

/* out (count, width) = the sum of the rows by their number. Work-item (x, part) owns column x of the table
 * rows `part`, `part + parts`, ...: it clears them, then adds what belongs to them in the order of the batch.
 * So nothing is atomic, and the sum repeats. */
kernel void scatter_rows(const global float *restrict in, const global int *restrict index,
                         global float *restrict out, int width, int rows, int count, int parts)
{
    int x = get_global_id(0), part = get_global_id(1);
    if (x >= width || part >= parts)
        return;
    for (int n = part; n < count; n += parts)
        out[n * width + x] = 0;
    for (int row = 0; row < rows; row++) {
        int n = clamp(index[row], 0, count - 1);
        if (n % parts == part)
            out[n * width + x] += in[row * width + x];
    }
}
