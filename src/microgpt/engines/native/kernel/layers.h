/* Embedding, rmsnorm, cross-entropy and the input gradient of lm_head.

Together, these are all the layers except attention. */

#pragma once
#include "exact.h"
#include "fast.h"
#include "layout.h"
#include "matmul.h"

INLINE void add(int rows, int columns, const real *a, const real *b, real *sum) {
    for (int i = 0; i < rows * columns; i += LANES) store(sum + i, load(a + i) + load(b + i));
}

INLINE void embedding_forward(Dims d, const real *wte, const real *wpe, const Workspace *work, int from, int to) {
    for (int r = from; r < to; r++)
        for (int c = 0; c < d.Cp; c += LANES)
            store(work->x_embd + (ptrdiff_t)r * d.Cp + c, load(wte + (ptrdiff_t)work->token[r] * d.Cp + c) +
                                                              load(wpe + (ptrdiff_t)work->position[r] * d.Cp + c));
}

#if !EXACT
/* Return the dot products of BLOCK rows of a with the same rows of b; row j's product is in lane j of each block. */
INLINE vec rowwise_dot(Dims d, const real *a, const real *b, int n) {
    vec sum[BLOCK];
    UNROLL for (int j = 0; j < BLOCK; j++) {
        const ptrdiff_t row = (ptrdiff_t)clamp_row(j, n) * d.Cp;
        sum[j] = load(a + row) * load(b + row);
        for (int c = LANES; c < d.Cp; c += LANES) sum[j] += load(a + row + c) * load(b + row + c);
    }
    vec products = block_sums(sum);
    UNROLL for (int k = BLOCK; k < LANES; k *= 2) products += shuffle_xor(products, k);
    return products;
}
#endif

/* y = x * scale with scale = (mean(x**2) + 1e-5)**-0.5. Saves scale and slope for backward. exact: slope = d scale /
d mean = -0.5 (mean + 1e-5)**-1.5; float32: slope = scale**3 / C, -2 / C times the exact slope. */
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
    for (int r = 0; r < rows; r += BLOCK) {
        const int n = rows - r;
        const vec scales = vector_rsqrt(rowwise_dot(d, x, x, n) * (real)inverse_C + (real)1e-5);
        const vec slopes = scales * scales * scales * (real)inverse_C;
        UNROLL for (int j = 0; j < BLOCK; j++, x += d.Cp, y += d.Cp) {
            if (j >= n) break;
            scale[r + j] = scales[j], slope[r + j] = slopes[j];
            for (int c = 0; c < d.Cp; c += LANES) store(y + c, load(x + c) * broadcast_in_block(scales, j));
        }
    }
#endif
}

/* dx = dresidual + scale dy + the gradient through scale. dresidual: x's gradient through the residual connection, or
NULL. */
INLINE void rmsnorm_backward(int rows, Dims d, double inverse_C, const real *dy, const real *x, const real *scale,
                             const real *slope, const real *dresidual, real *dx) {
#if EXACT
    for (int r = 0; r < rows; r++, x += d.Cp, dy += d.Cp, dx += d.Cp) {
        double dscale = 0;
        for (int c = d.C - 1; c >= 0; c--) dscale += x[c] * dy[c];
        double dsquare = inverse_C * (slope[r] * dscale);
        for (int c = 0; c < d.Cp; c += LANES) {
            vec through_square = load(x + c) * dsquare; /* added twice: x**2 = x * x */
            vec direct = load(dy + c) * scale[r];
            store(dx + c, (((dresidual ? load(dresidual + r * d.Cp + c) : broadcast(0)) + direct) + through_square) +
                              through_square);
        }
    }
#else
    (void)inverse_C;
    for (int r = 0; r < rows; r += BLOCK) {
        const int n = rows - r;
        const vec products = rowwise_dot(d, dy, x, n);
        UNROLL for (int j = 0; j < BLOCK; j++, x += d.Cp, dy += d.Cp, dx += d.Cp) {
            if (j >= n) break;
            const vec dsquare2 = broadcast_in_block(products, j) * -slope[r + j];
            for (int c = 0; c < d.Cp; c += LANES) {
                const vec skip = dresidual ? load(dresidual + (r + j) * d.Cp + c) : broadcast(0);
                store(dx + c, multiply_add(load(x + c), dsquare2,
                                           multiply_add(load(dy + c), broadcast(scale[r + j]), skip)));
            }
        }
    }
#endif
}

#if EXACT
/* The partial sums of n numbers between 0 and 1 share no bit, and have at most 1106 bits: from 2**-1074 to n < 2**31. */
enum { MAX_PARTIALS = 1106 };

/* Return the exact sum of n numbers between 0 and 1, rounded once, as Python's math.fsum does (Shewchuk 1997, grow
expansion); nan if one is nan. */
static double rounded_sum(int n, const double *x) {
    /* First with two doubles, where `rest` collects the roundoffs. They add up to at most n * 2**-53 * sum, and each of n
    additions to `rest` is rounded, so its error is below n**2 * 2**-106 * sum; `error` is four times that. */
    double sum = 0, rest = 0;
    for (int j = 0; j < n; j++) {
        const double larger = sum + x[j], added = larger - sum;
        rest += (sum - (larger - added)) + (x[j] - added);
        sum = larger;
    }
    const double error = (double)n * n * 0x1p-104 * sum;
    if (sum + (rest - error) == sum + (rest + error)) return sum + rest;

    /* Otherwise the exact sum is almost halfway between two floats. */
    double partials[MAX_PARTIALS]; /* in increasing order; their sum is exact */
    int count = 0;
    for (int j = 0; j < n; j++) {
        double high = x[j];
        if (!(high >= 0)) return NAN;
        int kept = 0;
        for (int i = 0; i < count; i++) {
            const double larger = high + partials[i], added = larger - high;
            const double low = (high - (larger - added)) + (partials[i] - added);
            if (low != 0) partials[kept++] = low;
            high = larger;
        }
        partials[kept] = high, count = kept + 1;
    }
    double high = partials[--count], low = 0;
    while (count > 0 && low == 0) {
        const double larger = high + partials[--count];
        low = partials[count] - (larger - high), high = larger;
    }
    /* a tie is rounded to even; the partials below it decide on which side the true sum lies */
    if (count > 0 && ((low < 0 && partials[count - 1] < 0) || (low > 0 && partials[count - 1] > 0))) {
        const double twice = low * 2, away = high + twice;
        if (twice == away - high) high = away;
    }
    return high;
}

/* Return -log p(target) for a row of logits, bit for bit as Engine.losses in base.py does. Overwrites the logits. */
INLINE double row_loss(Dims d, double *z, int target) {
    double max = z[0];
    const double logit = z[target];
    for (int j = 1; j < d.V; j++)
        if (z[j] > max) max = z[j];
    for (int j = 0; j < d.V; j++) z[j] = libm_exp(z[j] - max);
    return max + log(rounded_sum(d.V, z)) - logit;
}
#else
/* Write exp(z - max) for a row of logits to e, which may be z, and their sum to every lane of `sums`. Returns max -
z[target], which is -log p(target) without log(sums), see sum_nll. */
INLINE real row_exps(Dims d, const real *z, int target, real *e, vec *sums) {
    const int last = d.Vp - LANES; /* the start of the last vector, which may end in padding */
    const real logit = z[target];
    const vec tail = blend_tail(load(z + last), d.V - last, -INFINITY);
    vec max = tail;
    for (int j = 0; j < last; j += LANES) max = vector_max(load(z + j), max);
    max = horizontal_max(max);
    vec sum = blend_tail(vector_exp(tail - max), d.V - last, 0);
    store(e + last, sum);
    for (int j = 0; j < last; j += LANES) {
        const vec x = vector_exp(load(z + j) - max);
        store(e + j, x);
        sum += x;
    }
    *sums = horizontal_sum(sum, LANES);
    return max[0] - logit;
}
#endif

/* Compute nll, which is -log p(target), and dlogits for each row. */
INLINE void cross_entropy(Dims d, const Workspace *work, int from, int to) {
    for (int r = from; r < to; r++) {
        real *z = work->logits + (ptrdiff_t)r * d.Vp, *dz = work->dlogits + (ptrdiff_t)r * d.Vp;
        const int target = work->target[r];
#if EXACT
        double max = z[0], total = -0.0;
        for (int j = 1; j < d.V; j++)
            if (z[j] > max) max = z[j];
        for (int j = 0; j < d.V; j++) total += z[j] = libm_exp(z[j] + -max);
        double inverse = pow_minus_1(total), p = z[target] * inverse;
        work->nll[r] = log(p) * -1.0;
        double dp = (1 / p) * (-1.0 * work->dloss[r]);
        double dtotal = (-1.0 * pow_minus_2(total)) * (z[target] * dp);
        for (int j = 0; j < d.V; j++) dz[j] = z[j] * dtotal;
        dz[target] = z[target] * (inverse * dp + dtotal);
#else
        vec sums;
        work->nll[r] = row_exps(d, z, target, dz, &sums);
        work->exp_sum[r] = sums[0];
        const vec dnll = work->dloss[r] / sums;
        for (int j = 0; j < d.Vp; j += LANES) store(dz + j, load(dz + j) * dnll);
#endif
    }
#if !EXACT
    for (int r = from; r < to; r++) work->dlogits[(ptrdiff_t)r * d.Vp + work->target[r]] -= work->dloss[r];
#endif
}

/* dx = dlogits lm_head. exact adds the target's row last, as the reference does. */
INLINE void lm_head_backward_input(Dims d, const Workspace *work, const real *lm_head, int from, int to, real *dx) {
#if EXACT
    for (int r = from; r < to; r++) { /* save the target's entry in dy, which is not in use yet */
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
