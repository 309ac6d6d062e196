/* Weight gradients fused with the Adam step, divided among threads. */

#pragma once
#include "adam.h"
#include "layers.h"
#include "transpose.h"
#include <stdatomic.h>
#include <string.h>

/* The rows that the gradients are summed over, and where the sums go. exact: each document has its own sum, from 0 over
descending positions; these sums are added in document order. float32: a single sum runs over all rows, ascending; it
can stop after any micro-batch and continue in the next. The gradient either goes straight into Adam, without being
stored, or into net->grads. */
typedef struct {
    const Net *net;
    const Adam *adam; /* NULL: store the gradient in net->grads */
    int accumulate;   /* start from net->grads, the sum over earlier documents */
    int num_sums;
    const int32_t *ends; /* the row at which each sum ends */
} Gradient;

/* A linear layer's weights, its input x and its output's gradient dy. */
typedef struct {
    const Matrix *matrix;
    const real *x, *dy;
    int x_stride, dy_stride;
} Linear;

INLINE Linear layer_linear(Dims d, const Net *net, int l, int which) {
    const Layer *layer = &net->work.layers[l];
    const Matrix *matrix = layer_matrix(net, l, which);
    switch (which) {
        case ATTN_WQ:
        case ATTN_WK:
        case ATTN_WV: return (Linear){matrix, layer->x_norm1, layer->dqkv + (which - ATTN_WQ) * d.Ap, d.Cp, 3 * d.Ap};
        case ATTN_WO: return (Linear){matrix, layer->x_attn, layer->dx_mid, d.Ap, d.Cp};
        case MLP_FC1: return (Linear){matrix, layer->x_norm2, layer->dh, d.Cp, d.Fp};
        default: return (Linear){matrix, layer->h, layer->dx_out, d.Fp, d.Cp};
    }
}

INLINE Linear lm_head_linear(Dims d, const Net *net) {
    return (Linear){&net->matrices[LM_HEAD], net->work.x_out, net->work.dlogits, d.Cp, d.Vp};
}

/* Add the gradient of x_embd, rows from..to, to dwte and dwpe, which are contiguous. */
INLINE void embedding_backward(Dims d, const Net *net, int from, int to, real *grads) {
    const Workspace *work = &net->work;
    real *dwte = grads + net->matrices[WTE].offset, *dwpe = grads + net->matrices[WPE].offset;
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
    const size_t n = net->matrices[LM_HEAD].offset;
    if (!gradient->accumulate) memset(net->grads, 0, sizeof(real) * n);
    for (int i = 0; i < gradient->num_sums; i++) {
        const int from = i ? gradient->ends[i - 1] : 0;
        if (EXACT && (i || gradient->accumulate)) {
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
/* Compute the gradient of `rows` x `columns` weights, starting at row o and column c, in a panel that stays in the L1
cache; then apply Adam. */
INLINE void gradient_block(const Gradient *gradient, Linear linear, int o, int rows, int c, int columns,
                           const int stride) {
    const Net *net = gradient->net;
    real panel[ADAM_BLOCK] __attribute__((aligned(64))), document[ADAM_BLOCK] __attribute__((aligned(64)));
    const size_t offset = linear.matrix->offset + (size_t)o * stride + c;
    const size_t row_bytes = sizeof(real) * columns;
    if (gradient->accumulate)
        for (int r = 0; r < rows; r++) memcpy(panel + r * columns, net->grads + offset + (size_t)r * stride, row_bytes);
    for (int i = 0, from = 0; i < gradient->num_sums; from = gradient->ends[i++]) {
        const int first = i == 0 && !gradient->accumulate;
        linear_backward_weights(gradient->ends[i] - from, rows, columns,
                                linear.dy + (ptrdiff_t)from * linear.dy_stride + o, linear.dy_stride,
                                linear.x + (ptrdiff_t)from * linear.x_stride + c, linear.x_stride,
                                first ? panel : document, columns);
        if (!first) add(rows, columns, panel, document, panel);
    }
    if (gradient->adam && columns == stride) {
        adam_block(gradient->adam, rows * stride, net->weights.w + offset, net->m + offset, net->v + offset, panel);
        return;
    }
    for (int r = 0; r < rows; r++) {
        const size_t row = offset + (size_t)r * stride;
        if (gradient->adam)
            adam_block(gradient->adam, columns, net->weights.w + row, net->m + row, net->v + row, panel + r * columns);
        else
            memcpy(net->grads + row, panel + r * columns, row_bytes);
    }
}

/* Compute the gradient of rows o..end of a matrix, then apply Adam. stride: the matrix's stride, which may be a
compile-time constant. */
INLINE void gradient_rows(const Gradient *gradient, Linear linear, int o, int end, const int stride) {
    const int width = stride < ADAM_BLOCK / 8 ? stride : ADAM_BLOCK / 8, height = ADAM_BLOCK / width;
    for (; o < end; o += height)
        for (int c = 0; c < stride; c += width)
            gradient_block(gradient, linear, o, end - o < height ? end - o : height, c,
                           stride - c < width ? stride - c : width, stride);
}
#else
enum { GRADIENT_ROWS = LANES < 8 ? LANES : 8 };

/* Compute the gradient of a tile of GRADIENT_ROWS rows and N vectors of columns, then apply Adam. The tile stays in
registers from the first product to the updated weights. */
INLINE void gradient_tile(const int N, const Gradient *gradient, const Adam *a, Linear linear, int o, int c,
                          const int stride) {
    const int R = GRADIENT_ROWS;
    const Net *net = gradient->net;
    const size_t offset = linear.matrix->offset + (size_t)o * stride + c;
    real *w = net->weights.w + offset, *m = net->m + offset, *v = net->v + offset, *grads = net->grads + offset;
    const real *x = linear.x + c, *dy = linear.dy + o;
    vec sum[8][2];
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int j = 0; j < N; j++)
            sum[r][j] = gradient->accumulate ? load(grads + r * stride + j * LANES) : broadcast(0);
    }
    if (gradient->ends[0] > 32) { /* a long sum hides the latency of prefetching the next tile */
        const ptrdiff_t next = c + N * LANES < stride ? N * LANES : (ptrdiff_t)R * stride - c;
        for (int r = 0; r < R; r++) {
            UNROLL for (int j = 0; j < N; j++) {
                const ptrdiff_t i = next + (ptrdiff_t)r * stride + j * LANES;
                __builtin_prefetch(w + i, 1, 2), __builtin_prefetch(m + i, 1, 2), __builtin_prefetch(v + i, 1, 2);
            }
        }
    }
    UNROLL4 for (int t = 0; t < gradient->ends[0]; t++, x += linear.x_stride, dy += linear.dy_stride) {
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
                adam_vector(a, sum[r][j], w + i, m + i, v + i);
            else
                store(grads + i, sum[r][j]);
        }
    }
}

/* Compute the gradient of rows o..end of a matrix, then apply Adam. Padding rows have no gradient and stay 0. stride:
the matrix's stride, which may be a compile-time constant. */
INLINE void gradient_rows(const Gradient *gradient, Linear linear, int o, int end, const int stride) {
    const Adam a = gradient->adam ? *gradient->adam : (Adam){0};
    const int wide = gradient->ends[0] > 16; /* if so, the sums take longer than Adam */
    for (; o < end; o += GRADIENT_ROWS) {
        int c = 0;
        for (; wide && c + 2 * LANES <= stride; c += 2 * LANES) gradient_tile(2, gradient, &a, linear, o, c, stride);
        for (; c < stride; c += LANES) gradient_tile(1, gradient, &a, linear, o, c, stride);
    }
}
#endif

/* Threads share the work as numbered tasks: first the embeddings, then each matrix, TASK_ROWS rows at a time. Every
thread walks through all task numbers, and performs the tasks that it has taken. */
enum { TASK_ROWS = EXACT ? 32 : 16 };

typedef struct {
    int threads;
    atomic_int next; /* the first task that no thread has taken */
} Tasks;

INLINE int take_task(Tasks *tasks) {
    if (tasks->threads > 1) return atomic_fetch_add_explicit(&tasks->next, 1, memory_order_relaxed);
    const int task = atomic_load_explicit(&tasks->next, memory_order_relaxed);
    atomic_store_explicit(&tasks->next, task + 1, memory_order_relaxed);
    return task;
}

typedef struct {
    Tasks *tasks;
    int mine, current; /* the task taken, and the task that the walk has reached */
} Walk;

INLINE int is_mine(Walk *walk) { return walk->current++ == walk->mine; }

/* Perform this thread's tasks for one matrix: the gradient, Adam, and the transposed copy. */
INLINE void matrix_backward(const Gradient *gradient, Linear linear, const int stride, Walk *walk) {
    for (int o = 0; o < linear.matrix->rows; o += TASK_ROWS) {
        if (!is_mine(walk)) continue;
        const int end = o + TASK_ROWS < linear.matrix->rows ? o + TASK_ROWS : linear.matrix->rows;
        gradient_rows(gradient, linear, o, end, stride);
        if (gradient->adam) update_transposed(linear.matrix, gradient->net->weights, o, end, stride);
        walk->mine = take_task(walk->tasks);
    }
}

/* Perform this thread's tasks for all of the micro-batch's weight gradients. */
INLINE void weights_backward(Dims d, const Gradient *gradient, Tasks *tasks) {
    const Net *net = gradient->net;
    Walk walk = {tasks, take_task(tasks), 0};
    if (is_mine(&walk)) {
        embedding_gradient(d, gradient);
        walk.mine = take_task(tasks);
    }
    for (int l = -1; l < d.L; l++)
        for (int which = l < 0 ? MLP_FC1 : 0; which < MLP_FC2; which++)
            matrix_backward(gradient, l < 0 ? lm_head_linear(d, net) : layer_linear(d, net, l, which),
                            l >= 0 && which == ATTN_WO ? d.Ap : d.Cp, &walk);
    for (int l = 0; l < d.L; l++) matrix_backward(gradient, layer_linear(d, net, l, MLP_FC2), d.Fp, &walk);
}
