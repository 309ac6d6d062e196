/* The native engine's kernel: the reference's forward, backward and Adam in C, without a graph.

This single translation unit is compiled for each precision and instruction set. Each compilation produces one table of
functions (struct Kernel in api.h); dispatch.c chooses among the tables.

    -DEXACT=1    float64, bit for bit the reference: SIMD runs across outputs and never along a sum, each sum is added
                 in the reference's order, nothing is contracted (-ffp-contract=off), and exp, log and pow are libm's.
    -DEXACT=0    float32, as fast as possible: fma, a vectorized exp, reciprocal square roots.
                 -DFLOAT64=1 computes the same in float64: this is `exact` in WebAssembly, where Python's libm is
                 not available.

Layout. The positions of a document (float32: of several documents) are the rows of matrices; rows are padded with zeros
to whole vectors. A linear layer stores its weights twice: as they are (one row per output), and transposed. Forward
reads the transpose and backward the original, so that both read and write contiguous memory.

Order of summation. The reference adds gradients in reversed post-order of its graph. The order in every sum of more
than two terms is:
    - over positions: descending, because everything at position t is reached from position t's loss, and never from an
      earlier position's;
    - the input of a linear layer: the rows of the weights, descending; in lm_head the target's row comes last;
    - the input of attn_wq, attn_wk, attn_wv: heads descending; within a head the rows of v, then k, then q, each
      descending. At the first position of a document, the rows of k and q alternate, because the only key has not yet
      been visited when the first query is visited;
    - a query: the positions it attends to, descending; a softmax's total: likewise, each term through its own
      1 / total;
    - the input of an rmsnorm: first the gradient of the residual connection, then scale * dy, then twice the term
      through the square.
The reference's sum() starts with its first term. Here a sum starts from -0.0, which leaves any first term unchanged; a
gradient starts from 0.0. */

#include "api.h"
#include "simd.h"
#include "layout.h"
#include "exact.h"
#include "fast.h"
#include "matmul.h"
#include "transpose.h"
#include "attention.h"
#include "activation.h"
#include "layers.h"
#include "model.h"
#include "adam.h"
#include "gradients.h"
#include "clip.h"
#include "memory.h"
#include "buffers.h"
#include "losses.h"
#include "train.h"
#include "decode.h"

#define NAME_OF2(isa, precision) kernel_##isa##_##precision
#define NAME_OF(isa, precision) NAME_OF2(isa, precision)
#define TEXT_OF2(x) #x
#define TEXT_OF(x) TEXT_OF2(x)
#if FLOAT64
#define PRECISION exact
#else
#define PRECISION float32
#endif

extern const Kernel NAME_OF(ISA, PRECISION);
const Kernel NAME_OF(ISA, PRECISION) = {
    TEXT_OF(ISA), net_open, net_close, net_load, net_store, net_backward, net_train, net_clip, net_update,
    decoder_open, decoder_close, decoder_feed, decoder_rewind, decoder_draw, decoder_generate,
    net_losses,
};
