/* Rows added into a table (gather.cl) in the form for CPUs. */

/* Work-item (v, part) owns the 16 columns from 16 v on, or the fewer that are left. */
kernel void scatter_rows16(const global float *restrict in, const global int *restrict index,
                           global float *restrict out, int width, int rows, int count, int outer,
                           int indices, int parts)
{
    int x = 16 * get_global_id(0), part = get_global_id(1) % parts, table = get_global_id(1) / parts;
    in += table * rows * width;
    index += table * rows % indices;
    out += table * count * width;
    bool whole = x + 16 <= width;
    for (int n = part; n < count; n += parts) {
        if (whole)
            vstore16((float16)(0.0f), 0, out + n * width + x);
        for (int i = x; !whole && i < width; i++)
            out[n * width + i] = 0;
    }
    for (int row = 0; row < rows; row++) {
        int n = clamp(index[row], 0, count - 1);
        if (n % parts != part)
            continue;
        global float *target = out + n * width;
        const global float *source = in + row * width;
        if (whole)
            vstore16(vload16(0, target + x) + vload16(0, source + x), 0, target + x);
        for (int i = x; !whole && i < width; i++)
            target[i] += source[i];
    }
}
