/* Trains a network of its own, by a loss of its own, to multiply two numbers; goes on where FILE is there already.
 *
 *     own_model [FILE]        // default "product.safetensors" */
#include <flowcl/flowcl.h>
#include <stdio.h>
#include <unistd.h>

enum { BATCH = 256, WIDTH = 32, STEPS = 1000, STREAM = 1000 };
enum { IN, IN_BIAS, OUT, OUT_BIAS, GAIN }; /* the slices, in the order of their declaration */

static void declare(fcl_params *params)
{
    fcl_linear_declare(params, 2, WIDTH, "in");
    fcl_linear_declare(params, WIDTH, 1, "out");
    fcl_params_add(params, &(fcl_param){.shape = FCL_SHAPE(WIDTH), .init = FCL_INIT_ONES, .undecayed = true}, "gain");
}

/* The mean of (x0 x1 - out(gain tanh(in(x))))^2 over x in the square from -1 to 1. */
static fcl_tensor *build_loss(fcl_tensor *const *w, fcl_graph *graph)
{
    fcl_tensor *x = fcl_shift(fcl_scale(fcl_uniform(graph, FCL_SHAPE(BATCH, 2), STREAM), 2), -1); /* (B, 2) */
    fcl_tensor *y = fcl_mul(fcl_slice(x, 1, 0, 1), fcl_slice(x, 1, 1, 2));                        /* (B, 1) */
    fcl_tensor *h = fcl_mul(fcl_tanh(fcl_linear(x, w[IN], w[IN_BIAS])), w[GAIN]);                 /* (B, WIDTH) */
    return fcl_mean(fcl_square(fcl_sub(y, fcl_linear(h, w[OUT], w[OUT_BIAS]))));
}

static int train(fcl_learner *learner, fcl_graph *graph, double *loss)
{
    int status = FCL_OK;
    for (int i = 0; i < STEPS && status == FCL_OK; i++) {
        fcl_graph_random(graph, 1, (uint32_t)fcl_learner_steps(learner), 0);
        status = fcl_graph_run(graph) || fcl_learner_step(learner) ||
                 (i == STEPS / 2 && fcl_learner_loss(learner, loss, NULL));
    }
    return status || fcl_learner_loss(learner, loss, NULL); /* the mean of the second half */
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "product.safetensors";
    fcl_learner_options options = {.lr = 0.01f, .schedule = "constant", .weight_decay = 1e-4f};
    fcl_params *params = fcl_params_create();
    fcl_graph *graph = fcl_graph_create();
    fcl_device *device = NULL;
    fcl_learner *learner = NULL;
    double loss;
    declare(params);
    if (fcl_device_open(NULL, NULL, &device) || fcl_learner_create(device, params, &options, &learner))
        return fprintf(stderr, "%s\n", fcl_error()), 1;
    fcl_tensor **weights = fcl_learner_bind(learner, graph);
    fcl_learner_minimise(learner, weights, build_loss(weights, graph));
    if (fcl_graph_compile(graph, device, NULL) || (access(path, F_OK) == 0 && fcl_learner_load(learner, path)) ||
        train(learner, graph, &loss) || fcl_learner_save(learner, path))
        return fprintf(stderr, "%s\n", fcl_error()), 1;
    printf("step %lld, loss %.6f: %s\n", (long long)fcl_learner_steps(learner), loss, path);
    return 0; /* what the program holds ends with it */
}
