#include "op/ops.h"

#include <stddef.h>

#define ROW(name) &fcl_op_##name,
const fcl_op *const fcl_ops[] = {FCL_OPS(ROW) NULL};
