/* selftest_math of selftest.cl for the vectors of CPUs. */
kernel void selftest_math16(const global float *restrict in, global float *restrict out, const uint n)
{
    const uint i = get_global_id(0);
    const float16 x = vload16(i, in);
    vstore16(math_exp_float16(x), i, out + 0 * n);
    vstore16(math_log_float16(fabs(x)), i, out + 1 * n);
    vstore16(math_tanh_float16(x), i, out + 2 * n);
    vstore16(math_erf_float16(x), i, out + 3 * n);
    vstore16(math_expm1_negative_float16(-fabs(x)), i, out + 4 * n);
}
