/* Copies of 4-byte elements, over a grid: dimension 0 runs along a row of the result, dimension 1 over its
 * rows. Floats and integers alike are moved as uint, so that a NaN keeps its bits. */

/* Permute: out[row][x] = in[offset of row + x * stride]. A row's number counts through up to five dimensions, n0 being
 * the extent of the innermost; s0 .. s4 are their strides in the input. */
kernel void copy_strided(const global uint *restrict in, global uint *restrict out, int width, int rows,
                         int stride, int n0, int n1, int n2, int n3, int s0, int s1, int s2, int s3, int s4)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x >= width || row >= rows)
        return;
    int rest = row;
    int offset = rest % n0 * s0;
    rest /= n0;
    offset += rest % n1 * s1;
    rest /= n1;
    offset += rest % n2 * s2;
    rest /= n2;
    offset += rest % n3 * s3 + rest / n3 * s4;
    out[row * width + x] = in[offset + x * stride];
}

/* Copies `rows` rows of `width` from one matrix into another: slice and concat. */
kernel void copy_window(const global uint *restrict in, global uint *restrict out, int width, int rows,
                        int in_pitch, int in_offset, int out_pitch, int out_offset)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x < width && row < rows)
        out[row * out_pitch + out_offset + x] = in[row * in_pitch + in_offset + x];
}

/* Rows of `in_width` inside rows of `width`, from column `begin` on; zeros around them. */
kernel void pad_window(const global uint *restrict in, global uint *restrict out, int width, int rows,
                       int in_width, int begin)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x >= width || row >= rows)
        return;
    bool inside = x >= begin && x < begin + in_width;
    out[row * width + x] = inside ? in[row * in_width + x - begin] : 0;
}
