/* The losses of many documents: a forward pass without gradients, divided among threads by document. */

#pragma once
#ifndef __wasm__
#include <pthread.h>
#include <time.h>
#endif
#include "gradients.h"
#include "memory.h"
#include "model.h"

static double monotonic_seconds(void) {
#ifdef __wasm__
    return 0;
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
#endif
}

/* Return the number of tokens predicted in a document; it is at most 0 for a document of fewer than two tokens. */
static int num_positions(const Net *net, int32_t length) { return length - 1 < net->d.T ? length - 1 : net->d.T; }

/* Return the maximum number of rows in a chunk of several documents; smaller chunks balance the load among threads. */
static int max_chunk_rows(int threads) { return threads == 1 ? MICRO_BATCH_ROWS : MICRO_BATCH_ROWS / 4; }

/* Fill in the n rows of a document, which start at row `first`. */
static void fill_tokens(const Workspace *work, int first, int n, const int32_t *tokens) {
    for (int t = 0; t < n; t++) {
        work->token[first + t] = tokens[t], work->target[first + t] = tokens[t + 1];
        work->position[first + t] = t, work->first[first + t] = first;
    }
}

/* Return the sum of nll over n rows. float32 also adds the rows' log(exp_sum), as the logarithm of a product, because
one logarithm then serves many rows. */
INLINE double sum_nll(const Workspace *work, int row, int n) {
    double sum = work->nll[row];
    for (int r = row + 1; r < row + n; r++) sum += work->nll[r];
#if !EXACT
    double product = 1;
    for (int r = row; r < row + n; r++) {
        product *= work->exp_sum[r]; /* between about 1 and 1e100 */
        if (product > 1e200) sum += log(product), product = 1;
    }
    sum += log(product);
#endif
    return sum;
}

/* The state that the threads of one call share. A chunk is a few documents, which one thread computes together; no result
depends on which documents share a chunk, so none depends on the number of threads. */
typedef struct {
    const Net *net;
    Documents documents;
    double *losses;
    int32_t *chunk_at; /* each chunk's first document, with an extra entry for the end */
    size_t *token_at;  /* the start of each chunk in documents.tokens */
    int chunks, rows;  /* rows: in the largest chunk */
    double deadline;
    Tasks tasks;
} LossPass;

/* Divide the documents into chunks of at most chunk_rows rows; a longer document is a chunk by itself. */
static void plan_losses(LossPass *pass, int documents, int chunk_rows) {
    size_t token = 0;
    for (int i = 0, rows = 0; i < documents; i++) {
        const int32_t length = pass->documents.lengths[i];
        const int n = length > 1 ? num_positions(pass->net, length) : 0;
        if (i == 0 || rows + n > chunk_rows)
            pass->token_at[pass->chunks] = token, pass->chunk_at[pass->chunks++] = i, rows = 0;
        rows += n, token += length;
        if (rows > pass->rows) pass->rows = rows;
    }
    pass->chunk_at[pass->chunks] = documents;
}

/* Write the losses of a chunk's documents. */
INLINE void chunk_losses(Dims d, const LossPass *pass, const Workspace *work, int chunk) {
    const Net *net = pass->net;
    const real *w = net->weights.w;
    const int32_t *tokens = pass->documents.tokens + pass->token_at[chunk], *lengths = pass->documents.lengths;
    const int from = pass->chunk_at[chunk], to = pass->chunk_at[chunk + 1];
    int rows = 0;
    for (int i = from; i < to; tokens += lengths[i++]) {
        const int n = num_positions(net, lengths[i]);
        if (n > 0) fill_tokens(work, rows, n, tokens), rows += n;
    }
    embedding_forward(d, w + net->matrices[WTE].offset, w + net->matrices[WPE].offset, work, 0, rows);
    forward(d, net, net->weights, work, 0, rows, 0);
    for (int r = 0; r < rows; r++) {
        real *z = work->logits + (ptrdiff_t)r * d.Vp;
#if EXACT
        work->nll[r] = row_loss(d, z, work->target[r]);
#else
        vec sums;
        work->nll[r] = row_exps(d, z, work->target[r], z, &sums);
        work->exp_sum[r] = sums[0];
#endif
    }
    for (int i = from, row = 0; i < to; i++) {
        const int n = num_positions(net, lengths[i]);
        pass->losses[i] = n > 0 ? sum_nll(work, row, n) : 0;
        if (n > 0) row += n;
    }
}

NOINLINE void chunk_losses_specialized(const LossPass *pass, const Workspace *work, int chunk) {
    Dims d = pass->net->d;
    IF_SIZE(16, chunk_losses(d, pass, work, chunk)) chunk_losses(d, pass, work, chunk);
}

/* Compute one thread's share: at least one chunk, and no new one after the deadline. Returns 0 if out of memory. */
static int compute_losses(LossPass *pass) {
    Workspace work;
    if (!open_work(pass->net->d, &work, pass->rows, LOSSES)) return 0;
    const unsigned mode = flush_denormals();
    do {
        const int chunk = take_task(&pass->tasks);
        if (chunk >= pass->chunks) break;
        chunk_losses_specialized(pass, &work, chunk);
    } while (monotonic_seconds() <= pass->deadline);
    restore_denormals(mode);
    release(work.memory);
    return 1;
}

#ifndef __wasm__
static void *losses_main(void *pass) { /* a thread without memory leaves its share to the others */
    compute_losses(pass);
    return NULL;
}
#endif

/* Write the loss of each document, summed over its predicted tokens, in nats, for as many documents as fit into `seconds`;
at least one. A document of fewer than two tokens has the loss 0. Changes nothing in the net. Returns the number of
documents completed, or -1 if out of memory. */
static int net_losses(const Net *net, Documents documents, int count, double seconds, double *losses) {
    LossPass pass = {
        .net = net, .documents = documents, .losses = losses, .deadline = monotonic_seconds() + seconds};
    pass.chunk_at = allocate((count + (uint64_t)1) * sizeof(int32_t));
    pass.token_at = allocate((count + (uint64_t)1) * sizeof(size_t));
    int ok = pass.chunk_at && pass.token_at;
    if (ok) {
        plan_losses(&pass, count, max_chunk_rows(net->settings.threads));
        pass.tasks.threads = 1;
#ifndef __wasm__
        const int wanted = pass.chunks < net->settings.threads ? pass.chunks : net->settings.threads;
        pthread_t helpers[wanted + 1];
        int started = 0;
        if (wanted > 1) pass.tasks.threads = wanted;
        while (started < wanted - 1 && !pthread_create(&helpers[started], NULL, losses_main, &pass)) started++;
        ok = compute_losses(&pass);
        while (started > 0) pthread_join(helpers[--started], NULL);
#else
        ok = compute_losses(&pass);
#endif
    }
    const int next = atomic_load_explicit(&pass.tasks.next, memory_order_relaxed); /* every chunk taken is complete */
    const int done = ok ? pass.chunk_at[next < pass.chunks ? next : pass.chunks] : -1;
    release(pass.chunk_at), release(pass.token_at);
    return done;
}
