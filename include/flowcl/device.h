/* flowcl/device.h: OpenCL devices: which there are, which can be used, and memory on them.
 *
 *     fcl_device *device = NULL;
 *     if (fcl_device_open(NULL, NULL, &device) != FCL_OK)     // NULL: $FLOWCL_DEVICE, else the best one
 *         return fprintf(stderr, "%s\n", fcl_error()), 1;
 *     printf("%s\n", fcl_device_describe(device)->name);
 *     fcl_device_close(&device);
 *
 * A device holds one context and one in-order queue. Everything made on it (buffers, graphs, models) must be
 * destroyed before it is closed. A device belongs to one thread at a time. */
#ifndef FLOWCL_DEVICE_H
#define FLOWCL_DEVICE_H

#include <flowcl/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fcl_device fcl_device;
typedef struct fcl_buffer fcl_buffer;

typedef enum fcl_device_type {
    FCL_DEVICE_CPU,
    FCL_DEVICE_GPU,
    FCL_DEVICE_ACCELERATOR,
    FCL_DEVICE_OTHER
} fcl_device_type;

/* What a driver tells of one device. `platform` and `index` are the numbers of "P:D". A platform without devices
 * is listed with index -1, not usable. Of an open part of a device all is what the part has: its own units, and an
 * equal share of what the parts have together, as memory; its name says so ("NAME, 4 of 8 units"), and is
 * the same for equal parts, for these are devices of one kind. */
typedef struct fcl_device_info {
    int platform, index;
    int parts, part; /* of an open part: into how many its device is divided, and which it is, from 0 on; else 0, 0 */
    int most_parts;  /* into how many equal parts the driver divides it; 0: into none */
    char id[48];     /* what names it: "P:D", a part "P:D/N.K" */
    fcl_device_type type;
    char name[128];
    char platform_name[128];
    char vendor[128];
    char device_version[128]; /* CL_DEVICE_VERSION */
    char driver[128];         /* CL_DRIVER_VERSION */
    uint64_t memory;          /* bytes of global memory, as the driver reports it */
    uint64_t max_allocation;  /* bytes of the largest single buffer */
    uint64_t local_memory;    /* bytes */
    uint64_t cache;           /* bytes of the last cache before global memory: a known GPU's, as drivers tell an earlier
                                 one; else what the driver says, 0 where it does not */
    int compute_units;
    int vector_width; /* native floats a lane group; 0 where the driver does not say */
    int clock_mhz;
    bool unified_memory;
    char card[32]; /* PCI address, "0:3:0.0"; "" where the driver does not tell */
    bool emulated; /* a simulator, or a processor that plays another device: a known one */
    bool twin;     /* another entry of the list is the same card through a better driver; warning names it */
    bool usable;
    bool preferred; /* in a list: the one that fcl_device_open takes without a selector */
    char refused[512]; /* why it is not usable; "" where it is */
    char warning[512]; /* a known fault that does not forbid use; "" where there is none */
    char why[512];     /* of the preferred device and of an open one: why it was taken, "the only discrete GPU" */
    char tuning[512];  /* of an open device: why its table (flowcl/tune.h) is not used, or the verdict that is kept of
                          its self-test; "" where they are, or where there is none */
} fcl_device_info;

/* Lists every device of every platform, usable or not, platforms in the loader's order. *list is released by
 * fcl_free. No platform at all is not an error: *count is 0. FCL_ERR_OPENCL where the loader fails. */
FCL_API int fcl_device_list(fcl_device_info **list, int *count);

typedef struct fcl_device_options {
    bool force;         /* open a device although a quirk or the self-test refuses it */
    bool profile;       /* measure each kernel on the device's clock; slows launches */
    bool skip_selftest; /* for programs that run the self-test themselves */
    /* This process is number `local_rank`, from 0 on, of `local_ranks` that share out the devices of this machine;
     * 0, 0: it has them for itself. */
    int local_rank, local_ranks;
} fcl_device_options;

/* The entries of a list of devices, as "0:0,1:0", for fcl_device_open; blanks around them are dropped, and a comma is a
 * part of no name. Whether there are such devices is not looked at. NULL or "": of $FLOWCL_DEVICE, and without
 * that there are none: *entries NULL, *count 0. *entries, with its texts, is released by one fcl_free.
 * FCL_ERR_DEVICE: one is empty. */
FCL_API int fcl_device_split(const char *text, char ***entries, int *count);

/* Opens the device that `selector` names: "P:D", "cpu", "gpu", or a piece of a device's or platform's name in
 * any case, the best where several match. NULL or "": $FLOWCL_DEVICE, and without that the best usable one. A GPU is
 * before a CPU before an accelerator; what is emulated comes last. Of one type, one without a warning is first, then a
 * GPU with memory of its own, then the most compute (units times clock, times the lanes that the vendor's units have),
 * then the most memory, then the first in the list. A card that two drivers offer is taken by its vendor's own.
 *
 * "/N.K" after any of these is part K, from 0 on, of N equal ones: "0:0/2.1" is the second half of 0:0, "/2.0" the
 * first half of the best device. A part has a whole number of units, as many as every other; what is left over is not
 * used. Drivers of CPUs divide (clCreateSubDevices), those of most GPUs do not. "/N" is the first part, or of several
 * local ranks the one of the rank's number.
 *
 * Local ranks (`options`) share out what is named. Of a list, as "0:0,1:0", rank r takes entry r; an entry that stands
 * there several times is shared out among its ranks as a name alone is among all. One process opens one device, and
 * refuses a list of more. Of a name alone rank r takes the r-th of the devices that it fits, and without a name, and
 * without $FLOWCL_DEVICE, the r-th of all: the best is the first, and all are of its type, emulated like it, no twins,
 * and CPUs of one platform, for those of another are the same processor. A name that fits one device is shared by all
 * ranks. Else more ranks than devices are refused, as more than entries of a list, or parts of a device, are.
 *
 * `options` may be NULL.
 * The first use of a device runs the self-test of the kernel families, under a second, and refuses a device
 * that computes wrongly; that it passed is kept for that device, driver, library version and kernels under
 * $XDG_CACHE_HOME/flowcl (else ~/.cache/flowcl), so later opens do not repeat it.
 * FCL_ERR_DEVICE: no such device (the message lists those there are), no such part, too few for the ranks, or
 * refused (the message says why). */
FCL_API int fcl_device_open(const char *selector, const fcl_device_options *options, fcl_device **device);
FCL_API void fcl_device_close(fcl_device **device);

/* What the open device is; valid until it is closed. */
FCL_API const fcl_device_info *fcl_device_describe(const fcl_device *device);

/* The CLBlast that multiplies matrices on GPUs, as "1.6.3". Versions before 1.6.3 have known faults: a device
 * that one of them concerns has a warning. */
FCL_API const char *fcl_clblast_version(void);

/* Bytes of buffers that exist on the device now, and the most that ever did. */
FCL_API uint64_t fcl_device_memory(const fcl_device *device);
FCL_API uint64_t fcl_device_memory_peak(const fcl_device *device);

/* Bytes of the host's memory that drivers keep locked for what is copied to the device. */
FCL_API uint64_t fcl_device_pinned(const fcl_device *device);

/* Waits until everything enqueued has run. Some drivers report a kernel's fault only here: FCL_ERR_OPENCL. */
FCL_API int fcl_device_finish(fcl_device *device);

/* One line of the self-test: a kernel family, its largest error against double precision, and its bound. */
typedef struct fcl_selftest_line {
    const char *family;
    double error, bound;
    bool passed;
    char detail[160]; /* the first wrong value, or what the driver said; "" where it passed */
} fcl_selftest_line;

/* Runs the self-test now and hands over its lines (*lines released by fcl_free). FCL_OK if all passed,
 * FCL_ERR_DEVICE if one did not; any other code if it could not be run. */
FCL_API int fcl_device_selftest(fcl_device *device, fcl_selftest_line **lines, int *count);

/* What was enqueued and built since the device was opened. */
typedef struct fcl_device_counts {
    int64_t kernels; /* of this library */
    int64_t clblast; /* calls of CLBlast, each of which launches one kernel, or pads and transposes by several */
    int64_t generated;    /* distinct kernels that were generated for graphs and built: equal ones of a graph are one */
    double build_seconds; /* that the driver's compiler has taken: for these, and for the library's own programs, each at
                             its first need; drivers may compile on at a kernel's first launch */
} fcl_device_counts;
FCL_API fcl_device_counts fcl_device_count(const fcl_device *device);

/* A kernel's share of the time, summed since the last reset: for `options.profile`. */
typedef struct fcl_profile_line {
    char name[96];
    int64_t launches; /* or calls of CLBlast */
    double seconds;  /* on the device's clock */
    int64_t untimed; /* launches whose time cannot be, and is not in seconds: none, an end before the start, a start
                        before the end of the command before, or longer than the host has waited */
    bool host;       /* no kernel, but what the host did beside the device, on its own clock, so often: "waiting for data",
                        "reading data" */
} fcl_profile_line;

/* The profile by kernel, the longest first (*lines released by fcl_free); empty without options.profile. */
FCL_API int fcl_device_profile(fcl_device *device, fcl_profile_line **lines, int *count);
FCL_API void fcl_device_profile_reset(fcl_device *device);

/* A matrix product C = op(A) op(B), row-major: op(A) is m x k, stored k x m where transpose_a; op(B) is k x n,
 * stored n x k where transpose_b. A batch of them lies one after the other; share_a or share_b: one A or B
 * for the whole batch. What follows it on the elements of C, as a layer's activation, may read other matrices as large
 * as C, and store some beside it: each at most FCL_PRODUCT_MATRICES. */
enum { FCL_PRODUCT_MATRICES = 4 };
typedef struct fcl_product {
    int m, n, k;
    bool transpose_a, transpose_b;
    int batch; /* 0: 1 */
    bool share_a, share_b;
    int reads, stores; /* matrices; where more follow, the most */
    bool cold;         /* what it reads comes from memory: between two of its runs others have filled the caches */
} fcl_product;
/* Is a product in the list, all of it alike? */
FCL_API bool fcl_product_listed(const fcl_product *list, int count, const fcl_product *product);

/* Memory on the device, zero-filled. FCL_ERR_MEMORY names the size and what the device allows. */
FCL_API int fcl_buffer_create(fcl_device *device, size_t bytes, fcl_buffer **buffer);
/* The same, holding `content`, which has to stay where and as it is until the buffer is destroyed: a CPU reads
 * it there and needs no second copy, and destroying waits until it no longer does. `content` is aligned as its
 * elements are (OpenCL asks for no more); the buffer is not to be written to. */
FCL_API int fcl_buffer_create_over(fcl_device *device, size_t bytes, const void *content, fcl_buffer **buffer);
/* A window of `parent` (or of what it is a window of): shares its memory, keeps it alive. `offset` is a
 * multiple of FCL_BUFFER_ALIGN bytes, relative to `parent`. */
#define FCL_BUFFER_ALIGN 512
FCL_API int fcl_buffer_slice(fcl_buffer *parent, size_t offset, size_t bytes, fcl_buffer **slice);
FCL_API void fcl_buffer_destroy(fcl_buffer **buffer);
FCL_API size_t fcl_buffer_size(const fcl_buffer *buffer);

/* Copies between host and device, in the order of the queue. The host's memory may be reused on return; a
 * read waits for everything enqueued before it. Offsets and sizes in bytes. */
FCL_API int fcl_buffer_write(fcl_buffer *buffer, size_t offset, size_t bytes, const void *source);
FCL_API int fcl_buffer_read(fcl_buffer *buffer, size_t offset, size_t bytes, void *destination);
FCL_API int fcl_buffer_zero(fcl_buffer *buffer);
/* Copies on the device, without waiting. */
FCL_API int fcl_buffer_copy(fcl_buffer *destination, size_t destination_offset, fcl_buffer *source,
                            size_t source_offset, size_t bytes);

/* The same copies between host and device without waiting: the host's memory is the transfer's until
 * fcl_transfer_end, which waits, releases it and leaves NULL. Every transfer is ended before its device is
 * closed; any one thread may end it, beside the one that the device belongs to. NULL is no transfer; so is one
 * of 0 bytes. */
typedef struct fcl_transfer fcl_transfer;
FCL_API int fcl_buffer_write_begin(fcl_buffer *buffer, size_t offset, size_t bytes, const void *source,
                                   fcl_transfer **transfer);
FCL_API int fcl_buffer_read_begin(fcl_buffer *buffer, size_t offset, size_t bytes, void *destination,
                                  fcl_transfer **transfer);
FCL_API int fcl_transfer_end(fcl_transfer **transfer);

#ifdef __cplusplus
}
#endif

#endif
