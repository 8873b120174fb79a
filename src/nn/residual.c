/* The residual block of U-Nets:
 *
 *     h = in_layers.2 resample(silu(in_layers.0 x))
 *     e = emb_layers.1 silu(embedding)
 *     h = out_layers.0 (h + e), or (1 + a) out_layers.0 h + b where scale_shift, e = (a, b)
 *     y = skip_connection resample(x) + out_layers.3 dropout(silu(h)) */
#include "nn/layers.h"

#include "graph/graph.h"

#include <stdio.h>

/* What its parts are declared with. */
typedef struct declaring {
    fcl_params *params;
    const char *name;
    int64_t out;
} declaring;

static const char *part(const declaring *s, const char *of, char text[256])
{
    snprintf(text, 256, "%s.%s", s->name, of);
    return text;
}

/* ADM's norms are of 32 groups. */
static fcl_layer_group_norm declare_norm(const declaring *s, const char *of, int groups, int64_t channels)
{
    char text[256];
    return fcl_group_norm_declare(s->params, groups ? groups : 32, channels, NULL, part(s, of, text));
}

static fcl_layer_conv2d declare_conv(const declaring *s, const char *of, int64_t in, int side, bool upsample, bool zeros)
{
    char text[256];
    return fcl_conv2d_declare(s->params, in, s->out, side, &(fcl_conv2d_options){.padding = side / 2, .upsample = upsample},
                              &(fcl_layer_options){.zeros = zeros}, part(s, of, text));
}

fcl_layer_residual fcl_residual_declare(fcl_params *params, int64_t in, const fcl_residual_options *options,
                                        const char *name)
{
    char text[256];
    fcl_layer_residual layer = {.how = options ? *options : (fcl_residual_options){0}};
    const fcl_residual_options *how = &layer.how;
    const declaring s = {params, name, how->out ? how->out : in};
    layer.norm[0] = declare_norm(&s, "in_layers.0", how->groups, in);
    layer.conv[0] = declare_conv(&s, "in_layers.2", in, 3, how->resample == FCL_RESAMPLE_UP, false);
    if (how->embedding)
        layer.embedding = fcl_linear_declare_with(params, how->embedding, how->scale_shift ? 2 * s.out : s.out, NULL,
                                                  part(&s, "emb_layers.1", text));
    else if (how->scale_shift)
        fcl_params_mistake(params, "%s: scale_shift is about an embedding, and the block has none", name);
    layer.norm[1] = declare_norm(&s, "out_layers.0", how->groups, s.out);
    layer.dropout = fcl_dropout_declare(params, how->dropout, name);
    layer.conv[1] = declare_conv(&s, "out_layers.3", s.out, 3, false, true);
    layer.has_skip = s.out != in;
    if (layer.has_skip)
        layer.skip = declare_conv(&s, "skip_connection", in, 1, false, false);
    return layer;
}

/* What goes round the block: a kernel of 1 x 1 goes before the larger of both images. */
static fcl_tensor *build_skip(const fcl_layer_residual *layer, fcl_tensor *const *weights, fcl_tensor *x)
{
    if (layer->how.resample == FCL_RESAMPLE_DOWN)
        x = fcl_avg_pool2d(x);
    if (layer->has_skip)
        x = fcl_conv2d_build(layer->skip, weights, x);
    return layer->how.resample == FCL_RESAMPLE_UP ? fcl_upsample2d(x) : x;
}

/* The second norm, with what the embedding (B, E) says. */
static fcl_tensor *build_middle(const fcl_layer_residual *layer, fcl_tensor *const *weights, fcl_tensor *h,
                                fcl_tensor *embedding)
{
    if (!layer->how.embedding || !embedding)
        return fcl_group_norm_build(layer->norm[1], weights, h);
    fcl_tensor *e = fcl_linear_build(layer->embedding, weights, fcl_silu(embedding));
    int64_t batch = fcl_tensor_shape(e).dim[0], channels = layer->norm[1].channels;
    if (!layer->how.scale_shift) {
        h = fcl_add(h, fcl_reshape(e, FCL_SHAPE(batch, 1, 1, channels)));
        return fcl_group_norm_build(layer->norm[1], weights, h);
    }
    h = fcl_group_norm_build(layer->norm[1], weights, h);
    return fcl_modulate(h, fcl_slice(e, 1, channels, 2 * channels), fcl_slice(e, 1, 0, channels));
}

static void require_embedding(const fcl_layer_residual *layer, fcl_tensor *x, const fcl_tensor *embedding)
{
    if (!embedding != !layer->how.embedding)
        fcl_mistake(fcl_tensor_graph(x), "a residual block on %s is given %s, and is declared %s one", fcl_node_text(x),
                    embedding ? "an embedding" : "no embedding", embedding ? "without" : "with");
}

fcl_tensor *fcl_residual_build(fcl_layer_residual layer, fcl_tensor *const *weights, fcl_tensor *x, fcl_tensor *embedding,
                               bool training)
{
    fcl_graph *graph = fcl_tensor_graph(x);
    require_embedding(&layer, x, embedding);
    fcl_block_begin(graph);
    fcl_tensor *h = fcl_silu(fcl_group_norm_build(layer.norm[0], weights, x));
    if (layer.how.resample == FCL_RESAMPLE_DOWN)
        h = fcl_avg_pool2d(h);
    h = fcl_conv2d_build(layer.conv[0], weights, h);
    h = fcl_silu(build_middle(&layer, weights, h, embedding));
    h = fcl_conv2d_build(layer.conv[1], weights, fcl_dropout_build(layer.dropout, h, training));
    h = fcl_add(build_skip(&layer, weights, x), h);
    fcl_block_end(graph);
    return h;
}
