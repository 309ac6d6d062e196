/* The forward and the backward pass through all layers. */

#pragma once
#include "attention.h"
#include "layers.h"

#define AT(buffer, width) ((buffer) + (ptrdiff_t)from * (width))

/* Rows from..to of the work, through all layers to the logits; the rows before `from` were here earlier. */
INLINE void forward(Dims d, const Net *net, Weights weights, const Work *work, int from, int to, const int one_row) {
    const int rows = to - from;
    const real *turned = weights.w_turned;
    Layer *first = &work->layers[0];
    rmsnorm_forward(rows, d, net->inverse_C, AT(work->x_embd, d.Cp), AT(first->x, d.Cp), work->scale0 + from,
                    work->slope0 + from);
    for (int l = 0; l < d.L; l++) {
        Layer *layer = &work->layers[l];
        real *x_out = l + 1 < d.L ? layer[1].x : work->x_out;
        rmsnorm_forward(rows, d, net->inverse_C, AT(layer->x, d.Cp), AT(layer->x_norm1, d.Cp), layer->scale1 + from,
                        layer->slope1 + from);
        linear_forward(one_row, rows, d.C, 3 * d.Cp, AT(layer->x_norm1, d.Cp), d.Cp,
                       turned + layer_matrix(net, l, ATTN_WQ)->turned, 3 * d.Cp, NULL, AT(layer->qkv, 3 * d.Cp),
                       3 * d.Cp * work->hop);
        attention_forward(d, net, work, layer, from, to);
        linear_forward(one_row, rows, d.C, d.Cp, AT(layer->x_attn, d.Cp), d.Cp,
                       turned + layer_matrix(net, l, ATTN_WO)->turned, d.Cp, AT(layer->x, d.Cp), AT(layer->x_mid, d.Cp), d.Cp);
        rmsnorm_forward(rows, d, net->inverse_C, AT(layer->x_mid, d.Cp), AT(layer->x_norm2, d.Cp), layer->scale2 + from,
                        layer->slope2 + from);
        linear_forward(one_row, rows, d.C, d.Fp, AT(layer->x_norm2, d.Cp), d.Cp,
                       turned + layer_matrix(net, l, MLP_FC1)->turned, d.Fp, NULL, AT(layer->h, d.Fp), d.Fp);
        activation_forward(rows, d, AT(layer->relu, d.Fp), AT(layer->h, d.Fp));
        linear_forward(one_row, rows, d.F, d.Cp, AT(layer->h, d.Fp), d.Fp, turned + layer_matrix(net, l, MLP_FC2)->turned,
                       d.Cp, AT(layer->x_mid, d.Cp), AT(x_out, d.Cp), d.Cp);
    }
    linear_forward(one_row, rows, d.C, d.Vp, AT(work->x_out, d.Cp), d.Cp, turned + net->matrices[LM_HEAD].turned, d.Vp, NULL,
                   AT(work->logits, d.Vp), d.Vp);
}

/* Rows from..to, whole documents, from dlogits down to the gradient of x_embd in work->dx. */
INLINE void backward(Dims d, const Net *net, const Work *work, int from, int to) {
    const int rows = to - from;
    const real *w = net->weights.w;
    lm_head_backward_input(d, work, w + net->matrices[LM_HEAD].at, from, to, work->layers[d.L - 1].dx_out);
    for (int l = d.L - 1; l >= 0; l--) {
        Layer *layer = &work->layers[l];
        linear_backward_input(rows, d.C, d.Fp, AT(layer->dx_out, d.Cp), d.Cp, w + layer_matrix(net, l, MLP_FC2)->at, d.Fp,
                              AT(layer->dh, d.Fp), d.Fp);
        activation_backward(rows, d, AT(layer->relu, d.Fp), AT(layer->dh, d.Fp));
        linear_backward_input(rows, d.F, d.Cp, AT(layer->dh, d.Fp), d.Fp, w + layer_matrix(net, l, MLP_FC1)->at, d.Cp,
                              AT(work->dy, d.Cp), d.Cp);
        rmsnorm_backward(rows, d, net->inverse_C, AT(work->dy, d.Cp), AT(layer->x_mid, d.Cp), layer->scale2 + from,
                         layer->slope2 + from, AT(layer->dx_out, d.Cp), AT(layer->dx_mid, d.Cp));
        linear_backward_input(rows, d.C, d.Cp, AT(layer->dx_mid, d.Cp), d.Cp, w + layer_matrix(net, l, ATTN_WO)->at, d.Cp,
                              AT(work->d_attn, d.Cp), d.Cp);
        attention_backward(d, net, work, layer, from, to);
        qkv_backward_input(d, net, layer, w + layer_matrix(net, l, ATTN_WQ)->at, from, to, AT(work->dy, d.Cp));
        rmsnorm_backward(rows, d, net->inverse_C, AT(work->dy, d.Cp), AT(layer->x, d.Cp), layer->scale1 + from,
                         layer->slope1 + from, AT(layer->dx_mid, d.Cp), AT(l ? layer[-1].dx_out : work->dx, d.Cp));
    }
    rmsnorm_backward(rows, d, net->inverse_C, AT(work->dx, d.Cp), AT(work->x_embd, d.Cp), work->scale0 + from,
                     work->slope0 + from, NULL, AT(work->dx, d.Cp));
}

/* Standard sizes, with as many letters as names have, get code in which they are constants; everything else shares one.
From 64 on nearly all time goes into products, which have their own code: there it is the attention that gains. */
#define IF_SIZE(size, call)                                                                                            \
    if ((OWN_CODE || size == 16) && d.C == size && d.H == 4 && d.Vp == padded(27) && !d.relu2) {                       \
        d.C = size, d.H = 4, d.D = size / 4, d.F = 4 * size, d.Cp = padded(size), d.Fp = padded(4 * size);             \
        d.Vp = padded(27), d.relu2 = 0;                                                                                \
        call;                                                                                                          \
    } else
