/* Philox (philox.h) in the lanes of vectors, and the numbers made of its words: for whole kernels on CPUs (noise.cl)
 * and for row blocks (block.h). */
#ifndef NOISE_H
#define NOISE_H

typedef struct noise_words {
    uint16 word[4];
} noise_words;

/* Philox of sixteen blocks; c0 and c1 are the low and high words of their numbers. */
static inline noise_words noise_philox16(uint16 c0, uint16 c1, uint stream, ulong seed, uint step)
{
    uint16 c2 = step, c3 = stream;
    uint k0 = (uint)seed, k1 = (uint)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        const uint16 low0 = 0xD2511F53u * c0, high0 = mul_hi((uint16)(0xD2511F53u), c0);
        const uint16 low1 = 0xCD9E8D57u * c2, high1 = mul_hi((uint16)(0xCD9E8D57u), c2);
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    noise_words words = {{c0, c1, c2, c3}};
    return words;
}

/* Of blocks block .. block + 15. */
static inline noise_words noise_words16(ulong block, uint stream, ulong seed, uint step)
{
    const uint16 lane = (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const uint16 low = (uint)block + lane;
    return noise_philox16(low, (uint)(block >> 32) + select((uint16)(0), (uint16)(1), low < lane), stream, seed, step);
}

static inline float16 noise_uniform16(uint16 bits)
{
    return (convert_float16(bits >> 9) + 0.5f) * 1.1920928955078125e-7f;
}

/* Box-Muller: the length of two normals. */
static inline float16 noise_radius16(uint16 bits)
{
    return sqrt(-2.0f * math_log_float16(noise_uniform16(bits)));
}

/* The sine and cosine of 2 pi v, 0 < v < 1, to 2e-7: v is cut into quarters without rounding; on what remains,
 * at most an eighth of a turn, Taylor's polynomials end below half a unit of the last place. */
static inline float16 noise_sincos16(float16 v, float16 *cosine)
{
    const float16 quarter = rint(4.0f * v), x = (4.0f * v - quarter) * 1.57079633f, y = x * x;
    const float16 s = x + x * y * (-0.166666667f + y * (8.33333333e-3f + y * (-1.98412698e-4f + y * 2.75573192e-6f)));
    const float16 c = 1.0f + y * (-0.5f + y * (4.16666667e-2f + y * (-1.38888889e-3f + y * 2.48015873e-5f)));
    const int16 q = convert_int16(quarter);
    const int16 swap = (q & 1) != 0;
    const float16 sine = select(s, c, swap);
    *cosine = select(c, s, swap);
    *cosine = select(*cosine, -*cosine, ((q + 1) & 2) != 0);
    return select(sine, -sine, (q & 2) != 0);
}

#endif
