/* Pieces of a gradient that are told, and read, while the backward pass goes on: each is then what it is at the end, and most
 * come before it. */
#include "opencl_calls.h"
#include "rig.h"

#include "device/window.h"
#include "graph/graph.h"
#include "learn/learner.h"

#include <flowcl/flowcl.h>

#include <stdlib.h>
#include <string.h>

enum { ROWS = 8, PIECES_MOST = 512 };

/* A model in training. */
typedef struct net {
    fcl_model *model;
    fcl_learner *learner;
    fcl_graph *graph;
    fcl_tensor *x, *t, *target;
} net;

static void open_net(const fcl_model_options *options, fcl_shape sample, const fcl_learner_options *how, net *n)
{
    int64_t size = fcl_shape_size(sample);
    assert_ok(fcl_model_create(options, sample, 0, &n->model));
    assert_ok(fcl_learner_create(device, fcl_model_params(n->model), how, &n->learner));
    n->graph = fcl_graph_create();
    n->x = fcl_input(n->graph, "x", FCL_F32, FCL_SHAPE(ROWS, size));
    n->t = fcl_input(n->graph, "t", FCL_F32, FCL_SHAPE(ROWS, 1));
    n->target = fcl_input(n->graph, "target", FCL_F32, FCL_SHAPE(ROWS, size));
    fcl_tensor **w = fcl_learner_bind(n->learner, n->graph);
    fcl_tensor *v = fcl_model_velocity(n->model, w, &(fcl_velocity_inputs){.x = n->x, .t = n->t, .training = true});
    fcl_learner_minimise(n->learner, w, fcl_mean(fcl_square(fcl_sub(v, n->target))));
    fcl_free(w);
}

static void write_random(fcl_tensor *tensor)
{
    size_t count = (size_t)fcl_shape_size(fcl_tensor_shape(tensor));
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)trial_normal();
    assert_ok(fcl_tensor_write(tensor, values));
    free(values);
}

static void run_net(net *n)
{
    write_random(n->x);
    write_random(n->t);
    write_random(n->target);
    calls = (opencl_calls){0};
    assert_ok(fcl_graph_run(n->graph));
}

static void close_net(net *n)
{
    fcl_graph_destroy(&n->graph);
    fcl_learner_destroy(&n->learner);
    fcl_model_destroy(&n->model);
}

/* --- a run tells of pieces --- */

typedef struct told {
    fcl_buffer *buffer;
    size_t piece;
    int count, order[PIECES_MOST], launches[PIECES_MOST];
    char *content; /* of each piece, when it was told */
} told;

static size_t bytes_of(const told *t, int64_t piece)
{
    size_t rest = fcl_buffer_size(t->buffer) - (size_t)piece * t->piece;
    return rest < t->piece ? rest : t->piece;
}

static int hear(void *data, int64_t piece)
{
    told *t = data;
    int launches = calls.launches;
    assert_true(t->count < PIECES_MOST);
    t->order[t->count] = (int)piece;
    t->launches[t->count++] = launches;
    return fcl_buffer_read(t->buffer, (size_t)piece * t->piece, bytes_of(t, piece), t->content + (size_t)piece * t->piece);
}

/* Of the model's memory: a step of one run, whose gradient is assigned. */
static uint64_t arena_of_one(const fcl_model_options *options, fcl_shape sample)
{
    net n;
    open_net(options, sample, NULL, &n);
    assert_ok(fcl_graph_compile(n.graph, device, NULL));
    uint64_t bytes = fcl_graph_describe(n.graph).arena_bytes;
    close_net(&n);
    return bytes;
}

/* What is told first is of the last layers, long before the end; and half of all before the last tenth. */
static void check_order(const told *t, int total)
{
    assert_true(t->launches[0] < 2 * total / 3);
    assert_true(t->launches[t->count / 2] < 9 * total / 10);
    assert_true(t->order[0] > 0);
    for (int i = 1; i < t->count; i++)
        assert_true(t->launches[i] >= t->launches[i - 1]);
}

/* Of two runs a step each adds to what is there. */
static void check_pieces(const fcl_model_options *options, fcl_shape sample, size_t piece)
{
    net n;
    open_net(options, sample, &(fcl_learner_options){.accumulate = 2}, &n);
    told t = {.buffer = fcl_learner_gradients(n.learner), .piece = piece};
    size_t bytes = fcl_buffer_size(t.buffer);
    char *end = malloc(bytes);
    t.content = malloc(bytes);
    fcl_graph_listen(n.graph, &(fcl_listener){t.buffer, piece, hear, &t});
    assert_ok(fcl_graph_compile(n.graph, device, NULL));
    for (int run = 0; run < 2; run++) {
        t.count = 0;
        run_net(&n);
        assert_int_equal(t.count, (int)((bytes + piece - 1) / piece));
        check_order(&t, calls.launches);
        assert_ok(fcl_buffer_read(t.buffer, 0, bytes, end));
        assert_memory_equal(t.content, end, bytes);
    }
    /* what is added goes to its leaf at once, and is not kept to the end: a few slices are under way, not all */
    assert_true(fcl_graph_describe(n.graph).arena_bytes < arena_of_one(options, sample) + bytes / 4);
    free(end);
    free(t.content);
    close_net(&n);
}

static const fcl_model_options mlp = {.model = "mlp", .width = 64, .depth = 6};
static const fcl_model_options unet = {.model = "unet", .channels = 32, .multipliers = "1,2", .blocks = 1, .attention = "none"};
static const fcl_model_options dit = {.model = "dit", .width = 64, .depth = 3, .patch = 2, .heads = 2};

static void a_piece_is_told_when_it_is_complete(void **state)
{
    (void)state;
    check_pieces(&mlp, FCL_SHAPE(2), 16384);
    check_pieces(&unet, FCL_SHAPE(1, 8, 8), 1 << 17);
    check_pieces(&dit, FCL_SHAPE(1, 8, 8), 1 << 16);
}

static void a_graph_that_looks_at_its_values_tells_nothing(void **state)
{
    (void)state;
    net n;
    open_net(&mlp, FCL_SHAPE(2), NULL, &n);
    told t = {.buffer = fcl_learner_gradients(n.learner), .piece = 16384};
    fcl_graph_listen(n.graph, &(fcl_listener){t.buffer, t.piece, hear, &t});
    assert_ok(fcl_graph_compile(n.graph, device, &(fcl_graph_options){.check = true}));
    run_net(&n);
    assert_int_equal(t.count, 0);
    close_net(&n);
}

/* --- windows --- */

static bool is_there(fcl_window *window, int64_t first, int64_t count)
{
    bool there;
    assert_ok(fcl_window_look(window, first, count, &there));
    return there;
}

/* Pieces are read before the window is opened, or not, looked for, changed, and go back in another order. */
static void check_window(bool early)
{
    enum { PIECES = 4 };
    static const int back[PIECES] = {2, 0, 3, 1};
    int64_t count = (PIECES - 1) * (int64_t)FCL_WINDOW_PIECE + trial_int(1, FCL_WINDOW_PIECE);
    float *values = malloc((size_t)count * sizeof *values), *numbers, factor = (float)trial_int(2, 9);
    fcl_buffer *buffer;
    fcl_window *window;
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(i % 4099);
    assert_ok(fcl_buffer_create(device, (size_t)count * sizeof *values, &buffer));
    assert_ok(fcl_window_create(buffer, early, &window));
    for (int round = 0; round < 2; round++) {
        assert_ok(fcl_buffer_write(buffer, 0, (size_t)count * sizeof *values, values));
        for (int i = 0; early && i < 2; i++)
            assert_ok(fcl_window_read(window, trial_int(0, 1) + 2 * i));
        assert_ok(fcl_window_open(window, &numbers));
        for (int i = 0; i < PIECES; i++) {
            int64_t first = back[i] * (int64_t)FCL_WINDOW_PIECE, rest = count - first;
            int64_t size = rest < FCL_WINDOW_PIECE ? rest : FCL_WINDOW_PIECE;
            while (round && !is_there(window, first, size))
                continue;
            assert_ok(fcl_window_wait(window, first, size));
            assert_memory_equal(numbers + first, values + first, (size_t)size * sizeof *values);
            for (int64_t k = first; k < first + size; k++)
                numbers[k] *= factor;
            assert_ok(fcl_window_return(window, first, size));
        }
        assert_ok(fcl_window_close(window));
        for (int64_t i = 0; i < count; i++)
            values[i] *= factor;
        float *changed = malloc((size_t)count * sizeof *changed);
        assert_ok(fcl_buffer_read(buffer, 0, (size_t)count * sizeof *changed, changed));
        assert_memory_equal(changed, values, (size_t)count * sizeof *changed);
        free(changed);
    }
    fcl_window_destroy(&window);
    fcl_buffer_destroy(&buffer);
    free(values);
}

static void a_window_reads_pieces_early(void **state)
{
    (void)state;
    check_window(true);
    check_window(false);
}

/* --- a learner with others, who are only asked for at the step --- */

enum { BUCKETS = 3 };

/* Of two runs a step the second one's gradient is complete: from then on it is read. */
static void check_reads(const char *buckets, int reads)
{
    static char others;
    const fcl_learner_options how = {.accumulate = 2, .ranks = (fcl_ranks *)&others, .share = 0.5, .buckets = buckets};
    const fcl_model_options large = {.model = "mlp", .width = 1024, .depth = 3};
    net n;
    open_net(&large, FCL_SHAPE(2), &how, &n);
    assert_ok(fcl_graph_compile(n.graph, device, NULL));
    run_net(&n);
    assert_int_equal(calls.reads, 0);
    run_net(&n);
    assert_int_equal(calls.reads, reads);
    assert_true(!reads || calls.launches_before_reads < calls.launches);
    close_net(&n);
}

static void a_learner_reads_buckets_in_the_last_run(void **state)
{
    (void)state;
    check_reads("yes", BUCKETS);
    check_reads("no", 0);
    check_reads(NULL, fcl_device_describe(device)->type == FCL_DEVICE_GPU ? BUCKETS : 0);
}

static void assert_no_gradient(const net *n)
{
    fcl_buffer *gradients = fcl_learner_gradients(n->learner);
    size_t count = fcl_buffer_size(gradients) / sizeof(float);
    float *values = malloc(count * sizeof *values);
    assert_ok(fcl_buffer_read(gradients, 0, count * sizeof *values, values));
    for (size_t i = 0; i < count; i++)
        assert_true(values[i] == 0);
    free(values);
}

/* So many runs of a step of two, which does not come about. */
static void check_drop(const fcl_learner_options *how, int runs, int reads)
{
    const fcl_model_options large = {.model = "mlp", .width = 1024, .depth = 3};
    net n;
    open_net(&large, FCL_SHAPE(2), how, &n);
    assert_ok(fcl_graph_compile(n.graph, device, NULL));
    for (int i = 0; i < runs; i++)
        run_net(&n);
    assert_ok(fcl_learner_go_on(n.learner, 0));
    assert_no_gradient(&n);
    run_net(&n);
    assert_int_equal(calls.reads, 0);
    run_net(&n);
    assert_int_equal(calls.reads, reads);
    if (how->ranks) {
        assert_int_equal(fcl_graph_run(n.graph), FCL_ERR_ARGUMENT);
        assert_non_null(strstr(fcl_error(), "a run more than the 2 of a step"));
    }
    close_net(&n);
}

static void what_no_step_takes_is_dropped(void **state)
{
    (void)state;
    static char others;
    fcl_learner_options how = {.accumulate = 2};
    check_drop(&how, 1, 0);
    how.ranks = (fcl_ranks *)&others;
    how.share = 0.5;
    for (int runs = 1; runs <= 2; runs++) {
        how.buckets = "yes";
        check_drop(&how, runs, BUCKETS);
        how.buckets = "no";
        check_drop(&how, runs, 0);
    }
}

static void buckets_are_for_several(void **state)
{
    (void)state;
    assert_int_equal(fcl_learner_check(&(fcl_learner_options){.buckets = "yes"}), FCL_ERR_ARGUMENT);
    assert_non_null(strstr(fcl_error(), "buckets yes has no use for a process alone"));
    assert_int_equal(fcl_learner_check(&(fcl_learner_options){.buckets = "some"}), FCL_ERR_ARGUMENT);
    assert_ok(fcl_learner_check(&(fcl_learner_options){.buckets = "auto"}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_piece_is_told_when_it_is_complete),
        cmocka_unit_test(a_graph_that_looks_at_its_values_tells_nothing),
        cmocka_unit_test(a_window_reads_pieces_early),
        cmocka_unit_test(a_learner_reads_buckets_in_the_last_run),
        cmocka_unit_test(what_no_step_takes_is_dropped),
        cmocka_unit_test(buckets_are_for_several),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
