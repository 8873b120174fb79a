/* Trains on data that the program itself made: two rings in memory, each with its label. Then draws both.
 *
 *     own_data [FOLDER]       // default ".": rings.safetensors and rings.png */
#include <flowcl/flowcl.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 4000 };

static void fill(float x[COUNT][2], int32_t y[COUNT])
{
    for (int i = 0; i < COUNT; i++) {
        double turn = 6.283185307 * i / COUNT;
        y[i] = i % 2;
        x[i][0] = (float)((1 + y[i]) * cos(turn));
        x[i][1] = (float)((1 + y[i]) * sin(turn));
    }
}

static int train(fcl_device *device, const fcl_dataset *data, const char *path)
{
    fcl_train_options options = {.steps = 1000, .labels = true, .seed = 1};
    fcl_trainer *trainer = NULL;
    int status = fcl_trainer_create(device, data, &options, &trainer);
    if (status == FCL_OK)
        status = fcl_trainer_run(trainer, NULL);
    if (status == FCL_OK)
        status = fcl_trainer_save(trainer, path);
    fcl_trainer_destroy(&trainer);
    return status;
}

static int draw(fcl_device *device, const char *model, const char *path)
{
    fcl_checkpoint *checkpoint = NULL;
    fcl_array *samples = NULL;
    int status = fcl_checkpoint_open(model, &checkpoint);
    if (status == FCL_OK)
        status = fcl_sample(device, checkpoint, &(fcl_sample_options){.n = 2000}, &samples, NULL);
    if (status == FCL_OK)
        status = fcl_samples_write(path, samples, NULL);
    fcl_array_destroy(&samples);
    fcl_checkpoint_close(&checkpoint);
    return status;
}

int main(int argc, char **argv)
{
    static float x[COUNT][2];
    static int32_t y[COUNT];
    const char *folder = argc > 1 ? argv[1] : ".";
    char model[4096], picture[4096];
    snprintf(model, sizeof model, "%s/rings.safetensors", folder);
    snprintf(picture, sizeof picture, "%s/rings.png", folder);
    fill(x, y);

    fcl_dataset given = {.name = "my rings", .count = COUNT, .shape = FCL_SHAPE(2), .values = x[0], .label = y};
    fcl_dataset *data = NULL;
    fcl_device *device = NULL;
    int status = fcl_dataset_from(&given, &data);
    if (status == FCL_OK)
        status = fcl_device_open(NULL, NULL, &device);
    if (status == FCL_OK)
        status = train(device, data, model);
    if (status == FCL_OK)
        status = draw(device, model, picture);
    fcl_device_close(&device);
    fcl_dataset_destroy(&data);
    puts(status == FCL_OK ? picture : fcl_error());
    return status == FCL_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
