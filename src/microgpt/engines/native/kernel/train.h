/* Training steps, on one thread or several. */

#pragma once
#ifndef __wasm__
#include <pthread.h>
#include <time.h>
#endif
#include "buffers.h"
#include "gradients.h"
#include "model.h"

/* Threads share a step in two ways: forward and backward they take units, a few documents each; the weights' gradients
and Adam they take by rows of the matrices, each over all documents, so that no gradient is stored, sums keep their order,
and the number of threads changes no number. A batch of more rows than net->wave_rows is computed in several waves. */

/* What the threads of one call share. Each walks through the same steps; barriers keep them together. */
typedef struct {
    Net *net;
    Documents documents;
    const int32_t *batch_sizes;
    const double *learning_rates;
    double weight; /* backward: 1 / total; train: 0, for 1 / the size of the batch */
    double *losses;
    int64_t step;
    int steps;
    double deadline;
    /* of the step at hand */
    size_t *token_at; /* where the documents of the batch start; one more for the end */
    int32_t *row_at;  /* their first rows in the work; one more for the end */
    double *document_losses;
    int32_t *unit_at; /* the first document of each unit; one more for the end */
    int32_t *wave_at; /* the first unit of each wave; one more for the end */
    int32_t *ends;    /* the last row of each sum of gradients, plus 1: of each unit (exact), of each wave (float32) */
    size_t tokens_done, documents_done;
    double work_since_look;
    int begun; /* backward: net->grads holds what the gradient is added to */
    int done, stop, batch, units, waves;
    Tickets tickets;
    atomic_int arrived, generation;
} Run;

static double seconds_now(void) {
#ifdef __wasm__
    return 0;
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
#endif
}

/* No thread goes on before all are here; then tickets are drawn anew. */
static void barrier(Run *run) {
    if (run->tickets.threads == 1) {
        atomic_store_explicit(&run->tickets.next, 0, memory_order_relaxed);
        return;
    }
#ifndef __wasm__
    const int generation = atomic_load_explicit(&run->generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&run->arrived, 1, memory_order_acq_rel) == run->tickets.threads - 1) {
        atomic_store_explicit(&run->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&run->tickets.next, 0, memory_order_relaxed);
        atomic_store_explicit(&run->generation, generation + 1, memory_order_release);
        return;
    }
    /* Whoever has waited for long sleeps a moment: a thread that wakes is put on an idle core, where one that only yields may
    share a core with the other for good. */
    const struct timespec moment = {0, 1000};
    for (int spins = 0; atomic_load_explicit(&run->generation, memory_order_acquire) == generation; spins++)
        if (spins > 200000) nanosleep(&moment, NULL);
#endif
}

static int positions_of(const Net *net, int32_t length) { return length - 1 < net->d.T ? length - 1 : net->d.T; }

/* The next batch: its documents, units and waves; or stop, where the steps or the time are over. */
static void plan(Run *run) {
    const Net *net = run->net;
    run->stop = run->done == run->steps;
    if (run->stop) return;
    if (run->work_since_look > 2e7) { /* multiplications: some milliseconds; looking at the clock costs time too */
        run->work_since_look = 0;
        run->stop = seconds_now() > run->deadline;
        if (run->stop) return;
    }
    run->batch = run->batch_sizes[run->done];
    const int32_t *lengths = run->documents.lengths + run->documents_done;
    const int unit_rows = run->tickets.threads == 1 ? WAVE_ROWS : WAVE_ROWS / 4; /* small ones end at about the same time */
    int row = 0, unit_start = 0;
    run->units = run->waves = 0;
    run->token_at[0] = run->tokens_done;
    for (int i = 0; i < run->batch; i++) {
        const int n = positions_of(net, lengths[i]);
        run->token_at[i + 1] = run->token_at[i] + lengths[i];
        if (i == 0 || row + n > net->wave_rows) run->wave_at[run->waves++] = run->units, row = unit_start = 0;
        if (row == 0 || EXACT || row + n - unit_start > unit_rows) run->unit_at[run->units++] = i, unit_start = row;
        run->row_at[i] = row;
        run->ends[(EXACT ? run->units : run->waves) - 1] = row += n;
        run->work_since_look += (double)n * net->size;
    }
    run->work_since_look += net->size;
    run->unit_at[run->units] = run->batch;
    run->wave_at[run->waves] = run->units;
    run->tokens_done = run->token_at[run->batch];
    run->documents_done += run->batch;
}

/* The rows of a document. */
static void set_rows(const Run *run, int document) {
    const Work *work = &run->net->work;
    const double weight = run->weight ? run->weight : 1.0 / run->batch;
    const int32_t *tokens = run->documents.tokens + run->token_at[document];
    const int n = positions_of(run->net, (int32_t)(run->token_at[document + 1] - run->token_at[document]));
    for (int t = 0, first = run->row_at[document]; t < n; t++) {
        work->token[first + t] = tokens[t], work->target[first + t] = tokens[t + 1];
        work->position[first + t] = t, work->first[first + t] = first;
        work->dloss[first + t] = (real)(1.0 / n * weight);
    }
}

/* -log p of n rows from `row` on, added up. */
INLINE double surprise_of_rows(const Work *work, int row, int n) {
    double sum = work->surprise[row];
    for (int r = row + 1; r < row + n; r++) sum += work->surprise[r];
#if !EXACT
    double product = 1;
    for (int r = row; r < row + n; r++) {
        product *= work->total[r]; /* at least about 1, and far below 1e100 */
        if (product > 1e200) sum += log(product), product = 1;
    }
    sum += log(product);
#endif
    return sum;
}

/* Forward and backward over a unit; its documents' losses. */
INLINE void unit_pass(Dims d, const Run *run, int unit) {
    const Net *net = run->net;
    const Work *work = &net->work;
    const int first = run->unit_at[unit], last = run->unit_at[unit + 1] - 1;
    const int from = run->row_at[first];
    const int to = run->row_at[last] + positions_of(net, (int32_t)(run->token_at[last + 1] - run->token_at[last]));
    for (int i = first; i <= last; i++) set_rows(run, i);
    embedding_forward(d, net->weights.w + net->matrices[WTE].at, net->weights.w + net->matrices[WPE].at, work, from, to);
    forward(d, net, net->weights, work, from, to, 0);
    cross_entropy(d, work, from, to);
    backward(d, net, work, from, to);
    for (int i = first; i <= last; i++) {
        const int row = run->row_at[i], n = (i < last ? run->row_at[i + 1] : to) - row;
        run->document_losses[i] = surprise_of_rows(work, row, n) * (1.0 / n);
    }
}

NOINLINE void unit_pass_any(const Run *run, int unit) {
    Dims d = run->net->d;
    IF_SIZE(16, unit_pass(d, run, unit)) IF_SIZE(64, unit_pass(d, run, unit)) unit_pass(d, run, unit);
}

NOINLINE void weights_backward_any(const Gradient *gradient, Tickets *tickets) {
    Dims d = gradient->net->d;
    IF_SIZE(16, weights_backward(d, gradient, tickets)) weights_backward(d, gradient, tickets);
}

/* The loss of the batch at hand: a sum from left to right. */
static double batch_loss(const Run *run) {
    double loss = 0;
    for (int i = 0; i < run->batch; i++) loss += run->document_losses[i];
    return loss * (run->weight ? run->weight : 1.0 / run->batch);
}

/* The step at hand: one thread's share of it. Returns the loss; where it is not finite, there is no update. */
static double run_step(Run *run) {
    const Net *net = run->net;
    double loss = 0;
    for (int wave = 0, waves = run->waves; wave < waves; wave++) {
        const int first = run->wave_at[wave], units = run->wave_at[wave + 1] - first;
        for (int unit = draw(&run->tickets); unit < units; unit = draw(&run->tickets)) unit_pass_any(run, first + unit);
        barrier(run);
        Gradient gradient = {net, NULL, wave > 0 || run->begun, EXACT ? units : 1, run->ends + (EXACT ? first : wave)};
        Adam a;
        if (wave == waves - 1) {
            loss = batch_loss(run);
            if (run->learning_rates) {
                a = adam_of_step(&net->settings, run->step + run->done + 1, run->learning_rates[run->done]);
                gradient.adam = &a;
            }
        }
        if (!gradient.adam || isfinite(loss)) weights_backward_any(&gradient, &run->tickets);
        barrier(run);
    }
    return loss;
}

/* A loss that is not finite ends the run. */
static void run_steps(Run *run, int thread) {
    const unsigned mode = flush_denormals();
    for (;;) {
        if (thread == 0) plan(run);
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
} Helper;

static void *helper_main(void *helper) {
    run_steps(((Helper *)helper)->run, ((Helper *)helper)->thread);
    return NULL;
}
#endif

/* How many rows the largest wave of the steps has. */
static int rows_of_waves(const Net *net, const Run *run) {
    const int32_t *lengths = run->documents.lengths;
    int most = 0;
    for (int step = 0; step < run->steps; step++)
        for (int i = 0, row = 0; i < run->batch_sizes[step]; i++, lengths++) {
            const int n = positions_of(net, *lengths);
            row = row + n > net->wave_rows ? n : row + n;
            if (row > most) most = row;
        }
    return most;
}

/* Room for so many rows in net->work; 0 where memory is out. */
static int make_room(Net *net, int rows) {
    if (rows <= net->capacity) return 1;
    release(net->work.memory);
    net->capacity = open_work(net->d, &net->work, rows, 1) ? rows : 0;
    return net->capacity > 0;
}

/* Runs the steps on as many threads as could be started; returns how many were done, or -1 where memory is out. */
static int run_all(Run *run) {
    int largest_batch = 0;
    for (int i = 0; i < run->steps; i++)
        if (run->batch_sizes[i] > largest_batch) largest_batch = run->batch_sizes[i];
    const size_t count = largest_batch + 1;
    run->token_at = allocate(count * sizeof(size_t));
    run->document_losses = allocate(count * sizeof(double));
    run->row_at = allocate(4 * count * sizeof(int32_t));
    run->tickets.threads = 1;
    if (!run->token_at || !run->row_at || !run->document_losses || !make_room(run->net, rows_of_waves(run->net, run))) {
        run->done = -1;
    } else {
        run->unit_at = run->row_at + count, run->wave_at = run->unit_at + count, run->ends = run->wave_at + count;
#ifndef __wasm__
        const int wanted = largest_batch > 1 ? run->net->settings.threads : 1;
        Helper helpers[wanted];
        for (int i = 1; i < wanted; i++) helpers[i] = (Helper){run, i, 0};
        run->tickets.threads = wanted;
        for (int i = 1; i < wanted; i++)
            if (pthread_create(&helpers[i].id, NULL, helper_main, &helpers[i])) {
                run->tickets.threads = i;
                break;
            }
        run_steps(run, 0);
        for (int i = 1; i < run->tickets.threads; i++) pthread_join(helpers[i].id, NULL);
#else
        run_steps(run, 0);
#endif
    }
    release(run->token_at), release(run->row_at), release(run->document_losses);
    return run->done;
}

/* The gradient of one batch, added to grads; 0 where memory is out. */
static int net_backward(Net *net, double *grads, Documents documents, int batch, double weight, double *loss) {
    const int32_t batch_sizes[1] = {batch};
    Run run = {.net = net, .documents = documents, .batch_sizes = batch_sizes, .weight = weight, .losses = loss, .steps = 1};
    run.begun = EXACT; /* float64 sums go on where they stood; float32 ones start from 0 and are added in float64 */
    if (EXACT) copy_in(net, grads, 1, net->grads);
    if (run_all(&run) < 0) return 0;
    for (int i = 0; i < net->num_matrices; i++) {
        const Matrix *matrix = &net->matrices[i];
        for (int r = 0; r < matrix->rows; r++)
            for (int c = 0; c < matrix->columns; c++) {
                const real ours = net->grads[matrix->at + (size_t)r * matrix->stride + c];
                double *sum = grads + matrix->flat + (size_t)r * matrix->columns + c;
                *sum = EXACT ? ours : *sum + ours;
            }
    }
    return 1;
}

/* As many of the steps as there is time for; returns how many, -1 where memory is out. step: how many were made before. */
static int net_train(Net *net, Documents documents, const int32_t *batch_sizes, const double *learning_rates, int64_t step,
                     int steps, double seconds, double *losses) {
    Run run = {.net = net, .documents = documents, .batch_sizes = batch_sizes, .learning_rates = learning_rates,
               .losses = losses, .step = step, .steps = steps, .deadline = seconds_now() + seconds};
    return run_all(&run);
}
