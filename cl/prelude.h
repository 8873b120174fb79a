/* Put before every program flowcl builds. OpenCL C 1.2, single precision, no extension required. */
#ifndef PRELUDE_H
#define PRELUDE_H

#pragma OPENCL FP_CONTRACT ON

/* A function of its own, as of a kernel with much text for CPUs: PoCL compiles a kernel's text three times, in two functions
 * beside it that go over its work-items, and this once. */
#define APART static __attribute__((noinline))

/* Memory, as CPUs whose compilers we know have it: asks for a line, into the first cache or the second (PoCL's prefetch() does
 * nothing); sixteen numbers from anywhere on (PoCL 3.1 makes vload16 of pairs, of which not every loop gets vectors again);
 * and results too large for the caches to keep, written past them, so that nothing is read to be overwritten. These are not
 * ordered behind other stores, until the driver's thread takes or leaves a lock: before anyone may read them. */
#if defined(__x86_64__) || defined(__aarch64__)
#define FETCH(p) __builtin_prefetch((const void *)(uintptr_t)(p))
#define FETCH_FAR(p) __builtin_prefetch((const void *)(uintptr_t)(p), 0, 2)
#define FETCH_TO_WRITE(p) __builtin_prefetch((const void *)(uintptr_t)(p), 1)
typedef float16 float16_anywhere __attribute__((aligned(4)));
#define LOAD16(p) (*(const global float16_anywhere *)(p))
#define STORE16(p, x) *(global float16_anywhere *)(p) = (x)
static inline void store16_past(global float *p, float16 x)
{
    if (((uintptr_t)p & 63) == 0)
        __builtin_nontemporal_store(x, (global float16 *)p);
    else
        STORE16(p, x);
}
#else
#define FETCH(p) prefetch(p, 1)
#define FETCH_FAR(p) prefetch(p, 1)
#define LOAD16(p) vload16(0, p)
#define STORE16(p, x) vstore16(x, 0, p)
#define store16_past(p, x) vstore16(x, 0, p)
#endif

#endif
