/* Causal multi-head attention, forward and backward. */

#pragma once
#include "exact.h"
#include "fast.h"
#include "layout.h"
#include "matmul.h"
#include <string.h>

/* Attention of one head, for one query over n positions: weights = softmax(factor * q . keys), out = weights . values.
A head has D elements at q, keys and values; consecutive positions are `stride` elements apart. */
INLINE void head_forward(Dims d, real factor, int n, const real *q, const real *keys, const real *values,
                         ptrdiff_t stride, real *weights, real *exps, real *scale, real *slope, real *out) {
    real *logits = weights;
    for (int u = 0; u < n; u++) {
        real sum = q[0] * keys[u * stride];
        for (int j = 1; j < d.D; j++) sum += q[j] * keys[u * stride + j];
        logits[u] = sum * factor;
    }
    real max = logits[0];
    for (int u = 1; u < n; u++)
        if (logits[u] > max) max = logits[u];
#if EXACT
    double total = -0.0;
    for (int u = 0; u < n; u++) total += exps[u] = libm_exp(logits[u] + -max);
    *scale = pow_minus_1(total);
    *slope = -1.0 * pow_minus_2(total);
    for (int u = 0; u < n; u++) weights[u] = exps[u] * *scale;
#else
    (void)exps, (void)scale, (void)slope;
    for (int u = n; u < padded(n); u++) logits[u] = -INFINITY;
    vec sums = broadcast(0);
    for (int u = 0; u < n; u += LANES) {
        vec e = vector_exp(load(logits + u) - max);
        store(weights + u, e);
        sums += e;
    }
    real total = horizontal_sum(sums, LANES)[0]; /* the padding adds less than 1e-37 to a sum of at least 1 */
    for (int u = 0; u < n; u += LANES) store(weights + u, load(weights + u) / total);
#endif
    for (int j = 0; j < d.D; j++) out[j] = weights[0] * values[j];
    for (int u = 1; u < n; u++)
        for (int j = 0; j < d.D; j++) out[j] += weights[u] * values[u * stride + j];
}

/* Given dout, write dq, and add to dkeys and dvalues. dweights: scratch space for n elements. */
INLINE void head_backward(Dims d, real factor, int n, const real *q, const real *keys, const real *values,
                          ptrdiff_t stride, const real *weights, const real *exps, real scale, real slope,
                          const real *dout, real *dweights, real *dq, real *dkeys, real *dvalues) {
    real dtotal = 0;
    for (int u = n - 1; u >= 0; u--) {
        real dweight = 0;
        for (int j = d.D - 1; j >= 0; j--) dweight += values[u * stride + j] * dout[j];
        for (int j = 0; j < d.D; j++) dvalues[u * stride + j] += weights[u] * dout[j];
        dweights[u] = dweight;
#if EXACT /* weight = exp * total**-1, and the reference computes total**-1 once for each weight */
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
INLINE int packed_heads(Dims d) { return (void)d, 0; }
INLINE int padded_head(int D) { return D; }
#else
/* Packed heads: float32 stores heads so that they fill whole vectors or divide them evenly, and works on all lanes at
once, BLOCK positions at a time. The weight for position u + j is then in every lane of its head whose index is j modulo
BLOCK. A group consists of the vectors that share one vector of weights: one vector with several small heads, or all the
vectors of one large head. The elements that pad a head are 0, in the weights too. */
enum { MAX_VECTORS = 16 };

INLINE int packed_heads(Dims d) { return d.Dp <= MAX_VECTORS * LANES; }

/* Return the number of elements with which a head of D elements is stored. */
INLINE int padded_head(int D) {
    if (D >= LANES) return padded(D) <= MAX_VECTORS * LANES ? padded(D) : D;
    int width = BLOCK;
    while (width < D) width *= 2;
    return width;
}

/* Return x . row in each head, for BLOCK rows; row j's product is in the lanes whose index is j modulo BLOCK. */
INLINE vec dot_rows(const vec *x, const real *rows, ptrdiff_t stride, int n, const int vectors, const int width) {
    vec products[BLOCK];
    UNROLL for (int j = 0; j < BLOCK; j++) {
        const real *row = rows + clamp_row(j, n) * stride;
        products[j] = x[0] * load(row);
        for (int i = 1; i < vectors; i++) products[j] += x[i] * load(row + i * LANES);
    }
    vec sum = block_sums(products);
    UNROLL for (int k = BLOCK; k < width; k *= 2) sum += shuffle_xor(sum, k);
    return sum;
}

/* sum += weight j * row j for BLOCK rows; weight j is lane j of each block of `weights`. */
INLINE void accumulate_rows(vec *sum, vec weights, const real *rows, ptrdiff_t stride, int n, const int vectors) {
    UNROLL for (int j = 0; j < BLOCK; j++) {
        const real *row = rows + clamp_row(j, n) * stride;
        for (int i = 0; i < vectors; i++) sum[i] += broadcast_in_block(weights, j) * load(row + i * LANES);
    }
}

/* Attention of all heads, for one query over n positions. weights: (n / BLOCK, groups, LANES); if `keep` is
set, the normalized weights stay there for backward; otherwise, this is only scratch space. */
INLINE void packed_heads_forward(Dims d, real factor, int n, const real *q, const real *keys, ptrdiff_t stride,
                                 int keep, real *weights, real *out) {
    const int width = d.Dp < LANES ? d.Dp : LANES, vectors = d.Dp / width, groups = d.Ap / (vectors * LANES);
    const ivec lane = lane_indices() & (BLOCK - 1);
    for (int g = 0; g < groups; g++) {
        const real *values = keys + d.Ap;
        real *group_weights = weights + g * LANES;
        vec query[MAX_VECTORS], sum[MAX_VECTORS], max = broadcast(-INFINITY), total = broadcast(0);
        for (int i = 0; i < vectors; i++) query[i] = load(q + i * LANES) * factor, sum[i] = broadcast(0);
        for (int u = 0; u < n; u += BLOCK) {
            const real *rows = keys + u * stride;
            const vec logits = n - u >= BLOCK ? dot_rows(query, rows, stride, BLOCK, vectors, width)
                                              : dot_rows(query, rows, stride, n - u, vectors, width);
            store(group_weights + u / BLOCK * groups * LANES, logits);
            max = vector_max(logits, max);
        }
        UNROLL for (int k = 1; k < BLOCK; k *= 2) max = vector_max(max, shuffle_xor(max, k));
        for (int u = 0; u < n; u += BLOCK) {
            real *block_weights = group_weights + u / BLOCK * groups * LANES;
            const vec e = (vec)((ivec)vector_exp(load(block_weights) - max) & (lane < n - u));
            if (keep) store(block_weights, e);
            total += e;
            if (n - u >= BLOCK)
                accumulate_rows(sum, e, values + u * stride, stride, BLOCK, vectors);
            else
                accumulate_rows(sum, e, values + u * stride, stride, n - u, vectors);
        }
        const vec inverse = 1.0f / horizontal_sum(total, BLOCK);
        for (int u = 0; keep && u < n; u += BLOCK) {
            real *block_weights = group_weights + u / BLOCK * groups * LANES;
            store(block_weights, load(block_weights) * inverse);
        }
        for (int i = 0; i < vectors; i++) store(out + i * LANES, sum[i] * inverse);
        q += vectors * LANES, keys += vectors * LANES, out += vectors * LANES;
    }
}

/* The gradient of softmax is dlogit = weight * (dweight - the sum of weight * dweight), and that sum is dout . out. */
INLINE void packed_heads_backward(Dims d, real factor, int n, const real *q, const real *keys, ptrdiff_t stride,
                           const real *weights, const real *out, const real *dout, real *dq, real *dkeys) {
    const int width = d.Dp < LANES ? d.Dp : LANES, vectors = d.Dp / width, groups = d.Ap / (vectors * LANES);
    for (int g = 0; g < groups; g++) {
        const real *values = keys + d.Ap;
        real *dvalues = dkeys + d.Ap;
        vec query[MAX_VECTORS], dquery[MAX_VECTORS], dout_vec[MAX_VECTORS], mean = broadcast(0);
        for (int i = 0; i < vectors; i++) {
            query[i] = load(q + i * LANES) * factor, dquery[i] = broadcast(0);
            dout_vec[i] = load(dout + i * LANES);
            mean += dout_vec[i] * load(out + i * LANES);
        }
        mean = horizontal_sum(mean, width);
        for (int u = 0; u < n; u += BLOCK) {
            const vec block_weights = load(weights + (u / BLOCK * groups + g) * LANES);
            const vec dweights = dot_rows(dout_vec, values + u * stride, stride, n - u, vectors, width);
            const vec dlogits = block_weights * (dweights - mean);
            UNROLL for (int j = 0; j < BLOCK; j++) {
                if (u + j == n) break;
                const vec weight = broadcast_in_block(block_weights, j), dlogit = broadcast_in_block(dlogits, j);
                for (int i = 0; i < vectors; i++) {
                    const ptrdiff_t at = (u + j) * stride + i * LANES;
                    store(dvalues + at, load(dvalues + at) + weight * dout_vec[i]);
                    store(dkeys + at, load(dkeys + at) + dlogit * query[i]);
                    dquery[i] += dlogit * load(keys + at);
                }
            }
        }
        for (int i = 0; i < vectors; i++) store(dq + i * LANES, dquery[i] * factor);
        const int step = vectors * LANES;
        q += step, keys += step, out += step, dout += step, dq += step, dkeys += step;
    }
}
#endif

/* Return the number of elements in one row's attention weights. */
INLINE size_t attn_weights_size(Dims d) {
    return packed_heads(d) ? (size_t)(d.T + BLOCK - 1) / BLOCK * (d.Dp < LANES ? d.Ap : d.H * LANES) : (size_t)d.H * d.Tp;
}

/* Attention of all heads for rows from..to; a row attends to its document's rows, first[row] .. row. */
INLINE void attention_forward(Dims d, const Net *net, const Workspace *work, Layer *layer, int from, int to) {
    const ptrdiff_t stride = 3 * d.Ap;
    const real factor = (real)net->attn_factor;
    for (int r = from; r < to; r++) {
        const real *q = layer->qkv + r * stride * work->qkv_step, *k = layer->qkv + work->first[r] * stride + d.Ap;
        real *weights = layer->attn_weights + r * attn_weights_size(d),
             *exps = layer->attn_exps + r * attn_weights_size(d);
        real *x_attn = layer->x_attn + (ptrdiff_t)r * d.Ap;
        const int n = work->position[r] + 1;
#if !EXACT
        if (packed_heads(d)) {
            packed_heads_forward(d, factor, n, q, k, stride, work->qkv_step == 1, weights, x_attn);
            continue;
        }
#endif
        for (int h = 0; h < d.H; h++)
            head_forward(d, factor, n, q + h * d.Dp, k + h * d.Dp, k + d.Ap + h * d.Dp, stride, weights + h * d.Tp,
                         exps + h * d.Tp, layer->attn_scale + (ptrdiff_t)r * d.H + h,
                         layer->attn_slope + (ptrdiff_t)r * d.H + h, x_attn + h * d.Dp);
    }
}

INLINE void attention_backward(Dims d, const Net *net, const Workspace *work, Layer *layer, int from, int to) {
    const ptrdiff_t stride = 3 * d.Ap;
    const real factor = (real)net->attn_factor;
    memset(layer->dqkv + from * stride, 0, sizeof(real) * (to - from) * stride);
    for (int r = to - 1; r >= from; r--) {
        const real *q = layer->qkv + r * stride, *k = layer->qkv + work->first[r] * stride + d.Ap;
        real *dq = layer->dqkv + r * stride, *dk = layer->dqkv + work->first[r] * stride + d.Ap;
        const real *weights = layer->attn_weights + r * attn_weights_size(d),
                   *exps = layer->attn_exps + r * attn_weights_size(d);
        const real *dout = work->dx_attn + (ptrdiff_t)r * d.Ap;
        const int n = work->position[r] + 1;
#if !EXACT
        if (packed_heads(d)) {
            packed_heads_backward(d, factor, n, q, k, stride, weights, layer->x_attn + (ptrdiff_t)r * d.Ap, dout, dq,
                                  dk);
            continue;
        }
#endif
        for (int h = d.H - 1; h >= 0; h--)
            head_backward(d, factor, n, q + h * d.Dp, k + h * d.Dp, k + d.Ap + h * d.Dp, stride, weights + h * d.Tp,
                          exps + h * d.Tp, layer->attn_scale[(ptrdiff_t)r * d.H + h],
                          layer->attn_slope[(ptrdiff_t)r * d.H + h], dout + h * d.Dp, work->scores + (ptrdiff_t)r * d.Tp,
                          dq + h * d.Dp, dk + h * d.Dp, dk + d.Ap + h * d.Dp);
    }
}

/* dx = dqkv [wq; wk; wv]. exact adds the rows in the reference's order. */
INLINE void qkv_backward_input(Dims d, const Net *net, const Layer *layer, const real *w, int from, int to, real *dx) {
    const int stride = 3 * d.Ap;
    const real *dqkv = layer->dqkv + (ptrdiff_t)from * stride;
#if EXACT
    for (int r = 0, rows = to - from; r < rows; r += 4) { /* the rows of one document */
        const int32_t *order = r ? net->order : net->first_order;
        for (int c = 0; c < d.Cp; c += LANES) { /* row 0 is alone, as it has its own order; the rest go in fours */
            const int n = r ? (rows - r < 4 ? rows - r : 4) : 1;
            const real *dy[4];
            vec sum[4];
    UNROLL for (int i = 0; i < 4; i++) {
                dy[i] = dqkv + (ptrdiff_t)(r + (i < n ? i : 0)) * stride;
                sum[i] = broadcast(0);
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
