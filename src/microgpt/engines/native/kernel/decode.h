/* Decoding with a key-value cache: one token at a time, over a snapshot of the weights. */

#pragma once
#include "memory.h"
#include "model.h"
#include "sample.h"

struct Decoder {
    const Net *net;
    Weights weights;
    Workspace work; /* one row per stream; each layer's qkv points to the current position, after the cache */
    int streams, position;
    void *memory;
    double *logits; /* one stream's, in float64; as scratch space for sampling, another V weights and V ids */
};

static void decoder_close(Decoder *decoder) {
    if (!decoder) return;
    release(decoder->work.memory);
    release(decoder->memory);
    release(decoder->logits);
    release(decoder);
}

static Decoder *decoder_open(const Net *net, int streams) {
    Decoder *decoder = allocate(sizeof(Decoder));
    if (!decoder) return NULL;
    decoder->net = net, decoder->streams = streams;
    decoder->memory = allocate((net->size + net->transposed_size) * sizeof(real));
    decoder->logits = allocate((uint64_t)net->d.V * (2 * sizeof(double) + sizeof(int32_t)));
    if (!decoder->memory || !decoder->logits || !open_work(net->d, &decoder->work, streams, DECODING))
        return decoder_close(decoder), NULL;
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

/* Feed one token to each stream: work.logits, (streams, Vp). */
static void decoder_advance(Decoder *decoder, const int32_t *token_ids) {
    Dims d = decoder->net->d;
    const Workspace *work = &decoder->work;
    for (int s = 0; s < decoder->streams; s++)
        work->token[s] = token_ids[s], work->position[s] = decoder->position,
        work->first[s] = s * d.T - decoder->position;
    IF_SIZE(16, feed(d, decoder)) feed(d, decoder);
    for (int l = 0; l < d.L; l++) work->layers[l].qkv += 3 * d.Ap;
    decoder->position++;
}

/* Feed one token to each stream; logits: (streams, V). */
static void decoder_feed(Decoder *decoder, const int32_t *token_ids, double *logits) {
    const Dims d = decoder->net->d;
    decoder_advance(decoder, token_ids);
    for (ptrdiff_t s = 0; s < decoder->streams; s++)
        copy_logits(d.V, decoder->work.logits + s * d.Vp, logits + s * d.V);
}

/* Empty every context. */
static void decoder_rewind(Decoder *decoder) {
    const Dims d = decoder->net->d;
    for (int l = 0; l < d.L; l++) decoder->work.layers[l].qkv -= (ptrdiff_t)3 * d.Ap * decoder->position;
    decoder->position = 0;
}

static Sampler decoder_sampler(const Decoder *decoder, double scale, int top_k) {
    const int V = decoder->net->d.V;
    return (Sampler){scale, top_k, V, decoder->logits + V, (int32_t *)(decoder->logits + 2 * V)};
}

/* Choose a stream's next token; see sample.h. */
static int decoder_choose(const Decoder *decoder, const Sampler *sampler, int stream, double chance) {
    const Dims d = decoder->net->d;
    copy_logits(d.V, decoder->work.logits + (ptrdiff_t)stream * d.Vp, decoder->logits);
    return microgpt_choose(sampler, decoder->logits, chance);
}

/* Feed one token to each stream, and choose the next tokens of the first `count` streams. Returns 0 if the logits are
not finite. */
static int decoder_draw(Decoder *decoder, const int32_t *token_ids, const double *chances, int count, double scale,
                        int top_k, int32_t *chosen) {
    const Sampler sampler = decoder_sampler(decoder, scale, top_k);
    decoder_advance(decoder, token_ids);
    for (int s = 0; s < count; s++)
        if ((chosen[s] = decoder_choose(decoder, &sampler, s, chances[s])) < 0) return 0;
    return 1;
}

/* Generate documents, as many together as the decoder has streams. Each begins with the prompt, gets at most `limit`
tokens, and ends at the token `end`. Each document has `limit` chances of its own, or (in_turn, with a single
stream) it continues with the first chance that the document before it has not used. tokens: (documents, limit);
lengths: without `end`. Returns the number of chances used, or -1 if the logits are not finite. */
static int decoder_generate(Decoder *decoder, const int32_t *prompt, int prompt_length, int end, int documents, int limit,
                            const double *chances, int in_turn, double scale, int top_k, int32_t *tokens,
                            int32_t *lengths) {
    const Sampler sampler = decoder_sampler(decoder, scale, top_k);
    const int streams = decoder->streams;
    int used = 0;
    int32_t fed[streams];
    for (int first = 0; first < documents; first += streams) {
        const int count = documents - first < streams ? documents - first : streams;
        int unfinished = count, done[count];
        memset(done, 0, sizeof done);
        decoder_rewind(decoder);
        for (int i = 0; i < prompt_length; i++) {
            for (int s = 0; s < streams; s++) fed[s] = prompt[i];
            decoder_advance(decoder, fed);
        }
        for (int i = 0; i < limit && unfinished; i++) {
            if (i > 0) decoder_advance(decoder, fed);
            for (int s = 0; s < count; s++) {
                if (done[s]) continue;
                const ptrdiff_t document = first + s;
                const double chance = scale == 0 ? 0 : chances[in_turn ? used : document * limit + i];
                const int token = decoder_choose(decoder, &sampler, s, chance);
                if (token < 0) return -1;
                used += scale != 0;
                if (token == end) {
                    done[s] = 1, unfinished--;
                } else {
                    tokens[document * limit + i] = fed[s] = token;
                    lengths[document] = i + 1;
                }
            }
        }
    }
    return used;
}
