/* flowcl: flow matching on any OpenCL device. This header includes the whole public interface. */
#ifndef FLOWCL_H
#define FLOWCL_H

#define FCL_VERSION "0.1.0"

#include <flowcl/base.h>
#include <flowcl/classify.h>
#include <flowcl/data.h>
#include <flowcl/eval.h>
#include <flowcl/device.h>
#include <flowcl/flow.h>
#include <flowcl/graph.h>
#include <flowcl/layers.h>
#include <flowcl/learn.h>
#include <flowcl/measure.h>
#include <flowcl/nn.h>
#include <flowcl/normalise.h>
#include <flowcl/options.h>
#include <flowcl/ranks.h>
#include <flowcl/text.h>
#include <flowcl/train.h>
#include <flowcl/tune.h>
#include <flowcl/velocity.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that runs, as "major.minor.patch"; FCL_VERSION is the one compiled against. */
FCL_API const char *fcl_version(void);

#ifdef __cplusplus
}
#endif

#endif
