/* Causal self-attention, forward and backward. */

#pragma once
#include "exact.h"
#include "fast.h"
#include "layout.h"
#include "matmul.h"
#include <string.h>

/* One query against the keys of positions first..row: weights[u] for each of these n positions, and their mixture of the
values. The head's numbers are D long and start at q, keys, values; the next position's are `stride` further. */
INLINE void head_forward(Dims d, real factor, int n, const real *q, const real *keys, const real *values, ptrdiff_t stride,
                         real *weights, real *exps, real *scale, real *slope, real *mixture) {
    real *logits = weights;
    for (int u = 0; u < n; u++) {
        real sum = q[0] * keys[u * stride];
        for (int j = 1; j < d.D; j++) sum += q[j] * keys[u * stride + j];
        logits[u] = sum * factor;
    }
    real largest = logits[0];
    for (int u = 1; u < n; u++)
        if (logits[u] > largest) largest = logits[u];
#if EXACT
    double total = -0.0;
    for (int u = 0; u < n; u++) total += exps[u] = libm_exp(logits[u] + -largest);
    *scale = pow_minus_1(total);
    *slope = -1.0 * pow_minus_2(total);
    for (int u = 0; u < n; u++) weights[u] = exps[u] * *scale;
#else
    (void)exps, (void)scale, (void)slope;
    for (int u = n; u < padded(n); u++) logits[u] = -1e30f;
    vec sums = all(0);
    for (int u = 0; u < n; u += LANES) {
        vec e = vector_exp(load(logits + u) - largest);
        store(weights + u, e);
        sums += e;
    }
    real total = group_sum(sums, LANES)[0]; /* the padding adds less than 1e-37 to at least 1 */
    for (int u = 0; u < n; u += LANES) store(weights + u, load(weights + u) / total);
#endif
    for (int j = 0; j < d.D; j++) mixture[j] = weights[0] * values[j];
    for (int u = 1; u < n; u++)
        for (int j = 0; j < d.D; j++) mixture[j] += weights[u] * values[u * stride + j];
}

/* From dmixture to dq (written), dkeys and dvalues (added to). dweights: room for n numbers. */
INLINE void head_backward(Dims d, real factor, int n, const real *q, const real *keys, const real *values, ptrdiff_t stride,
                          const real *weights, const real *exps, real scale, real slope, const real *dmixture,
                          real *dweights, real *dq, real *dkeys, real *dvalues) {
    real dtotal = 0;
    for (int u = n - 1; u >= 0; u--) {
        real dweight = 0;
        for (int j = d.D - 1; j >= 0; j--) dweight += values[u * stride + j] * dmixture[j];
        for (int j = 0; j < d.D; j++) dvalues[u * stride + j] += weights[u] * dmixture[j];
        dweights[u] = dweight;
#if EXACT /* weight = exp * total**-1, and every weight has made its own total**-1 */
        dtotal += slope * (exps[u] * dweight);
#else
        dtotal += weights[u] * dweight;
#endif
    }
    for (int j = 0; j < d.D; j++) dq[j] = 0;
    for (int u = n - 1; u >= 0; u--) {
#if EXACT
        real dlogit = factor * (exps[u] * (scale * dweights[u] + dtotal));
#else
        real dlogit = factor * (weights[u] * (dweights[u] - dtotal));
        (void)exps, (void)scale, (void)slope;
#endif
        for (int j = 0; j < d.D; j++) dq[j] += keys[u * stride + j] * dlogit;
        for (int j = 0; j < d.D; j++) dkeys[u * stride + j] += q[j] * dlogit;
    }
}

#if EXACT
INLINE int heads_in_lanes(Dims d) { return (void)d, 0; }
#else
/* Where heads fill whole vectors, or divide them evenly, float32 computes with all lanes at once, PIECE positions at a time:
of position u + j the weight stands in every lane of the head that is j modulo PIECE. A group is the vectors that share
one vector of weights: one vector of several small heads, or all vectors of one large head. */
enum { MOST_VECTORS = 16 };

INLINE int heads_in_lanes(Dims d) {
    return !(d.D & (d.D - 1)) && d.D >= PIECE && d.C % LANES == 0 && d.D <= MOST_VECTORS * LANES;
}

/* x . row in each head, for PIECE rows. */
INLINE vec products_of_rows(const vec *x, const real *rows, ptrdiff_t stride, int n, const int vectors, const int width) {
    vec products[PIECE];
    UNROLL for (int j = 0; j < PIECE; j++) {
        const real *row = rows + row_of(j, n) * stride;
        products[j] = x[0] * load(row);
        for (int i = 1; i < vectors; i++) products[j] += x[i] * load(row + i * LANES);
    }
    vec sum = sums_of_pieces(products);
    UNROLL for (int k = PIECE; k < width; k *= 2) sum += exchanged(sum, k);
    return sum;
}

/* sum += what lane j of each piece of `weights` makes of row j, for PIECE rows. */
INLINE void add_rows(vec *sum, vec weights, const real *rows, ptrdiff_t stride, int n, const int vectors) {
    UNROLL for (int j = 0; j < PIECE; j++) {
        const real *row = rows + row_of(j, n) * stride;
        for (int i = 0; i < vectors; i++) sum[i] += spread(weights, j) * load(row + i * LANES);
    }
}

/* A row against n positions; keys and values as in head_forward, but for all heads. weights: (n / PIECE, groups,
LANES), which are kept for backward, else only used. */
INLINE void lanes_forward(Dims d, real factor, int n, const real *q, const real *keys, ptrdiff_t stride, int keep,
                          real *weights, real *mixture) {
    const int width = d.D < LANES ? d.D : LANES, vectors = d.D / width, groups = d.C / (vectors * LANES);
    const ivec lane = lane_numbers() & (PIECE - 1);
    for (int g = 0; g < groups; g++) {
        const real *values = keys + d.Cp;
        real *mine = weights + g * LANES;
        vec query[MOST_VECTORS], sum[MOST_VECTORS], largest = all(-1e30f), total = all(0);
        for (int i = 0; i < vectors; i++) query[i] = load(q + i * LANES) * factor, sum[i] = all(0);
        for (int u = 0; u < n; u += PIECE) {
            const real *rows = keys + u * stride;
            const vec logits = n - u >= PIECE ? products_of_rows(query, rows, stride, PIECE, vectors, width)
                                              : products_of_rows(query, rows, stride, n - u, vectors, width);
            store(mine + u / PIECE * groups * LANES, logits);
            largest = larger(logits, largest);
        }
        UNROLL for (int k = 1; k < PIECE; k *= 2) largest = larger(largest, exchanged(largest, k));
        for (int u = 0; u < n; u += PIECE) {
            real *here = mine + u / PIECE * groups * LANES;
            const vec e = (vec)((ivec)vector_exp(load(here) - largest) & (lane < n - u));
            if (keep) store(here, e);
            total += e;
            if (n - u >= PIECE)
                add_rows(sum, e, values + u * stride, stride, PIECE, vectors);
            else
                add_rows(sum, e, values + u * stride, stride, n - u, vectors);
        }
        const vec inverse = 1.0f / group_sum(total, PIECE);
        for (int u = 0; keep && u < n; u += PIECE) {
            real *here = mine + u / PIECE * groups * LANES;
            store(here, load(here) * inverse);
        }
        for (int i = 0; i < vectors; i++) store(mixture + i * LANES, sum[i] * inverse);
        q += vectors * LANES, keys += vectors * LANES, mixture += vectors * LANES;
    }
}

/* dlogit = weight * (dweight - what the mean weight gained), and that mean is dmixture . mixture. */
INLINE void lanes_backward(Dims d, real factor, int n, const real *q, const real *keys, ptrdiff_t stride,
                           const real *weights, const real *mixture, const real *dmixture, real *dq, real *dkeys) {
    const int width = d.D < LANES ? d.D : LANES, vectors = d.D / width, groups = d.C / (vectors * LANES);
    for (int g = 0; g < groups; g++) {
        const real *values = keys + d.Cp;
        real *dvalues = dkeys + d.Cp;
        vec query[MOST_VECTORS], dquery[MOST_VECTORS], gain[MOST_VECTORS], mean = all(0);
        for (int i = 0; i < vectors; i++) {
            query[i] = load(q + i * LANES) * factor, dquery[i] = all(0);
            gain[i] = load(dmixture + i * LANES);
            mean += gain[i] * load(mixture + i * LANES);
        }
        mean = group_sum(mean, width);
        for (int u = 0; u < n; u += PIECE) {
            const vec these = load(weights + (u / PIECE * groups + g) * LANES);
            const vec dlogits = these * (products_of_rows(gain, values + u * stride, stride, n - u, vectors, width) - mean);
            UNROLL for (int j = 0; j < PIECE; j++) {
                if (u + j == n) break;
                const vec weight = spread(these, j), dlogit = spread(dlogits, j);
                for (int i = 0; i < vectors; i++) {
                    const ptrdiff_t at = (u + j) * stride + i * LANES;
                    store(dvalues + at, load(dvalues + at) + weight * gain[i]);
                    store(dkeys + at, load(dkeys + at) + dlogit * query[i]);
                    dquery[i] += dlogit * load(keys + at);
                }
            }
        }
        for (int i = 0; i < vectors; i++) store(dq + i * LANES, dquery[i] * factor);
        const int step = vectors * LANES;
        q += step, keys += step, mixture += step, dmixture += step, dq += step, dkeys += step;
    }
}
#endif

/* How many numbers a row's attention weights take. */
INLINE size_t attention_width(Dims d) {
    return heads_in_lanes(d) ? (size_t)(d.T + PIECE - 1) / PIECE * (d.D < LANES ? d.C : d.H * LANES) : (size_t)d.H * d.Tp;
}

/* All heads of rows from..to; a row looks at the rows first[row] .. row of its document. */
INLINE void attention_forward(Dims d, const Net *net, const Work *work, Layer *layer, int from, int to) {
    const ptrdiff_t stride = 3 * d.Cp;
    const real factor = (real)net->attn_factor;
    for (int r = from; r < to; r++) {
        const real *q = layer->qkv + r * stride * work->hop, *k = layer->qkv + work->first[r] * stride + d.Cp;
        real *weights = layer->attn_weights + r * attention_width(d), *exps = layer->attn_exps + r * attention_width(d);
        real *x_attn = layer->x_attn + (ptrdiff_t)r * d.Cp;
        const int n = work->position[r] + 1;
#if !EXACT
        if (heads_in_lanes(d)) {
            lanes_forward(d, factor, n, q, k, stride, work->hop == 1, weights, x_attn);
            continue;
        }
#endif
        for (int h = 0; h < d.H; h++)
            head_forward(d, factor, n, q + h * d.D, k + h * d.D, k + d.Cp + h * d.D, stride,
                         weights + h * d.Tp, exps + h * d.Tp, layer->attn_scale + (ptrdiff_t)r * d.H + h,
                         layer->attn_slope + (ptrdiff_t)r * d.H + h, x_attn + h * d.D);
    }
}

INLINE void attention_backward(Dims d, const Net *net, const Work *work, Layer *layer, int from, int to) {
    const ptrdiff_t stride = 3 * d.Cp;
    const real factor = (real)net->attn_factor;
    memset(layer->dqkv + from * stride, 0, sizeof(real) * (to - from) * stride);
    for (int r = to - 1; r >= from; r--) {
        const real *q = layer->qkv + r * stride, *k = layer->qkv + work->first[r] * stride + d.Cp;
        real *dq = layer->dqkv + r * stride, *dk = layer->dqkv + work->first[r] * stride + d.Cp;
        const real *weights = layer->attn_weights + r * attention_width(d), *exps = layer->attn_exps + r * attention_width(d);
        const real *dmixture = work->d_attn + (ptrdiff_t)r * d.Cp;
        const int n = work->position[r] + 1;
#if !EXACT
        if (heads_in_lanes(d)) {
            lanes_backward(d, factor, n, q, k, stride, weights, layer->x_attn + (ptrdiff_t)r * d.Cp, dmixture, dq, dk);
            continue;
        }
#endif
        for (int h = d.H - 1; h >= 0; h--)
            head_backward(d, factor, n, q + h * d.D, k + h * d.D, k + d.Cp + h * d.D, stride, weights + h * d.Tp,
                          exps + h * d.Tp, layer->attn_scale[(ptrdiff_t)r * d.H + h], layer->attn_slope[(ptrdiff_t)r * d.H + h],
                          dmixture + h * d.D, work->scores + (ptrdiff_t)r * d.Tp, dq + h * d.D, dk + h * d.D,
                          dk + d.Cp + h * d.D);
    }
}

/* From dqkv to the gradient of what attn_wq, attn_wk and attn_wv read. */
INLINE void qkv_backward_input(Dims d, const Net *net, const Layer *layer, const real *w, int from, int to, real *dx) {
    const int stride = 3 * d.Cp;
    const real *dqkv = layer->dqkv + (ptrdiff_t)from * stride;
#if EXACT
    for (int r = 0, rows = to - from; r < rows; r += 4) { /* the rows of one document */
        const int32_t *order = r ? net->order : net->first_order;
        for (int c = 0; c < d.Cp; c += LANES) { /* row 0 is walked in another order: it comes alone, before the fours */
            const int n = r ? (rows - r < 4 ? rows - r : 4) : 1;
            const real *dy[4];
            vec sum[4];
            UNROLL for (int i = 0; i < 4; i++) {
                dy[i] = dqkv + (ptrdiff_t)(r + (i < n ? i : 0)) * stride;
                sum[i] = all(0);
            }
            for (int k = 0; k < 3 * d.C; k++) {
                vec row = load(w + (ptrdiff_t)(order[k]) * d.Cp + c);
                UNROLL for (int i = 0; i < 4; i++) sum[i] += dy[i][order[k]] * row;
            }
            UNROLL for (int i = 0; i < 4; i++)
                if (i < n) store(dx + (ptrdiff_t)(r + i) * d.Cp + c, sum[i]);
        }
        if (r == 0) r = -3;
    }
#else
    (void)net;
    linear_backward_input(to - from, stride, d.Cp, dqkv, stride, w, d.Cp, dx, d.Cp);
#endif
}
