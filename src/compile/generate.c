/* The text of fused kernels. An operand's form stands in the text (whole, row, column, single number), and so
 * do the sizes that divide indices: a compiler can only vectorise what it can see. */
#include "compile/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

fcl_operand fcl_classify(fcl_shape from, fcl_shape to)
{
    if (fcl_shape_size(from) == 1)
        return (fcl_operand){FCL_SINGLE, 1, 1};
    int changes = 0, previous = -1, last_same = -1;
    int64_t trailing = 1, size[2] = {1, 1}; /* elements up to the first change, and up to the second */
    for (int d = 0; d < to.rank; d++) {
        int64_t dim = fcl_shape_from_end(to, d);
        if (dim == 1)
            continue;
        int same = fcl_shape_from_end(from, d) == dim;
        if (previous < 0)
            last_same = same;
        else if (same != previous && ++changes <= 2)
            size[changes - 1] = trailing;
        trailing *= dim;
        previous = same;
    }
    if (changes == 0)
        return (fcl_operand){FCL_WHOLE, 1, 1};
    if (changes == 1)
        return (fcl_operand){last_same ? FCL_COLUMN : FCL_ROW_OPERAND, size[0], 1};
    if (changes == 2 && last_same)
        return (fcl_operand){FCL_SAMPLE_COLUMN, size[0], size[1]};
    if (changes == 2)
        return (fcl_operand){FCL_MIDDLE, size[0], size[1] / size[0]};
    return (fcl_operand){FCL_SCATTERED, 1, 1};
}

bool fcl_generate_scattered(const fcl_tensor *node)
{
    for (int k = 0; k < node->inputs; k++)
        if (fcl_classify(node->input[k]->shape, node->shape).form >= FCL_MIDDLE)
            return true;
    return node->op->element.single;
}

int fcl_generate_slot(fcl_tensor **list, int *count, fcl_tensor *tensor)
{
    for (int i = 0; i < *count; i++)
        if (list[i] == tensor)
            return i;
    list[*count] = tensor;
    return (*count)++;
}

int fcl_step_member(const fcl_step *step, const fcl_tensor *node)
{
    for (int i = 0; i < step->members; i++)
        if (step->member[i] == node)
            return i;
    return -1;
}

static void add_number(fcl_text *text, float value)
{
    if (isnan(value))
        fcl_text_add(text, "(real)(NAN)");
    else if (isinf(value))
        fcl_text_add(text, value > 0 ? "(real)(INFINITY)" : "(real)(-INFINITY)");
    else
        fcl_text_format(text, "(real)(%.9ef)", (double)value);
}

void fcl_generate_literal(fcl_generated *g, fcl_tensor *root)
{
    if (root->op->leaf == FCL_LEAF_CONSTANT)
        add_number(&g->body, root->scalar);
    else
        fcl_text_format(&g->body, "(real)(s%d)", fcl_generate_slot(g->scalar, &g->scalars, root));
}

/* The index in `from` of element i of `to`, for a broadcast of any kind. */
static void add_scattered_index(fcl_text *text, fcl_shape from, fcl_shape to)
{
    int64_t to_stride = 1, from_stride = 1;
    for (int d = 0; d < to.rank; d++) {
        int64_t dim = fcl_shape_from_end(to, d), own = fcl_shape_from_end(from, d);
        if (own != 1)
            fcl_text_format(text, "%s(i / %lld %% %lld) * %lld", from_stride > 1 ? " + " : "",
                            (long long)to_stride, (long long)dim, (long long)from_stride);
        to_stride *= dim;
        from_stride *= own;
    }
}

typedef struct chain {
    const fcl_step *step;
    fcl_generated *g;
} chain;

void fcl_generate_run(fcl_generated *g, int64_t size)
{
    while (size) {
        int64_t rest = g->run % size;
        g->run = size;
        size = rest;
    }
}

/* In an epilogue, whose kernel knows the place of its element: what has no size in its text is of products of any size. */
static bool add_place(fcl_generated *g, int x, fcl_operand how)
{
    if (how.form == FCL_COLUMN && how.size == g->cols)
        fcl_text_format(&g->body, "LOAD(x%d, col)", x);
    else if (how.form == FCL_SAMPLE_COLUMN && how.size == g->cols && how.period == g->image)
        fcl_text_format(&g->body, "LOAD(x%d, sample * cols + col)", x);
    else if (how.form == FCL_ROW_OPERAND && how.size == g->cols)
        fcl_text_format(&g->body, "(real)(x%d[item * rows + row])", x);
    else if (how.form == FCL_ROW_OPERAND && how.size == g->image)
        fcl_text_format(&g->body, "(real)(x%d[sample])", x);
    else
        return false;
    return true;
}

void fcl_generate_memory(fcl_generated *g, const fcl_tensor *node, fcl_tensor *input)
{
    fcl_operand how = fcl_classify(input->shape, node->shape);
    int x = fcl_generate_slot(g->read, &g->reads, fcl_node_root(input));
    if (add_place(g, x, how))
        return;
    switch (how.form) {
    case FCL_WHOLE:
        fcl_text_format(&g->body, "LOAD(x%d, i)", x);
        break;
    case FCL_COLUMN:
        fcl_text_format(&g->body, "LOAD(x%d, i %% %lld)", x, (long long)how.size);
        break;
    case FCL_ROW_OPERAND:
        fcl_text_format(&g->body, "(real)(x%d[i / %lld])", x, (long long)how.size);
        break;
    case FCL_SINGLE:
        fcl_text_format(&g->body, "(real)(x%d[0])", x);
        break;
    case FCL_SAMPLE_COLUMN:
        fcl_text_format(&g->body, "LOAD(x%d, i / %lld * %lld + i %% %lld)", x, (long long)how.period, (long long)how.size,
                        (long long)how.size);
        break;
    case FCL_MIDDLE:
        fcl_text_format(&g->body, "(real)(x%d[i / %lld %% %lld])", x, (long long)how.size, (long long)how.period);
        break;
    case FCL_SCATTERED:
        fcl_text_format(&g->body, "x%d[", x);
        add_scattered_index(&g->body, input->shape, node->shape);
        fcl_text_add(&g->body, "]");
    }
    if (how.form != FCL_WHOLE && how.form != FCL_SINGLE)
        fcl_generate_run(g, how.size);
}

/* The value of `input` as member `node` sees it. */
static void add_operand(void *context, const fcl_tensor *node, fcl_tensor *input)
{
    const chain *c = context;
    fcl_tensor *root = fcl_node_root(input);
    int member = fcl_step_member(c->step, root);
    if (root->op->leaf > FCL_LEAF_MEMORY)
        fcl_generate_literal(c->g, root);
    else if (member >= 0)
        fcl_text_format(&c->g->body, "v%d", member);
    else if (root == c->step->product)
        fcl_text_add(&c->g->body, "product");
    else
        fcl_generate_memory(c->g, node, input);
}

/* --- for op->element.write --- */

struct fcl_element_writer {
    fcl_generated *g;
    fcl_operand_writer *write;
    void *context;
};

fcl_text *fcl_element_text(fcl_element_writer *w)
{
    return &w->g->body;
}

int fcl_element_memory(fcl_element_writer *w, fcl_tensor *input)
{
    return fcl_generate_slot(w->g->read, &w->g->reads, fcl_node_root(input));
}

void fcl_element_operand(fcl_element_writer *w, const fcl_tensor *node, fcl_tensor *input)
{
    w->write(w->context, node, input);
}

void fcl_element_random(fcl_element_writer *w)
{
    w->g->random = true;
}

bool fcl_element_joins(const fcl_tensor *node)
{
    const fcl_element *element = &node->op->element;
    return element->write && (!element->joins || element->joins(node));
}

/* real v2; { const real a = LOAD(x0, i), b = v1; v2 = a * b; } */
void fcl_generate_member(fcl_generated *g, fcl_tensor *node, int index, fcl_operand_writer *write,
                         void *context)
{
    fcl_text_format(&g->body, "        %s v%d; {", node->type == FCL_I32 ? "int" : "real", index);
    if (!node->op->expression) {
        fcl_text_format(&g->body, " v%d = ", index);
        if (node->op->leaf) { /* a constant or scalar that goes to memory */
            fcl_generate_literal(g, node);
        } else {
            fcl_element_writer writer = {g, write, context};
            node->op->element.write(&writer, node);
            g->elements = true;
            g->run = node->op->element.single ? 1 : g->run;
        }
    } else {
        for (int k = 0; k < node->inputs; k++) {
            fcl_text_format(&g->body, "%s %c = ", k ? "," : " const real", 'a' + k);
            write(context, node, node->input[k]);
        }
        fcl_text_format(&g->body, "; v%d = %s", index, node->op->expression);
    }
    fcl_text_add(&g->body, "; }\n");
}

static void add_store(fcl_generated *g, fcl_tensor *node, const char *value)
{
    if (node->storage && node != g->result)
        fcl_text_format(&g->body, "        STORE(y%d, i, %s);\n",
                        fcl_generate_slot(g->store, &g->stores, node), value);
}

void fcl_generate_params(fcl_generated *g, bool behind_others)
{
    static const char *const types[] = {[FCL_F32] = "float", [FCL_I32] = "int", [FCL_U8] = "uchar"};
    const char *first = behind_others ? ", " : "";
    for (int i = 0; i < g->reads; i++, first = ", ")
        fcl_text_format(&g->params, "%sconst global %s *x%d", first, types[g->read[i]->type], i);
    for (int i = 0; i < g->stores; i++, first = ", ")
        fcl_text_format(&g->params, "%sglobal %s *y%d", first, types[g->store[i]->type], i);
    for (int i = 0; i < g->scalars; i++, first = ", ")
        fcl_text_format(&g->params, "%sconst float s%d", first, i);
    fcl_text_add(&g->params, ""); /* never NULL */
}

static int64_t last_sizes(fcl_shape shape, int count)
{
    int64_t size = 1;
    for (int d = 0; d < count; d++)
        size *= fcl_shape_from_end(shape, d);
    return size;
}

static fcl_tensor *product_result(const fcl_step *step)
{
    for (int i = step->members - 1; i >= 0; i--)
        if (step->member[i]->storage)
            return step->member[i];
    return step->product;
}

bool fcl_generate_is_aligned(const fcl_generated *g)
{
    bool aligned = true;
    for (int i = 0; i < g->reads; i++)
        aligned = aligned && fcl_buffer_is_aligned(g->read[i]->buffer);
    for (int i = 0; i < g->stores; i++)
        aligned = aligned && fcl_buffer_is_aligned(g->store[i]->buffer);
    return aligned;
}

void fcl_generate(const fcl_step *step, const fcl_device *device, fcl_generated *g)
{
    *g = (fcl_generated){.run = fcl_shape_size(step->shape)};
    fcl_text_add(&g->body, "");
    if (step->product) {
        g->result = product_result(step);
        g->cols = last_sizes(step->product->shape, 1);
        g->image = step->product->op->convolution ? last_sizes(step->product->shape, 3) : 0;
        fcl_text_add(&g->body, "{\n        const int i = (int)at;\n        const real product = v;\n");
        add_store(g, step->product, "product");
    }
    g->row_sum = step->row_sum ? fcl_generate_slot(g->store, &g->stores, step->row_sum) : -1;
    chain context = {step, g};
    for (int m = 0; m < step->members; m++)
        fcl_generate_member(g, step->member[m], m, add_operand, &context);
    for (int m = 0; m < step->members; m++) {
        char value[16];
        snprintf(value, sizeof value, "v%d", m);
        add_store(g, step->member[m], value);
        if (step->member[m] == g->result)
            fcl_text_format(&g->body, "        v = v%d;\n", m);
    }
    if (step->product)
        fcl_text_add(&g->body, "}\n");
    fcl_generate_params(g, step->product);
    fcl_traits traits = fcl_device_traits(device);
    g->unaligned = traits.wide;
    bool whole_runs = g->run == fcl_shape_size(step->shape) || g->run % 4 == 0;
    bool whole = g->unaligned || (whole_runs && fcl_generate_is_aligned(g));
    g->vector = whole && g->run >= traits.vector ? traits.vector : 1;
}

void fcl_generated_free(fcl_generated *g)
{
    fcl_text_free(&g->params);
    fcl_text_free(&g->body);
}

/* --- a whole kernel around a plain chain --- */

/* vload promises the alignment of a number only: GPUs would take a number at a time. */
static void add_vector_block(fcl_text *text, const fcl_generated *g)
{
    fcl_text_format(text, "#define real float%d\n", g->vector);
    if (g->unaligned)
        fcl_text_format(text,
                        "#define LOAD(p, i) vload%d(0, (p) + (i))\n#define STORE(p, i, x) vstore%d(x, 0, (p) + (i))\n",
                        g->vector, g->vector);
    else
        fcl_text_format(text,
                        "#define LOAD(p, i) (*(const global float%d *)((p) + (i)))\n"
                        "#define STORE(p, i, x) *(global float%d *)((p) + (i)) = (x)\n",
                        g->vector, g->vector);
    fcl_text_format(text, "    if (begin + %d <= end) {\n        const int i = begin;\n%s    } else\n",
                    g->vector, g->body.data);
    fcl_text_add(text, "#undef real\n#undef LOAD\n#undef STORE\n");
}

void fcl_generate_kernel(fcl_text *text, const char *name, const fcl_generated *g, int64_t size)
{
    fcl_text_format(text, "kernel void %s(%s%sconst int n%s)\n{\n    const int w = (int)get_global_id(0);\n", name,
                    g->params.data, g->params.length ? ", " : "",
                    g->random ? ", const ulong seed, const uint step, const ulong first_row" : "");
    if (g->run < size && g->vector > 1) {
        long long run = g->run, pieces = (g->run + g->vector - 1) / g->vector;
        fcl_text_format(text, "    const int row = w / %lld, begin = row * %lld + w %% %lld * %d;\n", pieces,
                        run, pieces, g->vector);
        fcl_text_format(text, "    const int end = min(min(begin + %d, row * %lld + %lld), n);\n", g->vector,
                        run, run);
    } else {
        fcl_text_format(text, "    const int begin = w * %d, end = min(begin + %d, n);\n", g->vector,
                        g->vector);
    }
    if (g->vector > 1)
        add_vector_block(text, g);
    fcl_text_add(text,
                 "#define real float\n#define LOAD(p, i) (p)[i]\n#define STORE(p, i, x) (p)[i] = (x)\n");
    fcl_text_format(text, "    for (int i = begin; i < end; i++) {\n%s    }\n", g->body.data);
    fcl_text_add(text, "#undef real\n#undef LOAD\n#undef STORE\n}\n\n");
}

size_t fcl_generate_items(const fcl_generated *g, int64_t size)
{
    int64_t rows = size / g->run, pieces = (g->run + g->vector - 1) / g->vector;
    return (size_t)(g->vector > 1 ? rows * pieces : size);
}
