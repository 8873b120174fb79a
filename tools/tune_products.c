/* A model's training step and its velocity as graphs, for the products in them. */
#include "tune.h"

#include <stdlib.h>
#include <string.h>

typedef struct parts {
    const fcl_model *model;
    fcl_tensor **weights;
} parts;

static fcl_tensor *velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)graph;
    const parts *to = data;
    return fcl_model_velocity(to->model, to->weights, in);
}

static void build_step(fcl_graph *graph, const tune_model *row, parts *to)
{
    int trained = fcl_params_trained(fcl_model_params(to->model));
    fcl_tensor *x1 = fcl_input(graph, "x1", FCL_F32, FCL_SHAPE(row->batch, fcl_shape_size(row->sample)));
    fcl_tensor *loss = fcl_cfm_objective(graph, NULL, x1, velocity, to);
    fcl_tensor **gradients = calloc((size_t)trained, sizeof *gradients);
    if (!gradients)
        return;
    fcl_vjp(loss, NULL, trained, to->weights, gradients);
    for (int i = 0; i < trained; i++)
        fcl_output(gradients[i]);
    free(gradients);
}

static void build_sampling(fcl_graph *graph, const tune_model *row, parts *to)
{
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(row->batch_of_samples, fcl_shape_size(row->sample)));
    fcl_output(velocity(to, graph, &(fcl_velocity_inputs){.x = x, .t = fcl_scalar(graph, "t")}));
}

static int add_graph(fcl_graph *graph, fcl_device *device, fcl_product **list, int *count)
{
    fcl_product *found = NULL;
    int many = 0, status = fcl_graph_compile(graph, device, NULL);
    if (status == FCL_OK)
        status = fcl_graph_products(graph, &found, &many);
    for (int i = 0; i < many; i++) {
        fcl_product *longer = fcl_product_listed(*list, *count, &found[i])
                                  ? NULL
                                  : realloc(*list, (size_t)(*count + 1) * sizeof *longer);
        if (longer) {
            *list = longer;
            (*list)[(*count)++] = found[i];
        }
    }
    fcl_free(found);
    return status;
}

typedef void builder(fcl_graph *graph, const tune_model *row, parts *to);

static int add_built(fcl_device *device, const tune_model *row, const fcl_model *model, fcl_buffer *buffer,
                     builder *build, fcl_product **list, int *count)
{
    fcl_graph *graph = fcl_graph_create();
    parts to = {model, fcl_params_bind(fcl_model_params(model), graph, buffer, "")};
    build(graph, row, &to);
    int status = add_graph(graph, device, list, count);
    fcl_free(to.weights);
    fcl_graph_destroy(&graph);
    return status;
}

int tune_products_add(fcl_device *device, const tune_model *row, fcl_product **list, int *count)
{
    fcl_model *model;
    fcl_buffer *weights = NULL;
    int status = fcl_model_create(&row->options, row->sample, 0, &model);
    if (status == FCL_OK)
        status = fcl_buffer_create(device, fcl_params_bytes(fcl_model_params(model)), &weights);
    if (status == FCL_OK)
        status = add_built(device, row, model, weights, build_step, list, count);
    if (status == FCL_OK)
        status = add_built(device, row, model, weights, build_sampling, list, count);
    fcl_buffer_destroy(&weights);
    fcl_model_destroy(&model);
    return status;
}
