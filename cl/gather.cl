/* Rows of a table by their number, and the adjoint: rows added into a table; of `outer` tables one after the other, by
 * `indices` numbers in turn: the same `rows` of them for each table, or others for each of the last ones.
 *
 * A number outside 0 .. count - 1 is clamped into it: nothing outside the table is ever touched. */

/* Where row `row` of (outer, rows) begins in tables of `count` rows. */
int gather_from(const global int *restrict index, int row, int rows, int indices, int count, int width)
{
    return (row / rows * count + clamp(index[row % indices], 0, count - 1)) * width;
}

/* Dimension 0 runs along a row, dimension 1 over the batch of each table. */
kernel void gather_rows(const global float *restrict table, const global int *restrict index,
                        global float *restrict out, int width, int rows, int count, int outer, int indices,
                        float scale, float shift)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x < width && row < rows * outer)
        out[row * width + x] = table[gather_from(index, row, rows, indices, count, width) + x] * scale + shift;
}

kernel void gather_rows_int(const global int *restrict table, const global int *restrict index,
                            global int *restrict out, int width, int rows, int count, int outer, int indices)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x < width && row < rows * outer)
        out[row * width + x] = table[gather_from(index, row, rows, indices, count, width) + x];
}

/* Images stored as bytes. */
kernel void gather_rows_byte(const global uchar *restrict table, const global int *restrict index,
                             global float *restrict out, int width, int rows, int count, int outer,
                             int indices, float scale, float shift)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x < width && row < rows * outer)
        out[row * width + x] = table[gather_from(index, row, rows, indices, count, width) + x] * scale + shift;
}

/* out (count, width) = the sum of the rows by their number. Work-item (x, part) owns column x of the table
 * rows `part`, `part + parts`, ...: it clears them, then adds what belongs to them in the order of the batch.
 * So nothing is atomic, and the sum repeats. */
kernel void scatter_rows(const global float *restrict in, const global int *restrict index,
                         global float *restrict out, int width, int rows, int count, int outer, int indices,
                         int parts)
{
    int x = get_global_id(0), part = get_global_id(1) % parts, table = get_global_id(1) / parts;
    if (x >= width || table >= outer)
        return;
    in += table * rows * width;
    index += table * rows % indices;
    out += table * count * width;
    for (int n = part; n < count; n += parts)
        out[n * width + x] = 0;
    for (int row = 0; row < rows; row++) {
        int n = clamp(index[row], 0, count - 1);
        if (n % parts == part)
            out[n * width + x] += in[row * width + x];
    }
}

/* (rows) -> (rows, count): 1 in the column that the number names, 0 elsewhere. */
kernel void one_hot(const global int *restrict index, global float *restrict out, int count, int rows)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x < count && row < rows)
        out[row * count + x] = clamp(index[row], 0, count - 1) == x ? 1.0f : 0.0f;
}
