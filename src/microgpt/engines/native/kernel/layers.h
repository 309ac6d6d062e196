/* The layers apart from attention, forward and backward: embedding, rmsnorm, activation, cross-entropy. */

#pragma once
#include "exact.h"
#include "fast.h"
#include "layout.h"
#include "matmul.h"

INLINE void add(int rows, int columns, const real *a, const real *b, real *sum) {
    for (int i = 0; i < rows * columns; i += LANES) store(sum + i, load(a + i) + load(b + i));
}

INLINE void embedding_forward(Dims d, const real *wte, const real *wpe, const Work *work, int from, int to) {
    for (int r = from; r < to; r++)
        for (int c = 0; c < d.Cp; c += LANES)
            store(work->x_embd + (ptrdiff_t)r * d.Cp + c,
                  load(wte + (ptrdiff_t)work->token[r] * d.Cp + c) + load(wpe + (ptrdiff_t)work->position[r] * d.Cp + c));
}

#if !EXACT
/* For PIECE rows: lane j of each piece has the product of a's row j with b's. */
INLINE vec row_products(Dims d, const real *a, const real *b, int n) {
    vec sum[PIECE];
    UNROLL for (int j = 0; j < PIECE; j++) {
        const ptrdiff_t row = (ptrdiff_t)row_of(j, n) * d.Cp;
        sum[j] = load(a + row) * load(b + row);
        for (int c = LANES; c < d.Cp; c += LANES) sum[j] += load(a + row + c) * load(b + row + c);
    }
    vec products = sums_of_pieces(sum);
    UNROLL for (int k = PIECE; k < LANES; k *= 2) products += exchanged(products, k);
    return products;
}
#endif

/* y = x * scale, scale = (mean(x**2) + 1e-5)**-0.5. Keeps scale and slope for backward: d scale / d mean is
-0.5 (mean + 1e-5)**-1.5; float32 keeps scale**3 / C instead, which is -2 slope / C. */
INLINE void rmsnorm_forward(int rows, Dims d, double inverse_C, const real *x, real *y, real *scale, real *slope) {
#if EXACT
    for (int r = 0; r < rows; r++, x += d.Cp, y += d.Cp) {
        double sum = x[0] * x[0];
        for (int c = 1; c < d.C; c++) sum += x[c] * x[c];
        double mean = sum * inverse_C + 1e-5;
        scale[r] = libm_pow(mean, -0.5);
        slope[r] = -0.5 * libm_pow(mean, -1.5);
        for (int c = 0; c < d.Cp; c += LANES) store(y + c, load(x + c) * scale[r]);
    }
#else
    for (int r = 0; r < rows; r += PIECE) {
        const int n = rows - r;
        const vec scales = inverse_root(row_products(d, x, x, n) * (real)inverse_C + (real)1e-5);
        const vec slopes = scales * scales * scales * (real)inverse_C;
        UNROLL for (int j = 0; j < PIECE; j++, x += d.Cp, y += d.Cp) {
            if (j >= n) break;
            scale[r + j] = scales[j], slope[r + j] = slopes[j];
            for (int c = 0; c < d.Cp; c += LANES) store(y + c, load(x + c) * spread(scales, j));
        }
    }
#endif
}

/* dx = before + scale dy + the share that came through scale. before: what reached x by the residual, or NULL. */
INLINE void rmsnorm_backward(int rows, Dims d, double inverse_C, const real *dy, const real *x, const real *scale,
                             const real *slope, const real *before, real *dx) {
#if EXACT
    for (int r = 0; r < rows; r++, x += d.Cp, dy += d.Cp, dx += d.Cp) {
        double dscale = 0;
        for (int c = d.C - 1; c >= 0; c--) dscale += x[c] * dy[c];
        double dsquare = inverse_C * (slope[r] * dscale);
        for (int c = 0; c < d.Cp; c += LANES) {
            vec share = load(x + c) * dsquare;
            vec through = load(dy + c) * scale[r];
            store(dx + c, (((before ? load(before + r * d.Cp + c) : all(0)) + through) + share) + share);
        }
    }
#else
    (void)inverse_C;
    for (int r = 0; r < rows; r += PIECE) {
        const int n = rows - r;
        const vec products = row_products(d, dy, x, n);
        UNROLL for (int j = 0; j < PIECE; j++, x += d.Cp, dy += d.Cp, dx += d.Cp) {
            if (j >= n) break;
            const vec shares = spread(products, j) * -slope[r + j]; /* twice the share is this times x */
            for (int c = 0; c < d.Cp; c += LANES) {
                const vec residual = before ? load(before + (r + j) * d.Cp + c) : all(0);
                store(dx + c, fused(load(x + c), shares, fused(load(dy + c), all(scale[r + j]), residual)));
            }
        }
    }
#endif
}

INLINE void activation_forward(int rows, Dims d, real *relu, real *h) {
    for (int i = 0; i < rows * d.Fp; i += LANES) {
        vec x = load(h + i);
        x = larger(x, all(0));
        store(relu + i, x);
        if (!d.relu2) continue; /* relu and h are the same rows */
#if EXACT
        for (int j = 0; j < LANES; j++) h[i + j] = pow_2(x[j]);
#else
        store(h + i, x * x);
#endif
    }
}

INLINE void activation_backward(int rows, Dims d, const real *relu, real *dh) {
    for (int i = 0; i < rows * d.Fp; i += LANES) {
        vec x = load(relu + i), dx = load(dh + i);
        if (d.relu2) dx = (2 * x) * dx;
        store(dh + i, where_positive(x, dx));
    }
}

/* Each row's surprise -log p(target), and dlogits. */
INLINE void cross_entropy(Dims d, const Work *work, int from, int to) {
    for (int r = from; r < to; r++) {
        real *z = work->logits + (ptrdiff_t)r * d.Vp, *dz = work->dlogits + (ptrdiff_t)r * d.Vp;
        const int target = work->target[r];
#if EXACT
        double largest = z[0], total = -0.0;
        for (int j = 1; j < d.V; j++)
            if (z[j] > largest) largest = z[j];
        for (int j = 0; j < d.V; j++) total += z[j] = libm_exp(z[j] + -largest);
        double inverse = pow_minus_1(total), p = z[target] * inverse;
        work->surprise[r] = log(p) * -1.0;
        double dp = (1 / p) * (-1.0 * work->dloss[r]);
        double dtotal = (-1.0 * pow_minus_2(total)) * (z[target] * dp);
        for (int j = 0; j < d.V; j++) dz[j] = z[j] * dtotal;
        dz[target] = z[target] * (inverse * dp + dtotal);
#else
        const int last = d.Vp - LANES; /* where the last vector starts, which is padded */
        const vec ending = first_lanes(load(z + last), d.V - last, -1e30f);
        vec most = ending;
        for (int j = 0; j < last; j += LANES) most = larger(load(z + j), most);
        most = group_largest(most);
        vec sums = first_lanes(vector_exp(ending - most), d.V - last, 0);
        store(dz + last, sums);
        for (int j = 0; j < last; j += LANES) {
            const vec e = vector_exp(load(z + j) - most);
            store(dz + j, e);
            sums += e;
        }
        sums = group_sum(sums, LANES);
        work->surprise[r] = most[0] - z[target]; /* and the logarithm of: */
        work->total[r] = sums[0];
        const vec share = work->dloss[r] / sums;
        for (int j = 0; j < d.Vp; j += LANES) store(dz + j, load(dz + j) * share);
#endif
    }
#if !EXACT
    for (int r = from; r < to; r++) work->dlogits[(ptrdiff_t)r * d.Vp + work->target[r]] -= work->dloss[r];
#endif
}

/* From dlogits to dx_out; the target's row of lm_head comes last. */
INLINE void lm_head_backward_input(Dims d, const Work *work, const real *lm_head, int from, int to, real *dx) {
#if EXACT
    for (int r = from; r < to; r++) { /* set aside: work->dy is not in use yet */
        work->dy[(ptrdiff_t)r * d.Cp] = work->dlogits[(ptrdiff_t)r * d.Vp + work->target[r]];
        work->dlogits[(ptrdiff_t)r * d.Vp + work->target[r]] = 0;
    }
#endif
    linear_backward_input(to - from, d.V, d.Cp, work->dlogits + (ptrdiff_t)from * d.Vp, d.Vp, lm_head, d.Cp,
                          dx + (ptrdiff_t)from * d.Cp, d.Cp);
#if EXACT
    for (int r = from; r < to; r++) {
        real *dz = work->dlogits + (ptrdiff_t)r * d.Vp + work->target[r];
        const real *row = lm_head + (ptrdiff_t)work->target[r] * d.Cp;
        *dz = work->dy[(ptrdiff_t)r * d.Cp];
        for (int c = 0; c < d.Cp; c += LANES)
            store(dx + (ptrdiff_t)r * d.Cp + c, load(dx + (ptrdiff_t)r * d.Cp + c) + *dz * load(row + c));
    }
#endif
}
