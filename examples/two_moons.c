/* Trains a small network on two moons, draws samples from it and writes their picture.
 *
 *     two_moons [FOLDER]      // default "two_moons.run": the checkpoint and samples.png */
#include <flowcl/flowcl.h>

#include <stdio.h>
#include <stdlib.h>

static void progress(void *data, const fcl_train_progress *now)
{
    (void)data;
    printf("step %lld of %lld, loss %.4f\n", (long long)now->step, (long long)now->steps, now->loss);
}

static int train(const char *folder)
{
    fcl_train_options options = {.data = "moons", .out = folder, .seed = 1};
    return fcl_train(&options, &(fcl_train_hooks){.progress = progress});
}

static int draw(fcl_device *device, const char *folder, fcl_array **samples)
{
    fcl_checkpoint *checkpoint;
    fcl_sample_stats stats;
    int status = fcl_checkpoint_open(folder, &checkpoint);
    if (status != FCL_OK)
        return status;
    status = fcl_sample(device, checkpoint, &(fcl_sample_options){.n = 2000}, samples, &stats);
    if (status == FCL_OK)
        printf("2000 samples in %.2f s, %g evaluations each\n", stats.seconds, stats.nfe_mean);
    fcl_checkpoint_close(&checkpoint);
    return status;
}

static int picture(const char *folder, const char *path)
{
    fcl_device *device;
    fcl_array *samples = NULL;
    int status = fcl_device_open(NULL, NULL, &device);
    if (status != FCL_OK)
        return status;
    status = draw(device, folder, &samples);
    if (status == FCL_OK)
        status = fcl_samples_write(path, samples, NULL);
    fcl_array_destroy(&samples);
    fcl_device_close(&device);
    return status;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "two_moons.run";
    char path[4096];
    snprintf(path, sizeof path, "%s/samples.png", folder);
    if (train(folder) != FCL_OK || picture(folder, path) != FCL_OK) {
        fprintf(stderr, "%s\n", fcl_error());
        return EXIT_FAILURE;
    }
    printf("%s\n", path);
    return EXIT_SUCCESS;
}
