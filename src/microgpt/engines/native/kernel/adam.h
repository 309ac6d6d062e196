/* Adam. */

#pragma once
#include "api.h"
#include "exact.h"
#include "fast.h"

/* The constants of one step. Exact: as the reference has them, and 1 / correction as the sum of two floats. float32 keeps
m / (1 - beta1) and v / (1 - beta2), which needs fewer products (and comes back from float64 as it was, which float64 itself
would not), and both ways have the corrections in learning_rate and eps, here twice what they are, see adam_lanes. */
typedef struct {
    real beta1, beta2, learning_rate, eps;
#if FLOAT64
    real gain1, gain2;
#endif
#if EXACT
    real correction1, correction2, inverse1, inverse2, rest1, rest2;
#endif
} Adam;

/* Our m and v are the reference's divided by these. */
INLINE double unit1(const Settings *s) { return FLOAT64 ? 1 : 1 - s->beta1; }
INLINE double unit2(const Settings *s) { return FLOAT64 ? 1 : 1 - s->beta2; }

static Adam adam_of_step(const Settings *s, int64_t step, double learning_rate) {
    const double correction1 = 1 - pow(s->beta1, (double)step), correction2 = 1 - pow(s->beta2, (double)step);
    Adam a = {.beta1 = s->beta1, .beta2 = s->beta2};
#if FLOAT64
    a.gain1 = 1 - s->beta1, a.gain2 = 1 - s->beta2;
#endif
#if EXACT
    a.learning_rate = learning_rate, a.eps = s->eps_adam;
    a.correction1 = correction1, a.correction2 = correction2;
    a.inverse1 = 1 / correction1, a.inverse2 = 1 / correction2;
    a.rest1 = residual1(a.inverse1, correction1, 1) * a.inverse1;
    a.rest2 = residual1(a.inverse2, correction2, 1) * a.inverse2;
#else
    const double scale2 = sqrt(unit2(s) / correction2); /* sqrt(v_hat) = scale2 sqrt(our v) */
    a.learning_rate = 2 * learning_rate * unit1(s) / correction1 / scale2;
    a.eps = 2 * s->eps_adam / scale2;
#endif
    return a;
}

#if EXACT
enum { ADAM_BLOCK = 512 };

/* As a bit for each lane: where |a| is above b; and where |x| is neither 0 nor between the powers of two low and 1 / low. */
INLINE unsigned lanes_above(vec a, vec b) {
#if defined(__AVX512F__)
    return _mm512_cmp_pd_mask(_mm512_abs_pd((__m512d)a), (__m512d)b, _CMP_GT_OQ);
#else
    unsigned lanes = 0;
    for (int i = 0; i < LANES; i++) lanes |= (unsigned)(fabs(a[i]) > b[i]) << i;
    return lanes;
#endif
}

INLINE unsigned lanes_outside(vec x, const double low) {
    const ivec magnitude = (ivec)x & INT64_MAX; /* floats of one sign are ordered as integers are */
#if defined(__AVX512F__)
    const __m512i from_low = (__m512i)(magnitude - (ivec)all(low)), width = (__m512i)((ivec)all(1 / low) - (ivec)all(low));
    return _mm512_mask_cmp_epu64_mask(_mm512_test_epi64_mask((__m512i)magnitude, (__m512i)magnitude), from_low, width,
                                      _MM_CMPINT_NLE);
#else
    unsigned lanes = 0;
    for (int i = 0; i < LANES; i++) lanes |= (unsigned)(x[i] != 0 && !(fabs(x[i]) > low && fabs(x[i]) < 1 / low)) << i;
    (void)magnitude;
    return lanes;
#endif
}

/* Keep the old numbers in `lanes`. */
INLINE void store_except(real *p, vec x, unsigned lanes) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_pd(p, (__mmask8)~lanes, (__m512d)x);
#else
    for (int i = 0; i < LANES && lanes; i++)
        if (lanes >> i & 1) x[i] = p[i];
    store(p, x);
#endif
}

/* Appends first + i to the list for each of the lanes; returns the list's new end. */
INLINE int32_t *note(int32_t *list, int first, unsigned lanes) {
#if defined(__AVX512F__)
    __m256i numbers = _mm256_add_epi32(_mm256_set1_epi32(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    _mm256_storeu_si256((__m256i *)list, _mm256_maskz_compress_epi32((__mmask8)lanes, numbers));
    return list + __builtin_popcount(lanes);
#else
    for (; lanes; lanes &= lanes - 1) *list++ = first + __builtin_ctz(lanes);
    return list;
#endif
}

/* x / correction for the same correction many times: the quotient from the two-part inverse is within 0.51 ulp, so that
one correction by the exact remainder rounds it as division does (Markstein 1990), if the remainder does not underflow. */
#define DIVIDED_LOW 0x1p-900
INLINE vec divided(vec x, real correction, real inverse, real rest) {
#if defined(__FMA__) || defined(__aarch64__)
    vec quotient = x * inverse + x * rest;
    vec remainder = residual(quotient, all(correction), x);
    return -residual(remainder, all(inverse), -quotient);
#else
    (void)inverse, (void)rest;
    return x / correction;
#endif
}

/* One number, asking pow itself: for its gradient's square, or for the root alone. */
INLINE void adam_one(const Adam *a, int ask_square, real *w, const real *m, real *v, real g) {
    *v = a->beta2 * *v + a->gain2 * (ask_square ? libm_pow(g, 2.0) : g * g);
    const real v_hat = *v / a->correction2;
    *w -= a->learning_rate * (*m / a->correction1) / ((ask_square ? pow_half(v_hat) : libm_pow(v_hat, 0.5)) + a->eps);
}

/* Numbers for which pow itself must be asked are left as they were, noted, and done afterwards: a branch for each of them
would be mispredicted. */
INLINE void adam_block(const Adam *adam, int n, real *w, real *m, real *v, const real *g) {
    const Adam constants = *adam, *a = &constants; /* a copy, which the compiler sees is not written to */
    int32_t squares[ADAM_BLOCK + LANES], roots[ADAM_BLOCK + LANES], *squares_end = squares, *roots_end = roots;
    const ivec exponent = (ivec){0} + (bits)0x7ff0000000000000;
    for (int i = 0; i < n; i += LANES) {
        const vec dw = load(g + i);
        const vec new_m = a->beta1 * load(m + i) + a->gain1 * dw;
        const vec square = dw * dw;
        const vec square_ulp = (vec)((ivec)square & exponent) * 0x1p-52;
        const vec new_v = a->beta2 * load(v + i) + a->gain2 * square;
        const vec m_hat = divided(new_m, a->correction1, a->inverse1, a->rest1);
        const vec v_hat = divided(new_v, a->correction2, a->inverse2, a->rest2);
        const vec root = square_root(v_hat);
        const vec root_ulp = (vec)((ivec)root & exponent) * 0x1p-52;
        const unsigned ask_square = lanes_above(residual(dw, dw, square), square_ulp * SURE) | lanes_outside(square, RANGE_LOW);
        const unsigned ask_root = (lanes_above(residual(root, root, v_hat), root_ulp * root * (2 * SURE)) |
                                   lanes_outside(v_hat, RANGE_LOW) | lanes_outside(new_m, DIVIDED_LOW)) &
                                  ~ask_square;
        store(m + i, new_m);
        store_except(v + i, new_v, ask_square | ask_root);
        store_except(w + i, load(w + i) - a->learning_rate * m_hat / (root + a->eps), ask_square | ask_root);
        squares_end = note(squares_end, i, ask_square);
        roots_end = note(roots_end, i, ask_root);
    }
    for (const int32_t *i = squares; i < squares_end; i++) adam_one(a, 1, w + *i, m + *i, v + *i, g[*i]);
    for (const int32_t *i = roots; i < roots_end; i++) adam_one(a, 0, w + *i, m + *i, v + *i, g[*i]);
}
#else
enum { ADAM_BLOCK = 1024 };

INLINE void adam_lanes(const Adam *a, vec dw, real *w, real *m, real *v) {
#if FLOAT64
    const vec new_m = a->beta1 * load(m) + a->gain1 * dw, new_v = a->beta2 * load(v) + a->gain2 * (dw * dw);
#else
    const vec new_m = fused(all(a->beta1), load(m), dw), new_v = fused(dw, dw, a->beta2 * load(v));
#endif
    store(m, new_m);
    store(v, new_v);
    const vec x = new_v + 1e-36f; /* which keeps 1 / root finite */
#if defined(__AVX512F__)
    /* r = 1 / sqrt(x) to 2**-14, so that (x r + 1 / r) / 2 = sqrt(x) to 2**-29 (Heron). Dividing by twice this + 2 eps: */
    const vec r = (vec)_mm512_rsqrt14_ps((__m512)x);
    store(w, load(w) - a->learning_rate * new_m * r / fused(r, fused(x, r, all(a->eps)), all(1)));
#else
    store(w, load(w) - a->learning_rate * new_m / (2 * square_root(x) + a->eps));
#endif
}

INLINE void adam_block(const Adam *adam, int n, real *w, real *m, real *v, const real *g) {
    const Adam a = *adam; /* a copy, which the compiler sees is not written to */
    for (int i = 0; i < n; i += LANES) adam_lanes(&a, load(g + i), w + i, m + i, v + i);
}
#endif

/* One step for n numbers, a multiple of LANES. */
INLINE void adam(const Adam *a, size_t n, real *w, real *m, real *v, const real *g) {
    for (size_t i = 0; i < n; i += ADAM_BLOCK)
        adam_block(a, n - i < ADAM_BLOCK ? (int)(n - i) : ADAM_BLOCK, w + i, m + i, v + i, g + i);
}
