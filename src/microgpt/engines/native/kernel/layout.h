/* Sizes, and where weights, activations and gradients lie in memory. */

#pragma once
#include "api.h"
#include "simd.h"

/* T block_size, C n_embd, H n_head, D head_dim, V vocab_size, L n_layer; F = 4 C. Cp, Fp, Vp, Tp: padded to whole vectors. */
typedef struct {
    int T, C, H, D, V, L, F, Cp, Fp, Vp, Tp;
    int relu2;
} Dims;

enum { WTE, WPE, LM_HEAD, FIRST_LAYER };
enum { ATTN_WQ, ATTN_WK, ATTN_WV, ATTN_WO, MLP_FC1, MLP_FC2, LAYER_MATRICES };

typedef struct {
    int rows, columns, stride; /* stride: the columns, padded */
    size_t flat, at;           /* where it starts in the flat buffers and in ours */
    size_t turned;             /* where the transposed one starts; no meaning for wte and wpe, which are looked up */
    int turned_stride;
} Matrix;

typedef struct { /* what the model knows, in both orientations */
    real *w, *w_turned;
} Weights;

/* What forward leaves of a layer for backward, and backward for the weights' gradients; a row for each position. */
typedef struct {
    real *x;                           /* (Cp) the layer's input: the output of the one before */
    real *x_norm1, *scale1, *slope1;   /* (Cp) (1) (1) after the first rmsnorm; its scale, and d scale / d mean square */
    real *qkv;                         /* (3 Cp) queries, keys, values */
    real *attn_weights, *attn_exps;    /* attention's weights, in the layout of the attention in use; exact: exps too */
    real *attn_scale, *attn_slope;     /* (H) exact: 1 / total, and its slope */
    real *x_attn;                      /* (Cp) the heads' mixtures */
    real *x_mid;                       /* (Cp) after attention and its residual */
    real *x_norm2, *scale2, *slope2;
    real *relu, *h;                    /* (Fp) after relu; and after the activation (the same for relu) */
    real *dqkv, *dx_mid, *dh, *dx_out; /* gradients of what attn_wq.., attn_wo, mlp_fc1, mlp_fc2 put out */
} Layer;

typedef struct {
    int hop; /* from a row's queries, keys and values to those of the next row: 1, or in decoding a context's length */
    int32_t *token, *position, *target, *first;
    real *dloss; /* d loss / d (the surprise at this row) */
    double *surprise, *total; /* float32: without the logarithm of total, which is one for many rows */
    real *x_embd, *scale0, *slope0; /* wte + wpe, before its rmsnorm */
    Layer *layers;
    real *x_out; /* (Cp) the last layer's output */
    real *logits, *dlogits;
    real *dy, *dx, *d_attn, *scores;
    void *memory;
} Work;

struct Net {
    Dims d;
    Settings settings;
    Matrix *matrices;
    int num_matrices;
    size_t flat_size, size, turned_size; /* the numbers in the flat buffers, in ours, and in the transposed ones */
    int32_t *order, *first_order;        /* the rows of [wq; wk; wv] as their gradients reach the layer's input */
    double attn_factor, inverse_C;
    Weights weights;
    real *m, *v, *grads;
    real *embedding_grads; /* exact: one document's dwte and dwpe */
    Work work;             /* for a batch, or for as much of it as is in memory at once */
    int capacity;          /* its rows */
    int wave_rows;         /* and how many there may be */
    void *memory;
};

INLINE const Matrix *layer_matrix(const Net *net, int layer, int which) {
    return &net->matrices[FIRST_LAYER + LAYER_MATRICES * layer + which];
}
