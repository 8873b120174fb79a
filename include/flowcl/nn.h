/* flowcl/nn.h: parameters and models; layers.h has the layers that they are made of.
 *
 * A model is a velocity v(x, t, label). It declares its parameters once, as named slices of one flat buffer,
 * and builds its velocity as often as asked, in any graph and from any buffer of that layout: the weights, or
 * their average (EMA).
 *
 *     fcl_model_options options = {.width = 64, .depth = 3};
 *     fcl_model *model = NULL;
 *     fcl_model_create(&options, FCL_SHAPE(2), 0, &model);                  // points of the plane, no labels
 *     const fcl_params *params = fcl_model_params(model);
 *     fcl_buffer_create(device, fcl_params_bytes(params), &weights);
 *     fcl_params_initialise(params, seed, stream, weights);
 *
 *     fcl_tensor **w = fcl_params_bind(params, graph, weights, "");         // one leaf a slice
 *     fcl_tensor *v = fcl_model_velocity(model, w, &(fcl_velocity_inputs){.x = x, .t = t}); // (B, 2)
 *     fcl_free(w);
 *
 * Names and layouts are those of PyTorch: "layers.0.weight" (out, in) and "layers.0.bias" (out) load into a
 * nn.Linear called layers[0]. */
#ifndef FLOWCL_NN_H
#define FLOWCL_NN_H

#include <flowcl/graph.h>
#include <flowcl/layers.h>
#include <flowcl/options.h>
#include <flowcl/velocity.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- parameters: the layout of a flat buffer ---
 *
 * Gradients, both Adam moments and EMA have the same layout. Each slice begins at a multiple of
 * FCL_BUFFER_ALIGN bytes; what lies between slices is zero and stays zero. First in the buffer stand the slices
 * that weight decay acts on, behind them the trained ones that it leaves alone, behind these the frozen ones
 * (constants that belong to the weights, as PyTorch's buffers do): so each kind is one part of it. An offset is
 * final once all slices are declared.
 *
 * A slice may be kept in another order of dimensions than its file has, as kernels want it: what a weight of a
 * convolution is to PyTorch, (out, in, height, width), may be (out, height, width, in) in graphs. Weights, averages
 * and moments are turned where they are loaded and saved, and first values are drawn in the file's order, so that an
 * order changes no number. */
typedef struct fcl_params fcl_params;

typedef enum fcl_init {
    FCL_INIT_ZEROS,
    FCL_INIT_ONES,
    FCL_INIT_UNIFORM, /* within +-scale; PyTorch's nn.Linear has 1/sqrt(fan in), for weight and bias */
    FCL_INIT_NORMAL,  /* scale times N(0, 1) */
    FCL_INIT_OCTAVES, /* pi, ..., pi scale: a geometric row of angular frequencies */
    /* Within +-scale sqrt(6 / (fan in + fan out)), scale the gain, 1 for linear layers (Glorot, Bengio 2010; PyTorch's
     * xavier_uniform_): fan out is the file's dimension 0, fan in its dimension 1, times what follows. */
    FCL_INIT_XAVIER,
    /* (..., D), a row for each place of a grid of `scale` columns, row by row: the sines of w_i column for i < q = D / 4
     * with w_i = 10000^(-i / q), then the cosines, then both of w_i row: the fixed positions of DiT (Peebles, Xie 2023). */
    FCL_INIT_POSITIONS
} fcl_init;

typedef struct fcl_param {
    const char *name;
    fcl_shape shape; /* in graphs */
    size_t offset;   /* bytes from the start of the flat buffer */
    fcl_init init;
    float scale;
    bool frozen;
    bool undecayed; /* weight decay leaves it alone, as is usual for biases and norms */
    int order[FCL_MAX_RANK]; /* dimension i of `shape` is the file's dimension order[i]; all 0: as they come */
    /* Above 0: another program's file may have twice as many rows, dimension 0, of each 2 half of which the first half are
     * taken: what a network tells of a variance besides is left out (DiT's learn_sigma). */
    int64_t half;
} fcl_param;

FCL_API fcl_params *fcl_params_create(void);
FCL_API void fcl_params_destroy(fcl_params **params);
/* Appends a slice and returns its number: what of `slice` is not 0, name and offset aside; `name` printf style. Nothing
 * trained may follow a frozen one.
 *
 *     fcl_params_add(params, &(fcl_param){.shape = FCL_SHAPE(out, 3, 3, in), .order = {0, 2, 3, 1},
 *                                         .init = FCL_INIT_UNIFORM, .scale = bound}, "%s.weight", name);
 */
FCL_API int fcl_params_add(fcl_params *params, const fcl_param *slice, const char *name, ...)
    __attribute__((format(printf, 3, 4)));
/* The same of shape, init and scale alone: trained, and frozen. */
FCL_API int fcl_params_declare(fcl_params *params, fcl_shape shape, fcl_init init, float scale,
                               const char *name, ...) __attribute__((format(printf, 5, 6)));
FCL_API int fcl_params_freeze(fcl_params *params, fcl_shape shape, fcl_init init, float scale,
                              const char *name, ...) __attribute__((format(printf, 5, 6)));

/* The first mistake in what was declared: FCL_ERR_ARGUMENT. fcl_model_create and fcl_learner_create ask it. */
FCL_API int fcl_params_check(const fcl_params *params);

FCL_API int fcl_params_count(const fcl_params *params);
FCL_API int fcl_params_trained(const fcl_params *params); /* the first so many slices are trained */
FCL_API const fcl_param *fcl_params_at(const fcl_params *params, int index);
FCL_API int fcl_params_find(const fcl_params *params, const char *name); /* -1: there is none */
FCL_API size_t fcl_params_bytes(const fcl_params *params);               /* of a flat buffer */
FCL_API size_t fcl_params_trained_bytes(const fcl_params *params);       /* of its trained prefix */
FCL_API size_t fcl_params_decayed_bytes(const fcl_params *params);       /* of the prefix that weight decay acts on */
FCL_API int64_t
fcl_params_numbers(const fcl_params *params); /* trained numbers: "the model has 8642 parameters" */

/* A slice's shape in its file. */
FCL_API fcl_shape fcl_param_file_shape(const fcl_param *slice);

/* Draws the first values on the host, slice i by Philox from (seed, stream + i), and writes them to `buffer`.
 */
FCL_API int fcl_params_initialise(const fcl_params *params, uint64_t seed, uint32_t stream,
                                  fcl_buffer *buffer);

/* A leaf of `graph` for each slice, bound to `buffer`, named prefix + slice name. The array is released by
 * fcl_free, the leaves belong to the graph. */
FCL_API fcl_tensor **fcl_params_bind(const fcl_params *params, fcl_graph *graph, fcl_buffer *buffer,
                                     const char *prefix);

/* --- models ---
 *
 * "mlp", a multi-layer perceptron, with linear layers "layers.0" to "layers.DEPTH":
 *
 *     h = [x, t, sin(w t), cos(w t), label]    x (D), t, the time's features (2 time_features) as
 *                                              fcl_fourier_build makes them, the label's embedding (32), which is
 *                                              there where the model has classes: slice "label.weight"
 *     h = act(layers.0 h), then DEPTH - 1 times h = act(layers.i h), or h + act(layers.i h) where residual
 *     v = layers.DEPTH h
 *
 * Each h is a block of the graph (fcl_block_begin). A PyTorch module of the same value concatenates in this order, has
 * nn.Linear layers and an nn.Embedding, and its gelu is the exact one; its weights load by fcl_checkpoint_open_with (train.h).
 *
 * "dit", the diffusion transformer (Peebles, Xie 2023, arXiv 2212.09748), in pixel space, as SiT has it (Ma et al. 2024,
 * arXiv 2401.08740), of samples (C, H, W), or (H, W), whose sides are multiples of the patch p; D the width:
 *
 *     h = x_embedder x + pos_embed                  T = H W / p^2 patches, linear of C p^2 numbers, and fixed places (T, D)
 *     c = t_embedder t + y_embedder label           t by 256 sines and cosines (fcl_sinusoidal_build), linear, silu, linear
 *     DEPTH times, of six vectors of linear(silu c), adaLN_modulation.1 of each block:
 *         h = h + gate attention(norm(h) (1 + scale) + shift)
 *         h = h + gate' mlp(norm(h) (1 + scale') + shift')
 *     v = final_layer.linear (norm(h) (1 + scale'') + shift'')       p^2 C numbers a patch, each pixel's colours together
 *
 * Norms are without weights, of epsilon 1e-6. mlp "gelu" is fc2 gelu_tanh(fc1 h), 4 D wide; "swiglu" (Shazeer 2020) is
 * w3 (silu(a) b), (a, b) = w12 h, 8 D / 3 wide, rounded down. qk_norm: see fcl_attention_options. adaLN_modulation.1 and
 * final_layer.linear begin with zeros, and so does the velocity.
 * Names and shapes are SiT's of learn_sigma=False, pos_embed (1, T, D) among them, which is frozen: what stands in a
 * checkpoint beside "ema." and "adam." loads into SiT's module with strict=True, and its weights load here by
 * fcl_checkpoint_open_with; of a file with learn_sigma, whose last layer gives 2 C numbers a pixel, the first C are taken.
 * time_scale 1 is SiT's; -999 counts as DiT does, from 999 at noise to 0 at data.
 * Where nothing else is said it is trained at a rate of 0.001, after a warm-up of a tenth of the steps.
 *
 * "unet", the U-Net of ADM (Dhariwal, Nichol 2021, arXiv 2105.05233) for pictures, samples of shape (channels, height,
 * width) or (height, width), as torchcfm's UNetModel has it (Tong et al. 2024) with the same names, shapes and first
 * values. With C = channels:
 *
 *     e = time_embed.2 silu(time_embed.0 features(t)) + label_emb(label)   (4 C); C features of fcl_sinusoidal_build
 *     h = input_blocks.0.0 x                                      a convolution of 3 x 3, as all are that no layer has
 *     h = residual(h, e), attention(h) where its height is said   input_blocks.N.0 and .1: `blocks` times at each size
 *     h = half of its size                                        input_blocks.N.0.op, between the sizes
 *     h = residual(attention(residual(h, e)), e)                  middle_block.0, .1 and .2
 *     h = residual([h, kept], e), attention(h)                    output_blocks.N.0 and .1: blocks + 1 times at each size
 *     h = twice of its size                                       output_blocks.N.M.conv, between the sizes
 *     v = out.2 silu(out.0 h)                                     begins with zeros
 *
 * Size k of the picture has C times the k-th of the multipliers as channels. On the way down each h, x's first and the
 * halves among them, is kept; on the way up each `kept` is the last that is still there. residual and attention are
 * fcl_residual_build and fcl_attention_block_build with norms of 32 groups (layers.h), so C is divisible by 32, and a
 * picture's sides by 2 for each multiplier after the first. From size to size go convolutions of stride 2, and of what
 * is upsampled (resample "conv"); fcl_avg_pool2d and fcl_upsample2d (torchcfm's conv_resample=False, "pool"); or
 * residual blocks (resblock_updown=True, "block"). t is told from 0 to 1, as torchcfm tells it; of guided-diffusion,
 * which counts 1000 steps to the noise, time_scale is -1000. torchcfm's attention_resolutions are factors of
 * downsampling, and its UNetModelWrapper computes them: for MNIST 28 // 16 = 1, which is attention "28".
 * tools/compare_models.py holds it against torchcfm's, by weights in a file. Where nothing else is said it is trained
 * at a rate of 0.001, after a warm-up of a tenth of the steps.
 */

typedef struct fcl_model fcl_model;
typedef struct fcl_model_row fcl_model_row;

/* Zero is the default (see options.h), which may be another one with another model. An option that the model does not
 * read is refused. */
typedef struct fcl_model_options {
    const char *model;      /* "mlp", "dit" */
    int width;              /* of a hidden layer, or of a token */
    int depth;              /* hidden layers, or blocks */
    const char *activation; /* "silu" ...; a smooth one lets an adaptive solver take long steps */
    bool residual;          /* hidden layers after the first add to what they read */
    int time_features;      /* sine and cosine pairs of t besides t itself; 0: none */
    float time_frequency;   /* the highest of their frequencies, in half turns over 0 <= t <= 1 */
    int patch;              /* side of the squares that pictures are cut into, in pixels */
    int heads;              /* of attention; they divide the width. A U-Net's: 0: 1, or by head_channels */
    const char *norm;       /* "layer", "rms": what blocks normalise by */
    const char *mlp;        /* "gelu", "swiglu": a block's perceptron */
    bool qk_norm;           /* each head's queries and keys are normalised */
    float time_scale;       /* S: the network is told S t; where S is below 0, -S (1 - t), which ends with 0 */
    int channels;            /* of a U-Net at the picture's own size; divisible by 32 */
    const char *multipliers; /* "1,2,2": of the channels, one for each size */
    int blocks;              /* residual blocks a size, and one more on the way back */
    const char *attention;   /* "14,7": heights at which it attends; "half": of the picture's own height; "none" */
    int head_channels;       /* channels of a head; 0: by heads */
    float dropout;           /* its rate in residual blocks */
    bool scale_shift;        /* of residual blocks, layers.h */
    const char *resample;    /* "conv", "pool" or "block" */
    /* No rows of the table: */
    bool null_label;          /* a label more than there are classes, the last, says that a sample is of none of them: what
                                 classifier-free guidance (Ho, Salimans 2022) asks for. Without classes it says nothing */
    const fcl_model_row *own; /* a model of the caller's instead of one by its name; NULL: none */
} fcl_model_options;

FCL_API extern const fcl_option fcl_model_table[];

/* The index-th model's name, NULL past the last; and its one-line description. */
FCL_API const char *fcl_model_name(int index);
FCL_API const char *fcl_model_help(int index);
/* The model that samples of this shape have where none is chosen: "unet" for pictures (C, H, W) with C 1 or 3 and sides that are
 * multiples of 4, from 8 on, as it takes by default; "mlp" for all else. */
FCL_API const char *fcl_model_for(fcl_shape sample);
/* Whether the model of that name reads an option ("width"); NULL: that of samples that are no pictures. */
FCL_API bool fcl_model_reads(const char *name, const char *key);

/* The default that an option of training, "lr", has with this model, as text; NULL: the option's own. */
FCL_API const char *fcl_model_training(const fcl_model_options *options, const char *key);

/* Whether a model can be made of these options; zeros are defaults. Where none is chosen, only what holds for all is looked
 * at. FCL_ERR_ARGUMENT. */
FCL_API int fcl_model_check(const fcl_model_options *options);
/* The model in a few words, "mlp of depth 4 and width 128"; "" where none is chosen. Released by fcl_free. */
FCL_API char *fcl_model_text(const fcl_model_options *options);

/* A kind of model: a row of the table, or the caller's own. What learns, saves, samples and evaluates takes either:
 *
 *     static int declare(const fcl_model *model, fcl_params *params, void **layers)
 *     {
 *         int64_t size = fcl_shape_size(fcl_model_sample(model));
 *         fcl_linear_declare(params, size + 1, size, "only");
 *         return FCL_OK;
 *     }
 *
 *     static fcl_tensor *velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
 *     {
 *         return fcl_linear(fcl_concat(2, (fcl_tensor *[]){in->x, in->t}, 1), weights[0], weights[1]);
 *     }
 *
 *     static const fcl_model_row row = {.name = "line", .declare = declare, .velocity = velocity};
 *     fcl_train_options options = {.data = "moons", .out = "run", .model = {.own = &row}};
 *
 * A checkpoint tells the caller's model by its name alone: fcl_checkpoint_open_with is given the row. */
struct fcl_model_row {
    const char *name, *help;
    /* The options of fcl_model_table that it reads, with its own defaults; ends with {0}. NULL: none. Those of the table's
     * rows begin with "model", the choice itself. */
    const fcl_option_use *uses;
    /* What trains it where nothing else is said: defaults of "batch", "lr", "schedule", "beta2", "clip" and "ema" in the place of
     * train.h's; ends with {0}. NULL: those. The schedule "warmup" is a warm-up of a tenth of the steps. */
    const fcl_option_use *training;
    bool second_time, conditions; /* its velocity takes in->r, in->conditions */
    bool (*suits)(fcl_shape sample); /* of the table's rows: whether it is the model of such samples where none is chosen; NULL:
                                        it never is */
    /* What single options cannot say: FCL_ERR_ARGUMENT, with its sentence by fcl_model_refuse. Options have their defaults.
     * NULL: they can. */
    int (*check)(const fcl_model_options *options);
    /* Its size in a few words, "depth 4 and width 128", by malloc. NULL: no words. */
    char *(*describe)(const fcl_model_options *options);
    /* Samples and classes (0: it takes no label) by the shapes of a file's tensors, where weights of another program are all
     * there is: `find` gives the shape of the tensor that has a slice's name, rank -1 where there is none. Where it finds
     * none, any that there can be: the names are asked first. FCL_ERR_ARGUMENT: the shapes do not tell. NULL: samples are
     * rows of numbers, and how many is tried. */
    int (*guess)(const fcl_model_options *options, fcl_shape (*find)(const void *file, const char *slice), const void *file,
                 fcl_shape *sample, int *classes);
    /* Declares the parameters, at each making of such a model. *layers, if it is set, is what fcl_model_layers then gives,
     * made by malloc and released with the model. A status other than FCL_OK ends the making. */
    int (*declare)(const fcl_model *model, fcl_params *params, void **layers);
    /* See fcl_model_velocity; in->t is (B, 1), and what is not taken is not there. What stands between fcl_block_begin and
     * fcl_block_end can be computed again for the gradient, to save memory (fcl_train_options.recompute). */
    fcl_tensor *(*velocity)(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in);
    void *data; /* the caller's: fcl_model_data */
};

/* FCL_ERR_ARGUMENT with the sentence: how a row's check, or its declare, says why. */
FCL_API int fcl_model_refuse(const char *sentence, ...) __attribute__((format(printf, 1, 2)));

/* Declares a model for samples of shape `sample` (without the batch) and `classes` labels, 0: it takes no
 * label. Where the options choose none it is that of fcl_model_for. options->own is borrowed until destroy.
 * FCL_ERR_ARGUMENT where an option is not usable. */
FCL_API int fcl_model_create(const fcl_model_options *options, fcl_shape sample, int classes,
                             fcl_model **model);
FCL_API void fcl_model_destroy(fcl_model **model);

FCL_API const fcl_params *fcl_model_params(const fcl_model *model);
FCL_API fcl_shape fcl_model_sample(const fcl_model *model);
FCL_API int fcl_model_classes(const fcl_model *model);
/* How many labels it knows: classes, and with null_label one more, whose number is fcl_model_classes. 0: it takes none. */
FCL_API int fcl_model_labels(const fcl_model *model);
/* For rows. */
FCL_API const fcl_model_options *fcl_model_options_of(const fcl_model *model); /* with their defaults */
FCL_API void *fcl_model_layers(const fcl_model *model);
FCL_API void *fcl_model_data(const fcl_model *model);

/* in->x (B, D) with D = the sample's size, in->t (B, 1) or (), in->label exactly where the model has classes
 * -> v (B, D). `weights`: fcl_params_bind's leaves. May be called any number of times. What the model does not
 * take (a second time, conditions), or lacks, is the graph's mistake. */
FCL_API fcl_tensor *fcl_model_velocity(const fcl_model *model, fcl_tensor *const *weights,
                                       const fcl_velocity_inputs *in);

#ifdef __cplusplus
}
#endif

#endif
