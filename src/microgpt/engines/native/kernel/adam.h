/* The Adam optimizer with decoupled weight decay, one vector or one block of parameters at a time. */

#pragma once
#include "api.h"
#include "exact.h"
#include "fast.h"

/* One step's constants. exact: the reference's constants, and 1 / correction as the sum of two floats. Otherwise, the
bias corrections are folded into learning_rate and eps, both doubled here (see adam_vector). float32 also stores
m / (1 - beta1) and v / (1 - beta2) instead of m and v, which saves multiplications. These quotients survive the
conversion to m and v in float64 and back; float64 quotients would not. keep = 1 - learning_rate * weight_decay, the
factor by which weight decay shrinks each weight before the step; 1, which changes no bit of any weight, without it. */
typedef struct {
    real beta1, beta2, learning_rate, eps, keep;
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
    Adam a = {.beta1 = s->beta1, .beta2 = s->beta2, .keep = 1 - learning_rate * s->weight_decay};
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

/* One decision for each lane: a bit in a mask register (AVX-512), or all bits of the lane. &, | and ~ combine masks. */
#if defined(__AVX512F__)
typedef __mmask8 mask;
#else
typedef ivec mask;
#endif

/* Lanes where a > b. */
INLINE mask mask_above(vec a, vec b) {
#if defined(__AVX512F__)
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_GT_OQ);
#else
    return a > b;
#endif
}

/* Lanes where a == b. */
INLINE mask mask_equal(vec a, vec b) {
#if defined(__AVX512F__)
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_EQ_OQ);
#else
    return a == b;
#endif
}

INLINE vec vector_abs(vec x) { return (vec)((ivec)x & INT64_MAX); }

/* Lanes where x is neither 0 nor between low, a power of two, and 1 / low. */
INLINE mask mask_out_of_range(vec x, const double low) {
#if defined(__AVX512F__)
    const ivec magnitude = (ivec)x & INT64_MAX; /* positive floats are ordered like their bit patterns */
    const __m512i from_low = (__m512i)(magnitude - (ivec)broadcast(low)),
                  width = (__m512i)((ivec)broadcast(1 / low) - (ivec)broadcast(low));
    return _mm512_mask_cmp_epu64_mask(_mm512_test_epi64_mask((__m512i)magnitude, (__m512i)magnitude), from_low, width,
                                      _MM_CMPINT_NLE);
#else
    const vec size = vector_abs(x);
    return ~(mask_above(size, broadcast(low)) & mask_above(broadcast(1 / low), size)) & (size != broadcast(0));
#endif
}

INLINE vec blend(mask which, vec yes, vec no) {
#if defined(__AVX512F__)
    return (vec)_mm512_mask_blend_pd(which, (__m512d)no, (__m512d)yes);
#else
    return (vec)((which & (ivec)yes) | (~which & (ivec)no));
#endif
}

/* Lane i as bit i */
INLINE unsigned lane_bits(mask which) {
#if defined(__AVX512F__)
    return which;
#elif defined(__AVX2__)
    return (unsigned)_mm256_movemask_pd((__m256d)which);
#elif defined(__SSE2__)
    return (unsigned)_mm_movemask_pd((__m128d)which);
#else
    unsigned lanes = 0;
    for (int i = 0; i < LANES; i++) lanes |= (unsigned)(which[i] & 1) << i;
    return lanes;
#endif
}

/* Append first + i to the list for every lane i in the mask. Returns the list's new end. */
INLINE int32_t *append_lanes(int32_t *list, int first, mask which) {
#if defined(__AVX512F__)
    __m256i numbers = _mm256_add_epi32(_mm256_set1_epi32(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    _mm256_storeu_si256((__m256i *)list, _mm256_maskz_compress_epi32(which, numbers));
    return list + __builtin_popcount(which);
#else
    for (unsigned lanes = lane_bits(which); lanes; lanes &= lanes - 1) *list++ = first + __builtin_ctz(lanes);
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
    *w = *w * a->keep - a->learning_rate * (*m / a->correction1) /
                            ((unsure_square ? pow_half(v_hat) : libm_pow(v_hat, 0.5)) + a->eps);
}

/* Lanes that hold a denormal number and whose gradient is 0. */
INLINE mask mask_idle_denormal(vec x, vec dw) {
    return mask_above(broadcast(0x1p-1022), vector_abs(x)) & (mask)~mask_equal(x, broadcast(0)) &
           mask_equal(dw, broadcast(0));
}

/* beta * x for denormal x and beta < 1, rounded as the processor rounds it, but many times faster than processors
multiply denormals: x is an integer below 2**52 in units of 2**-1074. */
INLINE vec decay_denormal(vec x, real beta, vec zero) {
    const ivec two_52 = (ivec)broadcast(0x1p52);
    const vec integer = (vec)(((ivec)x & INT64_MAX) | two_52) - 0x1p52, product = integer * beta;
    vec rounded = product + 0x1p52 - 0x1p52; /* to an integer; halves to the even one */
    /* if the product itself was rounded to a half, its rounding error decides */
    const vec excess = product - rounded, error = fnmadd(integer, broadcast(beta), product);
    const mask up = mask_equal(excess, broadcast(0.5)) & mask_above(broadcast(0), error),
               down = mask_equal(excess, broadcast(-0.5)) & mask_above(error, broadcast(0));
    rounded = blend(up, rounded + 1, blend(down, rounded - 1, rounded));
    const ivec sign = (ivec)x & INT64_MIN;
    const vec decayed = (vec)(((ivec)(rounded + 0x1p52) ^ two_52) | sign);
    return blend(mask_equal(rounded, broadcast(0)), (vec)sign + zero, decayed);
}

/* The parameters of a block that are left for adam_scalar, by their index */
typedef struct {
    int32_t squares[ADAM_BLOCK + LANES], roots[ADAM_BLOCK + LANES], *squares_end, *roots_end;
} Unsure;

INLINE void list_unsure(Unsure *unsure, int first, mask square, mask root) {
    unsure->squares_end = append_lanes(unsure->squares_end, first, square);
    unsure->roots_end = append_lanes(unsure->roots_end, first, root & (mask)~square);
}

/* The constants within which a value is known, although pow or the division that yields it was not computed */
#define TINY_SQUARE 0x1p-1000
#define TINY_ROOT 0x1p-420

/* Update vectors first..n, among them very small or very large numbers, which need pow more often: rows that have had
no gradient for thousands of steps, or hardly any. Nearly always, such a number cannot change the sum that it is added
to: then a bound for the number will do. */
NOINLINE void adam_careful(const Adam *adam, int first, int n, real *w, real *m, real *v, const real *g,
                           Unsure *unsure) {
    const Adam constants = *adam, *a = &constants;
    const ivec exponent = (ivec){0} + (bits)0x7ff0000000000000;
    const vec m_bound = broadcast(2 * DIVIDE_LOW * a->inverse1); /* for |m_hat| where |m| <= DIVIDE_LOW */
    for (int i = first; i < n; i += LANES) {
        const vec dw = load(g + i), old_m = load(m + i), old_v = load(v + i), old_w = load(w + i);
        const vec kept_w = old_w * a->keep;
        const mask idle_m = mask_idle_denormal(old_m, dw), idle_v = mask_idle_denormal(old_v, dw);
        const vec decayed_v = a->beta2 * blend(idle_v, broadcast(0), old_v);
        const vec new_m = a->beta1 * blend(idle_m, broadcast(0), old_m) + a->one_minus_beta1 * dw;
        const vec square = dw * dw, new_v = decayed_v + a->one_minus_beta2 * square;

        /* pow(dw, 2) is within 2 ulp of the square. A normal result is within 0.55 ulp of the true square. */
        const vec square_error = square * 0x1p-51 + TINY_SQUARE;
        const vec square_ulp = (vec)((ivec)square & exponent) * 0x1p-52;
        const mask same_v = mask_equal(decayed_v + a->one_minus_beta2 * (square - square_error),
                                       decayed_v + a->one_minus_beta2 * (square + square_error));
        const mask unsure_square = (mask_above(vector_abs(fnmadd(dw, dw, square)), square_ulp * (0.5 - 0.05)) |
                                    mask_out_of_range(square, DIVIDE_LOW)) &
                                   (mask)~same_v;

        const vec v_hat = divide(new_v, a->correction2, a->inverse2, a->inverse2_low), root = vector_sqrt(v_hat);
        const vec root_ulp = (vec)((ivec)root & exponent) * 0x1p-52;
        const vec root_error = root * 0x1p-50 + TINY_ROOT;
        const vec lower = (root - root_error) + a->eps, upper = (root + root_error) + a->eps;
        const mask unsure_root =
            (mask_above(vector_abs(fnmadd(root, root, v_hat)), root_ulp * root * (2 * SURE_ULP)) |
             mask_out_of_range(v_hat, RANGE_LOW) | idle_v) &
            (mask)~mask_equal(lower, upper);

        const vec most = a->learning_rate * m_bound / vector_max(lower, broadcast(a->eps)); /* the root is >= 0 */
        const mask tiny_m = mask_above(broadcast(DIVIDE_LOW), vector_abs(new_m));
        const mask same_w = tiny_m & mask_equal(kept_w - most, kept_w) & mask_equal(kept_w + most, kept_w);
        const mask unsure_m = (mask_out_of_range(new_m, DIVIDE_LOW) | idle_m) & (mask)~same_w;
        const vec stored_m = blend(idle_m, decay_denormal(old_m, a->beta1, a->one_minus_beta1 * dw), new_m);
        const vec m_hat = divide(blend(tiny_m, (vec)((ivec)stored_m & INT64_MIN), new_m), a->correction1, a->inverse1,
                                 a->inverse1_low);

        const mask unsure_any = unsure_square | unsure_root | unsure_m;
        store(m + i, stored_m);
        store(v + i, blend(unsure_any, old_v,
                            blend(idle_v, decay_denormal(old_v, a->beta2, broadcast(0)), new_v)));
        store(w + i, blend(unsure_any, old_w, kept_w - a->learning_rate * m_hat / (root + a->eps)));
        list_unsure(unsure, i, unsure_square, unsure_root | unsure_m);
    }
}

/* Update a block. Lanes that need pow are masked out, listed, and computed one by one afterwards, because a branch for
each lane would be mispredicted. */
NOINLINE void adam_block(const Adam *adam, int n, real *w, real *m, real *v, const real *g) {
    const Adam constants = *adam, *a = &constants; /* a copy, which no store can alias */
    const ivec exponent = (ivec){0} + (bits)0x7ff0000000000000;
    Unsure unsure;
    unsure.squares_end = unsure.squares, unsure.roots_end = unsure.roots;
    for (int i = 0; i < n; i += LANES) {
        const vec dw = load(g + i), old_v = load(v + i), old_w = load(w + i);
        const vec new_m = a->beta1 * load(m + i) + a->one_minus_beta1 * dw;
        const vec square = dw * dw;
        const vec square_ulp = (vec)((ivec)square & exponent) * 0x1p-52;
        const vec new_v = a->beta2 * old_v + a->one_minus_beta2 * square;
        const vec m_hat = divide(new_m, a->correction1, a->inverse1, a->inverse1_low);
        const vec v_hat = divide(new_v, a->correction2, a->inverse2, a->inverse2_low);
        const vec root = vector_sqrt(v_hat);
        const vec root_ulp = (vec)((ivec)root & exponent) * 0x1p-52;
        const mask out_of_range = mask_out_of_range(square, RANGE_LOW) | mask_out_of_range(v_hat, RANGE_LOW) |
                                  mask_out_of_range(new_m, DIVIDE_LOW);
        if (lane_bits(out_of_range)) { /* seldom here and there: the rest of the block is likely to be alike */
            adam_careful(adam, i, n, w, m, v, g, &unsure);
            break;
        }
        const mask unsure_square = mask_above(vector_abs(fnmadd(dw, dw, square)), square_ulp * SURE_ULP);
        const mask unsure_root = mask_above(vector_abs(fnmadd(root, root, v_hat)), root_ulp * root * (2 * SURE_ULP));
        store(m + i, new_m);
        store(v + i, blend(unsure_square | unsure_root, old_v, new_v));
        store(w + i, blend(unsure_square | unsure_root, old_w,
                           old_w * a->keep - a->learning_rate * m_hat / (root + a->eps)));
        list_unsure(&unsure, i, unsure_square, unsure_root);
    }
    for (const int32_t *i = unsure.squares; i < unsure.squares_end; i++)
        adam_scalar(a, 1, w + *i, m + *i, v + *i, g[*i]);
    for (const int32_t *i = unsure.roots; i < unsure.roots_end; i++) adam_scalar(a, 0, w + *i, m + *i, v + *i, g[*i]);
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
    store(w, load(w) * a->keep -
                 a->learning_rate * new_m * r / multiply_add(r, multiply_add(x, r, broadcast(a->eps)), broadcast(1)));
#else
    store(w, load(w) * a->keep - a->learning_rate * new_m / (2 * vector_sqrt(x) + a->eps));
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
