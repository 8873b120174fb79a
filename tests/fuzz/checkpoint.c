/* Throws bytes at the reader of checkpoints. Built as dataset.c is; begin with a real, small checkpoint in
 * the folder of inputs (flowcl train moons --width 2 --depth 1 --steps 1). */
#include "train/checkpoint.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fcl_checkpoint *checkpoint;
    if (fcl_checkpoint_parse(bytes, size, &checkpoint) != FCL_OK) {
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
