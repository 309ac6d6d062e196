/* The complete model: the forward and backward passes through all layers. */

#pragma once
#include "activation.h"
#include "attention.h"
#include "layers.h"

/* Row `from` of a buffer */
#define AT(buffer, width) ((buffer) + (ptrdiff_t)from * (width))

/* Compute the logits from x_embd, for rows from..to. */
INLINE void forward(Dims d, const Net *net, Weights weights, const Workspace *work, int from, int to,
                    const int one_row) {
    const int rows = to - from;
    const real *transposed = weights.w_transposed;
    Layer *first = &work->layers[0];
    rmsnorm_forward(rows, d, net->inverse_C, AT(work->x_embd, d.Cp), AT(first->x, d.Cp), work->scale0 + from,
                    work->slope0 + from);
    for (int l = 0; l < d.L; l++) {
        Layer *layer = &work->layers[l];
        real *x_out = l + 1 < d.L ? layer[1].x : work->x_out;
        rmsnorm_forward(rows, d, net->inverse_C, AT(layer->x, d.Cp), AT(layer->x_norm1, d.Cp), layer->scale1 + from,
                        layer->slope1 + from);
        linear_forward(one_row, rows, d.C, 3 * d.Ap, AT(layer->x_norm1, d.Cp), d.Cp,
                       transposed + layer_matrix(net, l, ATTN_WQ)->transposed, 3 * d.Ap, NULL, AT(layer->qkv, 3 * d.Ap),
                       3 * d.Ap * work->qkv_step);
        attention_forward(d, net, work, layer, from, to);
        linear_forward(one_row, rows, d.A, d.Cp, AT(layer->x_attn, d.Ap), d.Ap,
                       transposed + layer_matrix(net, l, ATTN_WO)->transposed, d.Cp, AT(layer->x, d.Cp),
                       AT(layer->x_mid, d.Cp), d.Cp);
        rmsnorm_forward(rows, d, net->inverse_C, AT(layer->x_mid, d.Cp), AT(layer->x_norm2, d.Cp), layer->scale2 + from,
                        layer->slope2 + from);
        linear_forward(one_row, rows, d.C, d.Fp, AT(layer->x_norm2, d.Cp), d.Cp,
                       transposed + layer_matrix(net, l, MLP_FC1)->transposed, d.Fp, NULL, AT(layer->h, d.Fp), d.Fp);
        activation_forward(rows, d, AT(layer->saved, d.Fp), AT(layer->h, d.Fp));
        linear_forward(one_row, rows, d.F, d.Cp, AT(layer->h, d.Fp), d.Fp,
                       transposed + layer_matrix(net, l, MLP_FC2)->transposed, d.Cp, AT(layer->x_mid, d.Cp),
                       AT(x_out, d.Cp), d.Cp);
    }
    linear_forward(one_row, rows, d.C, d.Vp, AT(work->x_out, d.Cp), d.Cp,
                   transposed + net->matrices[LM_HEAD].transposed, d.Vp, NULL, AT(work->logits, d.Vp), d.Vp);
}

/* Compute x_embd's gradient, in work->dx, from dlogits. Rows from..to must be complete documents. */
INLINE void backward(Dims d, const Net *net, const Workspace *work, int from, int to) {
    const int rows = to - from;
    const real *w = net->weights.w;
    lm_head_backward_input(d, work, w + net->matrices[LM_HEAD].offset, from, to, work->layers[d.L - 1].dx_out);
    for (int l = d.L - 1; l >= 0; l--) {
        Layer *layer = &work->layers[l];
        linear_backward_input(rows, d.C, d.Fp, AT(layer->dx_out, d.Cp), d.Cp, w + layer_matrix(net, l, MLP_FC2)->offset,
                              d.Fp, AT(layer->dh, d.Fp), d.Fp);
        activation_backward(rows, d, AT(layer->saved, d.Fp), AT(layer->dh, d.Fp));
        linear_backward_input(rows, d.F, d.Cp, AT(layer->dh, d.Fp), d.Fp, w + layer_matrix(net, l, MLP_FC1)->offset,
                              d.Cp, AT(work->dy, d.Cp), d.Cp);
        rmsnorm_backward(rows, d, net->inverse_C, AT(work->dy, d.Cp), AT(layer->x_mid, d.Cp), layer->scale2 + from,
                         layer->slope2 + from, AT(layer->dx_out, d.Cp), AT(layer->dx_mid, d.Cp));
        linear_backward_input(rows, d.C, d.Ap, AT(layer->dx_mid, d.Cp), d.Cp, w + layer_matrix(net, l, ATTN_WO)->offset,
                              d.Ap, AT(work->dx_attn, d.Ap), d.Ap);
        attention_backward(d, net, work, layer, from, to);
        qkv_backward_input(d, net, layer, w + layer_matrix(net, l, ATTN_WQ)->offset, from, to, AT(work->dy, d.Cp));
        rmsnorm_backward(rows, d, net->inverse_C, AT(work->dy, d.Cp), AT(layer->x, d.Cp), layer->scale1 + from,
                         layer->slope1 + from, AT(layer->dx_mid, d.Cp), AT(l ? layer[-1].dx_out : work->dx, d.Cp));
    }
    rmsnorm_backward(rows, d, net->inverse_C, AT(work->dx, d.Cp), AT(work->x_embd, d.Cp), work->scale0 + from,
                     work->slope0 + from, NULL, AT(work->dx, d.Cp));
}

/* Specialize `call` for a standard size with the 27 tokens of the names data set: in that copy, the dimensions are
constants. All other sizes share the general copy. From n_embd = 64 on, matrix products take nearly all the time, and
they have their own specializations; there, this macro speeds up attention. */
#define IF_SIZE(size, call)                                                                                            \
    if ((SPECIALIZE || size == 16) && d.C == size && d.H == 4 && d.Vp == padded(27) && d.activation == RELU) {         \
        d.C = d.A = size, d.H = 4, d.D = d.Dp = size / 4, d.F = 4 * size, d.Cp = d.Ap = padded(size);                  \
        d.Fp = padded(4 * size);                                                                                       \
        d.Vp = padded(27), d.activation = RELU;                                                                        \
        call;                                                                                                          \
    } else
