/* SIMD vectors for each instruction set: types, loads and stores, shuffles, masks and sums.

The sums are horizontal: over the lanes of one vector. */

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
typedef uint64_t unsigned_bits;
#else
typedef float real;
typedef int32_t bits;
typedef uint32_t unsigned_bits;
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define REGISTERS 32 /* the number of vector registers */
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
typedef unsigned_bits uvec __attribute__((vector_size(VECTOR_BYTES), may_alias)); /* sums and shifts may overflow */

INLINE vec load(const real *p) { return *(const vec *)p; }
INLINE void store(real *p, vec x) { *(vec *)p = x; }
INLINE vec broadcast(real x) { return x - (vec){0}; } /* x + 0.0 would turn -0.0 into 0.0 */

/* n rounded up to whole vectors */
INLINE int padded(int n) { return (n + LANES - 1) / LANES * LANES; }

INLINE ivec lane_indices(void) {
    ivec n;
    for (int i = 0; i < LANES; i++) n[i] = i;
    return n;
}

/* Swap lanes i and i ^ k: one stage of a butterfly. */
INLINE vec shuffle_xor(vec x, const int k) {
#ifdef __clang__
    vec y;
    UNROLL for (int i = 0; i < LANES; i++) y[i] = x[i ^ k];
    return y;
#else
    return __builtin_shuffle(x, lane_indices() ^ (bits)k);
#endif
}

/* a > b ? a : b in each lane. In relu this gives 0 for NaN, as Python's max(0.0, x) does. */
INLINE vec vector_max(vec a, vec b) {
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

/* condition > 0 ? x : 0 in each lane. */
INLINE vec mask_positive(vec condition, vec x) {
#if defined(__AVX512F__) && FLOAT64
    return (vec)_mm512_maskz_mov_pd(_mm512_cmp_pd_mask((__m512d)condition, _mm512_setzero_pd(), _CMP_GT_OQ),
                                    (__m512d)x);
#elif defined(__AVX512F__)
    return (vec)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)condition, _mm512_setzero_ps(), _CMP_GT_OQ), (__m512)x);
#else
    return (vec)((condition > (vec){0}) & (ivec)x);
#endif
}

INLINE vec vector_sqrt(vec x) {
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

/* Flush denormals to zero in float32, because moments that decay to denormals would otherwise take a fifth of the
time. Returns the mode to restore. */
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

/* The number of lanes in a block of 128 bits, within which shuffles are cheapest. */
enum { BLOCK = 16 / sizeof(real) };

/* Interleave the lower (or upper) halves of a and b within each block: a0 b0 a1 b1 (unpack on x86, zip on Arm). */
INLINE vec interleave(vec a, vec b, const int upper) {
#ifdef __clang__
    vec y;
    UNROLL for (int i = 0; i < LANES; i++) {
        const int from = i / BLOCK * BLOCK + i % BLOCK / 2 + upper * BLOCK / 2;
        y[i] = i % 2 ? b[from] : a[from];
    }
    return y;
#else
    const ivec i = lane_indices();
    return __builtin_shuffle(a, b,
                             (i & -BLOCK) + ((i & (BLOCK - 1)) >> 1) + (bits)(upper * BLOCK / 2) + (i & 1) * LANES);
#endif
}

/* Return the sum of each group of `width` lanes (a power of two) in every lane of the group. */
INLINE vec horizontal_sum(vec x, const int width) {
    UNROLL for (int k = 1; k < width; k *= 2) x += shuffle_xor(x, k);
    return x;
}

/* Sum the lanes of BLOCK vectors at once, at little more than the cost of one horizontal sum: lane j of each block
gets the sum of that block's lanes in x[j]. */
INLINE vec block_sums(const vec *x) {
    if (BLOCK == 2) return interleave(x[0], x[1], 0) + interleave(x[0], x[1], 1);
    const vec even = interleave(x[0], x[2 % BLOCK], 0) + interleave(x[0], x[2 % BLOCK], 1);
    const vec odd = interleave(x[1], x[3 % BLOCK], 0) + interleave(x[1], x[3 % BLOCK], 1);
    return interleave(even, odd, 0) + interleave(even, odd, 1);
}

/* Broadcast lane j of each block to the whole block. */
INLINE vec broadcast_in_block(vec x, const int j) {
#ifdef __clang__
    vec y;
    UNROLL for (int i = 0; i < LANES; i++) y[i] = x[i / BLOCK * BLOCK + j];
    return y;
#else
    return __builtin_shuffle(x, (lane_indices() & -BLOCK) + j);
#endif
}

/* Loops process BLOCK rows at a time. If only n rows are left, the last row is repeated to fill the block. */
INLINE int clamp_row(int j, int n) { return j < n ? j : n - 1; }

/* Blend: x in the first n lanes, `fill` in the others. */
INLINE vec blend_tail(vec x, int n, real fill) {
    const ivec mask = lane_indices() < (bits)n;
    return (vec)((mask & (ivec)x) | (~mask & (ivec)broadcast(fill)));
}

/* Return the maximum over all lanes, in every lane. */
INLINE vec horizontal_max(vec x) {
    UNROLL for (int k = 1; k < LANES; k *= 2) x = vector_max(x, shuffle_xor(x, k));
    return x;
}
