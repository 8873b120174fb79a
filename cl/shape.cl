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
    int rest = row, offset = 0;
    offset += rest % n0 * s0, rest /= n0;
    offset += rest % n1 * s1, rest /= n1;
    offset += rest % n2 * s2, rest /= n2;
    offset += rest % n3 * s3, rest /= n3;
    out[row * width + x] = in[offset + rest * s4 + x * stride];
}

/* The same of eight dimensions; in most cases neighbours are one run, and there are fewer. */
kernel void copy_strided_8(const global uint *restrict in, global uint *restrict out, int width, int rows,
                           int stride, int n0, int n1, int n2, int n3, int n4, int n5, int s0, int s1, int s2,
                           int s3, int s4, int s5, int s6)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x >= width || row >= rows)
        return;
    int rest = row, offset = 0;
    offset += rest % n0 * s0, rest /= n0;
    offset += rest % n1 * s1, rest /= n1;
    offset += rest % n2 * s2, rest /= n2;
    offset += rest % n3 * s3, rest /= n3;
    offset += rest % n4 * s4, rest /= n4;
    offset += rest % n5 * s5, rest /= n5;
    out[row * width + x] = in[offset + rest * s6 + x * stride];
}

/* Slice: rows of `width` out of rows of `pitch`, from column `begin` on. */
kernel void copy_window(const global uint *restrict in, global uint *restrict out, int width, int rows, int pitch,
                        int begin)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x < width && row < rows)
        out[row * width + x] = in[row * pitch + begin + x];
}

/* Concat: up to sixteen parts, the rows of each from column `begin` of the result's on; of those that are not there
 * `begin` is a number that no column has. */
#define PARTS                                                                                                          \
    const global uint *a0, int begin0, const global uint *a1, int begin1,                                              \
    const global uint *a2, int begin2, const global uint *a3, int begin3,                                              \
    const global uint *a4, int begin4, const global uint *a5, int begin5,                                              \
    const global uint *a6, int begin6, const global uint *a7, int begin7,                                              \
    const global uint *a8, int begin8, const global uint *a9, int begin9,                                              \
    const global uint *a10, int begin10, const global uint *a11, int begin11,                                          \
    const global uint *a12, int begin12, const global uint *a13, int begin13,                                          \
    const global uint *a14, int begin14, const global uint *a15, int begin15
#define EACH_PART(x)                                                                                                   \
    x(0, begin1) x(1, begin2) x(2, begin3) x(3, begin4) x(4, begin5) x(5, begin6) x(6, begin7) x(7, begin8)            \
    x(8, begin9) x(9, begin10) x(10, begin11) x(11, begin12) x(12, begin13) x(13, begin14) x(14, begin15) x(15, width)

kernel void copy_parts(global uint *restrict out, int width, int rows, PARTS)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x >= width || row >= rows)
        return;
    const global uint *a = a0;
    int begin = 0, end = 0;
#define CHOOSE(n, next)                                                                                                \
    if (x >= begin##n) {                                                                                               \
        a = a##n;                                                                                                      \
        begin = begin##n;                                                                                              \
        end = min(next, width);                                                                                        \
    }
    EACH_PART(CHOOSE)
    out[row * width + x] = a[row * (end - begin) + x - begin];
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
