/* The kernel's public interface: the structs and the function table that Python binds.

binding.py repeats these tables for Python. */

#pragma once
#include <stdint.h>

/* Buffers are flat float64 arrays in the layout of config.shapes. All documents' token ids are stored end to end. */
typedef struct Net Net;
typedef struct Decoder Decoder;

typedef struct {
    int n_embd, n_head, n_layer, block_size, vocab_size, activation;
    double beta1, beta2, eps_adam, weight_decay, clip; /* clip: the maximum norm of a gradient; 0: none */
    int threads;
} Settings;

typedef struct { /* document i is the next lengths[i] tokens */
    const int32_t *tokens, *lengths;
} Documents;

typedef struct {
    const char *name;
    Net *(*open)(const Settings *);
    void (*close)(Net *);
    void (*load)(Net *, const double *params, const double *m, const double *v);
    void (*store)(const Net *, double *params, double *m, double *v);
    int (*backward)(Net *, double *grads, Documents, int documents, double weight, double *loss);
    int (*train)(Net *, Documents, const int32_t *batch_sizes, const double *learning_rates, int part, int64_t step,
                 int steps, double seconds, double *losses);
    double (*clip)(Net *, double *grads, double max_norm);
    void (*update)(const Net *, double *params, double *grads, double *m, double *v, int64_t n, int64_t step,
                   double lr);
    Decoder *(*decoder)(const Net *, int streams);
    void (*decoder_close)(Decoder *);
    void (*feed)(Decoder *, const int32_t *token_ids, double *logits);
    void (*rewind)(Decoder *);
    int (*draw)(Decoder *, const int32_t *token_ids, const double *chances, int count, double scale, int top_k,
                int32_t *chosen);
    int (*generate)(Decoder *, const int32_t *prompt, int prompt_length, int end, int documents, int limit,
                    const double *chances, int in_turn, double scale, int top_k, int32_t *tokens, int32_t *lengths);
    int (*losses)(const Net *, Documents, int documents, double seconds, double *losses);
} Kernel;
