/* Slice and concat for CPUs (shape.cl). */

static inline void copy_part(global uint *restrict out, const global uint *restrict a, int width, int begin, int end,
                             int first, int last, int row, int end_row)
{
    const int own = end - begin, from = max(first, begin), count = min(last, end) - from;
    for (; row < end_row; row++)
        for (int i = 0; i < count; i++)
            out[row * width + from + i] = a[row * own + from - begin + i];
}

/* A work-item takes `columns` of some rows: of a part that begins before them, and ends behind. */
kernel void copy_window_wide(const global uint *restrict in, global uint *restrict out, int width, int rows, int pitch, int begin,
                             int columns, int some)
{
    const int first = get_global_id(0) * columns, last = min(first + columns, width);
    const int row = get_global_id(1) * some, end_row = min(row + some, rows);
    copy_part(out, in, width, -begin, pitch - begin, first, last, row, end_row);
}

/* Part after part. */
kernel void copy_parts_wide(global uint *restrict out, int width, int rows, PARTS, int columns, int some)
{
    const int first = get_global_id(0) * columns, last = min(first + columns, width);
    const int row = get_global_id(1) * some, end_row = min(row + some, rows);
#define COPY(n, next)                                                                                                  \
    if (begin##n < last)                                                                                               \
        copy_part(out, a##n, width, begin##n, min(next, width), first, last, row, end_row);
    EACH_PART(COPY)
}
