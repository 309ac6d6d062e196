/* Copy parameters and moments between Python's flat buffers and the kernel's layout.

Python's buffers are flat float64 arrays; loading and storing convert to the kernel's precision and back. */

#pragma once
#include "adam.h"
#include "memory.h"
#include "transpose.h"

/* Consecutive elements of a row in Python's flat buffer that are also consecutive in the kernel's, where heads are
padded: a whole row, or one head's columns. */
typedef struct {
    size_t flat, ours;
    int count;
} Stretch;

INLINE Stretch stretch_at(const Net *net, const Matrix *matrix, int row, int column) {
    const int stored_row = matrix->head_rows ? in_heads(net->d, row) : row;
    const int stored_column = matrix->head_columns ? in_heads(net->d, column) : column;
    return (Stretch){matrix->flat_offset + (size_t)row * matrix->columns + column,
                     matrix->offset + (size_t)stored_row * matrix->stride + stored_column,
                     matrix->head_columns ? net->d.D : matrix->columns};
}

/* ours = flat / unit, and 0 in the padding, even if a diverged step has left something else there */
static void copy_in(const Net *net, const double *flat, double unit, real *ours) {
    memset(ours, 0, net->size * sizeof(real));
    for (int i = 0; i < net->num_matrices; i++) {
        const Matrix *matrix = &net->matrices[i];
        for (int r = 0; r < matrix->flat_rows; r++)
            for (int c = 0; c < matrix->columns;) {
                const Stretch s = stretch_at(net, matrix, r, c);
                if (unit == 1)
                    for (int j = 0; j < s.count; j++) ours[s.ours + j] = (real)flat[s.flat + j];
                else
                    for (int j = 0; j < s.count; j++) ours[s.ours + j] = (real)(flat[s.flat + j] / unit);
                c += s.count;
            }
    }
}

/* flat = ours * unit, or (add) flat += ours * unit */
static void copy_out(const Net *net, const real *ours, double unit, int add, double *flat) {
    for (int i = 0; i < net->num_matrices; i++) {
        const Matrix *matrix = &net->matrices[i];
        for (int r = 0; r < matrix->flat_rows; r++)
            for (int c = 0; c < matrix->columns;) {
                const Stretch s = stretch_at(net, matrix, r, c);
                if (add)
                    for (int j = 0; j < s.count; j++) flat[s.flat + j] += ours[s.ours + j] * unit;
                else
                    for (int j = 0; j < s.count; j++) flat[s.flat + j] = ours[s.ours + j] * unit;
                c += s.count;
            }
    }
}

/* Load the parameters, and the moments unless m and v are NULL. */
static void net_load(Net *net, const double *params, const double *m, const double *v) {
    copy_in(net, params, 1, net->weights.w);
    for (int i = LM_HEAD; i < net->num_matrices; i++)
        update_transposed(&net->matrices[i], net->weights, 0, net->matrices[i].rows, net->matrices[i].stride);
    if (m) copy_in(net, m, moment_unit1(&net->settings), net->m);
    if (v) copy_in(net, v, moment_unit2(&net->settings), net->v);
}

static void net_store(const Net *net, double *params, double *m, double *v) {
    copy_out(net, net->weights.w, 1, 0, params);
    copy_out(net, net->m, moment_unit1(&net->settings), 0, m);
    copy_out(net, net->v, moment_unit2(&net->settings), 0, v);
}

/* Take one Adam step on the flat buffers, and clear grads. The arithmetic is in the kernel's precision, so that the
results equal net_train's. */
static void net_update(const Net *net, double *params, double *grads, double *m, double *v, int64_t n, int64_t step,
                       double learning_rate) {
    const Adam a = adam_constants(&net->settings, step, learning_rate);
    real w[ADAM_BLOCK] __attribute__((aligned(64))), g[ADAM_BLOCK] __attribute__((aligned(64)));
    real first[ADAM_BLOCK] __attribute__((aligned(64))), second[ADAM_BLOCK] __attribute__((aligned(64)));
    const unsigned mode = flush_denormals();
    for (int64_t at = 0; at < n; at += ADAM_BLOCK) {
        const int count = n - at < ADAM_BLOCK ? (int)(n - at) : ADAM_BLOCK;
        for (int i = 0; i < padded(count); i++) {
            const int64_t j = at + (i < count ? i : 0); /* the padding repeats the first element */
            w[i] = (real)params[j], g[i] = (real)grads[j];
            first[i] = (real)(m[j] / moment_unit1(&net->settings)),
            second[i] = (real)(v[j] / moment_unit2(&net->settings));
        }
        adam_block(&a, padded(count), w, first, second, g);
        for (int i = 0; i < count; i++) {
            params[at + i] = w[i], grads[at + i] = 0;
            m[at + i] = first[i] * moment_unit1(&net->settings), v[at + i] = second[i] * moment_unit2(&net->settings);
        }
    }
    restore_denormals(mode);
}
