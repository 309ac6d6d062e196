/* Training steps on one or more threads: micro-batches, chunks of documents and barriers. */

#pragma once
#include "buffers.h"
#include "clip.h"
#include "losses.h"
#include "model.h"

/* Threads share a step in two ways. For forward and backward, each thread takes chunks of a few documents. For the
weight gradients and Adam, each thread takes rows of the matrices, and sums over all documents: no gradient is stored,
sums keep their order, and results do not depend on the number of threads. A batch with more rows than
net->micro_batch_rows is computed as several micro-batches. */

/* The state that the threads of one call share. All threads go through the same steps, synchronized by barriers. */
typedef struct {
    Net *net;
    Documents documents;
    const int32_t *batch_sizes;
    const double *learning_rates;
    double weight; /* each document's weight; 0 means 1 / batch size */
    int part;      /* documents whose losses are added before they are weighted; 0: all of a batch */
    double *losses;
    int64_t step;
    int steps;
    double deadline;
    /* the current step; each array of starts has an extra entry for the end */
    size_t *token_at; /* the start of each document in documents.tokens */
    int32_t *row_at;  /* each document's first row in the workspace */
    double *document_losses;
    int32_t *chunk_at;       /* each chunk's first document */
    int32_t *micro_batch_at; /* each micro-batch's first chunk */
    int32_t *ends;           /* each gradient sum's end row: one per chunk (exact) or micro-batch (float32) */
    size_t tokens_done, documents_done;
    double work_since_clock; /* multiplications since the clock was last read */
    Squares *squares;        /* with clipping: each task's sum of squares of the gradient */
    int accumulate;          /* backward, exact: add to the gradient in net->grads */
    int done, stop, batch, chunks, micro_batches;
    Tasks tasks;
    atomic_int arrived, generation;
} Run;

/* Wait for all threads, then start counting tasks from 0 again. */
static void barrier(Run *run) {
    if (run->tasks.threads == 1) {
        atomic_store_explicit(&run->tasks.next, 0, memory_order_relaxed);
        return;
    }
#ifndef __wasm__
    const int generation = atomic_load_explicit(&run->generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&run->arrived, 1, memory_order_acq_rel) == run->tasks.threads - 1) {
        atomic_store_explicit(&run->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&run->tasks.next, 0, memory_order_relaxed);
        atomic_store_explicit(&run->generation, generation + 1, memory_order_release);
        return;
    }
    /* After a long wait, sleep instead of spinning or yielding: the scheduler puts a thread that wakes up on an idle
    core, while a thread that only yields may share a core with another thread permanently. */
    const struct timespec microsecond = {0, 1000};
    for (int spins = 0; atomic_load_explicit(&run->generation, memory_order_acquire) == generation; spins++)
        if (spins > 200000) nanosleep(&microsecond, NULL);
#endif
}

/* Lay out the next batch as chunks and micro-batches, or stop when the steps are done or the time is up. */
static void plan_step(Run *run) {
    const Net *net = run->net;
    run->stop = run->done == run->steps;
    if (run->stop) return;
    if (run->work_since_clock > 2e7) { /* every few milliseconds, because reading the clock takes time too */
        run->work_since_clock = 0;
        run->stop = monotonic_seconds() > run->deadline;
        if (run->stop) return;
    }
    run->batch = run->batch_sizes[run->done];
    const int32_t *lengths = run->documents.lengths + run->documents_done;
    const int chunk_rows = max_chunk_rows(run->tasks.threads);
    int row = 0, chunk_start = 0;
    run->chunks = run->micro_batches = 0;
    run->token_at[0] = run->tokens_done;
    for (int i = 0; i < run->batch; i++) {
        const int n = num_positions(net, lengths[i]);
        run->token_at[i + 1] = run->token_at[i] + lengths[i];
        if (i == 0 || row + n > net->micro_batch_rows)
            run->micro_batch_at[run->micro_batches++] = run->chunks, row = chunk_start = 0;
        if (row == 0 || EXACT || row + n - chunk_start > chunk_rows)
            run->chunk_at[run->chunks++] = i, chunk_start = row;
        run->row_at[i] = row;
        run->ends[(EXACT ? run->chunks : run->micro_batches) - 1] = row += n;
        run->work_since_clock += (double)n * net->size;
    }
    run->work_since_clock += net->size;
    run->chunk_at[run->chunks] = run->batch;
    run->micro_batch_at[run->micro_batches] = run->chunks;
    run->tokens_done = run->token_at[run->batch];
    run->documents_done += run->batch;
}

/* Fill in the rows of a document. */
static void fill_rows(const Run *run, int document) {
    const Workspace *work = &run->net->work;
    const double weight = run->weight ? run->weight : 1.0 / run->batch;
    const int n = num_positions(run->net, (int32_t)(run->token_at[document + 1] - run->token_at[document]));
    const int first = run->row_at[document];
    fill_tokens(work, first, n, run->documents.tokens + run->token_at[document]);
    for (int t = 0; t < n; t++) work->dloss[first + t] = (real)(1.0 / n * weight);
}

/* Run forward and backward over a chunk of documents, and write their losses. */
INLINE void chunk_pass(Dims d, const Run *run, int chunk) {
    const Net *net = run->net;
    const Workspace *work = &net->work;
    const int first = run->chunk_at[chunk], last = run->chunk_at[chunk + 1] - 1;
    const int from = run->row_at[first];
    const int to = run->row_at[last] + num_positions(net, (int32_t)(run->token_at[last + 1] - run->token_at[last]));
    for (int i = first; i <= last; i++) fill_rows(run, i);
    embedding_forward(d, net->weights.w + net->matrices[WTE].offset, net->weights.w + net->matrices[WPE].offset, work,
                      from, to);
    forward(d, net, net->weights, work, from, to, 0);
    cross_entropy(d, work, from, to);
    backward(d, net, work, from, to);
    for (int i = first; i <= last; i++) {
        const int row = run->row_at[i], n = (i < last ? run->row_at[i + 1] : to) - row;
        run->document_losses[i] = sum_nll(work, row, n) * (1.0 / n);
    }
}

NOINLINE void chunk_pass_specialized(const Run *run, int chunk) {
    Dims d = run->net->d;
    IF_SIZE(16, chunk_pass(d, run, chunk)) IF_SIZE(64, chunk_pass(d, run, chunk)) chunk_pass(d, run, chunk);
}

NOINLINE void weights_backward_specialized(const Gradient *gradient, Tasks *tasks) {
    Dims d = gradient->net->d;
    IF_SIZE(16, weights_backward(d, gradient, tasks)) weights_backward(d, gradient, tasks);
}

/* Return the current batch's loss, summed from left to right. */
static double batch_loss(const Run *run) {
    const double weight = run->weight ? run->weight : 1.0 / run->batch;
    double loss = 0;
    for (int i = 0; i < run->batch;) {
        const int end = run->part && run->part < run->batch - i ? i + run->part : run->batch;
        double sum = 0;
        for (; i < end; i++) sum += run->document_losses[i];
        loss += sum * weight;
    }
    return loss;
}

/* Compute one thread's share of the current step. Returns the loss; if it is not finite, nothing is updated. */
static double run_step(Run *run) {
    const Net *net = run->net;
    double loss = 0;
    for (int micro_batch = 0, micro_batches = run->micro_batches; micro_batch < micro_batches; micro_batch++) {
        const int first = run->micro_batch_at[micro_batch], chunks = run->micro_batch_at[micro_batch + 1] - first;
        for (int chunk = take_task(&run->tasks); chunk < chunks; chunk = take_task(&run->tasks))
            chunk_pass_specialized(run, first + chunk);
        barrier(run);
        Gradient gradient = {net, NULL, micro_batch > 0 || run->accumulate, EXACT ? chunks : 1,
                             run->ends + (EXACT ? first : micro_batch)};
        const int is_last = micro_batch == micro_batches - 1, updates = is_last && run->learning_rates;
        Adam a;
        if (is_last) loss = batch_loss(run);
        if (updates) a = adam_constants(&net->settings, run->step + run->done + 1, run->learning_rates[run->done]);
        if (updates && !run->squares) gradient.adam = &a;
        if (!updates || isfinite(loss)) weights_backward_specialized(&gradient, &run->tasks);
        barrier(run);
        if (updates && run->squares && isfinite(loss)) {
            sum_gradient_squares(net, &run->tasks, run->squares);
            barrier(run);
            clipped_adam(net, &run->tasks, &a, run->squares, net->settings.clip);
            barrier(run);
        }
    }
    return loss;
}

/* Compute one thread's share of all steps. A loss that is not finite stops the run. */
static void run_steps(Run *run, int thread) {
    const unsigned mode = flush_denormals();
    for (;;) {
        if (thread == 0) plan_step(run);
        barrier(run);
        if (run->stop) break;
        const double loss = run_step(run);
        if (thread == 0) {
            run->losses[run->done++] = loss;
            if (!isfinite(loss)) run->steps = run->done;
        }
    }
    restore_denormals(mode);
}

#ifndef __wasm__
typedef struct {
    Run *run;
    int thread;
    pthread_t id;
} Worker;

static void *worker_main(void *worker) {
    run_steps(((Worker *)worker)->run, ((Worker *)worker)->thread);
    return NULL;
}
#endif

/* Return the number of rows in the largest micro-batch of all steps. */
static int max_micro_batch_rows(const Net *net, const Run *run) {
    const int32_t *lengths = run->documents.lengths;
    int max = 0;
    for (int step = 0; step < run->steps; step++)
        for (int i = 0, row = 0; i < run->batch_sizes[step]; i++, lengths++) {
            const int n = num_positions(net, *lengths);
            row = row + n > net->micro_batch_rows ? n : row + n;
            if (row > max) max = row;
        }
    return max;
}

/* Allocate at least `rows` rows in net->work. Returns 0 if out of memory. */
static int reserve_rows(Net *net, int rows) {
    if (rows <= net->capacity) return 1;
    release(net->work.memory);
    net->capacity = open_work(net->d, &net->work, rows, TRAINING) ? rows : 0;
    return net->capacity > 0;
}

/* Run the steps on as many threads as can be started. Returns the number of steps completed, or -1 if out of memory. */
static int run_threads(Run *run) {
    int largest_batch = 0;
    for (int i = 0; i < run->steps; i++)
        if (run->batch_sizes[i] > largest_batch) largest_batch = run->batch_sizes[i];
    const size_t count = largest_batch + 1;
    run->token_at = allocate(count * sizeof(size_t));
    run->document_losses = allocate(count * sizeof(double));
    run->row_at = allocate(4 * count * sizeof(int32_t));
    const int clips = run->learning_rates && run->net->settings.clip > 0;
    if (clips) run->squares = allocate(num_clip_tasks(run->net) * sizeof(Squares));
    run->tasks.threads = 1;
    if (!run->token_at || !run->row_at || !run->document_losses || (clips && !run->squares) ||
        !reserve_rows(run->net, max_micro_batch_rows(run->net, run))) {
        run->done = -1;
    } else {
        run->chunk_at = run->row_at + count, run->micro_batch_at = run->chunk_at + count,
        run->ends = run->micro_batch_at + count;
#ifndef __wasm__
        const int wanted = largest_batch > 1 ? run->net->settings.threads : 1;
        Worker workers[wanted];
        for (int i = 1; i < wanted; i++) workers[i] = (Worker){run, i, 0};
        run->tasks.threads = wanted;
        for (int i = 1; i < wanted; i++)
            if (pthread_create(&workers[i].id, NULL, worker_main, &workers[i])) {
                run->tasks.threads = i;
                break;
            }
        run_steps(run, 0);
        for (int i = 1; i < run->tasks.threads; i++) pthread_join(workers[i].id, NULL);
#else
        run_steps(run, 0);
#endif
    }
    release(run->token_at), release(run->row_at), release(run->document_losses), release(run->squares);
    return run->done;
}

/* Add one batch's gradient to grads. Returns 0 if out of memory. */
static int net_backward(Net *net, double *grads, Documents documents, int batch, double weight, double *loss) {
    const int32_t batch_sizes[1] = {batch};
    Run run = {
        .net = net, .documents = documents, .batch_sizes = batch_sizes, .weight = weight, .losses = loss, .steps = 1};
    run.accumulate = EXACT; /* exact sums continue from grads; other sums start from 0 and are added in float64 */
    if (EXACT) copy_in(net, grads, 1, net->grads);
    if (run_threads(&run) < 0) return 0;
    copy_out(net, net->grads, 1, !EXACT, grads);
    return 1;
}

/* Train for as many steps as fit into `seconds`, but at least one. step: the number of steps already completed. part: a
batch's loss is the sum of the losses of this many documents at a time; 0: of all of them. Returns the number of steps
completed by this call, or -1 if out of memory. */
static int net_train(Net *net, Documents documents, const int32_t *batch_sizes, const double *learning_rates, int part,
                     int64_t step, int steps, double seconds, double *losses) {
    Run run = {.net = net,
               .documents = documents,
               .batch_sizes = batch_sizes,
               .learning_rates = learning_rates,
               .part = part,
               .losses = losses,
               .step = step,
               .steps = steps,
               .deadline = monotonic_seconds() + seconds};
    return run_threads(&run);
}

/* Scale grads down if their norm exceeds max_norm. Returns the norm before, or -1 if out of memory. */
static double net_clip(Net *net, double *grads, double max_norm) {
    Tasks tasks = {.threads = 1};
    const int count = num_clip_tasks(net);
    Squares *squares = allocate(count * sizeof(Squares));
    if (!squares) return -1;
    copy_in(net, grads, 1, net->grads);
    sum_gradient_squares(net, &tasks, squares);
    const double norm = sqrt(total_squares(net, squares, count));
    if (norm > max_norm)
        for (size_t i = 0; i < net->flat_size; i++) grads[i] *= max_norm / norm;
    release(squares);
    return norm;
}
