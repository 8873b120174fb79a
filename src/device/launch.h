/* Programs and prepared launches: what the layers above the device see of OpenCL kernels.
 *
 * A launch is a kernel object with its arguments and range set once; running it only enqueues. Setters never
 * fail aloud: the first mistake is kept and told by fcl_launch_enqueue; a NULL launch, whose making has
 * failed already, is passed over. */
#ifndef DEVICE_LAUNCH_H
#define DEVICE_LAUNCH_H

#include "device/traits.h"

typedef struct fcl_program fcl_program;
typedef struct fcl_launch fcl_launch;

/* The embedded text of a file in cl/ ("gemm.cl"), without any #line; NULL if there is none. */
const char *fcl_kernel_text(const char *name);

/* Compiles text. The prelude is put before it; `name` stands in messages. A failure prints device, driver,
 * options and the build log (FCL_ERR_BUILD). `options` NULL: "-w", for drivers that print warnings on standard error,
 * as PoCL does of float16 where a processor's vectors are shorter. */
int fcl_program_build(fcl_device *device, const char *name, const char *text, const char *options,
                      fcl_program **program);
/* The same of text whose `kernels` were generated: fcl_device_count tells how many that were. */
int fcl_program_build_generated(fcl_device *device, const char *name, const char *text, int kernels, fcl_program **program);
void fcl_program_destroy(fcl_program **program);

/* The library's own program: every .cl file of cl/ that is whole kernels (not a template) and has the device's form
 * (traits.h), each with its own #line, compiled at the device's first need and kept until it is closed. */
int fcl_device_program(fcl_device *device, fcl_program **program);
/* A launch of a kernel of cl/. Where the form is wide (traits.h) it is one of the library's own program: a compiler for CPUs
 * takes as long for one kernel as for all. Elsewhere the program is that of the kernel's file, compiled at its first
 * need: a GPU's compiler takes as long as the text. */
int fcl_device_launch(fcl_device *device, const char *kernel, const char *label, fcl_launch **launch);

/* `label` stands in profiles; NULL: the kernel's name. Destroy launches before their program. */
int fcl_launch_create(fcl_program *program, const char *kernel, const char *label, fcl_launch **launch);
void fcl_launch_destroy(fcl_launch **launch);

void fcl_launch_buffer(fcl_launch *launch, int index, fcl_buffer *buffer); /* NULL passes a null pointer */
void fcl_launch_int(fcl_launch *launch, int index, int32_t value);
void fcl_launch_uint(fcl_launch *launch, int index, uint32_t value);
void fcl_launch_ulong(fcl_launch *launch, int index, uint64_t value);
void fcl_launch_float(fcl_launch *launch, int index, float value);
void fcl_launch_local(fcl_launch *launch, int index, size_t bytes);

/* The range, innermost dimension first. `local` NULL: the driver chooses. Where local is given, each global
 * size is rounded up to its multiple: kernels guard their edges. The device may get smaller groups, where the kernel
 * takes too many registers for such ones: kernels ask for their size. Above the first dimension a range of more than
 * 65535 groups becomes several launches: kernels ask there for get_global_id alone. */
void fcl_launch_range(fcl_launch *launch, int dimensions, const size_t *global, const size_t *local);
/* One dimension of `count` work-items in groups of `group` (0: the driver chooses). */
void fcl_launch_range_1d(fcl_launch *launch, size_t count, size_t group);
/* `groups` groups of `group` work-items, or of fewer, where each group owns something: a row, a part of a sum. */
void fcl_launch_groups(fcl_launch *launch, size_t groups, size_t group);

/* FCL_ERR_UNSUPPORTED where the kernel needs more local or private memory than the device has. */
int fcl_launch_enqueue(fcl_launch *launch);

/* Where something is destroyed: wait as fcl_device_finish and fcl_transfer_end do, and leave the message that tells why it
 * is. What fails meanwhile, nobody needs any more. */
void fcl_device_settle(fcl_device *device);
void fcl_transfer_drop(fcl_transfer **transfer);

/* Does its memory begin at a multiple of what float4 takes? Where it does not, it lies over memory of the host. */
bool fcl_buffer_is_aligned(const fcl_buffer *buffer);

#endif
