/* Throws bytes at the reader of checkpoints, and of weights of another program. Built as dataset.c is; begin
 * with a real, small checkpoint in the folder of inputs (flowcl train moons --width 2 --depth 1 --steps 1).
 */
#include "train/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char config[] = "/dev/shm/flowcl-fuzz-XXXXXX"; /* in memory */

static void remove_config(void)
{
    unlink(config);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    int descriptor = mkstemp(config);
    if (descriptor < 0 || dprintf(descriptor, "width: 1\ndepth: 1\nlabels: yes\n") < 0)
        abort();
    close(descriptor);
    atexit(remove_config);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fcl_checkpoint *checkpoint;
    if (fcl_checkpoint_parse(bytes, size, &(fcl_foreign_options){.config = config}, &checkpoint) != FCL_OK) {
        if (checkpoint || !*fcl_error())
            abort();
        return 0;
    }
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    if (!info->model || !info->config || info->tensor_count < 3 || fcl_shape_size(info->sample) < 1)
        abort();
    fcl_checkpoint_close(&checkpoint);
    return 0;
}
