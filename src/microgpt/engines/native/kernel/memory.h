/* Memory management: aligned allocation, arenas, and opening and closing a net. */

#pragma once
#include "activation.h"
#include "attention.h"
#include <math.h>
#include <stdlib.h>

static void *allocate(uint64_t bytes) { /* zeroed, aligned to 64 bytes */
    char *raw = bytes < SIZE_MAX - 128 ? calloc(1, (size_t)bytes + 128) : NULL;
    if (!raw) return NULL;
    char *p = (char *)(((uintptr_t)raw + 127) & ~(uintptr_t)63);
    ((void **)p)[-1] = raw;
    return p;
}

static void release(void *p) {
    if (p) free(((void **)p)[-1]);
}

#ifdef __SANITIZE_ADDRESS__
void __asan_poison_memory_region(void const volatile *address, size_t size);
#endif

/* A bump allocator over one block. Without a block, it only counts the bytes needed. The count has 64 bits, because a
request can exceed a 32-bit address space. */
typedef struct {
    char *memory;
    uint64_t used;
} Arena;

static void *arena_take(Arena *arena, uint64_t bytes) {
    char *p = arena->memory ? arena->memory + arena->used : NULL;
    arena->used += (bytes + 63) & ~(uint64_t)63;
#ifdef __SANITIZE_ADDRESS__ /* a red zone between allocations */
    if (p) __asan_poison_memory_region(arena->memory + arena->used, 64);
    arena->used += 64;
#endif
    return p;
}

static real *arena_reals(Arena *arena, uint64_t n) { return arena_take(arena, n * sizeof(real)); }

/* What a workspace is for: training; decoding, where a row is a context with cached keys and values; or losses, a forward
pass whose activations nobody reads again, so that all layers share one layer's buffers. */
typedef enum { TRAINING, DECODING, LOSSES } Purpose;

/* Lay out buffers of n rows. */
static void lay_out_work(Arena *arena, Dims d, Workspace *work, uint64_t n, Purpose purpose) {
    const uint64_t m = purpose == TRAINING ? n : 0, qkv_rows = purpose == DECODING ? n * d.T : n;
    Layer unused, *layers = arena_take(arena, d.L * sizeof(Layer));
    work->layers = layers;
    work->token = arena_take(arena, n * sizeof(int32_t)), work->position = arena_take(arena, n * sizeof(int32_t));
    work->target = arena_take(arena, n * sizeof(int32_t)), work->first = arena_take(arena, n * sizeof(int32_t));
    work->nll = arena_take(arena, n * sizeof(double)), work->exp_sum = arena_take(arena, n * sizeof(double));
    work->dloss = arena_reals(arena, n);
    work->x_embd = arena_reals(arena, n * d.Cp), work->x_out = arena_reals(arena, n * d.Cp);
    work->scale0 = arena_reals(arena, n), work->slope0 = arena_reals(arena, n);
    work->logits = arena_reals(arena, n * d.Vp), work->dlogits = arena_reals(arena, m * d.Vp);
    work->dy = arena_reals(arena, m * d.Cp), work->dx = arena_reals(arena, m * d.Cp),
    work->dx_attn = arena_reals(arena, m * d.Ap);
    work->scores = EXACT || !packed_heads(d) ? arena_reals(arena, m * d.Tp) : NULL;
    for (int l = 0; l < d.L; l++) {
        Layer *layer = layers ? &layers[l] : &unused;
        if (purpose == LOSSES && l > 0) {
            if (layers) *layer = layers[0];
            continue;
        }
        layer->x = arena_reals(arena, n * d.Cp), layer->x_norm1 = arena_reals(arena, n * d.Cp);
        layer->scale1 = arena_reals(arena, n), layer->slope1 = arena_reals(arena, n);
        layer->qkv = arena_reals(arena, qkv_rows * 3 * d.Ap);
        layer->attn_weights = arena_reals(arena, n * attn_weights_size(d));
        layer->attn_exps = EXACT ? arena_reals(arena, n * attn_weights_size(d)) : layer->attn_weights;
        layer->attn_scale = arena_reals(arena, n * d.H), layer->attn_slope = arena_reals(arena, n * d.H);
        layer->x_attn = arena_reals(arena, n * d.Ap), layer->x_mid = arena_reals(arena, n * d.Cp);
        layer->x_norm2 = arena_reals(arena, n * d.Cp);
        layer->scale2 = arena_reals(arena, n), layer->slope2 = arena_reals(arena, n);
        layer->h = arena_reals(arena, n * d.Fp);
        layer->saved = d.activation == RELU ? layer->h : arena_reals(arena, n * d.Fp);
        layer->dqkv = arena_reals(arena, m * 3 * d.Ap), layer->dx_mid = arena_reals(arena, m * d.Cp);
        layer->dh = arena_reals(arena, m * d.Fp), layer->dx_out = arena_reals(arena, m * d.Cp);
    }
}

static int open_work(Dims d, Workspace *work, int rows, Purpose purpose) {
    Arena arena = {0};
    lay_out_work(&arena, d, work, rows, purpose);
    arena = (Arena){allocate(arena.used), 0};
    if (!arena.memory) return 0;
    lay_out_work(&arena, d, work, rows, purpose);
    work->memory = arena.memory;
    work->qkv_step = purpose == DECODING ? d.T : 1;
    return 1;
}

/* Fill the table of matrices, in the order of the flat buffers. The transposes of wq, wk and wv are side by side as one
matrix, so that one product computes queries, keys and values. */
static void lay_out_matrices(Net *net) {
    const Dims d = net->d;
    for (int i = 0; i < net->num_matrices; i++) {
        const int which = i < FIRST_LAYER ? -1 : (i - FIRST_LAYER) % LAYER_MATRICES;
        const int flat_rows = i == WPE ? d.T : i < FIRST_LAYER ? d.V : which == MLP_FC1 ? d.F : d.C;
        const int columns = which == MLP_FC2 ? d.F : d.C;
        const int in_qkv = which >= ATTN_WQ && which <= ATTN_WV, rows = in_qkv ? d.A : flat_rows;
        Matrix *matrix = &net->matrices[i];
        *matrix = (Matrix){rows,
                           which == ATTN_WO ? d.Ap : padded(columns),
                           flat_rows,
                           columns,
                           in_qkv,
                           which == ATTN_WO,
                           net->flat_size,
                           net->size,
                           net->transposed_size,
                           in_qkv ? 3 * d.Ap : padded(rows)};
        net->flat_size += (size_t)flat_rows * columns;
        net->size += (size_t)matrix->stride * (i < LM_HEAD ? rows : padded(rows));
        if (which == ATTN_WQ || which == ATTN_WK)
            net->transposed_size += d.Ap;
        else if (i >= LM_HEAD)
            net->transposed_size += (size_t)matrix->stride * matrix->transposed_stride - (in_qkv ? 2 * d.Ap : 0);
    }
}

/* Compute the order in which the reference adds the rows of [wq; wk; wv] to their input's gradient; see net.c. */
static void lay_out_order(Net *net) {
    const Dims d = net->d;
    int32_t *next = net->order, *next_first = net->first_order;
    for (int h = d.H - 1; h >= 0; h--) {
        for (int part = 2; part >= 0; part--)
            for (int j = d.D - 1; j >= 0; j--) *next++ = part * d.Ap + h * d.Dp + j;
        for (int j = d.D - 1; j >= 0; j--) *next_first++ = 2 * d.Ap + h * d.Dp + j;
        for (int j = d.D - 1; j >= 0; j--)
            for (int part = 1; part >= 0; part--) *next_first++ = part * d.Ap + h * d.Dp + j;
    }
}

static void net_close(Net *net) {
    if (!net) return;
    release(net->work.memory);
    release(net->memory);
    release(net->matrices);
    release(net);
}

static void lay_out_net(Arena *arena, Net *net) {
    net->order = arena_take(arena, 3 * net->d.C * sizeof(int32_t)),
    net->first_order = arena_take(arena, 3 * net->d.C * sizeof(int32_t));
    net->weights.w = arena_reals(arena, net->size),
    net->weights.w_transposed = arena_reals(arena, net->transposed_size);
    net->m = arena_reals(arena, net->size), net->v = arena_reals(arena, net->size),
    net->grads = arena_reals(arena, net->size);
    net->embedding_grads = EXACT ? arena_reals(arena, net->matrices[LM_HEAD].offset) : NULL;
}

/* The maximum number of micro-batch rows per thread, small enough for the activations to stay in cache. Only a single
longer document may have more rows. */
enum { MICRO_BATCH_ROWS = 128 };

static Net *net_open(const Settings *s) {
    Net *net = allocate(sizeof(Net));
    if (!net) return NULL;
    const int C = s->n_embd, H = s->n_head, V = s->vocab_size, T = s->block_size;
    net->settings = *s;
    const int D = C / H, Dp = padded_head(D), A = H * Dp;
    net->d = (Dims){.T = T,
                    .C = C,
                    .H = H,
                    .D = D,
                    .Dp = Dp,
                    .V = V,
                    .L = s->n_layer,
                    .F = 4 * C,
                    .A = A,
                    .Ap = padded(A),
                    .Cp = padded(C),
                    .Fp = padded(4 * C),
                    .Vp = padded(V),
                    .Tp = padded(T),
                    .activation = s->activation};
    net->inverse_C = pow(C, -1.0), net->attn_factor = pow(pow(net->d.D, 0.5), -1.0);
    net->micro_batch_rows = T > MICRO_BATCH_ROWS * s->threads ? T : MICRO_BATCH_ROWS * s->threads;
    net->num_matrices = FIRST_LAYER + LAYER_MATRICES * s->n_layer;
    net->matrices = allocate(net->num_matrices * sizeof(Matrix));
    if (!net->matrices) return net_close(net), NULL;
    lay_out_matrices(net);
    Arena arena = {0};
    lay_out_net(&arena, net);
    arena = (Arena){allocate(arena.used), 0};
    if (!arena.memory) return net_close(net), NULL;
    lay_out_net(&arena, net);
    net->memory = arena.memory;
    lay_out_order(net);
    return net;
}
