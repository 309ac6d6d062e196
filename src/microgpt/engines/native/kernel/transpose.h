/* Transposes a matrix, tile by tile. */

#pragma once
#include "layout.h"

/* A vector whose pieces come from places `stride` apart. */
INLINE vec load_pieces(const real *p, ptrdiff_t stride) {
#if defined(__AVX512F__)
    __m512 x = _mm512_castps128_ps512(_mm_load_ps((const float *)p));
    x = _mm512_mask_broadcast_f32x4(x, 0x00f0, _mm_load_ps((const float *)(p + stride)));
    x = _mm512_mask_broadcast_f32x4(x, 0x0f00, _mm_load_ps((const float *)(p + 2 * stride)));
    return (vec)_mm512_mask_broadcast_f32x4(x, 0xf000, _mm_load_ps((const float *)(p + 3 * stride)));
#elif defined(__AVX2__)
    __m256 x = _mm256_castps128_ps256(_mm_load_ps((const float *)p));
    return (vec)_mm256_insertf128_ps(x, _mm_load_ps((const float *)(p + stride)), 1);
#else
    (void)stride;
    return load(p);
#endif
}

/* A square of LANES x LANES, transposed: piece by piece, PIECE rows at a time. */
INLINE void transpose_square(const real *from, ptrdiff_t from_stride, real *to, ptrdiff_t to_stride) {
    UNROLL for (int j = 0; j < LANES; j += PIECE) {
        vec rows[PIECE], mixed[PIECE];
        UNROLL for (int i = 0; i < PIECE; i++) rows[i] = load_pieces(from + i * from_stride + j, PIECE * from_stride);
        UNROLL for (int step = 1; step < PIECE; step *= 2) { /* a0 a1.. b0 b1.. -> a0 b0 a1 b1.. */
            UNROLL for (int i = 0; i < PIECE; i++) mixed[i] = interleaved(rows[i / 2], rows[i / 2 + PIECE / 2], i % 2);
            UNROLL for (int i = 0; i < PIECE; i++) rows[i] = mixed[i];
        }
        UNROLL for (int i = 0; i < PIECE; i++) store(to + (i + j) * to_stride, rows[i]);
    }
}

/* Brings rows o..end of the transposed copy of a matrix up to date. */
INLINE void turn(const Matrix *matrix, Weights weights, int o, int end, const int stride) {
    for (int i = o; i < end; i += LANES)
        for (int j = 0; j < stride; j += LANES)
            transpose_square(weights.w + matrix->at + (ptrdiff_t)i * stride + j, stride,
                             weights.w_turned + matrix->turned + (ptrdiff_t)j * matrix->turned_stride + i,
                             matrix->turned_stride);
}
