/* Matrix products, built on one register-tiled microkernel.

It serves the forward and backward passes of a linear layer. */

#pragma once
#include "simd.h"

/* y = init + a b for a tile of R rows and N vectors of columns, held in registers; each sum runs over ascending k.
Epilogue: add `addend` (laid out like y) unless it is NULL. a[r][k] is at a[r * a_row + k * a_k]; b_k and y_row are
row strides. */
INLINE void microkernel(const int R, const int N, const real *a, ptrdiff_t a_row, ptrdiff_t a_k, const real *b,
                        ptrdiff_t b_k, int K, real init, const real *addend, real *y, ptrdiff_t y_row) {
    vec sum[8][4];
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int c = 0; c < N; c++) sum[r][c] = broadcast(init);
    }
    UNROLL4 for (int k = 0; k < K; k++) {
        vec row[4];
        UNROLL for (int c = 0; c < N; c++) {
            row[c] = load(b + k * b_k + c * LANES);
            if (N == 4) __builtin_prefetch(b + k * b_k + (c + N) * LANES, 0, 2); /* the next panel */
        }
        UNROLL for (int r = 0; r < R; r++) {
            vec x = broadcast(a[r * a_row + k * a_k]);
            UNROLL for (int c = 0; c < N; c++) sum[r][c] += x * row[c];
        }
    }
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int c = 0; c < N; c++) {
            if (addend) sum[r][c] = sum[r][c] + load(addend + r * y_row + c * LANES);
            store(y + r * y_row + c * LANES, sum[r][c]);
        }
    }
}

/* Compute a panel of N vectors of columns, in tiles of at most max_rows rows and of heights as equal as possible. */
INLINE void panel(const int N, const int max_rows, int rows, const real *a, ptrdiff_t a_row, ptrdiff_t a_k,
                  const real *b, ptrdiff_t b_k, int K, real init, const real *addend, real *y, ptrdiff_t y_row) {
    for (int tiles = (rows + max_rows - 1) / max_rows; tiles > 0; tiles--) {
        int R = (rows + tiles - 1) / tiles;
        switch (R) {
#define CASE(n)                                                                                                        \
    case n:                                                                                                            \
        if (n <= max_rows) microkernel(n, N, a, a_row, a_k, b, b_k, K, init, addend, y, y_row);                        \
        break;
            CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
#undef CASE
        }
        rows -= R, a += R * a_row, y += R * y_row;
        if (addend) addend += R * y_row;
    }
}

INLINE void matmul_inline(int rows, int columns, const real *a, ptrdiff_t a_row, ptrdiff_t a_k, const real *b,
                          ptrdiff_t b_k, int K, real init, const real *addend, real *y, ptrdiff_t y_row) {
    int c = 0;
#define ADDEND (addend ? addend + c : NULL)
    if (REGISTERS == 32)
        for (; c + 4 * LANES <= columns; c += 4 * LANES)
            panel(4, 6, rows, a, a_row, a_k, b + c, b_k, K, init, ADDEND, y + c, y_row);
    for (; c + 2 * LANES <= columns; c += 2 * LANES)
        panel(2, REGISTERS == 32 ? 8 : 6, rows, a, a_row, a_k, b + c, b_k, K, init, ADDEND, y + c, y_row);
    if (c < columns) panel(1, 8, rows, a, a_row, a_k, b + c, b_k, K, init, ADDEND, y + c, y_row);
#undef ADDEND
}

#if !EXACT
/* y = a b + addend for one row, with eight independent accumulators: the latency of a single chain of sums would
double the time. */
INLINE void matvec(int columns, const real *a, const real *b, ptrdiff_t b_k, int K, const real *addend, real *y) {
    for (int c = 0; c < columns; c += LANES) {
        vec sum[8];
        int k = 0;
        UNROLL for (int i = 0; i < 8; i++) sum[i] = broadcast(0);
        for (; k + 8 <= K; k += 8) {
            UNROLL for (int i = 0; i < 8; i++) sum[i] += a[k + i] * load(b + (k + i) * b_k + c);
        }
        for (; k < K; k++) sum[0] += a[k] * load(b + k * b_k + c);
        vec total = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
        if (addend) total = total + load(addend + c);
        store(y + c, total);
    }
}
#endif

NOINLINE void matmul_generic(int rows, int columns, const real *a, ptrdiff_t a_row, ptrdiff_t a_k, const real *b,
                             ptrdiff_t b_k, int K, real init, const real *addend, real *y, ptrdiff_t y_row) {
    matmul_inline(rows, columns, a, a_row, a_k, b, b_k, K, init, addend, y, y_row);
}

#ifdef __wasm__
#define SPECIALIZE 0 /* a browser would spend too much time compiling the copies */
#else
#define SPECIALIZE 1
#endif

/* y = init + a b + addend: inlined if the sizes are small compile-time constants, otherwise a shared copy. */
INLINE void matmul(int rows, int columns, const real *a, ptrdiff_t a_row, ptrdiff_t a_k, const real *b, ptrdiff_t b_k,
                   int K, real init, const real *addend, real *y, ptrdiff_t y_row) {
    if (SPECIALIZE && __builtin_constant_p(columns) && columns <= 64 && !(columns == 64 && K >= 64))
        matmul_inline(rows, columns, a, a_row, a_k, b, b_k, K, init, addend, y, y_row);
    else
        matmul_generic(rows, columns, a, a_row, a_k, b, b_k, K, init, addend, y, y_row);
}

/* y = x w^T + addend: each output is its own sum over ascending inputs. columns: outputs, padded. one_row is a
compile-time constant instead of `rows == 1`, so that a row's result never depends on the number of rows. */
INLINE void linear_forward(const int one_row, int rows, int inputs, int columns, const real *x, int x_stride,
                           const real *w_transposed, int transposed_stride, const real *addend, real *y, int y_row) {
#if !EXACT
    if (one_row) {
        matvec(columns, x, w_transposed, transposed_stride, inputs, addend, y);
        return;
    }
#endif
    (void)one_row;
    matmul(rows, columns, x, x_stride, 1, w_transposed, transposed_stride, inputs, -0.0, addend, y, y_row);
}

/* dx = dy w, summed over the rows of w in descending order. */
INLINE void linear_backward_input(int rows, int outputs, int columns, const real *dy, int dy_stride, const real *w,
                                  int stride, real *dx, int dx_stride) {
    matmul(rows, columns, dy + outputs - 1, dy_stride, -1, w + (ptrdiff_t)(outputs - 1) * stride, -stride, outputs, 0.0,
           NULL, dx, dx_stride);
}

#if EXACT
/* dw = dy^T x for `outputs` rows of w, summed over positions in descending order. */
INLINE void linear_backward_weights(int rows, int outputs, int columns, const real *dy, int dy_stride, const real *x,
                                    int x_stride, real *dw, int stride) {
    matmul(outputs, columns, dy + (ptrdiff_t)(rows - 1) * dy_stride, 1, -dy_stride,
           x + (ptrdiff_t)(rows - 1) * x_stride, -x_stride, rows, 0.0, NULL, dw, stride);
}
#endif
