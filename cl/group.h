/* Sums over a row by one work-group of any size up to GROUP_MAX: 1 on CPUs (vectors, no waiting), 64 on GPUs
 * (neighbouring work-items read neighbouring elements). The order is fixed by the size: results repeat. */
#ifndef GROUP_H
#define GROUP_H

#define GROUP_MAX 256

/* The sum of `value` over the work-group, in each of its work-items. `partial` holds GROUP_MAX floats. All
 * work-items call it: what they read or wrote before is visible to all afterwards. */
static inline float group_sum(float value, local float *partial)
{
    int id = get_local_id(0);
    partial[id] = value;
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    for (int count = get_local_size(0); count > 1; count = (count + 1) / 2) {
        if (id < count / 2)
            partial[id] += partial[id + (count + 1) / 2];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    float sum = partial[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    return sum;
}

static inline float sum_of_4(float4 v)
{
    float2 a = v.lo + v.hi;
    return a.x + a.y;
}

static inline float sum_of_16(float16 v)
{
    float8 a = v.lo + v.hi;
    float4 b = a.lo + a.hi;
    float2 c = b.lo + b.hi;
    return c.x + c.y;
}

/* --- the largest; a NaN is larger than any number --- */

static inline float larger(float a, float b)
{
    return b > a || b != b ? b : a;
}

static inline float largest_of_4(float4 v)
{
    return larger(larger(v.x, v.y), larger(v.z, v.w));
}

static inline float largest_of_16(float16 v)
{
    return larger(larger(largest_of_4(v.lo.lo), largest_of_4(v.lo.hi)), larger(largest_of_4(v.hi.lo), largest_of_4(v.hi.hi)));
}

/* As group_sum. */
static inline float group_largest(float value, local float *partial)
{
    int id = get_local_id(0);
    partial[id] = value;
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    for (int count = get_local_size(0); count > 1; count = (count + 1) / 2) {
        if (id < count / 2)
            partial[id] = larger(partial[id], partial[id + (count + 1) / 2]);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    float largest = partial[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    return largest;
}

/* The sum of two, by the same name form as the larger of two. */
#define ROW_ADD(a, b) ((a) + (b))

#endif
