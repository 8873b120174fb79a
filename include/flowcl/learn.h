/* flowcl/learn.h: what learns: parameters, their gradients, both moments, their averages, and the optimiser's step.
 *
 * A learner trains the parameters that fcl_params declares (nn.h) by any loss that a graph computes from them. Flow
 * matching's own loop (train.h) stands on one; examples/own_model.c is a whole program.
 *
 *     fcl_learner_options options = {.lr = 0.01f, .steps = 1000};
 *     fcl_learner *learner = NULL;
 *     fcl_learner_create(device, params, &options, &learner);
 *
 *     fcl_graph *graph = fcl_graph_create();
 *     fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(64, 2)), *y = ...;
 *     fcl_tensor **w = fcl_learner_bind(learner, graph);                    // one leaf a slice
 *     fcl_tensor *loss = fcl_mean(fcl_square(fcl_sub(fcl_linear_build(layer, w, x), y)));
 *     fcl_learner_minimise(learner, w, loss);                               // its gradient, left for the step
 *     fcl_graph_compile(graph, device, NULL);
 *     for (int step = 0; step < 1000; step++) {
 *         ...                                                               // x and y: fcl_tensor_write
 *         fcl_graph_run(graph);
 *         fcl_learner_step(learner);
 *     }
 *     fcl_learner_save(learner, "net.safetensors");
 *
 * Steps are only enqueued: losses stay on the device until fcl_learner_loss asks. Several learners may live on one
 * device, and in one graph: each minimises a loss of its own, and what another one's weights add to it they are to it
 * constants. A graph that learns nothing binds fcl_learner_weights or fcl_learner_ema by fcl_params_bind; it sees what
 * the last step left.
 * Threads. A learner belongs to the thread of its graphs. */
#ifndef FLOWCL_LEARN_H
#define FLOWCL_LEARN_H

#include <flowcl/nn.h>
#include <flowcl/ranks.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- options --- */

enum { FCL_AVERAGES = 4 }; /* of the weights, at most */

/* Zero is the default (options.h). */
typedef struct fcl_learner_options {
    uint64_t seed;  /* of the first values; learners of one program take a seed each */
    int64_t steps;  /* of the whole training, over which the schedule runs */
    int accumulate; /* runs of the graph for a step, whose gradients and losses are averaged */
    float lr;
    const char *schedule; /* "constant", "warmup", "cosine" */
    int64_t warmup;       /* steps of linear warm-up; 0: none, except for "warmup", where it is a tenth of steps */
    float weight_decay, beta1, beta2, epsilon; /* AdamW (Loshchilov and Hutter 2019); decay: see fcl_param.undecayed */
    float clip;                                /* largest global norm of the gradient; FCL_OFF */
    const char *ema; /* decays of the averages of the weights, separated by commas: "0.999", or up to FCL_AVERAGES as "0.999,0.9999"; each
                        above 0, and in a step at most (1 + step) / (10 + step). "off": none. A further one costs a pass over
                        the weights and as much memory as these */
    const char *on_nan; /* of a step whose loss or gradient is not finite: "stop", nothing changes from it on, and
                           fcl_learner_loss tells of it; or "skip", see fcl_learner_skipped */
    fcl_ranks *ranks; /* learn together, borrowed: each has a learner of the same parameters and options, computes the
                         gradient of its own rows, and fcl_learner_step, which waits for all, takes the sum. NULL: alone */
    double share; /* of this rank in that sum, of 1 in all: its part of a step's rows; 0: all ranks have as many */
    const char *buckets; /* "yes": pieces of the gradient, of 4 MiB, go to the others as soon as the last of options.accumulate
                            runs has completed them, while its backward pass goes on; "no": once all are complete; "auto":
                            buckets on GPUs, where there is more than one. A CPU's cores, which would move and add them, are
                            those that compute. No bit depends on it, and ranks need not agree */
} fcl_learner_options;

FCL_API extern const fcl_option fcl_learner_table[];

/* Whether a learner can be made of these options; zeros are defaults. FCL_ERR_ARGUMENT. */
FCL_API int fcl_learner_check(const fcl_learner_options *options);

/* The learning rate of a step (0, 1, ...):
 *     warm-up of W steps: lr (step + 1) / W while step < W
 *     cosine: lr (1 + cos(pi (step - W) / (steps - W))) / 2, and 0 from `steps` on */
FCL_API double fcl_learner_rate(const fcl_learner_options *options, int64_t step);
FCL_API const char *fcl_schedule_name(int index); /* NULL past the last */

/* --- learning --- */

/* Random numbers (see fcl_normal): this stream and those that follow are the first values', one a slice. */
enum { FCL_STREAM_WEIGHTS = 256 };

typedef struct fcl_learner fcl_learner;

/* Draws the first values, by fcl_params_initialise of options->seed and the stream FCL_STREAM_WEIGHTS. `device` and
 * `params` are borrowed until destroy, and nothing is declared any more; options, which may be NULL, are copied.
 * FCL_ERR_ARGUMENT: see fcl_learner_check, fcl_params_check; FCL_ERR_MEMORY; FCL_ERR_OPENCL. */
FCL_API int fcl_learner_create(fcl_device *device, const fcl_params *params, const fcl_learner_options *options,
                               fcl_learner **learner);
FCL_API void fcl_learner_destroy(fcl_learner **learner);

/* A leaf of `graph` for each slice of the weights: fcl_params_bind of them. The array is released by fcl_free. */
FCL_API fcl_tensor **fcl_learner_bind(fcl_learner *learner, fcl_graph *graph);
/* Appends the gradient of the loss, of shape (), in `weights`, which fcl_learner_bind made of this graph; a run leaves
 * both for the step. Once in a graph. Of options.ranks a run behind the last of a step's fails: FCL_ERR_ARGUMENT. */
FCL_API void fcl_learner_minimise(fcl_learner *learner, fcl_tensor *const *weights, fcl_tensor *loss);
/* Enqueues one step of the optimiser by what the last options.accumulate runs left. A loss or a gradient that is not
 * finite changes nothing, nor do the steps behind it unless options.on_nan says so: fcl_learner_loss tells of it.
 * FCL_ERR_NUMERIC only now and then, as that would. FCL_ERR_RANK: another rank has ended. */
FCL_API int fcl_learner_step(fcl_learner *learner);
FCL_API int64_t fcl_learner_steps(const fcl_learner *learner); /* taken so far, those before a load included */

/* Waits; the mean loss and the mean global norm of the gradient, before clipping, of the steps since the last call: 0
 * where there were none, NaN where all were skipped, and each may be NULL. FCL_ERR_NUMERIC: one was not finite, and the
 * message names its step; from then on each call tells of it. */
FCL_API int fcl_learner_loss(fcl_learner *learner, double *loss, double *gradient_norm);

/* Steps that were skipped, with options.on_nan = "skip", of those that fcl_learner_loss has told of. A skipped step is one:
 * it counts, in fcl_learner_steps, in the schedule, in what random numbers are counted by, in AdamW's corrections 1 - beta^n
 * and in how averages begin, and a mean of losses has none of it; weights, moments and averages stay as they were, bit for
 * bit. The device sees to it, and nothing waits. So many in a row end the learning as "stop" does: what is left does not
 * mend itself. */
enum { FCL_MOST_SKIPS = 50 };
FCL_API int64_t fcl_learner_skipped(const fcl_learner *learner);

/* The flat buffers, in the layout of the parameters. */
FCL_API fcl_buffer *fcl_learner_weights(fcl_learner *learner);
FCL_API fcl_buffer *fcl_learner_ema(fcl_learner *learner); /* the first average; NULL where there is none */
FCL_API fcl_buffer *fcl_learner_average(fcl_learner *learner, int index); /* in the order of options.ema; NULL past the last */
FCL_API fcl_buffer *fcl_learner_gradients(fcl_learner *learner);

/* --- files ---
 * One safetensors file of any number of learners. A slice's tensors are its weights under its own name, and with
 * "ema.", "adam.m." and "adam.v." before it; of a learner with a name of its own, "critic", that follows:
 * "ema.critic.w". Averages beside the first have their decay, as the shortest decimal, behind "ema.": "ema.0.9999.w",
 * "ema.0.9999.critic.w". In PyTorch's order of dimensions: see fcl_param.order. */

/* Weights, averages, moments and steps: fcl_learners_load goes on from them as if nothing had been between.
 * FCL_ERR_NUMERIC: a number is not finite, and nothing is written. */
FCL_API int fcl_learners_save(const char *path, int count, fcl_learner *const *learners, const char *const *names);
FCL_API int fcl_learner_save(fcl_learner *learner, const char *path); /* of one, without a name */

/* Takes up a file that these functions wrote. Of several learners in it some may be left out. An average goes on from that
 * of its decay in the file, which may be at another place there; where both have but one, from that one. Another begins with
 * the weights, and what nobody goes on from is left. FCL_ERR_FILE; FCL_ERR_FORMAT: damaged, of another program,
 * or of other parameters, and the message says which; then no learner is changed. */
FCL_API int fcl_learners_load(const char *path, int count, fcl_learner *const *learners, const char *const *names);
FCL_API int fcl_learner_load(fcl_learner *learner, const char *path);

/* Takes the weights alone, and averages where the file has them, "ema." for the first and "ema.0.9999." for another of that
 * decay, of any safetensors file that has the names and shapes of the slices: of another program, or of a training (train.h).
 * The other averages begin with the weights. F16, BF16 and F64 become F32; further tensors are left aside. Errors as
 * fcl_learner_load. */
FCL_API int fcl_learner_begin_with(fcl_learner *learner, const char *path);

#ifdef __cplusplus
}
#endif

#endif
