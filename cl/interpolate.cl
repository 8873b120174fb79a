/* Functions given by `count` values each, at equal steps from 0 to 1, a column a function. Dimension 0 runs over the
 * columns, dimension 1 over the rows. */
kernel void interpolate(const global float *restrict table, const global float *restrict x, int count, int columns,
                        int rows, global float *restrict out)
{
    int column = get_global_id(0), row = get_global_id(1);
    if (column >= columns || row >= rows)
        return;
    float place = clamp(x[row], 0.0f, 1.0f) * (count - 1);
    int cell = min((int)place, count - 2);
    const global float *at = table + cell * columns + column;
    out[row * columns + column] = at[0] + (place - cell) * (at[columns] - at[0]);
}
