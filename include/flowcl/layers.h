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

/* --- embeddings, and features of time --- */

/* "NAME.weight" (count, width), N(0, 1), as nn.Embedding; label (B) of FCL_I32 -> (B, width). The layer is the number of
 * its slice. */
FCL_API int fcl_embedding_declare(fcl_params *params, int64_t count, int64_t width, const char *name);
FCL_API fcl_tensor *fcl_embedding_build(int layer, fcl_tensor *const *weights, fcl_tensor *label);

/* Fourier features of time: t (B, 1) -> (B, 2 count): sin(w_k t), cos(w_k t) with angular frequencies w_k
 * from pi to pi * highest in a geometric row, kept as the frozen slice "NAME.frequency" (count), the layer. */
FCL_API int fcl_fourier_declare(fcl_params *params, int64_t count, float highest, const char *name);
FCL_API fcl_tensor *fcl_fourier_build(int layer, fcl_tensor *const *weights, fcl_tensor *t);

/* --- activations by name: the index-th name, NULL past the last; and the builder, NULL where there is no such --- */

typedef fcl_tensor *fcl_activation(fcl_tensor *a);
FCL_API const char *fcl_activation_name(int index);
FCL_API fcl_activation *fcl_activation_find(const char *name);

#ifdef __cplusplus
}
#endif

#endif
