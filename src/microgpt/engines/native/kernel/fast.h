/* Vectorized exp, fused multiply-add and reciprocal square root.

They are accurate, but do not match libm bit for bit. */

#pragma once
#include "simd.h"

#if !EXACT
#if FLOAT64
/* exp of x <= 0 (at least e**-708) as 2**n * e**r with |r| <= log(2) / 2; nan for nan. 14 terms of e**r's series give full precision. */
INLINE vec vector_exp(vec x) {
    x = vector_max(broadcast(-708), x); /* in this order, nan stays nan */
    vec shifted = x * 1.4426950408889634 + 0x1.8p52; /* puts the integer n into the low bits */
    vec n = shifted - 0x1.8p52;
    vec r = x - n * 0x1.62e42fee00000p-1; /* log(2) in two parts; n times the first is exact */
    r = r - n * 0x1.a39ef35793c76p-33;
    vec p = broadcast(1.0 / 6227020800);
    const real terms[] = {479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2};
    UNROLL for (int i = 0; i < 11; i++) p = p * r + 1 / terms[i];
    p = p * (r * r) + (r + 1);
    return (vec)((uvec)p + ((uvec)shifted << 52));
}
#else
/* exp of x <= 0 (at least e**-87) to 2 ulp, as 2**n * e**r with |r| <= log(2) / 2 and the polynomial of Cephes' expf;
nan for nan. */
INLINE vec vector_exp(vec x) {
    x = vector_max(broadcast(-87.0f), x); /* in this order, nan stays nan */
    vec shifted = x * 1.44269504088896341f + 12582912.0f; /* 1.5 * 2**23 puts the integer n into the low bits */
    vec n = shifted - 12582912.0f;
    vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + (r + 1.0f);
    return (vec)((uvec)p + ((uvec)shifted << 23));
}
#endif

/* a * b + c, fused explicitly, for sums of two products: the compiler could fuse either product, and could compute
different values at each place where the sum is inlined. */
INLINE vec multiply_add(vec a, vec b, vec c) {
#if defined(__AVX512F__)
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* x**-0.5 for normal x */
INLINE vec vector_rsqrt(vec x) {
#if defined(__AVX512F__) /* an estimate to 2**-14 and one Newton step */
    const vec r = (vec)_mm512_rsqrt14_ps((__m512)x);
    return r * (1.5f - 0.5f * x * r * r);
#else
    return 1 / vector_sqrt(x);
#endif
}
#endif
