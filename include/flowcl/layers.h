/* flowcl/layers.h: what networks are made of.
 *
 * A layer is a struct that holds slice numbers: `declare` fills it and adds its slices to the parameters (nn.h), `build`
 * makes its nodes in any graph, from the leaves that fcl_params_bind made of the slices, as often as asked.
 *
 *     fcl_layer_linear layer = fcl_linear_declare(params, 2, 64, "in");
 *     fcl_layer_layer_norm norm = fcl_layer_norm_declare(params, 64, NULL, "norm");
 *     ...
 *     fcl_tensor *h = fcl_silu(fcl_layer_norm_build(norm, w, fcl_linear_build(layer, w, x)));
 *
 * Names, shapes, first values and epsilons are those of the PyTorch module of the same kind, so that weights go either
 * way; the comments say which one it is. Biases and norms are undecayed (nn.h) but for fcl_linear_declare's bias.
 * Mistakes. Sizes that a layer cannot have are the parameters' mistake, which fcl_params_check tells; what a layer
 * cannot be built on is the graph's. */
#ifndef FLOWCL_LAYERS_H
#define FLOWCL_LAYERS_H

#include <flowcl/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fcl_params fcl_params;

/* What a layer with a weight begins with. Zero is the default: a bias is there, and the values are as PyTorch's. */
typedef struct fcl_layer_options {
    bool no_bias;
    bool zeros;   /* all of it: what it is added to begins as if it were not there */
    float xavier; /* the gain of FCL_INIT_XAVIER for the weight, with zeros in the bias; 1 is usual; 0: PyTorch's values */
} fcl_layer_options;

/* --- linear: nn.Linear --- */

typedef struct fcl_layer_linear {
    int weight, bias; /* bias -1: none */
} fcl_layer_linear;

/* "NAME.weight" (out, in) and "NAME.bias" (out), within +-1 / sqrt(in). Weight decay acts on both. */
FCL_API fcl_layer_linear fcl_linear_declare(fcl_params *params, int64_t in, int64_t out, const char *name);
/* The same by options, which may be NULL; weight decay leaves the bias alone. */
FCL_API fcl_layer_linear fcl_linear_declare_with(fcl_params *params, int64_t in, int64_t out,
                                                 const fcl_layer_options *options, const char *name);
/* x (..., in) -> (..., out) */
FCL_API fcl_tensor *fcl_linear_build(fcl_layer_linear layer, fcl_tensor *const *weights, fcl_tensor *x);

/* --- convolution: nn.Conv2d, channels last --- */

typedef struct fcl_layer_conv2d {
    int weight, bias; /* bias -1: none */
    fcl_conv2d_options how;
} fcl_layer_conv2d;

/* "NAME.weight", in its file (out, in, side, side), in graphs (side, side, in, out), and "NAME.bias" (out), within
 * +-1 / sqrt(in side^2). The side is odd. `how`, NULL: stride 1, no padding (graph.h); options may be NULL. */
FCL_API fcl_layer_conv2d fcl_conv2d_declare(fcl_params *params, int64_t in, int64_t out, int side,
                                            const fcl_conv2d_options *how, const fcl_layer_options *options,
                                            const char *name);
/* x (N, H, W, in) -> (N, H', W', out) */
FCL_API fcl_tensor *fcl_conv2d_build(fcl_layer_conv2d layer, fcl_tensor *const *weights, fcl_tensor *x);

/* --- norms --- */

/* Zero is the default: with weight and bias. */
typedef struct fcl_norm_options {
    float epsilon; /* 0: PyTorch's, 1e-5, and for RMS norms that of single precision, 2^-23 */
    bool no_affine; /* neither weight nor bias */
    bool no_bias;
} fcl_norm_options;

/* nn.LayerNorm(width): x (..., width), "NAME.weight" (width) of ones, "NAME.bias" (width) of zeros; fcl_layer_norm. */
typedef struct fcl_layer_layer_norm {
    int weight, bias; /* -1: none */
    int64_t width;
    float epsilon;
} fcl_layer_layer_norm;

FCL_API fcl_layer_layer_norm fcl_layer_norm_declare(fcl_params *params, int64_t width, const fcl_norm_options *options,
                                                    const char *name);
FCL_API fcl_tensor *fcl_layer_norm_build(fcl_layer_layer_norm layer, fcl_tensor *const *weights, fcl_tensor *x);

/* nn.RMSNorm(width): x (..., width), "NAME.weight" (width) of ones; fcl_rms_norm. It has no bias. */
typedef struct fcl_layer_rms_norm {
    int weight; /* -1: none */
    int64_t width;
    float epsilon;
} fcl_layer_rms_norm;

FCL_API fcl_layer_rms_norm fcl_rms_norm_declare(fcl_params *params, int64_t width, const fcl_norm_options *options,
                                                const char *name);
FCL_API fcl_tensor *fcl_rms_norm_build(fcl_layer_rms_norm layer, fcl_tensor *const *weights, fcl_tensor *x);

/* nn.GroupNorm(groups, channels), with its channels last: x (N, ..., channels), groups a divisor of channels,
 * "NAME.weight" (channels) of ones, "NAME.bias" (channels) of zeros; fcl_group_norm. */
typedef struct fcl_layer_group_norm {
    int weight, bias; /* -1: none */
    int groups;
    int64_t channels;
    float epsilon;
} fcl_layer_group_norm;

FCL_API fcl_layer_group_norm fcl_group_norm_declare(fcl_params *params, int groups, int64_t channels,
                                                    const fcl_norm_options *options, const char *name);
FCL_API fcl_tensor *fcl_group_norm_build(fcl_layer_group_norm layer, fcl_tensor *const *weights, fcl_tensor *x);

/* --- attention of several heads (Vaswani et al. 2017) ---
 *
 *     q, k, v = x Wq' + bq, c Wk' + bk, c Wv' + bv        x (B, T, width); c the context (B, S, width), or x itself
 *     y = fcl_attention(q, k, v, heads, mask, bias) Wo' + bo
 *
 * Wq, Wk and Wv are the thirds of one slice (3 width, width), in this order, and each head has neighbouring columns: so
 * nn.MultiheadAttention keeps it (batch_first), with the names "NAME.in_proj_weight", "NAME.in_proj_bias",
 * "NAME.out_proj.weight" and "NAME.out_proj.bias"; and so does timm's Attention, which DiT's blocks have: there they are
 * "NAME.qkv.weight", "NAME.qkv.bias", "NAME.proj.weight" and "NAME.proj.bias".
 *
 * With qk_norm each head's columns of q and of k are normalised before the attention, as timm's qk_norm does, which keeps
 * scores of long trainings from growing: "NAME.q_norm.weight" (width / heads) of ones, of layer norms also
 * "NAME.q_norm.bias" of zeros, and the same of k. */
typedef enum fcl_qk_norm { FCL_QK_NORM_NONE, FCL_QK_NORM_LAYER, FCL_QK_NORM_RMS } fcl_qk_norm;

typedef struct fcl_attention_options {
    bool timm;    /* timm's names; first values are DiT's: Xavier's everywhere, where PyTorch's Wo is as a linear layer's */
    bool no_bias; /* PyTorch's bias=False, neither of both; timm's qkv_bias=False, which leaves the second */
    fcl_qk_norm qk_norm;
    float epsilon; /* of these norms; 0: PyTorch's (fcl_norm_options) */
} fcl_attention_options;

typedef struct fcl_layer_attention {
    int in_weight, in_bias; /* in_bias -1: none */
    fcl_layer_linear out;
    int64_t width;
    int heads;
    fcl_qk_norm qk_norm;
    fcl_layer_layer_norm norm[2]; /* of q and of k */
} fcl_layer_attention;

/* What it is built on; NULL where it is not there. */
typedef struct fcl_attention_inputs {
    fcl_tensor *x, *context;
    fcl_tensor *mask; /* (B, S): keys whose number is 0 take no part: the opposite of PyTorch's key_padding_mask */
    fcl_tensor *bias; /* (B or 1, heads, T, S), added to what the softmax takes */
} fcl_attention_inputs;

/* heads divide the width; options may be NULL. Biases begin with zeros. */
FCL_API fcl_layer_attention fcl_attention_declare(fcl_params *params, int64_t width, int heads,
                                                  const fcl_attention_options *options, const char *name);
FCL_API fcl_tensor *fcl_attention_build(fcl_layer_attention layer, fcl_tensor *const *weights,
                                        const fcl_attention_inputs *in); /* (B, T, width) */

/* --- embeddings, and features of time --- */

/* "NAME.weight" (count, width), N(0, 1), as nn.Embedding; label (B) of FCL_I32 -> (B, width). The layer is the number of
 * its slice. */
FCL_API int fcl_embedding_declare(fcl_params *params, int64_t count, int64_t width, const char *name);
FCL_API fcl_tensor *fcl_embedding_build(int layer, fcl_tensor *const *weights, fcl_tensor *label);

/* Fourier features of time: t (B, 1) -> (B, 2 count): sin(w_k t), cos(w_k t) with angular frequencies w_k
 * from pi to pi * highest in a geometric row, kept as the frozen slice "NAME.frequency" (count), the layer. */
FCL_API int fcl_fourier_declare(fcl_params *params, int64_t count, float highest, const char *name);
FCL_API fcl_tensor *fcl_fourier_build(int layer, fcl_tensor *const *weights, fcl_tensor *t);

/* Sinusoidal features of time: t (B, 1) -> (B, width), by half = width / 2 frequencies that fall to 1 / period,
 *
 *     cos(w_i s t), sin(w_i s t),  w_i = period^(-i / half)          as ADM and DiT have them (timestep_embedding)
 *     sin(w_i s t), cos(w_i s t),  w_i = period^(-i / (half - 1))    with `ddpm` (Ho, Jain, Abbeel 2020)
 *
 * for i = 0 .. half - 1, and a zero behind where width is odd. SiT tells its network t from 0 to 1 as it is, what was
 * made for DDPM's steps expects a scale s of 1000. No slice: the frequencies are not in PyTorch's files either. */
typedef struct fcl_sinusoidal_options {
    bool ddpm;
    float scale;  /* s; 0: 1 */
    float period; /* 0: 10000 */
} fcl_sinusoidal_options;

typedef struct fcl_layer_sinusoidal {
    int64_t width;
    fcl_sinusoidal_options how;
} fcl_layer_sinusoidal;

/* options may be NULL. width is at least 2, with ddpm 4. `name` is for messages. */
FCL_API fcl_layer_sinusoidal fcl_sinusoidal_declare(fcl_params *params, int64_t width,
                                                    const fcl_sinusoidal_options *options, const char *name);
FCL_API fcl_tensor *fcl_sinusoidal_build(fcl_layer_sinusoidal layer, fcl_tensor *t);

/* --- dropout: nn.Dropout --- */

/* Random numbers (see fcl_normal): the dropout that is declared first draws from this stream, each other one from the
 * next. */
enum { FCL_STREAM_DROPOUT = 65536 };

typedef struct fcl_layer_dropout {
    float rate;
    uint32_t stream;
} fcl_layer_dropout;

/* 0 <= rate < 1; 0: nothing is dropped. `name` is for messages: there is no slice. */
FCL_API fcl_layer_dropout fcl_dropout_declare(fcl_params *params, float rate, const char *name);
/* x (B, ...): each number is 0 with the probability `rate`, else x / (1 - rate), where it trains
 * (fcl_velocity_inputs.training); x itself where it does not. What is dropped follows from seed, step and the number of the
 * row alone (fcl_graph_random): a training that is taken up again drops the same, and so do several builds on x of
 * the same shape in one step. */
FCL_API fcl_tensor *fcl_dropout_build(fcl_layer_dropout layer, fcl_tensor *x, bool training);

/* --- adaLN: a condition scales, shifts and gates what norms give (Peebles, Xie 2023) --- */

typedef struct fcl_layer_modulation {
    fcl_layer_linear linear;
    int parts;
} fcl_layer_modulation;

/* "NAME.weight" (parts width, in) and "NAME.bias" (parts width), which begin with zeros: 1 + scale is 1, and each gate is
 * shut (adaLN-Zero). DiT's blocks call it "adaLN_modulation.1" and have 6 parts: shift, scale and gate of the attention,
 * then of the perceptron; its last layer has 2, shift and scale. */
FCL_API fcl_layer_modulation fcl_modulation_declare(fcl_params *params, int64_t in, int64_t width, int parts,
                                                    const char *name);
/* condition (B, in) -> part[0] .. part[parts - 1], (B, width) each, of linear(silu(condition)). */
FCL_API void fcl_modulation_build(fcl_layer_modulation layer, fcl_tensor *const *weights, fcl_tensor *condition,
                                  fcl_tensor **part);
/* x (B, ..., width) by parts (B, width): x (1 + scale) + shift, and x gate. */
FCL_API fcl_tensor *fcl_modulate(fcl_tensor *x, fcl_tensor *shift, fcl_tensor *scale);
FCL_API fcl_tensor *fcl_gate(fcl_tensor *x, fcl_tensor *gate);

/* --- the residual block of U-Nets: ADM's ResBlock (Dhariwal, Nichol 2021), channels last ---
 *
 *     h = in_layers.2 resample(silu(in_layers.0 x))                      x (N, H, W, in); norm, convolution of 3 x 3
 *     e = emb_layers.1 silu(embedding)                                   embedding (N, E): linear, (N, out)
 *     h = out_layers.0 (h + e)                                           norm
 *     y = skip_connection resample(x) + out_layers.3 dropout(silu(h))    (N, H', W', out); convolution of 3 x 3
 *
 * out_layers.3 begins with zeros: the block begins as what goes round it. skip_connection, a convolution of 1 x 1, is there
 * where in and out differ. With scale_shift e is (N, 2 out), (scale, shift): h = out_layers.0(h) (1 + scale) + shift. It is a
 * block of the graph (fcl_block_begin). */
typedef enum fcl_resample {
    FCL_RESAMPLE_NONE,
    FCL_RESAMPLE_DOWN, /* to half of both sides, which are even: fcl_avg_pool2d */
    FCL_RESAMPLE_UP    /* to twice both sides: fcl_upsample2d */
} fcl_resample;

/* Zero is the default. */
typedef struct fcl_residual_options {
    int64_t out;       /* channels; 0: as many as there are in x */
    int64_t embedding; /* E; 0: none */
    bool scale_shift;
    int groups;    /* of the norms, a divisor of both numbers of channels; 0: 32 */
    float dropout; /* its rate */
    fcl_resample resample;
} fcl_residual_options;

typedef struct fcl_layer_residual {
    fcl_layer_group_norm norm[2];
    fcl_layer_conv2d conv[2], skip;
    fcl_layer_linear embedding;
    fcl_layer_dropout dropout;
    bool has_skip;
    fcl_residual_options how;
} fcl_layer_residual;

/* The slices of its parts under "NAME.in_layers.0" and so on; options may be NULL. */
FCL_API fcl_layer_residual fcl_residual_declare(fcl_params *params, int64_t in, const fcl_residual_options *options,
                                                const char *name);
/* embedding: NULL where there is none. */
FCL_API fcl_tensor *fcl_residual_build(fcl_layer_residual layer, fcl_tensor *const *weights, fcl_tensor *x,
                                       fcl_tensor *embedding, bool training);

/* --- the attention block of U-Nets: ADM's AttentionBlock, channels last ---
 *
 *     q, k, v = qkv(norm x)                                  x (N, H, W, channels); each pixel is an item
 *     y = x + proj_out fcl_attention(q, k, v, heads)         (N, H, W, channels)
 *
 * "NAME.norm" is a group norm; "NAME.qkv.weight" (3 channels, channels, 1) and "NAME.proj_out.weight" (channels, channels,
 * 1) are nn.Conv1d's, with a bias each. Rows of qkv are head by head, of each its queries, its keys, its values: ADM's legacy
 * order. proj_out begins with zeros: the block begins as x. It is a block of the graph (fcl_block_begin). */
typedef struct fcl_layer_attention_block {
    fcl_layer_group_norm norm;
    fcl_layer_linear qkv, out;
    int64_t channels;
    int heads;
} fcl_layer_attention_block;

/* heads divide the channels; groups of the norm as well, 0: 32. */
FCL_API fcl_layer_attention_block fcl_attention_block_declare(fcl_params *params, int64_t channels, int heads, int groups,
                                                              const char *name);
FCL_API fcl_tensor *fcl_attention_block_build(fcl_layer_attention_block layer, fcl_tensor *const *weights, fcl_tensor *x);

/* --- activations by name: the index-th name, NULL past the last; and the builder, NULL where there is no such --- */

typedef fcl_tensor *fcl_activation(fcl_tensor *a);
FCL_API const char *fcl_activation_name(int index);
FCL_API fcl_activation *fcl_activation_find(const char *name);

#ifdef __cplusplus
}
#endif

#endif
