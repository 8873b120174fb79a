#include "nn/params.h"

#include <string.h>

fcl_shape fcl_param_file_shape(const fcl_param *slice)
{
    fcl_shape file = {.rank = slice->shape.rank};
    for (int i = 0; i < slice->shape.rank; i++)
        file.dim[slice->order[i]] = slice->shape.dim[i];
    return file;
}

/* Where in the file each dimension of the slice goes on. */
static void find_steps(const fcl_param *slice, int64_t step[FCL_MAX_RANK])
{
    fcl_shape file = fcl_param_file_shape(slice);
    int64_t of_file[FCL_MAX_RANK], size = 1;
    for (int d = file.rank - 1; d >= 0; d--) {
        of_file[d] = size;
        size *= file.dim[d];
    }
    for (int i = 0; i < slice->shape.rank; i++)
        step[i] = of_file[slice->order[i]];
}

/* The file's place of number `index` of the slice. */
static int64_t place_in_file(const fcl_param *slice, const int64_t *step, int64_t index)
{
    int64_t place = 0;
    for (int i = slice->shape.rank - 1; i >= 0; i--) {
        place += index % slice->shape.dim[i] * step[i];
        index /= slice->shape.dim[i];
    }
    return place;
}

static bool is_as_in_file(const fcl_param *slice)
{
    for (int i = 0; i < slice->shape.rank; i++)
        if (slice->order[i] != i)
            return false;
    return true;
}

void fcl_param_from_file(const fcl_param *slice, const void *file, float *placed)
{
    int64_t size = fcl_shape_size(slice->shape), step[FCL_MAX_RANK];
    if (is_as_in_file(slice)) {
        memcpy(placed, file, (size_t)size * sizeof *placed);
        return;
    }
    find_steps(slice, step);
    for (int64_t i = 0; i < size; i++)
        memcpy(&placed[i], (const char *)file + (size_t)place_in_file(slice, step, i) * sizeof *placed, sizeof *placed);
}

void fcl_param_to_file(const fcl_param *slice, const float *placed, float *file)
{
    int64_t size = fcl_shape_size(slice->shape), step[FCL_MAX_RANK];
    if (is_as_in_file(slice)) {
        memcpy(file, placed, (size_t)size * sizeof *file);
        return;
    }
    find_steps(slice, step);
    for (int64_t i = 0; i < size; i++)
        file[place_in_file(slice, step, i)] = placed[i];
}
