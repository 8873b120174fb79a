/* Learners: their step against double precision, their files byte by byte, several of them beside one another. */
#include "rig.h"

#include "learn/learner.h"

#include <flowcl/flowcl.h>

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* --- a net whose loss is linear in each slice: the factors are its gradient --- */

enum { MATRIX, NORM, KERNEL, BIAS, TABLE, SLICES, TRAINED = TABLE };
enum { OUT = 2, HIGH = 3, WIDE = 2, IN = 4, MOST = OUT * HIGH * WIDE * IN };

/* What is decayed and what is not stand mixed; a kernel and a table are kept in another order than their file's. */
static fcl_params *declare(void)
{
    fcl_params *params = fcl_params_create();
    assert_int_equal(fcl_params_declare(params, FCL_SHAPE(3, 5), FCL_INIT_NORMAL, 1, "matrix"), MATRIX);
    const fcl_param norm = {.shape = FCL_SHAPE(7), .init = FCL_INIT_ONES, .undecayed = true};
    assert_int_equal(fcl_params_add(params, &norm, "%s.weight", "norm"), NORM);
    const fcl_param kernel = {
        .shape = FCL_SHAPE(OUT, HIGH, WIDE, IN), .order = {0, 2, 3, 1}, .init = FCL_INIT_UNIFORM, .scale = 0.5f};
    assert_int_equal(fcl_params_add(params, &kernel, "kernel"), KERNEL);
    const fcl_param bias = {.shape = FCL_SHAPE(5), .init = FCL_INIT_UNIFORM, .scale = 1, .undecayed = true};
    assert_int_equal(fcl_params_add(params, &bias, "bias"), BIAS);
    const fcl_param table = {
        .shape = FCL_SHAPE(2, 3), .order = {1, 0}, .init = FCL_INIT_NORMAL, .scale = 1, .frozen = true};
    assert_int_equal(fcl_params_add(params, &table, "table"), TABLE);
    assert_ok(fcl_params_check(params));
    return params;
}

typedef struct net {
    fcl_params *params;
    fcl_learner *learner;
    fcl_graph *graph;
    fcl_tensor *factor[SLICES];
} net;

static net make_net(fcl_learner_options options)
{
    net n = {.params = declare(), .graph = fcl_graph_create()};
    fcl_tensor *loss = NULL;
    assert_ok(fcl_learner_create(device, n.params, &options, &n.learner));
    fcl_tensor **w = fcl_learner_bind(n.learner, n.graph);
    for (int i = 0; i < SLICES; i++) {
        n.factor[i] = fcl_input(n.graph, "factor", FCL_F32, fcl_params_at(n.params, i)->shape);
        fcl_tensor *part = fcl_sum(fcl_mul(n.factor[i], w[i]));
        loss = loss ? fcl_add(loss, part) : part;
    }
    fcl_learner_minimise(n.learner, w, loss);
    fcl_free(w);
    assert_ok(fcl_graph_compile(n.graph, device, NULL));
    return n;
}

static void destroy_net(net *n)
{
    fcl_graph_destroy(&n->graph);
    fcl_learner_destroy(&n->learner);
    fcl_params_destroy(&n->params);
}

static void run(net *n, float factor[SLICES][MOST])
{
    for (int i = 0; i < SLICES; i++)
        assert_ok(fcl_tensor_write(n->factor[i], factor[i]));
    assert_ok(fcl_graph_run(n->graph));
}

static void draw(float factor[SLICES][MOST])
{
    for (int i = 0; i < SLICES; i++)
        for (int k = 0; k < MOST; k++)
            factor[i][k] = (float)trial_normal();
}

static int64_t size_of(const net *n, int slice)
{
    return fcl_shape_size(fcl_params_at(n->params, slice)->shape);
}

/* All of a flat buffer, to be freed. */
static float *read_flat(const net *n, fcl_buffer *buffer)
{
    size_t bytes = fcl_params_bytes(n->params);
    float *flat = malloc(bytes);
    assert_non_null(flat);
    assert_ok(fcl_buffer_read(buffer, 0, bytes, flat));
    return flat;
}

static const float *slice_in(const net *n, const float *flat, int slice)
{
    return flat + fcl_params_at(n->params, slice)->offset / sizeof *flat;
}

/* --- the step --- */

typedef struct plain {
    double w[SLICES][MOST], m[SLICES][MOST], v[SLICES][MOST], ema[FCL_AVERAGES][SLICES][MOST];
} plain;

static const double decays[FCL_AVERAGES] = {0.4, 0.125, 0.9, 0.25};

/* PyTorch's AdamW with clip_grad_norm_, two parameter groups, one of them without decay; and an average. */
static double plain_step(const net *n, plain *p, const fcl_learner_options *o, int step, double g[SLICES][MOST])
{
    double norm = 0, rate = fcl_learner_rate(o, step), count = step + 1;
    for (int i = 0; i < TRAINED; i++)
        for (int64_t k = 0; k < size_of(n, i); k++)
            norm += g[i][k] * g[i][k];
    norm = sqrt(norm);
    double clip = fmin(1, (double)o->clip / (norm + 1e-6));
    for (int i = 0; i < TRAINED; i++) {
        double decay = i == NORM || i == BIAS ? 0 : (double)o->weight_decay;
        for (int64_t k = 0; k < size_of(n, i); k++) {
            double x = clip * g[i][k];
            p->w[i][k] -= rate * decay * p->w[i][k];
            p->m[i][k] = (double)o->beta1 * p->m[i][k] + (1 - (double)o->beta1) * x;
            p->v[i][k] = (double)o->beta2 * p->v[i][k] + (1 - (double)o->beta2) * x * x;
            double mean = p->m[i][k] / (1 - pow((double)o->beta1, count));
            double square = p->v[i][k] / (1 - pow((double)o->beta2, count));
            p->w[i][k] -= rate * mean / (sqrt(square) + (double)o->epsilon);
            for (int a = 0; a < FCL_AVERAGES; a++) {
                double keep = fmin(decays[a], count / (9 + count));
                p->ema[a][i][k] = keep * p->ema[a][i][k] + (1 - keep) * p->w[i][k];
            }
        }
    }
    return norm;
}

static void check_state(const net *n, fcl_state state, double expected[SLICES][MOST], double bound)
{
    float *flat = read_flat(n, n->learner->state[state]);
    for (int i = 0; i < (state == FCL_STATE_WEIGHTS ? SLICES : TRAINED); i++)
        for (int64_t k = 0; k < size_of(n, i); k++)
            assert_float_equal(slice_in(n, flat, i)[k], expected[i][k], bound * (1 + fabs(expected[i][k])));
    free(flat);
}

static void test_step(void **state)
{
    (void)state;
    enum { STEPS = 6, PARTS = 2 };
    const fcl_learner_options o = {.seed = 7,
                                   .steps = STEPS,
                                   .accumulate = PARTS,
                                   .lr = 0.05f,
                                   .schedule = "cosine",
                                   .warmup = 2,
                                   .weight_decay = 0.3f,
                                   .beta1 = 0.8f,
                                   .beta2 = 0.95f,
                                   .epsilon = 1e-6f,
                                   .clip = 2,
                                   .ema = "0.4,0.125,0.90,2.5e-1"};
    net n = make_net(o);
    static plain p;
    p = (plain){0};
    float *flat = read_flat(&n, fcl_learner_weights(n.learner));
    for (int i = 0; i < SLICES; i++)
        for (int64_t k = 0; k < size_of(&n, i); k++)
            for (int a = 0; a < FCL_AVERAGES; a++)
                p.w[i][k] = p.ema[a][i][k] = slice_in(&n, flat, i)[k];
    free(flat);
    double losses = 0, norms = 0, loss, norm;
    for (int step = 0; step < STEPS; step++) {
        double g[SLICES][MOST] = {0};
        for (int part = 0; part < PARTS; part++) {
            float factor[SLICES][MOST];
            draw(factor);
            run(&n, factor);
            for (int i = 0; i < SLICES; i++)
                for (int64_t k = 0; k < size_of(&n, i); k++) {
                    g[i][k] += (double)factor[i][k] / PARTS;
                    losses += (double)factor[i][k] * p.w[i][k] / PARTS;
                }
        }
        norms += plain_step(&n, &p, &o, step, g);
        assert_ok(fcl_learner_step(n.learner));
    }
    check_state(&n, FCL_STATE_WEIGHTS, p.w, 1e-5);
    for (int a = 0; a < FCL_AVERAGES; a++)
        check_state(&n, fcl_state_average(a), p.ema[a], 1e-5);
    assert_null(fcl_learner_average(n.learner, FCL_AVERAGES));
    assert_null(fcl_learner_average(n.learner, -1));
    check_state(&n, FCL_STATE_M, p.m, 1e-5);
    check_state(&n, FCL_STATE_V, p.v, 1e-5);
    assert_ok(fcl_learner_loss(n.learner, &loss, &norm));
    assert_float_equal(loss, losses / STEPS, 1e-4 * (1 + fabs(loss)));
    assert_float_equal(norm, norms / STEPS, 1e-5 * norm);
    assert_int_equal(fcl_learner_steps(n.learner), STEPS);
    assert_ok(fcl_learner_loss(n.learner, &loss, NULL)); /* of no steps */
    assert_true(loss == 0);
    destroy_net(&n);
}

/* Losses of more steps than the device keeps: the mean is of all of them. */
static void test_many_steps(void **state)
{
    (void)state;
    if (trial_tiny())
        skip();
    enum { STEPS = FCL_RING + 76 };
    fcl_params *params = fcl_params_create();
    fcl_params_declare(params, FCL_SHAPE(1), FCL_INIT_ZEROS, 0, "w");
    fcl_learner *learner;
    double loss;
    assert_ok(fcl_learner_create(device, params, &(fcl_learner_options){.steps = STEPS}, &learner));
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor **w = fcl_learner_bind(learner, graph), *number = fcl_scalar(graph, "number");
    fcl_learner_minimise(learner, w, fcl_add(number, fcl_scale(fcl_sum(w[0]), 0)));
    assert_ok(fcl_graph_compile(graph, device, NULL));
    for (int step = 0; step < STEPS; step++) {
        fcl_scalar_set(number, (float)step);
        assert_ok(fcl_graph_run(graph));
        assert_ok(fcl_learner_step(learner));
    }
    assert_ok(fcl_learner_loss(learner, &loss, NULL));
    assert_float_equal(loss, (STEPS - 1) / 2.0, 1e-9);
    fcl_free(w);
    fcl_graph_destroy(&graph);
    fcl_learner_destroy(&learner);
    fcl_params_destroy(&params);
}

static void test_not_finite(void **state)
{
    (void)state;
    net n = make_net((fcl_learner_options){0});
    float factor[SLICES][MOST];
    draw(factor);
    run(&n, factor);
    assert_ok(fcl_learner_step(n.learner));
    float *before = read_flat(&n, fcl_learner_weights(n.learner));
    factor[KERNEL][3] = INFINITY;
    run(&n, factor);
    assert_ok(fcl_learner_step(n.learner));
    float *after = read_flat(&n, fcl_learner_weights(n.learner));
    assert_memory_equal(before, after, fcl_params_bytes(n.params));
    double loss;
    assert_status(FCL_ERR_NUMERIC, fcl_learner_loss(n.learner, &loss, NULL));
    assert_told("at step 2");
    assert_status(FCL_ERR_NUMERIC, fcl_learner_save(n.learner, scratch_path("nan.safetensors")));
    assert_int_equal(scratch_count("nan.safetensors"), 0);
    free(before);
    free(after);
    destroy_net(&n);
}

/* --- parameters --- */

static void test_layout(void **state)
{
    (void)state;
    fcl_params *params = declare();
    const size_t one = FCL_BUFFER_ALIGN; /* each of these fits into it */
    const size_t offset[SLICES] = {[MATRIX] = 0, [KERNEL] = one, [NORM] = 2 * one, [BIAS] = 3 * one, [TABLE] = 4 * one};
    for (int i = 0; i < SLICES; i++)
        assert_int_equal(fcl_params_at(params, i)->offset, offset[i]);
    assert_int_equal(fcl_params_decayed_bytes(params), 2 * one);
    assert_int_equal(fcl_params_trained_bytes(params), 4 * one);
    assert_int_equal(fcl_params_bytes(params), 5 * one);
    assert_int_equal(fcl_params_trained(params), TRAINED);
    const fcl_shape kernel = fcl_param_file_shape(fcl_params_at(params, KERNEL));
    const int64_t dims[] = {OUT, IN, HIGH, WIDE};
    for (int i = 0; i < 4; i++)
        assert_int_equal(kernel.dim[i], dims[i]);
    fcl_params_destroy(&params);
}

static void check_mistake(const fcl_param *slice, const char *name, const char *told)
{
    fcl_params *params = declare();
    fcl_learner *learner;
    fcl_params_add(params, slice, "%s", name);
    fcl_params_add(params, &(fcl_param){.shape = FCL_SHAPE(-1), .frozen = true},
                   "later"); /* the first mistake counts */
    assert_status(FCL_ERR_ARGUMENT, fcl_params_check(params));
    assert_told(told);
    assert_status(FCL_ERR_ARGUMENT, fcl_learner_create(device, params, NULL, &learner));
    assert_null(learner);
    assert_told(told);
    fcl_params_destroy(&params);
}

static void test_mistakes(void **state)
{
    (void)state;
    const fcl_shape square = FCL_SHAPE(2, 2);
    check_mistake(&(fcl_param){.shape = square}, "late", "late is trained, and follows the frozen slice table");
    check_mistake(&(fcl_param){.shape = square, .frozen = true}, "matrix", "two slices of the name matrix");
    check_mistake(&(fcl_param){.shape = square, .frozen = true}, "", "no name");
    check_mistake(&(fcl_param){.shape = square, .frozen = true, .order = {1, 1}}, "x", "the order of x");
    check_mistake(&(fcl_param){.shape = square, .frozen = true, .order = {0, 2}}, "x", "the order of x");
    check_mistake(&(fcl_param){.shape = FCL_SHAPE(3, 0), .frozen = true}, "x", "shape (3, 0)");
    check_mistake(&(fcl_param){.shape = {.rank = FCL_MAX_RANK + 1}, .frozen = true}, "x", "x cannot have the shape");
    fcl_params *params = fcl_params_create();
    fcl_learner *learner;
    assert_status(FCL_ERR_ARGUMENT, fcl_learner_create(device, params, NULL, &learner));
    assert_told("none is trained");
    fcl_params_declare(params, FCL_SHAPE(2), FCL_INIT_ZEROS, 0, "adam.m.x");
    assert_status(FCL_ERR_ARGUMENT, fcl_learner_create(device, params, NULL, &learner));
    assert_told("cannot begin with \"adam.m.\"");
    fcl_params_destroy(&params);
    params = declare();
    assert_status(FCL_ERR_ARGUMENT, fcl_learner_create(device, params, &(fcl_learner_options){.lr = -1}, &learner));
    assert_told("lr");
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_learner_create(device, params, &(fcl_learner_options){.schedule = "cosin"}, &learner));
    assert_told("cosine");
    assert_status(FCL_ERR_ARGUMENT, fcl_learner_check(&(fcl_learner_options){.steps = 10, .warmup = 11}));
    assert_told("warm-up of 11 steps");
    fcl_params_destroy(&params);
}

static void test_loss_is_one_number(void **state)
{
    (void)state;
    fcl_params *params = declare();
    fcl_learner *learner;
    assert_ok(fcl_learner_create(device, params, NULL, &learner));
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor **w = fcl_learner_bind(learner, graph);
    fcl_learner_minimise(learner, w, w[NORM]);
    assert_status(FCL_ERR_SHAPE, fcl_graph_compile(graph, device, NULL));
    assert_told("not (7)");
    fcl_free(w);
    fcl_graph_destroy(&graph);
    fcl_learner_destroy(&learner);
    fcl_params_destroy(&params);
}

/* The order in which a slice is kept changes no first value. */
static void test_first_values(void **state)
{
    (void)state;
    net n = make_net((fcl_learner_options){.seed = 11});
    float *flat = read_flat(&n, fcl_learner_weights(n.learner));
    fcl_params *same = fcl_params_create();
    fcl_learner *learner;
    fcl_params_declare(same, FCL_SHAPE(3, 5), FCL_INIT_NORMAL, 1, "matrix");
    fcl_params_declare(same, FCL_SHAPE(7), FCL_INIT_ONES, 1, "norm");
    fcl_params_declare(same, FCL_SHAPE(OUT, IN, HIGH, WIDE), FCL_INIT_UNIFORM, 0.5f, "kernel");
    assert_ok(fcl_learner_create(device, same, &(fcl_learner_options){.seed = 11}, &learner));
    float file[OUT][IN][HIGH][WIDE];
    assert_ok(fcl_buffer_read(fcl_learner_weights(learner), fcl_params_at(same, KERNEL)->offset, sizeof file, file));
    const float *kernel = slice_in(&n, flat, KERNEL);
    for (int o = 0; o < OUT; o++)
        for (int i = 0; i < IN; i++)
            for (int y = 0; y < HIGH; y++)
                for (int x = 0; x < WIDE; x++)
                    assert_true(file[o][i][y][x] == kernel[((o * HIGH + y) * WIDE + x) * IN + i]);
    fcl_learner_destroy(&learner);
    fcl_params_destroy(&same);
    free(flat);
    destroy_net(&n);
}

/* --- files --- */

static void read_file(const char *path, uint8_t **bytes, size_t *size)
{
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    fseek(stream, 0, SEEK_END);
    *size = (size_t)ftell(stream);
    rewind(stream);
    *bytes = malloc(*size);
    assert_int_equal(fread(*bytes, 1, *size, stream), *size);
    fclose(stream);
}

/* By the format's own description: a length, a JSON header, the numbers. */
typedef struct parsed {
    uint8_t *bytes;
    json_t *header;
    const uint8_t *data;
} parsed;

static parsed parse(const char *path)
{
    parsed p;
    size_t size;
    uint64_t length = 0;
    read_file(path, &p.bytes, &size);
    for (int i = 7; i >= 0; i--)
        length = length << 8 | p.bytes[i];
    p.header = json_loadb((const char *)p.bytes + 8, length, 0, NULL);
    assert_non_null(p.header);
    p.data = p.bytes + 8 + length;
    return p;
}

static void free_parsed(parsed *p)
{
    json_decref(p->header);
    free(p->bytes);
}

static const float *tensor_of(const parsed *p, const char *prefix, const char *name, int rank, const int *shape)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    json_t *tensor = json_object_get(p->header, full), *told = json_object_get(tensor, "shape");
    assert_non_null(tensor);
    assert_int_equal(json_array_size(told), rank);
    for (int i = 0; i < rank; i++)
        assert_int_equal(json_integer_value(json_array_get(told, (size_t)i)), shape[i]);
    json_int_t begin = json_integer_value(json_array_get(json_object_get(tensor, "data_offsets"), 0));
    return (const float *)(const void *)(p->data + begin); /* data begin at a multiple of 64 */
}

enum { AVERAGES = 3 }; /* of `trained` */

static const char *const prefixes[FCL_STATES + AVERAGES - 1] = {"", "ema.", "adam.m.", "adam.v.", "ema.0.9.", "ema.0.099."};

/* The file has PyTorch's order, of weights, averages and moments; what lies between is as it was. */
static void check_file(const net *n, const char *path)
{
    parsed p = parse(path);
    for (fcl_state state = 0; state < FCL_STATES + AVERAGES - 1; state++) {
        float *flat = read_flat(n, n->learner->state[state]);
        const float *kernel = tensor_of(&p, prefixes[state], "kernel", 4, (const int[]){OUT, IN, HIGH, WIDE});
        const float *matrix = tensor_of(&p, prefixes[state], "matrix", 2, (const int[]){3, 5});
        assert_memory_equal(matrix, slice_in(n, flat, MATRIX), 15 * sizeof *matrix);
        for (int o = 0; o < OUT; o++)
            for (int i = 0; i < IN; i++)
                for (int y = 0; y < HIGH; y++)
                    for (int x = 0; x < WIDE; x++)
                        assert_true(kernel[((o * IN + i) * HIGH + y) * WIDE + x] ==
                                    slice_in(n, flat, KERNEL)[((o * HIGH + y) * WIDE + x) * IN + i]);
        if (state == FCL_STATE_WEIGHTS) {
            const float *table = tensor_of(&p, "", "table", 2, (const int[]){3, 2});
            for (int i = 0; i < 6; i++)
                assert_true(table[i % 3 * 2 + i / 3] == slice_in(n, flat, TABLE)[i]);
        }
        free(flat);
    }
    assert_int_equal(json_object_size(p.header), 1 + SLICES + (2 + AVERAGES) * TRAINED);
    free_parsed(&p);
}

static void go_on(net *n, uint64_t mark, int steps)
{
    trial_return(mark);
    for (int step = 0; step < steps; step++) {
        float factor[SLICES][MOST];
        draw(factor);
        run(n, factor);
        assert_ok(fcl_learner_step(n->learner));
    }
}

static void assert_same_numbers(const net *n, fcl_buffer *a, fcl_buffer *b)
{
    float *one = read_flat(n, a), *two = read_flat(n, b);
    assert_memory_equal(one, two, fcl_params_bytes(n->params));
    free(one);
    free(two);
}

static void assert_same(const net *a, const net *b)
{
    for (fcl_state state = 0; state < FCL_ALL_STATES; state++)
        if (a->learner->state[state])
            assert_same_numbers(a, a->learner->state[state], b->learner->state[state]);
}

static const fcl_learner_options trained = {.seed = 3, .steps = 20, .lr = 0.03f, .weight_decay = 0.1f, .ema = "0.09,0.9,0.099"};

static void test_goes_on(void **state)
{
    (void)state;
    fcl_learner_options other = trained;
    other.seed = 4;
    net whole = make_net(trained), second = make_net(other);
    go_on(&whole, trial_mark(), 3);
    assert_ok(fcl_learner_save(whole.learner, scratch_path("half.safetensors")));
    check_file(&whole, scratch_path("half.safetensors"));
    assert_ok(fcl_learner_load(second.learner, scratch_path("half.safetensors")));
    assert_int_equal(fcl_learner_steps(second.learner), 3);
    assert_same(&whole, &second);
    uint64_t mark = trial_mark();
    go_on(&whole, mark, 4);
    go_on(&second, mark, 4);
    assert_same(&whole, &second);
    uint8_t *one, *two;
    size_t size, size_two;
    assert_ok(fcl_learner_save(whole.learner, scratch_path("a.safetensors")));
    assert_ok(fcl_learner_save(second.learner, scratch_path("b.safetensors")));
    read_file(scratch_path("a.safetensors"), &one, &size);
    read_file(scratch_path("b.safetensors"), &two, &size_two);
    assert_int_equal(size, size_two);
    assert_memory_equal(one, two, size);
    free(one);
    free(two);
    destroy_net(&second);
    destroy_net(&whole);
}

static void test_average_begins_with_weights(void **state)
{
    (void)state;
    fcl_learner_options without = trained;
    without.ema = "off";
    net off = make_net(without), on = make_net(trained);
    assert_null(fcl_learner_ema(off.learner));
    go_on(&off, trial_mark(), 2);
    assert_ok(fcl_learner_save(off.learner, scratch_path("off.safetensors")));
    assert_ok(fcl_learner_load(on.learner, scratch_path("off.safetensors")));
    for (int i = 0; i < AVERAGES; i++)
        assert_same_numbers(&on, fcl_learner_weights(on.learner), fcl_learner_average(on.learner, i));
    destroy_net(&on);
    destroy_net(&off);
}

static net net_with(const char *ema)
{
    fcl_learner_options options = trained;
    options.ema = ema;
    return make_net(options);
}

/* An average is known by its decay, wherever it stands; one that the file has not begins with the weights. */
static void test_other_averages(void **state)
{
    (void)state;
    const char *path = scratch_path("averages.safetensors");
    net n = net_with("0.09,0.9,0.099"), moved = net_with("0.5,0.90,9e-2"), one = net_with("0.9"), off = net_with("off");
    go_on(&n, trial_mark(), 3);
    assert_ok(fcl_learner_save(n.learner, path));
    assert_ok(fcl_learner_load(moved.learner, path));
    assert_same_numbers(&n, fcl_learner_weights(n.learner), fcl_learner_average(moved.learner, 0));
    assert_same_numbers(&n, fcl_learner_average(n.learner, 1), fcl_learner_average(moved.learner, 1));
    assert_same_numbers(&n, fcl_learner_average(n.learner, 0), fcl_learner_average(moved.learner, 2));
    assert_ok(fcl_learner_load(one.learner, path));
    assert_same_numbers(&n, fcl_learner_average(n.learner, 1), fcl_learner_ema(one.learner));
    assert_ok(fcl_learner_load(off.learner, path));
    assert_same_numbers(&n, fcl_learner_weights(n.learner), fcl_learner_weights(off.learner));
    assert_ok(fcl_learner_begin_with(moved.learner, path)); /* the first with the first, of the others what is there */
    assert_same_numbers(&n, fcl_learner_average(n.learner, 0), fcl_learner_average(moved.learner, 0));
    assert_same_numbers(&n, fcl_learner_average(n.learner, 1), fcl_learner_average(moved.learner, 1));
    assert_same_numbers(&n, fcl_learner_weights(n.learner), fcl_learner_average(moved.learner, 2));
    destroy_net(&off);
    destroy_net(&one);
    destroy_net(&moved);
    destroy_net(&n);
}

/* Where both have one alone it goes on under its new decay. */
static void test_the_only_average_goes_on(void **state)
{
    (void)state;
    const char *path = scratch_path("one.safetensors");
    net n = net_with("0.3"), other = net_with("0.6"), two = net_with("0.6,0.7");
    go_on(&n, trial_mark(), 3);
    assert_ok(fcl_learner_save(n.learner, path));
    assert_ok(fcl_learner_load(other.learner, path));
    assert_same_numbers(&n, fcl_learner_ema(n.learner), fcl_learner_ema(other.learner));
    assert_ok(fcl_learner_load(two.learner, path));
    assert_same_numbers(&n, fcl_learner_weights(n.learner), fcl_learner_average(two.learner, 0));
    destroy_net(&two);
    destroy_net(&other);
    destroy_net(&n);
}

static void test_decays_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *ema, *told;
    } bad[] = {
        {"0.9,", "\"0.9,\" is not usable: expected a decay above 0 and up to 0.9999999"},
        {"0.9,0.90", "has a decay twice"},
        {"0.1,0.2,0.3,0.4,0.5", "has more than four"},
        {"1", "is not usable"},
        {"-0.5", "is not usable"},
        {"0.9,0", "is not usable"},
        {"0.9 0.8", "is not usable"},
        {"nan", "is not usable"},
        {"0.9,off", "is not usable"},
        {",", "is not usable"},
        {"0x1p-1", "is not usable"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_status(FCL_ERR_ARGUMENT, fcl_learner_check(&(fcl_learner_options){.ema = bad[i].ema}));
        assert_told(bad[i].told);
    }
    static const char *const good[] = {"off", "OFF", "0", "0.0", "0.9999999", "1e-7,0.5", "+0.5"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_ok(fcl_learner_check(&(fcl_learner_options){.ema = good[i]}));
}

/* "ema.0.5.w" would be the first average of 0.5.w and the second of w. */
static void test_names_that_are_averages(void **state)
{
    (void)state;
    fcl_params *params = fcl_params_create();
    fcl_learner *learner;
    fcl_params_declare(params, FCL_SHAPE(1), FCL_INIT_ZEROS, 0, "w");
    fcl_params_declare(params, FCL_SHAPE(1), FCL_INIT_ZEROS, 0, "0.5.w");
    assert_status(FCL_ERR_ARGUMENT, fcl_learner_create(device, params, &(fcl_learner_options){.ema = "0.9,0.5"}, &learner));
    assert_told("0.5.w cannot begin with \"0.5.\"");
    assert_ok(fcl_learner_create(device, params, &(fcl_learner_options){.ema = "0.5,0.9"}, &learner));
    fcl_learner_destroy(&learner);
    fcl_params_destroy(&params);
}

/* Any byte that another has taken the place of is noticed, and no learner changed. */
static void test_damage(void **state)
{
    (void)state;
    if (trial_tiny())
        skip();
    net n = make_net(trained), other = make_net(trained);
    go_on(&n, trial_mark(), 2);
    assert_ok(fcl_learner_save(n.learner, scratch_path("good.safetensors")));
    assert_ok(fcl_learner_load(other.learner, scratch_path("good.safetensors")));
    uint8_t *bytes;
    size_t size;
    read_file(scratch_path("good.safetensors"), &bytes, &size);
    for (size_t i = 0; i < size; i++) {
        uint8_t bit = (uint8_t)(1 << trial_int(0, 7));
        bytes[i] ^= bit;
        const char *path = scratch_write("bad.safetensors", bytes, size);
        bytes[i] ^= bit;
        assert_status(FCL_ERR_FORMAT, fcl_learner_load(other.learner, path));
        assert_told(path);
    }
    assert_same(&n, &other);
    free(bytes);
    destroy_net(&other);
    destroy_net(&n);
}

/* --- several --- */

/* Two numbers, each with a loss of its own in one graph: a follows b, and b goes to 3 as if a were not there. */
static void test_two_in_a_graph(void **state)
{
    (void)state;
    fcl_params *params[2] = {fcl_params_create(), fcl_params_create()};
    fcl_learner *learner[2], *again[2];
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor **w[2];
    for (int i = 0; i < 2; i++) {
        fcl_params_declare(params[i], FCL_SHAPE(4), FCL_INIT_NORMAL, 1, "w");
        fcl_learner_options options = {.seed = (uint64_t)i + 1, .lr = 0.1f};
        assert_ok(fcl_learner_create(device, params[i], &options, &learner[i]));
        assert_ok(fcl_learner_create(device, params[i], &options, &again[i]));
        w[i] = fcl_learner_bind(learner[i], graph);
    }
    fcl_learner_minimise(learner[0], w[0], fcl_mean(fcl_square(fcl_sub(w[0][0], w[1][0]))));
    fcl_learner_minimise(learner[1], w[1], fcl_mean(fcl_square(fcl_shift(w[1][0], -3))));
    assert_ok(fcl_graph_compile(graph, device, NULL));
    float a[4], b[4], gradient[2][4];
    assert_ok(fcl_buffer_read(fcl_learner_weights(learner[0]), 0, sizeof a, a));
    assert_ok(fcl_buffer_read(fcl_learner_weights(learner[1]), 0, sizeof b, b));
    assert_ok(fcl_graph_run(graph));
    double loss[2] = {0}, found;
    for (int i = 0; i < 2; i++)
        assert_ok(fcl_buffer_read(fcl_learner_gradients(learner[i]), 0, sizeof gradient[i], gradient[i]));
    for (int k = 0; k < 4; k++) {
        assert_float_equal(gradient[0][k], (a[k] - b[k]) / 2, 1e-5);
        assert_float_equal(gradient[1][k], (b[k] - 3) / 2, 1e-5);
        loss[0] += pow((double)a[k] - b[k], 2) / 4;
        loss[1] += pow((double)b[k] - 3, 2) / 4;
    }
    for (int i = 0; i < 2; i++) {
        assert_ok(fcl_learner_step(learner[i]));
        assert_ok(fcl_learner_loss(learner[i], &found, NULL));
        assert_float_equal(found, loss[i], 1e-5 * (1 + loss[i]));
    }
    assert_ok(fcl_learner_step(learner[1])); /* they need not go at one pace */

    const char *const names[] = {"actor", "critic"}, *const alike[] = {"x", "x"}, *const bare[] = {"", "x"},
                      *const pointed[] = {"a.b", "c"}, *const third[] = {"third"};
    const char *path = scratch_path("both.safetensors");
    assert_ok(fcl_learners_save(path, 2, learner, names));
    parsed p = parse(path);
    float *there = malloc(sizeof b);
    assert_ok(fcl_buffer_read(fcl_learner_weights(learner[1]), 0, sizeof b, there));
    assert_memory_equal(tensor_of(&p, "", "critic.w", 1, (const int[]){4}), there, sizeof b);
    tensor_of(&p, "adam.m.", "actor.w", 1, (const int[]){4});
    free_parsed(&p);
    assert_ok(fcl_learners_load(path, 1, &again[1], &names[1])); /* of several some */
    assert_int_equal(fcl_learner_steps(again[1]), 2);
    float *back = malloc(sizeof b);
    assert_ok(fcl_buffer_read(fcl_learner_weights(again[1]), 0, sizeof b, back));
    assert_memory_equal(back, there, sizeof b);
    free(back);
    free(there);
    assert_ok(fcl_learners_load(path, 2, again, names));
    assert_int_equal(fcl_learner_steps(again[0]), 1);
    assert_status(FCL_ERR_FORMAT, fcl_learners_load(path, 1, again, third));
    assert_told("no learner called third");
    assert_status(FCL_ERR_FORMAT, fcl_learner_load(again[0], path));
    assert_told("no learner without a name");
    assert_status(FCL_ERR_ARGUMENT, fcl_learners_save(path, 2, learner, alike));
    assert_status(FCL_ERR_ARGUMENT, fcl_learners_save(path, 2, learner, bare));
    assert_status(FCL_ERR_ARGUMENT, fcl_learners_save(path, 2, learner, pointed));
    for (int i = 0; i < 2; i++) {
        fcl_free(w[i]);
        fcl_learner_destroy(&learner[i]);
        fcl_learner_destroy(&again[i]);
    }
    fcl_graph_destroy(&graph);
    for (int i = 0; i < 2; i++)
        fcl_params_destroy(&params[i]);
}

/* --- weights of another program --- */

/* The file of `count` tensors w of doubles, shape (3, 2), in turn; numbers 1, 2, ... */
static const char *write_doubles(const char *names[2])
{
    char header[512], content[1024];
    int length = snprintf(header, sizeof header,
                          "{\"%s\":{\"dtype\":\"F64\",\"shape\":[3,2],\"data_offsets\":[0,48]},"
                          "\"%s\":{\"dtype\":\"F64\",\"shape\":[3,2],\"data_offsets\":[48,96]}}",
                          names[0], names[1]);
    for (int i = 0; i < 8; i++)
        content[i] = (char)((uint64_t)length >> 8 * i);
    memcpy(content + 8, header, (size_t)length);
    for (int i = 0; i < 12; i++)
        memcpy(content + 8 + length + 8 * i, &(double){i + 1}, 8);
    return scratch_write("theirs.safetensors", content, (size_t)(8 + length + 96));
}

static void test_begins_with(void **state)
{
    (void)state;
    fcl_params *params = fcl_params_create();
    fcl_learner *learner;
    float w[2][3], ema[2][3];
    fcl_params_add(params, &(fcl_param){.shape = FCL_SHAPE(2, 3), .order = {1, 0}}, "w");
    assert_ok(fcl_learner_create(device, params, NULL, &learner));
    assert_ok(fcl_learner_begin_with(learner, write_doubles((const char *[]){"w", "further"})));
    assert_ok(fcl_buffer_read(fcl_learner_weights(learner), 0, sizeof w, w));
    assert_ok(fcl_buffer_read(fcl_learner_ema(learner), 0, sizeof ema, ema));
    for (int i = 0; i < 6; i++)
        assert_true(w[i % 2][i / 2] == (float)i + 1);
    assert_memory_equal(w, ema, sizeof w);
    assert_ok(fcl_learner_begin_with(learner, write_doubles((const char *[]){"ema.w", "w"})));
    assert_ok(fcl_buffer_read(fcl_learner_weights(learner), 0, sizeof w, w));
    assert_ok(fcl_buffer_read(fcl_learner_ema(learner), 0, sizeof ema, ema));
    for (int i = 0; i < 6; i++)
        assert_true(w[i % 2][i / 2] == (float)i + 7 && ema[i % 2][i / 2] == (float)i + 1);
    assert_int_equal(fcl_learner_steps(learner), 0);
    const char *none = write_doubles((const char *[]){"v", "u"});
    assert_status(FCL_ERR_FORMAT, fcl_learner_begin_with(learner, none));
    assert_told("lacks tensor \"w\"");
    assert_status(FCL_ERR_FORMAT, fcl_learner_load(learner, none));
    assert_told("fcl_learner_begin_with");
    assert_status(FCL_ERR_FILE, fcl_learner_load(learner, scratch_path("none.safetensors")));
    assert_ok(fcl_buffer_read(fcl_learner_weights(learner), 0, sizeof ema, ema));
    assert_memory_equal(w, ema, sizeof w);
    fcl_learner_destroy(&learner);
    fcl_params_destroy(&params);
}

/* --- options --- */

/* A program binds them as its own, with the defaults of a training. */
static void test_options(void **state)
{
    (void)state;
    fcl_learner_options bound = {0};
    fcl_options *options = fcl_options_create();
    assert_ok(fcl_options_add(options, fcl_learner_table, &bound));
    assert_ok(fcl_options_set(options, "weight-decay", "0.25", FCL_FROM_COMMAND_LINE));
    assert_ok(fcl_options_finish(options));
    assert_true(bound.weight_decay == 0.25f && bound.lr == 0.005f && bound.clip == 1 && bound.accumulate == 1);
    assert_string_equal(bound.schedule, "cosine");
    for (int step = 0; step < 5000; step += 499)
        assert_float_equal(fcl_learner_rate(&bound, step), 0.0025 * (1 + cos(M_PI * step / 5000)), 1e-9);
    assert_true(fcl_learner_rate(&bound, 5000) < 1e-9 &&
                fcl_learner_rate(&bound, 7500) < 1e-9); /* it does not rise again */
    assert_true(fcl_learner_rate(&(fcl_learner_options){0}, 0) == (double)0.005f);
    fcl_options_destroy(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_many_steps),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_loss_is_one_number),
        cmocka_unit_test(test_first_values),
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_average_begins_with_weights),
        cmocka_unit_test(test_other_averages),
        cmocka_unit_test(test_the_only_average_goes_on),
        cmocka_unit_test(test_decays_are_refused),
        cmocka_unit_test(test_names_that_are_averages),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_two_in_a_graph),
        cmocka_unit_test(test_begins_with),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
