/* Attention, its gradients in q, k and v, and its tangent on CPUs: a work-item a head of an item, or some of its queries.
 * Names and formulas: src/device/attention.h.
 *
 *      keys of a chunk            A work-item copies some queries into rows of private memory. What queries multiply stands
 *      +----+----+----+ WIDTH     there turned, in groups of sixteen keys; what weights multiply in panels of sixteen columns.
 *      |turned groups |           Scores are register tiles of ROWS queries by sixteen keys, for all keys of the chunk; the
 *   +--+----+----+----+           weights of these rows follow while they are in the nearest cache. Zeros stand for keys that
 *   |q |   scores     | QUERIES   are left out, and for what is beyond an edge. Over several chunks a row's sums are scaled to
 *   +--+--------------+           the largest score so far. */

kernel void attention_wide(const global float *restrict q, const global float *restrict k, const global float *restrict v,
                           const global float *mask, const global float *bias, global float *restrict o, global float *lse,
                           ATTENTION_WIDE_SIZES, int blocks)
{
    const attention_sizes s = ATTENTION_WIDE_GIVEN;
    const int number = get_global_id(0) / blocks, block = get_global_id(0) % blocks;
    const int begin = attention_part(queries, blocks, block), end = attention_part(queries, blocks, block + 1);
    const attention_head h = attention_find(number, &s), next = attention_find(number + 1, &s);
    float16 query[ATTENTION_LINE * ATTENTION_QUERIES], out[ATTENTION_LINE * ATTENTION_QUERIES], sum[ATTENTION_ROWS];
    float16 turned[ATTENTION_KEYS / 16 * ATTENTION_WIDTH], value[ATTENTION_PANELS * ATTENTION_KEYS];
    float16 most[ATTENTION_QUERIES / ATTENTION_ROWS], all[ATTENTION_QUERIES / ATTENTION_ROWS];
    float weight[ATTENTION_ROWS * ATTENTION_PITCH] ATTENTION_ALIGNED, left[ATTENTION_KEYS] ATTENTION_ALIGNED;
    for (int top = begin; top < end; top += ATTENTION_QUERIES) {
        const int rows = min(ATTENTION_QUERIES, end - top);
        attention_rows(query, q + h.queries + top * s.pitch, rows, scale, &s);
        for (int i = 0; i < ATTENTION_QUERIES / ATTENTION_ROWS; i++) {
            most[i] = -INFINITY;
            all[i] = 0;
        }
        for (int first = 0; first < keys; first += ATTENTION_KEYS) {
            const int count = min(ATTENTION_KEYS, keys - first);
            const bool last = first + count == keys;
            if (top == begin || keys > ATTENTION_KEYS) {
                const global float *own = mask ? mask + h.item * keys + first : mask;
                attention_leave_out(left, count, own);
                attention_turn(turned, k + h.keys + first * s.pitch, count, own, &s);
                attention_panels(value, v + h.keys + first * s.pitch, count, own, &s);
            }
            for (int i = 0; i < rows; i += ATTENTION_ROWS) {
                const int tile = i / ATTENTION_ROWS;
                global float *to = o + h.queries + (top + i) * s.pitch;
                attention_scores(weight, left, 0, query + i * ATTENTION_LINE, turned, count, width);
                if (bias)
                    attention_add_bias(weight, bias + h.bias + (top + i) * keys + first, rows - i, count, &s);
                const float16 shrink = attention_soften(weight, count, &most[tile], &all[tile]);
                const float16 by = select(1.0f / all[tile], (float16)(0.0f), all[tile] == 0.0f);
                for (int p = 0; p < s.panels; p++) {
                    float16 *before = out + i * ATTENTION_LINE + p;
                    attention_begin(sum, to + 16 * p, rows - i, &s);
                    if (top + rows == end) {
                        attention_ask(q + next.queries, i, p, &s);
                        attention_ask(k + next.keys, i, p, &s);
                        attention_ask(v + next.keys, i, p, &s);
                    }
                    UNROLL for (int r = 0; r < ATTENTION_ROWS && first; r++)
                        sum[r] = before[r * ATTENTION_LINE] * ATTENTION_LANE(shrink, r);
                    attention_multiply(sum, weight, ATTENTION_PITCH, 1, value + p * ATTENTION_KEYS, 1, count);
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++) {
                        if (last)
                            sum[r] *= ATTENTION_LANE(by, r);
                        else
                            before[r * ATTENTION_LINE] = sum[r];
                    }
                    if (last)
                        attention_end(to + 16 * p, sum, rows - i, width - 16 * p, false, &s);
                }
                if (last && lse)
                    attention_store(lse + h.rows + top + i, min(ATTENTION_ROWS, rows - i),
                                    select(most[tile] + math_log_float16(all[tile]), (float16)(0.0f), all[tile] == 0.0f));
            }
        }
    }
}

/* Rows of `to`, as many as keys: a' x, of `depth` rows a of scores and x of queries. `next` will be read. */
static void attention_add(global float *to, const float *a, const float16 *x, int count, int depth, bool add,
                          const global float *next, const attention_sizes *s)
{
    float16 sum[ATTENTION_ROWS];
    for (int p = 0; p < s->panels; p++)
        for (int j = 0; j < count; j += ATTENTION_ROWS) {
            global float *at = to + j * s->pitch + 16 * p;
            attention_begin(sum, at, count - j, s);
            if (next)
                attention_ask(next, j, p, s);
            attention_multiply(sum, a + j, 1, ATTENTION_PITCH, x + p, ATTENTION_LINE, depth);
            attention_end(at, sum, count - j, s->width - 16 * p, add, s);
        }
}

kernel void attention_grad_wide(const global float *restrict q, const global float *restrict k, const global float *restrict v,
                                const global float *mask, const global float *bias, const global float *restrict o,
                                const global float *restrict lse, const global float *restrict u, global float *dq,
                                global float *dk, global float *dv, ATTENTION_WIDE_SIZES, int query_blocks, int key_blocks)
{
    const attention_sizes s = ATTENTION_WIDE_GIVEN;
    const int blocks = query_blocks * key_blocks, number = get_global_id(0) / blocks;
    const int block = get_global_id(0) % blocks % query_blocks, key_block = get_global_id(0) % blocks / query_blocks;
    const int begin = attention_part(queries, query_blocks, block), end = attention_part(queries, query_blocks, block + 1);
    const int begin_key = attention_part(keys, key_blocks, key_block), end_key = attention_part(keys, key_blocks, key_block + 1);
    const attention_head h = attention_find(number, &s), next = attention_find(number + 1, &s);
    float16 query[ATTENTION_LINE * ATTENTION_QUERIES], seed[ATTENTION_LINE * ATTENTION_QUERIES], sum[ATTENTION_ROWS];
    float16 turned[ATTENTION_KEYS / 16 * ATTENTION_WIDTH], turned_value[ATTENTION_KEYS / 16 * ATTENTION_WIDTH];
    float16 key[ATTENTION_PANELS * ATTENTION_KEYS];
    float weight[ATTENTION_QUERIES * ATTENTION_PITCH] ATTENTION_ALIGNED, slope[ATTENTION_QUERIES * ATTENTION_PITCH] ATTENTION_ALIGNED;
    float left[ATTENTION_KEYS] ATTENTION_ALIGNED, zeros[ATTENTION_KEYS] ATTENTION_ALIGNED, mean[ATTENTION_QUERIES], log_sum[ATTENTION_QUERIES];
    for (int j = 0; j < ATTENTION_KEYS; j++)
        zeros[j] = 0;
    for (int first = begin_key; first < end_key; first += ATTENTION_KEYS) {
        const int count = min(ATTENTION_KEYS, end_key - first), of_keys = h.keys + first * s.pitch, to_keys = h.to_keys + first * s.pitch;
        const global float *own = mask ? mask + h.item * keys + first : mask;
        attention_leave_out(left, count, own);
        attention_turn(turned, k + of_keys, count, own, &s);
        attention_turn(turned_value, v + of_keys, count, own, &s);
        attention_panels(key, k + of_keys, count, own, &s);
        for (int top = begin; top < end; top += ATTENTION_QUERIES) {
            const int rows = min(ATTENTION_QUERIES, end - top), above = top * s.pitch;
            const bool leaving = top + rows == end;
            attention_rows(query, q + h.queries + above, rows, scale, &s);
            attention_rows(seed, u + h.to_queries + above, rows, 1, &s);
            for (int i = 0; i < rows || i % ATTENTION_ROWS; i++) {
                float16 all = 0;
                for (int p = 0; p < s.panels && i < rows; p++)
                    all += seed[i * ATTENTION_LINE + p] * attention_read(o + h.queries + above, i, p, &s);
                mean[i] = sum_of_16(all);
                log_sum[i] = i < rows ? lse[h.rows + top + i] : 0;
            }
            for (int i = 0; i < rows; i += ATTENTION_ROWS) {
                float *w = weight + i * ATTENTION_PITCH, *t = slope + i * ATTENTION_PITCH;
                attention_scores(w, left, 0, query + i * ATTENTION_LINE, turned, count, width);
                if (bias)
                    attention_add_bias(w, bias + h.bias + (top + i) * keys + first, rows - i, count, &s);
                attention_scores(t, zeros, 0, seed + i * ATTENTION_LINE, turned_value, count, width);
                attention_slopes(w, t, count, log_sum + i, mean + i);
                for (int p = 0; p < s.panels && dq; p++) {
                    global float *to = dq + h.to_queries + above + i * s.pitch + 16 * p;
                    attention_begin(sum, to, rows - i, &s);
                    if (leaving) {
                        attention_ask(q + next.queries, i, p, &s);
                        attention_ask(o + next.queries, i, p, &s);
                        attention_ask(u + next.to_queries, i, p, &s);
                    }
                    attention_multiply(sum, t, ATTENTION_PITCH, 1, key + p * ATTENTION_KEYS, 1, count);
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                        sum[r] *= scale;
                    attention_end(to, sum, rows - i, width - 16 * p, first > begin_key, &s);
                }
            }
            if (dk)
                attention_add(dk + to_keys, slope, query, count, rows, top > begin, leaving ? k + next.keys : 0, &s);
            if (dv)
                attention_add(dv + to_keys, weight, seed, count, rows, top > begin, leaving ? v + next.keys : 0, &s);
        }
    }
}

kernel void attention_tangent_wide(const global float *restrict q, const global float *restrict k,
                                   const global float *restrict v, const global float *mask, const global float *bias,
                                   const global float *restrict o, const global float *restrict lse, const global float *dq,
                                   const global float *dk, const global float *dv, const global float *dbias,
                                   global float *restrict out, ATTENTION_WIDE_SIZES)
{
    const attention_sizes s = ATTENTION_WIDE_GIVEN;
    const attention_head h = attention_find(get_global_id(0), &s);
    float16 query[ATTENTION_LINE * ATTENTION_QUERIES], moved_query[ATTENTION_LINE * ATTENTION_QUERIES], to[ATTENTION_LINE * ATTENTION_QUERIES];
    float16 turned[ATTENTION_KEYS / 16 * ATTENTION_WIDTH], turned_move[ATTENTION_KEYS / 16 * ATTENTION_WIDTH], sum[ATTENTION_ROWS];
    float16 value[ATTENTION_PANELS * ATTENTION_KEYS], moved_value[ATTENTION_PANELS * ATTENTION_KEYS];
    float weight[ATTENTION_ROWS * ATTENTION_PITCH] ATTENTION_ALIGNED, slope[ATTENTION_ROWS * ATTENTION_PITCH] ATTENTION_ALIGNED;
    float left[ATTENTION_KEYS] ATTENTION_ALIGNED, zeros[ATTENTION_KEYS] ATTENTION_ALIGNED, mean[ATTENTION_QUERIES], log_sum[ATTENTION_QUERIES];
    /* of a bias that the batch shares, a tangent is an item's of `lead` */
    const int moved_bias = bias_size ? (int)get_global_id(0) : (int)get_global_id(0) / heads / batch * heads + (int)get_global_id(0) % heads;
    for (int j = 0; j < ATTENTION_KEYS; j++)
        zeros[j] = 0;
    for (int top = 0; top < queries; top += ATTENTION_QUERIES) {
        const int rows = min(ATTENTION_QUERIES, queries - top), above = top * s.pitch;
        attention_rows(query, q + h.queries + above, rows, scale, &s);
        attention_rows(moved_query, dq ? dq + h.to_queries + above : dq, rows, scale, &s);
        for (int i = 0; i < rows || i % ATTENTION_ROWS; i++) {
            mean[i] = 0;
            log_sum[i] = i < rows ? lse[h.rows + top + i] : 0;
            for (int p = 0; p < s.panels; p++)
                to[i * ATTENTION_LINE + p] = 0;
        }
        for (int first = 0; first < keys; first += ATTENTION_KEYS) {
            const int count = min(ATTENTION_KEYS, keys - first), of_keys = h.keys + first * s.pitch, by_keys = h.to_keys + first * s.pitch;
            if (top == 0 || keys > ATTENTION_KEYS) {
                const global float *own = mask ? mask + h.item * keys + first : mask;
                attention_leave_out(left, count, own);
                attention_turn(turned, k + of_keys, count, own, &s);
                attention_panels(value, v + of_keys, count, own, &s);
                if (dk)
                    attention_turn(turned_move, dk + by_keys, count, own, &s);
                if (dv)
                    attention_panels(moved_value, dv + by_keys, count, own, &s);
            }
            for (int i = 0; i < rows; i += ATTENTION_ROWS) {
                const int at = (top + i) * keys + first;
                attention_scores(weight, left, 0, query + i * ATTENTION_LINE, turned, count, width);
                attention_scores(slope, zeros, 0, moved_query + i * ATTENTION_LINE, turned, count, width);
                if (dk)
                    attention_scores(slope, slope, ATTENTION_PITCH, query + i * ATTENTION_LINE, turned_move, count, width);
                if (bias)
                    attention_add_bias(weight, bias + h.bias + at, rows - i, count, &s);
                if (dbias)
                    attention_add_bias(slope, dbias + moved_bias * queries * keys + at, rows - i, count, &s);
                attention_slopes(weight, slope, count, log_sum + i, zeros);
                for (int r = 0; r < ATTENTION_ROWS; r++) {
                    float16 all = 0;
                    for (int j = 0; j < count; j += 16)
                        all += *(const float16 *)(slope + r * ATTENTION_PITCH + j);
                    mean[i + r] += sum_of_16(all);
                }
                for (int p = 0; p < s.panels; p++) {
                    float16 *before = to + i * ATTENTION_LINE + p;
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                        sum[r] = before[r * ATTENTION_LINE];
                    attention_multiply(sum, slope, ATTENTION_PITCH, 1, value + p * ATTENTION_KEYS, 1, count);
                    if (dv)
                        attention_multiply(sum, weight, ATTENTION_PITCH, 1, moved_value + p * ATTENTION_KEYS, 1, count);
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                        before[r * ATTENTION_LINE] = sum[r];
                }
            }
        }
        for (int i = 0; i < rows; i++)
            for (int p = 0; p < s.panels; p++)
                attention_store(out + h.to_queries + above + i * s.pitch + 16 * p, width - 16 * p,
                                to[i * ATTENTION_LINE + p] - mean[i] * attention_read(o + h.queries + above, i, p, &s));
    }
}
