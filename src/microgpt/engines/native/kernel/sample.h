/* Sampling: choose the next token from its logits. */

#pragma once
#include <stdint.h>

/* How to choose: scale is 1 / temperature, or 0 for the most likely token; top_k is 0 for all tokens. weights and ids
are scratch space for n elements each. */
typedef struct {
    double scale;
    int top_k, n;
    double *weights;
    int32_t *ids;
} Sampler;

/* Return the token id that Python's random.choices would choose if random() returned `chance`; -1 if a logit is +inf or
NaN, if all are -inf, or if the largest one times scale overflows. */
int microgpt_choose(const Sampler *sampler, const double *logits, double chance);
