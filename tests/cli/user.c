/* A user's program, in C and in C++: a set of data, a path in double, a graph on the device. */
#include <flowcl/flowcl.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct settings {
    int64_t rows;
    float factor;
    const char *path;
} settings;

static const fcl_option table[] = {{"rows", FCL_OPTION(settings, rows), 1, 100, "3"},
                                   {"factor", FCL_OPTION(settings, factor), 0, 10, "0.5"},
                                   {"path", FCL_OPTION(settings, path), 0, 0, "cosine"},
                                   {NULL, FCL_OPTION_INT, 0}};

/* *result: `factor` times the sum of the squares of 1, 2, ..., 2 rows. */
static int sum_squares(fcl_device *device, const settings *s, float *result)
{
    float values[200];
    for (int i = 0; i < 2 * s->rows; i++)
        values[i] = (float)(i + 1);
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input_filled(graph, "x", FCL_SHAPE(s->rows, 2), values);
    fcl_tensor *sum = fcl_output(fcl_scale(fcl_sum(fcl_square(x)), s->factor));
    int status = fcl_tensor_shape(sum).rank == FCL_SCALAR.rank ? FCL_OK : FCL_ERR_SHAPE;
    if (status == FCL_OK)
        status = fcl_graph_compile(graph, device, NULL);
    if (status == FCL_OK)
        status = fcl_graph_run(graph);
    if (status == FCL_OK)
        status = fcl_tensor_read(sum, result);
    fcl_graph_destroy(&graph);
    return status;
}

static int run(void)
{
    settings s = {0, 0, NULL};
    fcl_device *device = NULL;
    fcl_dataset *data = NULL;
    fcl_path *path = NULL;
    float sum = 0;
    fcl_options_defaults(table, &s);
    int status = fcl_device_open(NULL, NULL, &device);
    if (status == FCL_OK)
        status = fcl_dataset_open("moons", NULL, &data);
    if (status == FCL_OK)
        status = fcl_path_create(s.path, 0, &path);
    if (status == FCL_OK)
        status = sum_squares(device, &s, &sum);
    if (status == FCL_OK)
        fcl_printf("%s %d %.6f %.1f\n", fcl_version(), (int)data->shape.dim[0],
                   fcl_path_value(path, 1 / 3.).alpha, (double)sum);
    else
        fprintf(stderr, "%s: %s\n", fcl_status_name(status), fcl_error());
    fcl_path_destroy(&path);
    fcl_dataset_destroy(&data);
    fcl_device_close(&device);
    return status;
}

int main(void)
{
    return run() != FCL_OK || strcmp(FCL_VERSION, fcl_version()) != 0;
}
