/* The optimiser and its schedules, against double precision and closed forms. */
#include "status.h"
#include "trial.h"

#include "learn/adamw.h"
#include "train/options.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

enum {
    LINE = FCL_BUFFER_ALIGN / (int)sizeof(float), /* lengths are multiples of it */
    CHUNK = 1024,                                 /* numbers that a group sums at least */
    FULL = 3,
    STEPS = 12
};

static fcl_device *device;

static int setup(void **state)
{
    (void)state;
    if (fcl_device_open(NULL, NULL, &device) == FCL_OK)
        return 0;
    print_error("%s\n", fcl_error());
    return -1;
}

static int teardown(void **state)
{
    (void)state;
    fcl_device_close(&device);
    return 0;
}

/* --- PyTorch's AdamW with clip_grad_norm_ and an EMA, in double --- */

/* A value, and how far from it single precision can be: what the errors of the operands become, and what each
 * operation rounds off, to first order. */
typedef struct number {
    double value, error;
} number;

static const double UNIT = 0x1p-24, ROOT = 6 * 0x1p-24,
                    QUOTIENT = 5 * 0x1p-24; /* relative, as OpenCL has them */

/* a x + b y with constants that were rounded once. */
static number blend(double a, number x, double b, number y)
{
    double ax = a * x.value, by = b * y.value;
    return (number){ax + by, fabs(a) * x.error + fabs(b) * y.error + 4 * UNIT * (fabs(ax) + fabs(by))};
}

static number divide(number a, number b)
{
    double q = a.value / b.value;
    return (number){q, (a.error + fabs(q) * b.error) / b.value + QUOTIENT * fabs(q)};
}

static number root(number a)
{
    double r = sqrt(a.value);
    return (number){r, r > 0 ? a.error / (2 * r) + ROOT * r : 0};
}

typedef struct weight {
    number w, m, v, ema, further[FCL_FURTHER];
} weight;

/* Squares of small whole numbers add up exactly, in any order. */
static number norm_of_whole(int count, const float *g)
{
    double squares = 0;
    for (int i = 0; i < count; i++)
        squares += (double)g[i] * (double)g[i];
    assert_true(squares < 0x1p24);
    return root((number){squares, 0});
}

static void step_average(number *ema, number w, double n, double most)
{
    double decay = fmin(most, n / (9 + n));
    ema->error = decay * ema->error + (1 - decay) * w.error + 4 * UNIT * (fabs(ema->value) + fabs(w.value));
    ema->value = decay * ema->value + (1 - decay) * w.value;
}

static void step_weight(weight *p, number g, double n, double weight_decay, const fcl_adamw_step *s)
{
    number square = {g.value * g.value, 2 * fabs(g.value) * g.error};
    p->m = blend(s->beta1, p->m, 1 - s->beta1, g);
    p->v = blend(s->beta2, p->v, 1 - s->beta2, square);
    number spread = blend(1 / sqrt(1 - pow(s->beta2, n)), root(p->v), s->epsilon, (number){1, 0});
    p->w = blend(1 - s->rate * weight_decay, p->w, -s->rate / (1 - pow(s->beta1, n)), divide(p->m, spread));
    step_average(&p->ema, p->w, n, s->ema_decay);
    for (int i = 0; i < FCL_FURTHER; i++)
        step_average(&p->further[i], p->w, n, s->further_decay[i]);
}

/* The last `undecayed` weights do not decay. Returns the norm. */
static number plain_step(int count, int undecayed, weight *p, const float *g, const fcl_adamw_step *s)
{
    number norm = norm_of_whole(count, g), scale = {1, 0};
    if (s->clip > 0 && s->clip < norm.value + 1e-6)
        scale = divide((number){s->clip, s->clip * UNIT}, blend(1, norm, 1e-6, (number){1, 0}));
    for (int i = 0; i < count; i++) {
        number clipped = blend(g[i], scale, 0, scale);
        step_weight(&p[i], clipped, (double)s->step + 1, i < count - undecayed ? s->weight_decay : 0, s);
    }
    return norm;
}

/* --- the device's --- */

typedef struct buffers {
    fcl_adamw_buffers on;
    fcl_adamw *adamw;
} buffers;

static fcl_buffer *make(int count, const float *content)
{
    fcl_buffer *buffer;
    assert_ok(fcl_buffer_create(device, (size_t)count * sizeof *content, &buffer));
    if (content)
        assert_ok(fcl_buffer_write(buffer, 0, (size_t)count * sizeof *content, content));
    return buffer;
}

/* Buffers of weights w and their moments, of which the last LINE numbers are frozen. */
static buffers make_buffers(int count, int undecayed, const float *w, bool ema, int further)
{
    int all = count + LINE;
    buffers b = {.on.weights = make(all, w), .on.gradients = make(all, NULL), .on.m = make(all, NULL)};
    b.on.v = make(all, NULL);
    b.on.ema = ema ? make(all, w) : NULL;
    for (int i = 0; i < further; i++)
        b.on.further[i] = make(all, w);
    b.on.undecayed = (size_t)undecayed * sizeof *w;
    b.on.loss = make(1, NULL);
    assert_ok(fcl_adamw_create(device, &b.on, (size_t)count * sizeof *w, &b.adamw));
    return b;
}

static void free_buffers(buffers *b)
{
    fcl_adamw_destroy(&b->adamw);
    fcl_buffer **all[] = {&b->on.weights, &b->on.gradients, &b->on.m, &b->on.v, &b->on.ema, &b->on.loss};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        fcl_buffer_destroy(all[i]);
    for (int i = 0; i < FCL_FURTHER; i++)
        fcl_buffer_destroy(&b->on.further[i]);
}

static void take_step(buffers *b, const fcl_adamw_step *s, float loss, int count, const float *g)
{
    assert_ok(fcl_buffer_write(b->on.gradients, 0, (size_t)count * sizeof *g, g));
    assert_ok(fcl_buffer_write(b->on.loss, 0, sizeof loss, &loss));
    assert_ok(fcl_adamw_enqueue(b->adamw, s));
}

/* Holds a buffer against the numbers that stand `offset` bytes into each of p. */
static void check_buffer(const char *name, fcl_buffer *buffer, int count, const weight *p, size_t offset)
{
    float *found = fcl_zalloc((size_t)count * sizeof *found);
    assert_ok(fcl_buffer_read(buffer, 0, (size_t)count * sizeof *found, found));
    for (int i = 0; i < count; i++) {
        const number *x = (const number *)((const char *)&p[i] + offset);
        if (!(fabs((double)found[i] - x->value) <= x->error))
            fail_msg("%s[%d] of %d is %.9g, further than %.3g from %.9g", name, i, count, (double)found[i],
                     x->error, x->value);
    }
    free(found);
}

static void check_buffers(const buffers *b, int count, const weight *p)
{
    check_buffer("w", b->on.weights, count, p, offsetof(weight, w));
    check_buffer("m", b->on.m, count, p, offsetof(weight, m));
    check_buffer("v", b->on.v, count, p, offsetof(weight, v));
    if (b->on.ema)
        check_buffer("ema", b->on.ema, count, p, offsetof(weight, ema));
    for (int i = 0; i < FCL_FURTHER && b->on.further[i]; i++)
        check_buffer("further average", b->on.further[i], count, p, offsetof(weight, further) + (size_t)i * sizeof(number));
}

static fcl_adamw_step step_number(int64_t step, double clip)
{
    return (fcl_adamw_step){.step = step,
                            .rate = 0.01 * (double)(1 + step % 2),
                            .weight_decay = 0.1,
                            .beta1 = 0.9,
                            .beta2 = 0.99,
                            .epsilon = 1e-8,
                            .clip = clip,
                            .ema_decay = 0.5,
                            .further_decay = {0.05, 0.125, 0.75}};
}

/* Weights as they are drawn, which is also their average, and moments of zero. */
static weight *draw_weights(int count, float *w)
{
    weight *p = fcl_zalloc((size_t)count * sizeof *p);
    for (int i = 0; i < count; i++) {
        w[i] = (float)trial_normal();
        p[i].w.value = p[i].ema.value = (double)w[i];
        for (int k = 0; k < FCL_FURTHER; k++)
            p[i].further[k] = p[i].ema;
    }
    return p;
}

/* Every second step has gradients of twice the size. */
static void draw_gradient(int step, int count, float *g)
{
    for (int i = 0; i < count; i++)
        g[i] = (float)((1 + step % 2) * trial_int(0, 1) * trial_int(-2, 2));
}

typedef struct run {
    int count, undecayed, steps;
    double clip; /* in norms of the first gradient */
    bool ema;
    int further;
} run;

static void check_run(const run *r)
{
    int all = r->count + LINE;
    float *w = fcl_zalloc((size_t)all * sizeof *w), *g = fcl_zalloc((size_t)all * sizeof *g);
    weight *p = draw_weights(all, w);
    buffers b = make_buffers(r->count, r->undecayed, w, r->ema, r->further);
    number norm[STEPS];
    double clip = 0;
    for (int step = 0; step < r->steps; step++) {
        draw_gradient(step, all, g);
        clip = step ? clip : r->clip * norm_of_whole(r->count, g).value;
        fcl_adamw_step s = step_number(step, clip);
        norm[step] = plain_step(r->count, r->undecayed, p, g, &s);
        take_step(&b, &s, 0.5f * (float)step, all, g);
    }
    check_buffers(&b, all, p);
    fcl_adamw_row rows[STEPS];
    assert_ok(fcl_adamw_read(b.adamw, 0, r->steps, rows));
    for (int step = 0; step < r->steps; step++) {
        assert_float_equal(rows[step].loss, 0.5 * step, 0);
        assert_true(fabs((double)rows[step].norm - norm[step].value) <= norm[step].error);
    }
    free_buffers(&b);
    free(p);
    free(w);
    free(g);
}

/* Lengths of less than a group's sum, of one, of several with a ragged one, of as many as there are at most,
 * whose parts are then longer and no power of two, and of more than there are work-items; without clipping,
 * with norms on either side of the bound, and all above it. */
static const run runs[] = {
    {LINE, LINE, STEPS, 1.5, true, 1},
    {CHUNK - LINE, 0, 3, 0.5, true, 2},
    {CHUNK, CHUNK / 2, 3, 1.5, false},
    {CHUNK + LINE, LINE, 3, 0, true, 3},
    {FULL * CHUNK + LINE, CHUNK, STEPS, 1.5, true, 3},
    {64 * CHUNK, 0, 2, 1.5, true},
    {66 * CHUNK + 3 * LINE, 7 * LINE, 2, 0.25, false},
    {256 * CHUNK + LINE, CHUNK, 2, 1.5, true},
    {300 * CHUNK, 0, 2, 1e6, true, 1},
};

static void check_runs(void)
{
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        if (!trial_tiny() || (runs[i].count < 2 * CHUNK))
            check_run(&runs[i]);
}

static void test_reference(void **state)
{
    (void)state;
    check_runs();
}

/* As many work-items in a group as are no row's choice: few, and the most that there can be. */
static void test_other_groups(void **state)
{
    (void)state;
    static const char *const groups[] = {"2", "256"};
    const char *own = getenv("FLOWCL_ROW_GROUP");
    fcl_device *first = device;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        setenv("FLOWCL_ROW_GROUP", groups[i], 1);
        assert_ok(fcl_device_open(NULL, NULL, &device));
        check_runs();
        fcl_device_close(&device);
    }
    device = first;
    own ? setenv("FLOWCL_ROW_GROUP", own, 1) : unsetenv("FLOWCL_ROW_GROUP");
}

static float norm_of(fcl_buffer *gradients, size_t bytes)
{
    fcl_buffer *loss, *zeros[3];
    fcl_adamw *adamw;
    fcl_adamw_row row;
    assert_ok(fcl_buffer_create(device, sizeof(float), &loss));
    for (int i = 0; i < 3; i++)
        assert_ok(fcl_buffer_create(device, bytes, &zeros[i]));
    fcl_adamw_buffers on = {
        .weights = zeros[0], .gradients = gradients, .m = zeros[1], .v = zeros[2], .loss = loss};
    fcl_adamw_step s = step_number(0, 0);
    assert_ok(fcl_adamw_create(device, &on, bytes, &adamw));
    assert_ok(fcl_adamw_enqueue(adamw, &s));
    assert_ok(fcl_adamw_read(adamw, 0, 1, &row));
    fcl_adamw_destroy(&adamw);
    fcl_buffer_destroy(&loss);
    for (int i = 0; i < 3; i++)
        fcl_buffer_destroy(&zeros[i]);
    return row.norm;
}

/* Which form sums is seen by what its order loses: each group has a 4096 at its start and a 1 at every eighth
 * number after it. One work-item adds the ones to 2^24 singly, and single precision drops them all; of 64,
 * the others add up theirs first. */
static void test_form_follows_row_group(void **state)
{
    (void)state;
    enum { COUNT = FULL * CHUNK + LINE };
    float g[COUNT] = {0};
    for (int i = 0; i < FULL * CHUNK; i += 8)
        g[i] = i % CHUNK == 0 ? 4096 : 1;
    fcl_buffer *gradients = make(COUNT, g);
    double norm = norm_of(gradients, sizeof g), lost = sqrt(FULL) * 4096;
    if (fcl_device_traits(device).wide)
        assert_float_equal(norm, lost, 3e-3);
    else /* lost are those of the lane that has the 4096: a 64th, or an 8th where lanes take single numbers */
        assert_float_equal(norm, sqrt(FULL * (4096.0 * 4096 + 120)), 3e-3);
    fcl_buffer_destroy(&gradients);
}

/* A step that is not finite leaves every bit as it was, and tells in the ring. */
static void check_left_alone(float loss, float gradient)
{
    enum { COUNT = FULL * CHUNK + LINE, ALL = COUNT + LINE };
    float w[ALL], g[ALL];
    weight *p = draw_weights(ALL, w);
    buffers b = make_buffers(COUNT, 0, w, true, 2);
    fcl_adamw_step s = step_number(0, 1);
    draw_gradient(0, ALL, g);
    g[trial_int(0, COUNT - 1)] += gradient;
    take_step(&b, &s, loss, ALL, g);
    check_buffers(&b, ALL, p);
    fcl_adamw_row row;
    assert_ok(fcl_adamw_read(b.adamw, 0, 1, &row));
    assert_true(!isfinite(row.loss) || !isfinite(row.norm));
    free_buffers(&b);
    free(p);
}

static void test_not_finite(void **state)
{
    (void)state;
    check_left_alone(1, NAN);
    check_left_alone(1, INFINITY);
    check_left_alone(NAN, 0);
    check_left_alone(INFINITY, 0);
}

/* Behind it nothing changes either, unless it is skipped; and a restart forgets it. */
static void check_behind(bool skip, bool restart)
{
    enum { COUNT = FULL * CHUNK + LINE, ALL = COUNT + LINE };
    float w[ALL], g[ALL];
    weight *p = draw_weights(ALL, w);
    buffers b = make_buffers(COUNT, 0, w, true, 2);
    int first = FCL_RING - trial_int(1, 2);
    for (int step = first; step < first + 3; step++) {
        fcl_adamw_step s = step_number(step, 1);
        s.skip = skip;
        draw_gradient(0, ALL, g);
        take_step(&b, &s, step == first ? NAN : 1, ALL, g);
        if (step > first && (skip || restart))
            plain_step(COUNT, 0, p, g, &s);
        if (restart)
            assert_ok(fcl_adamw_restart(b.adamw));
    }
    check_buffers(&b, ALL, p);
    free_buffers(&b);
    free(p);
}

static void test_behind(void **state)
{
    (void)state;
    check_behind(false, false);
    check_behind(true, false);
    check_behind(false, true);
}

/* The ring turns: rows across its end come in order. */
static void test_ring(void **state)
{
    (void)state;
    const float zeros[2 * LINE] = {0};
    buffers b = make_buffers(LINE, 0, zeros, false, 0);
    for (int step = FCL_RING - 3; step < FCL_RING + 3; step++) {
        fcl_adamw_step s = step_number(step, 0);
        take_step(&b, &s, (float)step, LINE, zeros);
    }
    fcl_adamw_row rows[6];
    assert_ok(fcl_adamw_read(b.adamw, FCL_RING - 3, 6, rows));
    for (int i = 0; i < 6; i++)
        assert_float_equal(rows[i].loss, FCL_RING - 3 + i, 0);
    free_buffers(&b);
}

/* --- schedules --- */

static fcl_train_options scheduled(const char *schedule, int64_t warmup)
{
    return (fcl_train_options){.lr = 0.5f, .steps = 100, .schedule = schedule, .warmup = warmup};
}

static void test_schedules(void **state)
{
    (void)state;
    fcl_train_options constant = scheduled("constant", 0), cosine = scheduled("cosine", 0);
    fcl_train_options warmup = scheduled("warmup", 0), both = scheduled("cosine", 20);
    for (int step = 0; step < 100; step++) {
        assert_float_equal(fcl_schedule_rate(&constant, step), 0.5, 0);
        assert_float_equal(fcl_schedule_rate(&cosine, step), 0.25 * (1 + cos(M_PI * step / 100)), 1e-12);
        assert_float_equal(fcl_schedule_rate(&warmup, step), step < 10 ? 0.05 * (step + 1) : 0.5, 1e-12);
        double after = 0.25 * (1 + cos(M_PI * (step - 20) / 80));
        assert_float_equal(fcl_schedule_rate(&both, step), step < 20 ? 0.025 * (step + 1) : after, 1e-12);
    }
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_other_groups),
        cmocka_unit_test(test_form_follows_row_group),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_behind),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_schedules),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
