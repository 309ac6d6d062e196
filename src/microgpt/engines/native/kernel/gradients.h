/* The weights' gradients, and the Adam step fused to them. */

#pragma once
#include "adam.h"
#include "layers.h"
#include "transpose.h"
#include <stdatomic.h>
#include <string.h>

/* What the gradients are summed over, and what for. exact: for each document in the work a sum from 0, positions descending,
and these are added up in turn. float32: one sum over all rows, ascending, so that it can stop at the end of any wave and go
on in the next. The result goes into Adam and is never stored, or to net->grads. */
typedef struct {
    const Net *net;
    const Adam *adam;    /* NULL: keep the gradient */
    int begun;           /* net->grads holds the sums of earlier documents */
    int sums;
    const int32_t *ends; /* the row where each ends */
} Gradient;

/* The two ends of a linear layer: what it read, and the gradient of what it put out. */
typedef struct {
    const Matrix *matrix;
    const real *x, *dy;
    int xr, dyr;
} Link;

INLINE Link layer_link(Dims d, const Net *net, int l, int which) {
    const Layer *layer = &net->work.layers[l];
    const Matrix *matrix = layer_matrix(net, l, which);
    switch (which) {
        case ATTN_WQ:
        case ATTN_WK:
        case ATTN_WV: return (Link){matrix, layer->x_norm1, layer->dqkv + (which - ATTN_WQ) * d.Cp, d.Cp, 3 * d.Cp};
        case ATTN_WO: return (Link){matrix, layer->x_attn, layer->dx_mid, d.Cp, d.Cp};
        case MLP_FC1: return (Link){matrix, layer->x_norm2, layer->dh, d.Cp, d.Fp};
        default: return (Link){matrix, layer->h, layer->dx_out, d.Fp, d.Cp};
    }
}

INLINE Link lm_head_link(Dims d, const Net *net) {
    return (Link){&net->matrices[LM_HEAD], net->work.x_out, net->work.dlogits, d.Cp, d.Vp};
}

/* dwte and dwpe, which lie one after the other, += the gradient of their sum in rows from..to. */
INLINE void embedding_backward(Dims d, const Net *net, int from, int to, real *grads) {
    const Work *work = &net->work;
    real *dwte = grads + net->matrices[WTE].at, *dwpe = grads + net->matrices[WPE].at;
    for (int i = 0; i < to - from; i++)
        for (int c = 0, r = EXACT ? to - 1 - i : from + i; c < d.Cp; c += LANES) {
            vec dx = load(work->dx + (ptrdiff_t)r * d.Cp + c);
            real *token = dwte + (ptrdiff_t)work->token[r] * d.Cp + c;
            real *position = dwpe + (ptrdiff_t)work->position[r] * d.Cp + c;
            store(token, load(token) + dx);
            store(position, load(position) + dx);
        }
}

INLINE void embedding_gradient(Dims d, const Gradient *gradient) {
    const Net *net = gradient->net;
    const size_t n = net->matrices[LM_HEAD].at;
    if (!gradient->begun) memset(net->grads, 0, sizeof(real) * n);
    for (int i = 0; i < gradient->sums; i++) {
        const int from = i ? gradient->ends[i - 1] : 0;
        if (EXACT && (i || gradient->begun)) {
            memset(net->embedding_grads, 0, sizeof(real) * n);
            embedding_backward(d, net, from, gradient->ends[i], net->embedding_grads);
            add(1, (int)n, net->grads, net->embedding_grads, net->grads);
        } else {
            embedding_backward(d, net, from, gradient->ends[i], net->grads);
        }
    }
    if (gradient->adam) adam(gradient->adam, n, net->weights.w, net->m, net->v, net->grads);
}

#if EXACT
/* `rows` rows and `columns` columns of a matrix's gradient, from row o and column c on, through a panel in the nearest
cache. */
INLINE void gradient_block(const Gradient *gradient, Link link, int o, int rows, int c, int columns, const int stride) {
    const Net *net = gradient->net;
    real panel[ADAM_BLOCK] __attribute__((aligned(64))), more[ADAM_BLOCK] __attribute__((aligned(64)));
    const size_t at = link.matrix->at + (size_t)o * stride + c;
    const size_t row_bytes = sizeof(real) * columns;
    if (gradient->begun)
        for (int r = 0; r < rows; r++) memcpy(panel + r * columns, net->grads + at + (size_t)r * stride, row_bytes);
    for (int i = 0, from = 0; i < gradient->sums; from = gradient->ends[i++]) {
        const int first = i == 0 && !gradient->begun;
        linear_backward_weights(gradient->ends[i] - from, rows, columns, link.dy + (ptrdiff_t)from * link.dyr + o, link.dyr,
                                link.x + (ptrdiff_t)from * link.xr + c, link.xr, first ? panel : more, columns);
        if (!first) add(rows, columns, panel, more, panel);
    }
    if (gradient->adam && columns == stride) {
        adam_block(gradient->adam, rows * stride, net->weights.w + at, net->m + at, net->v + at, panel);
        return;
    }
    for (int r = 0; r < rows; r++) {
        const size_t row = at + (size_t)r * stride;
        if (gradient->adam)
            adam_block(gradient->adam, columns, net->weights.w + row, net->m + row, net->v + row, panel + r * columns);
        else
            memcpy(net->grads + row, panel + r * columns, row_bytes);
    }
}

/* Rows o..end of a matrix: the gradient, and Adam. stride: the matrix's, where it is a constant. */
INLINE void gradient_rows(const Gradient *gradient, Link link, int o, int end, const int stride) {
    const int width = stride < ADAM_BLOCK / 8 ? stride : ADAM_BLOCK / 8, high = ADAM_BLOCK / width;
    for (; o < end; o += high)
        for (int c = 0; c < stride; c += width)
            gradient_block(gradient, link, o, end - o < high ? end - o : high, c, stride - c < width ? stride - c : width,
                           stride);
}
#else
enum { GRADIENT_ROWS = LANES < 8 ? LANES : 8 };

/* GRADIENT_ROWS rows and N vectors of columns, in registers from the first product to the new weights. */
INLINE void gradient_tile(const int N, const Gradient *gradient, const Adam *a, Link link, int o, int c, const int stride) {
    const int R = GRADIENT_ROWS;
    const Net *net = gradient->net;
    const size_t at = link.matrix->at + (size_t)o * stride + c;
    real *w = net->weights.w + at, *m = net->m + at, *v = net->v + at, *grads = net->grads + at;
    const real *x = link.x + c, *dy = link.dy + o;
    vec sum[8][2];
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int j = 0; j < N; j++) sum[r][j] = gradient->begun ? load(grads + r * stride + j * LANES) : all(0);
    }
    if (gradient->ends[0] > 32) { /* fetch what the next tile will change, while there is much to add up */
        const ptrdiff_t next = c + N * LANES < stride ? N * LANES : (ptrdiff_t)R * stride - c;
        for (int r = 0; r < R; r++) {
            UNROLL for (int j = 0; j < N; j++) {
                const ptrdiff_t i = next + (ptrdiff_t)r * stride + j * LANES;
                __builtin_prefetch(w + i, 1, 2), __builtin_prefetch(m + i, 1, 2), __builtin_prefetch(v + i, 1, 2);
            }
        }
    }
    UNROLL4 for (int t = 0; t < gradient->ends[0]; t++, x += link.xr, dy += link.dyr) {
        vec row[2];
        UNROLL for (int j = 0; j < N; j++) row[j] = load(x + j * LANES);
        UNROLL for (int r = 0; r < R; r++) {
            UNROLL for (int j = 0; j < N; j++) sum[r][j] += dy[r] * row[j];
        }
    }
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int j = 0; j < N; j++) {
            const int i = r * stride + j * LANES;
            if (gradient->adam)
                adam_lanes(a, sum[r][j], w + i, m + i, v + i);
            else
                store(grads + i, sum[r][j]);
        }
    }
}

/* Rows o..end of a matrix: the gradient, and Adam. The rows that pad the matrix have no gradient and stay 0.
stride: the matrix's, where it is a constant. */
INLINE void gradient_rows(const Gradient *gradient, Link link, int o, int end, const int stride) {
    const Adam a = gradient->adam ? *gradient->adam : (Adam){0};
    const int wide = gradient->ends[0] > 16; /* where adding up takes longer than Adam */
    for (; o < end; o += GRADIENT_ROWS) {
        int c = 0;
        for (; wide && c + 2 * LANES <= stride; c += 2 * LANES) gradient_tile(2, gradient, &a, link, o, c, stride);
        for (; c < stride; c += LANES) gradient_tile(1, gradient, &a, link, o, c, stride);
    }
}
#endif

/* Work is shared out in tasks, with numbers: the embeddings, then so many rows of each matrix. A thread walks through all
numbers and does those that it drew. */
enum { TASK_ROWS = EXACT ? 32 : 16 };

typedef struct {
    int threads;
    atomic_int next; /* the first number that nobody has */
} Tickets;

INLINE int draw(Tickets *tickets) {
    if (tickets->threads > 1) return atomic_fetch_add_explicit(&tickets->next, 1, memory_order_relaxed);
    const int ticket = atomic_load_explicit(&tickets->next, memory_order_relaxed);
    atomic_store_explicit(&tickets->next, ticket + 1, memory_order_relaxed);
    return ticket;
}

typedef struct {
    Tickets *tickets;
    int mine, number; /* the number drawn, and that of the task at hand */
} Walk;

INLINE int is_mine(Walk *walk) { return walk->number++ == walk->mine; }

INLINE void link_backward(const Gradient *gradient, Link link, const int stride, Walk *walk) {
    for (int o = 0; o < link.matrix->rows; o += TASK_ROWS) {
        if (!is_mine(walk)) continue;
        const int end = o + TASK_ROWS < link.matrix->rows ? o + TASK_ROWS : link.matrix->rows;
        gradient_rows(gradient, link, o, end, stride);
        if (gradient->adam) turn(link.matrix, gradient->net->weights, o, end, stride);
        walk->mine = draw(walk->tickets);
    }
}

/* All gradients of the documents in the work: one thread's share. */
INLINE void weights_backward(Dims d, const Gradient *gradient, Tickets *tickets) {
    const Net *net = gradient->net;
    Walk walk = {tickets, draw(tickets), 0};
    if (is_mine(&walk)) {
        embedding_gradient(d, gradient);
        walk.mine = draw(tickets);
    }
    for (int l = -1; l < d.L; l++)
        for (int which = l < 0 ? MLP_FC1 : 0; which < MLP_FC2; which++)
            link_backward(gradient, l < 0 ? lm_head_link(d, net) : layer_link(d, net, l, which), d.Cp, &walk);
    for (int l = 0; l < d.L; l++) link_backward(gradient, layer_link(d, net, l, MLP_FC2), d.Fp, &walk);
}
