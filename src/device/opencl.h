/* What lies behind the opaque device types. Only the files of this folder include it: it is the one header
 * in which OpenCL's own names appear. */
#ifndef DEVICE_OPENCL_H
#define DEVICE_OPENCL_H

#include "device/choose.h"
#include "device/gemm.h"
#include "device/launch.h"
#include "device/rehearsal.h"
#include "device/tuned.h"

#include <CL/cl.h>

/* --- errors (opencl.c) --- */

/* "CL_INVALID_VALUE", or "error -9999" for a code that OpenCL 1.2 does not name. */
const char *fcl_opencl_name(cl_int code);

/* Records "what failed on DEVICE: CL_NAME" and returns FCL_ERR_MEMORY for the codes that mean it, else
 * FCL_ERR_OPENCL. */
int fcl_opencl_fail(const fcl_device *device, cl_int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* FCL_OK where code is CL_SUCCESS, else fcl_opencl_fail(device, code, "%s", what). */
int fcl_opencl_check(const fcl_device *device, cl_int code, const char *what);

/* --- the list of devices (list.c); choose.h has the choice among them --- */

typedef struct fcl_handle {
    cl_platform_id platform;
    cl_device_id id; /* NULL of a platform without devices */
} fcl_handle;

typedef struct fcl_listed {
    fcl_device_info *info; /* released by free, like the handles */
    fcl_handle *handle;
    int count;
} fcl_listed;

int fcl_listed_find(fcl_listed *list);

/* --- card.c --- */

/* The card's PCI address, "DOMAIN:BUS:DEVICE.FUNCTION" in hexadecimal digits; "" where the driver does not
 * tell. */
void fcl_card_find(cl_device_id id, char *text, size_t size);

/* --- part.c --- */

/* Into how many equal parts the device's driver divides it; 0: into none. */
int fcl_part_most(cl_device_id id, int units);
/* The device that was found becomes part `part` of `parts` of it, before it has a context. */
int fcl_part_take(fcl_device *device, int parts, int part);
/* It becomes as many of its units as there are cores that this process is bound to, where these are fewer. */
int fcl_part_take_bound(fcl_device *device, int cores);

/* --- profile (profile.c) --- */

/* Events whose times are not read yet. The array is bounded: when it is full, the queue is drained. */
enum { FCL_PROFILE_PENDING = 1024 };

typedef struct fcl_profile_event {
    int line;
    cl_event first, last; /* from first's end; NULL: from last's own start */
    double began;         /* fcl_clock_seconds before they were enqueued */
} fcl_profile_event;

typedef struct fcl_profile {
    fcl_profile_line *lines;
    int line_count, pending_count;
    fcl_launch *mark;  /* an empty kernel; NULL before its first need */
    uint64_t last_end; /* of the command before, on the device's clock */
    fcl_profile_event pending[FCL_PROFILE_PENDING];
} fcl_profile;

/* The number of the label's line; -1 where the device does not profile. */
int fcl_profile_line_find(fcl_device *device, const char *label);
/* Takes over the events of one launch. */
int fcl_profile_add(fcl_device *device, fcl_profile_event event);
/* Enqueues an empty kernel: what follows it is timed from its end. */
int fcl_profile_mark(fcl_device *device, cl_event *event);
void fcl_profile_destroy(fcl_profile **profile);

/* --- launch.c --- */

/* A launch of one piece, with its event. */
int fcl_launch_enqueue_event(fcl_launch *launch, cl_event *event);

/* --- device.c --- */

struct fcl_device {
    fcl_device_info info;
    cl_platform_id platform;
    cl_device_id id;
    cl_device_id part; /* the same where it is a part of a device; else NULL */
    cl_context context;
    cl_command_queue queue;
    uint64_t memory, memory_peak, pinned;
    uint64_t refused;      /* what was in use when the driver gave no more; 0: it always did */
    uint64_t largest;      /* buffer so far */
    bool rehearsal;        /* rehearsal.h: everything is counted, and nothing made */
    fcl_program *program;  /* the library's own; NULL before its first need */
    fcl_program **programs; /* or those of its files, in the order of fcl_kernel_sources; NULL like it */
    fcl_profile *profile;  /* NULL unless asked for */
    fcl_device_counts counts;
    int enqueued;          /* commands since the last fence */
    cl_event fence;        /* marks the queue one fence back; NULL before the first */
    fcl_tuned_table tuned; /* of products */
    bool batch_tested;     /* or is taken as it is */
    bool clblast_applied;  /* CLBlast has its parameters: those of the table, once and for all */
    fcl_buffer *temporary; /* what CLBlast pads and transposes into: the largest that any product needs */
};

/* To be called after each command is enqueued: keeps the number of commands in flight below a bound, without
 * ever draining the queue. Reports faults of commands that have run. */
int fcl_device_enqueued(fcl_device *device);
/* Finishes the queue first; NULL: nothing. */
void fcl_queue_release(const fcl_device *device, cl_command_queue queue);

/* --- copies.c: what copies beside the device's queue --- */

int fcl_copies_queue(fcl_device *device, cl_command_queue *queue);
/* *event is NULL then; where it is so, nothing is done. */
void fcl_event_release(cl_event *event);

/* The host's, mapped for as long as it lives: drivers copy from and to such memory without the processor's help. */
typedef struct fcl_pinned {
    cl_mem memory;
    void *content;
    size_t bytes;
} fcl_pinned;

/* `queue` maps it, and unmaps it. On failure it is left to be destroyed. */
int fcl_pinned_create(fcl_device *device, cl_command_queue queue, size_t bytes, fcl_pinned *pinned);
void fcl_pinned_destroy(fcl_device *device, cl_command_queue queue, fcl_pinned *pinned);

/* --- verdict.c: what is kept under $XDG_CACHE_HOME/flowcl, else ~/.cache/flowcl --- */

/* The folder, made where it is missing, released by free; NULL where there is no home for it. */
char *fcl_cache_folder(void);

/* Runs the self-test unless the device is known to pass it. FCL_ERR_DEVICE: the device computes wrongly. */
int fcl_selftest_require(fcl_device *device);
/* The same of CLBlast's kernels for batches, which are not compiled before there is one (selftest.c). */
int fcl_selftest_batch(fcl_device *device);

/* --- gemm_clblast.c --- */

typedef struct fcl_clblast fcl_clblast;

int fcl_clblast_create(fcl_device *device, const fcl_gemm_problem *problem, float beta, fcl_buffer *a,
                       fcl_buffer *b, fcl_buffer *c, const char *label, fcl_clblast **product);
void fcl_clblast_destroy(fcl_clblast **product);
int fcl_clblast_enqueue(fcl_clblast *product);

/* --- clblast_sets.c --- */

const char *fcl_clblast_set_name(int index); /* NULL past the last; 0 is CLBlast's own choice */
/* Makes CLBlast use the set and the switch-over of the device's table; to be called before its first product. */
int fcl_clblast_set_apply(fcl_device *device);
enum { FCL_CLBLAST_SWITCH_MOST = 8192 };
/* Without a table: `own`, which CLBlast's database says for the device, or, for a GPU that the database lacks, at most
 * 512. Its default for such a card is that of old ones (1472 on NVIDIA's: a product of 1024 x 1024 x 1024 is far below
 * it), and the kernel for small products moves each operand more often. That it lacks a card is known of NVIDIA's alone,
 * by their compute capability (10 times it; 0: unknown): 8.0 is the last that it has. */
int fcl_clblast_switch_rule(fcl_device_type type, int capability, int own);
/* The one in force. */
int fcl_clblast_switch_used(fcl_device *device, int *from);

/* --- gemm.c --- */

/* What fcl_gemm_choose says without a table. */
fcl_gemm_choice fcl_gemm_rule(const fcl_device *device, const fcl_gemm_problem *problem);
/* The tiles that seem best on such a processor. */
fcl_gemm_choice fcl_gemm_tile_rule(const fcl_device *device, const fcl_gemm_problem *problem);

/* --- buffer.c --- */

/* A window of a root's memory, whatever buffers look through it. */
typedef struct fcl_region {
    size_t offset, bytes;
    cl_mem memory;
} fcl_region;

struct fcl_buffer {
    fcl_device *device;
    fcl_buffer *root; /* the buffer whose memory this is a window of; itself where it is none */
    cl_mem memory;
    size_t offset; /* in root, bytes */
    size_t bytes;
    int references; /* of a root: itself and its windows */
    bool over;      /* a root over memory of the host: kernels may still read it when it is released */
    void *pages;    /* of a root: that memory, where it is the buffer's own */
    fcl_region *regions; /* of a root, in the order in which they were made */
    int region_count, region_room;
};

/* FCL_ERR_ARGUMENT where the window is not inside; `what` is done with it. */
int fcl_buffer_check(const fcl_buffer *buffer, size_t offset, size_t bytes, const char *what);

/* --- program.c --- */

struct fcl_program {
    fcl_device *device;
    cl_program program;
    char name[96];
};

void fcl_device_programs_destroy(fcl_device *device);

char *fcl_program_log(const fcl_program *program); /* of its build; released by free */

/* --- dump.c: $FLOWCL_DUMP --- */

typedef struct fcl_dump fcl_dump;

/* Before a build, and after it: without the variable *dump is NULL and nothing is done. The end releases it.
 */
int fcl_dump_begin(const fcl_program *program, const char *text, const char *options, fcl_dump **dump);
int fcl_dump_end(fcl_dump **dump, cl_int code);

#endif
