/* The transposed copy of the weights, updated tile by tile. */

#pragma once
#include "layout.h"

/* Gather a vector from 128-bit blocks that are `stride` elements apart. */
INLINE vec gather_blocks(const real *p, ptrdiff_t stride) {
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

/* Transpose a tile of LANES x LANES, BLOCK output rows at a time. */
INLINE void transpose_tile(const real *from, ptrdiff_t from_stride, real *to, ptrdiff_t to_stride) {
    UNROLL for (int j = 0; j < LANES; j += BLOCK) {
        vec rows[BLOCK], mixed[BLOCK];
        UNROLL for (int i = 0; i < BLOCK; i++) rows[i] = gather_blocks(from + i * from_stride + j, BLOCK * from_stride);
        UNROLL for (int step = 1; step < BLOCK; step *= 2) { /* a0 a1.. b0 b1.. -> a0 b0 a1 b1.. */
            UNROLL for (int i = 0; i < BLOCK; i++) mixed[i] = interleave(rows[i / 2], rows[i / 2 + BLOCK / 2], i % 2);
            UNROLL for (int i = 0; i < BLOCK; i++) rows[i] = mixed[i];
        }
        UNROLL for (int i = 0; i < BLOCK; i++) store(to + (i + j) * to_stride, rows[i]);
    }
}

/* Transpose rows o..end of a matrix into its transposed copy. */
INLINE void update_transposed(const Matrix *matrix, Weights weights, int o, int end, const int stride) {
    for (int i = o; i < end; i += LANES)
        for (int j = 0; j < stride; j += LANES)
            transpose_tile(weights.w + matrix->offset + (ptrdiff_t)i * stride + j, stride,
                             weights.w_transposed + matrix->transposed + (ptrdiff_t)j * matrix->transposed_stride + i,
                             matrix->transposed_stride);
}
