/* Put before every program flowcl builds. OpenCL C 1.2, single precision, no extension required. */
#ifndef PRELUDE_H
#define PRELUDE_H

#pragma OPENCL FP_CONTRACT ON

#endif
