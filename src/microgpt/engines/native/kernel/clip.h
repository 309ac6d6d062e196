/* Gradient clipping: scale the gradient down to a maximum norm before Adam uses it.

The norm needs the gradient of all parameters, so the gradient is stored first (gradients.h). Then the threads share two
passes over it: the sum of its squares, and Adam with the scaled gradient. */

#pragma once
#include "gradients.h"

/* A sum of squares: high + low, whose error is far below an ulp of high (exact), or high alone. */
typedef struct {
    double high, low;
} Squares;

#if EXACT
/* Add x to the sum; low collects the rounding errors (TwoSum, Knuth). */
INLINE void add_square(Squares *sum, double x) {
    const double high = sum->high + x, rest = high - sum->high;
    sum->low += (sum->high - (high - rest)) + (x - rest);
    sum->high = high;
}

/* Return the sum of squares of n elements; n is a multiple of LANES. */
static Squares sum_squares(const real *x, size_t n) {
    vec high[4] = {{0}}, low[4] = {{0}};
    for (size_t i = 0; i < n; i += LANES) {
        const size_t k = i / LANES % 4;
        const vec square = load(x + i) * load(x + i), sum = high[k] + square, rest = sum - high[k];
        low[k] += (high[k] - (sum - rest)) + (square - rest);
        high[k] = sum;
    }
    Squares total = {0, 0};
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < LANES; i++) add_square(&total, high[k][i]), total.low += low[k][i];
    return total;
}

/* Add a number to an exact sum, kept as the sum of a few numbers that do not overlap, in ascending order (Shewchuk
1997; Python's math.fsum). Returns how many there are now. */
static int add_exactly(double *parts, int count, double x) {
    int kept = 0;
    for (int i = 0; i < count; i++) {
        const double y = parts[i], sum = x + y, rest = sum - x, error = (x - (sum - rest)) + (y - rest);
        if (error != 0) parts[kept++] = error;
        x = sum;
    }
    parts[kept++] = x;
    return kept;
}

/* Return the correctly rounded sum of the gradient's squares, by exact addition: slow. */
static double exact_sum_squares(const Net *net) {
    double parts[64] = {0}; /* 53 bits each cover all of float64's 2,098 bits */
    int count = 1;
    for (size_t i = 0; i < net->size && isfinite(parts[count - 1]); i++)
        if (net->grads[i] != 0) count = add_exactly(parts, count, net->grads[i] * net->grads[i]);
    if (!isfinite(parts[count - 1])) return INFINITY;
    double sum = parts[--count], error = 0;
    while (count > 0 && error == 0) {
        const double above = sum;
        sum = above + parts[--count];
        error = parts[count] - (sum - above);
    }
    /* the sum was rounded at a tie to the even neighbor, but the remaining numbers break the tie */
    if (count > 0 && error != 0 && (error < 0) == (parts[count - 1] < 0)) {
        const double doubled = 2 * error, other = sum + doubled;
        if (other - sum == doubled) sum = other;
    }
    return sum;
}

/* Return the sum of all tasks' sums, correctly rounded. */
static double total_squares(const Net *net, const Squares *sums, int count) {
    Squares total = {0, 0};
    for (int i = 0; i < count; i++) add_square(&total, sums[i].high), total.low += sums[i].low;
    if (!isfinite(total.high)) return total.high;
    if (!isfinite(total.high + total.low)) return exact_sum_squares(net);
    const double sum = total.high + total.low, rest = (total.high - sum) + total.low;
    /* compensated summation's error bound (Ogita, Rump, Oishi 2005), doubled; if it could change the rounding: */
    const double u = 0x1p-53 * (double)net->size, bound = 2 * u * u * sum;
    return sum + (rest - bound) == sum && sum + (rest + bound) == sum ? sum : exact_sum_squares(net);
}
#else
static Squares sum_squares(const real *x, size_t n) {
    double sums[16] = {0}, total = 0;
    for (size_t i = 0; i < n; i += LANES)
        UNROLL for (int j = 0; j < LANES; j++) sums[j] += (double)x[i + j] * x[i + j];
    for (int j = 0; j < LANES; j++) total += sums[j];
    return (Squares){total, 0};
}

static double total_squares(const Net *net, const Squares *sums, int count) {
    double total = 0;
    (void)net;
    for (int i = 0; i < count; i++) total += sums[i].high;
    return total;
}
#endif

/* The parameters that one thread handles at a time: the embeddings, or up to TASK_ROWS rows of a matrix. */
typedef struct {
    const Matrix *matrix; /* NULL: the embeddings */
    int row, end;
    size_t offset, size;
} ClipTask;

static int num_clip_tasks(const Net *net) {
    int tasks = 1;
    for (int i = LM_HEAD; i < net->num_matrices; i++) tasks += (net->matrices[i].rows + TASK_ROWS - 1) / TASK_ROWS;
    return tasks;
}

static ClipTask clip_task(const Net *net, int task) {
    if (task == 0) return (ClipTask){NULL, 0, 0, 0, net->matrices[LM_HEAD].offset};
    const Matrix *matrix = &net->matrices[LM_HEAD];
    for (task--; task >= (matrix->rows + TASK_ROWS - 1) / TASK_ROWS; matrix++)
        task -= (matrix->rows + TASK_ROWS - 1) / TASK_ROWS;
    const int row = task * TASK_ROWS, end = row + TASK_ROWS < matrix->rows ? row + TASK_ROWS : matrix->rows;
    return (ClipTask){matrix, row, end, matrix->offset + (size_t)row * matrix->stride,
                      (size_t)(end - row) * matrix->stride};
}

/* Perform this thread's share of the sums of squares. */
static void sum_gradient_squares(const Net *net, Tasks *tasks, Squares *sums) {
    for (int i = take_task(tasks), count = num_clip_tasks(net); i < count; i = take_task(tasks)) {
        const ClipTask task = clip_task(net, i);
        sums[i] = sum_squares(net->grads + task.offset, task.size);
    }
}

/* Perform this thread's share of Adam's step, with the gradient scaled down if its norm exceeds max_norm. */
static void clipped_adam(const Net *net, Tasks *tasks, const Adam *a, const Squares *sums, double max_norm) {
    const int count = num_clip_tasks(net);
    const double norm = sqrt(total_squares(net, sums, count));
    const real scale = norm > max_norm ? (real)(max_norm / norm) : 1;
    for (int i = take_task(tasks); i < count; i = take_task(tasks)) {
        const ClipTask task = clip_task(net, i);
        real *w = net->weights.w + task.offset, *m = net->m + task.offset, *v = net->v + task.offset;
        real scaled[ADAM_BLOCK] __attribute__((aligned(64)));
        for (size_t from = 0; from < task.size; from += ADAM_BLOCK) {
            const int n = task.size - from < ADAM_BLOCK ? (int)(task.size - from) : ADAM_BLOCK;
            for (int j = 0; j < n; j += LANES) store(scaled + j, load(net->grads + task.offset + from + j) * scale);
            adam_block(a, n, w + from, m + from, v + from, scaled);
        }
        if (task.matrix) update_transposed(task.matrix, net->weights, task.row, task.end, task.matrix->stride);
    }
}
