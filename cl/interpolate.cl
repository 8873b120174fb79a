/* Functions given by `count` values each, at equal steps from 0 to 1, a column a function. Dimension 0 runs over the
 * columns, dimension 1 over the rows. */
kernel void interpolate(const global float *restrict table, const global float *restrict x, int count, int columns,
                        int rows, global float *restrict out)
{
    int column = get_global_id(0), row = get_global_id(1);
    if (column >= columns || row >= rows)
        return;
    float place = fmin(fmax(x[row], 0.0f), 1.0f) * (count - 1); /* 0 for a NaN: clamp would leave it, as an index */
    int cell = min((int)place, count - 2);
    const global float *at = table + cell * columns + column;
    float value = at[0] + (place - cell) * (at[columns] - at[0]);
    out[row * columns + column] = isnan(x[row]) ? x[row] : value;
}
