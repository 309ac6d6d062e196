/* Vectors: types, loads and stores, shuffles, and sums across lanes, for each instruction set. */

#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512F__) || defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#define UNROLL4 _Pragma("unroll 4")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL4 _Pragma("GCC unroll 4")
#endif

#ifndef FLOAT64
#define FLOAT64 EXACT
#endif

#if FLOAT64
typedef double real;
typedef int64_t bits;
#else
typedef float real;
typedef int32_t bits;
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define REGISTERS 32
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#define REGISTERS 16
#elif defined(__aarch64__)
#define VECTOR_BYTES 16
#define REGISTERS 32
#else
#define VECTOR_BYTES 16
#define REGISTERS 16
#endif

enum { LANES = VECTOR_BYTES / sizeof(real) };
typedef real vec __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef bits ivec __attribute__((vector_size(VECTOR_BYTES), may_alias));

INLINE vec load(const real *p) { return *(const vec *)p; }
INLINE void store(real *p, vec x) { *(vec *)p = x; }
INLINE vec all(real x) { return x - (vec){0}; } /* minus, since -0.0 + 0.0 would lose its sign */
INLINE int padded(int n) { return (n + LANES - 1) / LANES * LANES; }

INLINE ivec lane_numbers(void) {
    ivec n;
    for (int i = 0; i < LANES; i++) n[i] = i;
    return n;
}

/* x with lanes i and i ^ k exchanged */
INLINE vec exchanged(vec x, const int k) {
#ifdef __clang__
    vec y;
    UNROLL for (int i = 0; i < LANES; i++) y[i] = x[i ^ k];
    return y;
#else
    return __builtin_shuffle(x, lane_numbers() ^ (bits)k);
#endif
}

/* a where a > b, else b: in relu, 0 for what is no number, as in Python's max(0.0, x). */
INLINE vec larger(vec a, vec b) {
#if defined(__AVX512F__) && FLOAT64
    return (vec)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__) && FLOAT64
    return (vec)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__AVX2__)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__wasm_simd128__)
    return (vec)(FLOAT64 ? wasm_f64x2_pmax((v128_t)b, (v128_t)a) : wasm_f32x4_pmax((v128_t)b, (v128_t)a));
#else
    const ivec mask = a > b;
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
#endif
}

/* x where the condition's lane is positive, else 0 */
INLINE vec where_positive(vec condition, vec x) {
#if defined(__AVX512F__) && FLOAT64
    return (vec)_mm512_maskz_mov_pd(_mm512_cmp_pd_mask((__m512d)condition, _mm512_setzero_pd(), _CMP_GT_OQ), (__m512d)x);
#elif defined(__AVX512F__)
    return (vec)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)condition, _mm512_setzero_ps(), _CMP_GT_OQ), (__m512)x);
#else
    return (vec)((condition > (vec){0}) & (ivec)x);
#endif
}

INLINE vec square_root(vec x) {
#if defined(__AVX512F__) && FLOAT64
    return (vec)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX512F__)
    return (vec)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__) && FLOAT64
    return (vec)_mm256_sqrt_pd((__m256d)x);
#elif defined(__AVX2__)
    return (vec)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__) && FLOAT64
    return (vec)_mm_sqrt_pd((__m128d)x);
#elif defined(__SSE2__)
    return (vec)_mm_sqrt_ps((__m128)x);
#elif defined(__wasm_simd128__)
    return (vec)(FLOAT64 ? wasm_f64x2_sqrt((v128_t)x) : wasm_f32x4_sqrt((v128_t)x));
#else
    vec y;
    for (int i = 0; i < LANES; i++) y[i] = FLOAT64 ? __builtin_sqrt(x[i]) : __builtin_sqrtf(x[i]);
    return y;
#endif
}

/* float32 treats numbers below 1e-38 as 0 while it works: moments that fade away cost a fifth of the time otherwise. */
static unsigned flush_denormals(void) {
#if !EXACT && defined(__SSE2__)
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040);
    return mode;
#elif !EXACT && defined(__aarch64__)
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | 1u << 24));
    return (unsigned)mode;
#else
    return 0;
#endif
}

static void restore_denormals(unsigned mode) {
#if !EXACT && defined(__SSE2__)
    _mm_setcsr(mode);
#elif !EXACT && defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode));
#else
    (void)mode;
#endif
}

/* Vectors are made of pieces of 16 bytes, within which shuffling is cheapest. */
enum { PIECE = 16 / sizeof(real), PIECES = VECTOR_BYTES / 16 };

/* In each piece, the lower (upper) halves of a's and b's, lane by lane in turn: a0 b0 a1 b1. */
INLINE vec interleaved(vec a, vec b, const int upper) {
#ifdef __clang__
    vec y;
    UNROLL for (int i = 0; i < LANES; i++) {
        const int from = i / PIECE * PIECE + i % PIECE / 2 + upper * PIECE / 2;
        y[i] = i % 2 ? b[from] : a[from];
    }
    return y;
#else
    const ivec i = lane_numbers();
    return __builtin_shuffle(a, b, (i & -PIECE) + ((i & (PIECE - 1)) >> 1) + (bits)(upper * PIECE / 2) + (i & 1) * LANES);
#endif
}

/* In each group of `width` lanes, a power of two: the sum of the group, in every lane of it. */
INLINE vec group_sum(vec x, const int width) {
    UNROLL for (int k = 1; k < width; k *= 2) x += exchanged(x, k);
    return x;
}

/* Many sums along vectors cost little more than one where PIECE of them are made together: in each piece, lane j has the
sum of the piece's lanes in x[j]. */
INLINE vec sums_of_pieces(const vec *x) {
    if (PIECE == 2) return interleaved(x[0], x[1], 0) + interleaved(x[0], x[1], 1);
    const vec even = interleaved(x[0], x[2 % PIECE], 0) + interleaved(x[0], x[2 % PIECE], 1);
    const vec odd = interleaved(x[1], x[3 % PIECE], 0) + interleaved(x[1], x[3 % PIECE], 1);
    return interleaved(even, odd, 0) + interleaved(even, odd, 1);
}

/* In each piece: lane j, everywhere. */
INLINE vec spread(vec x, const int j) {
#ifdef __clang__
    vec y;
    UNROLL for (int i = 0; i < LANES; i++) y[i] = x[i / PIECE * PIECE + j];
    return y;
#else
    return __builtin_shuffle(x, (lane_numbers() & -PIECE) + j);
#endif
}

/* Rows are taken PIECE at a time; where there are but n, fewer, those from n on repeat the last. */
INLINE int row_of(int j, int n) { return j < n ? j : n - 1; }

/* x, but `rest` in all lanes from n on */
INLINE vec first_lanes(vec x, int n, real rest) {
    const ivec first = lane_numbers() < (bits)n;
    return (vec)((first & (ivec)x) | (~first & (ivec)all(rest)));
}

/* The largest lane, in every lane. */
INLINE vec group_largest(vec x) {
    UNROLL for (int k = 1; k < LANES; k *= 2) x = larger(x, exchanged(x, k));
    return x;
}
