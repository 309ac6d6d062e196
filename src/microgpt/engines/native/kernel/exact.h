/* exp, log and pow to the last bit of libm's, rounded by cheaper operations where that is provably the same. */

#pragma once
#include "simd.h"
#include <math.h>

#if EXACT
/* Called through pointers that the compiler cannot look through: it would take x * x for pow(x, 2). */
static double (*volatile libm_pow)(double, double) = pow;
static double (*volatile libm_exp)(double) = exp;

/* c - a * b, precise enough to tell on which side of a midpoint between two floats a rounded result lies. */
INLINE vec residual(vec a, vec b, vec c) {
#if defined(__AVX512F__)
    return (vec)_mm512_fnmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
    return (vec)_mm256_fnmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
    vec r;
    for (int i = 0; i < LANES; i++) r[i] = __builtin_fma(-a[i], b[i], c[i]);
    return r;
#else /* no fma: halve both factors exactly (Dekker 1971) and add up what the rounded product left */
    const real half = 0x1p27 + 1;
    vec a_high = a * half, b_high = b * half, product = a * b;
    a_high = a_high - (a_high - a);
    b_high = b_high - (b_high - b);
    vec a_low = a - a_high, b_low = b - b_high;
    vec rest = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    return (c - product) - rest;
#endif
}

INLINE double residual1(double a, double b, double c) {
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fma(-a, b, c);
#else
    return residual(all(a), all(b), all(c))[0];
#endif
}

/* The reference's x**2, x**-1 and x**0.5 are libm's pow, whose result is less than 0.012 ulp from being the correctly
rounded one (glibc: 0.509 ulp of error in all, where |y log x| is below 71). So the rounded product, quotient or root is
pow's result, except where it is within 0.012 ulp of a midpoint: there pow itself must be asked. */
#define SURE (0.5 - 0.012)
#define RANGE_LOW 0x1p-96
#define RANGE_HIGH (1 / RANGE_LOW)

INLINE double ulp(double x) {
    union { double x; int64_t i; } u = {x};
    u.i &= 0x7ff0000000000000;
    return u.x * 0x1p-52;
}

INLINE double pow_2(double x) {
    double square = x * x;
    if (x == 0) return square;
    if (square > RANGE_LOW && square < RANGE_HIGH && fabs(residual1(x, x, square)) < SURE * ulp(square)) return square;
    return libm_pow(x, 2.0);
}

INLINE double pow_half(double x) {
    double root = sqrt(x); /* root + e is x**0.5 where 2 root e = x - root**2 */
    if (x == 0) return root;
    if (x > RANGE_LOW && x < RANGE_HIGH && fabs(residual1(root, root, x)) < 2 * SURE * ulp(root) * root) return root;
    return libm_pow(x, 0.5);
}

INLINE double pow_minus_1(double x) {
    double quotient = 1 / x;
    if (x > RANGE_LOW && x < RANGE_HIGH && fabs(residual1(quotient, x, 1)) < SURE * ulp(quotient) * x) return quotient;
    return libm_pow(x, -1.0);
}

INLINE double pow_minus_2(double x) {
    double square = x * x, quotient = 1 / square, rest = residual1(x, x, square); /* x**2 = square - rest */
    double error = residual1(quotient, square, 1) + quotient * rest;
    if (x > 0x1p-48 && x < 0x1p48 && fabs(error) < SURE * ulp(quotient) * square) return quotient;
    return libm_pow(x, -2.0);
}
#endif
