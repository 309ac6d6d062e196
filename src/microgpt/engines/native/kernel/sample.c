/* Sampling, bit for bit as in sampling.py and Python's random.choices.

Both precisions share this code, which is compiled for all instruction sets at once, because contraction or vectorized
sums would change bits. */

#include "sample.h"
#include <math.h>

/* Called through a volatile pointer, because a compiler that sees pow(x, -1) replaces it with 1 / x. */
static double (*volatile libm_pow)(double, double) = pow;

/* Return the k-th largest of n numbers, k from 1, and reorder them (Hoare's quickselect). */
static double select_largest(double *x, int n, int k) {
    for (int low = 0, high = n - 1; low < high;) {
        const double pivot = x[low + (high - low) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (x[i] > pivot) i++;
            while (x[j] < pivot) j--;
            if (i <= j) {
                const double swapped = x[i];
                x[i++] = x[j], x[j--] = swapped;
            }
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            break;
    }
    return x[k - 1];
}

/* List the ids of the top_k largest logits in increasing order; ties go to the lower id. Returns how many there are. */
static int likeliest(const Sampler *sampler, const double *logits) {
    const int n = sampler->n, k = sampler->top_k && sampler->top_k < n ? sampler->top_k : n;
    if (k == n) {
        for (int i = 0; i < n; i++) sampler->ids[i] = i;
        return n;
    }
    for (int i = 0; i < n; i++) sampler->weights[i] = logits[i];
    const double least = select_largest(sampler->weights, n, k);
    int ties = k, count = 0;
    for (int i = 0; i < n; i++) ties -= logits[i] > least;
    for (int i = 0; i < n; i++)
        if (logits[i] > least || (logits[i] == least && ties-- > 0)) sampler->ids[count++] = i;
    return count;
}

int microgpt_choose(const Sampler *sampler, const double *logits, double chance) {
    int best = 0;
    for (int i = 0; i < sampler->n; i++) {
        if (!(logits[i] < INFINITY)) return -1;
        if (logits[i] > logits[best]) best = i;
    }
    if (logits[best] == -INFINITY) return -1;
    if (sampler->scale == 0) return best;
    const int n = likeliest(sampler, logits);
    double *weights = sampler->weights, total = 0, sum = 0;
    const double largest = logits[best] * sampler->scale;
    if (!isfinite(largest)) return -1;
    for (int i = 0; i < n; i++) {
        weights[i] = exp(logits[sampler->ids[i]] * sampler->scale - largest);
        total += weights[i];
    }
    const double normalizer = libm_pow(total, -1.0);
    for (int i = 0; i < n; i++) weights[i] = sum += weights[i] * normalizer;
    const double wanted = chance * (sum + 0.0);
    int low = 0, high = n - 1; /* the first running sum above `wanted`, but at most the last one */
    while (low < high) {
        const int middle = (low + high) / 2;
        if (wanted < weights[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return sampler->ids[low];
}
