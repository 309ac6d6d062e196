/* The model's dimensions, and the memory layout of its matrices, activations and gradients. */

#pragma once
#include "api.h"
#include "simd.h"

/* T block_size, C n_embd, H n_head, D head_dim, V vocab_size, L n_layer, F = 4 C. A head is stored with Dp elements, and
all heads with A = H Dp: float32 pads heads, so that they fill vectors or divide them evenly (attention.h). Ap, Cp, Fp,
Vp, Tp are padded to whole vectors. */
typedef struct {
    int T, C, H, D, Dp, V, L, F, A, Ap, Cp, Fp, Vp, Tp;
    int activation;
} Dims;

enum { WTE, WPE, LM_HEAD, FIRST_LAYER };
enum { ATTN_WQ, ATTN_WK, ATTN_WV, ATTN_WO, MLP_FC1, MLP_FC2, LAYER_MATRICES };

typedef struct {
    int rows, stride;           /* as stored, with padded heads; stride: padded to whole vectors */
    int flat_rows, columns;     /* in Python's flat buffers */
    int head_rows, head_columns; /* whether rows, or columns, are heads' elements */
    size_t flat_offset, offset; /* its start in Python's flat buffers, and in the kernel's */
    size_t transposed;          /* the start of its transpose; unused for wte and wpe, which are only looked up */
    int transposed_stride;
} Matrix;

typedef struct { /* the parameters, and the transposed copy */
    real *w, *w_transposed;
} Weights;

/* A layer's activations, which forward saves for backward, and the gradients that backward saves for the weights. Each
has one row per position; the row's width is in parentheses. */
typedef struct {
    real *x;                         /* (Cp) the layer's input: the previous layer's output */
    real *x_norm1, *scale1, *slope1; /* (Cp) (1) (1) after the first rmsnorm; its scale; d scale / d mean square */
    real *qkv;                       /* (3 Cp) queries, keys, values */
    real *attn_weights, *attn_exps;  /* softmax's output, laid out by attention.h; exact: its exps too */
    real *attn_scale, *attn_slope;   /* (H) exact: 1 / the sum of exps, and its derivative */
    real *x_attn;                    /* (Cp) the heads' outputs, concatenated */
    real *x_mid;                     /* (Cp) after attention and its residual connection */
    real *x_norm2, *scale2, *slope2;
    real *saved, *h;                   /* (Fp) what the activation saves for backward; its output (activation.h) */
    real *dqkv, *dx_mid, *dh, *dx_out; /* gradients of the outputs of attn_wq.., attn_wo, mlp_fc1, mlp_fc2 */
} Layer;

/* In training, there is one row for each position of several documents; in decoding, one row for each context. */
typedef struct {
    int qkv_step; /* the distance between rows in qkv: 1, or block_size in decoding, which caches keys and values */
    int32_t *token, *position, *target;
    int32_t *first;                 /* the row at which this row's document starts */
    real *dloss;                    /* d loss / d nll of this row */
    double *nll, *exp_sum;          /* -log p(target); float32 leaves out log(exp_sum), see sum_nll */
    real *x_embd, *scale0, *slope0; /* wte + wpe, before the rmsnorm */
    Layer *layers;
    real *x_out; /* (Cp) the last layer's output */
    real *logits, *dlogits;
    real *dy, *dx, *dx_attn, *scores;
    void *memory;
} Workspace;

struct Net {
    Dims d;
    Settings settings;
    Matrix *matrices;
    int num_matrices;
    size_t flat_size, size, transposed_size; /* the length of Python's buffers, the kernel's, and the transposes */
    int32_t *order, *first_order;            /* exact: the order in which [wq; wk; wv]'s rows add to dx */
    double attn_factor, inverse_C;
    Weights weights;
    real *m, *v, *grads;
    real *embedding_grads; /* exact: dwte and dwpe of one document */
    Workspace work;        /* for one micro-batch */
    int capacity;          /* rows allocated in work */
    int micro_batch_rows;  /* the maximum number of rows in a micro-batch */
    void *memory;
};

/* Return where element i of all heads is stored. */
INLINE int in_heads(Dims d, int i) { return i / d.D * d.Dp + i % d.D; }

INLINE const Matrix *layer_matrix(const Net *net, int layer, int which) {
    return &net->matrices[FIRST_LAYER + LAYER_MATRICES * layer + which];
}
