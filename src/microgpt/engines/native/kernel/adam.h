/* The Adam optimizer, one vector or one block of parameters at a time. */

#pragma once
#include "api.h"
#include "exact.h"
#include "fast.h"

/* One step's constants. exact: the reference's constants, and 1 / correction as the sum of two floats. Otherwise, the
bias corrections are folded into learning_rate and eps, both doubled here (see adam_vector). float32 also stores
m / (1 - beta1) and v / (1 - beta2) instead of m and v, which saves multiplications. These quotients survive the
conversion to m and v in float64 and back; float64 quotients would not. */
typedef struct {
    real beta1, beta2, learning_rate, eps;
#if FLOAT64
    real one_minus_beta1, one_minus_beta2;
#endif
#if EXACT
    real correction1, correction2; /* 1 - beta**step */
    real inverse1, inverse2, inverse1_low, inverse2_low;
#endif
} Adam;

/* The kernel's m and v are the reference's m and v divided by these units. */
INLINE double moment_unit1(const Settings *s) { return FLOAT64 ? 1 : 1 - s->beta1; }
INLINE double moment_unit2(const Settings *s) { return FLOAT64 ? 1 : 1 - s->beta2; }

static Adam adam_constants(const Settings *s, int64_t step, double learning_rate) {
    const double correction1 = 1 - pow(s->beta1, (double)step), correction2 = 1 - pow(s->beta2, (double)step);
    Adam a = {.beta1 = s->beta1, .beta2 = s->beta2};
#if FLOAT64
    a.one_minus_beta1 = 1 - s->beta1, a.one_minus_beta2 = 1 - s->beta2;
#endif
#if EXACT
    a.learning_rate = learning_rate, a.eps = s->eps_adam;
    a.correction1 = correction1, a.correction2 = correction2;
    a.inverse1 = 1 / correction1, a.inverse2 = 1 / correction2;
    a.inverse1_low = fnmadd_scalar(a.inverse1, correction1, 1) * a.inverse1;
    a.inverse2_low = fnmadd_scalar(a.inverse2, correction2, 1) * a.inverse2;
#else
    const double scale2 = sqrt(moment_unit2(s) / correction2); /* sqrt(v_hat) = scale2 * sqrt(the kernel's v) */
    a.learning_rate = 2 * learning_rate * moment_unit1(s) / correction1 / scale2;
    a.eps = 2 * s->eps_adam / scale2;
#endif
    return a;
}

#if EXACT
enum { ADAM_BLOCK = 512 };

/* Return a bit mask of the lanes where |a| > b. */
INLINE unsigned mask_above(vec a, vec b) {
#if defined(__AVX512F__)
    return _mm512_cmp_pd_mask(_mm512_abs_pd((__m512d)a), (__m512d)b, _CMP_GT_OQ);
#else
    unsigned lanes = 0;
    for (int i = 0; i < LANES; i++) lanes |= (unsigned)(fabs(a[i]) > b[i]) << i;
    return lanes;
#endif
}

/* Return a bit mask of the lanes where |x| is neither 0 nor between low, a power of two, and 1 / low. */
INLINE unsigned mask_out_of_range(vec x, const double low) {
    const ivec magnitude = (ivec)x & INT64_MAX; /* positive floats are ordered like their bit patterns */
#if defined(__AVX512F__)
    const __m512i from_low = (__m512i)(magnitude - (ivec)broadcast(low)),
                  width = (__m512i)((ivec)broadcast(1 / low) - (ivec)broadcast(low));
    return _mm512_mask_cmp_epu64_mask(_mm512_test_epi64_mask((__m512i)magnitude, (__m512i)magnitude), from_low, width,
                                      _MM_CMPINT_NLE);
#else
    unsigned lanes = 0;
    for (int i = 0; i < LANES; i++) lanes |= (unsigned)(x[i] != 0 && !(fabs(x[i]) > low && fabs(x[i]) < 1 / low)) << i;
    (void)magnitude;
    return lanes;
#endif
}

/* Store x, except in the masked lanes. */
INLINE void store_unmasked(real *p, vec x, unsigned lanes) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_pd(p, (__mmask8)~lanes, (__m512d)x);
#else
    for (int i = 0; i < LANES && lanes; i++)
        if (lanes >> i & 1) x[i] = p[i];
    store(p, x);
#endif
}

/* Append first + i to the list for every masked lane i. Returns the list's new end. */
INLINE int32_t *append_lanes(int32_t *list, int first, unsigned lanes) {
#if defined(__AVX512F__)
    __m256i numbers = _mm256_add_epi32(_mm256_set1_epi32(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    _mm256_storeu_si256((__m256i *)list, _mm256_maskz_compress_epi32((__mmask8)lanes, numbers));
    return list + __builtin_popcount(lanes);
#else
    for (; lanes; lanes &= lanes - 1) *list++ = first + __builtin_ctz(lanes);
    return list;
#endif
}

/* x / divisor, correctly rounded, for a divisor with a known two-part inverse: the approximate quotient is within
0.51 ulp, so one correction by the exact remainder rounds it as division would (Markstein 1990), unless the remainder
underflows. */
#define DIVIDE_LOW 0x1p-900
INLINE vec divide(vec x, real divisor, real inverse, real inverse_low) {
#if defined(__FMA__) || defined(__aarch64__)
    vec quotient = x * inverse + x * inverse_low;
    vec remainder = fnmadd(quotient, broadcast(divisor), x);
    return -fnmadd(remainder, broadcast(inverse), -quotient);
#else
    (void)inverse, (void)inverse_low;
    return x / divisor;
#endif
}

/* Update one parameter, calling pow for the gradient's square if unsure_square is set, otherwise only for the root. */
INLINE void adam_scalar(const Adam *a, int unsure_square, real *w, const real *m, real *v, real g) {
    *v = a->beta2 * *v + a->one_minus_beta2 * (unsure_square ? libm_pow(g, 2.0) : g * g);
    const real v_hat = *v / a->correction2;
    *w -= a->learning_rate * (*m / a->correction1) /
          ((unsure_square ? pow_half(v_hat) : libm_pow(v_hat, 0.5)) + a->eps);
}

/* Update a block. Lanes that need pow are masked out, listed, and computed one by one afterwards, because a branch for
each lane would be mispredicted. */
INLINE void adam_block(const Adam *adam, int n, real *w, real *m, real *v, const real *g) {
    const Adam constants = *adam, *a = &constants; /* a copy, which no store can alias */
    int32_t squares[ADAM_BLOCK + LANES], roots[ADAM_BLOCK + LANES], *squares_end = squares, *roots_end = roots;
    const ivec exponent = (ivec){0} + (bits)0x7ff0000000000000;
    for (int i = 0; i < n; i += LANES) {
        const vec dw = load(g + i);
        const vec new_m = a->beta1 * load(m + i) + a->one_minus_beta1 * dw;
        const vec square = dw * dw;
        const vec square_ulp = (vec)((ivec)square & exponent) * 0x1p-52;
        const vec new_v = a->beta2 * load(v + i) + a->one_minus_beta2 * square;
        const vec m_hat = divide(new_m, a->correction1, a->inverse1, a->inverse1_low);
        const vec v_hat = divide(new_v, a->correction2, a->inverse2, a->inverse2_low);
        const vec root = vector_sqrt(v_hat);
        const vec root_ulp = (vec)((ivec)root & exponent) * 0x1p-52;
        const unsigned unsure_square = mask_above(fnmadd(dw, dw, square), square_ulp * SURE_ULP) |
                                       mask_out_of_range(square, RANGE_LOW);
        const unsigned unsure_root = (mask_above(fnmadd(root, root, v_hat), root_ulp * root * (2 * SURE_ULP)) |
                                      mask_out_of_range(v_hat, RANGE_LOW) | mask_out_of_range(new_m, DIVIDE_LOW)) &
                                     ~unsure_square;
        store(m + i, new_m);
        store_unmasked(v + i, new_v, unsure_square | unsure_root);
        store_unmasked(w + i, load(w + i) - a->learning_rate * m_hat / (root + a->eps), unsure_square | unsure_root);
        squares_end = append_lanes(squares_end, i, unsure_square);
        roots_end = append_lanes(roots_end, i, unsure_root);
    }
    for (const int32_t *i = squares; i < squares_end; i++) adam_scalar(a, 1, w + *i, m + *i, v + *i, g[*i]);
    for (const int32_t *i = roots; i < roots_end; i++) adam_scalar(a, 0, w + *i, m + *i, v + *i, g[*i]);
}
#else
enum { ADAM_BLOCK = 1024 };

INLINE void adam_vector(const Adam *a, vec dw, real *w, real *m, real *v) {
#if FLOAT64
    const vec new_m = a->beta1 * load(m) + a->one_minus_beta1 * dw,
              new_v = a->beta2 * load(v) + a->one_minus_beta2 * (dw * dw);
#else
    const vec new_m = multiply_add(broadcast(a->beta1), load(m), dw), new_v = multiply_add(dw, dw, a->beta2 * load(v));
#endif
    store(m, new_m);
    store(v, new_v);
    const vec x = new_v + 1e-36f; /* keeps 1 / sqrt(x) finite */
#if defined(__AVX512F__)
    /* r = 1 / sqrt(x) to 2**-14, so (x r + 1 / r) / 2 = sqrt(x) to 2**-29 (Heron). Divide by 2 sqrt(x) + 2 eps: */
    const vec r = (vec)_mm512_rsqrt14_ps((__m512)x);
    store(w, load(w) -
                 a->learning_rate * new_m * r / multiply_add(r, multiply_add(x, r, broadcast(a->eps)), broadcast(1)));
#else
    store(w, load(w) - a->learning_rate * new_m / (2 * vector_sqrt(x) + a->eps));
#endif
}

INLINE void adam_block(const Adam *adam, int n, real *w, real *m, real *v, const real *g) {
    const Adam a = *adam; /* a copy, which no store can alias */
    for (int i = 0; i < n; i += LANES) adam_vector(&a, load(g + i), w + i, m + i, v + i);
}
#endif

/* Take one step for n parameters; n is a multiple of LANES. */
INLINE void adam(const Adam *a, size_t n, real *w, real *m, real *v, const real *g) {
    for (size_t i = 0; i < n; i += ADAM_BLOCK)
        adam_block(a, n - i < ADAM_BLOCK ? (int)(n - i) : ADAM_BLOCK, w + i, m + i, v + i, g + i);
}
