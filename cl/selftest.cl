/* The kernels of the self-test: one for each family of what the other kernels rely on. */

kernel void selftest_philox(global uint *restrict out)
{
    philox_block block = philox(0, 0, 0, 0, 0, 0);
    out[get_global_id(0)] = block.word[get_global_id(0) & 3];
}
