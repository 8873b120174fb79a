/* What src/device/measure.c times. A template; these names are defined before it:
 *
 *   LANE     float, float4, float8 or float16: what one register of the device holds
 *   CHAINS   independent sums of a work-item: more than a core's multiplier has steps in flight, fewer than its
 *            registers */

/* One work-item: a launch that costs nothing but itself. The count proves that each one ran. */
kernel void measure_launch(global uint *restrict count)
{
    if (get_global_id(0) == 0)
        count[0] += 1;
}

kernel void measure_copy(const global float4 *restrict from, global float4 *restrict to)
{
    const size_t i = get_global_id(0);
    to[i] = from[i];
}

/* McCalpin's triad. */
kernel void measure_triad(const global float4 *restrict b, const global float4 *restrict c,
                          global float4 *restrict a, const float scale)
{
    const size_t i = get_global_id(0);
    a[i] = b[i] + scale * c[i];
}

/* x = x factor + addend, `count` times in each of CHAINS registers: no load, no store, no dependence but on the
 * chain itself. Numbers stay finite: each x goes to addend / (1 - factor). The registers have names because an
 * array would be left in memory by some compilers. */
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define START(i) LANE x##i = (LANE)(start + i);
#define STEP(i)  x##i = x##i * f + a;
#define SUM(i)   sum += x##i;

kernel void measure_peak(global float *restrict result, const float start, const float factor,
                         const float addend, const int count)
{
    const LANE f = (LANE)factor, a = (LANE)addend;
    EACH(START)
    for (int i = 0; i < count; i++) {
        EACH(STEP)
        EACH(STEP)
        EACH(STEP)
        EACH(STEP)
    }
    LANE sum = (LANE)0;
    EACH(SUM)
    const float *lanes = (const float *)&sum;
    float total = 0;
    for (int i = 0; i < LANES; i++)
        total += lanes[i];
    result[get_global_id(0)] = total;
}
