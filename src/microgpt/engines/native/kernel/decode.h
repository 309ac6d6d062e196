/* Decoding with a key-value cache: one token at a time, over a snapshot of the weights. */

#pragma once
#include "memory.h"
#include "model.h"

struct Decoder {
    const Net *net;
    Weights weights;
    Workspace work; /* one row per stream; each layer's qkv points to the current position, after the cache */
    int streams, position;
    void *memory;
};

static void decoder_close(Decoder *decoder) {
    if (!decoder) return;
    release(decoder->work.memory);
    release(decoder->memory);
    release(decoder);
}

static Decoder *decoder_open(const Net *net, int streams) {
    Decoder *decoder = allocate(sizeof(Decoder));
    if (!decoder) return NULL;
    decoder->net = net, decoder->streams = streams;
    decoder->memory = allocate((net->size + net->transposed_size) * sizeof(real));
    if (!decoder->memory || !open_work(net->d, &decoder->work, streams, 0)) return decoder_close(decoder), NULL;
    decoder->weights.w = decoder->memory, decoder->weights.w_transposed = decoder->weights.w + net->size;
    memcpy(decoder->weights.w, net->weights.w, net->size * sizeof(real));
    memcpy(decoder->weights.w_transposed, net->weights.w_transposed, net->transposed_size * sizeof(real));
    return decoder;
}

INLINE void feed(Dims d, Decoder *decoder) {
    const Net *net = decoder->net;
    const real *w = decoder->weights.w;
    embedding_forward(d, w + net->matrices[WTE].offset, w + net->matrices[WPE].offset, &decoder->work, 0,
                      decoder->streams);
    if (decoder->streams == 1)
        forward(d, net, decoder->weights, &decoder->work, 0, 1, 1);
    else
        forward(d, net, decoder->weights, &decoder->work, 0, decoder->streams, 0);
}

static void copy_logits(int n, const real *from, double *to) {
#if defined(__AVX512F__) && !EXACT
    for (int j = 0; j < n; j += 8) {
        const __mmask8 lanes = n - j < 8 ? (__mmask8)((1 << (n - j)) - 1) : 0xff;
        _mm512_mask_storeu_pd(to + j, lanes, _mm512_cvtps_pd(_mm256_load_ps(from + j)));
    }
#else
    for (int j = 0; j < n; j++) to[j] = from[j];
#endif
}

/* Feed one token to each stream; logits: (streams, V). */
static void decoder_feed(Decoder *decoder, const int32_t *token_ids, double *logits) {
    Dims d = decoder->net->d;
    const Workspace *work = &decoder->work;
    for (int s = 0; s < decoder->streams; s++)
        work->token[s] = token_ids[s], work->position[s] = decoder->position,
        work->first[s] = s * d.T - decoder->position;
    IF_SIZE(16, feed(d, decoder)) feed(d, decoder);
    for (ptrdiff_t s = 0; s < decoder->streams; s++) copy_logits(d.V, work->logits + s * d.Vp, logits + s * d.V);
    for (int l = 0; l < d.L; l++) work->layers[l].qkv += 3 * d.Cp;
    decoder->position++;
}

/* Empty every context. */
static void decoder_rewind(Decoder *decoder) {
    const Dims d = decoder->net->d;
    for (int l = 0; l < d.L; l++) decoder->work.layers[l].qkv -= (ptrdiff_t)3 * d.Cp * decoder->position;
    decoder->position = 0;
}
