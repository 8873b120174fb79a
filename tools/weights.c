#include "weights.h"

#include <stdlib.h>
#include <unistd.h>

static int read_energy(weights *of, const char *path, int64_t n)
{
    fcl_dataset *file = NULL;
    fcl_array *values = NULL;
    int status = fcl_dataset_open(path, &(fcl_dataset_options){.label_column = "none"}, &file);
    if (status == FCL_OK && (file->count < n || fcl_shape_size(file->shape) != 1)) {
        snprintf(of->fault, sizeof of->fault,
                 "--energy %s: %lld rows of %lld numbers; it takes one number for each of %lld samples", path,
                 (long long)file->count, (long long)fcl_shape_size(file->shape), (long long)n);
        status = FCL_ERR_ARGUMENT;
    }
    if (status == FCL_OK)
        status = fcl_dataset_take(file, 0, n, &values);
    for (int64_t i = 0; i < n && status == FCL_OK; i++)
        of->energy[i] = values->data[i];
    fcl_array_destroy(&values);
    fcl_dataset_destroy(&file);
    return status;
}

static int allocate(weights *of, int64_t n)
{
    of->log_density = calloc((size_t)n, sizeof *of->log_density);
    of->energy = calloc((size_t)n, sizeof *of->energy);
    of->log_weight = calloc((size_t)n, sizeof *of->log_weight);
    of->column = calloc((size_t)n, sizeof *of->column);
    if (of->log_density && of->energy && of->log_weight && of->column)
        return FCL_OK;
    snprintf(of->fault, sizeof of->fault, "no memory for the weights of %lld samples", (long long)n);
    return FCL_ERR_MEMORY;
}

int weights_compute(weights *of, const char *energy, const fcl_array *samples, const fcl_array *density)
{
    int64_t n = samples->shape.dim[0];
    int status = allocate(of, n);
    for (int64_t i = 0; i < n && status == FCL_OK; i++)
        of->log_density[i] = density->data[2 * i];
    if (status == FCL_OK)
        status = access(energy, F_OK) == 0 ? read_energy(of, energy, n)
                                           : fcl_importance_energy(energy, samples, of->energy);
    if (status == FCL_OK)
        status = fcl_importance_weigh(n, of->log_density, of->energy, of->log_weight, &of->importance);
    for (int64_t i = 0; i < n && status == FCL_OK; i++)
        of->column[i] = (float)of->log_weight[i];
    return status;
}

int weights_check(const char *energy, int64_t size)
{
    fcl_array *origin;
    double value;
    if (access(energy, F_OK) == 0)
        return FCL_OK;
    int status = fcl_array_create(FCL_SHAPE(1, size), &origin);
    if (status == FCL_OK)
        status = fcl_importance_energy(energy, origin, &value);
    fcl_array_destroy(&origin);
    return status == FCL_ERR_NUMERIC ? FCL_OK : status; /* at the origin it may have no value */
}

void weights_print(const weights *of, int64_t n)
{
    fcl_printf("log Z                    %.5g, standard error %.2g\n", of->importance.log_z,
               of->importance.log_z_error);
    fcl_printf("effective sample size    %.1f of %lld, %.1f %%\n", of->importance.ess, (long long)n,
               100 * of->importance.ess / (double)n);
}

void weights_add_json(const weights *of, json_t *object)
{
    json_object_set_new(object, "log_z", json_real(of->importance.log_z));
    json_object_set_new(object, "log_z_error", tool_real_json(of->importance.log_z_error));
    json_object_set_new(object, "ess", json_real(of->importance.ess));
}

void weights_free(weights *of)
{
    free(of->log_density);
    free(of->energy);
    free(of->log_weight);
    free(of->column);
}
