/* The MLP's activations, forward and backward. */

#pragma once
#include "exact.h"
#include "fast.h"
#include "layout.h"

/* In the same order as the table in microgpt/activations.py. */
enum { RELU, RELU2 };

INLINE vec square(vec x) {
#if EXACT
    for (int j = 0; j < LANES; j++) x[j] = pow_2(x[j]);
    return x;
#else
    return x * x;
#endif
}

/* h -> activation(h), in place. saved: relu(h), which backward needs; for RELU it is the same buffer as h. */
INLINE void activation_forward(int rows, Dims d, real *saved, real *h) {
    for (int i = 0; i < rows * d.Fp; i += LANES) {
        const vec x = vector_max(load(h + i), broadcast(0));
        store(saved + i, x);
        if (d.activation == RELU2) store(h + i, square(x));
    }
}

/* Turn dh, the gradient of the activation's output, into the gradient of its input, in place. */
INLINE void activation_backward(int rows, Dims d, const real *saved, real *dh) {
    for (int i = 0; i < rows * d.Fp; i += LANES) {
        const vec x = load(saved + i);
        vec dx = load(dh + i);
        if (d.activation == RELU2) dx = (2 * x) * dx;
#if EXACT /* a product, because the reference's 0 * inf is nan */
        store(dh + i, mask_positive(x, broadcast(1)) * dx);
#else
        store(dh + i, mask_positive(x, dx));
#endif
    }
}
