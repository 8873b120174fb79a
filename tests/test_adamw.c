/* The optimiser and its schedules, against double precision and closed forms. */
#include "status.h"

#include "op/op.h"
#include "learn/adamw.h"
#include "train/options.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

/* The norm's sums: groups of CHUNK numbers, the last of them ragged. */
enum { CHUNK = 1024, FULL = 3, COUNT = FULL * CHUNK + FCL_BUFFER_ALIGN / (int)sizeof(float), STEPS = 12 };

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

typedef struct plain {
    double w[COUNT], m[COUNT], v[COUNT], ema[COUNT];
} plain;

static double gradient_at(int step, int i)
{
    return sin(0.7 * i + 1.3 * step) * (1 + step % 3);
}

static double plain_step(plain *p, const fcl_adamw_step *s)
{
    double norm = 0, n = (double)s->step + 1;
    for (int i = 0; i < COUNT; i++)
        norm += gradient_at((int)s->step, i) * gradient_at((int)s->step, i);
    norm = sqrt(norm);
    double scale = s->clip > 0 && s->clip / (norm + 1e-6) < 1 ? s->clip / (norm + 1e-6) : 1;
    double decay = s->ema_decay < n / (9 + n) ? s->ema_decay : n / (9 + n);
    for (int i = 0; i < COUNT; i++) {
        double g = scale * gradient_at((int)s->step, i);
        p->w[i] -= s->rate * s->weight_decay * p->w[i];
        p->m[i] = s->beta1 * p->m[i] + (1 - s->beta1) * g;
        p->v[i] = s->beta2 * p->v[i] + (1 - s->beta2) * g * g;
        double mean = p->m[i] / (1 - pow(s->beta1, n)), square = p->v[i] / (1 - pow(s->beta2, n));
        p->w[i] -= s->rate * mean / (sqrt(square) + s->epsilon);
        p->ema[i] = decay * p->ema[i] + (1 - decay) * p->w[i];
    }
    return norm;
}

/* --- the device's --- */

typedef struct buffers {
    fcl_adamw_buffers on;
    fcl_adamw *adamw;
} buffers;

static fcl_buffer *make(const double *content)
{
    float values[COUNT];
    for (int i = 0; i < COUNT; i++)
        values[i] = content ? (float)content[i] : 0;
    fcl_buffer *buffer;
    assert_ok(fcl_buffer_create(device, sizeof values, &buffer));
    assert_ok(fcl_buffer_write(buffer, 0, sizeof values, values));
    return buffer;
}

static buffers make_buffers(const plain *p, bool ema)
{
    buffers b = {{.weights = make(p->w), .gradients = make(NULL), .m = make(NULL), .v = make(NULL)}, NULL};
    b.on.ema = ema ? make(p->ema) : NULL;
    assert_ok(fcl_buffer_create(device, sizeof(float), &b.on.loss));
    assert_ok(fcl_adamw_create(device, &b.on, COUNT * sizeof(float), &b.adamw));
    return b;
}

static void free_buffers(buffers *b)
{
    fcl_adamw_destroy(&b->adamw);
    fcl_buffer **all[] = {&b->on.weights, &b->on.gradients, &b->on.m, &b->on.v, &b->on.ema, &b->on.loss};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        fcl_buffer_destroy(all[i]);
}

static void take_step(buffers *b, const fcl_adamw_step *s, float loss, float first_gradient)
{
    float g[COUNT];
    for (int i = 0; i < COUNT; i++)
        g[i] = (float)gradient_at((int)s->step, i);
    g[0] += first_gradient;
    assert_ok(fcl_buffer_write(b->on.gradients, 0, sizeof g, g));
    assert_ok(fcl_buffer_write(b->on.loss, 0, sizeof loss, &loss));
    assert_ok(fcl_adamw_enqueue(b->adamw, s));
}

static void check_buffer(fcl_buffer *buffer, const double *expected, double bound)
{
    float values[COUNT];
    assert_ok(fcl_buffer_read(buffer, 0, sizeof values, values));
    for (int i = 0; i < COUNT; i++)
        assert_float_equal(values[i], expected[i], bound);
}

static fcl_adamw_step step_number(int step, double clip)
{
    return (fcl_adamw_step){.step = step,
                            .rate = 0.01 * (1 + step % 2),
                            .weight_decay = 0.1,
                            .beta1 = 0.9,
                            .beta2 = 0.99,
                            .epsilon = 1e-8,
                            .clip = clip,
                            .ema_decay = 0.5};
}

static void check_run(double clip, bool ema)
{
    static plain p;
    p = (plain){0};
    for (int i = 0; i < COUNT; i++)
        p.w[i] = p.ema[i] = (float)cos(i);
    buffers b = make_buffers(&p, ema);
    double norm[STEPS];
    for (int step = 0; step < STEPS; step++) {
        fcl_adamw_step s = step_number(step, clip);
        norm[step] = plain_step(&p, &s);
        take_step(&b, &s, 0.5f * (float)step, 0);
    }
    check_buffer(b.on.weights, p.w, 1e-5);
    check_buffer(b.on.m, p.m, 1e-5);
    check_buffer(b.on.v, p.v, 1e-5);
    if (ema)
        check_buffer(b.on.ema, p.ema, 1e-5);
    fcl_adamw_row rows[STEPS];
    assert_ok(fcl_adamw_read(b.adamw, 0, STEPS, rows));
    for (int step = 0; step < STEPS; step++) {
        assert_float_equal(rows[step].loss, 0.5 * step, 0);
        assert_float_equal(rows[step].norm, norm[step], 1e-4 * norm[step]);
    }
    free_buffers(&b);
}

static void test_reference(void **state)
{
    (void)state;
    check_run(0, true);
    check_run(3, true); /* every norm is above it */
    check_run(1e6, false);
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
    double g[COUNT] = {0};
    for (int i = 0; i < FULL * CHUNK; i += 8)
        g[i] = i % CHUNK == 0 ? 4096 : 1;
    fcl_buffer *gradients = make(g);
    double norm = norm_of(gradients, sizeof g / 2), lost = sqrt(FULL) * 4096;
    if (fcl_device_traits(device).wide)
        assert_float_equal(norm, lost, 3e-3);
    else /* lost are those of the lane that has the 4096: a 64th, or an 8th where lanes take single numbers */
        assert_float_equal(norm, sqrt(FULL * (4096.0 * 4096 + 120)), 3e-3);
    fcl_buffer_destroy(&gradients);
}

/* As many numbers as need the most groups, whose part is then no power of two; on slow drivers
 * ($FCL_TEST_TINY) as many as the form for CPUs needs. */
static void test_many_groups(void **state)
{
    (void)state;
    const size_t count = (getenv("FCL_TEST_TINY") ? 66 : 300) * CHUNK;
    float *g = malloc(count * sizeof *g);
    double sum = 0;
    assert_non_null(g);
    for (size_t i = 0; i < count; i++) {
        g[i] = (float)gradient_at(7, (int)i);
        sum += (double)g[i] * g[i];
    }
    fcl_buffer *gradients;
    assert_ok(fcl_buffer_create(device, count * sizeof *g, &gradients));
    assert_ok(fcl_buffer_write(gradients, 0, count * sizeof *g, g));
    assert_float_equal(norm_of(gradients, count * sizeof *g), sqrt(sum), 1e-5 * sqrt(sum));
    fcl_buffer_destroy(&gradients);
    free(g);
}

/* A step that is not finite leaves every bit as it was, and tells in the ring. */
static void check_left_alone(float loss, float gradient)
{
    static plain p;
    p = (plain){0};
    for (int i = 0; i < COUNT; i++)
        p.w[i] = p.ema[i] = (float)cos(i);
    buffers b = make_buffers(&p, true);
    fcl_adamw_step s = step_number(0, 1);
    take_step(&b, &s, loss, gradient);
    double zeros[COUNT] = {0};
    check_buffer(b.on.weights, p.w, 0);
    check_buffer(b.on.ema, p.ema, 0);
    check_buffer(b.on.m, zeros, 0);
    check_buffer(b.on.v, zeros, 0);
    fcl_adamw_row row;
    assert_ok(fcl_adamw_read(b.adamw, 0, 1, &row));
    assert_true(!isfinite(row.loss) || !isfinite(row.norm));
    free_buffers(&b);
}

static void test_not_finite(void **state)
{
    (void)state;
    check_left_alone(1, NAN);
    check_left_alone(1, INFINITY);
    check_left_alone(NAN, 0);
    check_left_alone(INFINITY, 0);
}

/* The ring turns: rows across its end come in order. */
static void test_ring(void **state)
{
    (void)state;
    static plain p;
    p = (plain){0};
    buffers b = make_buffers(&p, false);
    for (int step = FCL_RING - 3; step < FCL_RING + 3; step++) {
        fcl_adamw_step s = step_number(step, 0);
        take_step(&b, &s, (float)step, 0);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),   cmocka_unit_test(test_form_follows_row_group),
        cmocka_unit_test(test_many_groups), cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_ring),        cmocka_unit_test(test_schedules),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
