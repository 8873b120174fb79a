/* flowcl/graph.h: tensors, operations, derivatives.
 *
 * A graph is built once and run many times. Operations compute nothing when called: they append a node and
 * return the tensor it will hold. Derivatives are graph to graph: fcl_vjp and fcl_jvp append the nodes of the
 * backward and of the forward derivative, made of the same operations. Compiling a graph prunes it, fuses
 * chains of elementwise nodes into generated kernels, plans all memory into one arena and prepares the
 * launches; running it only enqueues them.
 *
 *     fcl_graph *graph = fcl_graph_create();
 *     fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(256, 2));
 *     fcl_tensor *loss = fcl_mean(fcl_square(x)), *dx;
 *     fcl_vjp(loss, NULL, 1, &x, &dx);
 *     fcl_output(dx);
 *     if (fcl_graph_compile(graph, device, NULL) == FCL_OK && fcl_tensor_write(x, data) == FCL_OK &&
 *         fcl_graph_run(graph) == FCL_OK)
 *         fcl_tensor_read(dx, result);
 *     fcl_graph_destroy(&graph);
 *
 * Mistakes. A builder never fails aloud: it marks the graph, building goes on (every builder accepts what a
 * failed one returned), and fcl_graph_compile returns the first mistake in words.
 * Ownership. Tensors belong to their graph. Buffers that leaves are bound to belong to the caller and outlive
 * the graph. Data is float32 in C order, outermost dimension first, unless a tensor says otherwise.
 * Threads. A graph belongs to one thread at a time. */
#ifndef FLOWCL_GRAPH_H
#define FLOWCL_GRAPH_H

#include <flowcl/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fcl_graph fcl_graph;
typedef struct fcl_tensor fcl_tensor;

typedef enum fcl_type {
    FCL_F32, /* float */
    FCL_I32, /* indices and labels */
    FCL_U8   /* stored images; only fcl_gather_rows reads them */
} fcl_type;

FCL_API fcl_graph *fcl_graph_create(void);
FCL_API void fcl_graph_destroy(fcl_graph **graph);

/* --- leaves --- */

/* Memory of the graph's own, zero until fcl_tensor_write; keeps its content from run to run. */
FCL_API fcl_tensor *fcl_input(fcl_graph *graph, const char *name, fcl_type type, fcl_shape shape);
/* The same, holding a copy of `values` from compile on. */
FCL_API fcl_tensor *fcl_input_filled(fcl_graph *graph, const char *name, fcl_shape shape, const float *values);
/* A window of the caller's buffer, `offset` bytes from its start (a multiple of FCL_BUFFER_ALIGN). */
FCL_API fcl_tensor *fcl_leaf(fcl_graph *graph, const char *name, fcl_type type, fcl_shape shape,
                             fcl_buffer *buffer, size_t offset);
/* A number known when the graph is built; shape (). */
FCL_API fcl_tensor *fcl_constant(fcl_graph *graph, float value);
/* A number set before a run by fcl_scalar_set; shape (). Passed as a kernel argument: no transfer. */
FCL_API fcl_tensor *fcl_scalar(fcl_graph *graph, const char *name);
FCL_API void fcl_scalar_set(fcl_tensor *scalar, float value);

FCL_API fcl_shape fcl_tensor_shape(const fcl_tensor *tensor);
FCL_API fcl_graph *fcl_tensor_graph(const fcl_tensor *tensor);
/* Names a tensor for messages and profiles (printf style); returns it. */
FCL_API fcl_tensor *fcl_name(fcl_tensor *tensor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- elementwise ---
 * Two shapes fit when, aligned at their last dimension, each pair of dimensions is equal or one of them is 1
 * or missing; the result has the larger of each. */
FCL_API fcl_tensor *fcl_add(fcl_tensor *a, fcl_tensor *b);
FCL_API fcl_tensor *fcl_sub(fcl_tensor *a, fcl_tensor *b);
FCL_API fcl_tensor *fcl_mul(fcl_tensor *a, fcl_tensor *b);
FCL_API fcl_tensor *fcl_div(fcl_tensor *a, fcl_tensor *b);
FCL_API fcl_tensor *fcl_pow(fcl_tensor *a, fcl_tensor *b);     /* NaN where a < 0 and b is not whole */
FCL_API fcl_tensor *fcl_max(fcl_tensor *a, fcl_tensor *b);     /* its derivative goes to b where a < b, else to a */
FCL_API fcl_tensor *fcl_min(fcl_tensor *a, fcl_tensor *b);     /* its derivative goes to b where a > b, else to a */
FCL_API fcl_tensor *fcl_greater(fcl_tensor *a, fcl_tensor *b); /* 1 where a > b, else 0; derivative 0 */
FCL_API fcl_tensor *fcl_where(fcl_tensor *mask, fcl_tensor *a, fcl_tensor *b); /* a where mask is not 0, else b */

FCL_API fcl_tensor *fcl_scale(fcl_tensor *a, float factor);
FCL_API fcl_tensor *fcl_shift(fcl_tensor *a, float term);

FCL_API fcl_tensor *fcl_neg(fcl_tensor *a);
FCL_API fcl_tensor *fcl_abs(fcl_tensor *a);
FCL_API fcl_tensor *fcl_square(fcl_tensor *a);
FCL_API fcl_tensor *fcl_sqrt(fcl_tensor *a);
FCL_API fcl_tensor *fcl_reciprocal(fcl_tensor *a);
FCL_API fcl_tensor *fcl_exp(fcl_tensor *a);
FCL_API fcl_tensor *fcl_expm1(fcl_tensor *a); /* exp(a) - 1, exact near 0 */
FCL_API fcl_tensor *fcl_log(fcl_tensor *a);
FCL_API fcl_tensor *fcl_log1p(fcl_tensor *a); /* log(1 + a), exact near 0 */
FCL_API fcl_tensor *fcl_sin(fcl_tensor *a);
FCL_API fcl_tensor *fcl_cos(fcl_tensor *a);
FCL_API fcl_tensor *fcl_tanh(fcl_tensor *a);
FCL_API fcl_tensor *fcl_erf(fcl_tensor *a);
FCL_API fcl_tensor *fcl_sigmoid(fcl_tensor *a);
FCL_API fcl_tensor *fcl_relu(fcl_tensor *a);
FCL_API fcl_tensor *fcl_silu(fcl_tensor *a); /* a sigmoid(a) */
FCL_API fcl_tensor *fcl_gelu(fcl_tensor *a); /* a Phi(a), exact: Phi by erf */
FCL_API fcl_tensor *fcl_gelu_tanh(fcl_tensor *a); /* a (1 + tanh(sqrt(2/pi) (a + 0.044715 a^3))) / 2, as transformers have */
FCL_API fcl_tensor *fcl_selu(fcl_tensor *a); /* Klambauer et al. 2017 */
FCL_API fcl_tensor *fcl_softplus(fcl_tensor *a); /* log(1 + exp(a)), for any a */
/* a within low <= high; where it is cut off no derivative goes through. */
FCL_API fcl_tensor *fcl_clamp(fcl_tensor *a, float low, float high);

/* The same value, with no derivative through it. */
FCL_API fcl_tensor *fcl_detach(fcl_tensor *a);

/* --- reductions --- */

/* Sums over the axes whose bits are set (bit 0: the outermost); they stay as dimensions of 1. In a fixed
 * order: a run repeats bit for bit on its device. */
FCL_API fcl_tensor *fcl_sum_axes(fcl_tensor *a, unsigned axes);
FCL_API fcl_tensor *fcl_sum(fcl_tensor *a);  /* over everything, shape () */
FCL_API fcl_tensor *fcl_mean(fcl_tensor *a); /* over everything, shape () */

/* The largest over the axes whose bits are set; they stay as dimensions of 1. A NaN is larger than any number. Where
 * several are the largest the derivative goes to each in equal parts. */
FCL_API fcl_tensor *fcl_max_axes(fcl_tensor *a, unsigned axes);
/* Where along the axis the largest stands, the first where several do: FCL_I32; the axis stays as a dimension of 1. */
FCL_API fcl_tensor *fcl_arg_max(fcl_tensor *a, int axis);

/* --- made of these: each compiles to few kernels that read their input once, as far as a row fits into a cache --- */

FCL_API fcl_tensor *fcl_softmax(fcl_tensor *a, int axis);     /* exp(a) / sum exp(a) */
FCL_API fcl_tensor *fcl_log_softmax(fcl_tensor *a, int axis); /* its logarithm, without overflow */
/* log(sum exp(a)) along the axis, which stays as a dimension of 1; -infinity where all elements are. */
FCL_API fcl_tensor *fcl_log_sum_exp(fcl_tensor *a, int axis);

/* x (..., D), weight and bias (D) or NULL:  weight (x - mean) / sqrt(variance + epsilon) + bias  over the last axis, the
 * variance divided by D (Ba, Kiros, Hinton 2016; nn.LayerNorm). */
FCL_API fcl_tensor *fcl_layer_norm(fcl_tensor *x, fcl_tensor *weight, fcl_tensor *bias, float epsilon);
/* weight x / sqrt(mean x^2 + epsilon)  over the last axis (Zhang, Sennrich 2019; nn.RMSNorm). */
FCL_API fcl_tensor *fcl_rms_norm(fcl_tensor *x, fcl_tensor *weight, float epsilon);
/* x (N, ..., C, ...) with its channels along `axis`, above 0; weight and bias (C) or NULL. Channels fall into `groups`
 * of neighbours, a divisor of C; each sample's group is normalised over all that belongs to it (Wu, He 2018;
 * nn.GroupNorm has axis 1). */
FCL_API fcl_tensor *fcl_group_norm(fcl_tensor *x, int axis, int groups, fcl_tensor *weight, fcl_tensor *bias,
                                   float epsilon);

FCL_API fcl_tensor *fcl_mean_squared_error(fcl_tensor *a, fcl_tensor *b); /* over everything, shape () */
/* logits (B, C), label (B) of FCL_I32 in 0..C-1 (what lies outside is clamped into it) -> (B, 1): the cross entropy
 * -sum_c q_c log softmax(logits)_c with q = smoothing / C, and 1 - smoothing more at the label (0 <= smoothing < 1). */
FCL_API fcl_tensor *fcl_cross_entropy(fcl_tensor *logits, fcl_tensor *label, float smoothing);

/* --- matrix products --- */

/* op(a) op(b) over the last two dimensions: (..., M, K) by (..., K, N) -> (..., M, N), `transpose_*` swaps the
 * last two of that operand first. Leading dimensions are equal, or one operand has rank 2 and is shared. */
FCL_API fcl_tensor *fcl_matmul(fcl_tensor *a, fcl_tensor *b, bool transpose_a, bool transpose_b);
/* x weight' + bias as PyTorch's nn.Linear: x (..., I), weight (O, I), bias (O) or NULL -> (..., O) */
FCL_API fcl_tensor *fcl_linear(fcl_tensor *x, fcl_tensor *weight, fcl_tensor *bias);

/* --- convolution, channels last --- */

/* Zero is the default. */
typedef struct fcl_conv2d_options {
    int stride;    /* 1 or 2; 0: 1 */
    int padding;   /* zeros on each side, 0 to k - 1; k / 2 keeps an image's size at stride 1 */
    bool upsample; /* each pixel is read as if it stood for 2 x 2 of them: nothing larger is written */
} fcl_conv2d_options;

/* x (..., N, H, W, C), weight (k, k, C, O), k odd -> (..., N, H', W', O), H' = (H + 2 padding - k) / stride + 1 rounded
 * down, with 2 H in place of H where it upsamples (nn.Conv2d, without its bias, which is an fcl_add; nn.Upsample). A weight
 * with leading dimensions of its own is one for each of these of x, or for all of an x without.
 * `options` may be NULL. */
FCL_API fcl_tensor *fcl_conv2d(fcl_tensor *x, fcl_tensor *weight, const fcl_conv2d_options *options);
/* x (..., H, W, C), H and W even -> (..., H / 2, W / 2, C): the mean of each 2 x 2 pixels (nn.AvgPool2d(2)). */
FCL_API fcl_tensor *fcl_avg_pool2d(fcl_tensor *x);
/* x (..., H, W, C) -> (..., 2 H, 2 W, C): each pixel four times (nn.Upsample(scale_factor=2)). What a convolution reads is
 * better upsampled by its own option. */
FCL_API fcl_tensor *fcl_upsample2d(fcl_tensor *x);

/* --- attention --- */

/* q (B, Tq, heads d), k and v (B, Tk, heads d) -> (B, Tq, heads d): of the columns of each head
 *     softmax(q k' / sqrt(d) + bias) v
 * (Vaswani et al. 2017, arXiv 1706.03762; PyTorch's scaled_dot_product_attention of what nn.MultiheadAttention has
 * projected). mask (B, Tk) or NULL: keys whose number is 0 take no part, and neither they nor their values are read; a row
 * without any key, or whose bias is -infinity for each, gives zeros and zero gradients. bias (B or 1, heads, Tq, Tk) or NULL; a
 * key that only a bias leaves out is read, so that its value has to be finite.
 * No matrix of all (B, heads, Tq, Tk) is stored: the gradients compute the softmax again from a logarithm of its sum for each
 * row (Dao et al. 2022, arXiv 2205.14135), and so does the tangent. The mask has no derivative. */
FCL_API fcl_tensor *fcl_attention(fcl_tensor *q, fcl_tensor *k, fcl_tensor *v, int heads, fcl_tensor *mask,
                                  fcl_tensor *bias);

/* --- shape --- */

FCL_API fcl_tensor *fcl_reshape(fcl_tensor *a, fcl_shape shape); /* a view: costs nothing */
FCL_API fcl_tensor *fcl_expand(fcl_tensor *a, fcl_shape shape);  /* broadcast, written out */
FCL_API fcl_tensor *fcl_permute(fcl_tensor *a, const int *order); /* result dimension i is a's order[i] */
FCL_API fcl_tensor *fcl_slice(fcl_tensor *a, int axis, int64_t begin, int64_t end);
/* Zeros before and after along an axis: the adjoint of slice. */
FCL_API fcl_tensor *fcl_pad(fcl_tensor *a, int axis, int64_t before, int64_t after);
FCL_API fcl_tensor *fcl_concat(int count, fcl_tensor *const *parts, int axis);

/* --- rows by index --- */

/* table (N, ...), index (B) of FCL_I32 in 0..N-1 (what lies outside is clamped into it) -> (B, ...). A table of
 * FCL_U8 gives value * scale + shift; for FCL_F32 scale 1 and shift 0 give the rows as they are. A table of FCL_I32
 * needs 1 and 0 and gives FCL_I32. */
FCL_API fcl_tensor *fcl_gather_rows(fcl_tensor *table, fcl_tensor *index, float scale, float shift);
/* The adjoint: rows (B, ...) added into zeros (N, ...) at their index, in the order of B. */
FCL_API fcl_tensor *fcl_scatter_rows(fcl_tensor *rows, fcl_tensor *index, int64_t count);

/* a (..., N), index (..., K) of FCL_I32 in 0..N-1 (what lies outside is clamped into it) -> (..., K): element index[..., k]
 * along the last axis (torch.gather). The index's leading dimensions are the last ones of a's; (K) is the same for all. */
FCL_API fcl_tensor *fcl_gather(fcl_tensor *a, fcl_tensor *index);
/* The adjoint: a (..., K) added into zeros (..., count) at its index, in the order of K. */
FCL_API fcl_tensor *fcl_scatter(fcl_tensor *a, fcl_tensor *index, int64_t count);

/* index (B) of FCL_I32 in 0..count-1 (what lies outside is clamped into it) -> (B, count): 1 at the index, 0 elsewhere. */
FCL_API fcl_tensor *fcl_one_hot(fcl_tensor *index, int64_t count);

/* Functions given by their values at N equal steps from 0 to 1: table (N, C), x (B, 1) -> (B, C), linear between
 * the steps; x is clamped into 0 to 1, and NaN gives NaN. No derivative goes through it. */
FCL_API fcl_tensor *fcl_interpolate(fcl_tensor *table, fcl_tensor *x);

/* --- random numbers (noise.cl) ---
 * Philox4x32-10 counted by (seed, stream, step, element): fcl_graph_random sets seed, step and the number of
 * the first row; element = (first row + row) * row size + column. So a batch split into parts draws the same
 * numbers, on every device (bits; the normals' logarithm and sine differ by rounding). */
FCL_API fcl_tensor *fcl_normal(fcl_graph *graph, fcl_shape shape, uint32_t stream);
FCL_API fcl_tensor *fcl_uniform(fcl_graph *graph, fcl_shape shape, uint32_t stream); /* inside (0, 1) */
/* Row numbers of a data set of `count` rows for a batch (B) of FCL_I32: sample s = step * batch_total + first
 * row + row visits the data in the order of a random permutation, a new one each epoch (s / count), without
 * replacement. batch_total is the samples of a whole step. */
FCL_API fcl_tensor *fcl_batch_index(fcl_graph *graph, int64_t count, int64_t batch, int64_t batch_total,
                                    uint32_t stream);
/* (B, 1): (first row + row) % total, the row's number in its step of `total` rows. */
FCL_API fcl_tensor *fcl_row_number(fcl_graph *graph, int64_t batch, int64_t total);
/* label (B) of FCL_I32 -> (B): `instead` where the row's uniform number of the stream, as fcl_uniform's of (B), is below
 * `share`, else the label. */
FCL_API fcl_tensor *fcl_drop_labels(fcl_tensor *label, int instead, float share, uint32_t stream);
FCL_API void fcl_graph_random(fcl_graph *graph, uint64_t seed, uint32_t step, uint64_t first_row);

/* --- conditional flow matching (cfm.cl); rows are samples, D their flattened size --- */

/* The squared error of each sample, averaged over its D numbers: v, u (B, D) -> (B, 1). Differentiable in v
 * and u. */
FCL_API fcl_tensor *fcl_cfm_loss(fcl_tensor *v, fcl_tensor *u);

/* --- entropic optimal transport (transport.cl) --- */

/* What is minimised over plans P >= 0 between M rows and N columns, each of the same weight:
 *     sum P_ij K_ij + sum P_ij log(P_ij M N)
 * with K the costs over the entropy's weight ("reg"). relax 1: rows have the mass 1 / M, columns 1 / N (Cuturi
 * 2013). relax rho / (rho + reg), below 1: a difference from these marginals costs rho / reg times its relative
 * entropy (Chizat et al. 2018). mass m: rows and columns have at most these masses, all of the plan has m
 * (Benamou et al. 2015). All of it in logarithms: no K overflows. Iterations are over-relaxed, and end by the plan's
 * error: the share of the rows' mass that making them exact would change, columns being exact; 0 to 1. Where marginals
 * are kept it is the mean relative error of a row's mass. Single precision of K lets it fall to about 1e-7 times the
 * largest |K| on pairs that have mass: where that, or so many iterations, are not enough, the report says so. */
typedef struct fcl_sinkhorn_control {
    int iterations;  /* at most; each updates rows and columns */
    float tolerance; /* they end when the error is less; 0: all iterations are done */
    float mass;      /* 0: not partial */
} fcl_sinkhorn_control;

enum fcl_transport_report { /* numbers of the report */
    FCL_TRANSPORT_ITERATIONS,
    FCL_TRANSPORT_CHANGE, /* the plan's error, as above */
    FCL_TRANSPORT_MASS,   /* of the plan */
    FCL_TRANSPORT_OPEN,   /* 1: not converged */
    FCL_TRANSPORT_LAMBDA,
    FCL_TRANSPORT_REPORT
};

/* P_ij = exp(f_i + g_j + lambda - K_ij) / (M N); f, sum (M), g (N), report (FCL_TRANSPORT_REPORT). sum_i is the
 * logarithm of the mean over j of exp(g_j - K_ij), so row i has the mass exp(f_i + sum_i + lambda) / M. */
typedef struct fcl_sinkhorn_plan {
    fcl_tensor *cost, *f, *g, *sum, *report;
} fcl_sinkhorn_plan;

/* cost (M, N) = K, finite; relax (), NULL: 1. Has no derivative. */
FCL_API fcl_sinkhorn_plan fcl_sinkhorn(fcl_tensor *cost, fcl_tensor *relax, const fcl_sinkhorn_control *control);

/* M pairs (row, column) drawn from a plan, each (M) of FCL_I32. `each_row`: row i is in pair i; else the rows are
 * drawn by their mass, one a stratum. Columns are drawn with replacement, by the inverse of a row's distribution
 * function. u (M, 2): uniform numbers. */
typedef struct fcl_transport_pairs {
    fcl_tensor *row, *column;
} fcl_transport_pairs;
FCL_API fcl_transport_pairs fcl_transport_draw(const fcl_sinkhorn_plan *plan, fcl_tensor *u, bool each_row);

/* --- ODE stepping (ode.cl) --- */

/* base + h * (coefficients[0] * k[0] + ...): one stage of a Runge-Kutta step. x, k (B, D); h (), or (B, 1)
 * where each sample has its own step. Coefficients of 0 are left out. At most 16 terms. */
FCL_API fcl_tensor *fcl_ode_stage(fcl_tensor *x, fcl_tensor *h, int count, fcl_tensor *const *k,
                                  const double *coefficients);

/* Adaptive control, each sample with its own time and step (Hairer, Norsett, Wanner, "Solving ODEs I", II.4;
 * PI control after Gustafsson). State of a sample: t, h (signed: negative runs backward), the previous
 * accepted error, and counters; `t_end` is where it stops. Inputs per sample: x, x_new, error (the embedded
 * difference, already times h), k_first and k_last (B, D), the state (B, 8).
 * error norm = rms over D of error / (atol + rtol max(|x|, |x_new|)); accepted where it is <= 1 (a NaN counts as
 * rejected). An accepted sample takes x_new, t + h and, as the next first slope, k_last; a rejected one keeps
 * x and k_first and shrinks h. The next h is h times
 *     clamp(0.9 norm^(-0.85/order) previous^(0.2/order), 0.2, 5),   at most 0.9 after a rejection,
 * 0.2 where the norm is NaN or infinite, and reaches t_end where it comes within 1 % of it: the last step ends on
 * t_end exactly. The first h must not pass t_end. A finished or stuck sample has h = 0 and stays as it is; it is
 * stuck when |h| falls below 4.8e-7 max(|t|, |t_end|). */
enum fcl_ode_state { /* columns of the state */
    FCL_ODE_T,
    FCL_ODE_H,
    FCL_ODE_T_END,
    FCL_ODE_ERROR,    /* the last accepted error norm; start with 1 */
    FCL_ODE_ACCEPTED, /* steps accepted so far, rejected so far */
    FCL_ODE_REJECTED,
    FCL_ODE_ACTIVE, /* 1 while running, 0 when t_end is reached, -1 when h underflows (stuck) */
    FCL_ODE_PROPOSED, /* the next h before t_end cuts it short; start with 0 */
    FCL_ODE_STATE
};
typedef struct fcl_ode_control {
    float rtol, atol;
    int order; /* of the embedded error estimate's lower solution plus one: the controller's exponent is 1/order */
} fcl_ode_control;
typedef struct fcl_ode_next {
    fcl_tensor *x, *k_first, *state;
} fcl_ode_next;
FCL_API fcl_ode_next fcl_ode_advance(const fcl_ode_control *control, fcl_tensor *x, fcl_tensor *x_new,
                                     fcl_tensor *error, fcl_tensor *k_first, fcl_tensor *k_last,
                                     fcl_tensor *state);

/* --- derivatives --- */

/* Reverse mode: dx[i] = (dy/dx[i])' seed for each of `count` tensors x; seed has y's shape, NULL means ones.
 * A dx[i] is never NULL: zeros where y does not depend on x[i]. */
FCL_API void fcl_vjp(fcl_tensor *y, fcl_tensor *seed, int count, fcl_tensor *const *x, fcl_tensor **dx);
/* Forward mode: dy[j] = sum over i of (dy[j]/dx[i]) dx[i] for each of `outputs` tensors y. The tangents have the
 * shapes of x, or all of them the same leading dimensions before these: (T, shape of x[i]) are T tangents in one
 * sweep, which computes y once, and dy[j] is (T, shape of y[j]). No tensor on the way may then have more than
 * FCL_MAX_RANK dimensions. dy is made of operations that have derivatives themselves: fcl_vjp of it is the gradient of
 * a function of the tangent. */
FCL_API void fcl_jvp(int outputs, fcl_tensor *const *y, fcl_tensor **dy, int count, fcl_tensor *const *x,
                     fcl_tensor *const *dx);

/* --- blocks, to save memory ---
 *
 * A derivative reads what was computed on the way, which all waits in memory for it. Where a graph is asked to recompute, the
 * derivatives of fcl_vjp compute what stands in a block once more, from what the block reads, when their turn comes, and
 * only that waits: for one more forward pass, a deep network takes the memory of its blocks' inputs and of one block. What
 * is random is drawn the same again. Numbers are the same up to rounding, and bit for bit from run to run. (Chen et al. 2016,
 * arXiv:1604.06174.)
 *
 *     fcl_graph_recompute(graph, true);          // before derivatives; without it blocks mean nothing
 *     fcl_block_begin(graph);
 *     h = fcl_add(h, fcl_linear(fcl_silu(fcl_linear(h, w[0], b[0])), w[1], b[1]));
 *     fcl_block_end(graph);
 *
 * A block inside of another belongs to the outer one. A block that has no end, or no begin, is a mistake. */
FCL_API void fcl_graph_recompute(fcl_graph *graph, bool recompute);
FCL_API void fcl_block_begin(fcl_graph *graph);
FCL_API void fcl_block_end(fcl_graph *graph);

/* --- what a run leaves behind --- */

/* Keeps the tensor's value until the next run, for fcl_tensor_read or fcl_tensor_buffer. Returns it. */
FCL_API fcl_tensor *fcl_output(fcl_tensor *tensor);
/* At the end of a run `target` (an input or a leaf) holds `value`. Every operation of the run sees what target
 * held when the run began. Written in place where that is safe, else by a copy. One value a target. */
FCL_API void fcl_assign(fcl_tensor *target, fcl_tensor *value);

/* --- compile and run --- */

typedef struct fcl_graph_options {
    bool no_fusion; /* one kernel a node: for tests and for naming a NaN */
    int repeat;     /* prepares fcl_graph_repeat for as many repetitions at once */
    bool check;     /* after each launch look for NaN and infinity and fail with the tensor's name: slow; implies no_fusion */
} fcl_graph_options;

/* Prepares everything a run needs on the device: programs, memory, launches. After it nothing can be added.
 * `options` may be NULL. FCL_ERR_SHAPE with the first mistake of the builders, else FCL_ERR_BUILD,
 * FCL_ERR_MEMORY or FCL_ERR_OPENCL. */
FCL_API int fcl_graph_compile(fcl_graph *graph, fcl_device *device, const fcl_graph_options *options);
/* Enqueues one run; waits for nothing, except that fcl_sinkhorn of large costs looks now and then whether iterations are
 * still needed. FCL_ERR_NUMERIC only with options.check. */
FCL_API int fcl_graph_run(fcl_graph *graph);

/* Runs `count` times. In run i, values[i * scalars + j] is what fcl_scalar_set would give scalar[j]. With
 * options.repeat, and where the whole graph fits into one kernel (a narrow network's step of a solver, on a
 * CPU), many runs are one launch; in it, rows whose samples fcl_ode_advance has all finished are not run again. */
FCL_API int fcl_graph_repeat(fcl_graph *graph, int count, int scalars, fcl_tensor *const *scalar,
                             const float *values);

/* The products of a compiled graph that go to a provider, each once; those inside a kernel of whole rows do
 * not. *products (NULL where there are none) is released by fcl_free. FCL_ERR_ARGUMENT before compile. */
FCL_API int fcl_graph_products(const fcl_graph *graph, fcl_product **products, int *count);

/* Copies a leaf's or an output's content from or to the host, in the order of the queue; a read waits. The
 * whole tensor: fcl_shape_size elements of its type. */
FCL_API int fcl_tensor_write(fcl_tensor *tensor, const void *data);
FCL_API int fcl_tensor_read(fcl_tensor *tensor, void *data);
/* The device's memory of a leaf or an output, after compile; the graph owns it. */
FCL_API fcl_buffer *fcl_tensor_buffer(fcl_tensor *tensor);

typedef struct fcl_graph_stats {
    int nodes;            /* after pruning */
    int launches;         /* a run enqueues so many kernels and products; where fcl_sinkhorn ends early, fewer */
    int kernels;          /* distinct ones that were generated for it: equal ones are built once */
    double build_seconds; /* that the driver's compiler took for these */
    bool repeats;         /* many runs of fcl_graph_repeat are one launch */
    double operations;    /* floating-point ones of products, convolutions and attention, by their definitions: a multiplication
                             and an addition each, what is computed again for a derivative only where the graph says so */
    uint64_t arena_bytes; /* planned memory of intermediate values */
    uint64_t sum_bytes;   /* what they would take without sharing */
} fcl_graph_stats;
FCL_API fcl_graph_stats fcl_graph_describe(const fcl_graph *graph);

#ifdef __cplusplus
}
#endif

#endif
