/* Bit-exact exp and pow: the same results as libm.

pow is replaced by a cheaper operation wherever the result is provably the same. */

#pragma once
#include "simd.h"
#include <math.h>

#if EXACT
/* Called through volatile pointers, because a compiler that sees pow(x, 2) replaces it with x * x. */
static double (*volatile libm_pow)(double, double) = pow;
static double (*volatile libm_exp)(double) = exp;

/* c - a * b, rounded once. This is the error of a rounded product, quotient or root, and shows how close the exact
result was to a midpoint between two floats. */
INLINE vec fnmadd(vec a, vec b, vec c) {
#if defined(__AVX512F__)
    return (vec)_mm512_fnmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
    return (vec)_mm256_fnmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
    vec r;
    for (int i = 0; i < LANES; i++) r[i] = __builtin_fma(-a[i], b[i], c[i]);
    return r;
#else /* no fma: split both factors exactly (Dekker 1971) and sum the product's rounding error */
    const real half = 0x1p27 + 1;
    vec a_high = a * half, b_high = b * half, product = a * b;
    a_high = a_high - (a_high - a);
    b_high = b_high - (b_high - b);
    vec a_low = a - a_high, b_low = b - b_high;
    vec rest = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    return (c - product) - rest;
#endif
}

INLINE double fnmadd_scalar(double a, double b, double c) {
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fma(-a, b, c);
#else
    return fnmadd(broadcast(a), broadcast(b), broadcast(c))[0];
#endif
}

/* The reference computes x**2, x**-1 and x**0.5 by libm's pow, whose error is below 0.512 ulp (glibc: 0.509 where |y
log x| < 71). The correctly rounded product, quotient or root is therefore pow's result, unless the true value lies
within 0.012 ulp of a midpoint between two floats. Only then must pow be called. */
#define SURE_ULP (0.5 - 0.012)
#define RANGE_LOW 0x1p-96
#define RANGE_HIGH (1 / RANGE_LOW)

INLINE double ulp(double x) {
    union {
        double x;
        int64_t i;
    } u = {x};
    u.i &= 0x7ff0000000000000;
    return u.x * 0x1p-52;
}

INLINE double pow_2(double x) {
    double square = x * x;
    if (x == 0) return square;
    if (square > RANGE_LOW && square < RANGE_HIGH && fabs(fnmadd_scalar(x, x, square)) < SURE_ULP * ulp(square))
        return square;
    return libm_pow(x, 2.0);
}

INLINE double pow_half(double x) {
    double root = sqrt(x); /* root + e is x**0.5 where 2 root e = x - root**2 */
    if (x == 0) return root;
    if (x > RANGE_LOW && x < RANGE_HIGH && fabs(fnmadd_scalar(root, root, x)) < 2 * SURE_ULP * ulp(root) * root)
        return root;
    return libm_pow(x, 0.5);
}

INLINE double pow_minus_1(double x) {
    double quotient = 1 / x;
    if (x > RANGE_LOW && x < RANGE_HIGH && fabs(fnmadd_scalar(quotient, x, 1)) < SURE_ULP * ulp(quotient) * x)
        return quotient;
    return libm_pow(x, -1.0);
}

INLINE double pow_minus_2(double x) {
    double square = x * x, quotient = 1 / square, rest = fnmadd_scalar(x, x, square); /* x**2 = square - rest */
    double error = fnmadd_scalar(quotient, square, 1) + quotient * rest;
    if (x > 0x1p-48 && x < 0x1p48 && fabs(error) < SURE_ULP * ulp(quotient) * square) return quotient;
    return libm_pow(x, -2.0);
}
#endif
