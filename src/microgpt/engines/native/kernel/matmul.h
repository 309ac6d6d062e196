/* Matrix products: one register-tiled loop behind the three products of a linear layer. */

#pragma once
#include "simd.h"

/* y[r][c] = start + sum over k of a[r][k] b[k][c], k from 0, for R rows and N vectors of columns, all in registers; then
+ plus[r][c], unless plus is NULL. a, ar, ak: where a[r][k] is (in numbers); bk: from one row of b to the next. All three
linear operations are this one. */
INLINE void tile(const int R, const int N, const real *a, ptrdiff_t ar, ptrdiff_t ak, const real *b, ptrdiff_t bk, int K,
                 real start, const real *plus, real *y, ptrdiff_t yr) {
    vec sum[8][4];
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int c = 0; c < N; c++) sum[r][c] = all(start);
    }
    UNROLL4 for (int k = 0; k < K; k++) {
        vec row[4];
        UNROLL for (int c = 0; c < N; c++) {
            row[c] = load(b + k * bk + c * LANES);
            if (N == 4) __builtin_prefetch(b + k * bk + (c + N) * LANES, 0, 2); /* the columns that come next */
        }
        UNROLL for (int r = 0; r < R; r++) {
            vec x = all(a[r * ar + k * ak]);
            UNROLL for (int c = 0; c < N; c++) sum[r][c] += x * row[c];
        }
    }
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int c = 0; c < N; c++) {
            if (plus) sum[r][c] = sum[r][c] + load(plus + r * yr + c * LANES);
            store(y + r * yr + c * LANES, sum[r][c]);
        }
    }
}

/* The rows in blocks of at most `most` and as equal as can be. */
INLINE void tiles(const int N, const int most, int rows, const real *a, ptrdiff_t ar, ptrdiff_t ak, const real *b,
                  ptrdiff_t bk, int K, real start, const real *plus, real *y, ptrdiff_t yr) {
    for (int blocks = (rows + most - 1) / most; blocks > 0; blocks--) {
        int R = (rows + blocks - 1) / blocks;
        switch (R) {
#define CASE(n)                                                                                                        \
    case n:                                                                                                            \
        if (n <= most) tile(n, N, a, ar, ak, b, bk, K, start, plus, y, yr);                                            \
        break;
            CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
#undef CASE
        }
        rows -= R, a += R * ar, y += R * yr;
        if (plus) plus += R * yr;
    }
}

INLINE void multiply_inline(int rows, int columns, const real *a, ptrdiff_t ar, ptrdiff_t ak, const real *b, ptrdiff_t bk,
                            int K, real start, const real *plus, real *y, ptrdiff_t yr) {
    int c = 0;
#define PLUS (plus ? plus + c : NULL)
    if (REGISTERS == 32)
        for (; c + 4 * LANES <= columns; c += 4 * LANES) tiles(4, 6, rows, a, ar, ak, b + c, bk, K, start, PLUS, y + c, yr);
    for (; c + 2 * LANES <= columns; c += 2 * LANES)
        tiles(2, REGISTERS == 32 ? 8 : 6, rows, a, ar, ak, b + c, bk, K, start, PLUS, y + c, yr);
    if (c < columns) tiles(1, 8, rows, a, ar, ak, b + c, bk, K, start, PLUS, y + c, yr);
#undef PLUS
}

#if !EXACT
/* One row, as eight sums which need not wait for each other: half the time, where there is nothing else to do meanwhile. */
INLINE void multiply_row(int columns, const real *a, const real *b, ptrdiff_t bk, int K, const real *plus, real *y) {
    for (int c = 0; c < columns; c += LANES) {
        vec sum[8];
        int k = 0;
        UNROLL for (int i = 0; i < 8; i++) sum[i] = all(0);
        for (; k + 8 <= K; k += 8) {
            UNROLL for (int i = 0; i < 8; i++) sum[i] += a[k + i] * load(b + (k + i) * bk + c);
        }
        for (; k < K; k++) sum[0] += a[k] * load(b + k * bk + c);
        vec total = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
        if (plus) total = total + load(plus + c);
        store(y + c, total);
    }
}
#endif

NOINLINE void multiply_any(int rows, int columns, const real *a, ptrdiff_t ar, ptrdiff_t ak, const real *b, ptrdiff_t bk,
                           int K, real start, const real *plus, real *y, ptrdiff_t yr) {
    multiply_inline(rows, columns, a, ar, ak, b, bk, K, start, plus, y, yr);
}

#ifdef __wasm__
#define OWN_CODE 0 /* which a browser would have to compile again while it runs */
#else
#define OWN_CODE 1
#endif

/* Code of its own where the sizes are known when compiling and small, else the common one. */
INLINE void multiply(int rows, int columns, const real *a, ptrdiff_t ar, ptrdiff_t ak, const real *b, ptrdiff_t bk, int K,
                     real start, const real *plus, real *y, ptrdiff_t yr) {
    if (OWN_CODE && __builtin_constant_p(columns) && columns <= 64 && !(columns == 64 && K >= 64))
        multiply_inline(rows, columns, a, ar, ak, b, bk, K, start, plus, y, yr);
    else
        multiply_any(rows, columns, a, ar, ak, b, bk, K, start, plus, y, yr);
}

/* y = x w^T + plus, if there is one: each output is its own sum over the inputs, ascending. columns: the outputs, padded.
one_row: there is but one (as a constant: else a row's numbers would depend on how many there are). */
INLINE void linear_forward(const int one_row, int rows, int inputs, int columns, const real *x, int xr, const real *w_turned,
                           int turned_stride, const real *plus, real *y, int yr) {
#if !EXACT
    if (one_row) {
        multiply_row(columns, x, w_turned, turned_stride, inputs, plus, y);
        return;
    }
#endif
    (void)one_row;
    multiply(rows, columns, x, xr, 1, w_turned, turned_stride, inputs, -0.0, plus, y, yr);
}

/* dx = dy w: each input collects from the rows of w, descending. */
INLINE void linear_backward_input(int rows, int outputs, int columns, const real *dy, int dyr, const real *w, int stride,
                                  real *dx, int dxr) {
    multiply(rows, columns, dy + outputs - 1, dyr, -1, w + (ptrdiff_t)(outputs - 1) * stride, -stride, outputs, 0.0,
             NULL, dx, dxr);
}

#if EXACT
/* dw = dy^T x for `outputs` rows of w: each weight collects from the positions, descending. */
INLINE void linear_backward_weights(int rows, int outputs, int columns, const real *dy, int dyr, const real *x, int xr,
                                    real *dw, int stride) {
    multiply(outputs, columns, dy + (ptrdiff_t)(rows - 1) * dyr, 1, -dyr, x + (ptrdiff_t)(rows - 1) * xr, -xr, rows, 0.0,
             NULL, dw, stride);
}
#endif
