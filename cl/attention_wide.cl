/* Attention, its gradients in q, k and v, and its tangent on CPUs: a work-item a head of an item, or some of its queries.
 * Names and formulas: src/device/attention.h.
 *
 *      keys of a chunk            A work-item copies some queries, and the keys and values of a chunk, into private memory as
 *      +----+----+----+ WIDTH     panels of sixteen columns; of keys also turned ones. Scores are register tiles of ROWS
 *      |turned panels |           queries by sixteen keys; the rows of weights that follow, in private memory too, are then
 *   +--+----+----+----+           multiplied with panels of the values. Zeros stand for keys that are left out, and for what
 *   |q |   scores     | QUERIES   is beyond an edge. Over several chunks a row's sums are scaled to the largest score so far.
 *   +--+--------------+ */

#ifdef __AVX512F__
#define ATTENTION_ROWS 8 /* of a register tile, in vectors of sixteen */
#else
#define ATTENTION_ROWS 6 /* twice as many registers of eight numbers, of sixteen */
#endif
enum {
    ATTENTION_KEYS = 256,
    ATTENTION_QUERIES = 11 * ATTENTION_ROWS,
    ATTENTION_WIDTH = 128, /* most columns of a head, as src/op/attention.c knows */
    ATTENTION_PANELS = ATTENTION_WIDTH / 16,
    ATTENTION_PITCH = ATTENTION_KEYS + 16
};

typedef struct attention_sizes {
    int queries, keys, width, pitch, panels;
    float scale;
} attention_sizes;

#define ATTENTION_SIZES int batch, int heads, int queries, int keys, int width, int bias_size, float scale

/* The first `count` of sixteen numbers, zeros behind them. */
static inline float16 attention_load(const global float *x, int count)
{
    if (count >= 16)
        return LOAD16(x);
    float16 v = 0;
    for (int i = 0; i < count; i++)
        ((float *)&v)[i] = x[i];
    return v;
}

static inline void attention_store(global float *x, int count, float16 v)
{
    if (count >= 16) {
        STORE16(x, v);
        return;
    }
    for (int i = 0; i < count; i++)
        x[i] = ((const float *)&v)[i];
}

/* to[panel * height + row] of `rows` rows; zeros up to row `end`, and for rows whose mask is 0. */
static void attention_pack(float16 *to, int height, const global float *x, int rows, int end, const attention_sizes *s,
                           const global float *mask)
{
    for (int i = 0; i < end; i++) {
        const bool has = i < rows && (!mask || mask[i] != 0);
        for (int p = 0; p < s->panels; p++)
            to[p * height + i] = has ? attention_load(x + i * s->pitch + 16 * p, s->width - 16 * p) : 0;
    }
}

/* to[group * ATTENTION_WIDTH + column]: sixteen rows a group. */
static void attention_turn(float16 *to, const float16 *from, int groups, int panels)
{
    for (int g = 0; g < groups; g++)
        for (int p = 0; p < panels; p++) {
            float16 *square = to + g * ATTENTION_WIDTH + 16 * p;
            for (int i = 0; i < 16; i++)
                square[i] = from[p * ATTENTION_KEYS + 16 * g + i];
            gemm_transpose(square);
        }
}

/* 0 of keys that take part, -INFINITY of others and of those beyond. */
static void attention_leave_out(float *to, const global float *mask, int count, int end)
{
    for (int j = 0; j < end; j++)
        to[j] = j < count && (!mask || mask[j] != 0) ? 0 : -INFINITY;
}

/* sum[r] += a[r * row + i * step] * panel[i] */
static inline void attention_multiply(float16 *sum, const float *a, int row, int step, const float16 *panel, int depth)
{
    for (int i = 0; i < depth; i++) {
        UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
            sum[r] += a[r * row + i * step] * panel[i];
    }
}

/* ATTENTION_ROWS rows of panels, from number i on, by a group of turned ones. */
static inline void attention_products(float16 *sum, const float16 *x, int i, const float16 *turned, const attention_sizes *s)
{
    for (int p = 0; p < s->panels; p++)
        attention_multiply(sum, (const float *)(x + p * ATTENTION_QUERIES + i), 16, 1, turned + 16 * p, min(16, s->width - 16 * p));
}

/* Asks for row number i of `rows`, as the next work-item will read it: heads of a row stand side by side. */
static inline void attention_ask(const global float *x, int i, int rows, const attention_sizes *s)
{
    for (int c = 0; c < s->width && i < rows; c += 16)
        FETCH_FAR(x + i * s->pitch + c);
}

/* The bias of sixteen keys of query i, of which `count` exist. */
static inline float16 attention_bias(const global float *bias, int i, int j, int count, const attention_sizes *s)
{
    return bias ? attention_load(bias + min(i, s->queries - 1) * s->keys + j, count) : 0;
}

/* Scores become weights over their largest so far; what that makes of earlier sums is *shrink. Returns their sum. */
static inline float attention_soften(float *row, int end, float *most, float *shrink)
{
    float16 largest = -INFINITY, sum = 0;
    for (int j = 0; j < end; j += 16) {
        const float16 x = *(const float16 *)(row + j);
        largest = select(largest, x, x > largest);
    }
    const float next = larger(*most, largest_of_16(largest)), base = next == -INFINITY ? 0 : next;
    for (int j = 0; j < end; j += 16) {
        const float16 e = math_exp_float16(*(const float16 *)(row + j) - base);
        *(float16 *)(row + j) = e;
        sum += e;
    }
    *shrink = math_exp_float(*most - base);
    *most = next;
    return sum_of_16(sum);
}

kernel void attention_wide(const global float *restrict q, const global float *restrict k, const global float *restrict v,
                           const global float *mask, const global float *bias, global float *restrict o, global float *lse,
                           ATTENTION_SIZES, int blocks)
{
    const attention_sizes s = {queries, keys, width, heads * width, (width + 15) / 16, scale};
    const int block = get_global_id(0) % blocks, head = get_global_id(0) / blocks % heads;
    const int item = get_global_id(0) / blocks / heads, of_keys = item * keys * s.pitch + head * width;
    const int each = (queries + blocks - 1) / blocks, begin = block * each, end = min(begin + each, queries);
    float16 query[ATTENTION_PANELS * ATTENTION_QUERIES], key[ATTENTION_PANELS * ATTENTION_KEYS], value[ATTENTION_PANELS * ATTENTION_KEYS], turned[ATTENTION_KEYS / 16 * ATTENTION_WIDTH];
    float16 out[ATTENTION_PANELS * ATTENTION_QUERIES], sum[ATTENTION_ROWS];
    float weight[ATTENTION_QUERIES * ATTENTION_PITCH] __attribute__((aligned(64))), left[ATTENTION_KEYS] __attribute__((aligned(64)));
    float most[ATTENTION_QUERIES], all[ATTENTION_QUERIES], shrink[ATTENTION_QUERIES];
    q += item * queries * s.pitch + head * width;
    o += item * queries * s.pitch + head * width;
    if (bias)
        bias += item * bias_size + head * queries * keys;
    const bool more = block + 1 == blocks && head + 1 < heads;
    int asked = 0;
    for (int top = begin; top < end; top += ATTENTION_QUERIES) {
        const int rows = min(ATTENTION_QUERIES, end - top), tiled = (rows + ATTENTION_ROWS - 1) / ATTENTION_ROWS * ATTENTION_ROWS;
        attention_pack(query, ATTENTION_QUERIES, q + top * s.pitch, rows, tiled, &s, 0);
        for (int i = 0; i < tiled; i++) {
            most[i] = -INFINITY;
            all[i] = 0;
            for (int p = 0; p < s.panels; p++)
                out[p * ATTENTION_QUERIES + i] = 0;
        }
        for (int first = 0; first < keys; first += ATTENTION_KEYS) {
            const int count = min(ATTENTION_KEYS, keys - first), wide = (count + 15) / 16 * 16, pitch = wide + 16;
            if (top == begin || keys > ATTENTION_KEYS) {
                const global float *own = mask ? mask + item * keys + first : mask;
                attention_leave_out(left, own, count, wide);
                attention_pack(key, ATTENTION_KEYS, k + of_keys + first * s.pitch, count, wide, &s, own);
                attention_pack(value, ATTENTION_KEYS, v + of_keys + first * s.pitch, count, wide, &s, own);
                attention_turn(turned, key, wide / 16, s.panels);
            }
            for (int j = 0; j < wide; j += 16)
                for (int i = 0; i < tiled; i += ATTENTION_ROWS) {
                    for (int r = 0; r < 2 && more; r++, asked++) {
                        attention_ask(q + width, asked, queries, &s);
                        attention_ask(k + of_keys + width, asked, keys, &s);
                        attention_ask(v + of_keys + width, asked, keys, &s);
                    }
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                        sum[r] = 0;
                    attention_products(sum, query, i, turned + j / 16 * ATTENTION_WIDTH, &s);
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                        *(float16 *)(weight + (i + r) * pitch + j) =
                            sum[r] * scale + *(const float16 *)(left + j) +
                            attention_bias(bias, top + i + r, first + j, count - j, &s);
                }
            for (int i = 0; i < tiled; i++) {
                const float part = attention_soften(weight + i * pitch, wide, &most[i], &shrink[i]);
                all[i] = all[i] * shrink[i] + part;
            }
            for (int p = 0; p < s.panels; p++)
                for (int i = 0; i < tiled; i += ATTENTION_ROWS) {
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                        sum[r] = first ? out[p * ATTENTION_QUERIES + i + r] * shrink[i + r] : 0;
                    attention_multiply(sum, weight + i * pitch, pitch, 1, value + p * ATTENTION_KEYS, count);
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                        out[p * ATTENTION_QUERIES + i + r] = sum[r];
                }
        }
        for (int i = 0; i < rows; i++) {
            const float by = all[i] == 0 ? 0 : 1 / all[i];
            for (int p = 0; p < s.panels; p++)
                attention_store(o + (top + i) * s.pitch + 16 * p, width - 16 * p, out[p * ATTENTION_QUERIES + i] * by);
            if (lse)
                lse[(item * heads + head) * queries + top + i] = all[i] == 0 ? 0 : most[i] + math_log_float(all[i]);
        }
    }
}

/* Adds rows of a by those of panels: to[.. j ..] of `count` rows j, a has `depth` rows, `pitch` apart. */
static inline void attention_add(float16 *to, const float *a, int pitch, const float16 *x, int count, int depth, int panels)
{
    float16 sum[ATTENTION_ROWS];
    for (int p = 0; p < panels; p++)
        for (int j = 0; j < count; j += ATTENTION_ROWS) {
            float16 *at = to + p * (ATTENTION_KEYS + ATTENTION_ROWS) + j;
            UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                sum[r] = at[r];
            attention_multiply(sum, a + j, 1, pitch, x + p * ATTENTION_QUERIES, depth);
            UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                at[r] = sum[r];
        }
}

static void attention_write(global float *to, const float16 *from, int count, float scale, const attention_sizes *s)
{
    for (int j = 0; j < count; j++)
        for (int p = 0; p < s->panels; p++)
            attention_store(to + j * s->pitch + 16 * p, s->width - 16 * p, from[p * (ATTENTION_KEYS + ATTENTION_ROWS) + j] * scale);
}

kernel void attention_grad_wide(const global float *restrict q, const global float *restrict k, const global float *restrict v,
                                const global float *mask, const global float *bias, const global float *restrict o,
                                const global float *restrict lse, const global float *restrict u, global float *restrict dq,
                                global float *dk, global float *dv, ATTENTION_SIZES)
{
    const attention_sizes s = {queries, keys, width, heads * width, (width + 15) / 16, scale};
    const int head = get_global_id(0) % heads, n = get_global_id(0) / heads, item = n % batch;
    const int of_keys = item * keys * s.pitch + head * width, to_keys = n * keys * s.pitch + head * width;
    float16 query[ATTENTION_PANELS * ATTENTION_QUERIES], seed[ATTENTION_PANELS * ATTENTION_QUERIES], key[ATTENTION_PANELS * ATTENTION_KEYS], value[ATTENTION_PANELS * ATTENTION_KEYS];
    float16 turned[ATTENTION_KEYS / 16 * ATTENTION_WIDTH], turned_value[ATTENTION_KEYS / 16 * ATTENTION_WIDTH], sum[ATTENTION_ROWS], product[ATTENTION_ROWS];
    float16 in_key[ATTENTION_PANELS * (ATTENTION_KEYS + ATTENTION_ROWS)], in_value[ATTENTION_PANELS * (ATTENTION_KEYS + ATTENTION_ROWS)];
    float weight[ATTENTION_QUERIES * ATTENTION_PITCH] __attribute__((aligned(64))), slope[ATTENTION_QUERIES * ATTENTION_PITCH] __attribute__((aligned(64)));
    float left[ATTENTION_KEYS] __attribute__((aligned(64))), mean[ATTENTION_QUERIES], log_sum[ATTENTION_QUERIES];
    q += item * queries * s.pitch + head * width;
    o += item * queries * s.pitch + head * width;
    u += n * queries * s.pitch + head * width;
    dq += n * queries * s.pitch + head * width;
    lse += (item * heads + head) * queries;
    if (bias)
        bias += item * bias_size + head * queries * keys;
    const bool more = head + 1 < heads;
    int asked = 0;
    for (int first = 0; first < keys; first += ATTENTION_KEYS) {
        const int count = min(ATTENTION_KEYS, keys - first), wide = (count + 15) / 16 * 16, pitch = wide + 16;
        const global float *own = mask ? mask + item * keys + first : mask;
        attention_leave_out(left, own, count, wide);
        attention_pack(key, ATTENTION_KEYS, k + of_keys + first * s.pitch, count, wide, &s, own);
        attention_pack(value, ATTENTION_KEYS, v + of_keys + first * s.pitch, count, wide, &s, own);
        attention_turn(turned, key, wide / 16, s.panels);
        attention_turn(turned_value, value, wide / 16, s.panels);
        for (int p = 0; p < s.panels; p++)
            for (int j = 0; j < count + ATTENTION_ROWS; j++)
                in_key[p * (ATTENTION_KEYS + ATTENTION_ROWS) + j] = in_value[p * (ATTENTION_KEYS + ATTENTION_ROWS) + j] = 0;
        for (int top = 0; top < queries; top += ATTENTION_QUERIES) {
            const int rows = min(ATTENTION_QUERIES, queries - top), tiled = (rows + ATTENTION_ROWS - 1) / ATTENTION_ROWS * ATTENTION_ROWS;
            attention_pack(query, ATTENTION_QUERIES, q + top * s.pitch, rows, tiled, &s, 0);
            attention_pack(seed, ATTENTION_QUERIES, u + top * s.pitch, rows, tiled, &s, 0);
            for (int i = 0; i < tiled; i++) {
                const int row = min(top + i, queries - 1);
                float16 all = 0;
                for (int p = 0; p < s.panels; p++)
                    all += seed[p * ATTENTION_QUERIES + i] * attention_load(o + row * s.pitch + 16 * p, width - 16 * p);
                mean[i] = sum_of_16(all);
                log_sum[i] = lse[row];
            }
            for (int j = 0; j < wide; j += 16)
                for (int i = 0; i < tiled; i += ATTENTION_ROWS) {
                    for (int r = 0; r < 2 && more; r++, asked++) {
                        attention_ask(q + width, asked, queries, &s);
                        attention_ask(o + width, asked, queries, &s);
                        attention_ask(u + width, asked, queries, &s);
                        attention_ask(k + of_keys + width, asked, keys, &s);
                        attention_ask(v + of_keys + width, asked, keys, &s);
                    }
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                        sum[r] = product[r] = 0;
                    attention_products(sum, query, i, turned + j / 16 * ATTENTION_WIDTH, &s);
                    attention_products(product, seed, i, turned_value + j / 16 * ATTENTION_WIDTH, &s);
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++) {
                        const float16 x = sum[r] * scale + *(const float16 *)(left + j) +
                                          attention_bias(bias, top + i + r, first + j, count - j, &s);
                        const float16 e = math_exp_float16(x - log_sum[i + r]);
                        *(float16 *)(weight + (i + r) * pitch + j) = e;
                        *(float16 *)(slope + (i + r) * pitch + j) = e * (product[r] - mean[i + r]);
                    }
                }
            for (int p = 0; p < s.panels; p++)
                for (int i = 0; i < tiled; i += ATTENTION_ROWS) {
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                        sum[r] = 0;
                    attention_multiply(sum, slope + i * pitch, pitch, 1, key + p * ATTENTION_KEYS, count);
                    for (int r = 0; r < min(ATTENTION_ROWS, rows - i); r++) {
                        global float *to = dq + (top + i + r) * s.pitch + 16 * p;
                        const float16 before = first ? attention_load(to, width - 16 * p) : 0;
                        attention_store(to, width - 16 * p, before + ((const float16 *)sum)[r] * scale);
                    }
                }
            if (dk)
                attention_add(in_key, slope, pitch, query, count, rows, s.panels);
            if (dv)
                attention_add(in_value, weight, pitch, seed, count, rows, s.panels);
        }
        if (dk)
            attention_write(dk + to_keys + first * s.pitch, in_key, count, scale, &s);
        if (dv)
            attention_write(dv + to_keys + first * s.pitch, in_value, count, 1, &s);
    }
}

kernel void attention_tangent_wide(const global float *restrict q, const global float *restrict k,
                                   const global float *restrict v, const global float *mask, const global float *bias,
                                   const global float *restrict o, const global float *restrict lse, const global float *dq,
                                   const global float *dk, const global float *dv, const global float *dbias,
                                   global float *restrict out, ATTENTION_SIZES)
{
    const attention_sizes s = {queries, keys, width, heads * width, (width + 15) / 16, scale};
    const int head = get_global_id(0) % heads, n = get_global_id(0) / heads, item = n % batch;
    const int of_keys = item * keys * s.pitch + head * width, by_keys = n * keys * s.pitch + head * width;
    const int of_queries = item * queries * s.pitch + head * width, by_queries = n * queries * s.pitch + head * width;
    float16 query[ATTENTION_PANELS * ATTENTION_QUERIES], moved_query[ATTENTION_PANELS * ATTENTION_QUERIES], key[ATTENTION_PANELS * ATTENTION_KEYS], value[ATTENTION_PANELS * ATTENTION_KEYS];
    float16 turned[ATTENTION_KEYS / 16 * ATTENTION_WIDTH], turned_move[ATTENTION_KEYS / 16 * ATTENTION_WIDTH], moved_value[ATTENTION_PANELS * ATTENTION_KEYS], to[ATTENTION_PANELS * ATTENTION_QUERIES];
    float16 sum[ATTENTION_ROWS], move[ATTENTION_ROWS];
    float weight[ATTENTION_QUERIES * ATTENTION_PITCH] __attribute__((aligned(64))), slope[ATTENTION_QUERIES * ATTENTION_PITCH] __attribute__((aligned(64)));
    float left[ATTENTION_KEYS] __attribute__((aligned(64))), mean[ATTENTION_QUERIES];
    lse += (item * heads + head) * queries;
    if (bias)
        bias += item * bias_size + head * queries * keys;
    if (dbias)
        dbias += (bias_size ? n : n / batch) * heads * queries * keys + head * queries * keys;
    for (int top = 0; top < queries; top += ATTENTION_QUERIES) {
        const int rows = min(ATTENTION_QUERIES, queries - top), tiled = (rows + ATTENTION_ROWS - 1) / ATTENTION_ROWS * ATTENTION_ROWS;
        attention_pack(query, ATTENTION_QUERIES, q + of_queries + top * s.pitch, rows, tiled, &s, 0);
        if (dq)
            attention_pack(moved_query, ATTENTION_QUERIES, dq + by_queries + top * s.pitch, rows, tiled, &s, 0);
        for (int i = 0; i < tiled; i++) {
            mean[i] = 0;
            for (int p = 0; p < s.panels; p++)
                to[p * ATTENTION_QUERIES + i] = 0;
        }
        for (int first = 0; first < keys; first += ATTENTION_KEYS) {
            const int count = min(ATTENTION_KEYS, keys - first), wide = (count + 15) / 16 * 16, pitch = wide + 16;
            if (top == 0 || keys > ATTENTION_KEYS) {
                const global float *own = mask ? mask + item * keys + first : mask;
                attention_leave_out(left, own, count, wide);
                if (dk) {
                    attention_pack(key, ATTENTION_KEYS, dk + by_keys + first * s.pitch, count, wide, &s, own);
                    attention_turn(turned_move, key, wide / 16, s.panels);
                }
                attention_pack(key, ATTENTION_KEYS, k + of_keys + first * s.pitch, count, wide, &s, own);
                attention_turn(turned, key, wide / 16, s.panels);
                attention_pack(value, ATTENTION_KEYS, v + of_keys + first * s.pitch, count, wide, &s, own);
                if (dv)
                    attention_pack(moved_value, ATTENTION_KEYS, dv + by_keys + first * s.pitch, count, wide, &s, own);
            }
            for (int j = 0; j < wide; j += 16)
                for (int i = 0; i < tiled; i += ATTENTION_ROWS) {
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                        sum[r] = move[r] = 0;
                    attention_products(sum, query, i, turned + j / 16 * ATTENTION_WIDTH, &s);
                    if (dq)
                        attention_products(move, moved_query, i, turned + j / 16 * ATTENTION_WIDTH, &s);
                    if (dk)
                        attention_products(move, query, i, turned_move + j / 16 * ATTENTION_WIDTH, &s);
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++) {
                        const int row = top + i + r;
                        const float16 x = sum[r] * scale + *(const float16 *)(left + j) +
                                          attention_bias(bias, row, first + j, count - j, &s);
                        const float16 e = math_exp_float16(x - lse[min(row, queries - 1)]);
                        const float16 t = move[r] * scale + attention_bias(dbias, row, first + j, count - j, &s);
                        *(float16 *)(weight + (i + r) * pitch + j) = e;
                        *(float16 *)(slope + (i + r) * pitch + j) = e * t;
                    }
                }
            for (int i = 0; i < tiled; i++) {
                float16 all = 0;
                for (int j = 0; j < wide; j += 16)
                    all += *(const float16 *)(slope + i * pitch + j);
                mean[i] += sum_of_16(all);
            }
            for (int p = 0; p < s.panels; p++)
                for (int i = 0; i < tiled; i += ATTENTION_ROWS) {
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                        sum[r] = to[p * ATTENTION_QUERIES + i + r];
                    attention_multiply(sum, slope + i * pitch, pitch, 1, value + p * ATTENTION_KEYS, count);
                    if (dv)
                        attention_multiply(sum, weight + i * pitch, pitch, 1, moved_value + p * ATTENTION_KEYS, count);
                    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
                        to[p * ATTENTION_QUERIES + i + r] = sum[r];
                }
        }
        for (int i = 0; i < rows; i++)
            for (int p = 0; p < s.panels; p++) {
                const int at = (top + i) * s.pitch + 16 * p;
                const float16 x = attention_load(o + of_queries + at, width - 16 * p);
                attention_store(out + by_queries + at, width - 16 * p, to[p * ATTENTION_QUERIES + i] - mean[i] * x);
            }
    }
}
#undef ATTENTION_ROWS
#undef ATTENTION_SIZES
