/* exp, fused multiply-add and reciprocal square root of our own: close to libm, not bit for bit. */

#pragma once
#include "simd.h"

#if !EXACT
#if FLOAT64
/* exp of x <= 0: 2**n * e**r with |r| <= log(2) / 2, of whose series 14 terms tell all digits. */
INLINE vec vector_exp(vec x) {
    x = larger(x, all(-708));
    vec shifted = x * 1.4426950408889634 + 0x1.8p52; /* the integer n is now in the low bits */
    vec n = shifted - 0x1.8p52;
    vec r = x - n * 0x1.62e42fee00000p-1; /* log(2) in two parts: with the first, n has an exact product */
    r = r - n * 0x1.a39ef35793c76p-33;
    vec p = all(1.0 / 6227020800);
    const real terms[] = {479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2};
    UNROLL for (int i = 0; i < 11; i++) p = p * r + 1 / terms[i];
    p = p * (r * r) + (r + 1);
    return (vec)((ivec)p + ((ivec)shifted << 52));
}
#else
/* exp of x <= 0, to 2 units in the last place: 2**n * e**r with |r| <= log(2) / 2, the polynomial of Cephes' expf. */
INLINE vec vector_exp(vec x) {
    x = larger(x, all(-87.0f));
    vec shifted = x * 1.44269504088896341f + 12582912.0f; /* 1.5 * 2**23: the integer n is now in the low bits */
    vec n = shifted - 12582912.0f;
    vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + (r + 1.0f);
    return (vec)((ivec)p + ((ivec)shifted << 23));
}
#endif

/* a * b + c, where the compiler must not choose which of two products it fuses: the same numbers wherever this is inlined. */
INLINE vec fused(vec a, vec b, vec c) {
#if defined(__AVX512F__)
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* x**-0.5, of normal x */
INLINE vec inverse_root(vec x) {
#if defined(__AVX512F__) /* an estimate good to 2**-14 and a Newton step */
    const vec r = (vec)_mm512_rsqrt14_ps((__m512)x);
    return r * (1.5f - 0.5f * x * r * r);
#else
    return 1 / square_root(x);
#endif
}
#endif
