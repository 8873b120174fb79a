/* Slice and concat for CPUs (shape.cl). Results too large for the caches to keep (`past`) are written past them. */

static inline void copy_part(global uint *restrict out, const global uint *restrict a, int width, int begin, int end,
                             int first, int last, int row, int end_row, int past)
{
    const int own = end - begin, from = max(first, begin), count = min(last, end) - from;
    const int ahead = 1024 / own * own; /* rows that are short are far from each other: no hardware foresees them */
    for (; row < end_row; row++) {
        const global uint *in_row = a + row * own + from - begin;
        global uint *out_row = out + row * width + from;
        int i = 0;
        for (; past && i + 16 <= count; i += 16) {
            FETCH(in_row + i + ahead);
            store16_past((global float *)out_row + i, LOAD16((const global float *)in_row + i));
        }
        for (; i < count; i++)
            out_row[i] = in_row[i];
    }
}

/* A work-item takes `columns` of some rows: of a part that begins before them, and ends behind. */
kernel void copy_window_wide(const global uint *restrict in, global uint *restrict out, int width, int rows, int pitch,
                             int begin, int columns, int some, int past)
{
    const int first = get_global_id(0) * columns, last = min(first + columns, width);
    const int row = get_global_id(1) * some, end_row = min(row + some, rows);
    copy_part(out, in, width, -begin, pitch - begin, first, last, row, end_row, past);
}

/* Part after part. */
kernel void copy_parts_wide(global uint *restrict out, int width, int rows, PARTS, int columns, int some, int past)
{
    const int first = get_global_id(0) * columns, last = min(first + columns, width);
    const int row = get_global_id(1) * some, end_row = min(row + some, rows);
#define COPY(n, next)                                                                                                  \
    if (begin##n < last)                                                                                               \
        copy_part(out, a##n, width, begin##n, min(next, width), first, last, row, end_row, past);
    EACH_PART(COPY)
}
