/* A program around the kernel, for processors on which this machine cannot run Python. It includes dispatch.c and is
linked with the objects of net.c. It reads a run from standard input and writes the results to standard output;
test_aarch64.py documents the layout of both. */

#include "dispatch.c"
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    int32_t exact, steps, documents, tokens, params;
    Settings settings;
} Head;

static void *get(size_t count, size_t size) {
    void *numbers = malloc(count * size + 1);
    if (!numbers || fread(numbers, size, count, stdin) != count) exit(2);
    return numbers;
}

static void put(const double *numbers, size_t count) {
    if (fwrite(numbers, sizeof(double), count, stdout) != count) exit(3);
}

int main(void) {
    const Head *head = get(1, sizeof(Head));
    const size_t n = head->params, V = head->settings.vocab_size;
    double *params = get(n, sizeof(double));
    const double *learning_rates = get(head->steps, sizeof(double));
    const int32_t *batch_sizes = get(head->steps, sizeof(int32_t));
    const int32_t *lengths = get(head->documents, sizeof(int32_t)), *tokens = get(head->tokens, sizeof(int32_t));
    const Documents documents = {tokens, lengths};
    double *m = calloc(n, sizeof(double)), *v = calloc(n, sizeof(double)), *grads = calloc(n, sizeof(double));
    double *losses = calloc(head->steps, sizeof(double)), *logits = calloc(V, sizeof(double));

    const Kernel *kernel = microgpt_kernel(head->exact, NULL);
    Net *net = kernel->open(&head->settings);
    if (!net || !m || !v || !grads || !losses || !logits) return 4;

    /* the first step by itself: its loss and gradient; then Adam on the flat buffers */
    kernel->load(net, params, m, v);
    if (!kernel->backward(net, grads, documents, batch_sizes[0], 1.0 / batch_sizes[0], losses)) return 5;
    put(losses, 1), put(grads, n);
    kernel->update(net, params, grads, m, v, n, 1, learning_rates[0]);
    put(params, n);

    /* the others in one call */
    kernel->load(net, params, m, v);
    size_t read = 0;
    for (int i = 0; i < batch_sizes[0]; i++) read += lengths[i];
    const Documents rest = {tokens + read, lengths + batch_sizes[0]};
    const int steps = head->steps - 1;
    if (kernel->train(net, rest, batch_sizes + 1, learning_rates + 1, 0, 1, steps, 1e9, losses) != steps) return 6;
    kernel->store(net, params, m, v);
    put(losses, steps), put(params, n), put(m, n), put(v, n);

    /* the trained model's logits for the first document */
    Decoder *decoder = kernel->decoder(net, 1);
    if (!decoder) return 7;
    for (int i = 0; i < lengths[0] && i < head->settings.block_size; i++) kernel->feed(decoder, tokens + i, logits), put(logits, V);
    kernel->decoder_close(decoder);
    kernel->close(net);
    return 0;
}
