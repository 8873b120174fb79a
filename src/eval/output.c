/* Samples into files, by the file's ending. */
#include <flowcl/eval.h>

#include "base/array.h"
#include "base/csv.h"
#include "base/error.h"
#include "base/file.h"
#include "base/npz.h"
#include "eval/plot.h"

#include <string.h>

typedef int writer(const char *path, const fcl_array *samples, const fcl_picture_options *options);

static int write_npy(const char *path, const fcl_array *samples, const fcl_picture_options *options)
{
    (void)options;
    return fcl_npy_write(path, samples);
}

static int write_npz(const char *path, const fcl_array *samples, const fcl_picture_options *options)
{
    (void)options;
    return fcl_npz_write(path, &(fcl_npz_entry){"x", .array = samples}, 1);
}

static int write_csv(const char *path, const fcl_array *samples, const fcl_picture_options *options)
{
    (void)options;
    return fcl_csv_write(path, samples);
}

static bool are_points(fcl_shape sample)
{
    return sample.rank == 1 && sample.dim[0] >= 2;
}

bool fcl_samples_are_pictures(fcl_shape sample)
{
    return fcl_shape_is_picture(sample);
}

static int fail_shape(const char *path, fcl_shape sample)
{
    char text[FCL_SHAPE_TEXT];
    return fcl_fail(FCL_ERR_SHAPE,
                    "cannot draw %s: samples of shape %s are neither points (2 or more) nor pictures (H, W) or (1 or 3, "
                    "H, W); write .npy, .npz or .csv",
                    path, fcl_shape_format(sample, text));
}

fcl_shape fcl_sample_shape(fcl_shape samples)
{
    samples.rank--;
    memmove(samples.dim, samples.dim + 1, sizeof *samples.dim * (size_t)samples.rank);
    return samples;
}

static int write_png(const char *path, const fcl_array *samples, const fcl_picture_options *options)
{
    const fcl_shape sample = fcl_sample_shape(samples->shape);
    if (are_points(sample))
        return fcl_scatter_write(path, samples, options);
    return fcl_samples_are_pictures(sample)
               ? fcl_grid_write(path, samples, 0, options->low, options->high, options->label)
               : fail_shape(path, sample);
}

static int write_folder(const char *path, const fcl_array *samples, const fcl_picture_options *options)
{
    return fcl_pictures_write(path, samples, options, 0, NULL);
}

static const struct {
    const char *ending;
    writer *write;
} formats[] = {
    {".npy", write_npy},
    {".npz", write_npz},
    {".csv", write_csv},
    {".png", write_png},
};

static writer *find_writer(const char *path)
{
    if (fcl_pictures_in_folder(path))
        return write_folder;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (fcl_file_ends_with(path, formats[i].ending))
            return formats[i].write;
    }
    return NULL;
}

int fcl_samples_check_path(const char *path)
{
    if (!find_writer(path))
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "cannot tell the format of '%s': its name has to end in .npy, .npz, .csv or .png, or in / for a "
                        "folder of pictures",
                        path);
    return fcl_pictures_in_folder(path) ? fcl_folder_check(path) : fcl_file_check_place(path);
}

int fcl_samples_check_shape(const char *path, fcl_shape sample)
{
    FCL_TRY(fcl_samples_check_path(path));
    writer *found = find_writer(path);
    bool drawn = found == write_png && are_points(sample), whole = found == write_png || found == write_folder;
    return drawn || !whole || fcl_samples_are_pictures(sample) ? FCL_OK : fail_shape(path, sample);
}

int fcl_samples_write(const char *path, const fcl_array *samples, const fcl_picture_options *options)
{
    static const fcl_picture_options defaults = {0};
    FCL_TRY(fcl_samples_check_path(path));
    if (samples->shape.rank == 0 || fcl_shape_size(samples->shape) == 0)
        return fcl_fail(FCL_ERR_SHAPE, "cannot write %s: there are no samples", path);
    return find_writer(path)(path, samples, options ? options : &defaults);
}
