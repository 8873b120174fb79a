/* What attention's kernels for CPUs have in common: copies of queries and keys, register tiles of scores, weights. How these
 * are used: attention_wide.cl. */
#ifndef ATTENTION_WIDE_H
#define ATTENTION_WIDE_H

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
    ATTENTION_LINE = ATTENTION_PANELS + 1, /* vectors from row to row: odd, so that rows share no sets of a cache */
    ATTENTION_PITCH = ATTENTION_KEYS + 16, /* numbers from row to row of scores, likewise */
    ATTENTION_AHEAD = 16                   /* rows, asked for before they are copied */
};
#define ATTENTION_ALIGNED __attribute__((aligned(64)))
#define ATTENTION_LANE(v, r) (((const float *)&(v))[r])

typedef struct attention_sizes {
    int batch, heads, queries, keys, width, bias;
    float scale;
    int pitch, panels;
} attention_sizes;

#define ATTENTION_WIDE_SIZES int batch, int heads, int queries, int keys, int width, int bias_size, float scale
#define ATTENTION_WIDE_GIVEN {batch, heads, queries, keys, width, bias_size, scale, heads * width, (width + 15) / 16}

/* Where a head begins: in what has queries or keys as rows, of its item and of its number of `lead` times as many. */
typedef struct attention_head {
    int item, queries, keys, to_queries, to_keys, rows, bias;
} attention_head;

static inline attention_head attention_find(int number, const attention_sizes *s)
{
    const int head = number % s->heads, n = number / s->heads, item = n % s->batch;
    const int of_queries = s->queries * s->pitch, of_keys = s->keys * s->pitch, column = head * s->width;
    return (attention_head){item, item * of_queries + column, item * of_keys + column, n * of_queries + column,
                            n * of_keys + column, (item * s->heads + head) * s->queries,
                            item * s->bias + head * s->queries * s->keys};
}

/* Where part number i of `blocks` of `count` rows begins. */
static inline int attention_part(int count, int blocks, int i)
{
    return min((count + blocks - 1) / blocks * i, count);
}

/* --- copies --- */

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
        x[i] = ATTENTION_LANE(v, i);
}

/* Panel p of row i, while a row that follows is on its way. */
static inline float16 attention_read(const global float *x, int i, int p, const attention_sizes *s)
{
    FETCH(x + (i + ATTENTION_AHEAD) * s->pitch + 16 * p);
    return attention_load(x + i * s->pitch + 16 * p, s->width - 16 * p);
}

/* to[row * ATTENTION_LINE + panel], scaled; zeros up to a whole tile's rows, and where there is no x. */
static void attention_rows(float16 *to, const global float *x, int rows, float scale, const attention_sizes *s)
{
    for (int i = 0; i < rows || i % ATTENTION_ROWS; i++)
        for (int p = 0; p < s->panels; p++)
            to[i * ATTENTION_LINE + p] = x && i < rows ? attention_read(x, i, p, s) * scale : 0;
}

static inline bool attention_has(const global float *mask, int j)
{
    return !mask || mask[j] != 0;
}

/* to[panel * ATTENTION_KEYS + key]; zeros for keys whose mask is 0. */
static void attention_panels(float16 *to, const global float *x, int count, const global float *mask, const attention_sizes *s)
{
    for (int j = 0; j < count; j++)
        for (int p = 0; p < s->panels; p++)
            to[p * ATTENTION_KEYS + j] = attention_has(mask, j) ? attention_read(x, j, p, s) : 0;
}

/* to[group * ATTENTION_WIDTH + column]: sixteen keys a group; zeros for those beyond `count`, too. */
static void attention_turn(float16 *to, const global float *x, int count, const global float *mask, const attention_sizes *s)
{
    float16 square[16];
    for (int g = 0; g < count; g += 16, to += ATTENTION_WIDTH)
        for (int p = 0; p < s->panels; p++) {
            for (int i = 0; i < 16; i++)
                square[i] = g + i < count && attention_has(mask, g + i) ? attention_read(x, g + i, p, s) : 0;
            gemm_transpose(to + 16 * p, 1, square);
        }
}

/* 0 of keys that take part, -INFINITY of others and of those beyond. */
static void attention_leave_out(float *to, int count, const global float *mask)
{
    for (int j = 0; j < count || j % 16; j++)
        to[j] = j < count && attention_has(mask, j) ? 0 : -INFINITY;
}

/* Asks for panel p of the rows of a tile from number i on, as the next work-item will read it. */
static inline void attention_ask(const global float *x, int i, int p, const attention_sizes *s)
{
    for (int r = 0; r < ATTENTION_ROWS; r++)
        FETCH_FAR(x + (i + r) * s->pitch + 16 * p);
}

/* --- register tiles --- */

/* sum[r] += a[r * row + i * step] * panel[i * stride] */
static inline void attention_multiply(float16 *sum, const float *a, int row, int step, const float16 *panel, int stride, int depth)
{
    for (int i = 0; i < depth; i++) {
        UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
            sum[r] += a[r * row + i * step] * panel[i * stride];
    }
}

/* A tile of zeros, whose sums will be stored: its lines are asked for. */
static inline void attention_begin(float16 *sum, global float *to, int rows, const attention_sizes *s)
{
#ifdef FETCH_TO_WRITE
    for (int r = 0; r < min(rows, ATTENTION_ROWS); r++)
        FETCH_TO_WRITE(to + r * s->pitch);
#endif
    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
        sum[r] = 0;
}

/* Stores the first `rows` rows and `columns` columns of a tile, or adds them to what is there. Inline, so that the sums stay
 * in registers. */
static inline __attribute__((always_inline)) void attention_end(global float *to, const float16 *sum, int rows, int columns,
                                                                bool add, const attention_sizes *s)
{
    if (rows >= ATTENTION_ROWS && columns >= 16) {
        UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
            STORE16(to + r * s->pitch, add ? LOAD16(to + r * s->pitch) + sum[r] : sum[r]);
        return;
    }
    for (int r = 0; r < min(rows, ATTENTION_ROWS); r++) {
        const float16 before = add ? attention_load(to + r * s->pitch, columns) : 0;
        attention_store(to + r * s->pitch, columns, before + sum[r]);
    }
}

/* to[r * ATTENTION_PITCH + j] = start[r * step + j] + row r of x by key j of a turned chunk */
static void attention_scores(float *to, const float *start, int step, const float16 *x, const float16 *turned, int count, int width)
{
    float16 sum[ATTENTION_ROWS];
    for (int j = 0; j < count; j += 16, turned += ATTENTION_WIDTH) {
        UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
            sum[r] = *(const float16 *)(start + r * step + j);
        attention_multiply(sum, (const float *)x, 16 * ATTENTION_LINE, 1, turned, 1, width);
        UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
            *(float16 *)(to + r * ATTENTION_PITCH + j) = sum[r];
    }
}

static void attention_add_bias(float *to, const global float *bias, int rows, int count, const attention_sizes *s)
{
    for (int r = 0; r < min(rows, ATTENTION_ROWS); r++)
        for (int j = 0; j < count; j += 16)
            *(float16 *)(to + r * ATTENTION_PITCH + j) += attention_load(bias + r * s->keys + j, count - j);
}

/* --- weights --- */

/* A tile's scores become weights over the largest so far of each row, in the lanes of *most; *all are the sums. Returns what
 * this makes of earlier ones. */
static inline float16 attention_soften(float *tile, int count, float16 *most, float16 *all)
{
    float16 row[ATTENTION_ROWS], next = *most, part = 0;
    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
        row[r] = -INFINITY;
    for (int j = 0; j < count; j += 16) {
        UNROLL for (int r = 0; r < ATTENTION_ROWS; r++) {
            const float16 x = *(const float16 *)(tile + r * ATTENTION_PITCH + j);
            row[r] = select(row[r], x, x > row[r]);
        }
    }
    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++) {
        ((float *)&next)[r] = larger(ATTENTION_LANE(next, r), largest_of_16(row[r]));
        row[r] = 0;
    }
    const float16 base = select(next, (float16)(0.0f), next == -INFINITY);
    for (int j = 0; j < count; j += 16) {
        UNROLL for (int r = 0; r < ATTENTION_ROWS; r++) {
            float16 *x = (float16 *)(tile + r * ATTENTION_PITCH + j);
            row[r] += *x = math_exp_negative_float16(*x - ATTENTION_LANE(base, r));
        }
    }
    UNROLL for (int r = 0; r < ATTENTION_ROWS; r++)
        ((float *)&part)[r] = sum_of_16(row[r]);
    const float16 shrink = math_exp_negative_float16(*most - base);
    *all = *all * shrink + part;
    *most = next;
    return shrink;
}

/* A tile's scores become weights by each row's log-sum-exp, and *slope weight (slope - mean). */
static inline void attention_slopes(float *weight, float *slope, int count, const float *log_sum, const float *mean)
{
    for (int j = 0; j < count; j += 16) {
        UNROLL for (int r = 0; r < ATTENTION_ROWS; r++) {
            float16 *w = (float16 *)(weight + r * ATTENTION_PITCH + j), *t = (float16 *)(slope + r * ATTENTION_PITCH + j);
            *w = math_exp_negative_float16(*w - log_sum[r]);
            *t = *w * (*t - mean[r]);
        }
    }
}

#endif
