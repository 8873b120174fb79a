/* Pairs drawn from an entropic plan (transport.cl) in the form for CPUs. */

/* transport_draw, a work-item a pair, in groups of one. */
kernel void transport_draw_wide(const global float *restrict cost, const global float *restrict f,
                                const global float *restrict g, const global float *restrict u,
                                const global float *restrict cumulative, int rows, int columns,
                                global int *restrict row_out, global int *restrict column_out)
{
    local float2 partial[GROUP_MAX];
    const int k = get_group_id(0), row = transport_row_of(k, u[2 * k], cumulative, rows);
    const global float *costs = cost + (size_t)row * columns;
    const float mine = f[row], target = u[2 * k + 1];
    const float2 sum = transport_row(costs, mine, g, columns, partial);
    const float base = sum.x + log(sum.y);
    float below = 0;
    int column = columns - 1;
    bool found = false;
    for (int j = 0; j < columns && !found; j += 16) {
        const int count = min(16, columns - j);
        float p[16];
        if (count == 16) {
            const float16 wide = exp(transport_exponent_float16(mine, vload16(0, g + j), vload16(0, costs + j)) - base);
            const float all = sum_of_16(wide);
            if (below + all < target) {
                below += all;
                continue;
            }
            vstore16(wide, 0, p);
        } else {
            for (int l = 0; l < count; l++)
                p[l] = exp(transport_exponent_float(mine, g[j + l], costs[j + l]) - base);
        }
        for (int l = 0; l < count && !found; l++) {
            below += p[l];
            found = below >= target;
            column = found ? j + l : column;
        }
    }
    while (!found && column > 0 && exp(transport_exponent_float(mine, g[column], costs[column]) - base) == 0)
        column--;
    if (row_out)
        row_out[k] = row;
    if (column_out)
        column_out[k] = column;
}
